/* Documents into JSON; see documents.h. What is written here is read again by
   documents.c as the same. */
#include "common/documents.h"

#include <stdio.h>
#include <string.h>

/* Whether all went well is asked once, at the end. */
typedef struct writer {
  json_t *doc;
  bool failed;
} writer;

static void put(writer *w, json_t *in, const char *key, json_t *value) {
  if (in == NULL || value == NULL) {
    json_decref(value);
    w->failed = true;
  } else if (json_object_set_new(in, key, value) != 0) {
    w->failed = true;
  }
}

static json_t *list_of(writer *w, const route_to *to, size_t count) {
  json_t *list = json_array();
  size_t i;

  for (i = 0; list != NULL && i < count; i++) {
    json_t *one = json_object();

    put(w, one, "drone", json_string(to[i].drone));
    put(w, one, "addr", json_string(to[i].addr));
    put(w, one, "claim", json_string(to[i].claim));
    if (one == NULL || json_array_append_new(list, one) != 0)
      w->failed = true;
  }
  return list;
}

static void put_head(writer *w, const char *prefix, const char *name,
                     const char *rev) {
  char id[ADDR_MOST + 16];

  (void)snprintf(id, sizeof id, "%s%s", prefix, name);
  w->doc = json_object();
  put(w, w->doc, "_id", json_string(id));
  if (rev[0] != '\0')
    put(w, w->doc, "_rev", json_string(rev));
}

static json_t *finish(writer *w) {
  if (!w->failed && w->doc != NULL)
    return w->doc;
  json_decref(w->doc);
  return NULL;
}

json_t *drone_doc_write(const drone_doc *d) {
  writer w = {NULL, false};
  json_t *claim = NULL;

  put_head(&w, "drone:", d->addr, d->rev);
  put(&w, w.doc, "addr", json_string(d->addr));
  put(&w, w.doc, "ctl", json_string(d->ctl));
  put(&w, w.doc, "vm", json_string(d->vm));
  put(&w, w.doc, "state", json_string(drone_state_name(d->state)));
  put(&w, w.doc, "epoch", json_integer(d->epoch));
  put(&w, w.doc, "at", json_integer(d->at_ms));
  if (d->claim.id[0] != '\0') {
    claim = json_object();
    put(&w, claim, "id", json_string(d->claim.id));
    put(&w, claim, "app", json_string(d->claim.app));
    put(&w, claim, "gen", json_integer(d->claim.gen));
    put(&w, claim, "by", json_string(d->claim.by));
    put(&w, claim, "at", json_integer(d->claim.at_ms));
    put(&w, w.doc, "claim", claim);
  } else {
    put(&w, w.doc, "claim", json_null());
  }
  return finish(&w);
}

json_t *route_doc_write(const route_doc *r) {
  writer w = {NULL, false};
  json_t *hosts;
  size_t i;

  put_head(&w, "route:", r->app, r->rev);
  put(&w, w.doc, "app", json_string(r->app));
  put(&w, w.doc, "gen", json_integer(r->gen));
  put(&w, w.doc, "state", json_string(route_state_name(r->state)));
  put(&w, w.doc, "code", json_string(r->code));
  put(&w, w.doc, "msg", json_string(r->msg));
  put(&w, w.doc, "at", json_integer(r->at_ms));
  hosts = json_array();
  for (i = 0; hosts != NULL && i < r->host_count; i++)
    if (json_array_append_new(hosts, json_string(r->hosts[i])) != 0)
      w.failed = true;
  put(&w, w.doc, "hosts", hosts);
  if (r->closed)
    put(&w, w.doc, "maintenance", json_string(r->notice));
  put(&w, w.doc, "to", list_of(&w, r->to, r->to_count));
  put(&w, w.doc, "prev", list_of(&w, r->prev, r->prev_count));
  return finish(&w);
}
