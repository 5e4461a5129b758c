/* What the parts of a canary share; see canary.h. */
#ifndef DEPLOYBOT_CANARY_STATE_H
#define DEPLOYBOT_CANARY_STATE_H

#include "common/documents.h"
#include "common/rest.h"
#include "deploybot/canary.h"
#include "deploybot/visit.h"

enum { BALANCERS_MOST = 32, CALL_MS = 5000 };

typedef struct front {
  char name[NAME_MOST + ADDR_MOST + 20]; /* "balancer b2 (127.0.0.1:8000)" */
  visitor *visitor;
  char addr[ADDR_MOST + 1];
} front;

typedef struct canary {
  const canary_config *config;
  const nonces *words;
  halt *halt;
  canary_report *report;
  rest *api;
  const char *step;    /* what is done now, for findings */
  int64_t deadline_ms; /* mono_ms() */
  char host[HOST_MOST + 1];
  front fronts[BALANCERS_MOST];
  size_t front_count;
  bool made; /* the app may be there, and is this bot's */
} canary;

/* A finding that has no bytes to show. Always false. */
bool canary_fail(canary *c, const char *where, const char *expected,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* False, and the report says why, when the canary is to end or its time is
   over. */
bool canary_goes_on(canary *c);
/* The same, after a pause. */
bool canary_pause(canary *c, int64_t ms);

/* ---- canary_fronts.c: the balancers ---- */

bool fronts_find(canary *c);
void fronts_free(canary *c);
/* Until each shows what is expected, each within the time to settle. */
bool fronts_show(canary *c, const expectation *e);

/* ---- canary_api.c: calls of the provisioner ---- */

bool deploy_open(canary *c);
/* What is left of an earlier canary of this bot. */
bool deploy_clean(canary *c);
bool deploy_create(canary *c, const char *nonce); /* or change */
bool deploy_start(canary *c);
bool deploy_stop(canary *c);
bool deploy_destroy(canary *c);
/* However the canary ended: one call that it should go. */
void deploy_leave(canary *c);

/* ---- canary_asker.c: who asks all the time, on a thread of its own ---- */

typedef struct asker asker;

/* Only versions of ours may be shown. NULL: it could not be begun. */
asker *asker_start(canary *c);
/* What it found goes into the report; false: something was wrong. */
bool asker_end(asker *a);

#endif
