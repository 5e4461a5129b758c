/* What several programs do with files. */
#ifndef PLATFORM_FILES_H
#define PLATFORM_FILES_H

#include <stddef.h>

/* All of it, whatever signals come; 0, or an errno: then some may be written.
 */
int files_write_all(int fd, const char *data, size_t len);

#endif
