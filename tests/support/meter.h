/*
 * An allocator for a loop that counts the bytes it has given out.
 */
#ifndef CFT_METER_H
#define CFT_METER_H

#include <stddef.h>

/* Now, and the most since both were set to 0 by the test. */
extern size_t cft_meter_held, cft_meter_most;

void *cft_meter_resize(void *ctx, void *old, size_t size);
void cft_meter_release(void *ctx, void *old);

#endif
