/* Ways of following that are known to be wrong, in real processes: each goes
   wrong where it should, and the program that is meant does not.

   ctest: TIMEOUT 180
   ctest: COST 46 */
#include "platform/support/follow_program.h"

#include "support/couch.h"

static void start(follow_program *p, follow_world *w, const char *way) {
  const char *const naive[] = {"--naive", way, NULL};

  follow_program_start(p, w, way != NULL ? naive : NULL);
}

/* ---- what the real one survives ---- */

/* Written while no feed is connected. */
static bool loses_between_connects(const char *way) {
  follow_world w;
  follow_program p;
  bool lost;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  start(&p, &w, way);
  FOLLOW_AWAIT_GEN(&p, "a", 1);
  FOLLOW_AWAIT(&w, cft_couchsim_feeds(w.sim) > 0);
  cft_couchsim_rule(
      w.sim, "%s",
      "{\"kind\":\"changes\",\"times\":-1,\"do\":{\"status\":503}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  FOLLOW_AWAIT(&w, cft_couchsim_feeds(w.sim) == 0);
  follow_put_route(&w, "b", 1);
  follow_put_route(&w, "a", 2);
  cft_couchsim_no_rules(w.sim);
  FOLLOW_AWAIT(&w, cft_couchsim_feeds(w.sim) > 0);
  follow_world_for(&w, 1500); /* each of its connects is made */
  FOLLOW_AWAIT(&w, (follow_put_route(&w, "c", 1), follow_world_for(&w, 100),
                    follow_program_gen(&p, "c") == 1));
  lost = follow_program_gen(&p, "b") != 1 || follow_program_gen(&p, "a") != 2;
  follow_program_stop(&p);
  follow_world_close(&w);
  return lost;
}

/* A feed that begins again some changes back, and tells of the revision before,
   as a copy that lags does. */
static bool believes_old_rows(const char *way) {
  follow_world w;
  follow_program p;
  bool back = false;

  follow_world_open(&w);
  for (int gen = 1; gen <= 2; gen++) {
    follow_put_route(&w, "a", gen);
    follow_put_route(&w, "b", gen);
  }
  start(&p, &w, way);
  FOLLOW_AWAIT_GEN(&p, "a", 2);
  FOLLOW_AWAIT_GEN(&p, "b", 2);
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"changes\",\"times\":-1,\"do\":{\"rewind\":9,"
                    "\"old\":1.0,\"end_rows\":1}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  for (int i = 0; i < 40 && !back; i++) {
    follow_world_for(&w, 100);
    back = follow_program_gen(&p, "a") != 2 || follow_program_gen(&p, "b") != 2;
  }
  follow_program_stop(&p);
  follow_world_close(&w);
  return back;
}

/* The list of documents is an error, once. */
static bool prunes_by_an_error(const char *way) {
  follow_world w;
  follow_program p;
  bool lost = false;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  start(&p, &w, way);
  FOLLOW_AWAIT_GEN(&p, "a", 1);
  cft_couchsim_rule(
      w.sim, "%s",
      "{\"kind\":\"all_docs\",\"times\":-1,\"do\":{\"status\":500}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  for (int i = 0; i < 25 && !lost; i++) {
    follow_world_for(&w, 100);
    lost = follow_program_gen(&p, "a") != 1;
  }
  follow_program_stop(&p);
  follow_world_close(&w);
  return lost;
}

/* A feed that beats and brings nothing, while ticks are written. */
static bool is_told_stale(const char *way) {
  follow_world w;
  follow_program p;
  char url[256], *body = NULL;
  bool stale = false;

  follow_world_open(&w);
  cft_couchsim_rule(
      w.sim, "%s",
      "{\"kind\":\"changes\",\"feed\":\"continuous\",\"times\":-1,"
      "\"do\":{\"stall_rows\":1,\"stall_beats\":true}}");
  start(&p, &w, way);
  (void)snprintf(url, sizeof url, "%s/status", p.admin);
  for (int i = 0; i < 50 && !stale; i++) {
    follow_tick(&w);
    follow_world_for(&w, 100);
    ck_assert_int_eq(cft_http("GET", url, NULL, &body), 200);
    stale = strstr(body, "\"stale\":true") != NULL;
    free(body);
  }
  follow_program_stop(&p);
  follow_world_close(&w);
  return stale;
}

START_TEST(test_naive_feed_loses_what_came_between_connects) {
  ck_assert(!loses_between_connects(NULL));
  ck_assert(loses_between_connects("feed"));
  ck_assert(!loses_between_connects("history"));
  ck_assert(!loses_between_connects("prune"));
}
END_TEST

START_TEST(test_naive_feed_is_never_stale) {
  ck_assert(is_told_stale(NULL));
  ck_assert(!is_told_stale("feed"));
  ck_assert(is_told_stale("prune"));
}
END_TEST

START_TEST(test_naive_history_believes_the_last_row) {
  ck_assert(!believes_old_rows(NULL));
  ck_assert(believes_old_rows("history"));
  ck_assert(!believes_old_rows("feed"));
  ck_assert(!believes_old_rows("prune"));
}
END_TEST

START_TEST(test_naive_prune_believes_any_list) {
  ck_assert(!prunes_by_an_error(NULL));
  ck_assert(prunes_by_an_error("prune"));
  ck_assert(!prunes_by_an_error("feed"));
  ck_assert(!prunes_by_an_error("history"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow_naive");
  TCase *c = tcase_create("naive");

  tcase_add_test(c, test_naive_feed_loses_what_came_between_connects);
  tcase_add_test(c, test_naive_feed_is_never_stale);
  tcase_add_test(c, test_naive_history_believes_the_last_row);
  tcase_add_test(c, test_naive_prune_believes_any_list);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
