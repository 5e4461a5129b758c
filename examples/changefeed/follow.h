/*
 * Following one feed from its opening to the exit status: callbacks, rows,
 * signals, and the order of things at the end.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "args.h"

/* The exit status. Does not return when a thread hangs in the system. */
int follow(const args *a);

#endif
