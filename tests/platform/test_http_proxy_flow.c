/* What goes through a proxy comes as it is sent, and ends where it ends:
   streams both ways, 100-continue, clients that go, answers that come early.
   ctest: LABEL threads */
#include "platform/support/front_run.h"

/* ---- as it comes ---- */

static void on_stream(cft_conn *conn, void *user) {
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\n\r\n") && read_word(conn, &in, "first")) {
    atomic_store(&r->bytes, 1);
    if (read_word(conn, &in, "second") &&
        cft_conn_sendf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n") &&
        wait_step(conn, r, 1) && cft_conn_send(conn, "hello", 5) &&
        wait_step(conn, r, 2))
      (void)cft_conn_send(conn, "world", 5);
  }
  text_free(&in);
}

START_TEST(test_proxy_passes_pieces_on_as_they_come) {
  run r = {0};

  begin(&r, (front_config){0}, on_stream);
  ck_assert(cft_client_send(&r.c, "PUT / HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 11\r\n\r\nfirst"));
  ck_assert(cft_until(is_past, &r, WAIT_MS));
  ck_assert(cft_client_send(&r.c, "second"));
  ck_assert(cft_client_until(&r.c, "\r\n\r\n", WAIT_MS));
  ck_assert_ptr_null(strstr(r.c.data, "hello"));
  go(&r, 1);
  ck_assert(cft_client_until(&r.c, "hello", WAIT_MS));
  ck_assert_ptr_null(strstr(r.c.data, "world"));
  go(&r, 2);
  ck_assert(cft_client_until(&r.c, "world", WAIT_MS));
  finish(&r);
}
END_TEST

/* The answer begins before the request's body is over, and both go on. */
static void on_both(cft_conn *conn, void *user) {
  text in = TEXT_INIT;

  (void)user;
  if (read_word(conn, &in, "one") &&
      cft_conn_sendf(conn,
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") &&
      cft_conn_chunk(conn, "ONE", 3) && read_word(conn, &in, "two") &&
      cft_conn_chunk(conn, "TWO", 3) && read_word(conn, &in, "0\r\n\r\n") &&
      cft_conn_last_chunk(conn))
    cft_conn_stall(conn);
  text_free(&in);
}

START_TEST(test_proxy_both_ways_at_once) {
  run r = {0};

  begin(&r, (front_config){0}, on_both);
  ck_assert(cft_client_send(&r.c, "POST / HTTP/1.1\r\nHost: a\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n"
                                  "3\r\none\r\n"));
  ck_assert(cft_client_until(&r.c, "ONE", WAIT_MS));
  ck_assert(cft_client_send(&r.c, "3\r\ntwo\r\n"));
  ck_assert(cft_client_until(&r.c, "TWO", WAIT_MS));
  ck_assert(cft_client_send(&r.c, "0\r\n\r\n"));
  ck_assert(cft_client_until(&r.c, "\r\n0\r\n\r\n", WAIT_MS));
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  ck_assert_uint_eq(cft_peer_open(r.behind), 1); /* kept */
  finish(&r);
}
END_TEST

/* ---- 1xx ---- */

#define EXPECT                                                                 \
  "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"                      \
  "Content-Length: 5\r\n\r\n"

static void on_expect(cft_conn *conn, void *user) {
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\nExpect: 100-continue\r\n") &&
      read_word(conn, &in, "\r\n\r\n") && wait_step(conn, r, 1) &&
      (r->script == NULL ||
       cft_conn_send(conn, r->script, strlen(r->script))) &&
      read_word(conn, &in, "hello"))
    (void)cft_conn_send(conn, OK, strlen(OK));
  text_free(&in);
}

START_TEST(test_proxy_passes_on_expect_and_100) {
  run r = {.script = "HTTP/1.1 100 Continue\r\n\r\n"};

  begin(&r, (front_config){0}, on_expect);
  ck_assert(cft_client_send(&r.c, EXPECT));
  ck_assert(cft_client_quiet(&r.c, 100)); /* it is the server that says it */
  go(&r, 1);
  ck_assert(cft_client_until(&r.c, "HTTP/1.1 100 Continue\r\n\r\n", WAIT_MS));
  ck_assert(cft_client_send(&r.c, "hello"));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", WAIT_MS));
  ck_assert_ptr_null(strstr(r.c.data + 10, "100 Continue"));
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  finish(&r);
}
END_TEST

START_TEST(test_proxy_passes_on_a_refusal_of_what_is_expected) {
  run r = {.script = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2"
                     "\r\n\r\nno"};

  begin(&r, (front_config){0}, on_expect);
  ck_assert(cft_client_send(&r.c, EXPECT));
  go(&r, 1);
  ck_assert(cft_client_until(&r.c, "\r\n\r\nno", WAIT_MS));
  ck_assert_int_eq(front_status(r.c.data), 417);
  ck_assert_ptr_null(strstr(r.c.data, "100 Continue"));
  /* The server still waits for a body: not to be used again. */
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  finish(&r);
}
END_TEST

START_TEST(test_proxy_does_not_wait_forever_for_a_100) {
  run r = {.script = NULL};

  begin(&r, (front_config){0}, on_expect);
  go(&r, 1);
  ck_assert(cft_client_send(&r.c, EXPECT));
  ck_assert(cft_client_until(&r.c, "HTTP/1.1 100 Continue\r\n\r\n", WAIT_MS));
  ck_assert(cft_client_send(&r.c, "hello"));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", WAIT_MS));
  finish(&r);
}
END_TEST

static void on_hints(cft_conn *conn, void *user) {
  text in = TEXT_INIT;

  (void)user;
  if (read_word(conn, &in, "\r\n\r\n"))
    (void)cft_conn_sendf(conn, "HTTP/1.1 100 Continue\r\n\r\n"
                               "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                               "HTTP/1.1 102 Processing\r\n\r\n" OK);
  text_free(&in);
}

START_TEST(test_proxy_passes_on_other_1xx) {
  run r = {0};
  char *body;

  begin(&r, (front_config){0}, on_hints);
  ck_assert(cft_client_send(&r.c, GET));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", WAIT_MS));
  ck_assert_int_eq(front_status(r.c.data), 103);
  ck_assert_ptr_nonnull(strstr(r.c.data, "HTTP/1.1 102 "));
  ck_assert_ptr_null(strstr(r.c.data, "HTTP/1.1 100 ")); /* nobody expects it */
  cft_client_close(&r.c);
  front_client(r.f, &r.c); /* 1.0 has none */
  body = front_ask(&r.c, "GET", "GET / HTTP/1.0\r\n\r\n");
  ck_assert_str_eq(body, "ok");
  ck_assert_int_eq(front_status(r.c.data), 200);
  free(body);
  finish(&r);
}
END_TEST

/* ---- early answers, clients that go ---- */

static void on_early(cft_conn *conn, void *user) {
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\n\r\nbegin"))
    (void)cft_conn_send(conn, OK, strlen(OK));
  if (r->script != NULL)
    cft_conn_then(conn, CFT_CLOSE);
  cft_conn_stall(conn);
  text_free(&in);
}

START_TEST(test_proxy_an_answer_may_come_before_the_body_is_over) {
  run r = {.script = _i == 0 ? NULL : "close"};

  begin(&r, (front_config){0}, on_early);
  ck_assert(cft_client_send(&r.c, "PUT / HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 10\r\n\r\nbegin"));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", WAIT_MS));
  ck_assert(front_wait(r.f, HTTP_PROXY_OK, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  /* What is left of the body is not taken for a request. */
  ck_assert(cft_client_send(&r.c, "body!" GET));
  if (cft_client_until(&r.c, "HTTP/1.1 400", 200))
    ck_abort_msg("%s", r.c.data);
  finish(&r);
}
END_TEST

static void on_flood(cft_conn *conn, void *user) {
  static const char data[16384];
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\n\r\n") &&
      cft_conn_sendf(conn, "HTTP/1.1 200 OK\r\n\r\n"))
    while (cft_conn_send(conn, data, sizeof data))
      atomic_fetch_add(&r->bytes, sizeof data);
  atomic_store(&r->ended, true);
  text_free(&in);
}

static void on_mute(cft_conn *conn, void *user) {
  run *r = user;
  text in = TEXT_INIT;

  if (read_word(conn, &in, "\r\n\r\n")) {
    atomic_store(&r->bytes, 1);
    cft_conn_stall(conn);
  }
  atomic_store(&r->ended, true);
  text_free(&in);
}

static void reset(cft_client *c) {
  const struct linger now = {1, 0};

  ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                   0);
  cft_client_close(c);
}

START_TEST(test_proxy_a_client_that_goes_ends_it_behind_too) {
  static const cft_handler handlers[] = {on_flood, on_mute};
  run r = {0};

  begin(&r, (front_config){0}, handlers[_i]);
  ck_assert(cft_client_send(&r.c, GET));
  ck_assert(cft_until(is_past, &r, WAIT_MS));
  reset(&r.c);
  ck_assert(front_wait(r.f, HTTP_PROXY_CLIENT, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  front_client(r.f, &r.c);
  finish(&r);
}
END_TEST

START_TEST(test_proxy_a_client_that_goes_within_its_body) {
  run r = {0};

  begin(&r, (front_config){0}, on_mute);
  ck_assert(cft_client_send(&r.c, "PUT / HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 10\r\n\r\nbegin"));
  ck_assert(cft_until(is_past, &r, WAIT_MS));
  cft_client_close(&r.c);
  ck_assert(front_wait(r.f, HTTP_PROXY_CLIENT, 1));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  front_client(r.f, &r.c);
  finish(&r);
}
END_TEST

/* Closed while exchanges go on: in each of their phases. */
START_TEST(test_proxy_closed_in_the_middle) {
  static const cft_handler handlers[] = {on_flood, on_mute, on_expect};
  run r = {0};

  begin(&r, (front_config){0}, handlers[_i]);
  ck_assert(cft_client_send(&r.c, _i == 2 ? EXPECT : GET));
  if (_i != 2)
    ck_assert(cft_until(is_past, &r, WAIT_MS));
  front_stop(r.f);
  ck_assert(cft_client_until_end(&r.c, WAIT_MS));
  ck_assert(cft_peer_wait_open(r.behind, 0, WAIT_MS));
  cft_client_close(&r.c);
  cft_peer_free(r.behind);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_proxy_flow");
  TCase *tc = tcase_create("http_proxy_flow");

  tcase_add_test(tc, test_proxy_passes_pieces_on_as_they_come);
  tcase_add_test(tc, test_proxy_both_ways_at_once);
  tcase_add_test(tc, test_proxy_passes_on_expect_and_100);
  tcase_add_test(tc, test_proxy_passes_on_a_refusal_of_what_is_expected);
  tcase_add_test(tc, test_proxy_does_not_wait_forever_for_a_100);
  tcase_add_test(tc, test_proxy_passes_on_other_1xx);
  tcase_add_loop_test(tc, test_proxy_an_answer_may_come_before_the_body_is_over,
                      0, 2);
  tcase_add_loop_test(tc, test_proxy_a_client_that_goes_ends_it_behind_too, 0,
                      2);
  tcase_add_test(tc, test_proxy_a_client_that_goes_within_its_body);
  tcase_add_loop_test(tc, test_proxy_closed_in_the_middle, 0, 3);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
