/* One look at an app, as its parts share it. Internal to app*.c. */
#ifndef PROVISIONER_APP_STATE_H
#define PROVISIONER_APP_STATE_H

#include "provisioner/kernel_state.h"

enum {
  LOOK_DRONES = 16, /* more claims of one app at once wait for the next look */
  AT_ONCE_MS = 1,
  SOON_MS = 150,
  STEP_MS = 500,
  QUEUE_MS = 3000,
  SHUN_MS = 30000,
  GROW_MS = 300000 /* a drone that may yet be made is waited for */
};

typedef struct look {
  worker *w;
  job_memory *memory;
  app_doc app;
  route_doc route;
  bool has_route, app_gone;
  drone_doc drones[LOOK_DRONES]; /* with a claim of the app */
  size_t drone_count;
} look;

enum health {
  HEALTH_WELL,
  HEALTH_CRASHED,
  HEALTH_UNSURE, /* no answer, not for long */
  HEALTH_AWAY,   /* no answer for too long */
  HEALTH_LOST    /* its drone says it has not that claim */
};

/* ---- app.c ---- */

/* A drone to go on with; among those the route points to, or the others. */
drone_doc *look_candidate(look *l, bool in_route);
bool look_points_to(const look *l, const drone_doc *d);

/* ---- app_keep.c ---- */

enum health look_health(look *l);
/* Ends all claims that the route cannot have any more; when to look again. */
int64_t look_retire(look *l);

#endif
