/* What the API writes: the documents of apps and hosts, and maintenance.
   Blocks; each call repeats itself until the database has said what became of
   it, at most ten seconds. Several may write the same document: who comes
   second reads it again and decides anew. */
#ifndef PROVISIONER_WRITES_H
#define PROVISIONER_WRITES_H

#include "provisioner/desk.h"
#include "provisioner/wish.h"

enum write_result {
  WRITE_DONE,    /* by this call */
  WRITE_SAME,    /* it was so already */
  WRITE_MISSING, /* there is no such app */
  WRITE_TAKEN,   /* a host is another app's: error names both */
  WRITE_BROKEN,  /* the document cannot be read: error says what is wrong */
  WRITE_DATABASE /* it did not say; what was asked may yet come true */
};

typedef struct write_answer {
  int64_t gen;
  bool started, changed; /* what is wanted now; another definition than runs */
  char error[256];
} write_answer;

enum write_result write_want(desk_hands *hands, const char *app,
                             const wish_change *change, write_answer *answer);
/* WRITE_DONE with answer->changed false: it is new. */
enum write_result write_app(desk_hands *hands, const char *app,
                            const json_t *definition, int64_t gen_floor,
                            bool *created, write_answer *answer);
enum write_result write_destroy(desk_hands *hands, const char *app,
                                int64_t gen_floor, write_answer *answer);
/* notice NULL: its visitors are let in. */
enum write_result write_notice(desk_hands *hands, const char *app,
                               const char *notice, write_answer *answer);
enum write_result write_maintenance(desk_hands *hands, const json_t *document,
                                    write_answer *answer);

/* ---- hosts.c ---- */

/* Every host of the list becomes that app's, or none that was not before. */
enum write_result hosts_claim(desk_hands *hands, const char *app,
                              const json_t *hosts, const json_t *listed,
                              int64_t until_ms, write_answer *answer);
/* The documents of those hosts that are that app's, but for some; to be handed
   to hosts_let_go, after which others may have the names as soon as the app and
   its route are gone. Who has claimed one again meanwhile keeps it. */
json_t *hosts_owned(desk_hands *hands, const char *app, const json_t *hosts,
                    const json_t *except);
void hosts_let_go(desk_hands *hands, json_t *own);
/* Gives back names that no app has any more, and that no route lists; called
   from time to time, with a view that is fresh. The number given back, or
   -1. */
int hosts_sweep(desk_hands *hands,
                bool (*is_held)(void *ctx, const char *host, const char *app),
                void *ctx);

/* ---- for both ---- */

int64_t write_until(void);
/* Waits a little, longer each time; false when the time is over. */
bool write_again(int64_t until_ms, int *tries, const docs_answer *answer);

#endif
