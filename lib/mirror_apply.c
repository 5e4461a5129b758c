/*
 * One document's new state into the mirror's tables, and the application's part
 * in it; and what was made anew into the place of what is shown.
 */
#include <string.h>

#include "mirror_state.h"

static cfi_tree *target(const changefeed_mirror *m) {
  return m->rebuilding ? m->next : m->tree;
}

bool cfi_mirror_find(const changefeed_mirror *m, changefeed_str id,
                     cfi_tree_entry *out) {
  return cfi_tree_find(target(m), id, out);
}

static int compare_bytes(changefeed_str a, const char *text) {
  size_t len = strlen(text), least = a.len < len ? a.len : len;
  int order = memcmp(a.data, text, least);

  return order != 0 || a.len == len ? order : a.len < len ? -1 : 1;
}

bool cfi_mirror_in_range(const changefeed_mirror *m, changefeed_str id) {
  return (m->from == NULL || compare_bytes(id, m->from) >= 0) &&
         (m->to == NULL || compare_bytes(id, m->to) < 0);
}

/* ---- calling ---- */

static int call_put(changefeed_mirror *m, const changefeed_entry *entry,
                    void **value) {
  int verdict;

  if (m->callbacks.on_put == NULL)
    return CHANGEFEED_CONTINUE;
  m->depth++;
  m->telling = true;
  verdict = m->callbacks.on_put(m, entry, value, m->callbacks.user);
  m->telling = false;
  m->depth--;
  /* LATER and what is no verdict at all */
  if (verdict > CHANGEFEED_CONTINUE && verdict != CHANGEFEED_STOP)
    return CHANGEFEED_ERR_INVALID;
  return verdict;
}

static void call_gone(changefeed_mirror *m, const cfi_tree_entry *held) {
  changefeed_entry entry;

  m->stats.gones++;
  if (m->callbacks.on_gone == NULL)
    return;
  cfi_entry_fill(&entry, held);
  m->depth++;
  m->callbacks.on_gone(m, &entry, m->callbacks.user);
  m->depth--;
}

/* ---- one document ---- */

/* Into the table first: what was told must be held, and for want of memory it
   might not be. No reader sees the value before it is made. */
static int put_shown(changefeed_mirror *m, const changefeed_entry *shown,
                     cfi_value *old) {
  changefeed_str none = {NULL, 0};
  cfi_value *v = NULL;
  void *made = shown->value;
  int verdict;

  if (m->keep != CHANGEFEED_KEEP_REVS) {
    v = cfi_value_new(m, m->keep == CHANGEFEED_KEEP_DOCS ? shown->doc : none);
    if (v == NULL)
      return CHANGEFEED_LATER;
  }
  if (old != NULL)
    old->count++;
  if (cfi_tree_put(m->tree, shown->id, shown->rev, v) == CFI_TREE_NOMEM) {
    cfi_value_drop(m, v);
    cfi_value_drop(m, old);
    return CHANGEFEED_LATER;
  }
  m->stats.puts++;
  m->version++;
  m->unpublished = true;
  verdict = call_put(m, shown, &made);
  if (m->keep == CHANGEFEED_KEEP_VALUES)
    cfi_value_give(v, old, made);
  cfi_value_drop(m, old);
  return verdict;
}

/* Nobody is told before the whole is there. What the application has made of
   this very revision before, stays. */
static int put_aside(changefeed_mirror *m, changefeed_str id,
                     changefeed_str rev, changefeed_str doc) {
  cfi_tree_entry shown;
  cfi_value *v = NULL;

  if (m->keep == CHANGEFEED_KEEP_VALUES && cfi_tree_find(m->tree, id, &shown) &&
      shown.rev.len == rev.len &&
      memcmp(shown.rev.data, rev.data, rev.len) == 0) {
    v = shown.value;
    v->count++;
  } else if (m->keep != CHANGEFEED_KEEP_REVS) {
    v = cfi_value_new(m, doc);
    if (v == NULL)
      return CHANGEFEED_LATER;
  }
  if (cfi_tree_put(m->next, id, rev, v) != CFI_TREE_NOMEM)
    return CHANGEFEED_CONTINUE;
  cfi_value_drop(m, v);
  return CHANGEFEED_LATER;
}

int cfi_mirror_put(changefeed_mirror *m, changefeed_str id, changefeed_str rev,
                   changefeed_str doc) {
  changefeed_entry shown;
  cfi_tree_entry held;
  cfi_value *old = NULL;

  if (m->rebuilding)
    return put_aside(m, id, rev, doc);
  if (cfi_tree_find(m->tree, id, &held))
    old = held.value;
  shown.id = id;
  shown.rev = rev;
  shown.doc = doc;
  shown.value = old != NULL ? old->made : NULL;
  return put_shown(m, &shown, old);
}

/* Out of the table first: what was told once must not be found again. */
static int take_out(changefeed_mirror *m, cfi_tree_entry *held) {
  char *id = cfi_strndup(&m->alloc, held->id.data, held->id.len);
  char *rev = cfi_strndup(&m->alloc, held->rev.data, held->rev.len);
  cfi_value *v = held->value;
  int verdict = CHANGEFEED_LATER;

  if (v != NULL)
    v->count++;
  if (id != NULL && rev != NULL &&
      cfi_tree_remove(m->tree, (changefeed_str){id, held->id.len}) !=
          CFI_TREE_NOMEM) {
    m->version++;
    m->unpublished = true;
    held->id.data = id;
    held->rev.data = rev;
    call_gone(m, held);
    verdict = CHANGEFEED_CONTINUE;
  }
  cfi_value_drop(m, v);
  cfi_free(&m->alloc, id);
  cfi_free(&m->alloc, rev);
  return verdict;
}

int cfi_mirror_remove(changefeed_mirror *m, changefeed_str id) {
  cfi_tree_entry held;

  if (!cfi_mirror_find(m, id, &held))
    return CHANGEFEED_CONTINUE;
  if (!m->rebuilding)
    return take_out(m, &held);
  return cfi_tree_remove(m->next, id) == CFI_TREE_NOMEM ? CHANGEFEED_LATER
                                                        : CHANGEFEED_CONTINUE;
}

/* ---- readers ---- */

void cfi_mirror_publish(changefeed_mirror *m) {
  /* Without memory readers see a little longer what they see; it is tried again
     with the next change, or by the timer. */
  if (m->unpublished && cfi_tree_publish(m->tree))
    m->unpublished = false;
}

/* ---- many at once ---- */

int cfi_mirror_announce(changefeed_mirror *m) {
  const cfi_tree_view *v;
  cfi_tree_range all = {{NULL, 0}, {NULL, 0}};
  cfi_tree_entry held;
  cfi_tree_walk walk;
  int verdict = CHANGEFEED_CONTINUE;

  m->announce = false;
  if (m->callbacks.on_put == NULL)
    return verdict;
  v = cfi_tree_acquire(m->tree);
  cfi_tree_view_walk(v, all, &walk);
  while (verdict == CHANGEFEED_CONTINUE && !m->closing &&
         cfi_tree_next(&walk, &held)) {
    changefeed_entry entry;
    void *ignored = NULL;

    cfi_entry_fill(&entry, &held);
    verdict = call_put(m, &entry, &ignored);
    m->stats.puts++;
  }
  cfi_tree_release(m->tree, v);
  return verdict;
}

typedef struct change_over {
  changefeed_mirror *m;
  int verdict;
} change_over;

static bool goes(change_over *c, const cfi_tree_entry *held) {
  call_gone(c->m, held);
  return !c->m->closing;
}

/* The value that was made aside is not seen by anybody yet, so it can be
   changed where it is. */
static bool comes(change_over *c, const cfi_tree_entry *held,
                  const cfi_tree_entry *fresh) {
  changefeed_mirror *m = c->m;
  cfi_value *old = held != NULL ? held->value : NULL, *v = fresh->value;
  changefeed_entry entry;
  void *made = old != NULL ? old->made : NULL;
  int verdict;

  cfi_entry_fill(&entry, fresh);
  entry.value = made;
  verdict = call_put(m, &entry, &made);
  m->stats.puts++;
  if (verdict != CHANGEFEED_CONTINUE)
    c->verdict = verdict;
  if (m->keep == CHANGEFEED_KEEP_VALUES) {
    cfi_value_give(v, old, made);
    v->len = 0; /* the text was for the application */
  }
  return !m->closing && verdict >= 0;
}

static bool on_difference(void *ctx, const cfi_tree_entry *held,
                          const cfi_tree_entry *fresh) {
  return fresh == NULL ? goes(ctx, held) : comes(ctx, held, fresh);
}

int cfi_mirror_switch(changefeed_mirror *m) {
  change_over c = {m, CHANGEFEED_CONTINUE};
  const cfi_tree_view *shown, *fresh;

  /* Before anybody is told of anything: what can fail, and be tried again. */
  if (!cfi_tree_publish(m->tree) || !cfi_tree_publish(m->next))
    return CHANGEFEED_LATER;
  shown = cfi_tree_acquire(m->tree);
  fresh = cfi_tree_acquire(m->next);
  cfi_tree_compare(shown, fresh, on_difference, &c);
  cfi_tree_release(m->tree, shown);
  cfi_tree_release(m->next, fresh);
  if (m->closing || c.verdict < 0)
    return c.verdict;
  if (!cfi_tree_replace(m->tree, m->next))
    return CHANGEFEED_ERR_NOMEM;
  m->rebuilding = m->unpublished = false;
  m->version++;
  return c.verdict;
}
