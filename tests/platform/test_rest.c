/* Calls over HTTP: what is sent, what an answer is, what is said about one that
   does not come, and that nothing is sent twice unseen. */
#include "common/rest.h"

#include "support/peer.h"
#include "support/tunnel.h"
#include "support/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define JSON_ANSWER(status, more, length, body)                                \
  "HTTP/1.1 " status "\r\nContent-Type: application/json\r\n" more             \
  "Content-Length: " length "\r\n\r\n" body

static char error[256];

static rest *rest_to(const char *url, const char *token) {
  rest_config config = {.url = url, .token = token, .total_ms = 5000};
  rest *r = rest_new(&config, error, sizeof error);

  ck_assert_msg(r != NULL, "%s", error);
  return r;
}

static bool header_is(const cft_request *req, const char *name,
                      const char *expected) {
  char value[256];

  if (!cft_request_header(req, name, value, sizeof value))
    return expected == NULL;
  return expected != NULL && strcmp(value, expected) == 0;
}

START_TEST(test_rest_sends_json_and_reads_it) {
  static const cft_step steps[] = {
      {.match = "PUT /base/a%20b ",
       .send = JSON_ANSWER("201 Created", "", "13", "{\"rev\":\"1-a\"}")},
      {.match = "GET /base/x ", .send = JSON_ANSWER("200 OK", "", "4", "null")},
      {.match = "POST /base/none ", .send = JSON_ANSWER("204 No", "", "0", "")},
      {.match = "DELETE /base/text ",
       .send = JSON_ANSWER("200 OK", "", "5", "hello")},
      {.match = "HEAD /base/x ", .send = JSON_ANSWER("200 OK", "", "4", "")}};
  cft_peer *peer = cft_peer_script(NULL, steps, 5);
  json_t *body = json_pack("{s:[i,n]}", "a", 1);
  char url[128], path[64] = "/";
  rest_reply reply;
  const cft_request *req;
  rest *r;

  (void)snprintf(url, sizeof url, "%s/base/", cft_peer_url(peer));
  r = rest_to(url, "t0ken.~+/=");
  ck_assert(rest_escape("a b", path + 1, sizeof path - 1));
  ck_assert_int_eq(rest_call(r, "PUT", path, body, &reply), 201);
  ck_assert_str_eq(reply.error, "");
  ck_assert(!reply.in_doubt);
  ck_assert_int_ge(reply.took_ms, 0);
  ck_assert_str_eq(json_string_value(json_object_get(reply.body, "rev")),
                   "1-a");
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_call(r, "GET", "/x", NULL, &reply), 200);
  ck_assert(json_is_null(reply.body));
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_call(r, "POST", "/none", NULL, &reply), 204);
  ck_assert_ptr_null(reply.body);
  ck_assert_int_eq(rest_call(r, "DELETE", "/text", NULL, &reply), 200);
  ck_assert_ptr_null(reply.body); /* not JSON */
  ck_assert_int_eq(rest_call(r, "HEAD", "/x", NULL, &reply), 200);
  ck_assert_uint_eq(cft_peer_accepted(peer), 1); /* kept */

  req = cft_peer_request(peer, CFT_ANY, 0);
  ck_assert_str_eq(req->body, "{\"a\":[1,null]}");
  ck_assert(header_is(req, "Content-Type", "application/json"));
  ck_assert(header_is(req, "Authorization", "Bearer t0ken.~+/="));
  ck_assert(header_is(req, "Expect", NULL));
  req = cft_peer_request(peer, CFT_ANY, 2);
  ck_assert(header_is(req, "Content-Length", "0"));
  json_decref(body);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_user_of_the_url_goes_into_a_header_only) {
  static const cft_step step = {
      .send = JSON_ANSWER("401 Unauthorized", "", "53",
                          "{\"error\":\"unauthorized\",\"reason\":\"Wrong "
                          "\\u001bname.\"}")};
  cft_peer *peer = cft_peer_script(NULL, &step, 1);
  char url[128], expected[256];
  rest_reply reply;
  rest *r;

  (void)snprintf(url, sizeof url, "http://me:s%%40cret@%s",
                 cft_peer_url(peer) + strlen("http://"));
  r = rest_to(url, NULL);
  ck_assert_int_eq(rest_call(r, "GET", "/", NULL, &reply), 401);
  ck_assert(header_is(cft_peer_request(peer, CFT_ANY, 0), "Authorization",
                      "Basic bWU6c0BjcmV0"));
  (void)snprintf(expected, sizeof expected,
                 "GET %s/ was answered with 401 (unauthorized: Wrong ?name.).",
                 cft_peer_url(peer));
  ck_assert_str_eq(reply.error, expected);
  ck_assert_str_eq(rest_url(r), cft_peer_url(peer));
  ck_assert(!reply.in_doubt);
  rest_reply_free(&reply);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

static void refused(const char *url, const char *token, const char *sentence) {
  rest_config config = {.url = url, .token = token};

  ck_assert_ptr_null(rest_new(&config, error, sizeof error));
  ck_assert_str_eq(error, sentence);
}

START_TEST(test_rest_wrong_urls_and_tokens_are_refused_without_quoting) {
  static const char *const bad[] = {
      "",        "127.0.0.1:80",          "ftp://s3cret@h/",
      "http://", "http://s3cret@:80:80/", "http://h\n/s3cret"};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    refused(bad[i], NULL,
            "The URL is none that begins with http:// or https://.");
  refused(NULL, NULL, "The URL is none that begins with http:// or https://.");
  refused("http://u:s3cret@h/?a=s3cret", NULL,
          "The URL of a server has no query and no fragment.");
  refused("http://h/#s3cret", NULL,
          "The URL of a server has no query and no fragment.");
  refused("http://h/", "s3cret\r\nHost: x",
          "The token has characters in it that no token has.");
  refused("http://h/", "", "The token has characters in it that no token has.");
  refused("http://u:s3cret@h/", "s3cret",
          "There is a token, and a user in the URL; only one can be sent.");
}
END_TEST

START_TEST(test_rest_says_when_to_come_again) {
  static const cft_step steps[] = {
      {.send = JSON_ANSWER("429 Slow", "Retry-After: 7\r\n", "2", "{}")},
      {.send = JSON_ANSWER("503 Away",
                           "Retry-After: Fri, 31 Dec 2100 23:59:59 "
                           "GMT\r\n",
                           "2", "{}")},
      {.send = JSON_ANSWER("503 Away", "Retry-After: soon\r\n", "2", "{}")},
      {.send = JSON_ANSWER("503 Away", "Retry-After: 99999999999999999999\r\n",
                           "2", "{}")},
      {.send = JSON_ANSWER("200 OK", "", "2", "{}")}};
  static const int64_t expected[] = {7000, 86400000, 0, 86400000, 0};
  static const int statuses[] = {429, 503, 503, 503, 200};
  cft_peer *peer = cft_peer_script(NULL, steps, 5);
  rest *r = rest_to(cft_peer_url(peer), NULL);
  rest_reply reply;

  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(rest_call(r, "GET", "/", NULL, &reply), statuses[i]);
    ck_assert_int_eq(reply.retry_after_ms, expected[i]);
    ck_assert_int_eq(reply.in_doubt, statuses[i] == 503);
    rest_reply_free(&reply);
  }
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_what_was_not_sent_is_not_in_doubt) {
  rest_config config = {.connect_ms = 100, .total_ms = 5000};
  char url[64], expected[128];
  int hanging[2], refusing;
  rest_reply reply;
  uint16_t port;
  rest *r;

  refusing = cft_port_refusing(&port);
  ck_assert_int_ge(refusing, 0);
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
  r = rest_to(url, "s3cret");
  ck_assert_int_eq(rest_call(r, "PUT", "/a", NULL, &reply), 0);
  ck_assert(!reply.in_doubt);
  (void)snprintf(expected, sizeof expected, "PUT %s/a failed: ", url);
  ck_assert_msg(strncmp(reply.error, expected, strlen(expected)) == 0, "%s",
                reply.error);
  ck_assert_ptr_null(strstr(reply.error, "s3cret"));
  rest_free(r);
  (void)close(refusing);

  ck_assert(cft_port_hanging(&port, hanging));
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)port);
  config.url = url;
  r = rest_new(&config, error, sizeof error);
  ck_assert_int_eq(rest_call(r, "PUT", "/a", NULL, &reply), 0);
  ck_assert(!reply.in_doubt);
  ck_assert_int_lt(reply.took_ms, 4000);
  rest_free(r);
  (void)close(hanging[0]);
  (void)close(hanging[1]);
}
END_TEST

START_TEST(test_rest_what_was_sent_and_not_answered_is_in_doubt) {
  static const cft_step steps[] = {
      {.match = "/silent", .then = CFT_SILENCE, .times = CFT_FOREVER},
      {.match = "/close", .then = CFT_CLOSE, .times = CFT_FOREVER},
      {.match = "/reset", .then = CFT_RST, .times = CFT_FOREVER},
      {.match = "/head",
       .send = "HTTP/1.1 200 OK\r\nContent-",
       .then = CFT_CLOSE,
       .times = CFT_FOREVER},
      {.match = "/body",
       .send = JSON_ANSWER("201 Created", "", "100", "{\"rev\":"),
       .then = CFT_CLOSE,
       .times = CFT_FOREVER}};
  static const char *const paths[] = {"/silent", "/close", "/reset", "/head",
                                      "/body"};
  cft_peer *peer = cft_peer_script(NULL, steps, 5);
  rest *r = rest_to(cft_peer_url(peer), NULL);
  rest_reply reply;

  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(rest_call_ms(r, "PUT", paths[i], NULL, 300, &reply), 0);
    ck_assert_msg(reply.in_doubt, "%s", paths[i]);
    ck_assert_ptr_null(reply.body);
    ck_assert_ptr_nonnull(strstr(reply.error, paths[i]));
    ck_assert_int_lt(reply.took_ms, 3000);
  }
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 5);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

/* A kept connection that ends while the next request is under way: libcurl
   would send it again and hide that it was done already. */
START_TEST(test_rest_no_write_is_sent_twice) {
  static const cft_step steps[] = {
      {.match = "/warm",
       .send = JSON_ANSWER("200 OK", "", "2", "{}"),
       .times = CFT_FOREVER},
      {.match = "PUT /a", .then = CFT_CLOSE},
      {.match = "PUT /a", .send = JSON_ANSWER("409 No", "", "2", "{}")},
      {.match = "GET /a", .then = CFT_CLOSE},
      {.match = "GET /a", .send = JSON_ANSWER("200 OK", "", "2", "{}")}};
  cft_peer *peer = cft_peer_script(NULL, steps, 5);
  rest *r = rest_to(cft_peer_url(peer), NULL);
  rest_reply reply;

  ck_assert_int_eq(rest_call(r, "GET", "/warm", NULL, &reply), 200);
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_call(r, "PUT", "/a", NULL, &reply), 0);
  ck_assert(reply.in_doubt);
  ck_assert_ptr_nonnull(
      strstr(reply.error, "the connection ended before the answer"));
  ck_assert_uint_eq(cft_peer_step_used(peer, 1), 1);
  ck_assert_uint_eq(cft_peer_step_used(peer, 2), 0);
  /* What only asks may be asked again. */
  ck_assert_int_eq(rest_call(r, "GET", "/warm", NULL, &reply), 200);
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_call(r, "GET", "/a", NULL, &reply), 200);
  rest_reply_free(&reply);
  ck_assert_uint_eq(cft_peer_step_used(peer, 4), 1);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_takes_no_more_than_it_was_told_to) {
  static const cft_step steps[] = {
      {.match = "/fits",
       .send = JSON_ANSWER("200 OK", "", "10", "\"12345678\"")},
      {.match = "/more",
       .send = JSON_ANSWER("200 OK", "", "11", "\"123456789\"")},
      {.match = "/fits",
       .send = JSON_ANSWER("200 OK", "", "10", "\"12345678\"")}};
  cft_peer *peer = cft_peer_script(NULL, steps, 3);
  rest_config config = {.url = cft_peer_url(peer), .max_reply = 10};
  rest *r = rest_new(&config, error, sizeof error);
  rest_reply reply;

  ck_assert_ptr_nonnull(r);
  ck_assert_int_eq(rest_call(r, "GET", "/fits", NULL, &reply), 200);
  ck_assert_str_eq(json_string_value(reply.body), "12345678");
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_call(r, "GET", "/more", NULL, &reply), 0);
  ck_assert_ptr_null(reply.body);
  ck_assert_ptr_nonnull(
      strstr(reply.error, "the answer is larger than what is taken"));
  ck_assert_int_eq(rest_call(r, "GET", "/fits", NULL, &reply), 200);
  rest_reply_free(&reply);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_text_is_taken_as_it_is) {
  static const cft_step steps[] = {
      {.send = JSON_ANSWER("200 OK", "", "6", "a\n[\0\xff]"), .len = 76},
      {.send = JSON_ANSWER("200 OK", "", "0", "")}};
  cft_peer *peer = cft_peer_script(NULL, steps, 2);
  rest *r = rest_to(cft_peer_url(peer), NULL);
  text out = TEXT_INIT;
  rest_reply reply;

  text_str(&out, "was:");
  ck_assert_int_eq(rest_get_text(r, "/", 1000, &out, &reply), 200);
  ck_assert_uint_eq(out.len, 10);
  ck_assert_int_eq(memcmp(text_get(&out), "was:a\n[\0\xff]", 11), 0);
  rest_reply_free(&reply);
  ck_assert_int_eq(rest_get_text(r, "/", 1000, &out, &reply), 200);
  ck_assert_uint_eq(out.len, 10);
  rest_reply_free(&reply);
  text_free(&out);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

/* Who it is must be known before anything is said to him. */
START_TEST(test_rest_a_certificate_nobody_knows_gets_no_token) {
  static const cft_step step = {.send = JSON_ANSWER("200 OK", "", "2", "{}"),
                                .times = CFT_FOREVER};
  cft_peer *peer = cft_peer_script(NULL, &step, 1);
  cft_tunnel *tunnel = cft_tunnel_start(cft_peer_port(peer));
  rest_reply reply;
  char url[64];
  rest *r;

  (void)snprintf(url, sizeof url, "https://127.0.0.1:%u",
                 (unsigned)cft_tunnel_port(tunnel));
  r = rest_to(url, "s3cret");
  ck_assert_int_eq(rest_call(r, "PUT", "/", NULL, &reply), 0);
  ck_assert(!reply.in_doubt);
  ck_assert_msg(strstr(reply.error, "certificate") != NULL, "%s", reply.error);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 0);
  rest_free(r);
  cft_tunnel_stop(tunnel);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_follows_no_redirect_and_no_proxy) {
  static const cft_step step = {
      .send = "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n"
              "\r\n",
      .times = CFT_FOREVER};
  cft_peer *peer = cft_peer_script(NULL, &step, 1);
  rest_reply reply;
  rest *r;

  ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
  r = rest_to(cft_peer_url(peer), NULL);
  ck_assert_int_eq(rest_call(r, "GET", "/../a", NULL, &reply), 302);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_ANY), 1);
  ck_assert_str_eq(cft_peer_request(peer, CFT_ANY, 0)->target, "/../a");
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

/* Whether the descriptor is a connection to that port. */
static bool leads_to(int fd, uint16_t port) {
  struct sockaddr_in to = {0};
  socklen_t len = sizeof to;

  return getpeername(fd, (struct sockaddr *)&to, &len) == 0 &&
         to.sin_family == AF_INET && ntohs(to.sin_port) == port;
}

START_TEST(test_rest_children_do_not_inherit_connections) {
  static const cft_step step = {.send = JSON_ANSWER("200 OK", "", "2", "{}")};
  cft_peer *peer = cft_peer_script(NULL, &step, 1);
  rest *r = rest_to(cft_peer_url(peer), NULL);
  rest_reply reply;
  int found = 0;

  ck_assert_int_eq(rest_call(r, "GET", "/", NULL, &reply), 200);
  rest_reply_free(&reply);
  for (int fd = 0; fd < 64; fd++)
    if (leads_to(fd, cft_peer_port(peer))) {
      ck_assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
      found++;
    }
  ck_assert_int_eq(found, 1);
  rest_free(r);
  cft_peer_free(peer);
}
END_TEST

START_TEST(test_rest_escapes_one_segment) {
  char out[16];

  ck_assert(rest_escape("app:a-b_c.~9", out, sizeof out));
  ck_assert_str_eq(out, "app:a-b_c.~9");
  ck_assert(rest_escape("a/b?#%", out, sizeof out));
  ck_assert_str_eq(out, "a%2Fb%3F%23%25");
  ck_assert(rest_escape("\xc3\xb6", out, sizeof out));
  ck_assert_str_eq(out, "%C3%B6");
  ck_assert(rest_escape("..", out, sizeof out));
  ck_assert_str_eq(out, "%2E%2E");
  ck_assert(rest_escape(".", out, sizeof out));
  ck_assert_str_eq(out, "%2E");
  ck_assert(rest_escape("", out, sizeof out));
  ck_assert_str_eq(out, "");
  ck_assert(!rest_escape("0123456789abcdef", out, sizeof out));
  ck_assert(!rest_escape("//////", out, sizeof out));
  ck_assert(!rest_escape("", out, 0));
}
END_TEST

int main(void) {
  Suite *s = suite_create("rest");
  TCase *t = tcase_create("rest");

  tcase_add_test(t, test_rest_sends_json_and_reads_it);
  tcase_add_test(t, test_rest_user_of_the_url_goes_into_a_header_only);
  tcase_add_test(t,
                 test_rest_wrong_urls_and_tokens_are_refused_without_quoting);
  tcase_add_test(t, test_rest_says_when_to_come_again);
  tcase_add_test(t, test_rest_what_was_not_sent_is_not_in_doubt);
  tcase_add_test(t, test_rest_what_was_sent_and_not_answered_is_in_doubt);
  tcase_add_test(t, test_rest_no_write_is_sent_twice);
  tcase_add_test(t, test_rest_takes_no_more_than_it_was_told_to);
  tcase_add_test(t, test_rest_text_is_taken_as_it_is);
  tcase_add_test(t, test_rest_a_certificate_nobody_knows_gets_no_token);
  tcase_add_test(t, test_rest_follows_no_redirect_and_no_proxy);
  tcase_add_test(t, test_rest_children_do_not_inherit_connections);
  tcase_add_test(t, test_rest_escapes_one_segment);
  suite_add_tcase(s, t);
  return cft_run(s);
}
