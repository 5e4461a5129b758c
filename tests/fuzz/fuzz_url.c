/*
 * URLs of any bytes: what is accepted names a place by clean text without
 * credentials, and its shown form is the URL of the same place. The texts that
 * messages show of foreign URLs are as clean.
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
