/* Faults, credentials and _local documents of the mini couch: each fault does
   to the wire what it says, to the requests it says, and to no other.
   ctest: LABEL threads */
#include "support/peer_client.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 10000 };

static cft_mini *mini;
static cft_peer *peer;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  cft_mini_fill(mini, "d", 3);
}

static void teardown(void) {
  cft_mini_free(mini);
  mini = NULL;
}

static void ask_with(cft_client *c, const char *line, const char *headers,
                     const char *body) {
  ck_assert(cft_client_connect(c, cft_peer_port(peer)));
  ck_assert(cft_client_request(c, line, headers, body));
}

static void ask(cft_client *c, const char *line) {
  ask_with(c, line, "Connection: close\r\n", NULL);
}

static int status_with(const char *line, const char *headers,
                       const char *body) {
  cft_client c;
  char all[512];
  snprintf(all, sizeof all, "Connection: close\r\n%s", headers ? headers : "");
  ask_with(&c, line, all, body);
  ck_assert(cft_client_until_end(&c, LONG_MS));
  int status = c.len > 12 ? (int)strtol(c.data + 9, NULL, 10) : 0;
  cft_client_close(&c);
  return status;
}

static int status_of(const char *line) { return status_with(line, NULL, NULL); }

/* ---- which requests ---- */

START_TEST(test_fault_strikes_the_kth_request_of_its_kind) {
  size_t fault = cft_mini_fault(
      mini,
      &(cft_fault){.on = CFT_NORMAL, .skip = 1, .times = 2, .status = 503});
  static const struct {
    const char *line;
    int status;
  } cases[] = {
      {"GET /db/_changes", 200}, {"GET /db", 200},
      {"GET /db/_changes", 503}, {"GET /", 200},
      {"GET /db/_changes", 503}, {"GET /db/_changes", 200},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ck_assert_int_eq(status_of(cases[i].line), cases[i].status);
  ck_assert_uint_eq(cft_mini_fault_hits(mini, fault), 2);
}
END_TEST

START_TEST(test_fault_each_kind_alone) {
  static const struct {
    unsigned kind;
    const char *line;
  } cases[] = {
      {CFT_ROOT, "GET /"},
      {CFT_DB, "GET /db"},
      {CFT_NORMAL, "GET /db/_changes"},
      {CFT_LIVE, "GET /db/_changes?feed=longpoll"},
      {CFT_CONTINUOUS, "GET /db/_changes?feed=continuous&limit=1"},
      {CFT_EVENTSOURCE, "GET /db/_changes?feed=eventsource&limit=1"},
      {CFT_WHO, "GET /_session"},
      {CFT_UPDATES, "GET /_db_updates"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cft_mini_fault(mini, CFT_FAULT_STATUS(cases[i].kind, 500));
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
      bool hit = cases[i].kind == cases[k].kind ||
                 (cases[i].kind == CFT_LIVE && k >= 3 && k <= 5);
      /* the updates feed is a normal one, too */
      hit = hit || (cases[i].kind == CFT_NORMAL && k == 7);
      hit = hit || (k == 3 && cases[i].kind == CFT_LONGPOLL);
      ck_assert_msg(status_of(cases[k].line) == (hit ? 500 : 200),
                    "fault %zu, request %zu", i, k);
    }
    cft_mini_heal(mini);
    ck_assert_int_eq(status_of(cases[i].line), 200);
  }
}
END_TEST

START_TEST(test_fault_in_order_of_addition) {
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB, .times = 1, .status = 500});
  cft_mini_fault(mini, &(cft_fault){.on = CFT_ANY, .times = 1, .status = 503});
  ck_assert_int_eq(status_of("GET /db"), 500);
  ck_assert_int_eq(status_of("GET /db"), 503);
  ck_assert_int_eq(status_of("GET /db"), 200);
}
END_TEST

/* ---- what it does ---- */

START_TEST(test_fault_answers_in_the_servers_place) {
  cft_client c;
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB,
                                    .times = 1,
                                    .status = 429,
                                    .headers = "Retry-After: 5\r\n",
                                    .body = "{\"error\":\"slow\"}"});
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB,
                                    .times = 1,
                                    .status = 200,
                                    .headers = "Content-Type: text/html\r\n",
                                    .body = "<html>"});
  cft_mini_fault(mini, &(cft_fault){.on = CFT_DB,
                                    .times = 1,
                                    .raw = "gar\0bage",
                                    .raw_len = 8,
                                    .then = CFT_CLOSE});
  ask(&c, "GET /db");
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_ptr_nonnull(strstr(c.data, "HTTP/1.1 429 "));
  ck_assert_ptr_nonnull(strstr(c.data, "\r\nRetry-After: 5\r\n"));
  ck_assert_ptr_nonnull(strstr(c.data, "\r\n\r\n{\"error\":\"slow\"}"));
  cft_client_close(&c);
  ask(&c, "GET /db");
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_ptr_nonnull(strstr(c.data, "\r\nContent-Type: text/html\r\n"));
  ck_assert_ptr_null(strstr(c.data, "application/json"));
  ck_assert_ptr_nonnull(strstr(c.data, "\r\n\r\n<html>"));
  cft_client_close(&c);
  ask_with(&c, "GET /db", NULL, NULL);
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_uint_eq(c.len, 8);
  ck_assert_mem_eq(c.data, "gar\0bage", 8);
  cft_client_close(&c);
}
END_TEST

START_TEST(test_fault_before_the_response) {
  static const struct {
    enum cft_then then;
    int end;
  } cases[] = {{CFT_CLOSE, CFT_END_FIN},
               {CFT_RST, CFT_END_RST},
               {CFT_SILENCE, CFT_END_NONE},
               {CFT_BLACKHOLE, CFT_END_NONE}};
  for (size_t i = 0; i < 4; i++) {
    cft_client c;
    cft_mini_fault(mini, CFT_FAULT_BEFORE(CFT_ANY, cases[i].then));
    ask_with(&c, "GET /db", NULL, NULL);
    if (cases[i].end == CFT_END_NONE) {
      ck_assert(cft_peer_wait_requests(peer, CFT_ANY, i + 1, LONG_MS));
      ck_assert(cft_client_quiet(&c, 50));
    } else {
      ck_assert(cft_client_until_end(&c, LONG_MS));
    }
    ck_assert_int_eq(c.end, cases[i].end);
    ck_assert_uint_eq(c.len, 0);
    cft_client_close(&c);
    ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
    cft_mini_heal(mini);
  }
}
END_TEST

START_TEST(test_fault_on_connect) {
  cft_client c;
  cft_mini_fault(mini,
                 &(cft_fault){.on = CFT_CONNECT, .times = 1, .then = CFT_RST});
  ck_assert(cft_client_connect(&c, cft_peer_port(peer)));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_int_eq(c.end, CFT_END_RST);
  cft_client_close(&c);
  ck_assert_int_eq(status_of("GET /db"), 200);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 1);
}
END_TEST

/* Each byte offset of the response, each way to end: exactly the bytes before
   it arrive. */
START_TEST(test_fault_cuts_at_every_byte) {
  static const char *const lines[] = {
      "GET /db/_changes", "GET /db/_changes?feed=continuous&limit=3",
      "GET /db"};
  for (size_t l = 0; l < 3; l++) {
    cft_client full, c;
    ask(&full, lines[l]);
    ck_assert(cft_client_until_end(&full, LONG_MS));
    size_t body = (size_t)(strstr(full.data, "\r\n\r\n") - full.data) + 4;
    for (size_t at = 0;; at++) {
      static const enum cft_then ends[] = {CFT_CLOSE, CFT_RST, CFT_SILENCE};
      enum cft_then then = ends[at % 3];
      size_t want = body + at < full.len ? body + at : full.len;
      size_t fault = cft_mini_fault(mini, CFT_FAULT_CUT(CFT_ANY, at, then));
      ask(&c, lines[l]);
      ck_assert(cft_client_until_len(&c, want, LONG_MS));
      if (then == CFT_SILENCE)
        ck_assert_uint_eq(c.len, want);
      else
        ck_assert(cft_client_until_end(&c, LONG_MS));
      ck_assert_uint_eq(c.len, want);
      ck_assert_mem_eq(c.data, full.data, want);
      cft_client_close(&c);
      ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
      ck_assert_uint_eq(cft_mini_fault_hits(mini, fault), 1);
      cft_mini_heal(mini);
      if (cft_mini_fault_cuts(mini, fault) == 0) {
        ck_assert_uint_gt(body + at, full.len);
        break;
      }
    }
    cft_client_close(&full);
  }
}
END_TEST

START_TEST(test_fault_cut_holds_for_an_open_feed) {
  cft_client c;
  cft_mini_fault(mini, CFT_FAULT_CUT(CFT_LIVE, 20, CFT_RST));
  ask(&c, "GET /db/_changes?feed=continuous&since=now");
  ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
  cft_mini_put(mini, "x", "1-x", false);
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_int_eq(c.end, CFT_END_RST);
  ck_assert_uint_eq(c.len, (size_t)(strstr(c.data, "\r\n\r\n") - c.data) + 24);
  cft_client_close(&c);
}
END_TEST

START_TEST(test_fault_slices_empties_delays_rewinds) {
  cft_client c;
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL, .times = 1, .slice = 1});
  cft_mini_fault(mini,
                 &(cft_fault){.on = CFT_NORMAL, .times = 1, .empty = true});
  cft_mini_fault(mini,
                 &(cft_fault){.on = CFT_NORMAL, .times = 1, .delay_ms = 60});
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL, .times = 1, .rewind = 2});
  ask(&c, "GET /db/_changes");
  ck_assert(cft_client_until(&c, "d000002", LONG_MS));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  cft_client_close(&c);

  ask(&c, "GET /db/_changes");
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_ptr_null(strstr(c.data, "\"id\""));
  ck_assert_ptr_nonnull(strstr(c.data, "\"last_seq\":\"0-"));
  cft_client_close(&c);

  int64_t begin = cft_now_ms();
  ask(&c, "GET /db/_changes");
  ck_assert(cft_client_until_len(&c, 1, LONG_MS));
  ck_assert_int_ge(cft_now_ms() - begin, 60);
  cft_client_close(&c);

  ask(&c, "GET /db/_changes?since=now");
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert_ptr_null(strstr(c.data, "d000000"));
  ck_assert_ptr_nonnull(strstr(c.data, "d000001"));
  ck_assert_ptr_nonnull(strstr(c.data, "d000002"));
  cft_client_close(&c);
}
END_TEST

/* ---- credentials ---- */

static void lock_database(void) {
  cft_mini_config config = cft_mini_get_config(mini);
  snprintf(config.user, sizeof config.user, "joe");
  snprintf(config.password, sizeof config.password, "p:w");
  snprintf(config.bearer, sizeof config.bearer, "token");
  cft_mini_set_config(mini, &config);
}

/* Logs in and gives the Cookie header line. */
static void login(char *cookie, size_t size) {
  cft_client c;
  ask_with(&c, "POST /_session", "Connection: close\r\n",
           "name=joe&password=p%3Aw");
  ck_assert(cft_client_until_end(&c, LONG_MS));
  const char *set = strstr(c.data, "Set-Cookie: AuthSession=");
  ck_assert_ptr_nonnull(set);
  set += strlen("Set-Cookie: ");
  snprintf(cookie, size, "Cookie: %.*s\r\n", (int)strcspn(set, ";"), set);
  cft_client_close(&c);
}

START_TEST(test_mini_asks_for_credentials) {
  static const struct {
    const char *headers;
    int status;
  } cases[] = {
      {NULL, 401},
      {"Authorization: Basic am9lOnA6dw==\r\n", 200},
      {"Authorization: Basic am9lOnA6eA==\r\n", 401},
      {"Authorization: Bearer token\r\n", 200},
      {"Authorization: Bearer tokem\r\n", 401},
      {"Cookie: AuthSession=junk\r\n", 401},
  };
  ck_assert_int_eq(status_of("GET /db"), 200);
  lock_database();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(status_with("GET /db", cases[i].headers, NULL),
                     cases[i].status);
    ck_assert_int_eq(status_with("GET /_db_updates", cases[i].headers, NULL),
                     cases[i].status);
  }
  ck_assert_int_eq(status_of("GET /"), 200);
}
END_TEST

START_TEST(test_mini_sessions_expire) {
  char cookie[256];
  lock_database();
  ck_assert_int_eq(status_with("POST /_session", NULL, "name=joe&password=x"),
                   401);
  ck_assert_int_eq(status_with("POST /_session", NULL,
                               "{\"name\":\"joe\",\"password\":\"p:w\"}"),
                   200);
  login(cookie, sizeof cookie);
  ck_assert_int_eq(status_with("GET /db", cookie, NULL), 200);
  cft_mini_expire_sessions(mini);
  ck_assert_int_eq(status_with("GET /db", cookie, NULL), 401);
  login(cookie, sizeof cookie);
  ck_assert_int_eq(status_with("GET /db", cookie, NULL), 200);

  cft_mini_config config = cft_mini_get_config(mini);
  config.session_ms = 0;
  cft_mini_set_config(mini, &config);
  login(cookie, sizeof cookie);
  ck_assert_int_eq(status_with("GET /db", cookie, NULL), 401);
  config.expired_is_anonymous = true;
  cft_mini_set_config(mini, &config);
  ck_assert_int_eq(status_with("GET /db", cookie, NULL), 200);
  ck_assert_int_eq(status_with("GET /db", NULL, NULL), 401);
}
END_TEST

/* ---- _local documents ---- */

START_TEST(test_mini_keeps_local_documents) {
  ck_assert_int_eq(status_of("GET /db/_local/a%2Fb"), 404);
  ck_assert_ptr_null(cft_mini_local(mini, "a/b"));
  ck_assert_int_eq(status_with("PUT /db/_local/a%2Fb", NULL, "{\"x\":1}"), 201);
  ck_assert_int_eq(status_with("PUT /db/_local/a%2Fb", NULL, "{\"x\":2}"), 409);
  ck_assert_int_eq(
      status_with("PUT /db/_local/a%2Fb", NULL, "{\"_rev\":\"0-1\",\"x\":3}"),
      201);
  ck_assert_int_eq(status_with("PUT /db/_local/a%2Fb", NULL, "no json"), 400);
  ck_assert_int_eq(status_of("GET /db/_local/a%2Fb"), 200);
  char *text = cft_mini_local(mini, "a/b");
  ck_assert_str_eq(text, "{\"_id\":\"_local/a/b\",\"_rev\":\"0-2\",\"x\":3}");
  free(text);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_LOCAL), 6);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peer_faults");
  TCase *tc = tcase_create("faults");
  tcase_set_timeout(tc, 120);
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_fault_strikes_the_kth_request_of_its_kind);
  tcase_add_test(tc, test_fault_each_kind_alone);
  tcase_add_test(tc, test_fault_in_order_of_addition);
  tcase_add_test(tc, test_fault_answers_in_the_servers_place);
  tcase_add_test(tc, test_fault_before_the_response);
  tcase_add_test(tc, test_fault_on_connect);
  tcase_add_test(tc, test_fault_cuts_at_every_byte);
  tcase_add_test(tc, test_fault_cut_holds_for_an_open_feed);
  tcase_add_test(tc, test_fault_slices_empties_delays_rewinds);
  tcase_add_test(tc, test_mini_asks_for_credentials);
  tcase_add_test(tc, test_mini_sessions_expire);
  tcase_add_test(tc, test_mini_keeps_local_documents);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
