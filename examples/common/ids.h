/* Names: of apps, claims, drones; and hashes that are the same on every
 * machine. */
#ifndef PLATFORM_IDS_H
#define PLATFORM_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLAIM_LEN = 32, NAME_MOST = 63, HOST_MOST = 253 };

/* 128 random bits from the kernel as 32 hex digits and a zero byte; false when
   the kernel has none. */
bool id_random(char out[CLAIM_LEN + 1]);
bool id_is_claim(const char *s, size_t len);
/* Of an app: a-z, 0-9 and '-', 1 to 63, begins with a letter, does not end in
   '-'. */
bool id_is_app(const char *s, size_t len);
/* A host name as a route has it: lower case, labels of 1 to 63, no port, no dot
   at the end, at most 253. */
bool id_is_host(const char *s, size_t len);
/* What an app can be served at: a host, or "*." and a host of two labels at
   least, which is all hosts below it. */
bool id_is_served_host(const char *s, size_t len);
/* "ADDRESS:PORT", the address numeric; IPv6 in brackets. */
bool id_is_addr(const char *s, size_t len);
uint64_t id_hash(const char *s, size_t len); /* FNV-1a and a finaliser */
/* Which of count names is responsible for key: highest of hashes. */
size_t id_rendezvous(const char *key, const char *const *names, size_t count);

#endif
