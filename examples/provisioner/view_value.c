/* What readers get of a document: read once, when it comes. Pure. */
#include "provisioner/view_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *prefix;
  enum view_kind kind;
  size_t size;
} kinds[] = {{"app:", VALUE_APP, sizeof(app_doc)},
             {"route:", VALUE_ROUTE, sizeof(route_doc)},
             {"drone:", VALUE_DRONE, sizeof(drone_doc)},
             {"sys:maintenance", VALUE_MAINTENANCE, sizeof(maintenance_doc)},
             {"sys:tick:", VALUE_TICK, sizeof(tick_doc)},
             {"balancer:", VALUE_BALANCER, sizeof(seen_balancer)}};

static size_t kind_of(const char *id) {
  size_t i = 0;

  while (i < sizeof kinds / sizeof *kinds &&
         strncmp(id, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
    i++;
  return i;
}

static bool read_into(view_value *value, const json_t *doc, const char *name,
                      char *why, size_t size) {
  switch (value->kind) {
  case VALUE_APP:
    return app_doc_read(doc, &value->as.app, why, size);
  case VALUE_ROUTE:
    return route_doc_read(doc, &value->as.route, why, size);
  case VALUE_DRONE:
    return drone_doc_read(doc, &value->as.drone, why, size);
  case VALUE_MAINTENANCE:
    return maintenance_doc_read(doc, &value->as.maintenance, why, size);
  case VALUE_TICK:
    return tick_doc_read(doc, name, &value->as.tick, why, size);
  case VALUE_BALANCER:
    return balancer_doc_read(doc, name, &value->as.balancer.doc, why, size);
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
