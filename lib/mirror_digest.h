/*
 * The digest of a set of (id, revision): the sum modulo 2^128 of a keyed hash
 * of each, so that it does not depend on the order they came in, and an entry
 * is added and taken away in constant time. docs/mirror-digest.md says how
 * others compute it.
 */
#ifndef CFI_MIRROR_DIGEST_H
#define CFI_MIRROR_DIGEST_H

#include "hash.h"

#include "changefeed/changefeed.h"

typedef struct cfi_digest {
  uint64_t low, high;
} cfi_digest;

/* Of one entry. */
cfi_digest cfi_digest_of(changefeed_str id, changefeed_str rev);
static inline cfi_digest cfi_digest_add(cfi_digest a, cfi_digest b) {
  cfi_digest sum = {a.low + b.low, a.high + b.high};
  sum.high += sum.low < a.low ? 1 : 0;
  return sum;
}
static inline cfi_digest cfi_digest_subtract(cfi_digest a, cfi_digest b) {
  cfi_digest rest = {a.low - b.low, a.high - b.high};
  rest.high -= a.low < b.low ? 1 : 0;
  return rest;
}
static inline bool cfi_digest_equal(cfi_digest a, cfi_digest b) {
  return a.low == b.low && a.high == b.high;
}
/* 32 hexadecimal digits, the highest first. */
void cfi_digest_text(cfi_digest d, char out[CFI_HASH_TEXT]);

/* CouchDB's order of revisions by which a winner is chosen: by generation, then
   by the bytes of the rest. Whatever is not a number, a hyphen and something is
   lower than all that is. Negative, 0 (the same text only), positive. */
int cfi_rev_compare(changefeed_str a, changefeed_str b);

#endif
