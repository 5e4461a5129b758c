/* Calls of the API that are repeated when that makes sense: when the server
   says so, by Retry-After, and when it could not be heard. All of it within the
   time of the run. */
#ifndef APPS_CALL_H
#define APPS_CALL_H

#include "apps/apps.h"

typedef struct apps_answer {
  rest_reply reply;
  bool doubted; /* an earlier one of the same call may have been done */
} apps_answer;

/* True for an answer of 2xx; else answer->reply says what came last. */
bool apps_call(apps_run *run, const char *method, const char *path,
               const json_t *body, apps_answer *answer);
void apps_answer_free(apps_answer *answer);
/* Tells why it was refused; the exit status. */
int apps_refused(apps_run *run, const apps_answer *answer);

/* How long to wait before the same call is made again; -1: it would not help.
   tries: how often it was made. Pure but for the jitter. */
int64_t apps_again_ms(apps_run *run, const rest_reply *reply, int tries);
/* The exit status that a refusal means. */
int apps_exit_of(int status, const char *code);
/* "/apps/NAME" and what follows. */
const char *apps_path(const apps_run *run, const char *more, char *out,
                      size_t size);
/* A member of an object as a string, or NULL. */
const char *apps_text(const json_t *object, const char *name);

#endif
