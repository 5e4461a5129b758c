/* See incident.h. */
#include "deploybot/incident.h"
#include "deploybot/mail.h"

#include <stdio.h>
#include <string.h>

/* It was cut, and what came may be no text; it is to go into JSON. */
static void clean(char *s) {
  size_t len = strlen(s), n;

  for (size_t i = 0; i < len; i += n) {
    n = mail_character(s + i, len - i);
    if (n == 0) {
      s[i] = '?';
      n = 1;
    }
  }
}

void incident_describe(const canary_report *report, char *out, size_t size) {
  const finding *f = &report->findings[0];

  if (report->count == 0)
    (void)snprintf(out, size, "%s",
                   report->result == CANARY_OK ? "" : "it failed");
  else
    (void)snprintf(out, size, "%s, at %s: %.90s", f->step, f->where, f->came);
  clean(out);
}

static void take_down(history *h, const canary_report *report, int64_t now_ms) {
  h->runs++;
  h->last_ms = now_ms;
  h->last = report->result;
  incident_describe(report, h->what, sizeof h->what);
  if (report->result == CANARY_OK) {
    h->last_ok_ms = now_ms;
    h->failures = 0;
    h->failing_since_ms = 0;
    return;
  }
  if (h->failures++ == 0)
    h->failing_since_ms = report->at_ms;
}

static enum news begin(const history *h, incident *i, bool misroute,
                       int64_t now_ms) {
  memset(i, 0, sizeof *i);
  i->open = true;
  i->misroute = misroute;
  i->since_ms = h->failing_since_ms;
  i->told_ms = now_ms;
  i->mails = 1;
  memcpy(i->what, h->what, sizeof i->what);
  return NEWS_BEGUN;
}

static enum news again(incident *i, enum news news, int64_t now_ms) {
  i->told_ms = now_ms;
  i->mails++;
  return news;
}

enum news incident_take(history *h, incident *i, const canary_report *report,
                        const incident_rules *rules, int64_t now_ms) {
  bool misroute = report->result == CANARY_MISROUTE;
  int64_t pause_ms;

  if (report->result == CANARY_SKIPPED || report->result == CANARY_INTERRUPTED)
    return NEWS_NONE;
  take_down(h, report, now_ms);
  if (report->result == CANARY_OK) {
    if (!i->open)
      return NEWS_NONE;
    i->open = false;
    return NEWS_OVER;
  }
  if (!i->open)
    return misroute || h->failures >= rules->alert_after
               ? begin(h, i, misroute, now_ms)
               : NEWS_NONE;
  if (misroute && !i->misroute) {
    i->misroute = true;
    return again(i, NEWS_WORSE, now_ms);
  }
  if (i->told_ms > now_ms)
    i->told_ms = now_ms; /* the clock was set back */
  pause_ms = i->mails <= 1 ? rules->repeat_first_ms : rules->repeat_ms;
  return now_ms - i->told_ms >= pause_ms ? again(i, NEWS_LASTS, now_ms)
                                         : NEWS_NONE;
}
