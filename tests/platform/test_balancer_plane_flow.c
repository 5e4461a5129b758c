/* What flows through the embedded data plane: bodies of any framing both ways,
   websockets, connections that are used again, limits, the access log; and how
   it begins and ends.
   ctest: LABEL threads */
#include "platform/support/front.h"
#include "platform/support/plane_world.h"

#include "common/log.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"

typedef struct one {
  plane_world w;
  guard g;
  char claim[ROUTE_CLAIM_MOST + 1];
  cft_client c;
} one;

static void begin(one *o, engine_config config, cft_handler handler) {
  claim_of(o->claim, "a", 1);
  guard_start(&o->g, o->claim, handler);
  world_open(&o->w, config);
  world_live(&o->w, 0, "a", "a.example", o->g.addr, o->claim);
  visitor(&o->w, &o->c);
}

static void finish(one *o) {
  cft_client_close(&o->c);
  world_close(&o->w);
  guard_stop(&o->g);
}

static void ask(cft_client *c, const char *method, const char *request,
                int status, const char *expected) {
  char *body = front_ask(c, method, request);

  ck_assert_msg(body != NULL && front_status(c->data) == status &&
                    (expected == NULL || strcmp(body, expected) == 0),
                "%s: %s", request, c->data);
  free(body);
}

static void expect_code(const cft_client *c, const char *code) {
  char field[64];

  (void)snprintf(field, sizeof field, "X-Balancer-Error: %s", code);
  ck_assert_msg(front_has(c->data, field), "%s", c->data);
}

/* Runs the main loop until the condition holds. */
#define world_until(w, condition)                                              \
  do {                                                                         \
    int64_t end_ = cft_now_ms() + WAIT_MS;                                     \
    while (!(condition)) {                                                     \
      (void)uv_run(&(w)->loop, UV_RUN_NOWAIT);                                 \
      ck_assert_msg(cft_now_ms() < end_, "waited for %s", #condition);         \
    }                                                                          \
  } while (0)

/* ---- answers ---- */

START_TEST(test_plane_answers_of_any_framing) {
  one o;

  begin(&o, (engine_config){.threads = 1}, NULL);
  ask(&o.c, "GET", AT("/204"), 204, "");
  ask(&o.c, "GET", AT("/304"), 304, "");
  ck_assert(front_has(o.c.data, "ETag: \"1\""));
  ask(&o.c, "HEAD", "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n", 200, "");
  ck_assert(front_has(o.c.data, "Content-Length: 34"));
  ask(&o.c, "GET", AT("/chunked"), 200, "abcdefg");
  ask(&o.c, "GET", AT("/to-the-end"), 200, "all of it");
  /* What stands before the echo is not passed on. */
  ask(&o.c, "GET", AT("/hint"), 200, "ok");
  ck_assert_ptr_null(strstr(o.c.data, "103"));
  ask(&o.c, "GET", "GET /chunked HTTP/1.0\r\nHost: a.example\r\n\r\n", 200,
      "abcdefg");
  finish(&o);
}
END_TEST

START_TEST(test_plane_a_cut_answer_is_cut) {
  char *body;
  one o;

  begin(&o, (engine_config){.threads = 1}, NULL);
  body = front_ask(&o.c, "GET", AT("/cut"));
  ck_assert_msg(body == NULL, "%s", body);
  ck_assert_ptr_nonnull(strstr(o.c.data, "half"));
  ck_assert_int_ne(o.c.end, CFT_END_NONE);
  finish(&o);
}
END_TEST

/* ---- bodies ---- */

static bool read_more(cft_conn *conn, text *in) {
  char data[4096];
  size_t got = 0;

  if (!cft_conn_read(conn, data, sizeof data, &got) || got == 0)
    return false;
  text_add(in, data, got);
  return true;
}

/* Answers how many "b" there were in the body. */
static bool answer_count(cft_conn *conn, const guard *g, text *in) {
  const char *end, *length;
  size_t count = 0, most;

  while ((end = strstr(text_get(in), "\r\n\r\n")) == NULL)
    if (!read_more(conn, in))
      return false;
  most = (size_t)(end - in->data) + 4;
  length = strstr(in->data, "Content-Length: ");
  if (strstr(in->data, "100-continue") != NULL &&
      !cft_conn_sendf(conn, "HTTP/1.1 100 Continue\r\n\r\n"))
    return false;
  if (length != NULL)
    most += strtoul(length + 16, NULL, 10);
  while (in->len < most ||
         (length == NULL && strstr(in->data, "\r\n0\r\n\r\n") == NULL))
    if (!read_more(conn, in))
      return false;
  for (end = strstr(in->data, "\r\n\r\n"); *end != '\0'; end++)
    count += *end == 'b';
  return cft_conn_sendf(conn,
                        "HTTP/1.1 200 OK\r\nX-Drone-Claim: %s\r\n"
                        "Connection: close\r\nContent-Length: 6\r\n\r\n%06zu",
                        g->held, count);
}

static void count_body(cft_conn *conn, void *user) {
  text in = TEXT_INIT;

  (void)answer_count(conn, user, &in);
  text_free(&in);
}

START_TEST(test_plane_request_bodies) {
  enum { LEN = 300 * 1024 };
  char *request = cft_calloc(LEN + 200, 1);
  int head;
  one o;

  begin(&o, (engine_config){.threads = 1}, count_body);
  head = snprintf(request, 200,
                  "POST / HTTP/1.1\r\nHost: a.example\r\n"
                  "Content-Length: %d\r\n\r\n",
                  LEN);
  memset(request + head, 'b', LEN);
  ask(&o.c, "POST", request, 200, "307200");
  ask(&o.c, "POST",
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nbbb\r\n1\r\nb\r\n0\r\n\r\n",
      200, "000004");
  /* Who waits for a 100 gets one when the drone says so. */
  cft_client_reset(&o.c);
  ck_assert(cft_client_send(
      &o.c, "POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"));
  ck_assert(cft_client_until(&o.c, "HTTP/1.1 100 Continue\r\n\r\n", WAIT_MS));
  ask(&o.c, "POST", "2\r\nbb\r\n0\r\n\r\n", 200, "000002");
  free(request);
  finish(&o);
}
END_TEST

START_TEST(test_plane_a_client_may_close_its_half) {
  char *body;
  one o;

  begin(&o, (engine_config){.threads = 1}, NULL);
  ck_assert(cft_client_send(&o.c, AT("/held")));
  ck_assert_int_eq(shutdown(o.c.fd, SHUT_WR), 0);
  ck_assert(cft_peer_wait_requests(o.g.peer, CFT_ANY, 1, WAIT_MS));
  guard_open(&o.g);
  body = front_rest(&o.c, 0, "GET");
  ck_assert_str_eq(body, o.claim);
  free(body);
  finish(&o);
}
END_TEST

/* ---- connections behind ---- */

START_TEST(test_plane_connections_are_used_again_for_their_claim) {
  char other[ROUTE_CLAIM_MOST + 1];
  cft_client second;
  one o;

  begin(&o, (engine_config){.threads = 1}, NULL);
  visitor(&o.w, &second);
  for (int i = 0; i < 20; i++)
    ask(i % 2 == 0 ? &o.c : &second, "GET", AT("/"), 200, o.claim);
  ck_assert_uint_eq(cft_peer_accepted(o.g.peer), 1);
  /* Another claim at the same address has its own. */
  claim_of(other, "a", 2);
  guard_hold(&o.g, other);
  world_live(&o.w, 0, "a", "a.example", o.g.addr, other);
  ask(&o.c, "GET", AT("/"), 200, other);
  ck_assert_uint_eq(cft_peer_accepted(o.g.peer), 2);
  ck_assert_int_eq(world_count(&o.w, "balancer_requests_total", "code=\"2xx\""),
                   21);
  cft_client_close(&second);
  cft_client_close(&o.c);
  world_until(&o.w,
              world_count(&o.w, "balancer_upstream_connects_total", NULL) == 2);
  world_until(&o.w,
              world_count(&o.w, "balancer_upstream_reused_total", NULL) == 19);
  world_until(&o.w, metric_value(metrics_gauge(
                        o.w.metrics, "balancer_connections", NULL, "")) == 0);
  visitor(&o.w, &o.c);
  finish(&o);
}
END_TEST

/* ---- limits ---- */

static void hold(one *o, cft_client *c, size_t nth) {
  visitor(&o->w, c);
  ck_assert(cft_client_send(c, AT("/held")));
  ck_assert(cft_peer_wait_requests(o->g.peer, CFT_ANY, nth, WAIT_MS));
}

static void reset(cft_client *c) {
  struct linger now = {1, 0};

  ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                   0);
  cft_client_close(c);
}

START_TEST(test_plane_an_app_has_a_limit_that_is_exact) {
  char claim[ROUTE_CLAIM_MOST + 1], *body;
  cft_client held[2];
  guard g;
  one o;

  begin(&o, (engine_config){.threads = 1, .max_app = 2}, NULL);
  claim_of(claim, "b", 1);
  guard_start(&g, claim, NULL);
  world_live(&o.w, 1, "b", "b.example", g.addr, claim);
  for (size_t round = 0; round < 3; round++) {
    atomic_store(&o.g.open, false);
    hold(&o, &held[0], round * 3 + 1);
    hold(&o, &held[1], round * 3 + 2);
    ask(&o.c, "GET", AT("/"), 503, NULL);
    expect_code(&o.c, "E14");
    /* Another app is not concerned. */
    ask(&o.c, "GET", "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 200, claim);
    guard_open(&o.g);
    for (size_t i = 0; i < 2; i++) {
      body = front_rest(&held[i], 0, "GET");
      ck_assert_str_eq(body, o.claim);
      free(body);
      cft_client_close(&held[i]);
    }
    ask(&o.c, "GET", AT("/"), 200, o.claim);
  }
  guard_stop(&g);
  finish(&o);
}
END_TEST

static bool is_served(void *user) {
  one *o = user;
  char *body = front_ask(&o->c, "GET", AT("/"));
  bool served = body != NULL && strcmp(body, o->claim) == 0;

  free(body);
  return served;
}

START_TEST(test_plane_who_goes_is_not_counted_any_more) {
  cft_client held;
  one o;

  begin(&o, (engine_config){.threads = 1, .max_app = 1}, NULL);
  hold(&o, &held, 1);
  ask(&o.c, "GET", AT("/"), 503, NULL);
  reset(&held);
  ck_assert(cft_until(is_served, &o, WAIT_MS));
  /* The drone is not waited for any more either. */
  guard_open(&o.g);
  ck_assert(cft_peer_wait_open(o.g.peer, 1, WAIT_MS));
  ck_assert_int_eq(
      world_count(&o.w, "balancer_requests_total", "code=\"gone\""), 1);
  finish(&o);
}
END_TEST

START_TEST(test_plane_too_many_connections) {
  cft_client more;
  one o;

  begin(&o, (engine_config){.threads = 1, .max_connections = 1}, NULL);
  ck_assert(cft_client_send(&o.c, AT("/held")));
  ck_assert(cft_peer_wait_requests(o.g.peer, CFT_ANY, 1, WAIT_MS));
  visitor(&o.w, &more);
  ck_assert(cft_client_until_end(&more, WAIT_MS));
  ck_assert_int_eq(front_status(more.data), 503);
  expect_code(&more, "E14");
  cft_client_close(&more);
  guard_open(&o.g);
  finish(&o);
}
END_TEST

START_TEST(test_plane_the_target_with_less_to_do_is_asked) {
  char claims[2][ROUTE_CLAIM_MOST + 1];
  route_doc doc = doc_of("b", "b.example", ROUTE_LIVE);
  size_t asked[2];
  cft_client held;
  guard g[2];
  one o;

  begin(&o, (engine_config){.threads = 1}, NULL);
  for (unsigned i = 0; i < 2; i++) {
    claim_of(claims[i], "b", i + 1);
    guard_start(&g[i], claims[i], NULL);
    doc_to(&doc, g[i].addr, claims[i]);
  }
  world_put(&o.w, 1, &doc);
  for (int i = 0; i < 20; i++)
    ask(&o.c, "GET", "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 200, NULL);
  ck_assert_uint_eq(atomic_load(&g[0].asked), 10);
  ck_assert_uint_eq(atomic_load(&g[1].asked), 10);
  visitor(&o.w, &held);
  ck_assert(
      cft_client_send(&held, "GET /held HTTP/1.1\r\nHost: b.example\r\n\r\n"));
  while (atomic_load(&g[0].asked) + atomic_load(&g[1].asked) != 21)
    ck_assert(!cft_client_quiet(&held, 1) || held.len == 0);
  asked[0] = atomic_load(&g[0].asked);
  asked[1] = atomic_load(&g[1].asked);
  for (int i = 0; i < 10; i++)
    ask(&o.c, "GET", "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 200,
        claims[asked[0] == 11 ? 1 : 0]);
  cft_client_close(&held);
  finish(&o);
  guard_stop(&g[0]);
  guard_stop(&g[1]);
}
END_TEST

/* ---- websockets ---- */

static void websocket(cft_conn *conn, void *user) {
  guard *g = user;
  const cft_request *req;
  char data[256];
  size_t got;

  if (!cft_conn_read_request(conn, &req) ||
      !cft_conn_sendf(
          conn,
          "HTTP/1.1 101 Switching Protocols\r\nX-Drone-Claim: %s\r\n"
          "Sec-WebSocket-Accept: key\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\nhello ",
          g->held))
    return;
  while (cft_conn_read(conn, data, sizeof data, &got) && got != 0)
    if (!cft_conn_send(conn, data, got))
      return;
}

#define UPGRADE                                                                \
  "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"               \
  "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"

START_TEST(test_plane_websockets) {
  one o;

  begin(&o, (engine_config){.threads = 1}, websocket);
  ck_assert(cft_client_send(&o.c, UPGRADE));
  ck_assert(cft_client_until(&o.c, "hello ", WAIT_MS));
  ck_assert_int_eq(front_status(o.c.data), 101);
  ck_assert(front_has(o.c.data, "Sec-WebSocket-Accept: key"));
  ck_assert_ptr_null(strcasestr(o.c.data, "x-drone"));
  ck_assert(cft_client_send(&o.c, "one"));
  ck_assert(cft_client_until(&o.c, "hello one", WAIT_MS));
  ck_assert_int_eq(shutdown(o.c.fd, SHUT_WR), 0);
  ck_assert(cft_client_until_end(&o.c, WAIT_MS));
  ck_assert_int_eq(o.c.end, CFT_END_FIN);
  finish(&o);
}
END_TEST

/* ---- the end ---- */

START_TEST(test_plane_drains) {
  cft_client idle, late;
  char *body;
  one o;

  begin(&o, (engine_config){.threads = 2, .drain_ms = WAIT_MS}, NULL);
  visitor(&o.w, &idle);
  ask(&idle, "GET", AT("/"), 200, o.claim);
  ck_assert(cft_client_send(&o.c, AT("/held")));
  ck_assert(cft_peer_wait_requests(o.g.peer, CFT_ANY, 2, WAIT_MS));
  engine_drain(o.w.engine, world_on_drained, &o.w);
  ck_assert(cft_client_until_end(&idle, WAIT_MS));
  cft_client_close(&idle);
  /* Nobody new comes in ... */
  while (cft_client_connect(&late, o.w.port))
    cft_client_close(&late);
  (void)uv_run(&o.w.loop, UV_RUN_NOWAIT);
  ck_assert(!o.w.drained);
  /* ... and who is here gets his answer. */
  guard_open(&o.g);
  body = front_rest(&o.c, 0, "GET");
  ck_assert_str_eq(body, o.claim);
  free(body);
  ck_assert(front_has(o.c.data, "Connection: close") ||
            cft_client_until_end(&o.c, WAIT_MS));
  world_until(&o.w, o.w.drained);
  finish(&o);
}
END_TEST

START_TEST(test_plane_a_websocket_is_drained_for_so_long) {
  one o;

  begin(&o, (engine_config){.threads = 2, .drain_ms = 200}, websocket);
  ck_assert(cft_client_send(&o.c, UPGRADE));
  ck_assert(cft_client_until(&o.c, "hello ", WAIT_MS));
  engine_drain(o.w.engine, world_on_drained, &o.w);
  ck_assert(cft_client_send(&o.c, "still here"));
  ck_assert(cft_client_until(&o.c, "still here", WAIT_MS));
  world_until(&o.w, o.w.drained);
  ck_assert(cft_client_until_end(&o.c, WAIT_MS));
  finish(&o);
}
END_TEST

/* Whatever is going on. */
START_TEST(test_plane_closes_in_any_state) {
  for (int state = 0; state < 4; state++) {
    cft_client more;
    one o;

    begin(&o, (engine_config){.threads = 2, .drain_ms = WAIT_MS},
          state == 2 ? websocket : NULL);
    visitor(&o.w, &more);
    ck_assert(cft_client_send(&o.c, state == 2 ? UPGRADE : AT("/held")));
    ck_assert(cft_peer_wait_requests(o.g.peer, CFT_ANY, 1, WAIT_MS));
    if (state == 0)
      ck_assert(cft_client_send(&more, "GET / HT"));
    if (state == 3)
      engine_drain(o.w.engine, world_on_drained, &o.w);
    engine_close(o.w.engine);
    o.w.engine = NULL;
    ck_assert(!o.w.drained);
    ck_assert(cft_client_until_end(&o.c, WAIT_MS) || o.c.end == CFT_END_RST);
    cft_client_close(&more);
    finish(&o);
  }
}
END_TEST

/* ---- the beginning ---- */

START_TEST(test_plane_says_why_it_cannot_listen) {
  static const char *const wrong[] = {"nowhere", "256.1.1.1:80", "127.0.0.1:x",
                                      "203.0.113.1:8000"};
  engine_config config = {.self = "b2", .threads = 2};
  char error[256];
  one o;

  begin(&o, (engine_config){.threads = 2}, NULL);
  /* The worker takes no descriptor meanwhile: libuv closes its own behind
     ThreadSanitizer's back, which then sees a race for their numbers. */
  ask(&o.c, "GET", AT("/"), 200, o.claim);
  config.table = o.w.table;
  config.metrics = o.w.metrics;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    config.listen = wrong[i];
    error[0] = '\0';
    ck_assert_ptr_null(plane_open(&o.w.loop, &config, error, sizeof error));
    ck_assert_msg(strstr(error, wrong[i]) != NULL, "%s: %s", wrong[i], error);
  }
  /* Two of them would share the visitors, each with its own table. */
  config.listen = engine_address(o.w.engine);
  ck_assert_ptr_null(plane_open(&o.w.loop, &config, error, sizeof error));
  ck_assert_msg(strstr(error, "in use") != NULL, "%s", error);
  ask(&o.c, "GET", AT("/"), 200, o.claim);
  finish(&o);
}
END_TEST

START_TEST(test_plane_listens_on_ipv6_and_tells_its_state) {
  engine_status status;
  plane_world w;
  cft_client c;

  world_open(&w, (engine_config){.threads = 3, .listen = "[::1]:0"});
  ck_assert(cft_client_connect6(&c, w.port));
  ask(&c, "GET", AT("/"), 404, NULL);
  expect_code(&c, "E01");
  do
    engine_get_status(w.engine, &status);
  while (status.connections != 1 || status.requests != 1);
  ck_assert_str_eq(status.name, "embedded");
  ck_assert_str_eq(status.trouble, "");
  ck_assert_uint_eq(status.waiting, 0);
  ck_assert(engine_is_applied(w.engine, NULL));
  cft_client_close(&c);
  world_close(&w);
}
END_TEST

/* ---- the access log ---- */

static char *log_of(one *o, bool wanted) {
  char path[] = "/tmp/plane-log-XXXXXX", *lines = cft_calloc(65536, 1);
  int file = mkstemp(path), before = dup(STDERR_FILENO);
  ssize_t len;

  ck_assert(file >= 0 && before >= 0);
  (void)unlink(path);
  log_open("test", LOG_INFO);
  ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
  begin(o, (engine_config){.threads = 1, .access_log = wanted, .max_body = 4},
        NULL);
  ask(&o->c, "GET",
      "GET /p%20q?token=s3cret HTTP/1.1\r\nHost: A.example:80\r\n"
      "X-Request-Id: id-1\r\nCookie: s3cret\r\n\r\n",
      200, o->claim);
  ask(&o->c, "GET", "GET /none HTTP/1.1\r\nHost: a.example\r\n\r\n", 503, NULL);
  ask(&o->c, "POST",
      "POST /big HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked"
      "\r\n\r\n5\r\nabcde\r\n",
      413, NULL);
  cft_client_close(&o->c);
  visitor(&o->w, &o->c);
  ask(&o->c, "GET", "GET / \r\nHost: a.example\r\n\r\n", 400, NULL);
  finish(o);
  ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
  log_open("test", LOG_WARN);
  len = pread(file, lines, 65535, 0);
  ck_assert_int_ge(len, 0);
  (void)close(before);
  (void)close(file);
  return lines;
}

START_TEST(test_plane_writes_an_access_log) {
  char *lines, to[128];
  one o;

  lines = log_of(&o, true);
  ck_assert_msg(strstr(lines,
                       " event=request id=id-1 peer=127.0.0.1 method=GET "
                       "host=A.example path=/p%20q status=200 page=- "
                       "bytes=34 ms=") != NULL,
                "%s", lines);
  (void)snprintf(to, sizeof to, " app=a to=%s drone=ok again=0\n", o.g.addr);
  ck_assert_msg(strstr(lines, to) != NULL, "%s", lines);
  (void)snprintf(to, sizeof to, " app=a to=%s drone=rejected again=0\n",
                 o.g.addr);
  ck_assert_msg(strstr(lines, to) != NULL, "%s", lines);
  ck_assert_ptr_nonnull(strstr(lines, " path=/none status=503 page=E06 "));
  /* One line, though the drone had begun with it. */
  ck_assert_ptr_nonnull(strstr(lines, " path=/big status=413 page=E21 "));
  (void)snprintf(to, sizeof to, " app=a to=%s drone=client again=0\n",
                 o.g.addr);
  ck_assert_msg(strstr(lines, to) != NULL, "%s", lines);
  ck_assert_ptr_nonnull(strstr(lines, "method=- host=- path=- status=400 "
                                      "page=E20 "));
  ck_assert_ptr_nonnull(strstr(lines, " app=- to=- drone=- again=0\n"));
  ck_assert_ptr_null(strstr(lines, "s3cret"));
  ck_assert_ptr_null(strstr(lines, o.claim));
  free(lines);
  lines = log_of(&o, false);
  ck_assert_ptr_null(strstr(lines, "event=request"));
  free(lines);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_plane_flow");
  TCase *tc = tcase_create("balancer_plane_flow");

  tcase_add_test(tc, test_plane_answers_of_any_framing);
  tcase_add_test(tc, test_plane_a_cut_answer_is_cut);
  tcase_add_test(tc, test_plane_request_bodies);
  tcase_add_test(tc, test_plane_a_client_may_close_its_half);
  tcase_add_test(tc, test_plane_connections_are_used_again_for_their_claim);
  tcase_add_test(tc, test_plane_an_app_has_a_limit_that_is_exact);
  tcase_add_test(tc, test_plane_who_goes_is_not_counted_any_more);
  tcase_add_test(tc, test_plane_too_many_connections);
  tcase_add_test(tc, test_plane_the_target_with_less_to_do_is_asked);
  tcase_add_test(tc, test_plane_websockets);
  tcase_add_test(tc, test_plane_drains);
  tcase_add_test(tc, test_plane_a_websocket_is_drained_for_so_long);
  tcase_add_test(tc, test_plane_closes_in_any_state);
  tcase_add_test(tc, test_plane_says_why_it_cannot_listen);
  tcase_add_test(tc, test_plane_listens_on_ipv6_and_tells_its_state);
  tcase_add_test(tc, test_plane_writes_an_access_log);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
