/* What a run was like, slice of time by slice of time: what visitors asked and
   got, what callers of the API were told, how far behind each balancer was and
   whether all had the same routes, drones, and what was wrong on purpose when.

   Any thread may record; memory is what the configuration asks for, from the
   beginning. All times are ms since the run began (timeline_now). What comes
   before 0 counts as 0; what comes later than the last slice is in the totals
   and in `beyond`, and in no slice. Strings are copied, cut at their bounds,
   and made clean: no control characters, UTF-8 only. A timeline that is NULL
   may be recorded to: nothing happens. */
#ifndef REPLAY_TIMELINE_H
#define REPLAY_TIMELINE_H

#include "common/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TIMELINE_BALANCERS = 8,       /* at most */
  TIMELINE_SECONDS_MOST = 3600, /* of a run */
  TIMELINE_BANDS = 256,         /* steps and faults */
  TIMELINE_MARKS = 256,
  TIMELINE_NAME = 64,   /* bytes of a name, with the zero */
  TIMELINE_DIGEST = 40, /* the same of a digest */
  TIMELINE_CODES = 100, /* E00 .. E99 */
  TIMELINE_BUCKETS = 1 + 21 * 8
};

typedef struct timeline timeline;

typedef struct timeline_config {
  int64_t slice_ms;   /* 100 .. 10,000; 0: 500 */
  unsigned seconds;   /* 1 .. TIMELINE_SECONDS_MOST; 0: 600 */
  unsigned balancers; /* at most TIMELINE_BALANCERS */
} timeline_config;

/* NULL: no memory, or a number that is out of its range. The run begins now. */
timeline *timeline_new(const timeline_config *config);
void timeline_free(timeline *t);
int64_t timeline_now(const timeline *t);

/* ---- visitors ---- */

enum timeline_outcome {
  TIMELINE_APP,     /* an app answered; whose, says foreign */
  TIMELINE_PAGE,    /* a balancer's page */
  TIMELINE_NOTHING, /* not connected, cut, late, or not HTTP */
  TIMELINE_LEFT,    /* the visitor went away on purpose */
  TIMELINE_OUTCOMES
};

typedef struct timeline_visit {
  int64_t asked_ms; /* when it was meant to be asked */
  int64_t ended_ms;
  int64_t first_us; /* from asked to the answer's first byte; -1: none came */
  enum timeline_outcome outcome;
  unsigned code; /* of a page: 1 is E01; beyond 99 counts as 0 */
  int status;    /* of HTTP; 0: none */
  bool foreign;  /* bytes of another app came, whatever the outcome */
} timeline_visit;

/* Asked counts where it was asked, all else where it ended. */
void timeline_add_visit(timeline *t, const timeline_visit *visit);

/* ---- the API ---- */

enum timeline_api {
  TIMELINE_LIVE,      /* 200 */
  TIMELINE_ACCEPTED,  /* 202, a new operation */
  TIMELINE_COALESCED, /* 202, the one that runs already */
  TIMELINE_OFTEN,     /* 429 */
  TIMELINE_FULL,      /* 503 */
  TIMELINE_OTHER,     /* any other, or none */
  TIMELINE_APIS
};

/* By status and the answer's "coalesced". */
enum timeline_api timeline_api_of(int status, bool coalesced);
void timeline_add_api(timeline *t, int64_t at_ms, enum timeline_api answer);

/* ---- what was looked at, say twice a second ---- */

/* The last one in a slice counts; in slices without one, the one before. */
void timeline_set_drones(timeline *t, int64_t at_ms, unsigned bound,
                         unsigned free, unsigned queue);
/* stale_ms: for how long nothing has proven that it is in step, the worst of a
   slice counts; -1: it cannot be asked. digest: what it holds, any text; NULL
   or
   "": not known. */
void timeline_set_balancer(timeline *t, int64_t at_ms, unsigned balancer,
                           int64_t stale_ms, const char *digest);
void timeline_set_database(timeline *t, int64_t at_ms, const char *digest);

/* ---- steps, faults, words ---- */

enum timeline_band { TIMELINE_STEP, TIMELINE_FAULT };

/* The number to end it with; -1: there were too many (counted in lost_bands),
   which may be ended all the same. A band that nobody ends ends with the run.
   number is a step's; of a fault it is not shown. */
int timeline_begin_band(timeline *t, int64_t at_ms, enum timeline_band kind,
                        int number, const char *name);
void timeline_end_band(timeline *t, int band, int64_t at_ms);
/* A word at a time: "prov-1 killed". Too many are counted in lost_marks. */
void timeline_mark(timeline *t, int64_t at_ms, const char *word);
/* The run is over; without it the last thing recorded is its end. */
void timeline_end(timeline *t, int64_t at_ms);

/* ---- reading it ---- */

typedef struct timeline_counts {
  uint32_t asked, outcomes[TIMELINE_OUTCOMES];
  uint32_t own, foreign; /* answers of the app that was asked for; visits to
                            which bytes of another came */
  uint32_t app_errors;   /* of the app's own answers, 5xx */
  uint32_t codes[TIMELINE_CODES];
  uint32_t apis[TIMELINE_APIS];
  uint32_t times[TIMELINE_BUCKETS]; /* first_us */
} timeline_counts;

typedef struct timeline_seen {
  bool known;       /* it was looked at, in this slice or before */
  int64_t stale_ms; /* -1: it could not be asked; of the database 0 */
  char digest[TIMELINE_DIGEST]; /* "": not known */
} timeline_seen;

typedef struct timeline_slice {
  timeline_counts counts;
  bool drones_known;
  unsigned bound, free, queue;
  timeline_seen balancers[TIMELINE_BALANCERS], database;
} timeline_slice;

typedef struct timeline_span {
  enum timeline_band kind;
  int number;
  int64_t begin_ms, end_ms; /* -1: not ended */
  char name[TIMELINE_NAME];
} timeline_span;

typedef struct timeline_word {
  int64_t at_ms;
  char word[TIMELINE_NAME];
} timeline_word;

typedef struct timeline_data {
  int64_t slice_ms, end_ms;
  unsigned balancers;
  timeline_counts total;
  uint32_t statuses[600]; /* of whole answers and pages, by HTTP's status */
  uint64_t beyond;        /* recorded later than the last slice */
  timeline_span bands[TIMELINE_BANDS];
  size_t band_count, lost_bands;
  timeline_word marks[TIMELINE_MARKS];
  size_t mark_count, lost_marks;
  size_t slice_count, slice_most; /* up to the end; for how many is room */
  timeline_slice slices[];
} timeline_data;

/* A copy of all, as it is at one moment, with what was looked at carried on
   into slices where nobody looked. free() it; NULL: no memory. */
timeline_data *timeline_take(timeline *t);
/* The upper bound in us of the smallest time that `share` (0 .. 1) of them do
   not exceed, to an eighth; -1: there are none. */
int64_t timeline_time(const timeline_counts *counts, double share);

/* ---- the picture ---- */

typedef struct timeline_picture {
  const timeline_data *data;
  const char *title;    /* "replay, the programs as they are" */
  const char *subtitle; /* seed, begin, versions; may be "" */
} timeline_picture;

/* One SVG, 1200 wide, all runs one under another on one scale of time. Nothing
   in it runs, and nothing comes from outside; it is light or dark as the reader
   wishes. */
void timeline_svg(const timeline_picture *pictures, size_t count, text *out);

#endif
