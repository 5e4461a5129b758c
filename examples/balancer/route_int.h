/* How a route lies in its block; for route*.c alone. All in bytes, so that a
   block is the same on every machine:

     2   size of the block in units of 8, low byte first
     1   state, and the number of targets times 8
     1   number of hosts; ROUTE_WORDS added: there are words; ROUTE_CLOSED: its
         app is in maintenance, and msg is what visitors are told
     1   length of the app's name
     1   length of gen
     ..  hosts, each a byte with its length and its text
     ..  the app's name
     ..  gen, low byte first, without zeros at its end
     ..  targets: a byte with the kind of address, the address, the claim
     ..  words: code and msg, each a byte with its length and its text
     ..  zeros up to the unit

   Hosts come first: they are what a look-up compares. */
#ifndef BALANCER_ROUTE_INT_H
#define BALANCER_ROUTE_INT_H

#include "balancer/route.h"

enum {
  ROUTE_UNIT = 8,
  ROUTE_HEAD = 6,
  ROUTE_WORDS = 0x80,
  ROUTE_CLOSED = 0x40,
  ROUTE_HOSTS = 0x3f,
  ROUTE_CLAIM = CLAIM_LEN / 2, /* bytes */
  /* Kinds of addresses; any other is the length of one that is kept as text,
     which "[::]:1" is the shortest of. */
  ROUTE_ADDR4 = 0, /* 4 bytes and the port, high byte first */
  ROUTE_ADDR6 = 1, /* 16 bytes and the port */
  ROUTE_ADDR_TEXT = 6
};

#define ROUTE_GEN_MOST (INT64_MAX - 16) /* as route_doc_read has it */

struct route {
  unsigned char units[2];
  unsigned char what;
  unsigned char hosts;
  unsigned char app_len;
  unsigned char gen_len;
  unsigned char rest[];
};

/* Bytes behind a target's kind. */
static inline size_t route_addr_size(unsigned char kind) {
  if (kind == ROUTE_ADDR4)
    return 4 + 2;
  return kind == ROUTE_ADDR6 ? 16 + 2 : kind;
}

/* The address as text, from what stands behind its kind. */
void route_addr_text(unsigned char kind, const unsigned char *at,
                     char out[ADDR_MOST + 1]);

#endif
