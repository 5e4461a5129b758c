/*
 * What differs between two replicas, for how long: a document counts as
 * different when both sides have held the same two states for the whole of a
 * look's time; one that changed meanwhile is looked at again.
 */
#ifndef CLI_SETTLE_H
#define CLI_SETTLE_H

#include "replica.h"

/* The versions of both sides at one moment. */
typedef struct pair {
  const changefeed_view *views[2];
} pair;

/* Ids from <= id < to by their bytes; NULL: no bound. */
typedef struct id_range {
  char *from, *to;
} id_range;

typedef enum doubt {
  DOUBT_NONE,   /* certain: both sides have stood still */
  DOUBT_MOVING, /* it differed at the last look, too, otherwise */
  DOUBT_YOUNG   /* it was equal at some look before */
} doubt;

typedef struct settle {
  id_range range;
  pair first, last, now; /* first, last: NULL views: there was no look yet */
  bool last_is_first;    /* one reference for both */
  bool fixed;            /* one side is a file: nothing is under way */
  uint64_t only[2], revisions; /* certain */
  uint64_t moving, young;
} settle;

void pair_take(pair *p, replica *replicas);
void pair_drop(pair *p);
/* The digests of the range, and whether they are the same. */
bool pair_agrees(const pair *p, const id_range *range,
                 changefeed_digest digests[2], uint64_t counts[2]);

/* Looks at both: counts what differs. */
void settle_look(settle *s, replica *replicas);
/* Nothing is left that must be looked at again. */
bool settle_is_over(const settle *s);
/* Calls each for what certainly differs, by the last look, until it answers
   other than 0. */
void settle_each(settle *s,
                 int (*each)(void *ctx, const changefeed_entry *a,
                             const changefeed_entry *b),
                 void *ctx);
void settle_free(settle *s);

#endif
