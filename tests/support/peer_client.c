/* A raw TCP client: see peer_client.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "peer_client.h"
#include "mem.h"
#include "timing.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool connect_to(cft_client *c, const void *addr, socklen_t len) {
  const struct sockaddr *sa = addr;
  *c = (cft_client){.fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  c->data = cft_memdup("", 0);
  if (c->fd >= 0 && connect(c->fd, sa, len) == 0)
    return true;
  int error = errno;
  cft_client_close(c);
  errno = error;
  return false;
}

bool cft_client_connect(cft_client *c, uint16_t port) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_port = htons(port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return connect_to(c, &in, sizeof in);
}

bool cft_client_connect6(cft_client *c, uint16_t port) {
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                             .sin6_port = htons(port),
                             .sin6_addr = in6addr_loopback};
  return connect_to(c, &in6, sizeof in6);
}

bool cft_client_connect_unix(cft_client *c, const char *path) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
  return connect_to(c, &un, sizeof un);
}

bool cft_client_send(cft_client *c, const char *text) {
  size_t len = strlen(text);
  while (len) {
    ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    text += n;
    len -= (size_t)n;
  }
  return true;
}

bool cft_client_request(cft_client *c, const char *line, const char *headers,
                        const char *body) {
  size_t size = strlen(line) + strlen(headers ? headers : "") +
                strlen(body ? body : "") + 128;
  char *text = cft_calloc(size, 1);
  int n = snprintf(text, size, "%s HTTP/1.1\r\nHost: x\r\n%s", line,
                   headers ? headers : "");
  if (body)
    n += snprintf(text + n, size - (size_t)n, "Content-Length: %zu\r\n",
                  strlen(body));
  snprintf(text + n, size - (size_t)n, "\r\n%s", body ? body : "");
  bool ok = cft_client_send(c, text);
  free(text);
  return ok;
}

/* Takes what comes within ms; false when nothing came. */
static bool take(cft_client *c, int64_t ms) {
  struct pollfd p = {c->fd, POLLIN, 0};
  if (c->end != CFT_END_NONE || poll(&p, 1, ms < 0 ? 0 : (int)ms) <= 0)
    return false;
  if (c->cap - c->len < 65536) {
    c->cap = c->cap ? c->cap * 2 : 131072;
    c->data = cft_realloc(c->data, c->cap, 1);
  }
  ssize_t n = recv(c->fd, c->data + c->len, c->cap - c->len - 1, 0);
  if (n > 0)
    c->len += (size_t)n;
  else if (n == 0 || errno != EINTR)
    c->end = n == 0 ? CFT_END_FIN : CFT_END_RST;
  c->data[c->len] = '\0';
  return true;
}

static bool has_text(const cft_client *c, const char *text) {
  return memmem(c->data, c->len, text, strlen(text)) != NULL;
}

bool cft_client_until(cft_client *c, const char *text, int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  while (!has_text(c, text) && take(c, end - cft_now_ms())) {
  }
  return has_text(c, text);
}

bool cft_client_until_len(cft_client *c, size_t len, int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  while (c->len < len && take(c, end - cft_now_ms())) {
  }
  return c->len >= len;
}

bool cft_client_until_end(cft_client *c, int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  while (c->end == CFT_END_NONE && take(c, end - cft_now_ms())) {
  }
  return c->end != CFT_END_NONE;
}

bool cft_client_quiet(cft_client *c, int64_t ms) { return !take(c, ms); }

void cft_client_reset(cft_client *c) {
  c->len = 0;
  c->data[0] = '\0';
}

void cft_client_close(cft_client *c) {
  if (c->fd >= 0)
    close(c->fd);
  free(c->data);
  *c = (cft_client){.fd = -1};
}
