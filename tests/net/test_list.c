/* source=all_docs over sockets: each document once, over pages of every size,
   in ranges and by ids, whatever is written or deleted meanwhile. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/list_in_couchsim.h"

#include "support/couch.h"

/* ---- pages ---- */

START_TEST(test_list_has_each_document_once_at_every_page_size) {
  static const char *const sizes[] = {"1", "2", "7", "10", "20", "21", "1000"};

  fill(0, 20);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    uint64_t before = cft_couchsim_count(sim, "all_docs");
    long size = strtol(sizes[i], NULL, 10);

    cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", sizes[i],
                    NULL);
    expect_ended();
    expect_filled(0, 0, 20);
    ck_assert_uint_eq(cft_couchsim_count(sim, "all_docs") - before,
                      20 / (unsigned long)size + 1);
    ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
    cft_follow_clear(&f);
  }
}
END_TEST

START_TEST(test_list_of_an_empty_database_ends) {
  cft_follow_open(&f, NULL, url, "source", "all_docs", NULL);
  expect_ended();
  ck_assert_uint_eq(f.offered, 0);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_LIVE), 0);
}
END_TEST

/* In the order of their bytes. */
static const char *const odd_ids[] = {"\x01\x1f",
                                      " ",
                                      "\"quoted\"",
                                      "%2F",
                                      "+",
                                      "A",
                                      "\\back\\slash",
                                      "_design/a/b",
                                      "_design/x",
                                      "a b",
                                      "a&b=c?d#e",
                                      "a/b",
                                      "a/b/c",
                                      "z",
                                      "\x7f",
                                      "\xc3\xa9",
                                      "\xe2\x98\x83",
                                      "\xef\xbf\xbd",
                                      "\xf0\x9f\x98\x80"};
enum { ODD = sizeof odd_ids / sizeof odd_ids[0] };

START_TEST(test_list_has_documents_of_all_names) {
  char page[16];

  for (size_t i = 0; i < ODD; i++)
    put(odd_ids[i]);
  for (int size = 1; size < 4; size++) {
    (void)snprintf(page, sizeof page, "%d", size);
    cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", page,
                    NULL);
    expect_ended();
    expect_ids(odd_ids, ODD);
    cft_follow_clear(&f);
  }
}
END_TEST

/* ---- ranges ---- */

START_TEST(test_list_of_a_range) {
  static const struct {
    const char *start, *end, *inclusive;
    unsigned from, to;
  } ranges[] = {{"d05", "d08", "1", 5, 9},  {"d05", "d08", "0", 5, 8},
                {"d05", "d05", "1", 5, 6},  {"d05", "d05", "0", 0, 0},
                {"d04~", "d08", "1", 5, 9}, {"e", "f", "1", 0, 0},
                {"", "d02", "1", 0, 3},     {"d18", "", "1", 18, 20},
                {"d18", "", "0", 18, 20},   {"d0", "d1", "1", 0, 10}};

  fill(0, 20);
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    for (int size = 1; size < 5; size++) {
      char page[16];

      (void)snprintf(page, sizeof page, "%d", size);
      cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", page,
                      "startkey", ranges[i].start, "endkey", ranges[i].end,
                      "inclusive_end", ranges[i].inclusive, NULL);
      expect_ended();
      expect_filled(0, ranges[i].from, ranges[i].to);
      cft_follow_clear(&f);
    }
}
END_TEST

START_TEST(test_list_ends_at_its_limit) {
  static const char *const limits[] = {"1", "4", "5", "6", "19", "20", "21"};

  fill(0, 20);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    unsigned limit = (unsigned)strtol(limits[i], NULL, 10);

    cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5",
                    "limit", limits[i], NULL);
    expect_ended();
    expect_filled(0, 0, limit < 20 ? limit : 20);
    cft_follow_clear(&f);
  }
}
END_TEST

/* ---- documents ---- */

static int has_its_doc(cft_follow *follow, const changefeed_change *change) {
  json_t *doc = json_loadb(change->doc.data, change->doc.len, 0, NULL);

  (void)follow;
  ck_assert_str_eq(json_string_value(json_object_get(doc, "_id")),
                   change->id.data);
  ck_assert_str_eq(json_string_value(json_object_get(doc, "_rev")),
                   change->revs[0].data);
  ck_assert(json_is_integer(json_object_get(doc, "n")));
  ck_assert_uint_eq(change->flags, CHANGEFEED_DOC);
  json_decref(doc);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_brings_documents_along) {
  fill(0, 20);
  f.on_row = has_its_doc;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "3",
                  "include_docs", "1", NULL);
  expect_ended();
  expect_filled(0, 0, 20);
}
END_TEST

START_TEST(test_list_of_ids_tells_of_each) {
  static const char *const wanted[] = {"d03",       "gone", "d01",
                                       "never/was", "d03",  "\"\\\xc3\xa9"};

  fill(0, 5);
  put("gone");
  put("\"\\\xc3\xa9");
  drop("gone");
  cft_follow_open(&f, NULL, url, "source", "all_docs", "doc_ids",
                  "[\"d03\",\"gone\",\"d01\",\"never/was\",\"d03\","
                  "\"\\\"\\\\\\u00e9\"]",
                  "include_docs", "1", NULL);
  expect_ended();
  expect_ids(wanted, 6);
  ck_assert_uint_eq(f.rows[0].flags, CHANGEFEED_DOC);
  ck_assert_uint_eq(f.rows[1].flags, CHANGEFEED_DELETED);
  ck_assert_int_eq(strncmp(f.rows[1].rev, "2-", 2), 0);
  ck_assert_uint_eq(f.rows[3].flags, CHANGEFEED_ROW_ERROR);
  ck_assert_ptr_null(f.rows[3].rev);
  ck_assert_uint_eq(cft_couchsim_count(sim, "all_docs"), 1);
}
END_TEST

START_TEST(test_list_of_no_ids_ends) {
  fill(0, 5);
  cft_follow_open(&f, NULL, url, "source", "all_docs", "doc_ids", "[]", NULL);
  expect_ended();
  ck_assert_uint_eq(f.offered, 0);
}
END_TEST

/* ---- what happens meanwhile ---- */

/* The last row of a page is deleted before the next is asked for, and documents
   before and behind it come and go. */
static int churn(cft_follow *follow, const changefeed_change *change) {
  (void)follow;
  if (strcmp(change->id.data, "d04") == 0) {
    drop("d04");
    drop("d02");
    drop("d07");
    put("d03a");
    put("d04a");
    put("d08a");
  }
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_goes_on_while_documents_come_and_go) {
  static const char *const wanted[] = {"d00",  "d01", "d02", "d03", "d04",
                                       "d04a", "d05", "d06", "d08", "d08a",
                                       "d09",  "d10", "d11"};

  fill(0, 12);
  f.on_row = churn;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5", NULL);
  expect_ended();
  expect_ids(wanted, sizeof wanted / sizeof wanted[0]);
}
END_TEST

/* Each page's last row is deleted, so that none is ever met again. */
static int drop_each_fifth(cft_follow *follow,
                           const changefeed_change *change) {
  (void)follow;
  if (change->ordinal % 5 == 0)
    drop(change->id.data);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_goes_on_when_each_place_is_gone) {
  fill(0, 60);
  f.on_row = drop_each_fifth;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5", NULL);
  expect_ended();
  expect_filled(0, 0, 60);
}
END_TEST

static int recreate_once(cft_follow *follow, const changefeed_change *change) {
  (void)follow;
  if (change->ordinal == 5) {
    cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
    fill(2, 9);
  }
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_of_a_database_made_anew_begins_again) {
  fill(0, 20);
  f.on_row = recreate_once;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5", NULL);
  expect_ended();
  ck_assert_uint_eq(cft_follow_stats(&f).resets, 1);
  expect_filled(5, 2, 9);
  for (unsigned i = 0; i < 5; i++)
    ck_assert_int_eq(f.rows[i].id[2], '0' + (char)i);
}
END_TEST

/* ---- ways to read ---- */

START_TEST(test_list_is_pulled_row_by_row) {
  const changefeed_change *change;
  unsigned n = 0;

  fill(0, 20);
  f.pull = true;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "7", NULL);
  while (changefeed_next(f.feed, PATIENCE_MS, &change) == CHANGEFEED_OK) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%02u", n++);
    ck_assert_str_eq(change->id.data, id);
  }
  ck_assert_uint_eq(n, 20);
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_ENDED);
}
END_TEST

START_TEST(test_list_is_read_in_batches) {
  fill(0, 20);
  f.batch = true;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "7",
                  "batch_max", "3", NULL);
  expect_ended();
  expect_filled(0, 0, 20);
}
END_TEST

typedef struct pausing {
  unsigned asked[32], pauses, seen;
} pausing;

static int later_at_each_third(cft_follow *follow,
                               const changefeed_change *change) {
  pausing *p = follow->user;

  if (change->ordinal % 3 != 0 || p->asked[change->ordinal]++ != 0)
    return CHANGEFEED_CONTINUE;
  p->pauses++;
  return CHANGEFEED_LATER;
}

static bool pauses_or_ends(void *user) {
  const pausing *p = user;

  return p->pauses != p->seen || cft_follow_is_over(&f);
}

START_TEST(test_list_pauses_and_goes_on) {
  pausing p = {.pauses = 0};

  fill(0, 20);
  f.on_row = later_at_each_third;
  f.user = &p;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "3", NULL);
  for (; cft_loop_until(f.loop, pauses_or_ends, &p, PATIENCE_MS) &&
         !cft_follow_is_over(&f);
       p.seen = p.pauses) {
    uint64_t offered = f.offered;

    cft_loop_for(f.loop, 20);
    ck_assert_uint_eq(f.offered, offered);
    ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_PAUSED);
    ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  }
  expect_ended();
  expect_filled(0, 0, 20);
  ck_assert_uint_eq(p.pauses, 6);
}
END_TEST

START_TEST(test_list_waits_for_acknowledgements) {
  fill(0, 20);
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "3",
                  "auto_ack", "0", "max_unacked", "4", NULL);
  for (uint64_t at = 4; at < 20; at += 4) {
    ck_assert(cft_follow_until_rows(&f, at, PATIENCE_MS));
    cft_loop_for(f.loop, 20);
    ck_assert_uint_eq(f.taken, at);
    ck_assert_int_eq(changefeed_ack(f.feed, at), CHANGEFEED_OK);
  }
  expect_ended();
  expect_filled(0, 0, 20);
}
END_TEST

/* ---- another server ---- */

START_TEST(test_list_of_a_pouchdb) {
  cft_couch *couch = cft_couch_start(NULL);
  const char *db = cft_couch_database(couch, "list");
  char path[512];

  (void)snprintf(path, sizeof path, "%s/_bulk_docs", db);
  ck_assert_int_eq(cft_http("POST", path,
                            "{\"docs\":[{\"_id\":\"b\"},{\"_id\":\"a\\\"\"},"
                            "{\"_id\":\"a/b\"},{\"_id\":\"\\u00e9\"},"
                            "{\"_id\":\"B\"},{\"_id\":\"gone\","
                            "\"_deleted\":true}]}",
                            NULL),
                   201);
  for (int size = 1; size < 7; size++) {
    static const char *const wanted[] = {"B", "a\"", "a/b", "b", "\xc3\xa9"};
    char page[16];

    (void)snprintf(page, sizeof page, "%d", size);
    cft_follow_open(&f, NULL, db, "source", "all_docs", "page_rows", page,
                    NULL);
    expect_ended();
    expect_ids(wanted, 5);
    cft_follow_clear(&f);
  }
  cft_couch_stop(couch);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("list");
  TCase *t = tcase_create("list");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, test_list_has_each_document_once_at_every_page_size);
  tcase_add_test(t, test_list_of_an_empty_database_ends);
  tcase_add_test(t, test_list_has_documents_of_all_names);
  tcase_add_test(t, test_list_of_a_range);
  tcase_add_test(t, test_list_ends_at_its_limit);
  tcase_add_test(t, test_list_brings_documents_along);
  tcase_add_test(t, test_list_of_ids_tells_of_each);
  tcase_add_test(t, test_list_of_no_ids_ends);
  tcase_add_test(t, test_list_goes_on_while_documents_come_and_go);
  tcase_add_test(t, test_list_goes_on_when_each_place_is_gone);
  tcase_add_test(t, test_list_of_a_database_made_anew_begins_again);
  tcase_add_test(t, test_list_is_pulled_row_by_row);
  tcase_add_test(t, test_list_is_read_in_batches);
  tcase_add_test(t, test_list_pauses_and_goes_on);
  tcase_add_test(t, test_list_waits_for_acknowledgements);
  tcase_add_test(t, test_list_of_a_pouchdb);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
