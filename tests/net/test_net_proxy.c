/* What stands between, and long lives: proxies that hold back and proxies that
   forward, filters that let nothing through, connections that are renewed, and
   an application slower than the watchdog. Known failures 59, 66, 67, 68, 83.
   ctest: LABEL threads */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 30000 };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_follow f;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  cft_mini_fill(mini, "d", 3);
  f = (cft_follow){.feed = NULL};
}

static void teardown(void) {
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_mini_free(mini);
}

/* A delay may be 0: the state itself is easily missed. */
static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

static size_t count_notices(const cft_follow *follow, int kind) {
  size_t n = 0;
  for (size_t i = 0; i < follow->notice_count; i++)
    n += follow->notices[i].kind == kind;
  return n;
}

/* ---- a proxy that holds back ---- */

typedef struct held_back {
  cft_follow chosen, forced;
} held_back;

static bool has_seen_enough(void *user) {
  const held_back *h = user;
  return count_notices(&h->chosen, CHANGEFEED_NOTICE_FALLBACK) != 0 &&
         cft_follow_stats(&h->forced).faults_idle >= 3;
}

static bool is_polled(void *user) {
  return cft_peer_count(user, CFT_LONGPOLL) != 0;
}

START_TEST(test_proxy_that_holds_heartbeats_back_leads_to_longpoll) {
  /* known failure 66 */
  held_back h = {{.feed = NULL}, {.feed = NULL}};
  cft_mini_config config = cft_mini_get_config(mini);
  config.proxy_buffer = 1 << 20;
  cft_mini_set_config(mini, &config);
  cft_follow_open(&h.chosen, loop, cft_mini_url(mini), "heartbeat_ms", "200",
                  NULL);
  cft_follow_open(&h.forced, loop, cft_mini_url(mini), "heartbeat_ms", "200",
                  "transport", "continuous", NULL);
  ck_assert(cft_loop_until(loop, has_seen_enough, &h, LONG_MS));
  ck_assert(cft_loop_until(loop, is_polled, peer, LONG_MS));
  /* two silent connections, then one notice */
  ck_assert_uint_eq(cft_follow_stats(&h.chosen).faults_idle, 2);
  ck_assert_uint_eq(cft_follow_stats(&h.chosen).fallbacks, 1);
  const cft_seen_notice *n = &h.chosen.notices[0];
  ck_assert_str_eq(n->from, "continuous");
  ck_assert_str_eq(n->to, "longpoll");
  ck_assert_ptr_nonnull(n->reason);
  ck_assert_uint_gt(strlen(n->reason), 10);
  /* rows arrive by either way: at the end of a longpoll, or by catching up */
  cft_mini_put(mini, "after", "1-a", false);
  ck_assert(cft_follow_until_rows(&h.chosen, 4, LONG_MS));
  ck_assert(cft_follow_until_rows(&h.forced, 4, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&h.chosen).faults_idle, 2);
  ck_assert_uint_eq(h.chosen.notice_count, 1);
  ck_assert_uint_eq(h.forced.notice_count, 0);
  ck_assert_uint_eq(cft_follow_stats(&h.forced).fallbacks, 0);
  cft_follow_clear(&h.chosen);
  cft_follow_clear(&h.forced);
}
END_TEST

/* ---- filters ---- */

static bool is_at_end(void *user) {
  char want[256], at[256];
  cft_mini_seq(user, cft_mini_update_seq(user), want, sizeof want);
  cft_follow_position(&f, at, sizeof at);
  return strlen(want) == strlen(at) + 2 &&
         strncmp(want + 1, at, strlen(at)) == 0;
}

static const char *const transports[] = {"continuous", "longpoll",
                                         "eventsource"};

START_TEST(test_proxy_filtered_feed_moves_without_rows) {
  cft_follow_open(&f, loop, cft_mini_url(mini), "doc_ids", "[\"d000001\"]",
                  "transport", transports[_i], "progress_interval_ms", "200",
                  NULL);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, LONG_MS));
  for (int i = 0; i < 2; i++) {
    cft_mini_fill(mini, "other", 20);
    ck_assert(cft_loop_until(loop, is_at_end, mini, LONG_MS));
  }
  ck_assert_uint_eq(f.taken, 1);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_mini_put(mini, "d000001", "2-b", false);
  ck_assert(cft_follow_until_rows(&f, 2, LONG_MS));
}
END_TEST

/* ---- a connection gets old ---- */

static atomic_bool enough;

static void *write_steadily(void *user) {
  const struct timespec pause = {0, 500000};
  for (unsigned i = 0; !atomic_load(&enough); i++) {
    char id[32];
    snprintf(id, sizeof id, "w%08u", i);
    cft_mini_put_doc(user, id, "1-a", false, "\"text\":\"some text\"");
    nanosleep(&pause, NULL);
  }
  return NULL;
}

static unsigned live_kind;

static bool third_connection(void *user) {
  return cft_peer_count(user, live_kind) >= 3;
}

START_TEST(test_proxy_connection_is_renewed_between_rows) {
  pthread_t writer;
  char why[256];
  live_kind = _i == 0 ? CFT_CONTINUOUS : CFT_EVENTSOURCE;
  atomic_store(&enough, false);
  cft_follow_open(&f, loop, cft_mini_url(mini), "connection_max_age_ms", "1000",
                  "include_docs", "1", "transport",
                  _i == 0 ? "continuous" : "eventsource", NULL);
  ck_assert_int_eq(pthread_create(&writer, NULL, write_steadily, mini), 0);
  bool renewed = cft_loop_until(loop, third_connection, peer, LONG_MS);
  atomic_store(&enough, true);
  pthread_join(writer, NULL);
  ck_assert(renewed);
  cft_revs *want = cft_mini_revs(mini);
  (void)cft_follow_until_revs(&f, want, LONG_MS);
  ck_assert_msg(cft_revs_equal(want, f.revs, why, sizeof why), "%s", why);
  /* each document has one revision: a row more is a row twice */
  ck_assert_uint_eq(f.taken, cft_revs_count(want));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  for (size_t i = 1; i < cft_peer_count(peer, live_kind); i++)
    ck_assert_int_ge(cft_peer_request(peer, live_kind, i)->at_ms -
                         cft_peer_request(peer, live_kind, i - 1)->at_ms,
                     1000);
  cft_revs_free(want);
}
END_TEST

/* ---- an application slower than the watchdog ---- */

/* Longer than the peer may be silent. */
static int dawdle(cft_follow *follow, const changefeed_change *change) {
  const struct timespec long_time = {0, 400000000};
  (void)follow;
  (void)change;
  nanosleep(&long_time, NULL);
  return CHANGEFEED_CONTINUE;
}

START_TEST(test_proxy_watchdog_waits_for_the_application) {
  f.on_row = dawdle;
  cft_follow_open(&f, loop, cft_mini_url(mini), "heartbeat_ms", "100",
                  "idle_timeout_ms", "200", "transport", transports[_i], NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  cft_mini_put(mini, "one", "1-a", false);
  cft_mini_put(mini, "two", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 5, LONG_MS));
  cft_mini_put(mini, "three", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 6, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).faults_idle, 0);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* ---- a proxy that forwards ---- */

static struct {
  atomic_uint forwarded, authorized;
  atomic_bool refuses;
} proxy_seen;

static int connect_to(unsigned port) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* One request without a body for each connection: "GET http://host:port/path"
   becomes "GET /path", the answer is passed on as it comes. */
static void forward(cft_conn *conn, void *user) {
  char in[8192] = "", out[8192];
  size_t len = 0, got = 1;
  unsigned port;
  int path = 0, fd;
  (void)user;
  while (!strstr(in, "\r\n\r\n")) {
    if (!cft_conn_read(conn, in + len, sizeof in - 1 - len, &got) || got == 0)
      return;
    in[len += got] = '\0';
  }
  atomic_fetch_add(&proxy_seen.forwarded, 1);
  if (strstr(in, "Proxy-Authorization: Basic cHU6cHIweHlzM2NyZXQ="))
    atomic_fetch_add(&proxy_seen.authorized, 1);
  if (atomic_load(&proxy_seen.refuses)) {
    cft_conn_respond(conn, 407, "Proxy-Authenticate: Basic realm=\"p\"\r\n",
                     "no");
    return;
  }
  if (sscanf(in, "GET http://127.0.0.1:%u%n", &port, &path) != 1 ||
      (fd = connect_to(port)) < 0)
    return;
  int n = snprintf(out, sizeof out, "GET %s", in + path);
  bool ok = write(fd, out, (size_t)n) == n;
  for (ssize_t more = 1; ok && more > 0;) {
    more = read(fd, in, sizeof in);
    ok = more <= 0 || cft_conn_send(conn, in, (size_t)more);
  }
  close(fd);
}

static cft_peer *proxy;

static void setup_proxy(void) {
  setup();
  cft_mini_config config = cft_mini_get_config(mini);
  config.close_each_response = true;
  cft_mini_set_config(mini, &config);
  memset(&proxy_seen, 0, sizeof proxy_seen);
  proxy = cft_peer_start(NULL, forward, NULL);
}

/* Upstream first: a forwarding thread waits for it. */
static void teardown_proxy(void) {
  teardown();
  cft_peer_free(proxy);
}

static const char *proxy_with(const char *user_info) {
  static char text[256];
  snprintf(text, sizeof text, "http://%s127.0.0.1:%u", user_info,
           cft_peer_port(proxy));
  return text;
}

static void expect_not_told(const char *text) {
  ck_assert_msg(!text || !strstr(text, "pr0xys3cret"), "%s", text);
}

static void expect_nothing_told(void) {
  expect_not_told(f.log);
  for (size_t i = 0; i < f.state_count; i++)
    expect_not_told(f.states[i].message);
}

START_TEST(test_proxy_forwards_with_its_credentials) {
  cft_follow_open(&f, loop, cft_mini_url(mini), "proxy",
                  proxy_with("pu:pr0xys3cret@"), NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  cft_mini_put(mini, "later", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_ge(atomic_load(&proxy_seen.forwarded), 4);
  ck_assert_uint_eq(atomic_load(&proxy_seen.forwarded),
                    atomic_load(&proxy_seen.authorized));
  expect_nothing_told();
}
END_TEST

START_TEST(test_proxy_of_the_environment_is_used_unless_forbidden) {
  ck_assert_int_eq(setenv("http_proxy", proxy_with(""), 1), 0);
  ck_assert_int_eq(unsetenv("no_proxy"), 0);
  ck_assert_int_eq(unsetenv("NO_PROXY"), 0);
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", "proxy", "-",
                  NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(atomic_load(&proxy_seen.forwarded), 0);
  cft_follow_clear(&f);
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", "proxy", NULL,
                  NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
  ck_assert_uint_eq(atomic_load(&proxy_seen.forwarded), 3);
}
END_TEST

START_TEST(test_proxy_that_refuses_is_told_without_its_credentials) {
  atomic_store(&proxy_seen.refuses, true);
  cft_follow_open(&f, loop, cft_mini_url(mini), "proxy",
                  proxy_with("pu:pr0xys3cret@"), NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->http_status,
                   407);
  expect_nothing_told();
  atomic_store(&proxy_seen.refuses, false);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

START_TEST(test_proxy_that_is_down_is_told_without_its_credentials) {
  char text[256];
  snprintf(text, sizeof text, "%s", proxy_with("pu:pr0xys3cret@"));
  cft_peer_stop(proxy);
  cft_follow_open(&f, loop, cft_mini_url(mini), "proxy", text, NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->code,
                   CHANGEFEED_ERR_NETWORK);
  expect_nothing_told();
  cft_peer_restart(proxy);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
}
END_TEST

/* The environment is not ours to check; libcurl quotes what it cannot read. */
static const char *const unreadable[] = {
    "foo://pu:pr0xys3cret@127.0.0.1:1",
    "http://pu:pr0xys3cret@127.0.0.1:99999",
};

START_TEST(test_proxy_of_the_environment_is_not_told) {
  ck_assert_int_eq(setenv("http_proxy", unreadable[_i], 1), 0);
  ck_assert_int_eq(unsetenv("no_proxy"), 0);
  ck_assert_int_eq(unsetenv("NO_PROXY"), 0);
  cft_follow_open(&f, loop, cft_mini_url(mini), "proxy", NULL, NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  expect_nothing_told();
}
END_TEST

/* No attempt can mend these: they are refused when the feed is opened. */
static const char *const malformed[] = {
    "ftp://pu:pr0xys3cret@127.0.0.1:1",
    "http://pu:pr0xys3cret@127.0.0.1:99999",
    "http://pu:pr0xys3cret@127.0.0.1:1:1",
    "http://pu:pr0xys3cret@ho st:8080",
    "http://pu:pr0xys3cret@",
    "pu:pr0xys3cret@127.0.0.1:port",
};

START_TEST(test_proxy_malformed_is_refused_without_its_credentials) {
  char why[512];
  ck_assert_int_eq(cft_follow_try(&f, loop, why, sizeof why, cft_mini_url(mini),
                                  "proxy", malformed[_i], NULL),
                   CHANGEFEED_ERR_OPTION);
  ck_assert_msg(strstr(why, "proxy"), "%s", why);
  expect_not_told(why);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("net_proxy");
  TCase *t = tcase_create("between"), *p = tcase_create("forwarding");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_proxy_that_holds_heartbeats_back_leads_to_longpoll);
  tcase_add_loop_test(t, test_proxy_filtered_feed_moves_without_rows, 0, 3);
  tcase_add_loop_test(t, test_proxy_connection_is_renewed_between_rows, 0, 2);
  tcase_add_loop_test(t, test_proxy_watchdog_waits_for_the_application, 0, 3);
  suite_add_tcase(suite, t);
  tcase_add_checked_fixture(p, setup_proxy, teardown_proxy);
  tcase_add_test(p, test_proxy_forwards_with_its_credentials);
  tcase_add_test(p, test_proxy_of_the_environment_is_used_unless_forbidden);
  tcase_add_loop_test(p, test_proxy_of_the_environment_is_not_told, 0, 2);
  tcase_add_test(p, test_proxy_that_refuses_is_told_without_its_credentials);
  tcase_add_test(p, test_proxy_that_is_down_is_told_without_its_credentials);
  tcase_add_loop_test(p,
                      test_proxy_malformed_is_refused_without_its_credentials,
                      0, sizeof malformed / sizeof *malformed);
  suite_add_tcase(suite, p);
  return cft_run(suite);
}
