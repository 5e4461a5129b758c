/*
 * Documents the mirror is not sure of: it asks the server for them, some
 * hundred at once and not too often, until the answer is what the feed has told
 * last, or the feed tells more. On a cluster either may come from a node that
 * lags; in the end both are the same.
 */
#include <string.h>

#include "mirror_state.h"
#include "str.h"

enum {
  AT_ONCE = 500,
  PAUSE_MS = 250,
  PATIENCE_MS = 2000,
  TRIES = 40 /* then the server's word counts, whatever the feed has told */
};

static const changefeed_str nothing = {"-", 1};

/* ---- what is remembered of a doubt ---- */

/* "A+TOLD HELD": tried so often, as a letter and those behind it; the feed has
   told that it is there (+) in this revision, that it is deleted (-), or
   nothing that can be compared (?); and, of one that is asked for, what was
   held then. Neither revision has a space in it. */
typedef struct doubt {
  unsigned tries;
  char sign;
  changefeed_str told, held;
} doubt;

static bool keep_doubt(changefeed_mirror *m, cfi_tree *in, changefeed_str id,
                       const doubt *d) {
  changefeed_str text;
  cfi_buf b;
  bool ok;

  cfi_buf_init(&b, &m->alloc);
  cfi_buf_putc(&b, (char)('A' + d->tries));
  cfi_buf_putc(&b, d->sign);
  cfi_buf_put(&b, d->told.data, d->told.len);
  cfi_buf_putc(&b, ' ');
  cfi_buf_put(&b, d->held.data, d->held.len);
  text.data = cfi_buf_text(&b);
  text.len = b.len;
  ok = text.data != NULL && cfi_tree_put(in, id, text, NULL) != CFI_TREE_NOMEM;
  cfi_buf_free(&b);
  return ok;
}

static doubt read_doubt(changefeed_str text) {
  const char *rest = text.data + 2, *space = memchr(rest, ' ', text.len - 2);
  doubt d = {(unsigned)(text.data[0] - 'A'), text.data[1], {rest, 0}, nothing};

  d.told.len = (size_t)(space - rest);
  d.held.data = space + 1;
  d.held.len = text.len - 3 - d.told.len;
  return d;
}

bool cfi_doubt_note(changefeed_mirror *m, changefeed_str id) {
  doubt d = {0, '?', nothing, nothing};

  return keep_doubt(m, m->doubts, id, &d);
}

bool cfi_doubt_note_told(changefeed_mirror *m, changefeed_str id,
                         changefeed_str rev, bool deleted) {
  doubt d = {0, deleted ? '-' : '+', rev, nothing};

  return keep_doubt(m, m->doubts, id, &d);
}

bool cfi_doubt_settle(changefeed_mirror *m, changefeed_str id) {
  return cfi_tree_remove(m->doubts, id) != CFI_TREE_NOMEM &&
         cfi_tree_remove(m->asking, id) != CFI_TREE_NOMEM;
}

bool cfi_doubt_any(const changefeed_mirror *m) {
  return m->keys.feed != NULL || cfi_tree_count(m->doubts) != 0 ||
         cfi_tree_count(m->asking) != 0; /* it could not be asked */
}

bool cfi_doubt_has(const changefeed_mirror *m, changefeed_str id) {
  cfi_tree_entry e;

  return cfi_tree_find(m->doubts, id, &e) || cfi_tree_find(m->asking, id, &e);
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
  doubt d = read_doubt(e->rev);

  d.held = cfi_mirror_find(c->m, e->id, &held) ? held.rev : nothing;
  c->complete = keep_doubt(c->m, c->m->asking, e->id, &d);
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

/* The row of a document that was asked for and is not there. */
static bool is_absent(const changefeed_change *c) {
  return (c->flags & CHANGEFEED_DELETED) != 0 ||
         (c->rev_count == 0 &&
          cfi_str_find(c->row.data, c->row.len, "\"not_found\"") != NULL);
}

/* Does the server say what the feed has told? A filter may keep the feed from
   telling more. */
static bool agrees(const changefeed_mirror *m, const changefeed_change *c,
                   const doubt *d) {
  if (d->sign == '?' || d->tries >= TRIES || m->filtered)
    return true;
  if (is_absent(c) || d->sign == '-')
    return is_absent(c) && d->sign == '-';
  return c->rev_count != 0 && cfi_str_same(c->revs[0], d->told);
}

static int settle(changefeed_mirror *m, const changefeed_change *c,
                  const doubt *d) {
  changefeed_str none = {NULL, 0};
  doubt again = {d->tries + 1, d->sign, d->told, nothing};

  if (!agrees(m, c, d))
    return keep_doubt(m, m->doubts, c->id, &again) ? CHANGEFEED_CONTINUE
                                                   : CHANGEFEED_LATER;
  return cfi_doubt_answer(m, c,
                          cfi_str_same(d->held, nothing) ? none : d->held);
}

static int on_row(changefeed_mirror *m, const changefeed_change *c) {
  cfi_tree_entry asked, newer;
  int verdict = CHANGEFEED_CONTINUE;
  doubt d;

  if (!cfi_tree_find(m->asking, c->id, &asked))
    return CHANGEFEED_CONTINUE; /* the request was made twice, or the feed has
                                   told more since */
  if (!cfi_tree_find(m->doubts, c->id, &newer)) {
    d = read_doubt(asked.rev);
    verdict = settle(m, c, &d);
  }
  if (verdict != CHANGEFEED_LATER && verdict >= 0 && !m->closing &&
      cfi_tree_remove(m->asking, c->id) == CFI_TREE_NOMEM)
    return CHANGEFEED_LATER;
  return verdict;
}

/* What the server did not answer stays a doubt. */
static void on_end(changefeed_mirror *m) {
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_tree_entry e, newer;
  cfi_tree_walk walk;
  bool left = cfi_tree_count(m->doubts) != 0, ok = true;

  cfi_tree_walk_start(m->asking, all, &walk);
  while (ok && cfi_tree_next(&walk, &e)) {
    doubt d = read_doubt(e.rev);

    ok = cfi_tree_find(m->doubts, e.id, &newer) ||
         keep_doubt(m, m->doubts, e.id, &d);
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
