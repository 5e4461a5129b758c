/*
 * Which row of a feed is next, and the row's JSON.
 */
#ifndef COUCHSIM_ROWS_H
#define COUCHSIM_ROWS_H

#include "feed.h"

void couch_rows_begin(couch_feed *f, const couch_world *w);
void couch_rows_rewind(couch_feed *f);
/* Adds the next row, framed but for its join; false: there is none now. */
bool couch_rows_next(couch_feed *f, couch_world *w, couch_buf *row);
/* False: a range of the feed has no copy in reach any more. */
bool couch_rows_readable(const couch_feed *f, const couch_world *w);

#endif
