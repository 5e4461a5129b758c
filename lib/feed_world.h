/*
 * What a feed needs done outside itself, and what it is told: requests, their
 * ends, and whose turn it is to ask. A loop does it over libcurl, a simulated
 * world without.
 */
#ifndef CFI_FEED_WORLD_H
#define CFI_FEED_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cfi_ask {
  CFI_ASK_LOGIN,      /* POST /_session */
  CFI_ASK_SERVER,     /* GET /: who is it */
  CFI_ASK_LOAD,       /* GET /db/_local/...: the stored position */
  CFI_ASK_DATABASE,   /* GET /db: is it the database we know */
  CFI_ASK_SESSION,    /* GET /_session: does the server know us still */
  CFI_ASK_MARKER,     /* GET /db/_local/...: is our marker in it */
  CFI_ASK_MARKER_PUT, /* PUT of it */
  CFI_ASK_SAVE,       /* PUT /db/_local/...: the position */
  CFI_ASK_HOME,       /* GET / of the endpoint we would rather follow */
  CFI_ASK_TICK,       /* GET /db/...: the document that proves the way */
  CFI_ASK_TICK_PUT,   /* PUT of it */
  CFI_ASK_CATCHUP,    /* what is past: feed=normal */
  CFI_ASK_LIVE        /* what comes */
} cfi_ask;

/* A request to be made. Strings are borrowed until start returns. */
typedef struct cfi_request {
  cfi_ask ask;
  bool side; /* beside another request */
  bool put;  /* PUT instead of POST */
  const char *url;
  const char *body; /* NULL: GET, else POST or PUT */
  size_t body_len;
  const char *content_type;
  const char *accept;
  const char *cookie;        /* value of a Cookie header, or NULL */
  const char *authorization; /* value of that header, or NULL */
  bool send_password;        /* Basic authentication by username, password */
  bool close_after;          /* the connection cannot be used again */
  bool streams; /* LIVE requests of this feed last, each in one response */
} cfi_request;

/* What the feed needs done: one main request at a time, and one beside it.
   None of these calls back into the feed. */
typedef struct cfi_world {
  /* CHANGEFEED_OK: notes will follow, cfi_feed_note_done last. Else nothing
     follows, and error is filled. */
  int (*start)(void *ctx, const cfi_request *request, cfi_error *error);
  /* Ends the request: no note follows. */
  void (*cancel)(void *ctx, bool side);
  /* cfi_feed_receive answered "not now" for the main request before: there is
     room again. */
  void (*unblock)(void *ctx);
  void *ctx;
} cfi_world;

/* How a request ended, as the transport saw it. */
typedef struct cfi_outcome {
  int code;   /* CHANGEFEED_OK: the response is whole; or ERR_NETWORK, ERR_TLS,
                 ERR_NOMEM, ERR_PROTOCOL */
  bool fatal; /* a certificate or host name was refused */
  int curl_code, sys_errno;
  const char *text; /* what the transport says; no credentials */
} cfi_outcome;

typedef struct cfi_head {
  int status;
  const char *retry_after; /* header values, NULL: not there */
  const char *cookie;      /* "AuthSession=..." of Set-Cookie */
  int64_t cookie_age_ms;   /* Max-Age; -1 = not said */
  const char *location;    /* shown form */
} cfi_head;

/* Whose turn it is to ask: a request beside another goes before a feed that
   goes on after an answer, and before one that begins, or begins again. */
enum { CFI_TURN_SIDE, CFI_TURN_NEXT, CFI_TURN_FIRST, CFI_TURN_KINDS };

#endif
