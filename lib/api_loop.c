/*
 * The public functions of loops.
 */
#include <limits.h>

#include "loop.h"

int changefeed_loop_new(changefeed_loop **out,
                        const changefeed_allocator *allocator) {
  if (out == NULL)
    return CHANGEFEED_ERR_INVALID;
  return cfi_loop_new(out, allocator);
}

void changefeed_loop_free(changefeed_loop *loop) {
  if (loop == NULL)
    return;
  if (loop->stepping) { /* a mistake of the caller; done when that is safe */
    loop->free_after = true;
    atomic_store(&loop->stop, true);
    return;
  }
  cfi_loop_free(loop);
}

void changefeed_loop_abandon(changefeed_loop *loop) {
  if (loop != NULL)
    cfi_loop_abandon(loop);
}

static int check(const changefeed_loop *loop) {
  if (loop == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (cfi_loop_is_forked(loop))
    return CHANGEFEED_ERR_FORKED;
  if (loop->stepping)
    return CHANGEFEED_ERR_REENTRANT;
  return CHANGEFEED_OK;
}

/* The feed that owned this loop was closed in a callback. */
static bool free_if_left(changefeed_loop *loop) {
  if (!loop->free_after)
    return false;
  cfi_loop_free(loop);
  return true;
}

int changefeed_loop_run(changefeed_loop *loop) {
  int rc = check(loop);

  if (rc != CHANGEFEED_OK)
    return rc;
  while (loop->alive != 0 && !atomic_exchange(&loop->stop, false)) {
    rc = cfi_loop_round(loop, -1);
    if (rc < 0 || free_if_left(loop))
      return rc < 0 ? rc : CHANGEFEED_OK;
  }
  return CHANGEFEED_OK;
}

int changefeed_loop_run_once(changefeed_loop *loop, int timeout_ms) {
  int rc = check(loop);
  bool woken, stopped;
  int64_t until;

  if (rc != CHANGEFEED_OK)
    return rc;
  cfi_loop_refresh(loop);
  until =
      timeout_ms < 0 ? CFI_NEVER : cfi_clock_after(loop->now_ms, timeout_ms);
  do {
    int64_t left = until == CFI_NEVER ? -1 : until - loop->now_ms;

    if (left < 0 && until != CFI_NEVER)
      left = 0;
    rc = cfi_loop_round(loop, left > INT_MAX ? INT_MAX : (int)left);
    if (rc < 0)
      return rc;
    if (free_if_left(loop))
      return CHANGEFEED_OK;
    woken = atomic_exchange(&loop->woken, false);
    stopped = atomic_exchange(&loop->stop, false);
    if (rc == CHANGEFEED_OK || woken || stopped)
      return CHANGEFEED_OK;
  } while (loop->now_ms < until);
  return CHANGEFEED_TIMEOUT;
}

int changefeed_loop_set_max_connecting(changefeed_loop *loop, unsigned limit) {
  if (loop == NULL || limit == 0)
    return CHANGEFEED_ERR_INVALID;
  if (cfi_loop_is_forked(loop))
    return CHANGEFEED_ERR_FORKED;
  cfi_ramp_set_limit(loop, limit);
  cfi_driver_wake(loop->driver); /* feeds whose turn this makes are ready */
  return CHANGEFEED_OK;
}

int changefeed_loop_fd(changefeed_loop *loop) {
  int fd;

  if (loop == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (cfi_loop_is_forked(loop))
    return CHANGEFEED_ERR_FORKED;
  fd = cfi_driver_fd(loop->driver);
  return fd < 0 ? (int)CHANGEFEED_ERR_UNSUPPORTED : fd;
}

int changefeed_loop_dispatch(changefeed_loop *loop) {
  int rc = check(loop);

  if (rc != CHANGEFEED_OK)
    return rc;
  rc = cfi_loop_round(loop, 0);
  (void)atomic_exchange(&loop->woken, false);
  (void)atomic_exchange(&loop->stop, false);
  (void)free_if_left(loop);
  return rc < 0 ? rc : CHANGEFEED_OK;
}

int changefeed_loop_stop(changefeed_loop *loop) {
  if (loop == NULL)
    return CHANGEFEED_ERR_INVALID;
  atomic_store(&loop->stop, true);
  cfi_driver_wake(loop->driver);
  return CHANGEFEED_OK;
}

int changefeed_loop_wakeup(changefeed_loop *loop) {
  if (loop == NULL)
    return CHANGEFEED_ERR_INVALID;
  atomic_store(&loop->woken, true);
  cfi_driver_wake(loop->driver);
  return CHANGEFEED_OK;
}
