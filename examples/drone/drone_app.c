/*
 * When the app runs: start, probe, back-off, crash loop, stop; see drone_app.h.
 * One run of it is in drone_app_run.c.
 */
#include "common/log.h"
#include "drone/drone_app_int.h"
#include "drone/drone_port.h"
#include "drone/drone_sweep.h"
#include "drone/drone_wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  DELAY_LEAST_MS = 500,
  DELAY_MOST_MS = 60 * 1000,
  HEALTHY_MS = 30 * 1000,
  CRASH_WINDOW_MS = 5 * 60 * 1000,
  PROBE_FIRST_MS = 25,
  PROBE_MOST_MS = 500,
  PROBE_LIMIT_MS = 2000,
  SWEEP_MS = 5000
};

static void on_timer(uv_timer_t *t);

static int64_t wall_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void enter(drone_app *a, enum drone_app_state state, int64_t timer_ms) {
  a->state = state;
  a->since = wall_ms();
  if (timer_ms >= 0)
    (void)uv_timer_start(&a->timer, on_timer, (uint64_t)timer_ms, 0);
  else
    (void)uv_timer_stop(&a->timer);
}

drone_app *drone_app_new(uv_loop_t *loop, const drone_app_config *config) {
  drone_app *a = calloc(1, sizeof *a);

  if (a == NULL)
    return NULL;
  a->loop = loop;
  a->config = *config;
  a->exit = -1;
  a->output = drone_output_new(drone_store_fd(config->store), config->log_bytes,
                               config->log_files);
  if (a->output == NULL) {
    free(a);
    return NULL;
  }
  (void)uv_timer_init(loop, &a->timer);
  a->timer.data = a;
  a->since = wall_ms();
  return a;
}

void drone_app_close(drone_app *a) {
  if (!uv_is_closing((uv_handle_t *)&a->timer))
    uv_close((uv_handle_t *)&a->timer, NULL);
}

void drone_app_free(drone_app *a) {
  if (a == NULL)
    return;
  drone_output_free(a->output);
  free(a);
}

static void read_noted(const drone_app *a, drone_prey *prey) {
  char note[128];
  int fd = openat(drone_store_fd(a->config.store), "keeper",
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  ssize_t n = fd >= 0 ? read(fd, note, sizeof note - 1) : -1;

  if (fd >= 0)
    (void)close(fd);
  if (n <= 0)
    return;
  note[n] = '\0';
  (void)drone_keeper_noted(note, prey);
}

bool drone_app_clean(drone_app *a, const char *held, char *error,
                     size_t error_size) {
  drone_prey prey = {drone_store_path(a->config.store), 0, 0, 0};
  int killed, left, failed;

  read_noted(a, &prey);
  left = drone_sweep(&prey, SWEEP_MS, &killed);
  if (killed > 0)
    log_event(LOG_WARN, "swept", LN("processes", killed));
  if (left != 0) {
    (void)snprintf(error, error_size,
                   left < 0 ? "/proc cannot be read, so what a last life of "
                              "this drone left cannot be ended"
                            : "processes of a last life of this drone cannot "
                              "be ended (SIGKILL does not reach them)");
    return false;
  }
  failed = drone_wipe(drone_store_fd(a->config.store), "run", held);
  if (failed == 0 && held == NULL)
    failed = drone_wipe(drone_store_fd(a->config.store), "log", NULL);
  if (failed != 0)
    (void)snprintf(error, error_size, "%s/run cannot be emptied: %s",
                   drone_store_path(a->config.store), strerror(failed));
  return failed == 0;
}

/* ---- starting ---- */

static void crashed(drone_app *a);

static void begin(drone_app *a) {
  a->run_number++;
  a->probe_ms = PROBE_FIRST_MS;
  if (!drone_app_launch(a)) {
    a->exit = 126;
    crashed(a);
    return;
  }
  enter(a, DRONE_APP_STARTING, a->probe_ms);
}

void drone_app_run(drone_app *a, const drone_record *record) {
  a->record = record;
  a->looping = false;
  a->restarts = 0;
  a->exit = -1;
  a->delay_ms = DELAY_LEAST_MS;
  a->crash_count = 0;
  begin(a);
}

static void next_probe(drone_app *a) {
  a->probe_ms *= 2;
  if (a->probe_ms > PROBE_MOST_MS)
    a->probe_ms = PROBE_MOST_MS;
  (void)uv_timer_start(&a->timer, on_timer, (uint64_t)a->probe_ms, 0);
}

static void on_probed(void *ctx, int status) {
  drone_app *a = ctx;
  bool current = a->probed == a->run_number;

  a->probed = 0;
  if (a->state != DRONE_APP_STARTING || a->run == NULL)
    return;
  if (!current || status != 0) {
    next_probe(a);
    return;
  }
  if (!a->config.by_socket && !drone_port_is_of(a->port, a->run->keeper)) {
    log_event(LOG_WARN, "app.port_taken", LS("app", a->record->claim.app),
              LN("port", a->port));
    drone_output_note(a->output,
                      "port %d was taken by another program; the app is "
                      "started again with another one",
                      a->port);
    drone_app_order_stop(a);
    return;
  }
  log_event(LOG_INFO, "app.running", LS("app", a->record->claim.app),
            LN("pid", a->run->pid));
  enter(a, DRONE_APP_RUNNING, HEALTHY_MS);
}

static void probe(drone_app *a) {
  if (a->probed != 0) /* one at a time */
    return;
  a->probed = a->run_number;
  if (drone_port_try(a->loop, a->address, PROBE_LIMIT_MS, on_probed, a) != 0) {
    a->probed = 0;
    next_probe(a);
  }
}

/* ---- ending ---- */

static bool is_loop(drone_app *a) {
  int64_t now = (int64_t)uv_now(a->loop);
  size_t i, recent = 0;

  a->crashes[a->crash_count++ % DRONE_CRASHES] = now;
  for (i = 0; i < DRONE_CRASHES && i < a->crash_count; i++)
    recent += now - a->crashes[i] < CRASH_WINDOW_MS;
  return recent == DRONE_CRASHES;
}

static void crashed(drone_app *a) {
  int64_t delay = a->delay_ms;

  a->restarts++;
  a->delay_ms = delay * 2 < DELAY_MOST_MS ? delay * 2 : DELAY_MOST_MS;
  if (is_loop(a) || a->looping) {
    a->looping = true;
    delay = DELAY_MOST_MS;
  }
  log_event(LOG_WARN, a->looping ? "app.crashloop" : "app.crashed",
            LS("app", a->record->claim.app), LN("exit", a->exit),
            LN("restarts", a->restarts), LN("delay_ms", delay));
  drone_output_note(a->output, "the app has ended with %d; again in %.1f s",
                    a->exit, (double)delay / 1000);
  enter(a, a->looping ? DRONE_APP_CRASHLOOP : DRONE_APP_BACKOFF, delay);
}

void drone_app_on_exit(drone_app *a, int status) {
  a->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (a->run != NULL)
    a->run->pid = 0;
  if (a->state != DRONE_APP_STOPPING)
    enter(a, DRONE_APP_EXITED, -1);
}

static void tell_stopped(drone_app *a) {
  void (*stopped)(void *ctx) = a->stopped;

  a->record = NULL;
  a->looping = false;
  enter(a, DRONE_APP_NONE, -1);
  a->stopped = NULL;
  if (stopped != NULL)
    stopped(a->stopped_ctx);
}

void drone_app_on_over(drone_app *a) {
  if (a->state == DRONE_APP_STOPPING)
    tell_stopped(a);
  else
    crashed(a);
}

void drone_app_stop(drone_app *a, void (*done)(void *ctx), void *ctx) {
  a->stopped = done;
  a->stopped_ctx = ctx;
  if (a->run == NULL) {
    tell_stopped(a);
    return;
  }
  /* The keeper has its own clock; ours is for one that hangs. */
  enter(a, DRONE_APP_STOPPING, a->config.stop_ms + 3000);
  drone_app_order_stop(a);
}

static void on_timer(uv_timer_t *t) {
  drone_app *a = t->data;

  switch (a->state) {
  case DRONE_APP_STARTING:
    probe(a);
    break;
  case DRONE_APP_RUNNING:
    a->looping = false;
    a->delay_ms = DELAY_LEAST_MS;
    break;
  case DRONE_APP_BACKOFF:
  case DRONE_APP_CRASHLOOP:
    begin(a);
    break;
  case DRONE_APP_STOPPING:
    log_event(LOG_WARN, "keeper.hangs", LN("pid", a->run->keeper));
    (void)drone_app_kill_rest(a, 0);
    enter(a, DRONE_APP_STOPPING, 1000);
    break;
  case DRONE_APP_NONE:
  case DRONE_APP_EXITED:
    break;
  }
}

/* ---- wiping ---- */

static void on_wiped(void *ctx, int status) {
  drone_app *a = ctx;
  void (*wiped)(void *ctx, int failed) = a->wiped;

  a->wiped = NULL;
  wiped(a->wiped_ctx, WIFEXITED(status) ? WEXITSTATUS(status) : EIO);
}

/* Without the drone's sockets and its lock, and not longer than the drone. */
static void be_wiper(int dir, pid_t drone) {
  int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

  if (own < 0 || dup2(own, STDERR_FILENO + 1) < 0 ||
      prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != drone)
    _exit(EIO);
  (void)close_range(STDERR_FILENO + 2, ~0U, 0);
  failed = drone_wipe(STDERR_FILENO + 1, "run", NULL);
  if (failed == 0)
    failed = drone_wipe(STDERR_FILENO + 1, "log", NULL);
  _exit(failed > 255 ? EIO : failed);
}

void drone_app_wipe(drone_app *a, void (*done)(void *ctx, int failed),
                    void *ctx) {
  int dir = drone_store_fd(a->config.store), failed;
  pid_t self = getpid(), pid;

  drone_output_forget(a->output);
  a->restarts = 0;
  a->exit = -1;
  a->wiped = done;
  a->wiped_ctx = ctx;
  /* A process of its own: a million files must not hold the guard up. */
  pid = fork();
  if (pid == 0)
    be_wiper(dir, self);
  if (pid < 0 || !drone_children_watch(a->config.children, pid, on_wiped, a)) {
    failed = pid < 0 ? errno : ENOMEM;
    a->wiped = NULL;
    done(ctx, failed);
  }
}

/* ---- what is known of it ---- */

enum drone_app_state drone_app_now(const drone_app *a) {
  /* One that crashes again and again is not "starting" in between. */
  if (a->looping && a->state != DRONE_APP_RUNNING &&
      a->state != DRONE_APP_STOPPING)
    return DRONE_APP_CRASHLOOP;
  return a->state;
}

const char *drone_app_state_name(enum drone_app_state state) {
  static const char *const names[] = {"none",    "starting",  "running",
                                      "backoff", "crashloop", "stopping",
                                      "exited"};

  return names[state];
}

const char *drone_app_address(const drone_app *a) {
  return a->state == DRONE_APP_RUNNING ? a->address : NULL;
}

pid_t drone_app_pid(const drone_app *a) {
  return a->run != NULL ? a->run->pid : 0;
}

int64_t drone_app_restarts(const drone_app *a) { return a->restarts; }

int drone_app_exit(const drone_app *a) { return a->exit; }

int64_t drone_app_since(const drone_app *a) { return a->since; }

const drone_output *drone_app_output(const drone_app *a) { return a->output; }
