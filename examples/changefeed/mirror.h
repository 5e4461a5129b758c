/*
 * "changefeed mirror": one mirror from its opening to the exit status.
 */
#ifndef CLI_MIRROR_H
#define CLI_MIRROR_H

#include "args.h"

/* The exit status. Does not return when a thread hangs in the system. */
int mirror(const args *a);

#endif
