/* An HTTP/1.1 server on a libuv loop: connections, keep-alive, limits, streams
   with back-pressure. All of it on the loop's thread. One request at a time of
   a connection is in somebody's hands, an http_exchange; pipelined ones wait.

   Whoever gets an exchange answers it, at once or later; it is his until it was
   answered in full (http_exchange_answer, _end, _abort). The client may go
   before, or the server may have to answer itself (408, 413, a body that is
   none): then on_gone is called, and the exchange is void as soon as that
   returns. No function here calls back before it returns; only
   http_server_close calls on_gone, and whatever ends an exchange on_done.

   SIGPIPE is ignored from the first server on, unless the program handles it.
 */
#ifndef PLATFORM_HTTP_SERVER_H
#define PLATFORM_HTTP_SERVER_H

#include "common/http_head.h"
#include <uv.h>

typedef struct http_server http_server;
typedef struct http_exchange http_exchange;

typedef struct http_server_config {
  const char *address;    /* "127.0.0.1:0", "[::1]:8080" or "unix:/path" */
  size_t max_head;        /* bytes; 0: 16 KiB; beyond: 431 */
  size_t max_connections; /* 0: 1000; beyond: 503 and closed */
  uint64_t max_body;      /* bytes; 0: 64 MiB; beyond: 413 */
  int64_t head_ms;        /* for all of a head; 0: 10 s; then 408 */
  int64_t idle_ms; /* between requests, and without a byte in a body; 0: 60 s */
  bool reuse_port;
  void (*on_request)(http_exchange *x, void *user);
  /* A request that the server refuses: its head, or later its body. Answers by
     itself (http_exchange_answer closes), or leaves it: then a plain text page
     is sent. Of one that on_request has had, on_gone was called before, and
     http_exchange_get still tells what was set. May be NULL. */
  void (*on_refused)(http_exchange *x, int status, const char *why, void *user);
  /* Once after each exchange, for logs and metrics; may be NULL. */
  void (*on_done)(http_exchange *x, void *user);
  void *user;
} http_server_config;

/* NULL with a sentence. */
http_server *http_server_open(uv_loop_t *loop, const http_server_config *config,
                              char *error, size_t error_size);
/* Where it listens: "127.0.0.1:43210". */
const char *http_server_address(const http_server *s);
size_t http_server_connections(const http_server *s);
/* Takes no new connection but those that wait already; closes idle ones when
   what is on its way to them has had 100 ms to arrive, and the others behind
   their answer or after ms, whichever is first; then calls done (may be NULL;
   not called if the server is closed before). The server is still to be closed.
 */
void http_server_drain(http_server *s, int64_t ms, void (*done)(void *ctx),
                       void *ctx);
/* Ends at once: each open exchange's on_gone is called. The memory goes when
   the loop has closed the handles; then done (may be NULL) is called. */
void http_server_close(http_server *s, void (*done)(void *ctx), void *ctx);

/* ---- what was asked ---- */

uv_loop_t *http_exchange_loop(const http_exchange *x);
const http_head *
http_exchange_head(const http_exchange *x); /* NULL: not understood */
const char *http_exchange_peer(const http_exchange *x); /* numeric, no port */
int64_t http_exchange_began_ms(const http_exchange *x); /* uv_now() */
int http_exchange_status(
    const http_exchange *x); /* answered with; 0: not yet */
uint64_t http_exchange_sent(const http_exchange *x); /* bytes of body */
/* The client has sent its end: it may be gone, or wait for the answer yet. */
bool http_exchange_has_ended(const http_exchange *x);
void http_exchange_set(http_exchange *x, void *ctx);
void *http_exchange_get(const http_exchange *x);
/* Nothing of an answer is on its way and nobody has asked for the body: it
   could be given to somebody else as if it had just come. */
bool http_exchange_is_untouched(const http_exchange *x);
/* Called once if the client goes, or the server closes, before the answer is
   whole; not after. */
void http_exchange_on_gone(http_exchange *x,
                           void (*on_gone)(http_exchange *x, void *ctx),
                           void *ctx);

/* The body, once: in pieces as they come (nothing is read beyond 64 KiB while
   paused) ... */
typedef struct http_sink {
  void (*on_data)(http_exchange *x, const char *data, size_t len, void *ctx);
  void (*on_end)(http_exchange *x, void *ctx);
} http_sink;
void http_exchange_read(http_exchange *x, const http_sink *sink, void *ctx);
void http_exchange_pause(http_exchange *x);
void http_exchange_resume(http_exchange *x);
/* ... or whole, at most max bytes: more is answered 413 and done not called.
   The data is gone when done returns. Nobody asks for the body: it is read and
   thrown away after the answer, or the connection closed if there is much of
   it. */
void http_exchange_read_all(http_exchange *x, size_t max,
                            void (*done)(http_exchange *x, const char *data,
                                         size_t len, void *ctx),
                            void *ctx);

/* ---- the answer ---- */

/* All at once. Content-Length, Date and Connection are added; a name among
   fields that is of one connection only is a mistake and left out. HEAD: no
   body is sent. The exchange is over for the caller. */
void http_exchange_answer(http_exchange *x, int status,
                          const http_field *fields, size_t count,
                          const void *body, size_t len);
/* In pieces: HTTP_LENGTH with its length, HTTP_CHUNKED (a client of HTTP/1.0
   gets HTTP_CLOSE) or HTTP_CLOSE. */
void http_exchange_begin(http_exchange *x, int status, const http_field *fields,
                         size_t count, enum http_framing framing,
                         uint64_t length);
/* Copies. Returns the bytes that wait for the client: beyond 64 KiB the caller
   should stop until on_drain. */
size_t http_exchange_write(http_exchange *x, const void *data, size_t len);
void http_exchange_on_drain(http_exchange *x,
                            void (*on_drain)(http_exchange *x, void *ctx),
                            void *ctx);
void http_exchange_end(http_exchange *x);
/* The answer cannot be finished: the connection is cut, so that the client sees
   that something lacks. Before anything was sent: closed without an answer. */
void http_exchange_abort(http_exchange *x);
/* A 1xx before the answer: 100, 103. */
void http_exchange_inform(http_exchange *x, int status);
/* 101 and from then on plain bytes both ways: what comes goes to sink, what is
   written goes out as it is; on_end is the client's half-close,
   http_exchange_end ours, and the connection is over after both or an abort. */
void http_exchange_upgrade(http_exchange *x, const http_field *fields,
                           size_t count, const http_sink *sink, void *ctx);

#endif
