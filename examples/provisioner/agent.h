/* A drone as it is seen from here: its agent's answers, and its guard's. One
   object for one thread. */
#ifndef PROVISIONER_AGENT_H
#define PROVISIONER_AGENT_H

#include "common/documents.h"

typedef struct agent agent;

typedef struct agent_state {
  char vm[CLAIM_LEN + 1];
  int64_t fence;
  claim_doc claim; /* that it holds; at_ms, by: not told by it */
  int64_t claim_epoch;
  char app[16]; /* what becomes of the app's process */
  int64_t restarts, exit;
} agent_state;

enum agent_result {
  AGENT_OK,
  AGENT_CLAIMED, /* it holds another claim, or one where none was meant */
  AGENT_FENCED,  /* it promised not to accept that epoch */
  AGENT_VM,      /* it is another since */
  AGENT_COMMAND, /* start: runs another command */
  AGENT_REFUSED, /* any other answer that will not get better by itself */
  AGENT_UNKNOWN  /* no answer, or a 5xx: done, or not */
};

enum guard_result {
  GUARD_OK,       /* with the echo of the claim, the app answers */
  GUARD_STARTING, /* it holds the claim, the app does not answer (yet) */
  GUARD_CRASHED,
  GUARD_OTHER, /* it does not hold that claim */
  GUARD_GONE   /* no answer, or none of a guard */
};

agent *agent_new(const char *token);
void agent_free(agent *a);
/* Of the last call: a sentence. */
const char *agent_why(const agent *a);

/* out is filled whenever the answer had a state that can be read; else its vm
   is "". */
enum agent_result agent_ask(agent *a, const char *ctl, agent_state *out);
enum agent_result agent_bind(agent *a, const drone_doc *d, agent_state *out);
enum agent_result agent_start(agent *a, const drone_doc *d, const app_doc *app,
                              agent_state *out);
enum agent_result agent_unbind(agent *a, const drone_doc *d, agent_state *out);
enum agent_result agent_fence(agent *a, const char *ctl, int64_t epoch,
                              const char *vm, agent_state *out);
enum guard_result agent_guard(agent *a, const char *addr, const char *app,
                              const char *claim);

#endif
