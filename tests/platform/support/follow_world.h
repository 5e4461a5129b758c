/* Balancers' followers under test: a simulated database, a loop, and up to
   three followers in it, each with a table and metrics of its own. */
#ifndef FOLLOW_WORLD_H
#define FOLLOW_WORLD_H

#include "balancer/follow.h"

#include "support/couchsim.h"
#include "support/unit.h"

enum { FOLLOW_PATIENCE_MS = 60000, FOLLOWERS = 3 };

/* One follower, and what it told. */
typedef struct follower {
  struct follow_world *world;
  table *table;
  metrics *metrics;
  follow *follow; /* NULL: closed */
  follow_config config;
  char self[16];
  int changes, gone, came, replaced, notices;
  int went_back; /* gens */
  char last[64]; /* app of the last change */
  bool closed;
} follower;

typedef struct follow_world {
  cft_couchsim *sim; /* NULL: the database is away for good */
  char url[256];
  uv_loop_t loop;
  uv_timer_t timer; /* so that a wait looks at its condition again */
  follower followers[FOLLOWERS];
  char dir[64]; /* for snapshots */
} follow_world;

void follow_world_open(follow_world *w); /* with an empty database "apps" */
void follow_world_close(follow_world *w);

/* A follower of that number with its usual settings, to be changed before
   follower_open. */
follower *follower_new(follow_world *w, int number);
void follower_open(follower *f);
/* Closes, and waits for its end; may be opened again, with an empty table. */
void follower_close(follower *f);

#define FOLLOW_AWAIT(w, condition)                                             \
  do {                                                                         \
    int64_t limit_ms = follow_world_now() + FOLLOW_PATIENCE_MS;                \
    while (!(condition)) {                                                     \
      ck_assert_msg(follow_world_now() < limit_ms, "never: %s", #condition);   \
      (void)uv_run(&(w)->loop, UV_RUN_ONCE);                                   \
    }                                                                          \
  } while (0)

int64_t follow_world_now(void);
/* Runs the loop for that long. */
void follow_world_for(follow_world *w, int64_t ms);

/* The document route:APP, live with this gen; its host is APP.test, its claim
   made of the gen. */
void follow_put_route(follow_world *w, const char *app, int64_t gen);
/* Any document, with the revision it replaces, if it is there; body is what is
   between the braces. */
void follow_put(follow_world *w, const char *id, const char *body);
void follow_delete(follow_world *w, const char *id);
void follow_tick(follow_world *w); /* one of a provisioner */

/* What a visitor of APP.test finds: the gen, -1: no such host. */
int64_t follow_served(follower *f, const char *app);
follow_status follow_now(follower *f);
/* Of what the database lists with prefix route:. */
changefeed_digest follow_listed(follow_world *w, uint64_t *count);
bool follow_is_listed(follower *f); /* digest and count are those of the list */

#endif
