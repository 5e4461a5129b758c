/*
 * Finds processes that belong to a drone's app by what /proc says, and ends
 * them: those that carry the drone's mark in their environment, those in the
 * group of the keeper that was noted, and all that descend from them.
 */
#ifndef DRONE_SWEEP_H
#define DRONE_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DRONE_MARK "DRONE_MARK"

typedef struct drone_process {
  pid_t pid, parent, session;
  uint64_t start; /* ticks since the machine's boot */
  char state;     /* 'Z': dead, waits for its parent */
  bool ours;
} drone_process;

/* false: there is none of that number. */
bool drone_process_read(pid_t pid, drone_process *p);

typedef struct drone_prey {
  const char *mark; /* value of DRONE_MARK, or NULL */
  pid_t root;       /* all that descend from it, not itself; 0: none */
  pid_t keeper;     /* it and its session too; 0: none */
  uint64_t keeper_start;
} drone_prey;

/* "PID START BOOT" of a process, as it is noted; and back: false when it is not
   of this boot of the machine, or not such a line. */
bool drone_keeper_note(pid_t pid, char *out, size_t size);
bool drone_keeper_noted(const char *note, drone_prey *prey);

/* Kills what it finds, once. Living processes found, or -1 without /proc. */
int drone_sweep_once(const drone_prey *prey);
/* Until nothing is left or ms have gone; what is left. killed: of all passes.
 */
int drone_sweep(const drone_prey *prey, int64_t ms, int *killed);

#endif
