/* What the files of report.c share. Strings that could not be kept are NULL,
   and the report has lost something. */
#ifndef REPLAY_REPORT_INT_H
#define REPLAY_REPORT_INT_H

#include "replay/report.h"
#include <pthread.h>

typedef struct report_pair {
  char *name, *value; /* value NULL: the number counts */
  int64_t number;
} report_pair;

typedef struct report_pairs {
  report_pair list[REPORT_PAIRS_MOST];
  size_t count;
} report_pairs;

typedef struct report_stage {
  int number, band;
  char *name, *reason; /* reason: it was skipped; else NULL */
  int64_t begin_ms, end_ms;
  char *sentences[REPORT_SENTENCES_MOST];
  size_t sentence_count;
} report_stage;

struct run_report {
  char *title, *naive; /* naive NULL: none */
  uint64_t seed;
  int64_t begun_ms;
  int cores;
  timeline *timeline;
  pthread_mutex_t lock; /* of what follows */
  report_pairs options, programs, counters;
  report_stage steps[REPORT_STEPS_MOST];
  size_t step_count;
  int running; /* the step that runs, or -1 */
  int spoken;  /* the one that sentences are about, or -1 */
  report_law laws[REPORT_LAWS_MOST]; /* with strings of their own */
  size_t law_count;
  uint64_t lost;
};

/* Clean, of at most so many bytes; free() it. NULL: no memory, and it is
   counted. Under the lock. */
char *report_copy(run_report *r, const char *s, size_t most);
/* The table under the lock, from what the timeline had. */
void report_add_table(const run_report *r, const timeline_data *d, text *out);
json_t *report_json_of(const run_report *r, const timeline_data *d);
/* Writes it to the file, whole or not at all; false with a sentence. */
bool report_save(const char *path, const char *data, size_t len, char *error,
                 size_t error_size);
/* "2026-01-31 12:00:00 UTC". */
void report_date(int64_t at_ms, text *out);

#endif
