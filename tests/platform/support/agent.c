/* See agent.h. Two peers share one state under one lock. */
#include "agent.h"

#include "common/ids.h"
#include "support/peer.h"
#include "support/timing.h"
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char agent_token[] = "drone-secret";

struct drone_sim {
  pthread_mutex_t lock;
  cft_peer *agent, *guard;
  char addr[64], ctl[64], vm[CLAIM_LEN + 1];
  char claim[CLAIM_LEN + 1], app[64], command[256], state[16];
  char lose_path[16];
  int lose;
  int64_t epoch, gen, fence, app_ms, started_ms;
  size_t binds, unbinds, refused;
  bool mute;
};

/* ---- answers ---- */

static json_t *state_of(const drone_sim *s) {
  json_t *claim = s->claim[0] != '\0'
                      ? json_pack("{s:s, s:s, s:I, s:I, s:i}", "id", s->claim,
                                  "app", s->app, "gen", (json_int_t)s->gen,
                                  "epoch", (json_int_t)s->epoch, "at", 1)
                      : json_null();

  return json_pack("{s:s, s:s, s:s, s:I, s:o, s:{s:s, s:i, s:i, s:i}, s:s}",
                   "vm", s->vm, "boot", "b", "addr", s->addr, "fence",
                   (json_int_t)s->fence, "claim", claim, "app", "state",
                   s->command[0] != '\0' ? s->state : "none", "pid", 1,
                   "restarts", 0, "exit", 0, "version", "sim");
}

typedef struct answer {
  int status;
  json_t *body;
} answer;

static answer tell(const drone_sim *s, int status, const char *why) {
  answer a = {status, state_of(s)};

  if (why != NULL) {
    (void)json_object_set_new(a.body, "why", json_string(why));
    (void)json_object_set_new(a.body, "error", json_string(why));
  }
  return a;
}

static const char *text_of(const json_t *body, const char *key) {
  const char *value = json_string_value(json_object_get(body, key));

  return value != NULL ? value : "";
}

static int64_t number_of(const json_t *body, const char *key) {
  return json_integer_value(json_object_get(body, key));
}

static answer do_bind(drone_sim *s, const json_t *body) {
  const char *claim = text_of(body, "claim");

  if (strcmp(s->claim, claim) == 0)
    return tell(s, 200, NULL);
  if (s->claim[0] != '\0' || number_of(body, "epoch") <= s->fence ||
      strcmp(text_of(body, "vm"), s->vm) != 0) {
    s->refused++;
    return tell(s, 409,
                s->claim[0] != '\0'                       ? "claimed"
                : strcmp(text_of(body, "vm"), s->vm) != 0 ? "vm"
                                                          : "fenced");
  }
  (void)snprintf(s->claim, sizeof s->claim, "%s", claim);
  (void)snprintf(s->app, sizeof s->app, "%s", text_of(body, "app"));
  s->epoch = number_of(body, "epoch");
  s->gen = number_of(body, "gen");
  s->binds++;
  return tell(s, 200, NULL);
}

static answer do_start(drone_sim *s, const json_t *body) {
  const char *command = text_of(body, "command");

  if (s->claim[0] == '\0' || strcmp(s->claim, text_of(body, "claim")) != 0)
    return tell(s, 409, "claim");
  if (s->command[0] != '\0' && strcmp(s->command, command) != 0)
    return tell(s, 409, "command");
  if (s->command[0] == '\0') {
    (void)snprintf(s->command, sizeof s->command, "%s", command);
    s->started_ms = cft_now_ms();
  }
  return tell(s, 202, NULL);
}

static answer do_unbind(drone_sim *s, const json_t *body) {
  if (s->claim[0] != '\0' && strcmp(s->claim, text_of(body, "claim")) != 0)
    return tell(s, 409, "claimed");
  s->unbinds += s->claim[0] != '\0' ? 1 : 0;
  s->claim[0] = s->app[0] = s->command[0] = '\0';
  if (number_of(body, "epoch") > s->fence)
    s->fence = number_of(body, "epoch");
  return tell(s, 200, NULL);
}

static answer do_fence(drone_sim *s, const json_t *body) {
  if (number_of(body, "epoch") < 1)
    return tell(s, 400, "epoch");
  if (s->claim[0] != '\0')
    return tell(s, 409, "claimed");
  if (strcmp(text_of(body, "vm"), s->vm) != 0)
    return tell(s, 409, "vm");
  if (number_of(body, "epoch") > s->fence)
    s->fence = number_of(body, "epoch");
  return tell(s, 200, NULL);
}

static answer do_it(drone_sim *s, const cft_request *req) {
  json_t *body = json_loads(req->body_len != 0 ? req->body : "null",
                            JSON_DECODE_ANY, NULL);
  answer a;

  if (strcmp(req->target, "/bind") == 0)
    a = do_bind(s, body);
  else if (strcmp(req->target, "/start") == 0)
    a = do_start(s, body);
  else if (strcmp(req->target, "/unbind") == 0)
    a = do_unbind(s, body);
  else if (strcmp(req->target, "/fence") == 0)
    a = do_fence(s, body);
  else if (strcmp(req->target, "/state") == 0)
    a = tell(s, 200, NULL);
  else
    a = tell(s, 404, "path");
  json_decref(body);
  return a;
}

/* ---- the two ports ---- */

static bool is_mute(drone_sim *s) {
  bool mute;

  (void)pthread_mutex_lock(&s->lock);
  mute = s->mute;
  (void)pthread_mutex_unlock(&s->lock);
  return mute;
}

static void on_agent(cft_conn *conn, void *user) {
  drone_sim *s = user;
  const cft_request *req;
  char token[64], *text;

  while (cft_conn_read_request(conn, &req)) {
    answer a;
    bool lost;

    if (is_mute(s)) {
      cft_conn_blackhole(conn);
      return;
    }
    if (!cft_request_header(req, "Authorization", token, sizeof token) ||
        strncmp(token, "Bearer ", 7) != 0 ||
        strcmp(token + 7, agent_token) != 0) {
      if (!cft_conn_respond(conn, 401, NULL, "{\"error\":\"token\"}"))
        return;
      continue;
    }
    (void)pthread_mutex_lock(&s->lock);
    a = do_it(s, req);
    lost = s->lose > 0 && strcmp(s->lose_path, req->target) == 0;
    s->lose -= lost ? 1 : 0;
    (void)pthread_mutex_unlock(&s->lock);
    text = json_dumps(a.body, 0);
    json_decref(a.body);
    if (lost)
      cft_conn_rst(conn);
    if (lost || !cft_conn_respond(conn, a.status, NULL, text)) {
      free(text);
      return;
    }
    free(text);
  }
}

static void on_guard(cft_conn *conn, void *user) {
  drone_sim *s = user;
  const cft_request *req;
  char held[128], asked[128], field[192];

  while (cft_conn_read_request(conn, &req)) {
    bool well, crashed, none;

    if (is_mute(s)) {
      cft_conn_blackhole(conn);
      return;
    }
    (void)pthread_mutex_lock(&s->lock);
    (void)snprintf(held, sizeof held, "%s/%s", s->app, s->claim);
    none = s->claim[0] == '\0';
    crashed = strcmp(s->state, "crashloop") == 0;
    well = s->command[0] != '\0' && !crashed && s->app_ms >= 0 &&
           cft_now_ms() - s->started_ms >= s->app_ms;
    (void)pthread_mutex_unlock(&s->lock);
    (void)snprintf(field, sizeof field, "X-Drone-Claim: %s\r\n%s", held,
                   well      ? ""
                   : crashed ? "X-Drone-Error: crashed\r\n"
                             : "X-Drone-Error: starting\r\n");
    if (none ||
        !cft_request_header(req, "X-Drone-Claim", asked, sizeof asked) ||
        strcmp(asked, held) != 0) {
      if (!cft_conn_respond(conn, 421, none ? NULL : field, "{}"))
        return;
    } else if (!cft_conn_respond(conn, well ? 200 : 503, field, "{}")) {
      return;
    }
  }
}

drone_sim *drone_sim_start(void) {
  drone_sim *s = calloc(1, sizeof *s);

  if (s == NULL || !id_random(s->vm)) {
    (void)fprintf(stderr, "no drone can be made\n");
    exit(2);
  }
  (void)pthread_mutex_init(&s->lock, NULL);
  (void)snprintf(s->state, sizeof s->state, "running");
  s->agent = cft_peer_start(NULL, on_agent, s);
  s->guard = cft_peer_start(NULL, on_guard, s);
  (void)snprintf(s->addr, sizeof s->addr, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(s->guard));
  (void)snprintf(s->ctl, sizeof s->ctl, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(s->agent));
  return s;
}

void drone_sim_stop(drone_sim *s) {
  if (s == NULL)
    return;
  cft_peer_free(s->agent);
  cft_peer_free(s->guard);
  (void)pthread_mutex_destroy(&s->lock);
  free(s);
}

/* ---- to be told and asked ---- */

const char *drone_sim_addr(const drone_sim *s) { return s->addr; }
const char *drone_sim_ctl(const drone_sim *s) { return s->ctl; }

#define LOCKED(s, what)                                                        \
  do {                                                                         \
    (void)pthread_mutex_lock(&(s)->lock);                                      \
    what;                                                                      \
    (void)pthread_mutex_unlock(&(s)->lock);                                    \
  } while (0)

void drone_sim_app_ms(drone_sim *s, int64_t ms) { LOCKED(s, s->app_ms = ms); }

void drone_sim_app_state(drone_sim *s, const char *state) {
  LOCKED(s, (void)snprintf(s->state, sizeof s->state, "%s", state));
}

void drone_sim_mute(drone_sim *s, bool mute) {
  LOCKED(s, s->mute = mute);
  if (!mute)
    cft_peer_drop(s->agent, CFT_RST);
}

void drone_sim_lose(drone_sim *s, const char *path, int times) {
  LOCKED(s, (void)snprintf(s->lose_path, sizeof s->lose_path, "%s", path);
         s->lose = times);
}

void drone_sim_forget(drone_sim *s) {
  (void)pthread_mutex_lock(&s->lock);
  if (!id_random(s->vm))
    abort();
  s->claim[0] = s->app[0] = s->command[0] = '\0';
  s->fence = 0;
  (void)pthread_mutex_unlock(&s->lock);
}

void drone_sim_claim(drone_sim *s, char claim[33], char app[64]) {
  LOCKED(s, memcpy(claim, s->claim, sizeof s->claim);
         memcpy(app, s->app, sizeof s->app));
}

bool drone_sim_serves(drone_sim *s, const char *app, const char *claim) {
  bool does;

  LOCKED(s, does = strcmp(s->app, app) == 0 && strcmp(s->claim, claim) == 0 &&
                   s->command[0] != '\0');
  return does;
}

size_t drone_sim_binds(drone_sim *s) {
  size_t n;

  LOCKED(s, n = s->binds);
  return n;
}

size_t drone_sim_unbinds(drone_sim *s) {
  size_t n;

  LOCKED(s, n = s->unbinds);
  return n;
}

size_t drone_sim_refused(drone_sim *s) {
  size_t n;

  LOCKED(s, n = s->refused);
  return n;
}

int64_t drone_sim_fence(drone_sim *s) {
  int64_t n;

  LOCKED(s, n = s->fence);
  return n;
}
