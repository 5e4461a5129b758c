/*
 * A process between the drone and its app: parent of the app, and of all that
 * the app leaves behind, so that nothing gets away. It ends the app when it is
 * told to, or when the drone is gone, however that came; itself it ends when
 * not one process of the app is left.
 */
#ifndef DRONE_KEEPER_H
#define DRONE_KEEPER_H

#include <stdint.h>
#include <sys/types.h>

typedef struct drone_launch {
  const char *command; /* for /bin/sh -c */
  const char *cwd;
  char *const *env; /* all of it; the mark comes first */
  int out;          /* its output; the keeper's copy is closed */
  int64_t memory_mb, files, processes, file_mb; /* limits; 0: as they are */
  int64_t stop_ms; /* between SIGTERM and SIGKILL */
} drone_launch;

/* What the keeper tells, each in one write. */
enum drone_told { DRONE_TOLD_PID, DRONE_TOLD_EXIT };

typedef struct drone_news {
  int32_t what;
  int32_t value; /* the app's pid, or its status as waitpid gives it */
} drone_news;

/* Forks. channel: the drone's end, not blocking: news come from it; a byte sent
   is the order to stop; closed by the keeper's end. The pid, or -1 and errno.
   For a process with one thread only. */
pid_t drone_keeper_fork(const drone_launch *launch, int *channel);
/* The keeper's exit status when the app and all of its processes are gone. */
enum { DRONE_KEEPER_CLEAN = 0, DRONE_KEEPER_FAILED = 71 };

#endif
