/*
 * What changed in a mirror.
 */
#include "teller.h"

#include <string.h>

void teller_begin(teller *t, replica *r, bool anew) {
  memset(t, 0, sizeof *t);
  if (!anew)
    t->told = replica_view(r);
}

void teller_end(teller *t) {
  changefeed_view_release(t->told);
  changefeed_view_release(t->next);
  text_free(&t->last);
  memset(t, 0, sizeof *t);
}

typedef struct telling {
  teller *teller;
  lines *lines;
} telling;

static bool was_told(const teller *t, changefeed_str id) {
  size_t len = id.len < t->last.len ? id.len : t->last.len;
  int order;

  if (!t->any)
    return false;
  order = len != 0 ? memcmp(id.data, t->last.data, len) : 0;
  return order < 0 || (order == 0 && id.len <= t->last.len);
}

/* 1: that was the last one for now. */
static int tell(telling *now, const changefeed_entry *entry, bool put) {
  teller *t = now->teller;

  if (was_told(t, entry->id))
    return 0;
  lines_entry(now->lines, put ? "put" : "gone", put ? "+ " : "- ", entry);
  text_clear(&t->last);
  text_put(&t->last, entry->id.data, entry->id.len);
  text_putc(&t->last, '\0');
  t->any = true;
  if (!text_ok(&t->last)) {
    now->lines->no_memory = true;
    return 1;
  }
  t->last.len--;
  return sink_has_room(&now->lines->console->out) ? 0 : 1;
}

static int on_difference(void *ctx, const changefeed_entry *before,
                         const changefeed_entry *after) {
  return tell(ctx, after != NULL ? after : before, after != NULL);
}

static int on_entry(void *ctx, const changefeed_entry *entry) {
  return tell(ctx, entry, true);
}

static void take_next(teller *t, replica *r) {
  t->next = replica_view(r);
  t->any = false;
  if (t->next == t->told) {
    changefeed_view_release(t->next);
    t->next = NULL;
  }
}

bool teller_step(teller *t, replica *r) {
  telling now = {t, r->lines};
  int more;

  if (t->next == NULL)
    take_next(t, r);
  if (t->next == NULL || !sink_has_room(&r->lines->console->out))
    return true;
  more = t->told != NULL
             ? changefeed_view_compare(t->told, t->next, on_difference, &now)
             : changefeed_view_each(t->next, t->any ? t->last.data : NULL, NULL,
                                    on_entry, &now);
  if (more == 0) {
    changefeed_view_release(t->told);
    t->told = t->next;
    t->next = NULL;
  }
  return !r->lines->no_memory;
}

bool teller_is_done(const teller *t, replica *r) {
  const changefeed_view *now = replica_view(r);
  bool done = t->next == NULL && now == t->told;

  changefeed_view_release(now);
  return done;
}
