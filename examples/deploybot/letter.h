/* What a mail of an incident says. Pure. */
#ifndef DEPLOYBOT_LETTER_H
#define DEPLOYBOT_LETTER_H

#include "common/text.h"
#include "deploybot/incident.h"

typedef struct letter {
  enum news news;      /* not NEWS_NONE */
  const char *staging; /* what the platform is called */
  const incident *incident;
  const history *history;
  const canary_report *report; /* of the last canary */
  const incident_rules *rules;
  const char *line; /* the last one, or NULL */
  int64_t now_ms;
} letter;

void letter_subject(const letter *l, text *out);
void letter_body(const letter *l, text *out);
/* What was not as it should be, without the rest of the letter. */
void letter_findings(const canary_report *r, text *out);

#endif
