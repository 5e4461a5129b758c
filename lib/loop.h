/*
 * The loop: one CURLM, one driver, and the feeds in it with their timers. Each
 * round reads what is readable, then lets every feed that has something to do
 * take one bounded step, so that none starves another.
 */
#ifndef CFI_LOOP_H
#define CFI_LOOP_H

#include <sys/types.h>

#include "driver.h"
#include "loop_heap.h"
#include "transfer.h"

typedef struct cfi_member cfi_member;

/* A turn to ask: waited for in a queue, then held until the request's head has
   come. */
enum { CFI_TURN_NONE, CFI_TURN_WAITING, CFI_TURN_HELD };

typedef struct cfi_turn {
  struct cfi_turn *prev, *next;
  cfi_member *member;
  int64_t since_ms; /* HELD */
  int kind, place;
  bool used; /* HELD: a request was started with it */
} cfi_turn;

typedef struct cfi_turns {
  cfi_turn *first, *last;
} cfi_turns;

typedef struct cfi_ramp {
  cfi_turns waiting[CFI_TURN_KINDS];
  cfi_turns holders; /* the longest first */
  unsigned limit, held, held_main;
  uint64_t granted;
} cfi_ramp;

/* libcurl finds a socket in a table of fixed size: the streams of a crowd are
   spread over some handles. */
enum { CFI_MULTIS = 16 };

typedef struct cfi_multi {
  changefeed_loop *loop;
  CURLM *curl; /* NULL: not needed yet, or lost for want of memory */
  int64_t due_ms;
  bool acted; /* transfers may have ended: libcurl did something */
} cfi_multi;

typedef struct cfi_socket {
  ino_t inode;         /* 0: not open, or not for a connection */
  unsigned char multi; /* which watches it */
} cfi_socket;

/* Where a feed of the loop sits. All that waiting takes is here, side by side:
   a deadline that a heartbeat moves away costs no look at the feed. */
typedef struct cfi_seat {
  cfi_member *member;
  int64_t silence_ms, other_ms; /* its deadlines; CFI_NEVER */
} cfi_seat;

struct changefeed_loop {
  cfi_alloc alloc;
  cfi_clock clock; /* answers now_ms: one time for a whole round */
  int64_t now_ms;
  int64_t read_ms;              /* when the sockets were last looked at */
  cfi_multi multis[CFI_MULTIS]; /* the first for all but a crowd's streams */
  cfi_driver *driver;
  pid_t owner;
  cfi_seat *seats;                      /* of all feeds */
  size_t member_count, seat_cap, alive; /* alive: not ended, not failed */
  cfi_member *ready, *last_ready;       /* those with something to do */
  size_t ready_count;
  /* By seat. A place in it may be for an earlier time than the deadline, which
     moves away with each heartbeat: that moves nothing until then. */
  cfi_heap heap;
  /* In a crowd: connections for short requests, and TLS sessions for streams,
     which have a connection each. NULL: not needed now. */
  CURLSH *commons, *sessions;
  size_t streams;             /* begun in the crowd so far */
  int64_t commons_due_ms;     /* nobody asks: they are closed then */
  _Atomic(cfi_member *) mail; /* a stack, pushed by any thread or signal */
  atomic_bool stop, woken;
  bool stepping;  /* a feed's step, and so callbacks, are on the stack */
  bool abandoned; /* this is a child of fork() */
  bool owned_by_feed, free_after;
  changefeed
      *awaited; /* changefeed_next waits for it; NULL when it is closed */
  /* By descriptor; open ones are for a child of fork(). The descriptor alone
     may be another file's by now: libcurl closes a socket that was never
     connected without telling. */
  cfi_socket *sockets;
  size_t socket_count, socket_cap;
  cfi_ramp ramp;
};

struct cfi_member {
  changefeed_loop *loop;
  changefeed *feed;
  size_t seat;
  cfi_transfer main, side;
  CURLSH *pool;      /* the transfers' connections */
  cfi_turn turns[2]; /* of main and side */
  cfi_member *ready_prev, *ready_next;
  bool is_ready, counted_over;
  cfi_member *mail_next;
  atomic_bool posted;
};

/* OK, ERR_NOMEM, ERR_SYSTEM with errno, ERR_INVALID. */
int cfi_loop_new(changefeed_loop **out, const changefeed_allocator *allocator);
void cfi_loop_free(changefeed_loop *loop);
void cfi_loop_abandon(changefeed_loop *loop);
bool cfi_loop_is_forked(const changefeed_loop *loop);

/* One round; waits at most timeout_ms for something to do (-1: no limit).
   CHANGEFEED_OK, TIMEOUT when nothing was done, ERR_SYSTEM. */
int cfi_loop_round(changefeed_loop *loop, int timeout_ms);
/* now_ms is the time from here on. */
void cfi_loop_refresh(changefeed_loop *loop);

/* How transfers open and close sockets. */
void cfi_loop_sockets(changefeed_loop *loop, cfi_sockets *out);

/* loop_feeds.c */
int cfi_loop_open(changefeed_loop *loop, const changefeed_options *options,
                  changefeed **out, cfi_error *error);
/* Frees the feed, at once or when its callback has returned. */
void cfi_loop_close(changefeed *feed);
/* Have the loop step this feed soon. [signal] */
void cfi_loop_post(changefeed *feed);
cfi_member *cfi_loop_member(const changefeed *feed);
void cfi_loop_make_ready(cfi_member *m);
/* A heartbeat came, and no step is needed for it. */
void cfi_loop_beat(changefeed *feed);
/* Pull: cfi_feed_lend, and what follows from giving back. */
const changefeed_change *cfi_loop_lend(changefeed *feed);
/* Moves what other threads posted to the ready list. */
void cfi_loop_take_mail(changefeed_loop *loop);
/* Steps the feeds that are ready now, each once. True: there was one. */
bool cfi_loop_step_ready(changefeed_loop *loop);
void cfi_loop_wake_due(changefeed_loop *loop);
/* Ends every request: there is no memory. */
void cfi_loop_end_requests(changefeed_loop *loop);
/* Makes libcurl's handle if there is none. */
bool cfi_loop_make_multi(cfi_multi *multi);
/* Those that are not in use; the rest later. */
void cfi_loop_close_commons(changefeed_loop *loop);
void cfi_loop_destroy(cfi_member *m, bool save);

/* loop_ramp.c */
void cfi_ramp_init(changefeed_loop *loop);
void cfi_ramp_set_limit(changefeed_loop *loop, unsigned limit);
/* May a request start now? False: the member is made ready when it may; it is
   not asked whether it still wants to. */
bool cfi_ramp_admit(cfi_member *m, int kind);
/* After a step: turns that serve no purpose any more go to others. */
void cfi_ramp_settle(cfi_member *m);
void cfi_ramp_leave(cfi_member *m);
/* When the next turn is taken from its holder, for others; CFI_NEVER. */
int64_t cfi_ramp_due_ms(const changefeed_loop *loop);
void cfi_ramp_expire(changefeed_loop *loop);

#endif
