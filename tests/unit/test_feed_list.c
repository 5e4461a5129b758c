/*
 * source=all_docs in a world without sockets: which pages are asked for, that
 * each document comes once whatever happens between and within pages, and what
 * a server may not do.
 */
#include "support/failing.h"
#include "support/unit.h"
#include "unit/feed_in_world.h"

#define BASE "http://127.0.0.1:5984/db/_all_docs?include_docs="
#define DOC(id)                                                                \
  "{\"id\":\"" id "\",\"key\":\"" id "\",\"value\":{\"rev\":\"1-" id "\"}}"
#define GONE(id)                                                               \
  "{\"id\":\"" id "\",\"key\":\"" id "\",\"value\":{\"rev\":\"2-" id           \
  "\",\"deleted\":true},\"doc\":null}"
#define NEVER(id) "{\"key\":\"" id "\",\"error\":\"not_found\"}"
#define PAGE(rows)                                                             \
  "{\"total_rows\":9,\"offset\":0,\"rows\":[\r\n" rows "\r\n]}\n"

static const char *const plain[] = {"source", "all_docs", NULL};
static const char *const by_two[] = {"source", "all_docs", "page_rows", "2",
                                     NULL};

static void open_list(const char *const *options) {
  cft_world_open(&w, options);
  cft_world_greet(&w);
}

/* The ids delivered so far, with spaces between. */
static const char *ids(void) {
  static char text[1024];
  size_t len = 0;

  text[0] = '\0';
  for (size_t i = 0; i < w.rows; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                            i != 0 ? " " : "", w.row[i].id);
  return text;
}

static void expect_url(const char *rest) {
  char wanted[256];

  (void)snprintf(wanted, sizeof wanted, "%s%s", BASE, rest);
  ck_assert_str_eq(cft_world_url(&w), wanted);
}

static void expect_ended(const char *wanted) {
  ck_assert_str_eq(ids(), wanted);
  ck_assert_str_eq(w.states, "catchup ended");
  ck_assert(!w.active && !w.side.active);
  ck_assert_int_eq(cfi_feed_deadline(w.feed), CFI_NEVER);
  cft_world_close(&w);
}

/* ---- pages ---- */

START_TEST(test_feed_list_of_one_page) {
  open_list(plain);
  expect_url("false&limit=10000");
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  ck_assert_str_eq(w.row[0].rev, "1-a");
  ck_assert_str_eq(w.row[1].seq, "b");
  ck_assert_uint_eq(w.row[1].ordinal, 2);
  expect_ended("a b");
}
END_TEST

START_TEST(test_feed_list_of_nothing) {
  open_list(plain);
  cft_world_answer(&w, 200, PAGE(""));
  expect_ended("");
}
END_TEST

START_TEST(test_feed_list_page_begins_with_the_last_row_of_the_one_before) {
  open_list(by_two);
  expect_url("false&limit=2");
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  expect_url("false&limit=3&startkey=%22b%22");
  ck_assert_str_eq(w.states, "catchup");
  cft_world_answer(&w, 200, PAGE(DOC("b") ",\r\n" DOC("c") ",\r\n" DOC("d")));
  expect_url("false&limit=3&startkey=%22d%22");
  cft_world_answer(&w, 200, PAGE(DOC("d") ",\r\n" DOC("e")));
  expect_ended("a b c d e");
}
END_TEST

START_TEST(test_feed_list_ends_with_a_page_of_nothing_new) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  cft_world_answer(&w, 200, PAGE(DOC("b")));
  expect_ended("a b");
}
END_TEST

/* Its document is deleted by then: the page holds one more that is new. */
START_TEST(test_feed_list_goes_on_behind_a_row_that_is_gone) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  cft_world_answer(&w, 200, PAGE(DOC("c") ",\r\n" DOC("d") ",\r\n" DOC("e")));
  expect_url("false&limit=3&startkey=%22e%22");
  cft_world_answer(&w, 200, PAGE(""));
  expect_ended("a b c d e");
}
END_TEST

/* A server that knows no limit lists all at once. */
START_TEST(test_feed_list_page_may_be_longer_than_asked_for) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b") ",\r\n" DOC("c")));
  expect_url("false&limit=3&startkey=%22c%22");
  cft_world_answer(&w, 200, PAGE(DOC("c")));
  expect_ended("a b c");
}
END_TEST

START_TEST(test_feed_list_range_goes_along_with_each_page) {
  static const char *const range[] = {
      "source", "all_docs",  "page_rows",     "1", "startkey", "\"\\/+%&= ",
      "endkey", "z\xc3\xa9", "inclusive_end", "0", NULL};

  open_list(range);
  expect_url("false&limit=1&startkey=%22%5C%22%5C%5C%2F%2B%25%26%3D%20"
             "%22&endkey=%22z%C3%A9%22&inclusive_end=false");
  cft_world_answer(&w, 200, PAGE(DOC("_design\\/x\\u0001\\u20ac")));
  expect_url("false&limit=2&startkey=%22_design%2Fx%5Cu0001%E2%82%AC%22"
             "&endkey=%22z%C3%A9%22&inclusive_end=false");
  cft_world_answer(&w, 200, PAGE(DOC("_design\\/x\\u0001\\u20ac")));
  expect_ended("_design/x\001\xe2\x82\xac");
}
END_TEST

START_TEST(test_feed_list_asks_for_documents_and_what_belongs_to_them) {
  static const char *const docs[] = {
      "source",      "all_docs", "include_docs",      "1", "conflicts", "1",
      "attachments", "1",        "att_encoding_info", "1", "limit",     "7",
      NULL};

  open_list(docs);
  expect_url("true&limit=7&conflicts=true&attachments=true"
             "&att_encoding_info=true");
  cft_world_answer(&w, 200,
                   PAGE("{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":"
                        "\"1-a\"},\"doc\":{\"_id\":\"a\"}}"));
  ck_assert_uint_eq(w.row[0].flags, CHANGEFEED_DOC);
  expect_ended("a");
}
END_TEST

START_TEST(test_feed_list_limit_ends_within_a_page_and_behind_one) {
  static const char *const three[] = {"source", "all_docs", "page_rows", "2",
                                      "limit",  "3",        NULL};

  open_list(three);
  expect_url("false&limit=2");
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  expect_url("false&limit=2&startkey=%22b%22");
  cft_world_answer(&w, 200, PAGE(DOC("b") ",\r\n" DOC("c")));
  expect_ended("a b c");
}
END_TEST

/* ---- documents by their ids ---- */

static const char *const keys[] = {"source", "all_docs", "doc_ids",
                                   "[\"c\",\"gone\",\"never\",\"c\"]", NULL};

START_TEST(test_feed_list_of_ids_is_asked_for_at_once) {
  open_list(keys);
  expect_url("false");
  ck_assert_str_eq(w.request[w.requests - 1].body,
                   "{\"keys\":[\"c\",\"gone\",\"never\",\"c\"]}");
  cft_world_answer(&w, 200,
                   PAGE(DOC("c") ",\r\n" GONE("gone") ",\r\n" NEVER(
                       "never") ",\r\n" DOC("c")));
  ck_assert_uint_eq(w.row[1].flags, CHANGEFEED_DELETED);
  ck_assert_str_eq(w.row[1].rev, "2-gone");
  ck_assert_uint_eq(w.row[2].flags, CHANGEFEED_ROW_ERROR);
  ck_assert_str_eq(w.row[2].rev, "");
  expect_ended("c gone never c");
}
END_TEST

/* What was taken before the cut is passed over, though it is told again. */
START_TEST(test_feed_list_of_ids_goes_on_after_a_cut) {
  open_list(keys);
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, "{\"rows\":[\r\n" DOC("c") ",\r\n" GONE("gone") ",\r\n{\"ke"));
  ck_assert_str_eq(ids(), "c gone");
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  cft_world_greet(&w);
  cft_world_answer(&w, 200,
                   PAGE(DOC("c") ",\r\n" DOC("gone") ",\r\n" NEVER(
                       "never") ",\r\n" DOC("c")));
  ck_assert_str_eq(ids(), "c gone never c");
  ck_assert(cfi_feed_over(w.feed));
  cft_world_close(&w);
}
END_TEST

/* ---- faults ---- */

START_TEST(test_feed_list_goes_on_behind_the_last_row_after_a_cut) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  cft_world_head(&w, 200, NULL);
  ck_assert(cft_world_body(
      &w, "{\"rows\":[\r\n" DOC("b") ",\r\n" DOC("c") ",\r\n{\"id\":\"d"));
  ck_assert_str_eq(ids(), "a b c");
  cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  cft_world_greet(&w);
  expect_url("false&limit=3&startkey=%22c%22");
  cft_world_answer(&w, 200, PAGE(DOC("c") ",\r\n" DOC("d")));
  ck_assert_str_eq(ids(), "a b c d");
  ck_assert_str_eq(w.states, "catchup waiting connecting catchup ended");
  cft_world_close(&w);
}
END_TEST

/* An error is the server's word that the page is not all there is. */
START_TEST(test_feed_list_is_not_over_with_an_error) {
  static const char *const bodies[] = {
      "{\"rows\":[" DOC("a") "],\"error\":\"timeout\",\"reason\":\"x\"}",
      "{\"rows\":[" DOC("a") ",{\"error\":\"timeout\",\"reason\":\"x\"}]}",
      "{\"rows\":[" DOC("a") "]",
      "{\"rows\":[" DOC("a"),
      "{\"results\":[" DOC("a") "],\"last_seq\":1}",
      "{}",
      ""};

  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    open_list(by_two);
    cft_world_answer(&w, 200, bodies[i]);
    ck_assert_msg(w.last_state == CHANGEFEED_STATE_WAITING, "%s: %s", bodies[i],
                  w.states);
    cft_world_greet(&w);
    if (w.rows != 0)
      expect_url("false&limit=3&startkey=%22a%22");
    cft_world_answer(&w, 200, PAGE(DOC("a")));
    ck_assert_str_eq(ids(), "a");
    ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
    cft_world_close(&w);
  }
}
END_TEST

START_TEST(test_feed_list_starts_anew_after_a_reset) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"78\"}";
  cft_world_answer(&w, 200, PAGE(DOC("x")));
  ck_assert_uint_eq(w.resets, 1);
  ck_assert_str_eq(ids(), "a b");
  cft_world_greet(&w);
  expect_url("false&limit=2");
  cft_world_answer(&w, 200, PAGE(DOC("b") ",\r\n" DOC("c")));
  cft_world_answer(&w, 200, PAGE(DOC("c")));
  ck_assert_str_eq(ids(), "a b b c");
  ck_assert(cfi_feed_over(w.feed));
  cft_world_close(&w);
}
END_TEST

/* CouchDB 1.x counts; an id that looks like a number is no place in that. */
START_TEST(test_feed_list_id_is_no_position) {
  open_list(by_two);
  w.database = "{\"db_name\":\"db\",\"instance_start_time\":\"77\","
               "\"update_seq\":5}";
  cft_world_answer(&w, 200, PAGE(DOC("1000") ",\r\n" DOC("1001")));
  cft_world_answer(&w, 200, PAGE(DOC("1001") ",\r\n" DOC("1002")));
  ck_assert_uint_eq(w.resets, 0);
  expect_ended("1000 1001 1002");
}
END_TEST

/* ---- what a server may not do ---- */

static void expect_disorder(const char *at) {
  char wanted[256];

  (void)snprintf(wanted, sizeof wanted,
                 "reading the documents of http://127.0.0.1:5984/db: the list "
                 "is not in the order of its ids, or not in the range that was "
                 "asked for, at %s",
                 at);
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_PROTOCOL);
  ck_assert_str_eq(w.feed->error.text, wanted);
}

START_TEST(test_feed_list_out_of_order_is_a_fault) {
  open_list(plain);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("c") ",\r\n" DOC("b")));
  ck_assert_str_eq(ids(), "a c");
  expect_disorder("b");
  cft_world_close(&w);
  open_list(plain);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("a")));
  expect_disorder("a");
  cft_world_close(&w);
  /* "a" is before "ab", and both are before "b". */
  open_list(plain);
  cft_world_answer(&w, 200,
                   PAGE(DOC("A") ",\r\n" DOC("a") ",\r\n" DOC(
                       "a\\u0000") ",\r\n" DOC("ab") ",\r\n" DOC("b")));
  ck_assert_uint_eq(w.rows, 5);
  ck_assert(cfi_feed_over(w.feed));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_list_that_ignores_startkey_is_a_fault) {
  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b") ",\r\n" DOC("c")));
  ck_assert_str_eq(ids(), "a b");
  expect_disorder("a");
  cft_world_close(&w);
}
END_TEST

static const char *const b_to_d[] = {"source", "all_docs", "startkey", "b",
                                     "endkey", "d",        NULL};

START_TEST(test_feed_list_out_of_its_range_is_a_fault) {
  static const char *const before_d[] = {
      "source", "all_docs",      "endkey", "d", "startkey",
      "b",      "inclusive_end", "0",      NULL};

  open_list(b_to_d);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  ck_assert_uint_eq(w.rows, 0);
  expect_disorder("a");
  cft_world_close(&w);
  open_list(b_to_d);
  cft_world_answer(&w, 200, PAGE(DOC("b") ",\r\n" DOC("d") ",\r\n" DOC("d0")));
  ck_assert_str_eq(ids(), "b d");
  expect_disorder("d0");
  cft_world_close(&w);
  open_list(before_d);
  cft_world_answer(&w, 200, PAGE(DOC("b") ",\r\n" DOC("d")));
  ck_assert_str_eq(ids(), "b");
  expect_disorder("d");
  cft_world_close(&w);
}
END_TEST

/* Ten minutes of it: the delays grow, and nothing spins. */
START_TEST(test_feed_list_of_a_server_without_order_costs_little) {
  size_t before;

  open_list(by_two);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  before = w.requests;
  for (int64_t begun = w.now_ms; w.now_ms - begun < 600000;) {
    cft_world_greet(&w);
    cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  }
  ck_assert_str_eq(ids(), "a b");
  ck_assert_uint_lt(w.requests - before, 200);
  ck_assert_uint_gt(w.requests - before, 5);
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_list_errors_name_what_was_asked_for) {
  open_list(plain);
  cft_world_answer(&w, 404,
                   "{\"error\":\"not_found\",\"reason\":\"Database does not "
                   "exist.\"}");
  ck_assert_str_eq(w.feed->error.text,
                   "asking for the documents of http://127.0.0.1:5984/db: HTTP "
                   "404, not_found: Database does not exist.");
  cft_world_close(&w);
  open_list(plain);
  cft_world_answer(&w, 200, "{\"results\":[]}");
  ck_assert_str_eq(w.feed->error.text,
                   "reading the documents of http://127.0.0.1:5984/db: a row "
                   "cannot be read: it has no \"id\"");
  cft_world_close(&w);
}
END_TEST

/* ---- the application ---- */

START_TEST(test_feed_list_later_brings_the_same_row_again) {
  open_list(by_two);
  w.verdict = CHANGEFEED_LATER;
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  ck_assert_str_eq(ids(), "a");
  w.verdict = CHANGEFEED_CONTINUE;
  atomic_store(&w.feed->paused, false);
  cft_world_settle(&w);
  ck_assert_str_eq(ids(), "a a b");
  expect_url("false&limit=3&startkey=%22b%22");
  cft_world_answer(&w, 200, PAGE(DOC("b")));
  ck_assert(cfi_feed_over(w.feed));
  cft_world_close(&w);
}
END_TEST

START_TEST(test_feed_list_acknowledged_row_by_row) {
  static const char *const manual[] = {"source",    "all_docs",    "auto_ack",
                                       "0",         "max_unacked", "1",
                                       "page_rows", "1",           NULL};

  open_list(manual);
  cft_world_answer(&w, 200, PAGE(DOC("a") ",\r\n" DOC("b")));
  ck_assert_str_eq(ids(), "a");
  ck_assert_str_eq(position(), "(none)");
  ck_assert(cfi_window_ack(&w.feed->window, 1));
  cft_world_settle(&w);
  ck_assert_str_eq(ids(), "a b");
  ck_assert_str_eq(position(), "a");
  cft_world_close(&w);
}
END_TEST

/* ---- options ---- */

static const struct {
  const char *sentence;
  const char *set[7];
} refused[] = {
    {"filter has no meaning with source=all_docs", {"filter", "d/f"}},
    {"selector has no meaning with source=all_docs", {"selector", "{}"}},
    {"view has no meaning with source=all_docs", {"view", "d/v"}},
    {"style has no meaning with source=all_docs", {"style", "all_docs"}},
    {"descending has no meaning with source=all_docs",
     {"descending", "1", "mode", "once"}},
    {"marker has no meaning with source=all_docs", {"marker", "1"}},
    {"since has no meaning with source=all_docs", {"since", "now"}},
    {"checkpoint has no meaning with source=all_docs",
     {"checkpoint", "file:x"}},
    {"checkpoint has no meaning with source=all_docs", {"checkpoint", "couch"}},
    {"doc_ids and startkey or endkey exclude each other",
     {"doc_ids", "[]", "startkey", "a"}},
    {"doc_ids and startkey or endkey exclude each other",
     {"doc_ids", "[]", "endkey", "a"}},
    {"source: _db_updates has no all_docs",
     {"url", "http://127.0.0.1:5984/_db_updates"}},
};

START_TEST(test_feed_list_refuses_options_of_changes) {
  const char *options[9] = {"source", "all_docs"};

  for (size_t i = 0; i < 6; i++)
    options[2 + i] = refused[_i].set[i];
  ck_assert_int_eq(cft_world_try(&w, NULL, options), CHANGEFEED_ERR_OPTION);
  ck_assert_str_eq(w.error.text, refused[_i].sentence);
}
END_TEST

/* ---- memory ---- */

/* All of them in order, the first time each: where there was no memory to move
   the place, rows come again, as repeats. */
static bool had_all(void) {
  static const char *const wanted[] = {"a", "b", "c"};
  size_t next = 0;

  for (size_t i = 0; i < w.rows; i++)
    if (next < 3 && strcmp(w.row[i].id, wanted[next]) == 0)
      next++;
    else if ((w.row[i].flags & CHANGEFEED_REPEAT) == 0)
      return false;
  return next == 3;
}

/* One run while one call of the allocator fails; false: there were not so
   many. */
static bool run_without(size_t fail_at) {
  static const char *const range[] = {"source", "all_docs", "page_rows",
                                      "2",      "startkey", "a",
                                      "endkey", "e",        NULL};
  cft_failing c;
  int tries = 0;

  cft_failing_init(&c, fail_at);
  if (cft_world_try(&w, &c.alloc, range) != CHANGEFEED_OK) {
    ck_assert_int_eq(w.error.pub.code, CHANGEFEED_ERR_NOMEM);
    return true;
  }
  cft_world_settle(&w);
  while (!cfi_feed_over(w.feed)) {
    const char *url;

    ck_assert_int_lt(tries++, 20);
    cft_world_greet(&w);
    url = cft_world_url(&w);
    ck_assert_ptr_nonnull(strstr(url, "&endkey=%22e%22"));
    cft_world_answer(
        &w, 200,
        strstr(url, "=%22a%22") != NULL && strstr(url, "limit=2") != NULL
            ? PAGE(DOC("a") "," DOC("b"))
        : strstr(url, "startkey=%22a%22") != NULL
            ? PAGE(DOC("a") "," DOC("b") "," DOC("c"))
        : strstr(url, "=%22b%22") != NULL ? PAGE(DOC("b") "," DOC("c"))
                                          : PAGE(DOC("c")));
  }
  ck_assert_msg(had_all(), "failing at %zu: %s", fail_at, ids());
  ck_assert_int_eq(w.last_state, CHANGEFEED_STATE_ENDED);
  cft_world_close(&w);
  ck_assert_uint_eq(c.live, 0);
  return c.calls >= fail_at;
}

START_TEST(test_feed_list_misses_nothing_without_memory) {
  size_t at = 1;

  while (run_without(at))
    at++;
  ck_assert_uint_gt(at, 20);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("feed_list");
  TCase *t = tcase_create("list");

  tcase_add_test(t, test_feed_list_of_one_page);
  tcase_add_test(t, test_feed_list_of_nothing);
  tcase_add_test(
      t, test_feed_list_page_begins_with_the_last_row_of_the_one_before);
  tcase_add_test(t, test_feed_list_ends_with_a_page_of_nothing_new);
  tcase_add_test(t, test_feed_list_goes_on_behind_a_row_that_is_gone);
  tcase_add_test(t, test_feed_list_page_may_be_longer_than_asked_for);
  tcase_add_test(t, test_feed_list_range_goes_along_with_each_page);
  tcase_add_test(t, test_feed_list_asks_for_documents_and_what_belongs_to_them);
  tcase_add_test(t, test_feed_list_limit_ends_within_a_page_and_behind_one);
  tcase_add_test(t, test_feed_list_of_ids_is_asked_for_at_once);
  tcase_add_test(t, test_feed_list_of_ids_goes_on_after_a_cut);
  tcase_add_test(t, test_feed_list_goes_on_behind_the_last_row_after_a_cut);
  tcase_add_test(t, test_feed_list_is_not_over_with_an_error);
  tcase_add_test(t, test_feed_list_starts_anew_after_a_reset);
  tcase_add_test(t, test_feed_list_id_is_no_position);
  tcase_add_test(t, test_feed_list_out_of_order_is_a_fault);
  tcase_add_test(t, test_feed_list_that_ignores_startkey_is_a_fault);
  tcase_add_test(t, test_feed_list_out_of_its_range_is_a_fault);
  tcase_add_test(t, test_feed_list_of_a_server_without_order_costs_little);
  tcase_add_test(t, test_feed_list_errors_name_what_was_asked_for);
  tcase_add_test(t, test_feed_list_later_brings_the_same_row_again);
  tcase_add_test(t, test_feed_list_acknowledged_row_by_row);
  tcase_add_loop_test(t, test_feed_list_refuses_options_of_changes, 0,
                      (int)(sizeof refused / sizeof refused[0]));
  tcase_add_test(t, test_feed_list_misses_nothing_without_memory);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
