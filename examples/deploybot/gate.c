/* See gate.h. */
#include "deploybot/gate.h"

#include "common/docs.h"
#include "deploybot/halt.h"
#include "deploybot/mail.h"
#include <stdio.h>
#include <string.h>

/* ---- the document ---- */

static bool wrong(char *why, size_t size, const char *field, const char *what) {
  (void)snprintf(why, size, "its %s %s", field, what);
  return false;
}

static bool take_time(const json_t *doc, const char *key, int64_t *out,
                      char *why, size_t size) {
  const json_t *value = json_object_get(doc, key);

  if (value == NULL || json_is_null(value))
    return true;
  if (!json_is_integer(value))
    return wrong(why, size, key, "is not a whole number of milliseconds");
  *out = json_integer_value(value);
  return true;
}

static bool is_listed(const json_t *list, size_t before, const json_t *name) {
  for (size_t i = 0; i < before; i++)
    if (json_equal(json_array_get(list, i), name))
      return true;
  return false;
}

static bool take_names(const json_t *list, freeze *out, char *why,
                       size_t size) {
  size_t used = 0;

  if (list == NULL || json_is_null(list))
    return true;
  if (!json_is_array(list) || json_array_size(list) > ONCALL_MOST)
    return wrong(why, size, "oncall", "is not a list of at most 64 names");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *name = json_array_get(list, i);
    size_t len = json_string_length(name);

    if (!json_is_string(name) || len == 0 || len > NAME_BYTES_MOST)
      return wrong(why, size, "oncall",
                   "has something in it that is no name of 1 to 120 bytes");
    if (is_listed(list, i, name))
      continue;
    out->oncall++;
    if (used + len + 3 < sizeof out->names)
      used +=
          (size_t)snprintf(out->names + used, sizeof out->names - used, "%s%s",
                           used == 0 ? "" : ", ", json_string_value(name));
  }
  return true;
}

bool freeze_read(const json_t *doc, freeze *out, char *why, size_t size) {
  const json_t *need = json_object_get(doc, "need");

  memset(out, 0, sizeof *out);
  out->from_ms = INT64_MIN;
  out->to_ms = INT64_MAX;
  if (doc == NULL)
    return true;
  if (!json_is_object(doc))
    return wrong(why, size, "whole", "is no object");
  if (!take_time(doc, "from", &out->from_ms, why, size) ||
      !take_time(doc, "to", &out->to_ms, why, size) ||
      !take_names(json_object_get(doc, "oncall"), out, why, size))
    return false;
  out->any = out->from_ms != INT64_MIN || out->to_ms != INT64_MAX;
  if (need != NULL && !json_is_null(need) &&
      (!json_is_integer(need) || json_integer_value(need) < 0))
    return wrong(why, size, "need", "is not a whole number from 0 on");
  out->need = json_integer_value(need);
  return true;
}

/* ---- reasons ---- */

static int first(int a, int b) { return a != GATE_OPEN ? a : b; }

int gate_freeze(const freeze *f, int64_t now_ms, text *out) {
  int status = GATE_OPEN;
  char from[48] = "", to[48] = "";

  if (f->any && now_ms >= f->from_ms && now_ms < f->to_ms) {
    if (f->from_ms != INT64_MIN)
      mail_time(f->from_ms, from, sizeof from);
    if (f->to_ms != INT64_MAX)
      mail_time(f->to_ms, to, sizeof to);
    text_printf(out, "There is a freeze%s%s, %s%s.\n",
                from[0] != '\0' ? " since " : "", from,
                to[0] != '\0' ? "until " : "until somebody ends it", to);
    status = GATE_FREEZE;
  }
  if (f->oncall < f->need) {
    text_printf(out, "Too few are on call: %lld of the %lld that are needed",
                (long long)f->oncall, (long long)f->need);
    text_printf(out, "%s%s.\n", f->names[0] != '\0' ? ", " : "", f->names);
    status = first(status, GATE_FEW);
  }
  return status;
}

int gate_history(const history *h, int64_t max_age_ms, int64_t now_ms,
                 text *out) {
  char at[48], age[64];
  int status = GATE_OPEN;

  if (h->runs == 0) {
    text_str(out, "No canary has ended yet.\n");
    return GATE_OLD;
  }
  mail_time(h->last_ms, at, sizeof at);
  if (h->last != CANARY_OK) {
    text_printf(out, "The last canary failed, at %s: %s.\n", at, h->what);
    status = GATE_FAILED;
  }
  /* One of the future is of a clock that was wrong. */
  if (h->last_ms > now_ms || now_ms - h->last_ms > max_age_ms) {
    mail_duration(max_age_ms, age, sizeof age);
    text_printf(out,
                "The last canary ended at %s, which is not within the last "
                "%s.\n",
                at, age);
    status = first(status, GATE_OLD);
  }
  return status;
}

/* ---- asking ---- */

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

  status = first(status, ask_state(config, now_ms, &reasons));
  if (reasons.failed)
    status = first(status, GATE_UNKNOWN);
  (void)fputs(text_get(&reasons), stderr);
  if (status == GATE_OPEN)
    (void)puts("Deploy: the last canary was well, and there is no freeze.");
  text_free(&reasons);
  return status;
}
