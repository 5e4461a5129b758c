/* Drones made by the operator's script: "create" says one line "ADDR CTL" when
   it is there, "destroy ADDR CTL" ends one, "list" says one line for each. What
   it says on stderr goes where ours goes. A script that takes too long is
   ended with everything it has started in its session's group. */
#include "provisioner/driver.h"

#include "provisioner/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CREATE_MS = 600000, CALL_MS = 60000, LIST_BYTES = 1 << 20 };

static int begin(driver *d, const char *verb, const char *addr, const char *ctl,
                 int *output, char *why, size_t size) {
  const char *argv[] = {d->path, verb, addr, ctl, NULL};
  int ends[2], pid;

  /* Ours does not wait; the script's does, as any pipe. */
  if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    (void)snprintf(why, size, "%s %s: no pipe: %s", d->path, verb,
                   strerror(errno));
    return -1;
  }
  pid = driver_spawn(argv, ends[1], 2, why, size);
  (void)close(ends[1]);
  if (pid < 0)
    (void)close(ends[0]);
  else
    *output = ends[0];
  return pid;
}

static void end(int pid) {
  (void)kill(-pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* 0: it ended well; 1: not yet; -1: badly, why. */
static int ended(int pid, const char *what, char *why, size_t size) {
  int status, rc = waitpid(pid, &status, WNOHANG);

  if (rc == 0 || (rc < 0 && errno == EINTR))
    return 1;
  if (rc > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return 0;
  if (rc < 0)
    (void)snprintf(why, size, "%s: %s", what, strerror(errno));
  else if (WIFEXITED(status))
    (void)snprintf(why, size, "%s ended with %d", what, WEXITSTATUS(status));
  else
    (void)snprintf(why, size, "%s was ended by signal %d", what,
                   WTERMSIG(status));
  return -1;
}

bool exec_begin(driver *d, boot *b, char *why, size_t size) {
  b->began_ms = mono_ms();
  b->pid = begin(d, "create", NULL, NULL, &b->output, why, size);
  return b->pid > 0;
}

/* All of it, so that the script never waits; what is too long is not one
   line. */
static void hear(boot *b) {
  char waste[512];
  ssize_t n;

  do {
    bool full = b->said_len == sizeof b->said;

    n = read(b->output, full ? waste : b->said + b->said_len,
             full ? sizeof waste : sizeof b->said - b->said_len);
    if (n > 0 && !full)
      b->said_len += (size_t)n;
  } while (n > 0);
}

enum driver_boot exec_look(boot *b, char *why, size_t size) {
  enum driver_boot result = DRIVER_FAILED;
  const char *newline;
  size_t len;
  int rc;

  hear(b);
  rc = ended(b->pid, "create", why, size);
  if (rc == 1 && mono_ms() - b->began_ms < CREATE_MS)
    return DRIVER_BOOTING;
  if (rc == 1) {
    end(b->pid);
    (void)snprintf(why, size, "create took more than %d s", CREATE_MS / 1000);
  }
  hear(b);
  (void)close(b->output);
  b->output = -1;
  if (rc != 0)
    return result;
  newline = memchr(b->said, '\n', b->said_len);
  len = newline != NULL ? (size_t)(newline - b->said) : b->said_len;
  if ((newline == NULL || newline + 1 == b->said + b->said_len) &&
      driver_line(b->said, len, b->addr, b->ctl))
    return DRIVER_BOOTED;
  (void)snprintf(why, size,
                 "create said \"%.*s\" and not one line \"ADDR CTL\"",
                 len < 80 ? (int)len : 80, b->said);
  return result;
}

typedef struct said {
  char *data;
  size_t len, most; /* what is beyond is dropped */
} said;

/* False: nothing was there to be read. */
static bool listen_to(int output, said *to) {
  char waste[512];
  bool full = to->len == to->most;
  ssize_t n = read(output, full ? waste : to->data + to->len,
                   full ? sizeof waste : to->most - to->len);

  if (n > 0 && !full)
    to->len += (size_t)n;
  return n > 0;
}

/* Runs it to its end. */
static bool run(driver *d, const char *verb, const char *addr, const char *ctl,
                said *to, char *why, size_t size) {
  int64_t until = mono_ms() + CALL_MS;
  int output = -1, pid, rc;

  pid = begin(d, verb, addr, ctl, &output, why, size);
  if (pid < 0)
    return false;
  do {
    struct pollfd p = {output, POLLIN, 0};

    (void)poll(&p, 1, 50);
    rc = listen_to(output, to) ? 1 : ended(pid, verb, why, size);
  } while (rc == 1 && mono_ms() < until);
  if (rc == 1) {
    end(pid);
    (void)snprintf(why, size, "%s took more than %d s", verb, CALL_MS / 1000);
  }
  while (rc == 0 && listen_to(output, to)) {
  }
  (void)close(output);
  return rc == 0;
}

bool exec_destroy(driver *d, const char *addr, const char *ctl, char *why,
                  size_t size) {
  char text[256];
  said nothing = {text, 0, sizeof text};

  return run(d, "destroy", addr, ctl, &nothing, why, size);
}

bool exec_list(driver *d,
               void (*each)(void *ctx, const char *addr, const char *ctl),
               void *ctx, char *why, size_t size) {
  said list = {malloc(LIST_BYTES), 0, LIST_BYTES};
  char addr[ADDR_MOST + 1], ctl[ADDR_MOST + 1];
  size_t at = 0;
  bool ok;

  if (list.data == NULL) {
    (void)snprintf(why, size, "Out of memory");
    return false;
  }
  ok = run(d, "list", NULL, NULL, &list, why, size);
  while (ok && at < list.len) {
    const char *line = list.data + at;
    const char *newline = memchr(line, '\n', list.len - at);
    size_t len = newline != NULL ? (size_t)(newline - line) : list.len - at;

    if (len != 0 && !driver_line(line, len, addr, ctl)) {
      (void)snprintf(why, size, "list said \"%.*s\" and not \"ADDR CTL\"",
                     len < 80 ? (int)len : 80, line);
      ok = false;
    } else if (len != 0) {
      each(ctx, addr, ctl);
    }
    at += len + 1;
  }
  free(list.data);
  return ok;
}
