/* See follow.h: here the asking; follow_feed.c follows the database. */
#include "apps/follow.h"
#include "apps/call.h"
#include "apps/console.h"
#include "apps/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ASK_MS = 2000, PATH_SIZE = 128 };

const char *apps_follow_stamp(const apps_run *run, char *out, size_t size) {
  time_t now = time(NULL);
  struct tm tm;

  if (run->json || gmtime_r(&now, &tm) == NULL ||
      strftime(out, size, "%H:%M:%S", &tm) == 0)
    (void)snprintf(out, size, "%s", "");
  return out;
}

/* The rows of an answer: one app is a list of one. */
static json_t *list_of(const apps_run *run, json_t *body) {
  json_t *list;

  if (run->operand == NULL)
    return json_incref((json_t *)(uintptr_t)apps_rows(body, "apps"));
  list = json_is_object(body) ? json_array() : NULL;
  if (list != NULL && json_array_append(list, body) != 0) {
    json_decref(list);
    return NULL;
  }
  return list;
}

static bool find_row(const json_t *list, const char *app, apps_row *row) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    apps_row_of_app(json_array_get(list, i), row);
    if (strcmp(row->app, app) == 0)
      return true;
  }
  return false;
}

static void show_changes(apps_run *run, const json_t *before,
                         const json_t *now) {
  char stamp[16];
  apps_row row, old;

  (void)apps_follow_stamp(run, stamp, sizeof stamp);
  for (size_t i = 0; i < json_array_size(now); i++) {
    apps_row_of_app(json_array_get(now, i), &row);
    if (!find_row(before, row.app, &old) || !apps_row_same(&row, &old))
      apps_row_print(run, &row, stamp);
  }
  for (size_t i = 0; i < json_array_size(before); i++) {
    apps_row_of_app(json_array_get(before, i), &old);
    if (!find_row(now, old.app, &row)) {
      old.state = "gone";
      old.msg = old.drone = old.claim = "";
      apps_row_print(run, &old, stamp);
    }
  }
}

/* -1: go on. */
static int ask(apps_run *run, json_t **known) {
  char path[PATH_SIZE] = "/apps";
  apps_answer answer;
  json_t *now = NULL;
  int status = -1;

  if (run->operand != NULL)
    (void)apps_path(run, "", path, sizeof path);
  if (apps_call(run, "GET", path, NULL, &answer)) {
    now = list_of(run, answer.reply.body);
  } else if (answer.reply.status == 404 && *known != NULL) {
    now = json_array(); /* it was there, and has gone */
  } else {
    status = apps_refused(run, &answer);
  }
  if (now != NULL) {
    show_changes(run, *known, now);
    json_decref(*known);
    *known = now;
  } else if (status < 0) {
    status = apps_fail(run, EXIT_OTHER, NULL,
                       "%s did not answer as a provisioner does.",
                       rest_url(run->rest));
  }
  apps_answer_free(&answer);
  return status;
}

static int follow_by_asking(apps_run *run) {
  int64_t patience_ms = run->deadline_ms - apps_now_ms();
  json_t *known = NULL;
  int status;

  do {
    /* Each look has all the time again: following has no end of its own. */
    run->deadline_ms = apps_now_ms() + patience_ms;
    status = ask(run, &known);
    if (status < 0 &&
        (!apps_pause(run, apps_jitter(run, ASK_MS)) || ferror(stdout) != 0))
      status = EXIT_OTHER;
  } while (status < 0);
  json_decref(known);
  return status;
}

int apps_follow(apps_run *run) {
  const char *couch = config_string(run->config, "couch");

  if (couch == NULL)
    couch = getenv("COUCHDB_URL");
  if (couch == NULL || *couch == '\0')
    return follow_by_asking(run);
  return apps_follow_feed(run, couch);
}
