/* Ways of following that are known to be wrong, in real processes: each goes
   wrong where it should, and the program that is meant does not.

   ctest: TIMEOUT 180 */
#include "platform/support/follow_world.h"

#include "support/couch.h"
#include "support/proc.h"
#include <signal.h>
#include <unistd.h>

/* A balancer program, asked over HTTP. */
typedef struct program {
  follow_world *world;
  cft_proc *proc;
  char admin[128];
} program;

static void read_admin(program *p, const char *file) {
  char line[128] = "";
  int64_t until = follow_world_now() + FOLLOW_PATIENCE_MS;
  FILE *in = NULL;

  while (in == NULL && follow_world_now() < until) {
    follow_world_for(p->world, 20);
    in = fopen(file, "r");
  }
  ck_assert_msg(in != NULL, "it does not become ready");
  ck_assert_ptr_nonnull(fgets(line, sizeof line, in)); /* of visitors */
  ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
  ck_assert_int_eq(fclose(in), 0);
  ck_assert_int_eq(unlink(file), 0);
  line[strcspn(line, "\n")] = '\0';
  (void)snprintf(p->admin, sizeof p->admin, "http://%.100s", line);
}

static void program_start(program *p, follow_world *w, const char *way) {
  const char *dir = getenv("CFT_PLATFORM");
  char path[256], file[128];
  const char *args[] = {
      path,          "--couch",     w->url,        "--id",
      "b",           "--listen",    "127.0.0.1:0", "--admin",
      "127.0.0.1:0", "--port-file", file,          "--stale-time",
      "2s",          "--naive",     way,           NULL};

  ck_assert_msg(dir != NULL, "CFT_PLATFORM is the directory of the programs");
  (void)snprintf(path, sizeof path, "%s/balancer%s", dir,
                 way != NULL ? "_hooked" : "");
  (void)snprintf(file, sizeof file, "%s/ports", w->dir);
  if (way == NULL)
    args[13] = NULL;
  p->world = w;
  p->proc = cft_proc_start(args, NULL);
  ck_assert_ptr_nonnull(p->proc);
  read_admin(p, file);
}

static void program_stop(program *p) {
  int status = -1;

  ck_assert(cft_proc_signal(p->proc, SIGTERM));
  ck_assert_msg(cft_proc_wait(p->proc, FOLLOW_PATIENCE_MS, &status),
                "it does not end");
  ck_assert_int_eq(status, 0);
  cft_proc_free(p->proc);
}

/* The gen it holds of an app; -1: none. */
static int64_t held(program *p, const char *app) {
  char url[256], *body = NULL;
  int status;
  int64_t gen = -1;
  json_t *answer;

  (void)snprintf(url, sizeof url, "%s/route/%s.test", p->admin, app);
  status = cft_http("GET", url, NULL, &body);
  ck_assert_int_ne(status, -1);
  answer = json_loads(body, 0, NULL);
  ck_assert_ptr_nonnull(answer);
  if (status == 200)
    gen = json_integer_value(json_object_get(answer, "gen"));
  json_decref(answer);
  free(body);
  return gen;
}

#define AWAIT_HELD(p, app, gen)                                                \
  FOLLOW_AWAIT((p)->world,                                                     \
               (follow_world_for((p)->world, 20), held((p), (app)) == (gen)))

/* ---- what the real one survives ---- */

/* Written while no feed is connected. */
static bool loses_between_connects(const char *way) {
  follow_world w;
  program p;
  bool lost;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  program_start(&p, &w, way);
  AWAIT_HELD(&p, "a", 1);
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
                    held(&p, "c") == 1));
  lost = held(&p, "b") != 1 || held(&p, "a") != 2;
  program_stop(&p);
  follow_world_close(&w);
  return lost;
}

/* A feed that begins again some changes back, and tells of the revision before,
   as a copy that lags does. */
static bool believes_old_rows(const char *way) {
  follow_world w;
  program p;
  bool back = false;

  follow_world_open(&w);
  for (int gen = 1; gen <= 2; gen++) {
    follow_put_route(&w, "a", gen);
    follow_put_route(&w, "b", gen);
  }
  program_start(&p, &w, way);
  AWAIT_HELD(&p, "a", 2);
  AWAIT_HELD(&p, "b", 2);
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"changes\",\"times\":-1,\"do\":{\"rewind\":9,"
                    "\"old\":1.0,\"end_rows\":1}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  for (int i = 0; i < 40 && !back; i++) {
    follow_world_for(&w, 100);
    back = held(&p, "a") != 2 || held(&p, "b") != 2;
  }
  program_stop(&p);
  follow_world_close(&w);
  return back;
}

/* The list of documents is an error, once. */
static bool prunes_by_an_error(const char *way) {
  follow_world w;
  program p;
  bool lost = false;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  program_start(&p, &w, way);
  AWAIT_HELD(&p, "a", 1);
  cft_couchsim_rule(
      w.sim, "%s",
      "{\"kind\":\"all_docs\",\"times\":-1,\"do\":{\"status\":500}}");
  cft_couchsim_tell(w.sim, "close", "%s", "{\"feeds\":true}");
  for (int i = 0; i < 25 && !lost; i++) {
    follow_world_for(&w, 100);
    lost = held(&p, "a") != 1;
  }
  program_stop(&p);
  follow_world_close(&w);
  return lost;
}

/* A feed that beats and brings nothing, while ticks are written. */
static bool is_told_stale(const char *way) {
  follow_world w;
  program p;
  char url[256], *body = NULL;
  bool stale = false;

  follow_world_open(&w);
  cft_couchsim_rule(
      w.sim, "%s",
      "{\"kind\":\"changes\",\"feed\":\"continuous\",\"times\":-1,"
      "\"do\":{\"stall_rows\":1,\"stall_beats\":true}}");
  program_start(&p, &w, way);
  (void)snprintf(url, sizeof url, "%s/status", p.admin);
  for (int i = 0; i < 50 && !stale; i++) {
    follow_tick(&w);
    follow_world_for(&w, 100);
    ck_assert_int_eq(cft_http("GET", url, NULL, &body), 200);
    stale = strstr(body, "\"stale\":true") != NULL;
    free(body);
  }
  program_stop(&p);
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
