/* Documents, against a simulated CouchDB that does what a real one was seen to
   do: what each answer means to somebody who must know whether it was he. */
#include "common/docs.h"
#include "common/log.h"

#include "support/couchsim.h"
#include "support/unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static cft_couchsim *sim;
static char error[256];
static docs_answer answer;

static docs *docs_at(const char *url, const char *db, int64_t total_ms) {
  rest_config config = {.url = url, .total_ms = total_ms};
  docs *d = docs_new(&config, db, error, sizeof error);

  ck_assert_msg(d != NULL, "%s", error);
  return d;
}

static docs *start(const char *const *args) {
  docs *d;

  sim = cft_couchsim_start(args);
  d = docs_at(cft_couchsim_url(sim, 0), "apps", 2000);
  ck_assert_int_eq(docs_create_db(d, 0, &answer), DOCS_OK);
  return d;
}

static void stop(docs *d) {
  docs_free(d);
  cft_couchsim_stop(sim);
}

/* Writes a document {"n": n} over rev ("": a new one). */
static enum docs_result put(docs *d, const char *id, const char *rev, int n) {
  json_t *doc = json_pack("{s:i}", "n", n);
  enum docs_result result;

  if (*rev != '\0')
    ck_assert_int_eq(json_object_set_new(doc, "_rev", json_string(rev)), 0);
  result = docs_put(d, id, doc, &answer);
  json_decref(doc);
  return result;
}

/* What the database holds: the n of a document, -1: there is none. */
static int holds(docs *d, const char *id) {
  docs_answer read;
  json_t *doc;
  enum docs_result result = docs_get(d, id, &doc, &read);
  int n = -1;

  if (result == DOCS_OK) {
    n = (int)json_integer_value(json_object_get(doc, "n"));
    ck_assert_str_eq(json_string_value(json_object_get(doc, "_rev")), read.rev);
    ck_assert_str_eq(json_string_value(json_object_get(doc, "_id")), id);
  } else {
    ck_assert_int_eq(result, DOCS_MISSING);
  }
  json_decref(doc);
  return n;
}

START_TEST(test_docs_are_written_read_and_deleted) {
  docs *d = start(NULL);
  char first[96];

  ck_assert_int_eq(holds(d, "app:a"), -1);
  ck_assert_int_eq(put(d, "app:a", "", 1), DOCS_OK);
  ck_assert_int_eq(answer.status, 201);
  ck_assert_str_eq(answer.error, "");
  memcpy(first, answer.rev, sizeof first);
  ck_assert_int_eq(holds(d, "app:a"), 1);
  ck_assert_int_eq(put(d, "app:a", "", 2), DOCS_CONFLICT);
  ck_assert_str_eq(answer.rev, "");
  ck_assert_ptr_nonnull(strstr(answer.error, "409 (conflict"));
  ck_assert_int_eq(put(d, "app:a", first, 2), DOCS_OK);
  ck_assert_int_eq(put(d, "app:a", first, 3), DOCS_CONFLICT);
  ck_assert_int_eq(holds(d, "app:a"), 2);
  ck_assert_int_eq(docs_delete(d, "app:a", first, &answer), DOCS_CONFLICT);
  ck_assert_int_eq(put(d, "_design/x", "", 4), DOCS_OK);
  ck_assert_int_eq(holds(d, "_design/x"), 4);
  ck_assert_int_eq(put(d, "a/b ?#\xc3\xb6", "", 5), DOCS_OK);
  ck_assert_int_eq(holds(d, "a/b ?#\xc3\xb6"), 5);
  ck_assert_int_eq(docs_delete(d, "a/b ?#\xc3\xb6", answer.rev, &answer),
                   DOCS_OK);
  ck_assert_int_eq(holds(d, "a/b ?#\xc3\xb6"), -1);
  stop(d);
}
END_TEST

START_TEST(test_docs_a_tombstone_can_say_something) {
  docs *d = start(NULL);
  json_t *grave, *doc, *seen;

  ck_assert_int_eq(put(d, "app:a", "", 1), DOCS_OK);
  grave =
      json_pack("{s:s,s:b,s:i}", "_rev", answer.rev, "_deleted", 1, "gen", 7);
  ck_assert_int_eq(docs_put(d, "app:a", grave, &answer), DOCS_OK);
  json_decref(grave);
  ck_assert_int_eq(docs_get(d, "app:a", &doc, &answer), DOCS_MISSING);
  ck_assert_ptr_null(doc);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET",
                                   "/apps/_changes?include_docs=true", NULL,
                                   &seen),
                   200);
  doc = json_object_get(json_array_get(json_object_get(seen, "results"), 0),
                        "doc");
  ck_assert_int_eq(json_integer_value(json_object_get(doc, "gen")), 7);
  json_decref(seen);
  stop(d);
}
END_TEST

/* Never there, there, deleted, there again: four different things. */
START_TEST(test_docs_a_tombstone_is_found) {
  docs *d = start(NULL);
  char rev[sizeof answer.rev];

  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_MISSING);
  ck_assert_int_eq(put(d, "app:a", "", 1), DOCS_OK);
  memcpy(rev, answer.rev, sizeof rev);
  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_CONFLICT);
  ck_assert_int_eq(docs_delete(d, "app:a", rev, &answer), DOCS_OK);
  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_OK);
  ck_assert_int_eq(put(d, "app:a", "", 2), DOCS_OK);
  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_CONFLICT);
  ck_assert_int_eq(docs_find_tombstone(d, "", &answer), DOCS_REFUSED);
  docs_free(d);
  /* A database that is away, or gone, says nothing of its documents. */
  d = docs_at(cft_couchsim_url(sim, 0), "nowhere", 2000);
  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_UNKNOWN);
  stop(d);
  d = docs_at("http://127.0.0.1:9", "apps", 2000);
  ck_assert_int_eq(docs_find_tombstone(d, "app:a", &answer), DOCS_UNKNOWN);
  docs_free(d);
}
END_TEST

START_TEST(test_docs_what_each_status_means) {
  static const struct {
    int status;
    enum docs_result result;
  } table[] = {{400, DOCS_REFUSED},  {401, DOCS_REFUSED},  {403, DOCS_REFUSED},
               {404, DOCS_MISSING},  {405, DOCS_REFUSED},  {408, DOCS_UNKNOWN},
               {409, DOCS_CONFLICT}, {412, DOCS_CONFLICT}, {413, DOCS_REFUSED},
               {415, DOCS_REFUSED},  {429, DOCS_UNKNOWN},  {500, DOCS_UNKNOWN},
               {502, DOCS_UNKNOWN},  {503, DOCS_UNKNOWN},  {504, DOCS_UNKNOWN},
               {302, DOCS_REFUSED}};
  docs *d = start(NULL);
  char code[8];
  json_t *doc;

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    cft_couchsim_rule(sim,
                      "{\"path\":\"/apps/a\",\"do\":{\"status\":%d,"
                      "\"headers\":{\"Retry-After\":\"3\"}}}",
                      table[i].status);
    (void)snprintf(code, sizeof code, "%d", table[i].status);
    ck_assert_int_eq(put(d, "a", "", 1), table[i].result);
    ck_assert_int_eq(answer.status, table[i].status);
    ck_assert_int_eq(answer.retry_after_ms, 3000);
    ck_assert_msg(strstr(answer.error, code) != NULL, "%s", answer.error);
    ck_assert_int_eq(docs_delete(d, "a", "1-a", &answer), table[i].result);
    ck_assert_int_eq(docs_get(d, "a", &doc, &answer), table[i].result);
    ck_assert_ptr_null(doc);
    cft_couchsim_no_rules(sim);
  }
  ck_assert_int_eq(holds(d, "a"), -1);
  stop(d);
}
END_TEST

/* Some proxy on the way has an opinion of its own. */
START_TEST(test_docs_a_page_is_no_document_and_no_success) {
  docs *d = start(NULL);
  json_t *doc;

  cft_couchsim_rule(sim, "{\"path\":\"/apps/a\",\"do\":{\"status\":200,"
                         "\"body\":\"<html>Hello\"}}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_UNKNOWN);
  ck_assert_ptr_nonnull(strstr(answer.error, "200 and no revision"));
  ck_assert_int_eq(docs_get(d, "a", &doc, &answer), DOCS_REFUSED);
  ck_assert_ptr_nonnull(strstr(answer.error, "no document"));
  stop(d);
}
END_TEST

/* Done, and then nothing is heard: the same PUT again says 409, not 201. */
START_TEST(test_docs_done_without_an_answer_is_unknown) {
  static const char *const thens[] = {"close", "reset", "silence"};
  docs *d = start(NULL), *hasty;
  char id[16];

  hasty = docs_at(cft_couchsim_url(sim, 0), "apps", 400);
  for (int i = 0; i < 3; i++) {
    (void)snprintf(id, sizeof id, "a%d", i);
    ck_assert_int_eq(holds(hasty, id), -1); /* there is a connection by now */
    cft_couchsim_rule(sim,
                      "{\"kind\":\"doc_put\",\"times\":1,"
                      "\"do\":{\"then\":\"%s\"}}",
                      thens[i]);
    ck_assert_int_eq(put(hasty, id, "", i), DOCS_UNKNOWN);
    ck_assert_int_eq(answer.status, 0);
    ck_assert_ptr_nonnull(strstr(answer.error, id));
    ck_assert_int_eq(holds(hasty, id), i);
    ck_assert_int_eq(put(hasty, id, "", i), DOCS_CONFLICT);
  }
  docs_free(hasty);
  stop(d);
}
END_TEST

START_TEST(test_docs_not_reached_is_unknown_too) {
  docs *d = start(NULL);

  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":false}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_UNKNOWN);
  ck_assert_int_eq(answer.status, 0);
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":true}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_OK);
  stop(d);
}
END_TEST

/* A write that is stored after its writer gave up. */
START_TEST(test_docs_done_later_is_unknown_until_it_is_there) {
  docs *d = start(NULL);
  int n;

  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"times\":1,"
                         "\"do\":{\"apply_ms\":300,\"status\":500}}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_UNKNOWN);
  ck_assert_int_eq(answer.status, 500);
  for (int i = 0; (n = holds(d, "a")) < 0 && i < 500; i++)
    (void)nanosleep(&(struct timespec){0, 20000000}, NULL);
  ck_assert_int_eq(n, 1);
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_CONFLICT);
  stop(d);
}
END_TEST

START_TEST(test_docs_a_slow_database_is_waited_for_and_given_up) {
  docs *d = start(NULL), *hasty;

  hasty = docs_at(cft_couchsim_url(sim, 0), "apps", 200);
  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"do\":{\"delay_ms\":500}}");
  ck_assert_int_eq(put(hasty, "a", "", 1), DOCS_UNKNOWN);
  ck_assert_int_ge(answer.took_ms, 190);
  ck_assert_int_lt(answer.took_ms, 1500);
  ck_assert_int_eq(put(d, "b", "", 2), DOCS_OK);
  ck_assert_int_ge(answer.took_ms, 490);
  docs_free(hasty);
  stop(d);
}
END_TEST

static const char *const cluster[] = {"--nodes", "3", NULL};

START_TEST(test_docs_kept_by_too_few_copies_is_only_accepted) {
  docs *d = start(cluster), *other, *locks;
  json_t *doc;

  other = docs_at(cft_couchsim_url(sim, 1), "apps", 2000);
  cft_couchsim_tell(sim, "split", "{\"groups\":[[0],[1,2]]}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_ACCEPTED);
  ck_assert_int_eq(answer.status, 202);
  ck_assert_uint_gt(strlen(answer.rev), 10);
  ck_assert_ptr_nonnull(strstr(answer.error, "only accepted"));
  ck_assert_int_eq(put(other, "a", "", 2), DOCS_OK);
  cft_couchsim_tell(sim, "heal", "{}");
  /* Both were told something good, and one of them has lost. */
  ck_assert_int_eq(docs_get(d, "a", &doc, &answer), DOCS_OK);
  ck_assert_uint_eq(json_array_size(json_object_get(doc, "_conflicts")), 1);
  json_decref(doc);
  docs_free(other);
  locks = docs_at(cft_couchsim_url(sim, 0), "locks", 2000);
  ck_assert_int_eq(docs_create_db(locks, 1, &answer), DOCS_OK);
  ck_assert_int_eq(docs_create_db(locks, 1, &answer), DOCS_CONFLICT);
  docs_free(locks);
  stop(d);
}
END_TEST

START_TEST(test_docs_a_race_is_accepted_twice) {
  docs *d = start(cluster);
  char first[96];

  cft_couchsim_tell(sim, "settings", "{\"race\":1,\"race_ms\":60000}");
  ck_assert_int_eq(put(d, "a", "", 1), DOCS_OK);
  memcpy(first, answer.rev, sizeof first);
  ck_assert_int_eq(put(d, "a", "", 2), DOCS_ACCEPTED);
  ck_assert_str_ne(answer.rev, first);
  stop(d);
}
END_TEST

START_TEST(test_docs_somebody_else_is_refused) {
  static const char *const args[] = {"--admin", "admin:s3cret", NULL};
  docs *d = start(args), *nobody, *wrong;
  char url[256];

  ck_assert_int_eq(put(d, "a", "", 1), DOCS_OK);
  nobody = docs_at(cft_couchsim_plain_url(sim, 0), "apps", 2000);
  ck_assert_int_eq(put(nobody, "b", "", 1), DOCS_REFUSED);
  ck_assert_int_eq(answer.status, 401);
  (void)snprintf(url, sizeof url, "http://admin:wr0ng@%s",
                 cft_couchsim_plain_url(sim, 0) + strlen("http://"));
  wrong = docs_at(url, "apps", 2000);
  ck_assert_int_eq(put(wrong, "b", "", 1), DOCS_REFUSED);
  ck_assert_int_eq(answer.status, 401);
  ck_assert_ptr_null(strstr(answer.error, "wr0ng"));
  ck_assert_int_eq(holds(d, "b"), -1);
  docs_free(nobody);
  docs_free(wrong);
  stop(d);
}
END_TEST

/* ---- many ---- */

typedef struct seen {
  int count, most;
  char last[32];
} seen;

static bool see(void *ctx, const json_t *doc) {
  const char *id = json_string_value(json_object_get(doc, "_id"));
  seen *s = ctx;

  ck_assert_ptr_nonnull(id);
  ck_assert_int_lt(strcmp(s->last, id), 0);
  (void)snprintf(s->last, sizeof s->last, "%s", id);
  return ++s->count != s->most;
}

static void fill(const char *prefix, int count) {
  json_t *docs_of = json_array(), *bulk;
  char id[64], *body;

  for (int i = 0; i < count; i++) {
    (void)snprintf(id, sizeof id, "%s%05d", prefix, i);
    ck_assert_int_eq(
        json_array_append_new(docs_of, json_pack("{s:s}", "_id", id)), 0);
  }
  bulk = json_pack("{s:o}", "docs", docs_of);
  body = json_dumps(bulk, 0);
  cft_couchsim_must(sim, 201, "POST", "/apps/_bulk_docs", "%s", body);
  free(body);
  json_decref(bulk);
}

START_TEST(test_docs_each_of_a_prefix_once_and_in_order) {
  docs *d = start(NULL);
  seen all = {0}, some = {.most = 700}, none = {0};

  fill("drone", 3); /* begins almost so */
  fill("drone:", 1234);
  fill("drone;", 3);
  ck_assert_int_eq(docs_each(d, "drone:", see, &all, &answer), DOCS_OK);
  ck_assert_int_eq(all.count, 1234);
  ck_assert_str_eq(all.last, "drone:01233");
  ck_assert_int_eq(docs_each(d, "drone:", see, &some, &answer), DOCS_OK);
  ck_assert_int_eq(some.count, 700);
  ck_assert_int_eq(docs_each(d, "host:", see, &none, &answer), DOCS_OK);
  ck_assert_int_eq(none.count, 0);
  memset(&all, 0, sizeof all);
  ck_assert_int_eq(docs_each(d, "", see, &all, &answer), DOCS_OK);
  ck_assert_int_eq(all.count, 1240);
  stop(d);
}
END_TEST

static docs *the_docs;

/* Deletes what it is told, so that "behind the last one" must hold without it.
 */
static bool see_and_delete(void *ctx, const json_t *doc) {
  docs_answer of_delete;
  json_t *again;
  const char *id = json_string_value(json_object_get(doc, "_id"));
  int64_t last = ((seen *)ctx)->count % 100;

  if (last == 0 || last == 99) {
    ck_assert_int_eq(docs_get(the_docs, id, &again, &of_delete), DOCS_OK);
    ck_assert_int_eq(
        docs_delete(the_docs, id,
                    json_string_value(json_object_get(again, "_rev")),
                    &of_delete),
        DOCS_OK);
    json_decref(again);
  }
  return see(ctx, doc);
}

START_TEST(test_docs_each_misses_none_when_others_go) {
  docs *d = start(NULL);
  seen all = {0};

  the_docs = docs_at(cft_couchsim_url(sim, 0), "apps", 2000);
  fill("a:", 1100);
  ck_assert_int_eq(docs_each(d, "a:", see_and_delete, &all, &answer), DOCS_OK);
  ck_assert_int_eq(all.count, 1100);
  docs_free(the_docs);
  stop(d);
}
END_TEST

START_TEST(test_docs_each_passes_over_what_cannot_be_read) {
  docs *d = start(NULL);
  seen all = {0};

  log_open("test", LOG_ERROR); /* it warns, and that is right */
  fill("a:", 600);
  /* A key with a zero byte, which CouchDB takes and few others do. */
  cft_couchsim_must(sim, 201, "PUT", "/apps/a:00200x", "%s",
                    "{\"a\\u0000b\":1}");
  ck_assert_int_eq(docs_each(d, "a:", see, &all, &answer), DOCS_OK);
  ck_assert_int_eq(all.count, 600);
  stop(d);
}
END_TEST

START_TEST(test_docs_each_says_when_it_could_not_go_on) {
  docs *d = start(NULL);
  seen all = {0};

  fill("a:", 600);
  cft_couchsim_rule(sim, "{\"kind\":\"all_docs\",\"skip\":1,"
                         "\"do\":{\"status\":500}}");
  ck_assert_int_eq(docs_each(d, "a:", see, &all, &answer), DOCS_UNKNOWN);
  ck_assert_int_eq(answer.status, 500);
  ck_assert_int_ge(all.count, 500);
  ck_assert_int_lt(all.count, 600);
  stop(d);
}
END_TEST

START_TEST(test_docs_wrong_names_are_refused) {
  static const char *const bad[] = {"", "Apps", "1a", "a b", "a?b", "a#", "a%"};
  rest_config config = {.url = "http://127.0.0.1:1"};
  docs *d;
  json_t *doc;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_ptr_null(docs_new(&config, bad[i], error, sizeof error));
  ck_assert_str_eq(error, "\"a%\" is no name of a database.");
  d = docs_new(&config, "apps", error, sizeof error);
  ck_assert_int_eq(docs_get(d, "", &doc, &answer), DOCS_REFUSED);
  ck_assert_ptr_null(doc);
  ck_assert_int_eq(docs_get(d, "_design/", &doc, &answer), DOCS_REFUSED);
  ck_assert_str_eq(answer.error,
                   "A document cannot have the name \"_design/\".");
  docs_free(d);
  docs_free(NULL);
}
END_TEST

int main(void) {
  Suite *s = suite_create("docs");
  TCase *t = tcase_create("docs");

  tcase_add_test(t, test_docs_a_tombstone_is_found);
  tcase_add_test(t, test_docs_are_written_read_and_deleted);
  tcase_add_test(t, test_docs_a_tombstone_can_say_something);
  tcase_add_test(t, test_docs_what_each_status_means);
  tcase_add_test(t, test_docs_a_page_is_no_document_and_no_success);
  tcase_add_test(t, test_docs_done_without_an_answer_is_unknown);
  tcase_add_test(t, test_docs_not_reached_is_unknown_too);
  tcase_add_test(t, test_docs_done_later_is_unknown_until_it_is_there);
  tcase_add_test(t, test_docs_a_slow_database_is_waited_for_and_given_up);
  tcase_add_test(t, test_docs_kept_by_too_few_copies_is_only_accepted);
  tcase_add_test(t, test_docs_a_race_is_accepted_twice);
  tcase_add_test(t, test_docs_somebody_else_is_refused);
  tcase_add_test(t, test_docs_each_of_a_prefix_once_and_in_order);
  tcase_add_test(t, test_docs_each_misses_none_when_others_go);
  tcase_add_test(t, test_docs_each_passes_over_what_cannot_be_read);
  tcase_add_test(t, test_docs_each_says_when_it_could_not_go_on);
  tcase_add_test(t, test_docs_wrong_names_are_refused);
  suite_add_tcase(s, t);
  return cft_run(s);
}
