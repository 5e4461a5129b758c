/* Connections to servers behind, as http_proxy*.c use them: made, kept idle per
   address and key, written to without blocking, limited in time. A link belongs
   to one user at a time, or lies idle in its bucket. Internal.

   Everything happens on the loop's thread. No function here calls a user back
   before it returns. */
#ifndef PLATFORM_HTTP_POOL_STATE_H
#define PLATFORM_HTTP_POOL_STATE_H

#include "common/http_proxy.h"
#include "common/text.h"

#include <netinet/in.h>
#include <sys/un.h>

enum {
  HTTP_LINK_READ = 64 * 1024, /* at once */
  HTTP_LINK_HIGH = 64 * 1024, /* waiting bytes beyond which to pause */
  HTTP_LINK_BUFS = 4          /* pieces of one write */
};

typedef struct http_address {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
  } to;
} http_address;

typedef struct http_link http_link;
typedef struct http_bucket http_bucket;
typedef struct http_pass http_pass;

/* Each may close or keep the link; nothing of it is touched afterwards. */
typedef struct http_link_user {
  void (*on_open)(http_link *l, void *ctx); /* not for one that was kept */
  void (*on_data)(http_link *l, const char *data, size_t len, void *ctx);
  void (*on_end)(http_link *l, void *ctx); /* the other side's half-close */
  /* Connecting, reading or memory failed. Writing that fails is not told: what
     is written is thrown away from then on, and what the server had to say
     before is still read; the end of that is told. */
  void (*on_broken)(http_link *l, int error, void *ctx);
  void (*on_drain)(http_link *l, void *ctx); /* all that waited is written */
  void (*on_late)(http_link *l, void *ctx);
} http_link_user;

/* Doubly linked lists whose ends are NULL. */
typedef struct http_link_list {
  http_link *oldest, *newest;
} http_link_list;

typedef struct http_link_place {
  http_link *older, *newer;
} http_link_place;

struct http_bucket {
  http_bucket *next; /* of the same slot */
  http_pool *pool;
  http_address address;
  const char *name, *key; /* behind the struct */
  size_t refs;            /* links, and who holds it */
  size_t idle;
  http_link_list links; /* the idle ones */
};

struct http_link {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } io;
  uv_timer_t timer;
  uv_connect_t connect;
  uv_write_t write;
  uv_shutdown_t shutdown;
  http_bucket *bucket;
  const http_link_user *user; /* NULL: idle, or ending */
  void *ctx;
  text out, flying;         /* waiting; in the hands of uv_write */
  int64_t limit_ms;         /* absolute; 0: none */
  int64_t idle_ms;          /* without a byte either way; 0: any time */
  int64_t moved_ms;         /* when the last byte went either way */
  int64_t due_ms;           /* of the timer; 0: it does not run */
  int64_t kept_ms;          /* since when it is idle */
  http_link_place all, own; /* among idle ones of the pool, of the bucket */
  int failed;               /* to be told by the timer */
  unsigned char handles;    /* that are not closed yet */
  bool open, kept;          /* connected; was used before */
  bool deaf;                /* writing failed */
  bool reading, writing;
  bool drains;  /* on_drain is owed */
  bool ends;    /* a half-close is wanted ... */
  bool shut;    /* ... and begun */
  bool ended;   /* the other side has closed, or reading failed */
  bool leaving; /* nobody's any more, to be closed when it has written */
  bool closing;
};

struct http_pool {
  uv_loop_t *loop;
  http_pool_config config;
  http_bucket **slots;
  size_t slot_count, buckets, idle;
  http_link_list links; /* idle ones of all buckets */
  uv_timer_t timer;     /* for the oldest of them */
  bool timer_open, closing;
  void (*on_closed)(void *ctx);
  void *on_closed_ctx;
  http_pass *spare; /* see http_proxy_state.h */
  size_t spares;
  void (*free_spares)(http_pool *p); /* NULL: there are none */
  char id[40];                       /* of requests: random, then a number */
  uint64_t requests;
  http_pool_counts counts;
  char data[HTTP_LINK_READ]; /* what was just read, of any link */
};

/* "127.0.0.1:80", "[::1]:80", "unix:/path". */
bool http_address_parse(http_address *address, const char *name);

/* ---- pool ---- */

/* Holds the bucket; NULL with a static sentence. */
http_bucket *http_bucket_hold(http_pool *p, const http_proxy_target *target,
                              const char **why);
void http_bucket_drop(http_bucket *b);
/* An idle connection of which nothing has come, or NULL. */
http_link *http_pool_take(http_bucket *b);
void http_pool_unlist(http_link *l);
/* Frees the pool when it is closed and nothing is left. */
void http_pool_settle(http_pool *p);

/* ---- links ---- */

/* One that was kept, unless fresh, or a new one: on_open or on_broken follow.
   NULL with libuv's error. */
http_link *http_link_get(http_bucket *b, bool fresh, const http_link_user *user,
                         void *ctx, int *error);
/* Gives it back for others; closes it when it cannot be used again. */
void http_link_keep(http_link *l);
void http_link_close(http_link *l);
/* Makes it nobody's; false when it can be of no more use. For http_link_keep.
 */
bool http_link_rest(http_link *l);
/* Closes it when all that waits is written, or after ms. */
void http_link_finish(http_link *l, int64_t ms);
/* Takes a copy of what cannot be written at once. Returns what waits; beyond
   HTTP_LINK_HIGH, on_drain is called once it is 0. */
size_t http_link_write(http_link *l, const uv_buf_t *bufs, unsigned count);
size_t http_link_waiting(const http_link *l);
void http_link_end(http_link *l); /* half-close behind what waits */
void http_link_pause(http_link *l);
void http_link_resume(http_link *l);
/* on_late is called when one of both is over: so many milliseconds from now; so
   many without a byte. 0: none. */
void http_link_limits(http_link *l, int64_t limit_ms, int64_t idle_ms);
void http_link_touch(http_link *l); /* as if a byte had gone */

#endif
