/* Documents out of JSON; see documents.h. Every reader fills its own copy and
   hands it over only when all of it was right, so that a broken document never
   leaves half of itself. Members that are not known are passed over: another
   version of the program may have written them. */
#include "common/documents.h"

#include <stdio.h>
#include <string.h>

enum {
  COMMAND_MOST = 4096,
  ENV_MOST = 64,
  ENV_BYTES_MOST = 32768,
  MEMORY_MB_MOST = 1048576
};

typedef struct reader {
  const json_t *doc;
  char *why;
  size_t size;
} reader;

static bool wrong(const reader *r, const char *field, const char *what) {
  (void)snprintf(r->why, r->size, "its %s %s", field, what);
  return false;
}

/* A string without a zero byte within, at most `most` bytes; an absent one is
   "" where that is allowed. */
static bool read_text(const reader *r, const json_t *in, const char *key,
                      bool required, char *out, size_t most) {
  const json_t *value = json_object_get(in, key);
  size_t len;

  out[0] = '\0';
  if (value == NULL)
    return required ? wrong(r, key, "is missing") : true;
  if (!json_is_string(value))
    return wrong(r, key, "is not a string");
  len = json_string_length(value);
  if (len > most)
    return wrong(r, key, "is too long");
  if (strlen(json_string_value(value)) != len)
    return wrong(r, key, "has a zero byte");
  memcpy(out, json_string_value(value), len + 1);
  return true;
}

static bool read_number(const reader *r, const json_t *in, const char *key,
                        bool required, int64_t least, int64_t most,
                        int64_t *out) {
  const json_t *value = json_object_get(in, key);

  *out = 0;
  if (value == NULL)
    return required ? wrong(r, key, "is missing") : true;
  if (!json_is_integer(value))
    return wrong(r, key, "is not a whole number");
  if (json_integer_value(value) < least || json_integer_value(value) > most)
    return wrong(r, key, "is out of bounds");
  *out = json_integer_value(value);
  return true;
}

static bool read_name(const reader *r, const json_t *in, const char *key,
                      bool required, char out[NAME_MOST + 1]) {
  if (!read_text(r, in, key, required, out, NAME_MOST))
    return false;
  if (out[0] != '\0' && !id_is_app(out, strlen(out)))
    return wrong(r, key, "is not a name of an app");
  return out[0] != '\0' || !required ? true : wrong(r, key, "is empty");
}

static bool read_addr(const reader *r, const json_t *in, const char *key,
                      char out[ADDR_MOST + 1]) {
  if (!read_text(r, in, key, true, out, ADDR_MOST))
    return false;
  return id_is_addr(out, strlen(out))
             ? true
             : wrong(r, key, "is not ADDRESS:PORT with a numeric address");
}

static bool read_claim_id(const reader *r, const json_t *in, const char *key,
                          bool required, char out[CLAIM_LEN + 1]) {
  if (!read_text(r, in, key, required, out, CLAIM_LEN))
    return false;
  if (out[0] == '\0' && !required)
    return true;
  return id_is_claim(out, strlen(out)) ? true
                                       : wrong(r, key, "is not 32 hex digits");
}

static bool read_hosts(const reader *r, char hosts[][HOST_MOST + 1],
                       size_t *count) {
  const json_t *list = json_object_get(r->doc, "hosts");
  size_t i;

  *count = 0;
  if (list == NULL)
    return true;
  if (!json_is_array(list))
    return wrong(r, "hosts", "is not a list");
  if (json_array_size(list) > HOSTS_MOST)
    return wrong(r, "hosts", "has more than 16");
  for (i = 0; i < json_array_size(list); i++) {
    const json_t *host = json_array_get(list, i);
    size_t len = json_string_length(host);

    if (!json_is_string(host) ||
        !id_is_served_host(json_string_value(host), len))
      return wrong(r, "hosts", "has something that is not a host name");
    memcpy(hosts[i], json_string_value(host), len + 1);
  }
  *count = json_array_size(list);
  return true;
}

/* What stands behind the prefix of _id, and _rev. */
static bool read_head(const reader *r, const char *prefix, char *name,
                      size_t most, char rev[REV_MOST + 1]) {
  const json_t *id = json_object_get(r->doc, "_id");
  size_t len = strlen(prefix);

  if (!json_is_object(r->doc)) {
    (void)snprintf(r->why, r->size, "it is not a JSON object");
    return false;
  }
  if (json_is_true(json_object_get(r->doc, "_deleted"))) {
    (void)snprintf(r->why, r->size, "it is deleted");
    return false;
  }
  if (!json_is_string(id) || json_string_length(id) <= len ||
      json_string_length(id) > len + most ||
      strlen(json_string_value(id)) != json_string_length(id) ||
      strncmp(json_string_value(id), prefix, len) != 0)
    return wrong(r, "_id", "is not that of such a document");
  memcpy(name, json_string_value(id) + len, json_string_length(id) - len + 1);
  return read_text(r, r->doc, "_rev", false, rev, REV_MOST);
}

/* ---- drone ---- */

static const char *const drone_states[] = {
    "booting", "free", "claimed", "bound", "draining", "wiping", "dead"};

const char *drone_state_name(enum drone_state state) {
  return drone_states[state];
}

static bool read_word(const reader *r, const char *const *words, size_t count,
                      size_t *out) {
  char word[32];
  size_t i;

  if (!read_text(r, r->doc, "state", true, word, sizeof word - 1))
    return false;
  for (i = 0; i < count; i++)
    if (strcmp(word, words[i]) == 0) {
      *out = i;
      return true;
    }
  return wrong(r, "state", "is none that there is");
}

static bool read_claim(const reader *r, claim_doc *claim) {
  const json_t *in = json_object_get(r->doc, "claim");

  if (in == NULL || json_is_null(in))
    return true;
  if (!json_is_object(in))
    return wrong(r, "claim", "is not an object");
  return read_claim_id(r, in, "id", true, claim->id) &&
         read_name(r, in, "app", true, claim->app) &&
         read_text(r, in, "by", false, claim->by, NAME_MOST) &&
         read_number(r, in, "gen", true, 0, INT64_MAX, &claim->gen) &&
         read_number(r, in, "at", false, 0, INT64_MAX, &claim->at_ms);
}

bool drone_doc_read(const json_t *doc, drone_doc *out, char *why, size_t size) {
  reader r = {doc, why, size};
  drone_doc d;
  char id[ADDR_MOST + 1];
  size_t state = 0;
  bool needs;

  memset(&d, 0, sizeof d);
  if (!read_head(&r, "drone:", id, ADDR_MOST, d.rev) ||
      !read_addr(&r, doc, "addr", d.addr) || !read_addr(&r, doc, "ctl", d.ctl))
    return false;
  if (strcmp(id, d.addr) != 0)
    return wrong(&r, "addr", "is not the one in its _id");
  if (!read_claim_id(&r, doc, "vm", false, d.vm) ||
      !read_word(&r, drone_states, sizeof drone_states / sizeof drone_states[0],
                 &state) ||
      !read_number(&r, doc, "epoch", true, 0, INT64_MAX - 16, &d.epoch) ||
      !read_number(&r, doc, "at", false, 0, INT64_MAX, &d.at_ms) ||
      !read_claim(&r, &d.claim))
    return false;
  d.state = (enum drone_state)state;
  needs = d.state == DRONE_CLAIMED || d.state == DRONE_BOUND;
  if (needs && d.claim.id[0] == '\0')
    return wrong(&r, "claim", "is missing, and its state says there is one");
  if ((d.state == DRONE_FREE || d.state == DRONE_BOOTING) &&
      d.claim.id[0] != '\0')
    return wrong(&r, "claim", "is there, and its state says there is none");
  *out = d;
  return true;
}

/* ---- what apps and routes have in common ---- */

static bool read_notice(const reader *r, bool *closed,
                        char notice[NOTICE_MOST + 1]) {
  *closed = json_object_get(r->doc, "maintenance") != NULL;
  return read_text(r, r->doc, "maintenance", false, notice, NOTICE_MOST);
}

/* ---- app ---- */

static bool check_env(const reader *r) {
  const json_t *env = json_object_get(r->doc, "env");
  const char *key;
  json_t *value;
  size_t bytes = 0;

  if (env == NULL)
    return true;
  if (!json_is_object(env))
    return wrong(r, "env", "is not an object");
  if (json_object_size(env) > ENV_MOST)
    return wrong(r, "env", "has more than 64 members");
  json_object_foreach((json_t *)(uintptr_t)env, key, value) {
    if (!json_is_string(value))
      return wrong(r, "env", "has a value that is not a string");
    if (strlen(json_string_value(value)) != json_string_length(value))
      return wrong(r, "env", "has a value with a zero byte");
    if (key[0] == '\0' || strchr(key, '=') != NULL)
      return wrong(r, "env", "has a name that is none");
    bytes += strlen(key) + json_string_length(value) + 2;
  }
  return bytes <= ENV_BYTES_MOST ? true : wrong(r, "env", "is too large");
}

static bool check_command(const reader *r) {
  const json_t *command = json_object_get(r->doc, "command");

  if (command == NULL)
    return wrong(r, "command", "is missing");
  if (!json_is_string(command))
    return wrong(r, "command", "is not a string");
  if (json_string_length(command) == 0)
    return wrong(r, "command", "is empty");
  if (json_string_length(command) > COMMAND_MOST)
    return wrong(r, "command", "is too long");
  return strlen(json_string_value(command)) == json_string_length(command)
             ? true
             : wrong(r, "command", "has a zero byte");
}

/* An app that was never started has no wish yet. */
static bool read_want(const reader *r, app_doc *app) {
  const json_t *want = json_object_get(r->doc, "want");
  char word[16];

  if (want == NULL)
    return true;
  if (!json_is_object(want))
    return wrong(r, "want", "is not an object");
  if (!read_text(r, want, "state", true, word, sizeof word - 1) ||
      !read_number(r, want, "gen", true, 0, INT64_MAX - 16, &app->gen) ||
      !read_number(r, want, "at", false, 0, INT64_MAX, &app->at_ms))
    return false;
  app->started = strcmp(word, "started") == 0;
  return app->started || strcmp(word, "stopped") == 0
             ? true
             : wrong(r, "want.state", "is neither started nor stopped");
}

bool app_doc_read(const json_t *doc, app_doc *out, char *why, size_t size) {
  reader r = {doc, why, size};
  app_doc a;

  memset(&a, 0, sizeof a);
  if (!read_head(&r, "app:", a.name, NAME_MOST, a.rev))
    return false;
  if (!id_is_app(a.name, strlen(a.name)))
    return wrong(&r, "_id", "has no name of an app");
  if (!read_hosts(&r, a.hosts, &a.host_count) || !check_command(&r) ||
      !check_env(&r) || !read_want(&r, &a) ||
      !read_notice(&r, &a.closed, a.notice) ||
      !read_number(&r, doc, "memory_mb", false, 1, MEMORY_MB_MOST,
                   &a.memory_mb))
    return false;
  *out = a;
  out->doc = json_incref((json_t *)(uintptr_t)doc);
  return true;
}

void app_doc_free(app_doc *app) {
  json_decref(app->doc);
  app->doc = NULL;
}

/* ---- route ---- */

static const char *const route_states[] = {"queued",  "starting", "live",
                                           "crashed", "stopped",  "failed"};

const char *route_state_name(enum route_state state) {
  return route_states[state];
}

static bool read_to(const reader *r, const char *key, route_to *to,
                    size_t *count) {
  const json_t *list = json_object_get(r->doc, key);
  size_t i;

  *count = 0;
  if (list == NULL)
    return true;
  if (!json_is_array(list))
    return wrong(r, key, "is not a list");
  if (json_array_size(list) > TO_MOST)
    return wrong(r, key, "has more than 4");
  for (i = 0; i < json_array_size(list); i++) {
    const json_t *one = json_array_get(list, i);

    if (!json_is_object(one))
      return wrong(r, key, "has something that is not an object");
    if (!read_addr(r, one, "drone", to[i].drone) ||
        !read_addr(r, one, "addr", to[i].addr) ||
        !read_claim_id(r, one, "claim", true, to[i].claim))
      return false;
  }
  *count = json_array_size(list);
  return true;
}

bool route_doc_read(const json_t *doc, route_doc *out, char *why, size_t size) {
  reader r = {doc, why, size};
  route_doc route;
  char id[NAME_MOST + 1];
  size_t state = 0;

  memset(&route, 0, sizeof route);
  if (!read_head(&r, "route:", id, NAME_MOST, route.rev) ||
      !read_name(&r, doc, "app", true, route.app))
    return false;
  if (strcmp(id, route.app) != 0)
    return wrong(&r, "app", "is not the one in its _id");
  if (!read_hosts(&r, route.hosts, &route.host_count) ||
      !read_number(&r, doc, "gen", true, 0, INT64_MAX - 16, &route.gen) ||
      !read_number(&r, doc, "at", false, 0, INT64_MAX, &route.at_ms) ||
      !read_word(&r, route_states, sizeof route_states / sizeof route_states[0],
                 &state) ||
      !read_text(&r, doc, "code", false, route.code, sizeof route.code - 1) ||
      !read_text(&r, doc, "msg", false, route.msg, sizeof route.msg - 1) ||
      !read_notice(&r, &route.closed, route.notice) ||
      !read_to(&r, "to", route.to, &route.to_count) ||
      !read_to(&r, "prev", route.prev, &route.prev_count))
    return false;
  route.state = (enum route_state)state;
  if (route.state == ROUTE_LIVE && route.to_count == 0)
    return wrong(&r, "to", "is empty, and its state says live");
  *out = route;
  return true;
}
