/* Inside the generator of traffic.h: visits, the connections they go through,
   and the thread that has them. Everything here but what lies behind `lock` is
   touched by that thread only, once it runs. Internal to traffic_*.c. */
#ifndef PLATFORM_TRAFFIC_STATE_H
#define PLATFORM_TRAFFIC_STATE_H

#include "common/http_pool_state.h"
#include "common/traffic_request.h"
#include "common/traffic_talk.h"

#include <pthread.h>

typedef struct traffic_link traffic_link;
typedef struct traffic_visit traffic_visit;

struct traffic_visit {
  traffic *t;
  traffic_link *link; /* NULL before and after */
  traffic_dice dice;
  traffic_request request;
  traffic_answer answer;
  traffic_talk talk;
  size_t talked;       /* bytes of a websocket */
  traffic_result told; /* as far as it is known */
  char source[INET_ADDRSTRLEN];
};

/* One connection: connecting, with a visit or two, or kept idle. */
struct traffic_link {
  traffic *t;
  traffic_link *older, *newer; /* of t->links */
  int fd;
  uv_poll_t poll;
  uv_timer_t timer; /* for the earliest of the three times */
  int handles;      /* to be closed yet */
  bool closing, connecting;
  bool kept;   /* idle; first is NULL */
  int deaf;    /* the errno of writing; nothing more can be written */
  bool rested; /* the pause before the next piece is over */
  int target;
  unsigned generation;
  char source[INET_ADDRSTRLEN];
  unsigned served; /* visits that it has answered */
  traffic_visit *first, *second;
  int64_t due_us;            /* of the visit */
  int64_t write_us, read_us; /* not before then; 0: at any time */
};

typedef struct traffic_place {
  http_address address;
  bool up;
  unsigned generation;
} traffic_place;

struct traffic {
  traffic_config config; /* without zeros; its arrays are not the caller's */
  traffic_request_limits limits;
  char **hosts, *forged;
  traffic_zipf zipf;
  uint32_t source; /* first address, host byte order; 0: none */

  uv_loop_t loop;
  uv_async_t wake; /* orders */
  uv_timer_t end;  /* closing: visits have had their time */
  uv_poll_t clock; /* the next visit is due */
  int clock_fd;    /* a timerfd: uv_timer_t knows milliseconds only */
  pthread_t thread;

  traffic_dice dice; /* of what is due: kind, host, time */
  int64_t next_us;
  bool running, closing;
  uint64_t number;
  traffic_link *oldest, *newest;
  char data[64 * 1024]; /* what was read last */

  pthread_mutex_t lock;
  struct {
    traffic_place places[TRAFFIC_TARGETS];
    double rate;
    bool paused, close;
    bool rerun; /* rate or pause were changed */
    traffic_counts counts;
  } shared;
};

static inline void traffic_count(traffic *t, uint64_t *count, int by) {
  (void)pthread_mutex_lock(&t->lock);
  *count += (uint64_t)(int64_t)by;
  (void)pthread_mutex_unlock(&t->lock);
}

/* ---- traffic_due.c ---- */

/* What is due now, begun; and the clock set for the next. */
void traffic_due_run(traffic *t);
/* As was ordered: rate, paused, closing. The next one is due a gap from now. */
void traffic_due_again(traffic *t);

/* ---- traffic_visit.c ---- */

/* What is due: begun, or told that it cannot be. */
typedef struct traffic_due {
  enum traffic_kind kind;
  size_t host, other; /* other: of the second one of a pair */
  int64_t intended_us;
  uint64_t number;
} traffic_due;
void traffic_visit_due(traffic *t, const traffic_due *due);
/* Tells it, and frees it; its link has let go of it before. why is static. */
void traffic_visit_end(traffic_visit *v, enum traffic_outcome outcome,
                       const char *why);
/* Its connection was closed, and nothing of an answer had come: goes to a new
   one if there can be one, else it is told as TRAFFIC_CUT_HEAD. */
void traffic_visit_again(traffic_visit *v, const char *why);
int64_t traffic_visit_due_us(const traffic_visit *v);

/* ---- traffic_link.c ---- */

/* A kept connection to the target, or NULL. */
traffic_link *traffic_link_kept(traffic *t, int target, unsigned generation);
/* A new one, with a small window if it is to be read slowly; NULL: *why says
   why not, a static text. */
traffic_link *traffic_link_open(traffic *t, const traffic_place *place,
                                int target, bool slow, traffic_dice *d,
                                const char **why);
/* Gives it a visit, or two (else NULL); it is open, or will be. */
void traffic_link_carry(traffic_link *l, traffic_visit *v,
                        traffic_visit *second);
/* It has no visit, and is kept for the next one, if there is room. */
void traffic_link_keep(traffic_link *l);
void traffic_link_close(traffic_link *l, bool reset);
/* Watches for what its visit, and its times, wait for. */
void traffic_link_arm(traffic_link *l);
/* Closes kept ones whose target is down, or another. */
void traffic_link_sweep(traffic *t);
/* Closes all; their visits are told as TRAFFIC_STOPPED. */
void traffic_link_stop(traffic *t);

/* ---- traffic_pass.c: a connection with a visit ---- */

void traffic_pass_send(traffic_link *l);
void traffic_pass_data(traffic_link *l, const char *data, size_t len);
/* error 0: the other side's end, in order; else an errno. */
void traffic_pass_broken(traffic_link *l, int error);
/* Each of its times that has come. */
void traffic_pass_time(traffic_link *l, int64_t now_us);
/* Closes it, and ends what it carries. */
void traffic_pass_fail(traffic_link *l, enum traffic_outcome outcome,
                       const char *why);

#endif
