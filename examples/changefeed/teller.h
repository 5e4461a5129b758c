/*
 * What changed in a mirror, as lines: the difference between the version told
 * last and the one of now, a part at a time, as the reader of standard output
 * takes it. A slow reader costs no memory but that of two versions, and reads
 * the newest state of each document.
 */
#ifndef CLI_TELLER_H
#define CLI_TELLER_H

#include "replica.h"

typedef struct teller {
  const changefeed_view *told; /* NULL: nothing was told yet */
  const changefeed_view *next; /* being told; NULL: all is */
  textbuf last;                /* the id told last of next */
  bool any;                    /* there is one */
} teller;

/* anew: also what the snapshot held is told. */
void teller_begin(teller *t, replica *r, bool anew);
/* Tells what there is to tell, if there is room. False: no memory. */
bool teller_step(teller *t, replica *r);
bool teller_is_done(const teller *t, replica *r);
void teller_end(teller *t);

#endif
