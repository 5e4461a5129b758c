/*
 * Opening a replica, and the callbacks of its mirror.
 */
#include "replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void replica_init(replica *r, stage *s, const char *side, lines *l) {
  memset(r, 0, sizeof *r);
  r->args = s->args;
  r->lines = l;
  report_init(&r->report, s->args, &s->console);
  r->report.side = side;
  r->report.mirrors = true;
}

/* ---- callbacks ---- */

static void on_synced(changefeed_mirror *mirror, void *user) {
  replica *r = user;

  (void)mirror;
  r->syncs++;
  replica_tell_synced(r);
}

static void on_stale(changefeed_mirror *mirror, int64_t ms, void *user) {
  (void)mirror;
  replica_tell_stale(user, ms);
}

static void on_fresh(changefeed_mirror *mirror, void *user) {
  (void)mirror;
  replica_tell_fresh(user);
}

static void on_difference(changefeed_mirror *mirror,
                          const changefeed_difference *d, void *user) {
  replica *r = user;

  (void)mirror;
  r->differences++;
  replica_tell_difference(r, d);
}

static void on_audit(changefeed_mirror *mirror, const changefeed_audit *audit,
                     void *user) {
  replica *r = user;

  (void)mirror;
  r->audit = *audit;
  r->audited = true;
  r->unsettled += audit->unsettled;
  replica_tell_audit(r);
}

static void keep_error(replica *r, int code, const char *message) {
  r->code = code;
  (void)snprintf(r->why, sizeof r->why, "%s", message);
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  replica *r = user;

  (void)mirror;
  r->over = true;
  if (error != NULL)
    keep_error(r, error->code, error->message);
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  report_state(&((replica *)user)->report, feed, event);
}

static void on_notice(changefeed *feed, const changefeed_notice *notice,
                      void *user) {
  (void)feed;
  report_notice(&((replica *)user)->report, notice);
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  (void)feed;
  report_reset(&((replica *)user)->report, reason);
  return CHANGEFEED_CONTINUE;
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  (void)feed;
  report_log(&((replica *)user)->report, level, text, len);
}

/* ---- opening ---- */

static void set_callbacks(replica *r, changefeed_mirror_config *config,
                          changefeed_callbacks *feed) {
  changefeed_mirror_callbacks *m = &config->callbacks;

  m->on_synced = on_synced;
  m->on_stale = on_stale;
  m->on_fresh = on_fresh;
  m->on_difference = on_difference;
  m->on_audit = on_audit;
  m->on_over = on_over;
  m->user = r;
  feed->on_state = on_state;
  feed->on_notice = on_notice;
  feed->on_reset = on_reset;
  feed->on_log = on_log;
  feed->user = r;
  config->feed_callbacks = feed;
}

static int refuse(replica *r, int rc, const char *why) {
  if (rc == CHANGEFEED_ERR_OPTION || rc == CHANGEFEED_ERR_RANGE ||
      rc == CHANGEFEED_ERR_UNSUPPORTED) {
    report_usage(&r->report, why[0] != '\0' ? why : changefeed_strerror(rc));
    return EXIT_USAGE;
  }
  report_fault(&r->report, rc, why[0] != '\0' ? why : changefeed_strerror(rc),
               NULL);
  return EXIT_TROUBLE;
}

int replica_open(replica *r, changefeed_loop *loop, changefeed_options *options,
                 changefeed_mirror_config *config) {
  changefeed_callbacks feed = CHANGEFEED_CALLBACKS_INIT;
  int rc;

  set_callbacks(r, config, &feed);
  rc = changefeed_mirror_open(&r->mirror, loop, options, config);
  if (rc != CHANGEFEED_OK) {
    r->mirror = NULL;
    return refuse(r, rc, changefeed_options_error(options));
  }
  r->of = strdup(changefeed_get_url(changefeed_mirror_get_feed(r->mirror)));
  return r->of != NULL ? EXIT_OK : refuse(r, CHANGEFEED_ERR_NOMEM, "");
}

int replica_read(replica *r, const char *path) {
  int rc = changefeed_snapshot_open(&r->snapshot, path);

  if (rc != CHANGEFEED_OK)
    return refuse(r, rc, changefeed_snapshot_error(r->snapshot));
  r->of = strdup(path);
  return r->of != NULL ? EXIT_OK : refuse(r, CHANGEFEED_ERR_NOMEM, "");
}

void replica_close(replica *r) {
  changefeed_mirror_close(r->mirror);
  changefeed_snapshot_close(r->snapshot);
  report_free(&r->report);
  free(r->of);
  memset(r, 0, sizeof *r);
}

/* ---- its state ---- */

bool replica_is_live(const replica *r) {
  return r->snapshot != NULL ||
         (r->syncs != 0 && !r->over && changefeed_mirror_is_synced(r->mirror) &&
          changefeed_get_state(changefeed_mirror_get_feed(r->mirror)) ==
              CHANGEFEED_STATE_LIVE);
}

const changefeed_view *replica_view(replica *r) {
  return r->snapshot != NULL ? changefeed_snapshot_view(r->snapshot)
                             : changefeed_mirror_view(r->mirror);
}

bool replica_tell_failure(replica *r) {
  if (r->code == CHANGEFEED_OK)
    return false;
  report_fault(&r->report, r->code, r->why, r->of);
  return true;
}
