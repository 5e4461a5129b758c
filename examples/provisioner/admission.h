/* Who may ask for what, how often: decided without I/O, on a clock that is
   handed in. One operation per app at a time; tokens per app and for all; a
   queue with a limit; the rate for all halves while the database is strained,
   and grows again. */
#ifndef PROVISIONER_ADMISSION_H
#define PROVISIONER_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct admission admission;

typedef struct admission_config {
  int64_t app_every_ms; /* a token of one app; 0: 10 s */
  int app_burst;        /* 0: 3 */
  int64_t ensure_ms;    /* live and asked again within: ensured; 0: 60 s */
  int64_t force_ms;     /* --force of one app at most; 0: 60 s */
  int rate;             /* of all, per second; 0: 50 */
  int rate_least;       /* 0: 1 */
  size_t queue_most;    /* 0: 1000 */
  size_t apps_most;     /* remembered at once; 0: 100000 */
} admission_config;

enum admission_verdict {
  ADMIT,          /* begin an operation */
  ADMIT_COALESCE, /* one is under way: its answer is this one's */
  ADMIT_ENSURE,   /* live: look whether it is, publish again where it lacks */
  ADMIT_MOVE,     /* forced: to another drone */
  ADMIT_RATE,     /* too often: retry_ms */
  ADMIT_FULL      /* the queue is: retry_ms */
};

typedef struct admission_question {
  const char *app;
  bool start; /* or stop */
  bool live;  /* the route says so, at the wanted gen */
  bool busy;  /* an operation for the same wish is under way */
  bool force;
  size_t queued; /* how many wait for a drone */
  int64_t now_ms;
} admission_question;

admission *admission_new(const admission_config *config); /* NULL: no memory */
void admission_free(admission *a);
enum admission_verdict admission_ask(admission *a, const admission_question *q,
                                     int64_t *retry_ms);
/* How the database is, once a second: halves the rate when p95 > 2 s or errors
   > 10 %, else adds a tenth of the configured rate. */
void admission_load(admission *a, int64_t p95_ms, int errors_percent,
                    int64_t now_ms);
int admission_rate(const admission *a);

#endif
