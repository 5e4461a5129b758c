/* Addresses of servers behind; numeric only, so that nothing waits for a name.
 */
#include "common/http_pool_state.h"

#include <string.h>

static bool parse_port(const char *s, int *port) {
  int value = 0;

  if (*s == '\0' || strlen(s) > 5)
    return false;
  for (; *s != '\0'; s++) {
    if (*s < '0' || *s > '9')
      return false;
    value = value * 10 + (*s - '0');
  }
  *port = value;
  return value >= 1 && value <= 65535;
}

static bool parse_unix(http_address *a, const char *path) {
  size_t len = strlen(path);

  if (len == 0 || len >= sizeof a->to.un.sun_path)
    return false;
  a->to.un.sun_family = AF_UNIX;
  memcpy(a->to.un.sun_path, path, len + 1);
  return true;
}

bool http_address_parse(http_address *address, const char *name) {
  char host[INET6_ADDRSTRLEN + 2];
  const char *colon;
  size_t len;
  int port;

  memset(address, 0, sizeof *address);
  if (strncmp(name, "unix:", 5) == 0)
    return parse_unix(address, name + 5);
  colon = strrchr(name, ':');
  if (colon == NULL || !parse_port(colon + 1, &port))
    return false;
  len = (size_t)(colon - name);
  if (len == 0 || len >= sizeof host)
    return false;
  memcpy(host, name, len);
  host[len] = '\0';
  if (host[0] != '[')
    return uv_ip4_addr(host, port, &address->to.in) == 0;
  if (host[len - 1] != ']')
    return false;
  host[len - 1] = '\0';
  return uv_ip6_addr(host + 1, port, &address->to.in6) == 0;
}
