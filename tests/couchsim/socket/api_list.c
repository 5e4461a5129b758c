/*
 * _all_docs: a merge of the shards in the order of their ids, in CouchDB's
 * chunks.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

typedef struct list {
  const couch_call *c;
  const couch_shard *shard[COUCH_Q_MAX];
  size_t at[COUCH_Q_MAX]; /* of by_id; descending: one above */
  char *start, *end;      /* NULL: none */
  const couch_json *keys;
  bool include_docs, conflicts, descending, inclusive, update_seq;
  int64_t limit, skip;
  size_t total;
  couch_buf rows; /* of the chunk that is being filled */
  size_t given;
} list;

/* A parameter out of the body, else out of the query, as JSON. */
static const couch_json *parameter(const couch_call *c, couch_pool *pool,
                                   const couch_json *body, const char *name) {
  const couch_json *v = couch_json_get(body, name);
  const char *text;
  if (v != NULL)
    return v;
  text = couch_param(c->r, name);
  return text != NULL ? couch_json_parse(pool, text, strlen(text)) : NULL;
}

static bool invalid(const couch_call *c, const char *reason) {
  couch_error(c->out, 400, "query_parse_error", reason);
  return false;
}

static bool key_of(const couch_call *c, couch_pool *pool,
                   const couch_json *body, const char *const names[],
                   char **out) {
  for (size_t i = 0; names[i] != NULL; i++) {
    const couch_json *v = parameter(c, pool, body, names[i]);
    if (v == NULL && couch_param(c->r, names[i]) != NULL) {
      couch_error(c->out, 400, "bad_request", "invalid UTF-8 JSON");
      return false;
    }
    if (v == NULL)
      continue;
    free(*out);
    /* What is no string sorts before or behind all ids. */
    *out = couch_dup(v->kind == COUCH_STRING  ? v->text
                     : v->kind < COUCH_STRING ? ""
                                              : "\xff");
  }
  return true;
}

static bool flag(const couch_call *c, couch_pool *pool, const couch_json *body,
                 const char *name, bool otherwise) {
  const couch_json *v = parameter(c, pool, body, name);
  return v != NULL ? v->kind == COUCH_TRUE : otherwise;
}

static bool amount(const couch_call *c, couch_pool *pool,
                   const couch_json *body, const char *name, int64_t *out) {
  const couch_json *v = parameter(c, pool, body, name);
  if (v == NULL && couch_param(c->r, name) == NULL)
    return true;
  if (v == NULL || v->kind != COUCH_NUMBER || !couch_to_int(v->text, out))
    return invalid(c, "Invalid value for integer");
  return *out >= 0 || invalid(c, "Value for limit or skip is negative");
}

static bool read_parameters(list *l, couch_pool *pool, const couch_json *body) {
  static const char *const starts[] = {"key", "startkey", "start_key", NULL};
  static const char *const ends[] = {"key", "endkey", "end_key", NULL};
  const couch_call *c = l->c;
  l->limit = INT64_MAX;
  l->keys = parameter(c, pool, body, "keys");
  l->include_docs = flag(c, pool, body, "include_docs", false);
  l->conflicts = flag(c, pool, body, "conflicts", false);
  l->descending = flag(c, pool, body, "descending", false);
  l->inclusive = flag(c, pool, body, "inclusive_end", true);
  l->update_seq = flag(c, pool, body, "update_seq", false);
  if (l->keys != NULL && l->keys->kind != COUCH_ARRAY) {
    couch_error(c->out, 400, "bad_request",
                "`keys` parameter must be an array.");
    return false;
  }
  return key_of(c, pool, body, starts, &l->start) &&
         key_of(c, pool, body, ends, &l->end) &&
         amount(c, pool, body, "limit", &l->limit) &&
         amount(c, pool, body, "skip", &l->skip);
}

static void flush(list *l) {
  couch_piece(&l->c->out->body, l->c->out->framed, couch_buf_text(&l->rows),
              l->rows.len);
  l->rows.len = 0;
}

static void add_row(list *l, const couch_buf *row) {
  if (l->rows.len > 0 && l->rows.len + row->len + 3 > COUCH_ROWS_BUFFER)
    flush(l);
  if (l->given++ > 0)
    couch_add_text(&l->rows, ",\r\n");
  couch_add(&l->rows, row->data, row->len);
}

static void row_of(list *l, const couch_doc *doc) {
  const couch_show show = {.conflicts = l->conflicts};
  const couch_rev *rev = couch_doc_winner(doc);
  couch_buf row = {0};
  couch_add_text(&row, "{\"id\":");
  couch_add_json_text(&row, doc->id);
  couch_add_text(&row, ",\"key\":");
  couch_add_json_text(&row, doc->id);
  couch_addf(&row, ",\"value\":{\"rev\":\"%u-%s\"%s}", rev->gen, rev->hash,
             rev->deleted ? ",\"deleted\":true" : "");
  if (l->include_docs) {
    couch_add_text(&row, ",\"doc\":");
    if (rev->deleted)
      couch_add_text(&row, "null");
    else
      couch_add_doc(&row, doc, doc->winner, &show);
  }
  couch_add(&row, "}", 1);
  add_row(l, &row);
  couch_buf_free(&row);
}

static void rows_of_keys(list *l) {
  for (const couch_json *v = l->keys->first; v != NULL; v = v->next) {
    const couch_doc *doc = NULL;
    couch_buf row = {0};
    if (l->skip-- > 0)
      continue;
    if (l->limit-- <= 0)
      return;
    if (v->kind == COUCH_STRING)
      doc = couch_shard_doc(l->shard[couch_range(l->c->db, v->text)], v->text);
    if (doc != NULL) {
      row_of(l, doc);
      continue;
    }
    couch_add_text(&row, "{\"key\":");
    couch_json_write(&row, v);
    couch_add_text(&row, ",\"error\":\"not_found\"}");
    add_row(l, &row);
    couch_buf_free(&row);
  }
}

/* The next live document of any shard; NULL: no more. */
static const couch_doc *next(list *l) {
  const couch_doc *best = NULL;
  unsigned from = 0;
  for (unsigned r = 0; r < l->c->db->q; r++) {
    const couch_shard *s = l->shard[r];
    size_t *at = &l->at[r];
    const couch_doc *doc;
    if (l->descending) {
      while (*at > 0 && couch_doc_winner(s->by_id[*at - 1])->deleted)
        --*at;
      doc = *at > 0 ? s->by_id[*at - 1] : NULL;
    } else {
      while (*at < s->docs && couch_doc_winner(s->by_id[*at])->deleted)
        ++*at;
      doc = *at < s->docs ? s->by_id[*at] : NULL;
    }
    if (doc != NULL &&
        (best == NULL || (strcmp(doc->id, best->id) < 0) != l->descending)) {
      best = doc;
      from = r;
    }
  }
  if (best != NULL)
    l->at[from] = l->descending ? l->at[from] - 1 : l->at[from] + 1;
  return best;
}

static bool beyond(const list *l, const couch_doc *doc) {
  int order;
  if (l->end == NULL)
    return false;
  order = strcmp(doc->id, l->end);
  if (l->descending)
    order = -order;
  return l->inclusive ? order > 0 : order >= 0;
}

/* Puts the shards at the start; returns how many live rows lie before it. */
static size_t go_to_start(list *l) {
  size_t before = 0;
  for (unsigned r = 0; r < l->c->db->q; r++) {
    const couch_shard *s = l->shard[r];
    size_t at = l->descending ? s->docs : 0;
    if (l->start != NULL)
      at = couch_shard_lower(s, l->start);
    if (l->start != NULL && l->descending && at < s->docs &&
        strcmp(s->by_id[at]->id, l->start) == 0)
      at++;
    l->at[r] = at;
    if (l->descending)
      for (size_t i = at; i < s->docs; i++)
        before += !couch_doc_winner(s->by_id[i])->deleted;
    else
      for (size_t i = 0; i < at; i++)
        before += !couch_doc_winner(s->by_id[i])->deleted;
  }
  return before;
}

static void rows_of_range(list *l, const couch_doc *doc) {
  for (; doc != NULL && l->limit > 0 && !beyond(l, doc); doc = next(l)) {
    l->limit--;
    row_of(l, doc);
  }
}

static void write_all(list *l) {
  couch_reply *out = l->c->out;
  couch_place end;
  const couch_doc *first = NULL;
  size_t offset = l->keys == NULL ? go_to_start(l) : 0;
  if (l->keys == NULL) {
    first = next(l);
    for (; first != NULL && l->skip > 0 && !beyond(l, first); l->skip--) {
      offset++;
      first = next(l);
    }
  }
  couch_addf(&l->rows, "{\"total_rows\":%zu,\"offset\":", l->total);
  if (l->keys != NULL)
    couch_add_text(&l->rows, "null");
  else
    couch_addf(&l->rows, "%zu", offset);
  if (l->update_seq) {
    couch_place_end(l->c->w, l->c->db, l->c->r->node, &end);
    couch_add_text(&l->rows, ",\"update_seq\":\"");
    couch_place_text(&end, &l->rows);
    couch_add(&l->rows, "\"", 1);
  }
  couch_add_text(&l->rows, ",\"rows\":[\r\n");
  if (l->keys != NULL)
    rows_of_keys(l);
  else
    rows_of_range(l, first);
  couch_add_text(&l->rows, "\r\n]}");
  flush(l);
  couch_piece(&out->body, out->framed, "\n", 1);
  couch_last_piece(&out->body, out->framed);
}

void couch_api_all_docs(const couch_call *c) {
  list l = {.c = c};
  couch_pool pool = {0};
  const couch_json *body = NULL;
  if (couch_is(c->r, "POST")) {
    if (!couch_wants_json(c->r, c->out))
      return;
    body = couch_body_json(c->r, &pool, c->out);
    if (body == NULL)
      goto done;
  } else if (!couch_is(c->r, "GET") && !couch_is(c->r, "HEAD")) {
    couch_only(c->r, c->out, "GET,HEAD,POST");
    goto done;
  }
  if (!couch_readable(c->w, c->db, c->r->node, false, c->out) ||
      !read_parameters(&l, &pool, body))
    goto done;
  for (unsigned r = 0; r < c->db->q; r++) {
    l.shard[r] = couch_copy_for(c->w, c->db, c->r->node, r, NULL);
    l.total += l.shard[r]->live;
  }
  c->out->status = 200;
  c->out->framed = !c->r->old_http;
  couch_header_add(c->out, "Content-Type", "application/json");
  write_all(&l);
done:
  free(l.start);
  free(l.end);
  couch_buf_free(&l.rows);
  couch_pool_free(&pool);
}
