/* What is made of a document when it comes, and who still needs it; see
   follow_state.h. */
#include "balancer/follow_state.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the block ---- */

static size_t offset_of(size_t rev_len) {
  return (offsetof(value, data) + rev_len + 1 + 7) & ~(size_t)7;
}

static value *make(enum value_kind kind, const char *rev, size_t rev_len,
                   const void *content, size_t size) {
  size_t offset = offset_of(rev_len);
  char *block = malloc(offset + size);
  value *v = (void *)block;

  if (v == NULL)
    return NULL;
  v->refs = 1;
  v->kind = (unsigned char)kind;
  v->rev_len = (unsigned char)rev_len;
  memcpy(v->data, rev, rev_len);
  v->data[rev_len] = '\0';
  memcpy(block + offset, content, size);
  return v;
}

static const void *content_of(const value *v, enum value_kind kind) {
  return v != NULL && v->kind == kind ? (const char *)v + offset_of(v->rev_len)
                                      : NULL;
}

const char *value_rev(const value *v) { return v->data; }

const route *value_route(const value *v) { return content_of(v, VALUE_ROUTE); }

const maintenance_doc *value_maintenance(const value *v) {
  return content_of(v, VALUE_MAINTENANCE);
}

const balancer_seen *value_balancer(const value *v) {
  return content_of(v, VALUE_BALANCER);
}

value *value_of_route(const route *r, const char *rev) {
  size_t len = strlen(rev);

  return len <= REV_MOST ? make(VALUE_ROUTE, rev, len, r, route_size(r)) : NULL;
}

value *value_ref(value *v) {
  if (v != NULL)
    v->refs++;
  return v;
}

void value_drop(table *t, value *v) {
  if (v != NULL && --v->refs == 0)
    table_retire(t, v, free);
}

/* ---- reading ---- */

static void take_times(const json_t *doc, reading *out) {
  const char *boot = json_string_value(json_object_get(doc, "boot"));

  out->at_ms = json_integer_value(json_object_get(doc, "at"));
  if (boot != NULL && strlen(boot) < sizeof out->boot)
    memcpy(out->boot, boot, strlen(boot) + 1);
}

static bool read_route(const json_t *doc, changefeed_str rev, reading *out) {
  text block = TEXT_INIT;
  route_doc r;

  if (!route_doc_read(doc, &r, out->why, sizeof out->why))
    return false;
  if (route_pack(&r, &block) && !block.failed)
    out->value = make(VALUE_ROUTE, rev.data, rev.len, block.data, block.len);
  text_free(&block);
  return true;
}

static bool read_maintenance(const json_t *doc, changefeed_str rev,
                             reading *out) {
  maintenance_doc m;

  if (!maintenance_doc_read(doc, &m, out->why, sizeof out->why))
    return false;
  out->value = make(VALUE_MAINTENANCE, rev.data, rev.len, &m, sizeof m);
  return true;
}

static bool read_balancer(const json_t *doc, const char *name,
                          changefeed_str rev, reading *out) {
  balancer_seen b;

  if (!balancer_doc_read(doc, name, &b.doc, out->why, sizeof out->why))
    return false;
  b.came_ms = follow_up_ms();
  out->value = make(VALUE_BALANCER, rev.data, rev.len, &b, sizeof b);
  return true;
}

static bool begins(const char *id, const char *prefix) {
  return strncmp(id, prefix, strlen(prefix)) == 0;
}

static bool is_held(changefeed_str id) {
  return strlen(id.data) == id.len &&
         (begins(id.data, ROUTE_PREFIX) || begins(id.data, BALANCER_PREFIX) ||
          begins(id.data, TICK_PREFIX) || strcmp(id.data, MAINTENANCE_ID) == 0);
}

static void read_doc(const json_t *doc, const char *id, changefeed_str rev,
                     reading *out) {
  tick_doc tick;
  bool good;

  take_times(doc, out);
  if (begins(id, TICK_PREFIX)) {
    out->is_tick = tick_doc_read(doc, id + strlen(TICK_PREFIX), &tick, out->why,
                                 sizeof out->why);
    out->result = out->is_tick ? READ_PASSED : READ_BAD;
    return;
  }
  if (begins(id, ROUTE_PREFIX))
    good = read_route(doc, rev, out);
  else if (begins(id, BALANCER_PREFIX))
    good = read_balancer(doc, id + strlen(BALANCER_PREFIX), rev, out);
  else
    good = read_maintenance(doc, rev, out);
  out->result = !good                ? READ_BAD
                : out->value != NULL ? READ_GOOD
                                     : READ_NO_MEMORY;
}

void value_read(changefeed_str id, changefeed_str rev, changefeed_str doc,
                reading *out) {
  json_error_t error;
  json_t *json;

  memset(out, 0, sizeof *out);
  if (!is_held(id))
    return;
  out->result = READ_BAD;
  if (rev.len > REV_MOST) {
    (void)snprintf(out->why, sizeof out->why, "its _rev is too long");
    return;
  }
  json = doc.data != NULL
             ? json_loadb(doc.data, doc.len, JSON_ALLOW_NUL, &error)
             : NULL;
  if (json == NULL) {
    (void)snprintf(out->why, sizeof out->why, "it is not JSON: %s",
                   doc.data != NULL ? error.text : "there is no text");
    return;
  }
  read_doc(json, id.data, rev, out);
  json_decref(json);
}
