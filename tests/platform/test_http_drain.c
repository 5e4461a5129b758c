/* A server that drains lets nobody down who was there in time. */
#include "platform/support/served.h"

#include "support/unit.h"
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define HELLO_CLOSE                                                            \
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

static const http_server_config plain = {.idle_ms = 20000};

static void on_drained(void *ctx) { ((served *)ctx)->drained++; }

/* The kernel has let him in, the server has not seen him. */
START_TEST(test_drain_answers_who_waits_to_be_accepted) {
  served w;
  int fds[3];

  served_open(&w, &plain);
  for (int i = 0; i < 3; i++)
    fds[i] = served_connect(&w);
  ck_assert_int_gt(write(fds[0], GET("/hello"), sizeof GET("/hello") - 1), 0);
  http_server_drain(w.server, 20000, on_drained, &w);
  ck_assert_uint_eq(http_server_connections(w.server), 3);
  /* Who speaks now is in time, too; who does not is not waited for. */
  ck_assert_int_gt(write(fds[1], GET("/hello"), sizeof GET("/hello") - 1), 0);
  ck_assert_str_eq(served_read(&w, fds[0], NULL), HELLO_CLOSE);
  ck_assert_str_eq(served_read(&w, fds[1], NULL), HELLO_CLOSE);
  ck_assert_str_eq(served_read(&w, fds[2], NULL), "");
  for (int i = 0; i < 3; i++)
    (void)close(fds[i]);
  served_until(&w, w.drained == 1);
  served_close(&w);
}
END_TEST

START_TEST(test_drain_answers_a_request_that_is_on_its_way) {
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hello"));
  ck_assert_str_eq(served_read(&w, fd, "hello"), HELLO);
  http_server_drain(w.server, 20000, on_drained, &w);
  ck_assert_int_gt(write(fd, GET("/hello"), sizeof GET("/hello") - 1), 0);
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO_CLOSE);
  (void)close(fd);
  served_until(&w, w.drained == 1);
  served_close(&w);
}
END_TEST

START_TEST(test_drain_without_time_is_over_at_once) {
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hold"));
  served_until(&w, w.held != NULL);
  http_server_drain(w.server, 0, on_drained, &w);
  ck_assert_int_eq(w.drained, 0);
  served_until(&w, w.drained == 1);
  ck_assert_int_eq(w.gone, 1);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_drain_may_be_closed_meanwhile) {
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hold"));
  served_until(&w, w.held != NULL);
  http_server_drain(w.server, 20000, on_drained, &w);
  served_close(&w);
  ck_assert_int_eq(w.gone, 1);
  ck_assert_int_eq(w.drained, 0);
  (void)close(fd);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_drain");
  TCase *tc = tcase_create("http_drain");

  tcase_add_test(tc, test_drain_answers_who_waits_to_be_accepted);
  tcase_add_test(tc, test_drain_answers_a_request_that_is_on_its_way);
  tcase_add_test(tc, test_drain_without_time_is_over_at_once);
  tcase_add_test(tc, test_drain_may_be_closed_meanwhile);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
