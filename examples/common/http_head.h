/* The head of a request or a response of HTTP/1.1: taken apart strictly,
   without I/O and without a copy, and written again from what was understood.
   What two readers could understand differently is refused; so nothing that was
   received is ever passed on as it was. */
#ifndef PLATFORM_HTTP_HEAD_H
#define PLATFORM_HTTP_HEAD_H

#include "common/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HTTP_FIELDS = 100, HTTP_HEAD_MOST = 16 * 1024 };

typedef struct http_str {
  const char *data;
  size_t len;
} http_str;

typedef struct http_field {
  http_str name, value; /* value without white space around it */
} http_field;

enum http_framing {
  HTTP_NONE,    /* no body */
  HTTP_LENGTH,  /* Content-Length */
  HTTP_CHUNKED, /* Transfer-Encoding: chunked, and nothing else */
  HTTP_CLOSE    /* a response that ends with the connection */
};

typedef struct http_head {
  bool response;
  int minor;       /* of HTTP/1.x: 0 or 1 */
  http_str method; /* of a request */
  http_str target; /* as sent; absolute form is reduced to its path, when its
                      authority is that of Host */
  http_str host;   /* of Host, without a port; case as sent */
  http_str host_field; /* with the port */
  int status;          /* of a response */
  http_str reason;
  http_field fields[HTTP_FIELDS];
  size_t count;
  enum http_framing framing;
  uint64_t length;
  bool keep_alive;   /* the connection may be used again */
  bool expects;      /* Expect: 100-continue */
  bool names_fields; /* Connection lists more than close and the like */
  http_str upgrade;  /* "websocket", when Connection names Upgrade; or empty */
} http_head;

enum {
  HTTP_HEAD_MORE = 0,
  HTTP_HEAD_DONE = 1
}; /* else: a status to refuse
      with, 400 to 505 */

/* Reads a head from the beginning of data. HTTP_HEAD_DONE: *used bytes were it,
   and head points into data. A refusal is a status and a sentence in *why,
   which is static. most: bytes that a head may have; resumed: what an earlier
   call with fewer bytes left in *scanned, 0 at first (so that slow heads cost
   no square). */
int http_head_request(http_head *head, const char *data, size_t len,
                      size_t most, size_t *scanned, size_t *used,
                      const char **why);
/* to: the method of the request that is answered, for HEAD and CONNECT. */
int http_head_response(http_head *head, const char *data, size_t len,
                       size_t most, size_t *scanned, http_str to, size_t *used,
                       const char **why);

/* The first field of that name, or NULL; case is ignored. */
const http_field *http_head_find(const http_head *head, const char *name);
/* Case is ignored by the first two, and counts for the third. The words stand
   in the source, so that their length, compared here, decides most of it. */
bool http_str_equal(http_str a, http_str b);
static inline bool http_str_is(http_str s, const char *word) {
  return s.len == strlen(word) && http_str_equal(s, (http_str){word, s.len});
}
static inline bool http_str_same(http_str s, const char *word) {
  return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}
/* Whether a comma separated list in any field of that name holds the word. */
bool http_head_lists(const http_head *head, const char *name, const char *word);
/* Connection and what it names, Close, Keep-Alive, Proxy-*, TE, Trailer,
   Transfer-Encoding, Upgrade, Content-Length: of one connection only. head may
   be NULL. Host is not one even when Connection names it. */
bool http_head_is_hop(const http_head *head, const http_field *field);

/* Writing. A value with a control byte is refused: false, nothing is added. */
bool http_put_request(text *out, http_str method, http_str target);
bool http_put_status(text *out, int status, http_str reason);
bool http_put_field(text *out, const char *name, http_str value);
bool http_put_field_text(text *out, const char *name, const char *value);
bool http_put_copy(text *out, const http_field *field); /* as it was received */
void http_put_framing(text *out, enum http_framing framing, uint64_t length);
void http_put_end(text *out);
const char *http_reason(int status);

#endif
