/*
 * One feed as a state machine without sockets: notes of what happened go in
 * (bytes, a response's head, its end, the time), requests to a "world" come
 * out. Everything is decided in cfi_feed_step, where also every callback of the
 * application runs; the notes only record. A loop drives it over libcurl; a
 * simulated world can drive it as well.
 */
#ifndef CFI_FEED_H
#define CFI_FEED_H

#include <stdatomic.h>

#include "backoff.h"
#include "bucket.h"
#include "checkpoint.h"
#include "clock.h"
#include "feed_world.h"
#include "frame.h"
#include "hash.h"
#include "options.h"
#include "repeat.h"
#include "row.h"
#include "store_couch.h"
#include "store_file.h"
#include "url.h"
#include "window.h"

/* mail: set by any thread or signal handler, taken by step */
enum { CFI_MAIL_STOP = 1, CFI_MAIL_ACK = 2, CFI_MAIL_RESUME = 4 };

/* Bytes kept of an answer that is no feed, and of one that holds a position
   with the selector it is for: CouchDB takes 8 MB. */
enum { CFI_REPLY_MAX = 64 * 1024, CFI_DOC_MAX = 16 * 1024 * 1024 };

/* A row taken apart and not taken by the application yet. */
typedef struct cfi_held {
  cfi_row row;
  size_t offset, len; /* of its text in the queue */
  unsigned flags;     /* as delivered */
  cfi_repeat_mark mark;
} cfi_held;

/* What is known of the history being followed. */
typedef struct cfi_identity {
  char *server_uuid, *instance_start_time, *marker;
} cfi_identity;

typedef enum cfi_phase {
  CFI_PHASE_WAIT,   /* until begin_ms, then ask */
  CFI_PHASE_ACTIVE, /* a main request is under way */
  CFI_PHASE_FLUSH,  /* the last position is being saved, then over */
  CFI_PHASE_OVER
} cfi_phase;

/* A request that is under way, or was, and what came back. */
typedef struct cfi_lane {
  cfi_ask ask;
  int64_t started_ms, connected_ms, head_ms; /* CFI_NEVER: not yet */
  bool has_head, no_memory;
  int status;
  bool done, done_fatal;
  int done_code, done_curl, done_errno;
  char text[256]; /* where a redirect points, or why the transport failed */
  cfi_buf reply;  /* of an answer that is no feed */
} cfi_lane;

/* What was asked about the response that is read now. */
enum {
  CFI_CHECKED_IDENTITY = 1,
  CFI_CHECKED_SESSION = 2,
  CFI_CHECKED_MARKER = 4
};

typedef struct cfi_local cfi_local;
typedef struct cfi_tick cfi_tick;

struct changefeed {
  /* What a heartbeat touches stands together: thousands of feeds may do nothing
     else, and then each line of memory counts. */
  cfi_clock clock;
  void *host; /* the loop's record of this feed */
  cfi_buf queue;
  cfi_phase phase;
  atomic_uint mail; /* any thread */
  atomic_bool paused;
  bool closing; /* changefeed_close inside a callback */
  bool lent;    /* pull: held[0] is in the caller's hands */
  /* Rows wait until it is known whose they are: asked for after the head of
     their response has come, so that they cannot be of another history. */
  bool verified;
  bool tail;       /* the feed's last word of this response was read */
  bool ending;     /* that word is read, rows before it may wait */
  bool body_fault; /* the body is not a feed, or holds an error; in error */
  bool blocked;    /* the queue is full: what comes is refused */
  bool renew;      /* end the response at the next row boundary */
  bool side_active;
  const atomic_bool *halt; /* while set, no further row is delivered */
  cfi_local *local;        /* checkpoint=couch; else NULL */
  size_t held_count;
  uint64_t beats_seen, request_bytes;
  int64_t byte_ms, idle_ms; /* the main request's last; allowed silence */
  int64_t last_byte_ms, last_row_ms, last_save_ms; /* -1: never */
  int64_t
      arrived_ms; /* with a tick: the first byte behind what was delivered */
  cfi_frame frame;
  changefeed_stats stats;
  cfi_lane main, side; /* the requests under way */

  /* given at the start */
  const cfi_alloc *alloc;
  cfi_random random;
  cfi_settings set;
  changefeed_callbacks callbacks;
  cfi_url url;
  cfi_url *endpoints; /* others of the same cluster */
  size_t endpoint_count;
  size_t endpoint, home; /* in use, preferred: 0 = url, i = endpoints[i - 1] */
  int64_t home_due_ms;   /* ask whether home is well; CFI_NEVER */
  unsigned home_faults;  /* in a row */
  bool go_home;          /* with the next request */
  cfi_world world;
  bool filtered; /* the server leaves rows out */
  bool lists;    /* source=all_docs */
  bool pull;     /* read by changefeed_next */

  /* any thread */
  atomic_int shown_state;  /* what get_state answers */
  _Atomic(uint64_t) shown; /* the last ordinal the application has seen */

  /* life */
  int base_state;         /* enum changefeed_state without PAUSED */
  bool stopped;           /* changefeed_stop was called */
  unsigned depth;         /* callbacks on the stack */
  cfi_error error;        /* the last fault */
  int64_t event_delay_ms; /* until the next attempt, for on_state */

  /* asking */
  int64_t begin_ms;      /* WAIT: not before */
  int transport;         /* of live requests now: enum, never AUTO */
  unsigned silent_lives; /* continuous responses in a row without a byte */
  unsigned cut_short;    /* responses of the past in a row that were cut off */
  bool server_known, db_known, db_seen;
  int64_t missing_since_ms; /* CFI_NEVER: not missing */
  cfi_identity identity;    /* of the history the position belongs to */
  cfi_identity found;       /* as the server says now */
  int64_t server_major;     /* its version; 0 = unknown */
  char *found_seq;          /* update_seq of GET /db when it is a number */
  bool went_missing;        /* the database was gone since it was checked */
  unsigned start_times;     /* that differed from the one before, in a row */
  cfi_bucket bucket;
  cfi_backoff backoff;

  /* the requests under way */
  bool main_waits, side_waits; /* for their turn to ask */
  int64_t stream_ms;           /* of the main one */
  bool head_seen;
  int64_t retry_after_ms;              /* the longest of this attempt; -1 */
  unsigned checks;                     /* CFI_CHECKED_..., of this response */
  unsigned check_tokens;               /* taken from the bucket for it */
  uint64_t request_rows, request_news; /* news: no repeats */
  int64_t tail_ms;
  bool asked_timeout;  /* live response that ends by itself when idle */
  cfi_buf asked_since; /* its since */
  cfi_buf listed;      /* lists: the id of the last row read */
  uint64_t page_rows, page_asked; /* lists: read and wanted of this page */
  uint64_t page_skip;             /* lists: taken when it was asked for */

  /* rows */
  size_t queue_limit;
  bool held_up;      /* what comes is refused until the step was there */
  size_t turn_bytes; /* received since then */
  cfi_row_parser *rows;
  cfi_held *held;
  size_t held_cap;
  int64_t held_ms;            /* when the first of them was held */
  changefeed_change *changes; /* held_cap of them, as the application sees
                                 them, pointers to them, and the bytes that
                                 stand behind them in the queue */
  const changefeed_change **change_list;
  char *behind;
  int64_t ending_pending;
  changefeed_str ending_seq; /* lives in rows */
  uint64_t ordinal;          /* last one given */
  uint64_t repeat_run;
  uint64_t limit_left; /* UINT64_MAX: no limit */

  /* positions */
  cfi_buf resume;    /* where the next request starts: the last row taken */
  bool resume_own;   /* came from the server, not from the caller */
  uint64_t begun_at; /* the ordinal when this history began */
  uint64_t due_rows; /* taken, and not noted in resume and window yet */
  changefeed_str due_seq; /* of the last of them that has one; in rows */
  cfi_window window;
  cfi_repeat repeat;
  bool caught_up;
  char *feed_key;  /* database, filter, style: what a position is good for */
  char *store_key; /* where an application's store keeps it */
  const char *pending_reset; /* a reason found before the first step; static */
  cfi_store_file *file;
  cfi_tick *tick;  /* NULL: none */
  size_t tick_len; /* of its id; 0: none */
  changefeed_store store;
  bool has_store;
  uint64_t stored_rows; /* acknowledged before this run */
  uint64_t saved_moves, saved_acked;
  uint64_t looked_at; /* the ordinal when it was last asked: is a save due? */
  int64_t unsaved_ms; /* since when the position is not saved; CFI_NEVER */
  int64_t save_at_ms; /* after a failed save: not before */
  cfi_backoff save_backoff;
  changefeed_str position_out; /* what changefeed_position lent */
  char *position_copy;

  /* credentials */
  char *username, *password;
  char *authorization;
  char *cookie;
  int64_t cookie_until_ms;   /* renew from then on */
  int64_t session_proven_ms; /* when the server last knew us; CFI_NEVER */
  bool renewed;              /* since the last answer that let us in */

  /* marker */
  bool marks;          /* is to be in the database */
  bool marker_absent;  /* the database holds none: write one */
  bool marker_refused; /* it may not be written */
  unsigned marker_conflicts;
  char marker_text[CFI_HASH_TEXT]; /* being written */

  int64_t flush_until_ms; /* FLUSH */
  int64_t timer_ms;       /* the application's; CFI_NEVER */
  int final_state;
  cfi_error final_error; /* why, when it is a failure */

  bool (*admit)(void *host, int turn);
};

typedef struct cfi_feed_config {
  const cfi_alloc *alloc;
  cfi_clock clock;
  uint64_t seed; /* 0: from the system */
  cfi_world world;
  const atomic_bool *halt; /* the loop is to return; NULL: never */
  /* May a request, of enum CFI_TURN_..., start now? False: not before the feed
     is stepped again, which will be soon after it may. NULL: always. */
  bool (*admit)(void *host, int turn);
  void *host;
} cfi_feed_config;

/* OK; ERR_OPTION, ERR_STORE, ERR_NOMEM, ERR_UNSUPPORTED, ERR_SYSTEM with the
   sentence in error. */
int cfi_feed_new(changefeed **out, const changefeed_options *options,
                 const cfi_feed_config *config, cfi_error *error);
/* No callback runs. save: write the acknowledged position first. */
void cfi_feed_free(changefeed *f, bool save);

/* Notes about &f->main or &f->side; they only record. */
void cfi_feed_note_connected(changefeed *f, cfi_lane *l);
/* The connection used again was dead, and the world is about to ask once more
   by itself. False: the rate limit forbids it. */
bool cfi_feed_note_again(changefeed *f);
void cfi_feed_note_head(changefeed *f, cfi_lane *l, const cfi_head *head);
/* False: not now; the world keeps the bytes and offers them again after
   unblock. fail is set when they cannot be taken at all. */
bool cfi_feed_receive(changefeed *f, cfi_lane *l, const void *data, size_t len,
                      bool *fail);
/* Does what came wait for a step? Not a heartbeat and nothing else. */
bool cfi_feed_has_received(const changefeed *f, const cfi_lane *l);
void cfi_feed_note_done(changefeed *f, cfi_lane *l, const cfi_outcome *outcome);

/* Does what is due; at most max_rows rows. True: there is more to do now. */
bool cfi_feed_step(changefeed *f, unsigned max_rows);
/* When step is to be called at the latest; CFI_NEVER. It is the earlier one of
   two: bytes that need no step move the end of the peer's silence, and nothing
   else. */
int64_t cfi_feed_deadline(const changefeed *f);
int64_t cfi_feed_silence_ends(const changefeed *f);
int64_t cfi_feed_other_deadline(const changefeed *f);
bool cfi_feed_over(const changefeed *f); /* and the application knows it */

/* Pull: the next row or NULL. Gives back the one lent before. */
const changefeed_change *cfi_feed_lend(changefeed *f);

#include "feed_parts.h"

#endif
