/* The claim protocol under faults, in an order that a seed gives, in the world
 * of examples/replay/world.
 *
 *   main.c     one run for each seed
 *   options.c  what a run is asked for
 *   trouble.c  what goes wrong, and when */
#ifndef PLATFORM_KERNEL_H
#define PLATFORM_KERNEL_H

#include "replay/world/world.h"

/* -1: run; else the program's exit status. */
int options_read(options *o, int argc, char **argv);
/* Prints how the run of this seed is asked for. */
void options_again(const options *o, uint64_t seed);

/* On the thread of main: the programs die with the thread that started them.
   Returns when the trouble is over. */
void trouble(run *r);

#endif
