/* The incident of 2013, again: all programs of the platform under a load like
 * that day's, while ten things go wrong one after the other, and eighteen laws
 * (docs/replay.md) that are judged from outside only.
 *
 *   options.c    what is asked for
 *   ways.c       naive ways of working, and which laws each must break
 *   main.c       one run, or several, and the exit status
 *   life.c       one run from its begin to its end
 *   steps.c      the ten steps, and which of them are run
 *   step_*.c     what each of them does
 *   crowd.c      visitors, and what they are shown
 *   spam.c       scripts that start apps for ever; quiet.c one who waits
 *   pulse.c      looks at drones, balancers and the database, for the picture
 *   signals.c    the end, at any moment
 *   flat.c       memory and descriptors of all programs
 *   laws.c       the laws, counted
 *   incident.c   that Friday, told
 *
 * The world is that of world/ and visit/; timeline.h, report.h and story.h make
 * pictures and tables of it. All that starts programs is on the main thread:
 * they die with the thread that started them. */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include "common/traffic.h"
#include "replay/report.h"
#include "replay/visit/visit.h"

/* ---- laws.c ---- */

enum replay_law {
  L1_ONE_CLAIM,
  L2_ADDRESS,
  L3_TRUE,
  L4_DISTINCT,
  L5_OWN,
  L6_SAME,
  L7_SOON,
  L8_AWAY,
  L9_KNOWN,
  L10_NOTHING_LOST,
  L11_SPAM,
  L12_POOL,
  L13_MOVED,
  L14_OLD_ANSWERS,
  L15_MAINTENANCE,
  L16_ONWARD,
  L17_BOT,
  L18_FLAT,
  REPLAY_LAWS
};
extern const law_list replay_laws;

/* ---- what is run ---- */

enum { STEPS = 11, ALL_STEPS = (1 << STEPS) - 1 };

/* Of one run, or several that differ in their seed. */
typedef struct plan {
  const char *title;
  unsigned apps, drones, spare; /* spare: drones that come when none is left */
  unsigned users, scripts, visitors; /* visitors: requests a second */
  unsigned steps;                    /* as bits */
  bool is_small;                     /* shorter steps */
  bool operated; /* provisioners with their own limits, not looser ones */
  bool dry;      /* users do not force: there are fewer drones than apps */
  unsigned users_pause; /* ms at most between a user's calls; 0: few */
  unsigned copies, race_percent;
  int64_t calm_ms;
  int spell; /* what feeds suffer, -1: all */
  /* Ways of working known to be wrong, or NULL. */
  const char *provisioners, *balancers, *drone;
} plan;

typedef struct replay_options {
  uint64_t seed, seeds;
  bool is_small, keep, incident;
  unsigned apps, drones, rate; /* 0: as is usual */
  unsigned steps;
  const char *naive, *against, *out;
  char programs[PATH_LEN], couchsim[PATH_LEN], dir[PATH_LEN];
} replay_options;

/* ---- one run ---- */

typedef struct held_law {
  atomic_uint checks, broken;
  char first[400];
} held_law;

typedef struct flat flat;

/* The first apps are moved in step 2, and the next one's deploy fails. */
enum { SCRIPTS_MOST = 64, LOOPS = 4, QUIET = 8, MOVED = 5 };

typedef struct replay {
  const replay_options *o;
  const plan *p;
  char naive[128]; /* all its naive ways, or "" */
  uint64_t seed;
  visit *v;
  visit_options vo;
  run_report *report;
  timeline *t;
  story *s;         /* or NULL */
  int64_t begun_us; /* of the timeline, on the traffic's clock */
  pthread_mutex_t lock;
  held_law laws[REPLAY_LAWS];

  /* crowd.c */
  traffic *crowd;
  char (*own)[128]; /* what each app says */
  atomic_uint doors[BALANCERS];
  /* What visitors are shown now has to stay so: by that law; -1: none. Only
     who began after strict_us is asked, and only of that app; -1: of all. */
  atomic_int strict, strict_app;
  atomic_llong strict_us;
  atomic_uint visits, late_begun, too_slow, foreign;

  /* users and watchers */
  atomic_bool pulse_end;
  pthread_t watchers[4], routes, facts, holders[BALANCERS], pulse;
  user_arg looks[4];
  visit_arg holder_args[BALANCERS];
  pthread_t users[USERS_MOST];
  user_arg user_args[USERS_MOST];
  unsigned users_running;
  unsigned ran; /* steps, as bits */
  flat *flat;
  atomic_uint free_drones, bound_drones, queued;
  atomic_uint moving_drones; /* neither free nor bound, nor dead */
  json_t *failing; /* the operation of a deploy that fails, begun in step 2 */
  int64_t failing_ms;
  unsigned extra; /* apps that are started when there are too few drones */
  int64_t quiet_ms[2][QUIET]; /* alone, and among scripts */
  unsigned quiet_count[2];
} replay;

/* ---- signals.c ---- */
/* All programs of this process end, and its files go, when it is told to end by
   a signal; once, at the begin, on the main thread. */
void signals_watch(void);
/* Whose programs those are; NULL: nobody's. */
void signals_set(replay *r);

/* ---- laws.c ---- */
void law_broken(replay *r, enum replay_law law, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void law_checked(replay *r, enum replay_law law);
/* What the world has seen is added; laws that could be held to nothing because
   a step was not run are excused. Bits of those that are broken. */
unsigned laws_collect(replay *r);

/* ---- options.c, ways.c ---- */
/* -1: run; else the program's exit status. */
int replay_options_read(replay_options *o, int argc, char **argv);

typedef struct naive_way {
  const char *name, *expected; /* as laws_named takes them */
  plan plan;
} naive_way;
/* NULL: there is no such. "none" is no way, but a plan of the same size. */
const naive_way *way_find(const char *name);
/* 0, 1, 2 ...; NULL behind the last. */
const naive_way *way_at(size_t i);
/* The programs as they are. */
void plan_usual(plan *p, const replay_options *o);

/* ---- main.c ---- */
/* A whole run, up to its laws; ends the program where the world does not
   begin. */
replay *replay_run(const replay_options *o, const plan *p, uint64_t seed,
                   story *s, unsigned *broken);
void replay_print(replay *r);
/* Table, JSON, picture and story of at most two runs, into a directory. */
bool replay_files(replay *const *runs, size_t count, story *s, const char *out);

/* ---- life.c ---- */
/* NULL: no memory. The world is not there yet. */
replay *replay_new(const replay_options *o, const plan *p, uint64_t seed,
                   story *s);
bool replay_begin(replay *r);
void replay_steps(replay *r);
/* Programs and threads end; laws are collected: their bits. */
unsigned replay_end(replay *r);
/* fine: what it leaves behind is removed. */
void replay_free(replay *r, bool fine);
int64_t replay_now(const replay *r); /* ms since its begin */

/* ---- steps.c ---- */
typedef struct replay_step {
  const char *name;
  int64_t full_ms, small_ms; /* about how long it is */
  void (*run)(replay *r, int64_t ms);
  /* The database has to take orders. */
  bool is_simulated;
} replay_step;
extern const replay_step all_steps[STEPS];
void step_calm(replay *r, int64_t ms);
void step_feeds(replay *r, int64_t ms);
void step_moves(replay *r, int64_t ms);
void step_spam(replay *r, int64_t ms);
void step_strain(replay *r, int64_t ms);
void step_dry(replay *r, int64_t ms);
void step_kills(replay *r, int64_t ms);
void step_split(replay *r, int64_t ms);
void step_away(replay *r, int64_t ms);
void step_rest(replay *r, int64_t ms);
void step_bot(replay *r, int64_t ms);

/* What they have in common. */
void users_begin(replay *r);
void users_end(replay *r);
/* Waits until the deploy of step 2 has failed, and mends it. */
void end_failing(replay *r);
/* Everybody's last wish, and until that is so: false, and I10 is broken. */
bool all_settled(replay *r);
/* ... and balancers say that they have it all. */
bool all_in_step(replay *r);
void until(const replay *r, int64_t end_ms); /* of replay_now */
/* An answer of the API, or status 0; the caller's body, or NULL. */
int api_call(replay *r, unsigned at, const char *method, const char *path,
             json_t *body, json_t **answer);
/* Provisioner i ends by that signal, and begins again: law_broken if not. */
void end_prov(replay *r, unsigned i, int sig);
void start_prov(replay *r, unsigned i, const char *failpoint);
/* Until the API of provisioner i answers as usual: false, it does not. */
bool api_is_well(replay *r, unsigned i);
/* "off", "api"; what is told is that people look after the database. */
bool maintenance_set(replay *r, const char *mode);
/* A fault's band in the picture. */
int fault_begin(replay *r, const char *name);
void fault_end(replay *r, int band);
void mark(replay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- crowd.c ---- */
bool crowd_open(replay *r);
void crowd_close(replay *r);
/* What is shown now is what has to be shown from now on, by that law. */
void strict_begin(replay *r, enum replay_law law, int app);
void strict_end(replay *r);

/* ---- spam.c, quiet.c ---- */
void spam(replay *r, int64_t ms);
/* Starts an app of its own as often as it may within that time, and stops it
   again. */
void quiet_starts(replay *r, bool among, int64_t ms);
int64_t quiet_p95(const replay *r, bool among);

/* ---- pulse.c, flat.c ---- */
void *pulse_main(void *replay);
flat *flat_new(void);
void flat_free(flat *f);
/* One look at each program. */
void flat_look(replay *r);
void flat_judge(replay *r);

/* ---- incident.c ---- */
/* The exit status. */
int incident(const replay_options *o, uint64_t seed);

#endif
