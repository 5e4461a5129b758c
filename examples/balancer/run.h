/* The balancer itself: all parts in one loop, until it is told to end. */
#ifndef BALANCER_RUN_H
#define BALANCER_RUN_H

#include "balancer/options.h"

/* The status to exit with: 0 after a signal; of a shadow with --for, 1 when it
   has seen a difference. */
int run(const options *o);

#endif
