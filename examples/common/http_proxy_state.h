/* One exchange that is being passed on, as the files http_proxy*.c share it.
   Internal.

   A pass ends in exactly one of four ways: the answer is over (pass_finish), it
   cannot be finished (pass_cut), nothing of it was sent (pass_fail), the client
   is gone. Each calls on_done and lets go of the link; the exchange goes back
   last, because the next request may begin within that call. What was a pass
   may then be another: a caller returns at once. */
#ifndef PLATFORM_HTTP_PROXY_STATE_H
#define PLATFORM_HTTP_PROXY_STATE_H

#include "common/http_body.h"
#include "common/http_pool_state.h"

enum {
  PASS_CONTINUE_MS = 1000,   /* a server's 100 is waited for, at most */
  PASS_INFORMS = 16,         /* 1xx before an answer, at most */
  PASS_LINGER_MS = 10 * 1000 /* for a tunnel's last bytes */
};

struct http_pass {
  http_exchange *x; /* NULL: it is over, and waits for its callers' return */
  http_pool *pool;
  http_bucket *bucket;
  http_link *link;
  http_proxy_rules rules; /* pointers: into copy, or NULL */
  http_field response[HTTP_PROXY_SET];
  char *copy;
  size_t copy_size;

  /* the request */
  text head; /* as it goes there; kept for a second try */
  bool head_sent;
  bool is_head;    /* the method is HEAD */
  bool repeatable; /* the method may be */
  bool has_body, chunked;
  bool expecting; /* the body waits for a 100 */
  bool reading;   /* the body is asked for */
  bool body_begun, body_done;
  bool upgrades; /* asks for a websocket */
  bool client_paused;
  size_t client_waits; /* bytes, when last looked */

  /* the answer */
  text held; /* of a head that is not whole */
  size_t scanned;
  int informs;
  http_body body;
  bool answered; /* its head is with the client */
  bool keeps;    /* the link may be used again */

  /* a websocket */
  bool tunnel, client_ended, server_ended;

  int depth; /* of calls that still look at it */
  http_pass *next;
};

/* ---- http_proxy_pass.c: memory, and the ends ---- */

http_pass *pass_new(http_pool *pool, http_exchange *x,
                    const http_proxy_rules *rules);
void pass_finish(http_pass *p, bool keep);
void pass_cut(http_pass *p);
void pass_fail(http_pass *p, enum http_proxy_result result, const char *why);
void pass_gone(http_pass *p);
/* The tunnel is closed from both sides; the exchange is gone. */
void pass_tunnel_over(http_pass *p);
/* Around calls into the server, which may tell that the client is gone. leave
   is false when the pass is over. */
void pass_enter(http_pass *p);
bool pass_leave(http_pass *p);

/* ---- http_proxy_head.c: what is written ---- */

bool pass_write_head(http_pass *p, const http_head *head,
                     const http_proxy_target *target,
                     const http_proxy_rules *rules);
/* The answer's fields for the client; returns how many. */
size_t pass_answer_fields(const http_pass *p, const http_head *head,
                          http_field *fields);

/* ---- http_proxy.c: the request ---- */

extern const http_link_user pass_link_user;
void pass_read_body(http_pass *p);
void pass_waits(http_pass *p); /* sets the limit for what comes next */
void pass_no_answer(http_pass *p, const char *why); /* again, or fails */

/* ---- http_proxy_answer.c ---- */

void pass_answer_data(http_pass *p, const char *data, size_t len);
void pass_answer_end(http_pass *p);
void pass_client_drained(http_exchange *x, void *ctx);

/* ---- http_proxy_tunnel.c ---- */

void pass_tunnel_begin(http_pass *p, const http_head *head, const char *data,
                       size_t len);
void pass_tunnel_data(http_pass *p, const char *data, size_t len);
void pass_tunnel_end(http_pass *p);

#endif
