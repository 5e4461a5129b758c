/*
 * The server over real sockets: answers of each kind, connections that are used
 * again, bodies, pieces of any size, and clients that go.
 */
#include "support/unit.h"

#include "common/http_server.h"
#include "platform/support/served.h"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST(path)                                                             \
  "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define HELLO_CLOSE                                                            \
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

static const http_server_config plain = {.idle_ms = 20000};

START_TEST(test_server_answers_and_keeps_the_connection) {
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  for (int i = 0; i < 3; i++) {
    served_say(&w, fd, GET("/hello"));
    ck_assert_str_eq(served_read(&w, fd, "hello"), HELLO);
  }
  ck_assert_uint_eq(http_server_connections(w.server), 1);
  served_say(&w, fd, LAST("/hello"));
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO_CLOSE);
  ck_assert(!w.got_reset);
  (void)close(fd);
  ck_assert_int_eq(w.done, 4);
  ck_assert_int_eq(w.gone, 0);
  ck_assert_int_eq(w.status, 200);
  served_close(&w);
}
END_TEST

START_TEST(test_server_keeps_connections_of_http_1_0_that_ask) {
  served w;
  int fd;

  served_open(&w, &plain);
  ck_assert_str_eq(served_ask(&w, "GET /hello HTTP/1.0\r\n\r\n"), HELLO_CLOSE);
  fd = served_connect(&w);
  served_say(&w, fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ck_assert_str_eq(served_read(&w, fd, "hello"),
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                   "Connection: keep-alive\r\n\r\nhello");
  /* chunks are not for it: the end is the connection's */
  served_say(&w, fd,
             "POST /stream HTTP/1.0\r\nConnection: keep-alive\r\n"
             "Content-Length: 3\r\n\r\nabc");
  ck_assert_str_eq(served_read(&w, fd, NULL),
                   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_answers_in_each_framing) {
  served w;

  served_open(&w, &plain);
  ck_assert_str_eq(served_ask(&w, LAST("/length")),
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                   "Connection: close\r\n\r\nabcde");
  ck_assert_str_eq(served_ask(&w, GET("/close")),
                   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab");
  ck_assert(!w.got_reset);
  ck_assert_str_eq(served_ask(&w, LAST("/empty")),
                   "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  ck_assert_str_eq(served_ask(&w, LAST("/nothing")),
                   "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n\r\n");
  ck_assert_str_eq(
      served_ask(&w, "POST /stream HTTP/1.1\r\nHost: a\r\nConnection: close"
                     "\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n0\r\n\r\n"),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
      "Connection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  ck_assert_str_eq(served_ask(&w, LAST("/inform")),
                   "HTTP/1.1 103 Early Hints\r\n\r\n" HELLO_CLOSE);
  served_close(&w);
}
END_TEST

START_TEST(test_server_sends_no_body_to_head) {
  served w;

  served_open(&w, &plain);
  ck_assert_str_eq(
      served_ask(&w, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                     "HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n"
                     "HEAD /close HTTP/1.1\r\nHost: a\r\n\r\n" LAST("/hello")),
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
      "HTTP/1.1 200 OK\r\n\r\n" HELLO_CLOSE);
  served_close(&w);
}
END_TEST

START_TEST(test_server_shows_that_an_answer_is_cut) {
  served w;

  served_open(&w, &plain);
  ck_assert_str_eq(served_ask(&w, GET("/cut")),
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "2\r\nab\r\n");
  ck_assert_str_eq(served_ask(&w, GET("/short")),
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  (void)served_ask(&w, GET("/cutclose"));
  ck_assert(w.got_reset);
  ck_assert_str_eq(served_ask(&w, GET("/drop")), "");
  ck_assert_int_eq(w.done, 4);
  ck_assert_int_eq(w.gone, 0);
  served_close(&w);
}
END_TEST

static const char many[] = GET(
    "/hello") "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
              "abc"
              "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
              "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
              "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
              "chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n" LAST("/empty");
static const char many_answers[] =
    HELLO "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" HELLO
          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz"
          "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

START_TEST(test_server_pipelined_requests_are_answered_in_turn) {
  served w;

  served_open(&w, &plain);
  ck_assert_str_eq(served_ask(&w, many), many_answers);
  served_close(&w);
}
END_TEST

START_TEST(test_server_pieces_do_not_matter) {
  served w;

  served_open(&w, &plain);
  for (size_t cut = 1; cut < sizeof many - 1; cut++) {
    int fd = served_connect(&w);

    served_send(&w, fd, many, cut);
    served_send(&w, fd, many + cut, sizeof many - 1 - cut);
    ck_assert_str_eq(served_read(&w, fd, NULL), many_answers);
    (void)close(fd);
  }
  {
    int fd = served_connect(&w);

    for (size_t i = 0; i < sizeof many - 1; i++)
      served_send(&w, fd, many + i, 1);
    ck_assert_str_eq(served_read(&w, fd, NULL), many_answers);
    (void)close(fd);
  }
  served_close(&w);
}
END_TEST

START_TEST(test_server_half_close_gets_its_answers) {
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hello") GET("/hold") GET("/hello"));
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ck_assert_str_eq(served_read(&w, fd, "hello"), HELLO);
  served_until(&w, w.held != NULL);
  for (int i = 0; i < 5; i++)
    served_turn(&w, -1);
  ck_assert_int_eq(w.gone, 0);
  http_exchange_answer(w.held, 200, NULL, 0, "held", 4);
  ck_assert_str_eq(served_read(&w, fd, NULL),
                   "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld" HELLO);
  (void)close(fd);
  served_until(&w, http_server_connections(w.server) == 0);
  served_close(&w);
}
END_TEST

START_TEST(test_server_tells_once_that_a_client_has_gone) {
  struct linger reset = {1, 0};
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, GET("/hold"));
  served_until(&w, w.held != NULL);
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset),
                   0);
  (void)close(fd);
  served_until(&w, w.gone == 1);
  ck_assert_int_eq(w.done, 1);

  /* in the middle of a large answer */
  w.big = 64 << 20;
  fd = served_connect(&w);
  served_say(&w, fd, GET("/big"));
  (void)served_read(&w, fd, "bb");
  (void)close(fd);
  served_until(&w, w.gone == 2);
  ck_assert_int_eq(w.done, 2);

  /* in the middle of a body */
  fd = served_connect(&w);
  served_say(&w, fd,
             "POST /echo HTTP/1.1\r\nHost: a\r\n"
             "Content-Length: 10\r\n\r\nabc");
  served_until(&w, w.asked == 3);
  (void)close(fd);
  served_until(&w, w.gone == 3);
  served_until(&w, http_server_connections(w.server) == 0);
  served_close(&w);
  ck_assert_int_eq(w.gone, 3);
}
END_TEST

START_TEST(test_server_says_continue_when_the_body_is_asked_for) {
  static const char head[] =
      "POST /echo HTTP/1.1\r\nHost: a\r\n"
      "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, head);
  ck_assert_str_eq(served_read(&w, fd, "\r\n\r\n"),
                   "HTTP/1.1 100 Continue\r\n\r\n");
  served_say(&w, fd, "abc" GET("/hello"));
  ck_assert_str_eq(served_read(&w, fd, "hello"),
                   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" HELLO);
  /* the body is there already: nobody waits */
  served_say(&w, fd,
             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Expect: 100-continue\r\n\r\nabc");
  ck_assert_str_eq(served_read(&w, fd, "abc"),
                   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  /* answered without it: it may come or not, so the connection ends */
  served_say(&w, fd,
             "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Expect: 100-continue\r\n\r\n");
  ck_assert_str_eq(served_read(&w, fd, NULL), HELLO_CLOSE);
  (void)close(fd);
  served_close(&w);
}
END_TEST

START_TEST(test_server_tunnels_after_an_upgrade) {
  static const char ask[] = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: "
                            "Upgrade\r\nUpgrade: websocket\r\n\r\nfirst";
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, ask);
  ck_assert_str_eq(served_read(&w, fd, "first"),
                   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\n\r\nfirst");
  served_say(&w, fd, GET("/hello"));
  ck_assert_str_eq(served_read(&w, fd, "\r\n\r\n"), GET("/hello"));
  ck_assert_int_eq(w.done, 0);
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ck_assert_str_eq(served_read(&w, fd, NULL), "");
  (void)close(fd);
  served_until(&w, http_server_connections(w.server) == 0);
  ck_assert_int_eq(w.done, 1);
  ck_assert_int_eq(w.gone, 0);
  ck_assert_int_eq(w.status, 101);
  /* nobody asked for one */
  ck_assert_str_eq(served_ask(&w, GET("/upgrade")), "");
  served_close(&w);
}
END_TEST

START_TEST(test_server_may_end_its_side_of_a_tunnel_first) {
  static const char ask[] =
      "GET /upgrade-end HTTP/1.1\r\nHost: a\r\nConnection: "
      "Upgrade\r\nUpgrade: websocket\r\n\r\n";
  served w;
  int fd;

  served_open(&w, &plain);
  fd = served_connect(&w);
  served_say(&w, fd, ask);
  ck_assert_str_eq(served_read(&w, fd, NULL),
                   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\n\r\nbye");
  served_say(&w, fd, "still here");
  served_until(&w, w.taken == 10);
  ck_assert_int_eq(w.done, 0);
  (void)close(fd);
  served_until(&w, w.done == 1);
  ck_assert_int_eq(w.gone, 0);
  ck_assert_uint_eq(w.sent, 3);
  served_until(&w, http_server_connections(w.server) == 0);
  served_close(&w);
}
END_TEST

START_TEST(test_server_keeps_the_promises_of_an_answer) {
  served w;

  served_open(&w, &plain);
  /* what is too much is not sent, and the client sees that something is wrong
   */
  ck_assert_str_eq(served_ask(&w, GET("/much")),
                   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab");
  ck_assert_int_eq(w.done, 1);
  (void)served_ask(&w, LAST("/fields"));
  ck_assert_str_eq(text_get(&w.got),
                   "HTTP/1.1 200 OK\r\nX-Good: 1\r\n"
                   "date: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Last: \r\n"
                   "Content-Length: 5\r\nConnection: close\r\n\r\nhello");
  ck_assert_uint_eq(w.sent, 5);
  served_close(&w);
}
END_TEST

static void addresses(const char *address, const char *begins) {
  http_server_config config = plain;
  served w;

  config.address = address;
  served_open(&w, &config);
  ck_assert_msg(
      strncmp(http_server_address(w.server), begins, strlen(begins)) == 0, "%s",
      http_server_address(w.server));
  ck_assert_str_eq(served_ask(&w, LAST("/hello")), HELLO_CLOSE);
  served_close(&w);
}

START_TEST(test_server_an_address_is_one_servers) {
  char path[40] = "/tmp/test-http-XXXXXX", address[80], error[200] = "";
  http_server_config config = plain;
  http_server *more;
  served w;

  served_open(&w, &config);
  config.address = http_server_address(w.server);
  ck_assert_ptr_null(http_server_open(&w.loop, &config, error, sizeof error));
  ck_assert_msg(strstr(error, config.address) != NULL, "%s", error);
  served_close(&w);
  /* unless it shares */
  config = plain;
  config.reuse_port = true;
  served_open(&w, &config);
  config.address = http_server_address(w.server);
  more = http_server_open(&w.loop, &config, error, sizeof error);
  ck_assert_msg(more != NULL, "%s", error);
  http_server_close(more, NULL, NULL);
  served_close(&w);
  /* a socket that nobody listens to is left over, another is not */
  config = plain;
  ck_assert_ptr_nonnull(mkdtemp(path));
  (void)snprintf(address, sizeof address, "unix:%s/s", path);
  config.address = address;
  served_open(&w, &config);
  ck_assert_ptr_null(http_server_open(&w.loop, &config, error, sizeof error));
  ck_assert_int_eq(link(address + 5, strncat(path, "/t", 3)), 0);
  served_close(&w);
  (void)snprintf(address, sizeof address, "unix:%s", path);
  served_open(&w, &config);
  ck_assert_str_eq(served_ask(&w, LAST("/hello")), HELLO_CLOSE);
  served_close(&w);
  *strrchr(path, '/') = '\0';
  ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(test_server_listens_where_it_is_told) {
  char path[] = "/tmp/test-http-XXXXXX", address[80];
  static const char *const wrong[] = {
      "",       "127.0.0.1",     "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
      "host:1", "[127.0.0.1]:0", "[::1:0",     "unix:",       "::1:0",
      "1.2.3:0"};
  http_server_config config = plain;
  uv_loop_t loop;
  char error[200];

  addresses("127.0.0.1:0", "127.0.0.1:");
  addresses("[::1]:0", "[::1]:");
  ck_assert_ptr_nonnull(mkdtemp(path));
  (void)snprintf(address, sizeof address, "unix:%s/s", path);
  addresses(address, address);
  addresses(address, address);
  ck_assert_int_eq(rmdir(path), 0);
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    config.address = wrong[i];
    error[0] = '\0';
    ck_assert_ptr_null(http_server_open(&loop, &config, error, sizeof error));
    ck_assert_msg(strstr(error, wrong[i]) != NULL, "%s: %s", wrong[i], error);
  }
  ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_server");
  TCase *tc = tcase_create("server");

  tcase_add_test(tc, test_server_answers_and_keeps_the_connection);
  tcase_add_test(tc, test_server_keeps_connections_of_http_1_0_that_ask);
  tcase_add_test(tc, test_server_answers_in_each_framing);
  tcase_add_test(tc, test_server_sends_no_body_to_head);
  tcase_add_test(tc, test_server_shows_that_an_answer_is_cut);
  tcase_add_test(tc, test_server_pipelined_requests_are_answered_in_turn);
  tcase_add_test(tc, test_server_pieces_do_not_matter);
  tcase_add_test(tc, test_server_half_close_gets_its_answers);
  tcase_add_test(tc, test_server_tells_once_that_a_client_has_gone);
  tcase_add_test(tc, test_server_says_continue_when_the_body_is_asked_for);
  tcase_add_test(tc, test_server_tunnels_after_an_upgrade);
  tcase_add_test(tc, test_server_may_end_its_side_of_a_tunnel_first);
  tcase_add_test(tc, test_server_keeps_the_promises_of_an_answer);
  tcase_add_test(tc, test_server_an_address_is_one_servers);
  tcase_add_test(tc, test_server_listens_where_it_is_told);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
