/*
 * CouchDB's HTTP API over the simulated cluster: a request in, an answer out,
 * or a feed that the caller pumps. No sockets; the framing of bodies that are
 * chunked is done here, as CouchDB's pieces are part of what a client sees.
 */
#ifndef COUCHSIM_API_H
#define COUCHSIM_API_H

#include "feed.h"

enum { COUCH_PATH_PARTS = 6 };

typedef struct couch_pair {
  char *name, *value;
} couch_pair;

typedef struct couch_request {
  char *method, *target;
  couch_pair *params, *headers;
  size_t param_count, param_cap, header_count, header_cap;
  char *part[COUCH_PATH_PARTS]; /* of the path, decoded */
  unsigned parts;               /* more than there is room for: one above */
  bool bad_escape;              /* in path or query */
  bool old_http;                /* 1.0: no chunks */
  couch_buf body;
  unsigned node;
} couch_request;

typedef struct couch_reply {
  int status;        /* 0: no byte, the connection is closed */
  couch_buf headers; /* lines, each with its line break */
  couch_buf body;
  bool framed;      /* the body is in chunks already */
  bool plain;       /* of the HTTP server, not of CouchDB */
  bool close;       /* the connection */
  int64_t delay_ms; /* before the first byte */
  couch_feed *feed; /* writes the body; the caller frees it */
} couch_reply;

/* Reads path and query of target. */
void couch_request_split(couch_request *r);
void couch_request_free(couch_request *r);
void couch_reply_free(couch_reply *r);
const char *couch_header(const couch_request *r,
                         const char *name);                        /* or NULL */
const char *couch_param(const couch_request *r, const char *name); /* or NULL */
bool couch_flag(const couch_request *r, const char *name); /* is it "true" */

/* What it is for rules and counters: root, changes, doc_put, ... */
const char *couch_request_kind(const couch_request *r);

/* plan may change who asks, and how a feed goes. */
void couch_handle(couch_world *w, const couch_request *r, couch_plan *plan,
                  couch_reply *out);

/* The whole head, with its empty line. */
void couch_head(couch_world *w, const couch_request *r, couch_reply *reply,
                bool no_body, couch_buf *out);

/* ---- between the files of the API ---- */

typedef struct couch_who {
  const char *name; /* NULL: nobody */
  bool admin;
  const char *how; /* "cookie", "default"; NULL: nobody */
} couch_who;

/* False: refused, the answer is written. */
bool couch_authenticate(couch_world *w, const couch_request *r,
                        const couch_plan *plan, couch_who *who,
                        couch_reply *out);
bool couch_may_read(const couch_world *w, const couch_db *db,
                    const couch_who *who, couch_reply *out);
bool couch_must_be_admin(const couch_who *who, couch_reply *out);
void couch_api_session(couch_world *w, const couch_request *r,
                       const couch_who *who, couch_reply *out);

void couch_json_reply(couch_reply *out, int status, const char *json);
void couch_error(couch_reply *out, int status, const char *error,
                 const char *reason);
void couch_header_add(couch_reply *out, const char *name, const char *value);
/* With CouchDB's "ref" and stack hash. */
void couch_crash(couch_reply *out, const char *error, const char *reason,
                 const char *ref);
void couch_only(const couch_request *r, couch_reply *out, const char *allowed);
bool couch_is(const couch_request *r, const char *method);
bool couch_wants_json(const couch_request *r, couch_reply *out);
/* The body as JSON; NULL: refused, the answer is written. An empty one is an
   empty object. */
const couch_json *couch_body_json(const couch_request *r, couch_pool *pool,
                                  couch_reply *out);
/* False: some range cannot be read here, the answer is written. */
bool couch_readable(const couch_world *w, const couch_db *db, unsigned node,
                    bool lasting, couch_reply *out);
void couch_unreachable(couch_reply *out);

typedef struct couch_call { /* what every handler below a database gets */
  couch_world *w;
  couch_db *db;
  const couch_request *r;
  const couch_who *who;
  couch_plan *plan;
  couch_reply *out;
} couch_call;

void couch_api_database(couch_world *w, const couch_request *r,
                        const couch_who *who, couch_plan *plan,
                        couch_reply *out);
void couch_api_document(const couch_call *c, const char *id);
void couch_api_local(const couch_call *c, const char *id);
void couch_api_post(const couch_call *c);
void couch_api_bulk(const couch_call *c);
void couch_api_bulk_get(const couch_call *c);
void couch_api_revs_diff(const couch_call *c);
void couch_api_all_docs(const couch_call *c);
void couch_api_changes(const couch_call *c);
void couch_api_updates(couch_world *w, const couch_request *r, couch_plan *plan,
                       couch_reply *out);

/* NULL: fine; else the error's name, with its reason in *reason. */
const char *couch_id_error(const char *id, const char **reason);
const char *couch_document_error(const couch_json *document,
                                 const char **reason, couch_buf *room);

#endif
