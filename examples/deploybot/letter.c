/* See letter.h. Short lines, the worst first: it is read at night. */
#include "deploybot/letter.h"
#include "deploybot/mail.h"

#include <stdio.h>

void letter_subject(const letter *l, text *out) {
  const finding *f = &l->report->findings[0];
  char lasted[64];

  text_printf(out, "[%s] %s: ", l->staging, l->report->app);
  if (l->news == NEWS_OVER) {
    mail_duration(l->now_ms - l->incident->since_ms, lasted, sizeof lasted);
    text_printf(out, "well again after %s", lasted);
    return;
  }
  if (l->report->result == CANARY_MISROUTE)
    text_str(out, "SOMEBODY ELSE'S PAGE");
  else if (l->report->count != 0)
    text_printf(out, "cannot %s", f->step);
  else
    text_str(out, "deploys fail");
  if (l->report->count != 0)
    text_printf(out, " at %s", f->where);
  if (l->news == NEWS_LASTS)
    text_str(out, ", still");
}

static void add_finding(const finding *f, bool with_bytes, text *out) {
  mail_fold(out, "Failed:    ", f->step);
  mail_fold(out, "At:        ", f->where);
  if (f->request[0] != '\0')
    mail_fold(out, "Request:   ", f->request);
  mail_fold(out, "Expected:  ", f->expected);
  mail_fold(out, "Came:      ", f->came);
  if (with_bytes && f->body_len != 0) {
    if (f->body_len < CAME_MOST)
      text_printf(out, "\nWhat came (%zu bytes):\n", f->body_len);
    else
      text_str(out, "\nWhat came, its first 500 bytes:\n");
    mail_quote(out, f->body, f->body_len);
  }
}

void letter_findings(const canary_report *r, text *out) {
  for (size_t i = 0; i < r->count; i++) {
    text_str(out, i == 0 ? "" : i == 1 ? "\nIn the same canary:\n\n" : "\n");
    /* Bytes of somebody else's are worth their place, more pages are not. */
    add_finding(&r->findings[i], i == 0 || r->findings[i].misroute, out);
  }
  if (r->more != 0)
    text_printf(out, "\nand %zu more.\n", r->more);
}

static void add_opening(const letter *l, text *out) {
  const incident *i = l->incident;
  char since[48], line[400];

  mail_time(i->since_ms, since, sizeof since);
  if (l->report->result == CANARY_MISROUTE)
    (void)snprintf(line, sizeof line,
                   "A visitor of the canary %s was shown bytes that are not "
                   "of it: somebody may see somebody else's site. Canaries "
                   "fail since %s, %lld in a row.",
                   l->report->app, since, (long long)l->history->failures);
  else
    (void)snprintf(line, sizeof line,
                   "Deploys do not work: the canary %s fails since %s, %lld "
                   "times in a row.",
                   l->report->app, since, (long long)l->history->failures);
  mail_fold(out, "", line);
  if (l->news == NEWS_WORSE)
    mail_fold(out, "", "This was told before as a failure; now it is worse.");
  if (l->news == NEWS_LASTS)
    mail_fold(out, "", "This was told before, and is so still.");
}

static void add_closing(const letter *l, text *out) {
  const incident_rules *rules = l->rules;
  char when[64], line[320];

  if (l->history->last_ok_ms != 0) {
    mail_time(l->history->last_ok_ms, when, sizeof when);
    text_printf(out, "\nThe last canary that was well ended at %s.\n", when);
  } else {
    text_str(out, "\nNo canary of this bot was well before.\n");
  }
  mail_duration(l->incident->mails <= 1 ? rules->repeat_first_ms
                                        : rules->repeat_ms,
                when, sizeof when);
  (void)snprintf(line, sizeof line,
                 "Canaries go on. You get a mail when one is well, and "
                 "another after %s if that lasts.",
                 when);
  mail_fold(out, "", line);
}

static void add_recovery(const letter *l, text *out) {
  char since[48], until[48], lasted[64], line[400];

  mail_time(l->incident->since_ms, since, sizeof since);
  mail_time(l->now_ms, until, sizeof until);
  mail_duration(l->now_ms - l->incident->since_ms, lasted, sizeof lasted);
  (void)snprintf(line, sizeof line,
                 "The canary %s was created, read, deployed anew, stopped and "
                 "destroyed as it should be, through every balancer.",
                 l->report->app);
  mail_fold(out, "", line);
  text_str(out, "\n");
  mail_fold(out, "Failed:    ", since);
  mail_fold(out, "Well:      ", until);
  mail_fold(out, "Lasted:    ", lasted);
  mail_fold(out, "It began:  ", l->incident->what);
}

void letter_body(const letter *l, text *out) {
  if (l->news == NEWS_OVER) {
    add_recovery(l, out);
    return;
  }
  add_opening(l, out);
  text_str(out, "\n");
  letter_findings(l->report, out);
  add_closing(l, out);
  if (l->line != NULL) {
    text_str(out, "\n");
    mail_fold(out, "", l->line);
  }
}
