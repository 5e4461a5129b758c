/* SipHash-1-3: a hash whose collisions cannot be chosen by who does not know
   the key. Of host names, which visitors choose; and, with a key that everybody
   knows, a checksum. */
#ifndef BALANCER_SIP_H
#define BALANCER_SIP_H

#include <stddef.h>
#include <stdint.h>

typedef struct sip {
  uint64_t v[4];
  uint64_t bytes;
} sip;

typedef struct sip_key {
  uint64_t a, b;
} sip_key;

void sip_start(sip *s, const sip_key *key);
/* len is a multiple of 8. */
void sip_add(sip *s, const void *data, size_t len);
/* The last bytes, any number, and the hash. */
uint64_t sip_end(sip *s, const void *data, size_t len);
uint64_t sip_of(const sip_key *key, const void *data, size_t len);

#endif
