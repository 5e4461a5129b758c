/* The way to whatever engine there is; see engine.h. */
#include "balancer/engine.h"

const char *engine_address(const engine *e) { return e->ops->address(e); }

void engine_changed(engine *e, const route *was, const route *is) {
  e->ops->changed(e, was, is);
}

void engine_replaced(engine *e) { e->ops->replaced(e); }

void engine_noticed(engine *e) { e->ops->noticed(e); }

bool engine_is_applied(engine *e, const route *r) {
  return e->ops->is_applied(e, r);
}

void engine_get_status(engine *e, engine_status *out) {
  e->ops->get_status(e, out);
}

void engine_drain(engine *e, void (*done)(void *ctx), void *ctx) {
  e->ops->drain(e, done, ctx);
}

void engine_close(engine *e) { e->ops->close(e); }
