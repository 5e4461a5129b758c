/*
 * Bodies of the agent's requests; see drone_body.h.
 */
#include "drone/drone_body.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MEMORY_LEAST_MB = 8, MEMORY_MOST_MB = 1024 * 1024, ENV_MOST = 256 };

static bool wrong(drone_body *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool wrong(drone_body *b, const char *format, ...) {
  text t = TEXT_INIT;
  va_list args;

  va_start(args, format);
  text_vprintf(&t, format, args);
  va_end(args);
  (void)snprintf(b->error, sizeof b->error, "%s", text_get(&t));
  text_free(&t);
  return false;
}

static bool take_number(drone_body *b, const char *name, int64_t least,
                        int64_t *out) {
  const json_t *value = json_object_get(b->json, name);

  *out = (int64_t)json_integer_value(value);
  if (json_is_integer(value) && *out >= least && *out <= DRONE_NUMBER_MOST)
    return true;
  return wrong(b,
               "\"%s\" has to be a whole number from %" PRId64 " to %" PRId64,
               name, least, DRONE_NUMBER_MOST);
}

/* A string that is of the form; out is size bytes and takes all that are. */
static bool take_name(drone_body *b, const char *name,
                      bool (*is)(const char *s, size_t len), const char *form,
                      char *out, size_t size) {
  const json_t *value = json_object_get(b->json, name);
  size_t len = json_string_length(value);

  if (!json_is_string(value) || len >= size ||
      !is(json_string_value(value), len))
    return wrong(b, "\"%s\" has to be %s", name, form);
  memcpy(out, json_string_value(value), len + 1);
  return true;
}

static bool take_start(drone_body *b) {
  const json_t *command = json_object_get(b->json, "command");
  const json_t *memory = json_object_get(b->json, "memory_mb");
  const char *bad;

  b->env = json_object_get(b->json, "env");
  b->command = json_string_value(command);
  if (b->command == NULL || b->command[0] == '\0' ||
      json_string_length(command) > DRONE_COMMAND_MOST)
    return wrong(b, "\"command\" has to be a string of 1 to %d bytes",
                 DRONE_COMMAND_MOST);
  if (json_is_null(b->env))
    b->env = NULL;
  if (b->env != NULL &&
      (!json_is_object(b->env) || json_object_size(b->env) > ENV_MOST))
    return wrong(b, "\"env\" has to be an object of at most %d members",
                 ENV_MOST);
  bad = drone_env_wrong(b->env);
  if (bad != NULL)
    return wrong(b,
                 "\"env\": \"%.60s\" has to be a name of letters, digits and "
                 "'_', with a string as its value",
                 bad);
  if (memory == NULL || json_is_null(memory))
    return true;
  if (!take_number(b, "memory_mb", MEMORY_LEAST_MB, &b->memory_mb) ||
      b->memory_mb > MEMORY_MOST_MB)
    return wrong(b, "\"memory_mb\" has to be a whole number from %d to %d",
                 MEMORY_LEAST_MB, MEMORY_MOST_MB);
  return true;
}

static bool take_all(drone_body *b, int wants) {
  static const char hex[] = "32 hexadecimal digits in lower case";

  if ((wants & DRONE_WANTS_CLAIM) != 0 &&
      !take_name(b, "claim", id_is_claim, hex, b->claim.id, sizeof b->claim.id))
    return false;
  if ((wants & DRONE_WANTS_EPOCH) != 0 &&
      !take_number(b, "epoch", 1, &b->claim.epoch))
    return false;
  if ((wants & DRONE_WANTS_VM) != 0 &&
      !take_name(b, "vm", id_is_claim, hex, b->vm, sizeof b->vm))
    return false;
  if ((wants & DRONE_WANTS_APP) != 0 &&
      (!take_name(b, "app", id_is_app,
                  "the name of an app: a-z, 0-9 and '-', at most 63, a letter "
                  "first, no '-' at the end",
                  b->claim.app, sizeof b->claim.app) ||
       !take_number(b, "gen", 0, &b->claim.gen)))
    return false;
  return (wants & DRONE_WANTS_START) == 0 || take_start(b);
}

bool drone_body_read(drone_body *b, const char *data, size_t len, int wants) {
  json_error_t why;

  memset(b, 0, sizeof *b);
  /* jansson reads no deeper than 2,048 levels. */
  b->json =
      json_loadb(data != NULL ? data : "", len, JSON_REJECT_DUPLICATES, &why);
  if (b->json == NULL)
    return wrong(b, "the body is not JSON: line %d, column %d: %.120s",
                 why.line, why.column, why.text);
  if (!json_is_object(b->json))
    return wrong(b, "the body has to be a JSON object");
  return take_all(b, wants);
}

void drone_body_free(drone_body *b) {
  json_decref(b->json);
  b->json = NULL;
}
