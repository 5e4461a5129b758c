/* What visitors see through HAProxy: the app and nothing else, or a page.
   ctest: LABEL threads */
#include "platform/support/haproxy_world.h"

#define CLAIM1 "a1/00000000000000000000000000000001"

typedef struct shown {
  const char *path;
  int status;
  const char *code; /* of the page; "": an answer of the app */
  const char *body; /* the answer's, "": it does not matter */
} shown;

/* By what a guard answers; see guard_answers. */
static const shown guarded[] = {
    {"/", 200, "", CLAIM1},
    {"/none", 503, "E06", ""},
    {"/other", 503, "E06", ""},
    {"/shorter", 503, "E06", ""},
    {"/empty", 503, "E06", ""},
    {"/twice", 503, "E06", ""},
    {"/two", 503, "E06", ""},
    {"/twin", 503, "E06", ""},
    {"/misdirected", 503, "E06", ""},
    {"/own-421", 421, "", "own"},
    {"/lower", 200, "", "ok"},
    {"/starting", 503, "E02", ""},
    {"/crashed", 503, "E03", ""},
    {"/late", 504, "E13", ""},
    {"/broken", 502, "E12", ""},
    {"/refused-431", 431, "E21", ""},
    {"/refused-413", 413, "E21", ""},
    {"/refused-503", 503, "E14", ""},
    {"/refused-400", 502, "E12", ""},
    {"/what", 502, "E12", ""},
    {"/gone", 502, "E12", ""},
    {"/nonsense", 502, "E12", ""},
    {"/silent", 504, "E13", ""},
    {"/204", 204, "", ""},
    {"/304", 304, "", ""},
    {"/to-the-end", 200, "", "all of it"},
    {"/own-fields", 200, "", "ok"},
};

/* Nothing of what is inside, and what every page has. */
static void check_page(const char *answer, const char *path, const char *code) {
  const char *id = field_in(answer, "x-request-id");

  ck_assert_msg(strlen(id) >= 16 && strstr(body_in(answer), id) != NULL,
                "%s: %s", path, answer);
  ck_assert_msg(strstr(body_in(answer), code) != NULL, "%s: %s", path, answer);
  ck_assert_str_eq(field_in(answer, "cache-control"), "no-store");
  ck_assert_str_eq(field_in(answer, "vary"), "Accept");
  ck_assert_msg(strstr(answer, "127.0.0.1") == NULL &&
                    strstr(answer, "a1/") == NULL &&
                    strstr(answer, "drone") == NULL,
                "%s tells what is inside: %s", path, answer);
}

static void check_shown(const haproxy_world *h, const shown *s,
                        const char *method, const char *fields) {
  char *answer = visit(h, method, s->path, "a1.example", fields);

  ck_assert_msg(status_in(answer) == s->status, "%s: expected %d, got %s",
                s->path, s->status, answer);
  ck_assert_msg(strcmp(field_in(answer, "x-balancer-error"), s->code) == 0,
                "%s: %s", s->path, answer);
  ck_assert_msg(strstr(answer, "s3cret") == NULL, "%s: %s", s->path, answer);
  ck_assert_msg(strstr(answer, "x-drone-") == NULL &&
                    strstr(answer, "x_drone_") == NULL,
                "%s: %s", s->path, answer);
  if (s->code[0] != '\0')
    check_page(answer, s->path, s->code);
  else if (s->body[0] != '\0')
    ck_assert_str_eq(body_in(answer), s->body);
  free(answer);
}

START_TEST(test_haproxy_shows_the_app_or_a_page) {
  haproxy_world h;
  guard g;

  haproxy_world_open(&h, (engine_config){.answer_ms = 1000});
  guard_start(&g, CLAIM1, NULL);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, CLAIM1);
  for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++)
    check_shown(&h, &guarded[i], "GET", "");
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- routes without an answer of an app ---- */

typedef struct routed {
  enum route_state state;
  bool closed;
  const char *shows;
  bool target;
} routed;

static const routed routes_of[] = {
    {ROUTE_QUEUED, false, "E05", false},  {ROUTE_STARTING, false, "E02", false},
    {ROUTE_CRASHED, false, "E03", false}, {ROUTE_FAILED, false, "E03", false},
    {ROUTE_STOPPED, false, "E04", false}, {ROUTE_STOPPED, false, "E04", true},
    {ROUTE_STOPPED, true, "E30", false},  {ROUTE_LIVE, true, "E30", true},
    {ROUTE_LIVE, false, "E03", false},    {ROUTE_QUEUED, false, "", true},
    {ROUTE_STARTING, false, "", true},    {ROUTE_CRASHED, false, "", true},
    {ROUTE_FAILED, false, "", true},      {ROUTE_LIVE, false, "", true},
};

START_TEST(test_haproxy_shows_the_state_of_a_route) {
  haproxy_world h;
  guard g;

  haproxy_world_open(&h, (engine_config){0});
  guard_start(&g, CLAIM1, NULL);
  for (size_t i = 0; i < sizeof routes_of / sizeof *routes_of; i++) {
    const routed *r = &routes_of[i];
    route_doc doc = doc_of("a1", "a1.example", r->state);
    char *answer;

    doc.closed = r->closed;
    if (r->target)
      doc_to(&doc, g.addr, CLAIM1);
    world_put(&h.w, 1, &doc);
    until_applied(&h);
    answer = visit(&h, "GET", "/", "a1.example", "");
    ck_assert_msg(strcmp(field_in(answer, "x-balancer-error"), r->shows) == 0,
                  "%zu: %s", i, answer);
    ck_assert_int_eq(status_in(answer), r->shows[0] != '\0' ? 503 : 200);
    free(answer);
  }
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

static void expect_code(const haproxy_world *h, const char *host, int status,
                        const char *code) {
  char *answer = visit(h, "GET", "/", host, "");

  ck_assert_msg(status_in(answer) == status &&
                    strcmp(field_in(answer, "x-balancer-error"), code) == 0,
                "%s: expected %d %s, got %s", host, status, code, answer);
  free(answer);
}

START_TEST(test_haproxy_shows_what_is_with_all) {
  table_notice notice = {.full = true, .msg = "back at noon; commit map\n"};
  haproxy_world h;
  guard g;

  haproxy_world_start(&h, (engine_config){0});
  table_set_ready(h.w.table, false);
  expect_code(&h, "a1.example", 503, "E09");
  haproxy_open_engine(&h);
  guard_start(&g, CLAIM1, NULL);
  expect_code(&h, "a1.example", 503, "E09");
  table_set_ready(h.w.table, true);
  engine_replaced(h.w.engine);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, CLAIM1);
  expect_code(&h, "a1.example", 200, "");
  expect_code(&h, "nobody.example", 404, "E01");
  ck_assert(table_set_notice(h.w.table, &notice));
  engine_noticed(h.w.engine);
  until_applied(&h);
  expect_code(&h, "a1.example", 503, "E31");
  expect_code(&h, "nobody.example", 503, "E31");
  notice.full = false;
  ck_assert(table_set_notice(h.w.table, &notice));
  engine_noticed(h.w.engine);
  until_applied(&h);
  expect_code(&h, "a1.example", 200, "");
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- hosts ---- */

START_TEST(test_haproxy_finds_hosts_as_they_are_written) {
  static const char *const found[] = {"a1.example", "A1.EXAMPLE", "a1.example.",
                                      "a1.example:8080", "A1.Example.:80"};
  static const char *const lost[] = {
      ":80",           ".",           ".:80",    "a2.example",
      "x.a1.example",  "a1.example/", "all",     "ALL",
      "127.0.0.1",     "[::1]:80",    "example", "w.example.any",
      "w.example.ANY", "w.example"};
  static const char *const by_pattern[] = {"x.w.example", "X.Y.w.example:1",
                                           "a.b.c.d.e.f.g.h.w.example",
                                           "x.any.w.example"};
  haproxy_world h;
  guard g, any, deep;
  char claim[3][ROUTE_CLAIM_MOST + 1];

  haproxy_world_open(&h, (engine_config){0});
  for (unsigned i = 0; i < 3; i++)
    claim_of(claim[i], i == 0 ? "a1" : i == 1 ? "any" : "deep", 1);
  guard_start(&g, claim[0], NULL);
  guard_start(&any, claim[1], NULL);
  guard_start(&deep, claim[2], NULL);
  world_live(&h.w, 1, "a1", "a1.example", g.addr, claim[0]);
  world_live(&h.w, 2, "any", "*.w.example", any.addr, claim[1]);
  world_live_now(&h, 3, "deep", "*.deep.w.example", deep.addr, claim[2]);
  for (size_t i = 0; i < sizeof found / sizeof *found; i++)
    expect_code(&h, found[i], 200, "");
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
    expect_code(&h, lost[i], 404, "E01");
  for (size_t i = 0; i < sizeof by_pattern / sizeof *by_pattern; i++) {
    char *answer = visit(&h, "GET", "/", by_pattern[i], "");

    ck_assert_msg(strcmp(body_in(answer), claim[1]) == 0, "%s: %s",
                  by_pattern[i], answer);
    free(answer);
  }
  for (int i = 0; i < 2; i++) {
    char *answer = visit(
        &h, "GET", "/", i == 0 ? "x.deep.w.example" : "x.y.deep.w.example", "");

    ck_assert_str_eq(body_in(answer), claim[2]);
    free(answer);
  }
  guard_stop(&g);
  guard_stop(&any);
  guard_stop(&deep);
  haproxy_world_close(&h);
}
END_TEST

/* ---- fields ---- */

static size_t times(const char *in, const char *part) {
  size_t n = 0;

  for (; (in = strstr(in, part)) != NULL; in += strlen(part))
    n++;
  return n;
}

START_TEST(test_haproxy_says_who_asks_and_lets_no_claim_in) {
  haproxy_world h;
  guard g;
  char *answer;

  haproxy_world_open(&h, (engine_config){.forwarded_https = true});
  guard_start(&g, CLAIM1, NULL);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, CLAIM1);
  answer =
      visit(&h, "GET", "/show", "A1.example:80",
            "X-Drone-Claim: b/2\r\nx-drone-claim: b/3\r\nX-DRONE-Any: 1\r\n"
            "X_Drone_Claim: b/4\r\nX-Request-Id: mine-1.2_3\r\n"
            "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\n"
            "X-Forwarded-For: 10.9.8.7\r\nVia: 1.0 before\r\n"
            "X-Other: kept\r\n");
  ck_assert_uint_eq(times(answer, "x-drone-claim: " CLAIM1 "\r\n"), 1);
  ck_assert_uint_eq(times(answer, "drone"), 1);
  ck_assert_ptr_eq(strstr(answer, "b/"), NULL);
  ck_assert_str_eq(field_in(body_in(answer), "host"), "A1.example:80");
  ck_assert_str_eq(field_in(body_in(answer), "x-forwarded-proto"), "https");
  ck_assert_str_eq(field_in(body_in(answer), "x-forwarded-host"),
                   "A1.example:80");
  ck_assert_ptr_ne(strstr(answer, "x-forwarded-for: 10.9.8.7\r\n"), NULL);
  ck_assert_ptr_ne(strstr(answer, "x-forwarded-for: 127.0.0.1\r\n"), NULL);
  ck_assert_ptr_ne(strstr(answer, "via: 1.1 b1\r\n"), NULL);
  ck_assert_str_eq(field_in(body_in(answer), "x-request-id"), "mine-1.2_3");
  ck_assert_str_eq(field_in(body_in(answer), "x-other"), "kept");
  free(answer);
  answer = visit(&h, "GET", "/show", "a1.example",
                 "X-Request-Id: <b>\"%n\r\nX-Request-Id: 2\r\n");
  ck_assert_uint_eq(times(answer, "x-request-id: "), 1);
  ck_assert_uint_ge(strlen(field_in(body_in(answer), "x-request-id")), 16);
  free(answer);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- forms of a page ---- */

START_TEST(test_haproxy_pages_have_the_form_that_is_asked_for) {
  static const struct {
    const char *accept, *type, *begin;
  } forms[] = {
      {"Accept: text/html,application/json;q=0.9\r\n",
       "text/html; charset=utf-8", "<!doctype html>"},
      {"Accept: application/json, */*\r\n", "application/json",
       "{\"error\":\""},
      {"Accept: */*\r\n", "text/plain; charset=utf-8", "E"},
      {"", "text/plain; charset=utf-8", "E"},
  };
  static const char *const hosts[] = {"nobody.example", "a1.example",
                                      "refuses.example"};
  static const char *const codes[] = {"E01", "E06", "E10"};
  uint16_t port;
  int refusing = cft_port_refusing(&port);
  char addr[32];
  haproxy_world h;
  guard g;

  ck_assert_int_ge(refusing, 0);
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  haproxy_world_open(&h, (engine_config){0});
  guard_start(&g, CLAIM1, NULL);
  world_live(&h.w, 1, "a1", "a1.example", g.addr, CLAIM1);
  world_live_now(&h, 2, "b2", "refuses.example", addr, CLAIM1);
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    for (size_t k = 0; k < sizeof hosts / sizeof *hosts; k++) {
      char *answer = visit(&h, "GET", "/none", hosts[k], forms[i].accept);

      ck_assert_str_eq(field_in(answer, "x-balancer-error"), codes[k]);
      ck_assert_str_eq(field_in(answer, "content-type"), forms[i].type);
      ck_assert_msg(
          strncmp(body_in(answer), forms[i].begin, strlen(forms[i].begin)) == 0,
          "%s%s: %s", forms[i].accept, hosts[k], answer);
      check_page(answer, hosts[k], codes[k]);
      free(answer);
    }
  (void)close(refusing);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* The bytes of a page are those of pages.h, but for the id. */
START_TEST(test_haproxy_pages_are_the_balancers) {
  static const char *const accepts[] = {"text/html", "application/json", ""};
  haproxy_world h;
  char *answer, fields[64];

  haproxy_world_open(&h, (engine_config){0});
  until_applied(&h);
  for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++) {
    page_answer page;

    (void)snprintf(fields, sizeof fields,
                   "X-Request-Id: id-%zu\r\nAccept: %s\r\n", i, accepts[i]);
    answer = visit(&h, "GET", "/", "nobody.example", fields);
    page_make(&page, PAGE_UNKNOWN, 0,
              (http_str){accepts[i], strlen(accepts[i])},
              field_in(answer, "x-request-id"), NULL);
    ck_assert_str_eq(body_in(answer), text_get(&page.body));
    page_free(&page);
    free(answer);
  }
  answer = visit(&h, "HEAD", "/", "nobody.example", "");
  ck_assert_int_eq(status_in(answer), 404);
  ck_assert_str_eq(body_in(answer), "");
  free(answer);
  haproxy_world_close(&h);
}
END_TEST

/* ---- drones that cannot be reached ---- */

START_TEST(test_haproxy_tells_refused_from_silent) {
  haproxy_world h;
  uint16_t port;
  char addr[32];
  int refusing = cft_port_refusing(&port), hanging[2];

  ck_assert_int_ge(refusing, 0);
  haproxy_world_open(&h, (engine_config){.connect_ms = 1000});
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  world_live(&h.w, 1, "a1", "a1.example", addr, CLAIM1);
  ck_assert(cft_port_hanging(&port, hanging));
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  world_live_now(&h, 2, "b2", "b2.example", addr, CLAIM1);
  expect_code(&h, "a1.example", 502, "E10");
  expect_code(&h, "b2.example", 504, "E11");
  for (int i = 0; i < 3; i++) {
    char *answer =
        visit(&h, "GET", "/", i % 2 != 0 ? "a1.example" : "b2.example",
              "Accept: application/json\r\n");
    json_t *page = json_loads(body_in(answer), 0, NULL);

    ck_assert_msg(page != NULL, "%s", answer);
    ck_assert_int_eq(json_integer_value(json_object_get(page, "status")),
                     status_in(answer));
    ck_assert_str_eq(json_string_value(json_object_get(page, "error")),
                     field_in(answer, "x-balancer-error"));
    json_decref(page);
    free(answer);
  }
  (void)close(refusing);
  (void)close(hanging[0]);
  (void)close(hanging[1]);
  haproxy_world_close(&h);
}
END_TEST

START_TEST(test_haproxy_limits_an_app_and_bodies) {
  haproxy_world h;
  cft_client held[2];
  guard g;
  char *answer;

  haproxy_world_open(&h, (engine_config){.max_app = 2, .max_body = 1000});
  guard_start(&g, CLAIM1, NULL);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, CLAIM1);
  for (int i = 0; i < 2; i++) {
    visitor(&h.w, &held[i]);
    ck_assert(cft_client_send(
        &held[i], "GET /held HTTP/1.1\r\nHost: a1.example\r\n\r\n"));
  }
  ck_assert(cft_peer_wait_requests(g.peer, CFT_ANY, 2, WAIT_MS));
  expect_code(&h, "a1.example", 503, "E14");
  guard_open(&g);
  for (int i = 0; i < 2; i++) {
    ck_assert(cft_client_until(&held[i], CLAIM1, WAIT_MS));
    cft_client_close(&held[i]);
  }
  expect_code(&h, "a1.example", 200, "");
  answer = visit(&h, "POST", "/", "a1.example", "Content-Length: 1001\r\n");
  ck_assert_int_eq(status_in(answer), 413);
  ck_assert_str_eq(field_in(answer, "x-balancer-error"), "E21");
  free(answer);
  answer = visit(&h, "TRACE", "/", "a1.example", "");
  ck_assert_int_eq(status_in(answer), 400);
  ck_assert_str_eq(field_in(answer, "x-balancer-error"), "E20");
  free(answer);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- websockets ---- */

#define SOCKET_FIELDS                                                          \
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define SOCKET_ANSWER                                                          \
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "       \
  "websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void socket_guard(cft_conn *conn, void *user) {
  const cft_request *req;
  char byte[64];
  size_t got;

  (void)user;
  if (!cft_conn_read_request(conn, &req))
    return;
  if (strcmp(req->target, "/none") == 0) {
    (void)cft_conn_sendf(conn, SOCKET_ANSWER "\r\ns3cret");
    return;
  }
  if (!cft_conn_sendf(conn, SOCKET_ANSWER "X-Drone-Claim: " CLAIM1 "\r\n\r\n"))
    return;
  while (cft_conn_read(conn, byte, sizeof byte, &got) && got != 0 &&
         cft_conn_send(conn, byte, got))
    ;
}

START_TEST(test_haproxy_websockets_need_the_echo_too) {
  haproxy_world h;
  cft_client c;
  guard g;

  haproxy_world_open(&h, (engine_config){0});
  guard_start(&g, CLAIM1, socket_guard);
  world_live_now(&h, 1, "a1", "a1.example", g.addr, CLAIM1);
  visitor(&h.w, &c);
  ck_assert(cft_client_send(
      &c, "GET /chat HTTP/1.1\r\nHost: a1.example\r\n" SOCKET_FIELDS));
  ck_assert(cft_client_until(&c, "\r\n\r\n", WAIT_MS));
  ck_assert_msg(status_in(c.data) == 101, "%s", c.data);
  ck_assert_ptr_eq(strstr(c.data, "drone"), NULL);
  ck_assert(cft_client_send(&c, "there and back"));
  ck_assert(cft_client_until(&c, "there and back", WAIT_MS));
  cft_client_close(&c);
  visitor(&h.w, &c);
  ck_assert(cft_client_send(
      &c, "GET /none HTTP/1.1\r\nHost: a1.example\r\n" SOCKET_FIELDS));
  ck_assert(cft_client_until(&c, "E06", WAIT_MS));
  ck_assert_int_eq(status_in(c.data), 503);
  ck_assert_ptr_eq(strstr(c.data, "s3cret"), NULL);
  cft_client_close(&c);
  guard_stop(&g);
  haproxy_world_close(&h);
}
END_TEST

/* ---- several targets ---- */

START_TEST(test_haproxy_spreads_over_targets) {
  enum { VISITS = 240 };
  haproxy_world h;
  guard g[TO_MOST];
  char claim[TO_MOST][ROUTE_CLAIM_MOST + 1];

  haproxy_world_open(&h, (engine_config){0});
  for (unsigned i = 0; i < TO_MOST; i++) {
    claim_of(claim[i], "a1", i + 1);
    guard_start(&g[i], claim[i], NULL);
  }
  for (size_t targets = 2; targets <= TO_MOST; targets++) {
    route_doc doc = doc_of("a1", "a1.example", ROUTE_LIVE);
    size_t before[TO_MOST];

    for (size_t i = 0; i < targets; i++)
      doc_to(&doc, g[i].addr, claim[i]);
    world_put(&h.w, 1, &doc);
    until_applied(&h);
    for (size_t i = 0; i < TO_MOST; i++)
      before[i] = atomic_load(&g[i].asked);
    for (int i = 0; i < VISITS; i++)
      expect_code(&h, "a1.example", 200, "");
    /* Half of what is due: less by chance is rarer than one in 10^9. */
    for (size_t i = 0; i < TO_MOST; i++) {
      size_t asked = atomic_load(&g[i].asked) - before[i];

      ck_assert_msg(i < targets ? asked > VISITS / targets / 3 : asked == 0,
                    "%zu of %zu: %zu", i, targets, asked);
    }
  }
  for (size_t i = 0; i < TO_MOST; i++)
    guard_stop(&g[i]);
  haproxy_world_close(&h);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_haproxy");
  TCase *pages = tcase_create("pages"), *more = tcase_create("more");

  haproxy_or_skip();
  tcase_add_test(pages, test_haproxy_shows_the_app_or_a_page);
  tcase_add_test(pages, test_haproxy_shows_the_state_of_a_route);
  tcase_add_test(pages, test_haproxy_shows_what_is_with_all);
  tcase_add_test(pages, test_haproxy_pages_have_the_form_that_is_asked_for);
  tcase_add_test(pages, test_haproxy_pages_are_the_balancers);
  tcase_add_test(pages, test_haproxy_tells_refused_from_silent);
  suite_add_tcase(suite, pages);
  tcase_add_test(more, test_haproxy_finds_hosts_as_they_are_written);
  tcase_add_test(more, test_haproxy_says_who_asks_and_lets_no_claim_in);
  tcase_add_test(more, test_haproxy_limits_an_app_and_bodies);
  tcase_add_test(more, test_haproxy_websockets_need_the_echo_too);
  tcase_add_test(more, test_haproxy_spreads_over_targets);
  suite_add_tcase(suite, more);
  return cft_run(suite);
}
