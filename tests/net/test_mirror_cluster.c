/* A mirror of a cluster: nodes that go away and lag, rows told again and out of
   order, older revisions, winners among conflicts that change. Whatever the
   way, it holds in the end what the database holds. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/mirror_in_couchsim.h"

/* ---- rows that are not to be believed ---- */

/* The revision before comes first, then the right one; or in the other order,
   as rows change places, too. */
START_TEST(test_mirror_does_not_believe_an_older_revision) {
  fill(0, 40);
  open_mirror();
  expect_synced();
  for (unsigned i = 0; i < 40; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%04u", i);
    write_doc(id, 100);
  }
  expect_same();
  /* The stream begins anew, and far back. */
  cft_couchsim_rule(sim,
                    "[{\"kind\":\"changes\",\"times\":3,\"do\":{\"old\":0.9,"
                    "\"reorder\":0.5,\"rewind_all\":true}}]");
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  write_doc("after", 1);
  expect_same();
  ck_assert_uint_gt(cft_mirrored_stats(&f).older, 0);
  /* Nothing went back: each was put twice and after once. */
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 81);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
  ck_assert_uint_eq(cft_mirrored_stats(&f).repairs, 0);
}
END_TEST

START_TEST(test_mirror_takes_a_history_told_again_for_no_news) {
  fill(0, 40);
  drop("d0003");
  open_mirror();
  expect_synced();
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":2,\"do\":{"
                         "\"rewind_all\":true,\"repeat\":0.5}}");
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  write_doc("after", 1);
  expect_same();
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 40);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
  ck_assert_uint_eq(f.count[CFT_TOLD_SYNCED], 1);
  ck_assert_uint_gt(cft_mirrored_stats(&f).repeats, 0);
}
END_TEST

/* ---- conflicts ---- */

#define LOW "11111111111111111111111111111111"
#define MIDDLE "55555555555555555555555555555555"
#define HIGH "99999999999999999999999999999999"

START_TEST(test_mirror_holds_the_winner_of_a_conflict) {
  write_leaf("x", 1, MIDDLE, false);
  open_mirror();
  expect_synced();
  write_leaf("x", 1, HIGH, false); /* wins by its bytes */
  expect_rev("x", "1-" HIGH);
  write_leaf("x", 1, LOW, false); /* does not */
  write_doc("y", 1);
  expect_same();
  expect_rev("x", "1-" HIGH);
  write_leaf("x", 2, LOW, false); /* is longer */
  expect_rev("x", "2-" LOW);
  expect_same();
}
END_TEST

/* The winner is deleted and a lower leaf wins: its row is older than what is
   held, and true. */
START_TEST(test_mirror_asks_again_before_it_believes_an_older_winner) {
  json_t *v = NULL;

  write_leaf("x", 1, LOW, false);
  write_leaf("x", 1, HIGH, false);
  open_mirror();
  expect_synced();
  expect_rev("x", "1-" HIGH);
  cft_couchsim_must(sim, 200, "DELETE", "/db/x?rev=1-" HIGH, NULL);
  expect_rev("x", "1-" LOW);
  expect_same();
  ck_assert_uint_ge(cft_mirrored_stats(&f).older, 1);
  ck_assert_uint_ge(cft_mirrored_stats(&f).asked, 1);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 0);
  cft_couchsim_must(sim, 200, "DELETE", "/db/x?rev=1-" LOW, NULL);
  expect_rev("x", "");
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db/x", NULL, &v), 404);
  json_decref(v);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 1);
}
END_TEST

START_TEST(test_mirror_sees_a_deleted_document_come_back) {
  open_mirror();
  expect_synced();
  for (int i = 0; i < 4; i++) {
    write_doc("x", i);
    expect_same();
    drop("x");
    expect_same();
  }
  ck_assert_uint_eq(f.count[CFT_TOLD_PUT], 4);
  ck_assert_uint_eq(f.count[CFT_TOLD_GONE], 4);
}
END_TEST

/* ---- nodes ---- */

static void open_with_endpoints(void) {
  cft_mirrored_open(&f, NULL, url, "endpoint", cft_couchsim_url(sim, 1),
                    "endpoint_order", "listed", "endpoint_return_ms", "300",
                    NULL);
}

START_TEST(test_mirror_goes_over_to_another_node) {
  fill(0, 40);
  open_with_endpoints();
  expect_synced();
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":false}");
  ck_assert_int_eq(cft_couchsim_do(sim, 1, "PUT", "/db/elsewhere", "{}", NULL),
                   201);
  expect_rev("elsewhere", "1-967a00dff5e02add41819138abb3284d");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":true}");
  write_doc("d0001", 9);
  expect_same();
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 0);
}
END_TEST

/* The other node has not seen all that the first one told. */
START_TEST(test_mirror_does_not_go_back_with_a_node_that_lags) {
  char rev[128];

  fill(0, 30);
  open_with_endpoints();
  expect_synced();
  cft_couchsim_tell(sim, "split", "{\"groups\":[[0],[1,2]]}");
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "PUT", "/db/new", "{}", NULL), 202);
  {
    json_t *v = NULL;
    char path[128];

    ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db/d0001", NULL, &v),
                     200);
    (void)snprintf(path, sizeof path, "/db/d0001?rev=%s",
                   json_string_value(json_object_get(v, "_rev")));
    json_decref(v);
    ck_assert_int_eq(cft_couchsim_do(sim, 0, "PUT", path, "{\"n\":7}", &v),
                     202);
    (void)snprintf(rev, sizeof rev, "%s",
                   json_string_value(json_object_get(v, "rev")));
    json_decref(v);
  }
  expect_rev("d0001", rev);
  cft_couchsim_tell(sim, "settings", "{\"rewind_all\":true}");
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":false}");
  cft_loop_for(f.loop, 1500);
  cft_couchsim_tell(sim, "node", "{\"node\":0,\"up\":true}");
  cft_couchsim_tell(sim, "heal", "{}");
  expect_rev("d0001", rev);
  expect_same();
  ck_assert_uint_eq(cft_mirrored_stats(&f).resets, 0);
}
END_TEST

/* ---- two ways, one state ---- */

typedef struct pair {
  cft_mirrored *a, *b;
} pair;

static bool same_digest(void *user) {
  const pair *p = user;
  const changefeed_view *a = changefeed_mirror_view(p->a->mirror);
  const changefeed_view *b = changefeed_mirror_view(p->b->mirror);
  changefeed_digest x, y;

  (void)changefeed_view_digest(a, NULL, NULL, &x, NULL);
  (void)changefeed_view_digest(b, NULL, NULL, &y, NULL);
  changefeed_view_release(a);
  changefeed_view_release(b);
  return changefeed_mirror_is_synced(p->a->mirror) &&
         changefeed_mirror_is_synced(p->b->mirror) &&
         memcmp(x.bytes, y.bytes, sizeof x.bytes) == 0;
}

START_TEST(test_mirror_that_came_another_way_holds_the_same) {
  static const char chaos[] =
      "[{\"kind\":\"changes\",\"chance\":0.4,\"do\":{\"old\":0.3,"
      "\"reorder\":0.3,\"repeat\":0.2}},"
      "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"rewind\":5}},"
      "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"end_rows\":3}},"
      "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"cut_at\":600}},"
      "{\"kind\":\"all_docs\",\"chance\":0.2,\"do\":{\"cut_at\":500}},"
      "{\"node\":0,\"kind\":\"all_docs\",\"chance\":0.1,"
      "\"do\":{\"status\":500}}]";
  cft_mirrored second = {.own_loop = false};
  pair both = {&f, &second};

  fill(0, 60);
  second.config.start = CHANGEFEED_START_CHANGES;
  cft_mirrored_open(&f, NULL, url, "heartbeat_ms", "200", "page_rows", "13",
                    NULL);
  cft_couchsim_rule(sim, "%s", chaos);
  cft_mirrored_open(&second, f.loop, url, "heartbeat_ms", "200", NULL);
  for (int i = 0; i < 60; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%04d", (i * 17) % 60);
    cft_loop_for(f.loop, 10);
    cft_couchsim_no_rules(sim); /* what this test writes is not struck */
    write_doc(id, 100 + i);
    if (i % 4 == 0)
      drop(id);
    cft_couchsim_rule(sim, "%s", chaos);
    if (i % 20 == 10)
      cft_couchsim_tell(sim, "close", "{\"feeds\":true,\"reset\":true}");
  }
  cft_couchsim_no_rules(sim);
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  expect_same();
  ck_assert(cft_loop_until(f.loop, same_digest, &both, PATIENCE_MS));
  cft_mirrored_expect(&second, sim, "db", PATIENCE_MS);
  cft_mirrored_clear(&second);
}
END_TEST

int main(void) {
  Suite *s = suite_create("mirror cluster");
  TCase *t = tcase_create("one node"), *n = tcase_create("nodes");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_mirror_does_not_believe_an_older_revision);
  tcase_add_test(t, test_mirror_takes_a_history_told_again_for_no_news);
  tcase_add_test(t, test_mirror_holds_the_winner_of_a_conflict);
  tcase_add_test(t, test_mirror_asks_again_before_it_believes_an_older_winner);
  tcase_add_test(t, test_mirror_sees_a_deleted_document_come_back);
  suite_add_tcase(s, t);
  tcase_add_checked_fixture(n, setup_nodes, teardown);
  tcase_add_test(n, test_mirror_goes_over_to_another_node);
  tcase_add_test(n, test_mirror_does_not_go_back_with_a_node_that_lags);
  tcase_add_test(n, test_mirror_that_came_another_way_holds_the_same);
  suite_add_tcase(s, n);
  return cft_run(s);
}
