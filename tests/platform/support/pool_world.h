/* A loop with a pool in the test's own thread, and a scripted peer as the
   server behind; a user of links that writes down what happens. */
#ifndef POOL_WORLD_H
#define POOL_WORLD_H

#include "common/http_pool_state.h"

#include "support/mem.h"
#include "support/peer.h"
#include "support/timing.h"
#include "support/unit.h"

enum { WAIT_MS = 20000 };

/* A user of links that writes down what happens. */
typedef struct seen {
  bool open, ended, late, drained;
  int error;
  text data;
} seen;

static inline void on_open(http_link *l, void *ctx) {
  (void)l;
  ((seen *)ctx)->open = true;
}

static inline void on_data(http_link *l, const char *data, size_t len,
                           void *ctx) {
  (void)l;
  text_add(&((seen *)ctx)->data, data, len);
}

static inline void on_end(http_link *l, void *ctx) {
  (void)l;
  ((seen *)ctx)->ended = true;
}

static inline void on_broken(http_link *l, int error, void *ctx) {
  (void)l;
  ((seen *)ctx)->error = error;
}

static inline void on_drain(http_link *l, void *ctx) {
  (void)l;
  ((seen *)ctx)->drained = true;
}

static inline void on_late(http_link *l, void *ctx) {
  (void)l;
  ((seen *)ctx)->late = true;
}

static const http_link_user world_user = {on_open,   on_data,  on_end,
                                          on_broken, on_drain, on_late};

typedef struct world {
  uv_loop_t loop;
  uv_timer_t tick; /* so that conditions of other threads are looked at */
  http_pool *pool;
  cft_peer *peer;
  char address[64];
  bool closed;
} world;

static inline void on_tick(uv_timer_t *timer) { (void)timer; }

static inline void begin(world *w, http_pool_config config, cft_handler handler,
                         void *ctx) {
  memset(w, 0, sizeof *w);
  ck_assert_int_eq(uv_loop_init(&w->loop), 0);
  ck_assert_int_eq(uv_timer_init(&w->loop, &w->tick), 0);
  ck_assert_int_eq(uv_timer_start(&w->tick, on_tick, 1, 1), 0);
  w->pool = http_pool_new(&w->loop, &config);
  ck_assert_ptr_nonnull(w->pool);
  if (handler != NULL) {
    w->peer = cft_peer_start(NULL, handler, ctx);
    (void)snprintf(w->address, sizeof w->address, "127.0.0.1:%u",
                   (unsigned)cft_peer_port(w->peer));
  }
}

#define UNTIL(w, condition)                                                    \
  do {                                                                         \
    int64_t end_ms = cft_now_ms() + WAIT_MS;                                   \
    while (!(condition)) {                                                     \
      ck_assert_msg(cft_now_ms() < end_ms, "not in time: %s", #condition);     \
      (void)uv_run(&(w)->loop, UV_RUN_ONCE);                                   \
    }                                                                          \
  } while (0)

static inline void on_closed(void *ctx) { ((world *)ctx)->closed = true; }

static inline void finish(world *w) {
  http_pool_close(w->pool, on_closed, w);
  UNTIL(w, w->closed);
  uv_close((uv_handle_t *)&w->tick, NULL);
  (void)uv_run(&w->loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&w->loop), 0);
  cft_peer_free(w->peer);
}

static inline http_link *get_at(world *w, const char *address, const char *key,
                                seen *s) {
  http_proxy_target target = {address, key};
  const char *why = NULL;
  http_bucket *b = http_bucket_hold(w->pool, &target, &why);
  http_link *l;
  int error = 0;

  ck_assert_msg(b != NULL, "%s", why);
  *s = (seen){0};
  l = http_link_get(b, false, &world_user, s, &error);
  ck_assert_msg(l != NULL, "%s", uv_strerror(error));
  http_bucket_drop(b); /* the link holds it */
  return l;
}

static inline http_link *get(world *w, const char *key, seen *s) {
  return get_at(w, w->address, key, s);
}

static inline http_link *get_open(world *w, const char *key, seen *s) {
  http_link *l = get(w, key, s);

  UNTIL(w, s->open || l->kept);
  return l;
}

static inline void on_quiet(cft_conn *conn, void *ctx) {
  (void)ctx;
  cft_conn_stall(conn);
}

static inline void say(http_link *l) {
  char byte = '!';
  uv_buf_t buf = uv_buf_init(&byte, 1);

  (void)http_link_write(l, &buf, 1);
}

#endif
