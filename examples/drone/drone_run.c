/*
 * The drone's life: options, the record of the last life, what is left of that
 * life ended, servers opened, the app of a claim that is still held resumed;
 * and on SIGTERM all of it back, but for the claim.
 */
#include "drone/drone_run.h"
#include "common/log.h"
#include "common/program.h"
#include "drone/drone_int.h"
#include "drone/drone_setup.h"

#include <changefeed/changefeed.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct life {
  drone d;
  uv_loop_t loop;
  uv_signal_t term, interrupt;
  config *config;
  drone_record last;
  bool handles; /* are to be closed */
  char error[512];
} life;

/* ---- the end ---- */

/* What is left is closed; the loop ends behind it. */
static void close_rest(life *l) {
  drone *d = &l->d;

  if (d->guard != NULL)
    http_server_close(d->guard, NULL, NULL);
  if (d->ctl != NULL)
    http_server_close(d->ctl, NULL, NULL);
  d->guard = d->ctl = NULL;
  if (d->pool != NULL)
    http_pool_close(d->pool, NULL, NULL);
  d->pool = NULL;
  if (d->app != NULL)
    drone_app_close(d->app);
  if (d->children != NULL)
    drone_children_close(d->children);
  if (l->handles) {
    uv_close((uv_handle_t *)&l->term, NULL);
    uv_close((uv_handle_t *)&d->drain, NULL);
    uv_close((uv_handle_t *)&l->interrupt, NULL);
  }
  l->handles = false;
}

static void on_ctl_drained(void *ctx) { close_rest(ctx); }

static void on_app_stopped(void *ctx) {
  life *l = ctx;

  /* The last answer of the agent goes out. */
  http_server_drain(l->d.ctl, 200, on_ctl_drained, l);
}

/* d is the first member of its life, so one is the other. */
static void on_released(drone *d) {
  d->released = NULL;
  drone_app_stop(d->app, on_app_stopped, d);
}

static void on_guard_drained(void *ctx) {
  drone *d = ctx;

  if (d->releasing)
    d->released = on_released;
  else
    on_released(d);
}

static void on_signal(uv_signal_t *s, int number) {
  life *l = s->data;

  if (l->d.ending)
    return;
  l->d.ending = true;
  log_event(LOG_INFO, "ends", LN("signal", number));
  http_server_drain(l->d.guard, l->d.drain_ms, on_guard_drained, &l->d);
}

/* ---- the beginning ---- */

static bool failed(life *l, const char *what) {
  (void)snprintf(l->error, sizeof l->error, "%s", what);
  return false;
}

/* The last life's address when any port will do and it is still to be had; so a
   drone that comes back is found where it was. */
static http_server *open_server(life *l, http_server_config *c,
                                const char *wanted, const char *last) {
  const char *colon = strrchr(wanted, ':');
  size_t host = colon != NULL ? (size_t)(colon - wanted) + 1 : 0;
  http_server *s;

  if (host != 0 && strcmp(wanted + host, "0") == 0 &&
      strncmp(wanted, last, host) == 0) {
    c->address = last;
    s = http_server_open(&l->loop, c, l->error, sizeof l->error);
    if (s != NULL)
      return s;
  }
  c->address = wanted;
  return http_server_open(&l->loop, c, l->error, sizeof l->error);
}

static bool open_servers(life *l) {
  http_server_config agent = {.on_request = drone_agent_request,
                              .max_body = 1024 * 1024,
                              .max_connections = 256,
                              .user = &l->d};
  http_server_config guard = {
      .on_request = drone_guard_request,
      .on_refused = drone_guard_refused,
      .max_body = UINT64_C(1) << 40, /* that is the app's affair */
      .max_connections = (size_t)config_number(l->config, "connections"),
      .user = &l->d};
  const char *named = config_string(l->config, "public");
  drone *d = &l->d;

  d->guard =
      open_server(l, &guard, config_string(l->config, "addr"), l->last.addr);
  if (d->guard == NULL)
    return false;
  d->ctl = open_server(l, &agent, config_string(l->config, "ctl"), l->last.ctl);
  if (d->ctl == NULL)
    return false;
  (void)snprintf(d->addr, sizeof d->addr, "%s",
                 named != NULL ? named : http_server_address(d->guard));
  d->pool = http_pool_new(&l->loop, NULL);
  return d->pool != NULL || failed(l, "no memory for connections");
}

/* The record as the last life has left it, unless it is another drone's. */
static bool read_last(life *l) {
  static const char *const found[] = {"found", "new", "damaged"};
  int what = drone_store_load(l->d.store, &l->last, l->error, sizeof l->error);

  if (what < 0)
    return false;
  if (what != DRONE_FOUND)
    log_event(LOG_WARN, "claim.none", LS("file", found[what]));
  return true;
}

static void judge_last(life *l) {
  if (l->last.vm[0] == '\0' || strcmp(l->last.addr, l->d.addr) == 0)
    return;
  log_event(LOG_WARN, "claim.foreign", LS("its", l->last.addr),
            LS("ours", l->d.addr));
  drone_store_discard(l->d.store);
  drone_record_clear(&l->last);
}

static bool begin_app(life *l) {
  drone *d = &l->d;
  drone_app_config app = {.store = d->store};

  if (!drone_setup_app(l->config, &app, l->error, sizeof l->error))
    return false;
  d->children = drone_children_new(&l->loop);
  app.children = d->children;
  if (d->children != NULL)
    d->app = drone_app_new(&l->loop, &app);
  if (d->app == NULL)
    return failed(l, "the app's part cannot begin");
  /* First of all, whatever the file says: nothing of a last life lives. */
  return drone_app_clean(d->app, l->last.held ? l->last.claim.id : NULL,
                         l->error, sizeof l->error);
}

static bool begin_metrics(drone *d) {
  metrics *m = d->metrics = metrics_new();

  if (m == NULL)
    return false;
  d->count.binds =
      metrics_counter(m, "drone_binds_total", NULL, "Claims that were bound.");
  d->count.unbinds = metrics_counter(m, "drone_unbinds_total", NULL,
                                     "Claims that were let go.");
  d->count.refused = metrics_counter(m, "drone_refused_total", NULL,
                                     "Requests of provisioners refused, 409.");
  d->count.misdirected =
      metrics_counter(m, "drone_misdirected_total", NULL,
                      "Visitors' requests without the claim, 421.");
  d->count.passed = metrics_counter(m, "drone_passed_total", NULL,
                                    "Exchanges with the app, whole.");
  d->count.failed = metrics_counter(m, "drone_failed_total", NULL,
                                    "Exchanges with the app that failed.");
  d->count.own = metrics_counter(m, "drone_own_pages_total", NULL,
                                 "Answers of the guard itself.");
  return true;
}

static bool begin_handles(life *l) {
  if (signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
      uv_signal_init(&l->loop, &l->term) != 0)
    return failed(l, "signals cannot be watched");
  (void)uv_signal_init(&l->loop, &l->interrupt);
  (void)uv_timer_init(&l->loop, &l->d.drain);
  l->d.drain.data = &l->d;
  l->d.drain_ms = config_number(l->config, "drain-ms");
  l->handles = true;
  l->term.data = l->interrupt.data = l;
  (void)uv_signal_start(&l->term, on_signal, SIGTERM);
  (void)uv_signal_start(&l->interrupt, on_signal, SIGINT);
  return true;
}

static bool tell_ports(life *l) {
  char lines[512];

  (void)snprintf(lines, sizeof lines, "guard %s\nctl %s\n",
                 http_server_address(l->d.guard),
                 http_server_address(l->d.ctl));
  return program_ready(l->config, lines, l->error, sizeof l->error);
}

static bool begin(life *l) {
  drone *d = &l->d;
  const drone_record *r;
  const char *app, *vm;

  d->store = drone_store_open(config_string(l->config, "dir"), l->error,
                              sizeof l->error);
  if (d->store == NULL || !read_last(l) || !open_servers(l))
    return false;
  judge_last(l);
  if (!begin_handles(l) || !begin_app(l))
    return false;
  if (!begin_metrics(d) || !id_random(d->boot))
    return failed(l, "no memory, or no random bytes");
  d->claim =
      drone_claim_open(d->store, &l->last, d->addr, http_server_address(d->ctl),
                       l->error, sizeof l->error);
  if (d->claim == NULL || !tell_ports(l))
    return false;
  r = drone_claim_record(d->claim);
  app = r->held ? r->claim.app : "";
  vm = r->vm;
  drone_set_echo(d);
  log_event(LOG_INFO, "ready", LS("addr", d->addr),
            LS("ctl", http_server_address(d->ctl)), LS("vm", vm),
            LS("app", app));
  if (r->command != NULL)
    drone_app_run(d->app, r);
  return true;
}

/* ---- the whole ---- */

static int live(life *l) {
  bool begun;

  if (uv_loop_init(&l->loop) != 0) {
    (void)fprintf(stderr, "drone: no loop of events\n");
    return EXIT_FAILURE;
  }
  l->d.loop = &l->loop;
#ifdef PLATFORM_HOOKS
  l->d.naive = config_string(l->config, "naive") != NULL;
#endif
  begun = begin(l);
  if (!begun) {
    (void)fprintf(stderr, "drone: %s\n", l->error);
    close_rest(l);
  }
  (void)uv_run(&l->loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&l->loop);
  drone_app_free(l->d.app);
  drone_children_free(l->d.children);
  drone_claim_free(l->d.claim);
  drone_record_clear(&l->last);
  drone_store_close(l->d.store);
  metrics_free(l->d.metrics);
  return begun ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What is needed and has no default; false with a sentence. */
static bool check(const config *c, char *error, size_t size) {
  static const char *const needed[] = {"dir", "token-file"};
  const char *named = config_string(c, "public");
  size_t i;

  for (i = 0; i < 2; i++) {
    if (config_string(c, needed[i]) != NULL)
      continue;
    (void)snprintf(error, size, "--%s is needed", needed[i]);
    return false;
  }
#ifdef PLATFORM_HOOKS
  if (config_string(c, "naive") != NULL &&
      strcmp(config_string(c, "naive"), "noguard") != 0) {
    (void)snprintf(error, size, "--naive: the only way is noguard");
    return false;
  }
#endif
  if (named != NULL && !id_is_addr(named, strlen(named))) {
    (void)snprintf(error, size, "--public: \"%s\" is not IP:PORT", named);
    return false;
  }
  if (log_level_of(config_string(c, "log-level")) >= 0)
    return true;
  (void)snprintf(error, size, "--log-level: debug, info, warn or error");
  return false;
}

int drone_run(int argc, char **argv) {
  static life l; /* large, and there is one */
  int status = EXIT_FAILURE;

  l.config = config_read(&drone_program, argc, argv, l.error, sizeof l.error);
  if (l.config != NULL && config_flag(l.config, "help")) {
    config_print_help(&drone_program);
    status = EXIT_SUCCESS;
  } else if (l.config != NULL && config_flag(l.config, "version")) {
    (void)printf("drone %s\n", CHANGEFEED_VERSION);
    status = EXIT_SUCCESS;
  } else if (l.config == NULL || !check(l.config, l.error, sizeof l.error)) {
    (void)fprintf(stderr, "drone: %s\n", l.error);
    status = 2;
  } else {
    drone_setup_files();
    log_open("drone", log_level_of(config_string(l.config, "log-level")));
    /* Read before root is given up, so the apps' user need not read it. */
    l.d.token = config_secret(config_string(l.config, "token-file"), l.error,
                              sizeof l.error);
    if (l.d.token == NULL ||
        !drone_setup_user(l.config, l.error, sizeof l.error))
      (void)fprintf(stderr, "drone: %s\n", l.error);
    else
      status = live(&l);
    config_forget(l.d.token);
  }
  config_free(l.config);
  return status;
}
