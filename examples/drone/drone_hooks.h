/*
 * Where a test makes the drone fail: DRONE_FAIL=POINT:kill ends it there by
 * SIGKILL, POINT:ENOSPC (EROFS, EIO) makes the call behind it fail. Only with
 * PLATFORM_HOOKS; otherwise nothing of it is compiled.
 */
#ifndef DRONE_HOOKS_H
#define DRONE_HOOKS_H

#ifdef PLATFORM_HOOKS
int drone_hook(const char *point); /* 0, or the errno to fail with */
#else
#define drone_hook(point) (0)
#endif

#endif
