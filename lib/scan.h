/*
 * Finds the end of a JSON object in bytes that arrive in pieces, by quotes,
 * escapes and depth alone. The hot loop of reading a feed: nothing else looks
 * at every byte. That the object is JSON is for others to find out.
 */
#ifndef CFI_SCAN_H
#define CFI_SCAN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cfi_scan {
  size_t depth;
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

/* Looks at data from *pos to len, and moves *pos behind the last byte looked
   at. The first object begins at a zeroed cfi_scan and its {; an END leaves it
   zeroed for the next one. Nothing is of use after the other results. */
cfi_scan_result cfi_scan_object(cfi_scan *s, size_t max_depth, bool one_line,
                                const char *data, size_t len, size_t *pos);

#endif
