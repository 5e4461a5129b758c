/*
 * "changefeed diff": two databases, or snapshots of them, compared.
 */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include "args.h"

/* The exit status. Does not return when a thread hangs in the system. */
int diff(const args *a);

#endif
