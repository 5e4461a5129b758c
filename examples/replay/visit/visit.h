/* What visitors see, from outside: the world of ../world (the simulated
 * database, drones, provisioners, apps with a nonce each), three balancers on
 * nodes of their own, and visitors who ask for every app at every balancer all
 * the time, while apps are moved, programs killed and feeds disturbed. Nothing
 * here looks into a program.
 *
 *   balancers.c  balancers, started, ended, asked
 *   haproxy.c    with --engine haproxy, what visitors come to instead
 *   disturb.c    what goes wrong with a balancer's feed
 *   hits.c       programs killed and started again, the database away
 *   users.c      threads that move, stop and start apps; what is wished last
 *   mayfly.c     an app that comes and goes
 *   visitors.c   threads that ask, and judge what comes
 *   facts.c      which revisions the database has had, and when
 *   watch.c      which of them each balancer holds: late ones, backward ones
 *   digests.c    balancers compared with the database, when all is quiet
 *   report.c     laws broken, and the table
 *
 * What happens, and when, is said by who uses it: the program of
 * tests/platform/visit, and the replay. A run goes through phases. What must
 * hold in the strict ones (MOVING: all is well and apps are moved; AWAY: the
 * database is away) is fixed before they begin: which app answers, and which
 * has a page. */
#ifndef REPLAY_VISIT_H
#define REPLAY_VISIT_H

#include "replay/world/world.h"

enum {
  BALANCERS = 3,
  VISIT_APPS_MOST = 256,
  MAYFLY = VISIT_APPS_MOST, /* the app that comes and goes */
  VISIT_PROVS = 2,
  /* Two for provisioners, one for who only looks, one for each balancer. */
  VISIT_NODES = 3 + BALANCERS,
  LOOKER_NODE = 2,
  VISITORS_MOST = 32,
  USERS = 2,
  HISTORY = 512,
  LATENCIES_MOST = 20000
};

enum visit_law {
  V5_OWN,     /* an answer is that app's, or a balancer's page */
  V6_SAME,    /* quiet: all digests are the database's */
  V7_SOON,    /* a change is at every balancer soon, or it says it is stale */
  V8_AWAY,    /* the database away: visitors see what they saw before */
  V9_KNOWN,   /* an app that exists is never unknown */
  V10_LIVE,   /* in the end what is wanted is live, through every balancer */
  V13_MOVED,  /* an app that is moved answers all the while */
  V16_ONWARD, /* gen never goes back in a balancer */
  VISIT_LAWS
};
extern const law_list visit_laws;

typedef struct visit_options {
  uint64_t seed, seeds;
  unsigned apps, drones, visitors, threads, moves;
  int64_t trouble_ms, away_ms, calm_ms, stale_ms, soon_ms;
  bool faults, kills, keep, haproxy;
  int spell;        /* that one alone; -1: any */
  unsigned movable; /* of the apps the first, each moved once; 0: any, any times
                     */
  unsigned look_ms; /* between two looks at the database, and at a balancer; 0:
                       20 */
  const char *naive, *expect;
} visit_options;

typedef struct balancer {
  proc proc, haproxy;
  unsigned index, node;
  char id[8], url[128], admin[128], snapshot[PATH_LEN];
  char config[PATH_LEN], socket[96]; /* of its HAProxy */
  /* Odd while it runs; another for each life. */
  atomic_uint life;
  /* The same of what visitors come to: the balancer itself, or its HAProxy. */
  atomic_uint door;
  atomic_llong began_ms; /* this life */
  /* Until then its feed is not what it should be, or it has not caught up. */
  atomic_llong ill_until_ms;
  /* The rule its feed is under, 0: none, and until when. */
  json_int_t spell;
  int64_t spell_ms;
} balancer;

enum phase { PHASE_BEGIN, PHASE_MOVING, PHASE_TROUBLE, PHASE_AWAY, PHASES };
/* What comes of a request. */
enum outcome { NO_ANSWER, BY_APP, BY_PAGE }; /* a page: BY_PAGE + its number */

typedef struct revision {
  char rev[96];
  int64_t gen, seen_ms;
} revision;

/* One app's route in the database; the newest HISTORY of its revisions. */
typedef struct app_facts {
  revision history[HISTORY];
  size_t count; /* ever */
  char state[16];
} app_facts;

/* What a balancer holds of it. */
typedef struct held {
  size_t next; /* the first of the history that it was not seen to have */
  size_t late; /* the last that was told to be late, + 1 */
  char rev[96];
  int64_t gen;
  unsigned life; /* in which it was seen */
} held;

typedef struct visit {
  run k;
  options ko;
  const visit_options *o;
  balancer balancers[BALANCERS];
  dice dice; /* of the main thread */
  atomic_bool visitors_end, users_end, watch_end;
  /* Told before a balancer ends, and when it is there again; or NULL. */
  void (*door_moved)(void *ctx, unsigned balancer, bool open);
  void *door_ctx;
  /* Phase and its number in one: another for each that begins. */
  atomic_uint phase;
  atomic_int expected[BALANCERS][VISIT_APPS_MOST]; /* NO_ANSWER: anything */

  pthread_mutex_t lock; /* of what follows, but for what is atomic */
  app_facts facts[VISIT_APPS_MOST]; /* The database is in parts: who hears one
    of them hears signs of life, and not what is written in another. */
  atomic_bool in_parts;
  int64_t changed_ms; /* when a route was last seen to change */
  held held[BALANCERS][VISIT_APPS_MOST];
  int *latencies; /* ms */
  size_t latency_count;
  unsigned broken[VISIT_LAWS];
  char first[VISIT_LAWS][400];

  atomic_uint checks[VISIT_LAWS];
  atomic_uint foreign; /* pages of other apps */
  atomic_uint asked, answered[PHASES], pages[PHASES][100], cut[PHASES];
  atomic_uint moves, wishes, mayflies, balancer_kills, haproxy_kills,
      prov_kills, drone_kills, disturbed, nodes_away;
  int64_t begun_ms, phase_ms[PHASES]; /* how long each was */
  double settle_s;
} visit;

/* ---- balancers.c: on the main thread, but for what is said ---- */
bool balancers_start(visit *v);
void balancers_end(visit *v);
bool balancer_start(visit *v, unsigned i);
/* With SIGKILL at once; with SIGTERM it may take its time. */
void balancer_stop(visit *v, unsigned i, int sig);
/* GET of its admin face; any thread. The caller's reference, or NULL. */
json_t *balancer_get(const balancer *b, const char *path, int64_t ms);
/* Until each has read the database whole, is not stale, and serves nothing that
   the database may not have. */
bool balancers_in_step(visit *v, int64_t ms);
/* Its feed, and its HAProxy, are not to be judged until it had time to catch
 * up. Any thread. */
void balancer_ill(balancer *b);
void balancer_well(balancer *b, int64_t catch_up_ms);

/* ---- haproxy.c: on the main thread, but for the last ---- */
/* At the address it had, or a free one. It says E09 until its balancer has told
   it more. */
bool haproxy_start(visit *v, unsigned i);
void haproxy_stop(visit *v, unsigned i, int sig);
/* By a balancer's /status (NULL: it has none): its HAProxy has all that its
   table says. Any thread. */
bool haproxy_has_all(const json_t *status);

/* ---- disturb.c ---- */
/* By its name; -1: there is no such. */
int spell_of(const char *name);
const char *spell_name(int spell);
/* All on the main thread. Something, for so long at most. */
void disturb(visit *v, unsigned i, int64_t ms);
/* Not a row any more, with heartbeats or without, until it is ended. */
void disturb_stall(visit *v, unsigned i, bool beats);
/* Its node lists no documents at all, until it is ended. */
void disturb_empty(visit *v, unsigned i);
void disturb_end(visit *v, unsigned i);
/* Ends those whose time is over. */
void disturb_look(visit *v);
void node_up(visit *v, unsigned node, bool up);
void node_split(visit *v, unsigned node, bool split);

/* ---- hits.c: on the main thread ---- */
void hit_provisioner(visit *v, unsigned i);
void hit_drone(visit *v, unsigned i);
/* Ended, and started again at once. */
void balancer_again(visit *v, unsigned i, int sig);
/* Killed, and back while its node of the database is there, or away, or split
   from the others. */
void hit_balancer(visit *v, unsigned i);
/* The database refuses, or answers everything with an error, or not at all. */
enum manner { REFUSES, FAILS, HANGS, MANNERS };
void database_leaves(visit *v, enum manner manner);
void database_returns(visit *v, enum manner manner);

/* ---- users.c ---- */
void *mover_main(void *arg); /* of a visit_arg */
/* One more app is made, started and destroyed all the time. */
void *mayfly_main(void *visit);
/* The status. */
int mayfly_ask(visit *v, const char *method, const char *what, json_t *body);
/* Moves some apps, each until it is live elsewhere. */
void move_apps(visit *v);
/* All are started, but the one that never is; and at the end of a run the
   first is stopped. */
void last_wishes(visit *v, bool end);
/* Until of each app is so what is wanted, and no drone has anything to do. */
bool settled(visit *v);

typedef struct visit_arg {
  visit *v;
  unsigned index;
} visit_arg;

/* ---- visitors.c ---- */
void *visitor_main(void *arg); /* of a visit_arg */
/* I10: every app at every balancer that has its route is as was wished. */
void visit_all(visit *v);
/* What visitors see now they have to see in the phase that begins, if it is a
   strict one. */
void phase_begin(visit *v, enum phase phase);

/* ---- facts.c ---- */
void *facts_main(void *visit);
int app_of(const visit *v, const char *name); /* -1: none of ours */

/* ---- watch.c ---- */
void *watch_main(void *arg); /* of a visit_arg: that balancer */
void watch_judge(visit *v);

/* ---- digests.c ---- */
enum { DIGEST_SIZE = 64 };
/* Of routes as couch_rows gives them. */
void digest_of_rows(const json_t *rows, char out[DIGEST_SIZE]);
/* I6: 2 s after the last change all are equal. */
void digests_judge(visit *v, const char *when);

/* ---- report.c ---- */
void wrong(visit *v, enum visit_law law, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report(const visit *v, bool ok);

#endif
