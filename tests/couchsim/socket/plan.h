/*
 * What is to go wrong with one request: the faults that the rules of rules.h
 * have drawn for it. All zero but for the fields with -1 (see couch_plan_init)
 * is a healthy request.
 */
#ifndef COUCHSIM_PLAN_H
#define COUCHSIM_PLAN_H

#include "world.h"

typedef enum couch_then { /* instead of the answer */
                          COUCH_THEN_ANSWER,
                          COUCH_THEN_SILENCE,
                          COUCH_THEN_CLOSE,
                          COUCH_THEN_RESET
} couch_then;

typedef struct couch_plan {
  /* The whole request. */
  int64_t delay_ms; /* before it is looked at */
  int status;       /* an answer without looking at it; 0: none */
  char *error, *reason, *body, *headers;
  int64_t head_ms; /* it is done, the head comes so much later */
  couch_then then;
  int64_t apply_ms; /* -1; else it is done so much later, answered at once */
  bool anonymous;   /* as if no credentials had come */

  /* Its bytes, counted behind the head as they are on the wire. */
  int64_t cut_at;  /* -1 */
  bool cut_reset;  /* RST, not FIN */
  int64_t mute_at; /* -1; silence from there on */
  size_t slice;    /* bytes of one send; 0: as many as go */
  int64_t slice_ms;

  /* A feed; rows counted within the response, -1 is never. */
  double repeat;       /* chance of a row to come twice */
  double old;          /* chance of an older revision before a row */
  double reorder;      /* chance of some rows to change places */
  int64_t rewind;      /* updates per shard to go back */
  bool rewind_all;     /* to 0 */
  int64_t rewind_rows; /* after so many rows; 0: at the beginning */
  int64_t end_rows;    /* last_seq after so many rows */
  int64_t end_ms;      /* or so long after it began */
  int64_t error_rows;  /* an error in the body */
  int error_status;    /* 0: a line; else a second response */
  int64_t stall_rows;  /* silence */
  bool stall_beats;    /* with heartbeats */
  bool has_pending;    /* `pending` stands for the setting */
  couch_shown pending;
} couch_plan;

void couch_plan_init(couch_plan *plan);
void couch_plan_free(couch_plan *plan);

#endif
