/*
 * What an HTTP answer means for a feed: fatal, transient, or a matter of
 * credentials, by status and the server's words. And Retry-After.
 */
#ifndef CFI_REPLY_H
#define CFI_REPLY_H

#include "error.h"

typedef enum cfi_reply_class {
  CFI_REPLY_OK,        /* 200: read the body */
  CFI_REPLY_RETRY,     /* may be better next time */
  CFI_REPLY_AUTH,      /* 401, 403: renew credentials once, then fatal */
  CFI_REPLY_NO_DB,     /* the database is not there */
  CFI_REPLY_BAD_SINCE, /* the position was refused */
  CFI_REPLY_FATAL      /* our parameters are wrong and stay so */
} cfi_reply_class;

/* error and reason are the server's, absent when the body held none. */
cfi_reply_class cfi_reply_classify(int status, changefeed_str error,
                                   changefeed_str reason);
/* The result code that goes with a status other than 200. */
int cfi_reply_code(int status);

/* Retry-After: seconds or an HTTP date, as ms from wall_ms on, clamped to
   0..3,600,000; -1 when it is neither. */
int64_t cfi_reply_retry_after(const char *value, int64_t wall_ms);

#endif
