/* A route's block out of its document; see route_int.h. */
#include "balancer/route_int.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void add_byte(text *out, size_t value) {
  unsigned char byte = (unsigned char)value;

  text_add(out, &byte, 1);
}

static void add_short(text *out, const char *s) {
  add_byte(out, strlen(s));
  text_str(out, s);
}

/* "ADDRESS:PORT" as bytes, where they are fewer than its text and give the very
   same text again ("[2001:DB8::1]:80" does not). */
static bool shorten(const char *addr, unsigned char kind,
                    unsigned char out[16 + 2]) {
  char again[ADDR_MOST + 1], host[ADDR_MOST + 1];
  const char *colon = strrchr(addr, ':');
  size_t skip = kind == ROUTE_ADDR6 ? 1 : 0, len;
  unsigned long port;

  if (colon == NULL)
    return false;
  len = (size_t)(colon - addr);
  if (len < 2 * skip)
    return false;
  memcpy(host, addr + skip, len - 2 * skip);
  host[len - 2 * skip] = '\0';
  if (inet_pton(kind == ROUTE_ADDR6 ? AF_INET6 : AF_INET, host, out) != 1)
    return false;
  port = strtoul(colon + 1, NULL, 10);
  out[route_addr_size(kind) - 2] = (unsigned char)(port >> 8);
  out[route_addr_size(kind) - 1] = (unsigned char)port;
  route_addr_text(kind, out, again);
  return strcmp(again, addr) == 0 && route_addr_size(kind) < strlen(addr);
}

static void add_addr(text *out, const char *addr) {
  unsigned char bytes[16 + 2];

  unsigned char kind = addr[0] == '[' ? ROUTE_ADDR6 : ROUTE_ADDR4;

  if (shorten(addr, kind, bytes)) {
    add_byte(out, kind);
    text_add(out, bytes, route_addr_size(kind));
  } else {
    add_short(out, addr);
  }
}

static unsigned digit(char c) {
  return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10) & 15;
}

static void add_claim(text *out, const char *claim) {
  for (size_t i = 0; i < ROUTE_CLAIM; i++)
    add_byte(out, digit(claim[2 * i]) << 4 | digit(claim[2 * i + 1]));
}

static size_t gen_len(int64_t gen) {
  size_t len = 0;

  for (uint64_t left = (uint64_t)gen; left != 0; left >>= 8)
    len++;
  return len;
}

bool route_pack(const route_doc *doc, text *out) {
  static const char zeros[ROUTE_UNIT];
  const char *msg = doc->closed ? doc->notice : doc->msg;
  size_t start = out->len, units;
  bool words = doc->code[0] != '\0' || msg[0] != '\0';

  text_add(out, zeros, 2);
  add_byte(out, (size_t)doc->state | doc->to_count << 3);
  add_byte(out, doc->host_count | (words ? ROUTE_WORDS : 0) |
                    (doc->closed ? ROUTE_CLOSED : 0));
  add_byte(out, strlen(doc->app));
  add_byte(out, gen_len(doc->gen));
  for (size_t i = 0; i < doc->host_count; i++)
    add_short(out, doc->hosts[i]);
  text_str(out, doc->app);
  for (uint64_t left = (uint64_t)doc->gen; left != 0; left >>= 8)
    add_byte(out, left & 255);
  for (size_t i = 0; i < doc->to_count; i++) {
    add_addr(out, doc->to[i].addr);
    add_claim(out, doc->to[i].claim);
  }
  if (words) {
    add_short(out, doc->code);
    add_short(out, msg);
  }
  text_add(out, zeros, (ROUTE_UNIT - (out->len - start) % ROUTE_UNIT) % 8);
  if (out->failed)
    return false;
  units = (out->len - start) / ROUTE_UNIT;
  out->data[start] = (char)(unsigned char)(units & 255);
  out->data[start + 1] = (char)(unsigned char)(units >> 8);
  return true;
}

route *route_make(const route_doc *doc) {
  text block = TEXT_INIT;
  route *r = NULL;

  /* Copied, because a text takes memory by doubling. */
  if (route_pack(doc, &block)) {
    r = malloc(block.len);
    if (r != NULL)
      memcpy(r, block.data, block.len);
  }
  text_free(&block);
  return r;
}
