/* The parts of the provisioner in one loop; see run.h. On SIGTERM or SIGINT, in
   this order: nothing is begun any more; what the API had begun is finished;
   the kernel stops, the ticks go, so that others take over; answers go out; the
   mirrors are closed. A second signal ends it at once. */
#include "provisioner/run.h"

#include "common/log.h"
#include "common/program.h"
#include "provisioner/api.h"
#include "provisioner/init.h"
#include "provisioner/tick.h"
#include "provisioner/view_state.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERS_MS = 2000 };

typedef struct program {
  const options *o;
  uv_loop_t loop;
  program_signals signals;
  uv_work_t stopping;
  metrics *metrics;
  view *view;
  kernel *kernel;
  tick *tick;
  api *api;
  char boot[CLAIM_LEN + 1];
  bool ending;
  int status;
} program;

/* ---- ending ---- */

static void on_closed(void *ctx) {
  program *p = ctx;

  p->api = NULL;
  view_close(p->view);
  program_signals_close(&p->signals);
}

static void stop_all(uv_work_t *work) {
  program *p = work->data;

  kernel_stop(p->kernel, config_number(p->o->config, "drain-time"));
  tick_stop(p->tick);
}

static void stopped(uv_work_t *work, int status) {
  program *p = work->data;

  (void)status;
  p->kernel = NULL;
  p->tick = NULL;
  api_close(p->api, ANSWERS_MS, on_closed, p);
}

static void rested(void *ctx) {
  program *p = ctx;

  p->stopping.data = p;
  (void)uv_queue_work(&p->loop, &p->stopping, stop_all, stopped);
}

static void end(program *p, int status) {
  if (p->ending)
    return;
  p->ending = true;
  p->status = status;
  log_event(LOG_INFO, "draining", LS("id", p->o->id));
  api_drain(p->api);
  api_rest(p->api, rested, p);
}

static bool on_signal(void *ctx) {
  program *p = ctx;

  if (p->ending)
    return false;
  end(p, EXIT_SUCCESS);
  return true;
}

/* ---- from the view ---- */

static void on_change(void *ctx, const char *id) {
  program *p = ctx;

  if (p->api != NULL)
    api_changed(p->api, id);
}

static void on_synced(void *ctx) {
  program *p = ctx;

  if (p->api != NULL)
    api_synced(p->api);
}

static void on_over(void *ctx, const char *why) {
  program *p = ctx;

  (void)fprintf(stderr,
                "provisioner: a database cannot be followed any more: %s\n"
                "provisioner: where it was never created, run it with --init "
                "once\n",
                why);
  end(p, EXIT_FAILURE);
}

/* ---- beginning ---- */

static bool open_view(program *p, char *error, size_t size) {
  view_config how = {.couch = p->o->couch,
                     .apps = config_string(p->o->config, "apps"),
                     .locks = config_string(p->o->config, "locks"),
                     .self = p->o->id,
                     .boot = p->boot,
                     .on_change = on_change,
                     .on_synced = on_synced,
                     .on_over = on_over,
                     .ctx = p};

  p->view = view_open(&p->loop, &how, error, size);
  return p->view != NULL;
}

static bool open_kernel(program *p, char *error, size_t size) {
  const config *c = p->o->config;
  kernel_config how = {.self = p->o->id,
                       .couch = p->o->couch,
                       .apps = config_string(c, "apps"),
                       .locks = config_string(c, "locks"),
                       .drone_token = p->o->drone_token,
                       .workers = (size_t)config_number(c, "workers"),
                       .start_ms = config_number(c, "start-time"),
                       .bind_ms = config_number(c, "bind-time"),
                       .reap_ms = config_number(c, "reap-time"),
                       .driver = config_string(c, "driver"),
                       .driver_path = config_string(c, "driver-path"),
                       .driver_dir = config_string(c, "driver-dir"),
                       .driver_user = config_string(c, "drone-user"),
                       .driver_token_file =
                           config_string(c, "drone-token-file"),
                       .drones_least = (size_t)config_number(c, "drones-least"),
                       .drones_most = (size_t)config_number(c, "drones-most"),
                       .view = p->view,
                       .metrics = p->metrics};

#ifdef PLATFORM_HOOKS
  how.naive = config_string(c, "naive");
  how.failpoint = config_string(c, "failpoint");
#endif
  p->kernel = kernel_start(&how, error, size);
  return p->kernel != NULL;
}

static bool open_api(program *p, char *error, size_t size) {
  const config *c = p->o->config;
  api_config how = {
      .listen = config_string(c, "listen"),
      .token = p->o->token,
      .drone_token = p->o->drone_token,
      .couch = p->o->couch,
      .apps = config_string(c, "apps"),
      .locks = config_string(c, "locks"),
      .self = p->o->id,
      .domain = config_string(c, "domain"),
      .url_scheme = config_string(c, "url-scheme"),
      .url_port = (int)config_number(c, "url-port"),
      .admission = {.app_every_ms = config_number(c, "app-every"),
                    .force_ms = config_number(c, "force-every"),
                    .rate = (int)config_number(c, "rate"),
                    .queue_most = (size_t)config_number(c, "queue")},
      .view = p->view,
      .kernel = p->kernel,
      .metrics = p->metrics};

  p->api = api_open(&p->loop, &how, error, size);
  return p->api != NULL;
}

static bool open_tick(program *p, char *error, size_t size) {
  tick_config how = {.couch = p->o->couch,
                     .apps = config_string(p->o->config, "apps"),
                     .locks = config_string(p->o->config, "locks"),
                     .self = p->o->id,
                     .boot = p->boot,
                     .addr = api_address(p->api)};

  p->tick = tick_start(&how, error, (unsigned)size);
  return p->tick != NULL;
}

static bool write_port_file(const program *p, char *error, size_t size) {
  char line[256];

  (void)snprintf(line, sizeof line, "%s\n", api_address(p->api));
  return program_ready(p->o->config, line, error, size);
}

static int init(const options *o) {
  char error[512];

  if (init_databases(o->couch, config_string(o->config, "apps"),
                     config_string(o->config, "locks"), error, sizeof error))
    return EXIT_SUCCESS;
  (void)fprintf(stderr, "provisioner: %s\n", error);
  return EXIT_FAILURE;
}

int run(const options *o) {
  program p = {.o = o};
  char error[512] = "there is no memory";

  if (config_flag(o->config, "init"))
    return init(o);
  (void)signal(SIGPIPE, SIG_IGN);
  p.metrics = metrics_new();
  if (p.metrics == NULL || uv_loop_init(&p.loop) != 0 || !id_random(p.boot) ||
      !open_view(&p, error, sizeof error) ||
      !open_kernel(&p, error, sizeof error) ||
      !open_api(&p, error, sizeof error) ||
      !program_signals_open(&p.signals, &p.loop, on_signal, &p) ||
      !open_tick(&p, error, sizeof error) ||
      !write_port_file(&p, error, sizeof error)) {
    (void)fprintf(stderr, "provisioner: %s\n", error);
    /* Threads may be at work: nothing was promised to anybody yet. */
    _exit(EXIT_FAILURE);
  }
  log_event(LOG_INFO, "ready", LS("id", o->id), LS("api", api_address(p.api)));
  (void)uv_run(&p.loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&p.loop) != 0)
    log_event(LOG_WARN, "loop.busy", LS("why", "something was left open"));
  metrics_free(p.metrics);
  log_event(LOG_INFO, "ended", LN("status", p.status));
  return p.status;
}
