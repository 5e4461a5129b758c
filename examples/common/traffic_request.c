/* What a visit sends; see traffic_request.h. */
#include "common/traffic_request.h"

#include <stdio.h>

enum { PIECES_MOST = 8, CHUNK_MOST = 4096, FORGED_IN = 8, LINE_LEAST = 14 };

/* ---- the head ---- */

static bool posts(enum traffic_kind kind) {
  return kind == TRAFFIC_POST || kind == TRAFFIC_CHUNKED ||
         kind == TRAFFIC_ABORT_BODY;
}

static bool is_chunked(enum traffic_kind kind, traffic_dice *d) {
  return kind == TRAFFIC_CHUNKED ||
         (kind == TRAFFIC_ABORT_BODY && traffic_below(d, 2) == 0);
}

static bool is_big(enum traffic_kind kind) {
  return kind == TRAFFIC_BIG || kind == TRAFFIC_ABORT_ANSWER;
}

static const char *method_of(enum traffic_kind kind) {
  return kind == TRAFFIC_HEAD ? "HEAD" : posts(kind) ? "POST" : "GET";
}

static void put_upgrade(traffic_request *r, traffic_dice *d) {
  unsigned char bytes[16];
  char key[WEBSOCKET_KEY];

  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)traffic_below(d, 256);
  websocket_key(bytes, key);
  (void)websocket_accept((http_str){key, strlen(key)}, r->accept);
  r->asked.accept = r->accept;
  text_printf(&r->out,
              "Connection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
              key);
}

static void put_head(traffic_request *r, enum traffic_kind kind,
                     const char *host, traffic_dice *d,
                     const traffic_request_limits *limits) {
  text_printf(&r->out, "%s %s HTTP/1.%d\r\nHost: %s\r\n", method_of(kind),
              r->target, kind == TRAFFIC_OLD ? 0 : 1, host);
  text_str(&r->out, "User-Agent: traffic\r\nAccept: text/plain\r\n");
  if (limits->forged != NULL && traffic_below(d, FORGED_IN) == 0)
    text_printf(&r->out, "X-Drone-Claim: %s\r\n", limits->forged);
  if (kind == TRAFFIC_LAST)
    text_str(&r->out, "Connection: close\r\n");
  if (kind == TRAFFIC_WEBSOCKET)
    put_upgrade(r, d);
}

/* ---- the body ---- */

/* Printable, and another one each time. */
static void put_noise(traffic_request *r, size_t len, traffic_dice *d) {
  size_t from = r->out.len;

  for (size_t i = 0; i < len; i++) {
    char c = (char)('a' + traffic_below(d, 26));

    text_add(&r->out, &c, 1);
  }
  if (!r->out.failed)
    r->asked.sum = traffic_sum(r->asked.sum, r->out.data + from, len);
}

static void put_chunks(traffic_request *r, size_t len, traffic_dice *d) {
  while (len != 0) {
    size_t n = 1 + traffic_below(d, CHUNK_MOST);

    if (n > len)
      n = len;
    text_printf(&r->out, "%zx\r\n", n);
    put_noise(r, n, d);
    text_str(&r->out, "\r\n");
    len -= n;
  }
  text_str(&r->out, "0\r\n\r\n");
}

/* Returns where it begins. */
static size_t put_body(traffic_request *r, bool chunked, traffic_dice *d,
                       unsigned most) {
  size_t len = 1 + traffic_below(d, most), head;

  r->asked.posted = true;
  r->asked.length = len;
  r->asked.sum = TRAFFIC_SUM_BEGIN;
  http_put_framing(&r->out, chunked ? HTTP_CHUNKED : HTTP_LENGTH, len);
  http_put_end(&r->out);
  head = r->out.len;
  if (chunked)
    put_chunks(r, len, d);
  else
    put_noise(r, len, d);
  return head;
}

/* ---- how it is sent ---- */

/* That part in two pieces or more; all pauses together are slow_ms at most. */
static void be_slow(traffic_request *r, size_t from, size_t to, traffic_dice *d,
                    int64_t slow_ms) {
  unsigned pieces = 2 + traffic_below(d, PIECES_MOST - 1);
  int64_t most = slow_ms / (pieces + 1);

  r->slow_from = from;
  r->slow_to = to;
  r->piece = (to - from + pieces - 1) / pieces;
  if (r->piece == 0)
    r->piece = 1;
  r->pause_ms = most > 0 ? 1 + (int64_t)traffic_below(d, (uint32_t)most) : 1;
}

/* A place within from to to, before its last byte. */
static size_t place_in(size_t from, size_t to, traffic_dice *d) {
  return from + traffic_below(d, (uint32_t)(to - from));
}

static void decide_manner(traffic_request *r, enum traffic_kind kind,
                          size_t head, traffic_dice *d,
                          const traffic_request_limits *limits) {
  size_t all = r->out.len;

  switch (kind) {
  case TRAFFIC_SLOW:
    be_slow(r, 1, all, d, limits->slow_ms);
    break;
  case TRAFFIC_POST:
  case TRAFFIC_CHUNKED:
    be_slow(r, head, all, d, limits->slow_ms);
    break;
  case TRAFFIC_ABORT_HEAD:
    r->ends_at = place_in(1, head - 1, d);
    break;
  case TRAFFIC_ABORT_BODY:
    r->ends_at = place_in(head, all - 1, d);
    break;
  case TRAFFIC_ABORT_ANSWER:
    r->enough = 1 + traffic_below(d, limits->big_lines * LINE_LEAST);
    break;
  default:
    break;
  }
  r->bytes = kind == TRAFFIC_BYTES;
  r->half_close = kind == TRAFFIC_HALF_CLOSE;
  r->reads_slowly = kind == TRAFFIC_BIG;
  r->closes = kind == TRAFFIC_LAST || kind == TRAFFIC_OLD ||
              kind == TRAFFIC_HALF_CLOSE || is_big(kind);
  r->may_repeat = !posts(kind);
  r->may_share = kind == TRAFFIC_PLAIN || kind == TRAFFIC_LAST ||
                 kind == TRAFFIC_HEAD || kind == TRAFFIC_SLOW ||
                 kind == TRAFFIC_BYTES;
}

bool traffic_request_make(traffic_request *r, enum traffic_kind kind,
                          const char *host, uint64_t number, traffic_dice *d,
                          const traffic_request_limits *limits) {
  size_t head;

  memset(r, 0, sizeof *r);
  r->ends_at = SIZE_MAX;
  r->asked.head = kind == TRAFFIC_HEAD;
  r->asked.lines = is_big(kind) ? limits->big_lines : 0;
  r->asked.most = limits->bytes_most;
  r->asked.target = r->target;
  if (is_big(kind))
    (void)snprintf(r->target, sizeof r->target, "/big/%u?v=%llu",
                   limits->big_lines, (unsigned long long)number);
  else
    (void)snprintf(r->target, sizeof r->target, "/?v=%llu",
                   (unsigned long long)number);
  put_head(r, kind, host, d, limits);
  if (posts(kind)) {
    head = put_body(r, is_chunked(kind, d), d, limits->body_most);
  } else {
    http_put_end(&r->out);
    head = r->out.len;
  }
  if (r->out.failed)
    return false;
  decide_manner(r, kind, head, d, limits);
  return true;
}

size_t traffic_request_next(const traffic_request *r, int64_t *pause_ms) {
  size_t to = r->out.len;

  *pause_ms = 0;
  if (r->ends_at < to)
    to = r->ends_at;
  if (r->sent >= to)
    return 0;
  if (r->bytes)
    return 1;
  if (r->piece == 0 || r->sent >= r->slow_to)
    return to - r->sent;
  if (r->sent < r->slow_from)
    return r->slow_from - r->sent;
  *pause_ms = r->pause_ms;
  return to - r->sent < r->piece ? to - r->sent : r->piece;
}

void traffic_request_free(traffic_request *r) { text_free(&r->out); }
