/* The balancers: programs with a snapshot each, at addresses that stay theirs
 * through all their lives. */
#include "visit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CATCH_UP_MS = 3000, TERM_MS = 15000, STATUS_MS = 3000 };

/* The port file has two lines: for visitors, and the admin face. */
static bool read_addresses(balancer *b, const char *said) {
  char visitors[100], admin[100];
  if (sscanf(said, "%99[0-9.:] %99[0-9.:]", visitors, admin) != 2)
    return false;
  (void)snprintf(b->url, sizeof b->url, "http://%s", visitors);
  (void)snprintf(b->admin, sizeof b->admin, "http://%s", admin);
  return true;
}

static const char *address_of(const char *url, char *any, size_t size,
                              unsigned i) {
  if (url[0])
    return url + strlen("http://");
  own_address(any, size, i);
  return any;
}

bool balancer_start(visit *v, unsigned i) {
  balancer *b = &v->balancers[i];
  char program[PATH_LEN + 32], ports[PATH_LEN], listen[80], admin[80];
  char stale[32], threads[16], said[256];
  (void)snprintf(program, sizeof program, "%s/balancer%s", v->ko.platform,
                 v->o->naive ? "_hooked" : "");
  (void)snprintf(ports, sizeof ports, "%.400s/%s.ports", v->k.dir, b->id);
  (void)snprintf(stale, sizeof stale, "%lldms", (long long)v->o->stale_ms);
  (void)snprintf(threads, sizeof threads, "%u", v->o->threads);
  (void)unlink(ports);
  const char *argv[48] = {
      program,
      "--couch",
      v->k.couch[b->node],
      "--apps",
      v->k.apps,
      "--id",
      b->id,
      "--listen",
      address_of(b->url, listen, sizeof listen, DRONES_MOST + 10 + i),
      "--admin",
      address_of(b->admin, admin, sizeof admin, DRONES_MOST + 10 + i),
      "--port-file",
      ports,
      "--snapshot",
      b->snapshot,
      "--threads",
      threads,
      "--stale-time",
      stale,
      "--snapshot-every",
      "500ms",
      "--audit-every",
      "3s",
      "--drain-time",
      "1s"};
  size_t n = 0;
  while (argv[n])
    n++;
  n = couch_login(&v->k, argv, n);
  if (v->o->naive) {
    argv[n++] = "--naive";
    argv[n++] = v->o->naive;
  }
  if (v->o->haproxy) {
    argv[n++] = "--engine";
    argv[n++] = "haproxy";
    argv[n++] = "--haproxy-socket";
    argv[n++] = b->socket;
    argv[n++] = "--verify-every";
    argv[n++] = "2s";
  }
  balancer_ill(b);
  if (!proc_start(&b->proc, argv) ||
      !file_wait(&b->proc, ports, said, sizeof said) ||
      !read_addresses(b, said))
    return false;
  b->began_ms = now_ms();
  b->life++;
  if (!v->o->haproxy)
    b->door++;
  if (v->door_moved)
    v->door_moved(v->door_ctx, i, true);
  balancer_well(b, CATCH_UP_MS);
  return true;
}

void balancer_stop(visit *v, unsigned i, int sig) {
  balancer *b = &v->balancers[i];
  int status = 0;
  if (b->life % 2 == 1)
    b->life++;
  if (!v->o->haproxy && b->door % 2 == 1)
    b->door++;
  if (v->door_moved)
    v->door_moved(v->door_ctx, i, false);
  balancer_ill(b);
  if (proc_ended(&b->proc, &status)) {
    wrong(v, V10_LIVE, "balancer %s ended by itself: %x", b->id,
          (unsigned)status);
    return;
  }
  proc_kill(&b->proc, sig);
  if (!proc_wait(&b->proc, TERM_MS, &status)) {
    if (!v->o->naive) /* they may wait for what the database never says */
      wrong(v, V10_LIVE, "balancer %s does not end", b->id);
    proc_kill(&b->proc, SIGKILL);
    (void)proc_wait(&b->proc, TERM_MS, &status);
  } else if (sig == SIGTERM && status != 0) {
    wrong(v, V10_LIVE, "balancer %s ends with %x", b->id, (unsigned)status);
  }
}

bool balancers_start(visit *v) {
  for (unsigned i = 0; i < BALANCERS; i++) {
    balancer *b = &v->balancers[i];
    b->index = i;
    b->node = LOOKER_NODE + 1 + i;
    (void)snprintf(b->id, sizeof b->id, "b%u", i + 1);
    (void)snprintf(b->snapshot, sizeof b->snapshot, "%.400s/b%u.snapshot",
                   v->k.dir, i + 1);
    (void)snprintf(b->proc.log, sizeof b->proc.log, "%.400s/b%u.log", v->k.dir,
                   i + 1);
    if ((v->o->haproxy && !haproxy_start(v, i)) || !balancer_start(v, i))
      return false;
  }
  return true;
}

void balancers_end(visit *v) {
  for (unsigned i = 0; i < BALANCERS; i++) {
    if (v->balancers[i].proc.pid)
      balancer_stop(v, i, SIGTERM);
    if (v->balancers[i].haproxy.pid)
      haproxy_stop(v, i, SIGTERM);
  }
}

json_t *balancer_get(const balancer *b, const char *path, int64_t ms) {
  json_t *answer = NULL;
  rest *admin = rest_to(b->admin, NULL);
  int status = ask(admin, "GET", path, NULL, ms, &answer);
  rest_free(admin);
  if (status / 100 != 2) {
    json_decref(answer);
    return NULL;
  }
  return answer;
}

void balancer_ill(balancer *b) { b->ill_until_ms = INT64_MAX; }

void balancer_well(balancer *b, int64_t catch_up_ms) {
  b->ill_until_ms = now_ms() + catch_up_ms;
}

/* As it says itself. */
static bool is_in_step(const visit *v, const balancer *b) {
  json_t *status = balancer_get(b, "/status", STATUS_MS);
  const json_t *follows = json_object_get(status, "feed");
  bool in_step =
      json_is_true(json_object_get(status, "synced")) &&
      json_is_false(json_object_get(status, "stale")) &&
      json_is_integer(json_object_get(follows, "unproven")) &&
      json_integer_value(json_object_get(follows, "unproven")) == 0 &&
      (!v->o->haproxy || haproxy_has_all(status));
  json_decref(status);
  return in_step;
}

bool balancers_in_step(visit *v, int64_t ms) {
  int64_t end = now_ms() + ms;
  for (unsigned i = 0; i < BALANCERS; i++)
    while (!is_in_step(v, &v->balancers[i])) {
      if (now_ms() > end) {
        wrong(v, V6_SAME, "%s does not come to be in step", v->balancers[i].id);
        return false;
      }
      sleep_ms(50);
    }
  return true;
}
