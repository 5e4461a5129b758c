/*
 * A feed being written: a position in each shard, what of it is asked for, and
 * CouchDB's framing of rows, heartbeats and the end. The caller gives time and
 * takes bytes; _db_updates is a feed too.
 */
#ifndef COUCHSIM_FEED_H
#define COUCHSIM_FEED_H

#include "filter.h"
#include "plan.h"

enum {
  COUCH_ROWS_BUFFER = 1490, /* CouchDB's, of rows before they are sent */
  COUCH_FEED_FULL = 65536,  /* bytes not taken yet: rows wait */
  COUCH_WINDOW = 4
};

/* How far each range was read, and in whose copy. */
typedef struct couch_place {
  uint64_t tag;
  unsigned q;
  uint64_t seq[COUCH_Q_MAX];
  unsigned char node[COUCH_Q_MAX];
} couch_place;

void couch_place_text(const couch_place *place, couch_buf *out);
/* False: malformed. A quoted one and the part behind the dash alone are fine,
   "0" is the beginning. */
bool couch_place_parse(const char *text, couch_place *out);
void couch_place_end(const couch_world *w, const couch_db *db, unsigned node,
                     couch_place *out);
/* Where a feed from there begins on this node: in the copies that are in
   reach. False: a range has none. */
bool couch_place_resume(const couch_world *w, const couch_db *db, unsigned node,
                        const couch_place *since, couch_place *out);
size_t couch_place_pending(const couch_db *db, const couch_place *place);

typedef enum couch_mode {
  COUCH_NORMAL,
  COUCH_LONGPOLL,
  COUCH_CONTINUOUS,
  COUCH_EVENTSOURCE
} couch_mode;

typedef struct couch_feed {
  /* Asked for. */
  couch_mode mode;
  bool updates; /* _db_updates */
  char *db;
  uint64_t tag;
  unsigned node;
  couch_place place;
  uint64_t limit;
  bool include_docs, conflicts, all_leaves, descending;
  int64_t heartbeat_ms; /* 0: none */
  int64_t timeout_ms;
  uint64_t interval;
  couch_filter filter;
  couch_plan plan; /* only the part of a feed; owned by the request */
  bool framed;     /* with chunks */

  /* How far it is. */
  bool begun, waiting, ended, broken, stalled, sent_rows, rewound;
  bool more;  /* rows are left, the buffer was full */
  bool again; /* the last row was one of a fault */
  couch_place end;
  couch_buf rows; /* not sent yet */
  const char *prepend;
  size_t row_count, beats, start_pending;
  uint64_t seen;
  int64_t begun_ms, beat_ms, end_ms;
  unsigned range, run;
  size_t window[COUCH_WINDOW], window_count, window_at;
  unsigned window_range;
  uint64_t window_seq;
} couch_feed;

void couch_feed_free(couch_feed *feed);
/* Writes what is due now. */
void couch_feed_pump(couch_feed *feed, couch_world *w, int64_t clock_ms,
                     couch_buf *out);
/* When it must be pumped again if nothing happens; INT64_MAX: never. */
int64_t couch_feed_due_ms(const couch_feed *feed);
/* Something was written that it has not seen. */
bool couch_feed_has_news(const couch_feed *feed, const couch_world *w);

/* One piece of a body, with its chunk's frame if framed. */
void couch_piece(couch_buf *out, bool framed, const char *bytes, size_t len);
const char *couch_status_text(int status);
void couch_last_piece(couch_buf *out, bool framed);

/* A document as JSON. */
typedef struct couch_show {
  bool revs, conflicts, deleted_conflicts, revs_info, local_seq;
} couch_show;
void couch_add_doc(couch_buf *out, const couch_doc *doc, size_t rev,
                   const couch_show *show);

#endif
