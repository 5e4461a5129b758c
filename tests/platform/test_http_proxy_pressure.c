/* No side of a proxy is faster than the other for long: what waits in it is
   bounded, and nothing of it is lost.
   ctest: LABEL threads */
#include "platform/support/front_run.h"

/* Bytes of memory this process has, but for what the kernel holds for sockets:
   that counts elsewhere. */
static long resident(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  char line[128] = "", *second;

  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
  (void)fclose(file);
  second = strchr(line, ' ');
  ck_assert_ptr_nonnull(second);
  return strtol(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

typedef struct rest {
  run *r;
  size_t before;
  int64_t since_ms;
} rest;

/* Nothing has moved for 300 ms. */
static bool is_stuck(void *user) {
  rest *s = user;
  size_t now = atomic_load(&s->r->bytes);

  if (now != s->before || now == 0) {
    s->before = now;
    s->since_ms = cft_now_ms();
  }
  return cft_now_ms() - s->since_ms > 300;
}

/* A quarter of what goes through: a sanitizer keeps what was freed for a while.
 */
enum { TOTAL = 60 * 1024 * 1024, BLOCK = 64 * 1024, BOUND = TOTAL / 4 };

static void fill(char *block, size_t number) {
  for (size_t i = 0; i < BLOCK; i++)
    block[i] = (char)(number * 13 + i * 7 + i / 251);
}

#define ASK_TUNNEL                                                             \
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"                       \
  "Upgrade: websocket\r\n\r\n"
#define TUNNEL                                                                 \
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"                \
  "Upgrade: websocket\r\n\r\n"

/* In a body, or in a websocket. */
static void on_fast(cft_conn *conn, void *user) {
  static char block[BLOCK];
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\n\r\n") &&
      (strstr(in.data, "websocket") != NULL
           ? cft_conn_sendf(conn, TUNNEL)
           : cft_conn_sendf(conn,
                            "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                            TOTAL))) {
    for (size_t i = 0; i < TOTAL / BLOCK; i++) {
      fill(block, i);
      if (!cft_conn_send(conn, block, BLOCK))
        break;
      atomic_fetch_add(&r->bytes, BLOCK);
    }
    cft_conn_stall(conn);
  }
  text_free(&in);
}

static void read_exactly(int fd, char *data, size_t len) {
  while (len != 0) {
    ssize_t n = recv(fd, data, len, 0);

    ck_assert_int_gt(n, 0);
    data += n;
    len -= (size_t)n;
  }
}

START_TEST(test_proxy_a_slow_client_stops_a_fast_server) {
  static char block[BLOCK], wanted[BLOCK];
  run r = {0};
  rest s = {&r, 0, 0};
  long before;

  begin(&r, (front_config){0}, on_fast);
  before = resident();
  ck_assert(cft_client_send(&r.c, _i == 0 ? GET : ASK_TUNNEL));
  ck_assert(cft_until(is_stuck, &s, WAIT_MS));
  ck_assert_uint_lt(s.before, TOTAL);
  ck_assert_int_lt(resident() - before, BOUND);
  for (block[4] = 0; memcmp(block, "\r\n\r\n", 4) != 0;) {
    memmove(block, block + 1, 3);
    read_exactly(r.c.fd, block + 3, 1);
  }
  for (size_t i = 0; i < TOTAL / BLOCK; i++) {
    read_exactly(r.c.fd, block, BLOCK);
    fill(wanted, i);
    ck_assert_msg(memcmp(block, wanted, BLOCK) == 0, "block %zu", i);
  }
  ck_assert_int_lt(resident() - before, BOUND);
  if (_i == 0)
    ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  finish(&r);
}
END_TEST

/* It reads the head, and the rest only later. */
static void on_slow(cft_conn *conn, void *user) {
  static char block[BLOCK], wanted[BLOCK];
  run *r = user;
  size_t number = 0, have = 0, got = 0;
  const char *end = "\r\n\r\n";
  char byte;
  bool ok = true;

  while (*end != '\0' && cft_conn_read(conn, &byte, 1, &got) && got != 0)
    end = byte == *end ? end + 1 : byte == '\r' ? "\n\r\n" : "\r\n\r\n";
  if ((r->script != NULL && !cft_conn_send(conn, TUNNEL, strlen(TUNNEL))) ||
      !wait_step(conn, r, 1))
    return;
  while (ok && number < TOTAL / BLOCK &&
         cft_conn_read(conn, block + have, BLOCK - have, &got) && got != 0) {
    have += got;
    if (have < BLOCK)
      continue;
    fill(wanted, number++);
    ok = memcmp(block, wanted, BLOCK) == 0;
    have = 0;
  }
  if (ok && number == TOTAL / BLOCK)
    (void)cft_conn_send(conn, OK, strlen(OK));
}

START_TEST(test_proxy_a_slow_server_stops_a_fast_client) {
  static char block[BLOCK];
  run r = {0};
  long before;
  size_t sent = 0;
  int64_t since_ms = cft_now_ms();
  char head[256];

  r.script = _i == 0 ? NULL : "websocket";
  begin(&r, (front_config){0}, on_slow);
  before = resident();
  (void)snprintf(head, sizeof head,
                 "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                 TOTAL);
  ck_assert(cft_client_send(&r.c, _i == 0 ? head : ASK_TUNNEL));
  if (_i != 0)
    ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  while (sent < TOTAL) {
    size_t at = sent % BLOCK;
    ssize_t n;

    if (at == 0)
      fill(block, sent / BLOCK);
    n = send(r.c.fd, block + at, BLOCK - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += (size_t)n;
      since_ms = cft_now_ms();
    } else if (atomic_load(&r.step) == 0 && cft_now_ms() - since_ms > 300) {
      ck_assert_uint_lt(sent, TOTAL);
      ck_assert_int_lt(resident() - before, BOUND);
      go(&r, 1);
    } else {
      ck_assert_int_lt(cft_now_ms() - since_ms, WAIT_MS);
      (void)usleep(1000); /* until the socket takes more */
    }
  }
  ck_assert_int_eq(atomic_load(&r.step), 1);
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", WAIT_MS));
  ck_assert_int_lt(resident() - before, BOUND);
  finish(&r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_proxy_pressure");
  TCase *tc = tcase_create("http_proxy_pressure");

  tcase_add_loop_test(tc, test_proxy_a_slow_client_stops_a_fast_server, 0, 2);
  tcase_add_loop_test(tc, test_proxy_a_slow_server_stops_a_fast_client, 0, 2);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
