/* The parts of the balancer in one loop; see run.h. The admin face is there
   first, then the engine with what the snapshot has, then the database. On
   SIGTERM or SIGINT: no new visitor, and those that are there are let finish;
   the document goes, the snapshot is saved; the admin face goes last. A second
   signal ends it at once. */
#include "balancer/run.h"

#include "balancer/admin.h"
#include "balancer/shadow.h"
#include "common/log.h"
#include "common/program.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOOK_MS = 1000, EXIT_DIFFERS = 1, BALANCERS_MOST = PEERS_MOST + 1 };

typedef struct program {
  const options *o;
  uv_loop_t loop;
  program_signals signals;
  uv_timer_t look, lifetime;
  metrics *metrics;
  table *table;
  admin *admin;
  engine *engine; /* NULL: a shadow */
  follow *follow;
  peers *peers;
  shadow *shadow;
  char boot[CLAIM_LEN + 1];
  bool ending;
  int status;
} program;

/* ---- ending, in this order ---- */

static void on_admin_closed(void *ctx) {
  program *p = ctx;

  program_signals_close(&p->signals);
}

static void on_follow_closed(void *ctx) {
  program *p = ctx;

  p->follow = NULL;
  admin_close(p->admin, on_admin_closed, p);
}

static void on_drained(void *ctx) {
  program *p = ctx;

  p->shadow = NULL;
  if (p->engine != NULL)
    engine_close(p->engine);
  p->engine = NULL;
  admin_attach(p->admin, NULL, NULL, NULL);
  peers_stop(p->peers);
  p->peers = NULL;
  follow_close(p->follow, on_follow_closed, p);
}

static void end(program *p, int status) {
  if (p->ending)
    return;
  p->ending = true;
  p->status = status;
  log_event(LOG_INFO, "draining", LS("id", p->o->id));
  uv_close((uv_handle_t *)&p->look, NULL);
  uv_close((uv_handle_t *)&p->lifetime, NULL);
  if (p->engine != NULL)
    engine_drain(p->engine, on_drained, p);
  else
    shadow_close(p->shadow, on_drained, p);
}

static bool on_signal(void *ctx) {
  program *p = ctx;

  if (p->ending)
    return false;
  end(p, EXIT_SUCCESS);
  return true;
}

/* A shadow's time is over. */
static void on_lifetime(uv_timer_t *timer) {
  program *p = timer->data;
  uint64_t compared = shadow_compared(p->shadow);
  uint64_t differences = shadow_differences(p->shadow);
  bool whole = shadow_is_round(p->shadow);

  (void)printf("balancer: %llu answers compared, %llu differ%s\n",
               (unsigned long long)compared, (unsigned long long)differences,
               whole ? "" : "; not every host at every peer was compared yet");
  end(p, differences == 0 && whole ? EXIT_SUCCESS : EXIT_DIFFERS);
}

/* ---- from the parts ---- */

static void on_change(void *ctx, const route *was, const route *is) {
  program *p = ctx;

  if (p->engine != NULL)
    engine_changed(p->engine, was, is);
  admin_changed(p->admin);
}

static void on_replaced(void *ctx) {
  program *p = ctx;

  if (p->engine != NULL)
    engine_replaced(p->engine);
  admin_changed(p->admin);
}

static void on_notice(void *ctx) {
  program *p = ctx;

  if (p->engine != NULL)
    engine_noticed(p->engine);
}

static void on_applied(void *ctx) {
  program *p = ctx;

  admin_changed(p->admin);
}

/* Now and then: what is replaced is freed, and the peers' thread is told what
   there is. */
static void on_look(uv_timer_t *timer) {
  program *p = timer->data;
  balancer_doc all[BALANCERS_MOST];
  follow_status now;
  size_t count;

  table_reclaim(p->table);
  follow_get_status(p->follow, &now);
  count = follow_balancers(p->follow, all, BALANCERS_MOST);
  peers_set(p->peers, all, count, &now.digest, now.routes);
}

/* ---- beginning ---- */

static void raise_descriptors(void) {
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log_event(LOG_WARN, "descriptors", LS("why", strerror(errno)));
}

static bool open_admin(program *p, char *error, size_t size) {
  admin_config how = {.listen = config_string(p->o->config, "admin"),
                      .self = p->o->id,
                      .version = BALANCER_VERSION,
                      .boot = p->boot,
                      .table = p->table,
                      .metrics = p->metrics};

  p->admin = admin_open(&p->loop, &how, error, size);
  return p->admin != NULL;
}

static engine_config engine_options(const program *p) {
  const config *c = p->o->config;
  engine_config how = {.self = p->o->id,
                       .listen = config_string(c, "listen"),
                       .threads = (unsigned)config_number(c, "threads"),
                       .table = p->table,
                       .metrics = p->metrics,
                       .access_log = config_flag(c, "access-log"),
                       .forwarded_https = config_flag(c, "https"),
                       .max_connections =
                           (size_t)config_number(c, "max-connections"),
                       .max_app = (size_t)config_number(c, "max-app"),
                       .max_body = (uint64_t)config_number(c, "max-body"),
                       .max_head = (size_t)config_number(c, "max-head"),
                       .head_ms = config_number(c, "head-time"),
                       .idle_ms = config_number(c, "idle-time"),
                       .connect_ms = config_number(c, "connect-time"),
                       .answer_ms = config_number(c, "answer-time"),
                       .drain_ms = config_number(c, "drain-time"),
                       .tunnel_ms = config_number(c, "tunnel-time"),
                       .haproxy_socket = config_string(c, "haproxy-socket"),
                       .verify_ms = config_number(c, "verify-every"),
                       .on_applied = on_applied};

#ifdef PLATFORM_HOOKS
  how.naive = config_string(c, "naive");
#endif
  return how;
}

static bool open_engine(program *p, char *error, size_t size) {
  engine_config how = engine_options(p);
  bool haproxy = strcmp(config_string(p->o->config, "engine"), "haproxy") == 0;

  if (config_flag(p->o->config, "shadow"))
    return true;
  how.ctx = p;
  p->engine = haproxy ? haproxy_open(&p->loop, &how, error, size)
                      : plane_open(&p->loop, &how, error, size);
  return p->engine != NULL;
}

static bool open_peers(program *p, char *error, size_t size) {
  peers_config how = {.self = p->o->id,
                      .admin = admin_address(p->admin),
                      .metrics = p->metrics};

  how.url_count = config_list(p->o->config, "peer", &how.urls);
  p->peers = peers_start(&how, error, size);
  return p->peers != NULL;
}

static const char *address(const program *p) {
  const char *said = config_string(p->o->config, "advertise");

  if (said != NULL)
    return said;
  return p->engine != NULL ? engine_address(p->engine)
                           : config_string(p->o->config, "listen");
}

static const char *admin_said(const program *p) {
  const char *said = config_string(p->o->config, "advertise-admin");

  return said != NULL ? said : admin_address(p->admin);
}

static bool open_follow(program *p, char *error, size_t size) {
  const config *c = p->o->config;
  follow_config how = {.couch = p->o->couch,
                       .apps = config_string(c, "apps"),
                       .self = p->o->id,
                       .version = BALANCER_VERSION,
                       .addr = address(p),
                       .admin = admin_said(p),
                       .boot = p->boot,
                       .announce = !config_flag(c, "shadow"),
                       .snapshot = config_string(c, "snapshot"),
                       .snapshot_ms = config_number(c, "snapshot-every"),
                       .audit_ms = config_number(c, "audit-every"),
                       .stale_ms = config_number(c, "stale-time"),
                       .table = p->table,
                       .metrics = p->metrics,
                       .on_change = on_change,
                       .on_replaced = on_replaced,
                       .on_notice = on_notice,
                       .ctx = p};

#ifdef PLATFORM_HOOKS
  how.naive = config_string(c, "naive");
  if (how.naive != NULL && strcmp(how.naive, "noguard") == 0)
    how.naive = NULL; /* the engine's own */
#endif
  p->follow = follow_open(&p->loop, &how, error, size);
  return p->follow != NULL;
}

static bool open_shadow(program *p, char *error, size_t size) {
  shadow_config how = {
      .follow = p->follow, .peers = p->peers, .metrics = p->metrics};

  if (!config_flag(p->o->config, "shadow"))
    return true;
  how.url_count = config_list(p->o->config, "peer", &how.urls);
  p->shadow = shadow_start(&p->loop, &how, error, size);
  return p->shadow != NULL;
}

static bool open_timers(program *p) {
  int64_t life = config_is_set(p->o->config, "for")
                     ? config_number(p->o->config, "for")
                     : 0;

  p->look.data = p->lifetime.data = p;
  return uv_timer_init(&p->loop, &p->look) == 0 &&
         uv_timer_init(&p->loop, &p->lifetime) == 0 &&
         uv_timer_start(&p->look, on_look, 0, LOOK_MS) == 0 &&
         (life == 0 ||
          uv_timer_start(&p->lifetime, on_lifetime, (uint64_t)life, 0) == 0);
}

static bool write_port_file(const program *p, char *error, size_t size) {
  char lines[512];

  (void)snprintf(lines, sizeof lines, "%s\n%s\n",
                 p->engine != NULL ? engine_address(p->engine) : "-",
                 admin_address(p->admin));
  return program_ready(p->o->config, lines, error, size);
}

static int print_haproxy(const options *o) {
  program p = {.o = o};
  engine_config how = engine_options(&p);

  return haproxy_write_config(&how, stdout) == 0 && fflush(stdout) == 0
             ? EXIT_SUCCESS
             : EXIT_FAILURE;
}

static bool begin(program *p, char *error, size_t size) {
  p->metrics = metrics_new();
  p->table = table_new();
  if (p->metrics == NULL || p->table == NULL || !id_random(p->boot) ||
      uv_loop_init(&p->loop) != 0 || !open_admin(p, error, size) ||
      !open_engine(p, error, size) || !open_peers(p, error, size) ||
      !open_follow(p, error, size) || !open_shadow(p, error, size))
    return false;
  admin_attach(p->admin, p->follow, p->engine, p->peers);
  if (p->engine != NULL)
    engine_replaced(p->engine); /* by the snapshot */
  return open_timers(p) &&
         program_signals_open(&p->signals, &p->loop, on_signal, p) &&
         write_port_file(p, error, size);
}

int run(const options *o) {
  program p = {.o = o};
  char error[512] = "there is no memory";

  if (config_flag(o->config, "print-haproxy-config"))
    return print_haproxy(o);
  (void)signal(SIGPIPE, SIG_IGN);
  raise_descriptors();
  if (!begin(&p, error, sizeof error)) {
    (void)fprintf(stderr, "balancer: %s\n", error);
    /* Threads may be at work: nobody was promised anything yet. */
    _exit(EXIT_FAILURE);
  }
  log_event(LOG_INFO, "ready", LS("id", o->id),
            LS("visitors", p.engine != NULL ? engine_address(p.engine) : ""),
            LS("admin", admin_address(p.admin)));
  (void)uv_run(&p.loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&p.loop) != 0)
    log_event(LOG_WARN, "loop.busy", LS("why", "something was left open"));
  table_free(p.table);
  metrics_free(p.metrics);
  log_event(LOG_INFO, "ended", LN("status", p.status));
  return p.status;
}
