/* Looking up; see table_int.h. Any thread. */
#include "balancer/table_int.h"

#include <string.h>

/* "a.example:80", "A.Example." */
static size_t without_port(const char *host, size_t len) {
  size_t end = len;

  while (end != 0 && host[end - 1] >= '0' && host[end - 1] <= '9')
    end--;
  if (end != 0 && host[end - 1] == ':')
    len = end - 1;
  return len != 0 && host[len - 1] == '.' ? len - 1 : len;
}

bool host_key_set(host_key *k, const char *host, size_t len) {
  char last = '.';

  len = without_port(host, len);
  if (len > sizeof k->text)
    return false;
  for (size_t i = 0; i < len; i++) {
    char c = host[i];

    if (c == '.' && last == '.')
      return false;
    last = c;
    k->text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  k->len = len;
  return last != '.';
}

static bool is_of(uint64_t value, const char *host, size_t len) {
  size_t own_len;
  const char *own = route_host(slot_route(value), slot_host(value), &own_len);

  return own_len == len && memcmp(own, host, len) == 0;
}

uint64_t index_find(const table_index *x, uint64_t hash, const char *host,
                    size_t len, size_t *at) {
  uint64_t tag = hash & 0xfff, value;
  size_t i = slot_start(x, hash);

  /* It ends: some slots were never used. */
  for (;;) {
    value = atomic_load(&x->slots[i]);
    if (value == SLOT_NEVER || (value >> SLOT_TAG_SHIFT == tag &&
                                value != SLOT_GONE && is_of(value, host, len)))
      break;
    i = i + 1 < x->size ? i + 1 : 0;
  }
  *at = i;
  return value;
}

/* The longest pattern first. Only as many labels are looked at as some pattern
   has, however many a visitor's host has. */
static const route *match_pattern(const table_index *x, const sip_key *key,
                                  host_key *k, unsigned most) {
  unsigned labels = 1;
  size_t at;

  for (size_t i = 0; i < k->len; i++)
    labels += k->text[i] == '.';
  for (size_t i = 1; i < k->len; i++) {
    size_t len = k->len - i + 1;
    uint64_t value;

    if (k->text[i] != '.' || --labels > most)
      continue;
    k->text[i - 1] = '*'; /* what is before is not needed any more */
    value = index_find(x, sip_of(key, k->text + i - 1, len), k->text + i - 1,
                       len, &at);
    if (value != SLOT_NEVER)
      return slot_route(value);
  }
  return NULL;
}

const route *index_match(const table_index *x, const sip_key *key,
                         const char *host, size_t len) {
  unsigned most;
  host_key k;
  uint64_t value;
  size_t at;

  if (!host_key_set(&k, host, len))
    return NULL;
  value = index_find(x, sip_of(key, k.text, k.len), k.text, k.len, &at);
  if (value != SLOT_NEVER)
    return slot_route(value);
  most = atomic_load_explicit(&x->labels, memory_order_acquire);
  return most != 0 ? match_pattern(x, key, &k, most) : NULL;
}

const route *table_find(const table *t, const char *host, size_t len) {
  return index_match(atomic_load(&t->index), &t->key, host, len);
}
