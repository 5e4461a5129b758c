/* See couchsim.h. The program is known by its lines on standard output, its
   control port is spoken to with cft_http. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "couchsim.h"
#include "couch.h"
#include "proc.h"
#include "timing.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  MAX_NODES = 8,
  MAX_ARGS = 40,
  URL_SIZE = 256,
  READY_MS = 60000,
  FIRST_BYTE_MS = 10000
};

struct cft_couchsim {
  cft_proc *proc;
  unsigned nodes;
  char url[MAX_NODES][URL_SIZE], plain[MAX_NODES][URL_SIZE];
  char control[URL_SIZE];
};

static char *formatted(const char *format, va_list args) {
  char *text = NULL;
  if (vasprintf(&text, format, args) < 0)
    ck_abort_msg("no memory");
  return text;
}

static void read_lines(cft_couchsim *sim, const char *admin) {
  static const char node[] = "couchsim: listening on http://";
  static const char control[] = "couchsim: control on ";
  const char *line;
  while ((line = cft_proc_line(sim->proc, CFT_STDOUT, READY_MS)) != NULL) {
    if (strncmp(line, node, sizeof node - 1) == 0 && sim->nodes < MAX_NODES) {
      const char *at = line + sizeof node - 1;
      int len = (int)strcspn(at, "/");
      (void)snprintf(sim->plain[sim->nodes], URL_SIZE, "http://%.*s", len, at);
      (void)snprintf(sim->url[sim->nodes++], URL_SIZE, "http://%s%s%.*s", admin,
                     *admin ? "@" : "", len, at);
    } else if (strncmp(line, control, sizeof control - 1) == 0) {
      (void)snprintf(sim->control, URL_SIZE, "%s", line + sizeof control - 1);
      return;
    }
  }
  ck_abort_msg("couchsim did not get ready");
}

cft_couchsim *cft_couchsim_start(const char *const *args) {
  const char *program = getenv("CFT_COUCHSIM"), *admin = "";
  const char *argv[MAX_ARGS];
  size_t n = 0;
  cft_couchsim *sim = calloc(1, sizeof *sim);
  if (sim == NULL)
    ck_abort_msg("no memory");
  if (program == NULL || access(program, X_OK) != 0)
    ck_abort_msg("CFT_COUCHSIM does not name the program couchsim");
  argv[n++] = program;
  argv[n++] = "--with-parent";
  for (; args != NULL && *args != NULL && n + 1 < MAX_ARGS; args++) {
    if (strcmp(*args, "--admin") == 0 && *admin == '\0' && args[1] != NULL)
      admin = args[1];
    argv[n++] = *args;
  }
  argv[n] = NULL;
  sim->proc = cft_proc_start(argv, NULL);
  if (sim->proc == NULL)
    ck_abort_msg("cannot start %s: %s", program, strerror(errno));
  read_lines(sim, admin);
  return sim;
}

void cft_couchsim_stop(cft_couchsim *sim) {
  int status = -1;
  if (sim == NULL)
    return;
  if (cft_proc_wait(sim->proc, 0, &status))
    ck_abort_msg("couchsim ended by itself with status %d: %s", status,
                 cft_proc_text(sim->proc, CFT_STDERR, &(size_t){0}));
  (void)cft_proc_signal(sim->proc, SIGTERM);
  if (!cft_proc_wait(sim->proc, 30000, &status) || status != 0)
    ck_abort_msg("couchsim ended with status %d: %s", status,
                 cft_proc_text(sim->proc, CFT_STDERR, &(size_t){0}));
  cft_proc_free(sim->proc);
  free(sim);
}

const char *cft_couchsim_url(const cft_couchsim *sim, unsigned node) {
  ck_assert_uint_lt(node, sim->nodes);
  return sim->url[node];
}

const char *cft_couchsim_plain_url(const cft_couchsim *sim, unsigned node) {
  ck_assert_uint_lt(node, sim->nodes);
  return sim->plain[node];
}

pid_t cft_couchsim_pid(const cft_couchsim *sim) {
  return cft_proc_pid(sim->proc);
}

static char *control(cft_couchsim *sim, const char *method, const char *what,
                     const char *body, int low, int high) {
  char url[URL_SIZE + 64], *answer = NULL;
  int status;
  (void)snprintf(url, sizeof url, "%s%s", sim->control, what);
  status = cft_http(method, url, body, &answer);
  if (status < low || status > high)
    ck_abort_msg("couchsim answered %s %s %s with %d: %s", method, what,
                 body ? body : "", status, answer ? answer : "");
  return answer;
}

void cft_couchsim_tell(cft_couchsim *sim, const char *what, const char *format,
                       ...) {
  va_list args;
  char *body;
  va_start(args, format);
  body = formatted(format, args);
  va_end(args);
  free(control(sim, "POST", what, body, 200, 201));
  free(body);
}

void cft_couchsim_rule(cft_couchsim *sim, const char *format, ...) {
  va_list args;
  char *body;
  va_start(args, format);
  body = formatted(format, args);
  va_end(args);
  free(control(sim, "POST", "rules", body, 201, 201));
  free(body);
}

void cft_couchsim_no_rules(cft_couchsim *sim) {
  free(control(sim, "DELETE", "rules", NULL, 200, 200));
}

json_t *cft_couchsim_ask(cft_couchsim *sim, const char *what) {
  char *answer = control(sim, "GET", what, NULL, 200, 200);
  json_t *v = json_loads(answer, JSON_DECODE_ANY, NULL);
  if (v == NULL)
    ck_abort_msg("couchsim answered %s with what is no JSON: %s", what, answer);
  free(answer);
  return v;
}

uint64_t cft_couchsim_count(cft_couchsim *sim, const char *kind) {
  json_t *v = cft_couchsim_ask(sim, "counters");
  const json_t *n = kind == NULL
                        ? json_object_get(v, "requests")
                        : json_object_get(json_object_get(v, "kinds"), kind);
  uint64_t count = (uint64_t)json_integer_value(n);
  json_decref(v);
  return count;
}

uint64_t cft_couchsim_feeds(cft_couchsim *sim) {
  json_t *v = cft_couchsim_ask(sim, "counters");
  uint64_t feeds = (uint64_t)json_integer_value(json_object_get(v, "feeds"));
  json_decref(v);
  return feeds;
}

int cft_couchsim_do(cft_couchsim *sim, unsigned node, const char *method,
                    const char *path, const char *body, json_t **answer) {
  char *url = NULL, *text = NULL;
  int status;
  if (asprintf(&url, "%s%s", cft_couchsim_url(sim, node), path) < 0)
    ck_abort_msg("no memory");
  status = cft_http(method, url, body, &text);
  if (answer != NULL)
    *answer = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
  free(text);
  free(url);
  return status;
}

void cft_couchsim_must(cft_couchsim *sim, int status, const char *method,
                       const char *path, const char *format, ...) {
  va_list args;
  char *body = NULL;
  json_t *answer;
  int got;
  if (format != NULL) {
    va_start(args, format);
    body = formatted(format, args);
    va_end(args);
  }
  got = cft_couchsim_do(sim, 0, method, path, body, &answer);
  if (got != status) {
    char *text = answer ? json_dumps(answer, JSON_ENCODE_ANY) : NULL;
    ck_abort_msg("%s %s %s: %d %s, not %d", method, path, body ? body : "", got,
                 text ? text : "", status);
  }
  json_decref(answer);
  free(body);
}

static int connected(const char *plain) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const char *port = strrchr(plain, ':');
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    ck_abort_msg("cannot connect to %s: %s", plain, strerror(errno));
  return fd;
}

char *cft_couchsim_raw(cft_couchsim *sim, unsigned node, const void *bytes,
                       size_t size, int64_t silent_ms, size_t *len, bool *ended,
                       bool *was_reset,
                       bool (*enough)(const char *text, size_t len, void *user),
                       void *user) {
  int fd = connected(cft_couchsim_plain_url(sim, node));
  size_t cap = 65536;
  char *text = malloc(cap);
  ssize_t n;
  int64_t wait_ms;
  if (text == NULL)
    ck_abort_msg("no memory");
  *len = 0;
  *ended = *was_reset = false;
  wait_ms = silent_ms < 0               ? -silent_ms
            : silent_ms < FIRST_BYTE_MS ? FIRST_BYTE_MS
                                        : silent_ms;
  /* A server that refuses early may have closed: what it said counts. */
  (void)send(fd, bytes, size, MSG_NOSIGNAL);
  for (;;) {
    struct pollfd p = {fd, POLLIN, 0};
    if (poll(&p, 1, (int)wait_ms) <= 0)
      break;
    wait_ms = silent_ms < 0 ? -silent_ms : silent_ms;
    n = recv(fd, text + *len, cap - *len - 1, 0);
    if (n <= 0) {
      *ended = true;
      *was_reset = n < 0;
      break;
    }
    *len += (size_t)n;
    text[*len] = '\0';
    if (enough != NULL && enough(text, *len, user))
      break;
    if (cap - *len < 4096) {
      char *more = realloc(text, cap *= 2);
      if (more == NULL)
        ck_abort_msg("no memory");
      text = more;
    }
  }
  text[*len] = '\0';
  (void)close(fd);
  return text;
}

cft_revs *cft_couchsim_revs(cft_couchsim *sim, unsigned node, const char *db) {
  char *url = NULL, *body = NULL;
  cft_revs *revs = cft_revs_new();
  cft_rows rows;
  int status;
  if (asprintf(&url, "%s/%s/_changes", cft_couchsim_url(sim, node), db) < 0)
    ck_abort_msg("no memory");
  status = cft_http("GET", url, NULL, &body);
  if (status != 200)
    ck_abort_msg("%s: %d", url, status);
  cft_rows_read(body, strlen(body), &rows);
  cft_revs_put_rows(revs, &rows);
  cft_rows_clear(&rows);
  free(body);
  free(url);
  return revs;
}
