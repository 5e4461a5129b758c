/* From a request to its handler: what is asked for, whether it may be, and the
   body. In this order: maintenance, token, then everything else. */
#include "provisioner/api_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
  NEEDS_TOKEN = 1,
  WRITES = 2,
  BODY = 4,
  LOOPBACK = 8,
  IN_MAINTENANCE = 16
};

typedef struct route_rule {
  const char *method;
  const char *path; /* '*' stands for a name, '#' for NAME.GEN */
  void (*handler)(call *c);
  unsigned flags;
} route_rule;

static void post_start(call *c) {
  c->start = true;
  start_post(c);
}

static const route_rule rules[] = {
    {"GET", "/apps", apps_list, NEEDS_TOKEN},
    {"GET", "/apps/*", apps_get, NEEDS_TOKEN},
    {"POST", "/apps/*", apps_post, NEEDS_TOKEN | WRITES | BODY},
    {"DELETE", "/apps/*", apps_delete, NEEDS_TOKEN | WRITES},
    {"POST", "/apps/*/start", post_start, NEEDS_TOKEN | WRITES | BODY},
    {"POST", "/apps/*/stop", start_post, NEEDS_TOKEN | WRITES | BODY},
    {"PUT", "/apps/*/maintenance", apps_notice,
     NEEDS_TOKEN | WRITES | BODY | IN_MAINTENANCE},
    {"GET", "/apps/*/log", apps_log, NEEDS_TOKEN},
    {"GET", "/ops/#", ops_get, NEEDS_TOKEN},
    {"GET", "/drones", drones_get, NEEDS_TOKEN},
    {"GET", "/maintenance", maintenance_get, NEEDS_TOKEN},
    {"PUT", "/maintenance", maintenance_put,
     NEEDS_TOKEN | WRITES | BODY | IN_MAINTENANCE},
    {"GET", "/healthz", healthz_get, 0},
    {"GET", "/metrics", metrics_get, LOOPBACK},
};

/* ---- what is asked for ---- */

static bool take_name(call *c, const char *segment, size_t len) {
  if (!id_is_app(segment, len))
    return false;
  memcpy(c->app, segment, len);
  c->app[len] = '\0';
  return true;
}

static bool take_op(call *c, const char *segment, size_t len) {
  const char *dot = memchr(segment, '.', len);
  size_t name_len = dot != NULL ? (size_t)(dot - segment) : len;
  int64_t gen = 0;

  if (dot == NULL || len - name_len < 2 || len - name_len > 18 ||
      !take_name(c, segment, name_len))
    return false;
  for (size_t i = name_len + 1; i < len; i++) {
    if (segment[i] < '0' || segment[i] > '9')
      return false;
    gen = gen * 10 + (segment[i] - '0');
  }
  c->gen = gen;
  return gen > 0 && segment[name_len + 1] != '0';
}

/* Whether the path is of that form; *bad: but for a name that is none. */
static bool fits(call *c, const char *form, const char *path, size_t len,
                 bool *bad) {
  const char *end = path + len;

  for (; *form != '\0'; form++) {
    const char *stop;

    if (*form != '*' && *form != '#') {
      if (path == end || *path++ != *form)
        return false;
      continue;
    }
    stop = memchr(path, '/', (size_t)(end - path));
    if (stop == NULL)
      stop = end;
    if (*form == '*' ? !take_name(c, path, (size_t)(stop - path))
                     : !take_op(c, path, (size_t)(stop - path)))
      *bad = true;
    path = stop;
  }
  return path == end;
}

/* wait=N or bytes=N; nothing else is known. */
static bool take_query(call *c, const char *query, size_t len) {
  static const char *const names[] = {"wait=", "bytes="};

  for (size_t i = 0; i < 2; i++) {
    size_t name = strlen(names[i]), at = name;

    if (len <= name || len > name + 9 || strncmp(query, names[i], name) != 0)
      continue;
    for (c->number = 0; at < len; at++) {
      if (query[at] < '0' || query[at] > '9')
        return false;
      c->number = c->number * 10 + (query[at] - '0');
    }
    return true;
  }
  return len == 0;
}

static const route_rule *find_rule(call *c, const http_head *head, bool *known,
                                   bool *bad) {
  const char *target = head->target.data;
  const char *mark = memchr(target, '?', head->target.len);
  size_t len = mark != NULL ? (size_t)(mark - target) : head->target.len;

  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    bool wrong = false;

    if (!fits(c, rules[i].path, target, len, &wrong))
      continue;
    *known = true;
    *bad |= wrong;
    if (!http_str_same(head->method, rules[i].method) &&
        !(http_str_same(head->method, "HEAD") &&
          strcmp(rules[i].method, "GET") == 0))
      continue;
    if (mark != NULL && !take_query(c, mark + 1, head->target.len - len - 1))
      *bad = true;
    return &rules[i];
  }
  return NULL;
}

/* ---- whether it may be ---- */

/* Takes as long for any wrong token of any length. */
static bool token_is(const char *token, http_str given) {
  size_t len = strlen(token);
  volatile unsigned differs = (unsigned)(len != given.len);

  for (size_t i = 0; i < given.len; i++)
    differs |= (unsigned)((unsigned char)given.data[i] ^
                          (unsigned char)token[len > 0 ? i % len : 0]);
  return differs == 0 && len > 0;
}

static bool has_token(const api *a, const http_head *head) {
  const http_field *field = http_head_find(head, "Authorization");
  http_str given;

  if (field == NULL || field->value.len < 7 ||
      strncasecmp(field->value.data, "Bearer ", 7) != 0)
    return false;
  given.data = field->value.data + 7;
  given.len = field->value.len - 7;
  return token_is(a->config.token, given);
}

static bool is_loopback(const char *peer) {
  return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 ||
         strncmp(peer, "::ffff:127.", 11) == 0 || peer[0] == '\0' ||
         strncmp(peer, "unix", 4) == 0;
}

/* true: answered. */
static bool refuse_maintenance(call *c) {
  char mode[8], msg[256];

  view_maintenance(c->api->config.view, mode, msg);
  if (strcmp(mode, "off") == 0)
    return false;
  metric_add(c->api->m.maintenance_refused, 1);
  answer_error(c, 503, "maintenance", 30000,
               "changes are not taken at the moment%s%s",
               msg[0] != '\0' ? ": " : "", msg);
  return true;
}

static bool refuse(call *c, const http_head *head, const route_rule *rule) {
  api *a = c->api;

  if ((rule->flags & WRITES) != 0 && (rule->flags & IN_MAINTENANCE) == 0 &&
      refuse_maintenance(c))
    return true;
  if ((rule->flags & NEEDS_TOKEN) != 0 && !has_token(a, head)) {
    answer_error(c, 401, "token", 0,
                 "the header Authorization: Bearer with the right token is "
                 "needed");
    return true;
  }
  if ((rule->flags & LOOPBACK) != 0 && !is_loopback(http_exchange_peer(c->x))) {
    answer_error(c, 403, "loopback", 0, "only this machine may ask for this");
    return true;
  }
  if ((rule->flags & NEEDS_TOKEN) != 0 && !view_is_synced(a->config.view)) {
    answer_error(c, 503, "database", 2000,
                 "what the database holds has not been read yet");
    return true;
  }
  if (a->resting || (a->draining && (rule->flags & WRITES) != 0)) {
    answer_error(c, 503, "draining", 1000, "this provisioner is about to end");
    return true;
  }
  return false;
}

/* ---- the body ---- */

static void on_gone(http_exchange *x, void *ctx) {
  call *c = ctx;

  (void)x;
  c->x = NULL;
  call_unlist(c);
  call_free(c);
}

static void on_data(http_exchange *x, const char *data, size_t len, void *ctx) {
  call *c = ctx;

  (void)x;
  if (c->body_text.len + len <= BODY_MOST)
    text_add(&c->body_text, data, len);
  else
    c->body_text.failed = true;
}

static void on_end(http_exchange *x, void *ctx) {
  call *c = ctx;
  json_error_t error;

  (void)x;
  if (c->body_text.failed) {
    answer_error(c, 413, "request", 0, "the body is larger than %d KiB",
                 BODY_MOST / 1024);
    return;
  }
  if (c->body_text.len > 0) {
    c->body = json_loadb(c->body_text.data, c->body_text.len,
                         JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (c->body == NULL) {
      answer_error(c, 400, "request", 0, "the body is not JSON: %s",
                   error.text);
      return;
    }
  }
  c->handler(c);
}

static const http_sink sink = {on_data, on_end};

static void not_found(call *c, bool known, bool bad) {
  if (!known)
    answer_error(c, 404, "unknown", 0, "there is nothing at this path");
  else if (bad)
    answer_error(c, 404, "unknown", 0,
                 "there is no app or operation of such a name");
  else
    answer_error(c, 405, "method", 0, "this path has no such method");
}

void api_request(http_exchange *x, void *user) {
  const http_head *head = http_exchange_head(x);
  bool known = false, bad = false;
  call *c = calloc(1, sizeof *c);
  const route_rule *rule;

  if (c == NULL) {
    http_exchange_abort(x);
    return;
  }
  c->api = user;
  c->x = x;
  http_exchange_on_gone(x, on_gone, c);
  rule = find_rule(c, head, &known, &bad);
  if (rule == NULL) {
    not_found(c, known, bad);
    return;
  }
  if (refuse(c, head, rule))
    return;
  if (bad) {
    answer_error(c, 400, "request", 0,
                 "the name or the query is wrong: a name consists of a-z, 0-9 "
                 "and -, begins with a letter, and has at most 63");
    return;
  }
  c->handler = rule->handler;
  if ((rule->flags & BODY) != 0)
    http_exchange_read(x, &sink, c);
  else
    c->handler(c);
}

void api_refused(http_exchange *x, int status, const char *why, void *user) {
  call *c = calloc(1, sizeof *c);

  if (c == NULL)
    return; /* a plain page is sent */
  c->api = user;
  c->x = x;
  answer_error(c, status, "request", status == 503 ? 1000 : 0, "%s", why);
}
