/* A scripted TCP peer for network tests: it listens on loopback, serves each
   connection in a thread of its own and does to it exactly what the test asks
   for (send these bytes, wait, slice, stall, reset, close). It knows HTTP
   requests well enough to read, classify and record them. peer_mini.h builds a
   small CouchDB with faults on top of it.

   Handlers run in the peer's threads: they must not use ck_assert. Let them
   record, and let the test assert. Every call on a cft_conn belongs to the
   thread of its handler; calls on a cft_peer may come from any thread. */
#ifndef CFT_PEER_H
#define CFT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cft_peer cft_peer;
typedef struct cft_conn cft_conn;

/* ---- requests ---- */

/* What a request is for: one bit each, and CFT_UPDATES beside the feed's bit
   when it goes to _db_updates. A filter is any set of them. */
enum {
  CFT_ROOT = 1 << 0,   /* / */
  CFT_DB = 1 << 1,     /* /db */
  CFT_NORMAL = 1 << 2, /* _changes, _db_updates by their feed= */
  CFT_LONGPOLL = 1 << 3,
  CFT_CONTINUOUS = 1 << 4,
  CFT_EVENTSOURCE = 1 << 5,
  CFT_SESSION = 1 << 6, /* /_session, to log in or out */
  CFT_LOCAL = 1 << 7,   /* /db/_local/... */
  CFT_OTHER = 1 << 8,
  CFT_UPDATES = 1 << 9,
  CFT_LIVE = CFT_LONGPOLL | CFT_CONTINUOUS | CFT_EVENTSOURCE,
  CFT_FEED = CFT_NORMAL | CFT_LIVE,
  CFT_WHO = 1 << 10, /* GET /_session */
  CFT_ANY = (1 << 11) - 1
};

typedef struct cft_request {
  int64_t at_ms; /* cft_now_ms() when the head was complete */
  size_t conn;   /* number of its connection: 1, 2, 3 ... as accepted */
  unsigned kind;
  const char *line;   /* "GET /db HTTP/1.1" */
  const char *method; /* "GET" */
  const char *target; /* "/db?x=y" as sent */
  const char *head;   /* all of the head as sent, its empty line too */
  size_t head_len;
  const char *body; /* NUL-terminated beyond body_len */
  size_t body_len;
} cft_request;

/* The value of a header (name case-insensitive); false when there is none or
   it does not fit. */
bool cft_request_header(const cft_request *req, const char *name, char *value,
                        size_t size);

/* The value of a query parameter, percent-decoded; likewise. */
bool cft_request_param(const cft_request *req, const char *name, char *value,
                       size_t size);

/* Decodes %XX in place, and '+' if `plus`; false at a bad escape. */
bool cft_percent_decode(char *text, bool plus);

/* ---- the peer ---- */

typedef void (*cft_handler)(cft_conn *conn, void *user);

/* Listens on a port of the system's choice. `where`: NULL or "127.0.0.1",
   "::1", or "unix:/path". The handler runs once for each connection; when it
   returns, the connection is closed with FIN. Ends the program with a message
   when it cannot listen. */
cft_peer *cft_peer_start(const char *where, cft_handler handler, void *user);

/* The same, but reserves the port only: connects are refused until
   cft_peer_restart. */
cft_peer *cft_peer_reserve(const char *where, cft_handler handler, void *user);

/* Stops listening, ends all connections (FIN; RST where data was unread) and
   waits for their threads. The port stays reserved, so that connects are
   refused and nobody else gets it. Records stay readable. */
void cft_peer_stop(cft_peer *peer);

/* Listens again on the same port. */
void cft_peer_restart(cft_peer *peer);

/* Stops and frees; requests are gone then. NULL is fine. */
void cft_peer_free(cft_peer *peer);

uint16_t cft_peer_port(const cft_peer *peer); /* 0 for a unix socket */

/* "http://127.0.0.1:PORT" without a slash at its end; "http://localhost" for a
   unix socket. */
const char *cft_peer_url(const cft_peer *peer);

/* The URL path under which requests are classified, "" by default ("/couch").
   Set it before the first connection. */
void cft_peer_set_prefix(cft_peer *peer, const char *prefix);

/* ---- what the peer has seen ---- */

size_t cft_peer_accepted(const cft_peer *peer); /* connections ever */
size_t cft_peer_open(const cft_peer *peer);     /* connections open now */
size_t cft_peer_open_max(const cft_peer *peer); /* the most at any time */

/* Requests of these kinds since the start or the last cft_peer_forget. */
size_t cft_peer_count(const cft_peer *peer, unsigned kinds);

/* The i-th request (from 0) of these kinds, NULL beyond. Valid until
   cft_peer_forget or cft_peer_free. The first 100000 are kept. */
const cft_request *cft_peer_request(const cft_peer *peer, unsigned kinds,
                                    size_t i);

/* Heads or bodies that could not be read as HTTP/1.1 requests. */
size_t cft_peer_malformed(const cft_peer *peer);

/* Drops the recorded requests and their counts. Only while no handler holds a
   request, as after cft_peer_stop. */
void cft_peer_forget(cft_peer *peer);

/* Wait by condition variable; true when it came to pass in time. */
bool cft_peer_wait_requests(cft_peer *peer, unsigned kinds, size_t n,
                            int64_t timeout_ms);
bool cft_peer_wait_accepted(cft_peer *peer, size_t n, int64_t timeout_ms);
bool cft_peer_wait_open(cft_peer *peer, size_t n, int64_t timeout_ms);

/* ---- a connection, for handlers ----
   Those that return bool return false once the connection is gone: closed by
   either side, reset, cut by its shape, or the peer is stopping. A handler
   then just returns. */

/* What happens to a connection when a response is over or was cut. */
enum cft_then {
  CFT_KEEP = 0,  /* wait for the next request */
  CFT_CLOSE,     /* FIN */
  CFT_RST,       /* RST, after all bytes sent were taken by the other kernel */
  CFT_SILENCE,   /* keep it open, read and drop what comes, send nothing */
  CFT_BLACKHOLE, /* keep it open, neither read nor send */
  CFT_HALF_CLOSE /* FIN, but keep reading until the other side closes */
};

/* Reads and records a request: head and Content-Length body. *req is valid
   until the next read on this connection. False at EOF or at what is no HTTP.
 */
bool cft_conn_read_request(cft_conn *conn, const cft_request **req);

/* Reads up to `size` raw bytes; *got 0 at EOF. */
bool cft_conn_read(cft_conn *conn, void *data, size_t size, size_t *got);

bool cft_conn_send(cft_conn *conn, const void *data, size_t len);

/* One send() for each slice, with TCP_NODELAY: each is a segment of its own,
   although a slow reader may find several in its buffer. */
bool cft_conn_send_sliced(cft_conn *conn, const void *data, size_t len,
                          size_t slice);

bool cft_conn_sendf(cft_conn *conn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One chunk of a chunked body; nothing when len is 0. And the last one. */
bool cft_conn_chunk(cft_conn *conn, const void *data, size_t len);
bool cft_conn_last_chunk(cft_conn *conn);

/* A whole response with Content-Length, JSON unless `headers` ("Name: value"
   lines, each ended by \r\n; or NULL) names a Content-Type. */
bool cft_conn_respond(cft_conn *conn, int status, const char *headers,
                      const char *body);

/* The head of a chunked JSON response. */
bool cft_conn_chunked_head(cft_conn *conn, int status, const char *headers);

/* True after ms, false as soon as the connection is gone. */
bool cft_conn_wait_ms(cft_conn *conn, int64_t ms);

/* Waits until cft_conn_wake, until_ms (of cft_now_ms; -1: no limit), or the
   end of the connection. */
enum cft_wait { CFT_WAIT_GONE, CFT_WAIT_TIME, CFT_WAIT_WOKEN };
enum cft_wait cft_conn_wait(cft_conn *conn, int64_t until_ms);

/* Makes the connections wakeable (before the first look at what one waits
   for), and wakes every wakeable connection of the peer; from any thread. */
void cft_conn_wakeable(cft_conn *conn);
void cft_peer_wake(cft_peer *peer);

void cft_conn_end(cft_conn *conn);       /* FIN; reading goes on */
void cft_conn_stall(cft_conn *conn);     /* CFT_SILENCE until it is gone */
void cft_conn_blackhole(cft_conn *conn); /* CFT_BLACKHOLE until it is gone */
void cft_conn_rst(cft_conn *conn);
void cft_conn_close(cft_conn *conn);
bool cft_conn_then(cft_conn *conn, enum cft_then then); /* true for CFT_KEEP */

size_t cft_conn_number(const cft_conn *conn); /* 1, 2, 3 ... */
cft_peer *cft_conn_peer(const cft_conn *conn);

/* Shapes all that is sent from here on. */
typedef struct cft_shape {
  size_t slice;               /* bytes a send(), 0: as given */
  bool cut;                   /* end after cut_at more bytes ... */
  size_t cut_at;              /* ... counted from the call */
  enum cft_then then;         /* ... by this; CFT_KEEP is taken as CFT_CLOSE */
  void (*on_cut)(void *user); /* called before `then`, may be NULL */
  void *user;
} cft_shape;
void cft_conn_shape(cft_conn *conn, const cft_shape *shape); /* NULL: none */

/* True when the shape has cut the connection. */
bool cft_conn_was_cut(const cft_conn *conn);

/* Ends all open connections at once, from any thread: CFT_CLOSE or CFT_RST. */
void cft_peer_drop(cft_peer *peer, enum cft_then then);

/* ---- steps: the declarative layer ---- */

enum { CFT_FOREVER = -1 };

typedef struct cft_step {
  const char *match; /* part of the request line; NULL: any request */
  const char *send;  /* bytes of the response; NULL: none */
  size_t len;        /* 0: strlen(send) */
  enum cft_then then;
  size_t slice;     /* bytes a send(), 0: all at once */
  int64_t delay_ms; /* before the first byte */
  int times;        /* requests it serves; 0 is 1, CFT_FOREVER */
} cft_step;

/* Each request takes the first step, in the order of the list, that matches
   and is not used up, whatever connection it comes by. A request that finds
   none closes its connection and is counted by cft_peer_unmatched. The array is
   copied, what it points to must outlive the peer. */
cft_peer *cft_peer_script(const char *where, const cft_step *steps,
                          size_t count);
size_t cft_peer_unmatched(const cft_peer *peer);
/* Requests served by the i-th step. */
size_t cft_peer_step_used(const cft_peer *peer, size_t i);

/* ---- ports on which nothing answers ---- */

/* A loopback port that refuses connections and stays ours: the fd to close, or
   -1. */
int cft_port_refusing(uint16_t *port);

/* A loopback port whose backlog is full: a connect to it neither succeeds nor
   fails. Close both fds. False when it cannot be had. */
bool cft_port_hanging(uint16_t *port, int fds[2]);

#endif
