/* What the files of the scripted peer share: the peer, a connection, a text
   buffer. Tests include peer.h and peer_mini.h only. */
#ifndef CFT_PEER_INT_H
#define CFT_PEER_INT_H

#include "peer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { CFT_KIND_BITS = 11, CFT_LOG_MAX = 100000, CFT_CONN_MAX = 10000 };

struct cft_conn {
  cft_peer *peer;
  cft_conn *prev, *next; /* in peer->active or peer->done, under peer->mu */
  pthread_t thread;
  size_t number;
  int fd;      /* -1 once closed; closed by its own thread, under peer->mu */
  int wake_fd; /* -1 unless wakeable; written under peer->mu */
  atomic_bool dropped;   /* told to end from outside */
  enum cft_then drop_by; /* CFT_RST: close without FIN; under peer->mu */

  char *in; /* received and not yet consumed */
  size_t in_len, in_cap;
  cft_request *unlogged; /* a request that the full log did not take */

  cft_shape shape;
  size_t shape_sent;
  bool was_cut;
};

struct cft_peer {
  pthread_mutex_t mu;
  pthread_cond_t changed;
  cft_handler handler;
  void *user;
  void (*free_user)(void *user);

  union {
    struct sockaddr any;
    struct sockaddr_storage storage;
    struct sockaddr_un un;
  } addr;
  socklen_t addr_len;
  char url[64];
  char prefix[64];
  uint16_t port;
  int hold_fd; /* bound and never listening: keeps the port ours */
  int listen_fd, stop_fd;
  pthread_t acceptor;
  bool up, stopping;

  cft_conn *active, *done; /* done: ended, thread to be joined */
  size_t accepted, open, open_max, malformed;
  cft_request **log;
  size_t logged, log_cap;
  size_t counts[1 << CFT_KIND_BITS]; /* by exact kind */
};

/* peer_ports.c: opens and binds, reserving the port when it was 0. */
void cft_peer_bind(cft_peer *peer, const char *where);
int cft_peer_listener(cft_peer *peer);

/* peer_conn.c: with peer->mu held, and not. */
void cft_conn_close_locked(cft_conn *conn);
void cft_conn_free(cft_conn *conn);
/* From the socket itself: > 0, 0 at EOF, -1 when it is gone. */
ssize_t cft_conn_recv(cft_conn *conn, void *data, size_t size);

/* peer_request.c */
void cft_request_free(cft_request *req);
unsigned cft_kind_of(const char *target, const char *prefix);
bool cft_query_value(const char *query, const char *name, char *value,
                     size_t size);

/* ---- a growing text, peer_text.c ---- */

typedef struct cft_text {
  char *data; /* NUL-terminated once anything was added */
  size_t len, cap;
} cft_text;

void cft_text_add(cft_text *text, const char *data, size_t len);
void cft_text_adds(cft_text *text, const char *s);
void cft_text_addf(cft_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cft_text_vaddf(cft_text *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* As a JSON string, quotes included. */
void cft_text_json(cft_text *text, const char *s);
void cft_text_free(cft_text *text);

/* peer_conn.c: the head of a response without framing headers and without its
   empty line. */
void cft_head_text(cft_text *text, int status, const char *headers);

#endif
