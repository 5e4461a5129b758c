/* What is read from a route's block; see route_int.h. Nothing is checked here:
   a block was made by route_pack, or has passed route_check. */
#include "balancer/route_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

size_t route_size(const route *r) {
  return (size_t)(r->units[0] | r->units[1] << 8) * ROUTE_UNIT;
}

enum route_state route_state(const route *r) {
  return (enum route_state)(r->what & 7);
}

size_t route_target_count(const route *r) { return r->what >> 3; }

size_t route_host_count(const route *r) { return r->hosts & ROUTE_HOSTS; }

const char *route_host(const route *r, size_t i, size_t *len) {
  const unsigned char *at = r->rest;

  while (i-- != 0)
    at += 1 + *at;
  *len = *at;
  return (const char *)at + 1;
}

static const unsigned char *app_of(const route *r) {
  const unsigned char *at = r->rest;

  for (size_t i = route_host_count(r); i != 0; i--)
    at += 1 + *at;
  return at;
}

static const unsigned char *targets_of(const route *r) {
  return app_of(r) + r->app_len + r->gen_len;
}

static const unsigned char *after_target(const unsigned char *at) {
  return at + 1 + route_addr_size(*at) + ROUTE_CLAIM;
}

void route_app(const route *r, char out[NAME_MOST + 1]) {
  memcpy(out, app_of(r), r->app_len);
  out[r->app_len] = '\0';
}

int64_t route_gen(const route *r) {
  const unsigned char *at = app_of(r) + r->app_len;
  uint64_t gen = 0;

  for (size_t i = r->gen_len; i-- != 0;)
    gen = gen << 8 | at[i];
  return (int64_t)gen;
}

/* ---- targets ---- */

static char *add_number(char *out, unsigned value) {
  char digits[10];
  size_t n = 0;

  do
    digits[n++] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  while (n != 0)
    *out++ = digits[--n];
  return out;
}

/* By hand: it is done for each request. */
void route_addr_text(unsigned char kind, const unsigned char *at,
                     char out[ADDR_MOST + 1]) {
  size_t size = route_addr_size(kind);

  if (kind >= ROUTE_ADDR_TEXT) {
    memcpy(out, at, size);
    out[size] = '\0';
    return;
  }
  if (kind == ROUTE_ADDR4) {
    for (size_t i = 0; i < 4; i++) {
      out = add_number(out, at[i]);
      *out++ = i < 3 ? '.' : ':';
    }
  } else {
    *out++ = '[';
    (void)inet_ntop(AF_INET6, at, out, INET6_ADDRSTRLEN);
    out += strlen(out);
    *out++ = ']';
    *out++ = ':';
  }
  out = add_number(out, (unsigned)(at[size - 2] << 8 | at[size - 1]));
  *out = '\0';
}

static void claim_text(const unsigned char *at, char out[CLAIM_LEN + 1]) {
  static const char hex[] = "0123456789abcdef";

  for (size_t i = 0; i < ROUTE_CLAIM; i++) {
    out[2 * i] = hex[at[i] >> 4];
    out[2 * i + 1] = hex[at[i] & 15];
  }
  out[CLAIM_LEN] = '\0';
}

void route_target_at(const route *r, size_t i, route_target *out) {
  const unsigned char *at = targets_of(r);

  while (i-- != 0)
    at = after_target(at);
  route_addr_text(*at, at + 1, out->addr);
  route_app(r, out->claim);
  out->claim[r->app_len] = '/';
  claim_text(at + 1 + route_addr_size(*at), out->claim + r->app_len + 1);
}

bool route_has_claim(const route *r, const char *claim, size_t len) {
  const unsigned char *at = targets_of(r);
  char one[CLAIM_LEN + 1];

  if (len != CLAIM_LEN)
    return false;
  for (size_t i = route_target_count(r); i != 0; i--) {
    claim_text(at + 1 + route_addr_size(*at), one);
    if (memcmp(one, claim, CLAIM_LEN) == 0)
      return true;
    at = after_target(at);
  }
  return false;
}

/* ---- all of it ---- */

static const unsigned char *get_word(const unsigned char *at, char *out) {
  memcpy(out, at + 1, *at);
  out[*at] = '\0';
  return at + 1 + *at;
}

void route_words(const route *r, char code[32], char msg[256]) {
  const unsigned char *at = targets_of(r);

  code[0] = msg[0] = '\0';
  if ((r->hosts & ROUTE_WORDS) == 0)
    return;
  for (size_t i = route_target_count(r); i != 0; i--)
    at = after_target(at);
  (void)get_word(get_word(at, code), msg);
}

bool route_is_closed(const route *r) { return (r->hosts & ROUTE_CLOSED) != 0; }

void route_unpack(const route *r, route_doc *out) {
  const unsigned char *at = targets_of(r);

  memset(out, 0, sizeof *out);
  route_app(r, out->app);
  out->gen = route_gen(r);
  out->state = route_state(r);
  out->host_count = route_host_count(r);
  for (size_t i = 0; i < out->host_count; i++) {
    size_t len;
    const char *host = route_host(r, i, &len);

    memcpy(out->hosts[i], host, len);
  }
  out->to_count = route_target_count(r);
  for (size_t i = 0; i < out->to_count; i++) {
    route_addr_text(*at, at + 1, out->to[i].addr);
    claim_text(at + 1 + route_addr_size(*at), out->to[i].claim);
    at = after_target(at);
  }
  out->closed = route_is_closed(r);
  route_words(r, out->code, out->closed ? out->notice : out->msg);
}

const char *route_state_word(enum route_state state) {
  return route_state_name(state);
}
