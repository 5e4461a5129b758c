/* One connection: what is told of it, its limits, what is written to it.
   ctest: LABEL threads */
#include "platform/support/pool_world.h"

#include <unistd.h>

START_TEST(test_link_refused_and_unreachable_are_told) {
  world w;
  seen s;
  http_link *l;
  uint16_t port;
  int fd = cft_port_refusing(&port), fds[2];

  ck_assert_int_ge(fd, 0);
  begin(&w, (http_pool_config){0}, NULL, NULL);
  (void)snprintf(w.address, sizeof w.address, "127.0.0.1:%u", port);
  l = get(&w, "", &s);
  UNTIL(&w, s.error != 0);
  ck_assert_int_eq(s.error, UV_ECONNREFUSED);
  http_link_close(l);
  l = get_at(&w, "unix:/nonexistent/socket", "", &s);
  UNTIL(&w, s.error != 0);
  ck_assert_int_eq(s.error, UV_ENOENT);
  http_link_close(l);
  ck_assert(cft_port_hanging(&port, fds));
  (void)snprintf(w.address, sizeof w.address, "127.0.0.1:%u", port);
  l = get(&w, "", &s);
  http_link_limits(l, 50, 0);
  UNTIL(&w, s.late);
  ck_assert(!s.open);
  http_link_close(l);
  (void)close(fd);
  (void)close(fds[0]);
  (void)close(fds[1]);
  finish(&w);
}
END_TEST

START_TEST(test_link_limits) {
  world w;
  seen s;
  http_link *l;
  int64_t began, now, last;

  begin(&w, (http_pool_config){0}, on_quiet, NULL);
  l = get_open(&w, "", &s);
  http_link_limits(l, 60000, 0);
  http_link_limits(l, 50, 0); /* a nearer one counts at once */
  UNTIL(&w, s.late);
  s.late = false;
  /* Idle: bytes put it off; on a busy machine there may be none for long. */
  began = (int64_t)uv_now(&w.loop);
  http_link_limits(l, 0, 80);
  for (last = began; last < began + 200 && !s.late; last = now) {
    say(l);
    (void)uv_run(&w.loop, UV_RUN_ONCE);
    now = (int64_t)uv_now(&w.loop);
    ck_assert(!s.late || now - last >= 80);
  }
  UNTIL(&w, s.late);
  /* None: nothing more is told. */
  s.late = false;
  http_link_limits(l, 20, 0);
  http_link_limits(l, 0, 0);
  began = (int64_t)uv_now(&w.loop);
  UNTIL(&w, (int64_t)uv_now(&w.loop) > began + 60);
  ck_assert(!s.late);
  http_link_close(l);
  finish(&w);
}
END_TEST

typedef struct sums {
  size_t len;
  unsigned sum;
  bool go;
  int ended;
} sums;

static void add_sum(sums *s, const char *data, size_t len) {
  for (size_t i = 0; i < len; i++)
    s->sum = s->sum * 31 + (unsigned char)data[i];
  s->len += len;
}

/* Reads all when it is told to. */
static void on_slow(cft_conn *conn, void *ctx) {
  sums *s = ctx;
  static char data[65536];
  size_t got;

  cft_conn_wakeable(conn);
  while (!__atomic_load_n(&s->go, __ATOMIC_ACQUIRE))
    if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
      return;
  while (cft_conn_read(conn, data, sizeof data, &got) && got != 0)
    add_sum(s, data, got);
  __atomic_store_n(&s->ended, 1, __ATOMIC_RELEASE);
}

START_TEST(test_link_writes_what_waits_in_order_and_then_ends) {
  enum { PIECE = 10000 };
  world w;
  seen s;
  sums there = {0}, here = {0};
  http_link *l;
  char *piece = cft_calloc(PIECE, 1);
  size_t waiting = 0, i;

  begin(&w, (http_pool_config){0}, on_slow, &there);
  l = get(&w, "", &s);
  /* Before it is open, and until the kernel takes no more. */
  for (i = 0; waiting < 300000; i++) {
    uv_buf_t bufs[2] = {uv_buf_init(piece, 3000),
                        uv_buf_init(piece + 3000, PIECE - 3000)};

    for (size_t k = 0; k < PIECE; k++)
      piece[k] = (char)(i * 7 + k);
    waiting = http_link_write(l, bufs, 2);
    ck_assert_uint_eq(waiting, http_link_waiting(l));
    add_sum(&here, piece, PIECE);
    if (i > 5)
      UNTIL(&w, s.open);
  }
  s.drained = false;
  __atomic_store_n(&there.go, true, __ATOMIC_RELEASE);
  cft_peer_wake(w.peer);
  UNTIL(&w, s.drained);
  ck_assert_uint_eq(http_link_waiting(l), 0);
  http_link_end(l);
  UNTIL(&w, __atomic_load_n(&there.ended, __ATOMIC_ACQUIRE) != 0);
  ck_assert_uint_eq(there.len, here.len);
  ck_assert_uint_eq(there.sum, here.sum);
  http_link_close(l);
  free(piece);
  finish(&w);
}
END_TEST

START_TEST(test_link_finish_writes_what_waits_first) {
  world w;
  seen s;
  sums there = {0};
  http_link *l;
  uv_buf_t buf = uv_buf_init(cft_calloc(1, 8000000), 8000000);

  begin(&w, (http_pool_config){0}, on_slow, &there);
  l = get_open(&w, "", &s);
  ck_assert_uint_gt(http_link_write(l, &buf, 1), 0);
  http_link_finish(l, 60000);
  __atomic_store_n(&there.go, true, __ATOMIC_RELEASE);
  cft_peer_wake(w.peer);
  UNTIL(&w, __atomic_load_n(&there.ended, __ATOMIC_ACQUIRE) != 0);
  ck_assert_uint_eq(there.len, 8000000);
  finish(&w);
  free(buf.base);
}
END_TEST

START_TEST(test_link_finish_is_limited) {
  world w;
  seen s;
  sums there = {0};
  http_link *l;
  uv_buf_t buf = uv_buf_init(cft_calloc(1, 8000000), 8000000);

  begin(&w, (http_pool_config){0}, on_slow, &there);
  l = get_open(&w, "", &s);
  (void)http_link_write(l, &buf, 1);
  http_link_finish(l, 50);
  finish(&w); /* waits for it */
  free(buf.base);
}
END_TEST

static void on_reset(cft_conn *conn, void *ctx) {
  char data[16];
  size_t got;

  (void)ctx;
  (void)cft_conn_read(conn, data, sizeof data, &got);
  (void)cft_conn_send(conn, "answer", 6);
  cft_conn_rst(conn);
}

START_TEST(test_link_what_came_before_a_reset_is_read) {
  world w;
  seen s;
  http_link *l;

  begin(&w, (http_pool_config){0}, on_reset, NULL);
  l = get_open(&w, "", &s);
  say(l);
  UNTIL(&w, s.error != 0);
  ck_assert_int_eq(s.error, UV_ECONNRESET);
  say(l); /* goes nowhere, and does no harm */
  http_link_close(l);
  text_free(&s.data);
  finish(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_link");
  TCase *tc = tcase_create("http_link");

  tcase_add_test(tc, test_link_refused_and_unreachable_are_told);
  tcase_add_test(tc, test_link_limits);
  tcase_add_test(tc, test_link_writes_what_waits_in_order_and_then_ends);
  tcase_add_test(tc, test_link_finish_writes_what_waits_first);
  tcase_add_test(tc, test_link_finish_is_limited);
  tcase_add_test(tc, test_link_what_came_before_a_reset_is_read);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
