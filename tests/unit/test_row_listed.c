/*
 * Rows of _all_docs: what they say of a document, of one that is deleted, of
 * one that is none, and what makes them none.
 */
#include "row.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool same_text(changefeed_str a, changefeed_str b) {
  return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
         (a.data == NULL || memcmp(a.data, b.data, a.len) == 0);
}

/* By both ways, which must agree; the text is in a block of its own. */
static cfi_row_kind parse(const char *text, cfi_row *row) {
  size_t len = strlen(text);
  char *exact = malloc(len + 1);
  cfi_row other;
  cfi_row_kind kind;

  ck_assert_ptr_nonnull(exact);
  memcpy(exact, text, len);
  kind = cfi_row_parse_by_json(parser, CFI_ROW_OF_ALL_DOCS, exact, len, &other);
  ck_assert_int_eq(cfi_row_parse(parser, CFI_ROW_OF_ALL_DOCS, exact, len, row),
                   kind);
  ck_assert(same_text(row->id, other.id));
  ck_assert_uint_eq(row->rev_count, other.rev_count);
  for (size_t i = 0; i < row->rev_count; i++)
    ck_assert(same_text(row->revs[i], other.revs[i]));
  ck_assert(
      row->deleted == other.deleted && row->has_error == other.has_error &&
      row->doc_offset == other.doc_offset && row->doc_len == other.doc_len);
  memset(exact, 0xa5, len);
  free(exact);
  return kind;
}

static void expect(const char *text, const char *id, const char *rev,
                   bool deleted, const char *doc) {
  cfi_row row;

  ck_assert_msg(parse(text, &row) == CFI_ROW_CHANGE, "%s: %s", text,
                row.why != NULL ? row.why : "no change");
  ck_assert_str_eq(row.id.data, id);
  ck_assert_uint_eq(row.id.len, strlen(id));
  ck_assert_uint_eq(row.rev_count, rev != NULL ? 1 : 0);
  if (rev != NULL)
    ck_assert_str_eq(row.revs[0].data, rev);
  ck_assert_int_eq(row.deleted, deleted);
  ck_assert_uint_eq(row.doc_len, strlen(doc));
  ck_assert_int_eq(strncmp(text + row.doc_offset, doc, row.doc_len), 0);
  ck_assert_ptr_null(row.seq.data);
  ck_assert_int_eq(row.pending, -1);
}

static void expect_bad(const char *text, const char *why) {
  cfi_row row;

  ck_assert_msg(parse(text, &row) == CFI_ROW_BAD, "%s", text);
  ck_assert_msg(strcmp(row.why, why) == 0, "%s: %s, not: %s", text, row.why,
                why);
}

START_TEST(test_row_listed_document) {
  expect("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"}}", "a", "1-a",
         false, "");
  expect("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"},"
         "\"doc\":{\"_id\":\"a\",\"rows\":[{}]}}",
         "a", "1-a", false, "{\"_id\":\"a\",\"rows\":[{}]}");
  expect("{\"id\":\"\\\"\\\\\\u0001/\\ud83d\\ude00\",\"key\":\"x\","
         "\"value\":{\"rev\":\"1-a\"}}",
         "\"\\\001/\xf0\x9f\x98\x80", "1-a", false, "");
}
END_TEST

START_TEST(test_row_listed_document_that_is_deleted) {
  expect("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"2-b\","
         "\"deleted\":true}}",
         "a", "2-b", true, "");
  expect("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"2-b\","
         "\"deleted\":true},\"doc\":null}",
         "a", "2-b", true, "");
  expect("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"deleted\":false,"
         "\"rev\":\"2-b\"}}",
         "a", "2-b", false, "");
}
END_TEST

/* Of a key that is no document, the key is the id. */
START_TEST(test_row_listed_document_that_is_none) {
  cfi_row row;

  expect("{\"key\":\"a\",\"error\":\"not_found\"}", "a", NULL, false, "");
  ck_assert_int_eq(parse("{\"key\":\"a\",\"error\":\"not_found\"}", &row),
                   CFI_ROW_CHANGE);
  ck_assert(row.has_error);
  ck_assert_str_eq(row.error.data, "not_found");
  expect("{\"error\":\"x\",\"id\":\"a\",\"key\":\"b\"}", "a", NULL, false, "");
  ck_assert_int_eq(parse("{\"id\":\"a\",\"key\":\"a\",\"error\":null,\"value\":"
                         "{\"rev\":\"1-a\"}}",
                         &row),
                   CFI_ROW_CHANGE);
  ck_assert(!row.has_error);
}
END_TEST

START_TEST(test_row_listed_members_come_in_any_order) {
  static const char *const members[] = {
      "\"id\":\"x\"", "\"key\":\"x\"",
      "\"value\":{\"x\":[{}],\"rev\":\"1-a\",\"y\":{\"rev\":\"2\"}}",
      "\"doc\":{\"a\":1}"};

  for (size_t a = 0; a < 4; a++)
    for (size_t b = 0; b < 4; b++)
      for (size_t c = 0; c < 4; c++) {
        char text[256];
        size_t d = 6 - a - b - c;

        if (a == b || b == c || a == c)
          continue;
        (void)snprintf(text, sizeof text, "{%s, %s,%s ,\"seq\":{},%s}",
                       members[a], members[b], members[c], members[d]);
        expect(text, "x", "1-a", false, "{\"a\":1}");
      }
}
END_TEST

START_TEST(test_row_listed_member_that_comes_twice_counts_the_last_time) {
  expect(
      "{\"id\":\"a\",\"id\":\"b\",\"value\":{\"rev\":\"1\",\"deleted\":true},"
      "\"value\":{\"rev\":\"2\",\"rev\":\"3\"},\"doc\":{},\"doc\":null}",
      "b", "3", false, "");
}
END_TEST

START_TEST(test_row_listed_that_is_none) {
  expect_bad("{\"id\":5,\"value\":{\"rev\":\"1\"}}", "\"id\" is not a string");
  expect_bad("{\"id\":\"\",\"value\":{\"rev\":\"1\"}}", "\"id\" is empty");
  expect_bad("{\"key\":\"\",\"error\":\"not_found\"}", "\"id\" is empty");
  expect_bad("{\"id\":\"a\",\"key\":[\"a\"],\"value\":{\"rev\":\"1\"}}",
             "\"key\" is not a string");
  expect_bad("{\"id\":\"a\"}", "\"value\" is missing");
  expect_bad("{\"id\":\"a\",\"value\":null}", "\"value\" is not an object");
  expect_bad("{\"id\":\"a\",\"value\":[]}", "\"value\" is not an object");
  expect_bad("{\"id\":\"a\",\"value\":{}}", "the \"value\" has no \"rev\"");
  expect_bad("{\"id\":\"a\",\"value\":{\"rev\":\"1\"},\"value\":{}}",
             "the \"value\" has no \"rev\"");
  expect_bad("{\"id\":\"a\",\"value\":{\"rev\":[]}}",
             "the \"rev\" in \"value\" is not a string");
  expect_bad("{\"id\":\"a\",\"value\":{\"rev\":\"1\",\"deleted\":1}}",
             "\"deleted\" is neither true nor false");
  expect_bad("{\"id\":\"a\",\"value\":{\"rev\":\"1\"},\"doc\":[]}",
             "\"doc\" is not an object");
  expect_bad("{\"key\":\"a\",\"value\":{\"rev\":\"1\"}}", "it has no \"id\"");
  expect_bad("{\"seq\":1,\"last_seq\":2}", "it has no \"id\"");
  expect_bad("{\"results\":[]}", "it has no \"id\"");
  expect_bad("[]", "it is not an object");
}
END_TEST

START_TEST(test_row_listed_end_and_error) {
  cfi_row row;

  ck_assert_int_eq(parse("{\"total_rows\":3,\"offset\":0,\"rows\":[ ]}", &row),
                   CFI_ROW_END);
  ck_assert(row.has_results);
  ck_assert_int_eq(parse("{\"total_rows\":null,\"rows\":[]}", &row),
                   CFI_ROW_END);
  ck_assert_int_eq(
      parse("{\"error\":\"timeout\",\"reason\":\"it took\"}", &row),
      CFI_ROW_ERROR);
  ck_assert_str_eq(row.reason.data, "it took");
  /* An error with rows is no end of a page. */
  ck_assert_int_eq(parse("{\"rows\":[],\"error\":\"timeout\"}", &row),
                   CFI_ROW_ERROR);
}
END_TEST

START_TEST(test_row_listed_without_memory_says_so) {
  static const char *const rows[] = {
      "{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"key\":\"a\",\"id\":\"a\",\"value\":{\"deleted\":true,\"rev\":\"1\"}}",
      "{\"key\":\"a\",\"error\":\"not_found\"}"};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    bool whole = false;

    for (size_t at = 2; !whole; at++) {
      cft_failing c;
      cfi_row_parser *p;
      cfi_row row;
      cfi_row_kind kind;

      cft_failing_init(&c, at);
      p = cfi_row_parser_new(&c.alloc, MAX_DEPTH);
      ck_assert_ptr_nonnull(p);
      kind =
          cfi_row_parse(p, CFI_ROW_OF_ALL_DOCS, rows[i], strlen(rows[i]), &row);
      whole = c.calls < at;
      ck_assert_int_eq(kind, whole ? CFI_ROW_CHANGE : CFI_ROW_NOMEM);
      cfi_row_parser_free(p);
      ck_assert_uint_eq(c.live, 0);
    }
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("row_listed");
  TCase *rows = tcase_create("rows");

  tcase_add_checked_fixture(rows, setup, teardown);
  tcase_add_test(rows, test_row_listed_document);
  tcase_add_test(rows, test_row_listed_document_that_is_deleted);
  tcase_add_test(rows, test_row_listed_document_that_is_none);
  tcase_add_test(rows, test_row_listed_members_come_in_any_order);
  tcase_add_test(rows,
                 test_row_listed_member_that_comes_twice_counts_the_last_time);
  tcase_add_test(rows, test_row_listed_that_is_none);
  tcase_add_test(rows, test_row_listed_end_and_error);
  tcase_add_test(rows, test_row_listed_without_memory_says_so);
  suite_add_tcase(suite, rows);
  return cft_run(suite);
}
