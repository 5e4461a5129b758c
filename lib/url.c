/*
 * Parsing of feed URLs. libcurl's URL API reads scheme, user info, host and
 * port; the path is taken apart here, because a database name is an encoded
 * segment and must come back to the server as the same bytes.
 */
#include "url.h"

#include <curl/curl.h>
#include <string.h>

#include "str.h"

static const char EXAMPLE[] = "http://localhost:5984/db";
static const char UNREADABLE[] = "(a malformed URL)";

#define REFUSE(...) cfi_error_set(error, CHANGEFEED_ERR_OPTION, __VA_ARGS__)

/* RFC 3986: what stands for itself in each part of a URL. */
static bool is_unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)cfi_str_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_percent(cfi_buf *out, unsigned char c) {
  static const char digits[] = "0123456789ABCDEF";
  char text[3] = {'%', digits[c >> 4], digits[c & 15]};

  cfi_buf_put(out, text, sizeof text);
}

void cfi_url_put_encoded(cfi_buf *out, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (is_unreserved(c))
      cfi_buf_putc(out, text[i]);
    else
      put_percent(out, c);
  }
}

static int out_of_memory(cfi_error *error) {
  return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                       "There was no memory to read the URL.");
}

/* The place where user info, host and port begin. */
static const char *authority_of(const char *text) {
  size_t scheme = 0;

  while (is_unreserved((unsigned char)text[scheme]) || text[scheme] == '+')
    scheme++;
  return strncmp(text + scheme, "://", 3) == 0 ? text + scheme + 3 : text;
}

/* An '@' behind the authority: the rest of a password with a bare '/', '?' or
   '#' looks like this, and would be taken for a path and shown. */
static bool has_stray_at(const char *text) {
  const char *authority = authority_of(text);

  return strchr(authority + strcspn(authority, "/?#"), '@') != NULL;
}

/* An escape in a host name, which libcurl decodes to anything. Only the zone
   of an IPv6 address has one. */
static bool has_escaped_host(const char *text) {
  const char *authority = authority_of(text);
  size_t len = strcspn(authority, "/?#"), host = len;

  while (host != 0 && authority[host - 1] != '@')
    host--;
  return authority[host] != '[' &&
         memchr(authority + host, '%', len - host) != NULL;
}

/* The mistakes that libcurl tolerates or describes less well. The URL is never
   quoted: it may hold a password in a place where nobody looks for one. */
static int check_text(const char *text, const char *what, cfi_error *error) {
  size_t len = strlen(text);

  if (len == 0)
    return REFUSE("The %s is empty; write it like \"%s\".", what, EXAMPLE);
  for (size_t i = 0; i < len; i++)
    if (is_control((unsigned char)text[i]))
      return REFUSE("The %s holds a control character (byte %zu); a URL has "
                    "none.",
                    what, i + 1);
  if (strchr(text, ' ') != NULL)
    return REFUSE("The %s holds a space; write it as %%20 where it belongs to "
                  "a name.",
                  what);
  if (!cfi_str_is_utf8(text, len))
    return REFUSE("The %s is not valid UTF-8.", what);
  if (!cfi_str_starts_nocase(text, "http://") &&
      !cfi_str_starts_nocase(text, "https://")) {
    if (strstr(text, "://") != NULL)
      return REFUSE("The %s has a scheme other than http and https; write it "
                    "like \"%s\".",
                    what, EXAMPLE);
    return REFUSE("The %s does not begin with http:// or https://; write it "
                  "like \"%s\".",
                  what, EXAMPLE);
  }
  if (strcspn(authority_of(text), "/?#") == 0)
    return REFUSE("The %s names no host; write it like \"%s\".", what, EXAMPLE);
  if (has_escaped_host(text))
    return REFUSE("The %s has a '%%' in its host name.", what);
  if (has_stray_at(text))
    return REFUSE(
        "The %s holds an '@' behind the host; write it as %%40 in a "
        "name, and '/', '?', '#' and '@' in a password as %%2F, %%3F, "
        "%%23 and %%40.",
        what);
  if (strchr(text, '?') != NULL)
    return REFUSE("The %s holds a '?'; request parameters are given by the "
                  "option query=name=value, and a '?' in a name or password is "
                  "written %%3F.",
                  what);
  if (strchr(text, '#') != NULL)
    return REFUSE("The %s holds a '#'; a feed's URL has no fragment, and a '#' "
                  "in a name or password is written %%23.",
                  what);
  return CHANGEFEED_OK;
}

/* libcurl's reasons are static texts: they quote nothing of the URL. */
static int refuse_curl(CURLUcode code, const char *what, cfi_error *error) {
  if (code == CURLUE_OUT_OF_MEMORY)
    return out_of_memory(error);
  return REFUSE("The %s cannot be read (%s%s); write it like \"%s\".", what,
                curl_url_strerror(code),
                code == CURLUE_BAD_HOSTNAME
                    ? "; an '@' in a password is written %40"
                    : "",
                EXAMPLE);
}

/* One part of the user info, decoded; an absent one leaves *out NULL. */
static int take_secret(const cfi_alloc *alloc, CURLU *handle, CURLUPart part,
                       char **out, cfi_error *error) {
  char *value = NULL;
  CURLUcode code = curl_url_get(handle, part, &value, CURLU_URLDECODE);

  if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD)
    return CHANGEFEED_OK;
  if (code == CURLUE_OUT_OF_MEMORY)
    return out_of_memory(error);
  if (code != CURLUE_OK)
    return REFUSE("The user name or password in the url cannot be decoded; it "
                  "holds a control character.");
  *out = cfi_strdup(alloc, value);
  cfi_wipe(value, strlen(value));
  curl_free(value);
  return *out != NULL ? CHANGEFEED_OK : out_of_memory(error);
}

/* Both out of the handle, decoded. */
static int take_user_info(const cfi_alloc *alloc, CURLU *handle, cfi_url *out,
                          cfi_error *error) {
  int rc = take_secret(alloc, handle, CURLUPART_USER, &out->username, error);

  if (rc == CHANGEFEED_OK)
    rc = take_secret(alloc, handle, CURLUPART_PASSWORD, &out->password, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  /* "http://@host/" and "http://:@host/" say nothing. */
  if (out->username != NULL && out->username[0] == '\0' &&
      (out->password == NULL || out->password[0] == '\0')) {
    cfi_free(alloc, out->username);
    cfi_free(alloc, out->password);
    out->username = out->password = NULL;
  }
  return CHANGEFEED_OK;
}

/* libcurl does not look into the zone of an IPv6 address: it is the name or the
   number of an interface. */
static int check_zone(CURLU *handle, const char *what, cfi_error *error) {
  char *zone = NULL;
  CURLUcode code = curl_url_get(handle, CURLUPART_ZONEID, &zone, 0);
  bool plain = true;

  if (code == CURLUE_NO_ZONEID)
    return CHANGEFEED_OK;
  if (code != CURLUE_OK)
    return refuse_curl(code, what, error);
  for (const char *p = zone; *p != '\0'; p++)
    plain = plain && is_unreserved((unsigned char)*p);
  curl_free(zone);
  if (!plain)
    return REFUSE("The %s has an IPv6 zone that names no interface; write it "
                  "like \"http://[fe80::1%%25eth0]:5984/db\".",
                  what);
  return CHANGEFEED_OK;
}

/* Writes scheme://host[:port]; the default port is left out, so that one place
   has one name. Empties the handle's user info and path. */
static int put_origin(CURLU *handle, cfi_buf *out, const char *what,
                      cfi_error *error) {
  static const CURLUPart gone[] = {CURLUPART_USER, CURLUPART_PASSWORD,
                                   CURLUPART_OPTIONS, CURLUPART_PATH};
  char *text = NULL;
  CURLUcode code;
  size_t len;

  for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
    code = curl_url_set(handle, gone[i], NULL, 0);
    if (code != CURLUE_OK)
      return refuse_curl(code, what, error);
  }
  code = curl_url_get(handle, CURLUPART_URL, &text, CURLU_NO_DEFAULT_PORT);
  if (code != CURLUE_OK)
    return refuse_curl(code, what, error);
  len = strlen(text);
  while (len != 0 && text[len - 1] == '/')
    len--;
  for (size_t i = 0, lower = 1; i < len; i++) {
    /* A zone id is the name of an interface: its case matters. */
    if (text[i] == '%')
      lower = 0;
    cfi_buf_putc(out, lower ? (char)cfi_str_lower(text[i]) : text[i]);
  }
  curl_free(text);
  return CHANGEFEED_OK;
}

/* Decodes one path segment and checks that it can be a name. */
static int decode_segment(const char *text, size_t len, cfi_buf *out,
                          const char *what, cfi_error *error) {
  char *name;

  for (size_t i = 0; i < len; i++) {
    char c = text[i];

    if (c == '%') {
      int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
      int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

      if (high < 0 || low < 0)
        return REFUSE("The path of the %s holds a '%%' without two hexadecimal "
                      "digits; a '%%' in a name is written %%25.",
                      what);
      c = (char)(high * 16 + low);
      i += 2;
    }
    if (is_control((unsigned char)c))
      return REFUSE("The path of the %s holds an encoded control character; a "
                    "name has none.",
                    what);
    cfi_buf_putc(out, c);
  }
  name = cfi_buf_text(out);
  if (name == NULL)
    return out_of_memory(error);
  if (!cfi_str_is_utf8(name, out->len))
    return REFUSE("The path of the %s is not valid UTF-8 when it is decoded.",
                  what);
  /* Clients and proxies resolve these, encoded or not. */
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return REFUSE("The path of the %s has a segment \".\" or \"..\"; write it "
                  "without.",
                  what);
  return CHANGEFEED_OK;
}

/* A segment of the prefix goes to the server as it was written: a proxy may
   compare it literally. Only what no URL may hold is encoded. */
static void put_prefix_segment(cfi_buf *out, const char *text, size_t len) {
  cfi_buf_putc(out, '/');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (is_unreserved(c) || strchr("%!$&'()*+,;=:", c) != NULL)
      cfi_buf_putc(out, text[i]);
    else
      put_percent(out, c);
  }
}

/* Appends the segments of path, which need not be terminated; empty ones are
   dropped. */
static int put_prefix(const cfi_alloc *alloc, const char *path, size_t len,
                      cfi_buf *out, const char *what, cfi_error *error) {
  cfi_buf name;
  int rc = CHANGEFEED_OK;

  cfi_buf_init(&name, alloc);
  for (size_t i = 0; i < len && rc == CHANGEFEED_OK; i++) {
    size_t begin = i;

    while (i < len && path[i] != '/')
      i++;
    if (i == begin)
      continue;
    cfi_buf_clear(&name, SIZE_MAX);
    rc = decode_segment(path + begin, i - begin, &name, what, error);
    if (rc == CHANGEFEED_OK)
      put_prefix_segment(out, path + begin, i - begin);
  }
  cfi_buf_free(&name);
  return rc;
}

/* Cuts the last segment off path[0..*len], decodes it into name; an empty name
   when there is none. */
static int cut_last(const char *path, size_t *len, cfi_buf *name,
                    cfi_error *error) {
  size_t end = *len, begin;

  while (end != 0 && path[end - 1] == '/')
    end--;
  begin = end;
  while (begin != 0 && path[begin - 1] != '/')
    begin--;
  *len = begin;
  cfi_buf_clear(name, SIZE_MAX);
  return decode_segment(path + begin, end - begin, name, "url", error);
}

/* Takes the database, or _db_updates, from the end of path; *len is what is
   left in front of it. */
static int take_target(const cfi_alloc *alloc, const char *path, size_t *len,
                       cfi_url *out, cfi_error *error) {
  bool changes = false;
  cfi_buf name, encoded;
  int rc;

  cfi_buf_init(&name, alloc);
  cfi_buf_init(&encoded, alloc);
  rc = cut_last(path, len, &name, error);
  if (rc == CHANGEFEED_OK && strcmp(cfi_buf_text(&name), "_changes") == 0) {
    changes = true;
    rc = cut_last(path, len, &name, error);
  }
  if (rc != CHANGEFEED_OK)
    goto done;
  if (name.len == 0 || strcmp(cfi_buf_text(&name), "_changes") == 0) {
    rc = REFUSE("The url names no database; write it like \"%s\", or end it "
                "with /_db_updates for the feed of all databases.",
                EXAMPLE);
    goto done;
  }
  if (strcmp(cfi_buf_text(&name), "_db_updates") == 0) {
    out->target = CFI_URL_DB_UPDATES;
    if (changes)
      rc = REFUSE("The url asks for _changes of _db_updates, which is a feed "
                  "itself; end it with /_db_updates.");
    goto done;
  }
  cfi_url_put_encoded(&encoded, cfi_buf_text(&name), name.len);
  out->db = cfi_buf_take(&encoded);
  out->db_name = cfi_buf_take(&name);
  if (out->db == NULL || out->db_name == NULL)
    rc = out_of_memory(error);
done:
  cfi_buf_free(&name);
  cfi_buf_free(&encoded);
  return rc;
}

/* From a handle that has read the text: all but the credentials. */
static int take_path(const cfi_alloc *alloc, CURLU *handle, bool endpoint,
                     const char *what, cfi_url *out, cfi_error *error) {
  cfi_buf base;
  char *path = NULL;
  size_t len;
  CURLUcode code = curl_url_get(handle, CURLUPART_PATH, &path, 0);
  int rc;

  if (code != CURLUE_OK)
    return refuse_curl(code, what, error);
  cfi_buf_init(&base, alloc);
  len = strlen(path);
  rc = check_zone(handle, what, error);
  if (rc == CHANGEFEED_OK)
    rc = put_origin(handle, &base, what, error);
  if (rc == CHANGEFEED_OK && !endpoint)
    rc = take_target(alloc, path, &len, out, error);
  if (rc == CHANGEFEED_OK)
    rc = put_prefix(alloc, path, len, &base, what, error);
  curl_free(path);
  if (rc == CHANGEFEED_OK && cfi_buf_text(&base) != NULL) {
    out->base = cfi_strdup(alloc, cfi_buf_text(&base));
    if (!endpoint) {
      cfi_buf_putc(&base, '/');
      cfi_buf_puts(&base, out->db != NULL ? out->db : "_db_updates");
    }
    out->shown = cfi_buf_take(&base);
  }
  cfi_buf_free(&base);
  if (rc == CHANGEFEED_OK && (out->base == NULL || out->shown == NULL))
    rc = out_of_memory(error);
  return rc;
}

/* Both kinds of URL. out is empty unless it answers OK. PATH_AS_IS, because
   what libcurl makes of dot segments would hide them from the checks here. */
static int parse(const cfi_alloc *alloc, const char *text, bool endpoint,
                 cfi_url *out, cfi_error *error) {
  const char *what = endpoint ? "endpoint" : "url";
  CURLU *handle;
  CURLUcode code;
  int rc;

  memset(out, 0, sizeof *out);
  rc = check_text(text, what, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (endpoint && strchr(text, '@') != NULL)
    return REFUSE("The endpoint holds user info; credentials belong into the "
                  "url or the options username and password.");
  handle = curl_url();
  if (handle == NULL)
    return out_of_memory(error);
  code = curl_url_set(handle, CURLUPART_URL, text, CURLU_PATH_AS_IS);
  rc = code == CURLUE_OK ? take_user_info(alloc, handle, out, error)
                         : refuse_curl(code, what, error);
  if (rc == CHANGEFEED_OK)
    rc = take_path(alloc, handle, endpoint, what, out, error);
  curl_url_cleanup(handle);
  if (rc != CHANGEFEED_OK)
    cfi_url_free(alloc, out);
  return rc;
}

int cfi_url_parse(const cfi_alloc *alloc, const char *text, cfi_url *out,
                  cfi_error *error) {
  return parse(alloc, text, false, out, error);
}

int cfi_url_parse_endpoint(const cfi_alloc *alloc, const char *text,
                           cfi_url *out, cfi_error *error) {
  return parse(alloc, text, true, out, error);
}

void cfi_url_free(const cfi_alloc *alloc, cfi_url *url) {
  cfi_free(alloc, url->base);
  cfi_free(alloc, url->db);
  cfi_free(alloc, url->db_name);
  cfi_free(alloc, url->shown);
  cfi_free(alloc, url->username);
  cfi_free_secret(alloc, url->password);
  memset(url, 0, sizeof *url);
}

/* What is left of a URL when all that may be secret is gone; NULL when libcurl
   cannot read it. To be freed by curl_free. */
static char *without_secrets(CURLU *handle, const char *text) {
  static const CURLUPart gone[] = {CURLUPART_USER, CURLUPART_PASSWORD,
                                   CURLUPART_OPTIONS, CURLUPART_QUERY,
                                   CURLUPART_FRAGMENT};
  char *shown = NULL;

  if (curl_url_set(handle, CURLUPART_URL, text,
                   CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME |
                       CURLU_PATH_AS_IS) != CURLUE_OK)
    return NULL;
  for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
    if (curl_url_set(handle, gone[i], NULL, 0) != CURLUE_OK)
      return NULL;
  if (curl_url_get(handle, CURLUPART_URL, &shown, 0) != CURLUE_OK)
    return NULL;
  return shown;
}

char *cfi_url_shown(const cfi_alloc *alloc, const char *text) {
  CURLU *handle = curl_url();
  char *shown;
  cfi_buf out;

  if (handle == NULL)
    return NULL;
  shown = has_stray_at(text) ? NULL : without_secrets(handle, text);
  curl_url_cleanup(handle);
  cfi_buf_init(&out, alloc);
  for (const char *p = shown != NULL ? shown : UNREADABLE; *p != '\0'; p++) {
    unsigned char c = (unsigned char)*p;
    if (shown != NULL && (c <= 0x20 || c >= 0x7f || c == '@'))
      put_percent(&out, c);
    else
      cfi_buf_putc(&out, *p);
  }
  curl_free(shown);
  return cfi_buf_take(&out);
}
