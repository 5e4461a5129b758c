/* `status --follow` and `list --follow`: each change as a line. With a database
   server to ask, by its changes feed; else by asking the API again and again.
 */
#ifndef APPS_FOLLOW_H
#define APPS_FOLLOW_H

#include "apps/apps.h"

int apps_follow(apps_run *run);
/* The time of day in UTC, for the beginning of a line; "" in JSON. */
const char *apps_follow_stamp(const apps_run *run, char *out, size_t size);
/* A mirror of the routes at a database server, by libchangefeed. */
int apps_follow_feed(apps_run *run, const char *couch);

#endif
