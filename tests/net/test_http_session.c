/* Sessions: logging in, the cookie, its renewal, and refusals. After each test
   whatever the feed said is searched for what must never be said. Known
   failures 33 and 78. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <inttypes.h>

enum { LONG_MS = 20000 };

#define PASSWORD "s3cret+&=\xc3\xa9"
#define PASSWORD_SENT "s3cret%2B%26%3D%C3%A9"

static cft_mini *mini;
static cft_peer *peer;
static cft_follow f;

static void set_session_ms(int64_t ms) {
  cft_mini_config config = cft_mini_get_config(mini);
  config.session_ms = ms;
  cft_mini_set_config(mini, &config);
}

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  cft_mini_config config = cft_mini_get_config(mini);
  snprintf(config.user, sizeof config.user, "jan");
  snprintf(config.password, sizeof config.password, "%s", PASSWORD);
  snprintf(config.bearer, sizeof config.bearer, "tok-s3cret");
  cft_mini_set_config(mini, &config);
  cft_mini_fill(mini, "d", 3);
  f = (cft_follow){.feed = NULL};
}

static void expect_clean(const char *what, const char *text) {
  if (!text)
    return;
  ck_assert_msg(!strstr(text, "s3cret"), "%s: %s", what, text);
  ck_assert_msg(!strstr(text, "AuthSession="), "%s: %s", what, text);
}

/* All that the feed has ever told. */
static void expect_nothing_told(void) {
  expect_clean("log", f.log);
  for (size_t i = 0; i < f.state_count; i++)
    expect_clean("state", f.states[i].message);
  for (size_t i = 0; i < f.notice_count; i++)
    expect_clean("notice", f.notices[i].reason);
  if (!f.feed)
    return;
  expect_clean("URL", changefeed_get_url(f.feed));
  expect_clean("error", changefeed_last_error(f.feed)->message);
}

static void teardown(void) {
  expect_nothing_told();
  cft_follow_clear(&f);
  cft_mini_free(mini);
}

/* With a session of the right password, and one more option. */
static void open_session(const char *name, const char *value) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "session", "1", "username",
                  "jan", "password", PASSWORD, name, value, NULL);
}

static const char *header(const cft_request *req, const char *name) {
  static char value[512];
  ck_assert_ptr_nonnull(req);
  return cft_request_header(req, name, value, sizeof value) ? value : "(none)";
}

/* A delay may be 0: the state itself is easily missed. */
static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

static bool is_live(void *user) { return cft_mini_waiting(user) == 1; }

static void until_live(void) {
  ck_assert(cft_loop_until(f.loop, is_live, mini, LONG_MS));
}

/* ---- logging in ---- */

/* The password is in the body of log-ins only. */
static void expect_password_in_logins_only(void) {
  size_t n = cft_peer_count(peer, CFT_ANY);
  for (size_t i = 0; i < n; i++) {
    const cft_request *req = cft_peer_request(peer, CFT_ANY, i);
    ck_assert_ptr_null(strstr(req->head, "s3cret"));
    ck_assert_str_eq(header(req, "Authorization"), "(none)");
    if (req->kind & CFT_SESSION)
      ck_assert_str_eq(req->body, "name=jan&password=" PASSWORD_SENT);
    else
      ck_assert_ptr_null(strstr(req->body, "s3cret"));
  }
}

START_TEST(test_session_sends_the_password_once_and_then_the_cookie) {
  open_session("mode", "once");
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  const cft_request *login = cft_peer_request(peer, CFT_ANY, 0);
  ck_assert_str_eq(login->line, "POST /_session HTTP/1.1");
  ck_assert_str_eq(header(login, "Content-Type"),
                   "application/x-www-form-urlencoded");
  ck_assert_str_eq(header(login, "Cookie"), "(none)");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 1);
  for (size_t i = 1; i < 5; i++) {
    const char *cookie = header(cft_peer_request(peer, CFT_ANY, i), "Cookie");
    ck_assert_msg(strncmp(cookie, "AuthSession=0-", 14) == 0, "%s", cookie);
    ck_assert_ptr_null(strchr(cookie, ';'));
  }
  expect_password_in_logins_only();
}
END_TEST

START_TEST(test_session_takes_the_credentials_of_the_url) {
  char url[256];
  snprintf(url, sizeof url, "http://jan:%s@127.0.0.1:%u/db", PASSWORD_SENT,
           cft_peer_port(peer));
  cft_follow_open(&f, NULL, url, "session", "1", "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  expect_password_in_logins_only();
}
END_TEST

static void expect_failed(int code, int status, const char *reason) {
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_FAILED);
  ck_assert_ptr_nonnull(s);
  ck_assert_int_eq(s->code, code);
  ck_assert_int_eq(s->http_status, status);
  ck_assert_int_eq(s->retryable, 0);
  ck_assert_msg(strstr(s->message, reason), "%s", s->message);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_FAILED), 1);
  ck_assert_uint_eq(f.calls_late, 0);
}

START_TEST(test_session_wrong_password_is_final) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "session", "1", "username",
                  "jan", "password", "wrong-s3cret", NULL);
  expect_failed(CHANGEFEED_ERR_AUTH, 401, "Name or password is incorrect.");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 1);
}
END_TEST

START_TEST(test_session_login_without_a_cookie_is_tried_again) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_SESSION,
                                    .times = 2,
                                    .status = 200,
                                    .body = "{\"ok\":true}"});
  open_session("mode", "once");
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 2);
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_PROTOCOL);
  ck_assert_ptr_nonnull(strstr(s->message, "cookie"));
}
END_TEST

START_TEST(test_session_trouble_at_login_is_tried_again) {
  cft_mini_fault(mini, CFT_FAULT_STATUS(CFT_SESSION, 503));
  open_session("mode", "once");
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  cft_mini_heal(mini);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
}
END_TEST

/* ---- renewing ---- */

START_TEST(test_session_expired_is_renewed_once) {
  /* known failure 78 */
  open_session("heartbeat_ms", "1000");
  until_live();
  cft_mini_expire_sessions(mini);
  cft_mini_end_feeds(mini);
  cft_mini_put(mini, "after", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 2);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 0);
  ck_assert_uint_eq(f.taken, 4);
  /* and any number of times, when it worked in between */
  cft_mini_expire_sessions(mini);
  cft_mini_end_feeds(mini);
  ck_assert(cft_peer_count(peer, CFT_SESSION) == 2);
  cft_mini_put(mini, "again", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 5, LONG_MS));
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 3);
  expect_password_in_logins_only();
}
END_TEST

static const int refusals[] = {401, 403};

START_TEST(test_session_refused_after_renewal_is_final) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB,
                                    .status = refusals[_i],
                                    .body = "{\"error\":\"forbidden\","
                                            "\"reason\":\"Not for jan.\"}"});
  open_session("mode", "live");
  expect_failed(CHANGEFEED_ERR_AUTH, refusals[_i], "Not for jan.");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 2);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_DB), 2);
  ck_assert_uint_eq(f.taken, 0);
}
END_TEST

static bool third_login(void *user) {
  return cft_peer_count(user, CFT_SESSION) >= 3;
}

/* A cookie that has expired is never sent: a server may take whoever sends it
   for anybody, and show other rows. */
START_TEST(test_session_is_renewed_at_half_its_life) {
  /* known failures 33, 78 */
  cft_mini_config config = cft_mini_get_config(mini);
  config.expired_is_anonymous = true;
  config.session_ms = 2000;
  cft_mini_set_config(mini, &config);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "session", "1", "username",
                  "jan", "password", PASSWORD, "transport", "longpoll",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_loop_until(f.loop, third_login, peer, LONG_MS));
  for (size_t i = 1; i < 3; i++)
    ck_assert_int_ge(cft_peer_request(peer, CFT_SESSION, i)->at_ms -
                         cft_peer_request(peer, CFT_SESSION, i - 1)->at_ms,
                     950);
  size_t n = cft_peer_count(peer, CFT_ANY);
  for (size_t i = 0; i < n; i++) {
    const cft_request *req = cft_peer_request(peer, CFT_ANY, i);
    int64_t until_ms;
    if (req->kind & CFT_SESSION)
      continue;
    ck_assert_int_eq(
        sscanf(header(req, "Cookie"), "AuthSession=0-%" SCNd64, &until_ms), 1);
    ck_assert_int_lt(req->at_ms, until_ms);
  }
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

START_TEST(test_session_renewal_without_a_cookie_is_a_fault_too) {
  set_session_ms(2000);
  size_t fault = cft_mini_fault(mini, &(cft_fault){.on = CFT_SESSION,
                                                   .skip = 1,
                                                   .times = 1,
                                                   .status = 200,
                                                   .body = "{\"ok\":true}"});
  cft_follow_open(&f, NULL, cft_mini_url(mini), "session", "1", "username",
                  "jan", "password", PASSWORD, "transport", "longpoll",
                  "heartbeat_ms", "200", NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->code,
                   CHANGEFEED_ERR_PROTOCOL);
  ck_assert_uint_eq(cft_mini_fault_hits(mini, fault), 1);
  cft_mini_put(mini, "after", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
}
END_TEST

/* CouchDB renews a session in the answer of any request. */
START_TEST(test_session_cookie_of_any_answer_is_taken_over) {
  cft_mini_fault(
      mini, &(cft_fault){.on = CFT_DB,
                         .times = 1,
                         .status = 200,
                         .headers = "Set-Cookie: Other=1; Path=/\r\n"
                                    "Set-Cookie: AuthSession="
                                    "0-77777777777777; Version=1; Max-Age=9; "
                                    "Path=/; HttpOnly\r\n",
                         .body = "{\"db_name\":\"db\",\"update_seq\":\"3-x\","
                                 "\"instance_start_time\":\"1\"}"});
  open_session("mode", "once");
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_str_eq(header(cft_peer_request(peer, CFT_NORMAL, 0), "Cookie"),
                   "AuthSession=0-77777777777777");
}
END_TEST

START_TEST(test_session_cookie_of_a_fault_is_not_taken_over) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB,
                                    .times = 1,
                                    .status = 503,
                                    .headers = "Set-Cookie: AuthSession=bad; "
                                               "Max-Age=9\r\n"});
  open_session("mode", "once");
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 1);
}
END_TEST

/* ---- credentials that cannot be renewed, and those that can ---- */

START_TEST(test_session_wrong_basic_password_is_final_at_once) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "username", "jan", "password",
                  "wrong-s3cret", NULL);
  expect_failed(CHANGEFEED_ERR_AUTH, 401, "Name or password is incorrect.");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_DB), 1);
}
END_TEST

START_TEST(test_session_wrong_token_is_final_at_once) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "bearer_token",
                  "wrong-tok-s3cret", NULL);
  expect_failed(CHANGEFEED_ERR_AUTH, 401, "You are not authorized");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_DB), 1);
}
END_TEST

/* The application's token is good until it is told otherwise. */
static int authorize(cft_follow *follow) {
  bool refused = changefeed_last_error(follow->feed)->http_status == 401;
  return changefeed_set_authorization(
      follow->feed, refused ? "Bearer tok-s3cret" : "Bearer old-s3cret");
}

START_TEST(test_session_application_renews_its_token_once) {
  f.on_request = authorize;
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_DB), 2);
}
END_TEST

static int never_right(cft_follow *follow) {
  return changefeed_set_authorization(follow->feed, "Bearer old-s3cret");
}

START_TEST(test_session_application_that_cannot_renew_ends_the_feed) {
  f.on_request = never_right;
  cft_follow_open(&f, NULL, cft_mini_url(mini), NULL);
  expect_failed(CHANGEFEED_ERR_AUTH, 401, "You are not authorized");
  ck_assert_uint_eq(cft_peer_count(peer, CFT_DB), 2);
}
END_TEST

/* ---- nothing is told ---- */

START_TEST(test_session_url_refused_does_not_tell_the_password) {
  static const char *const urls[] = {
      "http://jan:s3cret@", "http://jan:s3cret@host:99999/db",
      "http://jan:s3cret@host/db?x=1", "htp://jan:s3cret@host/db",
      "http://jan:s3c/ret-s3cret@host/db"};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    char why[512];
    ck_assert_int_eq(cft_follow_try(&f, NULL, why, sizeof why, urls[i], NULL),
                     CHANGEFEED_ERR_OPTION);
    ck_assert_uint_gt(strlen(why), 10);
    expect_clean("open", why);
  }
}
END_TEST

/* Each kind of answer that is no feed, and one that is cut off. */
static const cft_fault faults[] = {
    {.status = 400, .body = "<html>no</html>"},
    {.status = 404},
    {.status = 503},
    {.status = 200, .body = "{}"},
    {.cut = CFT_CUT_RESPONSE, .cut_at = 20, .then = CFT_RST},
};
enum { FAULTS = sizeof faults / sizeof *faults };

static bool all_over(void *user) {
  cft_follow *all = user;
  for (size_t i = 0; i < FAULTS; i++)
    if (!cft_follow_is_over(&all[i]))
      return false;
  return true;
}

START_TEST(test_session_faults_do_not_tell_the_cookie) {
  changefeed_loop *loop = cft_loop();
  cft_follow all[FAULTS] = {{.feed = NULL}};
  for (size_t i = 0; i < FAULTS; i++) {
    char match[32];
    cft_fault fault = faults[i];
    snprintf(match, sizeof match, "X-Feed: %zu.", i);
    fault.on = CFT_NORMAL;
    fault.match = match;
    fault.times = 1;
    cft_mini_fault(mini, &fault);
    cft_follow_open(&all[i], loop, cft_mini_url(mini), "mode", "once",
                    "session", "1", "username", "jan", "password", PASSWORD,
                    "header", match, NULL);
  }
  ck_assert(cft_loop_until(loop, all_over, all, LONG_MS));
  for (size_t i = 0; i < FAULTS; i++) {
    ck_assert_uint_eq(all[i].taken, 3);
    ck_assert_uint_eq(cft_follow_times(&all[i], CHANGEFEED_STATE_WAITING), 1);
    f = all[i]; /* looked at like any other */
    expect_nothing_told();
    cft_follow_clear(&all[i]);
  }
  f = (cft_follow){.feed = NULL};
  changefeed_loop_free(loop);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_session");
  TCase *t = tcase_create("session");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_session_sends_the_password_once_and_then_the_cookie);
  tcase_add_test(t, test_session_takes_the_credentials_of_the_url);
  tcase_add_test(t, test_session_wrong_password_is_final);
  tcase_add_test(t, test_session_login_without_a_cookie_is_tried_again);
  tcase_add_test(t, test_session_trouble_at_login_is_tried_again);
  tcase_add_test(t, test_session_expired_is_renewed_once);
  tcase_add_loop_test(t, test_session_refused_after_renewal_is_final, 0,
                      sizeof refusals / sizeof *refusals);
  tcase_add_test(t, test_session_is_renewed_at_half_its_life);
  tcase_add_test(t, test_session_renewal_without_a_cookie_is_a_fault_too);
  tcase_add_test(t, test_session_cookie_of_any_answer_is_taken_over);
  tcase_add_test(t, test_session_cookie_of_a_fault_is_not_taken_over);
  tcase_add_test(t, test_session_wrong_basic_password_is_final_at_once);
  tcase_add_test(t, test_session_wrong_token_is_final_at_once);
  tcase_add_test(t, test_session_application_renews_its_token_once);
  tcase_add_test(t, test_session_application_that_cannot_renew_ends_the_feed);
  tcase_add_test(t, test_session_url_refused_does_not_tell_the_password);
  tcase_add_test(t, test_session_faults_do_not_tell_the_cookie);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
