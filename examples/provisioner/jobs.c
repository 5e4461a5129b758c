/* A hash of names, a list of those that are ready, a heap of those that are due
   later; see jobs.h. */
#include "provisioner/jobs.h"

#include "provisioner/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct jobs {
  pthread_mutex_t lock;
  pthread_cond_t changed, ended; /* ended: wakes those that pause */
  job *buckets[BUCKETS];
  job *first, **last; /* ready */
  size_t ready;
  job **heap; /* from 1 */
  size_t count, cap, all;
  atomic_bool stopping;
};

jobs *jobs_new(void) {
  jobs *j = calloc(1, sizeof *j);
  pthread_condattr_t attr;

  if (j == NULL)
    return NULL;
  j->last = &j->first;
  (void)pthread_condattr_init(&attr);
  (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&j->lock, NULL);
  (void)pthread_cond_init(&j->changed, &attr);
  (void)pthread_cond_init(&j->ended, &attr);
  (void)pthread_condattr_destroy(&attr);
  return j;
}

void jobs_free(jobs *j) {
  size_t i;

  if (j == NULL)
    return;
  for (i = 0; i < BUCKETS; i++)
    while (j->buckets[i] != NULL) {
      job *one = j->buckets[i];

      j->buckets[i] = one->next_hash;
      free(one);
    }
  free(j->heap);
  (void)pthread_cond_destroy(&j->changed);
  (void)pthread_cond_destroy(&j->ended);
  (void)pthread_mutex_destroy(&j->lock);
  free(j);
}

/* ---- the heap ---- */

static void heap_set(jobs *j, size_t at, job *one) {
  j->heap[at] = one;
  one->at = at;
}

static void heap_up(jobs *j, size_t at) {
  job *one = j->heap[at];

  while (at > 1 && j->heap[at / 2]->due_ms > one->due_ms) {
    heap_set(j, at, j->heap[at / 2]);
    at /= 2;
  }
  heap_set(j, at, one);
}

static void heap_down(jobs *j, size_t at) {
  job *one = j->heap[at];

  while (at * 2 <= j->count) {
    size_t child = at * 2;

    if (child < j->count && j->heap[child + 1]->due_ms < j->heap[child]->due_ms)
      child++;
    if (j->heap[child]->due_ms >= one->due_ms)
      break;
    heap_set(j, at, j->heap[child]);
    at = child;
  }
  heap_set(j, at, one);
}

static void heap_remove(jobs *j, job *one) {
  size_t at = one->at;
  job *last;

  if (at == 0)
    return;
  one->at = 0;
  last = j->heap[j->count--];
  if (last == one)
    return;
  heap_set(j, at, last);
  heap_up(j, at);
  heap_down(j, last->at);
}

/* Room for every job there is was made when the job was. */
static void heap_add(jobs *j, job *one, int64_t due_ms) {
  one->due_ms = due_ms;
  heap_set(j, ++j->count, one);
  heap_up(j, one->at);
}

/* ---- jobs ---- */

static job **slot_of(jobs *j, const char *key) {
  job **slot = &j->buckets[id_hash(key, strlen(key)) % BUCKETS];

  while (*slot != NULL && strcmp((*slot)->key, key) != 0)
    slot = &(*slot)->next_hash;
  return slot;
}

/* NULL for want of memory: what is looked at from time to time anyway is then
   looked at later. */
static job *job_of(jobs *j, const char *key) {
  job **slot = slot_of(j, key), *one = *slot;

  if (one != NULL || strlen(key) > KEY_MOST)
    return one;
  if (j->all + 2 > j->cap) {
    size_t cap = j->cap != 0 ? j->cap * 2 : 64;
    job **heap = realloc(j->heap, cap * sizeof *heap);

    if (heap == NULL)
      return NULL;
    j->heap = heap;
    j->cap = cap;
  }
  one = calloc(1, sizeof *one);
  if (one == NULL)
    return NULL;
  memcpy(one->key, key, strlen(key) + 1);
  *slot = one;
  j->all++;
  return one;
}

static void make_ready(jobs *j, job *one) {
  heap_remove(j, one);
  one->ready = true;
  one->next = NULL;
  *j->last = one;
  j->last = &one->next;
  j->ready++;
  (void)pthread_cond_signal(&j->changed);
}

void jobs_look(jobs *j, const char *key) {
  job *one;

  (void)pthread_mutex_lock(&j->lock);
  one = job_of(j, key);
  if (one != NULL && one->running)
    one->again = true;
  else if (one != NULL && !one->ready)
    make_ready(j, one);
  (void)pthread_mutex_unlock(&j->lock);
}

void jobs_later(jobs *j, const char *key, int64_t ms) {
  int64_t due = mono_ms() + ms;
  job *one;

  (void)pthread_mutex_lock(&j->lock);
  one = job_of(j, key);
  if (one != NULL && !one->running && !one->ready &&
      (one->at == 0 || one->due_ms > due)) {
    heap_remove(j, one);
    heap_add(j, one, due);
    (void)pthread_cond_signal(&j->changed);
  }
  (void)pthread_mutex_unlock(&j->lock);
}

static void wait_until(jobs *j, pthread_cond_t *what, int64_t due_ms) {
  struct timespec t = {due_ms / 1000, (due_ms % 1000) * 1000000};

  (void)pthread_cond_timedwait(what, &j->lock, &t);
}

job *jobs_take(jobs *j) {
  job *one = NULL;

  (void)pthread_mutex_lock(&j->lock);
  while (!j->stopping) {
    int64_t now = mono_ms();

    while (j->count != 0 && j->heap[1]->due_ms <= now)
      make_ready(j, j->heap[1]);
    one = j->first;
    if (one != NULL)
      break;
    wait_until(j, &j->changed, j->count != 0 ? j->heap[1]->due_ms : now + 1000);
  }
  if (j->stopping || one == NULL) {
    one = NULL;
  } else {
    j->first = one->next;
    if (j->first == NULL)
      j->last = &j->first;
    j->ready--;
    one->ready = false;
    one->running = true;
  }
  (void)pthread_mutex_unlock(&j->lock);
  return one;
}

void jobs_done(jobs *j, job *one, int64_t again_ms) {
  (void)pthread_mutex_lock(&j->lock);
  one->running = false;
  if (one->again) {
    one->again = false;
    make_ready(j, one);
  } else if (again_ms == FORGET) {
    *slot_of(j, one->key) = one->next_hash;
    j->all--;
    free(one);
  } else {
    heap_add(j, one, mono_ms() + again_ms);
    (void)pthread_cond_signal(&j->changed);
  }
  (void)pthread_mutex_unlock(&j->lock);
}

void jobs_stop(jobs *j) {
  (void)pthread_mutex_lock(&j->lock);
  j->stopping = true;
  (void)pthread_cond_broadcast(&j->changed);
  (void)pthread_cond_broadcast(&j->ended);
  (void)pthread_mutex_unlock(&j->lock);
}

bool jobs_stopping(const jobs *j) { return j->stopping; }

bool jobs_pause(jobs *j, int64_t ms) {
  int64_t end = mono_ms() + ms;

  (void)pthread_mutex_lock(&j->lock);
  while (!j->stopping && mono_ms() < end)
    wait_until(j, &j->ended, end);
  (void)pthread_mutex_unlock(&j->lock);
  return !j->stopping;
}

size_t jobs_waiting(jobs *j) {
  size_t count;

  (void)pthread_mutex_lock(&j->lock);
  count = j->ready;
  (void)pthread_mutex_unlock(&j->lock);
  return count;
}
