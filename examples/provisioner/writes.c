/* Writing for the API; see writes.h. After an answer that leaves it open
   whether a write was done, the document is read again: what is wanted is
   there, or it is tried once more. */
#include "provisioner/writes.h"

#include "provisioner/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_MS = 10000, PAUSE_MS = 50, PAUSE_MOST_MS = 2000 };

int64_t write_until(void) { return mono_ms() + TIME_MS; }

bool write_again(int64_t until_ms, int *tries, const docs_answer *answer) {
  int64_t ms = (int64_t)PAUSE_MS << (*tries < 6 ? *tries : 6);
  uint64_t salt = (uint64_t)mono_ms() ^ (uint64_t)(uintptr_t)&salt;
  struct timespec t;

  ms = ms / 2 + (int64_t)(id_hash((const char *)&salt, sizeof salt) %
                          (uint64_t)(ms / 2 + 1));
  if (answer->retry_after_ms > ms)
    ms = answer->retry_after_ms;
  if (ms > PAUSE_MOST_MS)
    ms = PAUSE_MOST_MS;
  if (mono_ms() + ms >= until_ms)
    return false;
  (*tries)++;
  t.tv_sec = (time_t)(ms / 1000);
  t.tv_nsec = (long)(ms % 1000) * 1000000;
  (void)nanosleep(&t, NULL);
  return true;
}

static enum write_result database(write_answer *answer,
                                  const docs_answer *said) {
  (void)snprintf(answer->error, sizeof answer->error, "%s",
                 said->error[0] != '\0' ? said->error : "there is no memory");
  return WRITE_DATABASE;
}

static void id_of(const char *app, char id[NAME_MOST + 8]) {
  (void)snprintf(id, NAME_MOST + 8, "app:%s", app);
}

/* ---- what is wanted ---- */

typedef struct want_state {
  const char *app;
  const wish_change *change;
  write_answer *answer;
  int64_t written; /* gen that a write of ours may have brought; 0: none */
} want_state;

/* One round: what was read, and what to put in its place. */
static enum write_result decide(want_state *s, const json_t *doc,
                                json_t **next) {
  app_doc app;
  wish now;

  if (!app_doc_read(doc, &app, s->answer->error, sizeof s->answer->error))
    return WRITE_BROKEN;
  app_doc_free(&app);
  wish_of(doc, &now);
  s->answer->gen = now.gen;
  s->answer->started = now.started;
  if (s->written != 0 && now.any && now.gen == s->written &&
      now.started == s->change->start && now.at_ms == s->change->at_ms)
    return WRITE_DONE;
  if (wish_is_done(&now, s->change))
    return WRITE_SAME;
  *next = wish_apply(doc, s->app, s->change, &s->answer->gen);
  return WRITE_DATABASE; /* so far */
}

enum write_result write_want(desk_hands *hands, const char *app,
                             const wish_change *change, write_answer *answer) {
  want_state s = {app, change, answer, 0};
  int64_t until_ms = write_until();
  enum docs_result said;
  char id[NAME_MOST + 8];
  docs_answer reply;
  int tries = 0;

  memset(answer, 0, sizeof *answer);
  id_of(app, id);
  do {
    json_t *doc = NULL, *next = NULL;
    enum write_result result;

    said = docs_get(hands->apps, id, &doc, &reply);
    if (said == DOCS_MISSING)
      return WRITE_MISSING;
    if (said != DOCS_OK)
      continue;
    result = decide(&s, doc, &next);
    json_decref(doc);
    if (result != WRITE_DATABASE)
      return result;
    if (next == NULL)
      break;
    said = docs_put(hands->apps, id, next, &reply);
    json_decref(next);
    answer->started = change->start;
    if (said == DOCS_OK)
      return WRITE_DONE;
    if (said != DOCS_CONFLICT)
      s.written = answer->gen;
  } while (said != DOCS_REFUSED && write_again(until_ms, &tries, &reply));
  return database(answer, &reply);
}

/* ---- definitions ---- */

/* How far a deleted document had got: by its gen, or where another hand deleted
   it, by the number of its revisions, of which each gen took one at least. */
static int64_t gen_of_tombstone(const json_t *doc) {
  const char *rev = json_string_value(json_object_get(doc, "_rev"));
  const json_t *gen = json_object_get(doc, "gen");

  if (json_is_integer(gen))
    return json_integer_value(gen);
  return rev != NULL ? strtoll(rev, NULL, 10) : 0;
}

static bool tombstone_gen(desk_hands *hands, const char *id, int64_t *gen) {
  char escaped[2 * NAME_MOST], path[512], db[256];
  rest_reply reply;
  json_t *row;
  size_t i;
  int status;

  *gen = 0;
  if (!rest_escape(id, escaped, sizeof escaped) ||
      !rest_escape(hands->apps_name, db, sizeof db))
    return false;
  (void)snprintf(path, sizeof path, "/%s/%s?open_revs=all", db, escaped);
  status = rest_call(docs_rest(hands->apps), "GET", path, NULL, &reply);
  json_array_foreach(reply.body, i, row) {
    int64_t one = gen_of_tombstone(json_object_get(row, "ok"));

    if (one > *gen)
      *gen = one;
  }
  rest_reply_free(&reply);
  return status == 200 || status == 404;
}

/* The document as it is, NULL where there is none: then with the gen of the one
   before. */
static enum docs_result read_app(desk_hands *hands, const char *id,
                                 json_t **doc, int64_t *gen,
                                 docs_answer *reply) {
  enum docs_result said = docs_get(hands->apps, id, doc, reply);

  if (said != DOCS_MISSING)
    return said;
  *doc = NULL;
  return tombstone_gen(hands, id, gen) ? DOCS_OK : DOCS_UNKNOWN;
}

static void tell_app(const json_t *doc, write_answer *answer) {
  wish now;

  wish_of(doc, &now);
  answer->gen = now.gen;
  answer->started = now.started;
  answer->changed = now.changed;
}

/* A document that cannot be read is replaced as a whole, but for its gen. */
static json_t *defined(const json_t *doc, const json_t *definition,
                       int64_t floor, char *why, size_t size) {
  json_t *out = wish_define(doc, definition, floor), *fresh;
  app_doc app;

  if (out == NULL || doc == NULL)
    return out;
  if (app_doc_read(out, &app, why, size)) {
    app_doc_free(&app);
    return out;
  }
  json_decref(out);
  fresh = wish_define(NULL, definition, floor);
  if (fresh != NULL &&
      (json_object_set(fresh, "_id", json_object_get(doc, "_id")) != 0 ||
       json_object_set(fresh, "_rev", json_object_get(doc, "_rev")) != 0)) {
    json_decref(fresh);
    return NULL;
  }
  return fresh;
}

typedef struct define_state {
  const char *app, *id;
  const json_t *definition;
  int64_t floor, until_ms;
  bool written;
} define_state;

/* One round; WRITE_DATABASE: reply says whether another makes sense. */
static enum write_result define_once(desk_hands *hands, define_state *s,
                                     bool *created, write_answer *answer,
                                     enum docs_result *said,
                                     docs_answer *reply) {
  int64_t gen = 0;
  json_t *doc = NULL, *next;
  enum write_result result;

  *said = read_app(hands, s->id, &doc, &gen, reply);
  if (*said != DOCS_OK)
    return WRITE_DATABASE;
  if (!s->written)
    *created = doc == NULL;
  if (doc != NULL && wish_same_definition(doc, s->definition)) {
    tell_app(doc, answer);
    json_decref(doc);
    return s->written ? WRITE_DONE : WRITE_SAME;
  }
  result = hosts_claim(hands, s->app, json_object_get(s->definition, "hosts"),
                       json_object_get(doc, "hosts"), s->until_ms, answer);
  if (result != WRITE_DONE) {
    json_decref(doc);
    *said = DOCS_REFUSED; /* it has tried for itself */
    return result;
  }
  next = defined(doc, s->definition, gen > s->floor ? gen : s->floor,
                 answer->error, sizeof answer->error);
  json_decref(doc);
  *said =
      next != NULL ? docs_put(hands->apps, s->id, next, reply) : DOCS_REFUSED;
  if (*said == DOCS_OK)
    tell_app(next, answer);
  json_decref(next);
  s->written |= *said == DOCS_ACCEPTED || *said == DOCS_UNKNOWN;
  return *said == DOCS_OK ? WRITE_DONE : WRITE_DATABASE;
}

enum write_result write_app(desk_hands *hands, const char *app,
                            const json_t *definition, int64_t gen_floor,
                            bool *created, write_answer *answer) {
  char id[NAME_MOST + 8];
  define_state s = {app, id, definition, gen_floor, write_until(), false};
  enum write_result result;
  docs_answer reply = {0};
  enum docs_result said;
  int tries = 0;

  memset(answer, 0, sizeof *answer);
  *created = false;
  id_of(app, id);
  do {
    result = define_once(hands, &s, created, answer, &said, &reply);
    if (result != WRITE_DATABASE)
      return result;
  } while (said != DOCS_REFUSED && write_again(s.until_ms, &tries, &reply));
  if (answer->error[0] != '\0')
    return WRITE_DATABASE;
  return database(answer, &reply);
}

/* ---- the end of an app ---- */

/* *own: documents of its hosts, read before it is gone. */
static enum write_result destroy(desk_hands *hands, const char *app,
                                 int64_t gen_floor, json_t **own,
                                 write_answer *answer) {
  int64_t until_ms = write_until();
  bool written = false;
  enum docs_result said;
  char id[NAME_MOST + 8];
  docs_answer reply;
  int tries = 0;

  id_of(app, id);
  do {
    json_t *doc = NULL, *next;
    wish now;

    said = docs_get(hands->apps, id, &doc, &reply);
    if (said == DOCS_MISSING)
      return written ? WRITE_DONE : WRITE_MISSING;
    if (said != DOCS_OK)
      continue;
    wish_of(doc, &now);
    json_decref(*own);
    *own = hosts_owned(hands, app, json_object_get(doc, "hosts"), NULL);
    answer->gen = (now.gen > gen_floor ? now.gen : gen_floor) + 1;
    next = json_pack("{s:O, s:O, s:b, s:I}", "_id", json_object_get(doc, "_id"),
                     "_rev", json_object_get(doc, "_rev"), "_deleted", 1, "gen",
                     (json_int_t)answer->gen);
    json_decref(doc);
    if (next == NULL)
      break;
    said = docs_put(hands->apps, id, next, &reply);
    json_decref(next);
    if (said == DOCS_OK)
      return WRITE_DONE;
    written |= said == DOCS_ACCEPTED || said == DOCS_UNKNOWN;
  } while (said != DOCS_REFUSED && write_again(until_ms, &tries, &reply));
  return database(answer, &reply);
}

enum write_result write_destroy(desk_hands *hands, const char *app,
                                int64_t gen_floor, write_answer *answer) {
  json_t *own = NULL;
  enum write_result result;

  memset(answer, 0, sizeof *answer);
  result = destroy(hands, app, gen_floor, &own, answer);
  if (result == WRITE_DONE)
    hosts_let_go(hands, own);
  else
    json_decref(own);
  return result;
}

/* ---- maintenance ---- */

static json_t *with_notice(json_t *doc, const char *notice) {
  if (notice == NULL) {
    (void)json_object_del(doc, "maintenance");
    return doc;
  }
  if (json_object_set_new(doc, "maintenance", json_string(notice)) == 0)
    return doc;
  json_decref(doc);
  return NULL;
}

static bool has_notice(const json_t *doc, const char *notice) {
  const char *has = json_string_value(json_object_get(doc, "maintenance"));

  return notice == NULL ? json_object_get(doc, "maintenance") == NULL
                        : has != NULL && strcmp(has, notice) == 0;
}

enum write_result write_notice(desk_hands *hands, const char *app,
                               const char *notice, write_answer *answer) {
  int64_t until_ms = write_until();
  enum docs_result said;
  char id[NAME_MOST + 8];
  docs_answer reply;
  int tries = 0;

  memset(answer, 0, sizeof *answer);
  id_of(app, id);
  do {
    json_t *doc = NULL;

    said = docs_get(hands->apps, id, &doc, &reply);
    if (said == DOCS_MISSING)
      return WRITE_MISSING;
    if (said != DOCS_OK)
      continue;
    if (has_notice(doc, notice)) {
      json_decref(doc);
      return WRITE_DONE;
    }
    doc = with_notice(doc, notice);
    if (doc == NULL)
      break;
    said = docs_put(hands->apps, id, doc, &reply);
    json_decref(doc);
    if (said == DOCS_OK)
      return WRITE_DONE;
  } while (said != DOCS_REFUSED && write_again(until_ms, &tries, &reply));
  return database(answer, &reply);
}

static bool says_so(const json_t *doc, const json_t *wanted) {
  const char *key;
  json_t *value;

  json_object_foreach(
      (json_t *)(uintptr_t)wanted, key,
      value) if (!json_equal(json_object_get(doc, key), value)) return false;
  return true;
}

enum write_result write_maintenance(desk_hands *hands, const json_t *document,
                                    write_answer *answer) {
  static const char id[] = "sys:maintenance";
  int64_t until_ms = write_until();
  enum docs_result said;
  docs_answer reply;
  int tries = 0;

  memset(answer, 0, sizeof *answer);
  do {
    json_t *doc = NULL, *next;

    said = docs_get(hands->apps, id, &doc, &reply);
    if (said != DOCS_OK && said != DOCS_MISSING)
      continue;
    if (said == DOCS_OK && says_so(doc, document)) {
      json_decref(doc);
      return WRITE_DONE;
    }
    next = said == DOCS_OK ? doc : json_object();
    if (next == NULL ||
        json_object_update(next, (json_t *)(uintptr_t)document) != 0) {
      json_decref(next);
      break;
    }
    said = docs_put(hands->apps, id, next, &reply);
    json_decref(next);
    if (said == DOCS_OK)
      return WRITE_DONE;
  } while (said != DOCS_REFUSED && write_again(until_ms, &tries, &reply));
  return database(answer, &reply);
}
