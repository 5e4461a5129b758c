/*
 * The memory of revisions: a hash table of small buckets, in each the one used
 * last in front, that one used longest ago given up. A row costs one or two
 * cache lines.
 */
#include "repeat.h"

#include <string.h>

#include "str.h"

enum { WAYS = 4, FIRST_SIZE = 64 };

typedef struct cfi_repeat_entry {
  uint64_t id;         /* hash; with generation and revs 0: unused */
  uint64_t revs;       /* sum of the hashes of the revisions */
  uint32_t generation; /* 0: several leaves, or not generation-hash */
  uint32_t used;
} cfi_repeat_entry;

void cfi_repeat_init(cfi_repeat *r, const cfi_alloc *alloc, size_t entries,
                     uint64_t seed) {
  memset(r, 0, sizeof *r);
  r->alloc = alloc;
  r->seed = seed;
  if (entries == 0)
    return;
  r->limit = 1;
  while (r->limit < entries && r->limit <= SIZE_MAX / 2)
    r->limit *= 2;
}

void cfi_repeat_free(cfi_repeat *r) {
  cfi_free(r->alloc, r->table);
  r->table = NULL;
  r->size = 0;
  r->changes++;
}

void cfi_repeat_clear(cfi_repeat *r) { cfi_repeat_free(r); }

static size_t ways(size_t size) { return size < WAYS ? size : WAYS; }

/* A smaller table is one bucket. Sizes are powers of two, which a division by
   what is not constant would not know. */
static cfi_repeat_entry *bucket_of(cfi_repeat_entry *table, size_t size,
                                   uint64_t id) {
  return size < WAYS ? table : table + ((size_t)id & (size / WAYS - 1)) * WAYS;
}

/* The entry comes to the front of its bucket; those before its place step back.
   Step by step, since a call of memmove costs more than all of it. */
static void put_in_front(cfi_repeat_entry *bucket, size_t place,
                         cfi_repeat_entry entry) {
  if (place > 2)
    bucket[3] = bucket[2];
  if (place > 1)
    bucket[2] = bucket[1];
  if (place > 0)
    bucket[1] = bucket[0];
  bucket[0] = entry;
}

/* Doubles the table, or makes the first one. Without memory it stays as it
   is: the table works at any size. */
static void grow(cfi_repeat *r) {
  size_t size = r->size * 2;
  cfi_repeat_entry *table;

  if (r->size == 0)
    size = r->limit < FIRST_SIZE ? r->limit : FIRST_SIZE;
  table = cfi_calloc(r->alloc, size, sizeof *table);
  if (table == NULL)
    return;
  /* Backwards, so that in each new bucket the order of use stays. */
  for (size_t i = r->table != NULL ? r->size : 0; i-- != 0;) {
    cfi_repeat_entry *bucket;

    if (!r->table[i].used)
      continue;
    bucket = bucket_of(table, size, r->table[i].id);
    put_in_front(bucket, ways(size) - 1, r->table[i]);
  }
  cfi_free(r->alloc, r->table);
  r->table = table;
  r->size = size;
  r->changes++;
}

/* The n of "n-hash"; 0 when it is not of this form or does not fit. */
static uint32_t generation_of(changefeed_str rev) {
  uint32_t value = 0;
  size_t i = 0;

  while (i < rev.len && rev.data[i] >= '0' && rev.data[i] <= '9') {
    uint32_t digit = (uint32_t)(rev.data[i] - '0');

    if (value > (UINT32_MAX - digit) / 10)
      return 0;
    value = value * 10 + digit;
    i++;
  }
  return i < rev.len && rev.data[i] == '-' && rev.data[0] != '0' ? value : 0;
}

static cfi_repeat_entry entry_of(const cfi_repeat_mark *mark) {
  cfi_repeat_entry entry = {mark->id, mark->revs, mark->generation, 1};

  return entry;
}

/* Older than what is known can only be said of one revision against one. */
static bool is_repeat(const cfi_repeat_entry *known,
                      const cfi_repeat_mark *row) {
  if (known->revs == row->revs && known->generation == row->generation)
    return true;
  return row->generation != 0 && known->generation > row->generation;
}

/* Where the id is, or may be put without pushing another one out. */
static void look_up(const cfi_repeat *r, cfi_repeat_mark *mark) {
  const cfi_repeat_entry *bucket = bucket_of(r->table, r->size, mark->id);
  size_t all = ways(r->size), place = 0;

  while (place < all && bucket[place].used && bucket[place].id != mark->id)
    place++;
  mark->place = place < all ? (unsigned char)place : WAYS;
  mark->known =
      place < all && bucket[place].used && is_repeat(&bucket[place], mark);
  mark->changes = r->changes;
}

bool cfi_repeat_known(const cfi_repeat *r, changefeed_str id,
                      const changefeed_str *revs, size_t rev_count,
                      cfi_repeat_mark *out) {
  out->any = out->known = false;
  if (r->limit == 0 || id.data == NULL || rev_count == 0)
    return false;
  out->any = true;
  out->id = cfi_str_hash(r->seed, id.data, id.len);
  out->revs = 0;
  /* A sum, because the order of leaves differs from node to node. */
  for (size_t i = 0; i < rev_count; i++)
    out->revs += cfi_str_hash(r->seed + 1, revs[i].data, revs[i].len);
  out->generation = rev_count == 1 ? generation_of(revs[0]) : 0;
  if (r->table != NULL)
    look_up(r, out);
  else
    out->changes = r->changes - 1;
  return out->known;
}

void cfi_repeat_note(cfi_repeat *r, const cfi_repeat_mark *given) {
  cfi_repeat_mark mark = *given;
  cfi_repeat_entry *bucket;
  size_t place;

  if (!mark.any)
    return;
  if (r->table == NULL)
    grow(r);
  if (r->table == NULL)
    return;
  if (mark.changes != r->changes)
    look_up(r, &mark);
  if (mark.place == WAYS && r->size < r->limit) {
    grow(r);
    look_up(r, &mark);
  }
  bucket = bucket_of(r->table, r->size, mark.id);
  /* In a full bucket the one used longest ago gives its place. */
  place = mark.place != WAYS ? mark.place : ways(r->size) - 1;
  put_in_front(bucket, place, mark.known ? bucket[place] : entry_of(&mark));
  r->changes++;
}
