/*
 * The sockets: one port per node, one for control, all on the loopback, served
 * by one thread.
 */
#ifndef COUCHSIM_FRONT_H
#define COUCHSIM_FRONT_H

#include "conn.h"

typedef struct couch_listen {
  int fd;   /* -1: the node is down */
  int hold; /* keeps the port meanwhile: bound, and does not listen */
  unsigned port;
} couch_listen;

typedef struct couch_server {
  couch_front front;
  couch_listen nodes[COUCH_NODES], control;
  couch_conn **conns;
  size_t conn_count, conn_cap;
  int poll;
} couch_server;

/* port 0: any. Each node gets the next one of a port that is not 0. False:
   said on standard error. */
bool couch_server_open(couch_server *s, unsigned port, unsigned control_port);
/* Until it is told to quit, or *stop is set. */
void couch_server_run(couch_server *s, const volatile int *stop);
void couch_server_close(couch_server *s);

#endif
