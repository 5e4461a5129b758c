/* What a server sees of a feed: credentials, headers, paths, parameters, bodies
   and connections. The mini couch keeps each request; it also refuses what
   CouchDB would refuse. Known failures 7, 42, 51, 60. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

enum { LONG_MS = 20000 };

static cft_mini *mini;
static cft_peer *peer;
static cft_follow f;

static void begin(const char *where) {
  mini = cft_mini_start(where);
  peer = cft_mini_peer(mini);
  f = (cft_follow){.feed = NULL};
  cft_mini_fill(mini, "d", 3);
}

static void setup(void) { begin(NULL); }

static void teardown(void) {
  cft_follow_clear(&f);
  cft_mini_free(mini);
}

static unsigned awaited;

static bool was_asked(void *user) { return cft_peer_count(user, awaited) >= 1; }

/* Runs the loop until a request of this kind has arrived. */
static void expect_request(unsigned kind) {
  awaited = kind;
  ck_assert(cft_loop_until(f.loop, was_asked, peer, LONG_MS));
}

static void expect_ended(void) {
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_msg(changefeed_get_state(f.feed) == CHANGEFEED_STATE_ENDED, "%s",
                changefeed_last_error(f.feed)->message);
}

/* All there is is read with one more option. */
static void run_with(const char *url, const char *name, const char *value) {
  cft_follow_open(&f, NULL, url, "mode", "once", name, value, NULL);
  expect_ended();
}

/* The value of a header of a request, "(none)" without it. Valid until the
   next call. */
static const char *header(const cft_request *req, const char *name) {
  static char value[4096];
  ck_assert_ptr_nonnull(req);
  return cft_request_header(req, name, value, sizeof value) ? value : "(none)";
}

/* Each request had this header. */
static void expect_header(const char *name, const char *value) {
  size_t n = cft_peer_count(peer, CFT_ANY);
  ck_assert_uint_ge(n, 3);
  for (size_t i = 0; i < n; i++)
    ck_assert_str_eq(header(cft_peer_request(peer, CFT_ANY, i), name), value);
}

static void require_password(const char *user, const char *password) {
  cft_mini_config config = cft_mini_get_config(mini);
  snprintf(config.user, sizeof config.user, "%s", user);
  snprintf(config.password, sizeof config.password, "%s", password);
  snprintf(config.bearer, sizeof config.bearer, "tok-1");
  cft_mini_set_config(mini, &config);
}

/* ---- credentials ---- */

START_TEST(test_requests_send_basic_credentials_of_the_options) {
  require_password("jan", "p@ss:w\xc3\xb6rd/%");
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", "username",
                  "jan", "password", "p@ss:w\xc3\xb6rd/%", NULL);
  expect_ended();
  ck_assert_uint_eq(f.taken, 3);
  expect_header("Authorization", "Basic amFuOnBAc3M6d8O2cmQvJQ==");
}
END_TEST

static void open_with_user_info(const char *info, const char *user,
                                const char *password) {
  char url[256];
  snprintf(url, sizeof url, "http://%s@127.0.0.1:%u/db", info,
           cft_peer_port(peer));
  cft_follow_open(&f, NULL, url, "mode", "once", user ? "username" : "mode",
                  user ? user : "once", user ? "password" : "mode",
                  user ? password : "once", NULL);
}

START_TEST(test_requests_send_basic_credentials_of_the_url) {
  require_password("jan", "p@ss/:");
  open_with_user_info("jan:p%40ss%2F%3A", NULL, NULL);
  expect_ended();
  expect_header("Authorization", "Basic amFuOnBAc3MvOg==");
  ck_assert_str_eq(changefeed_get_url(f.feed), cft_mini_url(mini));
}
END_TEST

START_TEST(test_requests_credentials_of_options_go_before_those_of_the_url) {
  require_password("jan", "right");
  open_with_user_info("joe:wrong", "jan", "right");
  expect_ended();
}
END_TEST

START_TEST(test_requests_send_a_bearer_token) {
  require_password("jan", "x");
  run_with(cft_mini_url(mini), "bearer_token", "tok-1");
  expect_header("Authorization", "Bearer tok-1");
}
END_TEST

static int give_next_token(cft_follow *follow) {
  unsigned *number = follow->user;
  char value[32];
  snprintf(value, sizeof value, "Bearer t%u", ++*number);
  return changefeed_set_authorization(follow->feed,
                                      *number == 3 ? NULL : value);
}

START_TEST(test_requests_ask_the_application_for_each_authorization) {
  unsigned number = 0;
  static const char *const want[] = {"Bearer t1", "Bearer t2", "(none)"};
  f.user = &number;
  f.on_request = give_next_token;
  run_with(cft_mini_url(mini), "mode", "once");
  ck_assert_uint_eq(number, 3);
  for (size_t i = 0; i < 3; i++)
    ck_assert_str_eq(
        header(cft_peer_request(peer, CFT_ANY, i), "Authorization"), want[i]);
}
END_TEST

START_TEST(test_requests_authorization_holds_no_line_break) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), NULL);
  ck_assert_int_eq(changefeed_set_authorization(f.feed, "x\r\nEvil: 1"),
                   CHANGEFEED_ERR_INVALID);
  ck_assert_int_eq(changefeed_set_authorization(f.feed, NULL), CHANGEFEED_OK);
}
END_TEST

/* ---- headers ---- */

START_TEST(test_requests_carry_headers_of_the_application) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", "header",
                  "X-One: 1", "header", "X-Two:two, deux", NULL);
  expect_ended();
  expect_header("X-One", "1");
  expect_header("X-Two", "two, deux");
}
END_TEST

START_TEST(test_requests_name_the_user_agent) {
  char want[64];
  snprintf(want, sizeof want, "libchangefeed/%s", CHANGEFEED_VERSION);
  run_with(cft_mini_url(mini), "mode", "once");
  expect_header("User-Agent", want);
  expect_header("Accept-Encoding", "(none)");
  cft_follow_clear(&f);
  cft_peer_forget(peer);
  run_with(cft_mini_url(mini), "user_agent", "mirror/2 (test)");
  expect_header("User-Agent", "mirror/2 (test)");
}
END_TEST

START_TEST(test_requests_say_what_they_accept) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport", "eventsource",
                  NULL);
  expect_request(CFT_EVENTSOURCE);
  for (size_t i = 0; i < 3; i++)
    ck_assert_str_eq(header(cft_peer_request(peer, CFT_ANY, i), "Accept"),
                     "application/json");
  ck_assert_str_eq(header(cft_peer_request(peer, CFT_EVENTSOURCE, 0), "Accept"),
                   "text/event-stream");
}
END_TEST

/* ---- places ---- */

START_TEST(test_requests_go_through_a_unix_socket) {
  scratch_dir dir;
  char where[1100], path[1050];
  teardown();
  scratch_begin(&dir);
  snprintf(path, sizeof path, "%s", scratch_path(&dir, "couch.sock"));
  snprintf(where, sizeof where, "unix:%s", path);
  begin(where);
  run_with("http://localhost/db", "unix_socket", path);
  ck_assert_uint_eq(f.taken, 3);
  cft_peer_stop(peer); /* removes the socket */
  scratch_end(&dir);
}
END_TEST

START_TEST(test_requests_go_to_an_ipv6_address) {
  teardown();
  begin("::1");
  run_with(cft_mini_url(mini), "mode", "once");
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_ptr_nonnull(
      strstr(header(cft_peer_request(peer, CFT_ANY, 0), "Host"), "[::1]:"));
}
END_TEST

static const struct {
  const char *name, *typed, *sent;
} places[] = {
    {"db", "/couch/v1/db", "/couch/v1/db"},
    {"a/b", "/couch/v1/a%2Fb", "/couch/v1/a%2Fb"},
    {"a/b", "/couch/v1/a%2fb/", "/couch/v1/a%2Fb"},
    {"a+b", "/couch/v1/a+b", "/couch/v1/a%2Bb"},
    {"a+b", "/couch/v1/a%2Bb/_changes", "/couch/v1/a%2Bb"},
    {"a b%", "/couch/v1/a%20b%25", "/couch/v1/a%20b%25"},
    {"\xd0\xba\xd0\xbb", "/couch/v1/\xd0\xba\xd0\xbb",
     "/couch/v1/%D0%BA%D0%BB"},
    {"\xd0\xba\xd0\xbb", "/couch/v1/%d0%ba%d0%bb", "/couch/v1/%D0%BA%D0%BB"},
};

START_TEST(test_requests_find_the_database_below_a_prefix) {
  cft_mini_config config = cft_mini_get_config(mini);
  char url[256], want[128];
  snprintf(config.prefix, sizeof config.prefix, "/couch/v1");
  snprintf(config.db, sizeof config.db, "%s", places[_i].name);
  cft_mini_set_config(mini, &config);
  snprintf(url, sizeof url, "%s%s", cft_peer_url(peer), places[_i].typed);
  run_with(url, "mode", "once");
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_str_eq(cft_peer_request(peer, CFT_ROOT, 0)->target, "/couch/v1/");
  ck_assert_str_eq(cft_peer_request(peer, CFT_DB, 0)->target, places[_i].sent);
  snprintf(want, sizeof want, "%s/_changes?feed=normal&", places[_i].sent);
  ck_assert_msg(strncmp(cft_peer_request(peer, CFT_NORMAL, 0)->target, want,
                        strlen(want)) == 0,
                "%s", cft_peer_request(peer, CFT_NORMAL, 0)->target);
}
END_TEST

/* ---- parameters ---- */

static const struct {
  const char *option, *value, *sent;
} params[] = {
    {"limit", "2", "&limit=2"},
    {"filter", "dd/d", "&filter=dd%2Fd"},
    {"filter", "_design", "&filter=_design"},
    {"view", "dd/d", "&filter=_view&view=dd%2Fd"},
    {"style", "all_docs", "&style=all_docs"},
    {"conflicts", "1", "&conflicts=true"},
    {"attachments", "1", "&attachments=true"},
    {"att_encoding_info", "1", "&att_encoding_info=true"},
    {"seq_interval", "10", "&seq_interval=10"},
    {"descending", "1", "&descending=true"},
    {"heartbeat_ms", "1234", "&heartbeat=1234"},
    {"query", "a b=c&d=+%\xc3\xa9", "&a%20b=c%26d%3D%2B%25%C3%A9"},
    {"query", "empty=", "&empty="},
    {"doc_ids", "[\"d000001\"]", "&filter=_doc_ids"},
    {"selector", "{}", "&filter=_selector"},
    {"mode", "once", "?feed=normal&since=0&heartbeat=10000&include_docs=true"},
};

START_TEST(test_requests_state_each_option_in_the_url) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once", "include_docs",
                  "1", params[_i].option, params[_i].value, NULL);
  expect_ended();
  const char *target = cft_peer_request(peer, CFT_NORMAL, 0)->target;
  const char *at = strstr(target, params[_i].sent);
  ck_assert_msg(at, "%s has no %s", target, params[_i].sent);
  char end = at[strlen(params[_i].sent)];
  ck_assert_msg(end == '\0' || end == '&', "%s has no %s", target,
                params[_i].sent);
}
END_TEST

static const struct {
  const char *name, *sent; /* a parameter, or a header by its name */
} switches[] = {
    {"include_docs", "&include_docs=true"},
    {"conflicts", "&conflicts=true"},
    {"attachments", "&attachments=true"},
    {"att_encoding_info", "&att_encoding_info=true"},
    {"descending", "&descending=true"},
    {"compression", "\r\nAccept-Encoding: "},
};

/* known failure 7: off is off, also when it is said */
START_TEST(test_requests_each_switch_goes_both_ways) {
  static const char *const words[] = {"0", "1"};
  for (int on = 0; on <= 1; on++) {
    cft_follow_open(&f, NULL, cft_mini_url(mini), "mode", "once",
                    "include_docs", "1", switches[_i].name, words[on], NULL);
    expect_ended();
    ck_assert_uint_eq(f.taken, 3);
    ck_assert_msg((strstr(cft_peer_request(peer, CFT_NORMAL, 0)->head,
                          switches[_i].sent) != NULL) == on,
                  "%s=%s: %s", switches[_i].name, words[on],
                  cft_peer_request(peer, CFT_NORMAL, 0)->head);
    cft_follow_clear(&f);
    cft_peer_forget(peer);
  }
}
END_TEST

START_TEST(test_requests_state_nothing_that_was_not_asked_for) {
  run_with(cft_mini_url(mini), "seq_interval", "1");
  ck_assert_str_eq(cft_peer_request(peer, CFT_NORMAL, 0)->target,
                   "/db/_changes?feed=normal&since=0&heartbeat=10000");
}
END_TEST

/* A seq in a thousand rows, or as often as a position is to be saved, or all
   of them where the answer is short. */
static const struct {
  const char *option, *value, *sent;
} intervals[] = {
    {"seq_interval", "auto", "&seq_interval=1000"},
    {"seq_interval", "0", "&seq_interval=1000"},
    {"seq_interval", "7", "&seq_interval=7"},
    {"seq_interval", "1", NULL},
    {"limit", "2000", NULL},
    {"limit", "20000", "&seq_interval=1000"},
    {"descending", "1", NULL},
    {"checkpoint_every", "10", "&seq_interval=1000"}, /* and keeps none */
};

START_TEST(test_requests_ask_for_fewer_seqs_of_the_past) {
  run_with(cft_mini_url(mini), intervals[_i].option, intervals[_i].value);
  const char *target = cft_peer_request(peer, CFT_NORMAL, 0)->target;
  if (intervals[_i].sent)
    ck_assert_msg(strstr(target, intervals[_i].sent), "%s", target);
  else
    ck_assert_msg(!strstr(target, "seq_interval"), "%s", target);
}
END_TEST

/* What `since` must be sent as for a seq shown so. */
static const enum cft_seqs kinds_of_seq[] = {
    CFT_SEQ_OPAQUE, CFT_SEQ_LIAR, CFT_SEQ_ODD, CFT_SEQ_NUMBER, CFT_SEQ_ARRAY};

START_TEST(test_requests_give_a_seq_back_byte_for_byte) {
  /* known failures 42, 51, 60 */
  cft_mini_config config = cft_mini_get_config(mini);
  char position[256], since[256];
  config.seqs = kinds_of_seq[_i];
  cft_mini_set_config(mini, &config);
  cft_follow_open(&f, NULL, cft_mini_url(mini), NULL);
  expect_request(CFT_CONTINUOUS);
  cft_follow_position(&f, position, sizeof position);
  const cft_request *live = cft_peer_request(peer, CFT_CONTINUOUS, 0);
  ck_assert(cft_request_param(live, "since", since, sizeof since));
  ck_assert_str_eq(since, position);
  const char *sent = strstr(live->target, "since=");
  ck_assert_uint_eq(strspn(sent, "since=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                 "abcdefghijklmnopqrstuvwxyz%-._~"),
                    strcspn(sent, "&"));
  /* the same as the caller's own since */
  cft_follow_clear(&f);
  cft_peer_forget(peer);
  cft_mini_put(mini, "next", "1-a", false);
  run_with(cft_mini_url(mini), "since", position);
  ck_assert_uint_eq(f.taken, 1);
  ck_assert(cft_request_param(cft_peer_request(peer, CFT_NORMAL, 0), "since",
                              since, sizeof since));
  ck_assert_str_eq(since, position);
}
END_TEST

/* ---- bodies ---- */

static void expect_post(const char *body) {
  const cft_request *req = cft_peer_request(peer, CFT_NORMAL, 0);
  ck_assert_str_eq(req->method, "POST");
  ck_assert_str_eq(header(req, "Content-Type"), "application/json");
  ck_assert_str_eq(header(req, "Expect"), "(none)");
  ck_assert_uint_eq(req->body_len, strlen(body));
  ck_assert(strcmp(req->body, body) == 0);
  ck_assert_str_eq(cft_peer_request(peer, CFT_DB, 0)->method, "GET");
}

START_TEST(test_requests_post_doc_ids) {
  run_with(cft_mini_url(mini), "doc_ids",
           "[\"d000001\",\"sn\\u00f6w\xe2\x98\x83\"]");
  expect_post("{\"doc_ids\":[\"d000001\",\"sn\\u00f6w\xe2\x98\x83\"]}");
  ck_assert_uint_eq(f.taken, 1);
}
END_TEST

START_TEST(test_requests_post_a_selector) {
  run_with(cft_mini_url(mini), "selector", "{\"n\":2}");
  expect_post("{\"selector\":{\"n\":2}}");
  ck_assert_uint_eq(f.taken, 1);
}
END_TEST

/* So long that a client would ask first whether it may send it. */
START_TEST(test_requests_post_a_long_body_without_asking) {
  enum { IDS = 150000 };
  char *ids = cft_calloc(IDS, 12), *body = cft_calloc(IDS, 12);
  size_t len = 0;
  for (int i = 0; i < IDS; i++)
    len += (size_t)sprintf(ids + len, "%s\"d%06d\"", i ? "," : "[", i);
  sprintf(ids + len, "]");
  sprintf(body, "{\"doc_ids\":%s}", ids);
  run_with(cft_mini_url(mini), "doc_ids", ids);
  expect_post(body);
  ck_assert_uint_eq(f.taken, 3);
  free(ids);
  free(body);
}
END_TEST

/* ---- connections ---- */

static bool is_live(void *user) { return cft_mini_waiting(user) == 1; }

static bool one_is_open(void *user) {
  (void)user;
  return cft_peer_open(peer) == 1;
}

static bool second_was_there(void *user) {
  (void)user;
  return cft_peer_accepted(peer) == 2;
}

static void open_live(const char *transport) {
  cft_follow_open(&f, NULL, cft_mini_url(mini), "transport", transport, NULL);
  ck_assert(cft_loop_until(f.loop, is_live, mini, LONG_MS));
}

/* What is asked beside a stream takes one of its own, and gives it back. */
START_TEST(test_requests_share_one_connection) {
  open_live("continuous");
  ck_assert(cft_follow_until_requests(&f, 5, LONG_MS));
  ck_assert(cft_loop_until(f.loop, second_was_there, NULL, LONG_MS));
  ck_assert(cft_loop_until(f.loop, one_is_open, NULL, LONG_MS));
  cft_mini_end_feeds(mini);
  ck_assert(cft_follow_until_requests(&f, 7, LONG_MS));
  ck_assert(cft_loop_until(f.loop, is_live, mini, LONG_MS));
  ck_assert(cft_loop_until(f.loop, one_is_open, NULL, LONG_MS));
  ck_assert_uint_le(cft_peer_accepted(peer), 3);
}
END_TEST

START_TEST(test_requests_longpoll_keeps_its_connection) {
  open_live("longpoll");
  for (uint64_t i = 4; i < 10; i++) {
    char id[16];
    snprintf(id, sizeof id, "more%d", (int)i);
    cft_mini_put(mini, id, "1-a", false);
    ck_assert(cft_follow_until_rows(&f, i, LONG_MS));
    ck_assert(cft_loop_until(f.loop, is_live, mini, LONG_MS));
  }
  ck_assert_uint_le(cft_peer_accepted(peer), 2); /* one for each lane */
  ck_assert_uint_ge(cft_peer_count(peer, CFT_LONGPOLL), 6);
}
END_TEST

/* CouchDB writes stray bytes behind the end of an eventsource. */
START_TEST(test_requests_do_not_reuse_the_connection_of_an_eventsource) {
  open_live("eventsource");
  ck_assert_uint_eq(cft_peer_accepted(peer), 1);
  cft_mini_end_feeds(mini);
  ck_assert(cft_follow_until_requests(&f, 7, LONG_MS));
  ck_assert(cft_loop_until(f.loop, is_live, mini, LONG_MS));
  ck_assert_uint_eq(cft_peer_request(peer, CFT_EVENTSOURCE, 0)->conn, 1);
  ck_assert_uint_eq(cft_peer_request(peer, CFT_DB, 1)->conn, 2);
  ck_assert_uint_eq(cft_peer_malformed(peer), 0);
}
END_TEST

/* A server without HTTP/2 ignores the offer. */
START_TEST(test_requests_offer_http2_without_harm) {
  run_with(cft_mini_url(mini), "http_version", "2");
  ck_assert_uint_eq(f.taken, 3);
  cft_follow_clear(&f);
  run_with(cft_mini_url(mini), "http_version", "1.1");
  size_t n = cft_peer_count(peer, CFT_ANY);
  ck_assert_str_eq(header(cft_peer_request(peer, CFT_ANY, n - 1), "Upgrade"),
                   "(none)");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_requests");
  TCase *t = tcase_create("requests");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_requests_send_basic_credentials_of_the_options);
  tcase_add_test(t, test_requests_send_basic_credentials_of_the_url);
  tcase_add_test(
      t, test_requests_credentials_of_options_go_before_those_of_the_url);
  tcase_add_test(t, test_requests_send_a_bearer_token);
  tcase_add_test(t, test_requests_ask_the_application_for_each_authorization);
  tcase_add_test(t, test_requests_authorization_holds_no_line_break);
  tcase_add_test(t, test_requests_carry_headers_of_the_application);
  tcase_add_test(t, test_requests_name_the_user_agent);
  tcase_add_test(t, test_requests_say_what_they_accept);
  tcase_add_test(t, test_requests_go_through_a_unix_socket);
  tcase_add_test(t, test_requests_go_to_an_ipv6_address);
  tcase_add_loop_test(t, test_requests_find_the_database_below_a_prefix, 0,
                      sizeof places / sizeof *places);
  tcase_add_loop_test(t, test_requests_state_each_option_in_the_url, 0,
                      sizeof params / sizeof *params);
  tcase_add_loop_test(t, test_requests_each_switch_goes_both_ways, 0,
                      sizeof switches / sizeof *switches);
  tcase_add_test(t, test_requests_state_nothing_that_was_not_asked_for);
  tcase_add_loop_test(t, test_requests_ask_for_fewer_seqs_of_the_past, 0,
                      sizeof intervals / sizeof intervals[0]);
  tcase_add_loop_test(t, test_requests_give_a_seq_back_byte_for_byte, 0,
                      sizeof kinds_of_seq / sizeof *kinds_of_seq);
  tcase_add_test(t, test_requests_post_doc_ids);
  tcase_add_test(t, test_requests_post_a_selector);
  tcase_add_test(t, test_requests_post_a_long_body_without_asking);
  tcase_add_test(t, test_requests_share_one_connection);
  tcase_add_test(t, test_requests_longpoll_keeps_its_connection);
  tcase_add_test(t,
                 test_requests_do_not_reuse_the_connection_of_an_eventsource);
  tcase_add_test(t, test_requests_offer_http2_without_harm);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
