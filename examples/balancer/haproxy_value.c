/* Keys and values of HAProxy's map; see haproxy_state.h. Every byte that goes
   into a command is one of a few, so that nothing in a document can end a
   command or begin another, whatever was let through before. */
#include "balancer/haproxy_state.h"

#include <string.h>

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-';
}

bool haproxy_is_plain(const char *s, size_t len) {
  if (len == 0 || s[0] == '@' || s[0] == '#' || s[0] == '<')
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_word(s[i]) && !(s[i] >= 'A' && s[i] <= 'Z') && s[i] != ':' &&
        s[i] != '|' && s[i] != '!' && s[i] != '/' && s[i] != '_')
      return false;
  return true;
}

/* ---- keys ---- */

static size_t labels_of(const char *host, size_t len) {
  size_t labels = 1;

  for (size_t i = 0; i < len; i++)
    labels += host[i] == '.';
  return labels;
}

bool haproxy_key(const char *host, size_t len, char out[HAPROXY_KEY_MOST + 1],
                 const char **why) {
  bool any = len > 2 && host[0] == '*' && host[1] == '.';

  if (any) {
    host += 2;
    len -= 2;
  }
  *why = "it is no host name";
  if (len == 0 || len > HOST_MOST)
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_word(host[i]))
      return false;
  *why = "a pattern of more than 10 labels is not looked for";
  if (any && labels_of(host, len) > HAPROXY_LABELS)
    return false;
  memcpy(out, host, len);
  out[len] = '\0';
  if (any)
    memcpy(out + len, HAPROXY_ANY, sizeof HAPROXY_ANY);
  return true;
}

/* ---- values ---- */

/* "[::1]:80" is "::1|80" there. */
static bool add_target(const route_target *to, text *out) {
  const char *colon = strrchr(to->addr, ':'), *addr = to->addr, *end = colon;

  if (colon == NULL)
    return false;
  if (addr[0] == '[') {
    addr++;
    end--;
  }
  if (end <= addr || !haproxy_is_plain(addr, (size_t)(end - addr)) ||
      !haproxy_is_plain(colon + 1, strlen(colon + 1)) ||
      !haproxy_is_plain(to->claim, strlen(to->claim)) ||
      strpbrk(to->addr, "|!/") != NULL || strpbrk(to->claim, "|!:") != NULL)
    return false;
  text_add(out, addr, (size_t)(end - addr));
  text_str(out, "|");
  text_str(out, colon + 1);
  text_str(out, "|");
  text_str(out, to->claim);
  return true;
}

bool haproxy_value(const route *r, text *out) {
  enum page page = page_of_route(r);
  size_t count = route_target_count(r), slots;
  route_target to;

  if (page != 0) {
    text_str(out, page_code(page));
    return !out->failed;
  }
  slots = count > 1 ? HAPROXY_SLOTS : 1;
  for (size_t i = 0; i < slots; i++) {
    route_target_at(r, i % count, &to);
    if (i != 0)
      text_str(out, "!");
    if (!add_target(&to, out))
      return false;
  }
  return !out->failed;
}

const char *haproxy_notice(const table *t) {
  const table_notice *notice = table_get_notice(t);

  if (!table_is_ready(t))
    return page_code(PAGE_NOT_SYNCED);
  return notice->full ? page_code(PAGE_MAINTENANCE) : "ok";
}
