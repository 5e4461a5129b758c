/* What the table says of a host, copied out of it: a target, or why there is
   none. */
#include "balancer/plane_state.h"

#include <stdio.h>
#include <string.h>

static bool is_same(const route_target *a, const route_target *b) {
  return strcmp(a->addr, b->addr) == 0 && strcmp(a->claim, b->claim) == 0;
}

/* The one with the fewest exchanges under way, but not the one that was asked
   before. Which is looked at first goes round, so that equals share. */
static bool choose_target(visit *v, const route *r) {
  plane_worker *w = v->worker;
  size_t count = route_target_count(r), first = w->turn++, least = SIZE_MAX;
  route_target best, one;

  for (size_t i = 0; i < count; i++) {
    size_t load = 0;

    route_target_at(r, (first + i) % count, &one);
    if (v->passed && is_same(&one, &v->target))
      continue;
    if (count > 1)
      load = busy_count(&w->claims, one.claim);
    if (load >= least)
      continue;
    least = load;
    best = one;
  }
  if (least == SIZE_MAX)
    return false;
  v->target = best;
  return true;
}

/* What is for people: a place in the line, a maintenance's message. The words
   of a failure are for the app's owner and may tell what is inside. */
static void keep_words(visit *v, const route *r, enum page page) {
  char code[32];

  if (page == PAGE_QUEUED || page == PAGE_APP_MAINTENANCE)
    route_words(r, code, v->detail);
}

static bool look_at(visit *v, const route *r, enum page *page) {
  route_app(r, v->app);
  *page = page_of_route(r);
  if (*page == 0)
    return choose_target(v, r);
  keep_words(v, r, *page);
  return false;
}

bool plane_choose(visit *v, http_str host, enum page *page) {
  plane_worker *w = v->worker;
  const table *t = w->plane->config.table;
  const table_notice *notice;
  const route *r;
  bool found = false;

  v->detail[0] = '\0';
  table_online(w->plane->config.table, w->number);
  notice = table_get_notice(t);
  if (!table_is_ready(t)) {
    *page = PAGE_NOT_SYNCED;
  } else if (notice->full) {
    *page = PAGE_MAINTENANCE;
    (void)snprintf(v->detail, sizeof v->detail, "%s", notice->msg);
  } else if ((r = table_find(t, host.data, host.len)) == NULL) {
    *page = PAGE_UNKNOWN;
  } else {
    found = look_at(v, r, page);
  }
  table_offline(w->plane->config.table, w->number);
  return found;
}
