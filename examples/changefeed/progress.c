/*
 * The progress line of mirror and diff.
 */
#include <stdio.h>
#include <string.h>

#include "replica.h"

enum { STEP_MS = 200, RATE_MS = 1000 };

bool progress_is_shown(const stage *s) {
  const args *a = s->args;

  return s->console.terminal && !a->quiet && !a->events && !a->verbose;
}

void progress_show(stage *s, const char *words) {
  console_progress(&s->console, words, strlen(words));
}

static void take_rate(progress *p, uint64_t count, int64_t now_ms) {
  int64_t passed = now_ms - p->rate_ms;

  if (p->rate_ms == 0 || count < p->rate_from) {
    p->rate_ms = now_ms;
    p->rate_from = count;
  } else if (passed >= RATE_MS || (p->rate <= 0 && passed >= STEP_MS)) {
    p->rate = (double)(count - p->rate_from) * 1000 / (double)passed;
    p->rate_ms = now_ms;
    p->rate_from = count;
  }
}

int progress_tick(progress *p, stage *s, replica *replicas, int count) {
  int64_t now = clock_ms();
  uint64_t documents = 0;
  char words[100];
  int len;

  if (!progress_is_shown(s))
    return -1;
  if (now < p->next_ms)
    return (int)(p->next_ms - now);
  p->next_ms = now + STEP_MS;
  for (int i = 0; i < count; i++)
    documents += replica_documents(&replicas[i]);
  take_rate(p, documents, now);
  len = snprintf(words, sizeof words, "reading: %llu documents",
                 (unsigned long long)documents);
  if (p->rate > 0 && len > 0 && (size_t)len < sizeof words)
    (void)snprintf(words + len, sizeof words - (size_t)len, ", %.0f/s",
                   p->rate);
  progress_show(s, words);
  return STEP_MS;
}
