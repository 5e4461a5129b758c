/* A balancer that is killed in the middle of a save leaves the file as it was,
   and the next one begins with it, also while the database is away. */
#include "balancer/snapshot.h"
#include "platform/support/follow_program.h"

#include <unistd.h>

/* Enough that a save takes its time. */
static void put_many(follow_world *w, int count) {
  text body = TEXT_INIT;
  json_t *answer = NULL;

  text_str(&body, "{\"docs\":[");
  for (int i = 0; i < count; i++)
    text_printf(
        &body,
        "%s{\"_id\":\"route:r%d\",\"app\":\"r%d\",\"hosts\":[\"r%d.test\"],"
        "\"gen\":1,\"state\":\"live\",\"to\":[{\"drone\":\"127.0.0.1:9\","
        "\"addr\":\"127.0.0.1:9\",\"claim\":\"%032d\"}]}",
        i != 0 ? "," : "", i, i, i, i);
  text_str(&body, "]}");
  ck_assert(!body.failed);
  ck_assert_int_eq(cft_couchsim_do(w->sim, 0, "POST", "/apps/_bulk_docs",
                                   body.data, &answer),
                   201);
  json_decref(answer);
  text_free(&body);
}

/* Writes until the file beside is there, so that something is being saved. */
static void write_until_it_saves(follow_world *w, const char *beside,
                                 int64_t *gen) {
  int64_t limit = follow_world_now() + FOLLOW_PATIENCE_MS, until;

  while (access(beside, F_OK) != 0) {
    ck_assert_int_lt(follow_world_now(), limit);
    follow_put_route(w, "a", ++*gen);
    until = follow_world_now() + 20;
    while (follow_world_now() < until && access(beside, F_OK) != 0)
      ;
  }
}

START_TEST(test_follow_killed_while_it_saves_leaves_a_whole_file) {
  enum { ROUNDS = 8, ROUTES = 4000 };
  follow_world w;
  follow_program p;
  char path[128], beside[160], error[256];
  const char *const more[] = {"--snapshot", path, "--snapshot-every", "100ms",
                              NULL};
  int64_t gen = 1;
  int within = 0;
  bool missing;
  snapshot *s;

  follow_world_open(&w);
  (void)snprintf(path, sizeof path, "%s/0", w.dir);
  (void)snprintf(beside, sizeof beside, "%s.new", path);
  put_many(&w, ROUTES);
  follow_put_route(&w, "a", gen);
  follow_program_start(&p, &w, more);
  FOLLOW_AWAIT_GEN(&p, "a", gen);
  follow_program_stop(&p);
  for (int i = 0; i < ROUNDS; i++) {
    (void)unlink(beside);
    follow_program_start(&p, &w, more);
    FOLLOW_AWAIT_GEN(&p, "a", gen);
    write_until_it_saves(&w, beside, &gen);
    follow_program_kill(&p);
    within += access(beside, F_OK) == 0;
    s = snapshot_load(path, &missing, error, sizeof error);
    ck_assert_msg(s != NULL, "round %d: %s", i, error);
    ck_assert_uint_eq(snapshot_count(s), ROUTES + 1);
    snapshot_free(s);
  }
  ck_assert_int_gt(within, 0); /* else nothing was shown */
  cft_couchsim_tell(w.sim, "node", "%s", "{\"node\":0,\"up\":false}");
  follow_program_start(&p, &w, more);
  ck_assert_int_ge(follow_program_gen(&p, "a"), 1);
  ck_assert_int_eq(follow_program_gen(&p, "r7"), 1);
  follow_program_stop(&p);
  (void)unlink(beside);
  follow_world_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow_killed");
  TCase *c = tcase_create("killed");

  tcase_add_test(c, test_follow_killed_while_it_saves_leaves_a_whole_file);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
