/*
 * Mango selectors, as far as feeds are tested with them. A selector is not
 * walked by recursion: $and, $or, $not and $nor are looked into COUCH_DEPTH
 * deep with a stack of their own.
 */
#include "filter.h"

#include <string.h>

enum { COUCH_DEPTH = 32 };

static const char *const operators[] = {
    "$eq",  "$ne",         "$gt",     "$gte",  "$lt",   "$lte",
    "$in",  "$nin",        "$exists", "$type", "$size", "$mod",
    "$not", "$beginsWith", "$and",    "$or",   "$nor",  NULL};

const char *couch_selector_unknown(const couch_json *selector) {
  const couch_json *v = selector;
  for (;;) {
    if (v->key != NULL && v->key[0] == '$') {
      size_t i = 0;
      while (operators[i] != NULL && strcmp(operators[i], v->key) != 0)
        i++;
      if (operators[i] == NULL)
        return v->key;
    }
    if (v->first != NULL) {
      v = v->first;
      continue;
    }
    while (v != selector && v->next == NULL)
      v = v->parent;
    if (v == selector)
      return NULL;
    v = v->next;
  }
}

/* a.b.c; the whole name first, as a field may have dots in its name. */
static const couch_json *field(const couch_json *document, const char *name) {
  const couch_json *v = couch_json_get(document, name);
  char part[128];
  if (v != NULL)
    return v;
  v = document;
  while (v != NULL && *name != '\0') {
    size_t n = strcspn(name, ".");
    if (n >= sizeof part)
      return NULL;
    memcpy(part, name, n);
    part[n] = '\0';
    v = couch_json_get(v, part);
    name += n + (name[n] == '.');
  }
  return v;
}

static bool is_type(const couch_json *v, const char *type) {
  static const char *const names[] = {"null",   "boolean", "boolean", "number",
                                      "string", "array",   "object"};
  return strcmp(names[v->kind], type) == 0;
}

static bool among(const couch_json *v, const couch_json *list) {
  for (const couch_json *i = list->first; i != NULL; i = i->next)
    if (couch_json_compare(v, i) == 0)
      return true;
  return false;
}

static bool modulo(const couch_json *v, const couch_json *arg) {
  int64_t n, divisor, rest;
  if (v->kind != COUCH_NUMBER || arg->count != 2 ||
      !couch_to_int(v->text, &n) || arg->first->kind != COUCH_NUMBER ||
      arg->last->kind != COUCH_NUMBER ||
      !couch_to_int(arg->first->text, &divisor) || divisor == 0 ||
      !couch_to_int(arg->last->text, &rest))
    return false;
  return n % divisor == rest;
}

static bool holds(const char *op, const couch_json *v, const couch_json *arg) {
  int order;
  if (strcmp(op, "$exists") == 0)
    return (v != NULL) == (arg->kind == COUCH_TRUE);
  if (v == NULL)
    return false;
  if (strcmp(op, "$in") == 0)
    return among(v, arg);
  if (strcmp(op, "$nin") == 0)
    return !among(v, arg);
  if (strcmp(op, "$type") == 0)
    return arg->kind == COUCH_STRING && is_type(v, arg->text);
  if (strcmp(op, "$size") == 0)
    return v->kind == COUCH_ARRAY && (double)v->count == couch_json_number(arg);
  if (strcmp(op, "$mod") == 0)
    return modulo(v, arg);
  if (strcmp(op, "$beginsWith") == 0)
    return v->kind == COUCH_STRING && arg->kind == COUCH_STRING &&
           couch_starts(v->text, arg->text);
  order = couch_json_compare(v, arg);
  if (strcmp(op, "$eq") == 0)
    return order == 0;
  if (strcmp(op, "$ne") == 0)
    return order != 0;
  if (strcmp(op, "$gt") == 0)
    return order > 0;
  if (strcmp(op, "$gte") == 0)
    return order >= 0;
  if (strcmp(op, "$lt") == 0)
    return order < 0;
  return strcmp(op, "$lte") == 0 && order <= 0;
}

/* One member of a selector that is no combination; "$not" of operators too. */
static bool member_holds(const couch_json *m, const couch_json *document) {
  const couch_json *v = field(document, m->key);
  if (m->kind != COUCH_OBJECT || m->first == NULL || m->first->key[0] != '$')
    return v != NULL && couch_json_compare(v, m) == 0;
  for (const couch_json *op = m->first; op != NULL; op = op->next) {
    if (strcmp(op->key, "$not") == 0) {
      const couch_json *in = op->kind == COUCH_OBJECT ? op->first : NULL;
      if (in != NULL ? holds(in->key, v, in)
                     : v != NULL && couch_json_compare(v, op) == 0)
        return false;
    } else if (!holds(op->key, v, op)) {
      return false;
    }
  }
  return true;
}

typedef struct frame {
  const couch_json *next;        /* to look at */
  bool any, negated, of_objects; /* "or"; "not"; members are selectors */
} frame;

static bool is_combination(const couch_json *m) {
  return m->key != NULL &&
         (strcmp(m->key, "$and") == 0 || strcmp(m->key, "$or") == 0 ||
          strcmp(m->key, "$nor") == 0 || strcmp(m->key, "$not") == 0);
}

static frame enter(const couch_json *m) {
  frame f = {m->first, false, false, m->kind == COUCH_ARRAY};
  if (m->key == NULL)
    return f;
  f.any = strcmp(m->key, "$or") == 0 || strcmp(m->key, "$nor") == 0;
  f.negated = strcmp(m->key, "$nor") == 0 || strcmp(m->key, "$not") == 0;
  return f;
}

bool couch_selector_matches(const couch_json *selector,
                            const couch_json *document) {
  frame stack[COUCH_DEPTH];
  size_t depth = 1;
  bool known = false, result = false;
  stack[0] = (frame){selector->first, false, false, false};
  while (depth > 0) {
    frame *f = &stack[depth - 1];
    const couch_json *m;
    if (known) { /* of the child that was looked into */
      known = false;
      if (result == f->any) {
        result = f->any != f->negated;
        known = true;
        depth--;
        continue;
      }
    }
    m = f->next;
    if (m == NULL) {
      result = f->any == f->negated;
      known = true;
      depth--;
      continue;
    }
    f->next = m->next;
    if ((f->of_objects || is_combination(m)) && depth < COUCH_DEPTH) {
      frame inner = enter(m);
      if (f->of_objects)
        inner = (frame){m->first, false, false, false};
      stack[depth++] = inner;
      continue;
    }
    result = member_holds(m, document);
    known = true;
  }
  return result;
}
