/* How many requests and error pages there were in each of the last seconds, so
   that the status page has its curve at once. */
#include "balancer/admin_state.h"

#include <string.h>

enum { RATE_MS = 10000, SECOND_MS = 1000 };

static uint64_t count_errors(const admin *a) {
  uint64_t sum = 0;

  for (size_t i = 0; i < PAGES; i++)
    sum += (uint64_t)metric_value(a->errors[i]);
  return sum;
}

void admin_sample_now(admin *a) {
  admin_sample *s = &a->samples[a->sample_next];
  engine_status status;

  if (a->engine == NULL)
    return;
  memset(&status, 0, sizeof status);
  engine_get_status(a->engine, &status);
  s->at_ms = (int64_t)uv_now(a->loop);
  s->requests = status.requests;
  s->errors = count_errors(a);
  a->sample_next = (a->sample_next + 1) % ADMIN_SAMPLES;
  if (a->sample_count < ADMIN_SAMPLES)
    a->sample_count++;
}

/* The i-th, the oldest first. */
static const admin_sample *sample_at(const admin *a, size_t i) {
  return &a->samples[(a->sample_next + ADMIN_SAMPLES - a->sample_count + i) %
                     ADMIN_SAMPLES];
}

/* Counters of an engine that began anew go back: then nothing is told. */
static uint64_t grown(uint64_t from, uint64_t to) {
  return to > from ? to - from : 0;
}

void admin_rates(const admin *a, double *requests, double *errors) {
  const admin_sample *last, *first;
  double seconds;

  *requests = *errors = 0;
  if (a->sample_count < 2)
    return;
  first = last = sample_at(a, a->sample_count - 1);
  for (size_t i = a->sample_count - 1;
       i-- > 0 && last->at_ms - first->at_ms < RATE_MS;)
    first = sample_at(a, i);
  seconds = (double)(last->at_ms - first->at_ms) / SECOND_MS;
  if (seconds <= 0)
    return;
  *requests = (double)grown(first->requests, last->requests) / seconds;
  *errors = (double)grown(first->errors, last->errors) / seconds;
}

void admin_history(const admin *a, text *out) {
  json_open(out, "history", '{');
  json_number(out, "step_ms", SECOND_MS);
  json_open(out, "requests", '[');
  for (size_t i = 1; i < a->sample_count; i++)
    json_count(out, NULL,
               grown(sample_at(a, i - 1)->requests, sample_at(a, i)->requests));
  json_shut(out, ']');
  json_open(out, "errors", '[');
  for (size_t i = 1; i < a->sample_count; i++)
    json_count(out, NULL,
               grown(sample_at(a, i - 1)->errors, sample_at(a, i)->errors));
  json_shut(out, ']');
  json_shut(out, '}');
}
