/* One app's route as the balancer holds it: what a request needs, packed into
   one block without pointers, so that a hundred thousand of them are small, and
   a snapshot on the disk is these blocks one after another. Does not change
   once it was made. */
#ifndef BALANCER_ROUTE_H
#define BALANCER_ROUTE_H

#include "common/documents.h"
#include "common/text.h"

typedef struct route route;

enum { ROUTE_CLAIM_MOST = NAME_MOST + 1 + CLAIM_LEN };

typedef struct route_target {
  char addr[ADDR_MOST + 1];         /* "127.1.0.3:4000" */
  char claim[ROUTE_CLAIM_MOST + 1]; /* "APP/CLAIM", as X-Drone-Claim has it */
} route_target;

/* Adds a block to out; false for want of memory. */
bool route_pack(const route_doc *doc, text *out);
/* A block of its own, to be given to free(); NULL for want of memory. */
route *route_make(const route_doc *doc);
/* The block at the begin of data, or NULL: what is there is none, or is not
   whole, or has anything route_doc_read would refuse. data is aligned to 8. */
const route *route_check(const void *data, size_t len);
size_t route_size(const route *r); /* bytes, a multiple of 8 */

void route_app(const route *r, char out[NAME_MOST + 1]);
int64_t route_gen(const route *r);
enum route_state route_state(const route *r);
size_t route_host_count(const route *r);
/* Not terminated: *len bytes. i < route_host_count. */
const char *route_host(const route *r, size_t i, size_t *len);
size_t route_target_count(const route *r); /* 0..TO_MOST */
void route_target_at(const route *r, size_t i, route_target *out);
/* Whether a target has this claim, the 32 digits alone. */
bool route_has_claim(const route *r, const char *claim, size_t len);
/* "" where there is none. */
void route_words(const route *r, char code[32], char msg[256]);
/* Its app is in maintenance: visitors are told so, with msg. */
bool route_is_closed(const route *r);
/* All but _rev, for /routes and the engines; the inverse of route_pack but for
   prev, drone and at. */
void route_unpack(const route *r, route_doc *out);
const char *route_state_word(enum route_state state); /* "live" */

#endif
