/* The endless writer: _bulk_docs by one thread, whose order of writes is the
   order of the revs it remembers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "churn.h"

#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "couch.h"
#include "mem.h"
#include "random.h"

enum { LUMP_MAX = 20, URL_SIZE = 512, ID_SIZE = 24 };

typedef struct document {
  char id[ID_SIZE];
  char rev[64]; /* "" before the first write */
  bool deleted;
  bool in_lump; /* the same id twice in one request would be a conflict */
} document;

struct cft_churn {
  char url[URL_SIZE];
  unsigned pause_ms;
  pthread_t thread;
  cfi_random random;
  document *documents; /* the thread's until it is joined */
  size_t count, cap;
  atomic_size_t written;
  atomic_bool stop;
  char why[256]; /* what went wrong */
};

/* Half of all writes make a document, until there are many of them. */
static document *choose(cft_churn *c) {
  bool make = c->count < 4000 && cfi_random_upto(&c->random, 1) == 0;
  document *d;

  if (c->count == 0 || make) {
    c->documents =
        cft_room(c->documents, c->count, &c->cap, sizeof *c->documents);
    d = &c->documents[c->count];
    *d = (document){.deleted = false};
    (void)snprintf(d->id, sizeof d->id, "doc-%06zu", c->count++);
    return d;
  }
  return &c->documents[cfi_random_upto(&c->random, (int64_t)c->count - 1)];
}

static json_t *make_lump(cft_churn *c) {
  int64_t size = 1 + cfi_random_upto(&c->random, LUMP_MAX - 1);
  json_t *docs = json_array();

  while (size-- > 0) {
    document *d = choose(c);
    json_t *doc;

    if (d->in_lump)
      continue;
    d->in_lump = true;
    doc = json_pack("{s:s,s:I}", "_id", d->id, "n",
                    (json_int_t)atomic_load(&c->written));
    if (d->rev[0] != '\0' && !d->deleted)
      (void)json_object_set_new(doc, "_rev", json_string(d->rev));
    d->deleted =
        d->rev[0] != '\0' && !d->deleted && cfi_random_upto(&c->random, 9) == 0;
    if (d->deleted)
      (void)json_object_set_new(doc, "_deleted", json_true());
    (void)json_array_append_new(docs, doc);
  }
  return docs;
}

static document *find(cft_churn *c, const char *id) {
  unsigned long n = strtoul(id + strlen("doc-"), NULL, 10);

  return n < c->count && strcmp(c->documents[n].id, id) == 0 ? &c->documents[n]
                                                             : NULL;
}

/* Remembers the revs of an answer. */
static void take_revs(cft_churn *c, json_t *list, const char *answer) {
  json_t *item;
  size_t i;

  json_array_foreach(list, i, item) {
    const char *id = json_string_value(json_object_get(item, "id"));
    const char *rev = json_string_value(json_object_get(item, "rev"));
    document *d = id != NULL ? find(c, id) : NULL;

    if (d == NULL || rev == NULL) {
      (void)snprintf(c->why, sizeof c->why, "refused: %.200s", answer);
      return;
    }
    (void)snprintf(d->rev, sizeof d->rev, "%s", rev);
    d->in_lump = false;
    (void)atomic_fetch_add(&c->written, 1);
  }
}

static void write_lump(cft_churn *c) {
  char url[URL_SIZE + 16], *answer = NULL;
  json_t *body = json_pack("{s:o}", "docs", make_lump(c)), *list;
  char *text = json_dumps(body, JSON_COMPACT);
  int status;

  (void)snprintf(url, sizeof url, "%s/_bulk_docs", c->url);
  status = cft_http("POST", url, text, &answer);
  list = answer != NULL ? json_loads(answer, 0, NULL) : NULL;
  if (status != 201 || !json_is_array(list))
    (void)snprintf(c->why, sizeof c->why, "_bulk_docs: HTTP %d %.100s", status,
                   answer != NULL ? answer : "");
  else
    take_revs(c, list, answer);
  json_decref(list);
  json_decref(body);
  free(answer);
  free(text);
}

static void *run(void *user) {
  cft_churn *c = user;
  const struct timespec pause = {0, (long)c->pause_ms * 1000000};

  while (!atomic_load(&c->stop) && c->why[0] == '\0') {
    write_lump(c);
    (void)nanosleep(&pause, NULL);
  }
  return NULL;
}

cft_churn *cft_churn_start(const char *url, uint64_t seed, unsigned pause_ms) {
  cft_churn *c = cft_calloc(1, sizeof *c);

  ck_assert_uint_lt(pause_ms, 1000);
  (void)snprintf(c->url, sizeof c->url, "%s", url);
  c->pause_ms = pause_ms;
  cfi_random_init(&c->random, seed);
  ck_assert_int_eq(pthread_create(&c->thread, NULL, run, c), 0);
  return c;
}

size_t cft_churn_written(const cft_churn *churn) {
  return atomic_load(&churn->written);
}

cft_revs *cft_churn_stop(cft_churn *c) {
  cft_revs *want = cft_revs_new();

  atomic_store(&c->stop, true);
  ck_assert_int_eq(pthread_join(c->thread, NULL), 0);
  ck_assert_msg(c->why[0] == '\0', "writer: %s", c->why);
  for (size_t i = 0; i < c->count; i++)
    cft_revs_put(want, c->documents[i].id, c->documents[i].rev,
                 c->documents[i].deleted);
  free(c->documents);
  free(c);
  return want;
}
