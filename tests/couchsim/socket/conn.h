/*
 * One connection: reads requests, has them answered, writes what comes of it
 * as its plan says. Owns its socket.
 */
#ifndef COUCHSIM_CONN_H
#define COUCHSIM_CONN_H

#include "control.h"
#include "http.h"

typedef enum couch_state {
  COUCH_READING,
  COUCH_DELAYED, /* the request waits to be looked at */
  COUCH_HOLDING, /* done, the answer waits */
  COUCH_WRITING, /* the answer, or a feed */
  COUCH_SILENT,  /* nothing more will be said */
  COUCH_CLOSING, /* when all is written */
  COUCH_CLOSED
} couch_state;

typedef struct couch_late { /* to be done without its client */
  int64_t at_ms;
  couch_request request;
} couch_late;

typedef struct couch_front {
  couch_control control;
  couch_world world;
  couch_rules rules;
  couch_book book;
  int64_t clock_ms; /* monotonic, of this round */
  couch_late *late;
  size_t late_count, late_cap;
} couch_front;

typedef struct couch_conn {
  int fd;
  int node; /* -1: of the control port */
  couch_state state;
  couch_buf in, out;
  couch_reader reader;
  couch_request request;
  couch_plan plan;
  couch_reply reply;
  uint64_t number;  /* in the book */
  int64_t at_ms;    /* when a delay or a hold is over, or the next slice */
  size_t out_at;    /* bytes of out that have left */
  size_t head_left; /* bytes of a head in out */
  uint64_t body_sent;
  bool whole;       /* all of the answer is in out */
  bool head_held;   /* of a feed, until it has something to say */
  bool lingers;     /* the peer will say nothing more */
  uint32_t watched; /* events of epoll */
} couch_conn;

couch_conn *couch_conn_new(int fd, int node);
/* reset: with RST. */
void couch_conn_close(couch_front *f, couch_conn *c, bool reset);
void couch_conn_free(couch_front *f, couch_conn *c);
void couch_conn_readable(couch_front *f, couch_conn *c);
/* Does what is due, and writes what can be written. */
void couch_conn_turn(couch_front *f, couch_conn *c);
int64_t couch_conn_due_ms(const couch_conn *c);
bool couch_conn_wants_write(const couch_conn *c);
bool couch_conn_wants_read(const couch_conn *c);
/* A feed that has something new to show. */
bool couch_conn_has_news(const couch_front *f, const couch_conn *c);

void couch_late_turn(couch_front *f);
int64_t couch_late_due_ms(const couch_front *f);

#endif
