/*
 * The sorted array, the comparison, and the look into the nodes.
 */
#include "tree_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror_tree_state.h"

/* ---- the array ---- */

static changefeed_str own(changefeed_str s) {
  char *copy = malloc(s.len + 1);

  if (copy == NULL)
    abort();
  if (s.len != 0)
    memcpy(copy, s.data, s.len);
  copy[s.len] = '\0';
  return (changefeed_str){copy, s.len};
}

static void disown(changefeed_str s) {
  union {
    const char *given;
    char *owned;
  } text = {s.data};

  free(text.owned);
}

void cft_model_free(cft_model *m) {
  for (size_t i = 0; i < m->count; i++) {
    disown(m->entries[i].id);
    disown(m->entries[i].rev);
  }
  free(m->entries);
  *m = (cft_model){NULL, 0, 0};
}

static void make_room(cft_model *m) {
  if (m->count < m->room)
    return;
  m->room = m->room != 0 ? m->room * 2 : 64;
  m->entries = realloc(m->entries, m->room * sizeof *m->entries);
  if (m->entries == NULL)
    abort();
}

void cft_model_copy(cft_model *to, const cft_model *from) {
  *to = (cft_model){NULL, 0, 0};
  for (size_t i = 0; i < from->count; i++) {
    make_room(to);
    to->entries[to->count++] =
        (cft_entry){own(from->entries[i].id), own(from->entries[i].rev),
                    from->entries[i].value};
  }
}

static int order_of(changefeed_str a, changefeed_str b) {
  size_t common = a.len < b.len ? a.len : b.len;

  for (size_t i = 0; i < common; i++)
    if (a.data[i] != b.data[i])
      return (unsigned char)a.data[i] < (unsigned char)b.data[i] ? -1 : 1;
  return (a.len > b.len) - (a.len < b.len);
}

static bool same(changefeed_str a, changefeed_str b) {
  return order_of(a, b) == 0;
}

size_t cft_model_lower(const cft_model *m, changefeed_str id) {
  size_t low = 0, high = m->count;

  while (low < high) {
    size_t middle = (low + high) / 2;

    if (order_of(m->entries[middle].id, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const cft_entry *cft_model_find(const cft_model *m, changefeed_str id) {
  size_t at = cft_model_lower(m, id);

  return at < m->count && same(m->entries[at].id, id) ? &m->entries[at] : NULL;
}

cfi_tree_result cft_model_put(cft_model *m, changefeed_str id,
                              changefeed_str rev, void *value) {
  size_t at = cft_model_lower(m, id);
  cft_entry *e;

  if (at == m->count || !same(m->entries[at].id, id)) {
    make_room(m);
    memmove(m->entries + at + 1, m->entries + at,
            (m->count - at) * sizeof *m->entries);
    m->entries[at] = (cft_entry){own(id), own(rev), value};
    m->count++;
    return CFI_TREE_ADDED;
  }
  e = &m->entries[at];
  e->value = value;
  if (same(e->rev, rev))
    return CFI_TREE_SAME;
  disown(e->rev);
  e->rev = own(rev);
  return CFI_TREE_CHANGED;
}

cfi_tree_result cft_model_remove(cft_model *m, changefeed_str id) {
  size_t at = cft_model_lower(m, id);

  if (at == m->count || !same(m->entries[at].id, id))
    return CFI_TREE_SAME;
  disown(m->entries[at].id);
  disown(m->entries[at].rev);
  m->count--;
  memmove(m->entries + at, m->entries + at + 1,
          (m->count - at) * sizeof *m->entries);
  return CFI_TREE_REMOVED;
}

cfi_digest cft_model_digest(const cft_model *m, cfi_tree_range range,
                            uint64_t *count) {
  size_t from = range.from.data != NULL ? cft_model_lower(m, range.from) : 0;
  size_t to = range.to.data != NULL ? cft_model_lower(m, range.to) : m->count;
  cfi_digest digest = {0, 0};

  *count = 0;
  for (size_t i = from; i < to; i++, ++*count)
    digest = cfi_digest_add(digest,
                            cfi_digest_of(m->entries[i].id, m->entries[i].rev));
  return digest;
}

/* ---- the comparison ---- */

static void check_entry(const cft_entry *want, const cfi_tree_entry *is) {
  ck_assert_msg(same(want->id, is->id),
                "id \"%.60s\" where \"%.60s\" should be", is->id.data,
                want->id.data);
  ck_assert_msg(same(want->rev, is->rev), "\"%.60s\": rev %.60s, not %.60s",
                is->id.data, is->rev.data, want->rev.data);
  ck_assert_int_eq(is->id.data[is->id.len], '\0');
  ck_assert_int_eq(is->rev.data[is->rev.len], '\0');
  ck_assert_ptr_eq(is->value, want->value);
}

static void check_walk(const cft_model *m, cfi_tree_walk *w) {
  cfi_tree_entry e;

  for (size_t i = 0; i < m->count; i++) {
    ck_assert_msg(cfi_tree_next(w, &e), "a walk ends after %zu of %zu", i,
                  m->count);
    check_entry(&m->entries[i], &e);
  }
  ck_assert(!cfi_tree_next(w, &e));
  ck_assert(!cfi_tree_next(w, &e));
}

static const cfi_tree_range everything = {{NULL, 0}, {NULL, 0}};

void cft_model_check_view(const cft_model *m, const cfi_tree_view *v) {
  cfi_tree_walk w;
  cfi_tree_entry e;
  uint64_t count, want_count;
  cfi_digest want = cft_model_digest(m, everything, &want_count);

  ck_assert_uint_eq(cfi_tree_view_count(v), m->count);
  ck_assert(
      cfi_digest_equal(cfi_tree_view_digest(v, everything, &count), want));
  ck_assert_uint_eq(count, want_count);
  cfi_tree_view_walk(v, everything, &w);
  check_walk(m, &w);
  for (size_t i = 0; i < m->count; i++) {
    ck_assert(cfi_tree_view_find(v, m->entries[i].id, &e));
    check_entry(&m->entries[i], &e);
  }
}

void cft_model_check_tree(const cft_model *m, const cfi_tree *t) {
  cfi_tree_walk w;
  cfi_tree_entry e;
  uint64_t count;

  ck_assert_uint_eq(cfi_tree_count(t), m->count);
  ck_assert(cfi_digest_equal(cfi_tree_digest(t),
                             cft_model_digest(m, everything, &count)));
  cfi_tree_walk_start(t, everything, &w);
  check_walk(m, &w);
  for (size_t i = 0; i < m->count; i++) {
    ck_assert(cfi_tree_find(t, m->entries[i].id, &e));
    check_entry(&m->entries[i], &e);
  }
  cft_tree_check_nodes(t);
}

/* ---- the nodes ---- */

static cfi_tree_sum check_leaf(const cfi_tree_leaf *leaf, changefeed_str low,
                               changefeed_str high) {
  unsigned count = leaf->head.count;
  size_t used = count * sizeof *leaf->slots;

  ck_assert_uint_gt(count, 0);
  used += leaf->slots[count - 1].end;
  ck_assert_uint_eq(leaf->used, used);
  ck_assert_uint_le(leaf->used, leaf->cap);
  for (unsigned i = 0; i < count; i++) {
    cfi_tree_place place = cfi_tree_place_at(leaf, i);
    changefeed_str id = {place.id, place.id_len};

    ck_assert_uint_eq(leaf->slots[i].print, cfi_tree_print(id));
    ck_assert(low.data == NULL || order_of(low, id) <= 0);
    ck_assert(high.data == NULL || order_of(id, high) < 0);
    low = id;
    if (i + 1 == count)
      continue;
    place = cfi_tree_place_at(leaf, i + 1);
    ck_assert_int_lt(order_of(id, (changefeed_str){place.id, place.id_len}), 0);
  }
  return cfi_tree_leaf_sum(leaf, 0, count);
}

static cfi_tree_sum check_node(const cfi_tree_node *n, changefeed_str low,
                               changefeed_str high) {
  const cfi_tree_inner *inner = cfi_tree_to_inner(n);
  cfi_tree_sum sum = {{0, 0}, 0};

  ck_assert_uint_ge(n->refs, 1);
  if (n->level == 0)
    return check_leaf(cfi_tree_to_leaf(n), low, high);
  ck_assert_uint_ge(n->count, 1);
  ck_assert_uint_le(n->count, CFI_TREE_FANOUT);
  for (unsigned i = 0; i < n->count; i++) {
    changefeed_str from = i != 0 ? cfi_tree_inner_key(inner, i) : low;
    changefeed_str to =
        i + 1U < n->count ? cfi_tree_inner_key(inner, i + 1) : high;
    cfi_tree_sum part;

    ck_assert_uint_eq(inner->child[i]->level + 1U, n->level);
    ck_assert(from.data == NULL || to.data == NULL || order_of(from, to) < 0);
    part = check_node(inner->child[i], from, to);
    ck_assert(cfi_tree_sum_equal(part, inner->sums[i]));
    cfi_tree_sum_add(&sum, part);
  }
  return sum;
}

void cft_tree_check_nodes(const cfi_tree *t) {
  changefeed_str absent = {NULL, 0};

  if (t->sum.count == 0)
    ck_assert(t->root == NULL || (t->root->level == 0 && t->root->count == 0));
  else
    ck_assert(cfi_tree_sum_equal(check_node(t->root, absent, absent), t->sum));
}

/* ---- chance ---- */

uint64_t cft_chance_next(cft_chance *c) {
  uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

unsigned cft_chance_below(cft_chance *c, unsigned below) {
  return (unsigned)(cft_chance_next(c) % below);
}

changefeed_str cft_chance_id(cft_chance *c, unsigned kind, unsigned many,
                             char room[CFT_ID_ROOM]) {
  static const char odd[] = {'\0', '\x01', 'a', '\x7f', '\x80', '\xff'};
  unsigned n = cft_chance_below(c, many);
  cft_chance of = {n};
  size_t len = 0;

  switch (kind) {
  case 0:
    len = (size_t)snprintf(room, CFT_ID_ROOM, "doc-%08u", n);
    break;
  case 1:
    len = (size_t)snprintf(room, CFT_ID_ROOM, "%016llx%016llx",
                           (unsigned long long)cft_chance_next(&of),
                           (unsigned long long)cft_chance_next(&of));
    break;
  case 2:
    for (; n != 0; n /= 7)
      if (n % 7 != 0)
        room[len++] = odd[n % 7 - 1];
    room[len] = '\0';
    break;
  case 3:
    len = 160 + cft_chance_below(&of, 40);
    memset(room, 'p', len);
    len += (size_t)snprintf(room + len, 20, "%u", n);
    break;
  default:
    len = 2000;
    memset(room, 'q', len);
    len += (size_t)snprintf(room + len, 20, "%u", n);
    len -= cft_chance_below(&of, 8) == 0 ? 1990 : 0;
    break;
  }
  return (changefeed_str){room, len};
}

changefeed_str cft_chance_rev(cft_chance *c, char room[CFT_REV_ROOM]) {
  unsigned kind = cft_chance_below(c, 20);
  unsigned generation = 1 + cft_chance_below(c, kind < 17 ? 3 : 100000);
  size_t len;

  if (kind == 19) { /* no revision CouchDB makes */
    len = cft_chance_below(c, 2) == 0 ? cft_chance_below(c, 10)
                                      : cft_chance_below(c, CFT_REV_ROOM);
    memset(room, "-z0\0"[cft_chance_below(c, 4)], CFT_REV_ROOM);
    room[len != CFT_REV_ROOM ? len : len - 1] = '\0';
    return (changefeed_str){room, len};
  }
  len = (size_t)snprintf(room, CFT_REV_ROOM, "%u-%016llx%016llx", generation,
                         (unsigned long long)cft_chance_next(c),
                         (unsigned long long)cft_chance_below(c, 3));
  return (changefeed_str){room, len};
}
