/* An independent reading of feed bodies with jansson, and the id -> rev map
   that tests compare: see wire.h. It relies on CouchDB's own line layout, which
   the library must not do: that is what makes the comparison worth something.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "wire.h"

#include <jansson.h>

static const size_t LOAD = JSON_ALLOW_NUL | JSON_DECODE_ANY;

/* ---- rows ---- */

static bool has_prefix(const char *p, size_t len, const char *prefix) {
  size_t n = strlen(prefix);
  return len >= n && memcmp(p, prefix, n) == 0;
}

/* What goes back as `since`: a string's content, the JSON text of the rest. */
static char *seq_text(const json_t *seq) {
  if (!seq || json_is_null(seq))
    return NULL;
  if (json_is_string(seq))
    return cft_memdup(json_string_value(seq), json_string_length(seq));
  if (json_is_real(seq)) { /* see load_line */
    char digits[32];
    snprintf(digits, sizeof digits, "%.0f", json_real_value(seq));
    return cft_strdup(digits);
  }
  return cft_checked(json_dumps(seq, JSON_COMPACT | JSON_ENCODE_ANY));
}

static void take_row(cft_rows *rows, const json_t *o, const char *line,
                     size_t len) {
  const json_t *changes = json_object_get(o, "changes");
  const json_t *id = json_object_get(o, "id");
  const char *rev =
      json_string_value(json_object_get(json_array_get(changes, 0), "rev"));
  if (!changes) {
    id = json_object_get(o, "db_name");
    rev = json_string_value(json_object_get(o, "type"));
  }
  if (!json_is_string(id) || !rev) {
    rows->torn++;
    return;
  }
  rows->row = cft_room(rows->row, rows->count, &rows->cap, sizeof *rows->row);
  rows->row[rows->count++] = (cft_row){
      .id = cft_memdup(json_string_value(id), json_string_length(id)),
      .rev = cft_strdup(rev),
      .seq = seq_text(json_object_get(o, "seq")),
      .text = cft_memdup(line, len),
      .revs = changes ? json_array_size(changes) : 1,
      .deleted = json_is_true(json_object_get(o, "deleted")),
  };
}

static void take_end(cft_rows *rows, const json_t *o) {
  const json_t *pending = json_object_get(o, "pending");
  free(rows->last_seq);
  rows->last_seq = seq_text(json_object_get(o, "last_seq"));
  rows->has_pending = json_is_integer(pending);
  rows->pending = json_integer_value(pending);
}

static void take_object(cft_rows *rows, const json_t *o, const char *line,
                        size_t len) {
  if (json_object_get(o, "last_seq")) {
    take_end(rows, o);
  } else if (json_object_get(o, "error") && !json_object_get(o, "id")) {
    free(rows->error);
    rows->error = cft_strdup(json_string_value(json_object_get(o, "error")));
  } else {
    take_row(rows, o, line, len);
  }
}

/* The end of a normal or longpoll body is a member of the envelope. */
static bool envelope_end(cft_rows *rows, const char *line, size_t len) {
  if (!has_prefix(line, len, "\"last_seq\":"))
    return false;
  char *text = cft_calloc(len + 2, 1);
  text[0] = '{';
  memcpy(text + 1, line, len);
  json_t *o = json_loadb(text, len + 1, LOAD, NULL);
  if (o)
    take_end(rows, o);
  else
    rows->torn++;
  json_decref(o);
  free(text);
  return true;
}

/* jansson refuses two things that CouchDB's documents may hold: an object key
   with \u0000 and an integer beyond 64 bits. Such a line is read again with
   \u0001 in place of the first and all integers as reals. */
static json_t *load_line(const char *line, size_t len) {
  json_t *o = json_loadb(line, len, LOAD, NULL);
  if (o)
    return o;
  char *copy = cft_memdup(line, len);
  for (size_t i = 0; i + 1 < len; i++) {
    if (copy[i] != '\\')
      continue;
    if (i + 6 <= len && memcmp(copy + i, "\\u0000", 6) == 0)
      copy[i + 5] = '1';
    i++; /* the escaped character cannot begin an escape */
  }
  o = json_loadb(copy, len, LOAD | JSON_DECODE_INT_AS_REAL, NULL);
  free(copy);
  return o;
}

static void take_line(cft_rows *rows, const char *line, size_t len) {
  while (len && line[len - 1] == '\r')
    len--;
  if (len == 0)
    rows->heartbeats++;
  if (has_prefix(line, len, "event: heartbeat"))
    rows->heartbeats++;
  if (has_prefix(line, len, "data: ")) {
    line += 6;
    len -= 6;
  }
  if (len && line[len - 1] == ',')
    len--;
  if (has_prefix(line, len, "{\"results\":["))
    return;
  if (envelope_end(rows, line, len) || len == 0 || line[0] != '{')
    return;
  json_t *o = load_line(line, len);
  if (o)
    take_object(rows, o, line, len);
  else
    rows->torn++;
  json_decref(o);
}

void cft_rows_read(const char *body, size_t len, cft_rows *rows) {
  memset(rows, 0, sizeof *rows);
  for (size_t at = 0; at < len;) {
    const char *nl = memchr(body + at, '\n', len - at);
    size_t n = nl ? (size_t)(nl - (body + at)) : len - at;
    take_line(rows, body + at, n);
    at += n + 1;
  }
}

void cft_rows_clear(cft_rows *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    free(rows->row[i].id);
    free(rows->row[i].rev);
    free(rows->row[i].seq);
    free(rows->row[i].text);
  }
  free(rows->row);
  free(rows->last_seq);
  free(rows->error);
  memset(rows, 0, sizeof *rows);
}

/* ---- id -> rev ---- */

struct cft_revs {
  json_t *map; /* id -> [rev, deleted]; jansson's objects are hash tables */
};

cft_revs *cft_revs_new(void) {
  cft_revs *revs = cft_calloc(1, sizeof *revs);
  revs->map = cft_checked(json_object());
  return revs;
}

void cft_revs_free(cft_revs *revs) {
  if (!revs)
    return;
  json_decref(revs->map);
  free(revs);
}

void cft_revs_put(cft_revs *revs, const char *id, const char *rev,
                  bool deleted) {
  json_t *entry = cft_checked(json_pack("[s,b]", rev, deleted));
  if (json_object_set_new_nocheck(revs->map, id, entry) != 0)
    cft_checked(NULL);
}

void cft_revs_put_rows(cft_revs *revs, const cft_rows *rows) {
  for (size_t i = 0; i < rows->count; i++)
    cft_revs_put(revs, rows->row[i].id, rows->row[i].rev, rows->row[i].deleted);
}

const char *cft_revs_get(const cft_revs *revs, const char *id, bool *deleted) {
  const json_t *entry = json_object_get(revs->map, id);
  if (entry && deleted)
    *deleted = json_is_true(json_array_get(entry, 1));
  return json_string_value(json_array_get(entry, 0));
}

size_t cft_revs_count(const cft_revs *revs) {
  return json_object_size(revs->map);
}

/* Ids of a that b lacks or has with another value; the first of them. */
static size_t differing(const cft_revs *a, const cft_revs *b,
                        const char **first) {
  size_t n = 0;
  const char *id;
  json_t *entry;
  json_object_foreach(a->map, id, entry) {
    if (json_equal(entry, json_object_get(b->map, id)))
      continue;
    if (n++ == 0)
      *first = id;
  }
  return n;
}

bool cft_revs_equal(const cft_revs *want, const cft_revs *got, char *why,
                    size_t size) {
  const char *id = NULL, *extra = NULL;
  size_t wrong = differing(want, got, &id), more = differing(got, want, &extra);
  if (!wrong && !more)
    return true;
  if (!id)
    id = extra;
  const char *w = cft_revs_get(want, id, NULL),
             *g = cft_revs_get(got, id, NULL);
  snprintf(why, size,
           "%zu ids wanted, %zu got; %zu missing or stale, %zu extra or stale; "
           "%s: wanted %s, got %s",
           cft_revs_count(want), cft_revs_count(got), wrong, more, id,
           w ? w : "nothing", g ? g : "nothing");
  return false;
}
