/*
 * SIGINT, SIGTERM and SIGHUP, taken by a thread that waits for them: the first
 * stops the feed, a later one ends the process at once.
 */
#ifndef CLI_STOPPER_H
#define CLI_STOPPER_H

#include <changefeed/changefeed.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sink.h"

/* Blocks the signals for all threads made from now on. */
void stopper_block(void);
/* Starts the thread. poke: told to look at stopper_asked, besides the feed.
   again: the exit status after a later signal. 0 or an errno. */
int stopper_start(sink *poke, int again);
/* The feed to stop; NULL before it is closed. */
void stopper_set_feed(changefeed *feed);
/* A loop to be woken instead, for those who look at stopper_asked. */
void stopper_set_loop(changefeed_loop *loop);
/* A signal touches nothing of the command's from here on: the feed and the sink
   may be freed. */
void stopper_forget(void);
/* A signal has come. */
const atomic_bool *stopper_asked(void);

#endif
