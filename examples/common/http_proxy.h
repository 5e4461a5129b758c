/* Passes an exchange on to a server behind, and its answer back, as it comes:
   bodies of any framing, Expect, websockets, half-close, back-pressure both
   ways at 64 KiB. Connections behind are kept and used again, per address and
   key, by an http_pool of one loop. */
#ifndef PLATFORM_HTTP_PROXY_H
#define PLATFORM_HTTP_PROXY_H

#include "common/http_server.h"

typedef struct http_pool http_pool;

typedef struct http_pool_config {
  size_t max_idle;     /* connections of one address and key; 0: 32 */
  size_t max_idle_all; /* 0: 1024 */
  int64_t idle_ms;     /* 0: 30 s */
} http_pool_config;

/* SIGPIPE is ignored from then on, unless the program has a handler for it. */
http_pool *http_pool_new(uv_loop_t *loop, const http_pool_config *config);
/* Idle ones are closed, and nothing is kept any more; done (may be NULL) when
   all are gone: exchanges that go on are let finish. */
void http_pool_close(http_pool *p, void (*done)(void *ctx), void *ctx);
/* Drops idle connections of that address and key ("" : of every key). */
void http_pool_forget(http_pool *p, const char *address, const char *key);

/* How often a connection was made, or one that was kept was used. */
typedef struct http_pool_counts {
  uint64_t connects, reused;
} http_pool_counts;
http_pool_counts http_pool_get_counts(const http_pool *p);

/* What happened; a visitor's page and the metrics hang on it. */
enum http_proxy_result {
  HTTP_PROXY_OK,
  HTTP_PROXY_REFUSED,     /* connection refused, or no such socket */
  HTTP_PROXY_UNREACHABLE, /* time-out of connect, no route */
  HTTP_PROXY_BROKEN,      /* cut or nonsense before the answer's head */
  HTTP_PROXY_LATE,        /* no head of an answer in time */
  HTTP_PROXY_REJECTED,    /* on_head said no */
  HTTP_PROXY_CUT,         /* broken within the answer: the client was cut */
  HTTP_PROXY_CLIENT       /* the client went, or its body was wrong */
};

typedef struct http_proxy_target {
  const char *address; /* "127.0.0.1:80", "[::1]:80", "unix:/path"; numeric */
  const char *key;     /* connections are not shared between keys */
} http_proxy_target;

enum { HTTP_PROXY_SET = 32 };

typedef struct http_proxy_rules {
  const http_field *request; /* set on what goes there; the client's fields of
                                these names are dropped, "_" is "-" in them */
  size_t request_count;
  const http_field *response; /* set on the answer, the server's dropped; a
                                 value without data: only dropped */
  size_t response_count;      /* at most HTTP_PROXY_SET */
  const char *drop_prefix; /* the client's fields that begin so are dropped, and
                              the server's in its answer; NULL: none */
  bool forwarded;     /* adds X-Forwarded-For, -Proto, -Host, Via and, where
                         the client has none, X-Request-Id */
  const char *via;    /* our name in Via */
  int64_t connect_ms; /* 0: 2 s */
  int64_t head_ms;    /* 0: 30 s */
  int64_t idle_ms;    /* without a byte either way; 0: 60 s */
  int64_t tunnel_ms;  /* the same for websockets; 0: 1 h */
  /* The answer's head has come, nothing was sent to the client: a result other
     than HTTP_PROXY_OK drops it. Where it is set, the 1xx before an answer,
     which nobody has looked at, are not passed on. May be NULL. */
  enum http_proxy_result (*on_head)(http_exchange *x, const http_head *head,
                                    void *user);
  /* Nothing was sent to the client: has to answer x, or give it to http_proxy
     again, where http_exchange_is_untouched. Required. May be called before
     http_proxy returns. */
  void (*on_failed)(http_exchange *x, enum http_proxy_result result,
                    const char *why, void *user);
  /* Once at the end of each http_proxy, whatever it was; x is still there, and
     on_failed comes behind it. May be NULL. */
  void (*on_done)(http_exchange *x, enum http_proxy_result result, void *user);
  void *user;
} http_proxy_rules;

/* Takes x over. Everything in target and rules is copied, but not what user
   points to. A request is tried again once on a fresh connection, only when the
   one it went to had been kept, and nothing of an answer had come, and its body
   was not begun to be sent; one that has no body, only when its method may be
   repeated (RFC 9110, 9.2.2). */
void http_proxy(http_exchange *x, http_pool *pool,
                const http_proxy_target *target, const http_proxy_rules *rules);

#endif
