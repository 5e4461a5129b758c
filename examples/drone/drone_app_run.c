/*
 * One run of an app: its environment, its directory, the keeper, its output
 * and its end. See drone_app_int.h.
 */
#include "common/log.h"
#include "drone/drone_app_int.h"
#include "drone/drone_keeper.h"
#include "drone/drone_port.h"
#include "drone/drone_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the environment ---- */

static bool add_env(char ***env, size_t *count, const char *name,
                    const char *value) {
  size_t size = strlen(name) + strlen(value) + 2;
  char **more = realloc(*env, (*count + 2) * sizeof *more);

  if (more == NULL)
    return false;
  *env = more;
  more[*count] = malloc(size);
  if (more[*count] == NULL)
    return false;
  (void)snprintf(more[*count], size, "%s=%s", name, value);
  more[++*count] = NULL;
  return true;
}

static void free_env(char **env) {
  size_t i;

  for (i = 0; env != NULL && env[i] != NULL; i++)
    free(env[i]);
  free(env);
}

/* What the drone says (always), what the claim says, and what both leave open.
 */
static char **make_env(const drone_app *a, const char *cwd) {
  const char *const ours[][2] = {
      {DRONE_MARK, drone_store_path(a->config.store)},
      {"APP_NAME", a->record->claim.app},
      {a->config.by_socket ? "SOCKET" : "PORT", strrchr(a->address, ':') + 1}};
  const char *const usual[][2] = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                  {"HOME", cwd},
                                  {"TMPDIR", cwd},
                                  {"LANG", "C.UTF-8"}};
  char **env = NULL;
  size_t count = 0, i;
  bool well = true;
  void *it;

  for (i = 0; well && i < sizeof ours / sizeof *ours; i++)
    well = add_env(&env, &count, ours[i][0], ours[i][1]);
  for (i = 0; well && i < sizeof usual / sizeof *usual; i++)
    if (json_object_get(a->record->env, usual[i][0]) == NULL)
      well = add_env(&env, &count, usual[i][0], usual[i][1]);
  for (it = json_object_iter(a->record->env); well && it != NULL;
       it = json_object_iter_next(a->record->env, it)) {
    const char *name = json_object_iter_key(it);
    bool taken = false;

    for (i = 0; i < sizeof ours / sizeof *ours; i++)
      taken = taken || strcmp(name, ours[i][0]) == 0;
    if (!taken)
      well = add_env(&env, &count, name,
                     json_string_value(json_object_iter_value(it)));
  }
  if (!well) {
    free_env(env);
    errno = ENOMEM;
    return NULL;
  }
  return env;
}

/* ---- where ---- */

static bool make_cwd(const drone_app *a, char *cwd, size_t size) {
  int dir = drone_store_fd(a->config.store);
  char below[64];

  (void)snprintf(below, sizeof below, "run/%s", a->record->claim.id);
  if ((size_t)snprintf(cwd, size, "%s/%s", drone_store_path(a->config.store),
                       below) >= size) {
    errno = ENAMETOOLONG;
    return false;
  }
  return (mkdirat(dir, "run", 0700) == 0 || errno == EEXIST) &&
         (mkdirat(dir, below, 0700) == 0 || errno == EEXIST);
}

static bool choose_address(drone_app *a, const char *cwd) {
  if (!a->config.by_socket) {
    int port =
        drone_port_pick(a->config.port_low, a->config.port_high, a->port);

    if (port == 0)
      return false;
    a->port = port;
    (void)snprintf(a->address, sizeof a->address, "127.0.0.1:%d", port);
    return true;
  }
  /* 107 bytes are what the kernel takes. */
  if (snprintf(a->address, sizeof a->address, "unix:%s/.sock", cwd) > 5 + 107) {
    errno = ENAMETOOLONG;
    return false;
  }
  return unlink(a->address + 5) == 0 || errno == ENOENT;
}

/* ---- what comes from it ---- */

static void on_closed(uv_handle_t *h) {
  drone_run_of_app *r = h->data;

  if (--r->open != 0)
    return;
  if (r->channel_fd >= 0)
    (void)close(r->channel_fd);
  (void)close(r->output_fd);
  free(r);
}

/* false: nothing more comes now. */
static bool read_output(drone_run_of_app *r) {
  char buffer[32768];
  ssize_t n = read(r->output_fd, buffer, sizeof buffer);

  if (n > 0)
    drone_output_write(r->app->output, buffer, (size_t)n);
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    (void)uv_poll_stop(&r->output);
  return n == (ssize_t)sizeof buffer;
}

static void on_output(uv_poll_t *p, int status, int events) {
  (void)status;
  (void)events;
  (void)read_output(p->data);
}

/* false: nothing more comes now. */
static bool read_news(drone_run_of_app *r) {
  drone_news news;
  ssize_t n = recv(r->channel_fd, &news, sizeof news, 0);

  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    (void)uv_poll_stop(&r->channel);
  if (n != (ssize_t)sizeof news)
    return false;
  if (news.what == DRONE_TOLD_PID)
    r->pid = news.value;
  if (news.what == DRONE_TOLD_EXIT) {
    r->told_exit = true;
    drone_app_on_exit(r->app, news.value);
  }
  return true;
}

static void on_news(uv_poll_t *p, int status, int events) {
  (void)status;
  (void)events;
  (void)read_news(p->data);
}

int drone_app_kill_rest(drone_app *a, int64_t ms) {
  drone_prey prey = {drone_store_path(a->config.store), getpid(), 0, 0};
  int killed;

  return drone_sweep(&prey, ms, &killed);
}

/* Until it is certain that nothing is left nothing else may start. Should that
   not be to be known, the drone ends: the next life will not begin before it
   is. */
static void end_rest(drone_app *a) {
  const char *app = a->record != NULL ? a->record->claim.app : "";
  int left;

  while ((left = drone_app_kill_rest(a, 5000)) > 0)
    log_event(LOG_ERROR, "app.unkillable", LS("app", app), LN("left", left));
  if (left == 0)
    return;
  log_event(LOG_ERROR, "app.unknown", LS("app", app),
            LS("error", "/proc cannot be read"));
  _exit(EXIT_FAILURE);
}

/* The keeper has ended: when it ended by itself nothing is left. */
static void on_keeper_end(void *ctx, int status) {
  drone_run_of_app *r = ctx;
  drone_app *a = r->app;
  int i;

  while (read_news(r))
    ;
  for (i = 0; i < 64 && read_output(r); i++)
    ;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != DRONE_KEEPER_CLEAN) {
    log_event(LOG_WARN, "keeper.lost", LN("status", status));
    end_rest(a);
  }
  if (!r->told_exit)
    drone_app_on_exit(a, SIGKILL);
  a->run = NULL;
  uv_close((uv_handle_t *)&r->channel, on_closed);
  uv_close((uv_handle_t *)&r->output, on_closed);
  drone_app_on_over(a);
}

static drone_run_of_app *watch(drone_app *a, pid_t keeper, int channel,
                               int output) {
  drone_run_of_app *r = calloc(1, sizeof *r);

  if (r == NULL)
    return NULL;
  r->app = a;
  r->keeper = keeper;
  r->channel_fd = channel;
  r->output_fd = output;
  if (uv_poll_init(a->loop, &r->channel, channel) != 0) {
    free(r);
    return NULL;
  }
  r->channel.data = r->output.data = r;
  r->open = 1;
  if (uv_poll_init(a->loop, &r->output, output) != 0 ||
      !drone_children_watch(a->config.children, keeper, on_keeper_end, r)) {
    /* The descriptors are the caller's again. */
    r->channel_fd = r->output_fd = -1;
    uv_close((uv_handle_t *)&r->channel, on_closed);
    return NULL;
  }
  r->open = 2;
  (void)uv_poll_start(&r->channel, UV_READABLE, on_news);
  (void)uv_poll_start(&r->output, UV_READABLE, on_output);
  return r;
}

static void note_keeper(drone_app *a, pid_t keeper) {
  char note[128];

  if (drone_keeper_note(keeper, note, sizeof note))
    (void)drone_store_note(a->config.store, "keeper", note, strlen(note));
}

static bool start(drone_app *a, const char *cwd, char *const *env) {
  drone_launch l = {.command = a->record->command,
                    .cwd = cwd,
                    .env = env,
                    .memory_mb = a->record->memory_mb != 0
                                     ? a->record->memory_mb
                                     : a->config.memory_mb,
                    .files = a->config.files,
                    .processes = a->config.processes,
                    .file_mb = a->config.file_mb,
                    .stop_ms = a->config.stop_ms};
  int out[2], channel = -1, failed;
  pid_t keeper;

  if (pipe2(out, O_CLOEXEC) != 0)
    return false;
  (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
  l.out = out[1];
  keeper = drone_keeper_fork(&l, &channel);
  failed = errno;
  (void)close(out[1]);
  if (keeper > 0) {
    note_keeper(a, keeper);
    a->run = watch(a, keeper, channel, out[0]);
    if (a->run != NULL)
      return true;
    failed = ENOMEM;
    (void)close(channel);
    (void)kill(keeper, SIGKILL);
    (void)drone_app_kill_rest(a, 5000);
  }
  (void)close(out[0]);
  errno = failed;
  return false;
}

bool drone_app_launch(drone_app *a) {
  char cwd[4096];
  char **env = NULL;
  bool well = make_cwd(a, cwd, sizeof cwd) && choose_address(a, cwd) &&
              (env = make_env(a, cwd)) != NULL && start(a, cwd, env);
  int failed = errno;

  free_env(env);
  if (!well) {
    log_event(LOG_ERROR, "app.launch", LS("app", a->record->claim.app),
              LS("error", strerror(failed)));
    drone_output_note(a->output, "the app cannot be started: %s",
                      strerror(failed));
  }
  return well;
}

void drone_app_order_stop(drone_app *a) {
  if (a->run != NULL)
    (void)send(a->run->channel_fd, "s", 1, MSG_NOSIGNAL);
}
