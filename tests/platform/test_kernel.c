/*
 * The kernel with a simulated database and scripted drones: apps are started,
 * moved, stopped and destroyed, one drone each, whatever fails on the way.
 * ctest: COST 45 */
/* ctest: TIMEOUT 300 */
#include "platform/support/prov.h"
#include "provisioner/kernel_state.h"
#include "support/timing.h"
#include "support/unit.h"

#include <string.h>

enum { DRONES = 4 };

static cft_couchsim *sim;
static drone_sim *drones[DRONES];
static prov *p1;
static store db;

static void open_world(size_t count) {
  size_t i;

  sim = cft_couchsim_start(NULL);
  p1 = prov_start(cft_couchsim_url(sim, 0), "p1", NULL);
  store_open(&db, cft_couchsim_url(sim, 0));
  for (i = 0; i < DRONES; i++)
    drones[i] = i < count ? drone_sim_start() : NULL;
  for (i = 0; i < count; i++) {
    drone_doc d;

    store_add(&db, drones[i]);
    store_await_drone(&db, drone_sim_addr(drones[i]), DRONE_FREE, &d);
  }
}

static void close_world(void) {
  size_t i;

  if (p1 != NULL)
    prov_stop(p1);
  p1 = NULL;
  store_close(&db);
  for (i = 0; i < DRONES; i++)
    drone_sim_stop(drones[i]);
  cft_couchsim_stop(sim);
}

static drone_sim *drone_at(const char *addr) {
  size_t i;

  for (i = 0; i < DRONES; i++)
    if (drones[i] != NULL && strcmp(drone_sim_addr(drones[i]), addr) == 0)
      return drones[i];
  ck_abort_msg("there is no drone %s", addr);
}

/* What is live is live at its drone. */
static drone_sim *served(const char *app, const route_doc *r) {
  drone_sim *d = drone_at(r->to[0].addr);

  ck_assert_msg(drone_sim_serves(d, app, r->to[0].claim),
                "%s does not run at %s", app, r->to[0].addr);
  return d;
}

START_TEST(test_kernel_an_app_is_started_stopped_and_destroyed) {
  route_doc r;
  drone_doc d;
  drone_sim *at;
  int64_t epoch;

  open_world(1);
  ck_assert(store_get_drone(&db, drone_sim_addr(drones[0]), &d));
  epoch = d.epoch;
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  ck_assert_str_eq(r.hosts[0], "blog.example");
  ck_assert_str_eq(r.code, "ok");
  at = served("blog", &r);
  store_await_drone(&db, drone_sim_addr(at), DRONE_BOUND, &d);
  ck_assert_str_eq(d.claim.id, r.to[0].claim);
  ck_assert_str_eq(d.claim.by, "p1");
  ck_assert_int_gt(d.epoch, epoch);
  epoch = d.epoch;
  store_want(&db, "blog", "stopped", 2);
  store_await(&db, "blog", 2, ROUTE_STOPPED, &r);
  ck_assert_uint_eq(r.to_count, 0);
  store_await_drone(&db, drone_sim_addr(at), DRONE_FREE, &d);
  ck_assert_int_gt(d.epoch, epoch);
  ck_assert_int_ge(drone_sim_fence(at), epoch);
  store_want(&db, "blog", "started", 3);
  store_await(&db, "blog", 3, ROUTE_LIVE, &r);
  store_destroy(&db, "blog");
  store_await_drone(&db, drone_sim_addr(at), DRONE_FREE, &d);
  ck_assert(!store_get_route(&db, "blog", &r));
  ck_assert_uint_eq(drone_sim_binds(at), 2);
  ck_assert_uint_eq(drone_sim_unbinds(at), 2);
  close_world();
}
END_TEST

/* A balancer has to tell it from a host that nobody has. */
START_TEST(test_kernel_an_app_that_was_never_started_has_a_route) {
  route_doc r;

  open_world(1);
  store_want(&db, "blog", "stopped", 0);
  store_await(&db, "blog", 0, ROUTE_STOPPED, &r);
  ck_assert_uint_eq(r.host_count, 1);
  ck_assert_str_eq(r.hosts[0], "blog.example");
  ck_assert_uint_eq(r.to_count, 0);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  served("blog", &r);
  close_world();
}
END_TEST

/* More of them than there are workers. */
START_TEST(test_kernel_apps_that_do_not_answer_keep_nobody_waiting) {
  kernel_config config;
  route_doc r;
  size_t i;

  memset(&config, 0, sizeof config);
  config.workers = 2;
  config.start_ms = 60000;
  sim = cft_couchsim_start(NULL);
  p1 = prov_start(cft_couchsim_url(sim, 0), "p1", &config);
  store_open(&db, cft_couchsim_url(sim, 0));
  for (i = 0; i < DRONES; i++) {
    drones[i] = drone_sim_start();
    drone_sim_app_ms(drones[i], -1);
  }
  for (i = 0; i < 3; i++)
    store_add(&db, drones[i]);
  store_want(&db, "bad1", "started", 1);
  store_want(&db, "bad2", "started", 1);
  store_want(&db, "bad3", "started", 1);
  store_await(&db, "bad1", 1, ROUTE_STARTING, &r);
  store_await(&db, "bad2", 1, ROUTE_STARTING, &r);
  store_await(&db, "bad3", 1, ROUTE_STARTING, &r);
  drone_sim_app_ms(drones[3], 0);
  store_add(&db, drones[3]);
  store_want(&db, "good", "started", 1);
  store_await(&db, "good", 1, ROUTE_LIVE, &r);
  (void)served("good", &r);
  close_world();
}
END_TEST

START_TEST(test_kernel_another_gen_moves_and_the_old_one_is_freed) {
  char old[CLAIM_LEN + 1];
  route_doc r;
  drone_doc d;
  drone_sim *first;

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  first = served("blog", &r);
  memcpy(old, r.to[0].claim, sizeof old);
  store_want(&db, "blog", "started", 2);
  store_await(&db, "blog", 2, ROUTE_LIVE, &r);
  ck_assert_ptr_ne(served("blog", &r), first);
  ck_assert_str_eq(r.prev[0].claim, old);
  store_await_drone(&db, drone_sim_addr(first), DRONE_FREE, &d);
  close_world();
}
END_TEST

START_TEST(test_kernel_a_failed_start_leaves_the_old_one_serving) {
  route_doc r;
  drone_doc d;
  drone_sim *first, *second;

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  first = served("blog", &r);
  second = first == drones[0] ? drones[1] : drones[0];
  drone_sim_app_ms(second, -1);
  store_want(&db, "blog", "started", 2);
  store_await(&db, "blog", 2, ROUTE_FAILED, &r);
  ck_assert_str_eq(r.code, "app");
  ck_assert_ptr_nonnull(strstr(r.msg, "did not answer"));
  ck_assert_uint_eq(r.to_count, 1);
  ck_assert_ptr_eq(served("blog", &r), first);
  store_await_drone(&db, drone_sim_addr(second), DRONE_FREE, &d);
  ck_assert_ptr_eq(served("blog", &r), first);
  close_world();
}
END_TEST

START_TEST(test_kernel_without_a_free_drone_apps_wait_in_line) {
  route_doc r;

  open_world(1);
  store_want(&db, "one", "started", 1);
  store_await(&db, "one", 1, ROUTE_LIVE, &r);
  store_want(&db, "two", "started", 1);
  store_await(&db, "two", 1, ROUTE_QUEUED, &r);
  ck_assert_str_eq(r.code, "capacity");
  ck_assert_uint_eq(kernel_position(prov_kernel(p1), "two"), 1);
  store_want(&db, "three", "started", 1);
  store_await(&db, "three", 1, ROUTE_QUEUED, &r);
  ck_assert_uint_eq(kernel_position(prov_kernel(p1), "three"), 2);
  ck_assert_uint_eq(kernel_free_drones(prov_kernel(p1)), 0);
  store_want(&db, "one", "stopped", 2);
  store_await(&db, "two", 1, ROUTE_LIVE, &r);
  (void)served("two", &r);
  ck_assert(store_get_route(&db, "three", &r));
  ck_assert_int_eq(r.state, ROUTE_QUEUED);
  ck_assert_uint_eq(kernel_position(prov_kernel(p1), "three"), 1);
  close_world();
}
END_TEST

/* Its start takes long: what it is told while it waits for its app is not that
   all drones are taken. */
START_TEST(test_kernel_who_waited_is_told_when_he_has_a_drone) {
  route_doc r;

  open_world(1);
  store_want(&db, "one", "started", 1);
  store_await(&db, "one", 1, ROUTE_LIVE, &r);
  store_want(&db, "two", "started", 1);
  store_await(&db, "two", 1, ROUTE_QUEUED, &r);
  drone_sim_app_ms(drones[0], -1);
  store_want(&db, "one", "stopped", 2);
  store_await(&db, "two", 1, ROUTE_STARTING, &r);
  ck_assert_str_eq(r.code, "");
  ck_assert_str_eq(r.msg, "");
  ck_assert_uint_eq(kernel_position(prov_kernel(p1), "two"), 0);
  store_await(&db, "two", 1, ROUTE_FAILED, &r);
  close_world();
}
END_TEST

START_TEST(test_kernel_without_another_drone_its_own_is_used_again) {
  char old[CLAIM_LEN + 1];
  route_doc r;

  open_world(1);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  memcpy(old, r.to[0].claim, sizeof old);
  store_want(&db, "blog", "started", 2);
  /* The old one serves while it is waited for another. */
  store_await(&db, "blog", 2, ROUTE_QUEUED, &r);
  ck_assert_uint_eq(r.to_count, 1);
  ck_assert_str_eq(r.to[0].claim, old);
  store_await(&db, "blog", 2, ROUTE_LIVE, &r);
  ck_assert_str_ne(r.to[0].claim, old);
  (void)served("blog", &r);
  ck_assert_uint_eq(kernel_position(prov_kernel(p1), "blog"), 0);
  close_world();
}
END_TEST

START_TEST(test_kernel_lost_answers_of_the_agent_change_nothing) {
  static const char *const paths[] = {"/bind", "/start", "/unbind"};
  route_doc r;
  drone_doc d;

  open_world(1);
  drone_sim_lose(drones[0], paths[_i], 2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  (void)served("blog", &r);
  store_want(&db, "blog", "stopped", 2);
  store_await_drone(&db, drone_sim_addr(drones[0]), DRONE_FREE, &d);
  ck_assert_uint_eq(drone_sim_binds(drones[0]), 1);
  ck_assert_uint_eq(drone_sim_unbinds(drones[0]), 1);
  close_world();
}
END_TEST

static const char *const faults[] = {
    /* done, and not told */
    "{\"method\":\"PUT\",\"chance\":0.4,\"times\":-1,"
    "\"do\":{\"then\":\"reset\"}}",
    /* not done, and not told */
    "{\"method\":\"PUT\",\"chance\":0.4,\"times\":-1,\"do\":{\"status\":503}}",
    /* told that it failed, and done later */
    "{\"method\":\"PUT\",\"chance\":0.4,\"times\":-1,"
    "\"do\":{\"apply_ms\":300}}",
    /* slow */
    "{\"method\":\"PUT\",\"chance\":0.5,\"times\":-1,"
    "\"do\":{\"delay_ms\":200}}",
    /* readers fail as well */
    "{\"chance\":0.2,\"kind\":\"doc_get\",\"times\":-1,"
    "\"do\":{\"status\":500}}",
};

START_TEST(test_kernel_whatever_the_database_does_one_drone_each) {
  static const char *const apps[] = {"one", "two", "three"};
  size_t i, j, binds = 0;
  route_doc r[3];
  drone_doc d;

  open_world(4);
  cft_couchsim_rule(sim, "%s", faults[_i]);
  for (i = 0; i < 3; i++)
    store_want(&db, apps[i], "started", 1);
  for (i = 0; i < 3; i++) {
    store_await(&db, apps[i], 1, ROUTE_LIVE, &r[i]);
    (void)served(apps[i], &r[i]);
    for (j = 0; j < i; j++)
      ck_assert_str_ne(r[i].to[0].addr, r[j].to[0].addr);
  }
  for (i = 0; i < 3; i++)
    store_want(&db, apps[i], "stopped", 2);
  cft_couchsim_no_rules(sim);
  for (i = 0; i < 4; i++) {
    store_await_drone(&db, drone_sim_addr(drones[i]), DRONE_FREE, &d);
    binds += drone_sim_binds(drones[i]);
  }
  ck_assert_uint_ge(binds, 3);
  close_world();
}
END_TEST

START_TEST(test_kernel_a_lost_claim_file_gives_the_app_another_claim) {
  route_doc r;
  drone_doc d;
  drone_sim *first;
  char claim[CLAIM_LEN + 1];
  int64_t end;

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  first = served("blog", &r);
  memcpy(claim, r.to[0].claim, sizeof claim);
  drone_sim_forget(first);
  end = cft_now_ms() + 20000;
  do {
    store_await(&db, "blog", 1, ROUTE_LIVE, &r);
    ck_assert_int_lt(cft_now_ms(), end);
  } while (strcmp(r.to[0].claim, claim) == 0);
  (void)served("blog", &r);
  /* It may have been given to it again, by another claim. */
  ck_assert(store_get_drone(&db, drone_sim_addr(first), &d));
  ck_assert_str_ne(d.claim.id, claim);
  close_world();
}
END_TEST

START_TEST(test_kernel_a_drone_that_is_gone_is_given_up_never_freed) {
  route_doc r;
  drone_doc d;
  drone_sim *first;
  char addr[64];
  int64_t end;

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  first = served("blog", &r);
  (void)snprintf(addr, sizeof addr, "%s", drone_sim_addr(first));
  drone_sim_mute(first, true);
  end = cft_now_ms() + 40000;
  do {
    store_await(&db, "blog", 1, ROUTE_LIVE, &r);
    ck_assert_int_lt(cft_now_ms(), end);
  } while (strcmp(r.to[0].addr, addr) == 0);
  (void)served("blog", &r);
  store_await_drone(&db, addr, DRONE_DEAD, &d);
  close_world();
}
END_TEST

START_TEST(test_kernel_a_crash_loop_keeps_its_drone) {
  route_doc r;
  char claim[CLAIM_LEN + 1];

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  memcpy(claim, r.to[0].claim, sizeof claim);
  drone_sim_app_state(served("blog", &r), "crashloop");
  store_await(&db, "blog", 1, ROUTE_CRASHED, &r);
  ck_assert_str_eq(r.code, "crash");
  ck_assert_str_eq(r.to[0].claim, claim);
  drone_sim_app_state(served("blog", &r), "running");
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  ck_assert_str_eq(r.to[0].claim, claim);
  close_world();
}
END_TEST

/* A provisioner died after it wrote the claim: whatever the drone knows of it,
   the document comes to what the drone says. */
START_TEST(test_kernel_claims_that_nobody_ended_are_fenced_first) {
  drone_doc d;
  docs_answer a;
  json_t *doc;
  char id[96];

  open_world(1);
  ck_assert(store_get_drone(&db, drone_sim_addr(drones[0]), &d));
  d.state = DRONE_CLAIMED;
  d.epoch += 5;
  (void)snprintf(d.claim.id, sizeof d.claim.id,
                 "0123456789abcdef0123456789abcdef");
  (void)snprintf(d.claim.app, sizeof d.claim.app, "nobody");
  d.claim.gen = 1;
  doc = drone_doc_write(&d);
  (void)snprintf(id, sizeof id, "drone:%s", d.addr);
  ck_assert_int_eq(docs_put(db.locks, id, doc, &a), DOCS_OK);
  json_decref(doc);
  store_await_drone(&db, drone_sim_addr(drones[0]), DRONE_FREE, &d);
  ck_assert_int_ge(drone_sim_fence(drones[0]), d.epoch - 1);
  close_world();
}
END_TEST

START_TEST(test_kernel_two_provisioners_share_the_work) {
  static const char *const apps[] = {"a1", "a2", "a3"};
  route_doc r[3];
  prov *p2;
  size_t i, j;

  open_world(4);
  p2 = prov_start(cft_couchsim_url(sim, 0), "p2", NULL);
  for (i = 0; i < 3; i++)
    store_want(&db, apps[i], "started", 1);
  for (i = 0; i < 3; i++) {
    store_await(&db, apps[i], 1, ROUTE_LIVE, &r[i]);
    (void)served(apps[i], &r[i]);
    for (j = 0; j < i; j++)
      ck_assert_str_ne(r[i].to[0].addr, r[j].to[0].addr);
  }
  /* Whoever of the two looked after an app, the other goes on with it. */
  prov_stop(p1);
  p1 = p2;
  for (i = 0; i < 3; i++)
    store_want(&db, apps[i], "stopped", 2);
  for (i = 0; i < 3; i++)
    store_await(&db, apps[i], 2, ROUTE_STOPPED, &r[i]);
  close_world();
}
END_TEST

static void ask_database(const char *method, const char *path) {
  rest_reply reply;

  ck_assert_int_eq(
      rest_call(docs_rest(db.apps), method, path, NULL, &reply) / 100, 2);
  rest_reply_free(&reply);
}

static json_t *document(const char *id) {
  docs_answer a;
  json_t *doc;

  ck_assert_int_eq(docs_get(db.apps, id, &doc, &a), DOCS_OK);
  ck_assert_int_eq(json_object_del(doc, "_rev"), 0);
  return doc;
}

static void put_back(const char *id, json_t *doc) {
  docs_answer a;

  ck_assert_int_eq(docs_put(db.apps, id, doc, &a), DOCS_OK);
  json_decref(doc);
}

static bool met_stranger(void *user) {
  return metric_value(metrics_counter(user, "provisioner_strangers_total", NULL,
                                      "")) >= 2;
}

/* A database that was emptied, or is another one, has not said that an app is
   to end: it ends when somebody destroys it. */
START_TEST(test_kernel_what_a_database_has_lost_is_not_taken_away) {
  json_t *app, *route;
  drone_sim *first;
  route_doc r;
  drone_doc d;

  open_world(2);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  first = served("blog", &r);
  app = document("app:blog");
  route = document("route:blog");
  prov_stop(p1);
  ask_database("DELETE", "/apps");
  p1 = prov_start(cft_couchsim_url(sim, 0), "p1", NULL); /* makes it anew */
  ck_assert(cft_until(met_stranger, prov_metrics(p1), 30000));
  ck_assert(store_get_drone(&db, r.to[0].addr, &d));
  ck_assert_int_eq(d.state, DRONE_BOUND);
  ck_assert_uint_eq(drone_sim_unbinds(first), 0);
  put_back("route:blog", route);
  put_back("app:blog", app);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  ck_assert_ptr_eq(served("blog", &r), first);
  store_destroy(&db, "blog");
  store_await_drone(&db, drone_sim_addr(first), DRONE_FREE, &d);
  close_world();
}
END_TEST

/* Somebody has a claim of before in his hands, when the drone's document says
   another: it does not come into the route, however new its gen. */
START_TEST(test_kernel_a_claim_that_is_not_bound_is_not_published) {
  route_doc r;
  drone_doc d;
  worker late;

  open_world(1);
  store_want(&db, "blog", "started", 1);
  store_await(&db, "blog", 1, ROUTE_LIVE, &r);
  ck_assert(store_get_drone(&db, r.to[0].addr, &d));
  memset(d.claim.id, 'a', CLAIM_LEN);
  d.claim.gen = 2;
  store_want(&db, "blog", "started", 2);
  late = (worker){.k = prov_kernel(p1), .apps = db.apps, .locks = db.locks};
  ck_assert_int_ne(publish_live(&late, &d), PUBLISHED);
  store_await(&db, "blog", 2, ROUTE_LIVE, &r);
  (void)served("blog", &r);
  close_world();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("kernel");
  TCase *tc = tcase_create("kernel");

  tcase_set_timeout(tc, 100);
  tcase_add_test(tc, test_kernel_an_app_is_started_stopped_and_destroyed);
  tcase_add_test(tc, test_kernel_an_app_that_was_never_started_has_a_route);
  tcase_add_test(tc, test_kernel_apps_that_do_not_answer_keep_nobody_waiting);
  tcase_add_test(tc, test_kernel_another_gen_moves_and_the_old_one_is_freed);
  tcase_add_test(tc, test_kernel_a_failed_start_leaves_the_old_one_serving);
  tcase_add_test(tc, test_kernel_without_a_free_drone_apps_wait_in_line);
  tcase_add_test(tc, test_kernel_who_waited_is_told_when_he_has_a_drone);
  tcase_add_test(tc, test_kernel_without_another_drone_its_own_is_used_again);
  tcase_add_loop_test(tc, test_kernel_lost_answers_of_the_agent_change_nothing,
                      0, 3);
  tcase_add_loop_test(tc, test_kernel_whatever_the_database_does_one_drone_each,
                      0, (int)(sizeof faults / sizeof faults[0]));
  tcase_add_test(tc, test_kernel_a_lost_claim_file_gives_the_app_another_claim);
  tcase_add_test(tc, test_kernel_a_drone_that_is_gone_is_given_up_never_freed);
  tcase_add_test(tc, test_kernel_a_crash_loop_keeps_its_drone);
  tcase_add_test(tc, test_kernel_claims_that_nobody_ended_are_fenced_first);
  tcase_add_test(tc, test_kernel_two_provisioners_share_the_work);
  tcase_add_test(tc, test_kernel_what_a_database_has_lost_is_not_taken_away);
  tcase_add_test(tc, test_kernel_a_claim_that_is_not_bound_is_not_published);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
