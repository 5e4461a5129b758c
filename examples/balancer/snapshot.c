/* A snapshot in memory: made, and looked up; see snapshot.h. */
#include "balancer/snapshot_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "route:"
enum { PREFIX_LEN = sizeof PREFIX - 1 };

snapshot *snapshot_new(void) { return calloc(1, sizeof(snapshot)); }

void snapshot_free(void *p) {
  snapshot *s = p;

  if (s == NULL)
    return;
  text_free(&s->data);
  free(s->at);
  free(s);
}

/* ---- making ---- */

bool snapshot_note(snapshot *s, size_t at) {
  if (s->count == s->room) {
    size_t room = s->room != 0 ? 2 * s->room : 64;
    uint32_t *grown = realloc(s->at, room * sizeof *grown);

    if (grown == NULL)
      return false;
    s->at = grown;
    s->room = room;
  }
  if (at / SNAPSHOT_UNIT > UINT32_MAX)
    return false;
  s->at[s->count++] = (uint32_t)(at / SNAPSHOT_UNIT);
  return true;
}

static bool is_next(const snapshot *s, const route *r) {
  char app[NAME_MOST + 1], last[NAME_MOST + 1];
  snapshot_entry e;

  if (s->count == 0)
    return true;
  snapshot_at(s, s->count - 1, &e);
  route_app(e.route, last);
  route_app(r, app);
  return strcmp(last, app) < 0;
}

bool snapshot_add(snapshot *s, const route *r, const char *rev) {
  static const char zeros[SNAPSHOT_UNIT];
  size_t len = strlen(rev), at = s->data.len;
  unsigned char byte = (unsigned char)len;

  if (s->failed || len == 0 || len > REV_MOST || !is_next(s, r)) {
    s->failed = true;
    return false;
  }
  text_add(&s->data, r, route_size(r));
  text_add(&s->data, &byte, 1);
  text_add(&s->data, rev, len);
  text_add(&s->data, zeros, snapshot_rev_size(len) - 1 - len);
  s->failed = s->data.failed || !snapshot_note(s, at);
  s->end = s->data.len;
  return !s->failed;
}

void snapshot_set_about(snapshot *s, int64_t saved_ms, const char *database) {
  size_t len = strnlen(database, SNAPSHOT_DATABASE_MOST);

  s->saved_ms = saved_ms;
  memcpy(s->database, database, len);
  s->database[len] = '\0';
}

/* ---- looking up ---- */

size_t snapshot_count(const snapshot *s) { return s->count; }

int64_t snapshot_saved_ms(const snapshot *s) { return s->saved_ms; }

const char *snapshot_database(const snapshot *s) { return s->database; }

void snapshot_at(const snapshot *s, size_t i, snapshot_entry *out) {
  const char *at = s->data.data + (size_t)s->at[i] * SNAPSHOT_UNIT;

  out->route = (const route *)(const void *)at;
  out->rev = at + route_size(out->route) + 1;
}

/* As its document has it. */
typedef struct route_id {
  char text[PREFIX_LEN + NAME_MOST + 1];
} route_id;

static void id_of(const route *r, route_id *out) {
  (void)strcpy(out->text, PREFIX);
  route_app(r, out->text + PREFIX_LEN);
}

/* The first entry whose id is not below that. */
static size_t first_from(const snapshot *s, const char *id) {
  size_t low = 0, high = s->count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    snapshot_entry e;
    route_id own;

    snapshot_at(s, middle, &e);
    id_of(e.route, &own);
    if (strcmp(own.text, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool snapshot_find(const snapshot *s, const char *app, snapshot_entry *out) {
  route_id id, own;
  size_t i;

  if (strlen(app) > NAME_MOST)
    return false;
  (void)snprintf(id.text, sizeof id.text, PREFIX "%s", app);
  i = first_from(s, id.text);
  if (i == s->count)
    return false;
  snapshot_at(s, i, out);
  id_of(out->route, &own);
  return strcmp(own.text, id.text) == 0;
}

void snapshot_digest(const snapshot *s, const char *from, const char *to,
                     changefeed_digest *digest, uint64_t *count) {
  size_t i = from != NULL ? first_from(s, from) : 0;
  size_t end = to != NULL ? first_from(s, to) : s->count;
  route_id id;

  memset(digest, 0, sizeof *digest);
  *count = i < end ? end - i : 0;
  for (; i < end; i++) {
    snapshot_entry e;

    snapshot_at(s, i, &e);
    id_of(e.route, &id);
    (void)changefeed_digest_add(digest, id.text, strlen(id.text), e.rev,
                                strlen(e.rev));
  }
}
