/* Which page a route asks for that has no answer of an app. */
#include "balancer/pages.h"

static enum page page_of_state(enum route_state state) {
  switch (state) {
  case ROUTE_QUEUED:
    return PAGE_QUEUED;
  case ROUTE_STARTING:
    return PAGE_STARTING;
  case ROUTE_LIVE: /* with nothing in `to`: there is nobody to ask */
  case ROUTE_CRASHED:
  case ROUTE_FAILED:
    return PAGE_CRASHED;
  case ROUTE_STOPPED:
    break;
  }
  return PAGE_STOPPED;
}

/* Stopped is stopped, whatever `to` still names; in any other state a target
   serves on, though a new generation waits, starts or has failed. */
enum page page_of_route(const route *r) {
  enum route_state state = route_state(r);

  if (route_is_closed(r))
    return PAGE_APP_MAINTENANCE;
  if (state != ROUTE_STOPPED && route_target_count(r) != 0)
    return 0;
  return page_of_state(state);
}
