/* What every program of the platform does the same way around its loop: its
   name among its like, signals that end it, the file that says where it is. */
#ifndef PLATFORM_PROGRAM_H
#define PLATFORM_PROGRAM_H

#include "common/config.h"
#include "common/ids.h"
#include <uv.h>

/* --id, or "INITIAL-" and eight random digits where it was not given. false
   with a sentence. */
bool program_id(const config *c, char initial, char id[NAME_MOST + 1],
                char *error, size_t size);

/* SIGTERM and SIGINT, on the loop's thread: each calls end; where that says
   that the program is ending already, it is ended at once, with status 1. */
typedef struct program_signals {
  uv_signal_t handles[2];
  bool (*end)(void *ctx);
  void *ctx;
} program_signals;

/* false: they cannot be watched. */
bool program_signals_open(program_signals *s, uv_loop_t *loop,
                          bool (*end)(void *ctx), void *ctx);
void program_signals_close(program_signals *s);

/* The program is ready: writes lines to the file that --port-file names, where
   it does, whole or not at all, because somebody waits for it; and tells
   systemd, where that has started us and waits to be told (Type=notify). false
   with a sentence. */
bool program_ready(const config *c, const char *lines, char *error,
                   size_t size);

#endif
