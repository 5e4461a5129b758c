/* A mirror gets in step with a database and stays so: by its list and by its
   changes, whatever is written while it reads, with what it tells on the way.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/mirror_in_couchsim.h"

static const int starts[] = {CHANGEFEED_START_LIST, CHANGEFEED_START_CHANGES};
static const int keeps[] = {CHANGEFEED_KEEP_REVS, CHANGEFEED_KEEP_DOCS,
                            CHANGEFEED_KEEP_VALUES};

/* ---- in step ---- */

START_TEST(test_mirror_gets_in_step_and_stays_so) {
  f.config.start = starts[_i % 2];
  f.config.keep = keeps[_i / 2];
  fill(0, 120);
  drop("d0007");
  write_doc("d0008", 100);
  write_doc("_design/x", 1);
  open_mirror();
  expect_synced();
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 120);
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 120);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
  write_doc("d0008", 101);
  write_doc("new", 1);
  drop("d0009");
  drop("new");
  write_doc("d0009", 2);
  write_doc("d0007", 2);
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 1);
  ck_assert_uint_eq(cft_mirrored_stats(&f).older, 0);
  ck_assert_uint_eq(cft_mirrored_stats(&f).asked, 0);
}
END_TEST

START_TEST(test_mirror_of_an_empty_database_is_empty) {
  f.config.start = starts[_i];
  open_mirror();
  expect_synced();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 0);
  expect_same();
  write_doc("first", 1);
  expect_same();
  drop("first");
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 1);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 1);
}
END_TEST

/* The past is not read where the list says all. */
START_TEST(test_mirror_by_its_list_reads_no_past) {
  json_t *log;
  size_t i, all_docs = 0;
  json_t *line;

  fill(0, 10);
  open_mirror();
  expect_synced();
  log = cft_couchsim_ask(sim, "log?since=0");
  json_array_foreach(json_object_get(log, "requests"), i, line) {
    const char *target = json_string_value(json_object_get(line, "target"));

    ck_assert_ptr_nonnull(target);
    ck_assert_ptr_null(strstr(target, "since=0"));
    all_docs += strstr(target, "_all_docs") != NULL;
  }
  json_decref(log);
  ck_assert_uint_eq(all_docs, 1);
}
END_TEST

/* ---- what is told ---- */

static void expect_told(size_t at, enum cft_told kind, const char *id) {
  ck_assert_uint_lt(at, f.told_count);
  ck_assert_int_eq((int)f.told[at].kind, (int)kind);
  if (id != NULL)
    ck_assert_str_eq(f.told[at].id, id);
}

START_TEST(test_mirror_tells_what_happens_in_order) {
  f.config.keep = keeps[_i];
  write_doc("a", 1);
  write_doc("b", 2);
  open_mirror();
  expect_synced();
  expect_told(0, CFT_TOLD_PUT, "a");
  expect_told(1, CFT_TOLD_PUT, "b");
  expect_told(2, CFT_TOLD_SYNCED, NULL);
  write_doc("b", 3);
  expect_same();
  expect_told(3, CFT_TOLD_PUT, "b");
  drop("b");
  expect_same();
  expect_told(4, CFT_TOLD_GONE, "b");
  ck_assert_str_eq(f.told[4].rev, f.told[3].rev);
  ck_assert_uint_eq(f.told_count, 5);
  ck_assert_int_eq(changefeed_mirror_stop(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_OVER, 1, PATIENCE_MS));
  ck_assert_int_eq(f.over_code, CHANGEFEED_OK);
}
END_TEST

static int content_of(const char *doc) {
  json_t *v = doc != NULL ? json_loads(doc, 0, NULL) : NULL;
  int n = v != NULL ? (int)json_integer_value(json_object_get(v, "n")) : -1;

  json_decref(v);
  return n;
}

START_TEST(test_mirror_keeps_documents_as_they_came) {
  changefeed_entry e;

  f.config.keep = CHANGEFEED_KEEP_DOCS;
  f.config.start = starts[_i];
  write_doc("a", 1);
  open_mirror();
  expect_synced();
  ck_assert_int_eq(content_of(f.told[0].doc), 1);
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "a", 1, &e), CHANGEFEED_OK);
  ck_assert_uint_eq(strlen(e.doc.data), e.doc.len);
  ck_assert_int_eq(content_of(e.doc.data), 1);
  ck_assert_ptr_null(e.value);
  write_doc("a", 2);
  expect_same();
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "a", 1, &e), CHANGEFEED_OK);
  ck_assert_int_eq(content_of(e.doc.data), 2);
  ck_assert_ptr_nonnull(strstr(e.doc.data, e.rev.data));
}
END_TEST

START_TEST(test_mirror_without_documents_has_none) {
  changefeed_entry e;

  f.config.keep = _i == 0 ? CHANGEFEED_KEEP_REVS : CHANGEFEED_KEEP_VALUES;
  write_doc("a", 1);
  open_mirror();
  expect_synced();
  ck_assert_ptr_null(f.told[0].doc);
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "a", 1, &e), CHANGEFEED_OK);
  ck_assert_ptr_null(e.doc.data);
  ck_assert_int_eq(changefeed_mirror_get(f.mirror, "b", 1, &e), CHANGEFEED_END);
}
END_TEST

/* ---- values ---- */

static cft_made *value_of(const char *id) {
  changefeed_entry e;

  ck_assert_int_eq(changefeed_mirror_get(f.mirror, id, strlen(id), &e),
                   CHANGEFEED_OK);
  return e.value;
}

START_TEST(test_mirror_value_is_what_on_put_made_of_the_document) {
  f.config.keep = CHANGEFEED_KEEP_VALUES;
  f.config.start = starts[_i];
  write_doc("a", 7);
  cft_mirrored_open(&f, NULL, url, "include_docs", "1", NULL);
  expect_synced();
  ck_assert_str_eq(value_of("a")->rev, cft_mirrored_rev(&f, "a"));
  ck_assert_int_eq(content_of(value_of("a")->doc), 7);
}
END_TEST

START_TEST(test_mirror_value_that_is_replaced_is_freed) {
  cft_made *first, *second;

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  write_doc("a", 1);
  open_mirror();
  expect_synced();
  first = value_of("a");
  write_doc("a", 2);
  expect_same();
  second = value_of("a");
  ck_assert(first != second);
  ck_assert(f.told[f.told_count - 1].value == first);
  ck_assert_str_eq(second->rev, cft_mirrored_rev(&f, "a"));
  write_doc("b", 1); /* the next version: nobody can see the one before */
  expect_same();
  ck_assert_uint_eq(first->freed, 1);
  ck_assert_uint_eq(second->freed, 0);
  drop("a");
  expect_same();
  ck_assert(f.told[f.told_count - 1].value == second);
  write_doc("c", 1);
  expect_same();
  ck_assert_uint_eq(second->freed, 1);
}
END_TEST

START_TEST(test_mirror_value_that_is_kept_is_not_freed) {
  cft_made *first;

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  f.keep_values = true;
  write_doc("a", 1);
  open_mirror();
  expect_synced();
  first = value_of("a");
  for (int i = 2; i < 6; i++) {
    write_doc("a", i);
    expect_same();
    ck_assert(value_of("a") == first);
  }
  ck_assert_uint_eq(first->freed, 0);
  ck_assert_uint_eq(f.made_count, 1);
  cft_mirrored_close(&f);
  ck_assert_uint_eq(first->freed, 1);
}
END_TEST

START_TEST(test_mirror_view_keeps_the_value_of_a_document_that_is_gone) {
  const changefeed_view *view;
  changefeed_entry e;
  cft_made *first;

  f.config.keep = CHANGEFEED_KEEP_VALUES;
  write_doc("a", 1);
  write_doc("b", 1);
  open_mirror();
  expect_synced();
  first = value_of("a");
  view = changefeed_mirror_view(f.mirror);
  drop("a");
  expect_same();
  for (int i = 0; i < 5; i++) {
    write_doc("b", i);
    expect_same();
  }
  ck_assert_uint_eq(first->freed, 0);
  ck_assert_int_eq(changefeed_view_get(view, "a", 1, &e), CHANGEFEED_OK);
  ck_assert(e.value == first);
  ck_assert_uint_eq(changefeed_view_count(view), 2);
  changefeed_view_release(view);
  write_doc("b", 9);
  expect_same();
  ck_assert_uint_eq(first->freed, 1);
}
END_TEST

/* ---- while it reads ---- */

typedef struct churn {
  unsigned puts, turn;
} churn;

/* Documents before, at and behind the place of the list come, change and go. */
static int stir(cft_mirrored *m, enum cft_told kind,
                const changefeed_entry *entry) {
  churn *c = m->user;
  char id[16];
  unsigned at;

  (void)entry;
  if (kind != CFT_TOLD_PUT || ++c->puts % 9 != 0 || c->turn >= 24)
    return CHANGEFEED_CONTINUE;
  at = (c->turn++ * 37) % 200;
  (void)snprintf(id, sizeof id, "d%04u", at);
  write_doc(id, 1000 + (int)at);
  (void)snprintf(id, sizeof id, "d%04u", (at + 50) % 200);
  write_doc(id, 2000);
  drop(id);
  (void)snprintf(id, sizeof id, "e%04u", (at * 7) % 200);
  write_doc(id, 1);
  (void)snprintf(id, sizeof id, "c%04u", (at * 3) % 200);
  write_doc(id, 1);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_mirror_reads_a_list_that_changes) {
  static const char *const pages[] = {"1", "3", "10", "1000"};
  churn c = {0, 0};

  f.config.keep = keeps[_i % 3];
  f.on_told = stir;
  f.user = &c;
  fill(0, 200);
  cft_mirrored_open(&f, NULL, url, "page_rows", pages[_i], NULL);
  expect_synced();
  ck_assert_uint_ge(c.turn, 20);
  expect_same();
}
END_TEST

START_TEST(test_mirror_reads_changes_that_go_on) {
  churn c = {0, 0};

  f.config.start = CHANGEFEED_START_CHANGES;
  f.on_told = stir;
  f.user = &c;
  fill(0, 200);
  open_mirror();
  expect_synced();
  expect_same();
}
END_TEST

/* Deleted when the list has told of it, or before it does: it is gone. */
static int delete_some(cft_mirrored *m, enum cft_told kind,
                       const changefeed_entry *entry) {
  (void)m;
  if (kind == CFT_TOLD_PUT && strcmp(entry->id.data, "d0010") == 0) {
    drop("d0005");
    drop("d0010");
    drop("d0011");
    drop("d0030");
  }
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_mirror_forgets_what_is_deleted_while_it_lists) {
  static const char *const pages[] = {"1", "4", "11", "1000"};
  bool deleted;

  fill(0, 40);
  f.on_told = delete_some;
  cft_mirrored_open(&f, NULL, url, "page_rows", pages[_i], NULL);
  expect_synced();
  expect_same();
  ck_assert_uint_eq(cft_mirrored_documents(&f), 36);
  ck_assert(cft_revs_get(f.there, "d0005", &deleted) != NULL && deleted);
  ck_assert(cft_revs_get(f.there, "d0010", &deleted) != NULL && deleted);
}
END_TEST

static bool is_listing(void *user) {
  (void)user;
  return cft_couchsim_count(sim, "all_docs") != 0;
}

/* Its rows were read from the disk before what the feed has told since. */
START_TEST(test_mirror_is_not_misled_by_a_list_that_comes_late) {
  fill(0, 40);
  cft_couchsim_rule(sim, "{\"kind\":\"all_docs\",\"times\":1,"
                         "\"do\":{\"head_ms\":500}}");
  open_mirror();
  ck_assert(cft_loop_until(f.loop, is_listing, NULL, PATIENCE_MS));
  drop("d0003");
  drop("d0007");
  write_doc("d0009", 100);
  write_doc("d0011", 100);
  drop("d0011");
  write_doc("new", 1);
  write_doc("short", 1);
  drop("short");
  cft_loop_for(f.loop, 100);
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 0);
  expect_synced();
  ck_assert_str_eq(cft_mirrored_rev(&f, "d0003"), "");
  ck_assert_str_eq(cft_mirrored_rev(&f, "d0011"), "");
  ck_assert_uint_eq(cft_mirrored_documents(&f), 38);
  expect_same();
}
END_TEST

/* ---- readers ---- */

START_TEST(test_mirror_view_stays_as_it_is) {
  const changefeed_view *before, *now;
  changefeed_entry e;

  fill(0, 50);
  open_mirror();
  before = changefeed_mirror_view(f.mirror);
  ck_assert_uint_eq(changefeed_view_count(before), 0);
  changefeed_view_release(before);
  expect_synced();
  before = changefeed_mirror_view(f.mirror);
  drop("d0001");
  write_doc("d0002", 5);
  write_doc("x", 5);
  expect_same();
  now = changefeed_mirror_view(f.mirror);
  ck_assert_int_eq(changefeed_view_get(before, "d0001", 5, &e), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_view_get(before, "d0002", 5, &e), CHANGEFEED_OK);
  ck_assert_int_eq(strncmp(e.rev.data, "1-", 2), 0);
  ck_assert_int_eq(changefeed_view_get(before, "x", 1, &e), CHANGEFEED_END);
  ck_assert_int_eq(changefeed_view_get(now, "d0001", 5, &e), CHANGEFEED_END);
  ck_assert_int_eq(changefeed_view_get(now, "d0002", 5, &e), CHANGEFEED_OK);
  ck_assert_int_eq(strncmp(e.rev.data, "2-", 2), 0);
  changefeed_view_release(before);
  changefeed_view_release(now);
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror sync");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_gets_in_step_and_stays_so, 0, 6);
  tcase_add_loop_test(t, test_mirror_of_an_empty_database_is_empty, 0, 2);
  tcase_add_test(t, test_mirror_by_its_list_reads_no_past);
  tcase_add_loop_test(t, test_mirror_tells_what_happens_in_order, 0, 3);
  tcase_add_loop_test(t, test_mirror_keeps_documents_as_they_came, 0, 2);
  tcase_add_loop_test(t, test_mirror_without_documents_has_none, 0, 2);
  tcase_add_loop_test(t, test_mirror_value_is_what_on_put_made_of_the_document,
                      0, 2);
  tcase_add_test(t, test_mirror_value_that_is_replaced_is_freed);
  tcase_add_test(t, test_mirror_value_that_is_kept_is_not_freed);
  tcase_add_test(t,
                 test_mirror_view_keeps_the_value_of_a_document_that_is_gone);
  tcase_add_loop_test(t, test_mirror_reads_a_list_that_changes, 0, 4);
  tcase_add_test(t, test_mirror_reads_changes_that_go_on);
  tcase_add_loop_test(t, test_mirror_forgets_what_is_deleted_while_it_lists, 0,
                      4);
  tcase_add_test(t, test_mirror_is_not_misled_by_a_list_that_comes_late);
  tcase_add_test(t, test_mirror_view_stays_as_it_is);
  suite_add_tcase(s, t);
  return cft_run(s);
}
