/* The mini couch as the test holds it: its life, rows, settings and what
   happens on the server. See peer_mini.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_mini_int.h"
#include "timing.h"

#include <time.h>

/* ---- life ---- */

static const cft_mini_config DEFAULTS = {
    .db = "db",
    .version = "3.5.0",
    .uuid = "fc367da6d8f3e990a1f758660af6bd96",
    .start_time = "\"1795389351\"",
    .session_ms = 600000,
    .timeout_max_ms = 60000,
    .buffer = 1490,
};

static void make_url(cft_mini *mini) {
  cft_text text = {NULL, 0, 0};
  cft_text_adds(&text, cft_peer_url(mini->peer));
  cft_text_adds(&text, mini->config.prefix);
  cft_text_adds(&text, "/");
  for (const char *p = mini->config.db; *p; p++) {
    bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
                 *p == '_' || *p == '-';
    cft_text_addf(&text, plain ? "%c" : "%%%02X", (unsigned char)*p);
  }
  snprintf(mini->url, sizeof mini->url, "%s", text.data);
  cft_text_free(&text);
}

cft_mini *cft_mini_start(const char *where) {
  pthread_condattr_t attr;
  cft_mini *mini = cft_calloc(1, sizeof *mini);
  pthread_mutex_init(&mini->mu, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&mini->idle, &attr);
  pthread_condattr_destroy(&attr);
  mini->config = DEFAULTS;
  mini->exists = true;
  mini->wait_epoch = 1; /* 0 means: not waiting */
  mini->changes.tag = 0x5eed0001;
  mini->updates.tag = 0xd8000001;
  mini->peer = cft_peer_reserve(where, cft_mini_handler, mini);
  make_url(mini);
  cft_peer_restart(mini->peer);
  return mini;
}

void cft_mini_free(cft_mini *mini) {
  if (!mini)
    return;
  cft_peer_free(mini->peer);
  cft_log_clear(&mini->changes);
  cft_log_clear(&mini->updates);
  for (size_t i = 0; i < mini->injection_count; i++)
    free(mini->injections[i].data);
  free(mini->injections);
  cft_mini_faults_free(mini);
  cft_mini_locals_free(mini);
  pthread_cond_destroy(&mini->idle);
  pthread_mutex_destroy(&mini->mu);
  free(mini);
}

void cft_mini_on_request(cft_mini *mini,
                         void (*hook)(void *user, const cft_request *req),
                         void *user) {
  mini->hook = hook;
  mini->hook_user = user;
}

cft_peer *cft_mini_peer(cft_mini *mini) { return mini->peer; }

const char *cft_mini_url(cft_mini *mini) { return mini->url; }

cft_mini_config cft_mini_get_config(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  cft_mini_config config = mini->config;
  pthread_mutex_unlock(&mini->mu);
  return config;
}

void cft_mini_set_config(cft_mini *mini, const cft_mini_config *config) {
  pthread_mutex_lock(&mini->mu);
  bool moved = strcmp(mini->config.prefix, config->prefix) != 0 ||
               strcmp(mini->config.db, config->db) != 0;
  mini->config = *config;
  if (moved) {
    cft_peer_set_prefix(mini->peer, config->prefix);
    make_url(mini);
  }
  pthread_mutex_unlock(&mini->mu);
}

/* ---- rows ---- */

/* Ends a change made under mu: nobody waits idly any more, all look again. */
static void changed(cft_mini *mini) {
  mini->wait_epoch++;
  mini->waiting = 0;
  pthread_mutex_unlock(&mini->mu);
  cft_peer_wake(mini->peer);
}

size_t cft_mini_put_doc(cft_mini *mini, const char *id, const char *rev,
                        bool deleted, const char *members) {
  pthread_mutex_lock(&mini->mu);
  size_t number = cft_log_put(&mini->changes, id, rev, deleted, members);
  changed(mini);
  return number;
}

size_t cft_mini_put(cft_mini *mini, const char *id, const char *rev,
                    bool deleted) {
  return cft_mini_put_doc(mini, id, rev, deleted, NULL);
}

void cft_mini_fill(cft_mini *mini, const char *prefix, size_t count) {
  char id[256], rev[64], members[64];
  pthread_mutex_lock(&mini->mu);
  for (size_t i = 0; i < count; i++) {
    snprintf(id, sizeof id, "%s%06zu", prefix, i);
    snprintf(rev, sizeof rev, "1-%032zx", i * 2654435761U);
    snprintf(members, sizeof members, "\"n\":%zu", i);
    cft_log_put(&mini->changes, id, rev, false, members);
  }
  changed(mini);
}

void cft_mini_db_event(cft_mini *mini, const char *db, const char *type) {
  pthread_mutex_lock(&mini->mu);
  cft_log_put(&mini->updates, db, type, false, NULL);
  changed(mini);
}

cft_revs *cft_mini_revs(cft_mini *mini) {
  cft_revs *revs = cft_revs_new();
  pthread_mutex_lock(&mini->mu);
  for (size_t i = 0; i < mini->changes.count; i++) {
    const cft_entry *row = &mini->changes.rows[i];
    if (row->current)
      cft_revs_put(revs, row->id, row->rev, row->deleted);
  }
  pthread_mutex_unlock(&mini->mu);
  return revs;
}

size_t cft_mini_update_seq(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  size_t n = mini->changes.count;
  pthread_mutex_unlock(&mini->mu);
  return n;
}

void cft_mini_seq(cft_mini *mini, size_t number, char *text, size_t size) {
  cft_text seq = {NULL, 0, 0};
  pthread_mutex_lock(&mini->mu);
  cft_seq_text(&mini->changes, mini->config.seqs, number, &seq);
  pthread_mutex_unlock(&mini->mu);
  snprintf(text, size, "%s", seq.data);
  cft_text_free(&seq);
}

/* ---- events on the server ---- */

void cft_mini_end_feeds(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  mini->end_count++;
  changed(mini);
}

void cft_mini_delete_db(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  mini->exists = false;
  cft_mini_locals_clear(mini);
  mini->end_count++;
  changed(mini);
}

/* Creation times are compared for being the same only: one more will do. */
static void next_start_time(cft_mini_config *config) {
  const char *digits = config->start_time + (config->start_time[0] == '"');
  unsigned long long value = strtoull(digits, NULL, 10);
  if (value == 0)
    return;
  const char *quote = config->start_time[0] == '"' ? "\"" : "";
  snprintf(config->start_time, sizeof config->start_time, "%s%llu%s", quote,
           value + 1, quote);
}

void cft_mini_create_db(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  cft_log_clear(&mini->changes);
  cft_mini_locals_clear(mini);
  mini->changes.tag++;
  next_start_time(&mini->config);
  mini->exists = true;
  mini->end_count++;
  changed(mini);
}

void cft_mini_freeze(cft_mini *mini, bool frozen) {
  pthread_mutex_lock(&mini->mu);
  mini->frozen = frozen;
  pthread_mutex_unlock(&mini->mu);
  cft_peer_wake(mini->peer);
}

static void inject(cft_mini *mini, const void *data, size_t len, bool raw) {
  pthread_mutex_lock(&mini->mu);
  mini->injections = cft_room(mini->injections, mini->injection_count,
                              &mini->injection_cap, sizeof *mini->injections);
  mini->injections[mini->injection_count++] =
      (cft_injection){cft_memdup(data, len), len, raw};
  changed(mini);
}

void cft_mini_inject(cft_mini *mini, const void *data, size_t len) {
  inject(mini, data, len, false);
}

void cft_mini_inject_raw(cft_mini *mini, const void *data, size_t len) {
  inject(mini, data, len, true);
}

size_t cft_mini_waiting(cft_mini *mini) {
  pthread_mutex_lock(&mini->mu);
  size_t n = mini->waiting;
  pthread_mutex_unlock(&mini->mu);
  return n;
}

bool cft_mini_wait_waiting(cft_mini *mini, size_t n, int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  struct timespec until = {.tv_sec = (time_t)(end / 1000),
                           .tv_nsec = (long)(end % 1000) * 1000000};
  int late = 0;
  pthread_mutex_lock(&mini->mu);
  while (mini->waiting != n && late == 0)
    late = pthread_cond_timedwait(&mini->idle, &mini->mu, &until);
  bool ok = mini->waiting == n;
  pthread_mutex_unlock(&mini->mu);
  return ok;
}
