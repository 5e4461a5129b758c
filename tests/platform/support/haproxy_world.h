/* A HAProxy under test: started with the configuration that the balancer
   prints, and driven by the engine; table, guards and visitors are those of
   plane_world.h. */
#ifndef HAPROXY_WORLD_H
#define HAPROXY_WORLD_H

#include "platform/support/plane_world.h"
#include "support/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct haproxy_world {
  plane_world w;
  engine_config config;
  cft_proc *proc;
  char dir[64], config_path[96], socket[96], listen[32];
  int applied; /* how often the engine has told so */
} haproxy_world;

/* Where there is no HAProxy, nothing can be said. */
static inline void haproxy_or_skip(void) {
  const char *argv[] = {"haproxy", "-v", NULL};
  cft_proc *proc = cft_proc_start(argv, NULL);

  if (proc == NULL) {
    (void)fprintf(stderr, "skipped: there is no haproxy (Debian: haproxy)\n");
    exit(77);
  }
  cft_proc_free(proc);
}

/* Nobody was promised the port, so who uses it tries again with another. */
static inline uint16_t free_port(void) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  (void)close(fd);
  return ntohs(a.sin_port);
}

static inline void haproxy_write(haproxy_world *h) {
  FILE *file = fopen(h->config_path, "we");

  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(haproxy_write_config(&h->config, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static inline bool is_listening(void *ctx) {
  const haproxy_world *h = ctx;
  cft_client c;
  bool yes = cft_client_connect_unix(&c, h->socket);

  if (yes)
    cft_client_close(&c);
  return yes || !cft_proc_signal(h->proc, 0);
}

/* The same address as before, or the first free one. */
static inline void haproxy_start(haproxy_world *h) {
  const char *argv[] = {"haproxy", "-db", "-f", h->config_path, NULL};
  int tries = 0, status;

  for (;;) {
    if (h->w.port == 0 || tries != 0) {
      h->w.port = free_port();
      (void)snprintf(h->listen, sizeof h->listen, "127.0.0.1:%u",
                     (unsigned)h->w.port);
      haproxy_write(h);
    }
    h->proc = cft_proc_start(argv, NULL);
    ck_assert_ptr_nonnull(h->proc);
    ck_assert(cft_until(is_listening, h, WAIT_MS));
    if (cft_proc_signal(h->proc, 0))
      return;
    ck_assert(cft_proc_wait(h->proc, WAIT_MS, &status));
    ck_assert_msg(++tries < 5, "haproxy: %s",
                  cft_proc_text(h->proc, CFT_STDERR, NULL));
    cft_proc_free(h->proc);
  }
}

static inline void haproxy_kill(haproxy_world *h) {
  int status;

  ck_assert(cft_proc_signal(h->proc, SIGKILL));
  ck_assert(cft_proc_wait(h->proc, WAIT_MS, &status));
  cft_proc_free(h->proc);
  h->proc = NULL;
}

static inline void on_applied(void *ctx) { ((haproxy_world *)ctx)->applied++; }

static inline void haproxy_open_engine(haproxy_world *h) {
  char error[256] = "";

  h->w.engine = haproxy_open(&h->w.loop, &h->config, error, sizeof error);
  ck_assert_msg(h->w.engine != NULL, "%s", error);
  ck_assert_str_eq(engine_address(h->w.engine), h->listen);
}

/* The engine goes, HAProxy stays. */
static inline void haproxy_close_engine(haproxy_world *h) {
  engine_close(h->w.engine);
  h->w.engine = NULL;
  ck_assert_int_eq(uv_run(&h->w.loop, UV_RUN_DEFAULT), 0);
}

/* A table without routes, HAProxy, and no engine. */
static inline void haproxy_world_start(haproxy_world *h, engine_config config) {
  memset(h, 0, sizeof *h);
  world_open_table(&h->w);
  (void)snprintf(h->dir, sizeof h->dir, "/tmp/cft-haproxy-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(h->dir));
  (void)snprintf(h->config_path, sizeof h->config_path, "%s/haproxy.cfg",
                 h->dir);
  (void)snprintf(h->socket, sizeof h->socket, "%s/sock", h->dir);
  h->config = config;
  h->config.self = "b1";
  h->config.listen = h->listen;
  h->config.haproxy_socket = h->socket;
  h->config.table = h->w.table;
  h->config.metrics = h->w.metrics;
  h->config.on_applied = on_applied;
  h->config.ctx = h;
  if (h->config.max_connections == 0)
    h->config.max_connections = 500;
  if (h->config.threads == 0)
    h->config.threads = 2;
  haproxy_start(h);
}

static inline void haproxy_world_open(haproxy_world *h, engine_config config) {
  haproxy_world_start(h, config);
  haproxy_open_engine(h);
}

static inline void haproxy_world_close(haproxy_world *h) {
  world_close(&h->w);
  if (h->proc != NULL)
    haproxy_kill(h);
  (void)unlink(h->config_path);
  (void)unlink(h->socket);
  ck_assert_msg(rmdir(h->dir) == 0, "%s: %s", h->dir, strerror(errno));
}

/* ---- what is in force ---- */

static inline bool turn(haproxy_world *h) {
  (void)uv_run(&h->w.loop, UV_RUN_NOWAIT);
  return true;
}

static inline engine_status status_of(haproxy_world *h) {
  engine_status s;

  engine_get_status(h->w.engine, &s);
  return s;
}

static inline bool all_applied(void *ctx) {
  haproxy_world *h = ctx;

  (void)turn(h);
  for (size_t i = 0; i < WORLD_ROUTES; i++)
    if (h->w.held[i] != NULL && !engine_is_applied(h->w.engine, h->w.held[i]))
      return false;
  return status_of(h).waiting == 0 && status_of(h).trouble[0] == '\0';
}

static inline void until_applied(haproxy_world *h) {
  ck_assert_msg(cft_until(all_applied, h, WAIT_MS), "not applied: %s",
                status_of(h).trouble);
}

static inline void world_live_now(haproxy_world *h, size_t number,
                                  const char *app, const char *host,
                                  const char *addr, const char *claim) {
  world_live(&h->w, number, app, host, addr, claim);
  until_applied(h);
}

/* One command on the runtime socket, as an operator would give it; the answer
   is the caller's to free. */
static inline char *haproxy_say(const haproxy_world *h, const char *command) {
  cft_client c;
  char *answer;

  ck_assert(cft_client_connect_unix(&c, h->socket));
  ck_assert(cft_client_send(&c, command));
  ck_assert(cft_client_until_end(&c, WAIT_MS));
  answer = cft_strdup(c.data != NULL ? c.data : "");
  cft_client_close(&c);
  return answer;
}

/* ---- visitors ---- */

/* A request on a connection of its own, and the whole answer, to be freed.
   fields: more lines of the head, each with its end. */
static inline char *visit(const haproxy_world *h, const char *method,
                          const char *path, const char *host,
                          const char *fields) {
  char ask[4096];
  cft_client c;
  char *answer;

  (void)snprintf(ask, sizeof ask,
                 "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n",
                 method, path, host, fields);
  visitor(&h->w, &c);
  ck_assert(cft_client_send(&c, ask));
  ck_assert_msg(cft_client_until_end(&c, WAIT_MS), "%s%s: no end: %s", host,
                path, c.data);
  answer = cft_strdup(c.data != NULL ? c.data : "");
  cft_client_close(&c);
  return answer;
}

/* HAProxy writes names in lower case. Where the field's value begins, or an
   empty text. */
static inline const char *value_in(const char *answer, const char *name) {
  char line[96];
  const char *at;

  (void)snprintf(line, sizeof line, "\r\n%s: ", name);
  at = strstr(answer, line);
  return at != NULL ? at + strlen(line) : "";
}

/* The value alone, until the next call; on one thread. */
static inline const char *field_in(const char *answer, const char *name) {
  static char value[2048];
  const char *at = value_in(answer, name);

  (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
  return value;
}

static inline int status_in(const char *answer) {
  return strncmp(answer, "HTTP/1.1 ", 9) == 0
             ? (int)strtol(answer + 9, NULL, 10)
             : 0;
}

static inline const char *body_in(const char *answer) {
  const char *end = strstr(answer, "\r\n\r\n");

  return end != NULL ? end + 4 : "";
}

#endif
