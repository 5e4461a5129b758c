/* Balancers that compare themselves: what differs is found, whatever the names;
   what is only on its way is no drift; what an answer has wrong is told.
   ctest: LABEL threads */
#include "balancer/peers.h"
#include "platform/support/face.h"

#include "support/timing.h"
#include "support/unit.h"

#include <unistd.h>

enum { MANY = 3000 };

static char error[256];
static peer_difference found[64];
static bool more;

static int diff(const face *a, const face *b) {
  error[0] = '\0';
  return peers_diff(face_url(a), face_url(b), found, 64, &more, error,
                    sizeof error);
}

/* Names that share long beginnings, as a person's do. */
static void name_of(int i, char out[64]) {
  static const char *const stems[] = {"shop", "shop-staging", "blog", "a",
                                      "zz-top"};

  (void)snprintf(out, 64, "%s-%d", stems[i % 5], i);
}

static void fill(face *f, int count) {
  char app[64], rev[64];
  int i;

  for (i = 0; i < count; i++) {
    name_of(i, app);
    (void)snprintf(rev, sizeof rev, "%d-%032d", i % 9 + 1, i);
    face_set(f, app, rev);
  }
}

START_TEST(test_peers_diff_finds_what_differs) {
  face *a = face_start("a"), *b = face_start("b");
  unsigned asked;
  char app[64];

  ck_assert_int_eq(diff(a, b), 0);
  fill(a, MANY);
  fill(b, MANY);
  ck_assert_int_eq(diff(a, b), 0);
  name_of(777, app);
  face_set(a, app, "9-changed");
  face_set(b, "shop", "1-only-there"); /* a name that others begin with */
  name_of(5, app);
  face_set(b, app, NULL);
  asked = face_asked(b);
  ck_assert_msg(diff(a, b) == 3, "%s", error);
  ck_assert(!more);
  ck_assert_uint_lt(face_asked(b) - asked, 600);
  name_of(777, app);
  ck_assert_str_eq(found[0].app, app);
  ck_assert_str_eq(found[0].mine, "9-changed");
  ck_assert_str_eq(found[1].app, "shop");
  ck_assert_str_eq(found[1].mine, "");
  ck_assert_str_eq(found[1].theirs, "1-only-there");
  ck_assert_str_eq(found[2].app, "shop-5");
  ck_assert_str_eq(found[2].theirs, "");
  face_stop(a);
  face_stop(b);
}
END_TEST

START_TEST(test_peers_diff_of_much_is_bounded) {
  face *a = face_start("a"), *b = face_start("b");

  fill(a, 400);
  ck_assert_int_eq(diff(a, b), 64);
  ck_assert(more);
  face_stop(a);
  face_stop(b);
}
END_TEST

START_TEST(test_peers_diff_tells_what_an_answer_has_wrong) {
  static const struct {
    int status;
    const char *body, *told;
  } wrong[] = {
      {503, "", "it answers 503"},
      {200, "hello", "it answers no JSON object"},
      {200, "[]", "it answers no JSON object"},
      {200, "{}", "without a digest"},
      {200, "{\"digest\":\"00\",\"routes\":1}", "without a digest"},
      {200, "{\"digest\":\"0123456789abcdef0123456789abcdef\",\"routes\":-1}",
       "without a number of routes"},
      {200, "{\"digest\":\"0123456789abcdef0123456789abcdef\",\"routes\":1}",
       "without its id"}};
  face *a = face_start("a"), *b = face_start("b");
  size_t i;

  fill(a, 10);
  for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    face_say(b, wrong[i].status, wrong[i].body);
    ck_assert_int_eq(diff(a, b), -1);
    ck_assert_msg(strstr(error, wrong[i].told) != NULL, "%s: %s", wrong[i].body,
                  error);
  }
  face_say(b, 200,
           "{\"digest\":\"0123456789abcdef0123456789abcdef\",\"routes\":1,"
           "\"id\":\"b\",\"version\":\"1\",\"source\":\"database\"}");
  ck_assert_int_eq(diff(a, b), -1);
  ck_assert_msg(strstr(error, "without a list") != NULL, "%s", error);
  face_stop(b);
  face_stop(a);
}
END_TEST

/* ---- the thread ---- */

static peers *start(const face *own, const char *const *urls, size_t count) {
  static metrics *counts;
  peers_config config = {.self = "a",
                         .admin = face_address(own),
                         .urls = urls,
                         .url_count = count,
                         .every_ms = 50};
  peers *p;

  if (counts == NULL)
    counts = metrics_new();
  config.metrics = counts;
  p = peers_start(&config, error, sizeof error);
  ck_assert_msg(p != NULL, "%s", error);
  return p;
}

static void set(peers *p, const face *other, const char *const *revs) {
  balancer_doc all[2] = {{"a", "127.0.0.1:1", ""}, {"b", "127.0.0.1:2", ""}};
  changefeed_digest sum;
  char id[32];
  int i;

  memset(&sum, 0, sizeof sum);
  for (i = 0; revs[i] != NULL; i++) {
    (void)snprintf(id, sizeof id, "route:%c", 'm' + i);
    (void)changefeed_digest_add(&sum, id, strlen(id), revs[i], strlen(revs[i]));
  }
  (void)snprintf(all[1].admin, sizeof all[1].admin, "%s", face_address(other));
  peers_set(p, all, 2, &sum, (uint64_t)i);
}

#define await_peer(p, condition)                                               \
  do {                                                                         \
    int64_t end_ = cft_now_ms() + 20000;                                       \
    for (;;) {                                                                 \
      ck_assert_uint_eq(peers_get((p), &seen, 1), 1);                          \
      if (condition)                                                           \
        break;                                                                 \
      ck_assert_msg(cft_now_ms() < end_, "waited for %s: %s", #condition,      \
                    seen.trouble);                                             \
      (void)usleep(5 * 1000);                                                  \
    }                                                                          \
  } while (0)

START_TEST(test_peers_see_drift_and_silence) {
  static const char *const revs[] = {"1-x", "1-y", NULL};
  face *a = face_start("a"), *b = face_start("b");
  peer_status seen;
  peers *p = start(a, NULL, 0);

  face_set(a, "m", "1-x");
  face_set(a, "n", "1-y");
  face_set(b, "m", "1-x");
  face_set(b, "n", "1-y");
  ck_assert_uint_eq(peers_get(p, &seen, 1), 0);
  set(p, b, revs);
  await_peer(p, seen.answers);
  ck_assert_str_eq(seen.id, "b");
  ck_assert_uint_eq(seen.routes, 2);
  ck_assert_int_eq(seen.fresh_ms, 42);
  ck_assert_str_eq(seen.source, "database");
  ck_assert(!peers_drifted(p));
  ck_assert(peers_knows(p, face_url(b)));
  ck_assert(!peers_knows(p, face_url(a)));
  face_set(b, "n", "2-z");
  await_peer(p, seen.drifted);
  ck_assert_str_eq(seen.trouble, "n differs");
  ck_assert(peers_drifted(p));
  face_set(b, "n", "1-y");
  await_peer(p, !seen.drifted);
  face_say(b, 500, "");
  await_peer(p, !seen.answers);
  ck_assert_str_eq(seen.trouble, "it answers 500");
  peers_set(p, NULL, 0, &(changefeed_digest){{0}}, 0);
  ck_assert_uint_eq(peers_get(p, &seen, 1), 0);
  peers_stop(p);
  face_stop(a);
  face_stop(b);
}
END_TEST

/* The other one is always some changes behind: no app stays as it is. */
START_TEST(test_peers_changes_on_their_way_are_no_drift) {
  static const char *const revs[] = {"1-x", NULL};
  face *a = face_start("a"), *b = face_start("b");
  peer_status seen;
  peers *p = start(a, NULL, 0);
  int64_t end = cft_now_ms() + 5000;
  unsigned asked;
  char rev[32];
  int i;

  face_set(a, "m", "1-x");
  face_set(b, "m", "0-x");
  set(p, b, revs);
  asked = face_asked(b);
  for (i = 2; cft_now_ms() < end || face_asked(b) < asked + 6; i++) {
    (void)snprintf(rev, sizeof rev, "%d-x", i);
    face_set(a, "m", rev);
    (void)snprintf(rev, sizeof rev, "%d-x", i - 1);
    face_set(b, "m", rev);
    ck_assert(!peers_drifted(p));
    (void)usleep(20 * 1000);
  }
  ck_assert_uint_eq(peers_get(p, &seen, 1), 1);
  ck_assert(seen.answers);
  peers_stop(p);
  face_stop(a);
  face_stop(b);
}
END_TEST

START_TEST(test_peers_named_ones_stay) {
  face *a = face_start("a"), *b = face_start("b");
  const char *urls[] = {face_url(b)};
  const char *bad[] = {"b:7500"}, *secret[] = {"http://me:pw@b:7500"};
  peers_config config = {
      .self = "a", .admin = face_address(a), .urls = bad, .url_count = 1};
  peer_status seen;
  peers *p = start(a, urls, 1);

  peers_set(p, NULL, 0, &(changefeed_digest){{0}}, 0);
  await_peer(p, seen.answers);
  ck_assert_str_eq(seen.id, "b"); /* it says so itself */
  peers_stop(p);
  ck_assert_ptr_null(peers_start(&config, error, sizeof error));
  ck_assert_msg(strstr(error, "--peer b:7500") != NULL, "%s", error);
  config.urls = secret;
  ck_assert_ptr_null(peers_start(&config, error, sizeof error));
  face_stop(a);
  face_stop(b);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_peers");
  TCase *tc = tcase_create("peers");

  tcase_add_test(tc, test_peers_diff_finds_what_differs);
  tcase_add_test(tc, test_peers_diff_of_much_is_bounded);
  tcase_add_test(tc, test_peers_diff_tells_what_an_answer_has_wrong);
  tcase_add_test(tc, test_peers_see_drift_and_silence);
  tcase_add_test(tc, test_peers_changes_on_their_way_are_no_drift);
  tcase_add_test(tc, test_peers_named_ones_stay);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
