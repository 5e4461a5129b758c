/* Websockets through a proxy: the upgrade, bytes both ways as they are, each
   way's end, limits.
   ctest: LABEL threads */
#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

#define ASK                                                                    \
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"       \
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                        \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define ACCEPT                                                                 \
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"                \
  "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="   \
  "\r\nX-Drone-Claim: mine\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

typedef struct run {
  cft_peer *behind;
  front *f;
  cft_client c;
  const char *answer;
  _Atomic bool ended, go;
  _Atomic size_t bytes;
  char head[2048];
  size_t head_len;
} run;

static void begin(run *r, front_config config, cft_handler handler) {
  r->behind = front_behind_handler(&config, handler, r);
  r->f = front_start(&config);
  front_client(r->f, &r->c);
}

static void finish(run *r) {
  cft_client_close(&r->c);
  front_stop(r->f);
  cft_peer_free(r->behind);
}

static bool read_head(cft_conn *conn, run *r) {
  size_t got = 0;

  r->head_len = 0;
  while (r->head_len < 4 ||
         memcmp(r->head + r->head_len - 4, "\r\n\r\n", 4) != 0) {
    if (r->head_len == sizeof r->head - 1 ||
        !cft_conn_read(conn, r->head + r->head_len, 1, &got) || got == 0)
      return false;
    r->head_len++;
  }
  return true;
}

/* Says back what it hears, in capitals; at the end says so, and ends. */
static void on_echo(cft_conn *conn, void *user) {
  run *r = user;
  char data[4096];
  size_t got = 0;

  if (!read_head(conn, r) || !cft_conn_send(conn, r->answer, strlen(r->answer)))
    return;
  while (cft_conn_read(conn, data, sizeof data, &got) && got != 0) {
    for (size_t i = 0; i < got; i++)
      if (data[i] >= 'a' && data[i] <= 'z')
        data[i] = (char)(data[i] - 'a' + 'A');
    if (!cft_conn_send(conn, data, got))
      return;
  }
  (void)cft_conn_send(conn, "bye", 3);
}

START_TEST(test_tunnel_bytes_both_ways_and_the_client_ends_first) {
  run r = {.answer = ACCEPT "hello"}; /* bytes right behind the head */

  begin(&r, (front_config){0}, on_echo);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nhello", WAIT_MS));
  ck_assert_int_eq(front_status(r.c.data), 101);
  ck_assert(front_has(r.c.data, "Connection: Upgrade"));
  ck_assert(front_has(r.c.data, "Upgrade: websocket"));
  ck_assert(front_has(r.c.data,
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  ck_assert(front_has(r.head, "Connection: Upgrade"));
  ck_assert(front_has(r.head, "Upgrade: websocket"));
  ck_assert(front_has(r.head, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="));
  ck_assert(cft_client_send(&r.c, "what now"));
  ck_assert(cft_client_until(&r.c, "WHAT NOW", WAIT_MS));
  ck_assert_int_eq(shutdown(r.c.fd, SHUT_WR), 0);
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert_int_eq(r.c.end, CFT_END_FIN);
  ck_assert_str_eq(strstr(r.c.data, "\r\n\r\n") + 4, "helloWHAT NOWbye");
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  finish(&r);
}
END_TEST

static void on_ends_first(cft_conn *conn, void *user) {
  run *r = user;
  char data[256]; /* slower than what fills the socket */
  size_t got = 0, sum = 0;

  if (!read_head(conn, r) || !cft_conn_sendf(conn, ACCEPT "last words"))
    return;
  cft_conn_end(conn);
  cft_conn_wakeable(conn);
  while (!atomic_load(&r->go))
    if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
      return;
  while (cft_conn_read(conn, data, sizeof data, &got) && got != 0)
    sum += got;
  atomic_store(&r->bytes, sum);
  atomic_store(&r->ended, true);
}

static bool has_ended(void *user) { return atomic_load(&((run *)user)->ended); }

START_TEST(test_tunnel_the_server_ends_first) {
  static const char block[100000];
  run r = {.answer = NULL};
  size_t sent = 0;

  begin(&r, (front_config){0}, on_ends_first);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert_int_eq(r.c.end, CFT_END_FIN);
  ck_assert_str_eq(strstr(r.c.data, "\r\n\r\n") + 4, "last words");
  ck_assert(!has_ended(&r));
  /* The other way is open still; what waits within is not lost. */
  for (;;) {
    struct pollfd room = {r.c.fd, POLLOUT, 0};
    ssize_t n;

    if (poll(&room, 1, 300) == 0)
      break;
    n = send(r.c.fd, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
    ck_assert_int_gt(n, 0);
    sent += (size_t)n;
  }
  ck_assert_int_eq(shutdown(r.c.fd, SHUT_WR), 0);
  atomic_store(&r.go, true);
  cft_peer_wake(r.behind);
  ck_assert(cft_until(has_ended, &r, WAIT_MS));
  ck_assert_uint_eq(atomic_load(&r.bytes), sent);
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  finish(&r);
}
END_TEST

/* ---- refused ---- */

START_TEST(test_tunnel_refused_by_the_server) {
  run r = {.answer = OK};
  char *body;

  begin(&r, (front_config){0}, on_echo);
  body = front_ask(&r.c, "GET", ASK);
  ck_assert_str_eq(body, "ok");
  ck_assert_int_eq(front_status(r.c.data), 200);
  ck_assert(!front_has(r.c.data, "Upgrade: websocket"));
  free(body);
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  finish(&r);
}
END_TEST

static enum http_proxy_result no_head(http_exchange *x, const http_head *head,
                                      void *user) {
  (void)x;
  (void)user;
  ck_assert_int_eq(head->status, 101);
  ck_assert_ptr_nonnull(http_head_find(head, "X-Drone-Claim"));
  return HTTP_PROXY_REJECTED;
}

START_TEST(test_tunnel_rejected_by_the_head) {
  run r = {.answer = ACCEPT "secret"};
  char *body;

  begin(&r, (front_config){.rules = {.on_head = no_head}}, on_echo);
  body = front_ask(&r.c, "GET", ASK);
  ck_assert_ptr_nonnull(body);
  ck_assert(front_has(r.c.data, "X-Result: rejected"));
  ck_assert_ptr_null(strstr(r.c.data, "secret"));
  free(body);
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  finish(&r);
}
END_TEST

START_TEST(test_tunnel_answered_with_another_upgrade) {
  run r = {.answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade"
                     "\r\nUpgrade: h2c\r\n\r\n"};
  char *body;

  begin(&r, (front_config){0}, on_echo);
  body = front_ask(&r.c, "GET", ASK);
  ck_assert_ptr_nonnull(body);
  ck_assert(front_has(r.c.data, "X-Result: broken"));
  free(body);
  finish(&r);
}
END_TEST

/* ---- its fields ---- */

START_TEST(test_tunnel_fields_are_those_of_the_rules) {
  http_field set = {{"X-Set", 5}, {"here", 4}};
  run r = {.answer = ACCEPT};

  begin(&r,
        (front_config){.rules = {.response = &set,
                                 .response_count = 1,
                                 .request = &set,
                                 .request_count = 1,
                                 .drop_prefix = "X-Drone-"}},
        on_echo);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  ck_assert(front_has(r.c.data, "X-Set: here"));
  ck_assert(front_has(r.head, "X-Set: here"));
  ck_assert_ptr_null(strcasestr(r.c.data, "x-drone"));
  finish(&r);
}
END_TEST

/* ---- ends that are none ---- */

START_TEST(test_tunnel_idle_is_closed_but_not_while_bytes_go) {
  run r = {.answer = ACCEPT};
  int64_t until_ms;
  size_t expected = 0;

  /* idle_ms is of answers: it does not count here. */
  begin(&r, (front_config){.rules = {.idle_ms = 20, .tunnel_ms = 500}},
        on_echo);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  cft_client_reset(&r.c);
  until_ms = cft_now_ms() + 1100;
  while (cft_now_ms() < until_ms) {
    ck_assert(cft_client_send(&r.c, "x"));
    ck_assert(cft_client_until_len(&r.c, ++expected, WAIT_MS));
    (void)cft_client_quiet(&r.c, 50);
  }
  ck_assert_int_eq(r.c.end, CFT_END_NONE);
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert(front_wait(r.f, HTTP_PROXY_CUT, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  finish(&r);
}
END_TEST

static void on_reset(cft_conn *conn, void *user) {
  run *r = user;

  if (read_head(conn, r) && cft_conn_sendf(conn, ACCEPT "words"))
    cft_conn_rst(conn);
}

START_TEST(test_tunnel_reset_by_the_server) {
  run r = {.answer = NULL};

  begin(&r, (front_config){0}, on_reset);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert(front_wait(r.f, HTTP_PROXY_CUT, 1));
  finish(&r);
}
END_TEST

START_TEST(test_tunnel_reset_by_the_client) {
  const struct linger now = {1, 0};
  run r = {.answer = ACCEPT};

  begin(&r, (front_config){0}, on_echo);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  ck_assert_int_eq(setsockopt(r.c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                   0);
  cft_client_close(&r.c);
  ck_assert(front_wait(r.f, HTTP_PROXY_CLIENT, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  front_client(r.f, &r.c);
  finish(&r);
}
END_TEST

START_TEST(test_tunnel_closed_with_the_proxy) {
  run r = {.answer = ACCEPT};

  begin(&r, (front_config){0}, on_echo);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  front_stop(r.f);
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  cft_client_close(&r.c);
  cft_peer_free(r.behind);
}
END_TEST

/* ---- much ---- */

/* Echoed in full while both sides write all the time: neither way waits for
   the other for good. */
static void on_mirror(cft_conn *conn, void *user) {
  static char data[65536];
  run *r = user;
  size_t got = 0;

  if (!read_head(conn, r) || !cft_conn_sendf(conn, ACCEPT))
    return;
  while (cft_conn_read(conn, data, sizeof data, &got) && got != 0 &&
         cft_conn_send(conn, data, got))
    ;
}

START_TEST(test_tunnel_much_both_ways) {
  enum { TOTAL = 24 * 1024 * 1024, BLOCK = 65536 };
  static char out[BLOCK], in[BLOCK];
  run r = {.answer = NULL};
  size_t sent = 0, got = 0;
  int64_t since_ms = cft_now_ms();

  begin(&r, (front_config){0}, on_mirror);
  ck_assert(cft_client_send(&r.c, ASK));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  while (got < TOTAL) {
    ssize_t n = -1, m;
    size_t want = TOTAL - sent < BLOCK ? TOTAL - sent : BLOCK;

    for (size_t i = 0; i < want; i++)
      out[i] = (char)((sent + i) % 251);
    if (want != 0)
      n = send(r.c.fd, out, want, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
      sent += (size_t)n;
    m = recv(r.c.fd, in, BLOCK, MSG_DONTWAIT);
    for (ssize_t i = 0; i < m; i++)
      if (in[i] != (char)((got + (size_t)i) % 251))
        ck_abort_msg("byte %zu", got + (size_t)i);
    if (m > 0)
      got += (size_t)m;
    if (n > 0 || m > 0)
      since_ms = cft_now_ms();
    else
      (void)usleep(500); /* until the socket has room, or bytes */
    ck_assert_int_lt(cft_now_ms() - since_ms, WAIT_MS);
  }
  finish(&r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_tunnel");
  TCase *tc = tcase_create("http_tunnel");

  tcase_add_test(tc, test_tunnel_bytes_both_ways_and_the_client_ends_first);
  tcase_add_test(tc, test_tunnel_the_server_ends_first);
  tcase_add_test(tc, test_tunnel_refused_by_the_server);
  tcase_add_test(tc, test_tunnel_rejected_by_the_head);
  tcase_add_test(tc, test_tunnel_answered_with_another_upgrade);
  tcase_add_test(tc, test_tunnel_fields_are_those_of_the_rules);
  tcase_add_test(tc, test_tunnel_idle_is_closed_but_not_while_bytes_go);
  tcase_add_test(tc, test_tunnel_reset_by_the_server);
  tcase_add_test(tc, test_tunnel_reset_by_the_client);
  tcase_add_test(tc, test_tunnel_closed_with_the_proxy);
  tcase_add_test(tc, test_tunnel_much_both_ways);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
