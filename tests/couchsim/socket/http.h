/*
 * HTTP/1.1 requests out of bytes as they come: head, Content-Length or chunked
 * body, with limits. As lenient as CouchDB's server: bare line feeds and a
 * missing Host are fine.
 */
#ifndef COUCHSIM_HTTP_H
#define COUCHSIM_HTTP_H

#include "api.h"

enum {
  COUCH_HEAD_MAX = 16384,
  COUCH_LINE_MAX = 8190,
  COUCH_BODY_MAX = 64 << 20
};

typedef enum couch_reading {
  COUCH_READ_MORE,     /* it is not whole */
  COUCH_READ_CONTINUE, /* the client wants to be told "100 Continue" */
  COUCH_READ_DONE,
  COUCH_READ_BAD, /* 400, of the server */
  COUCH_READ_TOO_LARGE,
  COUCH_READ_GARBAGE /* not even a request: the connection is closed */
} couch_reading;

typedef struct couch_reader {
  bool has_head, chunked, told, keep_alive;
  size_t at;   /* taken from the buffer so far */
  size_t left; /* of the body or of a chunk */
  unsigned chunk_state;
} couch_reader;

/* Takes bytes from *in into *r; what is taken is dropped when it is done. */
couch_reading couch_read_request(couch_reader *reader, couch_buf *in,
                                 couch_request *r);

#endif
