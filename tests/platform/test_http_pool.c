/* Connections that are kept: for whom, how many, how long, and when not.
   ctest: LABEL threads */
#include "platform/support/pool_world.h"

#include <sys/socket.h>

START_TEST(test_pool_keeps_per_address_and_key) {
  world w;
  seen s;
  http_link *a, *b;

  begin(&w, (http_pool_config){0}, on_quiet, NULL);
  a = get_open(&w, "one", &s);
  ck_assert(!a->kept);
  http_link_keep(a);
  b = get_open(&w, "two", &s);
  ck_assert_ptr_ne(a, b);
  http_link_keep(b);
  ck_assert_ptr_eq(get_open(&w, "one", &s), a);
  ck_assert(a->kept);
  ck_assert_ptr_eq(get_open(&w, "two", &s), b);
  http_link_keep(a);
  http_link_keep(b);
  UNTIL(&w, cft_peer_accepted(w.peer) == 2);
  finish(&w);
}
END_TEST

START_TEST(test_pool_gives_the_newest_first_and_drops_the_oldest) {
  world w;
  seen s[4];
  http_link *l[4];

  begin(&w, (http_pool_config){.max_idle = 3}, on_quiet, NULL);
  for (int i = 0; i < 4; i++)
    l[i] = get_open(&w, "", &s[i]);
  for (int i = 0; i < 4; i++)
    http_link_keep(l[i]);
  ck_assert_uint_eq(w.pool->idle, 3);
  UNTIL(&w, cft_peer_open(w.peer) == 3);
  for (int i = 3; i > 0; i--)
    ck_assert_ptr_eq(get(&w, "", &s[i]), l[i]);
  for (int i = 3; i > 0; i--)
    http_link_close(l[i]);
  UNTIL(&w, cft_peer_open(w.peer) == 0);
  finish(&w);
}
END_TEST

START_TEST(test_pool_all_keys_have_a_limit_together) {
  world w;
  seen s[3];
  http_link *l[3];
  const char *keys[] = {"a", "b", "c"};

  begin(&w, (http_pool_config){.max_idle_all = 2}, on_quiet, NULL);
  for (int i = 0; i < 3; i++)
    l[i] = get_open(&w, keys[i], &s[i]);
  for (int i = 0; i < 3; i++)
    http_link_keep(l[i]);
  ck_assert_uint_eq(w.pool->idle, 2);
  UNTIL(&w, cft_peer_open(w.peer) == 2);
  l[1] = get(&w, "b", &s[1]);
  ck_assert(l[1]->kept);
  l[0] = get(&w, "a", &s[0]);
  ck_assert(!l[0]->kept);
  http_link_close(l[0]);
  http_link_close(l[1]);
  finish(&w);
}
END_TEST

START_TEST(test_pool_closes_what_lies_idle) {
  world w;
  seen s[2];
  http_link *l[2];

  begin(&w, (http_pool_config){.idle_ms = 60}, on_quiet, NULL);
  for (int i = 0; i < 2; i++)
    l[i] = get_open(&w, "", &s[i]);
  http_link_keep(l[0]);
  ck_assert_uint_eq(w.pool->idle, 1);
  UNTIL(&w, w.pool->idle == 0);
  UNTIL(&w, cft_peer_open(w.peer) == 1);
  http_link_keep(l[1]); /* the timer runs for the next, too */
  UNTIL(&w, w.pool->idle == 0 && cft_peer_open(w.peer) == 0);
  UNTIL(&w, w.pool->buckets == 0);
  finish(&w);
}
END_TEST

START_TEST(test_pool_forgets_a_key_or_all) {
  world w;
  seen s[3];
  http_link *l[3];
  const char *keys[] = {"a", "b", "c"};

  begin(&w, (http_pool_config){0}, on_quiet, NULL);
  for (int i = 0; i < 3; i++)
    l[i] = get_open(&w, keys[i], &s[i]);
  for (int i = 0; i < 3; i++)
    http_link_keep(l[i]);
  http_pool_forget(w.pool, w.address, "b");
  ck_assert_uint_eq(w.pool->idle, 2);
  UNTIL(&w, cft_peer_open(w.peer) == 2);
  http_pool_forget(w.pool, "127.0.0.1:1", "");
  ck_assert_uint_eq(w.pool->idle, 2);
  http_pool_forget(w.pool, w.address, "");
  ck_assert_uint_eq(w.pool->idle, 0);
  UNTIL(&w, cft_peer_open(w.peer) == 0);
  finish(&w);
}
END_TEST

static void on_told(cft_conn *conn, void *ctx) {
  char byte;
  size_t got = 0;

  if (!cft_conn_read(conn, &byte, 1, &got) || got == 0)
    return;
  if (*(const char *)ctx == 'd')
    (void)cft_conn_send(conn, "unasked", 7);
  if (*(const char *)ctx == 'd')
    cft_conn_stall(conn);
}

START_TEST(test_pool_drops_idle_ones_that_end_or_speak) {
  const char *ways[] = {"end", "data"};

  for (int i = 0; i < 2; i++) {
    world w;
    seen s;
    http_link *l;

    begin(&w, (http_pool_config){0}, on_told, (void *)(uintptr_t)ways[i]);
    l = get_open(&w, "", &s);
    say(l);
    http_link_keep(l);
    ck_assert_uint_eq(w.pool->idle, 1);
    UNTIL(&w, w.pool->idle == 0);
    UNTIL(&w, cft_peer_open(w.peer) == 0);
    ck_assert_uint_eq(s.data.len, 0);
    finish(&w);
  }
}
END_TEST

/* Before the loop has seen it. */
START_TEST(test_pool_looks_once_more_before_it_gives) {
  world w;
  seen s;
  http_link *a, *b;
  int error = 0;
  http_bucket *bucket;
  int64_t end_ms = cft_now_ms() + WAIT_MS;
  uv_os_fd_t fd;
  char byte;

  begin(&w, (http_pool_config){0}, on_told,
        (void *)(uintptr_t)(_i == 0 ? "end" : "data"));
  a = get_open(&w, "", &s);
  bucket = a->bucket;
  ck_assert_int_eq(uv_fileno(&a->io.handle, &fd), 0);
  say(a);
  http_link_keep(a);
  while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
    ck_assert(cft_now_ms() < end_ms);
  ck_assert_uint_eq(w.pool->idle, 1);
  b = http_link_get(bucket, false, &world_user, &s, &error);
  ck_assert_ptr_nonnull(b);
  ck_assert_ptr_ne(a, b);
  ck_assert(!b->kept);
  http_link_close(b);
  finish(&w);
}
END_TEST

START_TEST(test_pool_does_not_keep_what_cannot_be_used) {
  world w;
  seen s;
  http_link *l;

  begin(&w, (http_pool_config){0}, on_told, (void *)(uintptr_t) "end");
  l = get_open(&w, "", &s); /* ended by the server */
  say(l);
  UNTIL(&w, s.ended);
  http_link_keep(l);
  ck_assert_uint_eq(w.pool->idle, 0);
  l = get_open(&w, "", &s); /* ended by us */
  http_link_end(l);
  http_link_keep(l);
  ck_assert_uint_eq(w.pool->idle, 0);
  l = get(&w, "", &s); /* not connected yet */
  http_link_keep(l);
  ck_assert_uint_eq(w.pool->idle, 0);
  finish(&w);
}
END_TEST

START_TEST(test_pool_closed_while_links_are_used) {
  world w;
  seen s[2];
  http_link *l[2];

  begin(&w, (http_pool_config){0}, on_quiet, NULL);
  l[0] = get_open(&w, "", &s[0]);
  l[1] = get_open(&w, "", &s[1]);
  http_link_keep(l[0]);
  http_pool_close(w.pool, on_closed, &w);
  UNTIL(&w, cft_peer_open(w.peer) == 1);
  ck_assert(!w.closed);
  http_link_keep(l[1]); /* nothing is kept any more */
  UNTIL(&w, w.closed);
  uv_close((uv_handle_t *)&w.tick, NULL);
  (void)uv_run(&w.loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&w.loop), 0);
  cft_peer_free(w.peer);
}
END_TEST

START_TEST(test_pool_many_addresses_and_keys) {
  enum { MANY = 500 };
  world w;
  http_bucket *b[MANY];
  char key[16];
  const char *why;

  begin(&w, (http_pool_config){0}, NULL, NULL);
  for (int i = 0; i < MANY; i++) {
    char address[32];
    http_proxy_target target = {address, key};

    (void)snprintf(address, sizeof address, "127.0.0.1:%d", 1 + i / 2);
    (void)snprintf(key, sizeof key, "%d", i % 2);
    b[i] = http_bucket_hold(w.pool, &target, &why);
    ck_assert_ptr_nonnull(b[i]);
    ck_assert_ptr_eq(http_bucket_hold(w.pool, &target, &why), b[i]);
    http_bucket_drop(b[i]);
    ck_assert_int_eq(ntohs(b[i]->address.to.in.sin_port), 1 + i / 2);
  }
  ck_assert_uint_eq(w.pool->buckets, MANY);
  for (int i = 0; i < MANY; i++)
    http_bucket_drop(b[i]);
  ck_assert_uint_eq(w.pool->buckets, 0);
  finish(&w);
}
END_TEST

/* ---- addresses ---- */

START_TEST(test_pool_addresses) {
  static const char *const good[] = {"127.0.0.1:1", "0.0.0.0:65535", "[::1]:80",
                                     "[fe80::1]:8", "unix:/a"};
  static const char *const bad[] = {"",
                                    ":80",
                                    "127.0.0.1",
                                    "127.0.0.1:",
                                    "1.2.3.4:0",
                                    "1.2.3.4:65536",
                                    "1.2.3.4:+5",
                                    "1.2.3.4:5 ",
                                    "1.2.3:80",
                                    "localhost:80",
                                    "::1:80",
                                    "[::1]",
                                    "[::1:80",
                                    "[::1]80",
                                    "unix:",
                                    "[1.2.3.4]:5",
                                    "1.2.3.4:000080"};
  http_address a;
  char path[200] = "unix:/";

  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    ck_assert_msg(http_address_parse(&a, good[i]), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(!http_address_parse(&a, bad[i]), "%s", bad[i]);
  ck_assert(http_address_parse(&a, "10.20.30.40:8080"));
  ck_assert_int_eq(a.to.any.sa_family, AF_INET);
  ck_assert_uint_eq(ntohl(a.to.in.sin_addr.s_addr), 0x0a141e28);
  ck_assert_uint_eq(ntohs(a.to.in.sin_port), 8080);
  ck_assert(http_address_parse(&a, "unix:/run/app.sock"));
  ck_assert_str_eq(a.to.un.sun_path, "/run/app.sock");
  memset(path + 6, 'x', 107); /* sun_path has 108 with the zero byte */
  ck_assert(!http_address_parse(&a, path));
  path[5 + 107] = '\0';
  ck_assert(http_address_parse(&a, path));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_pool");
  TCase *tc = tcase_create("http_pool");

  tcase_add_test(tc, test_pool_keeps_per_address_and_key);
  tcase_add_test(tc, test_pool_gives_the_newest_first_and_drops_the_oldest);
  tcase_add_test(tc, test_pool_all_keys_have_a_limit_together);
  tcase_add_test(tc, test_pool_closes_what_lies_idle);
  tcase_add_test(tc, test_pool_forgets_a_key_or_all);
  tcase_add_test(tc, test_pool_drops_idle_ones_that_end_or_speak);
  tcase_add_loop_test(tc, test_pool_looks_once_more_before_it_gives, 0, 2);
  tcase_add_test(tc, test_pool_does_not_keep_what_cannot_be_used);
  tcase_add_test(tc, test_pool_closed_while_links_are_used);
  tcase_add_test(tc, test_pool_many_addresses_and_keys);
  tcase_add_test(tc, test_pool_addresses);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
