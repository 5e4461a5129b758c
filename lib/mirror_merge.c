/*
 * What a row means for the mirror. A row for a later revision than the one held
 * is news, the same revision is none, and an earlier one is a doubt: a server
 * that lags, or a history that is told again. So is a row for a document that
 * was deleted a moment ago.
 */
#include "mirror_state.h"

enum { GRAVES = 32768 };

static changefeed_str rev_of(const changefeed_change *c) { return c->revs[0]; }

/* ---- graves ---- */

static bool in_grave(const changefeed_mirror *m, changefeed_str id,
                     cfi_tree_entry *out) {
  return cfi_tree_find(m->graves, id, out) ||
         cfi_tree_find(m->old_graves, id, out);
}

static bool bury(changefeed_mirror *m, changefeed_str id, changefeed_str rev) {
  if (cfi_tree_count(m->graves) >= GRAVES) {
    cfi_tree *emptied = m->old_graves;

    cfi_tree_clear(emptied);
    m->old_graves = m->graves;
    m->graves = emptied;
    m->graves_lost = true;
  }
  return cfi_tree_put(m->graves, id, rev, NULL) != CFI_TREE_NOMEM;
}

void cfi_merge_forget(changefeed_mirror *m) {
  cfi_tree_clear(m->graves);
  cfi_tree_clear(m->old_graves);
  m->graves_lost = false;
}

/* ---- rows ---- */

static int doubt_listed(changefeed_mirror *m, changefeed_str id) {
  m->stats.older++;
  return cfi_doubt_note(m, id) ? CHANGEFEED_CONTINUE : CHANGEFEED_LATER;
}

static int doubt(changefeed_mirror *m, const changefeed_change *c) {
  bool deleted = (c->flags & CHANGEFEED_DELETED) != 0;

  if (c->rev_count == 0) /* the server could not read it */
    return doubt_listed(m, c->id);
  m->stats.older++;
  return cfi_doubt_note_told(m, c->id, rev_of(c), deleted) ? CHANGEFEED_CONTINUE
                                                           : CHANGEFEED_LATER;
}

static int nothing_new(changefeed_mirror *m) {
  m->stats.repeats++;
  return CHANGEFEED_CONTINUE;
}

static bool settle(changefeed_mirror *m, changefeed_str id) {
  return cfi_doubt_settle(m, id) && cfi_audit_moved(m, id);
}

/* Unless it is a doubt, a row of the feed is its last word: what was doubted
   before is not any more. */
static int merge_deleted(changefeed_mirror *m, const changefeed_change *c,
                         const cfi_tree_entry *held) {
  cfi_tree_entry grave;

  if (held != NULL && cfi_rev_compare(rev_of(c), held->rev) < 0)
    return doubt(m, c);
  if (!settle(m, c->id))
    return CHANGEFEED_LATER;
  if (held == NULL && in_grave(m, c->id, &grave) &&
      cfi_rev_compare(grave.rev, rev_of(c)) >= 0)
    return nothing_new(m);
  if (!bury(m, c->id, rev_of(c)))
    return CHANGEFEED_LATER;
  return cfi_mirror_remove(m, c->id);
}

int cfi_merge_change(changefeed_mirror *m, const changefeed_change *c) {
  cfi_tree_entry entry;
  bool held = cfi_mirror_find(m, c->id, &entry);
  int order = 1;

  if (c->rev_count == 0)
    return doubt(m, c);
  if ((c->flags & CHANGEFEED_DELETED) != 0)
    return merge_deleted(m, c, held ? &entry : NULL);
  if (held) {
    order = cfi_rev_compare(rev_of(c), entry.rev);
    if (order < 0)
      return doubt(m, c);
  } else if (in_grave(m, c->id, &entry)) {
    if (cfi_rev_compare(rev_of(c), entry.rev) <= 0)
      return doubt(m, c);
  } else if ((c->flags & CHANGEFEED_REPEAT) != 0) {
    return doubt(m, c); /* it was there, and is not any more */
  }
  if (!settle(m, c->id))
    return CHANGEFEED_LATER;
  return order == 0 ? nothing_new(m)
                    : cfi_mirror_put(m, c->id, rev_of(c), c->doc);
}

/* A listed document is as it was at some moment since the list was begun. What
   the feed has told since then is as it is now, or the feed will tell more; its
   revision need not be the higher one, for a winner may be deleted. */
int cfi_merge_listed(changefeed_mirror *m, const changefeed_change *c) {
  cfi_tree_entry entry;

  if (c->rev_count == 0)
    return doubt_listed(m, c->id);
  if (cfi_mirror_find(m, c->id, &entry) || in_grave(m, c->id, &entry) ||
      cfi_doubt_has(m, c->id))
    return nothing_new(m);
  if (m->graves_lost)
    return doubt_listed(m, c->id);
  return cfi_mirror_put(m, c->id, rev_of(c), c->doc);
}
