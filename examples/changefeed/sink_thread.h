/*
 * The thread's side of a sink; for sink.c alone.
 */
#ifndef CLI_SINK_THREAD_H
#define CLI_SINK_THREAD_H

#include "sink.h"

void *sink_thread(void *sink);
/* Ends the thread's wait, this one or the next. */
void sink_wake(const sink *s);

#endif
