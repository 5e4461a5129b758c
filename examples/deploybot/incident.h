/* When somebody is to be told: what canaries made of an incident. Pure. */
#ifndef DEPLOYBOT_INCIDENT_H
#define DEPLOYBOT_INCIDENT_H

#include "deploybot/report.h"

enum { WHAT_MOST = 240 };

typedef struct incident {
  bool open;
  bool misroute;    /* that was told */
  int64_t since_ms; /* its first failure; times are since 1970 */
  int64_t told_ms;  /* by the last mail */
  int64_t mails;    /* of it, without the one of its end */
  char id[CLAIM_LEN + 1];
  char what[WHAT_MOST + 1]; /* how it began, in a sentence */
} incident;

/* Of canaries that were judged: neither skipped nor interrupted. */
typedef struct history {
  int64_t runs;    /* 0: nothing else counts */
  int64_t last_ms; /* when the last one ended */
  enum canary_result last;
  char what[WHAT_MOST + 1]; /* of it; "" when it was well */
  int64_t last_ok_ms;       /* 0: never */
  int64_t failures;         /* in a row */
  int64_t failing_since_ms; /* of these */
} history;

typedef struct incident_rules {
  int64_t alert_after; /* failures in a row */
  int64_t repeat_first_ms, repeat_ms;
} incident_rules;

enum news {
  NEWS_NONE,
  NEWS_BEGUN, /* an incident */
  NEWS_WORSE, /* it has become a misroute */
  NEWS_LASTS, /* and is to be told again */
  NEWS_OVER   /* i still tells of it, but is not open */
};

/* Takes a canary down. now_ms may have been set back since the last one. The
   caller gives an incident that began its id. */
enum news incident_take(history *h, incident *i, const canary_report *report,
                        const incident_rules *rules, int64_t now_ms);
/* In a sentence: what failed where. */
void incident_describe(const canary_report *report, char *out, size_t size);

#endif
