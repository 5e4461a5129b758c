/*
 * The drone's record as bytes: one line "drone-claim 1 LENGTH CRC" and JSON.
 * Whatever does not read back whole is refused: a wrong guess here would let
 * two claims hold one drone.
 */
#include "drone/drone_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "drone-claim 1 "

void drone_record_clear(drone_record *r) {
  free(r->command);
  json_decref(r->env);
  memset(r, 0, sizeof *r);
}

bool drone_record_copy(drone_record *to, const drone_record *from) {
  *to = *from;
  to->command = NULL;
  to->env = NULL;
  if (from->command != NULL) {
    to->command = strdup(from->command);
    to->env = from->env != NULL ? json_deep_copy(from->env) : NULL;
    if (to->command == NULL || (from->env != NULL && to->env == NULL)) {
      drone_record_clear(to);
      return false;
    }
  }
  return true;
}

uint32_t drone_crc(const void *data, size_t len) {
  const unsigned char *p = data;
  uint32_t crc = 0xffffffffU;
  size_t i;
  int bit;

  for (i = 0; i < len; i++) {
    crc ^= p[i];
    for (bit = 0; bit < 8; bit++)
      crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
  }
  return crc ^ 0xffffffffU;
}

static json_t *record_json(const drone_record *r) {
  json_t *o = json_pack("{s:s, s:s, s:s, s:I}", "vm", r->vm, "addr", r->addr,
                        "ctl", r->ctl, "fence", (json_int_t)r->fence);
  json_t *claim, *start;

  if (o == NULL || !r->held)
    return o;
  claim = json_pack("{s:s, s:s, s:I, s:I, s:I}", "id", r->claim.id, "app",
                    r->claim.app, "gen", (json_int_t)r->claim.gen, "epoch",
                    (json_int_t)r->claim.epoch, "at", (json_int_t)r->claim.at);
  if (json_object_set_new(o, "claim", claim) != 0)
    goto failed;
  if (r->command == NULL)
    return o;
  start = json_pack("{s:s, s:O?, s:I}", "command", r->command, "env", r->env,
                    "memory_mb", (json_int_t)r->memory_mb);
  if (json_object_set_new(o, "start", start) == 0)
    return o;
failed:
  json_decref(o);
  return NULL;
}

bool drone_record_encode(const drone_record *r, text *out) {
  json_t *o = record_json(r);
  char *body = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
  size_t len = body != NULL ? strlen(body) : 0;

  json_decref(o);
  if (body == NULL || len > DRONE_RECORD_MOST / 2) {
    free(body);
    return false;
  }
  text_printf(out, MAGIC "%zu %08" PRIx32 "\n", len, drone_crc(body, len));
  text_add(out, body, len);
  text_str(out, "\n");
  free(body);
  return !out->failed;
}

const char *drone_env_wrong(const json_t *env) {
  const char *name, *c;
  void *it;

  for (it = json_object_iter((json_t *)(uintptr_t)env); it != NULL;
       it = json_object_iter_next((json_t *)(uintptr_t)env, it)) {
    const json_t *value = json_object_iter_value(it);

    name = json_object_iter_key(it);
    for (c = name; (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
                   *c == '_' || (*c >= '0' && *c <= '9' && c != name);
         c++)
      ;
    if (c == name || *c != '\0' || !json_is_string(value) ||
        strlen(json_string_value(value)) != json_string_length(value))
      return name;
  }
  return NULL;
}

static bool number(const json_t *o, const char *name, int64_t *out) {
  const json_t *value = json_object_get(o, name);

  *out = (int64_t)json_integer_value(value);
  return json_is_integer(value) && *out >= 0 && *out <= DRONE_NUMBER_MOST;
}

static bool string(const json_t *o, const char *name, char *out, size_t size) {
  const json_t *value = json_object_get(o, name);
  size_t len = json_string_length(value);

  if (!json_is_string(value) || len >= size)
    return false;
  memcpy(out, json_string_value(value), len + 1);
  return strlen(out) == len;
}

static const char *read_start(drone_record *r, const json_t *start) {
  const json_t *command = json_object_get(start, "command");
  const json_t *env = json_object_get(start, "env");

  if (!json_is_string(command) || !number(start, "memory_mb", &r->memory_mb) ||
      (env != NULL && !json_is_null(env) &&
       (!json_is_object(env) || drone_env_wrong(env) != NULL)))
    return "what it runs is not of the right form";
  r->command = strdup(json_string_value(command));
  if (r->command == NULL)
    return "there is no memory for it";
  if (json_is_object(env))
    r->env = json_incref((json_t *)(uintptr_t)env);
  return NULL;
}

static const char *read_record(drone_record *r, const json_t *o) {
  const json_t *claim = json_object_get(o, "claim");
  const json_t *start = json_object_get(o, "start");

  if (!string(o, "vm", r->vm, sizeof r->vm) ||
      !id_is_claim(r->vm, strlen(r->vm)) ||
      !string(o, "addr", r->addr, sizeof r->addr) ||
      !string(o, "ctl", r->ctl, sizeof r->ctl) ||
      !number(o, "fence", &r->fence))
    return "vm, addr, ctl or fence is not of the right form";
  if (claim == NULL)
    return start == NULL ? NULL : "it runs something without a claim";
  r->held = true;
  if (!string(claim, "id", r->claim.id, sizeof r->claim.id) ||
      !id_is_claim(r->claim.id, strlen(r->claim.id)) ||
      !string(claim, "app", r->claim.app, sizeof r->claim.app) ||
      !id_is_app(r->claim.app, strlen(r->claim.app)) ||
      !number(claim, "gen", &r->claim.gen) ||
      !number(claim, "epoch", &r->claim.epoch) ||
      !number(claim, "at", &r->claim.at))
    return "its claim is not of the right form";
  return start == NULL ? NULL : read_start(r, start);
}

/* The line in front; the body behind it, or NULL. */
static const char *check_front(const char *data, size_t len, size_t *body_len,
                               const char **why) {
  const char *line = memchr(data, '\n', len < 80 ? len : 80);
  char front[80], again[80];
  size_t front_len;

  *why = "it does not begin like a claim file of version 1";
  if (line == NULL || len < sizeof MAGIC ||
      memcmp(data, MAGIC, sizeof MAGIC - 1) != 0)
    return NULL;
  front_len = (size_t)(line - data) + 1;
  *body_len = len - front_len;
  *why = "it is not whole";
  if (*body_len < 2 || data[len - 1] != '\n')
    return NULL;
  *body_len -= 1;
  /* Written again and compared: so there is one way only to write it. */
  memcpy(front, data, front_len);
  front[front_len - 1] = '\0';
  (void)snprintf(again, sizeof again, MAGIC "%zu %08" PRIx32, *body_len,
                 drone_crc(line + 1, *body_len));
  *why = "its length or its checksum is wrong";
  return strcmp(front, again) == 0 ? line + 1 : NULL;
}

bool drone_record_decode(drone_record *r, const char *data, size_t len,
                         const char **why) {
  size_t body_len;
  const char *body = check_front(data, len, &body_len, why);
  json_t *o;

  memset(r, 0, sizeof *r);
  if (body == NULL)
    return false;
  o = json_loadb(body, body_len, JSON_REJECT_DUPLICATES, NULL);
  *why = json_is_object(o) ? read_record(r, o) : "it is not JSON";
  json_decref(o);
  if (*why != NULL)
    drone_record_clear(r);
  return *why == NULL;
}
