/* /routes: a part of the table, in order of apps, written as fast as the client
   takes it: of however many routes there are, 64 KiB wait here. Between two
   pieces the table may change; each piece begins behind the one before. */
#include "balancer/admin_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  LIMIT = 1000,
  LIMIT_MOST = 10000,
  PIECE = 32 * 1024,
  SEARCHED_MOST = 20000 /* routes that one request looks through */
};

typedef struct stream {
  admin *a;
  http_exchange *x;
  char next[QUERY_VALUE_MOST + 1], to[QUERY_VALUE_MOST + 1];
  char search[QUERY_VALUE_MOST + 1]; /* "": all */
  int64_t left;                      /* rows that may still be told */
  int64_t looked;                    /* that may still be looked at */
  bool ended;                        /* for this piece there is more */
  text piece;
} stream;

static void stream_free(stream *s) {
  text_free(&s->piece);
  free(s);
}

static void on_gone(http_exchange *x, void *ctx) {
  (void)x;
  stream_free(ctx);
}

static bool holds(const char *in, size_t len, const char *word) {
  return memmem(in, len, word, strlen(word)) != NULL;
}

/* In the app's name, a host, or an address. */
static bool is_found(const stream *s, const char *app, const route *r) {
  route_target target;
  size_t len;

  if (s->search[0] == '\0' || holds(app, strlen(app), s->search))
    return true;
  for (size_t i = 0; i < route_host_count(r); i++) {
    const char *host = route_host(r, i, &len);

    if (holds(host, len, s->search))
      return true;
  }
  for (size_t i = 0; i < route_target_count(r); i++) {
    route_target_at(r, i, &target);
    if (holds(target.addr, strlen(target.addr), s->search))
      return true;
  }
  return false;
}

static bool put_row(void *ctx, const char *app, const char *rev,
                    const route *r) {
  stream *s = ctx;

  if (s->left == 0 || s->looked == 0 || s->piece.len >= PIECE) {
    (void)snprintf(s->next, sizeof s->next, "%s", app);
    s->ended = false;
    return false;
  }
  s->looked--;
  if (!is_found(s, app, r))
    return true;
  s->left--;
  json_open(&s->piece, NULL, '{');
  json_text(&s->piece, "rev", rev);
  json_route(&s->piece, r);
  json_shut(&s->piece, '}');
  return !s->piece.failed;
}

static void finish(stream *s, bool more) {
  if (s->piece.len != 0 && s->piece.data[s->piece.len - 1] == ',')
    text_cut(&s->piece, s->piece.len - 1);
  text_str(&s->piece, "],");
  json_text(&s->piece, "next", more ? s->next : NULL);
  text_cut(&s->piece, s->piece.len - 1);
  text_str(&s->piece, "}\n");
}

static const char *bound(const char *s) { return s[0] != '\0' ? s : NULL; }

/* Adds the next piece; false: it was the last one. The comma that ends a piece
   is held back: it is not known yet whether a row follows. */
static bool next_piece(stream *s) {
  bool comma = s->piece.len != 0 && s->piece.data[s->piece.len - 1] == ',';

  text_clear(&s->piece);
  if (comma)
    text_str(&s->piece, ",");
  s->ended = true;
  if (!follow_each(s->a->follow, bound(s->next), bound(s->to), put_row, s))
    s->piece.failed = true; /* not all were told */
  if (!s->ended && s->left != 0 && s->looked != 0)
    return true;
  finish(s, !s->ended);
  return false;
}

static size_t write_piece(stream *s, bool last) {
  size_t len = s->piece.len;

  if (!last && len != 0 && s->piece.data[len - 1] == ',')
    len--;
  return http_exchange_write(s->x, text_get(&s->piece), len);
}

static void pump(http_exchange *x, void *ctx) {
  stream *s = ctx;
  bool more = true;

  while (more) {
    if (s->a->attached)
      more = next_piece(s);
    if (s->piece.failed || !s->a->attached) {
      http_exchange_abort(x); /* the client sees that something lacks */
      stream_free(s);
      return;
    }
    if (write_piece(s, !more) > ADMIN_HIGH && more)
      return;
  }
  http_exchange_end(x);
  stream_free(s);
}

static void copy(char *out, const char *value) {
  if (value != NULL)
    memcpy(out, value, strlen(value) + 1);
}

static bool begin(stream *s, admin_call *c) {
  static const http_field fields[] = {
      {{"Content-Type", 12}, {"application/json", 16}},
      {{"Cache-Control", 13}, {"no-store", 8}},
      {{"X-Content-Type-Options", 22}, {"nosniff", 7}}};

  s->a = c->a;
  s->x = c->x;
  s->looked = INT64_MAX;
  copy(s->next, admin_query_get(&c->query, "from"));
  copy(s->to, admin_query_get(&c->query, "to"));
  copy(s->search, admin_query_get(&c->query, "search"));
  if (s->search[0] != '\0')
    s->looked = SEARCHED_MOST;
  http_exchange_begin(c->x, 200, fields, sizeof fields / sizeof *fields,
                      HTTP_CHUNKED, 0);
  http_exchange_on_gone(c->x, on_gone, s);
  http_exchange_on_drain(c->x, pump, s);
  return http_exchange_write(c->x, "{\"routes\":[", 11) <= ADMIN_HIGH;
}

void admin_routes(admin_call *c) {
  int64_t limit = LIMIT;
  char why[160];
  stream *s;

  if (!admin_query_number(&c->query, "limit", 1, LIMIT_MOST, &limit, why,
                          sizeof why)) {
    admin_answer_error(c->x, 400, "%s", why);
    return;
  }
  s = calloc(1, sizeof *s);
  if (s == NULL) {
    admin_answer_error(c->x, 503, "there is no memory for it");
    return;
  }
  s->left = limit;
  if (begin(s, c))
    pump(c->x, s);
}
