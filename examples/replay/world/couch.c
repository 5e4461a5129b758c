/* The database: a simulated one, started, and told what is to go wrong; or one
 * that is there, which is told nothing, and in which a run has databases of its
 * own. */
#include "world.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- one that is there ---- */

/* user:password@ goes into a file, and programs are told the rest. */
static bool take_url(run *r, const char *url) {
  const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
  const char *at = memchr(host, '@', strcspn(host, "/"));
  char password[256] = "";
  size_t len = strlen(url);
  if (at) {
    size_t user = strcspn(host, ":@");
    (void)snprintf(r->couch_user, sizeof r->couch_user, "%.*s", (int)user,
                   host);
    if (host[user] == ':')
      (void)snprintf(password, sizeof password, "%.*s\n",
                     (int)(at - host - (ptrdiff_t)user - 1), host + user + 1);
    (void)snprintf(r->couch_password, sizeof r->couch_password,
                   "%.400s/couch.password", r->dir);
    if (!file_write(r->couch_password, password))
      return false;
  }
  for (unsigned i = 0; i < r->o->nodes; i++)
    (void)snprintf(r->couch[i], sizeof r->couch[i], "%.*s%.*s",
                   (int)(host - url), url,
                   (int)(len - (size_t)((at ? at + 1 : host) - url) -
                         (len && url[len - 1] == '/')),
                   at ? at + 1 : host);
  (void)snprintf(r->apps, sizeof r->apps, "replay-%llu-apps",
                 (unsigned long long)r->seed);
  (void)snprintf(r->locks, sizeof r->locks, "replay-%llu-locks",
                 (unsigned long long)r->seed);
  return true;
}

rest *couch_looker(const run *r) {
  return rest_to(r->o->against ? r->o->against : r->couch[2], NULL);
}

static void delete_database(rest *couch, const char *name) {
  char path[80];
  (void)snprintf(path, sizeof path, "/%s", name);
  int status = ask(couch, "DELETE", path, NULL, 20000, NULL);
  if (status / 100 != 2)
    (void)fprintf(stderr, "the database %s stays: %d\n", name, status);
}

void couch_leave(run *r) {
  if (!r->o->against || !r->apps[0])
    return;
  rest *couch = couch_looker(r);
  delete_database(couch, r->apps);
  delete_database(couch, r->locks);
  rest_free(couch);
}

json_t *couch_rows(rest *couch, const char *db, const char *prefix) {
  char path[200];
  json_t *all = NULL, *list = NULL;
  (void)snprintf(path, sizeof path,
                 "/%s/_all_docs?include_docs=true&startkey=%%22%s:%%22"
                 "&endkey=%%22%s;%%22",
                 db, prefix, prefix);
  if (ask(couch, "GET", path, NULL, 5000, &all) == 200)
    list = json_incref(json_object_get(all, "rows"));
  json_decref(all);
  return list;
}

/* ---- a simulated one ---- */

bool couch_start(run *r) {
  char program[PATH_LEN], seed[32], nodes[16], ports[PATH_LEN], said[1024];
  if (r->o->against)
    return take_url(r, r->o->against);
  (void)snprintf(r->apps, sizeof r->apps, "apps");
  (void)snprintf(r->locks, sizeof r->locks, "locks");
  (void)snprintf(program, sizeof program, "%s", r->o->couchsim);
  (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
  (void)snprintf(ports, sizeof ports, "%.400s/couch.ports", r->dir);
  (void)snprintf(r->couchsim.log, sizeof r->couchsim.log, "%.400s/couch.log",
                 r->dir);
  (void)snprintf(nodes, sizeof nodes, "%u", r->o->nodes);
  const char *argv[] = {program, "--nodes",     nodes, "--seed",
                        seed,    "--port-file", ports, NULL};
  if (!proc_start(&r->couchsim, argv) ||
      !file_wait(&r->couchsim, ports, said, sizeof said))
    return false;
  char *at = said;
  for (unsigned i = 0; i < r->o->nodes; i++) {
    char *end = strchr(at, '\n');
    if (!end)
      return false;
    (void)snprintf(r->couch[i], sizeof r->couch[i], "%.*s",
                   (int)(end - at - (end[-1] == '/')), at);
    at = end + 1;
  }
  at = strstr(said, "control ");
  if (!at)
    return false;
  (void)snprintf(r->control, sizeof r->control, "%.*s",
                 (int)strcspn(at + 8, "\n"), at + 8);
  size_t len = strlen(r->control);
  if (len && r->control[len - 1] == '/')
    r->control[len - 1] = '\0';
  return true;
}

bool couch_databases(run *r) {
  rest *couch = couch_looker(r);
  char path[128];
  (void)snprintf(path, sizeof path, "/%s%s", r->apps,
                 r->o->against ? "" : "?n=3");
  int apps = ask(couch, "PUT", path, NULL, 10000, NULL);
  (void)snprintf(path, sizeof path, "/%s?n=%u", r->locks, r->o->copies);
  int locks = ask(couch, "PUT", path, NULL, 10000, NULL);
  (void)snprintf(path, sizeof path, "/%s/sys:maintenance", r->apps);
  int sys = ask(couch, "PUT", path,
                json_pack("{s:s,s:s,s:n}", "mode", "off", "msg", "", "until"),
                5000, NULL);
  rest_free(couch);
  if (apps / 100 == 2 && locks / 100 == 2 && sys / 100 == 2)
    return true;
  (void)fprintf(stderr, "the databases %s and %s are not made: %d, %d, %d\n",
                r->apps, r->locks, apps, locks, sys);
  return false;
}

/* As long as the last of these writes may take. */
enum { LATE_MS = 12500 };
static const char rules[] = "[{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.06,"
                            "\"do\":{\"then\":\"close\"}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.04,"
                            "\"do\":{\"then\":\"reset\"}},"
                            "{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.04,"
                            "\"do\":{\"apply_ms\":1500,\"status\":500}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.03,"
                            "\"do\":{\"apply_ms\":4000,\"then\":\"close\"}},"
                            "{\"node\":0,\"kind\":\"doc_put\",\"chance\":0.01,"
                            "\"do\":{\"apply_ms\":12000,\"then\":\"silence\"}},"
                            "{\"node\":1,\"kind\":\"doc_put\",\"chance\":0.05,"
                            "\"do\":{\"status\":503}},"
                            "{\"node\":0,\"kind\":\"doc_get\",\"chance\":0.04,"
                            "\"do\":{\"status\":500}},"
                            "{\"node\":0,\"chance\":0.1,\"kind\":\"doc_put\","
                            "\"do\":{\"delay_ms\":300}},"
                            "{\"node\":1,\"chance\":0.1,\"kind\":\"doc_put\","
                            "\"do\":{\"head_ms\":400}}]";

void tell_couch(run *r, const char *method, const char *what, json_t *body) {
  if (!r->control[0]) {
    json_decref(body);
    return;
  }
  rest *control = rest_to(r->control, NULL);
  int status = ask(control, method, what, body, 5000, NULL);
  if (status / 100 != 2)
    (void)fprintf(stderr, "couchsim %s %s: %d\n", method, what, status);
  rest_free(control);
}

void couch_faults(run *r, bool on) {
  if (on)
    tell_couch(r, "POST", "/rules", json_loads(rules, 0, NULL));
  else
    tell_couch(r, "DELETE", "/rules", NULL);
  r->late_until_ms = now_ms() + LATE_MS;
}
