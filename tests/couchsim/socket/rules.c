/*
 * Faults by name, and which request they are for.
 */
#include "rules.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum field_type {
  INT,
  SIZE,
  STATUS,
  CHANCE,
  FLAG,
  TEXT,
  THEN,
  SHOWN,
  LINES
} field_type;

typedef struct field {
  const char *name;
  field_type type;
  size_t at;
} field;

#define FIELD(name, type)                                                      \
  { #name, type, offsetof(couch_plan, name) }

static const field fields[] = {
    FIELD(delay_ms, INT),        FIELD(status, STATUS),
    FIELD(error, TEXT),          FIELD(reason, TEXT),
    FIELD(body, TEXT),           FIELD(headers, LINES),
    FIELD(head_ms, INT),         FIELD(then, THEN),
    FIELD(apply_ms, INT),        FIELD(anonymous, FLAG),
    FIELD(cut_at, INT),          FIELD(cut_reset, FLAG),
    FIELD(mute_at, INT),         FIELD(slice, SIZE),
    FIELD(slice_ms, INT),        FIELD(repeat, CHANCE),
    FIELD(old, CHANCE),          FIELD(reorder, CHANCE),
    FIELD(rewind, INT),          FIELD(rewind_all, FLAG),
    FIELD(rewind_rows, INT),     FIELD(end_rows, INT),
    FIELD(end_ms, INT),          FIELD(error_rows, INT),
    FIELD(error_status, STATUS), FIELD(stall_rows, INT),
    FIELD(stall_beats, FLAG),    FIELD(pending, SHOWN)};

enum { FIELDS = sizeof fields / sizeof *fields };

static const char *const thens[] = {"answer", "silence", "close", "reset",
                                    NULL};
static const char *const showns[] = {"shown", "zero",     "changing", "absent",
                                     "null",  "negative", NULL};

static void *place(couch_plan *plan, const field *f) {
  return (char *)plan + f->at;
}

static int word_of(const char *text, const char *const words[]) {
  for (int i = 0; text != NULL && words[i] != NULL; i++)
    if (strcmp(text, words[i]) == 0)
      return i;
  return -1;
}

/* {"Retry-After": "5"} as header lines. */
static bool header_lines(const couch_json *v, char **out) {
  couch_buf lines = {0};
  if (v->kind != COUCH_OBJECT)
    return false;
  for (const couch_json *m = v->first; m != NULL; m = m->next) {
    if (m->kind != COUCH_STRING || strpbrk(m->text, "\r\n") != NULL ||
        strpbrk(m->key, "\r\n:") != NULL) {
      couch_buf_free(&lines);
      return false;
    }
    couch_addf(&lines, "%s: %s\r\n", m->key, m->text);
  }
  free(*out);
  *out = couch_dup(couch_buf_text(&lines));
  couch_buf_free(&lines);
  return true;
}

static bool set_number(couch_plan *plan, const field *f, const couch_json *v) {
  int64_t n;
  void *at = place(plan, f);
  if (v->kind != COUCH_NUMBER || !couch_to_int(v->text, &n) || n < -1)
    return false;
  if (f->type == INT)
    *(int64_t *)at = n;
  else if (f->type == SIZE && n > 0)
    *(size_t *)at = (size_t)n;
  else if (f->type == STATUS && n >= 200 && n < 600)
    *(int *)at = (int)n;
  else
    return false;
  return true;
}

static bool set(couch_plan *plan, const field *f, const couch_json *v) {
  void *at = place(plan, f);
  const char *text = v->kind == COUCH_STRING ? v->text : NULL;
  int word;
  switch (f->type) {
  case INT:
  case SIZE:
  case STATUS:
    return set_number(plan, f, v);
  case CHANCE:
    *(double *)at = couch_json_number(v);
    return v->kind == COUCH_NUMBER && *(double *)at >= 0 && *(double *)at <= 1;
  case FLAG:
    *(bool *)at = v->kind == COUCH_TRUE;
    return v->kind == COUCH_TRUE || v->kind == COUCH_FALSE;
  case TEXT:
    if (text == NULL)
      return false;
    free(*(char **)at);
    *(char **)at = couch_dup(text);
    return true;
  case LINES:
    return header_lines(v, (char **)at);
  case THEN:
    word = word_of(text, thens);
    plan->then = word >= 0 ? (couch_then)word : COUCH_THEN_ANSWER;
    return word >= 0;
  case SHOWN:
    word = word_of(text, showns);
    plan->pending = word >= 0 ? (couch_shown)word : COUCH_SHOWN;
    plan->has_pending = true;
    return word >= 0;
  }
  return false;
}

static bool read_plan(couch_plan *plan, const couch_json *what,
                      couch_buf *why) {
  for (const couch_json *m = what->first; m != NULL; m = m->next) {
    size_t i = 0;
    while (i < FIELDS && strcmp(fields[i].name, m->key) != 0)
      i++;
    if (i == FIELDS || !set(plan, &fields[i], m)) {
      couch_addf(why,
                 i == FIELDS ? "\"do\" has no \"%s\""
                             : "\"%s\" in \"do\" has a value it cannot have",
                 m->key);
      return false;
    }
  }
  return true;
}

static void rule_free(couch_rule *rule) {
  free(rule->kind);
  free(rule->method);
  free(rule->db);
  free(rule->feed);
  free(rule->path);
  couch_plan_free(&rule->plan);
}

void couch_rules_free(couch_rules *rules) {
  for (size_t i = 0; i < rules->count; i++)
    rule_free(&rules->rule[i]);
  free(rules->rule);
  *rules = (couch_rules){.last_id = rules->last_id};
}

static bool read_match(couch_rule *rule, const couch_json *v, couch_buf *why) {
  struct {
    const char *name;
    char **at;
  } texts[] = {{"kind", &rule->kind},
               {"method", &rule->method},
               {"db", &rule->db},
               {"feed", &rule->feed},
               {"path", &rule->path}};
  for (const couch_json *m = v->first; m != NULL; m = m->next) {
    size_t i = 0;
    while (i < 5 && strcmp(texts[i].name, m->key) != 0)
      i++;
    if (i < 5 && m->kind == COUCH_STRING) {
      free(*texts[i].at);
      *texts[i].at = couch_dup(m->text);
    } else if (strcmp(m->key, "chance") == 0 && m->kind == COUCH_NUMBER) {
      rule->chance = couch_json_number(m);
    } else if ((strcmp(m->key, "node") == 0 || strcmp(m->key, "skip") == 0 ||
                strcmp(m->key, "times") == 0) &&
               m->kind == COUCH_NUMBER) {
      int64_t n = couch_json_int(v, m->key, -1);
      *(m->key[0] == 'n'   ? &rule->node
        : m->key[0] == 's' ? &rule->skip
                           : &rule->times) = n;
    } else if (strcmp(m->key, "do") != 0 || m->kind != COUCH_OBJECT) {
      couch_addf(why, "a rule has no such \"%s\"", m->key);
      return false;
    }
  }
  return true;
}

bool couch_rules_add(couch_rules *rules, const couch_json *v, uint64_t *id,
                     couch_buf *why) {
  couch_rule rule = {.node = -1, .times = -1, .chance = 1};
  const couch_json *what = couch_json_get(v, "do");
  couch_plan_init(&rule.plan);
  if (v->kind != COUCH_OBJECT || what == NULL || what->kind != COUCH_OBJECT) {
    couch_add_text(why, "a rule is an object with an object \"do\"");
    return false;
  }
  if (!read_match(&rule, v, why) || !read_plan(&rule.plan, what, why)) {
    rule_free(&rule);
    return false;
  }
  *id = rule.id = ++rules->last_id;
  rules->rule = couch_room(rules->rule, &rules->cap, rules->count, sizeof rule);
  rules->rule[rules->count++] = rule;
  return true;
}

bool couch_rules_remove(couch_rules *rules, uint64_t id) {
  for (size_t i = 0; i < rules->count; i++) {
    if (rules->rule[i].id != id)
      continue;
    rule_free(&rules->rule[i]);
    memmove(rules->rule + i, rules->rule + i + 1,
            (rules->count - i - 1) * sizeof *rules->rule);
    rules->count--;
    return true;
  }
  return false;
}

void couch_rules_list(const couch_rules *rules, couch_buf *json) {
  couch_add(json, "[", 1);
  for (size_t i = 0; i < rules->count; i++) {
    const couch_rule *r = &rules->rule[i];
    couch_addf(json, "%s{\"id\":%llu,\"kind\":", i > 0 ? "," : "",
               (unsigned long long)r->id);
    couch_add_json_text(json, r->kind != NULL ? r->kind : "*");
    couch_addf(json, ",\"matched\":%llu,\"fired\":%llu}",
               (unsigned long long)r->matched, (unsigned long long)r->fired);
  }
  couch_add(json, "]", 1);
}

static bool is(const char *wanted, const char *got) {
  return wanted == NULL || (got != NULL && strcmp(wanted, got) == 0);
}

static bool matches(const couch_rule *rule, const couch_request *r) {
  const char *feed = couch_param(r, "feed");
  return is(rule->kind, couch_request_kind(r)) && is(rule->method, r->method) &&
         is(rule->db, r->parts > 0 ? r->part[0] : NULL) &&
         is(rule->feed, feed != NULL ? feed : "normal") &&
         (rule->path == NULL || couch_starts(r->target, rule->path)) &&
         (rule->node < 0 || rule->node == (int64_t)r->node);
}

static void merge(couch_plan *into, couch_plan *from) {
  couch_plan none;
  couch_plan_init(&none);
  for (size_t i = 0; i < FIELDS; i++) {
    const field *f = &fields[i];
    void *to = place(into, f), *of = place(from, f), *no = place(&none, f);
    switch (f->type) {
    case INT:
      if (*(int64_t *)of != *(int64_t *)no)
        *(int64_t *)to = *(int64_t *)of;
      break;
    case SIZE:
      if (*(size_t *)of != 0)
        *(size_t *)to = *(size_t *)of;
      break;
    case STATUS:
      if (*(int *)of != 0)
        *(int *)to = *(int *)of;
      break;
    case CHANCE:
      if (*(double *)of > 0)
        *(double *)to = *(double *)of;
      break;
    case FLAG:
      *(bool *)to = *(bool *)to || *(bool *)of;
      break;
    case TEXT:
    case LINES:
      if (*(char **)of != NULL) {
        free(*(char **)to);
        *(char **)to = couch_dup(*(char **)of);
      }
      break;
    case THEN:
      if (from->then != COUCH_THEN_ANSWER)
        into->then = from->then;
      break;
    case SHOWN:
      if (from->has_pending) {
        into->has_pending = true;
        into->pending = from->pending;
      }
      break;
    }
  }
}

void couch_rules_draw(couch_rules *rules, couch_world *w,
                      const couch_request *r, couch_plan *plan) {
  for (size_t i = 0; i < rules->count; i++) {
    couch_rule *rule = &rules->rule[i];
    if (!matches(rule, r))
      continue;
    if (rule->matched++ < (uint64_t)(rule->skip > 0 ? rule->skip : 0))
      continue;
    if (rule->times >= 0 && rule->fired >= (uint64_t)rule->times)
      continue;
    if (rule->chance < 1 && !couch_chance(&w->random, rule->chance))
      continue;
    rule->fired++;
    merge(plan, &rule->plan);
  }
}
