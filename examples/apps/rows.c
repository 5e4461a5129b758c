/* See rows.h. */
#include "apps/rows.h"
#include "apps/call.h"
#include "apps/console.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *name) {
  const char *found = apps_text(object, name);

  return found != NULL ? found : "";
}

static int64_t number_of(const json_t *object, const char *name) {
  return json_integer_value(json_object_get(object, name));
}

static void take_route(const json_t *route, apps_row *row) {
  const json_t *to = json_array_get(json_object_get(route, "to"), 0);

  row->state = text_of(route, "state");
  row->code = text_of(route, "code");
  row->msg = text_of(route, "msg");
  row->gen = number_of(route, "gen");
  row->at_ms = number_of(route, "at");
  row->drone = text_of(to, "addr");
  if (*row->drone == '\0')
    row->drone = text_of(to, "drone");
  row->claim = text_of(to, "claim");
}

static void take_hosts(const json_t *hosts, apps_row *row) {
  if (json_is_array(hosts))
    row->hosts = hosts;
}

void apps_row_of_route(const json_t *route, apps_row *row) {
  memset(row, 0, sizeof *row);
  take_route(route, row);
  row->app = text_of(route, "app");
  row->wanted = "";
  take_hosts(json_object_get(route, "hosts"), row);
}

/* What is wanted is an object, or in lists its state alone. */
static void take_want(const json_t *object, apps_row *row) {
  const json_t *want = json_object_get(object, "want");

  row->wanted =
      json_is_string(want) ? json_string_value(want) : text_of(want, "state");
  row->wanted_gen = number_of(json_is_object(want) ? want : object, "gen");
}

/* Without a route, or with one of an older generation, what the server says of
   the whole is newer. */
static void take_summary(const json_t *object, apps_row *row) {
  const char *state = text_of(object, "state");

  if (*state != '\0' && (*row->state == '\0' || row->gen < row->wanted_gen)) {
    row->state = state;
    row->code = text_of(object, "code");
    row->gen = row->wanted_gen;
    row->at_ms = 0; /* of that nobody said since when */
  }
  if (*row->drone == '\0')
    row->drone = text_of(object, "drone");
  if (*row->state == '\0')
    row->state = strcmp(row->wanted, "started") == 0 ? "queued" : "stopped";
}

void apps_row_of_app(const json_t *object, apps_row *row) {
  const json_t *route = json_object_get(object, "route");

  memset(row, 0, sizeof *row);
  take_route(route, row);
  row->app = text_of(object, "app");
  if (*row->app == '\0')
    row->app = text_of(object, "name");
  take_want(object, row);
  take_hosts(json_object_get(route, "hosts"), row);
  take_hosts(json_object_get(object, "hosts"), row);
  take_summary(object, row);
}

const char *apps_row_hosts(const apps_row *row, text *out) {
  for (size_t i = 0; i < json_array_size(row->hosts); i++) {
    const char *host = json_string_value(json_array_get(row->hosts, i));

    if (host != NULL) {
      text_str(out, out->len != 0 ? " " : "");
      text_str(out, host);
    }
  }
  return out->len != 0 ? text_get(out) : "-";
}

int apps_row_exit(const apps_row *row) {
  static const struct {
    const char *state;
    int status;
  } table[] = {{"live", EXIT_LIVE},         {"stopped", EXIT_LIVE},
               {"starting", EXIT_PENDING},  {"stopping", EXIT_PENDING},
               {"failed", EXIT_APP_FAILED}, {"crashed", EXIT_APP_FAILED}};

  if (strcmp(row->state, "queued") == 0)
    return strcmp(row->code, "capacity") == 0 ? EXIT_NO_CAPACITY : EXIT_PENDING;
  if (row->wanted_gen > row->gen && row->gen != 0)
    return EXIT_PENDING; /* what is seen is not what was asked for last */
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(row->state, table[i].state) == 0)
      return table[i].status;
  return EXIT_OTHER;
}

static bool same_text(const char *a, const char *b) {
  return strcmp(a, b) == 0;
}

bool apps_row_same(const apps_row *a, const apps_row *b) {
  return same_text(a->state, b->state) && same_text(a->code, b->code) &&
         same_text(a->msg, b->msg) && same_text(a->drone, b->drone) &&
         same_text(a->claim, b->claim) && a->gen == b->gen &&
         (a->hosts == b->hosts || (a->hosts != NULL && b->hosts != NULL &&
                                   json_equal(a->hosts, b->hosts) != 0));
}

static json_t *row_json(const apps_row *row) {
  json_t *hosts =
      row->hosts != NULL ? json_deep_copy(row->hosts) : json_array();

  return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:o,s:I}", "app", row->app,
                   "state", row->state, "code", row->code, "msg", row->msg,
                   "gen", (json_int_t)row->gen, "drone", row->drone, "claim",
                   row->claim, "hosts", hosts, "at", (json_int_t)row->at_ms);
}

void apps_row_print(apps_run *run, const apps_row *row, const char *stamp) {
  text hosts = TEXT_INIT;

  if (run->json)
    apps_print_json(run, row_json(row));
  else
    apps_print(run, "%s%s%-20s %-9s %s%s%s%s%s", stamp,
               *stamp != '\0' ? "  " : "", row->app, row->state,
               apps_row_hosts(row, &hosts), *row->drone != '\0' ? "  " : "",
               row->drone, *row->msg != '\0' ? "  " : "", row->msg);
  text_free(&hosts);
}

const json_t *apps_rows(const json_t *body, const char *what) {
  const json_t *rows = json_object_get(body, what);

  return json_is_array(rows) ? rows : json_is_array(body) ? body : NULL;
}
