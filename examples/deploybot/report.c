/* See report.h. */
#include "deploybot/report.h"

#include <stdio.h>
#include <string.h>

const char *canary_result_name(enum canary_result result) {
  static const char *const names[CANARY_RESULTS] = {"ok", "failed", "misroute",
                                                    "skipped", "interrupted"};

  return names[result];
}

finding *report_add(canary_report *r, const char *step, const char *where,
                    bool misroute) {
  size_t at = misroute ? 0 : r->count;
  finding *f;

  if (misroute)
    r->result = CANARY_MISROUTE;
  else if (r->result == CANARY_OK)
    r->result = CANARY_FAILED;
  /* Misroutes come first, and push out what is less. */
  while (at < r->count && r->findings[at].misroute)
    at++;
  if (r->count == FINDINGS_MOST) {
    r->more++;
    if (at >= FINDINGS_MOST)
      at = FINDINGS_MOST - 1;
    if (!misroute || r->findings[at].misroute)
      return NULL;
    r->count--;
  }
  f = &r->findings[at];
  memmove(f + 1, f, (r->count - at) * sizeof *f);
  r->count++;
  memset(f, 0, sizeof *f);
  f->misroute = misroute;
  (void)snprintf(f->step, sizeof f->step, "%s", step);
  (void)snprintf(f->where, sizeof f->where, "%s", where);
  return f;
}
