/* Files that are there in whole, or as they were before. */
#ifndef DEPLOYBOT_DURABLE_H
#define DEPLOYBOT_DURABLE_H

#include <stddef.h>

/* A file of a directory, of mode 600, on the disk when 0 is returned; else an
   errno. Written beside, as NAME.new. */
int durable_write(int dir, const char *name, const char *data, size_t len);

#endif
