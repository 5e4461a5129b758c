/* What visitors see while much goes wrong, in an order that a seed gives, in
 * the world of examples/replay/visit.
 *
 *   main.c     one run for each seed, and its phases
 *   options.c  what a run is asked for
 *   trouble.c  what goes wrong, and when */
#ifndef PLATFORM_PHASES_H
#define PLATFORM_PHASES_H

#include "replay/visit/visit.h"

/* -1: run; else the program's exit status. */
int visit_options_read(visit_options *o, options *ko, int argc, char **argv);
/* Prints how the run of this seed is asked for. */
void visit_options_again(const visit_options *o, uint64_t seed);

/* Much goes wrong, at once, for as long as the options say. */
void trouble(visit *v);
/* The database is away, and comes back. */
void away(visit *v);

#endif
