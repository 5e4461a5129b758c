/* Host names belong to one app each, by a document that only one can create;
   see writes.h. A name is written before the app lists it, and given back after
   neither the app nor its route does. In between, an app that is being created
   is not there yet: so what was written in the last minute is nobody's to take,
   unless its owner has let go of it ("at" is 0). */
#include "provisioner/writes.h"

#include "common/log.h"
#include "provisioner/clock.h"
#include <stdio.h>
#include <string.h>

enum { YOUNG_MS = 60000, SWEEP_MOST = 100 };

static void id_of(const char *host, char id[HOST_MOST + 8]) {
  (void)snprintf(id, HOST_MOST + 8, "host:%s", host);
}

static const char *owner_of(const json_t *doc) {
  const char *app = json_string_value(json_object_get(doc, "app"));

  return app != NULL ? app : "";
}

static bool is_listed(const json_t *list, const char *host) {
  size_t i;
  json_t *one;

  json_array_foreach(list, i, one) if (json_is_string(one) &&
                                       strcmp(json_string_value(one), host) ==
                                           0) return true;
  return false;
}

static bool is_young(const json_t *doc) {
  int64_t at = json_integer_value(json_object_get(doc, "at"));

  return at != 0 && wall_ms() - at < YOUNG_MS;
}

/* Neither the app nor its route is there any more. */
static enum docs_result is_abandoned(desk_hands *hands, const char *app,
                                     bool *abandoned, docs_answer *reply) {
  static const char *const kinds[] = {"app", "route"};
  enum docs_result said = DOCS_MISSING;
  char id[NAME_MOST + 8];

  *abandoned = true;
  if (!id_is_app(app, strlen(app)))
    return DOCS_OK;
  for (size_t i = 0; i < 2 && *abandoned; i++) {
    json_t *doc = NULL;

    (void)snprintf(id, sizeof id, "%s:%s", kinds[i], app);
    said = docs_get(hands->apps, id, &doc, reply);
    if (said != DOCS_OK && said != DOCS_MISSING)
      return said;
    *abandoned = said == DOCS_MISSING;
    json_decref(doc);
  }
  return DOCS_OK;
}

typedef struct host_claim {
  const char *app, *host, *id;
  bool listed; /* by the app's document: then nobody gives it back */
} host_claim;

/* One round for a name that is there already. WRITE_DATABASE: another one. */
static enum write_result take_over(desk_hands *hands, const host_claim *c,
                                   const json_t *doc, enum docs_result *said,
                                   docs_answer *reply, write_answer *answer) {
  const char *owner = owner_of(doc);
  bool mine = strcmp(owner, c->app) == 0, abandoned = false;
  json_t *next;

  if (mine && c->listed)
    return WRITE_DONE;
  if (!mine) {
    *said = DOCS_OK;
    if (!is_young(doc))
      *said = is_abandoned(hands, owner, &abandoned, reply);
    if (*said != DOCS_OK)
      return WRITE_DATABASE;
    if (!abandoned) {
      (void)snprintf(answer->error, sizeof answer->error,
                     "the host %.150s belongs to the app %.63s", c->host,
                     owner);
      return WRITE_TAKEN;
    }
  }
  /* Its time is new, so that nobody who was about to give it back does. */
  next = json_pack("{s:O, s:O, s:s, s:I}", "_id", json_object_get(doc, "_id"),
                   "_rev", json_object_get(doc, "_rev"), "app", c->app, "at",
                   (json_int_t)wall_ms());
  *said =
      next != NULL ? docs_put(hands->locks, c->id, next, reply) : DOCS_REFUSED;
  json_decref(next);
  return *said == DOCS_OK ? WRITE_DONE : WRITE_DATABASE;
}

static enum write_result claim_once(desk_hands *hands, const host_claim *c,
                                    bool *tried, enum docs_result *said,
                                    docs_answer *reply, write_answer *answer) {
  json_t *doc = NULL;
  enum write_result result;

  *said = docs_get(hands->locks, c->id, &doc, reply);
  if (*said == DOCS_OK) {
    host_claim now = *c;

    now.listed |= *tried; /* just made, by us */
    result = take_over(hands, &now, doc, said, reply, answer);
    json_decref(doc);
    return result;
  }
  if (*said != DOCS_MISSING)
    return WRITE_DATABASE;
  doc = json_pack("{s:s, s:s, s:I}", "_id", c->id, "app", c->app, "at",
                  (json_int_t)wall_ms());
  *said =
      doc != NULL ? docs_put(hands->locks, c->id, doc, reply) : DOCS_REFUSED;
  json_decref(doc);
  *tried |= *said == DOCS_UNKNOWN || *said == DOCS_ACCEPTED;
  return *said == DOCS_OK ? WRITE_DONE : WRITE_DATABASE;
}

static enum write_result claim_one(desk_hands *hands, const host_claim *c,
                                   int64_t until_ms, write_answer *answer) {
  enum write_result result;
  docs_answer reply = {0};
  enum docs_result said;
  bool tried = false;
  int tries = 0;

  do {
    result = claim_once(hands, c, &tried, &said, &reply, answer);
    if (result != WRITE_DATABASE)
      return result;
  } while (said != DOCS_REFUSED && write_again(until_ms, &tries, &reply));
  (void)snprintf(answer->error, sizeof answer->error, "%s", reply.error);
  return WRITE_DATABASE;
}

enum write_result hosts_claim(desk_hands *hands, const char *app,
                              const json_t *hosts, const json_t *listed,
                              int64_t until_ms, write_answer *answer) {
  enum write_result result = WRITE_DONE;
  json_t *host, *own;
  size_t i;

  json_array_foreach(hosts, i, host) {
    const char *name = json_string_value(host);
    char id[HOST_MOST + 8];
    host_claim c = {app, name, id, is_listed(listed, name)};

    id_of(name, id);
    result = claim_one(hands, &c, until_ms, answer);
    if (result != WRITE_DONE)
      break;
  }
  if (result == WRITE_TAKEN) { /* nor is it to keep the others waiting */
    own = hosts_owned(hands, app, hosts, listed);
    hosts_let_go(hands, own);
  }
  return result;
}

json_t *hosts_owned(desk_hands *hands, const char *app, const json_t *hosts,
                    const json_t *except) {
  json_t *own = json_array(), *host;
  size_t i;

  json_array_foreach(hosts, i, host) {
    const char *name = json_string_value(host);
    char id[HOST_MOST + 8];
    docs_answer reply;
    json_t *doc = NULL;

    if (name == NULL || strlen(name) > HOST_MOST || is_listed(except, name))
      continue;
    id_of(name, id);
    if (docs_get(hands->locks, id, &doc, &reply) == DOCS_OK &&
        strcmp(owner_of(doc), app) == 0)
      (void)json_array_append(own, doc);
    json_decref(doc);
  }
  return own;
}

/* Where that fails the sweep comes, a minute later. */
void hosts_let_go(desk_hands *hands, json_t *own) {
  docs_answer reply;
  json_t *doc;
  size_t i;

  json_array_foreach(own, i, doc) {
    const char *id = json_string_value(json_object_get(doc, "_id"));

    if (id != NULL && json_object_set_new(doc, "at", json_integer(0)) == 0)
      (void)docs_put(hands->locks, id, doc, &reply);
  }
  json_decref(own);
}

/* ---- giving back ---- */

typedef struct sweep {
  bool (*is_held)(void *ctx, const char *host, const char *app);
  void *ctx;
  json_t *idle[SWEEP_MOST];
  size_t count;
} sweep;

static bool look_at(void *ctx, const json_t *doc) {
  sweep *s = ctx;
  const char *id = json_string_value(json_object_get(doc, "_id"));
  const char *owner = owner_of(doc);

  if (id == NULL || strncmp(id, "host:", 5) != 0 ||
      json_string_value(json_object_get(doc, "_rev")) == NULL)
    return true;
  if (is_young(doc) || !id_is_app(owner, strlen(owner)))
    return true; /* not ours to understand: somebody's hand made it */
  if (!s->is_held(s->ctx, id + 5, owner))
    s->idle[s->count++] = json_incref((json_t *)(uintptr_t)doc);
  return s->count < SWEEP_MOST;
}

int hosts_sweep(desk_hands *hands,
                bool (*is_held)(void *ctx, const char *host, const char *app),
                void *ctx) {
  sweep s = {is_held, ctx, {NULL}, 0};
  docs_answer reply;
  enum docs_result said = docs_each(hands->locks, "host:", look_at, &s, &reply);
  int given = said == DOCS_OK ? 0 : -1;

  for (size_t i = 0; i < s.count; i++) {
    const char *id = json_string_value(json_object_get(s.idle[i], "_id"));

    if (docs_delete(hands->locks, id,
                    json_string_value(json_object_get(s.idle[i], "_rev")),
                    &reply) == DOCS_OK) {
      log_event(LOG_INFO, "host.given_back", LS("host", id + 5),
                LS("app", owner_of(s.idle[i])));
      given += given >= 0;
    }
    json_decref(s.idle[i]);
  }
  return given;
}
