/*
 * Standard output and standard error.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"

static const char erase[] = "\r\033[K";

static bool same_terminal(void) {
  struct stat out, err;

  return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) &&
         fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
         out.st_rdev == err.st_rdev;
}

static bool can_erase(void) {
  const char *term = getenv("TERM");

  return isatty(STDERR_FILENO) && term != NULL && term[0] != '\0' &&
         strcmp(term, "dumb") != 0;
}

/* A closed descriptor would be given to the next socket, and rows or messages
   would be written into it. */
bool console_check_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) >= 0)
      continue;
    if (fd == STDOUT_FILENO) {
      complain("standard output is closed");
      return false;
    }
    if (open("/dev/null", O_RDWR) != fd) {
      complain("/dev/null: %s", strerror(errno));
      return false;
    }
  }
  return true;
}

static bool open_one(sink *s, int fd, const char *name) {
  int rc = sink_open(s, fd);

  if (rc != 0)
    complain("%s: %s", name, strerror(rc));
  return rc == 0;
}

bool console_open(console *c) {
  memset(c, 0, sizeof *c);
  if (!open_one(&c->out, STDOUT_FILENO, "standard output"))
    return false;
  c->terminal = can_erase();
  c->err = same_terminal() ? &c->out : &c->err_sink;
  return c->err == &c->out ||
         open_one(&c->err_sink, STDERR_FILENO, "standard error");
}

/* Messages are lost rather than rows when there is no memory; the end of the
   command tells it. */
static void put(console *c, bool ok) {
  if (!ok)
    c->no_memory = true;
}

void console_erase(console *c) {
  if (c->shown)
    put(c, sink_bytes(c->err, erase, sizeof erase - 1));
  c->shown = false;
}

bool console_row(console *c, const char *data, size_t len, uint64_t ordinal) {
  if (len != 0 && c->err == &c->out)
    console_erase(c);
  return sink_line(&c->out, len != 0 ? data : NULL, len, ordinal);
}

void console_line(console *c, const char *data, size_t len) {
  console_erase(c);
  put(c, sink_line(c->err, data, len, 0));
}

void console_progress(console *c, const char *data, size_t len) {
  if (!c->terminal || (c->err != &c->out && !sink_idle(c->err)))
    return;
  console_erase(c);
  put(c, sink_bytes(c->err, data, len));
  c->shown = true;
}
