/* What a wish makes of an app's document; see wish.h. "gen" grows whenever
   something has to be done anew, and only then: an operation is a gen. */
#include "provisioner/wish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const parts[] = {"command", "env", "memory_mb", "hosts"};
enum { PARTS = sizeof parts / sizeof *parts };

/* "" for want of memory: then everything seems to have changed. */
static void hash_definition(const json_t *doc, char out[DEFINITION_LEN + 1]) {
  json_t *definition = json_object();
  char *text = NULL;
  bool ok = definition != NULL;

  for (size_t i = 0; ok && i < PARTS; i++)
    if (json_object_get(doc, parts[i]) != NULL)
      ok = json_object_set(definition, parts[i],
                           json_object_get(doc, parts[i])) == 0;
  if (ok)
    text = json_dumps(definition, JSON_SORT_KEYS | JSON_COMPACT);
  out[0] = '\0';
  if (text != NULL)
    (void)snprintf(out, DEFINITION_LEN + 1, "%016" PRIx64,
                   id_hash(text, strlen(text)));
  free(text);
  json_decref(definition);
}

void wish_of(const json_t *doc, wish *out) {
  const json_t *want = json_object_get(doc, "want"),
               *key = json_object_get(want, "key");
  const char *state = json_string_value(json_object_get(want, "state"));
  const char *definition =
      json_string_value(json_object_get(want, "definition"));

  memset(out, 0, sizeof *out);
  hash_definition(doc, out->definition);
  if (state == NULL)
    return;
  out->any = true;
  out->started = strcmp(state, "started") == 0;
  out->gen = json_integer_value(json_object_get(want, "gen"));
  out->at_ms = json_integer_value(json_object_get(want, "at"));
  if (json_is_string(key) && json_string_length(key) <= KEY_MOST_LEN)
    (void)snprintf(out->key, sizeof out->key, "%s", json_string_value(key));
  /* Written by another hand, without one: there is nothing to compare. */
  out->changed = definition != NULL && strcmp(definition, out->definition) != 0;
}

bool wish_is_done(const wish *now, const wish_change *change) {
  if (!change->start)
    return !now->any || !now->started;
  return now->any && now->started && !now->changed &&
         (change->key[0] == '\0' || strcmp(change->key, now->key) == 0) &&
         (change->renew_of < 0 || now->gen > change->renew_of);
}

json_t *wish_apply(const json_t *doc, const char *name,
                   const wish_change *change, int64_t *gen) {
  json_t *out = json_deep_copy(doc), *want;
  char op[NAME_MOST + 32];
  wish now;

  wish_of(doc, &now);
  *gen = (now.gen > change->floor ? now.gen : change->floor) + 1;
  (void)snprintf(op, sizeof op, "%s.%" PRId64, name, *gen);
  want = json_pack("{s:s, s:I, s:s, s:I, s:s}", "state",
                   change->start ? "started" : "stopped", "gen",
                   (json_int_t)*gen, "op", op, "at", (json_int_t)change->at_ms,
                   "definition", now.definition);
  if (want != NULL && change->key[0] != '\0' &&
      json_object_set_new(want, "key", json_string(change->key)) != 0) {
    json_decref(want);
    want = NULL;
  }
  if (out == NULL || want == NULL || json_object_set(out, "want", want) != 0) {
    json_decref(out);
    out = NULL;
  }
  json_decref(want);
  return out;
}

/* A stopped wish that keeps gen, in front of the first start. */
static bool keep_gen(json_t *out, int64_t gen) {
  return gen <= 0 || json_object_get(out, "want") != NULL ||
         json_object_set_new(out, "want",
                             json_pack("{s:s, s:I}", "state", "stopped", "gen",
                                       (json_int_t)gen)) == 0;
}

json_t *wish_define(const json_t *doc, const json_t *definition,
                    int64_t gen_floor) {
  json_t *out = doc != NULL ? json_deep_copy(doc) : json_object();
  bool ok = out != NULL;

  for (size_t i = 0; ok && i < PARTS; i++) {
    json_t *part = json_object_get(definition, parts[i]);

    if (part == NULL)
      (void)json_object_del(out, parts[i]);
    else
      ok = json_object_set_new(out, parts[i], json_deep_copy(part)) == 0;
  }
  if (ok && keep_gen(out, gen_floor))
    return out;
  json_decref(out);
  return NULL;
}

bool wish_same_definition(const json_t *doc, const json_t *definition) {
  for (size_t i = 0; i < PARTS; i++) {
    const json_t *a = json_object_get(doc, parts[i]),
                 *b = json_object_get(definition, parts[i]);

    if ((a == NULL) != (b == NULL) || (a != NULL && !json_equal(a, b)))
      return false;
  }
  return true;
}
