/* Which requests are tried again, and which must not be.
   ctest: LABEL threads */
#include "platform/support/front.h"

#include "support/unit.h"

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

static void expect_ok(run *r, const char *request) {
  char *body = front_ask(&r->c, "GET", request);

  ck_assert_msg(body != NULL && strcmp(body, "ok") == 0, "%s", r->c.data);
  free(body);
}

/* The first connection answers one request, and does this with the second; the
   others answer all, or nothing. */
typedef struct fickle {
  const char *second;
  enum cft_then then;
  bool all; /* connections are like that */
} fickle;

static void on_fickle(cft_conn *conn, void *user) {
  const fickle *f = user;
  const cft_request *req;
  int count = 0;

  while (cft_conn_read_request(conn, &req)) {
    if ((cft_conn_number(conn) == 1 && count++ == 1) ||
        (cft_conn_number(conn) > 1 && f->all)) {
      (void)cft_conn_send(conn, f->second, strlen(f->second));
      (void)cft_conn_then(conn, f->then);
      return;
    }
    if (!cft_conn_send(conn, OK, strlen(OK)))
      return;
  }
}

typedef struct again {
  const char *name;
  fickle fickle;
  const char *request;
  bool ok;
  size_t requests; /* that came, the first that was answered too */
} again;

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const again agains[] = {
    {"closed", {"", CFT_CLOSE, false}, GET, true, 3},
    {"reset", {"", CFT_RST, false}, GET, true, 3},
    {"only once", {"", CFT_CLOSE, true}, GET, false, 3},
    {"an answer had begun", {"HTTP", CFT_CLOSE, false}, GET, false, 2},
    {"a 103 had come",
     {"HTTP/1.1 103 Early Hints\r\n\r\n", CFT_CLOSE, false},
     GET,
     false,
     2},
    {"its body was sent",
     {"", CFT_CLOSE, false},
     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
     false,
     2},
    {"not to be repeated",
     {"", CFT_CLOSE, false},
     POST "Content-Length: 0\r\n\r\n",
     false,
     2},
    {"may be repeated",
     {"", CFT_CLOSE, false},
     "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
     true,
     3},
};

START_TEST(test_proxy_tries_again_only_when_it_may) {
  const again *a = &agains[_i];
  fickle user = a->fickle;
  front_config config = {.target = ""};
  cft_peer *behind = front_behind_handler(&config, on_fickle, &user);
  run r;

  begin(&r, &config);
  expect_ok(&r, GET);
  if (a->ok) {
    expect_ok(&r, a->request);
  } else {
    ck_assert(cft_client_send(&r.c, a->request));
    ck_assert_msg(cft_client_until(&r.c, "X-Result: broken\r\n", 20000),
                  "%s: %s", a->name, r.c.data);
  }
  ck_assert_msg(cft_peer_count(behind, CFT_ANY) == a->requests, "%s: %zu",
                a->name, cft_peer_count(behind, CFT_ANY));
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

/* Closed by the server before the request: even what must not be repeated finds
   a connection that lives. */
START_TEST(test_proxy_a_stale_connection_is_no_failure) {
  static const cft_step steps[] = {{.send = OK, .then = CFT_CLOSE, .times = 9}};
  front_config config = {.target = ""};
  cft_peer *behind = front_behind(&config, steps, 1);
  run r;

  begin(&r, &config);
  for (int i = 0; i < 9; i++) {
    expect_ok(&r, POST "Content-Length: 2\r\n\r\nhi");
    ck_assert(cft_peer_wait_open(behind, 0, 20000));
  }
  ck_assert_uint_eq(cft_peer_count(behind, CFT_ANY), 9);
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

/* The first connection ends at its second request's head. */
static void on_expecting(cft_conn *conn, void *user) {
  const cft_request *req;
  char data[4096] = "";
  size_t len = 0, got = 0;

  (void)user;
  if (cft_conn_number(conn) == 1) {
    if (cft_conn_read_request(conn, &req) &&
        cft_conn_send(conn, OK, strlen(OK)))
      (void)cft_conn_read(conn, data, sizeof data, &got);
    return;
  }
  while (strstr(data, "\r\n\r\nhi") == NULL) {
    if (!cft_conn_read(conn, data + len, sizeof data - 1 - len, &got) ||
        got == 0)
      return;
    len += got;
    if (strstr(data, "\r\n\r\n") == data + len - 4 &&
        !cft_conn_sendf(conn, "HTTP/1.1 100 Continue\r\n\r\n"))
      return;
  }
  (void)cft_conn_send(conn, OK, strlen(OK));
}

/* A POST, too: without its body, nothing was done. */
START_TEST(test_proxy_tries_again_what_waits_for_a_100) {
  front_config config = {.target = ""};
  cft_peer *behind = front_behind_handler(&config, on_expecting, NULL);
  run r;

  begin(&r, &config);
  expect_ok(&r, GET);
  cft_client_reset(&r.c);
  ck_assert(cft_client_send(
      &r.c, POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  ck_assert(cft_client_until(&r.c, "HTTP/1.1 100 Continue\r\n\r\n", 20000));
  ck_assert(cft_client_send(&r.c, "hi"));
  ck_assert(cft_client_until(&r.c, "\r\n\r\nok", 20000));
  ck_assert_uint_eq(cft_peer_accepted(behind), 2);
  finish(&r);
  cft_peer_free(behind);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof *(list))

int main(void) {
  Suite *suite = suite_create("http_proxy_again");
  TCase *tc = tcase_create("http_proxy_again");

  tcase_add_loop_test(tc, test_proxy_tries_again_only_when_it_may, 0,
                      COUNT(agains));
  tcase_add_test(tc, test_proxy_a_stale_connection_is_no_failure);
  tcase_add_test(tc, test_proxy_tries_again_what_waits_for_a_100);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
