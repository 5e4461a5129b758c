/*
 * What mirror and diff stand on: the console, signals, a loop, and the order in
 * which they are begun and ended.
 */
#ifndef CLI_STAGE_H
#define CLI_STAGE_H

#include "args.h"
#include "console.h"
#include "report.h"

typedef struct stage {
  const args *args;
  console console;
  changefeed_loop *loop;
  report report; /* of what concerns no side */
} stage;

/* False after a message. To be closed in any case. */
bool stage_open(stage *s, const args *a);
/* Waits for work, at most so long (-1: no limit), and does it. False after a
   message: the loop cannot go on. */
bool stage_turn(stage *s, int wait_ms);
/* A signal has come. */
bool stage_is_stopped(void);
/* Nobody reads standard output any more, or it cannot be written. */
bool stage_is_deaf(stage *s);
/* Waits until all is written, but not for long after a signal. The status, or
   EXIT_TROUBLE after a message when it could not be written. */
int stage_finish(stage *s, int status);
/* When no mirror is left. Does not return when a thread hangs in the system. */
void stage_close(stage *s, int status);

#endif
