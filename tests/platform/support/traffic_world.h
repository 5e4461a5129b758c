/* For tests of traffic.h: what is visited (apps that answer with their nonce,
   each a process), and all results, kept. */
#ifndef TRAFFIC_WORLD_H
#define TRAFFIC_WORLD_H

#include "common/traffic.h"

#include "support/mem.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"

#include <pthread.h>

enum { PATIENCE_MS = 40000 };

/* ---- apps ---- */

typedef struct nonce_app {
  cft_proc *proc;
  char target[32], page[64];
} nonce_app;

static inline void nonce_app_start(nonce_app *a, const char *name,
                                   const char *nonce) {
  const char *dir = getenv("CFT_PLATFORM"), *port;
  char program[256], app[64], value[64];
  const char *argv[] = {program, NULL};
  const char *env[] = {"PORT=0", "NONCE_LOG", app, value, NULL};

  ck_assert_msg(dir != NULL, "CFT_PLATFORM is the directory of the programs");
  (void)snprintf(program, sizeof program, "%s/platform_nonce", dir);
  (void)snprintf(app, sizeof app, "NONCE_APP=%s", name);
  (void)snprintf(value, sizeof value, "NONCE=%s", nonce);
  (void)snprintf(a->page, sizeof a->page, "app=%s nonce=%s", name, nonce);
  a->proc = cft_proc_start(argv, env);
  ck_assert_ptr_nonnull(a->proc);
  port = cft_proc_line(a->proc, CFT_STDOUT, PATIENCE_MS);
  ck_assert_ptr_nonnull(port);
  (void)snprintf(a->target, sizeof a->target, "127.0.0.1:%s", port);
}

static inline void nonce_app_stop(nonce_app *a) { cft_proc_free(a->proc); }

/* ---- results ---- */

typedef struct kept_result {
  traffic_result r;
  char source[64], body[TRAFFIC_BODY + 1];
} kept_result;

typedef struct results {
  pthread_mutex_t lock;
  kept_result **all;
  size_t count;
} results;

static inline void results_init(results *all) {
  *all = (results){.all = NULL};
  (void)pthread_mutex_init(&all->lock, NULL);
}

static inline void results_free(results *all) {
  for (size_t i = 0; i < all->count; i++)
    free(all->all[i]);
  free(all->all);
  (void)pthread_mutex_destroy(&all->lock);
}

/* The generator's on_result. */
static inline void results_add(void *ctx, const traffic_result *r) {
  results *all = ctx;
  kept_result *kept = cft_calloc(1, sizeof *kept);

  kept->r = *r;
  (void)snprintf(kept->source, sizeof kept->source, "%s", r->source);
  memcpy(kept->body, r->body, r->body_len + 1);
  kept->r.source = kept->source;
  kept->r.body = kept->body;
  (void)pthread_mutex_lock(&all->lock);
  all->all = cft_realloc(all->all, all->count + 1, sizeof(kept_result *));
  all->all[all->count++] = kept;
  (void)pthread_mutex_unlock(&all->lock);
}

static inline size_t results_count(results *all) {
  size_t count;

  (void)pthread_mutex_lock(&all->lock);
  count = all->count;
  (void)pthread_mutex_unlock(&all->lock);
  return count;
}

/* How many came out so. Behind traffic_close, as the loops over all->all. */
static inline size_t results_of(const results *all,
                                enum traffic_outcome outcome) {
  size_t count = 0;

  for (size_t i = 0; i < all->count; i++)
    count += all->all[i]->r.outcome == outcome;
  return count;
}

/* ---- a generator ---- */

static inline traffic *traffic_begin(traffic_config config, results *all) {
  char error[256] = "";
  traffic *t;

  results_init(all);
  config.on_result = results_add;
  config.ctx = all;
  t = traffic_open(&config, error, sizeof error);
  ck_assert_msg(t != NULL, "%s", error);
  return t;
}

/* Of its numbers, one thing to wait for. */
typedef struct awaited {
  traffic *t;
  uint64_t due;
  size_t told;
  results *all;
} awaited;

static inline bool is_over(void *user) {
  awaited *a = user;
  traffic_counts now = traffic_get_counts(a->t);

  return now.due >= a->due && now.flights == 0;
}

static inline bool is_told(void *user) {
  awaited *a = user;

  return results_count(a->all) >= a->told;
}

/* Until so many were due, and none is under way. */
static inline void await_over(traffic *t, uint64_t due) {
  awaited a = {.t = t, .due = due};

  ck_assert_msg(cft_until(is_over, &a, PATIENCE_MS), "%d of %d are due",
                (int)traffic_get_counts(t).due, (int)due);
}

static inline void await_told(results *all, size_t told) {
  awaited a = {.all = all, .told = told};

  ck_assert_msg(cft_until(is_told, &a, PATIENCE_MS), "%d of %d were told",
                (int)results_count(all), (int)told);
}

/* Ends it; each visit that was due was told once. */
static inline traffic_counts traffic_finish(traffic *t, const results *all) {
  traffic_counts counts = traffic_get_counts(t);

  traffic_close(t);
  ck_assert_uint_ge(all->count, counts.due);
  for (size_t i = 0; i < all->count; i++) {
    const traffic_result *r = &all->all[i]->r;

    ck_assert_uint_ge(r->number, 1);
    ck_assert_uint_le(r->number, all->count);
    for (size_t k = 0; k < i; k++)
      ck_assert_uint_ne(all->all[k]->r.number, r->number);
  }
  return counts;
}

/* What a test says of a result. */
static inline const char *said_of(const traffic_result *r) {
  static char line[512];

  (void)snprintf(line, sizeof line,
                 "%s, host %d: %s, %s; %d %s, \"%.60s\", wrong: %s",
                 traffic_kind_name(r->kind), (int)r->host,
                 traffic_outcome_name(r->outcome), r->why, r->status, r->error,
                 r->body, r->wrong != NULL ? r->wrong : "nothing");
  return line;
}

#endif
