/*
 * The token bucket, in whole milliseconds of credit: a token is interval_ms of
 * them, so nothing is lost to rounding however often it is asked.
 */
#include "bucket.h"

static int64_t full(const cfi_bucket *b) {
  return b->capacity * b->interval_ms;
}

void cfi_bucket_init(cfi_bucket *b, int64_t capacity, int64_t interval_ms,
                     int64_t now_ms) {
  b->interval_ms = interval_ms > 0 ? interval_ms : 0;
  b->capacity = capacity > 0 ? capacity : 1;
  if (b->interval_ms != 0 && b->capacity > INT64_MAX / b->interval_ms)
    b->capacity = INT64_MAX / b->interval_ms;
  b->level = full(b);
  b->at_ms = now_ms;
}

/* A clock that went back gives nothing and takes nothing: time is counted on
   from there, which costs a request or two more instead of a stall. */
static void refill(cfi_bucket *b, int64_t now_ms) {
  if (now_ms > b->at_ms) {
    /* As unsigned the difference cannot overflow. */
    uint64_t gained = (uint64_t)now_ms - (uint64_t)b->at_ms;
    uint64_t missing = (uint64_t)(full(b) - b->level);

    b->level += (int64_t)(gained < missing ? gained : missing);
  }
  b->at_ms = now_ms;
}

int64_t cfi_bucket_wait_for(cfi_bucket *b, int64_t tokens, int64_t now_ms) {
  int64_t level = tokens * b->interval_ms;

  refill(b, now_ms);
  return b->level >= level ? 0 : level - b->level;
}

int64_t cfi_bucket_wait(cfi_bucket *b, int64_t now_ms) {
  return cfi_bucket_wait_for(b, 1, now_ms);
}

bool cfi_bucket_take(cfi_bucket *b, int64_t now_ms) {
  if (cfi_bucket_wait(b, now_ms) != 0)
    return false;
  b->level -= b->interval_ms;
  return true;
}

void cfi_bucket_refund(cfi_bucket *b, int64_t now_ms) {
  int64_t missing;

  refill(b, now_ms);
  missing = full(b) - b->level;
  b->level += missing < b->interval_ms ? missing : b->interval_ms;
}
