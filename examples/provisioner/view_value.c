/* What readers get of a document: read once, when it comes. Pure. */
#include "provisioner/view_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_of(const json_t *doc, const char *key, char *out,
                    size_t size) {
  const json_t *value = json_object_get(doc, key);
  size_t len = json_string_length(value);

  if (!json_is_string(value) || len >= size ||
      memchr(json_string_value(value), 0, len) != NULL)
    return false;
  memcpy(out, json_string_value(value), len + 1);
  return true;
}

static bool wrong(char *why, size_t size, const char *field, const char *what) {
  (void)snprintf(why, size, "its %s %s", field, what);
  return false;
}

static bool read_maintenance(const json_t *doc, maintenance_doc *out, char *why,
                             size_t size) {
  const json_t *until = json_object_get(doc, "until");

  memset(out, 0, sizeof *out);
  if (!text_of(doc, "mode", out->mode, sizeof out->mode) ||
      (strcmp(out->mode, "off") != 0 && strcmp(out->mode, "api") != 0 &&
       strcmp(out->mode, "full") != 0))
    return wrong(why, size, "mode", "is not off, api or full");
  if (json_object_get(doc, "msg") != NULL &&
      !text_of(doc, "msg", out->msg, sizeof out->msg))
    return wrong(why, size, "msg", "is not a string of at most 255 bytes");
  if (until != NULL && !json_is_null(until) && !json_is_integer(until))
    return wrong(why, size, "until", "is not a whole number of milliseconds");
  out->until_ms = json_integer_value(until);
  return true;
}

static bool read_tick(const json_t *doc, const char *name, tick_doc *out,
                      char *why, size_t size) {
  const json_t *n = json_object_get(doc, "n"), *at = json_object_get(doc, "at"),
               *up = json_object_get(doc, "up");

  memset(out, 0, sizeof *out);
  memcpy(out->id, name, strlen(name) + 1);
  if (!text_of(doc, "boot", out->boot, sizeof out->boot))
    return wrong(why, size, "boot", "is not a string of at most 32 bytes");
  if (!json_is_integer(n) || !json_is_integer(at))
    return wrong(why, size, "n or at", "is not a whole number");
  if (up != NULL && !json_is_integer(up))
    return wrong(why, size, "up", "is not a whole number");
  out->n = json_integer_value(n);
  out->at_ms = json_integer_value(at);
  out->up_ms = json_integer_value(up);
  return true;
}

static bool read_balancer(const json_t *doc, const char *name,
                          balancer_doc *out, char *why, size_t size) {
  memset(out, 0, sizeof *out);
  memcpy(out->id, name, strlen(name) + 1);
  if (!text_of(doc, "addr", out->addr, sizeof out->addr) ||
      !id_is_addr(out->addr, strlen(out->addr)))
    return wrong(why, size, "addr", "is not ADDRESS:PORT");
  if (!text_of(doc, "admin", out->admin, sizeof out->admin) ||
      !id_is_addr(out->admin, strlen(out->admin)))
    return wrong(why, size, "admin", "is not ADDRESS:PORT");
  return true;
}

static const struct {
  const char *prefix;
  enum view_kind kind;
  size_t size;
} kinds[] = {{"app:", VALUE_APP, sizeof(app_doc)},
             {"route:", VALUE_ROUTE, sizeof(route_doc)},
             {"drone:", VALUE_DRONE, sizeof(drone_doc)},
             {"sys:maintenance", VALUE_MAINTENANCE, sizeof(maintenance_doc)},
             {"sys:tick:", VALUE_TICK, sizeof(tick_doc)},
             {"balancer:", VALUE_BALANCER, sizeof(balancer_doc)}};

static size_t kind_of(const char *id) {
  size_t i = 0;

  while (i < sizeof kinds / sizeof *kinds &&
         strncmp(id, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
    i++;
  return i;
}

static bool read_into(view_value *value, const json_t *doc, const char *name,
                      char *why, size_t size) {
  if ((value->kind == VALUE_TICK || value->kind == VALUE_BALANCER) &&
      (name[0] == '\0' || strlen(name) > NAME_MOST))
    return wrong(why, size, "_id", "has no name, or one of over 63 bytes");
  switch (value->kind) {
  case VALUE_APP:
    return app_doc_read(doc, &value->as.app, why, size);
  case VALUE_ROUTE:
    return route_doc_read(doc, &value->as.route, why, size);
  case VALUE_DRONE:
    return drone_doc_read(doc, &value->as.drone, why, size);
  case VALUE_MAINTENANCE:
    return read_maintenance(doc, &value->as.maintenance, why, size);
  case VALUE_TICK:
    return read_tick(doc, name, &value->as.tick, why, size);
  case VALUE_BALANCER:
    return read_balancer(doc, name, &value->as.balancer, why, size);
  }
  return false;
}

view_value *view_value_read(const char *id, size_t id_len, const char *text,
                            size_t len, char *why, size_t size, bool *kept) {
  size_t kind = kind_of(id);
  json_error_t error;
  view_value *value;
  json_t *doc;

  why[0] = '\0';
  *kept = kind < sizeof kinds / sizeof *kinds && strlen(id) == id_len;
  if (!*kept)
    return NULL;
  doc = text != NULL ? json_loadb(text, len, JSON_ALLOW_NUL, &error) : NULL;
  if (doc == NULL) {
    (void)snprintf(why, size, "it is not JSON: %s",
                   text != NULL ? error.text : "there is no text");
    return NULL;
  }
  value = calloc(1, offsetof(view_value, as) + kinds[kind].size);
  if (value != NULL) {
    value->kind = kinds[kind].kind;
    if (!read_into(value, doc, id + strlen(kinds[kind].prefix), why, size)) {
      free(value);
      value = NULL;
    }
  }
  json_decref(doc);
  return value;
}

void view_value_free(view_value *value) {
  if (value == NULL)
    return;
  if (value->kind == VALUE_APP)
    app_doc_free(&value->as.app);
  free(value);
}
