/* A few threads for what would block the loop: each has its own connections to
   the databases. Tasks come from the loop's thread and go back to it. */
#ifndef PROVISIONER_DESK_H
#define PROVISIONER_DESK_H

#include "common/docs.h"
#include <uv.h>

typedef struct desk desk;
typedef struct desk_task desk_task;

typedef struct desk_hands {
  docs *apps, *locks;
  const char *apps_name; /* of the database */
} desk_hands;

struct desk_task {
  void (*work)(desk_task *task, desk_hands *hands); /* on a thread */
  void (*done)(desk_task *task);                    /* on the loop's */
  desk_task *next;
};

typedef struct desk_config {
  const char *couch, *apps, *locks; /* have to outlive it */
  size_t threads;
  size_t most; /* tasks that wait; beyond, desk_do refuses */
} desk_config;

/* NULL with a sentence. */
desk *desk_open(uv_loop_t *loop, const desk_config *config, char *error,
                size_t error_size);
/* false: too many wait already. */
bool desk_do(desk *d, desk_task *task);
size_t desk_waiting(desk *d);
/* Every task is done, and its done was called, before closed is. Nothing may be
   handed over any more, but by those. */
void desk_close(desk *d, void (*closed)(void *ctx), void *ctx);

#endif
