/*
 * Documents of rows: handed out as they are, or, with validate_docs, read.
 */
#include "support/unit.h"
#include "unit/feed_in_world.h"

#define DOC_ROW(seq, id, doc)                                                  \
  "{\"seq\":\"" seq "\",\"id\":\"" id "\",\"changes\":[{\"rev\":\"1-r\"}],"    \
  "\"doc\":" doc "}"

static const char *const lenient[] = {"include_docs", "1", NULL};
static const char *const strict[] = {"include_docs", "1", "validate_docs", "1",
                                     NULL};

static const char sound[] =
    DOC_ROW("6-a", "x", "{\"a\":[1,{\"b\":\"}\"}]}") "\n";
static const char broken[] = DOC_ROW("7-a", "y", "{\"a\":[1}}") "\n";

START_TEST(test_feed_docs_are_not_read_by_default) {
  open_live(lenient);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, sound));
  ck_assert(cft_world_body(&w, broken));
  ck_assert_uint_eq(w.rows, 2);
  ck_assert_uint_ne(w.row[0].flags & CHANGEFEED_DOC, 0);
  ck_assert_uint_ne(w.row[1].flags & CHANGEFEED_DOC, 0);
  ck_assert_str_eq(w.row[1].seq, "7-a");
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_docs_are_read_when_asked_for) {
  open_live(strict);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(&w, sound));
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_uint_ne(w.row[0].flags & CHANGEFEED_DOC, 0);
  (void)cft_world_body(&w, broken);
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_PROTOCOL);
  /* Where it was refused, it is asked for again. */
  ck_assert_str_eq(position(), "6-a");
  cft_world_close(&w);
}
END_TEST

/* A row that breaks off is not taken for one with an odd document. */
START_TEST(test_feed_docs_that_break_off_are_no_rows) {
  static const char *const cuts[] = {"",       "\"",      "\"z",
                                     "\"z\":", "\"z\":[", "\"z\":\"\\"};

  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    char text[256];

    open_live(lenient);
    cft_world_head(&w, 200, NULL);
    (void)snprintf(
        text, sizeof text,
        "{\"seq\":\"6-a\",\"id\":\"x\",\"changes\":[{\"rev\":\"1-r\"}"
        "],\"doc\":{%s",
        cuts[i]);
    (void)cft_world_body(&w, text);
    if (w.active)
      (void)cft_world_body(&w, "\n{\"error\":\"timeout\",\"reason\":\"\"}\n");
    if (w.active)
      (void)cft_world_body(&w, sound);
    if (w.active)
      cft_world_done(&w, CHANGEFEED_OK);
    ck_assert_uint_eq(w.rows, 0);
    ck_assert_str_eq(position(), "5-a");
    cft_world_close(&w);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("feed_docs");
  TCase *docs = tcase_create("docs");

  tcase_add_test(docs, test_feed_docs_are_not_read_by_default);
  tcase_add_test(docs, test_feed_docs_are_read_when_asked_for);
  tcase_add_test(docs, test_feed_docs_that_break_off_are_no_rows);
  suite_add_tcase(suite, docs);
  return cft_run(suite);
}
