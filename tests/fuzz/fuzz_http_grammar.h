/* Messages of HTTP made from bytes that mean nothing: each byte is a choice.
   Most choices are what a right message has, the rest what attacks are made of.
   For fuzz_http_differ.c. */
#ifndef CFT_FUZZ_HTTP_GRAMMAR_H
#define CFT_FUZZ_HTTP_GRAMMAR_H

#include "common/text.h"
#include <stdint.h>
#include <string.h>

typedef struct dice {
  const uint8_t *at;
  size_t left;
} dice;

static inline unsigned roll(dice *d) {
  if (d->left == 0)
    return 0;
  d->left--;
  return *d->at++;
}

/* One of a list: the first in eleven of twelve cases. */
static inline const char *pick(dice *d, const char *const *list, size_t count) {
  unsigned n = roll(d);

  return n < 234 ? list[0] : list[n % count];
}

/* Any of a list, each as likely. */
static inline const char *any(dice *d, const char *const *list, size_t count) {
  return list[roll(d) % count];
}

/* One of the first `good`; in one of twelve cases any. */
static inline const char *mostly(dice *d, const char *const *list, size_t good,
                                 size_t count) {
  unsigned n = roll(d);

  return list[n < 234 ? n % good : (n + roll(d)) % count];
}

#define MOSTLY(d, list, good)                                                  \
  mostly(d, list, good, sizeof(list) / sizeof *(list))
#define PICK(d, list) pick(d, list, sizeof(list) / sizeof *(list))
#define ANY(d, list) any(d, list, sizeof(list) / sizeof *(list))

static const char *const grammar_ends[] = {"\r\n",   "\r\n", "\n",    "\r",
                                           "\r\r\n", "\n\r", "\r\n ", "\r\n\t"};

static inline void grammar_end(text *t, dice *d) {
  unsigned n = roll(d);

  text_str(t, n < 254 ? "\r\n" : grammar_ends[n % 8]);
}

static inline void grammar_first(text *t, dice *d, bool response) {
  static const char *const methods[] = {
      "GET",   "POST",  "HEAD",     "PUT",   "DELETE",  "OPTIONS",
      "PATCH", "PURGE", "M-SEARCH", "TRACE", "CONNECT", "get",
      "G(T",   "GETT",  "PRI",      "SEARCH"};
  static const char *const blanks[] = {" ", " ", "  ", "\t", " \t", ""};
  static const char *const targets[] = {"/",
                                        "/a?b=c",
                                        "/a/../b;x",
                                        "*",
                                        "//b",
                                        "http://a/x",
                                        "http://a",
                                        "http://a:80/?q",
                                        "HTTP://A/",
                                        "http://b/",
                                        "http://u@a/",
                                        "https://a/",
                                        "a:80",
                                        "/%0d%0a",
                                        "/%00",
                                        "/%zz",
                                        "/\x80",
                                        "/a b",
                                        "/a#b",
                                        "/\\a",
                                        "/a\"<>^`{|}",
                                        "http://a?b",
                                        "http://a#b",
                                        "http:///",
                                        "http://a%2f",
                                        "http://[::1]",
                                        "http://a\\b/",
                                        "?",
                                        "",
                                        "/\x7f",
                                        "http://a:80:80",
                                        "/a?b?c%20'"};
  static const char *const versions[] = {
      "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2",  "HTTP/0.9", "HTTP/2.0",
      "http/1.1", "HTTP/1.",  "HTTP/11",  "HTTP/1.1 ", ""};
  static const char *const statuses[] = {"200", "204",  "304", "100", "101",
                                         "103", "404",  "500", "99",  "600",
                                         "20",  "2000", "+20"};
  static const char *const reasons[] = {" OK",       "",       " ",
                                        " a\tb\xff", " a\x01", "OK"};

  if (roll(d) > 240)
    text_str(t, ANY(d, grammar_ends));
  if (response) {
    text_str(t, PICK(d, versions));
    text_str(t, PICK(d, blanks));
    text_str(t, MOSTLY(d, statuses, 8));
    text_str(t, PICK(d, reasons));
  } else {
    text_str(t, MOSTLY(d, methods, 9));
    text_str(t, PICK(d, blanks));
    text_str(t, MOSTLY(d, targets, 9));
    text_str(t, PICK(d, blanks));
    text_str(t, PICK(d, versions));
  }
  grammar_end(t, d);
}

/* Fields that are right, alone at least. */
static inline bool grammar_right_field(text *t, dice *d) {
  static const char *const lines[] = {
      "X-A: b",
      "X-A:",
      "X-A: \t b c \t ",
      "x-a:\xe4\xff",
      "Connection: close",
      "Connection: keep-alive",
      "connection:Keep-Alive, X-A",
      "CONNECTION: ,,close ,",
      "Connection: Upgrade\r\nUpgrade: websocket",
      "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c",
      "Upgrade: websocket",
      "Expect: 100-continue",
      "TE: trailers",
      "Trailer: X-A",
      "Keep-Alive: timeout=5",
      "Proxy-Connection: close",
      "Set-Cookie: a=\"b\"; Path=/",
      "!#$%&'*+-.^_`|~: {}[]\\"};

  if (roll(d) > 220)
    return false;
  text_str(t, ANY(d, lines));
  grammar_end(t, d);
  return true;
}

/* A field of any name, with a value that may belong to it. */
static inline void grammar_field(text *t, dice *d) {
  static const char *const names[] = {"X-A",
                                      "Host",
                                      "Content-Length",
                                      "Transfer-Encoding",
                                      "Connection",
                                      "Upgrade",
                                      "Expect",
                                      "TE",
                                      "Trailer",
                                      "content-length",
                                      "Keep-Alive",
                                      "transfer-encoding",
                                      "Content_Length",
                                      "X(A",
                                      "X A",
                                      "",
                                      "\x80",
                                      " Host",
                                      "Proxy-Connection",
                                      "Transfer-encodin",
                                      "Content-Lengths",
                                      "!#$%&'*+-.^_`|~",
                                      "X\x01",
                                      "Set-Cookie"};
  static const char *const colons[] = {": ",  ":", ":  ", ":\t",
                                       " : ", "",  "::",  ":\r\n "};
  static const char *const values[] = {"b",
                                       "a",
                                       "5",
                                       "chunked",
                                       "close",
                                       "upgrade",
                                       "websocket",
                                       "100-continue",
                                       "keep-alive",
                                       "trailers",
                                       "0",
                                       "05",
                                       "+5",
                                       "5, 5",
                                       "chunked, chunked",
                                       "gzip, chunked",
                                       "close, X-A",
                                       "18446744073709551621",
                                       "a:80",
                                       "a,b",
                                       "u@a",
                                       "\x80\xff",
                                       "a\tb",
                                       "a\x01",
                                       "a\x7f",
                                       "CHUNKED",
                                       "h2c",
                                       "5 ",
                                       "chunked\t",
                                       "",
                                       "[::1]",
                                       "keep-alive, Upgrade",
                                       "\"5\"",
                                       "chunked;q=1"};

  if (grammar_right_field(t, d))
    return;
  text_str(t, ANY(d, names));
  text_str(t, PICK(d, colons));
  text_str(t, ANY(d, values));
  grammar_end(t, d);
}

/* Right framing; the length is that of the data, most times. */
static inline void grammar_chunks(text *t, dice *d) {
  static const char *const after[] = {"\r\n",   "\n", ";a=b\r\n", " \r\n",
                                      "\r\r\n", "\r", ";\r\n",    "x\r\n"};
  static const char *const ends[] = {
      "\r\n", "X-A: b\r\n\r\n", "\n", "\r\r\n", "Content-Length: 5\r\n\r\n",
      "",     " \r\n",          "\rX"};
  static const char *const before[] = {
      "", "0", "00", "0x", "0000000000000", "+", "-", "00000000000000000", "g"};

  for (unsigned n = roll(d) % 4; n != 0; n--) {
    unsigned len = roll(d) % 40 + 1, off = roll(d);

    text_str(t, PICK(d, before));
    text_printf(t, roll(d) < 200 ? "%x" : "%X", off > 250 ? len + 1 : len);
    text_str(t, PICK(d, after));
    for (unsigned i = 0; i < len; i++)
      text_add(t, &"0\r\n\r\nGET / HTTP/1.1"[i % 19], 1);
    grammar_end(t, d);
  }
  text_str(t, roll(d) < 240 ? "0" : "000");
  text_str(t, PICK(d, after));
  text_str(t, PICK(d, ends));
}

static inline void grammar_length(text *t, dice *d, unsigned len) {
  static const char *const names[] = {
      "Content-Length: ",  "content-length:",   "CONTENT-LENGTH: ",
      "Content-Length : ", "Content-Length:\t", "Content_Length: "};
  static const char *const before[] = {"",  "+",  "0",   "-",
                                       " ", "0x", "1, ", "\x0b"};
  static const char *const after[] = {"",  ",5",   " ",   "x", ".0",
                                      ";", "\x0c", ", 5", " 5"};

  text_str(t, MOSTLY(d, names, 3));
  text_str(t, PICK(d, before));
  text_printf(t, "%u", len);
  text_str(t, PICK(d, after));
  grammar_end(t, d);
}

static inline void grammar_coding(text *t, dice *d) {
  static const char *const names[] = {
      "Transfer-Encoding: ",  "transfer-encoding:",   "TRANSFER-ENCODING: ",
      "Transfer-Encoding : ", "Transfer-Encoding:\t", "Transfer_Encoding: "};
  static const char *const values[] = {
      "chunked",          "chunked",       "CHUNKED",       "identity",
      "chunked, chunked", "gzip, chunked", "chunked, gzip", "xchunked",
      "chunkedx",         "chunked ",      "\x0bchunked",   "chunked;q=1",
      "\"chunked\"",      ",chunked",      "chunked,",      ""};

  text_str(t, MOSTLY(d, names, 3));
  text_str(t, MOSTLY(d, values, 3));
  grammar_end(t, d);
}

/* A framing, and seldom another one. */
static inline void grammar_framing(text *t, dice *d, unsigned kind,
                                   unsigned len) {
  unsigned again = roll(d);

  if (kind < 3)
    grammar_length(t, d, len);
  else if (kind < 6)
    grammar_coding(t, d);
  if (again > 250)
    grammar_coding(t, d);
  else if (again > 245)
    grammar_length(t, d, roll(d) % 64);
}

static inline void grammar_message(text *t, dice *d, bool response) {
  unsigned kind, fields, len;

  grammar_first(t, d, response);
  if (!response && roll(d) < 250) {
    text_str(t, "Host: a");
    grammar_end(t, d);
  }
  kind = roll(d) % 8;
  len = roll(d) % 64;
  fields = roll(d);
  fields = fields < 250 ? fields % 4 : fields - 150; /* about a hundred */
  for (; fields != 0; fields--)
    grammar_field(t, d);
  grammar_framing(t, d, kind, len);
  grammar_end(t, d);
  if (kind < 3)
    for (unsigned i = 0; i < len; i++)
      text_add(t, &"GET / HTTP/1.1\r\n\r\n"[i % 18], 1);
  else if (kind < 6)
    grammar_chunks(t, d);
}

/* Up to four, one behind the other; then perhaps a byte changed, or cut. */
static inline void grammar_messages(text *t, bool response, const uint8_t *at,
                                    size_t len) {
  dice d = {at, len};
  unsigned count = roll(&d) % 4 + 1, slip = roll(&d), where = roll(&d),
           what = roll(&d);

  for (; count != 0 && !t->failed; count--)
    grammar_message(t, &d, response);
  if (t->failed || t->len == 0)
    return;
  where = where * 256 + roll(&d);
  if (slip > 240)
    text_cut(t, where % t->len);
  else if (slip > 200)
    t->data[where % t->len] = (char)what;
}

#endif
