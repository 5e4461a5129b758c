/* Following a database that works: what is written is served, what cannot be
   read changes nothing, maintenance comes and goes, and that changes come
   through is known by documents, not by a socket.

   ctest: LABEL threads */
#include "platform/support/follow_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

START_TEST(test_follow_what_is_written_is_served) {
  follow_world w;
  follower *f;
  const route *r;

  follow_world_open(&w);
  follow_put_route(&w, "a", 3);
  follow_put_route(&w, "z", 1);
  follow_put(&w, "app:a", "\"command\":\"x\"");
  f = follower_new(&w, 0);
  follower_open(f);
  ck_assert(!table_is_ready(f->table));
  ck_assert_int_eq(follow_now(f).source, FOLLOW_NOTHING);
  ck_assert_int_eq(follow_now(f).fresh_ms, -1);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  ck_assert(table_is_ready(f->table));
  ck_assert_int_eq(follow_served(f, "a"), 3);
  ck_assert_int_eq(follow_served(f, "z"), 1);
  ck_assert_int_eq(f->changes, 0); /* all at once */
  ck_assert_int_eq(follow_now(f).source, FOLLOW_DATABASE);
  ck_assert(follow_now(f).synced);
  ck_assert_str_eq(follow_now(f).trouble, "");
  follow_put_route(&w, "a", 4);
  FOLLOW_AWAIT(&w, f->changes == 1);
  ck_assert_int_eq(f->came + f->gone, 0);
  ck_assert_int_eq(follow_served(f, "a"), 4);
  r = routes_find(table_current(f->table), "a.test", 6);
  ck_assert(route_has_claim(r, "00000000000000000000000000000004", CLAIM_LEN));
  follow_put_route(&w, "b", 1);
  FOLLOW_AWAIT(&w, f->came == 1);
  ck_assert_str_eq(f->last, "b");
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_delete(&w, "route:a"); /* a tombstone is enough */
  FOLLOW_AWAIT(&w, f->gone == 1);
  ck_assert_str_eq(f->last, "a");
  ck_assert_int_eq(follow_served(f, "a"), -1);
  ck_assert_uint_eq(follow_now(f).unproven, 0);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_put_route(&w, "a", 1); /* nothing is served: any gen */
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 1);
  ck_assert_int_ge(follow_now(f).lag_p99_ms, 0);
  ck_assert_uint_eq(follow_now(f).repairs, 0);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_an_unreadable_document_changes_nothing) {
  follow_world w;
  follower *f;
  follow_status s;

  follow_world_open(&w);
  follow_put_route(&w, "a", 3);
  follow_put_route(&w, "b", 1);
  follow_put(&w, "route:never", "\"to\":7");
  follow_put(&w, "balancer:odd", "\"addr\":1");
  follow_put(&w, "sys:tick:odd", "\"n\":[]");
  follow_put(&w, "sys:unknown", "\"n\":[]");
  follow_put(&w, "elses", "");
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  s = follow_now(f);
  ck_assert_uint_eq(s.routes, 2);
  ck_assert_uint_eq(s.unreadable, 3);
  follow_put(&w, "route:a", "\"app\":\"other\",\"gen\":4,\"state\":\"live\"");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 4);
  ck_assert_int_eq(follow_served(f, "a"), 3);
  ck_assert_int_eq(f->changes, 0);
  ck_assert(!follow_is_listed(f)); /* that is not what is there */
  ck_assert_uint_eq(follow_now(f).routes, 2);
  follow_put(&w, "route:a", "\"still\":\"unreadable\"");
  follow_put_route(&w, "b", 2); /* behind it */
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 2);
  ck_assert_int_eq(follow_served(f, "a"), 3);
  follow_put_route(&w, "a", 5);
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 5);
  follow_put_route(&w, "never", 1);
  FOLLOW_AWAIT(&w, follow_served(f, "never") == 1);
  ck_assert_uint_eq(follow_now(f).unreadable, 2);
  follow_delete(&w, "sys:tick:odd");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 1);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_put(&w, "route:a", "\"app\":[]");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 2);
  follow_delete(&w, "route:a"); /* unreadable or not: it is gone */
  FOLLOW_AWAIT(&w, follow_served(f, "a") == -1);
  ck_assert_uint_eq(follow_now(f).unreadable, 1);
  FOLLOW_AWAIT(&w, follow_is_listed(f));
  follow_world_close(&w);
}
END_TEST

static table_notice notice(follower *f) {
  table_notice now;

  table_online(f->table, 0);
  now = *table_get_notice(f->table);
  table_offline(f->table, 0);
  return now;
}

START_TEST(test_follow_maintenance_comes_and_goes) {
  follow_world w;
  follower *f;
  char body[160];
  int before;

  follow_world_open(&w);
  follow_put(&w, "sys:maintenance", "\"mode\":\"full\",\"msg\":\"a move\"");
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  ck_assert(notice(f).full);
  ck_assert_str_eq(notice(f).msg, "a move");
  follow_put(&w, "sys:maintenance", "\"mode\":7");
  FOLLOW_AWAIT(&w, follow_now(f).unreadable == 1);
  ck_assert(notice(f).full);
  follow_put(&w, "sys:maintenance", "\"mode\":\"api\",\"msg\":\"x\"");
  FOLLOW_AWAIT(&w, !notice(f).full); /* visitors are not concerned */
  ck_assert_str_eq(notice(f).msg, "");
  before = f->notices;
  (void)snprintf(body, sizeof body, "\"mode\":\"full\",\"until\":%lld",
                 (long long)time(NULL) * 1000 + 2000);
  follow_put(&w, "sys:maintenance", body);
  FOLLOW_AWAIT(&w, notice(f).full);
  FOLLOW_AWAIT(&w, !notice(f).full); /* by itself */
  ck_assert_int_eq(f->notices, before + 2);
  follow_put(&w, "sys:maintenance", "\"mode\":\"full\",\"until\":null");
  FOLLOW_AWAIT(&w, notice(f).full);
  follow_delete(&w, "sys:maintenance");
  FOLLOW_AWAIT(&w, !notice(f).full);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_fresh_is_proven_by_ticks) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  follow_tick(&w);
  f = follower_new(&w, 0);
  f->config.stale_ms = 1500;
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  ck_assert_int_eq(follow_now(f).fresh_ms, -1); /* a list is no feed */
  ck_assert(!follow_now(f).stale);
  FOLLOW_AWAIT(&w, follow_now(f).stale);
  ck_assert_str_ne(follow_now(f).trouble, "");
  ck_assert_int_eq(follow_now(f).source, FOLLOW_DATABASE);
  FOLLOW_AWAIT(&w, (follow_tick(&w), !follow_now(f).stale));
  ck_assert_int_ge(follow_now(f).fresh_ms, 0);
  follow_put_route(&w, "a", 1); /* no proof */
  FOLLOW_AWAIT(&w, follow_served(f, "a") == 1);
  FOLLOW_AWAIT(&w, follow_now(f).stale);
  follow_world_close(&w);
}
END_TEST

/* After some rows it sends nothing but heartbeats; new feeds are well. */
START_TEST(test_follow_a_feed_that_only_beats_is_replaced) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"changes\",\"feed\":\"continuous\",\"times\":1,"
                    "\"do\":{\"stall_rows\":2,\"stall_beats\":true}}");
  f = follower_new(&w, 0);
  f->config.announce = true;
  f->config.stale_ms = 3000;
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  for (int i = 2; i < 8; i++)
    follow_put_route(&w, "a", i);
  follow_put_route(&w, "b", 1);
  FOLLOW_AWAIT(&w, follow_now(f).stale);
  FOLLOW_AWAIT(&w, follow_served(f, "b") == 1);
  ck_assert_int_eq(f->replaced, 2);
  ck_assert_int_eq(follow_served(f, "a"), 7);
  FOLLOW_AWAIT(&w, !follow_now(f).stale); /* by its own document alone */
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_balancers_are_listed) {
  follow_world w;
  follower *f, *g;
  balancer_doc all[4];
  json_t *doc = NULL;

  follow_world_open(&w);
  f = follower_new(&w, 0);
  f->config.announce = true;
  follower_open(f);
  g = follower_new(&w, 1);
  g->config.announce = true;
  follower_open(g);
  FOLLOW_AWAIT(&w, follow_balancers(f->follow, all, 4) == 2);
  ck_assert_str_eq(all[0].id, "b0");
  ck_assert_str_eq(all[1].id, "b1");
  ck_assert_str_eq(all[1].admin, "127.0.0.1:2");
  ck_assert_uint_eq(follow_balancers(f->follow, all, 1), 1);
  ck_assert_int_eq(
      cft_couchsim_do(w.sim, 0, "GET", "/apps/balancer:b1", NULL, &doc), 200);
  ck_assert_str_eq(json_string_value(json_object_get(doc, "version")), "1");
  ck_assert_int_gt(json_integer_value(json_object_get(doc, "at")), 0);
  json_decref(doc);
  follower_close(g);
  cft_couchsim_must(w.sim, 404, "GET", "/apps/balancer:b1", "%s", "");
  FOLLOW_AWAIT(&w, follow_balancers(f->follow, all, 4) == 1);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_two_routes_with_one_host) {
  follow_world w;
  follower *f;

  follow_world_open(&w);
  follow_put(&w, "route:n",
             "\"app\":\"n\",\"hosts\":[\"both.test\"],\"gen\":2,"
             "\"state\":\"queued\",\"to\":[],\"prev\":[]");
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, follow_served(f, "both") == 2);
  follow_put(&w, "route:c",
             "\"app\":\"c\",\"hosts\":[\"both.test\"],\"gen\":1,"
             "\"state\":\"queued\",\"to\":[],\"prev\":[]");
  FOLLOW_AWAIT(&w, follow_served(f, "both") == 1);
  ck_assert_uint_eq(follow_now(f).shadowed, 1);
  ck_assert_uint_eq(follow_now(f).hosts, 1);
  follow_delete(&w, "route:c");
  FOLLOW_AWAIT(&w, follow_served(f, "both") == 2);
  ck_assert_uint_eq(follow_now(f).shadowed, 0);
  follow_world_close(&w);
}
END_TEST

START_TEST(test_follow_metrics_tell) {
  follow_world w;
  follower *f;
  text out = TEXT_INIT;

  follow_world_open(&w);
  follow_put_route(&w, "a", 1);
  f = follower_new(&w, 0);
  follower_open(f);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  follow_tick(&w);
  FOLLOW_AWAIT(&w, follow_now(f).fresh_ms >= 0);
  ck_assert(follow_audit(f->follow));
  FOLLOW_AWAIT(&w, follow_now(f).audits == 1);
  follow_world_for(&w, 600); /* two steps */
  metrics_write(f->metrics, &out);
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_routes 1\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_hosts 1\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_feed_up 1\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_stale 0\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_audits_total 1\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&out), "\nbalancer_repairs_total 0\n"));
  ck_assert_ptr_nonnull(
      strstr(text_get(&out), "\nbalancer_snapshot_age_seconds -1\n"));
  text_free(&out);
  follow_world_close(&w);
}
END_TEST

/* ---- a reader of another thread ---- */

typedef struct reader {
  table *table;
  atomic_bool stop;
  int64_t gen;
  size_t found, went_back;
} reader;

static void *read_on(void *arg) {
  reader *r = arg;

  table_online(r->table, 1);
  while (!atomic_load(&r->stop)) {
    const route *now = table_find(r->table, "a.test", 6);
    int64_t gen = now != NULL ? route_gen(now) : -1;

    r->found += now != NULL;
    r->went_back += gen < r->gen;
    r->gen = gen;
    table_quiet(r->table, 1);
  }
  table_offline(r->table, 1);
  return NULL;
}

START_TEST(test_follow_readers_see_it_go_forward) {
  enum { WRITES = 200 };
  reader r = {.gen = -1};
  pthread_t thread;
  follow_world w;
  follower *f;

  follow_world_open(&w);
  f = follower_new(&w, 0);
  follower_open(f);
  r.table = f->table;
  atomic_init(&r.stop, false);
  ck_assert_int_eq(pthread_create(&thread, NULL, read_on, &r), 0);
  FOLLOW_AWAIT(&w, f->replaced == 1);
  for (int i = 1; i <= WRITES; i++) {
    if (i % 9 == 0) /* the revision before it is served on */
      follow_put(&w, "route:a", "\"app\":1");
    follow_put_route(&w, "a", i);
    if (i % 3 == 0)
      FOLLOW_AWAIT(&w, follow_served(f, "a") == i);
  }
  FOLLOW_AWAIT(&w, follow_served(f, "a") == WRITES);
  atomic_store(&r.stop, true);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_uint_gt(r.found, 0);
  ck_assert_uint_eq(r.went_back, 0);
  table_reclaim(f->table);
  follow_world_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_follow");
  TCase *c = tcase_create("follow");

  tcase_add_test(c, test_follow_what_is_written_is_served);
  tcase_add_test(c, test_follow_an_unreadable_document_changes_nothing);
  tcase_add_test(c, test_follow_maintenance_comes_and_goes);
  tcase_add_test(c, test_follow_fresh_is_proven_by_ticks);
  tcase_add_test(c, test_follow_a_feed_that_only_beats_is_replaced);
  tcase_add_test(c, test_follow_balancers_are_listed);
  tcase_add_test(c, test_follow_two_routes_with_one_host);
  tcase_add_test(c, test_follow_metrics_tell);
  tcase_add_test(c, test_follow_readers_see_it_go_forward);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
