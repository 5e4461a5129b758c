/* A small CouchDB on a scripted peer: one database whose rows the test puts,
   its _changes feed in all modes, _db_updates, _session, Basic and bearer
   authentication, _local documents, and faults on any request. It writes what
   CouchDB 3.5 writes, in the same chunks. Not a database: no revisions tree, no
   documents over HTTP, one shard.

   All calls may come from any thread, while feeds are open. */
#ifndef CFT_PEER_MINI_H
#define CFT_PEER_MINI_H

#include "peer.h"
#include "wire.h"

typedef struct cft_mini cft_mini;

/* `where` as for cft_peer_start; the database is "db" and exists. */
cft_mini *cft_mini_start(const char *where);
void cft_mini_free(cft_mini *mini);

cft_peer *cft_mini_peer(cft_mini *mini);  /* counts, requests, stop, restart */
const char *cft_mini_url(cft_mini *mini); /* of the database, with the prefix */

/* Called before each request is served, in the thread of its connection. Set it
   before the first request. */
void cft_mini_on_request(cft_mini *mini,
                         void (*hook)(void *user, const cft_request *req),
                         void *user);

/* ---- rows ---- */

/* A document changed: a new seq, and the row it had before is gone. Wakes the
   open feeds. The seq is number 1, 2, 3 ..., which is returned. */
size_t cft_mini_put(cft_mini *mini, const char *id, const char *rev,
                    bool deleted);

/* The same with members of the document for include_docs and selectors:
   "\"n\":1,\"text\":\"x\"", without braces, _id and _rev; NULL: none. */
size_t cft_mini_put_doc(cft_mini *mini, const char *id, const char *rev,
                        bool deleted, const char *members);

/* Documents PREFIX000000, PREFIX000001 ... with rev "1-..."; one wake. */
void cft_mini_fill(cft_mini *mini, const char *prefix, size_t count);

/* What a follower must end up with. Free with cft_revs_free. */
cft_revs *cft_mini_revs(cft_mini *mini);
size_t cft_mini_update_seq(cft_mini *mini); /* number of the last seq */

/* The seq of that number as the feed shows it, in its JSON text. */
void cft_mini_seq(cft_mini *mini, size_t number, char *text, size_t size);

/* An event of _db_updates: type "created", "updated", "deleted". */
void cft_mini_db_event(cft_mini *mini, const char *db, const char *type);

/* ---- settings ---- */

enum cft_seqs {
  CFT_SEQ_OPAQUE, /* "12-g1AAAA..." */
  CFT_SEQ_LIAR,   /* the same, but the number in front repeats and goes back */
  CFT_SEQ_ODD,    /* a string with + / = & % # quotes, blank, non-ASCII */
  CFT_SEQ_NUMBER, /* 12, as CouchDB 1 */
  CFT_SEQ_ARRAY   /* [12,"g1AAAA..."], as BigCouch */
};

enum cft_pending {
  CFT_PENDING_EXACT,
  CFT_PENDING_ABSENT,
  CFT_PENDING_NULL,
  CFT_PENDING_NEGATIVE
};

typedef struct cft_mini_config {
  char db[64];         /* name, not percent-encoded: "a/b" */
  char prefix[64];     /* URL path in front of all: "/couch" */
  char version[16];    /* of GET / */
  char uuid[64];       /* of GET /; "" leaves it out */
  char start_time[64]; /* JSON text of instance_start_time; "" leaves it out */
  enum cft_seqs seqs;
  enum cft_pending pending;

  char user[64], password[64]; /* user "": the database is public */
  char bearer[64];             /* a token that is accepted, too */
  int64_t session_ms;          /* life of a cookie */
  bool expired_is_anonymous;   /* an expired cookie is served, not refused */

  bool locals_overwrite; /* no _local document ever conflicts: CouchDB from 2
                            on; else as CouchDB 1 and PouchDB */

  int64_t timeout_max_ms;   /* cap of timeout= and of heartbeat= (60000) */
  size_t buffer;            /* rows gather up to this size of a chunk (1490) */
  bool late_headers;        /* head only with the first row or heartbeat */
  bool crlf;                /* heartbeats are "\r\n" */
  size_t proxy_buffer;      /* a proxy holds a live feed's bytes back until it
                               has this many: rows, heartbeats and all */
  bool close_each_response; /* Connection: close after each response */
} cft_mini_config;

/* Settings apply to requests that begin later. db and prefix: set them before
   the first request. */
cft_mini_config cft_mini_get_config(cft_mini *mini);
void cft_mini_set_config(cft_mini *mini, const cft_mini_config *config);

/* ---- events on the server ---- */

/* The database is deleted: open continuous feeds end with last_seq as in
   health, the others end, later requests are 404. */
void cft_mini_delete_db(cft_mini *mini);

/* It is there again, empty, with other seqs and another start time. */
void cft_mini_create_db(cft_mini *mini);

/* All open live feeds end as in health, at once: maintenance mode, shard move.
 */
void cft_mini_end_feeds(cft_mini *mini);

/* A hung server: while frozen nothing is sent on any connection; new ones are
   accepted and their requests read. */
void cft_mini_freeze(cft_mini *mini, bool frozen);

/* Sends bytes into every live feed that is open now: as a chunk (a garbage
   line, an error object, a row that was not put), or outside of the chunks (a
   second response). */
void cft_mini_inject(cft_mini *mini, const void *data, size_t len);
void cft_mini_inject_raw(cft_mini *mini, const void *data, size_t len);

/* Live feeds that have sent all there was and wait for a change. */
size_t cft_mini_waiting(cft_mini *mini);
bool cft_mini_wait_waiting(cft_mini *mini, size_t n, int64_t timeout_ms);

/* All session cookies given out so far are expired. */
void cft_mini_expire_sessions(cft_mini *mini);

/* The JSON text of db/_local/ID, or NULL; free it. */
char *cft_mini_local(cft_mini *mini, const char *id);

/* ---- faults ---- */

enum cft_cut {
  CFT_CUT_NONE,
  CFT_CUT_RESPONSE, /* cut_at counts from the first byte of the status line */
  CFT_CUT_BODY      /* cut_at counts from the first byte after the head, framing
                       included */
};

/* In order: wait delay_ms; then the response, which is the server's own or the
   one given here; sliced; cut at a byte; `then` comes where it was cut, or
   after its end. All zero but `on` is: no fault. */
typedef struct cft_fault {
  unsigned on;       /* kinds of request, or CFT_CONNECT alone */
  const char *match; /* and this text in the head; NULL: any */
  size_t skip;       /* requests of these kinds that pass first */
  size_t times;      /* requests it strikes; 0: all further ones */

  int64_t delay_ms; /* before the first byte: late headers */

  int status;          /* answer with this status ... */
  const char *headers; /* ... "Retry-After: 5\r\n" or NULL */
  const char *body;    /* ... and this body, NULL: {"error":...} */
  const char *raw;     /* or answer with exactly these bytes */
  size_t raw_len;      /* 0: strlen(raw) */
  bool empty;          /* a feed ends at once without a row */
  size_t rewind;       /* a feed begins this many seqs before its since;
                          SIZE_MAX: at 0 */

  size_t slice; /* bytes a send() */
  enum cft_cut cut;
  size_t cut_at;
  enum cft_then then;
} cft_fault;

/* A connection just accepted, nothing read: only delay_ms and then count. */
enum { CFT_CONNECT = 1 << 11 };

/* Adds a fault; texts are copied. A request suffers the first fault, in the
   order in which they were added, that is for it and not used up. Returns a
   number for cft_mini_fault_hits. */
size_t cft_mini_fault(cft_mini *mini, const cft_fault *fault);

/* Requests that the fault has struck, and how often it came to cut. */
size_t cft_mini_fault_hits(cft_mini *mini, size_t fault);
size_t cft_mini_fault_cuts(cft_mini *mini, size_t fault);

/* Removes all faults; what they hold silent stays so (see cft_peer_drop). */
void cft_mini_heal(cft_mini *mini);

/* Shorthands. */
#define CFT_FAULT_STATUS(kinds, code)                                          \
  (&(cft_fault){.on = (kinds), .status = (code)})
#define CFT_FAULT_BEFORE(kinds, what)                                          \
  (&(cft_fault){.on = (kinds), .cut = CFT_CUT_RESPONSE, .then = (what)})
#define CFT_FAULT_CUT(kinds, at, what)                                         \
  (&(cft_fault){                                                               \
      .on = (kinds), .cut = CFT_CUT_BODY, .cut_at = (at), .then = (what)})

#endif
