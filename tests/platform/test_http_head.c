/*
 * Heads of HTTP: what is refused because two readers could take it for two
 * things, what is accepted and as what; and that it does not matter in what
 * pieces the bytes come.
 */
#include "common/http_head_int.h"

#include "support/unit.h"
#include <string.h>

/* An array, so that a zero byte can be in it. */
#define BYTES(s) (s), sizeof(s) - 1
#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

typedef struct wrong {
  int status;
  const char *bytes;
  size_t len;
} wrong;

static const wrong requests[] = {
    /* two framings */
    {400,
     BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {400,
     BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5, 5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: +5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: -5\r\n\r\n")},
    {400, BYTES(POST "Content-Length:  5\r\n\r\n")},
    {400, BYTES(POST "Content-Length:\t5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5 \r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5\v\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 05\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 0x5\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5.0\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 5;a\r\n\r\n")},
    {400, BYTES(POST "Content-Length: \r\n\r\n")},
    {400, BYTES(POST "Content-Length: 18446744073709551616\r\n\r\n")},
    {400, BYTES(POST "Content-Length: 9999999999999999999\r\n\r\n")},
    {400, BYTES(POST "Content_Length: 5\r\n\r\n")},
    {400, BYTES(POST "Transfer_Encoding: chunked\r\n\r\n")},
    {400, BYTES(POST "transfer-ENCODING_: 5\r\nTransfer_encoding: x\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: gzip\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: chunked;q=1\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: identity\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding:\tchunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding:  chunked\r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: chunked \r\n\r\n")},
    {501, BYTES(POST "Transfer-Encoding: \r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                     "chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
                     "identity\r\n\r\n")},
    {400, BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding : chunked\r\n\r\n")},
    {400, BYTES(POST "Content-Length : 5\r\n\r\n")},
    {400, BYTES(POST " Content-Length: 5\r\n\r\n")},
    {400, BYTES(POST "X: y\r\n Content-Length: 5\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding:\r\n chunked\r\n\r\n")},
    {400, BYTES(POST "Transfer-Encoding\r\n: chunked\r\n\r\n")},
    {400, BYTES(POST "X: y\rContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "X: y\nContent-Length: 5\r\n\r\n")},
    {400, BYTES(POST "X: y\0Content-Length: 5\r\n\r\n")},
    /* lines */
    {400, BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n")},
    {400, BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n")},
    {400, BYTES("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n")},
    {400, BYTES("\n" GET HOST "\r\n")},
    {400, BYTES("\r\n\r\n" GET HOST "\r\n")},
    {400, BYTES(" " GET HOST "\r\n")},
    {400, BYTES(GET HOST "X: a\x01\r\n\r\n")},
    {400, BYTES(GET HOST "X: a\x7f\r\n\r\n")},
    {400, BYTES(GET HOST "X: \0\r\n\r\n")},
    {400, BYTES(GET HOST "X\0: a\r\n\r\n")},
    {400, BYTES(GET HOST "X\x80: a\r\n\r\n")},
    {400, BYTES(GET HOST "X y: a\r\n\r\n")},
    {400, BYTES(GET HOST "X : a\r\n\r\n")},
    {400, BYTES(GET HOST "X\t: a\r\n\r\n")},
    {400, BYTES(GET HOST ": a\r\n\r\n")},
    {400, BYTES(GET HOST "no colon\r\n\r\n")},
    {400, BYTES(GET HOST "nocolon\r\n\r\n")},
    {400, BYTES(GET HOST "X: a\r\n\tb\r\n\r\n")},
    {400, BYTES(GET " " HOST "\r\n")},
    {400, BYTES(GET HOST "(X): a\r\n\r\n")},
    /* the first line */
    {400, BYTES("GET /\r\n" HOST "\r\n")},
    {400, BYTES("GET\r\n" HOST "\r\n")},
    {400, BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n")},
    {400, BYTES("GET / a HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET / http/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET / HTTP/1\r\n" HOST "\r\n")},
    {400, BYTES("GET / HTTP/1.1x\r\n" HOST "\r\n")},
    {505, BYTES("GET / HTTP/2.0\r\n" HOST "\r\n")},
    {505, BYTES("GET / HTTP/1.2\r\n" HOST "\r\n")},
    {505, BYTES("GET / HTTP/0.9\r\n" HOST "\r\n")},
    {505, BYTES("PRI * HTTP/2.0\r\n\r\n")},
    {400, BYTES("G(T / HTTP/1.1\r\n" HOST "\r\n")},
    {501, BYTES("get / HTTP/1.1\r\n" HOST "\r\n")},
    {501, BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n" HOST "\r\n")},
    {405, BYTES("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n")},
    {405, BYTES("TRACE / HTTP/1.1\r\n" HOST "\r\n")},
    /* the target */
    {400, BYTES("GET * HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET a HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET a:80 HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET ?a HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /% HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /%4 HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /%4g HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /a%00b HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /a\\b HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /a#b HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /a<b HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /\x01 HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /\0 HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET /\x7f HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://b/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://a:81/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://u:p@a/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://a@b/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://a?x HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http:///x HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http:// HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET https://a/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n")},
    {400, BYTES("GET http://a/ HTTP/1.0\r\n\r\n")},
    /* Host */
    {400, BYTES(GET "\r\n")},
    {400, BYTES(GET "Host: \r\n\r\n")},
    {400, BYTES(GET HOST HOST "\r\n")},
    {400, BYTES(GET HOST "host: b\r\n\r\n")},
    {400, BYTES("GET / HTTP/1.0\r\n" HOST HOST "\r\n")},
    {400, BYTES(GET "Host: a b\r\n\r\n")},
    {400, BYTES(GET "Host: a, b\r\n\r\n")},
    {400, BYTES(GET "Host: u@a\r\n\r\n")},
    {400, BYTES(GET "Host: a/b\r\n\r\n")},
    {400, BYTES(GET "Host: a:\r\n\r\n")},
    {400, BYTES(GET "Host: a:0\r\n\r\n")},
    {400, BYTES(GET "Host: a:65536\r\n\r\n")},
    {400, BYTES(GET "Host: a:123456\r\n\r\n")},
    {400, BYTES(GET "Host: a:8x\r\n\r\n")},
    {400, BYTES(GET "Host: :80\r\n\r\n")},
    {400, BYTES(GET "Host: a%41\r\n\r\n")},
    {400, BYTES(GET "Host: [::1\r\n\r\n")},
    {400, BYTES(GET "Host: []\r\n\r\n")},
    {400, BYTES(GET "Host: [::1]x\r\n\r\n")},
    {400, BYTES(GET "Host: ::1\r\n\r\n")},
    {400, BYTES(GET "Host: \xc3\xa4\r\n\r\n")},
    /* Expect */
    {417, BYTES(POST "Expect: a-miracle\r\n\r\n")},
    {417, BYTES(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n")},
};

static const wrong responses[] = {
    {502, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                "Transfer-Encoding: chunked\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                "Content-Length: 1\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1,1\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")},
    {502, BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 OK\nA: b\r\n\r\n")},
    {502, BYTES("\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 20 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 2000 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 099 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 600 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 2x0 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1  200 OK\r\n\r\n")},
    {502, BYTES("HTTP/2.0 200 OK\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 O\0K\r\n\r\n")},
    {502, BYTES("HTTP/1.1 200 O\x1bK\r\n\r\n")},
    {502, BYTES("ICY 200 OK\r\n\r\n")},
};

typedef struct outcome {
  int status;
  size_t used;
  const char *why;
} outcome;

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

static int once(bool response, http_head *h, const char *data, size_t len,
                size_t most, size_t *scanned, outcome *o) {
  o->used = 0;
  o->why = NULL;
  o->status = response ? http_head_response(h, data, len, most, scanned,
                                            str("GET"), &o->used, &o->why)
                       : http_head_request(h, data, len, most, scanned,
                                           &o->used, &o->why);
  return o->status;
}

/* Whole; byte by byte; and in two at each place: all the same. A copy of just
   those bytes, so that a sanitizer sees a read beyond them. */
static outcome parsed(bool response, const char *bytes, size_t len,
                      size_t most) {
  http_head h;
  outcome whole, o;
  size_t scanned = 0;

  once(response, &h, bytes, len, most, &scanned, &whole);
  for (size_t cut = 0; cut <= len; cut++) {
    char *copy = malloc(cut != 0 ? cut : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, cut);
    scanned = 0;
    if (once(response, &h, copy, cut, most, &scanned, &o) == HTTP_HEAD_MORE)
      once(response, &h, bytes, len, most, &scanned, &o);
    ck_assert_msg(o.status == whole.status && o.used == whole.used &&
                      o.why == whole.why,
                  "cut at %zu of:\n%s\n%d %s, whole %d %s", cut, bytes,
                  o.status, o.why != NULL ? o.why : "", whole.status,
                  whole.why != NULL ? whole.why : "");
    free(copy);
  }
  scanned = 0;
  for (size_t n = 0; n <= len; n++) {
    if (once(response, &h, bytes, n, most, &scanned, &o) != HTTP_HEAD_MORE)
      break;
  }
  ck_assert_int_eq(o.status, whole.status);
  ck_assert_ptr_eq(o.why, whole.why);
  return whole;
}

static void refused(bool response, const wrong *w) {
  outcome o = parsed(response, w->bytes, w->len, HTTP_HEAD_MOST);

  ck_assert_msg(o.status == w->status, "%d instead of %d (%s) for:\n%s",
                o.status, w->status, o.why != NULL ? o.why : "", w->bytes);
  ck_assert(o.why != NULL && o.why[0] >= 'A' && o.why[0] <= 'Z' &&
            o.why[strlen(o.why) - 1] == '.');
}

START_TEST(test_head_what_reads_in_two_ways_is_refused) {
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
    refused(false, &requests[i]);
  for (size_t i = 0; i < sizeof responses / sizeof *responses; i++)
    refused(true, &responses[i]);
}
END_TEST

static http_head request(const char *bytes) {
  http_head h;
  size_t scanned = 0;
  outcome o = parsed(false, bytes, strlen(bytes), HTTP_HEAD_MOST);

  ck_assert_msg(o.status == HTTP_HEAD_DONE, "%d %s for:\n%s", o.status,
                o.why != NULL ? o.why : "", bytes);
  once(false, &h, bytes, strlen(bytes), HTTP_HEAD_MOST, &scanned, &o);
  return h;
}

static http_head response(const char *bytes, const char *method) {
  http_head h;
  size_t scanned = 0, used;
  const char *why = "";
  int status = http_head_response(&h, bytes, strlen(bytes), HTTP_HEAD_MOST,
                                  &scanned, str(method), &used, &why);

  ck_assert_msg(status == HTTP_HEAD_DONE, "%d %s for:\n%s", status, why, bytes);
  return h;
}

#define IS(s, text)                                                            \
  ck_assert_msg(http_str_same((s), (text)), "'%.*s' instead of '%s'",          \
                (int)(s).len, (s).data, (text))

START_TEST(test_head_fields_are_taken_apart) {
  http_head h = request("GET /a?b=c%20d&e=[f]|{g} HTTP/1.1\r\nhOST: Ex.Org:80"
                        "\r\nAccept:\t */* \t\r\nEmpty:\r\nX: \xc3\xa4\r\n\r\n"
                        "behind");

  IS(h.method, "GET");
  IS(h.target, "/a?b=c%20d&e=[f]|{g}");
  IS(h.host, "Ex.Org");
  IS(h.host_field, "Ex.Org:80");
  ck_assert_uint_eq(h.count, 4);
  IS(http_head_find(&h, "aCCEPT")->value, "*/*");
  IS(http_head_find(&h, "empty")->value, "");
  IS(http_head_find(&h, "x")->value, "\xc3\xa4");
  ck_assert_ptr_null(http_head_find(&h, "y"));
  ck_assert_int_eq(h.framing, HTTP_NONE);
  ck_assert(h.keep_alive && !h.expects && h.minor == 1 && !h.response);
  IS(request("\r\n" GET HOST "\r\n").method, "GET");
  IS(request("GET / HTTP/1.0\r\n\r\n").host, "");
  IS(request("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n").host, "[::1]");
}
END_TEST

START_TEST(test_head_targets_of_other_forms_are_reduced) {
  IS(request("GET http://A/x?y HTTP/1.1\r\n" HOST "\r\n").target, "/x?y");
  IS(request("GET HTTP://a:80 HTTP/1.1\r\n" HOST "\r\n").target, "/");
  IS(request("GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n").target, "/");
  IS(request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n").target, "*");
  IS(request("OPTIONS http://a HTTP/1.1\r\n" HOST "\r\n").target, "*");
}
END_TEST

START_TEST(test_head_framing_is_one) {
  http_head h = request(POST "Content-Length: 12\r\n\r\n");

  ck_assert(h.framing == HTTP_LENGTH && h.length == 12);
  h = request(POST "Content-Length:0\r\n\r\n");
  ck_assert(h.framing == HTTP_LENGTH && h.length == 0 && !h.expects);
  h = request(POST "Content-Length: 999999999999999999\r\n\r\n");
  ck_assert_uint_eq(h.length, 999999999999999999u);
  h = request(POST
              "Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n");
  ck_assert(h.framing == HTTP_CHUNKED && h.expects);
  h = request(POST "Expect: 100-continue\r\n\r\n");
  ck_assert(!h.expects);
  h = response("HTTP/1.1 200 OK\r\n\r\n", "GET");
  ck_assert(h.framing == HTTP_CLOSE && !h.keep_alive);
  IS(h.reason, "OK");
  h = response("HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n", "GET");
  ck_assert(h.framing == HTTP_LENGTH && h.length == 3 && h.keep_alive);
  h = response("HTTP/1.1 404\r\nContent-Length: 3\r\n\r\n", "HEAD");
  ck_assert(h.framing == HTTP_NONE && h.status == 404 && h.keep_alive);
  h = response("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", "GET");
  ck_assert_int_eq(h.framing, HTTP_NONE);
  h = response("HTTP/1.1 204 No Content\r\n\r\n", "GET");
  ck_assert(h.framing == HTTP_NONE && h.keep_alive);
  h = response("HTTP/1.1 100 Continue\r\n\r\n", "POST");
  ck_assert_int_eq(h.framing, HTTP_NONE);
}
END_TEST

START_TEST(test_head_connection_lives_as_both_say) {
  ck_assert(!request(GET HOST "Connection: close\r\n\r\n").keep_alive);
  ck_assert(!request(GET HOST "Connection: x, CLOSE\r\n\r\n").keep_alive);
  ck_assert(!request(GET HOST "Connection: x\r\nConnection: close\r\n\r\n")
                 .keep_alive);
  ck_assert(!request("GET / HTTP/1.0\r\n\r\n").keep_alive);
  ck_assert(
      request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
  ck_assert(!request("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n")
                 .keep_alive);
}
END_TEST

START_TEST(test_head_upgrade_needs_both_fields) {
  IS(request(GET HOST "Connection: keep-alive, Upgrade\r\n"
                      "Upgrade: WebSocket\r\n\r\n")
         .upgrade,
     "WebSocket");
  IS(request(GET HOST "Upgrade: websocket\r\n\r\n").upgrade, "");
  IS(request(GET HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n").upgrade,
     "");
  IS(request(POST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade,
     "");
  IS(request("GET / HTTP/1.0\r\nConnection: upgrade\r\n"
             "Upgrade: websocket\r\n\r\n")
         .upgrade,
     "");
  IS(response("HTTP/1.1 101 x\r\nConnection: upgrade\r\n"
              "Upgrade: websocket\r\n\r\n",
              "GET")
         .upgrade,
     "websocket");
}
END_TEST

START_TEST(test_head_fields_of_the_connection_are_known) {
  http_head h = request(GET HOST "Connection: X-Own , host\r\nx-own: 1\r\n"
                                 "Proxy-Authorization: b\r\nTE: trailers\r\n"
                                 "Keep-Alive: 5\r\nUpgrade: a\r\nX: y\r\n"
                                 "Trailer: x\r\nContent-Length: 0\r\n\r\n");
  static const bool hop[] = {false, true, true,  true, true,
                             true,  true, false, true, true};

  ck_assert_uint_eq(h.count, sizeof hop / sizeof *hop);
  for (size_t i = 0; i < h.count; i++)
    ck_assert_msg(http_head_is_hop(&h, &h.fields[i]) == hop[i], "%.*s",
                  (int)h.fields[i].name.len, h.fields[i].name.data);
  ck_assert(http_head_lists(&h, "connection", "x-OWN"));
  ck_assert(!http_head_lists(&h, "connection", "own"));
}
END_TEST

START_TEST(test_head_limits_hold) {
  text t = TEXT_INIT;

  for (int i = 0; i < 99; i++)
    text_printf(&t, "X%d: y\r\n", i);
  {
    text ok = TEXT_INIT, many = TEXT_INIT;

    text_printf(&ok, GET HOST "%s\r\n", text_get(&t));
    text_printf(&many, GET HOST "X: y\r\n%s\r\n", text_get(&t));
    ck_assert_int_eq(parsed(false, ok.data, ok.len, HTTP_HEAD_MOST).status,
                     HTTP_HEAD_DONE);
    ck_assert_int_eq(parsed(false, many.data, many.len, HTTP_HEAD_MOST).status,
                     431);
    ck_assert_int_eq(parsed(false, ok.data, ok.len, ok.len).status,
                     HTTP_HEAD_DONE);
    ck_assert_int_eq(parsed(false, ok.data, ok.len, ok.len - 1).status, 431);
    ck_assert_int_eq(parsed(false, ok.data, ok.len, 10).status, 414);
    text_free(&ok);
    text_free(&many);
  }
  text_free(&t);
}
END_TEST

START_TEST(test_head_is_written_as_it_reads) {
  text t = TEXT_INIT;
  http_head h;

  ck_assert(http_put_request(&t, str("PUT"), str("/x")));
  ck_assert(http_put_field_text(&t, "Host", "a:1"));
  ck_assert(!http_put_field_text(&t, "X", "a\r\nEvil: 1"));
  ck_assert(!http_put_field_text(&t, "X", "a\x7f"));
  ck_assert(!http_put_field_text(&t, "X Y", "a"));
  ck_assert(!http_put_field_text(&t, "", "a"));
  ck_assert(!http_put_request(&t, str("PUT"), str("/x y")));
  ck_assert(!http_put_status(&t, 200, str("a\nb")));
  http_put_framing(&t, HTTP_LENGTH, UINT64_C(12345678901));
  http_put_end(&t);
  ck_assert_str_eq(text_get(&t), "PUT /x HTTP/1.1\r\nHost: a:1\r\n"
                                 "Content-Length: 12345678901\r\n\r\n");
  h = request(text_get(&t));
  ck_assert_uint_eq(h.length, UINT64_C(12345678901));
  text_clear(&t);
  ck_assert(http_put_status(&t, 421, str(http_reason(421))));
  http_put_framing(&t, HTTP_CHUNKED, 0);
  http_put_end(&t);
  ck_assert_str_eq(text_get(&t), "HTTP/1.1 421 Misdirected Request\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n");
  text_free(&t);
}
END_TEST

/* RFC 9110, 5.5: visible, blank, tab, and what is beyond ASCII. */
static size_t span_by_bytes(const unsigned char *at, size_t len) {
  size_t i = 0;

  while (i < len && (at[i] == '\t' || (at[i] >= ' ' && at[i] != 0x7f)))
    i++;
  return i;
}

START_TEST(test_head_values_end_at_the_first_byte_that_is_none) {
  static const unsigned char around[] = {'a',  '\t', ' ', 0x80,
                                         0xff, 0x7e, 0x1f};
  unsigned char bytes[24];

  for (size_t k = 0; k < sizeof around; k++)
    for (size_t len = 1; len <= sizeof bytes; len++)
      for (size_t at = 0; at < len; at++)
        for (int c = 0; c < 256; c++) {
          memset(bytes, around[k], sizeof bytes);
          bytes[at] = (unsigned char)c;
          ck_assert_uint_eq(http_value_span((const char *)bytes, len),
                            span_by_bytes(bytes, len));
        }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_head");
  TCase *tc = tcase_create("head");

  tcase_add_test(tc, test_head_what_reads_in_two_ways_is_refused);
  tcase_add_test(tc, test_head_fields_are_taken_apart);
  tcase_add_test(tc, test_head_targets_of_other_forms_are_reduced);
  tcase_add_test(tc, test_head_framing_is_one);
  tcase_add_test(tc, test_head_connection_lives_as_both_say);
  tcase_add_test(tc, test_head_upgrade_needs_both_fields);
  tcase_add_test(tc, test_head_fields_of_the_connection_are_known);
  tcase_add_test(tc, test_head_limits_hold);
  tcase_add_test(tc, test_head_is_written_as_it_reads);
  tcase_add_test(tc, test_head_values_end_at_the_first_byte_that_is_none);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
