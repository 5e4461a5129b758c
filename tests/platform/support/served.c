/* A server under test; see served.h. */
#include "platform/support/served.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t served_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the server's side ---- */

static served *world_of(http_exchange *x) {
  return http_exchange_loop(x)->data;
}

static void on_gone(http_exchange *x, void *ctx) {
  served *w = ctx;

  if (w->held == x)
    w->held = NULL;
  w->gone++;
}

static void hello(http_exchange *x) {
  http_exchange_answer(x, 200, NULL, 0, "hello", 5);
}

static void echo(http_exchange *x, const char *data, size_t len, void *ctx) {
  served *w = ctx;

  w->taken += len;
  http_exchange_answer(x, 200, NULL, 0, data, len);
}

static void stream_data(http_exchange *x, const char *data, size_t len,
                        void *ctx) {
  served *w = ctx;
  size_t waiting = http_exchange_write(x, data, len);

  w->taken += len;
  if (waiting > w->most)
    w->most = waiting;
  if (waiting > 64 * 1024)
    http_exchange_pause(x);
}

static void stream_end(http_exchange *x, void *ctx) {
  (void)ctx;
  http_exchange_end(x);
}

static void stream_drain(http_exchange *x, void *ctx) {
  (void)ctx;
  http_exchange_resume(x);
}

static const http_sink stream = {stream_data, stream_end};

static void pieces(http_exchange *x, enum http_framing framing,
                   uint64_t length) {
  http_exchange_begin(x, 200, NULL, 0, framing, length);
  (void)http_exchange_write(x, "ab", 2);
}

static void big(http_exchange *x, void *ctx) {
  served *w = ctx;
  char block[8192];

  memset(block, 'b', sizeof block);
  while (w->big != 0) {
    size_t n = w->big < sizeof block ? w->big : sizeof block;
    size_t waiting = http_exchange_write(x, block, n);

    w->big -= n;
    if (waiting > w->most)
      w->most = waiting;
    if (waiting > 64 * 1024)
      return;
  }
  http_exchange_end(x);
}

static void count_data(http_exchange *x, const char *data, size_t len,
                       void *ctx) {
  served *w = ctx;

  (void)x;
  (void)data;
  w->taken += len;
}

static void count_end(http_exchange *x, void *ctx) {
  (void)x;
  (void)ctx;
}

static const http_sink last_word = {count_data, count_end};

#define STR(s)                                                                 \
  { (s), sizeof(s) - 1 }

/* Of which three may be sent. */
static const http_field odd[] = {
    {STR("X-Good"), STR("1")},
    {STR("Content-Length"), STR("99")},
    {STR("Transfer-Encoding"), STR("chunked")},
    {STR("Connection"), STR("close")},
    {STR("Keep-Alive"), STR("5")},
    {STR("X-Bad"), STR("1\r\nX-Split: 1")},
    {STR("X Bad"), STR("1")},
    {STR("date"), STR("Thu, 01 Jan 1970 00:00:00 GMT")},
    {STR("X-Last"), STR("")},
};

static void streams(http_exchange *x, served *w, http_str path) {
  if (http_str_same(path, "/stream")) {
    http_exchange_begin(x, 200, NULL, 0, HTTP_CHUNKED, 0);
    http_exchange_on_drain(x, stream_drain, w);
    http_exchange_read(x, &stream, w);
  } else if (http_str_same(path, "/length")) {
    pieces(x, HTTP_LENGTH, 5);
    (void)http_exchange_write(x, "cde", 3);
    http_exchange_end(x);
  } else if (http_str_same(path, "/short")) {
    pieces(x, HTTP_LENGTH, 5);
    http_exchange_end(x);
  } else if (http_str_same(path, "/close")) {
    pieces(x, HTTP_CLOSE, 0);
    http_exchange_end(x);
  } else if (http_str_same(path, "/cut")) {
    pieces(x, HTTP_CHUNKED, 0);
    http_exchange_abort(x);
  } else if (http_str_same(path, "/cutclose")) {
    pieces(x, HTTP_CLOSE, 0);
    http_exchange_abort(x);
  } else if (http_str_same(path, "/big")) {
    http_exchange_begin(x, 200, NULL, 0, HTTP_CHUNKED, 0);
    http_exchange_on_drain(x, big, w);
    big(x, w);
  } else if (http_str_same(path, "/upgrade")) {
    http_exchange_upgrade(x, NULL, 0, &stream, w);
  } else if (http_str_same(path, "/upgrade-end")) {
    http_exchange_upgrade(x, NULL, 0, &last_word, w);
    (void)http_exchange_write(x, "bye", 3);
    http_exchange_end(x);
  } else if (http_str_same(path, "/much")) {
    pieces(x, HTTP_LENGTH, 3);
    (void)http_exchange_write(x, "cd", 2);
  } else if (http_str_same(path, "/fields")) {
    http_exchange_answer(x, 200, odd, sizeof odd / sizeof *odd, "hello", 5);
  } else {
    http_exchange_answer(x, 404, NULL, 0, NULL, 0);
  }
}

static void on_closed(void *ctx) { ((served *)ctx)->closed++; }

static char huge[1 << 20];

static void on_request(http_exchange *x, void *user) {
  served *w = user;
  http_str path = http_exchange_head(x)->target;

  w->asked++;
  http_exchange_on_gone(x, on_gone, w);
  if (http_str_same(path, "/hello")) {
    hello(x);
  } else if (http_str_same(path, "/huge")) {
    http_exchange_answer(x, 200, NULL, 0, huge, sizeof huge);
  } else if (http_str_same(path, "/echo")) {
    http_exchange_read_all(x, 1000, echo, w);
  } else if (http_str_same(path, "/empty")) {
    http_exchange_answer(x, 204, NULL, 0, NULL, 0);
  } else if (http_str_same(path, "/drop")) {
    http_exchange_abort(x);
  } else if (http_str_same(path, "/over")) {
    http_server_close(w->server, on_closed, w);
    w->server = NULL;
  } else if (http_str_same(path, "/hold")) {
    w->held = x;
  } else if (http_str_same(path, "/paused")) {
    w->held = x;
    http_exchange_pause(x);
    http_exchange_read_all(x, 64 << 20, echo, w);
  } else if (http_str_same(path, "/inform")) {
    http_exchange_inform(x, 103);
    hello(x);
  } else {
    streams(x, w, path);
  }
}

static void on_done(http_exchange *x, void *user) {
  served *w = user;

  w->done++;
  w->status = http_exchange_status(x);
  w->sent = http_exchange_sent(x);
  ck_assert_str_eq(http_exchange_peer(x), w->peer);
  ck_assert_int_gt(http_exchange_began_ms(x), 0);
  if (w->held == x)
    w->held = NULL;
  ck_assert_ptr_eq(world_of(x), w);
}

static void on_refused(http_exchange *x, int status, const char *why,
                       void *user) {
  served *w = user;

  (void)x;
  ck_assert_int_ge(status, 400);
  ck_assert_uint_gt(strlen(why), 10);
  w->refused++;
}

void served_open(served *w, const http_server_config *config) {
  http_server_config c = *config;
  char error[200] = "";

  memset(w, 0, sizeof *w);
  ck_assert_int_eq(uv_loop_init(&w->loop), 0);
  w->loop.data = w;
  if (c.address == NULL)
    c.address = "127.0.0.1:0";
  w->peer = c.address[0] == '['   ? "::1"
            : c.address[0] == 'u' ? "unix"
                                  : "127.0.0.1";
  c.on_request = on_request;
  c.on_done = on_done;
  c.on_refused = on_refused;
  c.user = w;
  w->server = http_server_open(&w->loop, &c, error, sizeof error);
  ck_assert_msg(w->server != NULL, "%s", error);
}

void served_close(served *w) {
  if (w->server != NULL)
    http_server_close(w->server, on_closed, w);
  ck_assert_int_eq(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(w->closed, 1);
  ck_assert_int_eq(uv_loop_close(&w->loop), 0);
  text_free(&w->got);
}

/* ---- the client's side ---- */

void served_turn(served *w, int fd) {
  struct pollfd fds[2] = {{uv_backend_fd(&w->loop), POLLIN, 0},
                          {fd, POLLIN, 0}};
  int wait;

  (void)uv_run(&w->loop, UV_RUN_NOWAIT);
  wait = uv_backend_timeout(&w->loop);
  if (wait < 0 || wait > 20)
    wait = 20;
  (void)poll(fds, fd >= 0 ? 2 : 1, wait);
}

static int dial(const struct sockaddr *a, socklen_t len) {
  int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  ck_assert_int_ge(fd, 0);
  ck_assert_msg(connect(fd, a, len) == 0, "connect: %s", strerror(errno));
  ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  return fd;
}

int served_connect(served *w) {
  const char *address = http_server_address(w->server);
  const char *colon = strrchr(address, ':');
  int port = (int)strtol(colon + 1, NULL, 10);
  struct sockaddr_in6 six;
  struct sockaddr_in four;
  struct sockaddr_un un;

  if (strncmp(address, "unix:", 5) == 0) {
    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path, address + 5, strlen(address + 5));
    return dial((struct sockaddr *)&un, sizeof un);
  }
  if (address[0] == '[') {
    ck_assert_int_eq(uv_ip6_addr("::1", port, &six), 0);
    return dial((struct sockaddr *)&six, sizeof six);
  }
  ck_assert_int_eq(uv_ip4_addr("127.0.0.1", port, &four), 0);
  return dial((struct sockaddr *)&four, sizeof four);
}

void served_send(served *w, int fd, const char *bytes, size_t len) {
  int64_t end = served_ms() + 20000;

  while (len != 0) {
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

    if (n > 0) {
      bytes += n;
      len -= (size_t)n;
      (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    } else if (errno == EAGAIN) {
      served_turn(w, -1);
    } else {
      return; /* refused in the middle: what was said is read */
    }
    ck_assert_msg(served_ms() < end, "the server does not read");
  }
}

void served_say(served *w, int fd, const char *bytes) {
  served_send(w, fd, bytes, strlen(bytes));
}

static void without_dates(text *t) {
  char *at;

  while (t->len != 0 && (at = strstr(t->data, "Date: ")) != NULL) {
    const char *end = strstr(at, "\r\n");

    if (end == NULL)
      return;
    ck_assert_int_eq(end - at, 6 + 29);
    memmove(at, end + 2, strlen(end + 2) + 1);
    text_cut(t, t->len - (6 + 29 + 2));
  }
}

const char *served_read(served *w, int fd, const char *until) {
  int64_t end = served_ms() + 20000;
  char piece[65536];

  text_clear(&w->got);
  w->got_end = w->got_reset = false;
  for (;;) {
    ssize_t n = recv(fd, piece, sizeof piece, 0);

    if (n > 0) {
      text_add(&w->got, piece, (size_t)n);
      if (until != NULL)
        without_dates(&w->got);
    } else if (n == 0 || errno != EAGAIN) {
      w->got_end = true;
      w->got_reset = n < 0;
      break;
    }
    if (until != NULL && strstr(text_get(&w->got), until) != NULL)
      break;
    served_turn(w, fd);
    ck_assert_msg(served_ms() < end, "waited for '%s', got '%.300s'",
                  until != NULL ? until : "the end", text_get(&w->got));
  }
  without_dates(&w->got);
  return text_get(&w->got);
}

const char *served_ask(served *w, const char *bytes) {
  int fd = served_connect(w);
  const char *got;

  served_say(w, fd, bytes);
  got = served_read(w, fd, NULL);
  (void)close(fd);
  return got;
}
