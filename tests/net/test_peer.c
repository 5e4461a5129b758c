/* The scripted peer does to a connection what it is told, and records what it
   has seen. Seen through a raw client: nothing of the library is used here.
   ctest: LABEL threads */
#include "support/mem.h"
#include "support/peer.h"
#include "support/peer_client.h"
#include "support/timing.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/* Far more than anything here takes; only failures wait for it. */
enum { LONG_MS = 10000 };

static void connect_ok(cft_client *c, const cft_peer *peer) {
  ck_assert_msg(cft_client_connect(c, cft_peer_port(peer)),
                "connect failed: %s", strerror(errno));
}

/* ---- handlers: one for each primitive ---- */

static void echo_handler(cft_conn *conn, void *user) {
  const cft_request *req;
  (void)user;
  while (cft_conn_read_request(conn, &req))
    if (!cft_conn_respond(conn, 200, NULL, req->body))
      return;
}

typedef struct told { /* what a handler has to tell the test */
  enum cft_then then;
  const char *bytes;
  size_t slice;
  cft_shape shape;
  atomic_int ended; /* handlers that have returned */
  atomic_int result;
  atomic_llong waited_ms;
} told;

static void then_handler(cft_conn *conn, void *user) {
  told *t = user;
  const cft_request *req;
  if (cft_conn_read_request(conn, &req) &&
      cft_conn_send_sliced(conn, t->bytes, strlen(t->bytes), t->slice))
    cft_conn_then(conn, t->then);
  atomic_fetch_add(&t->ended, 1);
}

static void shape_handler(cft_conn *conn, void *user) {
  told *t = user;
  const cft_request *req;
  if (cft_conn_read_request(conn, &req)) {
    cft_conn_shape(conn, &t->shape);
    bool ok = cft_conn_respond(conn, 200, NULL, "0123456789");
    atomic_store(&t->result, ok + 2 * cft_conn_was_cut(conn));
  }
  atomic_fetch_add(&t->ended, 1);
}

static void wait_handler(cft_conn *conn, void *user) {
  told *t = user;
  int64_t begin = cft_now_ms();
  atomic_store(&t->result, cft_conn_wait_ms(conn, LONG_MS) ? 1 : 0);
  atomic_store(&t->waited_ms, cft_now_ms() - begin);
  atomic_fetch_add(&t->ended, 1);
}

static void wake_handler(cft_conn *conn, void *user) {
  told *t = user;
  cft_conn_wakeable(conn);
  cft_conn_sendf(conn, "ready %d\n", 1);
  atomic_store(&t->result, (int)cft_conn_wait(conn, -1));
  atomic_fetch_add(&t->ended, 1);
}

static void chunk_handler(cft_conn *conn, void *user) {
  const cft_request *req;
  (void)user;
  if (cft_conn_read_request(conn, &req) &&
      cft_conn_chunked_head(conn, 200, "X-A: b\r\n") &&
      cft_conn_chunk(conn, "hello world, 17 b", 17) &&
      cft_conn_chunk(conn, "", 0))
    cft_conn_last_chunk(conn);
}

static void flood_handler(cft_conn *conn, void *user) {
  static const char block[65536];
  told *t = user;
  while (cft_conn_send(conn, block, sizeof block)) {
  }
  atomic_fetch_add(&t->ended, 1);
}

static bool one_ended(void *user) {
  told *t = user;
  return atomic_load(&t->ended) >= 1;
}

/* ---- requests ---- */

START_TEST(test_peer_records_requests) {
  cft_peer *peer = cft_peer_start(NULL, echo_handler, NULL);
  cft_client c;
  char value[64];
  int64_t begin = cft_now_ms();
  connect_ok(&c, peer);
  ck_assert(cft_client_request(&c,
                               "POST /db/_changes?feed=longpoll&since=1%2Da+b",
                               "X-Thing:  some value\r\n", "{\"body\":1}"));
  ck_assert(cft_client_until(&c, "{\"body\":1}", LONG_MS));
  ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
  ck_assert(cft_peer_wait_requests(peer, CFT_ROOT, 1, LONG_MS));

  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 2);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_LIVE), 1);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_SESSION), 0);
  const cft_request *req = cft_peer_request(peer, CFT_ANY, 0);
  ck_assert_ptr_nonnull(req);
  ck_assert_str_eq(req->method, "POST");
  ck_assert_str_eq(req->target, "/db/_changes?feed=longpoll&since=1%2Da+b");
  ck_assert_str_eq(req->body, "{\"body\":1}");
  ck_assert_uint_eq(req->body_len, 10);
  ck_assert_uint_eq(req->conn, 1);
  ck_assert_int_ge(req->at_ms, begin);
  ck_assert(cft_request_header(req, "x-thing", value, sizeof value));
  ck_assert_str_eq(value, "some value");
  ck_assert(!cft_request_header(req, "x-thin", value, sizeof value));
  ck_assert(!cft_request_header(req, "X-Thing", value, 5));
  ck_assert(cft_request_param(req, "since", value, sizeof value));
  ck_assert_str_eq(value, "1-a b");
  ck_assert(!cft_request_param(req, "sinc", value, sizeof value));
  ck_assert_str_eq(cft_peer_request(peer, CFT_ANY, 1)->line, "GET / HTTP/1.1");
  ck_assert_ptr_null(cft_peer_request(peer, CFT_ANY, 2));
  ck_assert_ptr_eq(cft_peer_request(peer, CFT_ROOT, 0),
                   cft_peer_request(peer, CFT_ANY, 1));
  cft_client_close(&c);
  ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
  ck_assert_uint_eq(cft_peer_malformed(peer), 0);
  cft_peer_stop(peer);
  cft_peer_forget(peer);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 0);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_tells_kinds_apart) {
  static const struct {
    const char *line;
    unsigned kind;
  } cases[] = {
      {"GET /", CFT_ROOT},
      {"GET /?x", CFT_ROOT},
      {"GET /db", CFT_DB},
      {"GET /a%2Fb/", CFT_DB},
      {"GET /db/_changes", CFT_NORMAL},
      {"GET /db/_changes?feed=normal", CFT_NORMAL},
      {"GET /db/_changes?a=b&feed=continuous&c=d", CFT_CONTINUOUS},
      {"GET /db/_changes?feed=eventsource", CFT_EVENTSOURCE},
      {"GET /_db_updates", CFT_NORMAL | CFT_UPDATES},
      {"GET /_db_updates?feed=longpoll", CFT_LONGPOLL | CFT_UPDATES},
      {"POST /_session", CFT_SESSION},
      {"GET /db/_local/x", CFT_LOCAL},
      {"GET /_all_dbs", CFT_OTHER},
      {"GET /db/doc", CFT_OTHER},
  };
  cft_peer *peer = cft_peer_start(NULL, echo_handler, NULL);
  cft_client c;
  connect_ok(&c, peer);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert(cft_client_request(&c, cases[i].line, NULL, NULL));
    ck_assert(cft_peer_wait_requests(peer, CFT_ANY, i + 1, LONG_MS));
    unsigned kind = cft_peer_request(peer, CFT_ANY, i)->kind;
    ck_assert_msg(kind == cases[i].kind, "%s: kind %#x, not %#x", cases[i].line,
                  kind, cases[i].kind);
  }
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_reads_requests_however_they_are_cut) {
  cft_peer *peer = cft_peer_start(NULL, echo_handler, NULL);
  static const char bytes[] =
      "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\none"
      "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\ntwo";
  cft_client c;
  connect_ok(&c, peer);
  for (const char *p = bytes; *p; p++)
    ck_assert(cft_client_send(&c, (char[]){*p, '\0'}));
  ck_assert(cft_client_until(&c, "\r\n\r\none", LONG_MS));
  ck_assert(cft_client_until(&c, "\r\n\r\ntwo", LONG_MS));
  ck_assert(cft_client_send(&c, bytes)); /* both at once */
  ck_assert(cft_peer_wait_requests(peer, CFT_ANY, 4, LONG_MS));
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_counts_what_is_no_request) {
  static const char *const bad[] = {
      "HELLO WORLD\r\n\r\n", "GET / FTP/1.1\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"};
  cft_peer *peer = cft_peer_start(NULL, echo_handler, NULL);
  for (size_t i = 0; i < 4; i++) {
    cft_client c;
    connect_ok(&c, peer);
    ck_assert(cft_client_send(&c, bad[i]));
    ck_assert(cft_client_until_end(&c, LONG_MS));
    cft_client_close(&c);
    ck_assert_uint_eq(cft_peer_malformed(peer), i + 1);
  }
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 0);
  cft_peer_free(peer);
}
END_TEST

/* ---- ends ---- */

START_TEST(test_peer_close_is_fin_and_rst_is_rst) {
  static const struct {
    enum cft_then then;
    int end;
  } cases[] = {{CFT_CLOSE, CFT_END_FIN},
               {CFT_RST, CFT_END_RST},
               {CFT_HALF_CLOSE, CFT_END_FIN}};
  for (size_t i = 0; i < 3; i++) {
    told t = {.then = cases[i].then, .bytes = "some bytes"};
    cft_peer *peer = cft_peer_start(NULL, then_handler, &t);
    cft_client c;
    connect_ok(&c, peer);
    ck_assert(cft_client_send(&c, "GET / HTTP/1.1\r\n\r\nmore"));
    ck_assert(cft_client_until_end(&c, LONG_MS));
    ck_assert_int_eq(c.end, cases[i].end);
    ck_assert_str_eq(c.data, "some bytes");
    cft_client_close(&c);
    ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
    cft_peer_free(peer);
  }
}
END_TEST

/* Bytes that came after the last read would make the kernel reset. */
START_TEST(test_peer_close_is_fin_whatever_was_not_read) {
  static const cft_step steps[] = {
      {.send = "bytes", .then = CFT_CLOSE, .delay_ms = 30}};
  cft_peer *peer = cft_peer_script(NULL, steps, 1);
  cft_client c;
  connect_ok(&c, peer);
  ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
  ck_assert(cft_peer_wait_requests(peer, CFT_ANY, 1, LONG_MS));
  ck_assert(cft_client_request(&c, "GET /not-read", NULL, NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_int_eq(c.end, CFT_END_FIN);
  ck_assert_str_eq(c.data, "bytes");
  ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
  struct pollfd p = {c.fd, POLLIN, 0}; /* an RST behind the FIN shows here */
  ck_assert_int_eq(poll(&p, 1, 0), 1);
  ck_assert_int_eq(p.revents, POLLIN);
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_silence_lasts_until_the_client_goes) {
  static const enum cft_then silent[] = {CFT_SILENCE, CFT_BLACKHOLE};
  for (size_t i = 0; i < 2; i++) {
    told t = {.then = silent[i], .bytes = "x"};
    cft_peer *peer = cft_peer_start(NULL, then_handler, &t);
    cft_client c;
    connect_ok(&c, peer);
    ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
    ck_assert(cft_client_until(&c, "x", LONG_MS));
    ck_assert(cft_client_request(&c, "GET /again", NULL, NULL));
    ck_assert(cft_client_quiet(&c, 50));
    ck_assert_uint_eq(cft_peer_open(peer), 1);
    ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 1);
    cft_client_close(&c);
    ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
    cft_peer_free(peer);
  }
}
END_TEST

START_TEST(test_peer_black_hole_does_not_read) {
  static const char block[65536] = {0};
  static const struct {
    enum cft_then then;
    bool fills;
  } cases[] = {{CFT_BLACKHOLE, true}, {CFT_SILENCE, false}};
  for (size_t i = 0; i < 2; i++) {
    told t = {.then = cases[i].then, .bytes = "x"};
    cft_peer *peer = cft_peer_start(NULL, then_handler, &t);
    cft_client c;
    connect_ok(&c, peer);
    ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
    ck_assert(cft_client_until(&c, "x", LONG_MS));
    fcntl(c.fd, F_SETFL, O_NONBLOCK);
    /* 64 MiB are more than all buffers between two sockets */
    size_t sent = 0, all = (size_t)64 << 20;
    struct pollfd p = {c.fd, POLLOUT, 0};
    while (sent < all && poll(&p, 1, cases[i].fills ? 100 : LONG_MS) == 1) {
      ssize_t n = send(c.fd, block, sizeof block, MSG_NOSIGNAL);
      sent += n > 0 ? (size_t)n : 0;
    }
    ck_assert_int_eq(sent < all, cases[i].fills);
    cft_client_close(&c);
    cft_peer_free(peer);
  }
}
END_TEST

START_TEST(test_peer_drop_ends_all_connections) {
  static const enum cft_then how[] = {CFT_CLOSE, CFT_RST};
  for (size_t i = 0; i < 2; i++) {
    told t = {.then = CFT_SILENCE, .bytes = "x"};
    cft_peer *peer = cft_peer_start(NULL, then_handler, &t);
    cft_client c[5];
    for (size_t k = 0; k < 5; k++) {
      connect_ok(&c[k], peer);
      ck_assert(cft_client_request(&c[k], "GET /", NULL, NULL));
      ck_assert(cft_client_until(&c[k], "x", LONG_MS));
    }
    ck_assert_uint_eq(cft_peer_open(peer), 5);
    cft_peer_drop(peer, how[i]);
    for (size_t k = 0; k < 5; k++) {
      ck_assert(cft_client_until_end(&c[k], LONG_MS));
      ck_assert_int_eq(c[k].end, i == 0 ? CFT_END_FIN : CFT_END_RST);
      cft_client_close(&c[k]);
    }
    ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
    ck_assert_uint_eq(cft_peer_open_max(peer), 5);
    cft_peer_free(peer);
  }
}
END_TEST

/* ---- sending ---- */

START_TEST(test_peer_slices_and_chunks) {
  told t = {.then = CFT_CLOSE, .bytes = "0123456789", .slice = 3};
  cft_peer *peer = cft_peer_start(NULL, then_handler, &t);
  cft_client c;
  connect_ok(&c, peer);
  ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_str_eq(c.data, "0123456789");
  cft_client_close(&c);
  cft_peer_free(peer);

  peer = cft_peer_start(NULL, chunk_handler, NULL);
  connect_ok(&c, peer);
  ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_ptr_nonnull(strstr(c.data, "HTTP/1.1 200 OK\r\n"));
  ck_assert_ptr_nonnull(strstr(c.data, "X-A: b\r\n"));
  ck_assert_ptr_nonnull(
      strstr(c.data, "\r\n\r\n11\r\nhello world, 17 b\r\n0\r\n\r\n"));
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_shape_cuts_at_each_byte) {
  told whole = {.shape = {.slice = 0}};
  cft_peer *peer = cft_peer_start(NULL, shape_handler, &whole);
  cft_client full;
  connect_ok(&full, peer);
  ck_assert(cft_client_request(&full, "GET /", NULL, NULL));
  ck_assert(cft_client_until_end(&full, LONG_MS));
  ck_assert_int_eq(atomic_load(&whole.result), 1);
  cft_peer_free(peer);
  for (size_t at = 0; at <= full.len; at++) {
    told t = {.shape = {.cut = true,
                        .cut_at = at,
                        .slice = at % 3,
                        .then = at % 2 ? CFT_RST : CFT_CLOSE}};
    peer = cft_peer_start(NULL, shape_handler, &t);
    cft_client c;
    connect_ok(&c, peer);
    ck_assert(cft_client_request(&c, "GET /", NULL, NULL));
    ck_assert(cft_client_until_end(&c, LONG_MS));
    ck_assert_uint_eq(c.len, at);
    ck_assert_mem_eq(c.data, full.data, at);
    ck_assert_int_eq(c.end, at % 2 ? CFT_END_RST : CFT_END_FIN);
    cft_client_close(&c);
    cft_peer_free(peer);
    ck_assert_int_eq(atomic_load(&t.result), 2);
  }
  cft_client_close(&full);
}
END_TEST

/* ---- waiting and stopping ---- */

START_TEST(test_peer_waits_end_with_the_connection) {
  told t = {.slice = 0};
  cft_peer *peer = cft_peer_start(NULL, wait_handler, &t);
  cft_client c;
  connect_ok(&c, peer);
  ck_assert(cft_peer_wait_open(peer, 1, LONG_MS));
  cft_client_close(&c);
  ck_assert(cft_until(one_ended, &t, LONG_MS));
  ck_assert_int_eq(atomic_load(&t.result), 0);
  ck_assert_int_lt(atomic_load(&t.waited_ms), LONG_MS);

  connect_ok(&c, peer);
  ck_assert(cft_peer_wait_open(peer, 1, LONG_MS));
  int64_t begin = cft_now_ms();
  cft_peer_stop(peer);
  ck_assert_int_lt(cft_now_ms() - begin, LONG_MS);
  ck_assert_int_eq(atomic_load(&t.ended), 2);
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_wakes_who_waits) {
  told t = {.slice = 0};
  cft_peer *peer = cft_peer_start(NULL, wake_handler, &t);
  cft_client c;
  connect_ok(&c, peer);
  ck_assert(cft_client_until(&c, "ready 1\n", LONG_MS));
  cft_peer_wake(peer);
  ck_assert(cft_until(one_ended, &t, LONG_MS));
  ck_assert_int_eq(atomic_load(&t.result), CFT_WAIT_WOKEN);
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_stop_frees_a_blocked_send) {
  told t = {.slice = 0};
  cft_peer *peer = cft_peer_start(NULL, flood_handler, &t);
  cft_client c[2];
  for (size_t i = 0; i < 2; i++) {
    connect_ok(&c[i], peer);
    ck_assert(cft_client_until_len(&c[i], 1, LONG_MS)); /* and no more */
  }
  cft_client_close(&c[0]);
  ck_assert(cft_peer_wait_open(peer, 1, LONG_MS));
  cft_peer_stop(peer);
  ck_assert_int_eq(atomic_load(&t.ended), 2);
  cft_client_close(&c[1]);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_restarts_on_its_port) {
  cft_peer *peer = cft_peer_reserve(NULL, echo_handler, NULL);
  uint16_t port = cft_peer_port(peer);
  cft_client c;
  for (int round = 0; round < 20; round++) {
    ck_assert(!cft_client_connect(&c, port));
    ck_assert_int_eq(errno, ECONNREFUSED);
    cft_peer_restart(peer);
    ck_assert_uint_eq(cft_peer_port(peer), port);
    connect_ok(&c, peer);
    ck_assert(cft_client_request(&c, "POST /", NULL, "hello"));
    ck_assert(cft_client_until(&c, "hello", LONG_MS));
    cft_peer_stop(peer);
    ck_assert(cft_client_until_end(&c, LONG_MS));
    ck_assert_int_eq(c.end, CFT_END_FIN);
    cft_client_close(&c);
  }
  ck_assert_uint_eq(cft_peer_accepted(peer), 20);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 20);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_listens_on_ipv6_and_unix_sockets) {
  char path[64], where[80];
  cft_client c;
  cft_peer *peer = cft_peer_start("::1", echo_handler, NULL);
  ck_assert_ptr_nonnull(strstr(cft_peer_url(peer), "http://[::1]:"));
  ck_assert(cft_client_connect6(&c, cft_peer_port(peer)));
  ck_assert(cft_client_request(&c, "POST /", NULL, "six"));
  ck_assert(cft_client_until(&c, "six", LONG_MS));
  cft_client_close(&c);
  cft_peer_free(peer);

  snprintf(path, sizeof path, "/tmp/cft-peer-%ld.sock", (long)getpid());
  snprintf(where, sizeof where, "unix:%s", path);
  peer = cft_peer_start(where, echo_handler, NULL);
  ck_assert(cft_client_connect_unix(&c, path));
  ck_assert(cft_client_request(&c, "POST /", NULL, "unix"));
  ck_assert(cft_client_until(&c, "unix", LONG_MS));
  cft_client_close(&c);
  cft_peer_free(peer);
  ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_peer_ports_refuse_and_hang) {
  uint16_t port;
  int fds[2], fd = cft_port_refusing(&port);
  cft_client c;
  ck_assert_int_ge(fd, 0);
  ck_assert(!cft_client_connect(&c, port));
  ck_assert_int_eq(errno, ECONNREFUSED);
  close(fd);

  ck_assert(cft_port_hanging(&port, fds));
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_port = htons(port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof in), -1);
  ck_assert_int_eq(errno, EINPROGRESS);
  struct pollfd p = {fd, POLLOUT, 0};
  ck_assert_int_eq(poll(&p, 1, 200), 0);
  close(fd);
  close(fds[0]);
  close(fds[1]);
}
END_TEST

/* ---- steps, many connections ---- */

START_TEST(test_peer_script_plays_its_steps_in_order) {
  static const cft_step steps[] = {
      {.match = "GET /a", .send = "first", .then = CFT_KEEP},
      {.match = "GET /a", .send = "second", .times = 2},
      {.match = "GET /z", .send = "zzz", .then = CFT_RST, .slice = 1},
      {.send = "any\0thing", .len = 9, .delay_ms = 1, .times = 1},
  };
  static const char *const asks[] = {"GET /a", "GET /b", "GET /a", "GET /a"};
  cft_peer *peer = cft_peer_script(NULL, steps, 4);
  cft_client c;
  connect_ok(&c, peer);
  for (size_t i = 0; i < 4; i++)
    ck_assert(cft_client_request(&c, asks[i], NULL, NULL));
  ck_assert(cft_client_until_len(&c, 5 + 9 + 6 + 6, LONG_MS));
  ck_assert_mem_eq(c.data, "firstany\0thingsecondsecond", 26);
  ck_assert_uint_eq(cft_peer_step_used(peer, 1), 2);
  ck_assert_uint_eq(cft_peer_unmatched(peer), 0);
  cft_client_reset(&c);
  ck_assert(cft_client_request(&c, "GET /z", NULL, NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_str_eq(c.data, "zzz");
  ck_assert_int_eq(c.end, CFT_END_RST);
  cft_client_close(&c);
  connect_ok(&c, peer);
  ck_assert(cft_client_request(&c, "GET /a", NULL, NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_uint_eq(c.len, 0);
  ck_assert_uint_eq(cft_peer_unmatched(peer), 1);
  cft_client_close(&c);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_peer_serves_many_connections) {
  enum { MANY = 200, ROUNDS = 2000 };
  static cft_client c[MANY];
  cft_peer *peer = cft_peer_start(NULL, echo_handler, NULL);
  for (size_t i = 0; i < MANY; i++) {
    connect_ok(&c[i], peer);
    ck_assert(cft_client_request(&c[i], "POST /", NULL, "at once"));
  }
  for (size_t i = 0; i < MANY; i++)
    ck_assert(cft_client_until(&c[i], "at once", LONG_MS));
  ck_assert_uint_eq(cft_peer_open(peer), MANY);
  for (size_t i = 0; i < MANY; i++)
    cft_client_close(&c[i]);
  ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
  for (size_t i = 0; i < ROUNDS; i++) {
    connect_ok(&c[0], peer);
    ck_assert(cft_client_request(&c[0], "POST /", NULL, "one more"));
    ck_assert(cft_client_until(&c[0], "one more", LONG_MS));
    cft_client_close(&c[0]);
  }
  ck_assert_uint_eq(cft_peer_accepted(peer), MANY + ROUNDS);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), MANY + ROUNDS);
  cft_peer_free(peer);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peer");
  TCase *tc = tcase_create("peer");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_peer_records_requests);
  tcase_add_test(tc, test_peer_tells_kinds_apart);
  tcase_add_test(tc, test_peer_reads_requests_however_they_are_cut);
  tcase_add_test(tc, test_peer_counts_what_is_no_request);
  tcase_add_test(tc, test_peer_close_is_fin_and_rst_is_rst);
  tcase_add_test(tc, test_peer_close_is_fin_whatever_was_not_read);
  tcase_add_test(tc, test_peer_silence_lasts_until_the_client_goes);
  tcase_add_test(tc, test_peer_black_hole_does_not_read);
  tcase_add_test(tc, test_peer_drop_ends_all_connections);
  tcase_add_test(tc, test_peer_slices_and_chunks);
  tcase_add_test(tc, test_peer_shape_cuts_at_each_byte);
  tcase_add_test(tc, test_peer_waits_end_with_the_connection);
  tcase_add_test(tc, test_peer_wakes_who_waits);
  tcase_add_test(tc, test_peer_stop_frees_a_blocked_send);
  tcase_add_test(tc, test_peer_restarts_on_its_port);
  tcase_add_test(tc, test_peer_listens_on_ipv6_and_unix_sockets);
  tcase_add_test(tc, test_peer_ports_refuse_and_hang);
  tcase_add_test(tc, test_peer_script_plays_its_steps_in_order);
  tcase_add_test(tc, test_peer_serves_many_connections);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
