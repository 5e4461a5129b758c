/* Wishes; see wish.h. The limits of a definition are those of documents.c: what
   is accepted here can be read there, and a last look makes sure of it. */
#include "provisioner/wish.h"

#include <stdio.h>
#include <string.h>

enum { COMMAND_BYTES = 4096, ENV_MEMBERS = 64, ENV_BYTES = 32768 };

static bool wrong(char *why, size_t size, const char *field,
                  const char *sentence) {
  (void)snprintf(why, size, "%s: %s", field, sentence);
  return false;
}

/* A string without a zero byte. */
static bool is_text(const json_t *value) {
  return json_is_string(value) &&
         strlen(json_string_value(value)) == json_string_length(value);
}

static bool only_known(const json_t *body, const char *const *known, char *why,
                       size_t size) {
  void *it;

  if (!json_is_object(body)) {
    (void)snprintf(why, size, "the body is not a JSON object");
    return false;
  }
  for (it = json_object_iter((json_t *)(uintptr_t)body); it != NULL;
       it = json_object_iter_next((json_t *)(uintptr_t)body, it)) {
    size_t i = 0;

    while (known[i] != NULL && strcmp(known[i], json_object_iter_key(it)) != 0)
      i++;
    if (known[i] == NULL) {
      (void)snprintf(why, size, "%.60s: there is no such field here",
                     json_object_iter_key(it));
      return false;
    }
  }
  return true;
}

/* ---- definitions ---- */

static bool check_command(const json_t *command, char *why, size_t size) {
  if (command == NULL)
    return wrong(why, size, "command", "it is missing");
  if (!json_is_string(command))
    return wrong(why, size, "command", "it has to be a string");
  if (!is_text(command))
    return wrong(why, size, "command", "it has a zero byte");
  if (json_string_length(command) == 0)
    return wrong(why, size, "command", "it is empty");
  if (json_string_length(command) > COMMAND_BYTES)
    return wrong(why, size, "command", "it is longer than 4096 bytes");
  return true;
}

static bool is_variable(const char *name) {
  if (*name == '\0' || (*name >= '0' && *name <= '9'))
    return false;
  for (; *name != '\0'; name++)
    if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') &&
        !(*name >= '0' && *name <= '9') && *name != '_')
      return false;
  return true;
}

static bool check_env(const json_t *env, char *why, size_t size) {
  const char *name;
  json_t *value;
  size_t bytes = 0;

  if (env == NULL)
    return true;
  if (!json_is_object(env))
    return wrong(why, size, "env", "it has to be an object");
  if (json_object_size(env) > ENV_MEMBERS)
    return wrong(why, size, "env", "it has more than 64 variables");
  json_object_foreach((json_t *)(uintptr_t)env, name, value) {
    if (!is_variable(name))
      return wrong(why, size, "env",
                   "a name consists of letters, digits and _, and begins with "
                   "no digit");
    if (!is_text(value)) {
      (void)snprintf(why, size,
                     "env.%.60s: it has to be a string without a zero byte",
                     name);
      return false;
    }
    bytes += strlen(name) + json_string_length(value) + 2;
  }
  return bytes <= ENV_BYTES
             ? true
             : wrong(why, size, "env", "it is larger than 32 KiB");
}

static bool is_listed(const json_t *list, const json_t *host) {
  size_t i;
  json_t *one;

  json_array_foreach(list, i, one) if (json_equal(one, host)) return true;
  return false;
}

/* Into list, each once. */
static bool take_hosts(const json_t *hosts, json_t *list, char *why,
                       size_t size) {
  size_t i;
  json_t *host;

  if (!json_is_array(hosts))
    return wrong(why, size, "hosts", "it has to be a list");
  if (json_array_size(hosts) > HOSTS_MOST)
    return wrong(why, size, "hosts", "it has more than 16");
  json_array_foreach(hosts, i, host) {
    if (!json_is_string(host) ||
        !id_is_served_host(json_string_value(host), json_string_length(host))) {
      (void)snprintf(why, size,
                     "hosts[%zu]: it is no host name (lower case, no port)", i);
      return false;
    }
    if (!is_listed(list, host) &&
        json_array_append(list, (json_t *)(uintptr_t)host) != 0)
      return wrong(why, size, "hosts", "there is no memory");
  }
  return true;
}

static bool default_host(json_t *list, const char *name, const char *domain,
                         char *why, size_t size) {
  char host[NAME_MOST + HOST_MOST + 2];
  int len = snprintf(host, sizeof host, "%s.%s", name, domain);

  if (len < 0 || !id_is_host(host, (size_t)len))
    return wrong(why, size, "hosts",
                 "the default one would be too long: name one");
  if (json_array_append_new(list, json_string(host)) != 0)
    return wrong(why, size, "hosts", "there is no memory");
  return true;
}

static bool check_memory(const json_t *memory, char *why, size_t size) {
  if (memory != NULL &&
      (!json_is_integer(memory) || json_integer_value(memory) < 1 ||
       json_integer_value(memory) > 1048576))
    return wrong(why, size, "memory_mb",
                 "it has to be a whole number from 1 to 1048576");
  return true;
}

static bool set(json_t *in, const char *key, const json_t *value) {
  return value == NULL ||
         json_object_set_new(in, key, json_deep_copy(value)) == 0;
}

json_t *wish_app(const json_t *body, const char *name, const char *domain,
                 char *why, size_t size) {
  static const char *const known[] = {"hosts", "command", "env", "memory_mb",
                                      NULL};
  const json_t *hosts = json_object_get(body, "hosts");
  const json_t *env = json_object_get(body, "env");
  json_t *out = json_object(), *list = json_array();
  bool ok = only_known(body, known, why, size) &&
            check_command(json_object_get(body, "command"), why, size) &&
            check_env(env, why, size) &&
            check_memory(json_object_get(body, "memory_mb"), why, size) &&
            (hosts != NULL ? take_hosts(hosts, list, why, size)
                           : default_host(list, name, domain, why, size));

  if (ok &&
      (json_object_set(out, "hosts", list) != 0 ||
       !set(out, "command", json_object_get(body, "command")) ||
       (env != NULL ? !set(out, "env", env)
                    : json_object_set_new(out, "env", json_object()) != 0) ||
       !set(out, "memory_mb", json_object_get(body, "memory_mb"))))
    ok = wrong(why, size, "command", "there is no memory for it");
  json_decref(list);
  if (ok)
    return out;
  json_decref(out);
  return NULL;
}

/* ---- the other bodies ---- */

bool wish_start(const json_t *body, wish_start_body *out, char *why,
                size_t size) {
  static const char *const known[] = {"force", "key", NULL};
  const json_t *force = json_object_get(body, "force"),
               *key = json_object_get(body, "key");

  memset(out, 0, sizeof *out);
  if (body == NULL)
    return true;
  if (!only_known(body, known, why, size))
    return false;
  if (force != NULL && !json_is_boolean(force))
    return wrong(why, size, "force", "it has to be true or false");
  if (key != NULL && (!is_text(key) || json_string_length(key) == 0 ||
                      json_string_length(key) > KEY_MOST_LEN))
    return wrong(why, size, "key", "it has to be a string of 1 to 64 bytes");
  out->force = json_is_true(force);
  if (key != NULL)
    memcpy(out->key, json_string_value(key), json_string_length(key) + 1);
  return true;
}

bool wish_notice(const json_t *body, const char **notice, char *why,
                 size_t size) {
  static const char *const known[] = {"mode", "msg", NULL};
  const json_t *msg = json_object_get(body, "msg");
  const char *mode = json_string_value(json_object_get(body, "mode"));

  *notice = NULL;
  if (!only_known(body, known, why, size))
    return false;
  if (mode == NULL || (strcmp(mode, "on") != 0 && strcmp(mode, "off") != 0))
    return wrong(why, size, "mode", "it has to be \"on\" or \"off\"");
  if (msg != NULL && !json_is_null(msg) &&
      (!is_text(msg) || json_string_length(msg) > MESSAGE_MOST))
    return wrong(why, size, "msg",
                 "it has to be a string of at most 255 bytes");
  if (strcmp(mode, "on") == 0)
    *notice = json_is_string(msg) ? json_string_value(msg) : "";
  return true;
}

json_t *wish_maintenance(const json_t *body, char *why, size_t size) {
  static const char *const known[] = {"mode", "msg", "until", NULL};
  const json_t *mode = json_object_get(body, "mode"),
               *msg = json_object_get(body, "msg"),
               *until = json_object_get(body, "until");
  const char *word = json_string_value(mode);
  json_t *out;

  if (!only_known(body, known, why, size))
    return NULL;
  if (word == NULL || (strcmp(word, "off") != 0 && strcmp(word, "api") != 0 &&
                       strcmp(word, "full") != 0)) {
    (void)wrong(why, size, "mode", "it has to be \"off\", \"api\" or \"full\"");
    return NULL;
  }
  if (msg != NULL && !json_is_null(msg) &&
      (!is_text(msg) || json_string_length(msg) > MESSAGE_MOST)) {
    (void)wrong(why, size, "msg", "it has to be a string of at most 255 bytes");
    return NULL;
  }
  if (until != NULL && !json_is_null(until) &&
      (!json_is_integer(until) || json_integer_value(until) < 0)) {
    (void)wrong(why, size, "until",
                "it has to be a time in milliseconds since 1970");
    return NULL;
  }
  out = json_pack("{s:s, s:s, s:o}", "mode", word, "msg",
                  json_is_string(msg) ? json_string_value(msg) : "", "until",
                  json_is_integer(until) && json_integer_value(until) > 0
                      ? json_integer(json_integer_value(until))
                      : json_null());
  if (out == NULL)
    (void)wrong(why, size, "msg", "there is no memory for it");
  return out;
}
