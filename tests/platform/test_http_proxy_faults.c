/* What a proxy makes of servers that fail: which failure it is called, what the
   client sees of it, which connections are not used again.
   ctest: LABEL threads */
#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

typedef struct run {
  front *f;
  cft_client c;
} run;

static void begin(run *r, const front_config *config) {
  r->f = front_start(config);
  front_client(r->f, &r->c);
}

static void finish(run *r) {
  cft_client_close(&r->c);
  front_stop(r->f);
}

/* Asked, it answers 502 or 504 of that name. */
static void expect_failure(run *r, const char *request,
                           enum http_proxy_result result, const char *what) {
  char field[64], *body = front_ask(&r->c, "GET", request);

  (void)snprintf(field, sizeof field, "X-Result: %s",
                 front_result_name(result));
  ck_assert_msg(body != NULL && body[0] != '\0', "%s: %s", what, r->c.data);
  ck_assert_msg(front_has(r->c.data, field), "%s: not %s: %s", what, field,
                r->c.data);
  ck_assert_msg(front_wait(r->f, result, 1), "%s", what);
  free(body);
}

static void expect_ok(run *r, const char *request) {
  char *body = front_ask(&r->c, "GET", request);

  ck_assert_msg(body != NULL && strcmp(body, "ok") == 0, "%s", r->c.data);
  free(body);
}

/* ---- no connection ---- */

START_TEST(test_proxy_without_a_connection) {
  static const char *const wrong[] = {"localhost:80", "unix:", "127.0.0.1"};
  front_config config = {.rules = {.connect_ms = 50}};
  uint16_t port;
  int fds[2], fd = cft_port_refusing(&port);
  run r;

  ck_assert_int_ge(fd, 0);
  (void)snprintf(config.target, sizeof config.target, "127.0.0.1:%u", port);
  begin(&r, &config);
  expect_failure(&r, GET, HTTP_PROXY_REFUSED, "refused");
  expect_failure(&r,
                 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
                 HTTP_PROXY_REFUSED, "refused with a body");
  finish(&r);
  (void)close(fd);
  (void)snprintf(config.target, sizeof config.target, "unix:/nonexistent/a");
  begin(&r, &config);
  expect_failure(&r, GET, HTTP_PROXY_REFUSED, "no such socket");
  finish(&r);
  ck_assert(cft_port_hanging(&port, fds));
  (void)snprintf(config.target, sizeof config.target, "127.0.0.1:%u", port);
  begin(&r, &config);
  expect_failure(&r, GET, HTTP_PROXY_UNREACHABLE, "no connection in time");
  finish(&r);
  (void)close(fds[0]);
  (void)close(fds[1]);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    (void)snprintf(config.target, sizeof config.target, "%s", wrong[i]);
    begin(&r, &config);
    expect_failure(&r, GET, HTTP_PROXY_UNREACHABLE, wrong[i]);
    finish(&r);
  }
}
END_TEST

/* ---- no answer ---- */

#define INFORM "HTTP/1.1 102 Processing\r\n\r\n"
#define FOUR(x) x x x x

typedef struct bad {
  const char *name, *sent;
  enum cft_then then;
} bad;

static const bad no_heads[] = {
    {"closed at once", "", CFT_CLOSE},
    {"reset at once", "", CFT_RST},
    {"cut in the head", "HTTP/1.1 200 OK\r\nConte", CFT_CLOSE},
    {"reset in the head", "HTTP/1.1 200 OK\r\nConte", CFT_RST},
    {"cut before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
     CFT_CLOSE},
    {"closed behind a 103", "HTTP/1.1 103 Early Hints\r\n\r\n", CFT_CLOSE},
    {"something else", "SSH-2.0-OpenSSH_9.2\r\n\r\n", CFT_SILENCE},
    {"two framings",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
     "\r\n0\r\n\r\n",
     CFT_SILENCE},
    {"two lengths",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
     CFT_SILENCE},
    {"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
     CFT_SILENCE},
    {"an upgrade nobody asked for",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
     "Upgrade: websocket\r\n\r\n",
     CFT_SILENCE},
    {"heads without an end",
     FOUR(FOUR(INFORM)) INFORM "HTTP/1.1 200 OK\r\n\r\n", CFT_SILENCE},
};

START_TEST(test_proxy_no_answer) {
  const bad *b = &no_heads[_i];
  cft_step steps[] = {{.send = b->sent, .then = b->then},
                      {.send = OK, .times = CFT_FOREVER}};

  for (size_t slice = 0; slice < 2; slice++) {
    front_config config = {.target = ""};
    cft_peer *behind;
    run r;
    char *body;

    steps[0].slice = slice;
    behind = front_behind(&config, steps, 2);
    begin(&r, &config);
    cft_client_send(&r.c, GET);
    ck_assert_msg(cft_client_until(&r.c, "X-Result: broken\r\n", 20000),
                  "%s: %s", b->name, r.c.data);
    ck_assert_msg(front_wait(r.f, HTTP_PROXY_BROKEN, 1), "%s", b->name);
    ck_assert_msg(cft_peer_wait_open(behind, 0, 20000), "%s", b->name);
    /* Not tried again, and the client's connection is whole. */
    ck_assert_uint_eq(cft_peer_count(behind, CFT_ANY), 1);
    cft_client_close(&r.c);
    front_client(r.f, &r.c);
    body = front_ask(&r.c, "GET", GET);
    ck_assert_msg(body != NULL && strcmp(body, "ok") == 0, "%s: %s", b->name,
                  r.c.data);
    free(body);
    finish(&r);
    cft_peer_free(behind);
  }
}
END_TEST

START_TEST(test_proxy_a_giant_head_is_none) {
  char *giant = cft_calloc(1, 40000);
  cft_step step = {.send = giant, .then = CFT_SILENCE};
  front_config config = {.target = ""};
  cft_peer *behind;
  run r;

  (void)snprintf(giant, 40000, "HTTP/1.1 200 OK\r\nA: ");
  memset(giant + strlen(giant), 'a', 30000);
  behind = front_behind(&config, &step, 1);
  begin(&r, &config);
  expect_failure(&r, GET, HTTP_PROXY_BROKEN, "giant");
  ck_assert(cft_peer_wait_open(behind, 0, 20000));
  finish(&r);
  cft_peer_free(behind);
  free(giant);
}
END_TEST

START_TEST(test_proxy_no_head_in_time) {
  static const char *const parts[] = {NULL, "HTTP/1.1 200 OK\r\n", INFORM};

  for (size_t i = 0; i < 3; i++) {
    cft_step steps[] = {{.send = parts[i], .then = CFT_SILENCE},
                        {.send = OK, .times = CFT_FOREVER}};
    front_config config = {.rules = {.head_ms = 60}};
    cft_peer *behind = front_behind(&config, steps, 2);
    run r;

    begin(&r, &config);
    ck_assert(cft_client_send(&r.c, GET));
    ck_assert_msg(cft_client_until(&r.c, "X-Result: late\r\n", 20000), "%s",
                  r.c.data);
    ck_assert(cft_peer_wait_open(behind, 0, 20000));
    ck_assert_uint_eq(front_count(r.f, HTTP_PROXY_LATE), 1);
    finish(&r);
    cft_peer_free(behind);
  }
}
END_TEST

/* ---- cut within the answer ---- */

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LENGTH "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

static const bad cuts[] = {
    {"short of its length", LENGTH "hello", CFT_CLOSE},
    {"reset, short of its length", LENGTH "hello", CFT_RST},
    {"within a chunk", CHUNKED "10\r\nhello", CFT_CLOSE},
    {"between chunks", CHUNKED "5\r\nhello\r\n", CFT_CLOSE},
    {"within the last chunk", CHUNKED "5\r\nhello\r\n0\r\n", CFT_CLOSE},
    {"reset between chunks", CHUNKED "5\r\nhello\r\n", CFT_RST},
    {"no chunk", CHUNKED "5\r\nhello\r\nx\r\n", CFT_SILENCE},
    {"a chunk too long", CHUNKED "5\r\nhello!\r\n0\r\n\r\n", CFT_SILENCE},
    {"reset, without a length", "HTTP/1.1 200 OK\r\n\r\nhello", CFT_RST},
    {"silence", LENGTH "hello", CFT_SILENCE},
    {"silence without a length", "HTTP/1.1 200 OK\r\n\r\nhello", CFT_SILENCE},
};

/* A client of 1.0 knows the end of an answer without a length only by the
   connection's: it must not look like one. */
START_TEST(test_proxy_a_cut_is_seen_by_the_client) {
  static const char *const requests[] = {GET, "GET / HTTP/1.0\r\n\r\n"};
  const bad *b = &cuts[_i];
  cft_step step = {.send = b->sent, .then = b->then};

  for (int i = 0; i < 2; i++) {
    front_config config = {.rules = {.idle_ms = 100}};
    cft_peer *behind = front_behind(&config, &step, 1);
    run r;
    char *body;

    begin(&r, &config);
    body = front_ask(&r.c, "GET", requests[i]);
    ck_assert_msg(body == NULL, "%s: looks complete: %s", b->name, r.c.data);
    ck_assert_msg(cft_client_until_end(&r.c, 20000), "%s: not cut", b->name);
    if (strstr(r.c.data, "Content-Length") == NULL && i == 1)
      ck_assert_msg(r.c.end == CFT_END_RST, "%s: looks complete", b->name);
    ck_assert_msg(front_wait(r.f, HTTP_PROXY_CUT, 1), "%s", b->name);
    ck_assert_msg(cft_peer_wait_open(behind, 0, 20000), "%s", b->name);
    finish(&r);
    cft_peer_free(behind);
  }
}
END_TEST

/* ---- on_head ---- */

static enum http_proxy_result on_head(http_exchange *x, const http_head *head,
                                      void *user) {
  const http_field *claim = http_head_find(head, "X-Drone-Claim");

  ck_assert_ptr_nonnull(user);
  ck_assert_int_eq(http_exchange_status(x), 0);
  return claim != NULL && http_str_same(claim->value, "mine")
             ? HTTP_PROXY_OK
             : HTTP_PROXY_REJECTED;
}

START_TEST(test_proxy_nothing_of_a_rejected_answer_is_passed_on) {
  static const cft_step steps[] = {
      {.match = "/mine",
       .send = "HTTP/1.1 200 OK\r\nX-Drone-Claim: mine\r\nContent-Length: 2\r\n"
               "\r\nok",
       .times = CFT_FOREVER},
      {.match = "/other",
       .send = "HTTP/1.1 200 OK\r\nX-Drone-Claim: other\r\nX-Secret: s3cret\r\n"
               "Content-Length: 6\r\n\r\ns3cret",
       .times = CFT_FOREVER}};
  front_config config = {.rules = {.on_head = on_head}};
  cft_peer *behind = front_behind(&config, steps, 2);
  run r;

  begin(&r, &config);
  expect_ok(&r, "GET /mine HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_failure(&r, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n",
                 HTTP_PROXY_REJECTED, "other");
  ck_assert_ptr_null(strstr(r.c.data, "s3cret"));
  ck_assert(cft_peer_wait_open(behind, 0, 20000));
  expect_ok(&r, "GET /mine HTTP/1.1\r\nHost: a\r\n\r\n");
  ck_assert_uint_eq(cft_peer_accepted(behind), 2);
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

/* ---- connections that must not be used again ---- */

static const char *const beyond[] = {
    OK "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    OK "x",
    CHUNKED "2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
};

START_TEST(test_proxy_bytes_beyond_the_answer_are_nobodys) {
  cft_step steps[] = {{.send = beyond[_i], .then = CFT_SILENCE},
                      {.send = OK, .times = CFT_FOREVER}};
  front_config config = {.target = ""};
  cft_peer *behind = front_behind(&config, steps, 2);
  run r;

  begin(&r, &config);
  expect_ok(&r, GET);
  expect_ok(&r, GET);
  ck_assert(cft_peer_wait_open(behind, 1, 20000));
  ck_assert_uint_eq(cft_peer_accepted(behind), 2);
  ck_assert_ptr_null(strstr(r.c.data, "smuggled"));
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

static void on_head_only(cft_conn *conn, void *user) {
  char data[4096];
  size_t got = 0;

  (void)user;
  (void)cft_conn_read(conn, data, sizeof data, &got); /* and closes */
}

/* What still comes of the body is nobody's. */
START_TEST(test_proxy_a_failure_may_be_answered_later) {
  front_config config = {.late = true};
  cft_peer *behind = front_behind_handler(&config, on_head_only, NULL);
  run r;

  begin(&r, &config);
  ck_assert(cft_client_send(&r.c, "PUT / HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 6\r\n\r\nbeg"));
  ck_assert(front_wait(r.f, HTTP_PROXY_BROKEN, 1));
  ck_assert(cft_client_send(&r.c, "in!"));
  ck_assert(cft_client_until(&r.c, "later", 20000));
  ck_assert(front_has(r.c.data, "X-Result: broken"));
  cft_client_close(&r.c);
  /* Or not at all, if the client has gone. */
  front_client(r.f, &r.c);
  ck_assert(cft_client_send(&r.c, "PUT / HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Length: 6\r\n\r\nbeg"));
  ck_assert(front_wait(r.f, HTTP_PROXY_BROKEN, 2));
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

/* The server behind is not to blame for a body that does not come. */
START_TEST(test_proxy_a_slow_body_is_the_clients_fault) {
  static const cft_step step = {.send = OK};
  front_config config = {.idle_ms = 400,
                         .rules = {.idle_ms = 50, .head_ms = 50}};
  cft_peer *behind = front_behind(&config, &step, 1);
  char *body;
  run r;

  begin(&r, &config);
  body = front_ask(&r.c, "PUT",
                   "PUT / HTTP/1.1\r\nHost: a\r\n"
                   "Content-Length: 6\r\n\r\nbeg");
  ck_assert_ptr_nonnull(body);
  ck_assert_msg(front_status(r.c.data) == 408, "%s", r.c.data);
  ck_assert(front_wait(r.f, HTTP_PROXY_CLIENT, 1));
  ck_assert(cft_peer_wait_open(behind, 0, 20000));
  free(body);
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof *(list))

int main(void) {
  Suite *suite = suite_create("http_proxy_faults");
  TCase *tc = tcase_create("http_proxy_faults");

  tcase_add_test(tc, test_proxy_without_a_connection);
  tcase_add_loop_test(tc, test_proxy_no_answer, 0, COUNT(no_heads));
  tcase_add_test(tc, test_proxy_a_giant_head_is_none);
  tcase_add_test(tc, test_proxy_no_head_in_time);
  tcase_add_loop_test(tc, test_proxy_a_cut_is_seen_by_the_client, 0,
                      COUNT(cuts));
  tcase_add_test(tc, test_proxy_nothing_of_a_rejected_answer_is_passed_on);
  tcase_add_loop_test(tc, test_proxy_bytes_beyond_the_answer_are_nobodys, 0,
                      COUNT(beyond));
  tcase_add_test(tc, test_proxy_a_failure_may_be_answered_later);
  tcase_add_test(tc, test_proxy_a_slow_body_is_the_clients_fault);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
