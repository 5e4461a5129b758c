/*
 * Children of the drone: who has ended is told to whom it belongs, and what
 * was left to the drone by others (it is their reaper) is buried.
 */
#ifndef DRONE_CHILD_H
#define DRONE_CHILD_H

#include <stdbool.h>
#include <uv.h>

typedef struct drone_children drone_children;

/* Makes this process the reaper of all that descends from it. NULL: no memory.
 */
drone_children *drone_children_new(uv_loop_t *loop);
void drone_children_close(drone_children *c); /* before the loop's last run */
void drone_children_free(drone_children *c);  /* after it */
/* ended is called once with the status of waitpid. Four at most: false. */
bool drone_children_watch(drone_children *c, pid_t pid,
                          void (*ended)(void *ctx, int status), void *ctx);

#endif
