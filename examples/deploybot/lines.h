/* The last line of a mail: one of a file's, by chance. */
#ifndef DEPLOYBOT_LINES_H
#define DEPLOYBOT_LINES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lines lines;

enum { LINES_MOST = 1000, LINES_BYTES_MOST = 64 * 1024 };

/* Not empty, without those that begin with #. NULL with a sentence. */
lines *lines_read(const char *path, char *error, size_t size);
void lines_free(lines *l);
/* NULL: l is NULL. */
const char *lines_pick(const lines *l);

#endif
