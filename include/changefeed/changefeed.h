/*
 * libchangefeed: follows CouchDB change feeds and never loses its place.
 *
 * Objects
 *   changefeed_options  settings of one feed; opaque; copied by changefeed_open
 *   changefeed_loop     drives the network I/O of any number of feeds
 *   changefeed          one feed: `_changes` of a database, or `_db_updates`
 *
 * Rules that hold for every function
 *   - 0 is success, negative values are errors, positive values are outcomes
 *     that are not errors (CHANGEFEED_TIMEOUT, CHANGEFEED_END).
 *   - A function that fails has changed nothing, unless its comment says so.
 *   - Pointers to const that are handed out are borrowed; each comment says
 *     until when.
 *   - Structs the library fills may grow at their end in later versions.
 *     Structs the caller fills begin with `size`, set by the matching _INIT
 *     macro.
 *   - Each comment ends with where the function may be called:
 *       [loop]     the thread that drives the loop, also inside callbacks
 *       [outside]  that thread, but not inside a callback
 *       [any]      any thread, also inside callbacks
 *       [signal]   as [any], and also in a signal handler
 *   - Times are milliseconds of a monotonic clock, sizes are bytes.
 */
#ifndef CHANGEFEED_CHANGEFEED_H
#define CHANGEFEED_CHANGEFEED_H

#include <stddef.h>
#include <stdint.h>

#include "changefeed/export.h"
#include "changefeed/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct changefeed changefeed;
typedef struct changefeed_loop changefeed_loop;
typedef struct changefeed_options changefeed_options;

/* The version of the library at run time, 0xMMmmpp. [any] */
CHANGEFEED_EXTERN unsigned changefeed_version_num(void);

/* The version as text, with those of libcurl, its TLS library and yajl, e.g.
   "changefeed/0.1.0 libcurl/7.88.1 OpenSSL/3.0.15 yajl/2.1.0". Lives as long
   as the library is loaded. [any] */
CHANGEFEED_EXTERN const char *changefeed_version_string(void);

/* ---- results ------------------------------------------------------------ */

enum changefeed_result {
  CHANGEFEED_OK = 0,
  CHANGEFEED_TIMEOUT = 1, /* the time given ran out; nothing is wrong */
  CHANGEFEED_END = 2,     /* there is nothing more, and never will be */

  /* mistakes in the call */
  CHANGEFEED_ERR_INVALID = -1,   /* an argument is NULL or makes no sense */
  CHANGEFEED_ERR_STATE = -2,     /* not in this state of the object */
  CHANGEFEED_ERR_REENTRANT = -3, /* [outside] called inside a callback */
  CHANGEFEED_ERR_FORKED = -4,    /* the object belongs to the parent process */
  CHANGEFEED_ERR_OPTION = -5,    /* unknown option, or a value of another type,
                                    or options that exclude each other */
  CHANGEFEED_ERR_RANGE = -6,     /* a value outside its option's range */
  CHANGEFEED_ERR_UNSUPPORTED = -7, /* this build cannot do it */

  /* trouble on this side */
  CHANGEFEED_ERR_NOMEM = -16,    /* no memory */
  CHANGEFEED_ERR_SYSTEM = -17,   /* the operating system refused; see errno */
  CHANGEFEED_ERR_STORE = -18,    /* the position could not be loaded or saved */
  CHANGEFEED_ERR_CALLBACK = -19, /* a callback gave up */

  /* trouble on the way or on the server */
  CHANGEFEED_ERR_NETWORK = -32,  /* no connection, or it broke */
  CHANGEFEED_ERR_TLS = -33,      /* certificate or host name refused, or the
                                    handshake failed */
  CHANGEFEED_ERR_IDLE = -34,     /* the peer was silent for too long */
  CHANGEFEED_ERR_AUTH = -35,     /* 401 or 403 */
  CHANGEFEED_ERR_NOTFOUND = -36, /* 404 */
  CHANGEFEED_ERR_HTTP = -37,     /* any other status that is not 200 */
  CHANGEFEED_ERR_PROTOCOL = -38, /* the body is not a feed */
  CHANGEFEED_ERR_LIMIT = -39,    /* a limit of the options was exceeded */
  CHANGEFEED_ERR_RESET = -40     /* another history, and on_reset says stop */
};

/* A short English name of a result, for logs. Never NULL; static. [any] */
CHANGEFEED_EXTERN const char *changefeed_strerror(int result);

/* What went wrong, in a form a program and a person can use. */
typedef struct changefeed_error {
  int code;               /* enum changefeed_result, negative; 0 = no error */
  int http_status;        /* 0 when no response was read */
  int curl_code;          /* CURLcode, 0 when libcurl was content */
  int sys_errno;          /* errno, 0 when the system was content */
  int retryable;          /* 1: the feed tries again; 0: it has failed */
  int64_t retry_after_ms; /* what the server asked for, or -1 */
  const char *message;    /* a sentence; never NULL, never holds credentials */
} changefeed_error;

/* ---- data --------------------------------------------------------------- */

/* A counted string. NULL data means absent. data[len] == '\0' except in
   changefeed_change.doc, which points into the row's text. This struct never
   grows. */
typedef struct changefeed_str {
  const char *data;
  size_t len;
} changefeed_str;

enum changefeed_change_flag {
  CHANGEFEED_DELETED = 1,  /* the document (or database) is gone */
  CHANGEFEED_DOC = 2,      /* doc is present */
  CHANGEFEED_REPEAT = 4,   /* this revision, or a later generation of the same
                              id, was delivered before by this feed object */
  CHANGEFEED_ROW_ERROR = 8 /* the server put "error" beside the id */
};

/* One change. Everything it points to is borrowed until the callback returns,
   or, for changefeed_next, until the next call that names the feed. */
typedef struct changefeed_change {
  uint64_t ordinal;   /* 1, 2, 3 ... of this feed object; see changefeed_ack */
  changefeed_str seq; /* as a later "since" wants it: a string's content, or
                         the JSON text of a number or array; absent if null;
                         with source=all_docs the id */
  changefeed_str id;  /* decoded, valid UTF-8; the database name in
                         _db_updates */
  const changefeed_str *revs; /* rev_count of them, in the server's order; the
                                 first is the winner */
  size_t rev_count;           /* 0 in _db_updates */
  changefeed_str doc;         /* JSON text as received, not decoded, and not
                                 checked unless validate_docs is on; a part of
                                 row: NOT terminated by '\0' */
  changefeed_str row;         /* JSON text of the whole row as received */
  unsigned flags;             /* enum changefeed_change_flag */
} changefeed_change;

/* Copies a change with everything it points to into one block, doc terminated
   too. NOMEM, INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_change_copy(const changefeed_change *change,
                                             changefeed_change **out);
/* Frees a copy; NULL is allowed. [any] */
CHANGEFEED_EXTERN void changefeed_change_free(changefeed_change *copy);

enum changefeed_state {
  CHANGEFEED_STATE_CONNECTING = 0, /* asking; nothing read yet */
  CHANGEFEED_STATE_CATCHUP = 1,    /* reading changes made in the past */
  CHANGEFEED_STATE_LIVE = 2,       /* the server has said: nothing older */
  CHANGEFEED_STATE_PAUSED = 3,     /* changefeed_pause, or CHANGEFEED_LATER */
  CHANGEFEED_STATE_WAITING = 4,    /* between attempts */
  CHANGEFEED_STATE_ENDED = 5,      /* over: stopped, caught up, limit */
  CHANGEFEED_STATE_FAILED = 6      /* over: see changefeed_last_error */
};

/* The name of a state in lower case ("live"); "unknown" for other values.
   Static. [any] */
CHANGEFEED_EXTERN const char *changefeed_state_name(int state);

/* A change of state, borrowed until on_state returns. */
typedef struct changefeed_event {
  int state;                     /* enum changefeed_state */
  int previous;                  /* the state before */
  unsigned attempt;              /* WAITING: failed attempts in a row */
  int64_t delay_ms;              /* WAITING: until the next attempt */
  const changefeed_error *error; /* WAITING after a fault, FAILED; else NULL */
} changefeed_event;

enum changefeed_notice_kind {
  CHANGEFEED_NOTICE_REWIND = 1,   /* rows seen before came again; legal */
  CHANGEFEED_NOTICE_FALLBACK = 2, /* transport=auto has changed the transport */
  CHANGEFEED_NOTICE_STORE = 3,    /* the position, or the marker, is not kept
                                     in the database: it lets nothing be
                                     written, or another follower writes */
  CHANGEFEED_NOTICE_ENDPOINT = 4, /* another endpoint is followed */
  CHANGEFEED_NOTICE_TICK = 5      /* tick_write_ms: the tick may not be written,
                                     and is tried again in an hour */
};

/* Something worth knowing that changes nothing for the application, borrowed
   until on_notice returns. */
typedef struct changefeed_notice {
  int kind;         /* enum changefeed_notice_kind */
  uint64_t rows;    /* REWIND: how many rows in a run were repeats */
  const char *from; /* FALLBACK: transport names; ENDPOINT: URLs */
  const char *to;
  const char *reason; /* FALLBACK, STORE, ENDPOINT, TICK: a sentence */
} changefeed_notice;

/* Counters and gauges of a feed. Set size (CHANGEFEED_STATS_INIT); as much as
   fits is filled. Counters never go back. */
typedef struct changefeed_stats {
  size_t size;
  uint64_t changes;      /* rows delivered and taken, repeats included */
  uint64_t deleted;      /* of these, deletions */
  uint64_t bytes;        /* body bytes read from feeds */
  uint64_t heartbeats;   /* line breaks and events sent to keep alive */
  uint64_t requests;     /* all requests, probes included */
  uint64_t unproductive; /* requests that brought no row and no progress */
  uint64_t reconnects;   /* attempts after a fault, by cause below */
  uint64_t faults_network;
  uint64_t faults_tls;
  uint64_t faults_idle;
  uint64_t faults_auth;
  uint64_t faults_http;
  uint64_t faults_protocol;
  uint64_t faults_local; /* no memory, limits, stores */
  uint64_t ends;         /* responses that ended in health */
  uint64_t repeats;      /* rows with CHANGEFEED_REPEAT */
  uint64_t rewinds;      /* runs of repeats */
  uint64_t resets;       /* histories that ended */
  uint64_t acked;        /* rows acknowledged */
  uint64_t saves;        /* positions saved */
  uint64_t save_errors;  /* saves that failed */
  uint64_t fallbacks;    /* changes of transport */
  uint64_t unacked;      /* gauge: rows delivered, not acknowledged */
  uint64_t queued_bytes; /* gauge: received, not delivered */
  int64_t pending;       /* the server's last word; -1 = unknown */
  int64_t idle_ms;       /* since the last byte of a feed; -1 = never */
  int64_t row_age_ms;    /* since the last row; -1 = never */
  int64_t save_age_ms;   /* since the last good save; -1 = never */
  int64_t fresh_ms;      /* option tick: what was written before so long is
                            delivered; -1 = not known */
} changefeed_stats;
#define CHANGEFEED_STATS_INIT                                                  \
  {                                                                            \
    sizeof(changefeed_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                  \
  }

/* ---- callbacks ---------------------------------------------------------- */

/* What on_change, on_batch and on_reset answer. Any negative value makes the
   feed fail with CHANGEFEED_ERR_CALLBACK, the rows not taken. */
enum changefeed_verdict {
  CHANGEFEED_CONTINUE = 0, /* taken */
  CHANGEFEED_LATER = 1,    /* not taken: the feed pauses; after
                              changefeed_resume the same rows come again.
                              From on_reset it is a mistake: the feed fails */
  CHANGEFEED_STOP = 2      /* taken, and end the feed */
};

enum changefeed_log_level {
  CHANGEFEED_LOG_ERROR = 0,
  CHANGEFEED_LOG_WARNING = 1,
  CHANGEFEED_LOG_INFO = 2,
  CHANGEFEED_LOG_DEBUG = 3
};

/* All callbacks run in the thread that drives the loop, with no frame of
   libcurl or yajl below them: every [loop], [any] and [signal] function may be
   called in them, changefeed_close of any feed included. Members left NULL are
   not called. on_change and on_batch exclude each other; with neither the feed
   is read by changefeed_next. */
typedef struct changefeed_callbacks {
  size_t size;
  /* One row. Returns a verdict. With auto_ack (the default) CONTINUE and STOP
     also acknowledge it. */
  int (*on_change)(changefeed *feed, const changefeed_change *change,
                   void *user);
  /* 1 to batch_max rows; the verdict is about all of them. */
  int (*on_batch)(changefeed *feed, const changefeed_change *const *changes,
                  size_t count, void *user);
  void (*on_state)(changefeed *feed, const changefeed_event *event, void *user);
  void (*on_notice)(changefeed *feed, const changefeed_notice *notice,
                    void *user);
  /* The server serves another history; no row of it has been delivered yet.
     CONTINUE: as the option on_reset says (restart: from its beginning). STOP
     or a negative value: the feed fails with CHANGEFEED_ERR_RESET. */
  int (*on_reset)(changefeed *feed, const char *reason, void *user);
  /* One line without line break, text[len] == '\0', no credentials. */
  void (*on_log)(changefeed *feed, int level, const char *text, size_t len,
                 void *user);
  /* Delay before the next attempt in ms. proposed_ms holds back-off, jitter
     and Retry-After; shorter answers than Retry-After and the request rate
     limit allow are lengthened to them. Negative: the feed fails with this
     error. */
  int64_t (*on_retry)(changefeed *feed, const changefeed_error *error,
                      unsigned attempt, int64_t proposed_ms, void *user);
  /* Before each request: renew credentials here by
     changefeed_set_authorization. Negative: the feed fails. */
  int (*on_request)(changefeed *feed, void *user);
  void *user; /* handed to each of them */
  /* The time set by changefeed_set_timer has come. */
  void (*on_timer)(changefeed *feed, void *user);
} changefeed_callbacks;
#define CHANGEFEED_CALLBACKS_INIT                                              \
  { sizeof(changefeed_callbacks), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Where a position is kept. load calls put at most once with the saved bytes
   and returns 0, or 0 without calling it when nothing is stored, or a negative
   value. save returns 0 when the bytes are safe. Both block the loop's thread
   while they run. key is the option checkpoint_key, or a text made of the
   feed's URL without credentials. */
typedef struct changefeed_store {
  size_t size;
  int (*load)(void *ctx, const char *key,
              int (*put)(void *sink, const char *data, size_t len), void *sink);
  int (*save)(void *ctx, const char *key, const char *data, size_t len);
  void (*close)(void *ctx); /* when the feed is freed; may be NULL */
  void *ctx;
} changefeed_store;
#define CHANGEFEED_STORE_INIT                                                  \
  { sizeof(changefeed_store), 0, 0, 0, 0 }

/* ---- options ------------------------------------------------------------ */

/* New options, all at their defaults. NOMEM, INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_options_new(changefeed_options **out);
/* Frees options; NULL is allowed. Secrets are overwritten first. [any] */
CHANGEFEED_EXTERN void changefeed_options_free(changefeed_options *options);

/* Sets an option from text: any option, a number in decimal, a switch as 0, 1,
   true, false, yes, no, on or off. '-' and '_' are the same in names. NULL
   puts the default back. A list option is replaced by the one value.
   OPTION (unknown name, malformed value), RANGE, NOMEM; a sentence about it is
   in changefeed_options_error. An object is not to be used by two threads at
   once. [any] */
CHANGEFEED_EXTERN int changefeed_options_set(changefeed_options *options,
                                             const char *name,
                                             const char *value);
/* The same for options that are numbers or switches. [any] */
CHANGEFEED_EXTERN int changefeed_options_set_int(changefeed_options *options,
                                                 const char *name,
                                                 int64_t value);
/* Adds a value to a list option (endpoint, header, query). LIMIT when it has
   64 values. [any] */
CHANGEFEED_EXTERN int changefeed_options_add(changefeed_options *options,
                                             const char *name,
                                             const char *value);
/* Copies the callbacks. INVALID when size is not one this library knows, or
   on_change and on_batch are both set. [any] */
CHANGEFEED_EXTERN int
changefeed_options_set_callbacks(changefeed_options *options,
                                 const changefeed_callbacks *callbacks);
/* The application's own store; used in place of the option checkpoint, which
   must then be none. load and save must be there. [any] */
CHANGEFEED_EXTERN int
changefeed_options_set_store(changefeed_options *options,
                             const changefeed_store *store);
/* A sentence about the last call with these options that failed
   (changefeed_open included), "" if none did. Borrowed until the next call with
   them. [any] */
CHANGEFEED_EXTERN const char *
changefeed_options_error(const changefeed_options *options);

/* New options with the values, callbacks and store of these, whose owner stays
   who it was: a store's close is called once for each feed that was opened with
   it. NOMEM, INVALID. [any] */
CHANGEFEED_EXTERN int
changefeed_options_copy(changefeed_options **out,
                        const changefeed_options *options);
/* 1: the option has another value than its default, 0: it has that. OPTION:
   there is none of this name; INVALID. [any] */
CHANGEFEED_EXTERN int
changefeed_options_is_set(const changefeed_options *options, const char *name);

enum changefeed_option_kind {
  CHANGEFEED_OPTION_STRING = 0,
  CHANGEFEED_OPTION_INT = 1,
  CHANGEFEED_OPTION_SWITCH = 2, /* 0 or 1 */
  CHANGEFEED_OPTION_ENUM = 3,   /* one of the words in values */
  CHANGEFEED_OPTION_LIST = 4,   /* repeatable string */
  CHANGEFEED_OPTION_JSON = 5    /* a JSON text of a given type */
};

/* One row of the option table; static. */
typedef struct changefeed_option_info {
  const char *name;
  int kind;         /* enum changefeed_option_kind */
  const char *unit; /* "ms", "bytes", "rows" or "" */
  int64_t min, max; /* INT */
  int zero;         /* INT: 1: 0 is allowed below min, see the summary */
  const char
      *values; /* ENUM: words separated by '|'; JSON: "array", "object" */
  const char *defaults; /* the default as text; "" = not set */
  int secret;           /* 1: never print its value */
  const char *summary;  /* one line */
} changefeed_option_info;

/* Walks the option table: index 0, 1, 2 ... until CHANGEFEED_END. [any] */
CHANGEFEED_EXTERN int changefeed_option_at(size_t index,
                                           const changefeed_option_info **info);

/* ---- the loop ----------------------------------------------------------- */

/* Memory functions of one loop and all that belongs to it. libcurl and its TLS
   library use their own. resize(NULL, n) allocates; release(NULL) is legal. */
typedef struct changefeed_allocator {
  size_t size;
  void *(*resize)(void *ctx, void *block, size_t size);
  void (*release)(void *ctx, void *block);
  void *ctx;
} changefeed_allocator;
#define CHANGEFEED_ALLOCATOR_INIT                                              \
  { sizeof(changefeed_allocator), 0, 0, 0 }

/* A loop for any number of feeds. allocator NULL: malloc. NOMEM, SYSTEM,
   INVALID. [any] */
CHANGEFEED_EXTERN int
changefeed_loop_new(changefeed_loop **out,
                    const changefeed_allocator *allocator);
/* Closes every feed in it, without callbacks, then frees the loop; NULL is
   allowed. [outside] */
CHANGEFEED_EXTERN void changefeed_loop_free(changefeed_loop *loop);
/* In a child of fork(): frees the loop and its feeds without a word to the
   peers, whose connections belong to the parent. Nothing else may be called
   there with these objects. [outside] */
CHANGEFEED_EXTERN void changefeed_loop_abandon(changefeed_loop *loop);

/* Runs until no feed is left that is not ended or failed, or
   changefeed_loop_stop was called. OK; REENTRANT, FORKED, SYSTEM, INVALID.
   [outside] */
CHANGEFEED_EXTERN int changefeed_loop_run(changefeed_loop *loop);
/* Waits for work for at most timeout_ms (-1: no limit, 0: does not wait), does
   it, and returns. TIMEOUT when there was none. Errors as loop_run. [outside]
 */
CHANGEFEED_EXTERN int changefeed_loop_run_once(changefeed_loop *loop,
                                               int timeout_ms);
/* At most so many requests of the loop's feeds are on their way at once:
   connecting, or waiting for the head of their answer; 128 when this is not
   called. Others wait for their turn, first come first served, and no timeout
   of theirs runs meanwhile. A quarter is kept for the short requests a feed
   makes beside its main one. A request counts for five seconds at most, so
   that a server that does not answer holds up no feed of another. INVALID (0),
   FORKED. [loop] */
CHANGEFEED_EXTERN int changefeed_loop_set_max_connecting(changefeed_loop *loop,
                                                         unsigned limit);
/* One descriptor for a foreign event loop: readable (level-triggered) when
   changefeed_loop_dispatch has work, timers included. It stays the same for
   the life of the loop, and is not to be read or closed. Negative:
   UNSUPPORTED without epoll, FORKED, INVALID. [loop] */
CHANGEFEED_EXTERN int changefeed_loop_fd(changefeed_loop *loop);
/* Does what is due without waiting: one bounded round, so that the foreign
   loop's other work goes on; the descriptor stays readable when more is to be
   done. Errors as loop_run. [outside] */
CHANGEFEED_EXTERN int changefeed_loop_dispatch(changefeed_loop *loop);
/* Makes loop_run return after the callback that is running. The feeds are left
   as they are. [signal] */
CHANGEFEED_EXTERN int changefeed_loop_stop(changefeed_loop *loop);
/* Makes run_once return. [signal] */
CHANGEFEED_EXTERN int changefeed_loop_wakeup(changefeed_loop *loop);

/* ---- a feed ------------------------------------------------------------- */

/* Opens a feed with a copy of the options; the first request is made when the
   loop runs. loop NULL: the feed has a loop of its own, driven by
   changefeed_next or through changefeed_get_loop, and freed with the feed.
   OPTION, RANGE (options that contradict each other: the sentence is in
   changefeed_options_error), STORE (the stored position cannot be read or
   belongs to another feed), UNSUPPORTED, NOMEM, SYSTEM, FORKED, INVALID.
   [loop] */
CHANGEFEED_EXTERN int changefeed_open(changefeed **out, changefeed_loop *loop,
                                      changefeed_options *options);
/* Closes sockets, saves the acknowledged position where that does not wait for
   the network, and frees the feed. No callback runs any more. Legal in the
   feed's own callbacks: it is freed when they have returned. NULL is allowed.
   [loop] */
CHANGEFEED_EXTERN void changefeed_close(changefeed *feed);

/* The next row of a feed without on_change and on_batch. Waits at most
   timeout_ms (-1: no limit), driving the loop and so the callbacks of its
   other feeds meanwhile. With auto_ack the row before it is acknowledged by
   this call.
   OK: *change is set. TIMEOUT. END: the feed has ended. The feed's error when
   it has failed, each time it is called. STATE when it has on_change or
   on_batch; REENTRANT, FORKED, INVALID. [outside] */
CHANGEFEED_EXTERN int changefeed_next(changefeed *feed, int timeout_ms,
                                      const changefeed_change **change);

/* Acknowledges every row up to this ordinal, inclusive. Ordinals acknowledged
   before are no mistake. INVALID: no row of this ordinal was delivered yet.
   [any] */
CHANGEFEED_EXTERN int changefeed_ack(changefeed *feed, uint64_t ordinal);
/* Acknowledges this row alone, for workers that finish out of order: the
   position moves when all rows before it are acknowledged too. Errors as
   changefeed_ack. [any] */
CHANGEFEED_EXTERN int changefeed_ack_one(changefeed *feed, uint64_t ordinal);

/* No row is delivered until changefeed_resume. What arrives is kept up to
   max_queue_bytes, then the connection is left unread. Pausing twice is one
   pause. Inside on_change no further row comes after this one. [any] */
CHANGEFEED_EXTERN int changefeed_pause(changefeed *feed);
CHANGEFEED_EXTERN int changefeed_resume(changefeed *feed); /* [any] */

/* Ends the feed: within 100 ms of the loop's running, the last callback
   (on_state ENDED) has returned and its sockets are closed. With
   checkpoint=couch and flush_on_stop=1 it takes as long as saving the position,
   at most flush_timeout_ms. [signal] */
CHANGEFEED_EXTERN int changefeed_stop(changefeed *feed);

/* Saves the acknowledged position now. TIMEOUT with checkpoint=couch: the save
   is under way, and stats.saves or stats.save_errors will tell. STORE when it
   could not be saved, STATE when the feed keeps none, or is over, NOMEM.
   [loop] */
CHANGEFEED_EXTERN int changefeed_checkpoint(changefeed *feed);

/* Calls on_timer once, delay_ms from now; a time set before and not come yet is
   forgotten. Negative: not at all. An ended or failed feed calls nothing.
   STATE: the feed has no on_timer; INVALID. [loop] */
CHANGEFEED_EXTERN int changefeed_set_timer(changefeed *feed, int64_t delay_ms);

/* The Authorization header of the requests from the next one on, e.g. "Bearer
   eyJ..."; NULL: none. Copied. NOMEM, INVALID (line breaks in it). [loop] */
CHANGEFEED_EXTERN int changefeed_set_authorization(changefeed *feed,
                                                   const char *value);

/* enum changefeed_state, or INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_get_state(const changefeed *feed);
/* Fills as much of stats as stats->size says. INVALID. [loop] */
CHANGEFEED_EXTERN int changefeed_get_stats(const changefeed *feed,
                                           changefeed_stats *stats);
/* Writes statistics of count feeds as Prometheus text (format 0.0.4), with
   names[i] as the label "feed" of stats[i]: any UTF-8. What is not known is
   left out. *len is the length without the '\0' at the end, also when it does
   not fit. LIMIT: size is too small, and text is empty (NULL and 0 are
   allowed); INVALID. [any] */
CHANGEFEED_EXTERN int
changefeed_stats_text(const changefeed_stats *const *stats,
                      const char *const *names, size_t count, char *text,
                      size_t size, size_t *len);
/* The last error, also of an attempt that is being repeated; code 0 when there
   was none. Borrowed until the loop runs again. [loop] */
CHANGEFEED_EXTERN const changefeed_error *
changefeed_last_error(const changefeed *feed);
/* The acknowledged position: what `since` of a later feed wants; absent while
   there is none. Borrowed until the loop runs again. [loop] */
CHANGEFEED_EXTERN changefeed_str changefeed_position(const changefeed *feed);
/* The URL being followed, without credentials. Borrowed while the feed lives.
   [loop] */
CHANGEFEED_EXTERN const char *changefeed_get_url(const changefeed *feed);
CHANGEFEED_EXTERN changefeed_loop *
changefeed_get_loop(const changefeed *feed); /* [loop] */
CHANGEFEED_EXTERN void *changefeed_get_user(const changefeed *feed); /* [any] */

#ifdef __cplusplus
}
#endif

#endif
