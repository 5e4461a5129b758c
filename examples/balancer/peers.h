/* Compares this balancer with the others and with the database, all the time:
   digests first, what differs by halves. In a thread of its own, because it
   waits for answers; what it found is asked for by the loop's thread.

   A difference right after a change is no drift: the same ids must differ in
   the same way twice, 2 s apart. */
#ifndef BALANCER_PEERS_H
#define BALANCER_PEERS_H

#include "changefeed/mirror.h"
#include "common/documents.h"
#include "common/metrics.h"
#include <jansson.h>

typedef struct peers peers;

enum { PEERS_MOST = 32 };

typedef struct peer_status {
  char id[NAME_MOST + 1];    /* or its URL, where it was named by that */
  char admin[ADDR_MOST + 1]; /* where it is asked */
  bool answers;
  bool drifted;    /* differs for over 2 s */
  int64_t seen_ms; /* since it last answered; -1: never */
  char digest[CHANGEFEED_DIGEST_TEXT];
  uint64_t routes;
  int64_t fresh_ms; /* as it says of itself; -1 */
  bool stale;
  char version[32], source[16];
  char trouble[160]; /* a sentence, or "" */
} peer_status;

typedef struct peers_config {
  const char *self;
  const char *admin;       /* where we are asked ourselves: "127.0.0.1:7500" */
  const char *const *urls; /* named ones, besides those in the database */
  size_t url_count;
  int64_t every_ms; /* 0: 5 s */
  metrics *metrics;
} peers_config;

peers *peers_start(const peers_config *config, char *error, size_t size);
void peers_stop(peers *p); /* waits for what is under way, some seconds */
/* Loop's thread: who there is, and what we hold, told anew as it changes. */
void peers_set(peers *p, const balancer_doc *all, size_t count,
               const changefeed_digest *digest, uint64_t routes);
size_t peers_get(peers *p, peer_status *out, size_t most);
bool peers_drifted(peers *p); /* any of them */
/* Whether that is the URL of one of them: "http://ADDRESS:PORT", or as --peer
   named it. */
bool peers_knows(peers *p, const char *url);

/* What differs between two balancers' /digest and /routes; used by /diff?peer=
   and --shadow. any thread. */
typedef struct peer_difference {
  char app[NAME_MOST + 1];
  char mine[REV_MOST + 1], theirs[REV_MOST + 1]; /* "": it is not there */
} peer_difference;
/* Base URLs of two admin faces; gives up after some 5 s (*more); -1 with a
   sentence, else how many were put into out (at most most; *more: there are
   others). */
int peers_diff(const char *mine, const char *theirs, peer_difference *out,
               size_t most, bool *more, char *error, size_t size);

#endif
