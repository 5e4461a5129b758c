/* The commands that only look, and maintenance. */
#include "apps/call.h"
#include "apps/console.h"
#include "apps/follow.h"
#include "apps/rows.h"
#include "apps/times.h"
#include "common/ids.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PATH_SIZE = 128, STAMP_SIZE = 32 };

static int64_t wall_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int no_list(apps_run *run) {
  return apps_fail(run, EXIT_OTHER, NULL,
                   "%s did not answer as a provisioner does.",
                   rest_url(run->rest));
}

/* ---- status ---- */

static void print_field(apps_run *run, const char *name, const char *value) {
  if (*value != '\0')
    apps_print(run, "  %-8s %s", name, value);
}

static void print_app(apps_run *run, const apps_row *row) {
  char stamp[STAMP_SIZE], line[160] = "", age[STAMP_SIZE] = "";
  text hosts = TEXT_INIT;

  if (row->at_ms > 0)
    (void)apps_age_show(wall_ms() - row->at_ms, age, sizeof age);
  apps_print(run, "%s: %s%s%s", run->operand, row->state,
             *age != '\0' ? " for " : "", age);
  print_field(run, "why", row->msg);
  print_field(run, "hosts", apps_row_hosts(row, &hosts));
  if (*row->drone != '\0')
    (void)snprintf(line, sizeof line, "%.80s, claim %.8s", row->drone,
                   row->claim);
  print_field(run, "drone", line);
  (void)snprintf(line, sizeof line, "%.40s, generation %lld", row->wanted,
                 (long long)row->wanted_gen);
  if (*row->wanted != '\0')
    print_field(run, "wanted", line);
  if (row->wanted_gen > row->gen && row->gen != 0) {
    (void)snprintf(line, sizeof line, "generation %lld", (long long)row->gen);
    print_field(run, "seen", line);
  }
  if (row->at_ms > 0)
    print_field(run, "since", apps_time_show(row->at_ms, stamp, sizeof stamp));
  text_free(&hosts);
}

int apps_status(apps_run *run) {
  char path[PATH_SIZE];
  apps_answer answer;
  apps_row row;
  int status;

  if (config_flag(run->config, "follow"))
    return apps_follow(run);
  if (!apps_call(run, "GET", apps_path(run, "", path, sizeof path), NULL,
                 &answer)) {
    status = apps_refused(run, &answer);
  } else if (!json_is_object(answer.reply.body)) {
    status = no_list(run);
  } else {
    apps_row_of_app(answer.reply.body, &row);
    status = apps_row_exit(&row);
    if (run->json)
      apps_print_json(run, json_incref(answer.reply.body));
    else
      print_app(run, &row);
  }
  apps_answer_free(&answer);
  return status;
}

/* ---- lists ---- */

/* The answer to GET path as JSON, or for people by print. */
static int show_list(apps_run *run, const char *what,
                     void (*print)(apps_run *run, const json_t *rows)) {
  char path[PATH_SIZE];
  apps_answer answer;
  const json_t *rows;
  int status = EXIT_LIVE;

  (void)snprintf(path, sizeof path, "/%s", what);
  if (!apps_call(run, "GET", path, NULL, &answer))
    status = apps_refused(run, &answer);
  else if ((rows = apps_rows(answer.reply.body, what)) == NULL)
    status = no_list(run);
  else if (run->json)
    apps_print_json(run, json_incref(answer.reply.body));
  else
    print(run, rows);
  apps_answer_free(&answer);
  return status;
}

static void print_apps(apps_run *run, const json_t *rows) {
  apps_row row;

  if (json_array_size(rows) == 0 && !run->quiet)
    apps_say(run, "There is no app yet.");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    apps_row_of_app(json_array_get(rows, i), &row);
    if (*row.app != '\0')
      apps_row_print(run, &row, "");
  }
}

int apps_list(apps_run *run) {
  return config_flag(run->config, "follow")
             ? apps_follow(run)
             : show_list(run, "apps", print_apps);
}

static const char *or_line(const char *s) {
  return s != NULL && *s != '\0' ? s : "-";
}

static void print_drones(apps_run *run, const json_t *rows) {
  if (json_array_size(rows) == 0 && !run->quiet)
    apps_say(run, "There is no drone yet.");
  for (size_t i = 0; i < json_array_size(rows); i++) {
    const json_t *drone = json_array_get(rows, i);
    const json_t *claim = json_object_get(drone, "claim");
    const char *id = apps_text(claim, "id");

    apps_print(run, "%-22s %-9s %-20s %.8s", or_line(apps_text(drone, "addr")),
               or_line(apps_text(drone, "state")),
               or_line(apps_text(claim, "app")), id != NULL ? id : "");
  }
}

int apps_drones(apps_run *run) {
  return show_list(run, "drones", print_drones);
}

/* ---- maintenance ---- */

static void print_maintenance(apps_run *run, const json_t *body) {
  int64_t until = json_integer_value(json_object_get(body, "until"));
  const char *mode = apps_text(body, "mode"), *msg = apps_text(body, "msg");
  char stamp[STAMP_SIZE];

  apps_print(run, "maintenance is %s%s%s%s%s", mode != NULL ? mode : "off",
             until > 0 ? " until " : "",
             until > 0 ? apps_time_show(until, stamp, sizeof stamp) : "",
             msg != NULL && *msg != '\0' ? ": " : "", msg != NULL ? msg : "");
}

static int show_maintenance(apps_run *run, const char *method,
                            const json_t *body) {
  int status = EXIT_LIVE;
  apps_answer answer;
  const json_t *shown;

  if (apps_call(run, method, "/maintenance", body, &answer)) {
    /* What is set is what was sent, should the server say nothing. */
    shown = json_is_object(answer.reply.body) &&
                    apps_text(answer.reply.body, "mode") != NULL
                ? answer.reply.body
                : body;
    if (run->json)
      apps_print_json(run, json_deep_copy(shown));
    else
      print_maintenance(run, shown);
  } else {
    status = apps_refused(run, &answer);
  }
  apps_answer_free(&answer);
  return status;
}

/* Of one app: its visitors see a page, and it runs on. */
static int app_maintenance(apps_run *run, const char *app, const char *mode) {
  const char *msg = config_string(run->config, "message");
  char path[NAME_MOST + 32];
  apps_answer answer;
  json_t *body;
  int status = EXIT_LIVE;

  if (!id_is_app(app, strlen(app)))
    return apps_fail(run, EXIT_USAGE, NULL, "\"%.70s\" is no name of an app.",
                     app);
  if (mode == NULL || (strcmp(mode, "on") != 0 && strcmp(mode, "off") != 0))
    return apps_fail(run, EXIT_USAGE, NULL,
                     "With --app the mode is on or off.");
  if (config_string(run->config, "until") != NULL)
    return apps_fail(run, EXIT_USAGE, NULL, "--until does not go with --app.");
  body = json_pack("{s:s,s:s}", "mode", mode, "msg", msg != NULL ? msg : "");
  if (body == NULL)
    return apps_fail(run, EXIT_USAGE, NULL, "The message is not UTF-8.");
  (void)snprintf(path, sizeof path, "/apps/%s/maintenance", app);
  if (!apps_call(run, "PUT", path, body, &answer))
    status = apps_refused(run, &answer);
  else if (run->json)
    apps_print_json(run, json_pack("{s:s,s:s}", "app", app, "mode", mode));
  else
    apps_print(run, "%s: maintenance %s", app, mode);
  apps_answer_free(&answer);
  json_decref(body);
  return status;
}

int apps_maintenance(apps_run *run) {
  const char *msg = config_string(run->config, "message");
  const char *until = config_string(run->config, "until");
  const char *mode = run->operand;
  int64_t until_ms = 0;
  json_t *body;
  int status;

  if (config_string(run->config, "app") != NULL)
    return app_maintenance(run, config_string(run->config, "app"), mode);
  if (mode == NULL && (msg != NULL || until != NULL))
    return apps_fail(run, EXIT_USAGE, NULL,
                     "--message and --until need a mode: off, api or full.");
  if (mode == NULL)
    return show_maintenance(run, "GET", NULL);
  if (strcmp(mode, "off") != 0 && strcmp(mode, "api") != 0 &&
      strcmp(mode, "full") != 0)
    return apps_fail(run, EXIT_USAGE, NULL,
                     "The mode is off, api or full, not \"%.40s\".", mode);
  if (until != NULL && !apps_time_read(until, wall_ms(), &until_ms))
    return apps_fail(run, EXIT_USAGE, NULL,
                     "--until takes 30m, 2h or 2030-12-31T18:00Z, not "
                     "\"%.40s\".",
                     until);
  body =
      json_pack("{s:s,s:s,s:o}", "mode", mode, "msg", msg != NULL ? msg : "",
                "until", until != NULL ? json_integer(until_ms) : json_null());
  if (body == NULL)
    return apps_fail(run, EXIT_USAGE, NULL, "The message is not UTF-8.");
  status = show_maintenance(run, "PUT", body);
  json_decref(body);
  return status;
}
