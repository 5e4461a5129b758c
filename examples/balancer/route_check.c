/* Whether bytes are a route's block, whole and such as route_pack would have
   made it; see route_int.h. They come from a file. */
#include "balancer/route_int.h"

#include <string.h>

typedef struct cursor {
  const unsigned char *at, *end;
} cursor;

/* The next size bytes; NULL when there are not so many. */
static const unsigned char *take(cursor *c, size_t size) {
  const unsigned char *at = c->at;

  if ((size_t)(c->end - at) < size)
    return NULL;
  c->at += size;
  return at;
}

/* A byte with a length, and so many bytes. */
static const unsigned char *take_short(cursor *c, size_t *len) {
  const unsigned char *size = take(c, 1);

  *len = size != NULL ? *size : 0;
  return size != NULL ? take(c, *len) : NULL;
}

static bool check_hosts(cursor *c, size_t count) {
  while (count-- != 0) {
    size_t len;
    const unsigned char *host = take_short(c, &len);

    if (host == NULL || !id_is_served_host((const char *)host, len))
      return false;
  }
  return true;
}

static bool check_name(cursor *c, size_t len) {
  const unsigned char *app = take(c, len);

  return app != NULL && id_is_app((const char *)app, len);
}

static bool check_gen(cursor *c, size_t len) {
  const unsigned char *gen = take(c, len);
  uint64_t value = 0;

  if (gen == NULL || len > 8 || (len != 0 && gen[len - 1] == 0))
    return false;
  for (size_t i = len; i-- != 0;)
    value = value << 8 | gen[i];
  return value <= (uint64_t)ROUTE_GEN_MOST;
}

/* An address that is kept as text is one that cannot be kept shorter. */
static bool check_addr(unsigned char kind, const unsigned char *at) {
  size_t size = route_addr_size(kind);
  char addr[ADDR_MOST + 1];

  if (kind == ROUTE_ADDR4)
    return (at[size - 2] | at[size - 1]) != 0;
  if (kind >= ROUTE_ADDR_TEXT)
    return id_is_addr((const char *)at, size) && at[0] == '[';
  route_addr_text(kind, at, addr);
  return (at[size - 2] | at[size - 1]) != 0 && strlen(addr) > size;
}

static bool check_targets(cursor *c, size_t count) {
  while (count-- != 0) {
    const unsigned char *kind = take(c, 1), *at;

    if (kind == NULL || *kind > ADDR_MOST ||
        (*kind > ROUTE_ADDR6 && *kind < ROUTE_ADDR_TEXT))
      return false;
    at = take(c, route_addr_size(*kind));
    if (at == NULL || !check_addr(*kind, at) || take(c, ROUTE_CLAIM) == NULL)
      return false;
  }
  return true;
}

/* Of the character that begins at s; 0: none does. */
static size_t character_len(const unsigned char *s, size_t left) {
  size_t len = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
  uint32_t value = *s & (0x7fU >> (len != 1 ? len : 0));
  static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};

  if ((*s >= 0x80 && *s < 0xc0) || *s >= 0xf8 || len > left)
    return 0;
  for (size_t i = 1; i < len; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    value = value << 6 | (s[i] & 0x3fU);
  }
  if (value < least[len] || value > 0x10ffff ||
      (value >= 0xd800 && value <= 0xdfff))
    return 0;
  return len;
}

/* UTF-8 without a zero byte, as all that comes out of JSON. */
static bool check_word(cursor *c, size_t most, bool *is_empty) {
  size_t len, n;
  const unsigned char *at = take_short(c, &len);

  if (at == NULL || len > most)
    return false;
  *is_empty = len == 0;
  for (; len != 0; at += n, len -= n) {
    n = character_len(at, len);
    if (n == 0)
      return false;
  }
  return true;
}

static bool check_words(cursor *c, bool are_there) {
  route_doc *doc = NULL;
  bool no_code, no_msg;

  if (!are_there)
    return true;
  return check_word(c, sizeof doc->code - 1, &no_code) &&
         check_word(c, sizeof doc->msg - 1, &no_msg) && !(no_code && no_msg);
}

const route *route_check(const void *data, size_t len) {
  const route *r = data;
  cursor c;

  if (len < ROUTE_UNIT || route_size(r) < ROUTE_UNIT || route_size(r) > len)
    return NULL;
  c.at = r->rest;
  c.end = (const unsigned char *)data + route_size(r);
  if (route_state(r) > ROUTE_FAILED || route_target_count(r) > TO_MOST ||
      (route_state(r) == ROUTE_LIVE && route_target_count(r) == 0) ||
      route_host_count(r) > HOSTS_MOST ||
      !check_hosts(&c, route_host_count(r)) || !check_name(&c, r->app_len) ||
      !check_gen(&c, r->gen_len) || !check_targets(&c, route_target_count(r)) ||
      !check_words(&c, (r->hosts & ROUTE_WORDS) != 0) ||
      c.end - c.at >= ROUTE_UNIT)
    return NULL;
  while (c.at < c.end)
    if (*c.at++ != 0)
      return NULL;
  return r;
}
