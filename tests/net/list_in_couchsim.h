/*
 * What the tests of source=all_docs share: a couchsim with documents whose ids
 * are known in the order of their bytes, and a follower that lists them.
 */
#ifndef CFT_NET_LIST_IN_COUCHSIM_H
#define CFT_NET_LIST_IN_COUCHSIM_H

#include "support/couchsim.h"
#include "support/follow.h"
#include "support/timing.h"
#include "support/unit.h"

#include <string.h>

enum { PATIENCE_MS = 30000 };

static cft_couchsim *sim;
static cft_follow f;
static char url[256];

static inline void start_with(const char *const *args) {
  sim = cft_couchsim_start(args);
  (void)snprintf(url, sizeof url, "%s/db", cft_couchsim_url(sim, 0));
  f = (cft_follow){.feed = NULL};
}

static inline void setup(void) {
  start_with(NULL);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
}

static inline void teardown(void) {
  cft_follow_clear(&f);
  cft_couchsim_stop(sim);
}

static inline void put_in(const char *db, const char *id) {
  json_t *doc = json_pack("{s:[{s:s}]}", "docs", "_id", id);
  char *text = json_dumps(doc, JSON_ENSURE_ASCII), path[64];

  ck_assert_ptr_nonnull(text);
  (void)snprintf(path, sizeof path, "/%.16s/_bulk_docs", db);
  cft_couchsim_must(sim, 201, "POST", path, "%s", text);
  free(text);
  json_decref(doc);
}

static inline void put(const char *id) { put_in("db", id); }

/* Documents d00, d01 ... d99, each step-th. */
static inline void fill_in(const char *db, unsigned from, unsigned to,
                           unsigned step) {
  json_t *docs = json_array();
  char *text, path[64];

  for (unsigned i = from; i < to; i += step) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%02u", i);
    json_array_append_new(docs, json_pack("{s:s,s:i}", "_id", id, "n", i));
  }
  text = json_dumps(docs, 0);
  ck_assert_ptr_nonnull(text);
  (void)snprintf(path, sizeof path, "/%.16s/_bulk_docs", db);
  cft_couchsim_must(sim, 201, "POST", path, "{\"docs\":%s}", text);
  free(text);
  json_decref(docs);
}

static inline void fill(unsigned from, unsigned to) {
  fill_in("db", from, to, 1);
}

static inline void drop_in(const char *db, const char *id) {
  char path[128];
  json_t *v = NULL;

  (void)snprintf(path, sizeof path, "/%.16s/%s", db, id);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", path, NULL, &v), 200);
  (void)snprintf(path, sizeof path, "/%.16s/%s?rev=%s", db, id,
                 json_string_value(json_object_get(v, "_rev")));
  json_decref(v);
  cft_couchsim_must(sim, 200, "DELETE", path, NULL);
}

static inline void drop(const char *id) { drop_in("db", id); }

/* The state of a feed that has read all; false: not yet. */
static inline bool has_ended(const cft_follow *follow) {
  if (!cft_follow_is_over(follow))
    return false;
  ck_assert_msg(changefeed_get_state(follow->feed) == CHANGEFEED_STATE_ENDED,
                "%s", changefeed_last_error(follow->feed)->message);
  return true;
}

static inline void expect_ended(void) {
  ck_assert(cft_follow_until_over(&f, PATIENCE_MS));
  ck_assert(has_ended(&f));
}

/* The rows were these and no others. */
static inline void expect_ids(const char *const *ids, size_t count) {
  for (size_t i = 0; i < count && i < f.row_count; i++)
    ck_assert_msg(strcmp(f.rows[i].id, ids[i]) == 0, "row %zu is %s, not %s", i,
                  f.rows[i].id, ids[i]);
  ck_assert_uint_eq(f.row_count, count);
}

/* The rows from one on were those of fill(from, to). */
static inline void expect_filled(size_t first, unsigned from, unsigned to) {
  for (unsigned i = from; i < to && first + i - from < f.row_count; i++) {
    char id[16];

    (void)snprintf(id, sizeof id, "d%02u", i);
    ck_assert_str_eq(f.rows[first + i - from].id, id);
    ck_assert_ptr_nonnull(f.rows[first + i - from].rev);
  }
  ck_assert_uint_eq(f.row_count, first + to - from);
}

#endif
