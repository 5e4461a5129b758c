/*
 * Bodies of HTTP: where they end, in any pieces, and what is no body.
 */
#include "common/http_body.h"

#include "support/unit.h"
#include <string.h>

typedef struct outcome {
  text data;
  const char *why;
  size_t used;
  bool done;
} outcome;

/* In pieces of `step` bytes, each a copy of its own. */
static outcome read_body(enum http_framing framing, uint64_t length,
                         const char *bytes, size_t len, size_t step) {
  http_head head = {.framing = framing, .length = length};
  outcome o = {.data = TEXT_INIT};
  http_body b;
  size_t at = 0;

  http_body_start(&b, &head);
  while (at < len && !b.done && o.why == NULL) {
    size_t n = len - at < step ? len - at : step, taken = 0, used;
    char *copy = malloc(n);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes + at, n);
    do {
      http_str data;

      if (!http_body_next(&b, copy + taken, n - taken, &used, &data, &o.why))
        break;
      ck_assert_uint_le(used, n - taken);
      text_add(&o.data, data.data, data.len);
      taken += used;
    } while (used != 0 && !b.done);
    free(copy);
    at += taken;
    if (o.why == NULL && !b.done)
      ck_assert_uint_eq(taken, n);
  }
  o.used = at;
  o.done = b.done;
  return o;
}

static void same(enum http_framing framing, uint64_t length, const char *bytes,
                 const char *data, size_t used) {
  for (size_t step = 1; step <= strlen(bytes) + 1; step++) {
    outcome o = read_body(framing, length, bytes, strlen(bytes), step);

    ck_assert_msg(o.why == NULL && o.done && o.used == used &&
                      strcmp(text_get(&o.data), data) == 0,
                  "step %zu: '%s' %zu %s", step, text_get(&o.data), o.used,
                  o.why != NULL ? o.why : "");
    text_free(&o.data);
  }
}

START_TEST(test_body_of_a_length_ends_there) {
  same(HTTP_LENGTH, 5, "hello next", "hello", 5);
  same(HTTP_LENGTH, 0, "x", "", 0);
  same(HTTP_NONE, 0, "x", "", 0);
}
END_TEST

START_TEST(test_body_of_chunks_ends_with_the_empty_one) {
  same(HTTP_CHUNKED, 0, "0\r\n\r\nGET", "", 5);
  same(HTTP_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\nGET", "hello", 15);
  same(HTTP_CHUNKED, 0, "1\r\na\r\n00A\r\n0123456789\r\n000\r\n\r\n",
       "a0123456789", 30);
  same(HTTP_CHUNKED, 0, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 12);
}
END_TEST

START_TEST(test_body_to_the_end_takes_all) {
  http_head head = {.framing = HTTP_CLOSE};
  http_body b;
  size_t used;
  http_str data;
  const char *why;

  http_body_start(&b, &head);
  ck_assert(http_body_next(&b, "abc", 3, &used, &data, &why));
  ck_assert(used == 3 && data.len == 3 && !b.done && http_body_ends(&b));
  head.framing = HTTP_LENGTH;
  head.length = 4;
  http_body_start(&b, &head);
  ck_assert(http_body_next(&b, "abc", 3, &used, &data, &why));
  ck_assert(!http_body_ends(&b));
  ck_assert(http_body_next(&b, "d", 1, &used, &data, &why));
  ck_assert(http_body_ends(&b));
}
END_TEST

START_TEST(test_body_what_is_no_chunk_is_refused) {
  static const char *const wrong[] = {"5;a=b\r\nhello\r\n0\r\n\r\n",
                                      "5 \r\nhello\r\n",
                                      " 5\r\nhello\r\n",
                                      "5\nhello\r\n0\r\n\r\n",
                                      "5\r\nhello\n0\r\n\r\n",
                                      "5\r\nhello!\r\n0\r\n\r\n",
                                      "5\r\nhello0\r\n\r\n",
                                      "5\rhello",
                                      "\r\n0\r\n\r\n",
                                      "0x5\r\nhello\r\n",
                                      "+5\r\nhello\r\n",
                                      "-1\r\n",
                                      "g\r\n",
                                      "10000000000000000\r\n",
                                      "fffffffffffffffff\r\n",
                                      "0\r\nA: b\r\n\r\n",
                                      "0\r\n\n",
                                      "0\r\n\rx",
                                      "0\r\nGET / HTTP/1.1\r\n\r\n",
                                      ";\r\n",
                                      "5\r\nhello\r\n\r\n0\r\n\r\n",
                                      "5\r\nhello\r\r\n",
                                      "\t5\r\nhello\r\n0\r\n\r\n"};

  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const char *why = NULL;

    for (size_t step = 1; step <= strlen(wrong[i]); step++) {
      outcome o = read_body(HTTP_CHUNKED, 0, wrong[i], strlen(wrong[i]), step);

      ck_assert_msg(o.why != NULL && !o.done, "step %zu takes:\n%s", step,
                    wrong[i]);
      if (step > 1)
        ck_assert_ptr_eq(o.why, why);
      why = o.why;
      text_free(&o.data);
    }
  }
}
END_TEST

START_TEST(test_body_sizes_of_sixteen_digits_are_taken) {
  outcome o = read_body(HTTP_CHUNKED, 0, "0ffffffffffffff0\r\nabc", 21, 1);

  ck_assert(o.why == NULL && !o.done);
  ck_assert_str_eq(text_get(&o.data), "abc");
  text_free(&o.data);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_body");
  TCase *tc = tcase_create("body");

  tcase_add_test(tc, test_body_of_a_length_ends_there);
  tcase_add_test(tc, test_body_of_chunks_ends_with_the_empty_one);
  tcase_add_test(tc, test_body_to_the_end_takes_all);
  tcase_add_test(tc, test_body_what_is_no_chunk_is_refused);
  tcase_add_test(tc, test_body_sizes_of_sixteen_digits_are_taken);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
