/* The app of these runs: answers every request with its own name and nonce, and
 * tells (appends a line to NONCE_LOG) when another app of the same drone is
 * still alive: the lock lies in the drone's directory, two above where it
 * works. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static void tell(const char *what) {
  const char *path = getenv("NONCE_LOG"), *app = getenv("NONCE_APP");
  if (!path)
    return;
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  char line[512], where[256] = "";
  if (fd < 0)
    return;
  if (!getcwd(where, sizeof where))
    where[0] = '\0';
  int n = snprintf(line, sizeof line, "%s: app %s at %s\n", what,
                   app ? app : "?", where);
  if (n > 0 && write(fd, line, (size_t)n) < 0)
    perror("nonce");
  (void)close(fd);
}

static void be_alone(void) {
  int fd = open("../nonce.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0)
    tell("no lock");
  else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    tell("another app is alive");
}

static int listener(void) {
  const char *port = getenv("PORT");
  struct sockaddr_in at = {.sin_family = AF_INET};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons((uint16_t)(port ? strtoul(port, NULL, 10) : 0));
  if (fd < 0)
    return -1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0)
    return -1;
  return fd;
}

static void answer(int fd) {
  char request[8192], body[256], reply[512];
  size_t len = 0;
  while (len + 1 < sizeof request) {
    ssize_t n = read(fd, request + len, sizeof request - 1 - len);
    if (n <= 0)
      return;
    len += (size_t)n;
    request[len] = '\0';
    if (strstr(request, "\r\n\r\n"))
      break;
  }
  const char *app = getenv("NONCE_APP"), *nonce = getenv("NONCE");
  int n = snprintf(body, sizeof body, "app=%s nonce=%s\n", app ? app : "?",
                   nonce ? nonce : "?");
  n = snprintf(reply, sizeof reply,
               "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
               "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
               n, body);
  if (n > 0 && write(fd, reply, (size_t)n) < 0)
    perror("nonce");
}

int main(void) {
  (void)signal(SIGPIPE, SIG_IGN);
  be_alone();
  int at = listener();
  if (at < 0) {
    perror("nonce: PORT");
    return 1;
  }
  for (;;) {
    int fd = accept(at, NULL, NULL);
    if (fd < 0)
      continue;
    struct timeval patience = {.tv_sec = 5};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    answer(fd);
    (void)close(fd);
  }
}
