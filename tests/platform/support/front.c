/* A proxy on a thread: see front.h. */
#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

enum { RESULTS = HTTP_PROXY_CLIENT + 1, WAIT_MS = 20000 };

struct front {
  front_config config;
  uv_loop_t loop;
  uv_async_t async;
  uv_timer_t later;
  http_exchange *failed; /* to be answered then */
  enum http_proxy_result failure;
  uv_thread_t thread;
  http_server *server;
  http_pool *pool;
  char address[128];
  _Atomic size_t results[RESULTS];
  atomic_bool server_gone, pool_gone;
  pthread_mutex_t lock;
  pthread_cond_t done;
  void (*fn)(front *f, void *ctx);
  void *fn_ctx;
};

const char *front_result_name(enum http_proxy_result result) {
  static const char *const names[RESULTS] = {"ok",     "refused", "unreachable",
                                             "broken", "late",    "rejected",
                                             "cut",    "client"};

  return names[result];
}

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

static void answer_failure(http_exchange *x, enum http_proxy_result result,
                           const char *why) {
  bool late = result == HTTP_PROXY_LATE || result == HTTP_PROXY_UNREACHABLE;
  http_field fields[] = {{str("X-Result"), str(front_result_name(result))},
                         {str("X-Balancer-Error"), str(late ? "E11" : "E10")}};

  http_exchange_answer(x, late ? 504 : 502, fields, 2, why, strlen(why));
}

/* Where the host's requests go; NULL: nowhere, and that was answered. */
static const char *route(const front *f, http_exchange *x) {
  http_field field = {str("X-Balancer-Error"), str("E01")};
  http_str host = http_exchange_head(x)->host;

  for (size_t i = 0; i < f->config.route_count; i++)
    if (http_str_is(host, f->config.routes[i].host))
      return f->config.routes[i].target;
  if (f->config.target[0] != '\0')
    return f->config.target;
  http_exchange_answer(x, 404, &field, 1, "unknown\n", 8);
  return NULL;
}

static void on_later(uv_timer_t *timer) {
  front *f = timer->data;

  if (f->failed != NULL)
    answer_failure(f->failed, f->failure, "later");
  f->failed = NULL;
}

static void on_gone(http_exchange *x, void *ctx) {
  front *f = ctx;

  ck_assert_ptr_eq(x, f->failed);
  f->failed = NULL;
}

static void on_failed(http_exchange *x, enum http_proxy_result result,
                      const char *why, void *user) {
  front *f = user;

  if (!f->config.late) {
    answer_failure(x, result, why);
    return;
  }
  f->failed = x;
  f->failure = result;
  http_exchange_on_gone(x, on_gone, f);
  (void)uv_timer_start(&f->later, on_later, 50, 0);
}

static void on_done(http_exchange *x, enum http_proxy_result result,
                    void *user) {
  front *f = user;

  ck_assert_ptr_nonnull(http_exchange_head(x));
  atomic_fetch_add(&f->results[result], 1);
}

static void on_request(http_exchange *x, void *user) {
  front *f = user;
  const http_field *field = http_head_find(http_exchange_head(x), "x-key");
  char key[64] = "";
  http_proxy_target target = {route(f, x), key};
  http_proxy_rules rules = f->config.rules;

  if (target.address == NULL)
    return;
  if (field != NULL)
    (void)snprintf(key, sizeof key, "%.*s", (int)field->value.len,
                   field->value.data);
  rules.on_failed = on_failed;
  rules.on_done = on_done;
  rules.user = f;
  http_proxy(x, f->pool, &target, &rules);
  /* All of it is copied. */
  memset(key, '!', sizeof key - 1);
  memset(&rules, 0x5a, sizeof rules);
}

static void on_async(uv_async_t *async) {
  front *f = async->data;

  (void)pthread_mutex_lock(&f->lock);
  if (f->fn != NULL)
    f->fn(f, f->fn_ctx);
  f->fn = NULL;
  (void)pthread_cond_broadcast(&f->done);
  (void)pthread_mutex_unlock(&f->lock);
}

void front_call(front *f, void (*fn)(front *f, void *ctx), void *ctx) {
  (void)pthread_mutex_lock(&f->lock);
  f->fn = fn;
  f->fn_ctx = ctx;
  (void)uv_async_send(&f->async);
  while (f->fn != NULL)
    (void)pthread_cond_wait(&f->done, &f->lock);
  (void)pthread_mutex_unlock(&f->lock);
}

static void run(void *arg) {
  front *f = arg;

  (void)uv_run(&f->loop, UV_RUN_DEFAULT);
}

front *front_start(const front_config *config) {
  front *f = cft_calloc(1, sizeof *f);
  http_server_config server = {
      .address = config->listen != NULL ? config->listen : "127.0.0.1:0",
      .idle_ms = config->idle_ms,
      .on_request = on_request,
      .user = f};
  char error[256] = "";

  f->config = *config;
  (void)pthread_mutex_init(&f->lock, NULL);
  (void)pthread_cond_init(&f->done, NULL);
  ck_assert_int_eq(uv_loop_init(&f->loop), 0);
  ck_assert_int_eq(uv_async_init(&f->loop, &f->async, on_async), 0);
  f->async.data = f;
  ck_assert_int_eq(uv_timer_init(&f->loop, &f->later), 0);
  f->later.data = f;
  f->pool = http_pool_new(&f->loop, &config->pool);
  ck_assert_ptr_nonnull(f->pool);
  f->server = http_server_open(&f->loop, &server, error, sizeof error);
  ck_assert_msg(f->server != NULL, "%s", error);
  (void)snprintf(f->address, sizeof f->address, "%s",
                 http_server_address(f->server));
  ck_assert_int_eq(uv_thread_create(&f->thread, run, f), 0);
  return f;
}

uint16_t front_port(const front *f) {
  const char *colon = strrchr(f->address, ':');

  return (uint16_t)strtoul(colon != NULL ? colon + 1 : "0", NULL, 10);
}

http_pool *front_pool(front *f) { return f->pool; }

size_t front_count(front *f, enum http_proxy_result result) {
  return atomic_load(&f->results[result]);
}

typedef struct awaited {
  front *f;
  enum http_proxy_result result;
  size_t count;
} awaited;

static bool has_come(void *user) {
  awaited *a = user;

  return front_count(a->f, a->result) >= a->count;
}

bool front_wait(front *f, enum http_proxy_result result, size_t count) {
  awaited a = {f, result, count};

  return cft_until(has_come, &a, WAIT_MS);
}

static void on_server_gone(void *ctx) {
  front *f = ctx;

  atomic_store(&f->server_gone, true);
}

static void on_pool_gone(void *ctx) {
  front *f = ctx;

  atomic_store(&f->pool_gone, true);
}

static void close_all(front *f, void *ctx) {
  (void)ctx;
  http_server_close(f->server, on_server_gone, f);
  http_pool_close(f->pool, on_pool_gone, f);
  uv_close((uv_handle_t *)&f->async, NULL);
  uv_close((uv_handle_t *)&f->later, NULL);
}

void front_stop(front *f) {
  front_call(f, close_all, NULL);
  /* The loop ends when nothing is left in it: or the test takes too long. */
  ck_assert_int_eq(uv_thread_join(&f->thread), 0);
  ck_assert_int_eq(uv_loop_close(&f->loop), 0);
  ck_assert(atomic_load(&f->server_gone));
  ck_assert(atomic_load(&f->pool_gone));
  (void)pthread_mutex_destroy(&f->lock);
  (void)pthread_cond_destroy(&f->done);
  free(f);
}
