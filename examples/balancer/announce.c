/* Writes balancer:ID; see announce.h. Whether a write was done does not matter:
   the next one comes, and reads the revision again where it has to. */
#include "balancer/announce.h"

#include "common/docs.h"
#include "common/ids.h"
#include "common/log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  EVERY_MS = 60000,
  CALL_MS = 4000,
  AGAIN_LEAST_MS = 1000,
  AGAIN_MOST_MS = 30000,
  STOP_MS = 2000,
  DELETE_MS = 800 /* each of two calls */
};

struct announce {
  char id[NAME_MOST + 16];
  char *couch, *apps, *addr, *admin, *boot, *version;
  int64_t every_ms;
  docs *docs;
  char rev[96]; /* "": not known */
  bool bad;     /* the last write failed: that is told once */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* What follows is under the lock. */
  bool asked, stopping, ended, left; /* left: nobody waits for the thread */
  int64_t written_ms;
};

static int64_t clock_ms(clockid_t clock) {
  struct timespec t;

  (void)clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec after_ms(int64_t ms) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += (time_t)(ms / 1000);
  t.tv_nsec += (long)(ms % 1000) * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  return t;
}

static void announce_free(announce *a) {
  docs_free(a->docs);
  (void)pthread_cond_destroy(&a->changed);
  (void)pthread_mutex_destroy(&a->lock);
  if (a->couch != NULL)
    explicit_bzero(a->couch, strlen(a->couch));
  free(a->couch);
  free(a->apps);
  free(a->addr);
  free(a->admin);
  free(a->boot);
  free(a->version);
  free(a);
}

/* ---- writing ---- */

static bool read_rev(announce *a, docs *d) {
  docs_answer answer;
  json_t *doc = NULL;
  enum docs_result said = docs_get(d, a->id, &doc, &answer);
  const char *rev = json_string_value(json_object_get(doc, "_rev"));

  a->rev[0] = '\0';
  if (rev != NULL && strlen(rev) < sizeof a->rev)
    memcpy(a->rev, rev, strlen(rev) + 1);
  json_decref(doc);
  return said == DOCS_OK || said == DOCS_MISSING;
}

static enum docs_result put(announce *a, docs_answer *answer) {
  json_t *doc =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "_id", a->id, "addr", a->addr,
                "admin", a->admin, "boot", a->boot, "version", a->version, "at",
                (json_int_t)clock_ms(CLOCK_REALTIME));
  enum docs_result said = DOCS_REFUSED;

  memset(answer, 0, sizeof *answer);
  (void)snprintf(answer->error, sizeof answer->error, "there is no memory");
  if (doc != NULL &&
      (a->rev[0] == '\0' ||
       json_object_set_new(doc, "_rev", json_string(a->rev)) == 0))
    said = docs_put(a->docs, a->id, doc, answer);
  json_decref(doc);
  return said;
}

static bool write_once(announce *a) {
  docs_answer answer;
  enum docs_result said = put(a, &answer);

  if (said == DOCS_CONFLICT && read_rev(a, a->docs))
    said = put(a, &answer);
  if (said == DOCS_OK || said == DOCS_ACCEPTED) {
    memcpy(a->rev, answer.rev, sizeof a->rev);
    if (a->bad)
      log_event(LOG_INFO, "announce.well", LS("id", a->id));
    a->bad = false;
    return true;
  }
  if (!a->bad)
    log_event(LOG_WARN, "announce.failed", LS("id", a->id),
              LS("why", answer.error));
  a->bad = true;
  return false;
}

/* A connection of its own, with little time. */
static void delete_it(announce *a) {
  rest_config server = {
      .url = a->couch, .connect_ms = DELETE_MS, .total_ms = DELETE_MS};
  docs_answer answer;
  char error[256];
  docs *d;

  if (a->rev[0] == '\0')
    return;
  d = docs_new(&server, a->apps, error, sizeof error);
  if (d == NULL)
    return;
  if (docs_delete(d, a->id, a->rev, &answer) == DOCS_CONFLICT &&
      read_rev(a, d) && a->rev[0] != '\0')
    (void)docs_delete(d, a->id, a->rev, &answer);
  docs_free(d);
}

/* ---- the thread ---- */

/* false: it is to stop. */
static bool wait_ms(announce *a, int64_t ms) {
  struct timespec until = after_ms(ms);
  bool stopping;
  int rc = 0;

  (void)pthread_mutex_lock(&a->lock);
  while (!a->stopping && !a->asked && rc == 0)
    rc = pthread_cond_timedwait(&a->changed, &a->lock, &until);
  a->asked = false;
  stopping = a->stopping;
  (void)pthread_mutex_unlock(&a->lock);
  return !stopping;
}

static void note_written(announce *a) {
  (void)pthread_mutex_lock(&a->lock);
  a->written_ms = clock_ms(CLOCK_BOOTTIME);
  (void)pthread_mutex_unlock(&a->lock);
}

static void *run(void *arg) {
  announce *a = arg;
  int64_t again_ms = AGAIN_LEAST_MS, pause_ms;
  bool left;

  do {
    if (write_once(a)) {
      note_written(a);
      again_ms = AGAIN_LEAST_MS;
      pause_ms = a->every_ms;
    } else {
      pause_ms = again_ms;
      again_ms = again_ms * 2 < AGAIN_MOST_MS ? again_ms * 2 : AGAIN_MOST_MS;
    }
  } while (wait_ms(a, pause_ms));
  delete_it(a);
  (void)pthread_mutex_lock(&a->lock);
  a->ended = true;
  left = a->left;
  (void)pthread_cond_signal(&a->changed);
  (void)pthread_mutex_unlock(&a->lock);
  if (left)
    announce_free(a);
  return NULL;
}

/* ---- for others ---- */

static bool copy(announce *a, const announce_config *c) {
  (void)snprintf(a->id, sizeof a->id, "balancer:%s", c->self);
  a->couch = strdup(c->couch);
  a->apps = strdup(c->apps);
  a->addr = strdup(c->addr);
  a->admin = strdup(c->admin);
  a->boot = strdup(c->boot);
  a->version = strdup(c->version);
  a->every_ms = c->every_ms > 0 ? c->every_ms : EVERY_MS;
  return a->couch != NULL && a->apps != NULL && a->addr != NULL &&
         a->admin != NULL && a->boot != NULL && a->version != NULL;
}

static bool start_thread(announce *a) {
  pthread_attr_t attributes;
  pthread_t thread;
  bool ok;

  (void)pthread_attr_init(&attributes);
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  ok = pthread_create(&thread, &attributes, run, a) == 0;
  (void)pthread_attr_destroy(&attributes);
  return ok;
}

announce *announce_start(const announce_config *config, char *error,
                         size_t size) {
  announce *a = calloc(1, sizeof *a);
  rest_config server = {.url = config->couch, .total_ms = CALL_MS};
  pthread_condattr_t attributes;

  (void)snprintf(error, size, "there is no memory");
  if (a == NULL)
    return NULL;
  a->written_ms = -1;
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&a->lock, NULL);
  (void)pthread_cond_init(&a->changed, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  if (copy(a, config)) {
    a->docs = docs_new(&server, config->apps, error, size);
    if (a->docs != NULL && start_thread(a))
      return a;
    if (a->docs != NULL)
      (void)snprintf(error, size, "no thread can be started");
  }
  announce_free(a);
  return NULL;
}

void announce_ask(announce *a) {
  (void)pthread_mutex_lock(&a->lock);
  a->asked = true;
  (void)pthread_cond_signal(&a->changed);
  (void)pthread_mutex_unlock(&a->lock);
}

int64_t announce_written_ms(announce *a) {
  int64_t ms;

  (void)pthread_mutex_lock(&a->lock);
  ms = a->written_ms;
  (void)pthread_mutex_unlock(&a->lock);
  return ms;
}

void announce_stop(announce *a) {
  struct timespec until = after_ms(STOP_MS);
  bool ended;
  int rc = 0;

  if (a == NULL)
    return;
  (void)pthread_mutex_lock(&a->lock);
  a->stopping = true;
  (void)pthread_cond_broadcast(&a->changed);
  while (!a->ended && rc == 0)
    rc = pthread_cond_timedwait(&a->changed, &a->lock, &until);
  ended = a->ended;
  a->left = !ended;
  (void)pthread_mutex_unlock(&a->lock);
  if (ended)
    announce_free(a);
}
