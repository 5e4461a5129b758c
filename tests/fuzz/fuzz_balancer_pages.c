/*
 * Any bytes as an Accept, as a request's id and as words for people: the form
 * does not depend on what lies behind the value; JSON is read by another parser
 * as what was meant; HTML has no tag and no quote more than without the words;
 * text is one line. What is behind the first zero byte is the words.
 */
#include "common/escape.h"
#include "common/text.h"
#include "fuzz/fuzz.h"

#include "balancer/pages.c"
#include "balancer/pages_accept.c"

#include <jansson.h>
#include <stdlib.h>

static size_t times(const char *in, char what) {
  size_t n = 0;

  for (; *in != '\0'; in++)
    n += *in == what;
  return n;
}

static void check_json(const page_answer *a, const char *words) {
  json_t *body = json_loadb(a->body.data, a->body.len, 0, NULL);
  const char *detail;
  text clean = TEXT_INIT;

  CFT_FUZZ_CHECK(body != NULL);
  escape_clean(&clean, words, DETAIL_MOST);
  detail = json_string_value(json_object_get(body, "detail"));
  CFT_FUZZ_CHECK(strcmp(detail != NULL ? detail : "", text_get(&clean)) == 0);
  text_free(&clean);
  json_decref(body);
}

static void check_html(const page_answer *a, const char *words) {
  const char *marks = "<>\"'\n";
  text plain = TEXT_INIT;

  (void)words;
  write_html(&sheets[1], sheets[1].status, words[0] != '\0' ? "x" : "",
             words[0] != '\0' ? "x" : "", &plain);
  for (; *marks != '\0'; marks++)
    CFT_FUZZ_CHECK(times(plain.data, *marks) == times(a->body.data, *marks));
  text_free(&plain);
}

static void check_form(http_str accept, const char *words) {
  page_answer a;

  page_make(&a, PAGE_STARTING, 0, accept, words, words);
  CFT_FUZZ_CHECK(!a.body.failed && a.body.len == strlen(a.body.data));
  CFT_FUZZ_CHECK(a.field_count <= PAGE_FIELDS);
  switch (page_form_of(accept)) {
  case PAGE_FORM_HTML:
    check_html(&a, words);
    break;
  case PAGE_FORM_JSON:
    check_json(&a, words);
    break;
  default:
    CFT_FUZZ_CHECK(times(a.body.data, '\n') == 1);
  }
  page_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *zero = size == 0 ? NULL : memchr(data, 0, size);
  size_t len = zero != NULL ? (size_t)(zero - (const char *)data) : size;
  char *accept = malloc(len != 0 ? len : 1), *words = malloc(size - len + 1);
  http_str value = {accept, len};

  if (accept != NULL && words != NULL) {
    if (len != 0)
      memcpy(accept, data, len);
    if (size != 0)
      memcpy(words, data + len + (zero != NULL), size - len - (zero != NULL));
    words[size - len - (zero != NULL)] = '\0';
    check_form(value, words);
    check_form((http_str){"text/html", 9}, words);
    check_form((http_str){"application/json", 16}, words);
    check_form((http_str){"", 0}, words);
  }
  free(accept);
  free(words);
  return 0;
}
