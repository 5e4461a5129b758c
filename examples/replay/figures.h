/* Numbers and words as people read them in the replay's table, story and
   picture. Pure. */
#ifndef REPLAY_FIGURES_H
#define REPLAY_FIGURES_H

#include "common/text.h"
#include <stdint.h>

/* "1,234,567". */
void figures_count(text *out, uint64_t n);
/* "0.3 ms", "12 ms", "3.4 s", "171 s", of microseconds. */
void figures_time(text *out, int64_t us);
/* Characters, not bytes, of clean UTF-8. */
size_t figures_width(const char *s);
/* At most `most` characters of it, "..." at the end when it is cut. most is 4
   or more. */
void figures_cut(text *out, const char *s, size_t most);
/* The same, and spaces up to `most`. */
void figures_pad(text *out, const char *s, size_t most);
/* A sentence in lines of at most `width` characters, each but the first after
   `indent` spaces, cut at spaces; where it begins, `at` characters of the line
   are used already. With the end of the last line. */
void figures_wrap(text *out, const char *s, size_t at, size_t indent,
                  size_t width);

#endif
