/* Looks twice a second: drones, the queue, what the database and each balancer
 * hold, and for how long each was not proven to be in step. It is what the
 * picture shows; judged is I12 here, and what programs need (flat.c). */
#include "replay/replay.h"

#include <string.h>

enum { EVERY_MS = 500, ASK_MS = 2000, FLAT_EVERY = 4 };

static bool is_state(const json_t *row, const char *state) {
  const char *is =
      json_string_value(json_object_get(json_object_get(row, "doc"), "state"));
  return is && strcmp(is, state) == 0;
}

static unsigned count(const json_t *rows, const char *state) {
  const json_t *row;
  unsigned n = 0;
  size_t i;
  json_array_foreach(rows, i, row) n += is_state(row, state);
  return n;
}

static void look_at_database(replay *r, rest *couch) {
  json_t *drones = couch_rows(couch, r->v->k.locks, "drone");
  json_t *routes = couch_rows(couch, r->v->k.apps, "route");
  int64_t now = replay_now(r);
  char digest[DIGEST_SIZE] = "";
  if (routes) {
    digest_of_rows(routes, digest);
    timeline_set_database(r->t, now, digest);
    r->queued = count(routes, "queued");
  }
  if (drones) {
    r->bound_drones = count(drones, "bound");
    r->free_drones = count(drones, "free");
    r->moving_drones = (unsigned)json_array_size(drones) - r->bound_drones -
                       r->free_drones - count(drones, "dead");
    timeline_set_drones(r->t, now, r->bound_drones, r->free_drones, r->queued);
  }
  json_decref(drones);
  json_decref(routes);
}

static void look_at_balancer(replay *r, unsigned i) {
  const balancer *b = &r->v->balancers[i];
  json_t *all = b->life % 2 == 1 ? balancer_get(b, "/digest", ASK_MS) : NULL;
  const json_t *fresh = json_object_get(all, "fresh_ms");
  timeline_set_balancer(r->t, replay_now(r), i,
                        json_is_integer(fresh) && json_integer_value(fresh) >= 0
                            ? json_integer_value(fresh)
                            : -1,
                        json_string_value(json_object_get(all, "digest")));
  json_decref(all);
}

void *pulse_main(void *arg) {
  replay *r = arg;
  rest *couch = couch_looker(&r->v->k);
  for (unsigned n = 0; !r->pulse_end; n++) {
    look_at_database(r, couch);
    for (unsigned i = 0; i < BALANCERS; i++)
      look_at_balancer(r, i);
    if (n % FLAT_EVERY == 0)
      flat_look(r);
    sleep_ms(EVERY_MS);
  }
  rest_free(couch);
  return NULL;
}
