/* A balancer that serves nobody: it follows, builds its table, and compares
   what it would do with what the live balancers do. So a new version is tried
   on the live state before it takes a visitor.

   Compared are the digests (peers.h), and for every host, some in a round, the
   answer: whether the peer serves it by the claim this table has. What differs
   once may be a change on its way: it counts when the same still differs 2 s
   later. */
#ifndef BALANCER_SHADOW_H
#define BALANCER_SHADOW_H

#include "balancer/follow.h"
#include "balancer/peers.h"

typedef struct shadow shadow;

typedef struct shadow_config {
  follow *follow;
  peers *peers;
  const char *const *urls; /* the peers' admin faces */
  size_t url_count;
  int64_t every_ms; /* 0: 2 s */
  metrics *metrics;
} shadow_config;

/* NULL with a sentence. */
shadow *shadow_start(uv_loop_t *loop, const shadow_config *config, char *error,
                     size_t size);
/* Hosts compared, and what differed, digests included, since the start. */
uint64_t shadow_compared(const shadow *s);
uint64_t shadow_differences(const shadow *s);
/* Every host was compared once at least, and every peer answered. */
bool shadow_is_round(const shadow *s);
/* Ends what is under way within 2 s; then done. */
void shadow_close(shadow *s, void (*done)(void *ctx), void *ctx);

#endif
