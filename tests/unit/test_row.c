/*
 * What a row says, and what makes it none. The rows about parsing of the list
 * of known failures: 26, 37, 57, 75, 77.
 */
#include "row.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/failing.h"
#include "support/unit.h"

enum { MAX_DEPTH = 20 };

static cfi_alloc alloc;
static cfi_row_parser *parser;

static void setup(void) {
  ck_assert(cfi_alloc_init(&alloc, NULL));
  parser = cfi_row_parser_new(&alloc, MAX_DEPTH);
  ck_assert_ptr_nonnull(parser);
}

static void teardown(void) { cfi_row_parser_free(parser); }

static cfi_row_kind parse_from(cfi_row_source source, const char *text,
                               size_t len, cfi_row *row) {
  char *exact = malloc(len != 0 ? len : 1);
  cfi_row_kind kind;

  /* A block of its own: reading on, or later on, is seen. */
  ck_assert_ptr_nonnull(exact);
  memcpy(exact, text, len);
  kind = cfi_row_parse(parser, source, exact, len, row);
  memset(exact, 0xa5, len);
  free(exact);
  return kind;
}

static cfi_row_kind parse(const char *text, cfi_row *row) {
  return parse_from(CFI_ROW_OF_DATABASE, text, strlen(text), row);
}

#define expect_text(s, wanted)                                                 \
  do {                                                                         \
    ck_assert_ptr_nonnull((s).data);                                           \
    ck_assert_str_eq((s).data, wanted);                                        \
    ck_assert_uint_eq((s).len, strlen(wanted));                                \
  } while (0)

#define expect_absent(s) ck_assert_ptr_null((s).data)

static void expect_bad(cfi_row_source source, const char *text,
                       const char *why) {
  cfi_row row;
  cfi_row_kind kind = parse_from(source, text, strlen(text), &row);

  ck_assert_msg(kind == CFI_ROW_BAD, "%s: kind %d", text, (int)kind);
  ck_assert_msg(strcmp(row.why, why) == 0, "%s: %s, not: %s", text, row.why,
                why);
}

/* ---- changes ---- */

/* A feed that refused the row would ask for it for ever. */
START_TEST(test_row_takes_a_document_with_broken_bytes_as_it_is) {
  static const char text[] = "{\"seq\":1,\"id\":\"x\",\"changes\":[{\"rev\":"
                             "\"1-a\"}],\"doc\":{\"t\":\"\xff\xc3\"}}";
  cfi_row row;

  ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.doc_len, strlen("{\"t\":\"..\"}"));
  expect_bad(CFI_ROW_OF_DATABASE,
             "{\"seq\":1,\"id\":\"\xff\",\"changes\":[{\"rev\":\"1-a\"}]}",
             "a string in it is not valid Unicode");
}
END_TEST

START_TEST(test_row_change) {
  cfi_row row;

  ck_assert_int_eq(parse("{\"seq\":\"3-g1AAA\",\"id\":\"doc\",\"changes\":["
                         "{\"rev\":\"2-b\"},{\"rev\":\"1-a\"}],"
                         "\"deleted\":true}",
                         &row),
                   CFI_ROW_CHANGE);
  expect_text(row.seq, "3-g1AAA");
  expect_text(row.id, "doc");
  ck_assert_uint_eq(row.rev_count, 2);
  expect_text(row.revs[0], "2-b");
  expect_text(row.revs[1], "1-a");
  ck_assert(row.deleted);
  ck_assert(!row.has_error);
  ck_assert_uint_eq(row.doc_len, 0);
  expect_absent(row.error);
  expect_absent(row.last_seq);
  ck_assert_int_eq(row.pending, -1);
}
END_TEST

START_TEST(test_row_members_come_in_any_order) {
  static const char *const members[] = {"\"seq\":5", "\"id\":\"x\"",
                                        "\"changes\":[{\"rev\":\"1-a\"}]",
                                        "\"deleted\":false"};
  cfi_row row;

  for (size_t a = 0; a < 4; a++)
    for (size_t b = 0; b < 4; b++)
      for (size_t c = 0; c < 4; c++) {
        char text[256];
        size_t d = 6 - a - b - c;

        if (a == b || b == c || a == c)
          continue;
        (void)snprintf(text, sizeof text, "{%s,%s,%s,%s}", members[a],
                       members[b], members[c], members[d]);
        ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
        expect_text(row.seq, "5");
        expect_text(row.id, "x");
        expect_text(row.revs[0], "1-a");
        ck_assert(!row.deleted);
      }
}
END_TEST

START_TEST(test_row_position_of_each_type) {
  static const struct {
    const char *json, *wanted;
  } seqs[] = {
      {"\"12-g1AAAA_-\"", "12-g1AAAA_-"},
      {"\"a\\\"b\\u00e9\\\\\"", "a\"b\xc3\xa9\\"},
      {"\"\"", ""},
      {"12", "12"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"1.50", "1.50"},
      {"1e3", "1e3"},
      {"[12, \"x\" ,\n[null ]]", "[12, \"x\" ,\n[null ]]"},
      {"[]", "[]"},
      {"null", NULL}};

  for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
    char text[256];
    cfi_row row;

    (void)snprintf(text, sizeof text,
                   "{\"seq\": %s ,\"id\":\"x\",\"changes\":[{\"rev\":\"1\"}]}",
                   seqs[i].json);
    ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
    if (seqs[i].wanted != NULL)
      expect_text(row.seq, seqs[i].wanted);
    else
      expect_absent(row.seq);
    (void)snprintf(text, sizeof text, "{\"last_seq\":%s}", seqs[i].json);
    ck_assert_int_eq(parse(text, &row), CFI_ROW_END);
    if (seqs[i].wanted != NULL)
      expect_text(row.last_seq, seqs[i].wanted);
    else
      expect_absent(row.last_seq);
  }
}
END_TEST

START_TEST(test_row_without_a_position) {
  cfi_row row;

  ck_assert_int_eq(parse("{\"id\":\"x\",\"changes\":[{\"rev\":\"1\"}]}", &row),
                   CFI_ROW_CHANGE);
  expect_absent(row.seq);
}
END_TEST

START_TEST(test_row_doc_is_a_piece_of_the_text) {
  static const char text[] =
      "{\"id\":\"x\",\"doc\": {\"_id\":\"x\" , \"a\":[{\"b\":\"}\\ud800\"}]} ,"
      "\"changes\":[{\"rev\":\"1\"}]}";
  static const char doc[] = "{\"_id\":\"x\" , \"a\":[{\"b\":\"}\\ud800\"}]}";
  cfi_row row;

  ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.doc_len, strlen(doc));
  ck_assert_uint_eq(row.doc_offset, (size_t)(strstr(text, doc) - text));
  ck_assert_int_eq(
      parse("{\"id\":\"x\",\"changes\":[{\"rev\":\"1\"}],\"doc\":null}", &row),
      CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.doc_len, 0);
}
END_TEST

START_TEST(test_row_ids_are_decoded) {
  cfi_row row;

  ck_assert_int_eq(parse("{\"id\":\"\\u0022\\ud83d\\ude00\xe2\x98\x83\\/\","
                         "\"changes\":[{\"rev\":\"1\\u002da\"}]}",
                         &row),
                   CFI_ROW_CHANGE);
  expect_text(row.id, "\"\xf0\x9f\x98\x80\xe2\x98\x83/");
  expect_text(row.revs[0], "1-a");
  ck_assert_int_eq(
      parse("{\"id\":\"a\\u0000b\",\"changes\":[{\"rev\":\"1\"}]}", &row),
      CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.id.len, 3);
  ck_assert_int_eq(memcmp(row.id.data, "a\0b", 4), 0);
}
END_TEST

START_TEST(test_row_unknown_members_are_passed_over) {
  cfi_row row;

  ck_assert_int_eq(
      parse("{\"x\":{\"id\":5,\"changes\":[]},\"y\":[[{}]],\"z\":\"\\ud800\","
            "\"Id\":1,\"id\\u0000\":2,\"\":null,\"db_name\":7,\"type\":8,"
            "\"id\":\"x\",\"w\":1e99,"
            "\"changes\":[{\"x\":[\"rev\"],\"rev\":\"1\",\"y\":{\"rev\":5}}]}",
            &row),
      CFI_ROW_CHANGE);
  expect_text(row.id, "x");
  ck_assert_uint_eq(row.rev_count, 1);
  expect_text(row.revs[0], "1");
}
END_TEST

START_TEST(test_row_last_of_repeated_members_counts) {
  cfi_row row;

  ck_assert_int_eq(
      parse("{\"seq\":[1],\"id\":\"a\",\"changes\":[{\"rev\":\"1\"},"
            "{\"rev\":\"2\"},{\"rev\":\"3\"}],\"deleted\":true,\"doc\":{},"
            "\"error\":\"e\",\"pending\":5,"
            "\"seq\":2,\"id\":\"b\",\"changes\":[{\"rev\":\"4\",\"rev\":\"5\"},"
            "{\"rev\":\"6\"}],\"deleted\":false,\"doc\":null,\"error\":null,"
            "\"pending\":null}",
            &row),
      CFI_ROW_CHANGE);
  expect_text(row.seq, "2");
  expect_text(row.id, "b");
  ck_assert_uint_eq(row.rev_count, 2);
  expect_text(row.revs[0], "5");
  expect_text(row.revs[1], "6");
  ck_assert(!row.deleted);
  ck_assert(!row.has_error);
  expect_absent(row.error);
  ck_assert_uint_eq(row.doc_len, 0);
  ck_assert_int_eq(row.pending, -1);
  ck_assert_int_eq(parse("{\"last_seq\":5,\"last_seq\":null}", &row),
                   CFI_ROW_END);
  expect_absent(row.last_seq);
}
END_TEST

START_TEST(test_row_with_an_error_beside_its_id) {
  static const char *const errors[] = {"\"boom\"", "5", "{\"a\":1}", "true",
                                       "[\"x\"]"};

  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    char text[128];
    cfi_row row;

    (void)snprintf(text, sizeof text,
                   "{\"seq\":1,\"id\":\"x\",\"error\":%s,\"reason\":\"y\"}",
                   errors[i]);
    ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
    ck_assert(row.has_error);
    ck_assert_uint_eq(row.rev_count, 0);
    expect_text(row.reason, "y");
    if (i == 0)
      expect_text(row.error, "boom");
    else
      expect_absent(row.error);
  }
}
END_TEST

START_TEST(test_row_with_many_revisions) {
  enum { COUNT = 5000 };
  char *text = malloc(COUNT * 32 + 64);
  char *p = text;
  cfi_row row;

  ck_assert_ptr_nonnull(text);
  p += sprintf(p, "{\"id\":\"x\",\"changes\":[");
  for (int i = 0; i < COUNT; i++)
    p += sprintf(p, "%s{\"rev\":\"%d-x\"}", i != 0 ? "," : "", i);
  (void)sprintf(p, "]}");
  ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.rev_count, COUNT);
  for (int i = 0; i < COUNT; i++) {
    char wanted[32];

    (void)snprintf(wanted, sizeof wanted, "%d-x", i);
    expect_text(row.revs[i], wanted);
  }
  free(text);
}
END_TEST

START_TEST(test_row_long_strings) {
  enum { LONG = 300000 };
  char *text = malloc(LONG + 64);
  char *p = text;
  cfi_row row;

  ck_assert_ptr_nonnull(text);
  p += sprintf(p, "{\"id\":\"");
  for (int i = 0; i < LONG / 6; i++)
    p += sprintf(p, "\\u0041");
  (void)sprintf(p, "\",\"changes\":[{\"rev\":\"1\"}]}");
  ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
  ck_assert_uint_eq(row.id.len, LONG / 6);
  ck_assert_uint_eq(strspn(row.id.data, "A"), LONG / 6);
  free(text);
}
END_TEST

/* ---- ends and errors ---- */

START_TEST(test_row_end) {
  cfi_row row;

  /* 77: an end is not a change without an id. */
  ck_assert_int_eq(parse("{\"last_seq\":\"5-x\",\"pending\":7}", &row),
                   CFI_ROW_END);
  expect_text(row.last_seq, "5-x");
  ck_assert_int_eq(row.pending, 7);
  ck_assert(!row.has_results);
  ck_assert_int_eq(parse("{\"results\":[],\"last_seq\":5}", &row), CFI_ROW_END);
  expect_text(row.last_seq, "5");
  ck_assert(row.has_results);
  ck_assert_int_eq(row.pending, -1);
  ck_assert_int_eq(parse("{\"results\":[]}", &row), CFI_ROW_END);
  expect_absent(row.last_seq);
  ck_assert(row.has_results);
  ck_assert_int_eq(parse("{\"last_seq\":null}", &row), CFI_ROW_END);
  expect_absent(row.last_seq);
  ck_assert(!row.has_results);
}
END_TEST

START_TEST(test_row_results_that_are_no_array_do_not_count) {
  static const char *const values[] = {"{}", "null", "5", "\"[]\"", "true"};

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    char text[64];
    cfi_row row;

    (void)snprintf(text, sizeof text, "{\"results\":%s,\"last_seq\":1}",
                   values[i]);
    ck_assert_int_eq(parse(text, &row), CFI_ROW_END);
    ck_assert(!row.has_results);
    (void)snprintf(text, sizeof text, "{\"results\":%s}", values[i]);
    expect_bad(CFI_ROW_OF_DATABASE, text,
               "it has neither \"id\" nor \"last_seq\"");
  }
}
END_TEST

START_TEST(test_row_pending) {
  static const struct {
    const char *json;
    int64_t wanted;
  } values[] = {{"0", 0},
                {"123", 123},
                {"9223372036854775807", INT64_MAX},
                {"9223372036854775808", -1},
                {"99999999999999999999999", -1},
                {"-1", -1},
                {"-9223372036854775808", -1},
                {"-0", 0},
                {"1.0", -1},
                {"1e3", -1},
                {"null", -1},
                {"\"5\"", -1},
                {"[5]", -1},
                {"{\"a\":5}", -1},
                {"true", -1}};

  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    char text[128];
    cfi_row row;

    (void)snprintf(text, sizeof text, "{\"last_seq\":1,\"pending\":%s}",
                   values[i].json);
    ck_assert_int_eq(parse(text, &row), CFI_ROW_END);
    ck_assert_msg(row.pending == values[i].wanted, "%s: %lld", text,
                  (long long)row.pending);
  }
}
END_TEST

START_TEST(test_row_error) {
  cfi_row row;

  /* 26 */
  ck_assert_int_eq(
      parse("{\"error\":\"timeout\",\"reason\":\"no progress\"}", &row),
      CFI_ROW_ERROR);
  expect_text(row.error, "timeout");
  expect_text(row.reason, "no progress");
  ck_assert_int_eq(
      parse("{\"reason\":null,\"error\":\"x\",\"id\\u0000\":1}", &row),
      CFI_ROW_ERROR);
  expect_absent(row.reason);
  ck_assert_int_eq(parse("{\"error\":\"x\",\"reason\":{\"a\":[1]}}", &row),
                   CFI_ROW_ERROR);
  expect_absent(row.reason);
  /* An envelope that tells of an error is one. */
  ck_assert_int_eq(parse("{\"results\":[],\"error\":\"x\"}", &row),
                   CFI_ROW_ERROR);
  ck_assert_int_eq(parse("{\"last_seq\":1,\"error\":\"x\"}", &row),
                   CFI_ROW_ERROR);
  ck_assert_int_eq(parse("{\"last_seq\":1,\"error\":null}", &row), CFI_ROW_END);
}
END_TEST

/* ---- bad rows ---- */

START_TEST(test_row_of_another_shape_is_bad) {
  static const struct {
    const char *text, *why;
  } rows[] = {
      {"{}", "it has neither \"id\" nor \"last_seq\""},
      {"{\"seq\":1}", "it has neither \"id\" nor \"last_seq\""},
      {"{\"changes\":[{\"rev\":\"1\"}]}",
       "it has neither \"id\" nor \"last_seq\""},
      {"[]", "it is not an object"},
      {"5", "it is not an object"},
      {"\"x\"", "it is not an object"},
      {"{\"id\":5}", "\"id\" is not a string"},
      {"{\"id\":null}", "\"id\" is not a string"},
      {"{\"id\":[\"x\"]}", "\"id\" is not a string"},
      {"{\"id\":\"\",\"changes\":[{\"rev\":\"1\"}]}", "\"id\" is empty"},
      {"{\"id\":\"x\"}", "\"changes\" is missing"},
      {"{\"id\":\"x\",\"error\":null}", "\"changes\" is missing"},
      {"{\"id\":\"x\",\"changes\":[]}", "\"changes\" is empty"},
      {"{\"id\":\"x\",\"changes\":{}}", "\"changes\" is not an array"},
      {"{\"id\":\"x\",\"changes\":null}", "\"changes\" is not an array"},
      {"{\"id\":\"x\",\"changes\":\"1\"}", "\"changes\" is not an array"},
      {"{\"id\":\"x\",\"changes\":[\"1\"]}",
       "an element of \"changes\" is not an object"},
      {"{\"id\":\"x\",\"changes\":[[{\"rev\":\"1\"}]]}",
       "an element of \"changes\" is not an object"},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":\"1\"},null]}",
       "an element of \"changes\" is not an object"},
      {"{\"id\":\"x\",\"changes\":[{}]}",
       "an element of \"changes\" has no \"rev\""},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":\"1\"},{\"r\":\"2\"}]}",
       "an element of \"changes\" has no \"rev\""},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":1}]}",
       "a \"rev\" in \"changes\" is not a string"},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":null}]}",
       "a \"rev\" in \"changes\" is not a string"},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":{\"rev\":\"1\"}}]}",
       "a \"rev\" in \"changes\" is not a string"},
      {"{\"id\":\"x\",\"deleted\":1}", "\"deleted\" is neither true nor false"},
      {"{\"id\":\"x\",\"deleted\":null}",
       "\"deleted\" is neither true nor false"},
      {"{\"id\":\"x\",\"deleted\":\"true\"}",
       "\"deleted\" is neither true nor false"},
      {"{\"id\":\"x\",\"doc\":[]}", "\"doc\" is not an object"},
      {"{\"id\":\"x\",\"doc\":\"{}\"}", "\"doc\" is not an object"},
      {"{\"id\":\"x\",\"doc\":1}", "\"doc\" is not an object"},
      {"{\"seq\":true,\"id\":\"x\"}",
       "\"seq\" is neither a string nor a number nor an array"},
      {"{\"seq\":{},\"id\":\"x\"}",
       "\"seq\" is neither a string nor a number nor an array"},
      {"{\"last_seq\":false}",
       "\"last_seq\" is neither a string nor a number nor an array"},
      {"{\"last_seq\":{\"a\":1}}",
       "\"last_seq\" is neither a string nor a number nor an array"},
      {"{\"error\":5}", "\"error\" is not a string"},
      {"{\"error\":{}}", "\"error\" is not a string"},
      {"", "it is not valid JSON"},
      {"{\"id\":\"x\",}", "it is not valid JSON"},
      {"{\"id\":\"x\"}}", "it is not valid JSON"},
      {"{\"id\":\"x\"]", "it is not valid JSON"},
      {"{\"id\":\"\\ud800\"}", "a string in it is not valid Unicode"},
      {"{\"id\":\"\\udc00\\ud800\"}", "a string in it is not valid Unicode"},
      {"{\"id\":\"\xed\xa0\x80\"}", "a string in it is not valid Unicode"},
      {"{\"id\":\"x\",\"changes\":[{\"rev\":\"\\ud800\\\\x\"}]}",
       "a string in it is not valid Unicode"},
      {"{\"doc\":{\"a\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}}",
       "it is nested too deep"}};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    expect_bad(CFI_ROW_OF_DATABASE, rows[i].text, rows[i].why);
}
END_TEST

START_TEST(test_row_cut_anywhere_is_bad) {
  static const char text[] =
      "{\"seq\":\"1-\\u00e9\\ud83d\\ude00\",\"id\":\"\xe2\x98\x83\","
      "\"changes\":"
      "[{\"rev\":\"1-a\"}],\"deleted\":true,\"doc\":{\"a\":[1.5e3,null]}}";
  cfi_row row;

  ck_assert_int_eq(parse(text, &row), CFI_ROW_CHANGE);
  /* 37, 57 */
  for (size_t len = 0; len < sizeof text - 1; len++)
    ck_assert_int_eq(parse_from(CFI_ROW_OF_DATABASE, text, len, &row),
                     CFI_ROW_BAD);
}
END_TEST

/* ---- _db_updates ---- */

START_TEST(test_row_of_db_updates) {
  static const char *const types[] = {"created", "updated", "deleted",
                                      "ddoc_updated"};
  cfi_row row;

  for (size_t i = 0; i < 4; i++) {
    char text[128];

    (void)snprintf(
        text, sizeof text,
        "{\"db_name\":\"a/b\",\"type\":\"%s\",\"seq\":\"9-x\",\"id\":5}",
        types[i]);
    ck_assert_int_eq(
        parse_from(CFI_ROW_OF_DB_UPDATES, text, strlen(text), &row),
        CFI_ROW_CHANGE);
    expect_text(row.id, "a/b");
    expect_text(row.seq, "9-x");
    ck_assert_int_eq(row.deleted, i == 2);
    ck_assert_uint_eq(row.rev_count, 0);
  }
  ck_assert_int_eq(
      parse_from(CFI_ROW_OF_DB_UPDATES, "{\"last_seq\":\"9-x\"}", 18, &row),
      CFI_ROW_END);
  ck_assert_int_eq(
      parse_from(CFI_ROW_OF_DB_UPDATES, "{\"error\":\"x\"}", 13, &row),
      CFI_ROW_ERROR);
  expect_bad(CFI_ROW_OF_DB_UPDATES, "{\"db_name\":5,\"type\":\"created\"}",
             "\"db_name\" is not a string");
  expect_bad(CFI_ROW_OF_DB_UPDATES, "{\"db_name\":\"\",\"type\":\"created\"}",
             "\"db_name\" is empty");
  expect_bad(CFI_ROW_OF_DB_UPDATES, "{\"db_name\":\"x\"}",
             "\"type\" is missing");
  expect_bad(CFI_ROW_OF_DB_UPDATES, "{\"db_name\":\"x\",\"type\":null}",
             "\"type\" is not a string");
  expect_bad(CFI_ROW_OF_DB_UPDATES,
             "{\"id\":\"x\",\"changes\":[{\"rev\":\"1\"}]}",
             "it has neither \"db_name\" nor \"last_seq\"");
}
END_TEST

/* ---- memory ---- */

START_TEST(test_row_stays_valid_until_the_reset) {
  enum { ROWS = 500 };
  static cfi_row rows[ROWS];

  for (int i = 0; i < ROWS; i++) {
    char text[128];

    (void)snprintf(text, sizeof text,
                   "{\"seq\":[%d],\"id\":\"id%d\",\"changes\":["
                   "{\"rev\":\"1-%d\"},{\"rev\":\"2-%d\"}]}",
                   i, i, i, i);
    ck_assert_int_eq(parse(text, &rows[i]), CFI_ROW_CHANGE);
    (void)parse("{\"id\":\"bad\",\"changes\":[{\"rev\":\"1\"},5]}",
                &(cfi_row){0});
  }
  for (int i = 0; i < ROWS; i++) {
    char wanted[64];

    (void)snprintf(wanted, sizeof wanted, "[%d]", i);
    expect_text(rows[i].seq, wanted);
    (void)snprintf(wanted, sizeof wanted, "id%d", i);
    expect_text(rows[i].id, wanted);
    (void)snprintf(wanted, sizeof wanted, "2-%d", i);
    expect_text(rows[i].revs[1], wanted);
  }
  cfi_row_reset(parser);
}
END_TEST

static const char demanding[] =
    "{\"seq\":\"1-\\u00e9\",\"id\":\"x\",\"changes\":[{\"rev\":\"1\"},"
    "{\"rev\":\"2\"},{\"rev\":\"3\"}],\"doc\":{\"a\":\"b\\n\"},"
    "\"error\":\"e\",\"reason\":\"r\"}";

START_TEST(test_row_survives_every_failed_allocation) {
  size_t failures = 0;
  size_t padding = 3000;
  char *text = malloc(sizeof demanding + padding * 2 + 64);

  /* An id so long that yajl's buffers grow, and the arena's pieces too. */
  ck_assert_ptr_nonnull(text);
  (void)sprintf(text, "{\"id\":\"");
  for (size_t i = 0; i < padding; i++)
    memcpy(text + 7 + i * 2, "\\n", 2);
  (void)sprintf(text + 7 + padding * 2, "\",%s", demanding + 1);
  for (int on = 0; on < 2; on++)
    for (size_t n = 1;; n++) {
      cft_failing c;
      cfi_row_parser *p;
      cfi_row row;
      cfi_row_kind kind = CFI_ROW_NOMEM;

      cft_failing_init(&c, n);
      c.fails = on != 0 ? CFT_FOR_GOOD : 1;
      p = cfi_row_parser_new(&c.alloc, MAX_DEPTH);
      if (p != NULL)
        kind = cfi_row_parse(p, CFI_ROW_OF_DATABASE, text, strlen(text), &row);
      ck_assert(kind == CFI_ROW_NOMEM || kind == CFI_ROW_CHANGE);
      failures += kind == CFI_ROW_NOMEM;
      if (p != NULL && kind == CFI_ROW_NOMEM) {
        c.fail_at = 0;
        cfi_row_reset(p);
        ck_assert_int_eq(
            cfi_row_parse(p, CFI_ROW_OF_DATABASE, text, strlen(text), &row),
            CFI_ROW_CHANGE);
        ck_assert_uint_eq(row.rev_count, 3);
      }
      cfi_row_parser_free(p);
      ck_assert_uint_eq(c.live, 0);
      if (kind == CFI_ROW_CHANGE)
        break;
    }
  ck_assert_uint_ge(failures, 8);
  free(text);
}
END_TEST

START_TEST(test_row_ordinary_ones_cost_no_allocation) {
  cft_failing c;
  cfi_row_parser *p;
  cfi_row row;
  size_t calls;

  cft_failing_init(&c, 0);
  p = cfi_row_parser_new(&c.alloc, MAX_DEPTH);
  ck_assert_ptr_nonnull(p);
  (void)cfi_row_parse(p, CFI_ROW_OF_DATABASE, demanding, sizeof demanding - 1,
                      &row);
  calls = c.calls;
  for (int i = 0; i < 1000; i++) {
    cfi_row_reset(p);
    ck_assert_int_eq(cfi_row_parse(p, CFI_ROW_OF_DATABASE, demanding,
                                   sizeof demanding - 1, &row),
                     CFI_ROW_CHANGE);
  }
  ck_assert_uint_eq(c.calls, calls);
  cfi_row_parser_free(p);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("row");
  TCase *changes = tcase_create("changes");
  TCase *others = tcase_create("others");

  tcase_add_checked_fixture(changes, setup, teardown);
  tcase_add_test(changes, test_row_change);
  tcase_add_test(changes, test_row_takes_a_document_with_broken_bytes_as_it_is);
  tcase_add_test(changes, test_row_members_come_in_any_order);
  tcase_add_test(changes, test_row_position_of_each_type);
  tcase_add_test(changes, test_row_without_a_position);
  tcase_add_test(changes, test_row_doc_is_a_piece_of_the_text);
  tcase_add_test(changes, test_row_ids_are_decoded);
  tcase_add_test(changes, test_row_unknown_members_are_passed_over);
  tcase_add_test(changes, test_row_last_of_repeated_members_counts);
  tcase_add_test(changes, test_row_with_an_error_beside_its_id);
  tcase_add_test(changes, test_row_with_many_revisions);
  tcase_add_test(changes, test_row_long_strings);
  suite_add_tcase(suite, changes);
  tcase_add_checked_fixture(others, setup, teardown);
  tcase_add_test(others, test_row_end);
  tcase_add_test(others, test_row_results_that_are_no_array_do_not_count);
  tcase_add_test(others, test_row_pending);
  tcase_add_test(others, test_row_error);
  tcase_add_test(others, test_row_of_another_shape_is_bad);
  tcase_add_test(others, test_row_cut_anywhere_is_bad);
  tcase_add_test(others, test_row_of_db_updates);
  tcase_add_test(others, test_row_stays_valid_until_the_reset);
  tcase_add_test(others, test_row_survives_every_failed_allocation);
  tcase_add_test(others, test_row_ordinary_ones_cost_no_allocation);
  suite_add_tcase(suite, others);
  return cft_run(suite);
}
