/*
 * The settings of one request: the way to the server, credentials, headers, URL
 * and body.
 */
#ifndef CFI_TRANSFER_SET_H
#define CFI_TRANSFER_SET_H

#include "transfer.h"

/* In a function with t and rc: remembers the first failure of a row of
   settings. */
#define CFI_SET(option, value)                                                 \
  do {                                                                         \
    if (rc == CURLE_OK)                                                        \
      rc = curl_easy_setopt(t->easy, (option), (value));                       \
  } while (0)

CURLcode cfi_transfer_set(cfi_transfer *t, const cfi_request *request);

#endif
