/*
 * The control interface: what tests do to the simulated cluster from outside,
 * on a port of its own. It orders what concerns sockets; the front does it.
 */
#ifndef COUCHSIM_CONTROL_H
#define COUCHSIM_CONTROL_H

#include "book.h"
#include "rules.h"

typedef struct couch_control {
  couch_world *world;
  couch_rules *rules;
  couch_book *book;
  int64_t ahead_ms; /* of the wall clock */
  /* Orders. */
  bool quit, close_feeds, close_all, reset;
  int64_t close_node; /* -1: of all */
} couch_control;

void couch_control_handle(couch_control *c, const couch_request *r,
                          couch_reply *out);

#endif
