/* What a visitor gets from the embedded data plane: an answer of the app that
   his host has, proven by the claim on it, or a page with a code.
   ctest: LABEL threads */
#include "platform/support/front.h"
#include "platform/support/plane_world.h"

#define HOST(path, host) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define AT(path) HOST(path, "a.example")

/* One guard, and app "a" on it. */
typedef struct one {
  plane_world w;
  guard g;
  char claim[ROUTE_CLAIM_MOST + 1];
  cft_client c;
} one;

static void begin(one *o, engine_config config) {
  claim_of(o->claim, "a", 1);
  guard_start(&o->g, o->claim, NULL);
  world_open(&o->w, config);
  world_live(&o->w, 0, "a", "a.example", o->g.addr, o->claim);
  visitor(&o->w, &o->c);
}

static void finish(one *o) {
  cft_client_close(&o->c);
  world_close(&o->w);
  guard_stop(&o->g);
}

/* The page that has come, and nothing of what is inside. */
static void expect_page(cft_client *c, const char *body, int status,
                        const char *code, const char *what) {
  char field[64];

  ck_assert_msg(body != NULL, "%s: cut: %s", what, c->data);
  ck_assert_msg(front_status(c->data) == status, "%s: %s", what, c->data);
  (void)snprintf(field, sizeof field, "X-Balancer-Error: %s", code);
  ck_assert_msg(front_has(c->data, field), "%s: %s", what, c->data);
  ck_assert_msg(strstr(c->data, "\r\nX-Request-Id: ") != NULL, "%s: no id",
                what);
  ck_assert_msg(front_has(c->data, "Cache-Control: no-store"), "%s", what);
  ck_assert_msg(strstr(c->data, "127.0.0.1") == NULL, "%s: %s", what, c->data);
  ck_assert_msg(strstr(c->data, "00000") == NULL, "%s: %s", what, c->data);
  ck_assert_msg(strstr(c->data, "s3cret") == NULL, "%s: %s", what, c->data);
  ck_assert_msg(strcasestr(c->data, "x-drone") == NULL, "%s: %s", what,
                c->data);
}

static void ask_page(cft_client *c, const char *request, int status,
                     const char *code) {
  char *body = front_ask(c, "GET", request);

  expect_page(c, body, status, code, request);
  free(body);
}

static void ask_ok(cft_client *c, const char *request, const char *expected) {
  char *body = front_ask(c, "GET", request);

  ck_assert_msg(body != NULL && strcmp(body, expected) == 0, "%s: %s", request,
                c->data);
  free(body);
}

/* ---- what the table says ---- */

START_TEST(test_plane_a_route_without_a_target_has_its_page) {
  static const struct {
    const char *host;
    enum route_state state;
    const char *msg, *page;
    bool told;
  } rows[] = {
      {"q.example", ROUTE_QUEUED, "3rd in the line", "E05", true},
      {"s.example", ROUTE_STARTING, "boots on vm9", "E02", false},
      {"c.example", ROUTE_CRASHED, "exit 1 on vm9", "E03", false},
      {"f.example", ROUTE_FAILED, "exit 1 on vm9", "E03", false},
      {"l.example", ROUTE_LIVE, "on vm9", "E03", false},
      {"o.example", ROUTE_STOPPED, "by joe", "E04", false},
  };
  plane_world w;
  cft_client c;

  world_open(&w, (engine_config){.threads = 2});
  visitor(&w, &c);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char app[2] = {(char)('a' + i), '\0'}, request[128];
    route_doc doc = doc_of(app, rows[i].host, rows[i].state);

    (void)snprintf(doc.msg, sizeof doc.msg, "%s", rows[i].msg);
    world_put(&w, i, &doc);
    (void)snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
    ask_page(&c, request, 503, rows[i].page);
    ck_assert_msg((strstr(c.data, rows[i].msg) != NULL) == rows[i].told, "%s",
                  c.data);
  }
  ask_page(&c, HOST("/", "nobody.example"), 404, "E01");
  ask_page(&c, "GET / HTTP/1.0\r\n\r\n", 404, "E01");
  cft_client_close(&c);
  world_close(&w);
}
END_TEST

/* Its owner has closed it, though it runs. */
START_TEST(test_plane_an_app_in_maintenance) {
  route_doc doc = doc_of("a", "a.example", ROUTE_LIVE);
  one o;

  begin(&o, (engine_config){.threads = 1});
  doc_to(&doc, o.g.addr, o.claim);
  doc.closed = true;
  (void)snprintf(doc.notice, sizeof doc.notice, "back at ten");
  world_put(&o.w, 0, &doc);
  ask_page(&o.c, AT("/"), 503, "E30");
  ck_assert_ptr_nonnull(strstr(o.c.data, "back at ten"));
  ck_assert_uint_eq(atomic_load(&o.g.asked), 0);
  finish(&o);
}
END_TEST

START_TEST(test_plane_a_target_serves_on_whatever_the_state_is) {
  static const enum route_state states[] = {
      ROUTE_QUEUED, ROUTE_STARTING, ROUTE_LIVE, ROUTE_CRASHED, ROUTE_FAILED};
  one o;

  begin(&o, (engine_config){.threads = 2});
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    route_doc doc = doc_of("a", "a.example", states[i]);

    doc_to(&doc, o.g.addr, o.claim);
    world_put(&o.w, 0, &doc);
    ask_ok(&o.c, AT("/"), o.claim);
    doc.state = ROUTE_STOPPED;
    world_put(&o.w, 0, &doc);
    ask_page(&o.c, AT("/"), 503, "E04");
  }
  finish(&o);
}
END_TEST

START_TEST(test_plane_nothing_read_yet_and_maintenance_of_all) {
  table_notice full = {true, "back at noon"}, none = {false, ""};
  one o;

  begin(&o, (engine_config){.threads = 2});
  table_set_ready(o.w.table, false);
  ask_page(&o.c, AT("/"), 503, "E09");
  ask_page(&o.c, HOST("/", "nobody.example"), 503, "E09");
  table_set_ready(o.w.table, true);
  ck_assert(table_set_notice(o.w.table, &full));
  engine_noticed(o.w.engine);
  ask_page(&o.c, AT("/"), 503, "E31");
  ck_assert_ptr_nonnull(strstr(o.c.data, "back at noon"));
  ck_assert(table_set_notice(o.w.table, &none));
  ask_ok(&o.c, AT("/"), o.claim);
  world_put(&o.w, 0, NULL);
  ask_page(&o.c, AT("/"), 404, "E01");
  finish(&o);
}
END_TEST

START_TEST(test_plane_hosts_as_visitors_write_them) {
  static const char *const hosts[] = {"a.example", "A.Example", "a.example.",
                                      "a.example:80", "A.EXAMPLE.:8080"};
  one o;

  begin(&o, (engine_config){.threads = 1});
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    char request[128];

    (void)snprintf(request, sizeof request,
                   "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
    ask_ok(&o.c, request, o.claim);
  }
  ask_ok(&o.c, "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
         o.claim);
  ask_page(&o.c, HOST("/", "aa.example"), 404, "E01");
  ask_page(&o.c, HOST("/", "example"), 404, "E01");
  ask_page(&o.c, HOST("/", "[::1]"), 404, "E01");
  finish(&o);
}
END_TEST

/* ---- the echo ---- */

static const char *const misrouted[] = {
    "/none", "/other", "/case",     "/shorter",   "/empty",      "/twice",
    "/two",  "/twin",  "/none-101", "/none-hint", "/misdirected"};

START_TEST(test_plane_nothing_is_shown_without_the_echo) {
  const char *path = misrouted[_i];
  char request[200];
  one o;

  begin(&o, (engine_config){.threads = 1});
  (void)snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\n\r\n",
                 path);
  ask_page(&o.c, request, 503, "E06");
  (void)snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n", path);
  ask_page(&o.c, request, strcmp(path, "/none-101") == 0 ? 502 : 503,
           strcmp(path, "/none-101") == 0 ? "E12" : "E06");
  ask_ok(&o.c, AT("/"), o.claim);
  finish(&o);
}
END_TEST

/* The claim is compared byte by byte, unlike names of fields. */
START_TEST(test_plane_the_echo_of_another_claim_is_none) {
  char other[ROUTE_CLAIM_MOST + 1];
  one o;

  begin(&o, (engine_config){.threads = 1});
  ask_ok(&o.c, AT("/lower"), "ok");
  /* This guard holds another claim, and would say so. */
  claim_of(other, "a", 2);
  world_live(&o.w, 0, "a", "a.example", o.g.addr, other);
  ask_page(&o.c, AT("/"), 503, "E06");
  ck_assert_int_eq(world_count(&o.w, "balancer_errors_total", "code=\"E06\""),
                   1);
  finish(&o);
}
END_TEST

START_TEST(test_plane_an_app_may_answer_421_itself) {
  one o;

  begin(&o, (engine_config){.threads = 1});
  ask_ok(&o.c, AT("/own-421"), "own");
  ck_assert_int_eq(front_status(o.c.data), 421);
  finish(&o);
}
END_TEST

static const struct {
  const char *path, *code;
  int status;
} tellings[] = {{"/starting", "E02", 503},    {"/crashed", "E03", 503},
                {"/late", "E13", 504},        {"/broken", "E12", 502},
                {"/refused-431", "E21", 431}, {"/refused-413", "E21", 413},
                {"/refused-503", "E14", 503}, {"/refused-400", "E12", 502},
                {"/what", "E12", 502}};

START_TEST(test_plane_what_the_guard_says_becomes_a_page) {
  char request[128];
  one o;

  begin(&o, (engine_config){.threads = 1});
  (void)snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n",
                 tellings[_i].path);
  ask_page(&o.c, request, tellings[_i].status, tellings[_i].code);
  ck_assert_ptr_null(strstr(o.c.data, "guard"));
  finish(&o);
}
END_TEST

/* ---- drones that do not answer ---- */

START_TEST(test_plane_drones_that_do_not_answer) {
  uint16_t port;
  int fd = cft_port_refusing(&port);
  char addr[64];
  one o;

  ck_assert_int_ge(fd, 0);
  begin(&o, (engine_config){.threads = 1, .answer_ms = 200});
  ask_page(&o.c, AT("/gone"), 502, "E12");
  ask_page(&o.c, AT("/nonsense"), 502, "E12");
  ask_page(&o.c, AT("/silent"), 504, "E13");
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  world_live(&o.w, 0, "a", "a.example", addr, o.claim);
  ask_page(&o.c, AT("/"), 502, "E10");
  (void)close(fd);
  finish(&o);
}
END_TEST

START_TEST(test_plane_a_drone_that_takes_no_connection) {
  uint16_t port;
  int fds[2];
  char addr[64];
  one o;

  ck_assert(cft_port_hanging(&port, fds));
  begin(&o, (engine_config){.threads = 1, .connect_ms = 100});
  (void)snprintf(addr, sizeof addr, "127.0.0.1:%u", (unsigned)port);
  world_live(&o.w, 0, "a", "a.example", addr, o.claim);
  ask_page(&o.c, AT("/"), 504, "E11");
  (void)close(fds[0]);
  (void)close(fds[1]);
  finish(&o);
}
END_TEST

/* ---- requests that go nowhere ---- */

#define FORTY "0123456789012345678901234567890123456789"

/* More than an id may have. */
#define LONG "01234567890123456789012345678901234567890123456789012345678901234"

static const struct {
  const char *sent, *code;
  int status;
} bad[] = {
    {"GET / HTTP/1.1\r\n\r\n", "E20", 400},
    {"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b\r\n\r\n", "E20", 400},
    {"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", "E20", 400},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     "E20", 400},
    {"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "E20", 405},
    {"CONNECT / HTTP/1.1\r\nHost: a.example\r\n\r\n", "E20", 405},
    {"TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n", "E20", 405},
    {"GET / HTTP/2.0\r\nHost: a.example\r\n\r\n", "E20", 505},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 101\r\n\r\n", "E21",
     413},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
     "78\r\n" FORTY FORTY FORTY,
     "E21", 413},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
     "x\r\n",
     "E20", 400},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nslow",
     "E21", 408},
    {"GET / HTTP/1.1\r\nHost: a.example\r\nX", "E21", 408},
    {"GET / HTTP/1.1\r\nHost: a.example\r\nX: " FORTY FORTY FORTY FORTY FORTY
     "\r\n\r\n",
     "E21", 431},
};

START_TEST(test_plane_a_bad_request_is_told_and_counted_once) {
  char labels[32];
  one o;

  begin(&o, (engine_config){.threads = 1,
                            .max_body = 100,
                            .max_head = 200,
                            .head_ms = 200,
                            .idle_ms = 200,
                            .answer_ms = WAIT_MS});
  cft_client_close(&o.c); /* it may have been idle for too long by now */
  visitor(&o.w, &o.c);
  ask_page(&o.c, bad[_i].sent, bad[_i].status, bad[_i].code);
  ck_assert(cft_client_until_end(&o.c, WAIT_MS) || o.c.end != CFT_END_NONE ||
            bad[_i].status == 400);
  (void)snprintf(labels, sizeof labels, "code=\"%s\"", bad[_i].code);
  ck_assert_int_eq(world_count(&o.w, "balancer_errors_total", labels), 1);
  ck_assert_int_eq(
      world_count(&o.w, "balancer_requests_total", "code=\"gone\""), 0);
  cft_client_close(&o.c);
  visitor(&o.w, &o.c);
  ask_ok(&o.c, AT("/"), o.claim);
  finish(&o);
}
END_TEST

/* ---- fields ---- */

START_TEST(test_plane_what_a_drone_is_told) {
  char claim[128], *head;
  one o;

  begin(&o, (engine_config){.threads = 1, .forwarded_https = true});
  head =
      front_ask(&o.c, "GET",
                "GET /show HTTP/1.1\r\nHost: A.example:80\r\n"
                "X-Drone-Claim: b/2\r\nx-drone-claim: b/3\r\n"
                "X_Drone_Claim: b/4\r\nX-Drone-Error: b\r\nX-Mine: yes\r\n"
                "X-Forwarded-Proto: http\r\nX-Request-Id: abc.1-2_3\r\n\r\n");
  ck_assert_ptr_nonnull(head);
  (void)snprintf(claim, sizeof claim, "X-Drone-Claim: %s", o.claim);
  ck_assert_msg(front_has(head, claim), "%s", head);
  ck_assert_ptr_null(strstr(head, "b/"));
  ck_assert_ptr_null(strcasestr(head, "drone-error"));
  ck_assert(front_has(head, "Host: A.example:80"));
  ck_assert(front_has(head, "X-Mine: yes"));
  ck_assert(front_has(head, "X-Forwarded-For: 127.0.0.1"));
  ck_assert(front_has(head, "X-Forwarded-Proto: https"));
  ck_assert_ptr_null(strstr(head, "Proto: http\r\n"));
  ck_assert(front_has(head, "X-Forwarded-Host: A.example:80"));
  ck_assert(front_has(head, "Via: 1.1 b1"));
  ck_assert(front_has(head, "X-Request-Id: abc.1-2_3"));
  free(head);
  finish(&o);
}
END_TEST

START_TEST(test_plane_request_ids) {
  static const char *const odd[] = {"", "a b", "a\"b", LONG, "a=b"};
  char request[300], *first, *head;
  one o;

  begin(&o, (engine_config){.threads = 1});
  first = front_ask(&o.c, "GET", AT("/show"));
  ck_assert_ptr_nonnull(strstr(first, "X-Request-Id: "));
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    (void)snprintf(request, sizeof request,
                   "GET /show HTTP/1.1\r\nHost: a.example\r\n"
                   "X-Request-Id: %s\r\n\r\n",
                   odd[i]);
    head = front_ask(&o.c, "GET", request);
    ck_assert_ptr_nonnull(head);
    (void)snprintf(request, sizeof request, "X-Request-Id: %s", odd[i]);
    ck_assert_msg(!front_has(head, request), "%s", head);
    ck_assert_ptr_nonnull(strstr(head, "X-Request-Id: "));
    ck_assert(strstr(head, "http") != NULL && strcmp(head, first) != 0);
    free(head);
  }
  free(first);
  /* A page has the id that was taken. */
  ask_page(&o.c,
           "GET / HTTP/1.1\r\nHost: nobody\r\nX-Request-Id: mine-7\r\n\r\n",
           404, "E01");
  ck_assert(front_has(o.c.data, "X-Request-Id: mine-7"));
  finish(&o);
}
END_TEST

START_TEST(test_plane_what_a_visitor_is_not_told) {
  one o;

  begin(&o, (engine_config){.threads = 1});
  ask_ok(&o.c, AT("/own-fields"), "ok");
  ck_assert(front_has(o.c.data, "X-Mine: yes"));
  ck_assert_ptr_null(strcasestr(o.c.data, "drone"));
  ck_assert_ptr_null(strstr(o.c.data, "s3cret"));
  ck_assert_ptr_null(strstr(o.c.data, "X-Balancer-Error"));
  ck_assert_ptr_null(strstr(o.c.data, o.claim));
  finish(&o);
}
END_TEST

START_TEST(test_plane_pages_in_the_form_that_is_asked_for) {
  one o;

  begin(&o, (engine_config){.threads = 1});
  ask_page(&o.c, "GET / HTTP/1.1\r\nHost: nobody\r\nAccept: text/html\r\n\r\n",
           404, "E01");
  ck_assert_ptr_nonnull(strstr(o.c.data, "<html"));
  ask_page(&o.c,
           "GET / HTTP/1.1\r\nHost: nobody\r\nAccept: application/json\r\n\r\n",
           404, "E01");
  ck_assert_ptr_nonnull(strstr(o.c.data, "\n{"));
  {
    char *body =
        front_ask(&o.c, "HEAD", "HEAD / HTTP/1.1\r\nHost: nobody\r\n\r\n");

    expect_page(&o.c, body, 404, "E01", "HEAD");
    ck_assert_str_eq(body, "");
    free(body);
  }
  finish(&o);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_plane");
  TCase *tc = tcase_create("balancer_plane");

  tcase_add_test(tc, test_plane_a_route_without_a_target_has_its_page);
  tcase_add_test(tc, test_plane_an_app_in_maintenance);
  tcase_add_test(tc, test_plane_a_target_serves_on_whatever_the_state_is);
  tcase_add_test(tc, test_plane_nothing_read_yet_and_maintenance_of_all);
  tcase_add_test(tc, test_plane_hosts_as_visitors_write_them);
  tcase_add_loop_test(tc, test_plane_nothing_is_shown_without_the_echo, 0,
                      (int)(sizeof misrouted / sizeof *misrouted));
  tcase_add_test(tc, test_plane_the_echo_of_another_claim_is_none);
  tcase_add_test(tc, test_plane_an_app_may_answer_421_itself);
  tcase_add_loop_test(tc, test_plane_what_the_guard_says_becomes_a_page, 0,
                      (int)(sizeof tellings / sizeof *tellings));
  tcase_add_test(tc, test_plane_drones_that_do_not_answer);
  tcase_add_test(tc, test_plane_a_drone_that_takes_no_connection);
  tcase_add_loop_test(tc, test_plane_a_bad_request_is_told_and_counted_once, 0,
                      (int)(sizeof bad / sizeof *bad));
  tcase_add_test(tc, test_plane_what_a_drone_is_told);
  tcase_add_test(tc, test_plane_request_ids);
  tcase_add_test(tc, test_plane_what_a_visitor_is_not_told);
  tcase_add_test(tc, test_plane_pages_in_the_form_that_is_asked_for);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
