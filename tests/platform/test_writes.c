/* What the API writes, against a simulated database that loses answers, applies
   late, says 202 and is raced: what is told is so, a wish is written once, a
   host has one owner. */
#include "provisioner/clock.h"
#include "provisioner/writes.h"
#include "support/couchsim.h"
#include "support/unit.h"
#include <poll.h>
#include <pthread.h>
#include <string.h>

typedef struct world {
  cft_couchsim *sim;
  desk_hands hands;
} world;

static desk_hands new_hands(cft_couchsim *sim) {
  rest_config server = {.url = cft_couchsim_url(sim, 0), .total_ms = 1500};
  desk_hands hands = {NULL, NULL, "apps"};
  char error[256];

  hands.apps = docs_new(&server, "apps", error, sizeof error);
  hands.locks = docs_new(&server, "locks", error, sizeof error);
  ck_assert_ptr_nonnull(hands.apps);
  ck_assert_ptr_nonnull(hands.locks);
  return hands;
}

static void free_hands(desk_hands *hands) {
  docs_free(hands->apps);
  docs_free(hands->locks);
}

static void open_world(world *w, const char *const *args) {
  w->sim = cft_couchsim_start(args);
  cft_couchsim_must(w->sim, 201, "PUT", "/apps", "%s", "");
  cft_couchsim_must(w->sim, 201, "PUT", "/locks?n=1", "%s", "");
  w->hands = new_hands(w->sim);
}

static void close_world(world *w) {
  free_hands(&w->hands);
  cft_couchsim_stop(w->sim);
}

static enum write_result define(desk_hands *hands, const char *app,
                                const char *host, bool *created,
                                write_answer *answer) {
  json_t *definition =
      json_pack("{s:s, s:[s], s:{}}", "command", "run", "hosts", host, "env");
  enum write_result result =
      write_app(hands, app, definition, 0, created, answer);

  json_decref(definition);
  return result;
}

static void create(world *w, const char *app, const char *host) {
  write_answer answer;
  bool created;

  ck_assert_int_eq(define(&w->hands, app, host, &created, &answer), WRITE_DONE);
  ck_assert(created);
}

static wish_change start(int64_t renew_of) {
  wish_change c = {true, "", renew_of, 0, wall_ms()};

  return c;
}

static json_t *doc_of(world *w, const char *path) {
  json_t *doc = NULL;

  ck_assert_int_eq(cft_couchsim_do(w->sim, 0, "GET", path, NULL, &doc), 200);
  return doc;
}

static int64_t gen_of(world *w, const char *path) {
  json_t *doc = doc_of(w, path);
  wish now;

  wish_of(doc, &now);
  json_decref(doc);
  return now.gen;
}

/* ---- answers that say nothing ---- */

static const char *const faults[] = {
    "{\"then\":\"close\"}",                  /* done, not told */
    "{\"then\":\"reset\"}",                  /* done, not told */
    "{\"status\":503}",                      /* not done */
    "{\"status\":429}",                      /* not done */
    "{\"apply_ms\":300,\"then\":\"close\"}", /* done later */
    "{\"apply_ms\":40,\"status\":500}",      /* done later */
    "{\"head_ms\":2500}",                    /* done, told too late */
};
enum { FAULTS = sizeof faults / sizeof *faults };

START_TEST(test_writes_a_wish_is_written_once_whatever_is_answered) {
  world w = {0};
  wish_change change = start(-1);
  write_answer answer;
  enum write_result result;

  open_world(&w, NULL);
  create(&w, "a", "a.de");
  cft_couchsim_rule(w.sim,
                    "{\"kind\":\"doc_put\",\"db\":\"apps\",\"times\":1,\"do\":"
                    "%s}",
                    faults[_i]);
  result = write_want(&w.hands, "a", &change, &answer);
  ck_assert(result == WRITE_DONE);
  ck_assert_int_eq(answer.gen, 1);
  ck_assert_int_eq(gen_of(&w, "/apps/app:a"), 1);
  /* Also after what was late has come. */
  (void)poll(NULL, 0, 400);
  ck_assert_int_eq(gen_of(&w, "/apps/app:a"), 1);
  change.at_ms++;
  ck_assert_int_eq(write_want(&w.hands, "a", &change, &answer), WRITE_SAME);
  close_world(&w);
}
END_TEST

START_TEST(test_writes_an_app_is_created_and_destroyed_whatever_is_answered) {
  world w = {0};
  write_answer answer;
  bool created;

  open_world(&w, NULL);
  cft_couchsim_rule(w.sim,
                    "{\"kind\":\"doc_put\",\"times\":2,\"do\":"
                    "%s}",
                    faults[_i]);
  ck_assert_int_eq(define(&w.hands, "a", "a.de", &created, &answer),
                   WRITE_DONE);
  ck_assert(created);
  cft_couchsim_no_rules(w.sim);
  cft_couchsim_rule(w.sim,
                    "{\"kind\":\"doc_put\",\"times\":1,\"do\":"
                    "%s}",
                    faults[_i]);
  ck_assert_int_eq(write_destroy(&w.hands, "a", 5, &answer), WRITE_DONE);
  ck_assert_int_eq(answer.gen, 6);
  cft_couchsim_must(w.sim, 404, "GET", "/apps/app:a", "%s", "");
  cft_couchsim_no_rules(w.sim);
  create(&w, "a", "a.de");
  ck_assert_int_eq(gen_of(&w, "/apps/app:a"), 6); /* of the tombstone */
  close_world(&w);
}
END_TEST

START_TEST(test_writes_a_database_that_is_away_is_said) {
  world w = {0};
  wish_change change = start(-1);
  write_answer answer;
  int64_t before;

  open_world(&w, NULL);
  create(&w, "a", "a.de");
  ck_assert_int_eq(write_want(&w.hands, "b", &change, &answer), WRITE_MISSING);
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"doc_get\",\"times\":-1,\"do\":{\"status\":"
                    "500}}");
  before = mono_ms();
  ck_assert_int_eq(write_want(&w.hands, "a", &change, &answer), WRITE_DATABASE);
  ck_assert_int_ne(answer.error[0], 0);
  ck_assert_int_lt(mono_ms() - before, 13000);
  close_world(&w);
}
END_TEST

/* ---- several at once ---- */

enum { WRITERS = 4 };

typedef struct writer {
  desk_hands hands;
  const char *app, *host;
  wish_change change;
  enum write_result result;
  write_answer answer;
  bool created;
} writer;

static void *want(void *arg) {
  writer *one = arg;

  one->result = write_want(&one->hands, one->app, &one->change, &one->answer);
  return NULL;
}

static void *define_it(void *arg) {
  writer *one = arg;

  one->result =
      define(&one->hands, one->app, one->host, &one->created, &one->answer);
  return NULL;
}

static void all_at_once(world *w, writer *writers, void *(*what)(void *)) {
  pthread_t threads[WRITERS];

  for (int i = 0; i < WRITERS; i++) {
    writers[i].hands = new_hands(w->sim);
    ck_assert_int_eq(pthread_create(&threads[i], NULL, what, &writers[i]), 0);
  }
  for (int i = 0; i < WRITERS; i++) {
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    free_hands(&writers[i].hands);
  }
}

START_TEST(test_writes_the_same_wish_of_many_is_one_gen) {
  static const char *const args[] = {"--nodes", "3", "--seed", "5", NULL};
  world w = {0};

  open_world(&w, args);
  cft_couchsim_tell(w.sim, "settings", "%s", "{\"race\":0.5}");
  create(&w, "a", "a.de");
  for (int round = 0; round < 10; round++) {
    writer writers[WRITERS];
    int64_t gen = gen_of(&w, "/apps/app:a");

    memset(writers, 0, sizeof writers);
    for (int i = 0; i < WRITERS; i++) {
      writers[i].app = "a";
      writers[i].change = start(gen); /* all: again, beyond that one */
      writers[i].change.at_ms += i;
    }
    all_at_once(&w, writers, want);
    for (int i = 0; i < WRITERS; i++) {
      ck_assert(writers[i].result == WRITE_DONE ||
                writers[i].result == WRITE_SAME);
      ck_assert_int_eq(writers[i].answer.gen, gen + 1);
    }
    ck_assert_int_eq(gen_of(&w, "/apps/app:a"), gen + 1);
  }
  close_world(&w);
}
END_TEST

START_TEST(test_writes_a_host_has_one_owner) {
  static const char *const apps[] = {"a", "b", "c", "d"};
  world w = {0};

  open_world(&w, NULL);
  for (int round = 0; round < 10; round++) {
    writer writers[WRITERS];
    char host[32], path[64];
    int owners = 0;
    json_t *doc;

    (void)snprintf(host, sizeof host, "h%d.de", round);
    (void)snprintf(path, sizeof path, "/locks/host:%s", host);
    memset(writers, 0, sizeof writers);
    for (int i = 0; i < WRITERS; i++) {
      writers[i].app = apps[i];
      writers[i].host = host;
    }
    all_at_once(&w, writers, define_it);
    doc = doc_of(&w, path);
    for (int i = 0; i < WRITERS; i++) {
      ck_assert(writers[i].result == WRITE_DONE ||
                writers[i].result == WRITE_TAKEN);
      if (writers[i].result != WRITE_DONE)
        continue;
      owners++;
      ck_assert_str_eq(json_string_value(json_object_get(doc, "app")), apps[i]);
    }
    ck_assert_int_eq(owners, 1);
    json_decref(doc);
  }
  close_world(&w);
}
END_TEST

START_TEST(test_writes_a_pattern_is_a_host_like_any_other) {
  world w = {0};
  write_answer answer;
  bool created;

  open_world(&w, NULL);
  create(&w, "a", "*.shop.de");
  create(&w, "b", "x.shop.de"); /* a name below it is not taken by it */
  create(&w, "c", "shop.de");
  create(&w, "d", "*.x.shop.de");
  ck_assert_int_eq(define(&w.hands, "e", "*.shop.de", &created, &answer),
                   WRITE_TAKEN);
  ck_assert_ptr_nonnull(strstr(answer.error, "*.shop.de"));
  close_world(&w);
}
END_TEST

/* ---- names given back ---- */

static bool is_held(void *ctx, const char *host, const char *app) {
  (void)app;
  return strcmp(host, ctx) == 0;
}

START_TEST(test_writes_names_that_nobody_has_are_given_back) {
  char held[] = "held.de";
  world w = {0};
  int64_t now = wall_ms();

  open_world(&w, NULL);
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:old.de",
                    "{\"app\":\"a\",\"at\":%lld}", (long long)now - 70000);
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:held.de",
                    "{\"app\":\"a\",\"at\":%lld}", (long long)now - 70000);
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:young.de",
                    "{\"app\":\"a\",\"at\":%lld}", (long long)now - 50000);
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:strange.de", "%s",
                    "{\"app\":[],\"at\":\"x\"}");
  ck_assert_int_eq(hosts_sweep(&w.hands, is_held, held), 1);
  cft_couchsim_must(w.sim, 404, "GET", "/locks/host:old.de", "%s", "");
  cft_couchsim_must(w.sim, 200, "GET", "/locks/host:held.de", "%s", "");
  cft_couchsim_must(w.sim, 200, "GET", "/locks/host:young.de", "%s", "");
  cft_couchsim_must(w.sim, 200, "GET", "/locks/host:strange.de", "%s", "");
  ck_assert_int_eq(hosts_sweep(&w.hands, is_held, held), 0);
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"all_docs\",\"times\":-1,\"do\":{\"status\":"
                    "500}}");
  ck_assert_int_eq(hosts_sweep(&w.hands, is_held, held), -1);
  close_world(&w);
}
END_TEST

START_TEST(test_writes_an_abandoned_host_is_taken_over) {
  world w = {0};
  write_answer answer;
  bool created;

  open_world(&w, NULL);
  create(&w, "a", "h.de");
  ck_assert_int_eq(define(&w.hands, "b", "h.de", &created, &answer),
                   WRITE_TAKEN);
  ck_assert_ptr_nonnull(strstr(answer.error, "h.de"));
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/route:a", "%s", "{}");
  ck_assert_int_eq(write_destroy(&w.hands, "a", 0, &answer), WRITE_DONE);
  /* Its route may still send visitors. */
  ck_assert_int_eq(define(&w.hands, "b", "h.de", &created, &answer),
                   WRITE_TAKEN);
  cft_couchsim_must(w.sim, 200, "DELETE",
                    "/apps/route:a?rev=1-967a00dff5e02add41819138abb3284d",
                    "%s", "");
  ck_assert_int_eq(define(&w.hands, "b", "h.de", &created, &answer),
                   WRITE_DONE);
  close_world(&w);
}
END_TEST

START_TEST(test_writes_a_host_of_an_app_that_is_being_created_is_its) {
  world w = {0};
  write_answer answer;
  bool created;

  open_world(&w, NULL);
  /* Written, and the app's document is not there yet. */
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:h.de",
                    "{\"app\":\"a\",\"at\":%lld}", (long long)wall_ms());
  ck_assert_int_eq(define(&w.hands, "b", "h.de", &created, &answer),
                   WRITE_TAKEN);
  create(&w, "a", "h.de");
  cft_couchsim_must(w.sim, 201, "PUT", "/locks/host:old.de",
                    "{\"app\":\"gone\",\"at\":%lld}",
                    (long long)wall_ms() - 61000);
  create(&w, "c", "old.de");
  close_world(&w);
}
END_TEST

START_TEST(test_writes_maintenance_is_written_and_kept) {
  world w = {0};
  json_t *document =
             json_pack("{s:s, s:s, s:n}", "mode", "api", "msg", "m", "until"),
         *doc;
  write_answer answer;

  open_world(&w, NULL);
  cft_couchsim_must(w.sim, 201, "PUT", "/apps/sys:maintenance", "%s",
                    "{\"mode\":\"off\",\"note\":1}");
  cft_couchsim_rule(w.sim, "%s",
                    "{\"kind\":\"doc_put\",\"times\":1,\"do\":{\"then\":"
                    "\"close\"}}");
  ck_assert_int_eq(write_maintenance(&w.hands, document, &answer), WRITE_DONE);
  doc = doc_of(&w, "/apps/sys:maintenance");
  ck_assert_str_eq(json_string_value(json_object_get(doc, "mode")), "api");
  ck_assert_int_eq(json_integer_value(json_object_get(doc, "note")), 1);
  json_decref(doc);
  json_decref(document);
  close_world(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("writes");
  TCase *c = tcase_create("writes");

  tcase_add_loop_test(
      c, test_writes_a_wish_is_written_once_whatever_is_answered, 0, FAULTS);
  tcase_add_loop_test(
      c, test_writes_an_app_is_created_and_destroyed_whatever_is_answered, 0,
      FAULTS);
  tcase_add_test(c, test_writes_a_database_that_is_away_is_said);
  tcase_add_test(c, test_writes_the_same_wish_of_many_is_one_gen);
  tcase_add_test(c, test_writes_a_host_has_one_owner);
  tcase_add_test(c, test_writes_a_pattern_is_a_host_like_any_other);
  tcase_add_test(c, test_writes_names_that_nobody_has_are_given_back);
  tcase_add_test(c, test_writes_an_abandoned_host_is_taken_over);
  tcase_add_test(c, test_writes_a_host_of_an_app_that_is_being_created_is_its);
  tcase_add_test(c, test_writes_maintenance_is_written_and_kept);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
