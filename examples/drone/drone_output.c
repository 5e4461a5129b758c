/*
 * An app's output in rotated files; see drone_output.h.
 */
#include "drone/drone_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct drone_output {
  int dir, fd; /* fd: -1 while none is open */
  int64_t max, size;
  int files;
  uint64_t lost;
  bool in_line; /* the last byte was not the end of a line */
};

static void name_of(int number, char out[32]) {
  if (number == 0)
    (void)snprintf(out, 32, "log/output");
  else
    (void)snprintf(out, 32, "log/output.%d", number);
}

drone_output *drone_output_new(int dir, int64_t max, int files) {
  drone_output *o = calloc(1, sizeof *o);

  if (o == NULL)
    return NULL;
  o->dir = dir;
  o->fd = -1;
  o->max = max;
  o->files = files;
  return o;
}

void drone_output_free(drone_output *o) {
  if (o == NULL)
    return;
  drone_output_forget(o);
  free(o);
}

void drone_output_forget(drone_output *o) {
  if (o->fd >= 0)
    (void)close(o->fd);
  o->fd = -1;
  o->in_line = false;
}

static bool open_file(drone_output *o) {
  struct stat st;

  if (o->fd >= 0)
    return true;
  if (mkdirat(o->dir, "log", 0700) != 0 && errno != EEXIST)
    return false;
  o->fd = openat(o->dir, "log/output",
                 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (o->fd < 0 || fstat(o->fd, &st) != 0)
    return false;
  o->size = st.st_size;
  return true;
}

/* The last file falls off, the others move on by one. */
static void rotate(drone_output *o) {
  char from[32], to[32];
  int i;

  (void)close(o->fd);
  o->fd = -1;
  for (i = o->files - 1; i >= 1; i--) {
    name_of(i - 1, from);
    name_of(i, to);
    (void)renameat(o->dir, from, o->dir, to);
  }
  if (o->files == 1)
    (void)unlinkat(o->dir, "log/output", 0);
}

void drone_output_write(drone_output *o, const char *data, size_t len) {
  while (len != 0) {
    size_t piece = len;
    ssize_t n;

    if (open_file(o) && o->size >= o->max)
      rotate(o);
    if (!open_file(o))
      break;
    if ((int64_t)piece > o->max - o->size)
      piece = o->size < o->max ? (size_t)(o->max - o->size) : len;
    n = write(o->fd, data, piece);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    o->in_line = data[n - 1] != '\n';
    o->size += n;
    data += n;
    len -= (size_t)n;
  }
  o->lost += len;
}

void drone_output_note(drone_output *o, const char *format, ...) {
  text line = TEXT_INIT;
  va_list args;

  if (o->in_line)
    text_str(&line, "\n");
  text_str(&line, "[drone] ");
  va_start(args, format);
  text_vprintf(&line, format, args);
  va_end(args);
  text_str(&line, "\n");
  if (!line.failed)
    drone_output_write(o, line.data, line.len);
  text_free(&line);
}

/* The last bytes of one file. */
static void add_tail(int fd, off_t skip, text *out) {
  char buffer[8192];
  ssize_t n;

  while ((n = pread(fd, buffer, sizeof buffer, skip)) > 0) {
    text_add(out, buffer, (size_t)n);
    skip += n;
  }
}

void drone_output_tail(const drone_output *o, size_t bytes, text *out) {
  size_t sizes[100], all = 0;
  struct stat st;
  char name[32];
  int oldest = -1, i;

  for (i = 0; i < o->files && i < 100 && all < bytes; i++) {
    name_of(i, name);
    if (fstatat(o->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      break;
    sizes[i] = (size_t)st.st_size;
    all += sizes[i];
    oldest = i;
  }
  for (i = oldest; i >= 0; i--) {
    int fd;
    off_t skip = i == oldest && all > bytes ? (off_t)(all - bytes) : 0;

    name_of(i, name);
    fd = openat(o->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
      continue;
    add_tail(fd, skip, out);
    (void)close(fd);
  }
}

uint64_t drone_output_lost(const drone_output *o) { return o->lost; }
