/*
 * Documents the mirror is not sure of: it asks the server for them, some
 * hundred at once and not too often, and takes its word unless something has
 * come on the feed meanwhile.
 */
#include <string.h>

#include "mirror_state.h"
#include "str.h"

enum { AT_ONCE = 500, PAUSE_MS = 250, PATIENCE_MS = 2000 };

static const changefeed_str nothing = {"-", 1};

bool cfi_doubt_note(changefeed_mirror *m, changefeed_str id) {
  return cfi_tree_put(m->doubts, id, nothing, NULL) != CFI_TREE_NOMEM;
}

bool cfi_doubt_any(const changefeed_mirror *m) {
  return m->keys.feed != NULL || cfi_tree_count(m->doubts) != 0;
}

void cfi_doubt_clear(changefeed_mirror *m) {
  cfi_tree_clear(m->doubts);
  cfi_tree_clear(m->asking);
  m->ask_at_ms = 0;
}

/* ---- asking ---- */

typedef struct collection {
  changefeed_mirror *m;
  bool complete;
} collection;

/* Notes what is held of an id that is about to be asked for. */
static bool collect(void *ctx, const cfi_tree_entry *e) {
  collection *c = ctx;
  cfi_tree_entry held;
  bool is = cfi_mirror_find(c->m, e->id, &held);

  c->complete = cfi_tree_put(c->m->asking, e->id, is ? held.rev : nothing,
                             NULL) != CFI_TREE_NOMEM;
  return c->complete;
}

/* They are being asked for: what is noted of them from now on is a new doubt.
 */
static bool move_out(changefeed_mirror *m) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_tree_entry e;
  cfi_tree_walk walk;

  cfi_tree_walk_start(m->asking, all, &walk);
  while (cfi_tree_next(&walk, &e))
    if (cfi_tree_remove(m->doubts, e.id) == CFI_TREE_NOMEM)
      return false;
  return true;
}

static char *take_keys(changefeed_mirror *m) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  collection c = {m, true};
  cfi_tree_walk walk;
  char *keys;

  cfi_tree_walk_start(m->doubts, all, &walk);
  keys = cfi_lister_keys(m, &walk, AT_ONCE, collect, &c);
  if (keys != NULL && c.complete && move_out(m))
    return keys;
  cfi_free(&m->alloc, keys);
  return NULL;
}

static int on_row(changefeed_mirror *m, const changefeed_change *c) {
  changefeed_str none = {NULL, 0};
  cfi_tree_entry asked;
  bool was;
  int verdict;

  if (!cfi_tree_find(m->asking, c->id, &asked))
    return CHANGEFEED_CONTINUE; /* the request was made twice */
  was = !cfi_str_equal(asked.rev, nothing.data);
  verdict = cfi_doubt_answer(m, c, was ? asked.rev : none);
  if (verdict != CHANGEFEED_LATER && verdict >= 0 && !m->closing &&
      cfi_tree_remove(m->asking, c->id) == CFI_TREE_NOMEM)
    return CHANGEFEED_LATER;
  return verdict;
}

/* What the server did not answer stays a doubt. */
static void on_end(changefeed_mirror *m) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_tree_entry e;
  cfi_tree_walk walk;
  bool left = false, ok = true;

  cfi_tree_walk_start(m->asking, all, &walk);
  while (ok && cfi_tree_next(&walk, &e)) {
    ok = cfi_doubt_note(m, e.id);
    left = true;
  }
  if (!ok) {
    cfi_mirror_no_memory(m);
    return;
  }
  cfi_tree_clear(m->asking);
  m->ask_at_ms = cfi_mirror_now(m) + (left ? PATIENCE_MS : PAUSE_MS);
}

void cfi_doubt_step(changefeed_mirror *m) {
  cfi_list_request request = {NULL, NULL, NULL, false};
  uint64_t count;
  char *keys;

  if (m->keys.feed != NULL || cfi_tree_count(m->doubts) == 0 ||
      cfi_mirror_now(m) < m->ask_at_ms)
    return;
  cfi_tree_clear(m->asking);
  keys = take_keys(m);
  if (keys == NULL) { /* no memory: later */
    on_end(m);
    m->ask_at_ms = cfi_mirror_now(m) + PATIENCE_MS;
    return;
  }
  count = cfi_tree_count(m->asking);
  m->keys.row = on_row;
  m->keys.ended = on_end;
  request.keys = keys;
  if (cfi_lister_open(&m->keys, &request))
    m->stats.asked += count;
  else
    cfi_mirror_fail(m);
  cfi_free(&m->alloc, keys);
}

int64_t cfi_doubt_due_ms(const changefeed_mirror *m) {
  return m->keys.feed == NULL && cfi_tree_count(m->doubts) != 0 ? m->ask_at_ms
                                                                : CFI_NEVER;
}

/* ---- the answer ---- */

static bool same(changefeed_str a, changefeed_str b) {
  return a.data == NULL || b.data == NULL ? a.data == b.data
                                          : cfi_str_same(a, b);
}

/* The row of a document that was asked for and is not there. */
static bool is_absent(const changefeed_change *c) {
  return (c->flags & CHANGEFEED_DELETED) != 0 ||
         (c->rev_count == 0 &&
          cfi_str_find(c->row.data, c->row.len, "\"not_found\"") != NULL);
}

int cfi_doubt_answer(changefeed_mirror *m, const changefeed_change *c,
                     changefeed_str held) {
  changefeed_str none = {NULL, 0}, rev = c->rev_count != 0 ? c->revs[0] : none;
  cfi_tree_entry now;
  bool is = cfi_mirror_find(m, c->id, &now);
  bool unmoved = same(is ? now.rev : none, held);
  int order = is && rev.data != NULL ? cfi_rev_compare(rev, now.rev) : 0;

  if (is_absent(c)) {
    if (is && (unmoved || (rev.data != NULL && order >= 0)))
      return cfi_mirror_remove(m, c->id);
    return CHANGEFEED_CONTINUE;
  }
  if (rev.data == NULL) /* it cannot be read now */
    return cfi_doubt_note(m, c->id) ? CHANGEFEED_CONTINUE : CHANGEFEED_LATER;
  if (is && order == 0)
    return CHANGEFEED_CONTINUE;
  /* Deleted or put by the feed since it was asked for: the later one counts,
     and of a deletion it is not known what was deleted: asked again. */
  if (is ? !unmoved && order < 0 : !unmoved)
    return is || cfi_doubt_note(m, c->id) ? CHANGEFEED_CONTINUE
                                          : CHANGEFEED_LATER;
  return cfi_mirror_put(m, c->id, rev, c->doc);
}
