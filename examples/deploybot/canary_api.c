/* What a canary asks of the provisioner's API; see canary_state.h. */
#include "deploybot/canary_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum {
  HOLD_S = 2,     /* the API may hold a question so long */
  HELD_MS = 8000, /* and then asks the balancers */
  LEAVE_MS = 4000,
  AGAIN_MS = 200,
  RATE_LEAST_MS = 200
};

static const char *text_of(const json_t *object, const char *name) {
  const char *s = json_string_value(json_object_get(object, name));

  return s != NULL ? s : "";
}

static void where_of(const canary *c, char out[120]) {
  (void)snprintf(out, 120, "the API %.100s", rest_url(c->api));
}

static const char *path_of(const canary *c, const char *more, char *out,
                           size_t size) {
  (void)snprintf(out, size, "/apps/%s%s", c->config->app, more);
  return out;
}

/* People have closed it: that is no failure of the platform's. */
static bool is_maintenance(const rest_reply *reply) {
  return reply->status == 503 &&
         strcmp(text_of(reply->body, "code"), "maintenance") == 0;
}

static bool refused(canary *c, const char *expected, const rest_reply *reply) {
  const char *sentence = text_of(reply->body, "error");
  char where[120];

  if (is_maintenance(reply)) {
    if (c->report->result == CANARY_OK)
      c->report->result = CANARY_SKIPPED;
    return false;
  }
  where_of(c, where);
  if (sentence[0] != '\0')
    return canary_fail(c, where, expected, "%d: %.250s", reply->status,
                       sentence);
  return canary_fail(c, where, expected, "%s", reply->error);
}

/* Until it is something else than "too often", as long as there is time. reply
   is to be freed when it returns true. */
static bool call(canary *c, const char *method, const char *path,
                 const json_t *body, rest_reply *reply) {
  int64_t wait_ms;

  for (;;) {
    (void)rest_call_ms(c->api, method, path, body, CALL_MS, reply);
    wait_ms = reply->retry_after_ms > RATE_LEAST_MS ? reply->retry_after_ms
                                                    : RATE_LEAST_MS;
    if (reply->status != 429 || wait_ms >= c->deadline_ms - mono_ms())
      return true;
    rest_reply_free(reply);
    if (!canary_pause(c, wait_ms))
      return false;
  }
}

static bool is_2xx(const rest_reply *reply) {
  return reply->status >= 200 && reply->status < 300;
}

bool deploy_open(canary *c) {
  rest_config how = {.url = c->config->server,
                     .token = c->config->token,
                     .ca_file = c->config->ca_file};
  char error[256];

  c->api = rest_new(&how, error, sizeof error);
  return c->api != NULL ||
         canary_fail(c, "the API", "a client of it", "%s", error);
}

/* ---- operations ---- */

/* true: it has come to an end, which may be a wrong one. */
static bool is_over(canary *c, const rest_reply *reply, const char *wanted,
                    bool *well) {
  const char *state = text_of(reply->body, "state");
  char where[120];

  *well = strcmp(state, wanted) == 0;
  if (*well)
    return true;
  if (strcmp(state, "failed") != 0 && strcmp(state, "superseded") != 0 &&
      strcmp(state, "live") != 0 && strcmp(state, "stopped") != 0)
    return false;
  where_of(c, where);
  (void)canary_fail(c, where, wanted, "its state is %.30s%s%.200s", state,
                    text_of(reply->body, "msg")[0] != '\0' ? ": " : "",
                    text_of(reply->body, "msg"));
  return true;
}

static bool time_over(canary *c, const char *wanted, const rest_reply *last) {
  char where[120];

  where_of(c, where);
  return canary_fail(
      c, where, wanted, "it is not so when the canary's time is over: %.200s",
      last->status == 200 ? text_of(last->body, "state") : last->error);
}

/* One look: the API may need a moment to know what it has just accepted. */
static bool look(canary *c, const char *op, const char *wanted,
                 int64_t unknown_until_ms, bool *well) {
  rest_reply reply;
  char path[160];
  bool over;

  (void)snprintf(path, sizeof path, "/ops/%s?wait=%d", op, HOLD_S);
  (void)rest_call_ms(c->api, "GET", path, NULL, HELD_MS, &reply);
  *well = false;
  if (halt_is_set(c->halt)) {
    over = true;
  } else if (reply.status == 200) {
    over = is_over(c, &reply, wanted, well);
  } else {
    over = mono_ms() >= unknown_until_ms;
    if (over)
      (void)refused(c, wanted, &reply);
  }
  if (!over && c->deadline_ms - mono_ms() < AGAIN_MS) {
    over = true;
    (void)time_over(c, wanted, &reply);
  }
  rest_reply_free(&reply);
  return over;
}

static bool wait_for(canary *c, const json_t *body, const char *wanted) {
  int64_t until_ms = mono_ms() + c->config->settle_ms;
  char op[96], where[120];
  bool well;

  if (!rest_escape(text_of(body, "op"), op, sizeof op) || op[0] == '\0') {
    where_of(c, where);
    return canary_fail(c, where, "the id of an operation",
                       "an answer that is none of a provisioner's");
  }
  /* It is look that ends it when the time is over: it knows the last state. */
  while (!look(c, op, wanted, until_ms, &well))
    if (!halt_pause(c->halt, AGAIN_MS))
      return false;
  return well;
}

static bool operate(canary *c, const char *method, const char *more,
                    const char *wanted) {
  rest_reply reply;
  char path[NAME_MOST + 16];
  bool well;

  if (!call(c, method, path_of(c, more, path, sizeof path), NULL, &reply))
    return false;
  well = is_2xx(&reply) ? wait_for(c, reply.body, wanted)
                        : refused(c, wanted, &reply);
  rest_reply_free(&reply);
  return well;
}

/* ---- the app ---- */

bool deploy_start(canary *c) { return operate(c, "POST", "/start", "live"); }

bool deploy_stop(canary *c) { return operate(c, "POST", "/stop", "stopped"); }

bool deploy_destroy(canary *c) {
  bool well = operate(c, "DELETE", "", "stopped");

  c->made = c->made && !well;
  return well;
}

/* An app of that name that this bot did not make is nobody's to destroy. */
bool deploy_clean(canary *c) {
  rest_reply reply;
  char path[NAME_MOST + 16];
  const char *owner;
  bool well = false, ours;

  if (!call(c, "GET", path_of(c, "", path, sizeof path), NULL, &reply))
    return false;
  owner = text_of(json_object_get(json_object_get(reply.body, "app"), "env"),
                  "DEPLOYBOT");
  ours = reply.status == 200 && strcmp(owner, c->config->id) == 0;
  if (reply.status == 404)
    well = true;
  else if (reply.status != 200)
    (void)refused(c, "no app of this name, or an older one of this bot",
                  &reply);
  else if (!ours)
    (void)canary_fail(c, "the app's name", "an app of this bot or none",
                      "the app %s was made by %s%.60s; --app names another",
                      c->config->app,
                      owner[0] != '\0' ? "the bot " : "somebody else", owner);
  rest_reply_free(&reply);
  if (!ours)
    return well;
  log_event(LOG_INFO, "canary.leftover", LS("app", c->config->app));
  c->made = true;
  return deploy_destroy(c);
}

static json_t *definition(const canary *c, const char *nonce) {
  json_t *body = json_pack(
      "{s:s, s:{s:s, s:s, s:s}}", "command", c->config->command, "env",
      "DEPLOYBOT", c->config->id, "NONCE_APP", c->config->app, "NONCE", nonce);

  if (body != NULL && c->config->host != NULL &&
      json_object_set_new(body, "hosts", json_pack("[s]", c->config->host)) !=
          0) {
    json_decref(body);
    return NULL;
  }
  return body;
}

static bool take_host(canary *c, const rest_reply *reply) {
  const json_t *hosts = json_object_get(reply->body, "hosts");
  const char *host = json_string_value(json_array_get(hosts, 0));
  char where[120];

  if (host != NULL && id_is_host(host, strlen(host))) {
    memcpy(c->host, host, strlen(host) + 1);
    return true;
  }
  where_of(c, where);
  return canary_fail(c, where, "the app's hosts",
                     "an answer that is none of a provisioner's");
}

bool deploy_create(canary *c, const char *nonce) {
  json_t *body = definition(c, nonce);
  char path[NAME_MOST + 16];
  rest_reply reply;
  bool well;

  if (body == NULL)
    return canary_fail(c, "the bot itself", "a definition",
                       "there is no memory");
  c->made = true;
  well = call(c, "POST", path_of(c, "", path, sizeof path), body, &reply);
  json_decref(body);
  if (!well)
    return false;
  well =
      is_2xx(&reply) ? take_host(c, &reply) : refused(c, "201 or 200", &reply);
  rest_reply_free(&reply);
  return well;
}

void deploy_leave(canary *c) {
  rest_reply reply;
  char path[NAME_MOST + 16];

  (void)rest_call_ms(c->api, "DELETE", path_of(c, "", path, sizeof path), NULL,
                     LEAVE_MS, &reply);
  if (!is_2xx(&reply) && reply.status != 404)
    log_event(LOG_WARN, "canary.left", LS("app", c->config->app),
              LS("why", reply.error));
  rest_reply_free(&reply);
}
