/*
 * Removes all that is in a directory, however deep and whatever its modes;
 * nothing outside, and no link is followed.
 */
#ifndef DRONE_WIPE_H
#define DRONE_WIPE_H

#include <sys/types.h>

/* What is below name in the directory dir, but for one entry (NULL: none is
   spared); name itself stays, and is made (0700) where it lacks. 0 or errno. */
int drone_wipe(int dir, const char *name, const char *spared);
/* Removes the tree name, too. */
int drone_wipe_tree(int dir, const char *name);

#endif
