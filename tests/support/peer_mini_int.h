/* What the files of the mini couch share. Everything in cft_mini is guarded by
   its mu, which is taken before a peer's mu and never after it. */
#ifndef CFT_PEER_MINI_INT_H
#define CFT_PEER_MINI_INT_H

#include "peer_int.h"
#include "peer_mini.h"

#include <jansson.h>

/* ---- rows in order of seq: peer_mini_log.c ---- */

typedef struct cft_entry {
  char *id;      /* or the database's name */
  char *rev;     /* or the type */
  char *members; /* of the document, or NULL */
  bool deleted;
  bool current; /* no later row has the same id */
} cft_entry;

typedef struct cft_log {
  cft_entry *rows; /* seq number - 1 */
  size_t count, cap, current;
  size_t *slots; /* hash by id: seq numbers, 0 is free */
  size_t slot_count;
  unsigned tag; /* of this history; part of each opaque seq */
} cft_log;

size_t cft_log_put(cft_log *log, const char *id, const char *rev, bool deleted,
                   const char *members);
void cft_log_clear(cft_log *log);

/* The seq as JSON text. */
void cft_seq_text(const cft_log *log, enum cft_seqs seqs, size_t number,
                  cft_text *out);

/* Reads a `since`. False when it is malformed. A seq of another history is
   position 0, as on the real server. */
bool cft_seq_parse(const cft_log *log, enum cft_seqs seqs, const char *since,
                   size_t *number);

/* ---- the server ---- */

typedef struct cft_injection {
  char *data;
  size_t len;
  bool raw;
} cft_injection;

typedef struct cft_struck { /* a fault and what it has done */
  cft_fault fault;          /* its texts are owned */
  size_t seen, hits, cuts;
  bool healed;
} cft_struck;

typedef struct cft_local_doc {
  char *id;
  json_t *body;
  unsigned rev;
} cft_local_doc;

struct cft_mini {
  pthread_mutex_t mu;
  pthread_cond_t idle; /* `waiting` has changed */
  cft_peer *peer;
  void (*hook)(void *user, const cft_request *req);
  void *hook_user;
  char url[256];
  cft_mini_config config;

  bool exists;
  cft_log changes, updates;
  unsigned end_count; /* times that all live feeds were told to end */
  bool frozen;
  cft_injection *injections;
  size_t injection_count, injection_cap;
  size_t waiting;
  unsigned wait_epoch; /* a change makes all feeds not waiting */
  unsigned session_epoch;

  cft_struck **faults;
  size_t fault_count, fault_cap;
  cft_local_doc *locals;
  size_t local_count, local_cap;
};

/* A request and what is needed to answer it. */
typedef struct cft_exchange {
  cft_mini *mini;
  cft_conn *conn;
  const cft_request *req;
  cft_mini_config config; /* as it was when the request began */
  cft_struck *struck;     /* the fault it suffers, or NULL */
} cft_exchange;

static inline const cft_fault *cft_fault_of(const cft_exchange *x) {
  return x->struck ? &x->struck->fault : NULL;
}

/* peer_mini_serve.c: sends head and more of a response, shaped as the fault
   says; head_len bytes of the text are the head. */
bool cft_mini_begin(cft_exchange *x, const char *text, size_t len,
                    size_t head_len);
bool cft_mini_reply(cft_exchange *x, int status, const char *headers,
                    const char *body);
/* {"error":..,"reason":..} */
bool cft_mini_refuse(cft_exchange *x, int status, const char *error,
                     const char *reason);
/* Waits while the server is frozen; false when the connection is gone. */
bool cft_mini_gate(cft_exchange *x);

/* peer_mini_fault.c */
/* head NULL: a connection just accepted. */
cft_struck *cft_mini_strike(cft_mini *mini, unsigned kind, const char *head);
void cft_mini_faults_free(cft_mini *mini);

/* peer_mini_auth.c: true when the request may go on; else it was refused and
 *ok is what sending that said. */
bool cft_mini_admit(cft_exchange *x, bool *ok);
bool cft_mini_session(cft_exchange *x);

/* peer_mini_local.c */
bool cft_mini_serve_local(cft_exchange *x, const char *id);
void cft_mini_locals_clear(cft_mini *mini);
void cft_mini_locals_free(cft_mini *mini);

/* peer_mini_feed.c */
bool cft_mini_feed(cft_exchange *x);

/* peer_mini_filter.c: which rows a feed shows */
typedef struct cft_filter {
  enum { CFT_ALL, CFT_DOC_IDS, CFT_SELECTOR, CFT_ID_PREFIX } kind;
  json_t *json;
  char prefix[128];
} cft_filter;

/* From the request; NULL, or the reason why it is a 400. */
const char *cft_filter_read(const cft_request *req, cft_filter *filter);
bool cft_filter_match(const cft_filter *filter, const cft_entry *row);
void cft_filter_clear(cft_filter *filter);

/* The document of a row as JSON text. */
void cft_doc_text(const cft_entry *row, cft_text *out);

/* peer_mini_serve.c: the handler of each connection; user is the mini. */
void cft_mini_handler(cft_conn *conn, void *user);

#endif
