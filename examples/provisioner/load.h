/* How the database does, as those who write see it: the last writes, how long
   each took and whether it went wrong. Any thread. */
#ifndef PROVISIONER_LOAD_H
#define PROVISIONER_LOAD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct load load;

load *load_new(void);
void load_free(load *l);
void load_note(load *l, int64_t took_ms, bool failed, int64_t now_ms);
/* Over the last 30 s; 0 and 0 when nothing was written. */
void load_read(load *l, int64_t now_ms, int64_t *p95_ms, int *errors_percent);

#endif
