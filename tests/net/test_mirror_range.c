/* What a mirror holds of a database: ids from and to, by their bytes; ids that
   begin so; what a filter lets through. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/mirror_in_couchsim.h"

static const int starts[] = {CHANGEFEED_START_LIST, CHANGEFEED_START_CHANGES};

/* In the order of their bytes, which is CouchDB's order of ids, too. */
static const char *const ids[] = {" ",
                                  "A",
                                  "_design/x",
                                  "a",
                                  "aa",
                                  "a\xc3\xa9",
                                  "a\xc3\xa9\xc3\xa9",
                                  "a\xc3\xaa",
                                  "a\xed\x9f\xbf",     /* U+D7FF */
                                  "a\xed\x9f\xbfx",    /* and more */
                                  "a\xee\x80\x80",     /* U+E000 */
                                  "a\xf0\x9f\x98\x80", /* U+1F600 */
                                  "a\xf4\x8f\xbf\xbf", /* U+10FFFF */
                                  "a\xf4\x8f\xbf\xbfz",
                                  "b",
                                  "b\xf4\x8f\xbf\xbf",
                                  "z",
                                  "\xf4\x8f\xbf\xbf",
                                  "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
                                  "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbfz"};
enum { IDS = sizeof ids / sizeof *ids };

static void write_ids(int n) {
  for (size_t i = 0; i < IDS; i++)
    write_doc(ids[i], n);
}

typedef struct bounds {
  const char *from, *to, *prefix;
  uint64_t documents;
} bounds;

static const bounds ranges[] = {
    {NULL, NULL, "a", 11},
    {NULL, NULL, "a\xc3\xa9", 2},
    {NULL, NULL, "a\xed\x9f\xbf", 2},
    {NULL, NULL, "a\xf4\x8f\xbf\xbf", 2},
    {NULL, NULL, "\xf4\x8f\xbf\xbf", 3},
    {NULL, NULL, "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf", 2},
    {NULL, NULL, "_design/", 1},
    {NULL, NULL, "nothing", 0},
    {NULL, NULL, "", IDS},
    {"a", NULL, NULL, 17},
    {NULL, "a", NULL, 3},
    {"a", "b", NULL, 11},
    {"a\xc3\xa9", "a\xee\x80\x80", NULL, 5},
    {"a\xc3\xa9", "a\xc3\xa9", NULL, 0},
    {"c", "y", NULL, 0},
    {"\xf4\x8f\xbf\xbf", NULL, NULL, 3},
    {"", NULL, NULL, IDS},
};
enum { RANGES = sizeof ranges / sizeof *ranges };

START_TEST(test_mirror_holds_a_range_of_ids) {
  const bounds *b = &ranges[_i];

  write_ids(1);
  for (int start = 0; start < 2; start++) {
    f.config.start = starts[start];
    f.config.from = b->from;
    f.config.to = b->to;
    f.config.prefix = b->prefix;
    cft_mirrored_open(&f, NULL, url, "page_rows", "2", NULL);
    expect_synced();
    ck_assert_uint_eq(cft_mirrored_documents(&f), b->documents);
    expect_same();
    write_ids(2);
    expect_same();
    ck_assert_uint_eq(cft_mirrored_documents(&f), b->documents);
    ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
    cft_mirrored_clear(&f);
  }
}
END_TEST

START_TEST(test_mirror_of_a_range_sees_documents_come_and_go) {
  f.config.prefix = "a";
  write_ids(1);
  open_mirror();
  expect_synced();
  drop("aa");
  drop("A");
  write_doc("ab", 1);
  write_doc("B", 1);
  expect_same();
  write_doc("aa", 1);
  drop("ab");
  drop("B");
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 2);
}
END_TEST

START_TEST(test_mirror_lists_no_more_than_its_range) {
  json_t *log, *line;
  size_t i;
  bool seen = false;

  f.config.prefix = "a\xc3\xa9";
  write_ids(1);
  open_mirror();
  expect_synced();
  log = cft_couchsim_ask(sim, "log?since=0");
  json_array_foreach(json_object_get(log, "requests"), i, line) {
    const char *target = json_string_value(json_object_get(line, "target"));

    if (strstr(target, "_all_docs?") == NULL)
      continue;
    ck_assert_msg(strstr(target, "startkey=%22a%C3%A9%22") != NULL &&
                      strstr(target, "endkey=%22a%C3%AA%22") != NULL,
                  "%s", target);
    seen = true;
  }
  ck_assert(seen);
  json_decref(log);
}
END_TEST

/* ---- filters ---- */

static void write_typed(const char *id, const char *type) {
  json_t *v = NULL;
  char path[64];
  int status;

  (void)snprintf(path, sizeof path, "/db/%s", id);
  status = cft_couchsim_do(sim, 0, "GET", path, NULL, &v);
  if (status == 200)
    (void)snprintf(path, sizeof path, "/db/%s?rev=%s", id,
                   json_string_value(json_object_get(v, "_rev")));
  json_decref(v);
  cft_couchsim_must(sim, 201, "PUT", path, "{\"type\":\"%s\"}", type);
}

static void write_filter(void) {
  cft_couchsim_must(sim, 201, "PUT", "/db/_design/x",
                    "{\"filters\":{\"typed\":\"function(doc,req){return "
                    "doc.type==req.query.type;}\"}}");
}

static void open_filtered(int how) {
  switch (how) {
  case 0:
    cft_mirrored_open(&f, NULL, url, "doc_ids", "[\"a1\",\"a2\",\"a9\"]", NULL);
    break;
  case 1:
    cft_mirrored_open(&f, NULL, url, "selector", "{\"type\":\"a\"}", NULL);
    break;
  default:
    cft_mirrored_open(&f, NULL, url, "filter", "x/typed", "query", "type=a",
                      NULL);
  }
}

static bool has_documents(void *count) {
  return cft_mirrored_documents(&f) == *(const uint64_t *)count;
}

static void expect_documents(uint64_t count) {
  ck_assert_msg(cft_loop_until(f.loop, has_documents, &count, PATIENCE_MS),
                "%llu documents, not %llu",
                (unsigned long long)cft_mirrored_documents(&f),
                (unsigned long long)count);
}

static void prepare_filtered(void) {
  write_filter();
  write_typed("a1", "a");
  write_typed("a2", "a");
  write_typed("b1", "b");
  write_typed("b2", "b");
}

START_TEST(test_mirror_of_a_filter_holds_what_it_lets_through) {
  prepare_filtered();
  open_filtered(_i);
  expect_synced();
  expect_documents(2);
  ck_assert_uint_eq(cft_couchsim_count(sim, "all_docs"), 0);
  write_typed("a9", "a");
  write_typed("b9", "b");
  expect_documents(3);
  write_typed("a1", "a");
  expect_rev("b9", "");
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror),
                   CHANGEFEED_ERR_UNSUPPORTED);
}
END_TEST

/* Deletions pass doc_ids; a selector and a function see the tombstone. */
START_TEST(test_mirror_of_ids_sees_them_go) {
  prepare_filtered();
  open_filtered(0);
  expect_synced();
  drop("a2");
  expect_documents(1);
  drop("b1");
  drop("a1");
  expect_documents(0);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 2);
}
END_TEST

/* It leaves without a row, as with CouchDB: what the manual says of filters. */
START_TEST(test_mirror_of_a_filter_does_not_see_documents_leave) {
  prepare_filtered();
  open_filtered(1);
  expect_synced();
  write_typed("a1", "b");
  write_typed("b1", "a");
  expect_documents(3);
  ck_assert_int_eq(strncmp(cft_mirrored_rev(&f, "a1"), "1-", 2), 0);
  ck_assert_int_eq(strncmp(cft_mirrored_rev(&f, "b1"), "2-", 2), 0);
}
END_TEST

START_TEST(test_mirror_cannot_list_with_a_filter) {
  char why[256];

  f.config.start = CHANGEFEED_START_LIST;
  ck_assert_int_eq(
      cft_mirrored_try(&f, NULL, why, sizeof why, url, "selector", "{}", NULL),
      CHANGEFEED_ERR_OPTION);
  ck_assert_ptr_nonnull(strstr(why, "CHANGEFEED_START_CHANGES"));
}
END_TEST

/* ---- what is refused ---- */

typedef struct refusal {
  const char *option, *value;
  bounds range;
  int keep, start;
  int64_t stale_ms;
  int code;
  const char *says;
} refusal;

#define NO_RANGE                                                               \
  { NULL, NULL, NULL, 0 }

static const refusal refusals[] = {
    {"since", "now", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION, "since"},
    {"mode", "once", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION, "mode"},
    {"checkpoint", "couch", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION,
     "checkpoint"},
    {"startkey", "a", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION, "startkey"},
    {"limit", "7", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION, "limit"},
    {"include_docs", "1", NO_RANGE, 0, 0, 0, CHANGEFEED_ERR_OPTION,
     "include_docs"},
    {NULL, NULL, {"a", NULL, "a", 0}, 0, 0, 0, CHANGEFEED_ERR_OPTION, "prefix"},
    {NULL, NULL, {NULL, "a", "a", 0}, 0, 0, 0, CHANGEFEED_ERR_OPTION, "prefix"},
    {NULL, NULL, {"b", "a", NULL, 0}, 0, 0, 0, CHANGEFEED_ERR_OPTION, "from"},
    {NULL,
     NULL,
     {"\xff", NULL, NULL, 0},
     0,
     0,
     0,
     CHANGEFEED_ERR_OPTION,
     "UTF-8"},
    {NULL,
     NULL,
     {NULL, NULL, "\xed\xa0\x80", 0},
     0,
     0,
     0,
     CHANGEFEED_ERR_OPTION,
     "UTF-8"},
    {NULL, NULL, NO_RANGE, 3, 0, 0, CHANGEFEED_ERR_RANGE, "keep"},
    {NULL, NULL, NO_RANGE, -1, 0, 0, CHANGEFEED_ERR_RANGE, "keep"},
    {NULL, NULL, NO_RANGE, 0, 3, 0, CHANGEFEED_ERR_RANGE, "start"},
    {NULL, NULL, NO_RANGE, 0, 0, -1, CHANGEFEED_ERR_RANGE, "negative"},
};

START_TEST(test_mirror_refuses_what_it_cannot_do) {
  const refusal *r = &refusals[_i];
  char why[256];

  f.config.keep = r->keep;
  f.config.start = r->start;
  f.config.from = r->range.from;
  f.config.to = r->range.to;
  f.config.prefix = r->range.prefix;
  f.config.stale_ms = r->stale_ms;
  ck_assert_int_eq(cft_mirrored_try(&f, NULL, why, sizeof why, url, r->option,
                                    r->value, NULL),
                   r->code);
  ck_assert_msg(strstr(why, r->says) != NULL, "\"%s\" names no %s", why,
                r->says);
}
END_TEST

START_TEST(test_mirror_refuses_db_updates) {
  char why[256], updates[256];

  (void)snprintf(updates, sizeof updates, "%s/_db_updates",
                 cft_couchsim_url(sim, 0));
  ck_assert_int_eq(cft_mirrored_try(&f, NULL, why, sizeof why, updates, NULL),
                   CHANGEFEED_ERR_UNSUPPORTED);
  ck_assert_ptr_nonnull(strstr(why, "_db_updates"));
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror range");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_holds_a_range_of_ids, 0, RANGES);
  tcase_add_test(t, test_mirror_of_a_range_sees_documents_come_and_go);
  tcase_add_test(t, test_mirror_lists_no_more_than_its_range);
  tcase_add_loop_test(t, test_mirror_of_a_filter_holds_what_it_lets_through, 0,
                      3);
  tcase_add_test(t, test_mirror_of_ids_sees_them_go);
  tcase_add_test(t, test_mirror_of_a_filter_does_not_see_documents_leave);
  tcase_add_test(t, test_mirror_cannot_list_with_a_filter);
  tcase_add_loop_test(t, test_mirror_refuses_what_it_cannot_do, 0,
                      sizeof refusals / sizeof *refusals);
  tcase_add_test(t, test_mirror_refuses_db_updates);
  suite_add_tcase(s, t);
  return cft_run(s);
}
