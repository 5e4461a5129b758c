/*
 * What the rest of a feed asks of feed_tick.c: the document by whose rows it is
 * known that the whole way from a write to the application works.
 */
#ifndef CFI_FEED_TICK_H
#define CFI_FEED_TICK_H

#include "feed.h"

/* From the settings; OK also when there is no tick. */
int cfi_tick_open(changefeed *f, cfi_error *error);
void cfi_tick_free(changefeed *f);
/* Another history begins. */
void cfi_tick_forget(changefeed *f);

/* A row with an id as long as the tick's is the application's now. */
void cfi_tick_taken(changefeed *f, const cfi_held *held);
/* Up to when the delivered rows are complete; -1: not known. */
int64_t cfi_tick_proven_ms(const changefeed *f);

/* Our own writes, in the side lane. */
bool cfi_tick_wants(const changefeed *f, cfi_ask *ask);
int64_t cfi_tick_due_ms(const changefeed *f);
char *cfi_tick_body(changefeed *f); /* NULL without memory */
void cfi_tick_on_side(changefeed *f, cfi_lane *l);
/* The request under way is given up, whatever became of it. */
void cfi_tick_abandon(changefeed *f);
/* The server wants to be left alone for so long. */
void cfi_tick_put_off(changefeed *f, int64_t ms);

static inline bool cfi_tick_asks(cfi_ask ask) {
  return ask == CFI_ASK_TICK || ask == CFI_ASK_TICK_PUT;
}

#endif
