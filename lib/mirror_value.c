/*
 * What a mirror's tables hold beside revisions: a document's text, or the
 * application's own value, counted by the versions that show it.
 */
#include <string.h>

#include "mirror_state.h"

static void keep(void *ctx, void *value) {
  (void)ctx;
  if (value != NULL)
    ((cfi_value *)value)->count++;
}

static void drop(void *ctx, void *value) { cfi_value_drop(ctx, value); }

cfi_tree_values cfi_value_rules(changefeed_mirror *m) {
  cfi_tree_values rules = {keep, drop, m};

  return rules;
}

cfi_value *cfi_value_new(changefeed_mirror *m, changefeed_str text) {
  size_t size;
  cfi_value *v;

  if (!cfi_add(sizeof *v + 1, text.len, &size))
    return NULL;
  v = cfi_malloc(&m->alloc, size);
  if (v == NULL)
    return NULL;
  v->count = 1;
  v->of = NULL;
  v->made = NULL;
  v->is_made = false;
  v->len = text.len;
  if (text.len != 0)
    memcpy(v->text, text.data, text.len);
  v->text[text.len] = '\0';
  return v;
}

void cfi_value_give(cfi_value *v, cfi_value *old, void *made) {
  v->made = made;
  v->is_made = true;
  if (old == NULL || !old->is_made || made != old->made)
    return;
  v->of = old->of != NULL ? old->of : old;
  v->of->count++;
}

/* At most two in a row: what a value is made for is made for itself. */
void cfi_value_drop(changefeed_mirror *m, cfi_value *v) {
  while (v != NULL && --v->count == 0) {
    cfi_value *of = v->of;

    if (of == NULL && v->made != NULL && m->callbacks.free_value != NULL)
      m->callbacks.free_value(v->made, m->callbacks.user);
    cfi_free(&m->alloc, v);
    v = of;
  }
}

void cfi_entry_fill(changefeed_entry *out, const cfi_tree_entry *e) {
  const cfi_value *v = e->value;

  out->id = e->id;
  out->rev = e->rev;
  if (e->rev.data == e->rev_room) {
    memcpy(out->room, e->rev_room, e->rev.len + 1);
    out->rev.data = out->room;
  }
  out->doc.data = v != NULL && v->len != 0 ? v->text : NULL;
  out->doc.len = v != NULL ? v->len : 0;
  out->value = v != NULL ? v->made : NULL;
}
