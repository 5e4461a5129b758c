/* See peers_ask.h. */
#include "balancer/peers_ask.h"

#include <stdio.h>
#include <string.h>

enum { CALL_MS = 2000, PATH_MOST = 512 };

static bool wrong(char *error, size_t size, const char *what) {
  (void)snprintf(error, size, "it answers without %s", what);
  return false;
}

/* "/routes?from=a&to=b&limit=9": names of apps need no escape, but a caller's
   range may be anything. */
static bool make_path(char *out, size_t size, const char *what,
                      const char *from, const char *until, size_t limit) {
  char a[128] = "", b[128] = "", most[32] = "";
  int len;

  if ((from != NULL && !rest_escape(from, a, sizeof a)) ||
      (until != NULL && !rest_escape(until, b, sizeof b)))
    return false;
  if (limit != 0)
    (void)snprintf(most, sizeof most, "&limit=%zu", limit);
  len = snprintf(out, size, "/%s?from=%s%s%s%s", what, a,
                 until != NULL ? "&to=" : "", b, most);
  return len > 0 && (size_t)len < size;
}

static json_t *ask(rest *to, const char *path, char *error, size_t size) {
  rest_reply reply;
  json_t *body = NULL;

  if (rest_call_ms(to, "GET", path, NULL, CALL_MS, &reply) == 200 &&
      json_is_object(reply.body))
    body = json_incref(reply.body);
  else if (reply.status == 0)
    (void)snprintf(error, size, "%.150s", reply.error);
  else if (reply.status == 200)
    (void)snprintf(error, size, "it answers no JSON object");
  else
    (void)snprintf(error, size, "it answers %d", reply.status);
  rest_reply_free(&reply);
  return body;
}

static bool get_text(const json_t *in, const char *key, char *out,
                     size_t size) {
  const json_t *value = json_object_get(in, key);
  size_t len = json_string_length(value);

  if (!json_is_string(value) || len >= size ||
      strlen(json_string_value(value)) != len)
    return false;
  memcpy(out, json_string_value(value), len + 1);
  return true;
}

static bool is_digest(const char *s) {
  return strlen(s) == CHANGEFEED_DIGEST_TEXT - 1 &&
         strspn(s, "0123456789abcdef") == CHANGEFEED_DIGEST_TEXT - 1;
}

bool peers_ask_digest(rest *to, const char *from, const char *until,
                      peer_digest *out, char *error, size_t size) {
  char path[PATH_MOST];
  json_t *body, *routes, *fresh;
  bool ok = false;

  memset(out, 0, sizeof *out);
  if (!make_path(path, sizeof path, "digest", from, until, 0)) {
    (void)snprintf(error, size, "the range is too long");
    return false;
  }
  body = ask(to, path, error, size);
  if (body == NULL)
    return false;
  routes = json_object_get(body, "routes");
  fresh = json_object_get(body, "fresh_ms");
  if (!get_text(body, "digest", out->digest, sizeof out->digest) ||
      !is_digest(out->digest))
    (void)wrong(error, size, "a digest");
  else if (!json_is_integer(routes) || json_integer_value(routes) < 0)
    (void)wrong(error, size, "a number of routes");
  else if (!get_text(body, "id", out->id, sizeof out->id) ||
           !get_text(body, "version", out->version, sizeof out->version) ||
           !get_text(body, "source", out->source, sizeof out->source))
    (void)wrong(error, size, "its id, version or source");
  else
    ok = true;
  out->routes = (uint64_t)json_integer_value(routes);
  out->fresh_ms = json_is_integer(fresh) ? json_integer_value(fresh) : -1;
  out->stale = json_is_true(json_object_get(body, "stale"));
  out->synced = json_is_true(json_object_get(body, "synced"));
  json_decref(body);
  return ok;
}

static int read_routes(const json_t *body, peer_route *out, size_t most) {
  const json_t *list = json_object_get(body, "routes"), *one;
  size_t i;

  if (!json_is_array(list) || json_array_size(list) > most ||
      json_is_string(json_object_get(body, "next")))
    return -1;
  json_array_foreach(list, i, one) {
    if (!get_text(one, "app", out[i].app, sizeof out[i].app) ||
        !id_is_app(out[i].app, strlen(out[i].app)) ||
        !get_text(one, "rev", out[i].rev, sizeof out[i].rev) ||
        (i != 0 && strcmp(out[i - 1].app, out[i].app) >= 0))
      return -1;
  }
  return (int)json_array_size(list);
}

int peers_ask_routes(rest *to, const char *from, const char *until,
                     peer_route *out, size_t most, char *error, size_t size) {
  char path[PATH_MOST];
  json_t *body;
  int count;

  if (!make_path(path, sizeof path, "routes", from, until, most)) {
    (void)snprintf(error, size, "the range is too long");
    return -1;
  }
  body = ask(to, path, error, size);
  if (body == NULL)
    return -1;
  count = read_routes(body, out, most);
  json_decref(body);
  if (count < 0)
    (void)wrong(error, size, "a list of routes, or has too many by now");
  return count;
}
