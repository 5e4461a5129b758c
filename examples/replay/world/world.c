/* All programs of a run: a database of three nodes (users of it: provisioners
 * on the first two, where the faults are; what only looks, on the third),
 * drones entered by hand, three provisioners without a driver. */
#include "world.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READY_MS = 20000, AT_ONCE = 8 };

const char *token_text(void) { return "0123456789abcdef0123456789abcdef"; }

rest *rest_to(const char *url, const char *token) {
  char error[256];
  rest_config config = {
      .url = url, .token = token, .connect_ms = 1000, .total_ms = 5000};
  rest *r = rest_new(&config, error, sizeof error);
  if (!r) {
    (void)fprintf(stderr, "%s\n", error);
    exit(2);
  }
  return r;
}

int ask(rest *to, const char *method, const char *path, json_t *body,
        int64_t ms, json_t **answer) {
  rest_reply reply;
  int status = rest_call_ms(to, method, path, body, ms, &reply);
  json_decref(body);
  if (answer)
    *answer = json_incref(reply.body);
  rest_reply_free(&reply);
  return status;
}

bool file_wait(proc *p, const char *path, char *out, size_t size) {
  int64_t end = now_ms() + READY_MS;
  int status = 0;
  while (!file_read(path, out, size)) {
    if (now_ms() > end || proc_ended(p, &status)) {
      (void)fprintf(stderr, "not ready: %s, see %s\n", path, p->log);
      return false;
    }
    sleep_ms(5);
  }
  return true;
}

/* ---- drones ---- */

/* An address of its own for each program that is started again: a port of
   127.0.0.1 may be some connection's by then, one of 127.9.1.2 is not. */
void own_address(char *out, size_t size, unsigned i) {
  unsigned pid = (unsigned)getpid();
  (void)snprintf(out, size, "127.%u.%u.%u:0", 1 + pid % 250, pid / 250 % 250,
                 1 + i % 250);
}

static void drone_ports(const run *r, unsigned i, char out[PATH_LEN]) {
  (void)snprintf(out, PATH_LEN, "%.400s/drone-%u.ports", r->dir, i);
}

/* The process only; see drone_ready. */
static bool drone_begin(run *r, unsigned i) {
  drone *d = &r->drones[i];
  char program[PATH_LEN + 16], ports[PATH_LEN], any[64];
  (void)snprintf(program, sizeof program, "%s/drone%s", r->o->platform,
                 r->o->drone_naive ? "_hooked" : "");
  drone_ports(r, i, ports);
  own_address(any, sizeof any, i);
  (void)unlink(ports);
  bool again = d->addr[0] != '\0';
  const char *argv[16] = {
      program, "--addr", again ? d->addr : any, "--ctl",  again ? d->ctl : any,
      "--dir", d->dir,   "--token-file",        r->token, "--port-file",
      ports};
  size_t n = 11;
  if (geteuid() == 0)
    argv[n++] = "--as-root";
  if (r->o->drone_naive) {
    argv[n++] = "--naive";
    argv[n++] = r->o->drone_naive;
  }
  return proc_start(&d->proc, argv);
}

static bool drone_ready(run *r, unsigned i) {
  drone *d = &r->drones[i];
  char ports[PATH_LEN], said[512];
  drone_ports(r, i, ports);
  if (!file_wait(&d->proc, ports, said, sizeof said))
    return false;
  if (!d->addr[0] && sscanf(said, "guard %63s ctl %63s", d->addr, d->ctl) != 2)
    return false;
  d->stopped = false;
  return true;
}

bool drone_start(run *r, unsigned i) {
  return drone_begin(r, i) && drone_ready(r, i);
}

void drone_stop(run *r, unsigned i, int sig, bool lose_file) {
  drone *d = &r->drones[i];
  int status = 0;
  char path[PATH_LEN + 16];
  d->stopped = true;
  proc_kill(&d->proc, sig);
  if (!proc_wait(&d->proc, 15000, &status)) {
    proc_kill(&d->proc, SIGKILL);
    (void)proc_wait(&d->proc, 5000, &status);
  }
  if (lose_file) {
    (void)snprintf(path, sizeof path, "%s/claim", d->dir);
    (void)unlink(path);
  }
}

bool drones_enter(run *r, unsigned first, unsigned count) {
  json_t *docs = json_array();
  char path[80];
  for (unsigned i = first; i < first + count; i++) {
    char id[96];
    (void)snprintf(id, sizeof id, "drone:%s", r->drones[i].addr);
    (void)json_array_append_new(
        docs,
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:n,s:I}", "_id", id, "addr",
                  r->drones[i].addr, "ctl", r->drones[i].ctl, "vm", "", "state",
                  "booting", "epoch", 0, "claim", "at", (json_int_t)1));
  }
  rest *couch = couch_looker(r);
  (void)snprintf(path, sizeof path, "/%s/_bulk_docs", r->locks);
  r->entered += count;
  int status =
      ask(couch, "POST", path, json_pack("{s:o}", "docs", docs), 20000, NULL);
  rest_free(couch);
  return status / 100 == 2;
}

/* Some at a time: each needs a moment until it is ready. */
static bool start_drones(run *r) {
  r->drones = calloc(r->o->drones, sizeof *r->drones);
  if (!r->drones)
    return false;
  for (unsigned i = 0; i < r->o->drones + AT_ONCE; i++) {
    drone *d = &r->drones[i];
    if (i >= AT_ONCE && !drone_ready(r, i - AT_ONCE))
      return false;
    if (i >= r->o->drones)
      continue;
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)snprintf(d->dir, sizeof d->dir, "%.400s/drone-%u", r->dir, i);
    (void)snprintf(d->proc.log, sizeof d->proc.log, "%.400s/drone-%u.log",
                   r->dir, i);
    if (mkdir(d->dir, 0700) != 0 || !drone_begin(r, i))
      return false;
  }
  return drones_enter(r, 0, r->o->drones - r->o->spare);
}

/* ---- provisioners ---- */

/* Most runs ask more often than anybody may by default. */
static size_t add_limits(const run *r, const char *argv[], size_t n) {
  static const char *const loose[] = {"--app-every", "200ms",         "--rate",
                                      "1000",        "--force-every", "1s"};
  for (size_t i = 0; !r->o->operated && i < sizeof loose / sizeof *loose; i++)
    argv[n++] = loose[i];
  return n;
}

size_t couch_login(const run *r, const char *argv[], size_t n) {
  if (r->couch_user[0]) {
    argv[n++] = "--couch-user";
    argv[n++] = r->couch_user;
    argv[n++] = "--couch-password-file";
    argv[n++] = r->couch_password;
  }
  return n;
}

bool prov_start(run *r, unsigned i, const char *failpoint) {
  prov *p = &r->provs[i];
  char program[PATH_LEN + 32], ports[PATH_LEN], id[16], listen[80];
  char start[16];
  (void)snprintf(start, sizeof start, "%us",
                 r->o->start_s ? r->o->start_s : 20);
  bool hooked = !r->o->plain || r->o->naive || failpoint;
  (void)snprintf(program, sizeof program, "%s/provisioner%s", r->o->platform,
                 hooked ? "_hooked" : "");
  (void)snprintf(ports, sizeof ports, "%.400s/prov-%u.ports", r->dir, i);
  (void)snprintf(id, sizeof id, "p%u", i);
  if (p->url[0])
    (void)snprintf(listen, sizeof listen, "%s", p->url + strlen("http://"));
  else
    own_address(listen, sizeof listen, DRONES_MOST + i);
  (void)snprintf(p->failpoint, sizeof p->failpoint, "%s",
                 failpoint ? failpoint : "");
  (void)unlink(ports);
  const char *argv[48] = {program,
                          "--couch",
                          r->couch[i % 2],
                          "--apps",
                          r->apps,
                          "--locks",
                          r->locks,
                          "--id",
                          id,
                          "--listen",
                          listen,
                          "--port-file",
                          ports,
                          "--token-file",
                          r->token,
                          "--drone-token-file",
                          r->token,
                          "--driver",
                          "none",
                          "--start-time",
                          start,
                          "--bind-time",
                          "3s",
                          "--reap-time",
                          "4s"};
  size_t n = 0;
  while (argv[n])
    n++;
  n = add_limits(r, argv, n);
  n = couch_login(r, argv, n);
  if (r->o->naive) {
    argv[n++] = "--naive";
    argv[n++] = r->o->naive;
  }
  if (failpoint) {
    argv[n++] = "--failpoint";
    argv[n++] = p->failpoint;
  }
  if (!proc_start(&p->proc, argv))
    return false;
  char said[256], addr[128];
  if (!file_wait(&p->proc, ports, said, sizeof said))
    return false;
  if (p->url[0])
    return true;
  const char *at = strstr(said, "127.");
  if (!at || sscanf(at, "%100[0-9.:]", addr) != 1)
    return false;
  (void)snprintf(p->url, sizeof p->url, "http://%.100s", addr);
  return true;
}

/* ---- all ---- */

bool world_open(run *r) {
  char template[PATH_LEN];
  (void)snprintf(template, sizeof template, "%.400s/run-%llu-XXXXXX", r->o->dir,
                 (unsigned long long)r->seed);
  if (!mkdtemp(template))
    return false;
  (void)snprintf(r->dir, sizeof r->dir, "%s", template);
  (void)snprintf(r->token, sizeof r->token, "%.400s/token", r->dir);
  (void)snprintf(r->nonce_log, sizeof r->nonce_log, "%.400s/nonce.log", r->dir);
  (void)chmod(r->dir, 0755);
  if (!file_write(r->token, token_text()) || !couch_start(r) ||
      !couch_databases(r) || !start_drones(r))
    return false;
  for (unsigned i = 0; i < r->o->provs; i++) {
    (void)snprintf(r->provs[i].proc.log, sizeof r->provs[i].proc.log,
                   "%.400s/prov-%u.log", r->dir, i);
    if (!prov_start(r, i, NULL))
      return false;
  }
  return true;
}

void world_kill(run *r) {
  procs_forbid();
  for (unsigned i = 0; i < r->o->provs; i++)
    proc_kill(&r->provs[i].proc, SIGKILL);
  for (unsigned i = 0; r->drones && i < r->o->drones; i++)
    proc_kill(&r->drones[i].proc, SIGKILL);
  proc_kill(&r->couchsim, SIGKILL);
}

void world_close(run *r) {
  int status = 0;
  for (unsigned i = 0; i < r->o->provs; i++) {
    proc_kill(&r->provs[i].proc, SIGCONT);
    proc_kill(&r->provs[i].proc, SIGKILL);
    (void)proc_wait(&r->provs[i].proc, 5000, &status);
  }
  for (unsigned i = 0; r->drones && i < r->o->drones; i++) {
    proc_kill(&r->drones[i].proc, SIGCONT);
    proc_kill(&r->drones[i].proc, SIGTERM);
  }
  for (unsigned i = 0; r->drones && i < r->o->drones; i++)
    drone_stop(r, i, SIGTERM, false);
  couch_leave(r);
  proc_kill(&r->couchsim, SIGTERM);
  if (!proc_wait(&r->couchsim, 5000, &status)) {
    proc_kill(&r->couchsim, SIGKILL);
    (void)proc_wait(&r->couchsim, 5000, &status);
  }
}
