/*
 * Runs a client of a benchmark and adds what the system knows of it:
 *
 *   measure COMMAND [ARGUMENT]...
 *
 * The command prints "ROWS BYTES SECONDS"; this prints these and, behind them,
 * the CPU seconds (user and system) and the peak of its memory in MB.
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* What it prints; the rest of it is an error message. */
static void read_line(int fd, char *line, size_t size) {
  size_t len = 0;
  ssize_t n;

  while (len + 1 < size && (n = read(fd, line + len, size - 1 - len)) > 0)
    len += (size_t)n;
  line[len] = '\0';
  line[strcspn(line, "\n")] = '\0';
}

int main(int argc, char **argv) {
  struct rusage usage;
  char line[256];
  int ends[2], status;
  pid_t child;

  if (argc < 2 || pipe(ends) != 0) {
    (void)fprintf(stderr, "usage: measure COMMAND [ARGUMENT]...\n");
    return 2;
  }
  child = fork();
  if (child < 0) {
    perror("measure");
    return 1;
  }
  if (child == 0) {
    if (dup2(ends[1], STDOUT_FILENO) >= 0) {
      (void)close(ends[0]);
      (void)close(ends[1]);
      (void)execvp(argv[1], argv + 1);
    }
    perror(argv[1]);
    _exit(127);
  }
  (void)close(ends[1]);
  read_line(ends[0], line, sizeof line);
  (void)close(ends[0]);
  if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0) {
    (void)fprintf(stderr, "measure: %s failed: %s\n", argv[1], line);
    return 1;
  }
  (void)printf("%s %.6f %.1f\n", line,
               seconds(usage.ru_utime) + seconds(usage.ru_stime),
               (double)usage.ru_maxrss / 1024);
  return 0;
}
