/*
 * The public functions of mirrors and views: arguments, then the mirror. Here a
 * mirror gets its world: the loop.
 */
#include <string.h>

#include "loop.h"
#include "mirror_state.h"

/* ---- the world ---- */

static int open_feed(void *ctx, changefeed **out, changefeed_options *options) {
  return changefeed_open(out, ctx, options);
}

static void close_feed(void *ctx, changefeed *feed) {
  (void)ctx;
  changefeed_close(feed);
}

static int set_timer(void *ctx, changefeed *feed, int64_t delay_ms) {
  (void)ctx;
  return changefeed_set_timer(feed, delay_ms);
}

static int resume_feed(void *ctx, changefeed *feed) {
  (void)ctx;
  return changefeed_resume(feed);
}

static int stop_feed(void *ctx, changefeed *feed) {
  (void)ctx;
  return changefeed_stop(feed);
}

static bool same_history(void *ctx, const changefeed *a, const changefeed *b) {
  (void)ctx;
  return cfi_feed_may_be_same(a, b);
}

static int64_t now_ms(void *ctx) {
  const changefeed_loop *loop = ctx;

  return cfi_clock_now(&loop->clock);
}

/* ---- mirrors ---- */

int changefeed_mirror_open(changefeed_mirror **out, changefeed_loop *loop,
                           changefeed_options *options,
                           const changefeed_mirror_config *config) {
  cfi_mirror_world world = {open_feed, close_feed,   set_timer, resume_feed,
                            stop_feed, same_history, now_ms,    loop};

  if (out == NULL || loop == NULL || options == NULL || config == NULL)
    return CHANGEFEED_ERR_INVALID;
  cfi_error_clear(&options->error);
  if (cfi_loop_is_forked(loop))
    return cfi_error_set(&options->error, CHANGEFEED_ERR_FORKED,
                         "the loop belongs to the parent process");
  return cfi_mirror_new(out, &loop->alloc, &world, options, config);
}

void changefeed_mirror_close(changefeed_mirror *mirror) {
  if (mirror != NULL)
    cfi_mirror_close(mirror);
}

int changefeed_mirror_stop(changefeed_mirror *mirror) {
  return mirror != NULL ? changefeed_stop(mirror->feed)
                        : CHANGEFEED_ERR_INVALID;
}

int changefeed_mirror_is_synced(const changefeed_mirror *m) {
  return m != NULL && atomic_load(&m->synced) ? 1 : 0;
}

int changefeed_mirror_get(const changefeed_mirror *mirror, const char *id,
                          size_t id_len, changefeed_entry *entry) {
  cfi_tree_entry held;

  if (mirror == NULL || id == NULL || entry == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (!cfi_tree_find(mirror->tree, (changefeed_str){id, id_len}, &held))
    return CHANGEFEED_END;
  cfi_entry_fill(entry, &held);
  return CHANGEFEED_OK;
}

int changefeed_mirror_audit(changefeed_mirror *mirror) {
  int rc;

  if (mirror == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (cfi_mirror_gone(mirror))
    return CHANGEFEED_ERR_STATE;
  rc = cfi_audit_begin(mirror);
  if (rc == CHANGEFEED_OK)
    cfi_mirror_wake(mirror);
  return rc;
}

int changefeed_mirror_save(changefeed_mirror *mirror, const char *path) {
  cfi_error error;
  int rc;

  if (mirror == NULL)
    return CHANGEFEED_ERR_INVALID;
  if (path == NULL)
    path = mirror->snapshot;
  if (path == NULL || cfi_mirror_gone(mirror))
    return CHANGEFEED_ERR_STATE;
  rc = cfi_mirror_save(mirror, path, &error);
  if (rc < 0)
    cfi_error_copy(&mirror->error, &error);
  return rc;
}

int changefeed_mirror_get_stats(changefeed_mirror *mirror,
                                changefeed_mirror_stats *stats) {
  changefeed_mirror_stats all;
  size_t size;

  if (mirror == NULL || stats == NULL || stats->size < sizeof stats->size)
    return CHANGEFEED_ERR_INVALID;
  all = mirror->stats;
  all.documents = cfi_tree_count(mirror->tree);
  all.bytes = cfi_tree_bytes(mirror->tree);
  all.fresh_ms = cfi_mirror_fresh_ms(mirror);
  all.save_age_ms =
      mirror->saved_ms < 0 ? -1 : cfi_mirror_now(mirror) - mirror->saved_ms;
  size = stats->size < sizeof all ? stats->size : sizeof all;
  all.size = size;
  memcpy(stats, &all, size);
  return CHANGEFEED_OK;
}

const changefeed_error *
changefeed_mirror_last_error(const changefeed_mirror *mirror) {
  return mirror != NULL ? &mirror->error.pub : NULL;
}

changefeed *changefeed_mirror_get_feed(const changefeed_mirror *mirror) {
  return mirror != NULL && mirror->phase != CFI_MIRROR_OVER ? mirror->feed
                                                            : NULL;
}

void *changefeed_mirror_get_user(const changefeed_mirror *mirror) {
  return mirror != NULL ? mirror->callbacks.user : NULL;
}
