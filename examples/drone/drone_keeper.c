/*
 * The keeper of an app; see drone_keeper.h. Runs as a fork of the drone without
 * exec, without its descriptors, and leaves by _exit.
 */
#include "drone/drone_keeper.h"
#include "drone/drone_sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where the keeper has its descriptors: everything else is closed. */
enum { CHANNEL = 3, OUT = 4, SIGNALS = 5, KEPT = 6 };

typedef struct keeper {
  pid_t app;
  bool app_gone, none_left;
  bool stopping;
  int64_t kill_at; /* when stopping */
} keeper;

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the app's side of the fork ---- */

static void limit(unsigned what, int64_t most) {
  struct rlimit now, wanted;

  if (most < 0 || getrlimit(what, &now) != 0)
    return;
  wanted.rlim_cur = wanted.rlim_max = (rlim_t)most;
  if (now.rlim_max != RLIM_INFINITY && now.rlim_max < wanted.rlim_max)
    wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
  (void)setrlimit(what, &wanted);
}

static void set_limits(const drone_launch *l) {
  /* Not RLIMIT_AS: runtimes reserve gigabytes of addresses that they never
     touch. RLIMIT_DATA counts what is private and can be written. */
  if (l->memory_mb != 0)
    limit(RLIMIT_DATA, l->memory_mb * 1024 * 1024);
  if (l->files != 0)
    limit(RLIMIT_NOFILE, l->files);
  if (l->processes != 0)
    limit(RLIMIT_NPROC, l->processes);
  if (l->file_mb != 0)
    limit(RLIMIT_FSIZE, l->file_mb * 1024 * 1024);
  limit(RLIMIT_CORE, 0);
}

static void reset_signals(void) {
  sigset_t none;
  int number;

  for (number = 1; number < NSIG; number++)
    (void)signal(number, SIG_DFL);
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void complain(const char *what) {
  char line[256];
  int len = snprintf(line, sizeof line,
                     "drone: the app cannot be started: "
                     "%s: %s\n",
                     what, strerror(errno));

  if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
    _exit(126); /* nobody to tell it */
  _exit(126);
}

static void become_app(const drone_launch *l, pid_t keeper_pid) {
  static char sh[] = "sh", flag[] = "-c";
  char *argv[] = {sh, flag, (char *)(uintptr_t)l->command, NULL};

  /* Should the keeper be killed, at least the app goes with it. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != keeper_pid)
    _exit(126);
  (void)setsid();
  if (dup2(OUT, STDOUT_FILENO) < 0 || dup2(OUT, STDERR_FILENO) < 0)
    _exit(126);
  (void)close_range(STDERR_FILENO + 1, ~0U, 0);
  reset_signals();
  (void)umask(077);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    complain("its privileges cannot be fixed");
  if (chdir(l->cwd) != 0)
    complain("its directory");
  set_limits(l);
  (void)execve("/bin/sh", argv, l->env);
  complain("/bin/sh");
}

/* ---- the keeper's side ---- */

static void tell(int what, int value) {
  drone_news news = {what, value};

  /* The drone gone: that is read from the channel soon enough. */
  (void)send(CHANNEL, &news, sizeof news, MSG_NOSIGNAL);
}

static void reap(keeper *k) {
  int status;
  pid_t pid;

  while ((pid = waitpid(-1, &status, WNOHANG)) != 0) {
    if (pid < 0 && errno == EINTR)
      continue;
    if (pid < 0) {
      k->none_left = true;
      return;
    }
    if (pid == k->app) {
      k->app_gone = true;
      tell(DRONE_TOLD_EXIT, status);
    }
  }
}

static void kill_all(void) {
  drone_prey prey = {NULL, getpid(), 0, 0};

  (void)drone_sweep_once(&prey);
}

static void hear(keeper *k, const drone_launch *l) {
  char byte;
  ssize_t n = recv(CHANNEL, &byte, 1, 0);

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (n == 1 && !k->stopping) {
    k->stopping = true;
    k->kill_at = now_ms() + l->stop_ms;
    /* Before its setsid there is no such group yet. */
    if (!k->app_gone && kill(-k->app, SIGTERM) != 0)
      (void)kill(k->app, SIGTERM);
  } else if (n <= 0) { /* the drone is gone */
    k->stopping = true;
    k->kill_at = 0;
  }
}

/* Milliseconds until something is due. */
static int due_in(const keeper *k) {
  int64_t left = k->kill_at - now_ms();

  if (!k->stopping)
    return -1;
  return left <= 0 ? 10 : (int)(left < 60000 ? left : 60000);
}

static void keep(keeper *k, const drone_launch *l) {
  bool heard_end = false;

  for (;;) {
    struct pollfd on[2] = {{CHANNEL, POLLIN, 0}, {SIGNALS, POLLIN, 0}};
    struct signalfd_siginfo drop;

    reap(k);
    if (k->none_left)
      return;
    if (k->app_gone && !k->stopping) { /* what it left goes, too */
      k->stopping = true;
      k->kill_at = 0;
    }
    if (k->stopping && now_ms() >= k->kill_at)
      kill_all();
    if (heard_end)
      on[0].fd = -1;
    if (poll(on, 2, due_in(k)) < 0 && errno != EINTR)
      _exit(DRONE_KEEPER_FAILED);
    if ((on[1].revents & POLLIN) != 0 &&
        read(SIGNALS, &drop, sizeof drop) < 0 && errno != EAGAIN)
      _exit(DRONE_KEEPER_FAILED);
    if (on[0].fd >= 0 && on[0].revents != 0) {
      hear(k, l);
      heard_end = k->stopping && k->kill_at == 0;
    }
  }
}

static void move_fd(int from, int to) {
  if (from != to && dup2(from, to) < 0)
    _exit(DRONE_KEEPER_FAILED);
}

/* Puts the descriptors in their places, and closes all others. */
static void arrange(int channel, int out) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int high[2];

  if (null < 0)
    _exit(DRONE_KEEPER_FAILED);
  high[0] = fcntl(channel, F_DUPFD, 16);
  high[1] = fcntl(out, F_DUPFD, 16);
  if (high[0] < 0 || high[1] < 0)
    _exit(DRONE_KEEPER_FAILED);
  move_fd(null, STDIN_FILENO);
  move_fd(STDIN_FILENO, STDOUT_FILENO);
  move_fd(STDIN_FILENO, STDERR_FILENO);
  move_fd(high[0], CHANNEL);
  move_fd(high[1], OUT);
  (void)close_range(SIGNALS, ~0U, 0);
}

static void keeper_main(const drone_launch *l, int channel, pid_t drone) {
  keeper k = {0, false, false, false, 0};
  sigset_t child;
  pid_t self;

  (void)prctl(PR_SET_NAME, "drone-keeper");
  (void)setsid();
  reset_signals();
  (void)sigemptyset(&child);
  (void)sigaddset(&child, SIGCHLD);
  arrange(channel, l->out);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || getppid() != drone ||
      sigprocmask(SIG_BLOCK, &child, NULL) != 0 ||
      signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK) != SIGNALS)
    _exit(DRONE_KEEPER_FAILED);
  self = getpid();
  /* Without libuv's handler of forks: it would close what was its pipe once and
     is ours now. */
  k.app = _Fork();
  if (k.app == 0)
    become_app(l, self);
  if (k.app < 0)
    _exit(DRONE_KEEPER_FAILED);
  (void)close(OUT);
  tell(DRONE_TOLD_PID, k.app);
  keep(&k, l);
  _exit(DRONE_KEEPER_CLEAN);
}

pid_t drone_keeper_fork(const drone_launch *launch, int *channel) {
  int pair[2], failed;
  pid_t drone = getpid(), pid;

  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return -1;
  if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
    failed = errno;
    (void)close(pair[0]);
    (void)close(pair[1]);
    errno = failed;
    return -1;
  }
  pid = fork();
  if (pid == 0) {
    (void)close(pair[0]);
    keeper_main(launch, pair[1], drone);
  }
  failed = errno;
  (void)close(pair[1]);
  if (pid < 0) {
    (void)close(pair[0]);
    errno = failed;
    return -1;
  }
  *channel = pair[0];
  return pid;
}
