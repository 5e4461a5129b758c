/*
 * What the server does not put up with: heads that could be read in two ways,
 * what is too long, too large, too slow or too many; and that it ends when it
 * is told, whatever is going on.
 * ctest: SERIAL
 */
#include "support/unit.h"

#include "common/http_server.h"
#include "platform/support/served.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: a\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define HELLO_CLOSE                                                            \
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

static const http_server_config plain = {.idle_ms = 20000};

static int status_of(const char *answer) {
  ck_assert_msg(strncmp(answer, "HTTP/1.1 ", 9) == 0, "'%s'", answer);
  return (int)strtol(answer + 9, NULL, 10);
}

/* The answer is a status, a sentence, and the end; what came behind the request
   is not taken for another. */
static void refused(served *w, int status, const char *bytes) {
  int asked = w->asked, before = w->refused;
  const char *got = served_ask(w, bytes);

  ck_assert_msg(status_of(got) == status, "%d instead of %d for:\n%s",
                status_of(got), status, bytes);
  ck_assert(w->got_end && !w->got_reset);
  ck_assert_ptr_nonnull(strstr(got, "Connection: close\r\n"));
  ck_assert_ptr_nonnull(strstr(got, ".\n"));
  ck_assert_ptr_null(strstr(got, "hello"));
  ck_assert_int_eq(w->asked, asked);
  ck_assert_int_eq(w->refused, before + 1);
}

START_TEST(test_server_smuggled_requests_are_not_answered) {
  static const struct {
    int status;
    const char *bytes;
  } all[] = {
      {400, POST("/echo") "Content-Length: 5\r\nTransfer-Encoding: chunked"
                          "\r\n\r\n0\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "Content-Length: 0\r\nContent-Length: 44"
                          "\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "Content-Length: +0\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "Content-Length: 0, 0\r\n\r\n" GET("/hello")},
      {501, POST("/echo") "Transfer-Encoding: xchunked\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "Transfer-Encoding : chunked\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "X: y\r\n Content-Length: 5\r\n\r\n" GET("/hello")},
      {400, POST("/echo") "X: y\nContent-Length: 5\r\n\r\n" GET("/hello")},
      {400, "GET /hello HTTP/1.1\r\n\r\n" GET("/hello")},
      {400, "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {400, "GET http://b/hello HTTP/1.1\r\nHost: a\r\n\r\n" GET("/hello")},
      {405, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/hello")},
      {505, "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n" GET("/hello")},
      {400, "\x16\x03\x01\x02\n"},
  };
  served w;

  served_open(&w, &plain);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    refused(&w, all[i].status, all[i].bytes);
  ck_assert_int_eq(w.gone, 0);
  served_close(&w);
}
END_TEST

START_TEST(test_server_refuses_what_is_too_long) {
  http_server_config config = plain;
  char line[600], head[600];
  served w;

  config.max_head = 512;
  config.max_body = 100;
  memset(line, 'a', sizeof line);
  memcpy(line, "GET /", 5);
  line[sizeof line - 1] = '\0';
  (void)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\nX: %.*s", 550,
                 line + 5);
  served_open(&w, &config);
  refused(&w, 414, line);
  refused(&w, 431, head);
  refused(&w, 413, POST("/echo") "Content-Length: 101\r\n\r\n" GET("/hello"));
  refused(&w, 413,
          POST("/echo") "Content-Length: 101\r\nExpect: 100-continue\r\n\r\n");
  served_close(&w);
}
END_TEST

/* A body that turns out to be wrong when somebody has it already. */
static void stopped(served *w, int status, const char *bytes) {
  int gone = w->gone;
  const char *got = served_ask(w, bytes);

  ck_assert_msg(status_of(got) == status, "%s\nfor:\n%s", got, bytes);
  ck_assert_int_eq(w->gone, gone + 1);
  ck_assert_ptr_null(strstr(got, "hello"));
}

START_TEST(test_server_refuses_bodies_in_the_middle) {
  http_server_config config = plain;
  char large[1400];
  served w;

  config.max_body = 5000;
  served_open(&w, &config);
  stopped(&w, 400,
          POST("/echo") "Transfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabcd\r\n0\r\n\r\n" GET("/hello"));
  stopped(&w, 400,
          POST("/echo") "Transfer-Encoding: chunked\r\n\r\n"
                        "3;a=b\r\nabc\r\n0\r\n\r\n" GET("/hello"));
  (void)snprintf(large, sizeof large,
                 POST("/echo") "Transfer-Encoding: chunked\r\n\r\n"
                               "3e9\r\n%01001d\r\n0\r\n\r\n%s",
                 0, GET("/hello"));
  stopped(&w, 413, large);
  stopped(&w, 413, POST("/echo") "Content-Length: 1001\r\n\r\nabc");
  stopped(&w, 413,
          POST("/echo") "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
  /* answered already: cut */
  (void)served_ask(&w, POST("/stream") "Transfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\nx" GET("/hello"));
  ck_assert_int_eq(w.gone, 6);
  ck_assert_ptr_null(strstr(text_get(&w.got), "0\r\n\r\n"));
  ck_assert_int_eq(w.asked, 6);
  served_close(&w);
}
END_TEST

START_TEST(test_server_does_not_wait_for_ever) {
  http_server_config config = {.head_ms = 150, .idle_ms = 250};
  served w;
  int64_t began;
  int fd, slow;

  served_open(&w, &config);
  /* a byte now and then does not help */
  slow = served_connect(&w);
  began = served_ms();
  served_say(&w, slow, "GET /hello HTTP/1.1\r\n");
  for (int i = 0; w.refused == 0; i++) {
    ck_assert_int_lt(i, 100);
    if (send(slow, "X", 1, MSG_NOSIGNAL) != 1)
      break;
    served_turn(&w, -1);
  }
  ck_assert_int_eq(status_of(served_read(&w, slow, NULL)), 408);
  ck_assert_int_ge(served_ms() - began, 150);
  (void)close(slow);
  /* nothing at all: closed without a word */
  fd = served_connect(&w);
  ck_assert_str_eq(served_read(&w, fd, NULL), "");
  (void)close(fd);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hello"));
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO);
  (void)close(fd);
  /* a body that stops coming */
  fd = served_connect(&w);
  served_say(&w, fd, POST("/echo") "Content-Length: 5\r\n\r\nab");
  ck_assert_int_eq(status_of(served_read(&w, fd, NULL)), 408);
  ck_assert_int_eq(w.gone, 1);
  (void)close(fd);
  /* an answer that nobody reads */
  w.big = 64 << 20;
  fd = served_connect(&w);
  served_say(&w, fd, GET("/big"));
  served_until(&w, w.gone == 2);
  (void)close(fd);
  /* who works may take his time */
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hold"));
  began = served_ms();
  served_until(&w, served_ms() - began > 600);
  ck_assert_ptr_nonnull(w.held);
  http_exchange_answer(w.held, 200, NULL, 0, "hello", 5);
  ck_assert_str_eq(served_read(&w, fd, "hello"), HELLO);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_slow_readers_are_not_stuck_ones) {
  http_server_config config = {.idle_ms = 600};
  int64_t began = served_ms(), next = 0;
  char piece[20000];
  served w;
  int fd;

  served_open(&w, &config);
  w.big = 64 << 20;
  fd = served_connect(&w);
  served_say(&w, fd, GET("/big"));
  while (served_ms() - began < 2500) {
    if (served_ms() >= next) {
      (void)recv(fd, piece, sizeof piece, 0);
      next = served_ms() + 20;
    }
    served_turn(&w, -1);
  }
  ck_assert_int_eq(w.gone, 0);
  served_until(&w, w.gone == 1); /* now it is */
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_counts_connections) {
  http_server_config config = plain;
  int fds[3], more;
  served w;

  config.max_connections = 3;
  served_open(&w, &config);
  for (int i = 0; i < 3; i++) {
    fds[i] = served_connect(&w);
    served_say(&w, fds[i], GET("/hold"));
    served_until(&w, w.asked == i + 1);
  }
  more = served_connect(&w);
  ck_assert_int_eq(status_of(served_read(&w, more, NULL)), 503);
  ck_assert(!w.got_reset);
  (void)close(more);
  served_until(&w, http_server_connections(w.server) == 3);
  /* the last one gets its answer, and is then the one that makes place */
  http_exchange_answer(w.held, 200, NULL, 0, "hello", 5);
  ck_assert_str_eq(served_read(&w, fds[2], "hello"), HELLO);
  more = served_connect(&w);
  served_say(&w, more, GET("/hello"));
  ck_assert_str_eq(served_read(&w, more, "hello"), HELLO);
  ck_assert_str_eq(served_read(&w, fds[2], NULL), "");
  ck_assert_int_eq(w.gone, 0);
  for (int i = 0; i < 3; i++)
    (void)close(fds[i]);
  (void)close(more);
  served_close(&w);
}
END_TEST

static size_t drain_client(served *w, int fd, size_t wanted) {
  static char piece[1 << 16];
  int64_t end = served_ms() + 60000;
  size_t all = 0;

  while (all < wanted) {
    ssize_t n = recv(fd, piece, sizeof piece, 0);

    if (n > 0)
      all += (size_t)n;
    else if (n == 0)
      break;
    served_turn(w, fd);
    ck_assert_int_lt(served_ms(), end);
  }
  return all;
}

/* Until the number does not change any more. */
static size_t settled(served *w, const size_t *number) {
  size_t last = *number;

  for (int same = 0; same < 5; same++) {
    served_turn(w, -1);
    if (*number != last)
      same = 0;
    last = *number;
  }
  return last;
}

START_TEST(test_server_waits_for_slow_readers) {
  static const size_t large = 64 << 20;
  size_t left;
  served w;
  int fd;

  served_open(&w, &plain);
  w.big = large;
  fd = served_connect(&w);
  served_say(&w, fd, GET("/big"));
  left = settled(&w, &w.big);
  ck_assert_uint_gt(left, large / 2);
  ck_assert_uint_le(w.most, 64 * 1024 + 8192 + 64);
  ck_assert_uint_ge(drain_client(&w, fd, large), large);
  ck_assert_uint_eq(w.big, 0);
  ck_assert_uint_le(w.most, 64 * 1024 + 8192 + 64);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_answers_no_more_than_is_read) {
  enum { COUNT = 200 };
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  for (int i = 0; i < COUNT; i++)
    served_say(&w, fd, GET("/huge"));
  for (int i = 0; i < 10; i++)
    served_turn(&w, -1);
  ck_assert_int_lt(w.asked, COUNT / 4);
  ck_assert_uint_gt(drain_client(&w, fd, (size_t)COUNT << 20), COUNT << 20);
  served_until(&w, w.done == COUNT);
  ck_assert_int_eq(w.gone, 0);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_reads_no_more_than_is_wanted) {
  static char block[1 << 16];
  static const size_t all = 48 << 20;
  size_t sent = 0;
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, POST("/paused") "Content-Length: 50331648\r\n\r\n");
  served_until(&w, w.held != NULL);
  memset(block, 'x', sizeof block);
  for (int stuck = 0; stuck < 10; served_turn(&w, -1)) {
    ssize_t n = send(fd, block, sizeof block, MSG_NOSIGNAL);

    stuck = n > 0 ? 0 : stuck + 1;
    sent += n > 0 ? (size_t)n : 0;
    ck_assert_uint_lt(sent, all / 2);
  }
  ck_assert_uint_eq(w.taken, 0);
  http_exchange_resume(w.held);
  for (size_t n; sent < all; sent += n) {
    n = all - sent < sizeof block ? all - sent : sizeof block;
    served_send(&w, fd, block, n);
  }
  ck_assert_uint_ge(drain_client(&w, fd, all), all);
  ck_assert_uint_eq(w.taken, all);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_echo_stops_when_nobody_reads) {
  static char block[1 << 16];
  static const size_t all = 48 << 20;
  size_t sent = 0, got = 0;
  served w;
  int fd, stuck = 0;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, POST("/stream") "Content-Length: 50331648\r\n\r\n");
  while (stuck < 10) {
    ssize_t n = send(fd, block, sizeof block, MSG_NOSIGNAL);

    stuck = n > 0 ? 0 : stuck + 1;
    sent += n > 0 ? (size_t)n : 0;
    served_turn(&w, -1);
    ck_assert_uint_lt(sent, all / 2);
  }
  ck_assert_uint_le(w.most, 4 * 64 * 1024);
  while (sent < all) {
    size_t n = all - sent < sizeof block ? all - sent : sizeof block;
    ssize_t out = send(fd, block, n, MSG_NOSIGNAL);

    sent += out > 0 ? (size_t)out : 0;
    got += drain_client(&w, fd, 1);
  }
  (void)drain_client(&w, fd, all - got);
  served_until(&w, w.done == 1);
  ck_assert_uint_eq(w.taken, all);
  ck_assert_uint_le(w.most, 4 * 64 * 1024);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_bodies_nobody_asked_for_are_thrown_away) {
  static char block[200000];
  served w;
  int fd;

  memset(block, 'x', sizeof block);
  served_open(&w, &plain);
  fd = served_connect(&w);
  /* a little: the connection lives on */
  served_say(&w, fd, POST("/hello") "Content-Length: 200000\r\n\r\n");
  served_send(&w, fd, block, sizeof block);
  served_say(&w, fd, GET("/empty"));
  ck_assert_str_eq(served_read(&w, fd, "204 No Content\r\n\r\n"),
                   HELLO "HTTP/1.1 204 No Content\r\n\r\n");
  /* much: the answer is said to be the last one, and arrives all the same */
  served_say(&w, fd, POST("/hello") "Content-Length: 40000000\r\n\r\n");
  for (int i = 0; i < 5; i++)
    served_send(&w, fd, block, sizeof block);
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO_CLOSE);
  ck_assert(!w.got_reset);
  (void)close(fd);
  /* much, in chunks: only seen on the way */
  fd = served_connect(&w);
  served_say(&w, fd,
             POST("/hello") "Transfer-Encoding: chunked\r\n\r\n"
                            "1000000\r\n");
  for (int i = 0; i < 5; i++)
    served_send(&w, fd, block, sizeof block);
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO);
  ck_assert(!w.got_reset);
  (void)close(fd);
  served_close(&w);
}
END_TEST

static void on_drained(void *ctx) { ((served *)ctx)->drained++; }

START_TEST(test_server_drains) {
  served w;
  int idle, busy, stuck;

  served_open(&w, &plain);
  idle = served_connect(&w);
  busy = served_connect(&w);
  stuck = served_connect(&w);
  served_say(&w, idle, GET("/hello"));
  (void)served_read(&w, idle, "hello");
  served_say(&w, stuck, GET("/hold"));
  served_until(&w, w.asked == 2);
  served_say(&w, busy, GET("/hold"));
  served_until(&w, w.asked == 3);
  http_server_drain(w.server, 1000, on_drained, &w);
  ck_assert_str_eq(served_read(&w, idle, NULL), "");
  ck_assert_int_eq(w.drained, 0);
  http_exchange_answer(w.held, 200, NULL, 0, "hello", 5);
  ck_assert_str_eq(served_read(&w, busy, NULL), HELLO_CLOSE);
  served_until(&w, w.drained == 1);
  ck_assert_int_eq(w.gone, 1);
  ck_assert_uint_eq(http_server_connections(w.server), 0);
  ck_assert_str_eq(served_read(&w, stuck, NULL), "");
  for (int i = 0; i < 3; i++)
    served_turn(&w, -1);
  ck_assert_int_eq(w.drained, 1);
  (void)close(idle);
  (void)close(busy);
  (void)close(stuck);
  served_close(&w);
}
END_TEST

START_TEST(test_server_without_connections_drains_at_once) {
  int64_t began = served_ms();
  served w;

  served_open(&w, &plain);
  http_server_drain(w.server, 60000, on_drained, &w);
  ck_assert_int_eq(w.drained, 0);
  served_until(&w, w.drained == 1);
  ck_assert_int_lt(served_ms() - began, 10000);
  served_close(&w);
}
END_TEST

START_TEST(test_server_closes_in_the_middle_of_everything) {
  static const char *const said[] = {
      GET("/hold"), GET("/big"), POST("/echo") "Content-Length: 5\r\n\r\nab",
      "GET /x",     "",          POST("/paused") "Content-Length: 5\r\n\r\nab",
      GET("/hello")};
  enum { COUNT = sizeof said / sizeof *said };
  int fds[COUNT];
  served w;

  for (int over = 0; over < 2; over++) {
    served_open(&w, &plain);
    w.big = 64 << 20;
    for (int i = 0; i < COUNT; i++) {
      fds[i] = served_connect(&w);
      served_say(&w, fds[i], said[i]);
    }
    served_until(&w, w.asked == 5 && w.done == 1);
    if (over != 0) { /* out of a request's handler */
      fds[0] = (close(fds[0]), served_connect(&w));
      served_say(&w, fds[0], GET("/over"));
      served_until(&w, w.server == NULL);
    }
    served_close(&w);
    ck_assert_int_eq(w.gone, 4 + (over != 0));
    ck_assert_int_eq(w.done, w.asked);
    for (int i = 0; i < COUNT; i++)
      (void)close(fds[i]);
  }
}
END_TEST

static void stop_loop(uv_timer_t *timer) { uv_stop(timer->loop); }

START_TEST(test_server_out_of_descriptors_waits_and_does_not_spin) {
  struct rlimit before, none;
  uv_timer_t timer;
  clock_t cpu;
  served w;
  int fd, next;

  served_open(&w, &plain);
  fd = served_connect(&w); /* accepted by the kernel, not by us */
  served_say(&w, fd, "");
  next = dup(fd);
  ck_assert_int_ge(next, 0);
  (void)close(next);
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  none.rlim_cur = (rlim_t)next;
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
  ck_assert_int_eq(send(fd, GET("/hello"), strlen(GET("/hello")), 0),
                   (int)strlen(GET("/hello")));
  ck_assert_int_eq(uv_timer_init(&w.loop, &timer), 0);
  ck_assert_int_eq(uv_timer_start(&timer, stop_loop, 500, 0), 0);
  cpu = clock();
  (void)uv_run(&w.loop, UV_RUN_DEFAULT);
  cpu = clock() - cpu;
  ck_assert_msg(cpu < CLOCKS_PER_SEC / 10, "%ld ms of CPU",
                (long)(cpu * 1000 / CLOCKS_PER_SEC));
  ck_assert_int_eq(w.asked, 0);
  ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
  ck_assert_str_eq(served_read(&w, fd, "hello"), HELLO);
  uv_close((uv_handle_t *)&timer, NULL);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_sigpipe_does_not_kill) {
  struct sigaction action;
  served w;

  ck_assert(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
  served_open(&w, &plain);
  ck_assert_int_eq(sigaction(SIGPIPE, NULL, &action), 0);
  ck_assert(action.sa_handler == SIG_IGN);
  served_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_limits");
  TCase *tc = tcase_create("limits");

  tcase_add_test(tc, test_server_smuggled_requests_are_not_answered);
  tcase_add_test(tc, test_server_refuses_what_is_too_long);
  tcase_add_test(tc, test_server_refuses_bodies_in_the_middle);
  tcase_add_test(tc, test_server_does_not_wait_for_ever);
  tcase_add_test(tc, test_server_slow_readers_are_not_stuck_ones);
  tcase_add_test(tc, test_server_counts_connections);
  tcase_add_test(tc, test_server_waits_for_slow_readers);
  tcase_add_test(tc, test_server_answers_no_more_than_is_read);
  tcase_add_test(tc, test_server_reads_no_more_than_is_wanted);
  tcase_add_test(tc, test_server_echo_stops_when_nobody_reads);
  tcase_add_test(tc, test_server_bodies_nobody_asked_for_are_thrown_away);
  tcase_add_test(tc, test_server_drains);
  tcase_add_test(tc, test_server_without_connections_drains_at_once);
  tcase_add_test(tc, test_server_closes_in_the_middle_of_everything);
  tcase_add_test(tc, test_server_out_of_descriptors_waits_and_does_not_spin);
  tcase_add_test(tc, test_server_sigpipe_does_not_kill);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
