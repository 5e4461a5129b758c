/* What stands around an admin face under test: a follow, an engine and peers
   that are what they are told to be, and a table that is a real one. So a test
   can have any staleness and any drift it wants to see.

   The program reads commands, a JSON object in each line of its input, and says
   "ok" or "no: why" to each:

     put DOC, drop APP      routes
     pile COUNT, HOSTS      app-000000 .., each with so many long hosts, or one
     status MEMBERS         of follow_status
     peers LIST             of peer_status
     engine MEMBERS         applied, trouble, requests, connections, waiting
     notice FULL MSG        maintenance of all
     ready IS               of the table
     errors CODE COUNT      more pages of that code
     audit IS               what follow_audit answers
     diff COUNT ERROR HOLD  what peers_diff finds; hold: not until release
     attach, shadow, detach, changed, close */
#ifndef PAGE_WORLD_H
#define PAGE_WORLD_H

#include "balancer/admin.h"

typedef struct held {
  char app[NAME_MOST + 1], rev[REV_MOST + 1];
  route *route;
} held;

struct follow {
  table *table;
  held *all; /* in order of apps */
  size_t count, room;
  follow_status status;
  char feed[64], trouble[256];
  bool audit;
  int audits;
};

struct peers {
  peer_status all[PEERS_MOST];
  size_t count;
};

/* fakes.c */
void fake_follow_open(follow *f, table *t);
void fake_follow_close(follow *f);
/* false with a sentence. */
bool fake_put(follow *f, const json_t *doc, char *why, size_t size);
bool fake_drop(follow *f, const char *app);
engine *fake_engine(void);
void fake_engine_set(const json_t *members);
void fake_status_set(follow *f, const json_t *members);
void fake_peers_set(peers *p, const json_t *list);
void fake_diff_set(const json_t *members);
void fake_diff_release(void);

#endif
