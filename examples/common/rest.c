/* Calls of JSON services; see rest.h. One handle of libcurl, so that
   connections are kept, but none of its convenience: no proxy, no redirect, no
   signal, and no request that is silently sent a second time. */
#include "common/rest.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  CONNECT_MS = 2000,
  TOTAL_MS = 10000,
  REPLY_MOST = 16 * 1024 * 1024,
  RETRY_AFTER_MOST_S = 24 * 60 * 60
};

struct rest {
  CURL *curl;
  char *base; /* without user info and without a slash at its end */
  char *user, *password;
  struct curl_slist *headers;
  char *authorization; /* the line of the token */
  int64_t total_ms;
  size_t max_reply;
  text reply, url;
  bool too_large, out_of_memory;
  bool whole_head; /* its empty line has come; libcurl does without */
  int sent;        /* how often libcurl was about to send this request */
  char why[CURL_ERROR_SIZE];
};

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- making one ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void) { curl_ready = curl_global_init(CURL_GLOBAL_ALL); }

static bool failed(char *error, size_t size, const char *why) {
  (void)snprintf(error, size, "%s", why);
  return false;
}

/* A part of the URL, copied; NULL when there is none. */
static char *url_part(CURLU *u, CURLUPart part, unsigned flags) {
  char *got = NULL, *copy;

  if (curl_url_get(u, part, &got, flags) != CURLUE_OK)
    return NULL;
  copy = strdup(got);
  explicit_bzero(got, strlen(got));
  curl_free(got);
  return copy;
}

static bool has_part(CURLU *u, CURLUPart part) {
  char *got = NULL;
  bool has = curl_url_get(u, part, &got, 0) == CURLUE_OK;

  curl_free(got);
  return has;
}

/* The sentences quote nothing of the URL: who knows where the password is. */
static bool take_url(rest *r, const char *url, char *error, size_t size) {
  CURLU *u = curl_url();
  char *scheme = NULL;
  bool done = false;
  size_t len;

  if (u == NULL)
    return failed(error, size, "There is not enough memory for the URL.");
  if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) !=
          CURLUE_OK ||
      (scheme = url_part(u, CURLUPART_SCHEME, 0)) == NULL ||
      (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
    (void)failed(error, size,
                 "The URL is none that begins with http:// or "
                 "https://.");
  } else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT)) {
    (void)failed(error, size,
                 "The URL of a server has no query and no "
                 "fragment.");
  } else {
    r->user = url_part(u, CURLUPART_USER, CURLU_URLDECODE);
    r->password = url_part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
    (void)curl_url_set(u, CURLUPART_USER, NULL, 0);
    (void)curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
    r->base = url_part(u, CURLUPART_URL, 0);
    done = r->base != NULL ||
           failed(error, size, "There is not enough memory for the URL.");
    len = done ? strlen(r->base) : 0;
    while (len != 0 && r->base[len - 1] == '/')
      r->base[--len] = '\0';
  }
  free(scheme);
  curl_url_cleanup(u);
  return done;
}

static bool is_token(const char *s) {
  for (; *s > 0x20 && *s < 0x7f; s++)
    ;
  return *s == '\0';
}

static bool add_header(rest *r, const char *line) {
  struct curl_slist *more = curl_slist_append(r->headers, line);

  if (more != NULL)
    r->headers = more;
  return more != NULL;
}

static bool make_headers(rest *r, const char *token, char *error, size_t size) {
  if (token != NULL) {
    if (*token == '\0' || !is_token(token))
      return failed(error, size,
                    "The token has characters in it that no token "
                    "has.");
    if (r->user != NULL || r->password != NULL)
      return failed(error, size,
                    "There is a token, and a user in the URL; only "
                    "one can be sent.");
    if (asprintf(&r->authorization, "Authorization: Bearer %s", token) < 0)
      r->authorization = NULL;
  }
  /* "Expect:" without a value: bodies go at once. */
  if ((token != NULL &&
       (r->authorization == NULL || !add_header(r, r->authorization))) ||
      !add_header(r, "Accept: application/json") ||
      !add_header(r, "Content-Type: application/json") ||
      !add_header(r, "Expect:"))
    return failed(error, size, "There is not enough memory for a client.");
  return true;
}

static size_t on_body(char *data, size_t one, size_t len, void *ctx) {
  rest *r = ctx;

  (void)one; /* is 1 */
  if (len > r->max_reply - r->reply.len) {
    r->too_large = true;
    return 0;
  }
  text_add(&r->reply, data, len);
  r->out_of_memory = r->reply.failed;
  return r->reply.failed ? 0 : len;
}

static size_t on_head(char *line, size_t one, size_t len, void *ctx) {
  rest *r = ctx;

  (void)one;
  r->whole_head = len <= 2 && (line[0] == '\r' || line[0] == '\n');
  return len;
}

/* libcurl repeats a request when a kept connection ended before a byte of the
   answer. The first one may have been done: that must be told, not hidden. */
static int on_send(void *ctx, char *ip, char *local, int port, int local_port) {
  rest *r = ctx;

  (void)ip;
  (void)local;
  (void)port;
  (void)local_port;
  return ++r->sent == 1 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* Children of ours do not inherit connections. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose,
                                 struct curl_sockaddr *a) {
  (void)ctx;
  (void)purpose;
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool set_up(rest *r, const rest_config *config) {
  CURL *c = r->curl;
  CURLcode e = CURLE_OK;
  long connect_ms =
      (long)(config->connect_ms > 0 ? config->connect_ms : CONNECT_MS);

#define SET(option, value)                                                     \
  (e = e != CURLE_OK ? e : curl_easy_setopt(c, option, value))
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
  SET(CURLOPT_MAXCONNECTS, 2L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_ERRORBUFFER, r->why);
  SET(CURLOPT_HTTPHEADER, r->headers);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, r);
  SET(CURLOPT_HEADERFUNCTION, on_head);
  SET(CURLOPT_HEADERDATA, r);
  SET(CURLOPT_PREREQFUNCTION, on_send);
  SET(CURLOPT_PREREQDATA, r);
  SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
  if (config->ca_file != NULL)
    SET(CURLOPT_CAINFO, config->ca_file);
  if (r->user != NULL || r->password != NULL) {
    SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    SET(CURLOPT_USERNAME, r->user != NULL ? r->user : "");
    SET(CURLOPT_PASSWORD, r->password != NULL ? r->password : "");
  }
#undef SET
  return e == CURLE_OK;
}

rest *rest_new(const rest_config *config, char *error, size_t error_size) {
  rest *r;

  (void)pthread_once(&curl_once, start_curl);
  if (curl_ready != CURLE_OK || (r = calloc(1, sizeof *r)) == NULL) {
    (void)failed(error, error_size, "There is not enough memory for a client.");
    return NULL;
  }
  r->total_ms = config->total_ms > 0 ? config->total_ms : TOTAL_MS;
  r->max_reply = config->max_reply != 0 ? config->max_reply : REPLY_MOST;
  if (!take_url(r, config->url != NULL ? config->url : "", error, error_size) ||
      !make_headers(r, config->token, error, error_size)) {
    rest_free(r);
    return NULL;
  }
  r->curl = curl_easy_init();
  if (r->curl == NULL || !set_up(r, config)) {
    (void)failed(error, error_size, "There is not enough memory for a client.");
    rest_free(r);
    return NULL;
  }
  return r;
}

static void forget(char *secret) {
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  free(secret);
}

void rest_free(rest *r) {
  if (r == NULL)
    return;
  curl_easy_cleanup(r->curl);
  if (r->authorization != NULL && r->headers != NULL) /* it is the first */
    explicit_bzero(r->headers->data, strlen(r->headers->data));
  curl_slist_free_all(r->headers);
  forget(r->authorization);
  forget(r->user);
  forget(r->password);
  free(r->base);
  text_free(&r->reply);
  text_free(&r->url);
  free(r);
}

const char *rest_url(const rest *r) { return r->base; }

bool rest_escape(const char *segment, char *out, size_t size) {
  static const char hex[] = "0123456789ABCDEF";
  /* A server may take these two for a way through directories. */
  bool dots = strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0;
  size_t len = 0;

  for (; *segment != '\0'; segment++) {
    unsigned char c = (unsigned char)*segment;
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '~' ||
                 c == ':' || (c == '.' && !dots);

    if (size - len < 4)
      return false;
    if (plain) {
      out[len++] = (char)c;
    } else {
      out[len++] = '%';
      out[len++] = hex[c >> 4];
      out[len++] = hex[c & 15];
    }
  }
  if (len >= size)
    return false;
  out[len] = '\0';
  return true;
}

/* ---- a call ---- */

/* What of the server's words goes into a sentence: printable, and not much. */
static void add_words(text *t, const json_t *value) {
  const char *s = json_string_value(value);

  for (size_t i = 0; s != NULL && s[i] != '\0' && i < 120; i++) {
    char c = s[i] >= 0x20 && s[i] != 0x7f ? s[i] : '?';

    text_add(t, (s[i] & 0x80) != 0 ? s + i : &c, 1);
  }
}

static void describe_status(const char *method, const rest *r,
                            rest_reply *reply) {
  const json_t *error = json_object_get(reply->body, "error");
  const json_t *reason = json_object_get(reply->body, "reason");
  text words = TEXT_INIT;

  add_words(&words, error);
  if (json_is_string(error) && json_is_string(reason))
    text_str(&words, ": ");
  add_words(&words, reason);
  (void)snprintf(reply->error, sizeof reply->error,
                 "%s %.160s was answered with %d%s%s%s.", method,
                 text_get(&r->url), reply->status, words.len != 0 ? " (" : "",
                 text_get(&words), words.len != 0 ? ")" : "");
  text_free(&words);
}

static void describe_failure(const char *method, const rest *r, CURLcode e,
                             rest_reply *reply) {
  const char *why = r->why[0] != '\0' ? r->why : curl_easy_strerror(e);

  if (r->too_large)
    why = "the answer is larger than what is taken";
  else if (r->out_of_memory || e == CURLE_OUT_OF_MEMORY)
    why = "there is not enough memory for the answer";
  else if (r->sent > 1)
    why = "the connection ended before the answer";
  (void)snprintf(reply->error, sizeof reply->error, "%s %.140s failed: %.90s.",
                 method, text_get(&r->url), why);
}

static int64_t retry_after(CURL *curl) {
  struct curl_header *h;
  long seconds = 0;
  char *end;

  if (curl_easy_header(curl, "Retry-After", 0, CURLH_HEADER, -1, &h) !=
      CURLHE_OK)
    return 0;
  if (h->value[0] >= '0' && h->value[0] <= '9') {
    seconds = strtol(h->value, &end, 10);
    if (*end != '\0')
      return 0;
  } else {
    time_t at = curl_getdate(h->value, NULL), now = time(NULL);

    if (at > now)
      seconds = (long)(at - now);
  }
  return (seconds < RETRY_AFTER_MOST_S ? seconds : RETRY_AFTER_MOST_S) * 1000;
}

static CURLcode prepare(rest *r, const char *method, const char *body,
                        int64_t total_ms) {
  CURL *c = r->curl;
  bool bare = body == NULL &&
              (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0);
  CURLcode e = CURLE_OK;

#define SET(option, value)                                                     \
  (e = e != CURLE_OK ? e : curl_easy_setopt(c, option, value))
  SET(CURLOPT_URL, text_get(&r->url));
  SET(CURLOPT_TIMEOUT_MS, (long)total_ms);
  SET(CURLOPT_NOBODY, 0L);
  SET(CURLOPT_HTTPGET, 1L);
  SET(CURLOPT_CUSTOMREQUEST, method);
  if (strcmp(method, "HEAD") == 0) {
    SET(CURLOPT_NOBODY, 1L);
  } else if (!bare) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE,
        (curl_off_t)(body != NULL ? strlen(body) : 0));
    SET(CURLOPT_POSTFIELDS, body != NULL ? body : "");
  }
#undef SET
  return e;
}

static void finish(rest *r, const char *method, CURLcode e, rest_reply *reply) {
  long status = 0;

  reply->retry_after_ms = retry_after(r->curl);
  if (e == CURLE_OK)
    e = curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
  if (e == CURLE_OK && !r->whole_head)
    e = CURLE_PARTIAL_FILE;
  if (e != CURLE_OK || status <= 0) {
    reply->in_doubt = r->sent != 0;
    describe_failure(method, r, e, reply);
    return;
  }
  reply->status = (int)status;
  reply->in_doubt = status >= 500;
  if (r->reply.len != 0)
    /* A zero byte in a string is somebody's mistake, but it is JSON. */
    reply->body = json_loadb(r->reply.data, r->reply.len,
                             JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  if (status >= 300)
    describe_status(method, r, reply);
}

static CURLcode send_once(rest *r, const char *method, const char *body,
                          int64_t total_ms) {
  CURLcode e = prepare(r, method, body, total_ms);

  text_clear(&r->reply);
  r->too_large = r->out_of_memory = r->whole_head = false;
  r->why[0] = '\0';
  r->sent = 0;
  return e == CURLE_OK ? curl_easy_perform(r->curl) : e;
}

int rest_call_ms(rest *r, const char *method, const char *path,
                 const json_t *body, int64_t total_ms, rest_reply *reply) {
  int64_t began_ms = now_ms();
  char *sent =
      body != NULL ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  CURLcode e = CURLE_OUT_OF_MEMORY;

  memset(reply, 0, sizeof *reply);
  text_clear(&r->url);
  text_str(&r->url, r->base);
  text_str(&r->url, path);
  r->sent = 0;
  if (!r->url.failed && (body == NULL || sent != NULL)) {
    e = send_once(r, method, sent, total_ms);
    /* A question can be put again; nothing was done by it. */
    if (r->sent > 1 && strcmp(method, "GET") == 0)
      e = send_once(r, method, sent, total_ms);
  }
  finish(r, method, e, reply);
  free(sent);
  /* No pointer of ours stays in the handle. */
  (void)curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, NULL);
  reply->took_ms = now_ms() - began_ms;
  return reply->status;
}

int rest_call(rest *r, const char *method, const char *path, const json_t *body,
              rest_reply *reply) {
  return rest_call_ms(r, method, path, body, r->total_ms, reply);
}

int rest_get_text(rest *r, const char *path, int64_t total_ms, text *out,
                  rest_reply *reply) {
  int status = rest_call_ms(r, "GET", path, NULL, total_ms, reply);

  if (status != 0)
    text_add(out, r->reply.data, r->reply.len);
  return status;
}

void rest_reply_free(rest_reply *reply) {
  json_decref(reply->body);
  reply->body = NULL;
}
