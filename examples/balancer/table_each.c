/* All hosts of a set, for who keeps a copy of it elsewhere; see table_int.h. */
#include "balancer/table_int.h"

void routes_each(const routes *s,
                 void (*each)(void *ctx, const route *r, size_t host),
                 void *ctx) {
  for (size_t i = 0; i < s->index->size; i++) {
    uint64_t value = atomic_load(&s->index->slots[i]);

    if (value != SLOT_NEVER && value != SLOT_GONE)
      each(ctx, slot_route(value), slot_host(value));
  }
}
