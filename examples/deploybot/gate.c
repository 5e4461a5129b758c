/* Asks the database and the state; see gate.h. */
#include "deploybot/gate.h"

#include "common/docs.h"
#include "deploybot/halt.h"
#include <stdio.h>

/* No document is no freeze, but no database is a mistake. */
static bool is_there(docs *d, const char *db, docs_answer *answer) {
  rest_reply reply;
  char path[320] = "/", name[300];
  bool there = false;

  if (rest_escape(db, name, sizeof name)) {
    (void)snprintf(path, sizeof path, "/%s", name);
    there = rest_call(docs_rest(d), "GET", path, NULL, &reply) == 200;
    (void)snprintf(answer->error, sizeof answer->error, "%s", reply.error);
    rest_reply_free(&reply);
  }
  return there;
}

static int ask_freeze(const gate_config *config, int64_t now_ms, text *out) {
  rest_config server = {.url = config->couch};
  docs_answer answer = {.error = ""};
  char why[256] = "";
  docs *d = docs_new(&server, config->apps, why, sizeof why);
  enum docs_result said = DOCS_UNKNOWN;
  json_t *doc = NULL;
  int status = GATE_UNKNOWN;
  freeze f;

  if (d != NULL)
    said = docs_get(d, "sys:freeze", &doc, &answer);
  if (d == NULL || (said != DOCS_OK && said != DOCS_MISSING))
    text_printf(out, "Whether there is a freeze is not known: %s\n",
                d == NULL ? why : answer.error);
  else if (said == DOCS_MISSING && !is_there(d, config->apps, &answer))
    text_printf(out, "Whether there is a freeze is not known: %s\n",
                answer.error);
  else if (!freeze_read(said == DOCS_OK ? doc : NULL, &f, why, sizeof why))
    text_printf(out, "The document sys:freeze cannot be read: %s.\n", why);
  else
    status = gate_freeze(&f, now_ms, out);
  json_decref(doc);
  docs_free(d);
  return status;
}

static int ask_state(const gate_config *config, int64_t now_ms, text *out) {
  char why[400] = "";
  state s;
  enum state_found found = state_load(config->state, &s, why, sizeof why);
  int status = GATE_UNKNOWN;

  if (found == STATE_FOUND || found == STATE_NEW)
    status = gate_history(&s.history, config->max_age_ms, now_ms, out);
  else
    text_printf(out, "How the last canary was is not known: %s.\n", why);
  state_clear(&s);
  return status;
}

int gate(const gate_config *config) {
  int64_t now_ms = wall_ms();
  text reasons = TEXT_INIT;
  int status = ask_freeze(config, now_ms, &reasons);

  status = gate_first(status, ask_state(config, now_ms, &reasons));
  if (reasons.failed)
    status = gate_first(status, GATE_UNKNOWN);
  (void)fputs(text_get(&reasons), stderr);
  if (status == GATE_OPEN)
    (void)puts("Deploy: the last canary was well, and there is no freeze.");
  text_free(&reasons);
  return status;
}
