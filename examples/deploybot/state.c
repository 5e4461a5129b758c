/* The state as text and back; see state.h. What cannot have been written by
   this program is refused as a whole: half a memory is worse than none. */
#include "deploybot/state.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "deploybot-state 1 "

static const int64_t TIME_MOST = INT64_C(1) << 53;

void state_clear(state *s) {
  outbox_clear(&s->outbox);
  memset(s, 0, sizeof *s);
}

/* ---- reading ---- */

static bool take_text(const json_t *in, const char *key, char *out,
                      size_t size) {
  const json_t *value = json_object_get(in, key);
  size_t len = json_string_length(value);

  if (!json_is_string(value) || len >= size ||
      strlen(json_string_value(value)) != len)
    return false;
  memcpy(out, json_string_value(value), len + 1);
  return true;
}

static bool take_number(const json_t *in, const char *key, int64_t *out) {
  const json_t *value = json_object_get(in, key);

  *out = json_integer_value(value);
  return json_is_integer(value) && *out >= 0 && *out <= TIME_MOST;
}

static bool take_flag(const json_t *in, const char *key, bool *out) {
  const json_t *value = json_object_get(in, key);

  *out = json_is_true(value);
  return json_is_boolean(value);
}

static bool take_history(const json_t *in, history *h) {
  char last[16];

  if (!take_number(in, "runs", &h->runs) ||
      !take_number(in, "at", &h->last_ms) ||
      !take_text(in, "last", last, sizeof last) ||
      !take_text(in, "what", h->what, sizeof h->what) ||
      !take_number(in, "ok_at", &h->last_ok_ms) ||
      !take_number(in, "failures", &h->failures) ||
      !take_number(in, "failing_since", &h->failing_since_ms))
    return false;
  for (int i = CANARY_OK; i <= CANARY_MISROUTE; i++)
    if (strcmp(last, canary_result_name((enum canary_result)i)) == 0) {
      h->last = (enum canary_result)i;
      return true;
    }
  return false;
}

static bool take_incident(const json_t *in, incident *i) {
  return take_flag(in, "open", &i->open) &&
         take_flag(in, "misroute", &i->misroute) &&
         take_number(in, "since", &i->since_ms) &&
         take_number(in, "told", &i->told_ms) &&
         take_number(in, "mails", &i->mails) &&
         take_text(in, "id", i->id, sizeof i->id) &&
         take_text(in, "what", i->what, sizeof i->what);
}

static bool take_nonces(const json_t *in, nonces *n) {
  if (!json_is_array(in) || json_array_size(in) > NONCES_MOST)
    return false;
  for (; n->count < json_array_size(in); n->count++) {
    const char *word = json_string_value(json_array_get(in, n->count));

    if (word == NULL || !id_is_claim(word, strlen(word)))
      return false;
    memcpy(n->words[n->count], word, CLAIM_LEN + 1);
  }
  return true;
}

static bool take_mail(const json_t *in, outbox *o) {
  const json_t *list = json_object_get(in, "to"),
               *data = json_object_get(in, "data");
  const char *to[RECEIVERS_MOST];
  char id[MAIL_ID_MOST + 1];
  int64_t at_ms, next_ms, tries;
  size_t count = json_array_size(list);
  bool refused;
  mail *m;

  if (!take_text(in, "id", id, sizeof id) || !take_number(in, "at", &at_ms) ||
      !take_number(in, "next", &next_ms) || !take_number(in, "tries", &tries) ||
      !take_flag(in, "refused", &refused) || !json_is_array(list) ||
      count > RECEIVERS_MOST || !json_is_string(data) ||
      strlen(json_string_value(data)) != json_string_length(data))
    return false;
  for (size_t i = 0; i < count; i++) {
    to[i] = json_string_value(json_array_get(list, i));
    if (to[i] == NULL || !mail_is_address(to[i]))
      return false;
  }
  m = outbox_add(o, id, json_string_value(data), at_ms, to, count);
  if (m == NULL)
    return false;
  m->next_ms = next_ms;
  m->tries = tries;
  m->refused = refused;
  return true;
}

static bool take_outbox(const json_t *in, outbox *o) {
  if (!json_is_array(in) || json_array_size(in) > OUTBOX_MOST)
    return false;
  for (size_t i = 0; i < json_array_size(in); i++)
    if (!take_mail(json_array_get(in, i), o))
      return false;
  return true;
}

static const char *take_all(const json_t *doc, state *out) {
  if (!json_is_object(doc))
    return "it is no JSON object";
  if (!take_history(json_object_get(doc, "history"), &out->history))
    return "its history is not as it was written";
  if (!take_incident(json_object_get(doc, "incident"), &out->incident))
    return "its incident is not as it was written";
  if (!take_nonces(json_object_get(doc, "nonces"), &out->nonces))
    return "its nonces are not as they were written";
  if (!take_outbox(json_object_get(doc, "outbox"), &out->outbox))
    return "its mails are not as they were written";
  return NULL;
}

static size_t head_of(const char *data, size_t len, char out[64]) {
  int n =
      snprintf(out, 64, MAGIC "%zu %016" PRIx64 "\n", len, id_hash(data, len));

  return (size_t)n;
}

/* What is behind the first line, when that is right; NULL with a reason. */
static const char *find_body(const char *data, size_t len, size_t *body_len,
                             const char **why) {
  const char *end = memchr(data, '\n', len < 64 ? len : 64);
  char head[64];
  size_t head_len;

  *why = "it does not begin as one";
  if (end == NULL || len < sizeof MAGIC - 1 ||
      memcmp(data, MAGIC, sizeof MAGIC - 1) != 0)
    return NULL;
  end++;
  *body_len = len - (size_t)(end - data);
  head_len = head_of(end, *body_len, head);
  *why = "its length or its checksum is wrong";
  return head_len == (size_t)(end - data) && memcmp(head, data, head_len) == 0
             ? end
             : NULL;
}

bool state_decode(const char *data, size_t len, state *out, char *why,
                  size_t size) {
  const char *reason = "it is empty", *body = NULL;
  size_t body_len = 0;
  json_t *doc = NULL;

  memset(out, 0, sizeof *out);
  if (len != 0)
    body = find_body(data, len, &body_len, &reason);
  if (body != NULL) {
    doc = json_loadb(body, body_len, JSON_REJECT_DUPLICATES, NULL);
    reason = take_all(doc, out);
    json_decref(doc);
  }
  if (reason == NULL)
    return true;
  state_clear(out);
  (void)snprintf(why, size, "%s", reason);
  return false;
}

/* ---- writing ---- */

static json_t *mails_json(const outbox *o) {
  json_t *list = json_array();

  for (size_t i = 0; list != NULL && i < o->count; i++) {
    const mail *m = &o->mails[i];
    json_t *to = json_array(), *one;

    for (size_t t = 0; t < m->to_count; t++)
      (void)json_array_append_new(to, json_string(m->to[t]));
    one = json_pack("{s:s, s:I, s:I, s:I, s:b, s:o, s:s}", "id", m->id, "at",
                    (json_int_t)m->at_ms, "next", (json_int_t)m->next_ms,
                    "tries", (json_int_t)m->tries, "refused", m->refused, "to",
                    to, "data", m->data);
    if (json_array_size(json_object_get(one, "to")) != m->to_count ||
        json_array_append_new(list, one) != 0) {
      json_decref(list);
      return NULL;
    }
  }
  return list;
}

static json_t *nonces_json(const nonces *n) {
  json_t *list = json_array();

  for (size_t i = 0; list != NULL && i < n->count; i++)
    if (json_array_append_new(list, json_string(n->words[i])) != 0) {
      json_decref(list);
      return NULL;
    }
  return list;
}

static json_t *state_json(const state *s) {
  const history *h = &s->history;
  const incident *i = &s->incident;

  return json_pack("{s:{s:I, s:I, s:s, s:s, s:I, s:I, s:I},"
                   " s:{s:b, s:b, s:I, s:I, s:I, s:s, s:s}, s:o, s:o}",
                   "history", "runs", (json_int_t)h->runs, "at",
                   (json_int_t)h->last_ms, "last", canary_result_name(h->last),
                   "what", h->what, "ok_at", (json_int_t)h->last_ok_ms,
                   "failures", (json_int_t)h->failures, "failing_since",
                   (json_int_t)h->failing_since_ms, "incident", "open", i->open,
                   "misroute", i->misroute, "since", (json_int_t)i->since_ms,
                   "told", (json_int_t)i->told_ms, "mails",
                   (json_int_t)i->mails, "id", i->id, "what", i->what, "nonces",
                   nonces_json(&s->nonces), "outbox", mails_json(&s->outbox));
}

void state_encode(const state *s, text *out) {
  json_t *doc = state_json(s);
  char *body = doc != NULL ? json_dumps(doc, JSON_INDENT(1)) : NULL, head[64];
  size_t len = body != NULL ? strlen(body) : 0;

  json_decref(doc);
  if (body == NULL) {
    out->failed = true;
    return;
  }
  text_add(out, head, head_of(body, len, head));
  text_add(out, body, len);
  free(body);
}
