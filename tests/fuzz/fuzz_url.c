/*
 * URLs of any bytes: what is accepted names a place by clean text without
 * credentials, and its shown form is the URL of the same place. Credentials
 * come out as they were written, and without them all else is the same: so
 * nothing that is shown can hold any of them. The texts that messages show of
 * foreign URLs are as clean.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "str.h"
#include "url.h"

static void check_clean(const char *text) {
  for (; *text != '\0'; text++)
    CFT_FUZZ_CHECK((unsigned char)*text > 0x20 && *text != 0x7f &&
                   *text != '@' && *text != '?' && *text != '#');
}

static void check_decodes(const cfi_alloc *heap, const cfi_url *url) {
  cfi_buf encoded;

  CFT_FUZZ_CHECK(url->db_name[0] != '\0');
  CFT_FUZZ_CHECK(cfi_str_is_utf8(url->db_name, strlen(url->db_name)));
  CFT_FUZZ_CHECK(strchr(url->db, '/') == NULL);
  CFT_FUZZ_CHECK(strcmp(url->db, ".") != 0 && strcmp(url->db, "..") != 0);
  cfi_buf_init(&encoded, heap);
  cfi_url_put_encoded(&encoded, url->db_name, strlen(url->db_name));
  CFT_FUZZ_CHECK(strcmp(cfi_buf_text(&encoded), url->db) == 0);
  cfi_buf_free(&encoded);
}

static void check_again(const cfi_alloc *heap, const cfi_url *first,
                        bool endpoint) {
  cfi_error error;
  cfi_url second;
  int rc = endpoint
               ? cfi_url_parse_endpoint(heap, first->shown, &second, &error)
               : cfi_url_parse(heap, first->shown, &second, &error);

  CFT_FUZZ_CHECK(rc == CHANGEFEED_OK);
  CFT_FUZZ_CHECK(strcmp(first->shown, second.shown) == 0);
  CFT_FUZZ_CHECK(strcmp(first->base, second.base) == 0);
  CFT_FUZZ_CHECK(first->target == second.target);
  CFT_FUZZ_CHECK((first->db == NULL) == (second.db == NULL));
  CFT_FUZZ_CHECK(first->db == NULL || strcmp(first->db, second.db) == 0);
  CFT_FUZZ_CHECK(second.username == NULL && second.password == NULL);
  cfi_url_free(heap, &second);
}

static bool same_text(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static unsigned hex_value(char c) {
  return c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 0x20U) - 'a' + 10;
}

/* Is len bytes of text, decoded, this value? NULL counts as empty. */
static bool decodes_to(const char *text, size_t len, const char *value) {
  size_t i = 0;

  for (value = value != NULL ? value : ""; i < len && *value != '\0'; value++) {
    unsigned c = (unsigned char)text[i];
    bool escape = c == '%' && len - i > 2 &&
                  strspn(text + i + 1, "0123456789abcdefABCDEF") >= 2;

    if (escape)
      c = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
    if (c != (unsigned char)*value)
      return false;
    i += escape ? 3 : 1;
  }
  return i == len && *value == '\0';
}

/* The same URL with the user info cut out names the same in the same words. */
static void check_without_user(const cfi_alloc *heap, const char *text,
                               const cfi_url *url) {
  const char *authority = strstr(text, "://") + 3;
  size_t len = strcspn(authority, "/?#"), at = len, colon;
  cfi_error error;
  cfi_url bare;
  cfi_buf rest;

  while (at != 0 && authority[at - 1] != '@')
    at--;
  colon = strcspn(authority, ":");
  if (at == 0) {
    CFT_FUZZ_CHECK(url->username == NULL && url->password == NULL);
    return;
  }
  colon = colon < at - 1 ? colon : at - 1;
  CFT_FUZZ_CHECK(decodes_to(authority, colon, url->username));
  CFT_FUZZ_CHECK(decodes_to(authority + colon + (colon < at - 1),
                            at - 1 - colon - (colon < at - 1), url->password));
  cfi_buf_init(&rest, heap);
  cfi_buf_put(&rest, text, (size_t)(authority - text));
  cfi_buf_puts(&rest, authority + at);
  CFT_FUZZ_CHECK(cfi_url_parse(heap, cfi_buf_text(&rest), &bare, &error) ==
                 CHANGEFEED_OK);
  CFT_FUZZ_CHECK(same_text(bare.shown, url->shown));
  CFT_FUZZ_CHECK(same_text(bare.base, url->base));
  CFT_FUZZ_CHECK(same_text(bare.db, url->db));
  CFT_FUZZ_CHECK(same_text(bare.db_name, url->db_name));
  CFT_FUZZ_CHECK(bare.target == url->target);
  cfi_url_free(heap, &bare);
  cfi_buf_free(&rest);
}

static void try_parse(const cfi_alloc *heap, const char *text, bool endpoint) {
  cfi_error error;
  cfi_url url;
  int rc = endpoint ? cfi_url_parse_endpoint(heap, text, &url, &error)
                    : cfi_url_parse(heap, text, &url, &error);

  if (rc != CHANGEFEED_OK) {
    CFT_FUZZ_CHECK(rc == CHANGEFEED_ERR_OPTION);
    CFT_FUZZ_CHECK(error.text[0] != '\0');
    CFT_FUZZ_CHECK(url.base == NULL && url.password == NULL);
    return;
  }
  check_clean(url.base);
  check_clean(url.shown);
  CFT_FUZZ_CHECK(strncmp(url.shown, url.base, strlen(url.base)) == 0);
  CFT_FUZZ_CHECK(url.base[strlen(url.base) - 1] != '/');
  CFT_FUZZ_CHECK((url.db == NULL) == (url.db_name == NULL));
  if (url.db != NULL)
    check_decodes(heap, &url);
  check_again(heap, &url, endpoint);
  check_without_user(heap, text, &url);
  cfi_url_free(heap, &url);
}

/* A password of letters that stand nowhere else must not be seen again. */
static void try_secret(const cfi_alloc *heap, const char *text) {
  static const char secret[] = "QqZzQq";
  const char *mark = strstr(text, "://");
  cfi_error error;
  cfi_buf with;
  cfi_url url;
  char *shown;

  if (mark == NULL || strstr(text, secret) != NULL)
    return;
  cfi_buf_init(&with, heap);
  cfi_buf_put(&with, text, (size_t)(mark - text) + 3);
  cfi_buf_puts(&with, "user:");
  cfi_buf_puts(&with, secret);
  cfi_buf_puts(&with, "@");
  cfi_buf_puts(&with, mark + 3);
  if (cfi_url_parse(heap, cfi_buf_text(&with), &url, &error) == CHANGEFEED_OK) {
    CFT_FUZZ_CHECK(strstr(url.base, secret) == NULL);
    CFT_FUZZ_CHECK(strstr(url.shown, secret) == NULL);
    CFT_FUZZ_CHECK(url.db_name == NULL || strstr(url.db_name, secret) == NULL);
    cfi_url_free(heap, &url);
  } else {
    CFT_FUZZ_CHECK(strstr(error.text, secret) == NULL);
  }
  shown = cfi_url_shown(heap, cfi_buf_text(&with));
  CFT_FUZZ_CHECK(strstr(shown, secret) == NULL);
  cfi_free(heap, shown);
  cfi_buf_free(&with);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cfi_alloc heap;
  char *text, *shown;

  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  text = cfi_strndup(&heap, (const char *)data, size);
  if (text == NULL)
    return 0;
  try_parse(&heap, text, false);
  try_parse(&heap, text, true);
  try_secret(&heap, text);
  shown = cfi_url_shown(&heap, text);
  CFT_FUZZ_CHECK(shown != NULL);
  if (strcmp(shown, "(a malformed URL)") != 0)
    check_clean(shown);
  cfi_free(&heap, shown);
  cfi_free(&heap, text);
  return 0;
}
