/* Writes the ticks; see tick.h. Whether a write was done does not matter: the
   next one comes, and reads the revision again where it has to. */
#include "provisioner/tick.h"

#include "common/docs.h"
#include "common/ids.h"
#include "common/log.h"
#include "provisioner/view_state.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVERY_MS = 5000, CALL_MS = 4000 };

typedef struct beat {
  docs *docs;
  char rev[96]; /* "": not known */
  bool bad;     /* the last one failed: that is told once */
} beat;

struct tick {
  char id[NAME_MOST + 16];
  char *boot, *addr;
  int64_t every_ms, n;
  beat beats[VIEW_DATABASES];
  pthread_t thread;
  bool running, stopping;
  pthread_mutex_t lock;
  pthread_cond_t stop;
};

static bool read_rev(const tick *t, beat *b) {
  docs_answer answer;
  json_t *doc = NULL;
  enum docs_result said = docs_get(b->docs, t->id, &doc, &answer);
  const char *rev = json_string_value(json_object_get(doc, "_rev"));

  b->rev[0] = '\0';
  if (rev != NULL && strlen(rev) < sizeof b->rev)
    memcpy(b->rev, rev, strlen(rev) + 1);
  json_decref(doc);
  return said == DOCS_OK || said == DOCS_MISSING;
}

static enum docs_result put(tick *t, beat *b, docs_answer *answer) {
  json_t *doc =
      json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "_id", t->id, "at",
                (json_int_t)view_wall_ms(), "up", (json_int_t)view_up_ms(), "n",
                (json_int_t)t->n, "boot", t->boot, "addr", t->addr);
  enum docs_result said = DOCS_REFUSED;

  (void)snprintf(answer->error, sizeof answer->error, "there is no memory");
  if (doc != NULL &&
      (b->rev[0] == '\0' ||
       json_object_set_new(doc, "_rev", json_string(b->rev)) == 0))
    said = docs_put(b->docs, t->id, doc, answer);
  json_decref(doc);
  return said;
}

static void beat_once(tick *t, beat *b) {
  docs_answer answer;
  enum docs_result said = put(t, b, &answer);

  if (said == DOCS_CONFLICT && read_rev(t, b))
    said = put(t, b, &answer);
  if (said == DOCS_OK || said == DOCS_ACCEPTED) {
    memcpy(b->rev, answer.rev, sizeof b->rev);
    if (b->bad)
      log_event(LOG_INFO, "tick.well", LS("id", t->id));
    b->bad = false;
    return;
  }
  if (!b->bad)
    log_event(LOG_WARN, "tick.failed", LS("id", t->id),
              LS("why", answer.error));
  b->bad = true;
}

/* false: it is to stop. */
static bool wait_ms(tick *t, int64_t ms) {
  struct timespec until;
  bool stopping;
  int rc = 0;

  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(ms / 1000);
  until.tv_nsec += (long)(ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  (void)pthread_mutex_lock(&t->lock);
  while (!t->stopping && rc == 0)
    rc = pthread_cond_timedwait(&t->stop, &t->lock, &until);
  stopping = t->stopping;
  (void)pthread_mutex_unlock(&t->lock);
  return !stopping;
}

static void *run(void *arg) {
  tick *t = arg;

  do {
    t->n++;
    for (int i = 0; i < VIEW_DATABASES; i++)
      beat_once(t, &t->beats[i]);
  } while (wait_ms(t, t->every_ms));
  for (int i = 0; i < VIEW_DATABASES; i++) {
    beat *b = &t->beats[i];
    docs_answer answer;

    if (b->rev[0] != '\0' &&
        docs_delete(b->docs, t->id, b->rev, &answer) == DOCS_CONFLICT &&
        read_rev(t, b) && b->rev[0] != '\0')
      (void)docs_delete(b->docs, t->id, b->rev, &answer);
  }
  return NULL;
}

static void tick_free(tick *t) {
  for (int i = 0; i < VIEW_DATABASES; i++)
    docs_free(t->beats[i].docs);
  (void)pthread_cond_destroy(&t->stop);
  (void)pthread_mutex_destroy(&t->lock);
  free(t->boot);
  free(t->addr);
  free(t);
}

static bool open_both(tick *t, const tick_config *c, char *error,
                      unsigned size) {
  rest_config server = {.url = c->couch, .total_ms = CALL_MS};
  const char *names[VIEW_DATABASES] = {c->apps, c->locks};

  for (int i = 0; i < VIEW_DATABASES; i++) {
    t->beats[i].docs = docs_new(&server, names[i], error, size);
    if (t->beats[i].docs == NULL)
      return false;
  }
  return true;
}

tick *tick_start(const tick_config *config, char *error, unsigned size) {
  tick *t = calloc(1, sizeof *t);
  pthread_condattr_t attributes;

  (void)snprintf(error, size, "there is no memory");
  if (t == NULL)
    return NULL;
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&t->lock, NULL);
  (void)pthread_cond_init(&t->stop, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  (void)snprintf(t->id, sizeof t->id, "sys:tick:%s", config->self);
  t->boot = strdup(config->boot);
  t->addr = strdup(config->addr);
  t->every_ms = config->every_ms > 0 ? config->every_ms : EVERY_MS;
  if (t->boot == NULL || t->addr == NULL ||
      !open_both(t, config, error, size)) {
    tick_free(t);
    return NULL;
  }
  t->running = pthread_create(&t->thread, NULL, run, t) == 0;
  if (t->running)
    return t;
  (void)snprintf(error, size, "no thread can be started");
  tick_free(t);
  return NULL;
}

void tick_stop(tick *t) {
  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  t->stopping = true;
  (void)pthread_cond_signal(&t->stop);
  (void)pthread_mutex_unlock(&t->lock);
  (void)pthread_join(t->thread, NULL);
  tick_free(t);
}
