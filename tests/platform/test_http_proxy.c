/* What a proxy makes of requests and answers that go well: framing, fields,
   connections that are used again.
   ctest: LABEL threads */
#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define OK(body_len, body)                                                     \
  "HTTP/1.1 200 OK\r\nContent-Length: " #body_len "\r\n\r\n" body

/* ---- answers ---- */

typedef struct answer {
  const char *name, *sent; /* by the server */
  enum cft_then then;
  const char *method, *version; /* of the client */
  const char *has, *lacks;      /* a field */
  const char *body;
  bool stays; /* the client's connection */
} answer;

static const answer answers[] = {
    {"length", OK(5, "hello"), CFT_KEEP, "GET", "1.1", "Content-Length: 5",
     "Transfer-Encoding: chunked", "hello", true},
    {"length 0", OK(0, ""), CFT_KEEP, "GET", "1.1", "Content-Length: 0",
     "Transfer-Encoding: chunked", "", true},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
     CFT_KEEP, "GET", "1.1", "Transfer-Encoding: chunked", "Content-Length: 5",
     "hello", true},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\nhello", CFT_CLOSE, "GET", "1.1",
     "Transfer-Encoding: chunked", "Connection: close", "hello", true},
    {"until the end, 1.0", "HTTP/1.0 200 OK\r\n\r\nhello", CFT_CLOSE, "GET",
     "1.1", "Transfer-Encoding: chunked", "Connection: close", "hello", true},
    {"1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     CFT_CLOSE, "GET", "1.1", "Content-Length: 5", "Connection: close", "hello",
     true},
    {"chunked to 1.0",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0\r\n\r\n",
     CFT_KEEP, "GET", "1.0", "X-Set: here", "Transfer-Encoding: chunked",
     "hello", false},
    {"until the end to 1.0", "HTTP/1.1 200 OK\r\n\r\nhello", CFT_CLOSE, "GET",
     "1.0", "X-Set: here", "Transfer-Encoding: chunked", "hello", false},
    {"length to 1.0", OK(5, "hello"), CFT_KEEP, "GET", "1.0",
     "Content-Length: 5", "Transfer-Encoding: chunked", "hello", false},
    {"HEAD with a length", OK(5, ""), CFT_KEEP, "HEAD", "1.1",
     "Content-Length: 5", "Transfer-Encoding: chunked", "", true},
    {"HEAD with a length of 0", OK(0, ""), CFT_KEEP, "HEAD", "1.1",
     "Content-Length: 0", "Transfer-Encoding: chunked", "", true},
    {"HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     CFT_KEEP, "HEAD", "1.1", "X-Set: here", "Content-Length: 0", "", true},
    {"HEAD of nothing said", "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n", CFT_KEEP,
     "HEAD", "1.1", "X-A: b", "Content-Length: 0", "", true},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", CFT_KEEP, "DELETE", "1.1",
     "X-Set: here", "Content-Length: 0", "", true},
    {"304 with a length",
     "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\n",
     CFT_KEEP, "GET", "1.1", "ETag: \"1\"", "Transfer-Encoding: chunked", "",
     true},
    {"close asked for",
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
     CFT_CLOSE, "GET", "1.1", "Content-Length: 5", "Connection: close", "hello",
     true},
    {"an error of the app", "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",
     CFT_KEEP, "GET", "1.1", "Content-Length: 2", "X-Result: broken", "no",
     true},
};

static void check_answer(const answer *a, size_t slice) {
  http_field set = {{"X-Set", 5}, {"here", 4}};
  cft_step steps[] = {
      {.match = "/one", .send = a->sent, .then = a->then, .slice = slice},
      {.match = "/two", .send = OK(3, "two")}};
  front_config config = {
      .rules = {.response = &set, .response_count = 1, .idle_ms = 20000}};
  cft_peer *behind = front_behind(&config, steps, 2);
  front *f = front_start(&config);
  cft_client c;
  char ask[128], *body;

  front_client(f, &c);
  (void)snprintf(ask, sizeof ask, "%s /one HTTP/%s\r\nHost: a\r\n\r\n",
                 a->method, a->version);
  body = front_ask(&c, a->method, ask);
  ck_assert_msg(body != NULL, "%s: no answer: %s", a->name, c.data);
  ck_assert_msg(strcmp(body, a->body) == 0, "%s: %s", a->name, c.data);
  ck_assert_msg(front_status(c.data) == strtol(a->sent + 9, NULL, 10), "%s: %s",
                a->name, c.data);
  ck_assert_msg(front_has(c.data, a->has), "%s: %s", a->name, c.data);
  ck_assert_msg(!front_has(c.data, a->lacks), "%s: %s", a->name, c.data);
  ck_assert_msg(front_has(c.data, "X-Set: here"), "%s: %s", a->name, c.data);
  free(body);
  if (a->stays) { /* and nothing of the first answer is left in it */
    body = front_ask(&c, "GET", GET("/two"));
    ck_assert_msg(body != NULL && strcmp(body, "two") == 0, "%s: %s", a->name,
                  c.data);
    free(body);
  } else {
    ck_assert_msg(cft_client_until_end(&c, 20000), "%s", a->name);
  }
  ck_assert_uint_eq(front_count(f, HTTP_PROXY_OK), a->stays ? 2 : 1);
  cft_client_close(&c);
  front_stop(f);
  cft_peer_free(behind);
}

START_TEST(test_proxy_answers_of_any_framing) {
  check_answer(&answers[_i], 0);
  check_answer(&answers[_i], 1);
}
END_TEST

/* ---- requests ---- */

static bool read_until(cft_conn *conn, text *in, size_t from, const char *end) {
  size_t len = strlen(end), got = 0;
  char byte;

  while (in->len < from + len ||
         memcmp(in->data + in->len - len, end, len) != 0) {
    if (!cft_conn_read(conn, &byte, 1, &got) || got == 0)
      return false;
    text_add(in, &byte, 1);
  }
  return true;
}

/* The head's lines, then the body in brackets. */
static bool read_request(cft_conn *conn, text *in) {
  const char *length;
  size_t left = 0, got = 0;
  char byte;
  bool chunked;

  if (!read_until(conn, in, 0, "\r\n\r\n"))
    return false;
  chunked = strstr(in->data, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
  length = strstr(in->data, "\r\nContent-Length: ");
  if (length != NULL)
    left = strtoul(length + 18, NULL, 10);
  text_str(in, "[");
  if (chunked && !read_until(conn, in, in->len, "0\r\n\r\n"))
    return false;
  for (; left != 0; left--) {
    if (!cft_conn_read(conn, &byte, 1, &got) || got == 0)
      return false;
    text_add(in, &byte, 1);
  }
  text_str(in, "]");
  return true;
}

/* Answers with what it got. */
static void on_echo(cft_conn *conn, void *user) {
  text in = TEXT_INIT;

  (void)user;
  while (read_request(conn, &in) &&
         cft_conn_sendf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                        in.len) &&
         cft_conn_send(conn, in.data, in.len))
    text_clear(&in);
  text_free(&in);
}

static char *ask_echo(const front_config *given, const char *method,
                      const char *request, size_t slice) {
  front_config config = *given;
  cft_peer *behind = front_behind_handler(&config, on_echo, NULL);
  front *f = front_start(&config);
  cft_client c;
  char *body;

  front_client(f, &c);
  if (slice != 0) { /* all but the last byte, one by one */
    size_t len = strlen(request);
    char byte[2] = "";

    for (size_t i = 0; i + 1 < len; i++) {
      byte[0] = request[i];
      ck_assert(cft_client_send(&c, byte));
    }
    request += len - 1;
  }
  body = front_ask(&c, method, request);
  ck_assert_msg(body != NULL, "%s", c.data);
  cft_client_close(&c);
  front_stop(f);
  cft_peer_free(behind);
  return body;
}

static void expect_in(const char *all, const char *part) {
  ck_assert_msg(strstr(all, part) != NULL, "%s is not in %s", part, all);
}

static void expect_not_in(const char *all, const char *part) {
  ck_assert_msg(strcasestr(all, part) == NULL, "%s is in %s", part, all);
}

START_TEST(test_proxy_request_bodies) {
  static const front_config config = {.target = ""};
  size_t slice = (size_t)_i;
  char *all;

  all = ask_echo(&config, "POST",
                 "POST /p?q=1 HTTP/1.1\r\nHost: a.example:8080\r\n"
                 "Content-Length: 5\r\n\r\nhello",
                 slice);
  ck_assert_msg(strncmp(all, "POST /p?q=1 HTTP/1.1\r\n", 22) == 0, "%s", all);
  expect_in(all, "\r\nHost: a.example:8080\r\n");
  expect_in(all, "\r\nContent-Length: 5\r\n");
  expect_in(all, "[hello]");
  free(all);
  all = ask_echo(&config, "PUT",
                 "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                 "\r\n5\r\nhello\r\n0\r\n\r\n",
                 slice);
  expect_in(all, "\r\nTransfer-Encoding: chunked\r\n");
  expect_not_in(all, "content-length");
  expect_in(all, slice == 0 ? "[5\r\nhello\r\n0\r\n\r\n]" : "o\r\n0\r\n\r\n]");
  free(all);
  all = ask_echo(&config, "POST",
                 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                 slice);
  expect_in(all, "\r\nContent-Length: 0\r\n");
  expect_in(all, "[]");
  free(all);
  all = ask_echo(&config, "PUT",
                 "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                 "\r\n0\r\n\r\n",
                 slice);
  expect_in(all, "[0\r\n\r\n]");
  free(all);
  all = ask_echo(&config, "GET", "GET / HTTP/1.0\r\n\r\n", slice);
  expect_in(all, "\r\nHost: 127.0.0.1:");
  expect_not_in(all, "content-length");
  free(all);
}
END_TEST

START_TEST(test_proxy_drops_what_is_of_one_connection_only) {
  static const front_config config = {.target = ""};
  char *all = ask_echo(&config, "GET",
                       "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Gone"
                       "\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
                       "Proxy-Authorization: x\r\nTrailer: X\r\n"
                       "Upgrade: h2c\r\nX-Stays: 1\r\nX-Stays: 2\r\n\r\n",
                       0);

  expect_in(all, "\r\nX-Stays: 1\r\nX-Stays: 2\r\n");
  expect_not_in(all, "connection:");
  expect_not_in(all, "x-gone");
  expect_not_in(all, "keep-alive");
  expect_not_in(all, "\nte:");
  expect_not_in(all, "proxy-");
  expect_not_in(all, "trailer");
  expect_not_in(all, "upgrade");
  expect_not_in(all, "x-forwarded");
  expect_not_in(all, "via:");
  free(all);
}
END_TEST

START_TEST(test_proxy_sets_fields_and_drops_a_prefix) {
  http_field set[] = {{{"X-Drone-Claim", 13}, {"a/1", 3}},
                      {{"X-Own", 5}, {"", 0}}};
  front_config config = {
      .rules = {.request = set, .request_count = 2, .drop_prefix = "X-Drone-"}};
  char *all = ask_echo(&config, "GET",
                       "GET / HTTP/1.1\r\nHost: a\r\nx-drone-claim: b/2\r\n"
                       "X-DRONE-: c\r\nX-Dron: stays\r\nx-own: theirs\r\n"
                       "X_Drone_Claim: b/2\r\nX_oWn: theirs\r\n\r\n",
                       0);

  expect_in(all, "\r\nX-Drone-Claim: a/1\r\n");
  expect_in(all, "\r\nX-Own: \r\n");
  expect_in(all, "\r\nX-Dron: stays\r\n");
  expect_not_in(all, "b/2");
  expect_not_in(all, ": c");
  expect_not_in(all, "theirs");
  free(all);
}
END_TEST

START_TEST(test_proxy_forwarding_fields) {
  front_config config = {.rules = {.forwarded = true, .via = "front"}};
  char *all = ask_echo(&config, "GET", GET("/"), 0), *id, *other;

  expect_in(all, "\r\nX-Forwarded-For: 127.0.0.1\r\n");
  expect_in(all, "\r\nX-Forwarded-Proto: http\r\n");
  expect_in(all, "\r\nX-Forwarded-Host: a.example\r\n");
  expect_in(all, "\r\nVia: 1.1 front\r\n");
  id = strstr(all, "\r\nX-Request-Id: ");
  ck_assert_ptr_nonnull(id);
  *strstr(id + 2, "\r\n") = '\0';
  ck_assert_uint_ge(strlen(id), 16 + 32);
  other = ask_echo(
      &config, "GET",
      "GET / HTTP/1.0\r\nHost: b\r\nX-Forwarded-For: 1.2.3.4\r\n"
      "X-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: evil\r\nX_Forwarded-Host: evil\r\nVia: 1.1 first\r\n"
      "X-Request-Id: mine\r\n\r\n",
      0);
  expect_in(other, "\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8, 127.0.0.1\r\n");
  expect_in(other, "\r\nX-Forwarded-Proto: http\r\n");
  expect_in(other, "\r\nX-Forwarded-Host: b\r\n");
  expect_in(other, "\r\nVia: 1.1 first\r\n");
  expect_in(other, "\r\nVia: 1.0 front\r\n");
  expect_in(other, "\r\nX-Request-Id: mine\r\n");
  expect_not_in(other, "evil");
  expect_not_in(other, id + 2);
  free(all);
  free(other);
}
END_TEST

START_TEST(test_proxy_answer_fields) {
  http_field set[] = {{{"X-By", 4}, {"us", 2}}};
  cft_step step = {.send = "HTTP/1.1 200 Fine\r\nConnection: x-hop\r\n"
                           "X-Hop: 1\r\nKeep-Alive: 9\r\nX-BY: them\r\n"
                           "X-Drone-Claim: a\r\nSet-Cookie: a=1\r\n"
                           "Set-Cookie: b=2\r\nUpgrade: h2c\r\n"
                           "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                           "Content-Length: 2\r\n\r\nok"};
  front_config config = {.rules = {.response = set,
                                   .response_count = 1,
                                   .drop_prefix = "x-drone-"}};
  cft_peer *behind = front_behind(&config, &step, 1);
  front *f = front_start(&config);
  cft_client c;
  char *body;

  front_client(f, &c);
  body = front_ask(&c, "GET", GET("/"));
  ck_assert_str_eq(body, "ok");
  expect_in(c.data, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
  expect_in(c.data, "\r\nX-By: us\r\n");
  expect_in(c.data, "\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n");
  ck_assert_ptr_null(strstr(strstr(c.data, "Date: ") + 1, "Date: "));
  expect_not_in(c.data, "x-hop");
  expect_not_in(c.data, "them");
  expect_not_in(c.data, "x-drone");
  expect_not_in(c.data, "upgrade");
  free(body);
  cft_client_close(&c);
  front_stop(f);
  cft_peer_free(behind);
}
END_TEST

/* ---- where to ---- */

START_TEST(test_proxy_over_unix_sockets_and_ipv6) {
  static const cft_step step = {.send = OK(2, "ok"), .times = CFT_FOREVER};
  char where[] = "/tmp/front-XXXXXX", name[64], path[80];
  const char *const peers[] = {path, "::1"};

  ck_assert_ptr_nonnull(mkdtemp(where));
  (void)snprintf(path, sizeof path, "unix:%s/behind", where);
  for (int i = 0; i < 2; i++) {
    front_config config = {.listen = i == 0 ? name : "[::1]:0"};
    cft_peer *behind = cft_peer_script(peers[i], &step, 1);
    front *f;
    cft_client c;
    char *body;

    (void)snprintf(name, sizeof name, "unix:%s/front", where);
    if (i == 0)
      (void)snprintf(config.target, sizeof config.target, "%s", path);
    else
      (void)snprintf(config.target, sizeof config.target, "[::1]:%u",
                     (unsigned)cft_peer_port(behind));
    config.rules.forwarded = true;
    f = front_start(&config);
    ck_assert(i == 0 ? cft_client_connect_unix(&c, name + 5)
                     : cft_client_connect6(&c, front_port(f)));
    for (int k = 0; k < 2; k++) {
      body = front_ask(&c, "GET", GET("/"));
      ck_assert_msg(body != NULL && strcmp(body, "ok") == 0, "%s", c.data);
      free(body);
    }
    ck_assert_uint_eq(cft_peer_accepted(behind), 1);
    cft_client_close(&c);
    front_stop(f);
    cft_peer_free(behind);
  }
  (void)unlink(name + 5);
  (void)unlink(path + 5);
  (void)rmdir(where);
}
END_TEST

/* ---- again ---- */

START_TEST(test_proxy_uses_connections_again_for_their_key) {
  static const cft_step step = {.send = OK(2, "ok"), .times = CFT_FOREVER};
  front_config config = {.target = ""};
  cft_peer *behind = front_behind(&config, &step, 1);
  front *f = front_start(&config);
  cft_client c[2];
  char *body;

  front_client(f, &c[0]);
  front_client(f, &c[1]);
  for (int i = 0; i < 40; i++) {
    body = front_ask(&c[i % 2], "GET",
                     i % 4 < 2
                         ? "GET / HTTP/1.1\r\nHost: a\r\nX-Key: one\r\n\r\n"
                         : "GET / HTTP/1.1\r\nHost: a\r\nX-Key: two\r\n\r\n");
    ck_assert_str_eq(body, "ok");
    free(body);
  }
  ck_assert_uint_eq(cft_peer_accepted(behind), 2);
  cft_client_close(&c[0]);
  cft_client_close(&c[1]);
  front_stop(f);
  cft_peer_free(behind);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_proxy");
  TCase *tc = tcase_create("http_proxy");

  tcase_add_loop_test(tc, test_proxy_answers_of_any_framing, 0,
                      (int)(sizeof answers / sizeof *answers));
  tcase_add_loop_test(tc, test_proxy_request_bodies, 0, 2);
  tcase_add_test(tc, test_proxy_drops_what_is_of_one_connection_only);
  tcase_add_test(tc, test_proxy_sets_fields_and_drops_a_prefix);
  tcase_add_test(tc, test_proxy_forwarding_fields);
  tcase_add_test(tc, test_proxy_answer_fields);
  tcase_add_test(tc, test_proxy_over_unix_sockets_and_ipv6);
  tcase_add_test(tc, test_proxy_uses_connections_again_for_their_key);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
