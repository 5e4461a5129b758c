/* An explicit-state model of the claim protocol: every state that a few
 * provisioners, drones, apps and a lossy network can come to, found breadth
 * first, and what must hold in each. state.c packs a state, world.c is the
 * database and the agents, worker.c a provisioner's steps, faults.c what
 * befalls them, search.c the search, main.c the ways that are tried. */
#ifndef PLATFORM_MODEL_H
#define PLATFORM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRONES = 3, APPS = 2, WORKERS = 2, LATES = 2, CLAIMS = 13, PACKED = 48 };

/* What a rev somebody remembers is to the document now. */
enum rev { REV_STALE, REV_CUR, REV_PREV, REV_LEAF };

enum drone_state { D_FREE, D_CLAIMED, D_BOUND, D_DRAINING };
enum route_state { R_NONE, R_OFF, R_LIVE };

typedef struct drone_val {
  uint8_t state, claim, epoch;
  uint8_t vm; /* whether it names the life the drone lives now */
} drone_val;

typedef struct route_val {
  uint8_t state, gen, drone, claim;
} route_val;

/* has_leaf: somebody believes in the loser of a race, which CouchDB keeps, and
   lets grow. What it says matters only when it is written anew. */
typedef struct drone_doc {
  drone_val cur;
  uint8_t has_leaf;
} drone_doc;

typedef struct route_doc {
  route_val cur;
  uint8_t has_leaf;
} route_doc;

typedef struct agent {
  uint8_t held, epoch, fence; /* held: a claim, or 0 */
} agent;

enum pc {
  IDLE,
  CLAIM,
  BIND,
  SETTLE,
  PUBLISH_ROUTE, /* reads the route */
  PUBLISH_DRONE, /* reads the drone's document */
  PUBLISH,
  STOP,
  DRAIN,
  UNROUTE_READ,
  UNROUTE,
  UNBIND,
  FREE,
  FENCE,
  FENCED,
  REPAIR,
  PCS
};

typedef struct worker {
  uint8_t pc, app, gen, drone, claim, epoch, vm, rev, route_rev;
} worker;

enum late_kind { L_NONE, L_DRONE, L_ROUTE, L_BIND, L_UNBIND, L_FENCE };

/* A request whose sender has given up, and which arrives yet. */
typedef struct late {
  uint8_t kind, on, rev, state, claim, epoch, vm, gen;
} late;

/* What is known of a claim's id for ever. */
typedef struct claim {
  uint8_t app, gen, bound, lost;
} claim_fact;

typedef struct state {
  drone_doc docs[DRONES];
  agent agents[DRONES];
  route_doc routes[APPS];
  uint8_t started[APPS], gen[APPS]; /* what is wanted */
  uint8_t kills, losses;            /* that may yet be */
  worker workers[WORKERS];
  late lates[LATES];
  claim_fact claims[CLAIMS + 1];
  uint8_t bad; /* bits of enum law, broken by the step that led here */
} state;

enum law {
  LAW_ONE_CLAIM,  /* a drone holds one claim until that is unbound */
  LAW_SAID_BOUND, /* live only what the drone has said bound for */
  LAW_HELD,       /* and what it holds still, if it has not lost its file */
  LAW_ADDRESS,    /* no two live routes name one drone */
  LAW_WAY_OUT,    /* from everywhere what is wanted can be reached */
  LAWS
};

typedef struct config {
  const char *name, *about;
  unsigned drones, apps, lates;
  unsigned gens;                 /* wishes per app */
  bool drone_races, route_races; /* two writers of one rev are told yes */
  unsigned kills, losses; /* of provisioners, of claim files; 3: no end */
  bool ignore_bind;       /* what the drone says to a bind is not looked at */
  bool same_body;         /* a claim has no random id */
  bool last_write;        /* 409: overwrites */
  bool read_back;         /* unknown, 202: reads, and believes what it reads */
  bool empty_pool;        /* none free: hands out a used one */
  bool timeout_ok;        /* unknown counts as done */
  bool no_fence;     /* a claim that is old is freed, the drone not asked */
  bool any_bind;     /* the agent takes every claim */
  bool no_unroute;   /* unbinds without making late routes void first */
  bool no_draining;  /* publishes without a look at the drone's document */
  bool free_unknown; /* frees a drone that did not answer the unbind */
  unsigned expect;   /* bits of enum law that must be seen broken */
  unsigned allowed;  /* that may be: what K3 is for */
  bool big, deep;    /* for fast builds; for whoever has minutes */
  size_t most;       /* states */
} config;

/* One step, as a reader is to see it: "provisioner W: TEXT". */
typedef struct label {
  const char *text, *outcome;
  uint8_t who, app, drone; /* who: worker, or NOBODY */
  bool fault;
} step_label;

enum { NOBODY = 255 };

typedef struct expansion {
  const config *config;
  void (*emit)(void *ctx, const state *next, const step_label *label);
  void *ctx;
} expansion;

/* ---- state.c ---- */
void state_first(state *s, const config *c);
/* Gives claims and epochs the least numbers that mean the same, drops what can
   have no effect any more; true in *swapped when workers changed places. False:
   the state does not fit, out of bounds. */
bool state_normal(state *s, const config *c, bool *swapped);
void state_pack(const state *s, const config *c, uint8_t out[PACKED]);
void state_unpack(const uint8_t in[PACKED], const config *c, state *s);
uint8_t state_new_claim(state *s, uint8_t app, uint8_t gen); /* 0: none left */

/* ---- world.c ---- */
enum answer {
  OK,
  ACCEPTED, /* 202 */
  CONFLICT,
  UNKNOWN,
  SAID_CLAIMED,
  SAID_FENCED,
  SAID_VM
};
/* What a PUT can lead to now: fills out with up to PUTS states and answers. */
enum { PUTS = 3 };
typedef struct put_result {
  state next;
  enum answer answer;
  uint8_t rev; /* of what was written, when it was */
  bool fault;
} put_result;
unsigned world_put_drone(const state *s, const config *c, uint8_t d,
                         drone_val value, uint8_t rev, put_result *out);
unsigned world_put_route(const state *s, const config *c, uint8_t app,
                         route_val value, uint8_t rev, put_result *out);
enum answer world_bind(state *s, const config *c, uint8_t d, uint8_t claim,
                       uint8_t epoch, uint8_t vm);
enum answer world_unbind(state *s, uint8_t d, uint8_t claim, uint8_t epoch);
enum answer world_fence(state *s, uint8_t d, uint8_t epoch, uint8_t vm);
void world_lose_file(state *s, uint8_t d);
unsigned world_broken(const state *s, const config *c);
bool world_satisfied(const state *s, const config *c);

/* ---- worker.c, idle.c, faults.c ---- */
void worker_steps(const expansion *x, const state *s, uint8_t w);
void worker_idle(const expansion *x, const state *s, uint8_t w);
void worker_rest(state *s, uint8_t w);
void worker_trim(worker *w);
void fault_steps(const expansion *x, const state *s);
/* Keeps a request on its way; false: no room for one more. */
bool fault_keep(state *s, const config *c, const late *l);

/* ---- search.c ---- */
typedef struct result {
  size_t states, edges, outside, quiet, depth;
  unsigned broken; /* bits of enum law */
  bool complete;   /* all states, none left out */
  double seconds;
} result;
bool search_run(const config *c, bool trace, result *out);
extern const char *const law_names[LAWS];

#endif
