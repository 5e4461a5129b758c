/* Keeps the table what the database says, on the main loop: a mirror of routes,
   maintenance, ticks and balancers, a snapshot on the disk, and this balancer's
   own document.

   What is served is always one of: nothing yet (E09), a snapshot, the mirror.
   A route leaves the table by its tombstone, or because two complete readings
   of the database, proof_ms apart, did not have it; never because the database
   is away, is empty for once, or serves another history. Until the second
   reading it is "unproven".

   A gen does not go back while the revisions of one history go on. A route
   with a lower gen than the one served (a backup was restored, a cluster has
   healed to an older winner) is served only when two readings, proof_ms apart,
   have it so; until then the higher gen is served, which the drone's claim
   makes safe. When the app's route had been dropped, any gen is taken.

   A document that cannot be read changes nothing: its revision before is served
   on, after a restart too. The digest is always that of what is served: it
   differs from the database's where something is unproven, unreadable or held
   back. */
#ifndef BALANCER_FOLLOW_H
#define BALANCER_FOLLOW_H

#include "balancer/table.h"
#include "changefeed/mirror.h"
#include "common/metrics.h"
#include <uv.h>

typedef struct follow follow;

typedef struct follow_config {
  const char *couch;    /* the server's URL, may have user:password@ */
  const char *apps;     /* the database */
  const char *self;     /* id of this balancer */
  const char *version;  /* of this program */
  const char *addr;     /* where visitors come, for balancer:ID */
  const char *admin;    /* where it is asked */
  const char *boot;     /* of this life */
  bool announce;        /* keep balancer:ID; a shadow has none. It is written
                           each minute, and when no tick has come for half of
                           stale_ms: then only a feed that brings nothing is
                           stale, and is replaced by another */
  const char *snapshot; /* file, or NULL */
  int64_t snapshot_ms;  /* how often it is saved when something has changed */
  int64_t audit_ms;     /* how often the database is compared with */
  int64_t stale_ms;     /* without proof for so long: stale; 0: 15 s */
  int64_t proof_ms;     /* between two readings that drop a route; 0: 10 s */
  const char *naive;    /* only with PLATFORM_HOOKS: "feed", "history" or
                           "prune", among others with commas; or NULL */
  table *table;
  metrics *metrics;
  /* After the table has changed. is NULL: gone; was NULL: new. Both are valid
     until it returns. */
  void (*on_change)(void *ctx, const route *was, const route *is);
  void (*on_replaced)(void *ctx); /* all may have changed: another set */
  void (*on_notice)(void *ctx);   /* maintenance has changed */
  void *ctx;
} follow_config;

/* NULL with a sentence. A snapshot is in force when this returns. */
follow *follow_open(uv_loop_t *loop, const follow_config *config, char *error,
                    size_t size);
/* Saves the snapshot, deletes balancer:ID (within 2 s, or not), then done. */
void follow_close(follow *f, void (*done)(void *ctx), void *ctx);

enum follow_source { FOLLOW_NOTHING, FOLLOW_SNAPSHOT, FOLLOW_DATABASE };

typedef struct follow_status {
  enum follow_source source;
  bool synced;      /* the mirror is in step with a history */
  int64_t fresh_ms; /* since a tick, or our own document, came through the
                       feed; -1: never */
  bool stale;       /* fresh_ms is over stale_ms, or -1 for so long */
  int64_t snapshot_age_ms; /* of the file; -1: none */
  uint64_t routes, hosts;
  uint64_t unproven;   /* served, though the last reading did not have them */
  uint64_t unreadable; /* documents; the revision before is served */
  uint64_t older;      /* routes the database has with a lower gen */
  uint64_t shadowed;   /* hosts that two routes list */
  uint64_t audits, repairs, resets, changes;
  int64_t lag_p99_ms; /* of documents with `at`, in the last minute, by the
                         clocks of two machines; -1: none */
  changefeed_digest digest; /* of the routes served */
  const char *feed;         /* state of the feed in a word */
  const char *trouble;      /* a sentence, "" when all is well */
} follow_status;
void follow_get_status(follow *f, follow_status *out);

/* Of the routes served with from <= app < to (names of apps; NULL: no bound) */
void follow_digest(follow *f, const char *from, const char *to,
                   changefeed_digest *digest, uint64_t *count);
/* In order of apps, until each returns false; rev is terminated. false: for
   want of memory not all were told. */
bool follow_each(follow *f, const char *from, const char *to,
                 bool (*each)(void *ctx, const char *app, const char *rev,
                              const route *r),
                 void *ctx);
/* The balancers that are there, this one among them. */
size_t follow_balancers(follow *f, balancer_doc *out, size_t most);
/* Compares with the database now, as every audit_ms. false: it runs, or there
   is nothing to compare yet. */
bool follow_audit(follow *f);

#endif
