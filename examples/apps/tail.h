/* What is new at the end of a text of which only the end is seen. Pure. */
#ifndef APPS_TAIL_H
#define APPS_TAIL_H

#include <stdbool.h>
#include <stddef.h>

/* seen is the end of a text, now its end some time later; how many bytes at the
   beginning of now were seen already: as many as can be. *lost: none were,
   though something had been; there may be a gap. false for want of memory. */
bool apps_tail_known(const char *seen, size_t seen_len, const char *now,
                     size_t now_len, size_t *known, bool *lost);

#endif
