/*
 * Many clients that do anything: whole requests, parts, nonsense, one byte at a
 * time, half-closes, resets, not reading. Each request that was begun is over
 * once, nothing is left behind, and the server still answers. Seeded; a seed
 * can be given as CFT_SEED.
 */
#include "support/unit.h"

#include "common/http_server.h"
#include "platform/support/served.h"
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST " HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"

enum { CLIENTS = 24, TURNS = 4000 };

static const char *const said[] = {
    "GET /hello" HOST "\r\n",
    "GET /hold" HOST "\r\n",
    "GET /big" HOST "\r\n",
    "GET /length" HOST "\r\n",
    "GET /close" HOST "\r\n",
    "GET /cut" HOST "\r\n",
    "GET /cutclose" HOST "\r\n",
    "GET /drop" HOST "\r\n",
    "GET /inform" HOST "\r\n",
    "HEAD /big" HOST "\r\n",
    "POST /echo" HOST "Content-Length: 5\r\n\r\nhello",
    "POST /echo" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    "POST /echo" HOST CHUNKED "5\r\nhello\r\n0\r\n\r\n",
    "POST /stream" HOST CHUNKED "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /hello" HOST CHUNKED "5\r\nhello\r\n0\r\n\r\n",
    "POST /paused" HOST "Content-Length: 5\r\n\r\nhello",
    "GET /upgrade" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
    "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /stream HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    "POST /echo" HOST CHUNKED "5;x\r\nhello\r\n",
    "GET /hello" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "nonsense\r\n\r\n",
    "\r\n",
};

typedef struct client {
  int fd;
  const char *at; /* of what is being said */
  bool deaf, shut;
} client;

static uint64_t state;

static unsigned below(unsigned n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)((state >> 20) % n);
}

static void leave(client *c) {
  struct linger reset = {1, 0};

  if (below(2) == 0)
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  (void)close(c->fd);
  c->fd = -1;
}

static void act(served *w, client *c) {
  static char piece[1 << 16];
  size_t n;

  if (c->fd < 0) {
    *c = (client){.fd = served_connect(w), .deaf = below(6) == 0};
    return;
  }
  if (!c->deaf && recv(c->fd, piece, sizeof piece, 0) == 0 && below(2) == 0)
    leave(c);
  else if (below(60) == 0)
    leave(c);
  else if (below(40) == 0 && !c->shut)
    c->shut = shutdown(c->fd, SHUT_WR) == 0;
  if (c->fd < 0 || c->shut)
    return;
  if (c->at == NULL || *c->at == '\0')
    c->at = said[below(sizeof said / sizeof *said)];
  n = strlen(c->at);
  if (below(2) == 0)
    n = 1 + below((unsigned)n);
  if (send(c->fd, c->at, n, MSG_NOSIGNAL) == (ssize_t)n)
    c->at += n;
}

static void act_server(served *w) {
  http_exchange *x = w->held;

  w->big += below(4) == 0 ? below(1 << 20) : 0;
  if (x == NULL || below(3) != 0)
    return;
  http_exchange_resume(x);
  if (below(4) == 0) {
    w->held = NULL;
    http_exchange_abort(x);
  } else if (!http_str_same(http_exchange_head(x)->target, "/paused")) {
    w->held = NULL;
    http_exchange_answer(x, 200, NULL, 0, "held", 4);
  }
}

static void live(uint64_t seed) {
  http_server_config config = {
      .head_ms = 300, .idle_ms = 500, .max_connections = 20};
  client clients[CLIENTS] = {{0}};
  served w;

  state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  served_open(&w, &config);
  for (int i = 0; i < CLIENTS; i++)
    clients[i].fd = -1;
  for (int turn = 0; turn < TURNS; turn++) {
    act(&w, &clients[below(CLIENTS)]);
    act_server(&w);
    (void)uv_run(&w.loop, UV_RUN_NOWAIT);
  }
  for (int i = 0; i < CLIENTS; i++) {
    if (clients[i].fd >= 0)
      leave(&clients[i]);
  }
  ck_assert_ptr_nonnull(strstr(
      served_ask(&w, "GET /hello" HOST "Connection: close\r\n\r\n"), "hello"));
  ck_assert_int_gt(w.asked, TURNS / 20);
  ck_assert_int_gt(w.refused, 0);
  served_close(&w);
  ck_assert_msg(w.asked <= w.done && w.done <= w.asked + w.refused,
                "seed %d: asked %d, refused %d, done %d", (int)seed, w.asked,
                w.refused, w.done);
}

START_TEST(test_server_survives_clients_that_do_anything) {
  const char *given = getenv("CFT_SEED");

  if (given != NULL) {
    live(strtoull(given, NULL, 10));
    return;
  }
  for (uint64_t seed = 1; seed <= 8; seed++)
    live(seed);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_stress");
  TCase *tc = tcase_create("stress");

  tcase_add_test(tc, test_server_survives_clients_that_do_anything);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
