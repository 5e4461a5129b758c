/* Redirects: off, they are faults that name where they point; on, they are
   followed, and what identifies the application stays on the first origin. A
   peer answers every request by a redirect to the mini couch. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/unit.h"

#include <stdatomic.h>

enum { LONG_MS = 20000 };

static cft_mini *mini; /* another origin: the port differs */
static cft_peer *other;
static cft_peer *front; /* redirects */
static cft_follow f;
static char url[128];

static struct {
  int status;
  bool log_in;         /* answers /_session itself */
  atomic_bool forever; /* to itself */
  /* Location in place of the mini couch's */
  const char *_Atomic raw;
} how;

static void redirect(cft_conn *conn, void *user) {
  const cft_request *req;
  char headers[1024];
  (void)user;
  while (cft_conn_read_request(conn, &req)) {
    bool ok;
    if (how.log_in && (req->kind & CFT_WHO)) {
      ok = cft_conn_respond(conn, 200, NULL,
                            "{\"ok\":true,\"userCtx\":{\"name\":\"jan\"}}");
    } else if (how.log_in && (req->kind & CFT_SESSION)) {
      ok = cft_conn_respond(conn, 200,
                            "Set-Cookie: AuthSession=c00kie-A; Max-Age=600\r\n",
                            "{\"ok\":true}");
    } else {
      const char *raw = how.raw;
      if (raw)
        snprintf(headers, sizeof headers, "Location: %s\r\n", raw);
      else
        snprintf(headers, sizeof headers, "Location: %s%s\r\n",
                 how.forever ? "" : cft_peer_url(other), req->target);
      ok = cft_conn_respond(conn, how.status, headers, "moved\n");
    }
    if (!ok)
      return;
  }
}

static void setup(void) {
  mini = cft_mini_start(NULL);
  other = cft_mini_peer(mini);
  cft_mini_fill(mini, "d", 3);
  how.log_in = how.forever = false;
  how.raw = NULL;
  how.status = 307;
  front = cft_peer_start(NULL, redirect, NULL);
  snprintf(url, sizeof url, "%s/db", cft_peer_url(front));
  f = (cft_follow){.feed = NULL};
}

static void teardown(void) {
  cft_follow_clear(&f);
  cft_peer_free(front);
  cft_mini_free(mini);
}

static void expect_rows(void) {
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_msg(changefeed_get_state(f.feed) == CHANGEFEED_STATE_ENDED, "%s",
                changefeed_last_error(f.feed)->message);
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}

/* No head or body that the peer has seen holds the text. */
static void expect_never_sent(const cft_peer *peer, const char *text) {
  size_t n = cft_peer_count(peer, CFT_ANY);
  for (size_t i = 0; i < n; i++) {
    const cft_request *req = cft_peer_request(peer, CFT_ANY, i);
    ck_assert_msg(!strstr(req->head, text), "%s is in %s", text, req->head);
    ck_assert_msg(!strstr(req->body, text), "%s is in %s", text, req->body);
  }
}

static void expect_always_sent(const cft_peer *peer, const char *text) {
  size_t n = cft_peer_count(peer, CFT_ANY);
  ck_assert_uint_ge(n, 3);
  for (size_t i = 0; i < n; i++)
    ck_assert_ptr_nonnull(
        strstr(cft_peer_request(peer, CFT_ANY, i)->head, text));
}

/* A delay may be 0: the state itself is easily missed. */
static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

static const cft_seen_state *first_fault(void) {
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  return cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
}

/* ---- off ---- */

static const struct {
  const char *location, *named;
} targets[] = {
    {"http://jan:s3cret@couch.example:5984/db?token=s3cret#s3cret",
     "http://couch.example:5984/db"},
    {"https://couch.example/db", "https://couch.example/db"},
    {"/elsewhere/db?token=s3cret", "/elsewhere/db"},
    {"//couch.example/db", "http://couch.example/db"},
};

START_TEST(test_redirect_off_is_a_fault_that_names_the_target) {
  how.raw = targets[_i].location;
  cft_follow_open(&f, NULL, url, NULL);
  const cft_seen_state *s = first_fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_HTTP);
  ck_assert_int_eq(s->http_status, 307);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert_msg(strstr(s->message, targets[_i].named), "%s", s->message);
  ck_assert_msg(strstr(s->message, "follow_redirects"), "%s", s->message);
  ck_assert_msg(!strstr(s->message, "s3cret"), "%s", s->message);
  ck_assert_uint_eq(cft_peer_count(other, CFT_ANY), 0);
}
END_TEST

/* ---- on ---- */

static const int statuses[] = {301, 302, 303, 307, 308};

START_TEST(test_redirect_on_is_followed) {
  how.status = statuses[_i];
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1", NULL);
  expect_rows();
  ck_assert_uint_eq(cft_peer_count(front, CFT_ANY), 3);
  ck_assert_str_eq(changefeed_get_url(f.feed), url);
}
END_TEST

START_TEST(test_redirect_on_keeps_a_post) {
  how.status = statuses[_i];
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1",
                  "doc_ids", "[\"d000001\"]", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 1);
  const cft_request *req = cft_peer_request(other, CFT_NORMAL, 0);
  ck_assert_str_eq(req->method, "POST");
  ck_assert_str_eq(req->body, "{\"doc_ids\":[\"d000001\"]}");
}
END_TEST

START_TEST(test_redirect_on_works_for_live_feeds) {
  cft_follow_open(&f, NULL, url, "follow_redirects", "1", NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert(cft_follow_until_requests(&f, 4, LONG_MS));
  cft_mini_put(mini, "later", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* ---- what must stay at home ---- */

static const struct {
  const char *option, *value, *sent; /* sent: what the first origin gets */
} secrets[] = {
    {"password", "s3cret", "Authorization: Basic amFuOnMzY3JldA=="},
    {"bearer_token", "tok-s3cret", "Authorization: Bearer tok-s3cret"},
    {"header", "X-Api-Key: s3cret", "X-Api-Key: s3cret"},
};

START_TEST(test_redirect_takes_no_credentials_to_another_origin) {
  bool basic = strcmp(secrets[_i].option, "password") == 0;
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1",
                  basic ? "username" : "mode", basic ? "jan" : "once",
                  secrets[_i].option, secrets[_i].value, NULL);
  expect_rows();
  expect_always_sent(front, secrets[_i].sent);
  expect_never_sent(other, "Authorization");
  expect_never_sent(other, "s3cret");
}
END_TEST

static int authorize(cft_follow *follow) {
  return changefeed_set_authorization(follow->feed, "Custom s3cret");
}

START_TEST(test_redirect_takes_no_authorization_to_another_origin) {
  f.on_request = authorize;
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1", NULL);
  expect_rows();
  expect_always_sent(front, "Authorization: Custom s3cret");
  expect_never_sent(other, "s3cret");
}
END_TEST

START_TEST(test_redirect_takes_no_cookie_to_another_origin) {
  how.log_in = true;
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1",
                  "session", "1", "username", "jan", "password", "s3cret",
                  NULL);
  expect_rows();
  ck_assert_ptr_nonnull(strstr(cft_peer_request(front, CFT_NORMAL, 0)->head,
                               "Cookie: AuthSession=c00kie-A\r\n"));
  expect_never_sent(other, "c00kie-A");
  expect_never_sent(other, "s3cret");
}
END_TEST

/* Whoever answers elsewhere does not choose the cookie of this origin. */
START_TEST(test_redirect_takes_no_cookie_from_another_origin) {
  how.log_in = true;
  cft_mini_fault(mini, &(cft_fault){.on = CFT_ROOT,
                                    .status = 200,
                                    .headers = "Set-Cookie: AuthSession=evil; "
                                               "Max-Age=600\r\n",
                                    .body = "{\"couchdb\":\"Welcome\","
                                            "\"version\":\"3.5.0\"}"});
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1",
                  "session", "1", "username", "jan", "password", "s3cret",
                  NULL);
  expect_rows();
  expect_never_sent(front, "evil");
}
END_TEST

/* A log-in is nothing that another origin may ask for. */
START_TEST(test_redirect_takes_no_login_to_another_origin) {
  cft_follow_open(&f, NULL, url, "mode", "once", "follow_redirects", "1",
                  "session", "1", "username", "jan", "password", "s3cret",
                  NULL);
  const cft_seen_state *s = first_fault();
  ck_assert_int_eq(s->retryable, 1);
  ck_assert_msg(strstr(s->message, cft_peer_url(other)), "%s", s->message);
  expect_never_sent(other, "s3cret");
  ck_assert_uint_eq(cft_peer_count(other, CFT_SESSION), 0);
}
END_TEST

/* Another path of the same origin is no reason to lose them. */
START_TEST(test_redirect_keeps_credentials_on_the_same_origin) {
  static const char *const moved[][2] = {
      {"GET /old/ ", "/new/"},
      {"GET /old/db ", "/new/db"},
      {"GET /old/db/_changes?", "/new/db/_changes?feed=normal&since=0"}};
  cft_mini_config config = cft_mini_get_config(mini);
  char old[160], location[160];
  snprintf(config.prefix, sizeof config.prefix, "/new");
  snprintf(config.user, sizeof config.user, "jan");
  snprintf(config.password, sizeof config.password, "s3cret");
  cft_mini_set_config(mini, &config);
  for (size_t i = 0; i < 3; i++) {
    snprintf(location, sizeof location, "Location: %s%s\r\n",
             i == 1 ? cft_peer_url(other) : "", moved[i][1]);
    cft_mini_fault(mini, &(cft_fault){.on = CFT_OTHER,
                                      .match = moved[i][0],
                                      .status = 302,
                                      .headers = location});
  }
  snprintf(old, sizeof old, "%s/old/db", cft_peer_url(other));
  cft_follow_open(&f, NULL, old, "mode", "once", "follow_redirects", "1",
                  "username", "jan", "password", "s3cret", "header",
                  "X-Mine: yes", NULL);
  expect_rows();
  ck_assert_uint_eq(cft_peer_count(other, CFT_ANY), 6);
  expect_always_sent(other, "Authorization: Basic amFuOnMzY3JldA==");
  expect_always_sent(other, "X-Mine: yes");
}
END_TEST

/* ---- those that lead nowhere ---- */

START_TEST(test_redirect_loop_is_a_fault_tried_again) {
  how.forever = true;
  cft_follow_open(&f, NULL, url, "follow_redirects", "1", NULL);
  const cft_seen_state *s = first_fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_PROTOCOL);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert_msg(strstr(s->message, "redirect"), "%s", s->message);
  ck_assert_uint_eq(cft_peer_count(front, CFT_ANY), 6);
  how.forever = false;
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

START_TEST(test_redirect_to_another_protocol_is_not_followed) {
  how.raw = "file:///etc/hostname";
  cft_follow_open(&f, NULL, url, "follow_redirects", "1", NULL);
  const cft_seen_state *s = first_fault();
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_PROTOCOL);
  ck_assert_int_eq(s->retryable, 1);
  how.raw = NULL;
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_redirect");
  TCase *t = tcase_create("redirect");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_redirect_off_is_a_fault_that_names_the_target, 0,
                      sizeof targets / sizeof *targets);
  tcase_add_loop_test(t, test_redirect_on_is_followed, 0,
                      sizeof statuses / sizeof *statuses);
  tcase_add_loop_test(t, test_redirect_on_keeps_a_post, 0,
                      sizeof statuses / sizeof *statuses);
  tcase_add_test(t, test_redirect_on_works_for_live_feeds);
  tcase_add_loop_test(t, test_redirect_takes_no_credentials_to_another_origin,
                      0, sizeof secrets / sizeof *secrets);
  tcase_add_test(t, test_redirect_takes_no_authorization_to_another_origin);
  tcase_add_test(t, test_redirect_takes_no_cookie_to_another_origin);
  tcase_add_test(t, test_redirect_takes_no_cookie_from_another_origin);
  tcase_add_test(t, test_redirect_takes_no_login_to_another_origin);
  tcase_add_test(t, test_redirect_keeps_credentials_on_the_same_origin);
  tcase_add_test(t, test_redirect_loop_is_a_fault_tried_again);
  tcase_add_test(t, test_redirect_to_another_protocol_is_not_followed);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
