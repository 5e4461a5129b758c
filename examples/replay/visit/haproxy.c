/* With --engine haproxy each balancer has an HAProxy of its own, started with
 * the configuration that the balancer prints. Visitors come to it, and it lives
 * on when its balancer ends. */
#include "visit.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { TRIES = 5, AGAIN_MS = 200, UP_MS = 20000, PRINT_MS = 20000 };

static const char http[] = "http://";

/* One that nobody has now, at an address of its own. */
static bool choose_address(balancer *b) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t len = sizeof a;
  char own[80];
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  own_address(own, sizeof own, DRONES_MOST + 20 + b->index);
  own[strcspn(own, ":")] = '\0';
  bool ok = fd >= 0 && inet_pton(AF_INET, own, &a.sin_addr) == 1 &&
            bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
            getsockname(fd, (struct sockaddr *)&a, &len) == 0;
  if (fd >= 0)
    (void)close(fd);
  if (ok)
    (void)snprintf(b->url, sizeof b->url, "%s%s:%u", http, own,
                   (unsigned)ntohs(a.sin_port));
  return ok;
}

/* false, told on stderr: they are too long. */
static bool name_files(const visit *v, balancer *b) {
  char dir[sizeof v->k.dir],
      id[sizeof b->id]; /* copies: all is in one object */
  int len;

  memcpy(dir, v->k.dir, sizeof dir);
  memcpy(id, b->id, sizeof id);
  len = snprintf(b->socket, sizeof b->socket, "%s/%s.sock", dir, id);
  (void)snprintf(b->config, sizeof b->config, "%.400s/%s.haproxy", dir, id);
  (void)snprintf(b->haproxy.log, sizeof b->haproxy.log, "%.400s/%s.haproxy.log",
                 dir, id);
  if (len > 0 && (size_t)len < sizeof b->socket)
    return true;
  (void)fprintf(stderr, "%s: too long a path for a socket\n", dir);
  return false;
}

/* By the balancer; an error it tells is in the file, too. */
static bool print_config(visit *v, const balancer *b) {
  char program[PATH_LEN + 32], threads[16];
  proc print = {.pid = 0};
  int status = -1;
  (void)snprintf(program, sizeof program, "%s/balancer", v->ko.platform);
  (void)snprintf(threads, sizeof threads, "%u", v->o->threads);
  (void)snprintf(print.log, sizeof print.log, "%s", b->config);
  const char *argv[] = {program,
                        "--print-haproxy-config",
                        "--id",
                        b->id,
                        "--listen",
                        b->url + strlen(http),
                        "--engine",
                        "haproxy",
                        "--haproxy-socket",
                        b->socket,
                        "--threads",
                        threads,
                        "--max-connections",
                        "500",
                        NULL};
  (void)unlink(b->config);
  if (proc_start(&print, argv) && proc_wait(&print, PRINT_MS, &status) &&
      status == 0)
    return true;
  proc_kill(&print, SIGKILL);
  (void)fprintf(stderr, "%s prints no configuration, see %s\n", b->id,
                b->config);
  return false;
}

/* Nobody else answers there: it listens everywhere by then. */
static bool is_up(const balancer *b) {
  static const char question[] = "show info\n";
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  struct timeval most = {1, 0};
  char some[16];
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  memcpy(a.sun_path, b->socket, sizeof b->socket);
  bool up = fd >= 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most) == 0 &&
            connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
            send(fd, question, strlen(question), MSG_NOSIGNAL) > 0 &&
            recv(fd, some, sizeof some, 0) > 0;
  if (fd >= 0)
    (void)close(fd);
  return up;
}

static bool run_it(balancer *b) {
  const char *argv[] = {"/usr/bin/env", "haproxy", "-db",
                        "-f",           b->config, NULL};
  int64_t end = now_ms() + UP_MS;
  int status = 0;
  if (!proc_start(&b->haproxy, argv))
    return false;
  while (!proc_ended(&b->haproxy, &status) && now_ms() < end) {
    if (is_up(b))
      return true;
    sleep_ms(5);
  }
  proc_kill(&b->haproxy, SIGKILL);
  (void)proc_wait(&b->haproxy, UP_MS, &status);
  (void)fprintf(stderr, "HAProxy of %s is not up, see %s\n", b->id,
                b->haproxy.log);
  return false;
}

/* Somebody may take a port before HAProxy does. */
bool haproxy_start(visit *v, unsigned i) {
  balancer *b = &v->balancers[i];
  bool again = b->url[0] != '\0';
  for (int n = 0; n < TRIES; n++) {
    if (!again &&
        (!name_files(v, b) || !choose_address(b) || !print_config(v, b)))
      return false;
    if (run_it(b)) {
      b->door++;
      return true;
    }
    sleep_ms(AGAIN_MS);
  }
  return false;
}

void haproxy_stop(visit *v, unsigned i, int sig) {
  balancer *b = &v->balancers[i];
  int status = 0;
  if (b->door % 2 == 1)
    b->door++;
  if (proc_ended(&b->haproxy, &status)) {
    wrong(v, V10_LIVE, "HAProxy of %s ended by itself: %x", b->id,
          (unsigned)status);
    return;
  }
  proc_kill(&b->haproxy, sig);
  if (proc_wait(&b->haproxy, UP_MS, &status))
    return;
  wrong(v, V10_LIVE, "HAProxy of %s does not end", b->id);
  proc_kill(&b->haproxy, SIGKILL);
  (void)proc_wait(&b->haproxy, UP_MS, &status);
}

bool haproxy_has_all(const json_t *status) {
  const json_t *engine = json_object_get(status, "engine");
  const json_t *waiting = json_object_get(engine, "waiting");
  const char *trouble = json_string_value(json_object_get(engine, "trouble"));
  return json_is_integer(waiting) && json_integer_value(waiting) == 0 &&
         trouble && trouble[0] == '\0';
}
