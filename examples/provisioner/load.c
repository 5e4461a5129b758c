/* A ring of the last thousand writes; see load.h. */
#include "provisioner/load.h"

#include <pthread.h>
#include <stdlib.h>

enum { SAMPLES = 1024, SPAN_MS = 30000 };

typedef struct sample {
  int64_t at_ms, took_ms;
  bool failed;
} sample;

struct load {
  pthread_mutex_t lock;
  sample ring[SAMPLES];
  unsigned next;
};

load *load_new(void) {
  load *l = calloc(1, sizeof *l);

  if (l != NULL)
    (void)pthread_mutex_init(&l->lock, NULL);
  return l;
}

void load_free(load *l) {
  if (l == NULL)
    return;
  (void)pthread_mutex_destroy(&l->lock);
  free(l);
}

void load_note(load *l, int64_t took_ms, bool failed, int64_t now_ms) {
  sample *s;

  (void)pthread_mutex_lock(&l->lock);
  s = &l->ring[l->next++ % SAMPLES];
  s->at_ms = now_ms;
  s->took_ms = took_ms;
  s->failed = failed;
  (void)pthread_mutex_unlock(&l->lock);
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return x < y ? -1 : x > y;
}

void load_read(load *l, int64_t now_ms, int64_t *p95_ms, int *errors_percent) {
  int64_t took[SAMPLES];
  size_t count = 0, failed = 0, i;

  (void)pthread_mutex_lock(&l->lock);
  for (i = 0; i < SAMPLES && i < l->next; i++)
    if (l->ring[i].at_ms > now_ms - SPAN_MS) {
      took[count++] = l->ring[i].took_ms;
      failed += l->ring[i].failed ? 1 : 0;
    }
  (void)pthread_mutex_unlock(&l->lock);
  qsort(took, count, sizeof took[0], ascending);
  *p95_ms = count != 0 ? took[(count * 95 + 99) / 100 - 1] : 0;
  *errors_percent = count != 0 ? (int)(failed * 100 / count) : 0;
}
