/*
 * K1: a drone accepts one claim until that claim is unbound; the first bind
 * wins, the same bind again is the same answer, and every yes is durable before
 * it is said. The rules only: processes and HTTP are elsewhere.
 */
#ifndef DRONE_CLAIM_H
#define DRONE_CLAIM_H

#include "drone/drone_store.h"

typedef struct drone_claim drone_claim;

enum drone_said {
  DRONE_YES,
  DRONE_CLAIMED, /* another claim is held */
  DRONE_FENCED,  /* its epoch is behind the fence */
  DRONE_VM,      /* meant for a life of this drone that is over */
  DRONE_COMMAND, /* the claim runs another command already */
  DRONE_UNHELD,  /* that claim is not held */
  DRONE_DISK     /* could not be made durable: nothing has changed */
};

/* Takes the last life's record over (cleared afterwards), or begins a new life
   when it is clear: a new vm, fence 0. addr and ctl: where it listens now. NULL
   with a sentence. */
drone_claim *drone_claim_open(drone_store *store, drone_record *last,
                              const char *addr, const char *ctl, char *error,
                              size_t error_size);
void drone_claim_free(drone_claim *c);
const drone_record *drone_claim_record(const drone_claim *c);
int drone_claim_errno(const drone_claim *c); /* of the last DRONE_DISK */
bool drone_claim_holds(const drone_claim *c, const char *id);

enum drone_said drone_claim_bind(drone_claim *c, const char *vm,
                                 const drone_bound *bound);
/* *already: it runs so already. env may be NULL; is not kept. */
enum drone_said drone_claim_start(drone_claim *c, const char *id,
                                  const char *command, const json_t *env,
                                  int64_t memory_mb, bool *already);
/* Whether an unbind may go on: asked before the app is ended. */
enum drone_said drone_claim_may_unbind(const drone_claim *c, const char *id);
enum drone_said drone_claim_unbind(drone_claim *c, const char *id,
                                   int64_t epoch);
enum drone_said drone_claim_fence(drone_claim *c, const char *vm,
                                  int64_t epoch);

#endif
