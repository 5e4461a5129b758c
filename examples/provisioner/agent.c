/* Calls of a drone's agent over rest.h, and of its guard over libcurl, because
   what counts there is in the fields of the answer's head; see agent.h. */
#include "provisioner/agent.h"

#include "common/rest.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CALL_MS = 4000, UNBIND_MS = 15000, GUARD_MS = 3000 };

struct agent {
  char *token;
  rest *rest;
  char ctl[ADDR_MOST + 1]; /* that rest is connected with */
  CURL *curl;
  char why[512];
};

agent *agent_new(const char *token) {
  agent *a = calloc(1, sizeof *a);

  if (a == NULL)
    return NULL;
  a->token = token != NULL ? strdup(token) : NULL;
  a->curl = curl_easy_init();
  if ((token != NULL && a->token == NULL) || a->curl == NULL) {
    agent_free(a);
    return NULL;
  }
  return a;
}

void agent_free(agent *a) {
  if (a == NULL)
    return;
  rest_free(a->rest);
  curl_easy_cleanup(a->curl);
  if (a->token != NULL)
    explicit_bzero(a->token, strlen(a->token));
  free(a->token);
  free(a);
}

const char *agent_why(const agent *a) { return a->why; }

static bool connect_to(agent *a, const char *ctl) {
  char url[ADDR_MOST + 16];
  rest_config config;

  if (a->rest != NULL && strcmp(a->ctl, ctl) == 0)
    return true;
  rest_free(a->rest);
  (void)snprintf(url, sizeof url, "http://%s", ctl);
  memset(&config, 0, sizeof config);
  config.url = url;
  config.token = a->token;
  config.connect_ms = 1500;
  config.total_ms = CALL_MS;
  config.max_reply = 65536;
  a->rest = rest_new(&config, a->why, sizeof a->why);
  (void)snprintf(a->ctl, sizeof a->ctl, "%s", a->rest != NULL ? ctl : "");
  return a->rest != NULL;
}

/* ---- what it says ---- */

static void take(const json_t *in, const char *key, char *out, size_t size) {
  const char *value = json_string_value(json_object_get(in, key));

  (void)snprintf(out, size, "%s", value != NULL ? value : "");
}

static int64_t number(const json_t *in, const char *key) {
  return (int64_t)json_integer_value(json_object_get(in, key));
}

/* A state that is not whole is none: vm stays "". */
static void read_state(const json_t *body, agent_state *out) {
  const json_t *claim = json_object_get(body, "claim");
  const json_t *app = json_object_get(body, "app");
  const char *vm = json_string_value(json_object_get(body, "vm"));

  if (vm == NULL || !id_is_claim(vm, strlen(vm)))
    return;
  out->fence = number(body, "fence");
  if (json_is_object(claim)) {
    take(claim, "id", out->claim.id, sizeof out->claim.id);
    take(claim, "app", out->claim.app, sizeof out->claim.app);
    out->claim.gen = number(claim, "gen");
    out->claim.at_ms = number(claim, "at");
    out->claim_epoch = number(claim, "epoch");
    if (!id_is_claim(out->claim.id, strlen(out->claim.id)) ||
        !id_is_app(out->claim.app, strlen(out->claim.app)) ||
        out->claim.gen < 0 || out->claim_epoch < 0)
      return;
  }
  if (out->fence < 0)
    return;
  take(app, "state", out->app, sizeof out->app);
  out->restarts = number(app, "restarts");
  out->exit = number(app, "exit");
  take(body, "vm", out->vm, sizeof out->vm);
}

static enum agent_result refusal(const json_t *body) {
  static const struct {
    const char *why;
    enum agent_result result;
  } known[] = {{"claimed", AGENT_CLAIMED},
               {"claim", AGENT_CLAIMED},
               {"fenced", AGENT_FENCED},
               {"vm", AGENT_VM},
               {"command", AGENT_COMMAND}};
  const char *why = json_string_value(json_object_get(body, "why"));
  size_t i;

  for (i = 0; why != NULL && i < sizeof known / sizeof known[0]; i++)
    if (strcmp(why, known[i].why) == 0)
      return known[i].result;
  return AGENT_REFUSED;
}

/* Takes body over. An answer without a state that can be read is none that can
   be acted on. */
static enum agent_result call(agent *a, const char *ctl, const char *method,
                              const char *path, json_t *body, int64_t ms,
                              agent_state *out) {
  enum agent_result result;
  rest_reply reply;
  const char *said;

  memset(out, 0, sizeof *out);
  a->why[0] = '\0';
  if (strcmp(method, "POST") == 0 && body == NULL) {
    (void)snprintf(a->why, sizeof a->why, "Out of memory");
    return AGENT_UNKNOWN;
  }
  if (!connect_to(a, ctl)) {
    json_decref(body);
    return AGENT_UNKNOWN;
  }
  (void)rest_call_ms(a->rest, method, path, body, ms, &reply);
  read_state(reply.body, out);
  said = json_string_value(json_object_get(reply.body, "error"));
  if (reply.status == 200 || reply.status == 202)
    result = out->vm[0] != '\0' ? AGENT_OK : AGENT_UNKNOWN;
  else if (reply.status == 409)
    result = refusal(reply.body);
  else
    result = reply.status >= 400 && reply.status < 500 ? AGENT_REFUSED
                                                       : AGENT_UNKNOWN;
  if (result != AGENT_OK)
    (void)snprintf(a->why, sizeof a->why, "%s %s%s: %s (%d)", method, ctl, path,
                   said != NULL             ? said
                   : reply.error[0] != '\0' ? reply.error
                                            : "no state in the answer",
                   reply.status);
  rest_reply_free(&reply);
  json_decref(body);
  return result;
}

/* ---- calls ---- */

enum agent_result agent_ask(agent *a, const char *ctl, agent_state *out) {
  return call(a, ctl, "GET", "/state", NULL, CALL_MS, out);
}

enum agent_result agent_bind(agent *a, const drone_doc *d, agent_state *out) {
  return call(a, d->ctl, "POST", "/bind",
              json_pack("{s:s, s:I, s:s, s:s, s:I}", "claim", d->claim.id,
                        "epoch", (json_int_t)d->epoch, "vm", d->vm, "app",
                        d->claim.app, "gen", (json_int_t)d->claim.gen),
              CALL_MS, out);
}

enum agent_result agent_start(agent *a, const drone_doc *d, const app_doc *app,
                              agent_state *out) {
  json_t *env = json_object_get(app->doc, "env");
  json_t *body = json_pack("{s:s, s:O}", "claim", d->claim.id, "command",
                           json_object_get(app->doc, "command"));

  if (body != NULL && json_object_set_new(body, "env",
                                          env != NULL ? json_incref(env)
                                                      : json_object()) != 0) {
    json_decref(body);
    body = NULL;
  }
  if (body != NULL && app->memory_mb != 0 &&
      json_object_set_new(body, "memory_mb", json_integer(app->memory_mb)) !=
          0) {
    json_decref(body);
    body = NULL;
  }
  return call(a, d->ctl, "POST", "/start", body, CALL_MS, out);
}

enum agent_result agent_unbind(agent *a, const drone_doc *d, agent_state *out) {
  return call(a, d->ctl, "POST", "/unbind",
              json_pack("{s:s, s:I}", "claim", d->claim.id, "epoch",
                        (json_int_t)d->epoch),
              UNBIND_MS, out);
}

enum agent_result agent_fence(agent *a, const char *ctl, int64_t epoch,
                              const char *vm, agent_state *out) {
  return call(a, ctl, "POST", "/fence",
              json_pack("{s:I, s:s}", "epoch", (json_int_t)epoch, "vm", vm),
              CALL_MS, out);
}

/* ---- the guard ---- */

typedef struct head {
  char echo[NAME_MOST + CLAIM_LEN + 8];
  bool crashed;
} head;

static void keep(const char *line, size_t len, const char *name, char *out,
                 size_t size) {
  size_t n = strlen(name);

  if (len <= n || strncasecmp(line, name, n) != 0)
    return;
  line += n;
  len -= n;
  while (len > 0 && (*line == ' ' || *line == '\t')) {
    line++;
    len--;
  }
  while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n' ||
                     line[len - 1] == ' '))
    len--;
  (void)snprintf(out, size, "%.*s", (int)len, line);
}

static size_t on_head(char *line, size_t size, size_t count, void *ctx) {
  head *h = ctx;
  char error[16] = "";

  keep(line, size * count, "X-Drone-Claim:", h->echo, sizeof h->echo);
  keep(line, size * count, "X-Drone-Error:", error, sizeof error);
  if (strcmp(error, "crashed") == 0)
    h->crashed = true;
  return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx) {
  (void)data;
  (void)ctx;
  return size * count;
}

enum guard_result agent_guard(agent *a, const char *addr, const char *app,
                              const char *claim) {
  char url[ADDR_MOST + 64], held[NAME_MOST + CLAIM_LEN + 8], field[160];
  struct curl_slist *fields;
  head h;
  long status = 0;
  CURLcode code;

  memset(&h, 0, sizeof h);
  (void)snprintf(url, sizeof url, "http://%s/.well-known/drone", addr);
  (void)snprintf(held, sizeof held, "%s/%s", app, claim);
  (void)snprintf(field, sizeof field, "X-Drone-Claim: %s", held);
  fields = curl_slist_append(NULL, field);
  curl_easy_reset(a->curl);
  (void)curl_easy_setopt(a->curl, CURLOPT_URL, url);
  (void)curl_easy_setopt(a->curl, CURLOPT_PROXY, "");
  (void)curl_easy_setopt(a->curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(a->curl, CURLOPT_PROTOCOLS_STR, "http");
  (void)curl_easy_setopt(a->curl, CURLOPT_CONNECTTIMEOUT_MS, 1500L);
  (void)curl_easy_setopt(a->curl, CURLOPT_TIMEOUT_MS, (long)GUARD_MS);
  (void)curl_easy_setopt(a->curl, CURLOPT_HTTPHEADER, fields);
  (void)curl_easy_setopt(a->curl, CURLOPT_HEADERFUNCTION, on_head);
  (void)curl_easy_setopt(a->curl, CURLOPT_HEADERDATA, &h);
  (void)curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_body);
  code = fields != NULL ? curl_easy_perform(a->curl) : CURLE_OUT_OF_MEMORY;
  (void)curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_slist_free_all(fields);
  (void)snprintf(a->why, sizeof a->why, "the guard %s answered %ld: %s", addr,
                 status, curl_easy_strerror(code));
  if (code != CURLE_OK)
    return GUARD_GONE;
  if (status == 421 || (h.echo[0] != '\0' && strcmp(h.echo, held) != 0))
    return GUARD_OTHER;
  if (h.echo[0] == '\0')
    return GUARD_GONE;
  if (status == 200)
    return GUARD_OK;
  return h.crashed ? GUARD_CRASHED : GUARD_STARTING;
}
