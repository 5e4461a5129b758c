/* Documents that are neither apps nor drones nor routes: maintenance, ticks,
   balancers; see documents.h. */
#include "common/documents.h"

#include <stdio.h>
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

static bool is_named(const char *name, char *why, size_t size) {
  if (name[0] != '\0' && strlen(name) <= NAME_MOST)
    return true;
  return wrong(why, size, "_id", "has no name, or one of over 63 bytes");
}

bool maintenance_doc_read(const json_t *doc, maintenance_doc *out, char *why,
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

bool tick_doc_read(const json_t *doc, const char *name, tick_doc *out,
                   char *why, size_t size) {
  const json_t *n = json_object_get(doc, "n"), *at = json_object_get(doc, "at"),
               *up = json_object_get(doc, "up");

  if (!is_named(name, why, size))
    return false;
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

bool balancer_doc_read(const json_t *doc, const char *name, balancer_doc *out,
                       char *why, size_t size) {
  if (!is_named(name, why, size))
    return false;
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
