/* Waiting for an operation by looking at it, never by asking for it again. */
#ifndef APPS_OPERATION_H
#define APPS_OPERATION_H

#include "apps/apps.h"

enum apps_goal { GOAL_LIVE, GOAL_STOPPED, GOAL_GONE };

/* reply: of the call that began it, 2xx. Waits until the goal is reached or
   cannot be, and tells how it ended; the exit status. */
int apps_op_wait(apps_run *run, enum apps_goal goal, const rest_reply *reply);

/* What a state means for a goal: an exit status, or -1: it is not over. Pure.
 */
int apps_op_status(enum apps_goal goal, const char *state, const char *code);

#endif
