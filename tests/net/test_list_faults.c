/* source=all_docs when things go wrong: cut pages, refusals, sessions that end,
   databases that are missing, servers that do not list as they should. Nothing
   is missed, nothing comes twice. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "net/list_in_couchsim.h"

#include "support/peer.h"

/* ---- many at once ---- */

enum { MANY = 240 };
static cft_follow many[MANY];
static size_t many_count;

static bool all_ended(void *user) {
  (void)user;
  for (size_t i = 0; i < many_count; i++)
    if (!has_ended(&many[i]))
      return false;
  return true;
}

/* Lists a database for each of so many places at which pages are cut; they wait
   for their rate limits together. */
static changefeed_loop *list_cut(size_t count, int first_cut,
                                 const char *option, const char *value) {
  changefeed_loop *loop = cft_loop();

  many_count = count;
  for (size_t i = 0; i < count; i++) {
    char db[32], path[64], where[320];

    (void)snprintf(db, sizeof db, "c%03zu", i);
    (void)snprintf(path, sizeof path, "/%s", db);
    (void)snprintf(where, sizeof where, "%s/%s", cft_couchsim_url(sim, 0), db);
    cft_couchsim_must(sim, 201, "PUT", path, NULL);
    fill_in(db, 0, 9, 1);
    cft_couchsim_rule(sim,
                      "[{\"kind\":\"all_docs\",\"db\":\"%s\",\"skip\":%d,"
                      "\"times\":1,\"do\":{\"cut_at\":%zu,\"cut_reset\":%s}},"
                      "{\"kind\":\"all_docs\",\"db\":\"%s\",\"skip\":%d,"
                      "\"times\":1,\"do\":{\"cut_at\":%zu}}]",
                      db, first_cut, i * 2, i % 3 == 0 ? "true" : "false", db,
                      first_cut + 1, i * 14 % 300);
    many[i] = (cft_follow){.feed = NULL};
    cft_follow_open(&many[i], loop, where, "source", "all_docs", "retry_max_ms",
                    "20", option, value, NULL);
  }
  ck_assert(cft_loop_until(loop, all_ended, NULL, PATIENCE_MS));
  return loop;
}

/* ---- cut pages ---- */

/* The second page is cut behind each second of its bytes, each third time with
   RST; the one after that once more, somewhere. */
START_TEST(test_list_goes_on_behind_a_cut_wherever_it_is) {
  changefeed_loop *loop = list_cut(MANY, 1, "page_rows", "4");
  uint64_t reconnects = 0;

  for (size_t i = 0; i < MANY; i++) {
    f = many[i];
    expect_filled(0, 0, 9);
    reconnects += cft_follow_stats(&f).reconnects;
    cft_follow_clear(&f);
  }
  ck_assert_uint_ge(reconnects, MANY);
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_list_of_ids_goes_on_behind_a_cut) {
  static const char *const wanted[] = {"d08", "d02", "never", "d05", "d02"};
  enum { CUTS = 150 };
  changefeed_loop *loop = list_cut(
      CUTS, 0, "doc_ids", "[\"d08\",\"d02\",\"never\",\"d05\",\"d02\"]");
  for (size_t i = 0; i < CUTS; i++) {
    f = many[i];
    expect_ids(wanted, 5);
    ck_assert_uint_ge(cft_follow_stats(&f).reconnects, 1);
    cft_follow_clear(&f);
  }
  changefeed_loop_free(loop);
}
END_TEST

START_TEST(test_list_goes_on_after_silence_and_dribbles) {
  fill(0, 20);
  cft_couchsim_rule(sim, "[{\"kind\":\"all_docs\",\"skip\":1,\"times\":1,"
                         "\"do\":{\"mute_at\":150}},"
                         "{\"kind\":\"all_docs\",\"skip\":3,\"times\":1,"
                         "\"do\":{\"then\":\"silence\"}},"
                         "{\"kind\":\"all_docs\",\"skip\":4,\"times\":1,"
                         "\"do\":{\"slice\":1}}]");
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5",
                  "idle_timeout_ms", "200", "header_timeout_ms", "300", NULL);
  expect_ended();
  expect_filled(0, 0, 20);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_idle, 2);
}
END_TEST

START_TEST(test_list_survives_refusals) {
  fill(0, 20);
  cft_couchsim_rule(
      sim, "[{\"kind\":\"all_docs\",\"times\":1,\"do\":{\"status\":503}},"
           "{\"kind\":\"all_docs\",\"skip\":2,\"times\":1,"
           "\"do\":{\"status\":500,\"error\":\"timeout\"}},"
           "{\"kind\":\"all_docs\",\"skip\":4,\"times\":1,"
           "\"do\":{\"status\":429,\"headers\":{\"Retry-After\":\"1\"}}},"
           "{\"kind\":\"db_info\",\"skip\":2,\"times\":1,"
           "\"do\":{\"status\":503}}]");
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "6", NULL);
  expect_ended();
  expect_filled(0, 0, 20);
  ck_assert_uint_eq(cft_follow_stats(&f).faults_http, 4);
}
END_TEST

/* ---- at random ---- */

static const char chaos[] =
    "[{\"kind\":\"all_docs\",\"chance\":0.15,\"do\":{\"cut_at\":260}},"
    "{\"kind\":\"all_docs\",\"chance\":0.08,"
    "\"do\":{\"cut_at\":95,\"cut_reset\":true}},"
    "{\"kind\":\"all_docs\",\"chance\":0.03,\"do\":{\"mute_at\":170}},"
    "{\"kind\":\"all_docs\",\"chance\":0.2,\"do\":{\"slice\":3}},"
    "{\"kind\":\"all_docs\",\"chance\":0.03,\"do\":{\"status\":500}},"
    "{\"kind\":\"db_info\",\"chance\":0.03,\"do\":{\"then\":\"close\"}}]";

/* Documents with an even number stay; of the others one comes or goes with
   each row. */
typedef struct churned {
  char db[8];
  unsigned first;
  bool there[100];
} churned;

static int write_one(cft_follow *follow, const changefeed_change *change) {
  churned *c = follow->user;
  unsigned n =
      (unsigned)((c->first + change->ordinal) * UINT64_C(7919) % 50) * 2 + 1;
  char id[16];

  (void)snprintf(id, sizeof id, "d%02u", n);
  if (c->there[n])
    drop_in(c->db, id);
  else
    put_in(c->db, id);
  c->there[n] = !c->there[n];
  return CHANGEFEED_CONTINUE;
}

static void expect_even_ones_once(const cft_follow *follow) {
  unsigned even = 0;

  for (size_t i = 0; i < follow->row_count; i++) {
    even += (follow->rows[i].id[2] - '0') % 2 == 0;
    ck_assert(i == 0 || strcmp(follow->rows[i - 1].id, follow->rows[i].id) < 0);
  }
  ck_assert_uint_eq(even, 50);
}

START_TEST(test_list_with_everything_wrong_has_what_stays_once) {
  enum { LISTS = 12 };
  static churned all[LISTS];
  changefeed_loop *loop = cft_loop();
  uint64_t reconnects = 0;

  many_count = LISTS;
  for (unsigned i = 0; i < LISTS; i++) {
    char path[16];

    (void)snprintf(all[i].db, sizeof all[i].db, "c%u", i);
    (void)snprintf(path, sizeof path, "/c%u", i);
    cft_couchsim_must(sim, 201, "PUT", path, NULL);
    fill_in(all[i].db, 0, 100, 2);
    all[i].first = i * 4;
  }
  cft_couchsim_rule(sim, "%s", chaos);
  for (unsigned i = 0; i < LISTS; i++) {
    char where[300];

    (void)snprintf(where, sizeof where, "%s/c%u", cft_couchsim_url(sim, 0), i);
    many[i] = (cft_follow){.on_row = write_one, .user = &all[i]};
    cft_follow_open(&many[i], loop, where, "source", "all_docs", "page_rows",
                    "8", "idle_timeout_ms", "300", "header_timeout_ms", "400",
                    "retry_max_ms", "20", NULL);
  }
  ck_assert(cft_loop_until(loop, all_ended, NULL, 2 * PATIENCE_MS));
  for (unsigned i = 0; i < LISTS; i++) {
    expect_even_ones_once(&many[i]);
    reconnects += cft_follow_stats(&many[i]).reconnects;
    cft_follow_clear(&many[i]);
  }
  ck_assert_uint_ge(reconnects, LISTS);
  changefeed_loop_free(loop);
}
END_TEST

/* ---- credentials ---- */

static int expire_now_and_then(cft_follow *follow,
                               const changefeed_change *change) {
  (void)follow;
  if (change->ordinal % 9 == 0)
    cft_couchsim_tell(sim, "expire", "{}");
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_logs_in_and_in_again) {
  static const char *const args[] = {"--admin", "admin:secret", NULL};

  cft_couchsim_stop(sim);
  start_with(args);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  fill(0, 20);
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_plain_url(sim, 0));
  f.on_row = expire_now_and_then;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5",
                  "session", "1", "username", "admin", "password", "secret",
                  NULL);
  expect_ended();
  expect_filled(0, 0, 20);
  ck_assert_uint_ge(cft_couchsim_count(sim, "session"), 3);
  cft_follow_clear(&f);
  cft_follow_open(&f, NULL, url, "source", "all_docs", "username", "admin",
                  "password", "wrong", NULL);
  ck_assert(cft_follow_until_over(&f, PATIENCE_MS));
  ck_assert_int_eq(changefeed_last_error(f.feed)->code, CHANGEFEED_ERR_AUTH);
}
END_TEST

/* ---- databases that are not there ---- */

START_TEST(test_list_of_no_database_fails) {
  char none[300];

  (void)snprintf(none, sizeof none, "%s/none", cft_couchsim_url(sim, 0));
  cft_follow_open(&f, NULL, none, "source", "all_docs", NULL);
  ck_assert(cft_follow_until_over(&f, PATIENCE_MS));
  ck_assert_int_eq(changefeed_get_state(f.feed), CHANGEFEED_STATE_FAILED);
  ck_assert_int_eq(changefeed_last_error(f.feed)->code,
                   CHANGEFEED_ERR_NOTFOUND);
}
END_TEST

static bool was_refused(void *user) {
  const cft_follow *follow = user;

  return cft_follow_times(follow, CHANGEFEED_STATE_WAITING) >= 1;
}

START_TEST(test_list_waits_for_its_database) {
  cft_couchsim_must(sim, 200, "DELETE", "/db", NULL);
  cft_follow_open(&f, NULL, url, "source", "all_docs", "wait_for_database", "1",
                  NULL);
  ck_assert(cft_loop_until(f.loop, was_refused, &f, PATIENCE_MS));
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  fill(0, 3);
  expect_ended();
  ck_assert_uint_ge(f.row_count, 1);
}
END_TEST

static int drop_database(cft_follow *follow, const changefeed_change *change) {
  (void)follow;
  if (change->ordinal == 5)
    cft_couchsim_must(sim, 200, "DELETE", "/db", NULL);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_list_of_a_database_that_goes_fails_in_the_end) {
  fill(0, 20);
  f.on_row = drop_database;
  cft_follow_open(&f, NULL, url, "source", "all_docs", "page_rows", "5",
                  "missing_tolerance_ms", "300", NULL);
  ck_assert(cft_follow_until_over(&f, PATIENCE_MS));
  ck_assert_int_eq(changefeed_last_error(f.feed)->code,
                   CHANGEFEED_ERR_NOTFOUND);
  expect_filled(0, 0, 5);
}
END_TEST

/* ---- servers that list otherwise ---- */

#define JSON_OF(length)                                                        \
  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"                      \
  "Content-Length: " length "\r\n\r\n"
#define DOC(id)                                                                \
  "{\"id\":\"" id "\",\"key\":\"" id "\",\"value\":{\"rev\":\"1-a\"}}"

static const char server[] =
    JSON_OF("50") "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":\"u"
                  "\"}";
static const char database[] =
    JSON_OF("43") "{\"db_name\":\"db\",\"instance_start_time\":\"7\" }";

/* Whatever the parameters: the same two rows. */
static const char ignorant[] =
    JSON_OF("98") "{\"rows\":[" DOC("a") ",\r\n" DOC("b") "]}";
/* By some other order. */
static const char disordered[] =
    JSON_OF("98") "{\"rows\":[" DOC("b") ",\r\n" DOC("a") "]}";

static void expect_fault_of(const char *list, size_t rows, const char *at) {
  const cft_step steps[] = {
      {.match = "/_all_docs", .send = list, .times = CFT_FOREVER},
      {.match = "GET /db ", .send = database, .times = CFT_FOREVER},
      {.match = "GET / ", .send = server, .times = CFT_FOREVER}};
  cft_peer *peer = cft_peer_script(NULL, steps, 3);
  const changefeed_error *error;
  char where[128];
  int64_t began = cft_now_ms();

  (void)snprintf(where, sizeof where, "%s/db", cft_peer_url(peer));
  cft_follow_open(&f, NULL, where, "source", "all_docs", "page_rows", "2",
                  "retry_max_ms", "10", NULL);
  cft_loop_for(f.loop, 2500);
  /* Five in a burst and one a second; what brought the first page is
     productive, and costs nothing. */
  ck_assert_uint_le(cft_peer_count(peer, CFT_ANY),
                    (size_t)(5 + (cft_now_ms() - began) / 1000 + 4));
  ck_assert(!cft_follow_is_over(&f));
  ck_assert_uint_eq(f.row_count, rows);
  error = changefeed_last_error(f.feed);
  ck_assert_int_eq(error->code, CHANGEFEED_ERR_PROTOCOL);
  ck_assert_msg(strstr(error->message,
                       "the list is not in the order of its ids, or not in "
                       "the range that was asked for, at ") != NULL &&
                    strcmp(strrchr(error->message, ' ') + 1, at) == 0,
                "%s", error->message);
  ck_assert_uint_eq(cft_peer_unmatched(peer), 0);
  cft_follow_clear(&f);
  cft_peer_free(peer);
}

START_TEST(test_list_that_ignores_startkey_is_a_fault) {
  expect_fault_of(ignorant, 2, "a");
}
END_TEST

START_TEST(test_list_in_another_order_is_a_fault) {
  expect_fault_of(disordered, 1, "a");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("list_faults");
  TCase *t = tcase_create("faults");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_set_timeout(t, 60);
  tcase_add_test(t, test_list_goes_on_behind_a_cut_wherever_it_is);
  tcase_add_test(t, test_list_of_ids_goes_on_behind_a_cut);
  tcase_add_test(t, test_list_goes_on_after_silence_and_dribbles);
  tcase_add_test(t, test_list_survives_refusals);
  tcase_add_test(t, test_list_with_everything_wrong_has_what_stays_once);
  tcase_add_test(t, test_list_logs_in_and_in_again);
  tcase_add_test(t, test_list_of_no_database_fails);
  tcase_add_test(t, test_list_waits_for_its_database);
  tcase_add_test(t, test_list_of_a_database_that_goes_fails_in_the_end);
  tcase_add_test(t, test_list_that_ignores_startkey_is_a_fault);
  tcase_add_test(t, test_list_in_another_order_is_a_fault);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
