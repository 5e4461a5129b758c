/* Child processes and /proc for tests: see proc.h. Pipes are read only from
   within these calls, so a test decides when its child's output flows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "proc.h"
#include "mem.h"
#include "timing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* An end is looked for this often: waitpid has no time limit of its own. */
#define TICK_MS 5

typedef struct output {
  int fd; /* -1 once the stream has ended or was closed */
  char *data;
  size_t len, cap;
  size_t next; /* where the next line begins */
  char *line;
  size_t line_cap;
} output;

struct cft_proc {
  pid_t pid;
  bool hold, ended;
  int status;
  output out[2];
};

static size_t env_count(const char *const list[]) {
  size_t n = 0;
  while (list && list[n])
    n++;
  return n;
}

static bool same_name(const char *var, const char *change) {
  size_t n = strcspn(change, "=");
  return strncmp(var, change, n) == 0 && var[n] == '=';
}

/* The environment with the changes applied; only the array is allocated. */
static const char **env_merge(const char *const env[]) {
  size_t have = env_count((const char *const *)environ), n = 0;
  size_t changes = env_count(env);
  const char **out = cft_calloc(have + changes + 1, sizeof *out);
  for (size_t i = 0; i < have; i++) {
    bool replaced = false;
    for (size_t k = 0; k < changes && !replaced; k++)
      replaced = same_name(environ[i], env[k]);
    if (!replaced)
      out[n++] = environ[i];
  }
  for (size_t k = 0; k < changes; k++)
    if (strchr(env[k], '='))
      out[n++] = env[k];
  return out;
}

/* In the child after fork: async-signal-safe calls only. Returns on failure. */
static void child_exec(const char *const argv[], const char **env, int out,
                       int err, pid_t parent) {
  union { /* execvpe takes char *const * for history's sake, writes nothing */
    const char *const *in;
    char *const *plain;
  } args = {.in = argv}, vars = {.in = (const char *const *)env};
  sigset_t none;
  int null_fd = open("/dev/null", O_RDONLY);

  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(127);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int sig = 1; sig < NSIG; sig++)
    signal(sig, SIG_DFL);
  if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(out, 1) < 0 ||
      dup2(err, 2) < 0)
    return;
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execvpe(argv[0], args.plain, vars.plain);
}

static void close_pair(int fds[2]) {
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0)
      close(fds[i]);
    fds[i] = -1;
  }
}

/* Forks; pipes[0], [1] are the outputs, pipes[2] carries the errno of a failed
   exec and closes without a byte when the exec went well. */
static pid_t spawn(const char *const argv[], const char **env,
                   int pipes[3][2]) {
  int error = 0;
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    child_exec(argv, env, pipes[0][1], pipes[1][1], parent);
    error = errno;
    (void)!write(pipes[2][1], &error, sizeof error);
    _exit(127);
  }
  if (pid < 0)
    return -1;
  setpgid(pid, pid);
  close(pipes[2][1]);
  pipes[2][1] = -1;
  ssize_t got;
  do
    got = read(pipes[2][0], &error, sizeof error);
  while (got < 0 && errno == EINTR);
  if (got != sizeof error)
    return pid;
  waitpid(pid, NULL, 0);
  errno = error;
  return -1;
}

cft_proc *cft_proc_start(const char *const argv[], const char *const env[]) {
  int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, error = 0;
  const char **vars = env_merge(env);
  cft_proc *proc = cft_calloc(1, sizeof *proc);
  for (int i = 0; i < 3 && !error; i++)
    if (pipe2(pipes[i], O_CLOEXEC) != 0)
      error = errno;
  if (!error) {
    proc->pid = spawn(argv, vars, pipes);
    error = proc->pid < 0 ? errno : 0;
  }
  for (int i = 0; i < 2; i++) {
    proc->out[i].fd = pipes[i][0];
    pipes[i][0] = -1;
    if (!error)
      fcntl(proc->out[i].fd, F_SETFL, O_NONBLOCK);
  }
  for (int i = 0; i < 3; i++)
    close_pair(pipes[i]);
  free(vars);
  if (error) {
    proc->pid = 0;
    cft_proc_free(proc);
    errno = error;
    return NULL;
  }
  return proc;
}

pid_t cft_proc_pid(const cft_proc *proc) { return proc->pid; }

/* Takes what the pipe holds now. Closes our end when it has ended. */
static void take(output *o) {
  while (o->fd >= 0) {
    if (o->cap - o->len < 4096) {
      o->cap = o->cap ? o->cap * 2 : 16384;
      o->data = cft_realloc(o->data, o->cap, 1);
    }
    /* one byte stays free for the NUL of cft_proc_text */
    ssize_t n = read(o->fd, o->data + o->len, o->cap - o->len - 1);
    if (n > 0) {
      o->len += (size_t)n;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      return;
    } else {
      close(o->fd);
      o->fd = -1;
    }
  }
}

/* Waits up to ms for output of either stream and takes it. */
static void pump(cft_proc *proc, int64_t ms) {
  struct pollfd p[2] = {{proc->out[0].fd, POLLIN, 0},
                        {proc->out[1].fd, POLLIN, 0}};
  int wait_ms = ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
  if (proc->hold)
    p[0].fd = p[1].fd = -1;
  if (poll(p, 2, wait_ms) <= 0)
    return;
  for (int i = 0; i < 2; i++)
    if (p[i].revents)
      take(&proc->out[i]);
}

static const char *next_line(output *o) {
  if (o->next == o->len)
    return NULL;
  char *start = o->data + o->next;
  char *nl = memchr(start, '\n', o->len - o->next);
  if (!nl && o->fd >= 0)
    return NULL;
  size_t n = nl ? (size_t)(nl - start) : o->len - o->next;
  if (o->line_cap < n + 1) {
    free(o->line);
    o->line = cft_realloc(NULL, n + 1, 1);
    o->line_cap = n + 1;
  }
  memcpy(o->line, start, n);
  o->line[n] = '\0';
  o->next += n + (nl != NULL);
  return o->line;
}

const char *cft_proc_line(cft_proc *proc, enum cft_stream stream,
                          int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  output *o = &proc->out[stream];
  for (;;) {
    const char *line = next_line(o);
    int64_t left = end - cft_now_ms();
    if (line || left < 0 || o->fd < 0)
      return line;
    pump(proc, left);
  }
}

const char *cft_proc_line_with(cft_proc *proc, enum cft_stream stream,
                               const char *text, int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  for (;;) {
    const char *line = cft_proc_line(proc, stream, end - cft_now_ms());
    if (!line || strstr(line, text))
      return line;
  }
}

const char *cft_proc_text(cft_proc *proc, enum cft_stream stream, size_t *len) {
  output *o = &proc->out[stream];
  if (!proc->hold)
    take(o);
  if (len)
    *len = o->len;
  if (!o->data)
    return "";
  o->data[o->len] = '\0';
  return o->data;
}

void cft_proc_hold(cft_proc *proc, bool hold) { proc->hold = hold; }

void cft_proc_close(cft_proc *proc, enum cft_stream stream) {
  if (proc->out[stream].fd >= 0)
    close(proc->out[stream].fd);
  proc->out[stream].fd = -1;
}

/* Asks once whether the child has ended. It stays a zombie until it is freed:
   its process group id cannot become someone else's meanwhile. */
static bool look(cft_proc *proc) {
  siginfo_t info;
  info.si_pid = 0;
  if (!proc->ended &&
      waitid(P_PID, (id_t)proc->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == proc->pid) {
    proc->ended = true;
    proc->status =
        info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  }
  return proc->ended;
}

bool cft_proc_signal(cft_proc *proc, int signal_number) {
  return !look(proc) && kill(proc->pid, signal_number) == 0;
}

bool cft_proc_wait(cft_proc *proc, int64_t timeout_ms, int *status) {
  int64_t end = cft_now_ms() + timeout_ms;
  while (!look(proc)) {
    int64_t left = end - cft_now_ms();
    if (left < 0)
      return false;
    bool open = proc->out[0].fd >= 0 || proc->out[1].fd >= 0;
    int64_t step = left < TICK_MS ? left : TICK_MS;
    if (open && !proc->hold)
      pump(proc, step);
    else
      poll(NULL, 0, (int)step);
  }
  pump(proc, 0);
  if (status)
    *status = proc->status;
  return true;
}

void cft_proc_free(cft_proc *proc) {
  if (!proc)
    return;
  if (proc->pid > 0) {
    kill(-proc->pid, SIGKILL);
    waitpid(proc->pid, NULL, 0);
  }
  for (int i = 0; i < 2; i++) {
    if (proc->out[i].fd >= 0)
      close(proc->out[i].fd);
    free(proc->out[i].data);
    free(proc->out[i].line);
  }
  free(proc);
}

int cft_fd_count(pid_t pid) {
  char path[64];
  int n = 0;
  snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
  DIR *dir = opendir(path);
  if (!dir)
    return -1;
  for (struct dirent *e; (e = readdir(dir)) != NULL;)
    n += e->d_name[0] != '.';
  closedir(dir);
  /* the directory itself was open while it was read */
  return pid == getpid() ? n - 1 : n;
}

size_t cft_rss_bytes(pid_t pid) {
  char path[64];
  char text[128] = "";
  snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
  FILE *f = fopen(path, "re");
  if (!f)
    return 0;
  const char *second =
      fgets(text, sizeof text, f) ? strchr(text, ' ') : NULL; /* resident */
  fclose(f);
  unsigned long pages = second ? strtoul(second, NULL, 10) : 0;
  return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

bool cft_cmdline(pid_t pid, char *buf, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
  FILE *f = size ? fopen(path, "re") : NULL;
  if (!f)
    return false;
  size_t n = fread(buf, 1, size - 1, f);
  fclose(f);
  while (n > 0 && buf[n - 1] == '\0')
    n--;
  buf[n] = '\0';
  for (size_t i = 0; i < n; i++)
    if (buf[i] == '\0')
      buf[i] = ' ';
  return n > 0;
}

bool cft_want_fds(size_t n) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return false;
  if (limit.rlim_cur >= n)
    return true;
  limit.rlim_cur = n < limit.rlim_max ? (rlim_t)n : limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= n;
}
