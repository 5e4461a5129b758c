/* What the files of http_server share: the server, its connections, and the one
   exchange that a connection has at a time.

   Nothing of the caller's is called from within a function that the caller has
   called: what follows from it is done by conn_work, when the loop comes by
   (conn_mark), and there only. */
#ifndef PLATFORM_HTTP_SERVER_STATE_H
#define PLATFORM_HTTP_SERVER_STATE_H

#include "common/http_body.h"
#include "common/http_server.h"
#include <netinet/in.h>

enum {
  SERVER_SCRATCH = 64 * 1024,  /* read at once */
  SERVER_HIGH = 64 * 1024,     /* that waits, in or out, before we stop */
  SERVER_DIRECT = 16 * 1024,   /* written without being copied first */
  SERVER_DISCARD = 256 * 1024, /* of a body that nobody asked for */
  SERVER_LINGER_MS = 2000,
  SERVER_GRACE_MS = 100,  /* of idle connections, when it drains */
  SERVER_EXTRA = 64,      /* connections beyond the limit that get their 503 */
  SERVER_HEADS = 64,      /* heads kept for the next requests */
  SERVER_KEEP = 16 * 1024 /* a larger buffer is not kept over a request */
};

typedef struct http_conn http_conn;

enum answer { ANSWER_NONE, ANSWER_BEGUN, ANSWER_ENDED };
enum asked { ASKED_NOT, ASKED_PIECES, ASKED_WHOLE };

struct http_exchange {
  http_conn *conn;
  http_head *head;
  bool open; /* in the caller's hands */
  bool refused;
  void *ctx;
  void (*on_gone)(http_exchange *x, void *ctx);
  void *gone_ctx;
  void (*on_drain)(http_exchange *x, void *ctx);
  void *drain_ctx;
  int64_t began_ms;
  /* the request's body */
  http_body body;
  uint64_t body_bytes;
  enum asked asked;
  bool paused, told; /* told: that the body is over */
  bool continued;    /* 100 was sent, or need not be */
  http_sink sink;
  void *sink_ctx;
  void (*on_whole)(http_exchange *x, const char *data, size_t len, void *ctx);
  text whole;
  size_t whole_most;
  /* the answer */
  enum answer answer;
  enum http_framing framing;
  bool bodiless; /* HEAD, 204, 304 */
  uint64_t left; /* of an answer with a length */
  uint64_t sent;
  int status;
  bool full;  /* on_drain is owed */
  bool ended; /* our side of a tunnel */
};

enum conn_state {
  CONN_HEAD, /* between requests, or within a head */
  CONN_BUSY, /* an exchange */
  CONN_TUNNEL,
  CONN_LINGER, /* the last bytes go out, what comes is thrown away */
  CONN_CLOSED
};

struct http_conn {
  http_server *server;
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } h;
  uv_timer_t timer;
  int handles;                      /* that are not closed yet */
  http_conn *next, *prev;           /* of all */
  http_conn *idle_next, *idle_prev; /* of those between requests */
  http_conn *marked_next;
  bool is_idle, marked, working, feeding;
  enum conn_state state;
  bool tcp, reading, eof, broken, keep, shut;
  text head; /* the bytes of the head; pinned while an exchange lasts */
  size_t scanned;
  text rest; /* came, and nobody could take it yet; from rest_at on */
  size_t rest_at;
  text out, flying;
  bool writing;
  uv_write_t write;
  uv_shutdown_t shutdown;
  int64_t since_ms; /* of the state */
  int64_t read_ms, moved_ms;
  size_t moved_left; /* conn_unsent at moved_ms */
  int64_t due_ms;    /* of the timer; 0: not running */
  http_exchange x;
  char peer[INET6_ADDRSTRLEN];
};

struct http_server {
  http_server_config config;
  uv_loop_t *loop;
  char address[128];
  char path[108]; /* of a unix socket that is to be removed */
  int fd;
  uv_poll_t poll;
  uv_timer_t pause; /* out of descriptors: later */
  uv_timer_t drain;
  uv_prepare_t prepare;
  int handles;
  bool listening, draining, drained, closing;
  int64_t drain_ms; /* what is left of it behind the grace */
  void (*on_drained)(void *ctx);
  void *drained_ctx;
  void (*on_closed)(void *ctx);
  void *closed_ctx;
  http_conn *conns, *idle_first, *idle_last, *marked_first, *marked_last;
  size_t count;
  http_head *heads[SERVER_HEADS];
  size_t head_count;
  int64_t date_s;
  char date[96]; /* of which 29 are used */
  char scratch[SERVER_SCRATCH];
};

/* http_server.c */
void server_handle_closed(http_server *s);
void server_conn_gone(http_server *s);
const char *server_date(http_server *s);
http_head *server_head_take(http_server *s);
void server_head_give(http_server *s, http_head *head);

/* http_server_listen.c; 0 or a sentence in error */
bool server_listen(http_server *s, char *error, size_t error_size);
void server_unlisten(http_server *s);
/* Those that the kernel has let in: they would be reset. */
void server_accept_waiting(http_server *s);

/* http_server_conn.c */
http_conn *conn_new(http_server *s, int fd, bool tcp, const char *peer);
void conn_enter(http_conn *c, enum conn_state state);
void conn_mark(http_conn *c);
void conn_work(http_conn *c, const char *data, size_t len);
void conn_linger(http_conn *c);
void conn_close(http_conn *c);
/* The one that waits longest for its next request is closed. */
bool conn_evict(http_server *s);
void conn_reset(http_conn *c);
void conn_gone(http_conn *c); /* with its exchange's on_gone */

/* http_server_time.c */
void conn_deadline(http_conn *c);
void conn_timer(uv_timer_t *timer);

/* http_server_input.c */
size_t conn_feed(http_conn *c, const char *data, size_t len);
void conn_refuse(http_conn *c, int status, const char *why);
void conn_ended(http_conn *c); /* the client's end, and all read before it */

/* http_server_output.c */
size_t conn_waiting(const http_conn *c);
size_t conn_unsent(const http_conn *c); /* and what the kernel holds */
void conn_put(http_conn *c, const uv_buf_t *bufs, unsigned count);
void conn_flush(http_conn *c);
void conn_drained(http_conn *c);

/* http_server_exchange.c */
void exchange_begin(http_exchange *x, http_head *head);
void exchange_done(http_exchange *x);  /* it leaves the caller's hands */
void exchange_taken(http_exchange *x); /* the same, and he is told: on_gone */
/* He is told, and the server will answer in his place. */
void exchange_takeover(http_exchange *x);
void exchange_clear(http_exchange *x);

#endif
