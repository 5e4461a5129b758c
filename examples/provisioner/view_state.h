/* What the parts of the view share: view.c keeps the mirrors in step,
   view_value.c makes of each document what readers get, view_read.c are the
   readers. */
#ifndef PROVISIONER_VIEW_STATE_H
#define PROVISIONER_VIEW_STATE_H

#include "common/feed_poll.h"
#include "provisioner/view.h"

#include <changefeed/mirror.h>
#include <pthread.h>
#include <stdatomic.h>

enum { VIEW_APPS, VIEW_LOCKS, VIEW_DATABASES };
enum { BOOT_LEN = 32, GONE_BUCKETS = 1024, GONE_MOST = 100000 };

enum view_kind {
  VALUE_APP,
  VALUE_ROUTE,
  VALUE_DRONE,
  VALUE_MAINTENANCE,
  VALUE_TICK,
  VALUE_BALANCER
};

typedef struct seen_balancer {
  balancer_doc doc;
  int64_t came_ms; /* when this revision of it came */
} seen_balancer;

/* As large as its kind needs. Does not change once a reader may see it. */
typedef struct view_value {
  enum view_kind kind;
  union {
    app_doc app;
    route_doc route;
    drone_doc drone;
    maintenance_doc maintenance;
    tick_doc tick;
    seen_balancer balancer;
  } as;
} view_value;

/* Another provisioner, by its ticks. */
typedef struct member {
  char id[NAME_MOST + 1], boot[BOOT_LEN + 1];
  int64_t n;
  int64_t seen_ms; /* when its last tick came, or should have been written */
} member;

typedef struct gone_app {
  struct gone_app *next;
  int64_t gen;
  char name[NAME_MOST + 1];
} gone_app;

typedef struct view_database {
  struct view *view;
  changefeed_mirror *mirror;
  char *name;
  atomic_bool synced;
  _Atomic int64_t proof_ms; /* what was written before that is seen; 0: none */
  bool told;                /* on_synced came since the last delivery */
} view_database;

struct view {
  view_config config; /* strings are own copies */
  char self[NAME_MOST + 1], boot[BOOT_LEN + 1];
  feed_poll *poll;
  changefeed_loop *loop;
  view_database databases[VIEW_DATABASES];
  /* Told when the round that brought them is over: then readers see them. */
  char **changed;
  size_t changed_count, changed_cap;
  bool changed_lost; /* no memory for one: everything is looked at again */
  bool over;
  pthread_mutex_t lock; /* of what follows */
  member members[MEMBERS_MOST];
  size_t member_count;
  int64_t ticked_ms; /* when any tick came last */
  gone_app *gone[GONE_BUCKETS];
  size_t gone_count;
};

int64_t view_up_ms(void);   /* a clock that never goes back */
int64_t view_wall_ms(void); /* since 1970 */

/* NULL: it is none that is kept, or cannot be read (*why says so), or there is
   no memory (*why is ""). */
view_value *view_value_read(const char *id, size_t id_len, const char *text,
                            size_t len, char *why, size_t size, bool *kept);
void view_value_free(view_value *value);

void view_tick_came(view *v, int database, const tick_doc *tick);
void view_tick_gone(view *v, const char *id);
int64_t view_ticked_ms(view *v); /* when any tick came last; 0: never */
void view_app_gone(view *v, const char *name, int64_t gen);

#endif
