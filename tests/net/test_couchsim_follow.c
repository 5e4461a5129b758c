/* A follower over couchsim with everything going wrong at random, by a seed: in
   the end it has what the database has. And how much couchsim can take. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couch.h"
#include "support/couchsim.h"
#include "support/follow.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <string.h>

enum { PATIENCE_MS = 60000, DOCUMENTS = 60 };

/* All that a feed must live with; each strikes some of the requests. */
static const char chaos[] =
    "[{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"repeat\":0.2}},"
    "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"reorder\":0.3}},"
    "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"old\":0.3}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"rewind\":5}},"
    "{\"kind\":\"changes\",\"chance\":0.05,\"do\":{\"rewind_all\":true}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"end_rows\":3}},"
    "{\"kind\":\"changes\",\"chance\":0.2,\"do\":{\"end_ms\":80}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"error_rows\":2}},"
    "{\"kind\":\"changes\",\"chance\":0.05,"
    "\"do\":{\"error_rows\":1,\"error_status\":500}},"
    "{\"kind\":\"changes\",\"chance\":0.05,\"do\":{\"stall_rows\":2}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"cut_at\":700}},"
    "{\"kind\":\"changes\",\"chance\":0.1,"
    "\"do\":{\"cut_at\":90,\"cut_reset\":true}},"
    "{\"kind\":\"changes\",\"chance\":0.05,\"do\":{\"mute_at\":900}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"slice\":1}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"slice\":200,"
    "\"slice_ms\":2}},"
    "{\"kind\":\"changes\",\"chance\":0.1,\"do\":{\"pending\":\"null\"}},"
    "{\"node\":0,\"chance\":0.05,\"do\":{\"status\":500,\"error\":\"timeout\"}}"
    ","
    "{\"kind\":\"changes\",\"chance\":0.03,\"do\":{\"status\":429}},"
    "{\"node\":0,\"chance\":0.05,\"do\":{\"head_ms\":40}},"
    "{\"kind\":\"db_info\",\"chance\":0.05,\"do\":{\"then\":\"close\"}},"
    "{\"kind\":\"changes\",\"chance\":0.03,\"do\":{\"then\":\"silence\"}}]";

static void write_some(cft_couchsim *sim, unsigned round) {
  for (unsigned i = 0; i < DOCUMENTS; i++) {
    char path[64];
    json_t *v = NULL;
    int status;
    if ((i + round) % 3 != 0)
      continue;
    (void)snprintf(path, sizeof path, "/db/d%u", i);
    status = cft_couchsim_do(sim, 1, "GET", path, NULL, &v);
    if (status == 200)
      (void)snprintf(path, sizeof path, "/db/d%u?rev=%s", i,
                     json_string_value(json_object_get(v, "_rev")));
    json_decref(v);
    /* Node 1 is not struck; a deletion now and then. */
    (void)cft_couchsim_do(sim, 1,
                          status == 200 && i % 7 == 0 ? "DELETE" : "PUT", path,
                          "{\"round\":1}", NULL);
  }
}

static void follow_through(const char *seed, const char *transport) {
  const char *const args[] = {"--nodes", "3", "--seed", seed, NULL};
  cft_couchsim *sim = cft_couchsim_start(args);
  cft_follow f = {.quiet = false};
  cft_revs *want;
  char url[128], why[300];
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  write_some(sim, 0);
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_url(sim, 0));
  cft_couchsim_rule(sim, "%s", chaos);
  cft_follow_open(&f, NULL, url, "transport", transport, "heartbeat_ms", "200",
                  "idle_timeout_ms", "600", "header_timeout_ms", "300", NULL);
  for (unsigned round = 1; round < 12; round++) {
    write_some(sim, round);
    cft_loop_for(f.loop, 150);
    if (round == 6)
      cft_couchsim_tell(sim, "close", "{\"feeds\":true,\"reset\":true}");
  }
  cft_couchsim_no_rules(sim);
  cft_couchsim_tell(sim, "close", "{\"feeds\":true}");
  want = cft_couchsim_revs(sim, 0, "db");
  (void)cft_follow_until_revs(&f, want, PATIENCE_MS);
  ck_assert_msg(cft_revs_equal(want, f.revs, why, sizeof why),
                "seed %s, %s: %s", seed, transport, why);
  ck_assert_uint_ge(cft_follow_stats(&f).requests, 3);
  ck_assert_uint_eq(f.reset_count, 0);
  cft_follow_clear(&f);
  cft_revs_free(want);
  cft_couchsim_stop(sim);
}

START_TEST(test_couchsim_followers_converge) {
  static const struct {
    const char *seed, *transport;
  } runs[] = {{"1", "continuous"},
              {"2", "longpoll"},
              {"3", "continuous"},
              {"4", "longpoll"}};
  follow_through(runs[_i].seed, runs[_i].transport);
}
END_TEST

START_TEST(test_couchsim_takes_thousands_of_writes) {
  cft_couchsim *sim = cft_couchsim_start(NULL);
  int64_t began;
  json_t *v = NULL;
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  began = cft_now_ms();
  for (int batch = 0; batch < 20; batch++) {
    char *body = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&body, &size);
    ck_assert_ptr_nonnull(out);
    (void)fputs("{\"docs\":[", out);
    for (int i = 0; i < 500; i++)
      (void)fprintf(out, "%s{\"_id\":\"b%d-%d\",\"n\":%d}", i > 0 ? "," : "",
                    (batch * 7919) % 20, i, i);
    (void)fputs("]}", out);
    ck_assert_int_eq(fclose(out), 0);
    cft_couchsim_must(sim, 201, "POST", "/db/_bulk_docs", "%s", body);
    free(body);
  }
  /* 10,000 documents at 2,000 a second, and much room for a busy machine. */
  ck_assert_int_lt(cft_now_ms() - began, 20000);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db", NULL, &v), 200);
  ck_assert_int_eq(json_integer_value(json_object_get(v, "doc_count")), 10000);
  json_decref(v);
  cft_couchsim_stop(sim);
}
END_TEST

enum { FEEDS = 1000 };
static cft_follow feeds[FEEDS];

static bool all_have(void *user) {
  const uint64_t *rows = user;
  for (int i = 0; i < FEEDS; i++)
    if (feeds[i].taken < *rows)
      return false;
  return true;
}

START_TEST(test_couchsim_holds_a_thousand_feeds) {
  cft_couchsim *sim = cft_couchsim_start(NULL);
  changefeed_loop *loop = cft_loop();
  char url[128];
  uint64_t rows = 1;
  ck_assert(cft_want_fds(4000));
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  cft_couchsim_must(sim, 201, "PUT", "/db/first", "{}");
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_url(sim, 0));
  for (int i = 0; i < FEEDS; i++)
    cft_follow_open(&feeds[i], loop, url, "heartbeat_ms", "30000", NULL);
  ck_assert(cft_loop_until(loop, all_have, &rows, PATIENCE_MS));
  cft_couchsim_must(sim, 201, "PUT", "/db/second", "{}");
  rows = 2;
  ck_assert(cft_loop_until(loop, all_have, &rows, PATIENCE_MS));
  for (int i = 0; i < FEEDS; i++)
    cft_follow_clear(&feeds[i]);
  changefeed_loop_free(loop);
  cft_couchsim_stop(sim);
}
END_TEST

int main(void) {
  Suite *s = suite_create("couchsim followed");
  TCase *t = tcase_create("all");
  tcase_add_loop_test(t, test_couchsim_followers_converge, 0, 4);
  tcase_add_test(t, test_couchsim_takes_thousands_of_writes);
  tcase_add_test(t, test_couchsim_holds_a_thousand_feeds);
  suite_add_tcase(s, t);
  return cft_run(s);
}
