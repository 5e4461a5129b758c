/*
 * Finds the end of a JSON object in bytes that arrive in pieces, by quotes,
 * escapes and depth alone. The hot loop of reading a feed: nothing else looks
 * at every byte. That the object is JSON is for others to find out. There is a
 * path for each kind of processor; all of them answer the same.
 */
#ifndef CFI_SCAN_H
#define CFI_SCAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cfi_scan {
  size_t depth;
  size_t inner; /* where in the object the last value directly within it that
                   is an object or an array begins; 0: there was none yet */
  bool in_string;
  bool escaped; /* the last byte seen was a backslash in a string */
} cfi_scan;

typedef enum cfi_scan_result {
  CFI_SCAN_MORE,     /* all was looked at, and the object goes on */
  CFI_SCAN_END,      /* the object ended with the last byte looked at */
  CFI_SCAN_TOO_DEEP, /* more than max_depth objects and arrays in each other */
  CFI_SCAN_CONTROL,  /* a control character in a string */
  CFI_SCAN_BREAK     /* a line break where one_line forbids it */
} cfi_scan_result;

typedef struct cfi_scan_text {
  const char *end;
  bool ascii;
} cfi_scan_text;

typedef struct cfi_scan_path {
  const char *name;
  /* Looks at data from *pos to len, and moves *pos behind the last byte looked
     at. data[0] is the object's {. The object begins at a zeroed cfi_scan; an
     END leaves it ready for the next one, with this one's inner. Nothing is of
     use after the other results. */
  cfi_scan_result (*object)(cfi_scan *s, size_t max_depth, bool one_line,
                            const char *data, size_t len, size_t *pos);
  /* From p on: the first quote, backslash or control character, or end; and
     whether all before it is ASCII. */
  cfi_scan_text (*plain)(const char *p, const char *end);
} cfi_scan_path;

/* The fastest path of this processor. */
const cfi_scan_path *cfi_scan_best(void);
/* All the paths this processor can go, the portable one first; NULL at the end.
   So that tests can hold them to each other. */
const cfi_scan_path *cfi_scan_path_at(size_t index);

#endif
