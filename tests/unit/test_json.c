/*
 * The events of a JSON text, what is refused that yajl would let pass, and what
 * is not looked at because nobody asked for it.
 */
#include "json.h"

#include <check.h>
#include <stdio.h>

#include "support/failing.h"
#include "support/unit.h"

/* What a handler saw, as text. */
typedef struct trace {
  char text[4096];
  size_t len;
  const char *skip_key; /* the value of this key is skipped */
  bool skip_values;     /* objects and arrays below the first are skipped */
  const char *stop_at;  /* stops at this key */
} trace;

static void put(trace *t, const char *text, size_t len) {
  ck_assert_uint_lt(t->len + len, sizeof t->text);
  memcpy(t->text + t->len, text, len);
  t->len += len;
  t->text[t->len] = '\0';
}

static bool is(const cfi_json_event *e, const char *text) {
  return text != NULL && e->len == strlen(text) &&
         memcmp(e->text, text, e->len) == 0;
}

static cfi_json_verdict on_event(void *user, const cfi_json_event *e) {
  static const char *const marks[] = {
      [CFI_JSON_NULL] = "null ",  [CFI_JSON_TRUE] = "true ",
      [CFI_JSON_FALSE] = "false", [CFI_JSON_NUMBER] = "n",
      [CFI_JSON_STRING] = "s",    [CFI_JSON_KEY] = "k",
      [CFI_JSON_OBJECT] = "{",    [CFI_JSON_OBJECT_END] = "}",
      [CFI_JSON_ARRAY] = "[",     [CFI_JSON_ARRAY_END] = "]",
      [CFI_JSON_RAW] = "r"};
  trace *t = user;
  char depth[16];

  (void)snprintf(depth, sizeof depth, "%zu", e->depth);
  put(t, depth, strlen(depth));
  put(t, marks[e->kind], strlen(marks[e->kind]));
  if (e->text != NULL) {
    put(t, "<", 1);
    put(t, e->text, e->len);
    put(t, ">", 1);
  }
  put(t, " ", 1);
  if (e->kind == CFI_JSON_KEY && is(e, t->stop_at))
    return CFI_JSON_STOP;
  if (e->kind == CFI_JSON_KEY && is(e, t->skip_key))
    return CFI_JSON_SKIP;
  if (t->skip_values && e->depth > 0 &&
      (e->kind == CFI_JSON_OBJECT || e->kind == CFI_JSON_ARRAY))
    return CFI_JSON_SKIP;
  return CFI_JSON_GO_ON;
}

static cfi_json_result read_with(trace *t, size_t max_depth, const char *text,
                                 size_t len) {
  cfi_alloc alloc;
  cfi_json_result result;
  char *exact = malloc(len != 0 ? len : 1);

  /* A block of its own, so that reading behind its end is seen. */
  ck_assert_ptr_nonnull(exact);
  memcpy(exact, text, len);
  t->len = 0;
  t->text[0] = '\0';
  ck_assert(cfi_alloc_init(&alloc, NULL));
  result = cfi_json_parse(&alloc, max_depth, exact, len, on_event, t);
  free(exact);
  return result;
}

static cfi_json_result result_of(const char *text) {
  trace t = {0};

  return read_with(&t, 20, text, strlen(text));
}

static cfi_json_result result_skipping(const char *text) {
  trace t = {.skip_key = "x"};

  return read_with(&t, 20, text, strlen(text));
}

#define expect_trace(t, json, wanted)                                          \
  do {                                                                         \
    ck_assert_int_eq(read_with(&(t), 20, json, strlen(json)), CFI_JSON_OK);    \
    ck_assert_str_eq((t).text, wanted);                                        \
  } while (0)

START_TEST(test_json_tells_every_kind_of_value) {
  trace t = {0};

  expect_trace(t,
               " {\"a\":null,\"b\":[true,false,-1.5e3,\"x\"],\"c\":{}, "
               "\"d\":[ ]}\n",
               "0{ 1k<a> 1null  1k<b> 1[ 2true  2false 2n<-1.5e3> 2s<x> 1] "
               "1k<c> 1{ 1} 1k<d> 1[ 1] 0} ");
}
END_TEST

START_TEST(test_json_value_of_the_whole_may_be_of_any_kind) {
  trace t = {0};

  expect_trace(t, "\"a\"", "0s<a> ");
  expect_trace(t, "null", "0null  ");
  expect_trace(t, "[]", "0[ 0] ");
  /* The end of a number shows only at the end of the text. */
  expect_trace(t, "12", "0n<12> ");
  expect_trace(t, "-0.5", "0n<-0.5> ");
  expect_trace(t, "7 ", "0n<7> ");
}
END_TEST

START_TEST(test_json_numbers_stay_as_written) {
  trace t = {0};

  expect_trace(t, "[123456789012345678901234567890,1.0,1E+2,-0]",
               "0[ 1n<123456789012345678901234567890> 1n<1.0> 1n<1E+2> "
               "1n<-0> 0] ");
}
END_TEST

START_TEST(test_json_strings_are_decoded) {
  trace t = {0};

  expect_trace(t, "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
               "0[ 1s<\"\\/\b\f\n\r\t> 0] ");
  expect_trace(t, "{\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\":\"\\u00E9\"}",
               "0{ 1k<A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80> 1s<\xc3\xa9> 0} ");
  ck_assert_int_eq(read_with(&t, 20, "[\"a\\u0000b\"]", 12), CFI_JSON_OK);
  ck_assert_uint_eq(t.len, strlen("0[ 1s<a_b> 0] "));
  ck_assert_int_eq(memcmp(t.text, "0[ 1s<a\0b> 0] ", t.len), 0);
}
END_TEST

START_TEST(test_json_skipped_values_come_as_their_text) {
  trace t = {.skip_values = true};

  expect_trace(t, "{\"a\": [1, \"]\" ,{}] ,\"b\":\t{ \"}\\\"\":[[]]},\"c\":5}",
               "0{ 1k<a> 1[ 1r<[1, \"]\" ,{}]> 1k<b> 1{ "
               "1r<{ \"}\\\"\":[[]]}> 1k<c> 1n<5> 0} ");
}
END_TEST

START_TEST(test_json_skipped_members_make_no_events) {
  static const char *const values[] = {"5",
                                       "-1e9",
                                       "\"x\"",
                                       "\"\\\"\"",
                                       "\"\"",
                                       "null",
                                       "true",
                                       "[1,[]]",
                                       "{}",
                                       "{\"k\":{\"x\":[\"a\"]}}",
                                       "[\"x\",\"y\"]"};

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    trace t = {.skip_key = "x"};
    char text[256];

    (void)snprintf(text, sizeof text, "{\"x\":%s}", values[i]);
    expect_trace(t, text, "0{ 1k<x> 0} ");
    (void)snprintf(text, sizeof text, "{\"x\": %s , \"y\":\"\\n\"}", values[i]);
    expect_trace(t, text, "0{ 1k<x> 1k<y> 1s<\n> 0} ");
    (void)snprintf(text, sizeof text, "[{\"x\":%s},\"z\\\\\",{\"x\":%s}]",
                   values[i], values[i]);
    expect_trace(t, text, "0[ 1{ 2k<x> 1} 1s<z\\> 1{ 2k<x> 1} 0] ");
  }
}
END_TEST

START_TEST(test_json_handler_can_stop) {
  trace t = {.stop_at = "b"};

  ck_assert_int_eq(read_with(&t, 20, "{\"a\":1,\"b\":2}", 13),
                   CFI_JSON_STOPPED);
  ck_assert_str_eq(t.text, "0{ 1k<a> 1n<1> 1k<b> ");
}
END_TEST

START_TEST(test_json_refuses_what_is_not_one_value) {
  static const char *const texts[] = {
      "",         " ",        "{",           "}",         "{\"a\"}",
      "{\"a\":}", "{a:1}",    "[1,]",        "{,}",       "[1 2]",
      "{}{}",     "{} x",     "5 5",         "\"a",       "tru",
      "nul",      "01",       "1.",          "-",         "1e",
      "+1",       ".5",       "\"\\x\"",     "\"\\u12\"", "[\"\n\"]",
      "// c\n1",  "/* c */1", "{\"a\":1,}",  "[1}",       "{\"a\":1]",
      "NaN",      "'a'",      "\"\\u12g4\"", "{\"\\ud83d"};

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    ck_assert_msg(result_of(texts[i]) == CFI_JSON_INVALID ||
                      strcmp(texts[i], "{\"\\ud83d") == 0,
                  "accepted: %s", texts[i]);
  /* Half a pair, or half a string: refused either way. */
  ck_assert_int_ne(result_of("{\"\\ud83d"), CFI_JSON_OK);
  ck_assert_str_eq(cfi_json_why(CFI_JSON_INVALID), "it is not valid JSON");
}
END_TEST

START_TEST(test_json_refuses_every_cut_of_a_text) {
  static const char text[] =
      "{\"a\":[1,\"x\\n\\u00e9\",{\"b\":null}],\"c\":-2.5}";
  trace t = {0};

  ck_assert_int_eq(read_with(&t, 20, text, sizeof text - 1), CFI_JSON_OK);
  for (size_t len = 0; len < sizeof text - 1; len++)
    ck_assert_int_eq(read_with(&t, 20, text, len), CFI_JSON_INVALID);
}
END_TEST

START_TEST(test_json_refuses_bytes_that_are_not_utf8) {
  static const char *const strings[] = {
      "\xff",             /* never */
      "\x80",             /* a middle without a start */
      "\xc3",             /* a start without a middle */
      "\xc0\xaf",         /* two bytes for what takes one */
      "\xe0\x80\xaf",     /* three */
      "\xed\xa0\x80",     /* a surrogate */
      "\xf4\x90\x80\x80", /* beyond U+10FFFF */
      "\xf8\x88\x80\x80\x80"};

  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    char text[64];

    (void)snprintf(text, sizeof text, "[\"%s\"]", strings[i]);
    ck_assert_int_ne(result_of(text), CFI_JSON_OK);
    (void)snprintf(text, sizeof text, "[\"a%s\"]", strings[i]);
    ck_assert_int_ne(result_of(text), CFI_JSON_OK);
    (void)snprintf(text, sizeof text, "{\"%s\":1}", strings[i]);
    ck_assert_int_ne(result_of(text), CFI_JSON_OK);
  }
  ck_assert_int_eq(result_of("[\"\xed\xa0\x80\"]"), CFI_JSON_NOT_TEXT);
  ck_assert_str_eq(cfi_json_why(CFI_JSON_NOT_TEXT),
                   "a string in it is not valid Unicode");
}
END_TEST

START_TEST(test_json_refuses_half_a_surrogate_pair) {
  static const char *const strings[] = {
      "\\ud800",        "\\udc00",      "\\uDBFF\\uDBFF",
      "\\ude00\\ud83d", "\\ud800A",     "\\ud800\\n",
      "\\ud800\\u0041", "\\ud800\\\\x", "x\\ud83d\\ude00\\ud83d",
      "\\udfff",        "\\ud800\\u",   "\\ud800\\\\u"};

  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    char text[128];
    cfi_json_result result;

    (void)snprintf(text, sizeof text, "\"%s\"", strings[i]);
    result = result_of(text);
    ck_assert_msg(result == CFI_JSON_NOT_TEXT, "%s: %d", text, (int)result);
    (void)snprintf(text, sizeof text, "{\"a\" : \"%s\"}", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
    (void)snprintf(text, sizeof text, "{\"%s\":1}", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
    (void)snprintf(text, sizeof text, "{\"a\":1\n,\t\"%s\":1}", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
    (void)snprintf(text, sizeof text, "[[],\"%s\"]", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
    (void)snprintf(text, sizeof text, "[\"\",\"%s\"]", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
    /* yajl takes these two for white space as well. */
    (void)snprintf(text, sizeof text, "[1,\v\f\"%s\"]", strings[i]);
    ck_assert_int_eq(result_of(text), CFI_JSON_NOT_TEXT);
  }
}
END_TEST

START_TEST(test_json_does_not_judge_strings_it_skips) {
  trace t = {.skip_key = "x"};

  expect_trace(t, "{\"x\":\"\\ud800\\\\x\",\"y\":1}",
               "0{ 1k<x> 1k<y> 1n<1> 0} ");
  expect_trace(t, "{\"x\":[\"\\ud800\\\\x\"],\"y\":1}",
               "0{ 1k<x> 1k<y> 1n<1> 0} ");
  expect_trace(t, "{\"x\":{\"\\ud800\\\\x\":\"\xed\xa0\x80\"},\"y\":1}",
               "0{ 1k<x> 1k<y> 1n<1> 0} ");
  /* What follows is judged again. */
  ck_assert_int_eq(result_skipping("{\"x\":\"\",\"\\ud800\":1}"),
                   CFI_JSON_NOT_TEXT);
  ck_assert_int_eq(result_skipping("{\"x\":[],\"\\ud800\":1}"),
                   CFI_JSON_NOT_TEXT);
  ck_assert_int_eq(result_skipping("{\"x\":\"\\n\",\"\\ud800\":1}"),
                   CFI_JSON_NOT_TEXT);
}
END_TEST

static char *nested(size_t depth, size_t *len) {
  char *text = malloc(depth * 2);

  ck_assert_ptr_nonnull(text);
  memset(text, '[', depth);
  memset(text + depth, ']', depth);
  *len = depth * 2;
  return text;
}

static cfi_json_verdict quiet(void *user, const cfi_json_event *e) {
  size_t *deepest = user;

  if (e->depth > *deepest)
    *deepest = e->depth;
  return CFI_JSON_GO_ON;
}

START_TEST(test_json_depth_is_limited) {
  static const size_t limits[] = {1, 2, 127, 128, 129, 1000, 100000};

  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    cfi_alloc alloc;
    size_t len, deepest = 0;
    char *text = nested(limits[i] + 1, &len);

    ck_assert(cfi_alloc_init(&alloc, NULL));
    ck_assert_int_eq(
        cfi_json_parse(&alloc, limits[i], text, len, quiet, &deepest),
        CFI_JSON_TOO_DEEP);
    ck_assert_int_eq(
        cfi_json_parse(&alloc, limits[i], text + 1, len - 2, quiet, &deepest),
        CFI_JSON_OK);
    ck_assert_uint_eq(deepest, limits[i] - 1);
    free(text);
  }
}
END_TEST

START_TEST(test_json_depth_is_limited_in_what_is_skipped) {
  trace t = {.skip_key = "x"};

  ck_assert_int_eq(read_with(&t, 3, "{\"x\":[[]]}", 10), CFI_JSON_OK);
  ck_assert_int_eq(read_with(&t, 3, "{\"x\":[[[]]]}", 12), CFI_JSON_TOO_DEEP);
  ck_assert_str_eq(cfi_json_why(CFI_JSON_TOO_DEEP), "it is nested too deep");
}
END_TEST

/* A text that makes yajl allocate in each of its ways: deep, escaped, long. */
static char *demanding(size_t *len) {
  enum { DEEP = 300, LONG = 20000 };
  char *text = malloc(DEEP * 2 + LONG + 64);
  char *p = text;

  ck_assert_ptr_nonnull(text);
  memset(p, '[', DEEP);
  p += DEEP;
  *p++ = '"';
  for (size_t i = 0; i < LONG / 2; i++) {
    *p++ = '\\';
    *p++ = 'n';
  }
  p += snprintf(p, 32, "\",\"\\u00e9\",12");
  memset(p, ']', DEEP);
  p += DEEP;
  *len = (size_t)(p - text);
  return text;
}

START_TEST(test_json_survives_every_failed_allocation) {
  size_t len, failures = 0, deepest = 0;
  char *text = demanding(&len);

  for (int on = 0; on < 2; on++)
    for (size_t n = 1;; n++) {
      cft_failing c;
      cfi_json_result result;

      cft_failing_init(&c, n);
      c.fails = on != 0 ? CFT_FOR_GOOD : 1;
      result = cfi_json_parse(&c.alloc, 1000, text, len, quiet, &deepest);
      ck_assert(result == CFI_JSON_NOMEM || result == CFI_JSON_OK);
      failures += result == CFI_JSON_NOMEM;
      ck_assert_uint_eq(c.live, 0);
      if (result == CFI_JSON_OK)
        break;
    }
  ck_assert_uint_ge(failures, 6);
  free(text);
}
END_TEST

START_TEST(test_json_ordinary_texts_cost_no_allocation) {
  static const char *const texts[] = {
      "{\"seq\":\"1-a\",\"id\":\"x\",\"changes\":[{\"rev\":\"1-b\"}]}",
      "{\"a\":\"\\n\\u00e9\"}", "{\"a\":", "{\"a\":\"\\ud800\"}", "12"};
  cft_failing c;
  size_t deepest = 0;

  cft_failing_init(&c, 0);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    (void)cfi_json_parse(&c.alloc, 100, texts[i], strlen(texts[i]), quiet,
                         &deepest);
  ck_assert_uint_eq(deepest, 3);
  ck_assert_uint_eq(c.calls, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("json");
  TCase *reads = tcase_create("reads");
  TCase *refuses = tcase_create("refuses");
  TCase *memory = tcase_create("memory");

  tcase_add_test(reads, test_json_tells_every_kind_of_value);
  tcase_add_test(reads, test_json_value_of_the_whole_may_be_of_any_kind);
  tcase_add_test(reads, test_json_numbers_stay_as_written);
  tcase_add_test(reads, test_json_strings_are_decoded);
  tcase_add_test(reads, test_json_skipped_values_come_as_their_text);
  tcase_add_test(reads, test_json_skipped_members_make_no_events);
  tcase_add_test(reads, test_json_handler_can_stop);
  suite_add_tcase(suite, reads);
  tcase_add_test(refuses, test_json_refuses_what_is_not_one_value);
  tcase_add_test(refuses, test_json_refuses_every_cut_of_a_text);
  tcase_add_test(refuses, test_json_refuses_bytes_that_are_not_utf8);
  tcase_add_test(refuses, test_json_refuses_half_a_surrogate_pair);
  tcase_add_test(refuses, test_json_does_not_judge_strings_it_skips);
  tcase_add_test(refuses, test_json_depth_is_limited);
  tcase_add_test(refuses, test_json_depth_is_limited_in_what_is_skipped);
  suite_add_tcase(suite, refuses);
  tcase_add_test(memory, test_json_survives_every_failed_allocation);
  tcase_add_test(memory, test_json_ordinary_texts_cost_no_allocation);
  suite_add_tcase(suite, memory);
  return cft_run(suite);
}
