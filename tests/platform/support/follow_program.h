/* A balancer in a process of its own, that follows the database of a
   follow_world, and is asked over HTTP what it holds. */
#ifndef FOLLOW_PROGRAM_H
#define FOLLOW_PROGRAM_H

#include "platform/support/follow_world.h"

#include "support/proc.h"

typedef struct follow_program {
  follow_world *world;
  cft_proc *proc;
  char admin[128]; /* its URL */
} follow_program;

/* With these arguments besides, up to a NULL (or NULL: none); balancer_hooked
   where they begin with --naive. Returns when it has said where it listens. */
void follow_program_start(follow_program *p, follow_world *w,
                          const char *const *more);
void follow_program_stop(follow_program *p); /* SIGTERM, status 0 */
void follow_program_kill(follow_program *p); /* SIGKILL */
/* What it holds of APP.test; -1: nothing. */
int64_t follow_program_gen(follow_program *p, const char *app);

#define FOLLOW_AWAIT_GEN(p, app, gen)                                          \
  FOLLOW_AWAIT((p)->world, (follow_world_for((p)->world, 20),                  \
                            follow_program_gen((p), (app)) == (gen)))

#endif
