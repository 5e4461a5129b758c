/*
 * A token bucket over requests: a request takes a token before it is made, and
 * gives it back when it turns out to have been productive. What stays taken
 * is the rate of requests that achieved nothing.
 */
#ifndef CFI_BUCKET_H
#define CFI_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cfi_bucket {
  int64_t capacity;    /* tokens */
  int64_t interval_ms; /* for one token */
  int64_t level;       /* tokens * interval_ms */
  int64_t at_ms;       /* when level was true */
} cfi_bucket;

void cfi_bucket_init(cfi_bucket *b, int64_t capacity, int64_t interval_ms,
                     int64_t now_ms);
/* 0 when a token is there, else the ms until there is one. Takes nothing. */
int64_t cfi_bucket_wait(cfi_bucket *b, int64_t now_ms);
/* The same for several at once, at most the capacity. */
int64_t cfi_bucket_wait_for(cfi_bucket *b, int64_t tokens, int64_t now_ms);
/* Takes a token; false when there is none. */
bool cfi_bucket_take(cfi_bucket *b, int64_t now_ms);
/* Gives one back. */
void cfi_bucket_refund(cfi_bucket *b, int64_t now_ms);

#endif
