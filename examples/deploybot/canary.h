/* One canary: what a user does with an app from its creation to its end, and
   whether every balancer shows it. Sequential, on the calling thread; blocks
   until it is over, at most run_ms and about ten seconds. */
#ifndef DEPLOYBOT_CANARY_H
#define DEPLOYBOT_CANARY_H

#include "common/metrics.h"
#include "deploybot/halt.h"
#include "deploybot/nonces.h"
#include "deploybot/report.h"

typedef struct canary_config {
  const char *couch, *apps;             /* where balancers are found */
  const char *server, *token, *ca_file; /* the API; ca_file may be NULL */
  const char *const *balancers;         /* or these, if there are any */
  size_t balancer_count;
  const char *id, *app, *host, *command; /* host may be NULL */
  int64_t run_ms, settle_ms;
  metric *visits; /* counted; may be NULL */
} canary_config;

/* The two youngest of nonces are the words of this canary's versions. */
void canary_run(const canary_config *config, const nonces *words, halt *h,
                canary_report *report);

#endif
