/* Whether a mirror is known to be in step: a server that goes silent, or stops,
   makes it stale; a proof makes it fresh again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>

#include "net/mirror_in_couchsim.h"

enum { STALE_MS = 500 };

static void open_watched(void) {
  f.config.stale_ms = STALE_MS;
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", NULL);
}

START_TEST(test_mirror_is_fresh_while_heartbeats_come) {
  fill(0, 5);
  open_watched();
  ck_assert_int_eq(cft_mirrored_stats(&f).fresh_ms, -1);
  expect_synced();
  cft_loop_for(f.loop, 3 * STALE_MS);
  ck_assert_uint_eq(f.count[CFT_TOLD_STALE], 0);
  ck_assert_int_ge(cft_mirrored_stats(&f).fresh_ms, 0);
  ck_assert_int_le(cft_mirrored_stats(&f).fresh_ms, STALE_MS);
}
END_TEST

START_TEST(test_mirror_of_a_silent_server_is_stale_until_it_speaks) {
  fill(0, 5);
  open_watched();
  expect_synced();
  cft_couchsim_rule(sim, "{\"do\":{\"then\":\"silence\"}}");
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_STALE, 1, PATIENCE_MS));
  ck_assert_int_gt(cft_mirrored_stats(&f).fresh_ms, STALE_MS);
  ck_assert_int_eq(changefeed_mirror_is_synced(f.mirror), 1);
  cft_loop_for(f.loop, STALE_MS);
  ck_assert_uint_eq(f.count[CFT_TOLD_STALE], 1);
  ck_assert_uint_eq(f.count[CFT_TOLD_FRESH], 0);
  cft_couchsim_no_rules(sim);
  cft_couchsim_tell(sim, "close", "{}");
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_FRESH, 1, PATIENCE_MS));
  write_doc("x", 1);
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_STALE], 1);
}
END_TEST

START_TEST(test_mirror_of_a_server_that_is_frozen_is_stale) {
  fill(0, 5);
  open_watched();
  expect_synced();
  ck_assert_int_eq(kill(cft_couchsim_pid(sim), SIGSTOP), 0);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_STALE, 1, PATIENCE_MS));
  ck_assert_int_eq(kill(cft_couchsim_pid(sim), SIGCONT), 0);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_FRESH, 1, PATIENCE_MS));
  write_doc("x", 1);
  expect_same();
}
END_TEST

START_TEST(test_mirror_that_never_got_in_step_is_stale) {
  open_watched();
  cft_couchsim_rule(sim, "{\"do\":{\"status\":503}}");
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_STALE, 1, PATIENCE_MS));
  ck_assert_int_eq(cft_mirrored_stats(&f).fresh_ms, -1);
  cft_couchsim_no_rules(sim);
  expect_synced();
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_FRESH, 1, PATIENCE_MS));
}
END_TEST

/* Heartbeats go on, and nobody writes the tick any more. */
START_TEST(test_mirror_with_a_tick_is_as_fresh_as_that) {
  f.config.stale_ms = 2500;
  fill(0, 5);
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "100", "tick", "tick",
                    "tick_write_ms", "1000", NULL);
  expect_synced();
  cft_loop_for(f.loop, 3000);
  ck_assert_uint_eq(f.count[CFT_TOLD_STALE], 0);
  ck_assert_int_ge(cft_mirrored_stats(&f).fresh_ms, 0);
  ck_assert_int_le(cft_mirrored_stats(&f).fresh_ms, 2500);
  ck_assert_str_ne(cft_mirrored_rev(&f, "tick"), "");
  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"do\":{\"status\":503}}");
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_STALE, 1, PATIENCE_MS));
  ck_assert_int_gt(cft_mirrored_stats(&f).fresh_ms, 2500);
  ck_assert_int_eq(changefeed_get_state(changefeed_mirror_get_feed(f.mirror)),
                   CHANGEFEED_STATE_LIVE);
  ck_assert_int_eq(changefeed_mirror_audit(f.mirror), CHANGEFEED_OK);
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_AUDIT, 1, PATIENCE_MS));
  ck_assert_int_eq(f.audit.code, CHANGEFEED_OK);
  cft_couchsim_no_rules(sim);
  write_doc("tick", 1); /* by somebody else */
  ck_assert(cft_mirrored_until(&f, CFT_TOLD_FRESH, 1, PATIENCE_MS));
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror fresh");
  TCase *t = tcase_create("all");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_mirror_is_fresh_while_heartbeats_come);
  tcase_add_test(t, test_mirror_of_a_silent_server_is_stale_until_it_speaks);
  tcase_add_test(t, test_mirror_of_a_server_that_is_frozen_is_stale);
  tcase_add_test(t, test_mirror_with_a_tick_is_as_fresh_as_that);
  tcase_add_test(t, test_mirror_that_never_got_in_step_is_stale);
  suite_add_tcase(s, t);
  return cft_run(s);
}
