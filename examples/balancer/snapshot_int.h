/* How a snapshot lies in its file, and in memory; for snapshot*.c alone.
   Numbers have their low byte first; what is 8 bytes or more lies at a multiple
   of 8.

     8   SNAPSHOT_MAGIC
     4   version
     4   length of the database's name
     8   length of the file
     8   number of entries
     8   when it was saved
     ..  the database's name, zeros up to a multiple of 8
     ..  entries, in order of the apps' names: the route's block; a byte with
   the length of its rev, the rev, a zero; zeros up to a multiple of 8 8
   SipHash-1-3 with a key of zeros, of all before

   In memory it is the file, or, when it was made here, the entries alone. */
#ifndef BALANCER_SNAPSHOT_INT_H
#define BALANCER_SNAPSHOT_INT_H

#include "balancer/sip.h"
#include "balancer/snapshot.h"

#define SNAPSHOT_MAGIC "cfroutes"
#define SNAPSHOT_MOST (UINT64_C(4) << 30) /* bytes of a file */

enum {
  SNAPSHOT_VERSION = 1,
  SNAPSHOT_UNIT = 8,
  SNAPSHOT_HEAD = 40,
  SNAPSHOT_END = 8
};

struct snapshot {
  text data;
  size_t begin, end; /* of the entries */
  uint32_t *at;      /* where each begins, in units */
  size_t count, room;
  bool failed;
  int64_t saved_ms;
  char database[SNAPSHOT_DATABASE_MOST + 1];
};

static inline size_t snapshot_rounded(size_t len) {
  return (len + SNAPSHOT_UNIT - 1) / SNAPSHOT_UNIT * SNAPSHOT_UNIT;
}

/* Bytes of an entry behind its route. */
static inline size_t snapshot_rev_size(size_t rev_len) {
  return snapshot_rounded(1 + rev_len + 1);
}

/* Takes the entry at that place in. false: no memory, or too far. */
bool snapshot_note(snapshot *s, size_t at);
/* The whole file, which becomes s's own. NULL, or what is wrong with it, with
   the entry's number in *entry where it is one. */
const char *snapshot_take(snapshot *s, text *file, size_t *entry);

#endif
