/*
 * A local copy of a database that is kept in step: state instead of events.
 *
 * A mirror follows a database by a feed of its own and holds, for each document
 * that is there, its id and winning revision, and if asked for its text, or a
 * value the application makes of it. It reads the list of documents first and
 * the changes from before that list on, so that nothing falls in between.
 *
 *   changefeed_mirror  a mirror; lives in a loop like a feed
 *   changefeed_view    one version of its contents, which does not change;
 *                      taken and read by any thread
 *
 * What it promises
 *   - After a change has come, the mirror is what the database is: a function
 *     of the database's state, not of the way there. Rows that come again, or
 *     out of order, or for a revision that is older than the one held, change
 *     nothing before the server was asked for that document again.
 *   - When the server serves another history, or a list has to be read anew,
 *     readers see the old contents until the new ones are whole, and then the
 *     new ones, in one step.
 *   - The digest of two mirrors that hold the same documents in the same
 *     revisions is the same, whatever machine they run on;
 * docs/mirror-digest.md says how others can compute it.
 *
 * The rules of changefeed.h hold here too, the marks [loop] and [any] included.
 * Callbacks run in the thread that drives the loop.
 */
#ifndef CHANGEFEED_MIRROR_H
#define CHANGEFEED_MIRROR_H

#include "changefeed/changefeed.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct changefeed_mirror changefeed_mirror;
typedef struct changefeed_view changefeed_view;

/* ---- what is held ------------------------------------------------------- */

/* One document. Filled for the caller, and borrowed as the function that fills
   it says. Not to be copied: rev may point into room. */
typedef struct changefeed_entry {
  changefeed_str id;  /* data[len] == '\0' */
  changefeed_str rev; /* of the winner; data[len] == '\0' */
  changefeed_str doc; /* JSON text as received; absent unless documents are
                         kept, or while on_put runs and the feed sends them */
  void *value;        /* made by on_put; NULL without */
  char room[56];      /* private */
} changefeed_entry;

/* The sum of a set of (id, revision): a number of 128 bits, its highest byte
   first. All zero: the empty set. */
typedef struct changefeed_digest {
  unsigned char bytes[16];
} changefeed_digest;

enum { CHANGEFEED_DIGEST_TEXT = 33 };
/* 32 hexadecimal digits and '\0'; answers out. [any] */
CHANGEFEED_EXTERN const char *
changefeed_digest_text(const changefeed_digest *digest,
                       char out[CHANGEFEED_DIGEST_TEXT]);
/* Adds one document to the digest, for contents that come from elsewhere: from
   a backup, or another program's list. INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_digest_add(changefeed_digest *digest,
                                            const char *id, size_t id_len,
                                            const char *rev, size_t rev_len);
/* CouchDB's order of revisions, by which it chooses a winner among leaves that
   are not deleted: negative, 0 or positive as a is lower than b, the same, or
   higher. [any] */
CHANGEFEED_EXTERN int changefeed_rev_compare(const char *a, size_t a_len,
                                             const char *b, size_t b_len);

/* ---- callbacks ---------------------------------------------------------- */

/* How an audit ended, borrowed until on_audit returns. */
typedef struct changefeed_audit {
  int code;           /* OK: the list was read to its end and all doubts were
                         cleared; TIMEOUT: some documents changed each time they
                         were looked at, see unsettled; END: the mirror ended, or
                         started anew, before it was over; LIMIT: more differed
                         than an audit remembers: run another one */
  int quiet;          /* 1: no change was made to the database meanwhile */
  uint64_t documents; /* listed by the server */
  uint64_t missing;   /* were there, and not in the mirror */
  uint64_t extra;     /* were in the mirror, and not there */
  uint64_t stale;     /* were held in another revision */
  uint64_t repaired;  /* of these, put right */
  uint64_t unsettled; /* differed, and went on changing while looked at */
  uint64_t requests;  /* rounds of questions about single documents */
  int64_t took_ms;
} changefeed_audit;

/* A difference an audit has found, borrowed until on_difference returns. An
   absent revision: the document is not there. */
typedef struct changefeed_difference {
  changefeed_str id;
  changefeed_str held;   /* the mirror's revision */
  changefeed_str served; /* the server's */
} changefeed_difference;

typedef struct changefeed_mirror_callbacks {
  size_t size;
  /* A document is new, or has another revision. entry->value is what the mirror
     holds of it (NULL: nothing); what *value is set to is held from now on.
     CONTINUE or STOP; any other answer makes the mirror fail. The document is
     held already, and for other threads when what is made of it is, too. */
  int (*on_put)(changefeed_mirror *mirror, const changefeed_entry *entry,
                void **value, void *user);
  /* A document is gone: deleted, or not in the history that is served now.
     Once for each that was put and is gone. */
  void (*on_gone)(changefeed_mirror *mirror, const changefeed_entry *entry,
                  void *user);
  /* Nobody can see this value any more. */
  void (*free_value)(void *value, void *user);
  /* The contents are those of the database: the first time, and again after
     the server has served another history. */
  void (*on_synced)(changefeed_mirror *mirror, void *user);
  /* For longer than stale_ms nothing has proven that the mirror is in step;
     ms: for how long. Once, until it is proven again. */
  void (*on_stale)(changefeed_mirror *mirror, int64_t ms, void *user);
  /* It is in step again after on_stale. */
  void (*on_fresh)(changefeed_mirror *mirror, void *user);
  /* An audit found this; it is put right after the call. */
  void (*on_difference)(changefeed_mirror *mirror,
                        const changefeed_difference *difference, void *user);
  void (*on_audit)(changefeed_mirror *mirror, const changefeed_audit *audit,
                   void *user);
  /* The mirror is over: stopped (error NULL), or failed. Nothing is called
     after it but free_value; its contents can be read until it is closed. */
  void (*on_over)(changefeed_mirror *mirror, const changefeed_error *error,
                  void *user);
  void *user;
} changefeed_mirror_callbacks;

/* ---- opening ------------------------------------------------------------ */

enum changefeed_keep {
  CHANGEFEED_KEEP_REVS = 0,  /* ids and revisions */
  CHANGEFEED_KEEP_DOCS = 1,  /* the documents' texts, too */
  CHANGEFEED_KEEP_VALUES = 2 /* what on_put makes of each */
};

enum changefeed_start {
  CHANGEFEED_START_AUTO = 0,   /* CHANGES with a filter, else LIST */
  CHANGEFEED_START_LIST = 1,   /* the list of documents, then changes */
  CHANGEFEED_START_CHANGES = 2 /* all changes: slower where much was deleted;
                                  exact also on a cluster whose nodes lag */
};

/* Strings are copied. */
typedef struct changefeed_mirror_config {
  size_t size;
  int keep;              /* enum changefeed_keep */
  int start;             /* enum changefeed_start */
  const char *from, *to; /* only ids from <= id < to, by their bytes; NULL: no
                            bound */
  const char *prefix;    /* only ids that begin so; instead of from and to */
  const char *snapshot;  /* file to start from and to save to; NULL: none */
  int64_t snapshot_ms;   /* how often it is saved when something has changed;
                            0: only when the mirror stops or is closed */
  int64_t audit_ms;      /* how often an audit is run; 0: only when asked */
  int64_t stale_ms;      /* see on_stale; 0: never */
  changefeed_mirror_callbacks callbacks;
  /* For the mirror's feed: on_state, on_notice, on_reset, on_log, on_retry,
     on_request and user as there; the others must be NULL. NULL: none. */
  const changefeed_callbacks *feed_callbacks;
} changefeed_mirror_config;

/* Everything at its default: revisions, no bounds, no snapshot, no audit. */
#define CHANGEFEED_MIRROR_CONFIG_INIT                                          \
  {                                                                            \
    sizeof(changefeed_mirror_config), 0, 0, 0, 0, 0, 0, 60000, 0, 0,           \
        {sizeof(changefeed_mirror_callbacks), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0 \
  }

/* Opens a mirror of options' database with a copy of both. Of the options, all
   that concerns the way to the server holds, and the choice of rows (filter,
   doc_ids, selector, view); what the mirror decides itself (mode, since,
   checkpoint, checkpoint_key, auto_ack, on_reset, source, startkey, endkey,
   inclusive_end, style, limit, descending, include_docs unless values are kept;
   callbacks and a store) must be left alone. A snapshot that is there is loaded
   before this returns and can be read at once. The loop must outlive the
   mirror, and its memory functions are called in its thread only. OPTION,
   RANGE, INVALID: the sentence is in changefeed_options_error. STORE: the
   snapshot cannot be read, is damaged, or belongs to another mirror; it is left
   as it is. NOMEM, SYSTEM, FORKED, UNSUPPORTED (_db_updates; a snapshot of
   values, which cannot be saved). [loop] */
CHANGEFEED_EXTERN int
changefeed_mirror_open(changefeed_mirror **out, changefeed_loop *loop,
                       changefeed_options *options,
                       const changefeed_mirror_config *config);
/* Saves the snapshot, if there is one and the mirror was in step, and frees
   all. No callback runs but free_value. Every view must have been released.
   Legal in the mirror's own callbacks: it is freed when they have returned.
   NULL is allowed. [loop] */
CHANGEFEED_EXTERN void changefeed_mirror_close(changefeed_mirror *mirror);
/* Ends it: on_over is the last callback. [signal] */
CHANGEFEED_EXTERN int changefeed_mirror_stop(changefeed_mirror *mirror);

/* ---- the contents ------------------------------------------------------- */

/* The mirror holds what the database held when it was last heard. 0 before
   on_synced, and from the begin of another history to its on_synced. [any] */
CHANGEFEED_EXTERN int changefeed_mirror_is_synced(const changefeed_mirror *m);
/* The entry of an id, all changes that came so far included. OK, END: it is not
   there; INVALID. Borrowed until the loop runs again. [loop] */
CHANGEFEED_EXTERN int changefeed_mirror_get(const changefeed_mirror *mirror,
                                            const char *id, size_t id_len,
                                            changefeed_entry *entry);

/* The version of this moment: whole batches of changes, never a part of one,
   and of another history all or nothing. Give it back soon: what changes
   meanwhile is held twice. Never NULL for a mirror that is. [any] */
CHANGEFEED_EXTERN const changefeed_view *
changefeed_mirror_view(changefeed_mirror *mirror);
/* [any] */
CHANGEFEED_EXTERN void changefeed_view_release(const changefeed_view *view);

/* As changefeed_mirror_get; borrowed until the view is released. [any] */
CHANGEFEED_EXTERN int changefeed_view_get(const changefeed_view *view,
                                          const char *id, size_t id_len,
                                          changefeed_entry *entry);
CHANGEFEED_EXTERN uint64_t
changefeed_view_count(const changefeed_view *view); /* [any] */
/* Of the ids from <= id < to; NULL: no bound. count may be NULL. Takes time by
   the logarithm of the size, so that two mirrors find what differs in as few
   rounds. INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_view_digest(const changefeed_view *view,
                                             const char *from, const char *to,
                                             changefeed_digest *digest,
                                             uint64_t *count);
/* Calls each for every document of the range in the order of the ids' bytes,
   until it answers other than 0, which is returned. INVALID. [any] */
CHANGEFEED_EXTERN int changefeed_view_each(
    const changefeed_view *view, const char *from, const char *to,
    int (*each)(void *ctx, const changefeed_entry *entry), void *ctx);
/* Calls differs for each id that is in one only or has another revision, in
   order; what is the same is passed over. An entry is NULL where it is not
   there. Until differs answers other than 0, which is returned. INVALID. [any]
 */
CHANGEFEED_EXTERN int
changefeed_view_compare(const changefeed_view *a, const changefeed_view *b,
                        int (*differs)(void *ctx, const changefeed_entry *a,
                                       const changefeed_entry *b),
                        void *ctx);

/* ---- watching and proving ----------------------------------------------- */

/* Starts an audit: the server's list is compared with the mirror page by page,
   what differs is asked for again until it is certain, told by on_difference
   and put right; on_audit tells the end. STATE: one is running, or the mirror
   is not in step or over; UNSUPPORTED: with a filter the server does not list;
   NOMEM, INVALID. [loop] */
CHANGEFEED_EXTERN int changefeed_mirror_audit(changefeed_mirror *mirror);

/* Saves the contents now; path NULL: to the config's snapshot. STATE: the
   mirror is not in step, or there is no path; STORE: it could not be written;
   NOMEM, INVALID. [loop] */
CHANGEFEED_EXTERN int changefeed_mirror_save(changefeed_mirror *mirror,
                                             const char *path);

/* Set size (CHANGEFEED_MIRROR_STATS_INIT); as much as fits is filled. */
typedef struct changefeed_mirror_stats {
  size_t size;
  uint64_t documents;   /* held now */
  uint64_t bytes;       /* of memory the table takes, values aside */
  uint64_t puts, gones; /* told by on_put and on_gone */
  uint64_t repeats;     /* rows that told nothing new */
  uint64_t older;       /* rows older than what was held: asked again */
  uint64_t asked;       /* documents asked for again */
  uint64_t syncs, resets;
  uint64_t audits, repairs; /* repairs must stay 0 */
  uint64_t saves, save_errors;
  int64_t fresh_ms; /* since it was last proven to be in step; -1: never. With
                       the option tick by that document, else by any byte of a
                       live feed, which proves less */
  int64_t save_age_ms; /* -1: never */
} changefeed_mirror_stats;
#define CHANGEFEED_MIRROR_STATS_INIT                                           \
  {                                                                            \
    sizeof(changefeed_mirror_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
        0                                                                      \
  }
/* INVALID. [loop] */
CHANGEFEED_EXTERN int
changefeed_mirror_get_stats(changefeed_mirror *mirror,
                            changefeed_mirror_stats *stats);
/* What ended or troubles it; code 0: nothing. Borrowed until the loop runs
   again. [loop] */
CHANGEFEED_EXTERN const changefeed_error *
changefeed_mirror_last_error(const changefeed_mirror *mirror);
/* The feed that follows, for its stats and state; not to be closed, stopped or
   acknowledged. NULL when the mirror is over. [loop] */
CHANGEFEED_EXTERN changefeed *
changefeed_mirror_get_feed(const changefeed_mirror *mirror);
CHANGEFEED_EXTERN void *
changefeed_mirror_get_user(const changefeed_mirror *mirror); /* [any] */

/* ---- snapshots as files ------------------------------------------------- */

/* A snapshot that was read from its file, without a server, a loop or a lock:
   another process may go on saving to it. */
typedef struct changefeed_snapshot changefeed_snapshot;

/* Set size (CHANGEFEED_SNAPSHOT_INFO_INIT); as much as fits is filled. Borrowed
   until the snapshot is closed. */
typedef struct changefeed_snapshot_info {
  size_t size;
  const char *what;      /* what it is of, for people: "revisions of db" */
  const char *from, *to; /* its range: from <= id < to; NULL: no bound */
  const char *position;  /* up to which change; NULL: not known */
  int64_t saved_ms;      /* wall clock, since 1970 */
} changefeed_snapshot_info;
#define CHANGEFEED_SNAPSHOT_INFO_INIT                                          \
  { sizeof(changefeed_snapshot_info), 0, 0, 0, 0, 0 }

/* Reads ids and revisions, documents not. STORE: there is none, it cannot be
   read, or is damaged, newer, or another program's; *out is set then, too, for
   changefeed_snapshot_error, and to be closed. NOMEM, INVALID: *out is NULL.
   [any] */
CHANGEFEED_EXTERN int changefeed_snapshot_open(changefeed_snapshot **out,
                                               const char *path);
/* Every view must have been released. NULL is allowed. [any] */
CHANGEFEED_EXTERN void changefeed_snapshot_close(changefeed_snapshot *snapshot);
/* A sentence about why it could not be opened, "" if it could. Borrowed until
   it is closed. [any] */
CHANGEFEED_EXTERN const char *
changefeed_snapshot_error(const changefeed_snapshot *snapshot);
/* Its contents, to be released as that of a mirror; empty when it could not be
   opened. [any] */
CHANGEFEED_EXTERN const changefeed_view *
changefeed_snapshot_view(changefeed_snapshot *snapshot);
/* STATE: it could not be opened; INVALID. [any] */
CHANGEFEED_EXTERN int
changefeed_snapshot_get_info(const changefeed_snapshot *snapshot,
                             changefeed_snapshot_info *info);

#ifdef __cplusplus
}
#endif

#endif
