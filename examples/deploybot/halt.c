/* See halt.h. */
#include "deploybot/halt.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct halt {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool set;
};

static int64_t clock_ms(clockid_t clock) {
  struct timespec t;

  (void)clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t mono_ms(void) { return clock_ms(CLOCK_MONOTONIC); }

int64_t wall_ms(void) { return clock_ms(CLOCK_REALTIME); }

halt *halt_new(void) {
  halt *h = calloc(1, sizeof *h);
  pthread_condattr_t attributes;

  if (h == NULL)
    return NULL;
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&h->lock, NULL);
  (void)pthread_cond_init(&h->changed, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  return h;
}

void halt_free(halt *h) {
  if (h == NULL)
    return;
  (void)pthread_cond_destroy(&h->changed);
  (void)pthread_mutex_destroy(&h->lock);
  free(h);
}

void halt_set(halt *h) {
  (void)pthread_mutex_lock(&h->lock);
  h->set = true;
  (void)pthread_cond_broadcast(&h->changed);
  (void)pthread_mutex_unlock(&h->lock);
}

bool halt_is_set(halt *h) {
  bool set;

  (void)pthread_mutex_lock(&h->lock);
  set = h->set;
  (void)pthread_mutex_unlock(&h->lock);
  return set;
}

bool halt_pause(halt *h, int64_t ms) {
  int64_t at_ms = mono_ms() + (ms > 0 ? ms : 0);
  struct timespec until = {(time_t)(at_ms / 1000),
                           (long)(at_ms % 1000) * 1000000};
  bool set;
  int rc = 0;

  (void)pthread_mutex_lock(&h->lock);
  while (!h->set && rc == 0)
    rc = pthread_cond_timedwait(&h->changed, &h->lock, &until);
  set = h->set;
  (void)pthread_mutex_unlock(&h->lock);
  return !set;
}
