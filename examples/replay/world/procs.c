/* Programs as child processes that do not outlive the test, a clock, dice. */
#include "world.h"

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

int64_t now_ms(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sleep_ms(int64_t ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR)
    continue;
}

static atomic_bool forbidden;

void procs_forbid(void) { forbidden = true; }

/* PDEATHSIG comes when the thread that started the child ends: all are started
   by threads that live as long as the run, or are started again. */
bool proc_start(proc *p, const char *const argv[]) {
  pid_t parent = getpid(), pid = forbidden ? -1 : fork();
  if (pid < 0)
    return false;
  if (pid == 0) {
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigemptyset(&none); /* who waits for signals has blocked them */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent || log < 0 || null < 0)
      _exit(127);
    (void)dup2(null, 0);
    (void)dup2(log, 1);
    (void)dup2(log, 2);
    (void)close_range(3, ~0U, 0);
    (void)execv(argv[0], (char *const *)(uintptr_t)argv);
    (void)dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
  }
  p->pid = pid;
  return true;
}

void proc_kill(proc *p, int sig) {
  if (p->pid > 0)
    (void)kill(p->pid, sig);
}

bool proc_ended(proc *p, int *status) {
  if (p->pid <= 0)
    return true;
  if (waitpid(p->pid, status, WNOHANG) != p->pid)
    return false;
  p->pid = 0;
  return true;
}

bool proc_wait(proc *p, int64_t ms, int *status) {
  int64_t end = now_ms() + ms;
  while (!proc_ended(p, status)) {
    if (now_ms() > end)
      return false;
    sleep_ms(5);
  }
  return true;
}

bool file_read(const char *path, char *out, size_t size) {
  FILE *f = fopen(path, "r");
  if (!f)
    return false;
  size_t n = fread(out, 1, size - 1, f);
  out[n] = '\0';
  (void)fclose(f);
  return n > 0;
}

bool file_write(const char *path, const char *all) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  bool ok = fd >= 0 && write(fd, all, strlen(all)) == (ssize_t)strlen(all);
  return fd >= 0 && close(fd) == 0 && ok;
}

uint64_t dice_next(dice *d) {
  uint64_t z = d->state += 0x9e3779b97f4a7c15U;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
  z = (z ^ z >> 27) * 0x94d049bb133111ebU;
  return z ^ z >> 31;
}

unsigned dice_below(dice *d, unsigned n) {
  return (unsigned)(dice_next(d) % n);
}

double dice_chance(dice *d) {
  return (double)(dice_next(d) >> 11) / 9007199254740992.0;
}
