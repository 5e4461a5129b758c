/* A loop of feeds within libuv's: whenever its descriptor is readable its feeds
   go on, and then whoever owns them is told. */
#ifndef PLATFORM_FEED_POLL_H
#define PLATFORM_FEED_POLL_H

#include <changefeed/changefeed.h>
#include <stdbool.h>
#include <uv.h>

typedef struct feed_poll feed_poll;

/* after is called behind each round of the feeds, with what
   changefeed_loop_dispatch answered; if that is an error nothing is polled any
   more until feed_poll_resume. NULL: no memory, or no descriptor. */
feed_poll *feed_poll_open(uv_loop_t *loop, changefeed_loop *feeds,
                          void (*after)(void *ctx, int rc), void *ctx);
bool feed_poll_resume(feed_poll *p);
/* At once; the memory goes when the loop has closed the handle. NULL is
   allowed. To be called before feeds is freed. */
void feed_poll_close(feed_poll *p);

#endif
