/* Names and hashes; see ids.h. Pure but for the kernel's random bytes. */
#include "common/ids.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool id_random(char out[CLAIM_LEN + 1]) {
  static const char hex[] = "0123456789abcdef";
  unsigned char bytes[CLAIM_LEN / 2];
  size_t have = 0;
  ssize_t n;

  while (have < sizeof bytes) {
    n = getrandom(bytes + have, sizeof bytes - have, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      out[0] = '\0';
      return false;
    }
    have += (size_t)n;
  }
  for (size_t i = 0; i < sizeof bytes; i++) {
    out[2 * i] = hex[bytes[i] >> 4];
    out[2 * i + 1] = hex[bytes[i] & 15];
  }
  out[CLAIM_LEN] = '\0';
  return true;
}

bool id_is_claim(const char *s, size_t len) {
  if (len != CLAIM_LEN)
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
      return false;
  return true;
}

bool id_is_app(const char *s, size_t len) {
  if (len == 0 || len > NAME_MOST || !is_lower(s[0]) || s[len - 1] == '-')
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_lower(s[i]) && !is_digit(s[i]) && s[i] != '-')
      return false;
  return true;
}

static bool is_label(const char *s, size_t len) {
  if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_lower(s[i]) && !is_digit(s[i]) && s[i] != '-')
      return false;
  return true;
}

bool id_is_host(const char *s, size_t len) {
  const char *dot;
  size_t label;

  if (len > HOST_MOST)
    return false;
  for (;;) {
    dot = len != 0 ? memchr(s, '.', len) : NULL;
    label = dot != NULL ? (size_t)(dot - s) : len;
    if (!is_label(s, label))
      return false;
    if (dot == NULL)
      return true;
    s += label + 1;
    len -= label + 1;
  }
}

bool id_is_served_host(const char *s, size_t len) {
  if (len < 2 || s[0] != '*' || s[1] != '.')
    return id_is_host(s, len);
  /* Not "*.org": nobody has all of that. */
  return len <= HOST_MOST && memchr(s + 2, '.', len - 2) != NULL &&
         id_is_host(s + 2, len - 2);
}

static bool is_port(const char *s, size_t len) {
  unsigned port = 0;

  if (len == 0 || len > 5 || s[0] == '0')
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!is_digit(s[i]))
      return false;
    port = port * 10 + (unsigned)(s[i] - '0');
  }
  return port <= 65535;
}

bool id_is_addr(const char *s, size_t len) {
  char host[INET6_ADDRSTRLEN];
  unsigned char bytes[16];
  const char *colon = len != 0 ? memrchr(s, ':', len) : NULL;
  size_t host_len;
  bool six;

  if (colon == NULL)
    return false;
  host_len = (size_t)(colon - s);
  if (!is_port(colon + 1, len - host_len - 1))
    return false;
  six = host_len >= 2 && s[0] == '[' && colon[-1] == ']';
  if (six) {
    s++;
    host_len -= 2;
  }
  if (host_len == 0 || host_len >= sizeof host ||
      memchr(s, '\0', host_len) != NULL)
    return false;
  memcpy(host, s, host_len);
  host[host_len] = '\0';
  return inet_pton(six ? AF_INET6 : AF_INET, host, bytes) == 1;
}

static uint64_t fnv(uint64_t h, const char *s, size_t len) {
  for (size_t i = 0; i < len; i++)
    h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
  return h;
}

/* FNV alone leaves the high bits of short names alike. */
static uint64_t finished(uint64_t h) {
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}

uint64_t id_hash(const char *s, size_t len) {
  return finished(fnv(0xcbf29ce484222325u, s, len));
}

size_t id_rendezvous(const char *key, const char *const *names, size_t count) {
  /* The zero byte between them: "a", "bc" is not "ab", "c". */
  uint64_t of_key = fnv(0xcbf29ce484222325u, key, strlen(key) + 1);
  uint64_t best = 0;
  size_t found = 0;

  for (size_t i = 0; i < count; i++) {
    uint64_t h = finished(fnv(of_key, names[i], strlen(names[i])));

    /* The order of the names must not count, not even between equals. */
    if (i == 0 || h > best ||
        (h == best && strcmp(names[i], names[found]) < 0)) {
      best = h;
      found = i;
    }
  }
  return found;
}
