/* What closes the gate, without asking anybody; see gate.h. */
#include "deploybot/gate.h"

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

int gate_first(int a, int b) { return a != GATE_OPEN ? a : b; }

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
    status = gate_first(status, GATE_FEW);
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
    status = gate_first(status, GATE_OLD);
  }
  return status;
}
