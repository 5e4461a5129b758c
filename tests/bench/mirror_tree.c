/*
 * What the mirror's table costs: time of one operation, and memory against the
 * text that is kept. Ids of three shapes; in order, and in random order.
 *
 *   bench_mirror_tree [--entries N]
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror_tree.h"

enum { ID_ROOM = 48, REV_ROOM = 40, ROUNDS = 10 };

typedef struct entry {
  char id[ID_ROOM], rev[REV_ROOM];
  unsigned id_len, rev_len;
} entry;

typedef struct shape {
  const char *name;
  unsigned id_len;
} shape;

static const shape shapes[] = {
    {"doc-00000000", 12}, {"32 digits", 32}, {"prefix:and-a-uuid", 40}};

static uint64_t chance = 1;

static uint64_t next_chance(void) {
  uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static double seconds(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  (void)fprintf(stderr, "bench_mirror_tree: %s\n", what);
  exit(1);
}

/* ---- the entries ---- */

static int by_id(const void *a, const void *b) {
  return strcmp(((const entry *)a)->id, ((const entry *)b)->id);
}

static void make_entry(entry *e, const shape *of, unsigned i) {
  uint64_t a = next_chance(), b = next_chance();

  if (of->id_len == 12)
    (void)snprintf(e->id, sizeof e->id, "doc-%08u", i);
  else
    (void)snprintf(e->id, sizeof e->id, "%s%016" PRIx64 "%016" PRIx64,
                   of->id_len == 40 ? "invoice:" : "", a, b);
  (void)snprintf(e->rev, sizeof e->rev, "%u-%016" PRIx64 "%016" PRIx64,
                 1 + i % 3, b, a);
  e->id_len = (unsigned)strlen(e->id);
  e->rev_len = (unsigned)strlen(e->rev);
}

static entry *make_entries(const shape *of, unsigned count) {
  entry *all = malloc(count * sizeof *all);

  if (all == NULL)
    fail("no memory for the entries");
  for (unsigned i = 0; i < count; i++)
    make_entry(&all[i], of, i);
  qsort(all, count, sizeof *all, by_id);
  return all;
}

static void shuffle(unsigned *order, unsigned count) {
  for (unsigned i = count; i > 1; i--) {
    unsigned k = (unsigned)(next_chance() % i), was = order[i - 1];

    order[i - 1] = order[k];
    order[k] = was;
  }
}

static changefeed_str id_of(const entry *e) {
  return (changefeed_str){e->id, e->id_len};
}
static changefeed_str rev_of(const entry *e) {
  return (changefeed_str){e->rev, e->rev_len};
}

/* ---- memory ---- */

/* Counts what was asked for, with what malloc adds to a block. */
static size_t allocated;

typedef union head {
  size_t size;
  max_align_t align;
} head;

static void *count_resize(void *ctx, void *block, size_t size) {
  head *h = malloc(sizeof *h + size);

  (void)ctx;
  if (h == NULL || block != NULL) /* the table resizes nothing */
    fail("no memory");
  h->size = (size + 8 + 15) / 16 * 16;
  allocated += h->size;
  return h + 1;
}

static void count_release(void *ctx, void *block) {
  head *h = (head *)block - 1;

  (void)ctx;
  allocated -= h->size;
  free(h);
}

static void report_memory(const cfi_tree *t, size_t text) {
  printf("    memory: %.2f bytes a byte of id and rev (%zu in %zu; with "
         "malloc's own %.2f)\n",
         (double)cfi_tree_bytes(t) / (double)text, cfi_tree_bytes(t), text,
         (double)allocated / (double)text);
}

/* ---- the measurements ---- */

typedef struct run {
  const entry *entries;
  unsigned *order;
  unsigned count;
  size_t text;
} run;

static void report(const char *what, double from, unsigned count) {
  printf("  %-28s %7.1f ns each, %.3f s\n", what,
         (seconds() - from) * 1e9 / count, seconds() - from);
}

static void measure_append(cfi_tree *t, const run *r) {
  double from = seconds();

  for (unsigned i = 0; i < r->count; i++)
    if (!cfi_tree_append(t, id_of(&r->entries[i]), rev_of(&r->entries[i]),
                         NULL))
      fail("append");
  report("append in order", from, r->count);
  report_memory(t, r->text);
}

static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

/* The ids lie in the order they are asked for: whoever looks one up has it at
   hand, and what is measured is the table. */
static void measure_find(const cfi_tree *t, const run *r) {
  char(*ids)[ID_ROOM] = malloc(r->count * sizeof *ids);
  unsigned id_len = r->entries[0].id_len;
  cfi_tree_entry e;
  double from, ns[ROUNDS];

  if (ids == NULL)
    fail("no memory for the ids");
  for (unsigned i = 0; i < r->count; i++)
    memcpy(ids[i], r->entries[r->order[i]].id, ID_ROOM);
  for (unsigned round = 0; round < ROUNDS; round++) {
    from = seconds();
    for (unsigned i = round; i < r->count; i += ROUNDS)
      if (!cfi_tree_find(t, (changefeed_str){ids[i], id_len}, &e))
        fail("find");
    ns[round] = (seconds() - from) * 1e9 / (r->count / ROUNDS);
  }
  qsort(ns, ROUNDS, sizeof *ns, by_number);
  printf("  %-28s %7.1f ns each in the middle, %.1f at best\n", "find, random",
         ns[ROUNDS / 2], ns[0]);
  free(ids);
}

static void measure_put(cfi_tree *t, const run *r) {
  double from = seconds();

  for (unsigned i = 0; i < r->count; i++) {
    const entry *e = &r->entries[r->order[i]];

    if (cfi_tree_put(t, id_of(e), rev_of(e), NULL) != CFI_TREE_ADDED)
      fail("put");
  }
  report("put, random order", from, r->count);
  report_memory(t, r->text);
}

static void measure_change(cfi_tree *t, const run *r) {
  double from = seconds();
  unsigned half = r->count / 2;

  for (unsigned i = 0; i < r->count; i++)
    if (cfi_tree_put(t, id_of(&r->entries[r->order[i]]),
                     rev_of(&r->entries[r->order[(i + half) % r->count]]),
                     NULL) < CFI_TREE_SAME)
      fail("change");
  report("another rev, random order", from, r->count);
  from = seconds();
  for (unsigned i = 0; i < r->count / 10; i++)
    if (cfi_tree_put(t, id_of(&r->entries[r->order[i]]),
                     rev_of(&r->entries[r->order[i]]), NULL) < CFI_TREE_SAME ||
        !cfi_tree_publish(t))
      fail("publish");
  report("another rev, and publish", from, r->count / 10);
}

static void measure_walk(const cfi_tree *t, const run *r) {
  double from = seconds();
  cfi_tree_walk w;
  cfi_tree_entry e;
  unsigned count = 0;

  cfi_tree_walk_start(t, (cfi_tree_range){{NULL, 0}, {NULL, 0}}, &w);
  while (cfi_tree_next(&w, &e))
    count++;
  if (count != r->count)
    fail("walk");
  report("walk", from, r->count);
}

static bool count_one(void *ctx, const cfi_tree_entry *a,
                      const cfi_tree_entry *b) {
  (void)a;
  (void)b;
  ++*(unsigned *)ctx;
  return true;
}

/* Two trees that came to the same in different ways. */
static void measure_compare(cfi_tree *a, cfi_tree *b, const run *r) {
  const cfi_tree_view *va, *vb;
  unsigned found = 0;
  double from;

  for (unsigned i = 0; i < 3; i++)
    if (cfi_tree_put(a, id_of(&r->entries[r->order[i]]),
                     (changefeed_str){"9-x", 3}, NULL) != CFI_TREE_CHANGED)
      fail("put");
  if (!cfi_tree_publish(a) || !cfi_tree_publish(b))
    fail("publish");
  va = cfi_tree_acquire(a);
  vb = cfi_tree_acquire(b);
  from = seconds();
  cfi_tree_compare(va, vb, count_one, &found);
  report("compare, 3 differ", from, 3);
  if (found != 3)
    fail("compare");
  from = seconds();
  for (unsigned i = 0; i < 1000; i++) {
    const entry *e = &r->entries[r->order[i % r->count]];
    uint64_t count;

    (void)cfi_tree_view_digest(vb, (cfi_tree_range){id_of(e), {NULL, 0}},
                               &count);
    found += count == 0;
  }
  report("digest of a range", from, 1000);
  cfi_tree_release(a, va);
  cfi_tree_release(b, vb);
}

static void measure_remove(cfi_tree *t, const run *r) {
  double from = seconds();

  for (unsigned i = 0; i < r->count; i++)
    if (cfi_tree_remove(t, id_of(&r->entries[r->order[i]])) != CFI_TREE_REMOVED)
      fail("remove");
  report("remove, random order", from, r->count);
  if (cfi_tree_count(t) != 0 || cfi_tree_bytes(t) != 0)
    fail("something is left");
}

static void measure_digest(const run *r) {
  double from = seconds();
  cfi_digest sum = {0, 0};

  for (unsigned i = 0; i < r->count; i++)
    sum = cfi_digest_add(
        sum, cfi_digest_of(id_of(&r->entries[i]), rev_of(&r->entries[i])));
  if (sum.low == 0)
    fail("digest");
  report("digest of one", from, r->count);
}

static void measure(const shape *of, unsigned count) {
  cfi_alloc alloc = {count_resize, count_release, NULL};
  cfi_tree *ordered = cfi_tree_new(&alloc, NULL);
  cfi_tree *random = cfi_tree_new(&alloc, NULL);
  entry *entries = make_entries(of, count);
  run r = {entries, malloc(count * sizeof *r.order), count, 0};
  size_t before;

  if (ordered == NULL || random == NULL || r.order == NULL)
    fail("no memory");
  for (unsigned i = 0; i < count; i++) {
    r.order[i] = i;
    r.text += entries[i].id_len + entries[i].rev_len;
  }
  shuffle(r.order, count);
  printf("%u entries, ids like %s\n", count, of->name);
  measure_digest(&r);
  measure_append(ordered, &r);
  measure_find(ordered, &r);
  measure_walk(ordered, &r);
  before = allocated;
  allocated = 0;
  measure_put(random, &r);
  allocated += before;
  measure_find(random, &r);
  measure_walk(random, &r);
  measure_compare(ordered, random, &r);
  measure_change(random, &r);
  measure_remove(random, &r);
  cfi_tree_free(ordered);
  cfi_tree_free(random);
  if (allocated != 0)
    fail("memory is left");
  free(r.order);
  free(entries);
}

int main(int argc, char **argv) {
  unsigned count = 1000000;

  if (argc == 3 && strcmp(argv[1], "--entries") == 0)
    count = (unsigned)strtoul(argv[2], NULL, 10);
  else if (argc != 1)
    fail("usage: bench_mirror_tree [--entries N]");
  if (count < 10)
    fail("--entries is at least 10");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    measure(&shapes[i], count);
  return 0;
}
