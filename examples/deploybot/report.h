/* What came of a canary: well, or what was not as it should be. */
#ifndef DEPLOYBOT_REPORT_H
#define DEPLOYBOT_REPORT_H

#include "common/ids.h"

enum canary_result {
  CANARY_OK,
  CANARY_FAILED,
  CANARY_MISROUTE,   /* somebody else's bytes were shown */
  CANARY_SKIPPED,    /* the API is in maintenance */
  CANARY_INTERRUPTED /* the program is to end */
};

enum { CAME_MOST = 500, FINDINGS_MOST = 8, CANARY_RESULTS = 5 };

typedef struct finding {
  char step[48];        /* "read the new version back" */
  char where[120];      /* "balancer b2 (127.0.0.1:8000)" */
  char request[65];     /* its X-Request-Id, or "" */
  char expected[160];   /* "its page with the nonce 5f.." */
  char came[320];       /* "503 with the balancer's page E05" */
  char body[CAME_MOST]; /* the beginning of what came, any bytes */
  size_t body_len;      /* of these */
  bool misroute;
} finding;

typedef struct canary_report {
  enum canary_result result;
  int64_t at_ms, took_ms; /* since 1970 */
  char app[NAME_MOST + 1];
  finding findings[FINDINGS_MOST]; /* the first ones; misroutes go before */
  size_t count, more;              /* more: of which nothing was kept */
} canary_report;

const char *canary_result_name(enum canary_result result);
/* A place for one more; its step and place filled in. */
finding *report_add(canary_report *r, const char *step, const char *where,
                    bool misroute);

#endif
