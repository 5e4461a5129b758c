/* Apps: created and changed, listed, shown, destroyed, their logs. */
#include "provisioner/api_state.h"

#include "common/rest.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- create ---- */

static void define(call *c, desk_hands *hands) {
  c->result = write_app(hands, c->app, c->document, c->change.floor,
                        &c->created, &c->answer);
}

static void defined(call *c) {
  json_t *body;

  if (c->result != WRITE_DONE && c->result != WRITE_SAME) {
    answer_write(c, c->result, c->answer.error);
    return;
  }
  log_event(LOG_INFO, "api.create", LS("app", c->app),
            LN("created", c->created));
  flight_define(c->api, c->app, c->document);
  if (c->api->config.kernel != NULL)
    kernel_look(c->api->config.kernel, c->app);
  /* restart: it runs by another definition, until it is started again. */
  body = json_pack("{s:s, s:O, s:I, s:b, s:b}", "app", c->app, "hosts",
                   json_object_get(c->document, "hosts"), "gen",
                   (json_int_t)c->answer.gen, "changed",
                   c->result == WRITE_DONE && !c->created, "restart",
                   c->answer.started && c->answer.changed);
  answer(c, c->created ? 201 : 200, body, 0);
}

void apps_post(call *c) {
  char why[256];

  if (c->body == NULL) {
    answer_error(c, 400, "request", 0, "command: it is missing");
    return;
  }
  c->document =
      wish_app(c->body, c->app, c->api->config.domain, why, sizeof why);
  if (c->document == NULL) {
    answer_error(c, 400, "request", 0, "%s", why);
    return;
  }
  c->change.floor = view_gen(c->api->config.view, c->app);
  (void)call_task(c, c->api->writers, define, defined);
}

/* ---- maintenance of one ---- */

static void put_notice(call *c, desk_hands *hands) {
  const char *notice;

  (void)wish_notice(c->body, &notice, c->answer.error,
                    sizeof c->answer.error); /* was read before */
  c->result = write_notice(hands, c->app, notice, &c->answer);
}

static void notice_put(call *c) {
  bool on =
      strcmp(json_string_value(json_object_get(c->body, "mode")), "on") == 0;

  if (c->result != WRITE_DONE) {
    answer_write(c, c->result, c->answer.error);
    return;
  }
  log_event(LOG_INFO, "api.notice", LS("app", c->app), LN("on", on));
  if (c->api->config.kernel != NULL)
    kernel_look(c->api->config.kernel, c->app);
  answer(c, 200,
         json_pack("{s:s, s:s}", "app", c->app, "mode", on ? "on" : "off"), 0);
}

void apps_notice(call *c) {
  const char *notice;
  char why[256];

  if (!wish_notice(c->body, &notice, why, sizeof why)) {
    answer_error(c, 400, "request", 0, "%s", why);
    return;
  }
  (void)call_task(c, c->api->writers, put_notice, notice_put);
}

/* ---- destroy ---- */

static void destroy(call *c, desk_hands *hands) {
  c->result = write_destroy(hands, c->app, c->change.floor, &c->answer);
}

static void destroyed(call *c) {
  char id[NAME_MOST + 32];

  if (c->result != WRITE_DONE) {
    answer_write(c, c->result, c->answer.error);
    return;
  }
  metric_add(c->api->m.operations, 1);
  log_event(LOG_INFO, "api.destroy", LS("app", c->app),
            LN("gen", c->answer.gen));
  if (c->api->config.kernel != NULL)
    kernel_look(c->api->config.kernel, c->app);
  c->api->swept_wanted = true;
  (void)snprintf(id, sizeof id, "%s.%" PRId64, c->app, c->answer.gen);
  answer(c, 202,
         json_pack("{s:s, s:s, s:I, s:s}", "op", id, "app", c->app, "gen",
                   (json_int_t)c->answer.gen, "state",
                   op_state_name(OP_STOPPING)),
         0);
}

void apps_delete(call *c) {
  c->change.floor = view_gen(c->api->config.view, c->app);
  (void)call_task(c, c->api->writers, destroy, destroyed);
}

/* ---- shown ---- */

static json_t *without_rev(json_t *doc) {
  if (doc != NULL) {
    (void)json_object_del(doc, "_id");
    (void)json_object_del(doc, "_rev");
  }
  return doc;
}

static json_t *summary(api *a, const char *name, const app_doc *app) {
  const json_t *doc = app->doc;
  op o;
  json_t *out, *hosts = json_object_get(doc, "hosts");

  (void)op_look(a, name, app->gen, &o);
  out = json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", name, "want",
                  app->started ? "started" : "stopped", "state",
                  op_state_name(o.state), "gen", (json_int_t)app->gen, "hosts",
                  hosts != NULL ? json_deep_copy(hosts) : json_array());
  if (out == NULL)
    return NULL;
  if (o.position > 0)
    (void)json_object_set_new(out, "position",
                              json_integer((json_int_t)o.position));
  if (o.state == OP_LIVE)
    (void)json_object_set_new(out, "drone", json_string(o.route.to[0].drone));
  if (o.routed && o.route.code[0] != '\0')
    (void)json_object_set_new(out, "code", json_string(o.route.code));
  return out;
}

typedef struct listing {
  api *api;
  json_t *list;
  bool failed;
} listing;

static bool add(void *ctx, app_doc *app) {
  listing *l = ctx;
  json_t *one = summary(l->api, app->name, app);

  l->failed |= one == NULL || json_array_append_new(l->list, one) != 0;
  return !l->failed;
}

void apps_list(call *c) {
  listing l = {c->api, json_array(), false};

  if (l.list != NULL)
    view_each_app(c->api->config.view, add, &l);
  if (l.failed) {
    json_decref(l.list);
    l.list = NULL;
  }
  answer(c, 200, json_pack("{s:o}", "apps", l.list), 0);
}

static json_t *copy_or_null(const json_t *from) {
  return from != NULL ? json_deep_copy(from) : json_null();
}

static json_t *whole(api *a, const app_doc *app) {
  json_t *out = summary(a, app->name, app), *definition = json_object();
  char id[NAME_MOST + 32];
  route_doc route;
  bool ok = out != NULL && definition != NULL;

  (void)snprintf(id, sizeof id, "%s.%" PRId64, app->name, app->gen);
  ok = ok &&
       json_object_set_new(
           definition, "command",
           copy_or_null(json_object_get(app->doc, "command"))) == 0 &&
       json_object_set_new(definition, "env",
                           copy_or_null(json_object_get(app->doc, "env"))) ==
           0 &&
       json_object_set_new(
           definition, "memory_mb",
           copy_or_null(json_object_get(app->doc, "memory_mb"))) == 0 &&
       json_object_set(out, "app", definition) == 0 &&
       json_object_set_new(out, "op", json_string(id)) == 0 &&
       json_object_set_new(
           out, "want", copy_or_null(json_object_get(app->doc, "want"))) == 0 &&
       json_object_set_new(out, "route",
                           view_route(a->config.view, app->name, &route)
                               ? without_rev(route_doc_write(&route))
                               : json_null()) == 0;
  json_decref(definition);
  if (ok)
    return out;
  json_decref(out);
  return NULL;
}

/* false: answered. */
static bool find_app(call *c, app_doc *app) {
  if (view_app(c->api->config.view, c->app, app))
    return true;
  if (view_app_is_gone(c->api->config.view, c->app))
    answer_write(c, WRITE_MISSING, "");
  else
    answer_write(c, WRITE_BROKEN, "see the log of the provisioner");
  return false;
}

void apps_get(call *c) {
  json_t *out;
  app_doc app;

  if (!find_app(c, &app))
    return;
  out = whole(c->api, &app);
  app_doc_free(&app);
  answer(c, 200, out, 0);
}

/* ---- logs ---- */

static void fetch_log(call *c, desk_hands *hands) {
  char url[ADDR_MOST + 16], path[64];
  rest_config config = {.token = c->api->config.drone_token,
                        .total_ms = 10000,
                        .max_reply = (size_t)4 * 1024 * 1024};
  rest_reply reply = {0};
  rest *r;

  (void)hands;
  (void)snprintf(url, sizeof url, "http://%.*s", ADDR_MOST, c->answer.error);
  (void)snprintf(path, sizeof path, "/log?bytes=%" PRId64, c->number);
  config.url = url;
  r = rest_new(&config, c->answer.error, sizeof c->answer.error);
  if (r == NULL)
    return;
  c->result =
      rest_get_text(r, path, 10000, &c->log, &reply) == 200 && !c->log.failed
          ? WRITE_DONE
          : WRITE_MISSING;
  (void)snprintf(c->answer.error, sizeof c->answer.error, "%s", reply.error);
  rest_reply_free(&reply);
  rest_free(r);
}

static void fetched(call *c) {
  if (c->result == WRITE_DONE)
    answer_text(c, 200, "text/plain; charset=utf-8", &c->log);
  else
    answer_error(c, 503, "drone", 2000,
                 "the drone of the app %s did not give its log: %s", c->app,
                 c->answer.error);
}

void apps_log(call *c) {
  app_doc app;
  route_doc route;
  drone_doc drone;

  if (!find_app(c, &app))
    return;
  app_doc_free(&app);
  if (!view_route(c->api->config.view, c->app, &route) || route.to_count == 0 ||
      !view_drone(c->api->config.view, route.to[0].drone, &drone) ||
      strcmp(drone.claim.app, c->app) != 0) {
    answer_error(c, 404, "drone", 0, "the app %s has no drone at the moment",
                 c->app);
    return;
  }
  if (c->number <= 0 || c->number > 1024 * 1024)
    c->number = LOG_BYTES;
  c->result = WRITE_MISSING;
  (void)snprintf(c->answer.error, sizeof c->answer.error, "%s", drone.ctl);
  (void)call_task(c, c->api->askers, fetch_log, fetched);
}
