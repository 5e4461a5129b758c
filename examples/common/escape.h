/* Words of others made fit for a page, a picture or JSON. Pure. */
#ifndef PLATFORM_ESCAPE_H
#define PLATFORM_ESCAPE_H

#include "common/text.h"

/* Makes them harmless for people's eyes: what is no UTF-8 becomes U+FFFD,
   control characters, line and paragraph ends, marks that turn the direction of
   writing and what XML does not allow become spaces. At most `most` bytes are
   added. */
void escape_clean(text *out, const char *s, size_t most);
/* The same into a buffer of `size` bytes, cut between letters, with its zero;
   NULL is "". */
void escape_copy(char *to, size_t size, const char *from);
/* Clean text as HTML and XML have it, between tags and within quotes. */
void escape_markup(text *out, const char *s);
/* A JSON string with its quotes; s need not be clean. */
void escape_json(text *out, const char *s);

#endif
