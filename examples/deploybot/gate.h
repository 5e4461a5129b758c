/* Whether a deploy that nobody watches may be made now. */
#ifndef DEPLOYBOT_GATE_H
#define DEPLOYBOT_GATE_H

#include "common/text.h"
#include "deploybot/state.h"
#include <jansson.h>

/* Exit statuses; scripts rely on them. */
enum {
  GATE_OPEN = 0,
  GATE_UNKNOWN = 1, /* what counts cannot be read */
  GATE_FREEZE = 3,
  GATE_FEW = 4,
  GATE_FAILED = 5,
  GATE_OLD = 6
};

enum { ONCALL_MOST = 64, NAME_BYTES_MOST = 120 };

/* The document sys:freeze. */
typedef struct freeze {
  bool any;               /* a freeze is spoken of */
  int64_t from_ms, to_ms; /* INT64_MIN and INT64_MAX: open */
  int64_t need, oncall;   /* different names */
  char names[512];        /* for the sentence; may be cut */
} freeze;

/* doc NULL: there is none. false with a sentence. Pure. */
bool freeze_read(const json_t *doc, freeze *out, char *why, size_t size);
/* Adds a sentence and a line's end for each reason against a deploy; the exit
   status of the first. Pure. */
int gate_freeze(const freeze *f, int64_t now_ms, text *out);
int gate_history(const history *h, int64_t max_age_ms, int64_t now_ms,
                 text *out);

/* The first of two statuses that is not GATE_OPEN. */
int gate_first(int a, int b);

typedef struct gate_config {
  const char *couch, *apps, *state;
  int64_t max_age_ms;
} gate_config;

/* Asks, and tells on standard error. The exit status. */
int gate(const gate_config *config);

#endif
