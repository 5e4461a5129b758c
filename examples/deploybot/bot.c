/* See bot.h. The state is saved before a canary begins, so that its words are
   known as ours after a kill; and again before a mail is sent, so that it is
   neither forgotten nor written twice. */
#include "deploybot/bot.h"

#include "common/log.h"
#include "deploybot/letter.h"
#include "deploybot/state.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_LEAST_MS = 100, LATE_FACTOR = 3 };

struct bot {
  const options *o;
  halt *halt;
  const char *path; /* of the state, or NULL */
  int lock;
  state state;
  canary_report report; /* of the last canary */
  canary_config canary;
  post_config post;
  metric *runs[CANARY_RESULTS], *seconds, *incident, *last_ok, *waiting,
      *damaged, *errors;
  atomic_int_fast64_t ended_ms; /* the last canary, mono; at first: now */
  atomic_bool unsaved;
};

/* ---- beginning ---- */

static void make_metrics(bot *b, metrics *m) {
  char label[32];

  for (int i = 0; i < CANARY_RESULTS; i++) {
    (void)snprintf(label, sizeof label, "result=\"%s\"",
                   canary_result_name((enum canary_result)i));
    b->runs[i] = metrics_counter(m, "deploybot_runs_total", label, "Canaries.");
  }
  b->seconds =
      metrics_times(m, "deploybot_run_seconds", NULL, "What canaries took.");
  b->canary.visits = metrics_counter(m, "deploybot_visits_total", NULL,
                                     "Requests through balancers.");
  b->incident = metrics_gauge(m, "deploybot_incident", NULL,
                              "1 while there is an incident.");
  b->last_ok = metrics_gauge(m, "deploybot_last_ok_timestamp_seconds", NULL,
                             "When a canary was well last; 0: never.");
  b->post.sent = metrics_counter(m, "deploybot_mails_sent_total", NULL,
                                 "Mails accepted for a receiver.");
  b->post.refused = metrics_counter(m, "deploybot_mails_refused_total", NULL,
                                    "Tries to send that were not accepted.");
  b->post.dropped = metrics_counter(m, "deploybot_mails_dropped_total", NULL,
                                    "Mails that were given up.");
  b->waiting = metrics_gauge(m, "deploybot_mails_waiting", NULL,
                             "Mails not accepted yet.");
  b->damaged = metrics_counter(m, "deploybot_state_damaged_total", NULL,
                               "State files found damaged.");
  b->errors = metrics_counter(m, "deploybot_state_errors_total", NULL,
                              "Times that the state could not be saved.");
}

static void show(bot *b) {
  metric_set(b->incident, b->state.incident.open ? 1 : 0);
  metric_set(b->last_ok, b->state.history.last_ok_ms / 1000);
  metric_set(b->waiting, (int64_t)b->state.outbox.count);
}

static bool load(bot *b, char *error, size_t size) {
  enum state_found found;

  if (b->path == NULL)
    return true;
  b->lock = state_lock(b->path, error, size);
  if (b->lock < 0)
    return false;
  found = state_load(b->path, &b->state, error, size);
  if (found == STATE_ERROR)
    return false;
  if (found == STATE_DAMAGED) {
    log_event(LOG_ERROR, "state.damaged", LS("why", error),
              LS("then", "it is kept as FILE.damaged, and begun anew"));
    metric_add(b->damaged, 1);
    state_set_aside(b->path);
  }
  /* Better now than when there is something to lose. */
  return state_save(b->path, &b->state, error, size);
}

bot *bot_new(const options *o, metrics *m, halt *h, char *error, size_t size) {
  bot *b = calloc(1, sizeof *b);

  if (b == NULL) {
    (void)snprintf(error, size, "there is no memory");
    return NULL;
  }
  b->o = o;
  b->halt = h;
  b->path = config_string(o->config, "state");
  b->lock = -1;
  b->canary = o->canary;
  b->post = o->post;
  atomic_store(&b->ended_ms, mono_ms());
  make_metrics(b, m);
  if (load(b, error, size)) {
    show(b);
    return b;
  }
  bot_free(b);
  return NULL;
}

void bot_free(bot *b) {
  if (b == NULL)
    return;
  state_clear(&b->state);
  if (b->lock >= 0)
    (void)close(b->lock);
  free(b);
}

static void save(bot *b) {
  char why[400];
  bool ok = b->path == NULL || state_save(b->path, &b->state, why, sizeof why);

  if (!ok) {
    log_event(LOG_ERROR, "state.unsaved", LS("why", why));
    metric_add(b->errors, 1);
  }
  atomic_store(&b->unsaved, !ok);
  show(b);
}

/* ---- what is to be told ---- */

static void make_id(const bot *b, int64_t at_ms, const char *word,
                    char out[MAIL_ID_MOST + 1]) {
  (void)snprintf(out, MAIL_ID_MOST + 1, "%" PRId64 ".%s%s", at_ms, word,
                 strchr(b->post.from, '@'));
}

static void write_mail(bot *b, const letter *l) {
  const incident *i = l->incident;
  char root[MAIL_ID_MOST + 1], id[MAIL_ID_MOST + 1], word[CLAIM_LEN + 1] = "";
  const char *none[] = {b->post.from};
  mail_head head = {.from = b->post.from,
                    .to = b->post.to_count != 0 ? b->post.to : none,
                    .to_count = b->post.to_count != 0 ? b->post.to_count : 1,
                    .id = root,
                    .at_ms = l->now_ms};
  text subject = TEXT_INIT, body = TEXT_INIT, data = TEXT_INIT;

  make_id(b, i->since_ms, i->id, root);
  if (l->news != NEWS_BEGUN) { /* all of an incident are one thread */
    (void)id_random(word);
    make_id(b, l->now_ms, word, id);
    head.id = id;
    head.refers_to = root;
  }
  letter_subject(l, &subject);
  letter_body(l, &body);
  head.subject = text_get(&subject);
  mail_write(&head, text_get(&body), &data);
  if (subject.failed || body.failed || data.failed ||
      outbox_add(&b->state.outbox, head.id, text_get(&data), l->now_ms,
                 b->post.to, b->post.to_count) == NULL) {
    log_event(LOG_ERROR, "mail.dropped", LS("subject", text_get(&subject)),
              LS("why", "a hundred wait already, or there is no memory"));
    metric_add(b->post.dropped, 1);
  }
  text_free(&subject);
  text_free(&body);
  text_free(&data);
}

static void tell(bot *b, enum news news) {
  static const char *const events[] = {"", "incident.begun", "incident.worse",
                                       "incident.lasts", "incident.over"};
  incident *i = &b->state.incident;
  letter l = {.news = news,
              .staging = config_string(b->o->config, "staging"),
              .incident = i,
              .history = &b->state.history,
              .report = &b->report,
              .rules = &b->o->rules,
              .line = lines_pick(b->o->lines),
              .now_ms = wall_ms()};

  if (news == NEWS_NONE)
    return;
  if (news == NEWS_BEGUN && !id_random(i->id))
    (void)snprintf(i->id, sizeof i->id, "nochance");
  log_event(news == NEWS_OVER ? LOG_INFO : LOG_ERROR, events[news],
            LS("incident", i->id), LS("what", i->what));
  if (b->post.smtp != NULL || b->post.mailbox != NULL)
    write_mail(b, &l);
}

/* ---- a canary ---- */

static void one(bot *b) {
  canary_report *r = &b->report;
  char what[WHAT_MOST + 1];
  enum news news;

  if (!nonces_renew(&b->state.nonces)) {
    log_event(LOG_ERROR, "canary.no_chance",
              LS("why", "the system has no random bytes"));
    r->result = CANARY_SKIPPED;
    return;
  }
  save(b);
  canary_run(&b->canary, &b->state.nonces, b->halt, r);
  metric_add(b->runs[r->result], 1);
  metric_time(b->seconds, r->took_ms);
  incident_describe(r, what, sizeof what);
  log_event(
      r->result == CANARY_FAILED || r->result == CANARY_MISROUTE ? LOG_WARN
                                                                 : LOG_INFO,
      "canary", LS("app", r->app), LS("result", canary_result_name(r->result)),
      LN("ms", r->took_ms), LS("what", what));
  news = incident_take(&b->state.history, &b->state.incident, r, &b->o->rules,
                       wall_ms());
  tell(b, news);
  save(b);
  atomic_store(&b->ended_ms, mono_ms());
}

static void send_mails(bot *b) {
  while (post_due(&b->post, &b->state.outbox, wall_ms(), b->halt))
    save(b);
}

/* Sends what becomes due meanwhile. */
static bool wait_until(bot *b, int64_t until_ms) {
  int64_t left_ms, mail_ms;

  do {
    send_mails(b);
    left_ms = until_ms - mono_ms();
    mail_ms = outbox_next(&b->state.outbox) - wall_ms();
    if (mail_ms < left_ms)
      left_ms = mail_ms;
    if (!halt_pause(b->halt,
                    left_ms > PAUSE_LEAST_MS ? left_ms : PAUSE_LEAST_MS))
      return false;
  } while (mono_ms() < until_ms);
  return true;
}

static int64_t pause_of(const bot *b) {
  int64_t every_ms = config_number(b->o->config, "every"),
          again_ms = config_number(b->o->config, "again");
  bool untold = b->state.history.failures != 0 && !b->state.incident.open;

  return untold && again_ms < every_ms ? again_ms : every_ms;
}

void bot_go_on(bot *b) {
  int64_t began_ms;

  do {
    began_ms = mono_ms();
    one(b);
  } while (wait_until(b, began_ms + pause_of(b)));
}

enum canary_result bot_once(bot *b) {
  one(b);
  send_mails(b);
  return b->report.result;
}

void bot_tell(const bot *b, text *out) {
  const canary_report *r = &b->report;

  if (r->result == CANARY_OK)
    text_printf(out, "%s is well, after %" PRId64 " ms.\n", r->app, r->took_ms);
  else if (r->result == CANARY_SKIPPED)
    text_printf(out, "%s was skipped: the API is in maintenance.\n", r->app);
  else if (r->result == CANARY_INTERRUPTED)
    text_printf(out, "%s was interrupted.\n", r->app);
  else
    letter_findings(r, out);
}

const char *bot_trouble(const bot *b) {
  int64_t most_ms = LATE_FACTOR * (config_number(b->o->config, "every") +
                                   config_number(b->o->config, "run-time"));

  if (atomic_load(&b->unsaved))
    return "the state cannot be saved";
  if (mono_ms() - atomic_load(&b->ended_ms) > most_ms)
    return "no canary has ended for a long time";
  return NULL;
}
