/* The audit: it finds what differs, and that only, puts it right, and tells.
   The table is tampered with from inside, as no way of a row's is known that
   would do it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mirror_state.h"
#include "net/mirror_in_couchsim.h"

enum { MANY = 1000 };

static changefeed_str text_of(const char *s) {
  return (changefeed_str){s, strlen(s)};
}

/* Behind the mirror's back: rev NULL takes it out. */
static void tamper(const char *id, const char *rev) {
  cfi_tree *tree = f.mirror->tree;
  cfi_value *v = NULL;

  if (rev == NULL) {
    ck_assert_int_eq((int)cfi_tree_remove(tree, text_of(id)), CFI_TREE_REMOVED);
  } else {
    if (f.config.keep != CHANGEFEED_KEEP_REVS)
      v = cfi_value_new(f.mirror, (changefeed_str){NULL, 0});
    ck_assert_int_gt((int)cfi_tree_put(tree, text_of(id), text_of(rev), v), 0);
  }
  ck_assert(cfi_tree_publish(tree));
}

/* An audit is certain of what the feed was heard on, heartbeats included. */
static void open_beating(void) {
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", NULL);
}

static void audit(void) {
  uint64_t before = f.count[CFT_TOLD_AUDIT];

  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_ERR_STATE);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_AUDIT, before + 1, PATIENCE_MS));
}

static void expect_audit(uint64_t missing, uint64_t extra, uint64_t stale) {
  ck_assert_int_eq(f.audit.code, CHANGEFEED_OK);
  ck_assert_uint_eq(f.audit.missing, missing);
  ck_assert_uint_eq(f.audit.extra, extra);
  ck_assert_uint_eq(f.audit.stale, stale);
  ck_assert_uint_eq(f.audit.repaired, missing + extra + stale);
  ck_assert_uint_eq(f.audit.unsettled, 0);
}

static const cft_seen_told *difference(const char *id) {
  for (size_t i = 0; i < f.told_count; i++)
    if (f.told[i].kind == CFT_TOLD_DIFFERENCE && strcmp(f.told[i].id, id) == 0)
      return &f.told[i];
  return NULL;
}

START_TEST(test_mirror_audit_of_a_quiet_database_finds_nothing) {
  fill(0, 120);
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", "page_rows",
                    _i == 0 ? "7" : "1000", NULL);
  expect_synced();
  audit();
  expect_audit(0, 0, 0);
  ck_assert_int_eq(f.audit.quiet, 1);
  ck_assert_uint_eq(f.audit.documents, 120);
  ck_assert_uint_eq(f.audit.requests, 0);
  ck_assert_int_ge(f.audit.took_ms, 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_DIFFERENCE], 0);
  ck_assert_uint_eq(cft_mirrored_stats(&f).audits, 1);
  ck_assert_uint_eq(cft_mirrored_stats(&f).repairs, 0);
}
END_TEST

START_TEST(test_mirror_audit_of_an_empty_database_ends) {
  open_beating();
  expect_synced();
  audit();
  expect_audit(0, 0, 0);
  ck_assert_uint_eq(f.audit.documents, 0);
}
END_TEST

START_TEST(test_mirror_audit_finds_the_three_that_differ) {
  static const int keeps[] = {CHANGEFEED_KEEP_REVS, CHANGEFEED_KEEP_DOCS,
                              CHANGEFEED_KEEP_VALUES};
  char rev[128];

  f.config.keep = keeps[_i];
  fill(0, MANY);
  open_beating();
  expect_synced();
  (void)snprintf(rev, sizeof rev, "%s", cft_mirrored_rev(&f, "d0500"));
  tamper("d0123", NULL);
  tamper("d0500", "1-00000000000000000000000000000000");
  tamper("never", "1-967a00dff5e02add41819138abb3284d");
  cft_revs_put(f.there, "never", "", false); /* it is going to be gone */
  audit();
  expect_audit(1, 1, 1);
  ck_assert_int_eq(f.audit.quiet, 1);
  ck_assert_uint_eq(f.audit.documents, MANY);
  ck_assert_uint_eq(f.count[CFT_TOLD_DIFFERENCE], 3);
  ck_assert_ptr_null(difference("d0123")->rev);
  ck_assert_ptr_nonnull(difference("d0123")->served);
  ck_assert_str_eq(difference("d0500")->served, rev);
  ck_assert_str_eq(difference("d0500")->rev,
                   "1-00000000000000000000000000000000");
  ck_assert_ptr_null(difference("never")->served);
  ck_assert_uint_eq(cft_mirrored_stats(&f).repairs, 3);
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], MANY + 2);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 1);
  expect_same();
  audit();
  expect_audit(0, 0, 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_DIFFERENCE], 3);
}
END_TEST

START_TEST(test_mirror_audit_keeps_to_the_range) {
  f.config.prefix = "d001";
  fill(0, 100);
  open_beating();
  expect_synced();
  tamper("d0015", NULL);
  audit();
  expect_audit(1, 0, 0);
  ck_assert_uint_eq(f.audit.documents, 10);
  expect_same();
}
END_TEST

/* ---- while it is written to ---- */

typedef struct writing {
  int64_t next_ms;
  int n;
} writing;

static bool write_and_see(void *user) {
  writing *w = user;
  char id[16];

  if (cft_now_ms() >= w->next_ms && w->n < 400) {
    (void)snprintf(id, sizeof id, "d%04d", (w->n * 37) % 200);
    write_doc(id, 1000 + w->n);
    if (w->n % 5 == 0)
      drop(id);
    w->n++;
    w->next_ms = cft_now_ms() + 10;
  }
  return f.count[CFT_TOLD_AUDIT] == 1;
}

START_TEST(test_mirror_audit_of_a_busy_database_blames_nobody) {
  writing w = {0, 0};

  fill(0, 200);
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", "page_rows", "20",
                    NULL);
  expect_synced();
  cft_couchsim_rule(sim, "{\"kind\":\"all_docs\",\"do\":{\"delay_ms\":60}}");
  tamper("d0199", NULL); /* and one that is wrong in truth */
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_loop_until(f.loop, write_and_see, &w, PATIENCE_MS));
  ck_assert_int_gt(w.n, 10);
  ck_assert_int_eq(f.audit.quiet, 0);
  ck_assert_int_eq(f.audit.code, CHANGEFEED_OK);
  ck_assert_uint_le(f.count[CFT_TOLD_DIFFERENCE], 1);
  ck_assert_uint_eq(f.audit.unsettled, 0);
  cft_couchsim_no_rules(sim);
  expect_same();
}
END_TEST

/* The row takes longer than the first look at the document. */
START_TEST(test_mirror_audit_waits_for_what_is_under_way) {
  fill(0, 50);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"feed\":\"continuous\","
                         "\"do\":{\"slice\":40,\"slice_ms\":100}}");
  open_beating();
  expect_synced();
  write_doc("d0007", 7);
  write_doc("new", 7);
  audit();
  expect_audit(0, 0, 0);
  ck_assert_uint_ge(f.audit.requests, 1);
  ck_assert_uint_eq(f.count[CFT_TOLD_DIFFERENCE], 0);
  expect_same();
}
END_TEST

/* A feed that beats and tells nothing any more: no check of a socket sees it.
 */
START_TEST(test_mirror_audit_finds_what_the_feed_does_not_tell) {
  fill(0, 50);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"feed\":\"continuous\","
                         "\"do\":{\"stall_rows\":0,\"stall_beats\":true}}");
  open_beating();
  expect_synced();
  write_doc("d0007", 7);
  write_doc("new", 7);
  drop("d0008");
  cft_loop_for(f.loop, 300);
  ck_assert_str_eq(cft_mirrored_rev(&f, "new"), "");
  audit();
  expect_audit(1, 1, 1);
  expect_same();
}
END_TEST

START_TEST(test_mirror_audit_runs_by_itself) {
  f.config.audit_ms = 200;
  fill(0, 20);
  open_beating();
  expect_synced();
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_AUDIT, 1, PATIENCE_MS));
  expect_audit(0, 0, 0);
  tamper("d0003", NULL);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_DIFFERENCE, 1, PATIENCE_MS));
  expect_same();
  ck_assert_uint_ge(cft_mirrored_stats(&f).audits, 2);
}
END_TEST

/* ---- cut short ---- */

START_TEST(test_mirror_audit_ends_with_the_history) {
  fill(0, 100);
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", "page_rows", "10",
                    NULL);
  expect_synced();
  cft_couchsim_rule(sim, "{\"kind\":\"all_docs\",\"do\":{\"delay_ms\":100}}");
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  cft_loop_for(f.loop, 150);
  ck_assert_uint_eq(f.count[CFT_TOLD_AUDIT], 0);
  if (_i == 0)
    cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
  else
    ck_assert_int_eq(changefeed_mirror_stop(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_AUDIT, 1, PATIENCE_MS));
  ck_assert_int_eq(f.audit.code, CHANGEFEED_END);
  ck_assert_uint_eq(f.count[CFT_TOLD_DIFFERENCE], 0);
  ck_assert_uint_eq(f.late, 0);
}
END_TEST

START_TEST(test_mirror_audit_needs_a_mirror_in_step) {
  open_beating();
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_ERR_STATE);
  ck_assert_int_eq(changefeed_mirror_audit(NULL), CHANGEFEED_ERR_INVALID);
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror audit");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_mirror_audit_of_a_quiet_database_finds_nothing, 0,
                      2);
  tcase_add_test(t, test_mirror_audit_of_an_empty_database_ends);
  tcase_add_loop_test(t, test_mirror_audit_finds_the_three_that_differ, 0, 3);
  tcase_add_test(t, test_mirror_audit_keeps_to_the_range);
  tcase_add_test(t, test_mirror_audit_of_a_busy_database_blames_nobody);
  tcase_add_test(t, test_mirror_audit_waits_for_what_is_under_way);
  tcase_add_test(t, test_mirror_audit_finds_what_the_feed_does_not_tell);
  tcase_add_test(t, test_mirror_audit_runs_by_itself);
  tcase_add_loop_test(t, test_mirror_audit_ends_with_the_history, 0, 2);
  tcase_add_test(t, test_mirror_audit_needs_a_mirror_in_step);
  suite_add_tcase(s, t);
  return cft_run(s);
}
