/* Every status a server can answer with, and what is made of it: what ends the
   feed, what is tried again and when, and what a person is told. Known failures
   18, 50, 63, 84. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <time.h>

enum { LONG_MS = 30000, FIRST = 100, LAST = 599, STATUSES = LAST - FIRST + 1 };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  cft_mini_fill(mini, "d", 3);
}

static void teardown(void) {
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}

/* ---- one answer for one feed ---- */

typedef struct asked {
  cft_follow follow;
  char header[32]; /* its mark */
} asked;

/* The feed's requests of this kind meet the fault, `times` of them. */
static void ask(asked *a, size_t number, cft_fault fault) {
  char url[256];
  snprintf(a->header, sizeof a->header, "X-Feed: %zu.", number);
  snprintf(url, sizeof url, "http://jan:s3cr3t@127.0.0.1:%u/db",
           cft_peer_port(peer));
  fault.match = a->header;
  (void)cft_mini_fault(mini, &fault);
  cft_follow_open(&a->follow, loop, url, "header", a->header, "heartbeat_ms",
                  "2000", "header_timeout_ms", "2000", NULL);
}

static const cft_seen_state *outcome(const asked *a) {
  const cft_seen_state *failed =
      cft_follow_last(&a->follow, CHANGEFEED_STATE_FAILED);
  return failed ? failed
                : cft_follow_last(&a->follow, CHANGEFEED_STATE_WAITING);
}

typedef struct group {
  asked *all;
  size_t count;
} group;

/* What was judged is closed: no second attempt confuses anybody. */
static bool all_judged(void *user) {
  const group *g = user;
  size_t open = 0;
  for (size_t i = 0; i < g->count; i++) {
    if (g->all[i].follow.feed && outcome(&g->all[i]))
      cft_follow_close(&g->all[i].follow);
    open += g->all[i].follow.feed != NULL;
  }
  return open == 0;
}

static void check_secrets(const asked *a, const char *what) {
  const cft_seen_state *s = outcome(a);
  ck_assert_msg(!strstr(s->message, "s3cr3t") && !strstr(s->message, "jan"),
                "%s: %s", what, s->message);
  ck_assert_msg(!a->follow.log || !strstr(a->follow.log, "s3cr3t"), "%s: %s",
                what, a->follow.log);
}

static void clear(group *g) {
  for (size_t i = 0; i < g->count; i++)
    cft_follow_clear(&g->all[i].follow);
}

/* ---- the table of statuses ---- */

static const struct {
  unsigned kind;
  const char *name, *asked;
} requests[] = {{CFT_DB, "GET /db", "the database"},
                {CFT_NORMAL, "_changes", "the changes of"},
                {CFT_CONTINUOUS, "_changes, live", "the live changes of"}};
enum { REQUESTS = sizeof requests / sizeof *requests };

static int expected_code(unsigned kind, int status) {
  if (status == 401 || status == 403)
    return CHANGEFEED_ERR_AUTH;
  if (status == 404)
    return CHANGEFEED_ERR_NOTFOUND;
  /* An object is no database; in the place of a feed it says what is wrong. */
  return status == 200 && kind == CFT_DB ? CHANGEFEED_ERR_PROTOCOL
                                         : CHANGEFEED_ERR_HTTP;
}

static void check_status(const asked *a, size_t r, int status) {
  const cft_seen_state *s = outcome(a);
  char what[64], number[16];
  bool fatal = status == 400 || status == 401 || status == 403;
  snprintf(what, sizeof what, "%d for %s", status, requests[r].name);
  snprintf(number, sizeof number, "HTTP %d", status);
  ck_assert_msg(s, "%s: no outcome", what);
  ck_assert_msg((s->state == CHANGEFEED_STATE_FAILED) == fatal, "%s: %s %s",
                what, changefeed_state_name(s->state), s->message);
  ck_assert_msg(s->retryable == !fatal, "%s: retryable %d", what, s->retryable);
  check_secrets(a, what);
  ck_assert_msg(strstr(s->message, "http://127.0.0.1:"), "%s: %s", what,
                s->message);
  if (status < 200) /* more is to follow, and does not */
    return;
  ck_assert_msg(s->http_status == status, "%s: told as %d", what,
                s->http_status);
  ck_assert_msg(s->code == expected_code(requests[r].kind, status),
                "%s: told as %s", what, changefeed_strerror(s->code));
  if (status == 200) /* not by its status */
    return;
  ck_assert_msg(strstr(s->message, number), "%s: %s", what, s->message);
  ck_assert_msg(strstr(s->message, requests[r].asked), "%s: %s", what,
                s->message);
  if (status != 204 && status != 304) /* these have no body */
    ck_assert_msg(strstr(s->message, "fault: A fault of the test."), "%s: %s",
                  what, s->message);
}

START_TEST(test_status_each_is_fatal_or_tried_again) {
  static asked all[STATUSES];
  group g = {all, STATUSES};
  for (size_t i = 0; i < STATUSES; i++)
    ask(&all[i], i,
        (cft_fault){.on = requests[_i].kind, .status = FIRST + (int)i});
  (void)cft_loop_until(loop, all_judged, &g, LONG_MS);
  for (size_t i = 0; i < STATUSES; i++)
    check_status(&all[i], (size_t)_i, FIRST + (int)i);
  clear(&g);
}
END_TEST

/* ---- the same status for different reasons ---- */

#define REASON(error, reason)                                                  \
  "{\"error\":\"" error "\",\"reason\":\"" reason "\"}"

static const struct {
  unsigned kind;
  int status;
  const char *body;
  int code;
  bool fatal;
} reasons[] = {
    {CFT_DB, 404, REASON("not_found", "Database does not exist."),
     CHANGEFEED_ERR_NOTFOUND, true},
    {CFT_DB, 404, REASON("not_found", "no_db_file"), CHANGEFEED_ERR_NOTFOUND,
     true},
    {CFT_DB, 404, REASON("not_found", "missing"), CHANGEFEED_ERR_NOTFOUND,
     false},
    {CFT_DB, 404, "<html>no such page</html>", CHANGEFEED_ERR_NOTFOUND, false},
    {CFT_NORMAL, 404, REASON("not_found", "Database does not exist."),
     CHANGEFEED_ERR_NOTFOUND, false}, /* it was there a moment ago */
    {CFT_NORMAL, 404,
     REASON("not_found", "Design document was updated or deleted."),
     CHANGEFEED_ERR_NOTFOUND, false},
    {CFT_NORMAL, 404, REASON("not_found", "missing json key: filters"),
     CHANGEFEED_ERR_NOTFOUND, false},
    {CFT_NORMAL, 412, REASON("nodedown", "progress not possible"),
     CHANGEFEED_ERR_HTTP, false},
    {CFT_NORMAL, 500,
     REASON("internal_server_error", "No DB shards could be opened."),
     CHANGEFEED_ERR_HTTP, false},
    {CFT_NORMAL, 400,
     REASON("bad_request", "Malformed sequence supplied in 'since' parameter."),
     CHANGEFEED_ERR_HTTP, true}, /* the caller's since */
    {CFT_NORMAL, 400, REASON("bad_request", "Invalid heartbeat value."),
     CHANGEFEED_ERR_HTTP, true},
    {CFT_NORMAL, 400, "<html>Bad gateway, sort of</html>", CHANGEFEED_ERR_HTTP,
     false},
    {CFT_NORMAL, 403, REASON("forbidden", "Account is temporarily locked"),
     CHANGEFEED_ERR_AUTH, true},
    {CFT_NORMAL, 401, REASON("unauthorized", "You are not a reader."),
     CHANGEFEED_ERR_AUTH, true},
    {CFT_NORMAL, 503, "", CHANGEFEED_ERR_HTTP, false},
    /* a front page may be hidden, the database is still there */
    {CFT_ROOT, 401, REASON("unauthorized", "x"), CHANGEFEED_ERR_AUTH, true},
    {CFT_ROOT, 500, REASON("x", "y"), CHANGEFEED_ERR_HTTP, false},
};
enum { REASONS = sizeof reasons / sizeof *reasons };

START_TEST(test_status_is_read_with_its_reason) {
  static asked all[REASONS];
  group g = {all, REASONS};
  for (size_t i = 0; i < REASONS; i++)
    ask(&all[i], i,
        (cft_fault){.on = reasons[i].kind,
                    .status = reasons[i].status,
                    .body = reasons[i].body});
  (void)cft_loop_until(loop, all_judged, &g, LONG_MS);
  for (size_t i = 0; i < REASONS; i++) {
    const cft_seen_state *s = outcome(&all[i]);
    char what[256];
    snprintf(what, sizeof what, "%d %s", reasons[i].status, reasons[i].body);
    ck_assert_msg(s, "%s: no outcome", what);
    ck_assert_msg((s->state == CHANGEFEED_STATE_FAILED) == reasons[i].fatal,
                  "%s: %s %s", what, changefeed_state_name(s->state),
                  s->message);
    ck_assert_msg(s->code == reasons[i].code, "%s: %s", what, s->message);
    check_secrets(&all[i], what);
  }
  clear(&g);
}
END_TEST

/* Not everybody lets everybody see the front page. */
START_TEST(test_status_of_a_hidden_front_page_is_no_fault) {
  static const int hidden[] = {403, 404, 405};
  asked a = {.header = ""};
  ask(&a, 1, (cft_fault){.on = CFT_ROOT, .status = hidden[_i]});
  ck_assert(cft_follow_until_state(&a.follow, CHANGEFEED_STATE_LIVE, LONG_MS));
  ck_assert_uint_eq(a.follow.taken, 3);
  ck_assert_uint_eq(cft_follow_times(&a.follow, CHANGEFEED_STATE_WAITING), 0);
  cft_follow_clear(&a.follow);
}
END_TEST

/* ---- Retry-After ---- */

static const struct {
  int status;
  const char *value; /* NULL: a date, so far ahead */
  int64_t ahead_ms;
  int64_t least_ms, most_ms; /* until the next request */
} waits[] = {
    {429, "2", 0, 2000, 2200},
    {503, "1", 0, 1000, 1200},
    {503, "0", 0, 0, 1000},
    {500, "2", 0, 2000, 2200},
    {429, NULL, 3000, 500, 3100}, /* to the second, and a slow machine */
    {503, NULL, 4000, 1500, 4100},
    {503, NULL, -86400000, 0, 1000},
    {429, "soon", 0, 0, 1000},
    {429, "-5", 0, 0, 1000},
    {429, "", 0, 0, 1000},
    {503, "999999999999999999999", 0, 3600000, 3600100},
    {503, NULL, 86400000, 3600000, 3600100},
};
enum { WAITS = sizeof waits / sizeof *waits };

static void date_ahead(char *text, size_t size, int64_t ahead_ms) {
  time_t at = time(NULL) + (time_t)(ahead_ms / 1000);
  struct tm tm;
  ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
  ck_assert_uint_gt(strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm), 0);
}

static bool all_asked_twice(void *user) {
  const group *g = user;
  size_t n = 0;
  for (size_t i = 0; i < g->count; i++)
    n += waits[i].least_ms > 10000
             ? outcome(&g->all[i]) != NULL
             : cft_follow_times(&g->all[i].follow, CHANGEFEED_STATE_LIVE) != 0;
  return n == g->count;
}

/* When the k-th request with this mark for the changes came. */
static int64_t asked_at_ms(const char *mark, size_t k) {
  const cft_request *req;
  for (size_t i = 0; (req = cft_peer_request(peer, CFT_NORMAL, i)); i++)
    if (strstr(req->head, mark) && k-- == 0)
      return req->at_ms;
  ck_abort_msg("no such request");
}

START_TEST(test_status_retry_after_is_waited_for) {
  static asked all[WAITS];
  group g = {all, WAITS};
  for (size_t i = 0; i < WAITS; i++) {
    char date[64], headers[128];
    date_ahead(date, sizeof date, waits[i].ahead_ms);
    snprintf(headers, sizeof headers, "Retry-After: %s\r\n",
             waits[i].value ? waits[i].value : date);
    ask(&all[i], i,
        (cft_fault){.on = CFT_NORMAL,
                    .times = 1,
                    .status = waits[i].status,
                    .headers = headers});
  }
  (void)cft_loop_until(loop, all_asked_twice, &g, LONG_MS);
  for (size_t i = 0; i < WAITS; i++) {
    const cft_seen_state *s = outcome(&all[i]);
    ck_assert_msg(s, "wait %zu: no fault", i);
    ck_assert_msg(s->delay_ms >= waits[i].least_ms &&
                      s->delay_ms <= waits[i].most_ms,
                  "wait %zu: %d ms proposed, %d asked for", i, (int)s->delay_ms,
                  (int)s->retry_after_ms);
    if (waits[i].least_ms > 10000)
      continue;
    ck_assert_msg(cft_follow_last(&all[i].follow, CHANGEFEED_STATE_LIVE),
                  "wait %zu: not there", i);
    int64_t took =
        asked_at_ms(all[i].header, 1) - asked_at_ms(all[i].header, 0);
    ck_assert_msg(took >= waits[i].least_ms - 5, "wait %zu: after %d ms", i,
                  (int)took);
  }
  clear(&g);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_status");
  TCase *t = tcase_create("status");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_status_each_is_fatal_or_tried_again, 0, REQUESTS);
  tcase_add_test(t, test_status_is_read_with_its_reason);
  tcase_add_loop_test(t, test_status_of_a_hidden_front_page_is_no_fault, 0, 3);
  tcase_add_test(t, test_status_retry_after_is_waited_for);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
