/* Times as people write and read them. Pure. */
#ifndef APPS_TIMES_H
#define APPS_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "30s", "30m", "2h", "3d": from now_ms on; or "2030-12-31T18:00Z", with
   seconds or without, always of UTC. Milliseconds since 1970. */
bool apps_time_read(const char *text, int64_t now_ms, int64_t *at_ms);
/* "2030-12-31T18:00:00Z"; "-" for a time there cannot be. */
const char *apps_time_show(int64_t at_ms, char *out, size_t size);
/* "12 s", "3 min", "5 h", "9 d". */
const char *apps_age_show(int64_t ms, char *out, size_t size);

#endif
