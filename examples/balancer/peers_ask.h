/* The calls that peers.c and peers_diff.c make of an admin face. Answers come
   from another machine: everything in them is checked. */
#ifndef BALANCER_PEERS_ASK_H
#define BALANCER_PEERS_ASK_H

#include "balancer/peers.h"
#include "common/rest.h"

typedef struct peer_digest {
  char id[NAME_MOST + 1], version[32], source[16];
  char digest[CHANGEFEED_DIGEST_TEXT];
  uint64_t routes;
  int64_t fresh_ms;
  bool stale, synced;
} peer_digest;

/* /digest of a range; NULL: no bound. */
bool peers_ask_digest(rest *to, const char *from, const char *until,
                      peer_digest *out, char *error, size_t size);

typedef struct peer_route {
  char app[NAME_MOST + 1], rev[REV_MOST + 1];
} peer_route;

/* /routes of a range that has at most `most`; how many there are, or -1: also
   when there are more. */
int peers_ask_routes(rest *to, const char *from, const char *until,
                     peer_route *out, size_t most, char *error, size_t size);

#endif
