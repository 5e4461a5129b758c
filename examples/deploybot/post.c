/* Which mail is tried when; see post.h. */
#include "deploybot/post.h"

#include "common/log.h"
#include <string.h>

enum { NEVER_FACTOR = 16 };

static const int64_t GIVE_UP_MS = INT64_C(7) * 24 * 3600 * 1000;
static const int64_t LATER_MOST_MS = INT64_C(15) * 60 * 1000;

/* Doubled with each try. */
static int64_t pause_of(const post_config *config, const mail *m) {
  int64_t most_ms = m->refused ? LATER_MOST_MS * NEVER_FACTOR : LATER_MOST_MS;
  int64_t ms = config->again_ms;

  for (int64_t i = 1; i < m->tries && ms < most_ms; i++)
    ms *= 2;
  return ms < most_ms ? ms : most_ms;
}

static enum post_said try_one(const post_config *config, const mail *m,
                              const char *to, halt *h) {
  char why[320] = "";
  enum post_said said = config->smtp != NULL
                            ? post_smtp(config, m, to, h, why, sizeof why)
                            : post_file(config, m, why, sizeof why);

  if (said == POST_DONE) {
    metric_add(config->sent, 1);
    log_event(LOG_INFO, "mail.sent", LS("id", m->id), LS("to", to));
  } else {
    metric_add(config->refused, 1);
    log_event(LOG_WARN, said == POST_NEVER ? "mail.refused" : "mail.not_sent",
              LS("id", m->id), LS("to", to), LN("tries", m->tries + 1),
              LS("why", why));
  }
  return said;
}

/* Each receiver by himself, so that a wrong address keeps it from nobody
   else. */
static void try_all(const post_config *config, mail *m, halt *h) {
  bool later = false;

  for (size_t i = 0; i < m->to_count;) {
    enum post_said said = try_one(config, m, m->to[i], h);

    if (said == POST_DONE) {
      mail_drop_receiver(m, i);
      continue;
    }
    later = later || said == POST_LATER;
    i++;
  }
  m->refused = !later;
}

/* Receivers are those that were meant when it was written, if it had any. */
static bool address(const post_config *config, outbox *o, size_t at) {
  mail *m = &o->mails[at];

  for (; m->to_count < config->to_count; m->to_count++) {
    m->to[m->to_count] = strdup(config->to[m->to_count]);
    if (m->to[m->to_count] == NULL)
      return false;
  }
  return m->to_count != 0;
}

/* true: nothing is left to do for it. */
static bool send_mail(const post_config *config, outbox *o, size_t at,
                      halt *h) {
  mail *m = &o->mails[at];

  if (config->smtp == NULL) {
    m->refused = false;
    if (try_one(config, m, config->mailbox, h) == POST_DONE)
      return true;
  } else {
    if (m->to_count == 0 && !address(config, o, at))
      return false;
    try_all(config, m, h);
    if (m->to_count == 0)
      return true;
  }
  m->tries++;
  return false;
}

static void give_up(const post_config *config, outbox *o, size_t at) {
  log_event(LOG_ERROR, "mail.dropped", LS("id", o->mails[at].id),
            LN("tries", o->mails[at].tries),
            LS("why", "it could not be sent for seven days"));
  metric_add(config->dropped, 1);
  outbox_remove(o, at);
}

/* true: it is another now, or gone. */
static bool try_due(const post_config *config, outbox *o, size_t at,
                    int64_t now_ms, halt *h) {
  mail *m = &o->mails[at];

  if (now_ms - m->at_ms > GIVE_UP_MS) {
    give_up(config, o, at);
    return true;
  }
  if (m->next_ms - now_ms > LATER_MOST_MS * NEVER_FACTOR)
    m->next_ms = now_ms; /* the clock was set back */
  if (m->next_ms > now_ms)
    return false;
  if (send_mail(config, o, at, h))
    outbox_remove(o, at);
  else if (!halt_is_set(h)) /* cut short, it is tried first when we are back */
    m->next_ms = wall_ms() + pause_of(config, m);
  return true;
}

bool post_due(const post_config *config, outbox *o, int64_t now_ms, halt *h) {
  if (config->smtp == NULL && config->mailbox == NULL)
    return false;
  for (size_t i = 0; i < o->count && !halt_is_set(h); i++) {
    if (try_due(config, o, i, now_ms, h))
      return true;
    if (!o->mails[i].refused)
      return false; /* the server is waited for; the order is kept */
  }
  return false;
}
