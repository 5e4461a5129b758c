/* What a generator of visits is asked for, checked, and copied. */
#include "common/traffic_config.h"
#include "common/ids.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  HOSTS_MOST = 100000,
  RATE_MOST = 20000,
  SOURCES_MOST = 65536,
  TIME_MOST_MS = 3600 * 1000,
  BODY_MOST = 64 * 1024 * 1024,
  LINES_MOST = 10 * 1000 * 1000
};

void traffic_mix_plain(unsigned mix[TRAFFIC_KINDS]) {
  memset(mix, 0, TRAFFIC_KINDS * sizeof *mix);
  mix[TRAFFIC_PLAIN] = 1;
}

void traffic_mix_default(unsigned mix[TRAFFIC_KINDS]) {
  static const unsigned weights[TRAFFIC_KINDS] = {
      [TRAFFIC_PLAIN] = 66,      [TRAFFIC_LAST] = 4,
      [TRAFFIC_HEAD] = 3,        [TRAFFIC_OLD] = 2,
      [TRAFFIC_SLOW] = 2,        [TRAFFIC_BYTES] = 2,
      [TRAFFIC_POST] = 4,        [TRAFFIC_CHUNKED] = 3,
      [TRAFFIC_HALF_CLOSE] = 2,  [TRAFFIC_PIPELINED] = 3,
      [TRAFFIC_BIG] = 1,         [TRAFFIC_WEBSOCKET] = 2,
      [TRAFFIC_ABORT_HEAD] = 2,  [TRAFFIC_ABORT_BODY] = 2,
      [TRAFFIC_ABORT_ANSWER] = 2};

  memcpy(mix, weights, sizeof weights);
}

bool traffic_rate_is_good(double rate) { return rate > 0 && rate <= RATE_MOST; }

bool traffic_address(http_address *address, const char *name) {
  return http_address_parse(address, name) &&
         address->to.any.sa_family != AF_UNIX;
}

/* ---- checks: false, and what is wrong ---- */

static bool wrong(char *error, size_t size, const char *what,
                  const char *named) {
  (void)snprintf(error, size, "traffic: %s%s%s%s", what,
                 named != NULL ? ": \"" : "", named != NULL ? named : "",
                 named != NULL ? "\"" : "");
  return false;
}

static bool check_names(const traffic_config *c, char *error, size_t size) {
  http_address address;

  if (c->target_count == 0 || c->target_count > TRAFFIC_TARGETS)
    return wrong(error, size, "there must be 1 to 16 targets", NULL);
  for (size_t i = 0; i < c->target_count; i++)
    if (!traffic_address(&address, c->targets[i]))
      return wrong(error, size, "a target is no numeric ADDRESS:PORT",
                   c->targets[i]);
  if (c->host_count == 0 || c->host_count > HOSTS_MOST)
    return wrong(error, size, "there must be 1 to 100000 hosts", NULL);
  for (size_t i = 0; i < c->host_count; i++)
    if (!id_is_host(c->hosts[i], strlen(c->hosts[i])))
      return wrong(error, size, "a host has no host's name", c->hosts[i]);
  return true;
}

static bool is_time(int64_t ms) { return ms >= 0 && ms <= TIME_MOST_MS; }

static bool check_numbers(const traffic_config *c, char *error, size_t size) {
  uint64_t weights = 0;

  for (size_t i = 0; i < TRAFFIC_KINDS; i++)
    weights += c->mix[i];
  if (!traffic_rate_is_good(c->rate))
    return wrong(error, size,
                 "the rate must be above 0, and 20000 a second at most", NULL);
  if (!(c->zipf >= 0 && c->zipf <= 4))
    return wrong(error, size, "the exponent of Zipf's law must be 0 to 4",
                 NULL);
  if (weights > UINT32_MAX)
    return wrong(error, size, "the weights of the mix are too large", NULL);
  if (!is_time(c->visit_ms) || !is_time(c->slow_ms) || !is_time(c->close_ms))
    return wrong(error, size, "a time must be 0 ms to an hour", NULL);
  if (c->body_most > BODY_MOST || c->big_lines > LINES_MOST)
    return wrong(error, size, "a body is too large", NULL);
  return true;
}

static bool check_source(const traffic_config *c, uint32_t *source, char *error,
                         size_t size) {
  struct in_addr first = {0};

  *source = 0;
  if (c->source == NULL)
    return c->sources == 0 ||
           wrong(error, size, "sources need the first one's address", NULL);
  if (inet_pton(AF_INET, c->source, &first) != 1)
    return wrong(error, size, "the source is no IPv4 address", c->source);
  *source = ntohl(first.s_addr);
  if (c->sources > SOURCES_MOST || *source == 0 ||
      *source > UINT32_MAX - SOURCES_MOST)
    return wrong(error, size, "there are not so many sources from there on",
                 c->source);
  return true;
}

static bool check_forged(const traffic_config *c, char *error, size_t size) {
  text probe = TEXT_INIT;
  bool good = c->forged == NULL ||
              http_put_field_text(&probe, "X-Drone-Claim", c->forged);

  text_free(&probe);
  return good ||
         wrong(error, size, "the forged claim has a control byte", NULL);
}

bool traffic_config_check(const traffic_config *c, uint32_t *source,
                          char *error, size_t size) {
  if (c->on_result == NULL)
    return wrong(error, size, "nobody is there to take results", NULL);
  return check_names(c, error, size) && check_numbers(c, error, size) &&
         check_source(c, source, error, size) && check_forged(c, error, size);
}

/* ---- what stands behind zeros ---- */

#define UNLESS_SET(field, value)                                               \
  do {                                                                         \
    if ((field) == 0)                                                          \
      (field) = (value);                                                       \
  } while (0)

void traffic_config_defaults(traffic_config *c) {
  bool mixed = false;

  for (size_t i = 0; i < TRAFFIC_KINDS; i++)
    mixed |= c->mix[i] != 0;
  if (!mixed)
    traffic_mix_default(c->mix);
  UNLESS_SET(c->sources, 1);
  UNLESS_SET(c->flights_most, 256);
  UNLESS_SET(c->kept_most, 64);
  UNLESS_SET(c->bytes_most, 8 * 1024 * 1024);
  UNLESS_SET(c->visit_ms, 45000);
  UNLESS_SET(c->slow_ms, 2000);
  UNLESS_SET(c->body_most, 32 * 1024);
  UNLESS_SET(c->big_lines, 5000);
  UNLESS_SET(c->close_ms, 1000);
}
