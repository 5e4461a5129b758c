/*
 * Where a redirect points, and whether that is the same origin. Followed are
 * redirects by transfer.c itself: libcurl would take cookies, headers of the
 * application and the body of a log-in along.
 */
#ifndef CFI_TRANSFER_REDIRECT_H
#define CFI_TRANSFER_REDIRECT_H

#include <stdbool.h>

#include "alloc.h"

/* Scheme, host and port are the same. False also when a URL is unreadable, and
   without memory. */
bool cfi_redirect_same_origin(const char *a, const char *b);

/* The target of a Location header in an answer of the URL base, without
   anything secret, for messages. NULL: no memory. */
char *cfi_redirect_shown(const cfi_alloc *alloc, const char *base,
                         const char *location);

#endif
