/*
 * What the tests of the mirror share: a couchsim with a database, a mirror of
 * it, and the few things that are written to that database.
 */
#ifndef CFT_NET_MIRROR_IN_COUCHSIM_H
#define CFT_NET_MIRROR_IN_COUCHSIM_H

#include <stdarg.h>
#include <string.h>

#include "support/couchsim.h"
#include "support/follow.h"
#include "support/mirrored.h"
#include "support/timing.h"
#include "support/unit.h"

enum { PATIENCE_MS = 30000 };

static cft_couchsim *sim;
static cft_mirrored f;
static char url[256];

static inline void start_with(const char *const *args) {
  sim = cft_couchsim_start(args);
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_url(sim, 0));
  memset(&f, 0, sizeof f);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
}

static inline void setup(void) { start_with(NULL); }

static inline void setup_nodes(void) {
  static const char *const args[] = {"--nodes", "3", "--seed", "5", NULL};

  start_with(args);
}

static inline void teardown(void) {
  cft_mirrored_clear(&f);
  cft_couchsim_stop(sim);
}

/* ---- the database ---- */

/* A document, new or another revision of it; n is its content. */
static inline void write_doc(const char *id, int n) {
  const char *rev = NULL;
  char *text, *key;
  json_t *v = NULL, *doc, *row;
  json_t *keys = json_pack("{s:[s]}", "keys", id);

  ck_assert_ptr_nonnull(keys);
  key = json_dumps(keys, JSON_ENSURE_ASCII);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "POST", "/db/_all_docs", key, &v),
                   200);
  row = json_array_get(json_object_get(v, "rows"), 0);
  row = json_object_get(row, "value");
  if (json_object_get(row, "deleted") == NULL)
    rev = json_string_value(json_object_get(row, "rev"));
  doc =
      json_pack("{s:[{s:s,s:i,s:s*}]}", "docs", "_id", id, "n", n, "_rev", rev);
  text = json_dumps(doc, JSON_ENSURE_ASCII);
  ck_assert_ptr_nonnull(text);
  cft_couchsim_must(sim, 201, "POST", "/db/_bulk_docs", "%s", text);
  free(text);
  free(key);
  json_decref(doc);
  json_decref(keys);
  json_decref(v);
}

/* Documents d0000, d0001 ... */
static inline void fill(unsigned from, unsigned to) {
  json_t *docs = json_array();
  char *text;

  for (unsigned i = from; i < to; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%04u", i);
    json_array_append_new(docs, json_pack("{s:s,s:i}", "_id", id, "n", i));
  }
  text = json_dumps(docs, 0);
  ck_assert_ptr_nonnull(text);
  cft_couchsim_must(sim, 201, "POST", "/db/_bulk_docs", "{\"docs\":%s}", text);
  free(text);
  json_decref(docs);
}

/* An id that needs no escape in a path. */
static inline void drop(const char *id) {
  char path[128];
  json_t *v = NULL;

  (void)snprintf(path, sizeof path, "/db/%s", id);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", path, NULL, &v), 200);
  (void)snprintf(path, sizeof path, "/db/%s?rev=%s", id,
                 json_string_value(json_object_get(v, "_rev")));
  json_decref(v);
  cft_couchsim_must(sim, 200, "DELETE", path, NULL);
}

/* A leaf of an id, as a replicator writes it. */
static inline void write_leaf(const char *id, unsigned generation,
                              const char *hash, bool deleted) {
  cft_couchsim_must(sim, 201, "POST", "/db/_bulk_docs",
                    "{\"new_edits\":false,\"docs\":[{\"_id\":\"%s\","
                    "\"_rev\":\"%u-%s\"%s}]}",
                    id, generation, hash, deleted ? ",\"_deleted\":true" : "");
}

/* ---- the mirror ---- */

static inline void open_mirror(void) { cft_mirrored_open(&f, NULL, url, NULL); }

static inline void expect_synced(void) {
  ck_assert_msg(cft_mirrored_until_synced(&f, PATIENCE_MS),
                "it does not get in step; %s", f.over);
}

static inline void expect_same(void) {
  cft_mirrored_expect(&f, sim, "db", PATIENCE_MS);
}

static bool holds_rev(void *id_and_rev) {
  const char *const *want = id_and_rev;

  return strcmp(cft_mirrored_rev(&f, want[0]), want[1]) == 0;
}

/* rev "": it is not there. */
static inline void expect_rev(const char *id, const char *rev) {
  const char *want[] = {id, rev};

  ck_assert_msg(cft_loop_until(f.loop, holds_rev, want, PATIENCE_MS),
                "%s is %s, not %s", id, cft_mirrored_rev(&f, id), rev);
}

#endif
