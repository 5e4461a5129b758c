/* The claim protocol seen from outside: the simulated database, drones and
 * provisioners as real programs, users, and what is seen of it all over HTTP.
 * Nothing here looks into a program.
 *
 *   asked.c    numbers and laws, as options name them
 *   procs.c    programs, started, stopped, killed
 *   world.c    all of them together
 *   couch.c    the database
 *   begin.c    a pool that is free, apps that are there, what is left behind
 *   users.c    threads that create, start, restart and stop apps
 *   watch.c    looks at agents and routes all the time
 *   guard.c    a visitor's request
 *   binds.c    what drones' logs tell of binds
 *   judge.c    what must be so in the end, and the table
 *
 * The runs with balancers (../visit) have their world from here, and so has the
 * replay. tests/platform/kernel has a program that lets all go wrong at once.
 */
#ifndef REPLAY_WORLD_H
#define REPLAY_WORLD_H

#include "common/rest.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  DRONES_MOST = 400,
  APPS_MOST = 1000,
  USERS_MOST = 512,
  PROVS = 3, /* at most */
  NODES_MOST = 8,
  SEEN_MOST = 512,
  LIVES_MOST = 20000,
  PATH_LEN = 512
};

enum law {
  I1_ONE_CLAIM, /* a drone's claims follow one another; one app at a time */
  I2_ADDRESS,   /* no two live routes name one address */
  I3_TRUE,      /* "live" was true at the drone */
  I4_DISTINCT,  /* as many (address, claim) as apps told live */
  I10_NOTHING_LOST,
  I12_POOL, /* not more live than drones */
  LAWS
};

/* Laws as bits, each that of its place among the names. */
typedef struct law_list {
  const char *const *names;
  unsigned count;
} law_list;

typedef struct options {
  uint64_t seed, seeds;
  unsigned apps, drones, starts, users, copies, provs, nodes;
  int64_t trouble_ms, calm_ms, stop_ms;
  double race;
  unsigned spare;    /* of the drones so many are not in the pool at first */
  unsigned reserved; /* so many of the apps, the first, no user asks for, */
  unsigned idle;     /* and so many, the last, nobody starts */
  unsigned pause;    /* ms between a user's calls at most; 0: by their number */
  unsigned start_s;  /* that an app may take to answer; 0: 20 */
  unsigned look_ms;  /* between two looks at the same agent; 0: about 20 */
  bool operated;     /* provisioners with the limits they have by default */
  bool plain;        /* programs without hooks, where none is needed */
  const char *against; /* a database that is there, in place of a simulated one;
                          may have user:password@ */
  bool faults, kills, keep, dry;
  const char *naive;       /* the provisioners' way of working, or NULL */
  const char *drone_naive; /* the drones', or NULL */
  const char *expect;      /* laws that must be broken, and may: "I2,I3?" */
  char platform[PATH_LEN], couchsim[PATH_LEN], nonce[PATH_LEN], dir[PATH_LEN];
} options;

typedef struct proc {
  atomic_int pid; /* 0: not running; any thread may look */
  char log[PATH_LEN];
} proc;

typedef struct seen_claim {
  char id[40];
  int64_t first_ms, last_ms;
} seen_claim;

typedef struct drone {
  proc proc;
  char dir[PATH_LEN], addr[64], ctl[64];
  pthread_mutex_t lock; /* of what was seen */
  seen_claim seen[SEEN_MOST];
  size_t seen_count;
  atomic_bool stopped; /* by us: not to be asked */
} drone;

typedef struct prov {
  proc proc;
  char url[128];
  char failpoint[32];
  int64_t wake_ms; /* stopped until then; 0: it is not */
} prov;

/* Who was told live, and with what. */
typedef struct life {
  unsigned app;
  char op[96], addr[64], claim[40];
} life;

typedef struct run {
  options *o;
  uint64_t seed;
  char dir[PATH_LEN], token[PATH_LEN], nonce_log[PATH_LEN];
  proc couchsim;
  /* Each node as programs are told it; control "": it takes no orders. */
  char couch[NODES_MOST][128], control[128];
  char couch_user[128], couch_password[PATH_LEN]; /* "", or a file */
  char apps[64], locks[64];                       /* databases */
  atomic_uint entered;                            /* drones in the pool */
  drone *drones;
  prov provs[PROVS];
  atomic_bool users_end, watch_end, trouble_end;
  pthread_mutex_t lock; /* of what follows */
  bool stopped_long;
  unsigned broken[LAWS];
  char first[LAWS][400];
  life *lives;
  size_t life_count;
  atomic_uint calls, told_live, accepted, refused, failed_calls, late_truth;
  atomic_uint failpoint_deaths[5], prov_kills, prov_stops, drone_kills,
      drone_stops, files_lost, samples, routes_read;
  unsigned binds;
  double settle_s;
  int64_t late_until_ms; /* so long the database may do what it said no to */
} run;

extern const law_list all_laws;

/* ---- asked.c ---- */
/* An option's value; what is wrong with it is told on stderr. */
bool number_of(const char *value, uint64_t least, uint64_t most, uint64_t *out);
bool small_of(const char *value, unsigned least, unsigned most, unsigned *out);
/* Those in the list ("I2,I3?") that must be broken, or (maybe) that may be. */
unsigned laws_named(law_list laws, const char *list, bool maybe);
/* expect NULL: none is broken. Else none is that may not be; with `all`, all
   are that must be. */
bool laws_as_expected(law_list laws, const char *expect, unsigned broken,
                      bool all);
/* The last line: what was broken in all runs, and what held. */
void laws_print(law_list laws, const char *of, const char *expect,
                uint64_t runs, unsigned broken, bool ok);

/* ---- procs.c ---- */
int64_t now_ms(void);
void sleep_ms(int64_t ms);
/* argv[0] is the path; output goes to p->log. */
bool proc_start(proc *p, const char *const argv[]);
/* From now on nothing is started any more. */
void procs_forbid(void);
void proc_kill(proc *p, int sig);
/* Waits; false when it is still running after ms. */
bool proc_wait(proc *p, int64_t ms, int *status);
bool proc_ended(proc *p, int *status); /* without waiting */
bool file_read(const char *path, char *out, size_t size);
bool file_write(const char *path, const char *all);

typedef struct dice {
  uint64_t state;
} dice;
uint64_t dice_next(dice *d);
unsigned dice_below(dice *d, unsigned n);
double dice_chance(dice *d);

/* ---- world.c ---- */
/* Until the program p has written it; false, told on stderr: it has ended, or
   it takes too long. */
bool file_wait(proc *p, const char *path, char *out, size_t size);
bool world_open(run *r);
void world_close(run *r);
bool drone_start(run *r, unsigned i);
void drone_stop(run *r, unsigned i, int sig, bool lose_file);
bool prov_start(run *r, unsigned i, const char *failpoint);
/* An address of its own, with port 0, for the i-th program. */
void own_address(char *out, size_t size, unsigned i);
rest *rest_to(const char *url, const char *token);
/* All programs end at once, and no other begins: any thread, once. */
void world_kill(run *r);
/* A request whose answer is needed: status 0 when there was none. */
int ask(rest *to, const char *method, const char *path, json_t *body,
        int64_t ms, json_t **answer);
const char *token_text(void);

/* Drones that were not in the pool until now. */
bool drones_enter(run *r, unsigned first, unsigned count);

/* ---- couch.c ---- */
bool couch_start(run *r);
bool couch_databases(run *r);
/* Those of a database that was there before are deleted. */
void couch_leave(run *r);
/* Adds to a program's arguments who it is there; how many there are then. */
size_t couch_login(const run *r, const char *argv[], size_t n);
/* Somebody who only looks; the caller's. */
rest *couch_looker(const run *r);
/* Rows, with documents, whose ids begin with "PREFIX:"; the caller's, or NULL:
   it does not answer. */
json_t *couch_rows(rest *couch, const char *db, const char *prefix);
/* What the database is to do wrong; told on stderr when it does not take it. */
void tell_couch(run *r, const char *method, const char *what, json_t *body);
/* Writes that are lost, late, refused, slow; on nodes 0 and 1. */
void couch_faults(run *r, bool on);

/* ---- begin.c ---- */
/* All drones in the pool are free. */
bool wait_pool(run *r);
/* What an app is created with: the host NAME.test, and what it says; command
   NULL: the one that says it. */
json_t *nonce_app(const run *r, const char *name, const char *nonce,
                  const char *command);
/* app-N, with the host app-N.test and the nonce of nonce_of. */
bool create_apps(run *r);
void nonce_of(const run *r, unsigned app, char out[64]);
/* At any of the provisioners, until one takes it, 20 s at most. */
bool post_wish(run *r, unsigned app, const char *what);
/* Of what a run has left. */
void remove_all(const char *dir);

/* ---- the threads ---- */
void *users_main(void *arg); /* of a user_arg */
typedef struct user_arg {
  run *r;
  unsigned index;
} user_arg;
/* An answer of the API about an app, or what stands for one: if it says live,
   that is looked at (I3), and remembered (I4). */
void user_hears(run *r, unsigned app, const json_t *answer);
void *watch_drones_main(void *arg); /* of a user_arg: every 4th drone */
void *watch_routes_main(void *r);
void broke(run *r, enum law law, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool drone_has_had(run *r, unsigned i, const char *claim);
int drone_find(const run *r, const char *addr);
/* Whether the agent holds the claim now: 1, 0, or -1: it does not answer. */
int drone_holds(run *r, unsigned i, const char *claim);

/* ---- guard.c ---- */
/* Whether the guard lets the claim in, echoes it, and what the app says begins
   as expected. */
bool guard_ask(const char *addr, const char *app, const char *claim,
               const char *expect);

/* ---- binds.c ---- */
void judge_binds(run *r);
/* Whether the drone has told by now that it took the claim. */
bool drone_told_bind(const drone *d, const char *claim);

/* ---- judge.c ---- */
void judge(run *r);
void judge_print(const run *r, bool ok);

#endif
