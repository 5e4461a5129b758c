/*
 * The agent: the drone's HTTP API for provisioners, with a token. Says yes only
 * after it is durable; see drone_claim.h for the rules.
 */
#include "common/log.h"
#include "drone/drone_body.h"
#include "drone/drone_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <changefeed/changefeed.h>

enum { LOG_BYTES = 64 * 1024, LOG_BYTES_MOST = 1024 * 1024 };

/* ---- answers ---- */

static json_t *state_json(drone *d) {
  const drone_record *r = drone_claim_record(d->claim);
  int ended = drone_app_exit(d->app);
  pid_t pid = drone_app_pid(d->app);
  json_t *claim =
      r->held
          ? json_pack("{s:s, s:s, s:I, s:I, s:I}", "id", r->claim.id, "app",
                      r->claim.app, "gen", (json_int_t)r->claim.gen, "epoch",
                      (json_int_t)r->claim.epoch, "at", (json_int_t)r->claim.at)
          : json_null();
  json_t *app =
      json_pack("{s:s, s:o, s:I, s:o, s:I}", "state",
                drone_app_state_name(drone_app_now(d->app)), "pid",
                pid != 0 ? json_integer(pid) : json_null(), "restarts",
                (json_int_t)drone_app_restarts(d->app), "exit",
                ended >= 0 ? json_integer(ended) : json_null(), "since_ms",
                (json_int_t)drone_app_since(d->app));

  return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:s}", "vm", r->vm, "boot",
                   d->boot, "addr", d->addr, "fence", (json_int_t)r->fence,
                   "claim", claim, "app", app, "version", CHANGEFEED_VERSION);
}

static void answer_json(http_exchange *x, int status, const http_field *extra,
                        size_t count, json_t *body) {
  http_field fields[3] = {{{"Content-Type", 12}, {"application/json", 16}},
                          {{"Cache-Control", 13}, {"no-store", 8}}};
  char *bytes = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

  json_decref(body);
  if (count == 1)
    fields[2] = extra[0];
  if (bytes == NULL)
    http_exchange_answer(x, 500, NULL, 0, NULL, 0);
  else
    http_exchange_answer(x, status, fields, 2 + count, bytes, strlen(bytes));
  free(bytes);
}

static void answer_error(http_exchange *x, int status, const char *error) {
  answer_json(x, status, NULL, 0, json_pack("{s:s}", "error", error));
}

void drone_answer_state(drone *d, http_exchange *x, int status,
                        const char *error, const char *why) {
  json_t *body = state_json(d);

  if (body != NULL && error != NULL)
    (void)json_object_set_new(body, "error", json_string(error));
  if (body != NULL && why != NULL)
    (void)json_object_set_new(body, "why", json_string(why));
  answer_json(x, status, NULL, 0, body);
}

void drone_answer_disk(drone *d, http_exchange *x, int failed,
                       const char *what) {
  bool full = failed == ENOSPC || failed == EDQUOT || failed == EFBIG;
  char error[512];

  (void)snprintf(error, sizeof error, "%s: %s in %s", what, strerror(failed),
                 drone_store_path(d->store));
  log_event(LOG_ERROR, "disk", LS("error", error));
  drone_answer_state(d, x, full ? 507 : 500, error, "disk");
}

/* A refusal of the rules, as an answer. */
static void answer_said(drone *d, http_exchange *x, enum drone_said said) {
  static const struct {
    const char *why, *error;
  } words[] = {
      [DRONE_CLAIMED] = {"claimed", "another claim is held"},
      [DRONE_FENCED] = {"fenced", "a claim of that epoch is not accepted any "
                                  "more"},
      [DRONE_VM] = {"vm", "this is another drone since: its vm has changed"},
      [DRONE_COMMAND] = {"command", "the claim runs another command"},
      [DRONE_UNHELD] = {"claim", "that claim is not held"}};

  if (said == DRONE_YES) {
    drone_answer_state(d, x, 200, NULL, NULL);
    return;
  }
  if (said == DRONE_DISK) {
    drone_answer_disk(d, x, drone_claim_errno(d->claim),
                      "nothing has changed, it could not be written");
    return;
  }
  metric_add(d->count.refused, 1);
  drone_answer_state(d, x, 409, words[said].error, words[said].why);
}

/* ---- bind, start, unbind, fence ---- */

static void log_claim(int level, const char *event, const drone_bound *b,
                      enum drone_said said) {
  char prefix[9];

  (void)snprintf(prefix, sizeof prefix, "%.8s", b->id);
  log_event(level, event, LS("app", b->app), LS("claim", prefix),
            LN("epoch", b->epoch), LN("said", said));
}

static void do_bind(drone *d, http_exchange *x, drone_body *b) {
  bool held = drone_claim_record(d->claim)->held;
  struct timespec t;
  enum drone_said said;

  /* What is being let go is not held again by the same bind. */
  if (d->releasing && drone_claim_holds(d->claim, b->claim.id)) {
    answer_said(d, x, DRONE_FENCED);
    return;
  }
  (void)clock_gettime(CLOCK_REALTIME, &t);
  b->claim.at = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
  said = drone_claim_bind(d->claim, b->vm, &b->claim);
  log_claim(said == DRONE_YES ? LOG_INFO : LOG_WARN, "bind", &b->claim, said);
  if (said == DRONE_YES && !held) {
    metric_add(d->count.binds, 1);
    d->serial++;
    drone_set_echo(d);
  }
  answer_said(d, x, said);
}

static void do_start(drone *d, http_exchange *x, drone_body *b) {
  bool already;
  enum drone_said said =
      d->releasing ? DRONE_UNHELD
                   : drone_claim_start(d->claim, b->claim.id, b->command,
                                       b->env, b->memory_mb, &already);

  if (said != DRONE_YES) {
    answer_said(d, x, said);
    return;
  }
  if (drone_app_now(d->app) == DRONE_APP_NONE)
    drone_app_run(d->app, drone_claim_record(d->claim));
  drone_answer_state(d, x, 202, NULL, NULL);
}

static void do_unbind(drone *d, http_exchange *x, drone_body *b) {
  enum drone_said said = drone_claim_may_unbind(d->claim, b->claim.id);

  if (said == DRONE_YES && drone_claim_record(d->claim)->held) {
    drone_release(d, x, b->claim.epoch);
    return;
  }
  if (said == DRONE_YES)
    said = drone_claim_unbind(d->claim, b->claim.id, b->claim.epoch);
  answer_said(d, x, said);
}

static void do_fence(drone *d, http_exchange *x, drone_body *b) {
  answer_said(d, x, drone_claim_fence(d->claim, b->vm, b->claim.epoch));
}

/* ---- the others ---- */

static void do_state(drone *d, http_exchange *x, http_str query) {
  (void)query;
  drone_answer_state(d, x, 200, NULL, NULL);
}

static void answer_text(http_exchange *x, const char *type, text *t) {
  http_field field = {{"Content-Type", 12}, {type, strlen(type)}};

  http_exchange_answer(x, t->failed ? 500 : 200, &field, 1, text_get(t),
                       t->failed ? 0 : t->len);
  text_free(t);
}

static void do_log(drone *d, http_exchange *x, http_str query) {
  size_t bytes = LOG_BYTES, i;
  text t = TEXT_INIT;

  if (query.len != 0) {
    bool well = query.len > 6 && query.len <= 6 + 9 &&
                memcmp(query.data, "bytes=", 6) == 0;

    for (bytes = 0, i = 6; well && i < query.len; i++) {
      well = query.data[i] >= '0' && query.data[i] <= '9';
      bytes = bytes * 10 + (size_t)(query.data[i] - '0');
    }
    if (!well || bytes == 0) {
      answer_error(x, 400,
                   "\"bytes\" has to be a whole number from 1 on; "
                   "nothing else can be asked for");
      return;
    }
  }
  drone_output_tail(drone_app_output(d->app),
                    bytes < LOG_BYTES_MOST ? bytes : LOG_BYTES_MOST, &t);
  answer_text(x, "text/plain; charset=utf-8", &t);
}

static void do_health(drone *d, http_exchange *x, http_str query) {
  (void)query;
  answer_json(x, d->ending ? 503 : 200, NULL, 0,
              json_pack("{s:b, s:b}", "ok", !d->ending, "held",
                        drone_claim_record(d->claim)->held));
}

static void do_metrics(drone *d, http_exchange *x, http_str query) {
  text t = TEXT_INIT;

  (void)query;
  metrics_write(d->metrics, &t);
  answer_text(x, "text/plain; version=0.0.4", &t);
}

/* ---- which ---- */

typedef struct route {
  const char *path, *method;
  bool open; /* without the token */
  void (*get)(drone *d, http_exchange *x, http_str query);
  void (*post)(drone *d, http_exchange *x, drone_body *b);
  int wants;
} route;

static const route routes[] = {
    {"/state", "GET", false, do_state, NULL, 0},
    {"/log", "GET", false, do_log, NULL, 0},
    {"/healthz", "GET", true, do_health, NULL, 0},
    {"/metrics", "GET", true, do_metrics, NULL, 0},
    {"/bind", "POST", false, NULL, do_bind,
     DRONE_WANTS_CLAIM | DRONE_WANTS_EPOCH | DRONE_WANTS_VM | DRONE_WANTS_APP},
    {"/start", "POST", false, NULL, do_start,
     DRONE_WANTS_CLAIM | DRONE_WANTS_START},
    {"/unbind", "POST", false, NULL, do_unbind,
     DRONE_WANTS_CLAIM | DRONE_WANTS_EPOCH},
    {"/fence", "POST", false, NULL, do_fence,
     DRONE_WANTS_EPOCH | DRONE_WANTS_VM}};

/* In a time that does not tell how much of it was right. */
static bool token_is_right(const drone *d, const http_head *head) {
  const http_field *f = http_head_find(head, "Authorization");
  size_t len = strlen(d->token), i;
  unsigned char differs = 0;

  if (f == NULL || f->value.len != 7 + len ||
      strncasecmp(f->value.data, "Bearer ", 7) != 0)
    return false;
  for (i = 0; i < len; i++)
    differs |= (unsigned char)(f->value.data[7 + i] ^ d->token[i]);
  return differs == 0;
}

/* The route and the part of the target behind '?'. */
static const route *find_route(const http_head *head, http_str *query) {
  const char *mark = memchr(head->target.data, '?', head->target.len);
  http_str path = head->target;
  size_t i;

  query->data = NULL;
  query->len = 0;
  if (mark != NULL) {
    path.len = (size_t)(mark - path.data);
    query->data = mark + 1;
    query->len = head->target.len - path.len - 1;
  }
  for (i = 0; i < sizeof routes / sizeof *routes; i++)
    if (http_str_same(path, routes[i].path))
      return &routes[i];
  return NULL;
}

static void on_body(http_exchange *x, const char *data, size_t len, void *ctx) {
  drone *d = ctx;
  http_str query;
  const route *r = find_route(http_exchange_head(x), &query);
  drone_body b;

  if (!drone_body_read(&b, data, len, r->wants))
    answer_error(x, 400, b.error);
  else if (d->ending)
    answer_error(x, 503, "this drone is about to end");
  else
    r->post(d, x, &b);
  drone_body_free(&b);
}

void drone_agent_request(http_exchange *x, void *user) {
  drone *d = user;
  const http_head *head = http_exchange_head(x);
  http_str query;
  const route *r = find_route(head, &query);
  http_field field;

  if ((r == NULL || !r->open) && !token_is_right(d, head)) {
    field = (http_field){{"WWW-Authenticate", 16}, {"Bearer", 6}};
    answer_json(x, 401, &field, 1,
                json_pack("{s:s}", "error",
                          "a token is needed: Authorization: Bearer TOKEN"));
  } else if (r == NULL) {
    answer_error(x, 404, "there is no such thing here; see drone(1)");
  } else if (!http_str_same(head->method, r->method) &&
             !(r->get != NULL && http_str_same(head->method, "HEAD"))) {
    field = (http_field){{"Allow", 5}, {r->method, strlen(r->method)}};
    answer_json(x, 405, &field, 1,
                json_pack("{s:s}", "error", "not with that method"));
  } else if (r->get != NULL) {
    r->get(d, x, query);
  } else {
    http_exchange_read_all(x, DRONE_BODY_MOST, on_body, d);
  }
}
