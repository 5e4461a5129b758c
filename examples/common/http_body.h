/* The bytes behind a head: where a body ends, and what of it is data. Pure;
   takes any cut of the bytes. Chunk extensions are refused, and so are trailers
   that are not empty lines, bare LF, sizes over 16 hex digits, leading white
   space. */
#ifndef PLATFORM_HTTP_BODY_H
#define PLATFORM_HTTP_BODY_H

#include "common/http_head.h"

typedef struct http_body {
  enum http_framing framing;
  uint64_t left; /* of the length, or of the chunk */
  int state;
  int digits; /* of a chunk's size, so far */
  bool done;
} http_body;

void http_body_start(http_body *b, const http_head *head);
/* Takes from data what it can: *used bytes are consumed, of which the stretch
   data->data, data->len is body (maybe empty). false: *why is wrong with it.
   Call again with the rest until used is 0 or b->done. */
bool http_body_next(http_body *b, const char *bytes, size_t len, size_t *used,
                    http_str *data, const char **why);
/* The connection has ended: true when that is the body's end. */
bool http_body_ends(const http_body *b);

#endif
