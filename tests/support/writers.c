/*
 * The writers: _bulk_docs in small lumps, so that their changes interleave.
 */
#include "writers.h"

#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "couch.h"

enum { WRITERS_MAX = 8, LUMP = 50, URL_SIZE = 512 };

typedef struct writer {
  cft_writers *all;
  pthread_t thread;
  unsigned number, documents;
  json_t *revs;    /* id -> rev, of this writer's documents */
  json_t *deleted; /* id -> true */
  char why[256];   /* what went wrong */
} writer;

struct cft_writers {
  char url[URL_SIZE];
  unsigned count;
  writer writers[WRITERS_MAX];
  atomic_uint done;
};

/* Posts the documents, and remembers the revs that come back. */
static bool post(writer *w, json_t *docs) {
  char url[URL_SIZE + 16], *answer = NULL;
  json_t *body = json_pack("{s:o}", "docs", docs), *list;
  char *text = json_dumps(body, JSON_COMPACT);
  int status;
  size_t i;
  json_t *item;

  (void)snprintf(url, sizeof url, "%s/_bulk_docs", w->all->url);
  status = cft_http("POST", url, text, &answer);
  free(text);
  json_decref(body);
  list = answer != NULL ? json_loads(answer, 0, NULL) : NULL;
  if (status != 201 || !json_is_array(list)) {
    (void)snprintf(w->why, sizeof w->why, "_bulk_docs: HTTP %d %.100s", status,
                   answer != NULL ? answer : "");
    free(answer);
    json_decref(list);
    return false;
  }
  json_array_foreach(list, i, item) {
    const char *id = json_string_value(json_object_get(item, "id"));
    json_t *rev = json_object_get(item, "rev");

    if (id == NULL || !json_is_string(rev)) {
      (void)snprintf(w->why, sizeof w->why, "refused: %.200s", answer);
      break;
    }
    (void)json_object_set(w->revs, id, rev);
  }
  free(answer);
  json_decref(list);
  return w->why[0] == '\0';
}

static json_t *document(const writer *w, unsigned n, unsigned generation) {
  char id[32];
  json_t *doc, *rev;

  (void)snprintf(id, sizeof id, "w%u-%05u", w->number, n);
  doc = json_pack("{s:s,s:i}", "_id", id, "n", (int)generation);
  rev = json_object_get(w->revs, id);
  if (rev != NULL)
    (void)json_object_set(doc, "_rev", rev);
  return doc;
}

/* Round 0 makes all, round 1 changes each second, round 2 deletes each
   tenth. */
static bool concerns(unsigned n, unsigned round) {
  return round == 0 || (round == 1 && n % 2 == 0) ||
         (round == 2 && n % 10 == 0);
}

static bool write_round(writer *w, unsigned round) {
  json_t *lump = json_array();

  for (unsigned n = 0; n < w->documents; n++) {
    if (concerns(n, round)) {
      json_t *doc = document(w, n, round);

      if (round == 2) {
        (void)json_object_set_new(doc, "_deleted", json_true());
        (void)json_object_set_new(
            w->deleted, json_string_value(json_object_get(doc, "_id")),
            json_true());
      }
      (void)json_array_append_new(lump, doc);
    }
    if (json_array_size(lump) == LUMP) {
      if (!post(w, lump))
        return false;
      lump = json_array();
    }
  }
  if (json_array_size(lump) != 0)
    return post(w, lump);
  json_decref(lump);
  return true;
}

static void *run(void *user) {
  writer *w = user;
  bool ok = true;

  for (unsigned round = 0; ok && round < 3; round++)
    ok = write_round(w, round);
  (void)atomic_fetch_add(&w->all->done, 1);
  return NULL;
}

cft_writers *cft_writers_start(const char *url, unsigned threads,
                               unsigned documents) {
  cft_writers *all = calloc(1, sizeof *all);

  ck_assert_ptr_nonnull(all);
  ck_assert_uint_le(threads, WRITERS_MAX);
  (void)snprintf(all->url, sizeof all->url, "%s", url);
  all->count = threads;
  for (unsigned i = 0; i < threads; i++) {
    writer *w = &all->writers[i];

    w->all = all;
    w->number = i;
    w->documents = documents / threads;
    w->revs = json_object();
    w->deleted = json_object();
    ck_assert_int_eq(pthread_create(&w->thread, NULL, run, w), 0);
  }
  return all;
}

bool cft_writers_done(cft_writers *w) {
  return atomic_load(&w->done) == w->count;
}

/* The database itself says the same about what is not deleted. */
static void check_all_docs(const char *url, const cft_revs *want,
                           size_t alive) {
  char list_url[URL_SIZE + 16], *answer = NULL;
  json_t *list, *rows, *row;
  size_t i;

  (void)snprintf(list_url, sizeof list_url, "%s/_all_docs", url);
  ck_assert_int_eq(cft_http("GET", list_url, NULL, &answer), 200);
  list = json_loads(answer, 0, NULL);
  rows = json_object_get(list, "rows");
  ck_assert_uint_eq(json_array_size(rows), alive);
  json_array_foreach(rows, i, row) {
    const char *id = json_string_value(json_object_get(row, "id"));
    const char *rev = json_string_value(
        json_object_get(json_object_get(row, "value"), "rev"));
    bool deleted;

    ck_assert_str_eq(cft_revs_get(want, id, &deleted), rev);
    ck_assert(!deleted);
  }
  json_decref(list);
  free(answer);
}

cft_revs *cft_writers_join(cft_writers *all) {
  cft_revs *want = cft_revs_new();
  size_t alive = 0;

  for (unsigned i = 0; i < all->count; i++) {
    writer *w = &all->writers[i];
    const char *id;
    json_t *rev;

    ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
    ck_assert_msg(w->why[0] == '\0', "writer %u: %s", i, w->why);
    json_object_foreach(w->revs, id, rev) {
      bool deleted = json_object_get(w->deleted, id) != NULL;

      cft_revs_put(want, id, json_string_value(rev), deleted);
      alive += deleted ? 0 : 1;
    }
    json_decref(w->revs);
    json_decref(w->deleted);
  }
  check_all_docs(all->url, want, alive);
  free(all);
  return want;
}
