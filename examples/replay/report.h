/* What came of a run: its laws with checks and violations, its steps, counters
   and options; as a table for people, as JSON, and into files beside the
   picture and the story. Any thread may add to a report; strings are copied,
   and made clean (UTF-8, no control characters). */
#ifndef REPLAY_REPORT_H
#define REPLAY_REPORT_H

#include "replay/story.h"
#include "replay/timeline.h"
#include <jansson.h>

enum {
  REPORT_LAWS_MOST = 64,
  REPORT_STEPS_MOST = 64,
  REPORT_SENTENCES_MOST = 64,  /* of one step */
  REPORT_PAIRS_MOST = 256,     /* options, and programs, and counters */
  REPORT_FIRST_MOST = 1000,    /* bytes of a first violation */
  REPORT_SENTENCE_MOST = 1000, /* and of a sentence */
  REPORT_TABLE_WIDTH = 100
};

/* There is a function report() in the world that the replay runs in. */
typedef struct run_report run_report;

typedef struct report_config {
  const char *title; /* "the programs as they are"; "claim2xx" */
  const char *naive; /* the naive ways of this run, or NULL */
  uint64_t seed;
  int64_t begun_ms;   /* since 1970; 0: now */
  timeline *timeline; /* lent, as long as the report lives; not NULL */
} report_config;

/* NULL: no memory. */
run_report *report_new(const report_config *config);
void report_free(run_report *r);

/* What was asked for, as text: ("drones", "240"); a secret is never one. The
   same name again replaces the value. */
void report_option(run_report *r, const char *name, const char *value);
/* ("balancer", "balancer of libchangefeed 0.1.0"). */
void report_program(run_report *r, const char *name, const char *version);
/* ("provisioners killed", 3); the same name again replaces the number. */
void report_counter(run_report *r, const char *name, int64_t value);

/* ---- steps: one runs at a time ---- */

/* A step begins, and the one before ends; it is a band of the timeline. */
void report_step(run_report *r, int number, const char *name);
/* A sentence about the step that runs, or, after its end, that ran last: what
   was done, how long it took. Before the first step: nothing. */
void report_say(run_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A step that is not run, and why. */
void report_skip(run_report *r, int number, const char *name,
                 const char *reason);
/* The last step ends, and the run. */
void report_end(run_report *r);

/* ---- laws ---- */

typedef struct report_law {
  const char *id;    /* "I5" */
  const char *means; /* in about five words */
  uint64_t checks, broken;
  const char *first;  /* the first violation in a sentence; NULL: none */
  const char *excuse; /* why it could not be held to anything, NULL: no reason:
                         then a law without a check has not held */
} report_law;

enum report_verdict {
  REPORT_HELD,
  REPORT_BROKEN,
  REPORT_UNCHECKED, /* it should have been checked, and was not */
  REPORT_EXCUSED    /* it could not be checked */
};

/* The same id again replaces it. */
void report_add_law(run_report *r, const report_law *law);
enum report_verdict report_verdict_of(const report_law *law);
/* Whether a law has held, none is broken or was forgotten, and nothing of the
   report was lost (for want of memory, or beyond its limits; what the timeline
   had no room for does not count). */
bool report_is_clean(run_report *r);

/* ---- what is made of it ---- */

/* Lines of at most REPORT_TABLE_WIDTH characters, each with its end. */
void report_table(run_report *r, text *out);
/* The caller's; NULL: no memory. Its members are in replay(1). */
json_t *report_json(run_report *r);
/* Writes table.txt, replay.json, timeline.svg and, with a story, story.txt and
   story.md into the directory, which must be there. The runs are told in their
   order; the story is that of the first. Each file is there whole or not at
   all, 0644. false with a sentence. */
bool report_files(run_report *const *reports, size_t count, story *s,
                  const char *directory, char *error, size_t error_size);

#endif
