/*
 * A bounded memory of the revisions delivered last, by hash of the id: tells a
 * repeat from news after the server went back in its sequence. It may forget,
 * it never takes news for a repeat unless two 64-bit hashes collide.
 */
#ifndef CFI_REPEAT_H
#define CFI_REPEAT_H

#include "alloc.h"

typedef struct cfi_repeat {
  const cfi_alloc *alloc;
  struct cfi_repeat_entry *table; /* NULL until the first row */
  size_t size;                    /* entries now, a power of two; 0 = none */
  size_t limit;                   /* entries at most, likewise; 0 = off */
  uint64_t seed;
  uint64_t changes; /* of the table: a place found before is one no more */
} cfi_repeat;

/* What is remembered of a row: hashed and looked up once. */
typedef struct cfi_repeat_mark {
  uint64_t id;         /* hash */
  uint64_t revs;       /* sum of the hashes of the revisions */
  uint64_t changes;    /* those when place was found */
  uint32_t generation; /* 0: several leaves, or not generation-hash */
  unsigned char place; /* in its bucket; WAYS: in none */
  bool any;            /* false: a row that is not remembered */
  bool known;
} cfi_repeat_mark;

/* entries is rounded up to a power of two; memory comes as it is used. */
void cfi_repeat_init(cfi_repeat *r, const cfi_alloc *alloc, size_t entries,
                     uint64_t seed);
void cfi_repeat_free(cfi_repeat *r);
void cfi_repeat_clear(cfi_repeat *r); /* another history */

/* Is this revision known, or a later generation of the same id? Nothing is
   remembered: that is for cfi_repeat_note, which is told the mark.
   Revisions are "generation-hash"; others count as generation 0 and are equal
   or not. With several leaves the whole list is compared, as a set. Without
   revisions there is nothing to remember.
   A winner may truly fall to an earlier generation, when a longer branch of a
   conflict is deleted. That is told apart from a repeat by nothing in the row,
   and counts as one here: a flag for people and counters, not a reason to drop
   a row. */
bool cfi_repeat_known(const cfi_repeat *r, changefeed_str id,
                      const changefeed_str *revs, size_t rev_count,
                      cfi_repeat_mark *out);
/* Remembers the revision, unless it is older than the one remembered. Without
   memory it is not. */
void cfi_repeat_note(cfi_repeat *r, const cfi_repeat_mark *mark);

#endif
