/*
 * A name server that may be made to hang: a getaddrinfo in the C library's
 * place, in the programs that use this file. It knows no name.
 */
#ifndef CFT_NAMES_H
#define CFT_NAMES_H

#include <stdbool.h>

/* From now on a look-up does not end. */
void cft_names_hang(void);
/* Is one under way? user is not looked at: a condition for cft_loop_until. */
bool cft_names_resolving(void *user);
/* Look-ups fail at once again; returns when none is under way. */
void cft_names_let_go(void);

#endif
