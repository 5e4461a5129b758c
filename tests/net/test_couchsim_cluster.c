/* couchsim as a cluster: majorities, nodes that go and come, a split that
   heals with stored conflicts, races, databases with one copy, and what the
   recordings of a cluster in trouble say. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couchsim.h"
#include "support/timing.h"
#include "support/unit.h"
#include "support/wire_compare.h"

#include <string.h>

static cft_couchsim *sim;

static void start(void) {
  const char *const args[] = {"--nodes", "3", "--seed", "11", NULL};
  sim = cft_couchsim_start(args);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
}

static void stop(void) { cft_couchsim_stop(sim); }

static int put(unsigned node, const char *path, const char *body) {
  return cft_couchsim_do(sim, node, "PUT", path, body, NULL);
}

static json_t *get(unsigned node, const char *path) {
  json_t *v = NULL;
  ck_assert_int_eq(cft_couchsim_do(sim, node, "GET", path, NULL, &v), 200);
  return v;
}

static void expect_error(unsigned node, const char *path, int status,
                         const char *reason) {
  json_t *v = NULL;
  ck_assert_int_eq(cft_couchsim_do(sim, node, "GET", path, NULL, &v), status);
  ck_assert_str_eq(json_string_value(json_object_get(v, "reason")), reason);
  json_decref(v);
}

START_TEST(test_couchsim_nodes_tell_the_same) {
  ck_assert_int_eq(put(0, "/db/x", "{\"a\":1}"), 201);
  for (unsigned i = 0; i < 3; i++) {
    json_t *v = get(i, "/db/x");
    ck_assert_str_eq(json_string_value(json_object_get(v, "_rev")),
                     "1-23202479633c2b380f79507a776743d5");
    json_decref(v);
  }
}
END_TEST

START_TEST(test_couchsim_a_minority_accepts) {
  cft_couchsim_tell(sim, "node", "{\"node\":1,\"up\":false}");
  ck_assert_int_eq(put(0, "/db/x", "{}"), 201);
  ck_assert_int_eq(put(1, "/db/y", "{}"), -1); /* nobody listens */
  cft_couchsim_tell(sim, "node", "{\"node\":2,\"up\":false}");
  ck_assert_int_eq(put(0, "/db/z", "{}"), 202);
  cft_couchsim_tell(sim, "node", "{\"node\":1,\"up\":true}");
  for (const char *id = "xz"; *id != '\0'; id++) {
    char path[16];
    (void)snprintf(path, sizeof path, "/db/%c", *id);
    json_decref(get(1, path)); /* it caught up, on its old port */
  }
}
END_TEST

START_TEST(test_couchsim_one_copy_fails_closed) {
  unsigned dead;
  int status;
  cft_couchsim_must(sim, 201, "PUT", "/locks?n=1&q=1", NULL);
  for (dead = 0; dead < 3; dead++) {
    cft_couchsim_tell(sim, "node", "{\"node\":%u,\"up\":false}", dead);
    status = put((dead + 1) % 3, "/locks/a", "{}");
    if (status != 201)
      break;
    cft_couchsim_tell(sim, "node", "{\"node\":%u,\"up\":true}", dead);
    cft_couchsim_must(sim, 200, "DELETE",
                      "/locks/a?rev=1-967a00dff5e02add41819138abb3284d", NULL);
  }
  ck_assert_uint_lt(dead, 3);
  ck_assert_int_eq(status, 500);
  expect_error((dead + 1) % 3, "/locks", 500, "No DB shards could be opened.");
  expect_error((dead + 1) % 3, "/locks/_changes", 500,
               "No DB shards could be opened.");
}
END_TEST

START_TEST(test_couchsim_some_ranges_away_are_told) {
  cft_couchsim_must(sim, 201, "PUT", "/part?n=1&q=3", NULL);
  cft_couchsim_tell(sim, "node", "{\"node\":2,\"up\":false}");
  expect_error(0, "/part", 500, "progress not possible");
  expect_error(0, "/part/_changes", 500, "progress not possible");
}
END_TEST

START_TEST(test_couchsim_a_split_heals_with_a_conflict) {
  json_t *a, *b;
  ck_assert_int_eq(put(0, "/db/x", "{\"a\":1}"), 201);
  cft_couchsim_tell(sim, "split", "{\"groups\":[[0],[1,2]]}");
#define NEXT "/db/x?rev=1-23202479633c2b380f79507a776743d5"
  ck_assert_int_eq(put(0, NEXT, "{\"side\":0}"), 202);
  ck_assert_int_eq(put(1, NEXT, "{\"side\":1}"), 201);
  a = get(0, "/db/x");
  b = get(2, "/db/x");
  ck_assert(!json_equal(a, b));
  json_decref(a);
  json_decref(b);
  cft_couchsim_tell(sim, "heal", "{}");
  a = get(0, "/db/x?conflicts=true");
  b = get(2, "/db/x?conflicts=true");
  ck_assert(json_equal(a, b));
  ck_assert_uint_eq(json_array_size(json_object_get(a, "_conflicts")), 1);
  json_decref(a);
  json_decref(b);
}
END_TEST

START_TEST(test_couchsim_races_end_as_in_a_cluster) {
  json_t *v;
  cft_couchsim_tell(sim, "settings", "{\"race\":1}");
  ck_assert_int_eq(put(0, "/db/x", "{\"by\":1}"), 201);
  ck_assert_int_eq(put(1, "/db/x", "{\"by\":2}"), 202);
  v = get(2, "/db/x?conflicts=true");
  ck_assert_uint_eq(json_array_size(json_object_get(v, "_conflicts")), 1);
  json_decref(v);
  /* The same body: both win, and nobody can see it. */
  ck_assert_int_eq(put(0, "/db/y", "{\"a\":1}"), 201);
  ck_assert_int_eq(put(1, "/db/y", "{\"a\":1}"), 201);
  v = get(2, "/db/y?conflicts=true");
  ck_assert_ptr_null(json_object_get(v, "_conflicts"));
  json_decref(v);
  /* With one copy there is one winner. */
  cft_couchsim_must(sim, 201, "PUT", "/locks?n=1", NULL);
  ck_assert_int_eq(put(0, "/locks/x", "{\"by\":1}"), 201);
  ck_assert_int_eq(put(1, "/locks/x", "{\"by\":2}"), 409);
}
END_TEST

START_TEST(test_couchsim_a_position_of_a_dead_node_repeats) {
  json_t *v;
  char path[600];
  size_t rows;
  for (int i = 0; i < 20; i++) {
    (void)snprintf(path, sizeof path, "/db/d%d", i);
    ck_assert_int_eq(put(0, path, "{}"), 201);
  }
  v = get(0, "/db/_changes");
  (void)snprintf(path, sizeof path, "/db/_changes?since=%s",
                 json_string_value(json_object_get(v, "last_seq")));
  json_decref(v);
  v = get(1, path);
  ck_assert_uint_eq(json_array_size(json_object_get(v, "results")), 0);
  json_decref(v);
  cft_couchsim_tell(sim, "settings", "{\"rewind_all\":true}");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":false}");
  v = get(1, path);
  rows = json_array_size(json_object_get(v, "results"));
  json_decref(v);
  ck_assert_uint_eq(rows, 20);
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":true}");
  v = get(1, path);
  ck_assert_uint_eq(json_array_size(json_object_get(v, "results")), 0);
  json_decref(v);
}
END_TEST

/* Reads a feed while something is done to the cluster. */
typedef struct act {
  const char *what, *body;
  bool done;
} act;

static bool act_once(const char *text, size_t len, void *user) {
  act *a = user;
  (void)len;
  if (!a->done && strstr(text, "\r\n\r\n") != NULL) {
    a->done = true;
    if (a->body != NULL)
      cft_couchsim_tell(sim, a->what, "%s", a->body);
    else
      cft_couchsim_must(sim, 200, "DELETE", a->what, NULL);
  }
  return false;
}

static char *read_while(const char *target, act *a, bool *ended) {
  char *request = NULL, *text;
  size_t len;
  bool was_reset;
  if (asprintf(&request, "GET %s HTTP/1.1\r\n\r\n", target) < 0)
    ck_abort_msg("no memory");
  text = cft_couchsim_raw(sim, 0, request, strlen(request), 300, &len, ended,
                          &was_reset, act_once, a);
  ck_assert(a->done);
  free(request);
  return text;
}

START_TEST(test_couchsim_live_feeds_end_as_recorded) {
  act deleted = {"/db", NULL, false}, again = {"/db", NULL, false};
  act down = {"node", "{\"node\":0,\"up\":false}", false};
  act maintenance = {"node", "{\"node\":0,\"maintenance\":true}", false};
  bool ended;
  char *text = read_while(
      "/db/_changes?feed=longpoll&since=now&heartbeat=10000", &deleted, &ended);
  ck_assert(!ended); /* a second response where a chunk belongs, then silence */
  ck_assert_ptr_nonnull(strstr(text, "\r\n1\r\n\n\r\nHTTP/1.1 404 "));
  free(text);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  text = read_while("/db/_changes?feed=continuous&heartbeat=10000", &again,
                    &ended);
  ck_assert_ptr_nonnull(strstr(text, "{\"last_seq\":\"0-"));
  ck_assert_ptr_nonnull(strstr(text, "\r\n0\r\n\r\n"));
  free(text);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  text = read_while("/db/_changes?feed=continuous&heartbeat=10000",
                    &maintenance, &ended);
  ck_assert_ptr_nonnull(strstr(text, "{\"last_seq\":\"0-"));
  free(text);
  expect_error(1, "/none", 404, "Database does not exist.");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"maintenance\":false}");
  text =
      read_while("/db/_changes?feed=continuous&heartbeat=10000", &down, &ended);
  ck_assert(ended);
  ck_assert_ptr_null(strstr(text, "last_seq"));
  free(text);
}
END_TEST

START_TEST(test_couchsim_tells_of_databases) {
  json_t *v = get(0, "/_db_updates");
  const json_t *results = json_object_get(v, "results");
  ck_assert_uint_eq(json_array_size(results), 2); /* db created, _dbs updated */
  ck_assert_ptr_null(json_object_get(v, "pending"));
  json_decref(v);
  cft_couchsim_must(sim, 200, "DELETE", "/db", NULL);
  v = get(0, "/_db_updates");
  results = json_object_get(v, "results");
  ck_assert_str_eq(
      json_string_value(json_object_get(json_array_get(results, 1), "type")),
      "deleted");
  json_decref(v);
}
END_TEST

static bool is_whole(const char *raw, size_t len, void *user) {
  cft_wire got;
  bool whole;
  if (!cft_wire_parse(user, raw, len, &got))
    return false;
  whole = got.complete;
  cft_wire_clear(&got);
  return whole;
}

static void play(unsigned node, const char *name) {
  cft_wire w;
  char *got, method[16] = "";
  size_t len;
  bool ended, was_reset;
  ck_assert(cft_wire_load(name, &w));
  ck_assert_int_eq(sscanf(w.request, "%15s", method), 1);
  got = cft_couchsim_raw(sim, node, w.request, w.request_len, 5000, &len,
                         &ended, &was_reset, is_whole, method);
  cft_wire_same(name, &w, got, len, method, false);
  free(got);
  cft_wire_clear(&w);
}

START_TEST(test_couchsim_trouble_sounds_as_recorded) {
  size_t count;
  char **names = cft_wire_list("cluster_all_shards_unavailable_", &count);
  ck_assert_uint_gt(count, 8);
  cft_couchsim_must(sim, 201, "PUT", "/cone?n=1&q=1", NULL);
  cft_couchsim_must(sim, 201, "PUT", "/cpart?n=1&q=3", NULL);
  cft_couchsim_must(sim, 201, "PUT", "/cf", NULL);
  cft_couchsim_tell(sim, "node", "{\"node\":1,\"maintenance\":true}");
  play(1, "cluster_up_maintenance");
  cft_couchsim_tell(sim, "node", "{\"node\":1,\"maintenance\":false}");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":false}");
  for (size_t i = 0; i < count; i++)
    play(1, names[i]);
  cft_wire_list_free(names);
  play(1, "cluster_some_ranges_unavailable_db_info");
  play(1, "cluster_some_ranges_unavailable_normal");
  play(1, "cluster_some_ranges_unavailable_since");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":true}");
  cft_couchsim_tell(sim, "node", "{\"node\":1,\"up\":false}");
  cft_couchsim_tell(sim, "node", "{\"node\":2,\"up\":false}");
  play(0, "cluster_put_with_two_down");
  play(0, "cluster_up_with_two_down");
  play(0, "cluster_membership_with_two_down");
}
END_TEST

int main(void) {
  Suite *s = suite_create("couchsim cluster");
  TCase *t = tcase_create("all");
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, test_couchsim_nodes_tell_the_same);
  tcase_add_test(t, test_couchsim_a_minority_accepts);
  tcase_add_test(t, test_couchsim_one_copy_fails_closed);
  tcase_add_test(t, test_couchsim_some_ranges_away_are_told);
  tcase_add_test(t, test_couchsim_a_split_heals_with_a_conflict);
  tcase_add_test(t, test_couchsim_races_end_as_in_a_cluster);
  tcase_add_test(t, test_couchsim_a_position_of_a_dead_node_repeats);
  tcase_add_test(t, test_couchsim_live_feeds_end_as_recorded);
  tcase_add_test(t, test_couchsim_tells_of_databases);
  tcase_add_test(t, test_couchsim_trouble_sounds_as_recorded);
  suite_add_tcase(s, t);
  return cft_run(s);
}
