/* The report's life, and what is put into it; see report.h. */
#include "replay/report_int.h"

#include "common/escape.h"
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_MOST = 200 /* bytes of a name, a value, a title */ };

char *report_copy(run_report *r, const char *s, size_t most) {
  text clean = TEXT_INIT;
  char *copy;

  escape_clean(&clean, s != NULL ? s : "", most);
  copy = clean.failed ? NULL : strdup(text_get(&clean));
  text_free(&clean);
  r->lost += copy == NULL;
  return copy;
}

static int64_t now_ms(void) {
  struct timespec now;

  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

run_report *report_new(const report_config *config) {
  run_report *r = calloc(1, sizeof *r);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);

  if (r == NULL || pthread_mutex_init(&r->lock, NULL) != 0) {
    free(r);
    return NULL;
  }
  r->title = report_copy(r, config->title, WORDS_MOST);
  if (config->naive != NULL)
    r->naive = report_copy(r, config->naive, WORDS_MOST);
  r->seed = config->seed;
  r->begun_ms = config->begun_ms != 0 ? config->begun_ms : now_ms();
  r->cores = cores > 0 ? (int)cores : 0;
  r->timeline = config->timeline;
  r->running = r->spoken = -1;
  if (r->lost != 0) {
    report_free(r);
    return NULL;
  }
  return r;
}

static void free_pairs(report_pairs *pairs) {
  for (size_t i = 0; i < pairs->count; i++) {
    free(pairs->list[i].name);
    free(pairs->list[i].value);
  }
}

static void free_law(const report_law *law) {
  free((void *)(uintptr_t)law->id);
  free((void *)(uintptr_t)law->means);
  free((void *)(uintptr_t)law->first);
  free((void *)(uintptr_t)law->excuse);
}

void report_free(run_report *r) {
  if (r == NULL)
    return;
  free_pairs(&r->options);
  free_pairs(&r->programs);
  free_pairs(&r->counters);
  for (size_t i = 0; i < r->step_count; i++) {
    free(r->steps[i].name);
    free(r->steps[i].reason);
    for (size_t j = 0; j < r->steps[i].sentence_count; j++)
      free(r->steps[i].sentences[j]);
  }
  for (size_t i = 0; i < r->law_count; i++)
    free_law(&r->laws[i]);
  (void)pthread_mutex_destroy(&r->lock);
  free(r->title);
  free(r->naive);
  free(r);
}

/* ---- names and values ---- */

static report_pair *pair_of(run_report *r, report_pairs *pairs,
                            const char *name) {
  char *own = report_copy(r, name, WORDS_MOST);
  report_pair *pair;

  if (own == NULL)
    return NULL;
  for (size_t i = 0; i < pairs->count; i++)
    if (strcmp(pairs->list[i].name, own) == 0) {
      free(own);
      return &pairs->list[i];
    }
  if (pairs->count == REPORT_PAIRS_MOST) {
    r->lost++;
    free(own);
    return NULL;
  }
  pair = &pairs->list[pairs->count++];
  pair->name = own;
  return pair;
}

static void set_pair(run_report *r, report_pairs *pairs, const char *name,
                     const char *value, int64_t number) {
  report_pair *pair;

  (void)pthread_mutex_lock(&r->lock);
  pair = pair_of(r, pairs, name);
  if (pair != NULL) {
    free(pair->value);
    pair->value = value != NULL ? report_copy(r, value, WORDS_MOST) : NULL;
    pair->number = number;
  }
  (void)pthread_mutex_unlock(&r->lock);
}

void report_option(run_report *r, const char *name, const char *value) {
  set_pair(r, &r->options, name, value != NULL ? value : "", 0);
}

void report_program(run_report *r, const char *name, const char *version) {
  set_pair(r, &r->programs, name, version != NULL ? version : "", 0);
}

void report_counter(run_report *r, const char *name, int64_t value) {
  set_pair(r, &r->counters, name, NULL, value);
}

/* ---- steps ---- */

static void end_step(run_report *r, int64_t at_ms) {
  report_stage *step;

  if (r->running < 0)
    return;
  step = &r->steps[r->running];
  step->end_ms = at_ms;
  timeline_end_band(r->timeline, step->band, at_ms);
  r->running = -1;
}

/* NULL: there are too many. */
static report_stage *add_step(run_report *r, int number, const char *name) {
  report_stage *step;

  if (r->step_count == REPORT_STEPS_MOST) {
    r->lost++;
    return NULL;
  }
  step = &r->steps[r->step_count++];
  step->number = number;
  step->name = report_copy(r, name, WORDS_MOST);
  return step;
}

void report_step(run_report *r, int number, const char *name) {
  int64_t at_ms = timeline_now(r->timeline);
  report_stage *step;

  (void)pthread_mutex_lock(&r->lock);
  end_step(r, at_ms);
  r->spoken = -1;
  step = add_step(r, number, name);
  if (step != NULL) {
    step->begin_ms = step->end_ms = at_ms;
    step->band =
        timeline_begin_band(r->timeline, at_ms, TIMELINE_STEP, number, name);
    r->running = r->spoken = (int)r->step_count - 1;
  }
  (void)pthread_mutex_unlock(&r->lock);
}

void report_say(run_report *r, const char *format, ...) {
  text sentence = TEXT_INIT;
  report_stage *step;
  va_list args;
  char *own;

  va_start(args, format);
  text_vprintf(&sentence, format, args);
  va_end(args);
  (void)pthread_mutex_lock(&r->lock);
  step = r->spoken >= 0 ? &r->steps[r->spoken] : NULL;
  if (step != NULL && step->sentence_count == REPORT_SENTENCES_MOST) {
    r->lost++;
  } else if (step != NULL) {
    own = sentence.failed
              ? NULL
              : report_copy(r, text_get(&sentence), REPORT_SENTENCE_MOST);
    r->lost += sentence.failed;
    if (own != NULL)
      step->sentences[step->sentence_count++] = own;
  }
  (void)pthread_mutex_unlock(&r->lock);
  text_free(&sentence);
}

void report_skip(run_report *r, int number, const char *name,
                 const char *reason) {
  report_stage *step;

  (void)pthread_mutex_lock(&r->lock);
  step = add_step(r, number, name);
  if (step != NULL) {
    step->begin_ms = step->end_ms = timeline_now(r->timeline);
    step->reason = report_copy(r, reason, REPORT_SENTENCE_MOST);
  }
  (void)pthread_mutex_unlock(&r->lock);
}

void report_end(run_report *r) {
  int64_t at_ms = timeline_now(r->timeline);

  (void)pthread_mutex_lock(&r->lock);
  end_step(r, at_ms);
  (void)pthread_mutex_unlock(&r->lock);
  timeline_end(r->timeline, at_ms);
}

/* ---- laws ---- */

static void set_law(run_report *r, report_law *own, const report_law *law) {
  const char *id = report_copy(r, law->id, WORDS_MOST);

  free_law(own);
  own->id = id;
  own->means = report_copy(r, law->means, WORDS_MOST);
  own->checks = law->checks;
  own->broken = law->broken;
  own->first = law->first != NULL && *law->first != '\0'
                   ? report_copy(r, law->first, REPORT_FIRST_MOST)
                   : NULL;
  own->excuse = law->excuse != NULL
                    ? report_copy(r, law->excuse, REPORT_SENTENCE_MOST)
                    : NULL;
}

void report_add_law(run_report *r, const report_law *law) {
  size_t i = 0;

  (void)pthread_mutex_lock(&r->lock);
  while (i < r->law_count &&
         (r->laws[i].id == NULL || strcmp(r->laws[i].id, law->id) != 0))
    i++;
  if (i == REPORT_LAWS_MOST) {
    r->lost++;
  } else {
    if (i == r->law_count)
      r->law_count++;
    set_law(r, &r->laws[i], law);
  }
  (void)pthread_mutex_unlock(&r->lock);
}

enum report_verdict report_verdict_of(const report_law *law) {
  if (law->broken != 0)
    return REPORT_BROKEN;
  if (law->checks != 0)
    return REPORT_HELD;
  return law->excuse != NULL ? REPORT_EXCUSED : REPORT_UNCHECKED;
}

bool report_is_clean(run_report *r) {
  bool clean, held = false;

  (void)pthread_mutex_lock(&r->lock);
  clean = r->lost == 0;
  for (size_t i = 0; i < r->law_count; i++) {
    enum report_verdict verdict = report_verdict_of(&r->laws[i]);

    held = held || verdict == REPORT_HELD;
    clean = clean && (verdict == REPORT_HELD || verdict == REPORT_EXCUSED);
  }
  (void)pthread_mutex_unlock(&r->lock);
  return clean && held;
}
