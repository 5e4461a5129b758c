/* What the parts of follow share:

   follow.c           opening, closing, what is done twice a second
   follow_mirror.c    mirrors, and what they tell, put into the table
   follow_over.c      from what was served before to a mirror that is whole
   follow_proof.c     what is dropped, or taken, when it was read twice
   follow_value.c     what is made of a document
   follow_kept.c      documents that are served otherwise than the mirror says
   follow_served.c    reading what is served: walks, digests
   follow_fresh.c     the proof that changes come through, and how late
   follow_snapshot.c  the file
   follow_status.c    what is told of it: status, metrics
   naive.c            ways that are known to be wrong, for tests

   All of it runs on the loop's thread. */
#ifndef BALANCER_FOLLOW_STATE_H
#define BALANCER_FOLLOW_STATE_H

#include "balancer/announce.h"
#include "balancer/follow.h"
#include "balancer/snapshot.h"
#include "common/feed_poll.h"

#include <time.h>

enum {
  FOLLOW_STEP_MS = 250,
  REOPEN_LEAST_MS = 1000,
  REOPEN_MOST_MS = 30000,
  SUSPECT_MOST_MS = 300000,
  BALANCER_GONE_MS = 180000,
  AUDIT_AGAIN_MS = 5000,
  LAG_RING = 4096,
  LAG_MS = 60000,
  WHY_SIZE = 256
};
enum { ID_MOST = ADDR_MOST + 32 };

#define ROUTE_PREFIX "route:"
#define ROUTE_BEHIND "route;"
#define MAINTENANCE_ID "sys:maintenance"
#define BALANCER_PREFIX "balancer:"
#define TICK_PREFIX "sys:tick:"

/* A clock that never goes back, and counts while the machine sleeps. */
static inline int64_t follow_up_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t follow_wall_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what is made of a document (follow_value.c) ---- */

enum value_kind { VALUE_ROUTE, VALUE_MAINTENANCE, VALUE_BALANCER };

typedef struct balancer_seen {
  balancer_doc doc;
  int64_t came_ms; /* when this revision of it came; follow_up_ms */
} balancer_seen;

/* One block: this, the revision, and from a multiple of 8 on a route, a
   maintenance_doc or a balancer_seen. Counted: a mirror has one reference, and
   a kept one of its own. Freed by the table, when no reader sees its route. */
typedef struct value {
  unsigned refs;
  unsigned char kind, rev_len;
  char data[]; /* the revision and '\0'; ... */
} value;

enum reading_result {
  READ_PASSED, /* nothing that is held; a tick, or of no interest */
  READ_GOOD,
  READ_BAD,
  READ_NO_MEMORY
};

typedef struct reading {
  enum reading_result result;
  value *value; /* of READ_GOOD: the caller's reference */
  bool is_tick;
  int64_t at_ms;            /* the document's own `at`; 0: none */
  char boot[CLAIM_LEN + 1]; /* of a balancer, a tick */
  char why[WHY_SIZE];       /* READ_BAD */
} reading;

void value_read(changefeed_str id, changefeed_str rev, changefeed_str doc,
                reading *out);
value *value_of_route(const route *r, const char *rev); /* a copy; NULL */
const char *value_rev(const value *v);
const route *value_route(const value *v); /* NULL: it is none, or v is NULL */
const maintenance_doc *value_maintenance(const value *v);
const balancer_seen *value_balancer(const value *v);
value *value_ref(value *v);
void value_drop(table *t, value *v); /* NULL is allowed */

/* ---- what is served otherwise than the mirror says (follow_kept.c) ---- */

enum kept_why {
  KEPT_UNREADABLE, /* the revision before is served, if there was one */
  KEPT_UNPROVEN,   /* the last reading of the database did not have it */
  KEPT_OLDER,      /* the database has a lower gen */
  KEPT_PLAIN,      /* only of those who have no mirror (naive.c) */
  KEPT_WHYS
};

typedef struct kept {
  struct kept *next;
  value *value; /* what is served; NULL: nothing */
  int64_t since_ms;
  enum kept_why why;
  char id[];
} kept;

typedef struct kept_set {
  kept **buckets;
  size_t bucket_count, count, by_why[KEPT_WHYS];
  /* Of those that are routes and served. */
  changefeed_digest sum;
  uint64_t routes;
} kept_set;

kept *kept_find(const kept_set *s, const char *id);
/* v's reference is the set's from now on; NULL: no memory, v is not taken. */
kept *kept_add(kept_set *s, const char *id, enum kept_why why, value *v,
               int64_t since_ms);
void kept_change(kept_set *s, kept *k, enum kept_why why, int64_t since_ms);
/* Another value; the reference to the one before is the caller's. */
value *kept_swap(kept_set *s, kept *k, value *v);
/* Takes it out; the reference to its value is the caller's. */
value *kept_remove(kept_set *s, kept *k);
/* Those with from <= id < to in order, to be given to free(); false: no memory.
 */
bool kept_sorted(const kept_set *s, const char *from, const char *to,
                 kept ***out, size_t *count);
/* Frees the set itself; each value goes to drop. */
void kept_clear(kept_set *s, void (*drop)(void *ctx, value *v), void *ctx);

/* ---- what is served, or will be ---- */

typedef struct holding {
  struct follow *follow;
  /* At most one of both; none: what is in kept is all. */
  changefeed_mirror *mirror;
  snapshot *snapshot;
  kept_set kept;
  routes *routes;
  bool published, synced, over; /* synced: it was whole once */
  bool resetting;               /* another history is read */
  bool repairing; /* what goes now goes because an audit did not find it */
} holding;

/* follow_served.c */
typedef struct served {
  const char *id, *rev;
  const route *route; /* NULL: the value is no route */
  value *value;       /* NULL: it is the snapshot's */
} served;
typedef bool (*served_each)(void *ctx, const served *s);

/* What is served of an id; in the mirror's callbacks not of the one told. */
value *holding_find(const holding *h, const char *id);
/* In order of ids, from <= id < to, until each returns false. false: for want
   of memory not all were told. */
bool holding_each(const holding *h, const char *from, const char *to,
                  served_each each, void *ctx);
/* Of routes; ids, or NULL. */
void holding_digest(const holding *h, const char *from, const char *to,
                    changefeed_digest *digest, uint64_t *count);
void digest_take(changefeed_digest *from, const char *id, const char *rev);

/* ---- follow itself ---- */

typedef struct lag {
  int64_t came_ms, late_ms;
} lag;

typedef struct follow_metrics {
  metric *routes, *hosts, *fresh, *stale, *unproven, *unreadable, *changes,
      *audits, *repairs, *resets, *snapshot_age, *feed_up, *lag, *saves,
      *save_errors;
} follow_metrics;

struct follow {
  follow_config config; /* strings are own copies */
  uv_loop_t *uv;
  uv_timer_t *timer;
  changefeed_loop *feeds;
  feed_poll *poll;
  bool poll_stopped;
  holding *held;   /* what is served; never NULL once it is open */
  holding *coming; /* a mirror that is being filled; or NULL */
  routes *empty;   /* what is in force behind the end */
  announce *announce;
  struct naive *naive; /* NULL: the right way */

  int64_t opened_ms, reopen_at_ms, reopen_ms;
  int64_t fresh_at_ms; /* -1: never */
  bool stale;
  int64_t asked_ms, suspect_at_ms, suspect_ms;
  int64_t prove_at_ms;
  int64_t audit_at_ms; /* when the one that runs was begun; 0: not by us */
  lag lags[LAG_RING];
  size_t lag_count; /* ever */

  table_notice notice;
  int64_t notice_until_ms; /* by the wall's clock; 0: no end */
  uint64_t changes, saved_changes, audits, repairs, resets;
  int64_t saved_at_ms;   /* wall; -1: no file */
  int64_t save_tried_ms; /* follow_up_ms */
  struct follow_save *saving;
  char why[WHY_SIZE]; /* of the mirror's end, or "" */
  char save_why[WHY_SIZE];
  follow_metrics m;

  bool closing;
  void (*ended)(follow *f); /* behind the last save */
  void (*done)(void *ctx);
  void *done_ctx;
};

/* follow_mirror.c */
holding *holding_new(follow *f);
/* With all in it; what readers may see is retired. Not of what is in force. */
void holding_free(holding *h);
bool mirror_open(follow *f, char *error, size_t size); /* makes f->coming */
void mirror_open_later(follow *f);
/* The table has changed: counted and told. */
void follow_changed(follow *f, const route *was, const route *is);
void follow_set_notice(follow *f, const value *maintenance);
const char *follow_app(const char *id); /* behind "route:"; NULL: no route */

/* follow_over.c */
void follow_publish(follow *f, holding *h, enum follow_source source);
void follow_settle(follow *f); /* after each round of the feeds */

/* follow_proof.c */
void proof_wanted(follow *f); /* something was kept that is to be proven */
void proof_step(follow *f);
void proof_audited(follow *f, const changefeed_audit *audit);

/* follow_fresh.c */
void fresh_came(follow *f, const reading *r, const char *id);
void fresh_step(follow *f);
int64_t fresh_age_ms(const follow *f); /* -1: never */
int64_t fresh_lag_p99(const follow *f);

/* follow_snapshot.c */
void snapshot_open(follow *f); /* puts it in force, if there is one */
void snapshot_step(follow *f);
/* Saves what has changed, ends the announcing, then ended(f). */
void snapshot_end(follow *f, void (*ended)(follow *f));

/* follow_status.c */
bool status_open(follow *f);
void status_step(follow *f);

#ifdef PLATFORM_HOOKS
/* *none: no such way was asked for. */
struct naive *naive_open(follow *f, bool *none, char *error, size_t size);
void naive_close(struct naive *n);
void naive_step(struct naive *n);
const char *naive_feed(const struct naive *n);
bool naive_is_never_stale(const struct naive *n);
#endif

#endif
