/* What the workers have to look at: names, each looked at by one worker at a
   time, first come, first served. A name that is asked for while it is being
   looked at is looked at once more afterwards; one can also be due at a time.
   Any thread. */
#ifndef PROVISIONER_JOBS_H
#define PROVISIONER_JOBS_H

#include "common/documents.h"
#include "common/ids.h"

enum { KEY_MOST = 95, FORGET = -1 };

/* What the looks at one name remember: only the worker that has it. Nothing is
   lost with it but time. */
typedef struct job_memory {
  char claim[CLAIM_LEN + 1]; /* the one that the next three are about */
  int64_t bind_ms, start_ms; /* its steps began then; 0: not yet */
  bool heal;                 /* it was told 202: others may lie beside it */
  int64_t whole_ms;          /* this start began then */
  int64_t checked_ms;        /* health was asked */
  int64_t bad_ms;            /* no answer since; 0: well */
  bool stranger;             /* told: the database has never had it */
} job_memory;

typedef struct job {
  char key[KEY_MOST + 1];
  job_memory memory;
  /* the rest is of jobs.c */
  struct job *next_hash, *next;
  int64_t due_ms;
  size_t at; /* place in the heap, from 1; 0: not in it */
  bool running, ready, again;
} job;

typedef struct jobs jobs;

jobs *jobs_new(void);
void jobs_free(jobs *j);
void jobs_look(jobs *j, const char *key);
void jobs_later(jobs *j, const char *key, int64_t ms); /* or sooner */
/* Waits for one; NULL after jobs_stop. */
job *jobs_take(jobs *j);
/* Again in so many ms, or FORGET; at once if it was asked for meanwhile. */
void jobs_done(jobs *j, job *one, int64_t again_ms);
void jobs_stop(jobs *j);
bool jobs_stopping(const jobs *j);
/* Waits so long, or until jobs_stop: false then. */
bool jobs_pause(jobs *j, int64_t ms);
size_t jobs_waiting(jobs *j); /* that could be looked at now */

#endif
