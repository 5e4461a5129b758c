/* Visitors like those of the open internet, for tests and canaries of what
   serves by Host: they ask for hosts by Zipf's law, come when they want to and
   not when the last one was answered (a Poisson process), from many addresses,
   and some of them are slow, odd, or leave in the middle.

   A visit is one request and its answer. When it is due is decided before it is
   begun, and its latency counts from then; one that cannot be begun is told as
   such. So nothing is left out when what is visited is slow.

   A thread of its own does all of it. Every function here may be called on any
   thread, but traffic_close not on that one. on_result is called on that
   thread, once for each visit, and what its argument points to is gone when it
   returns. */
#ifndef PLATFORM_TRAFFIC_H
#define PLATFORM_TRAFFIC_H

#include "common/http_head.h"

typedef struct traffic traffic;

/* How a visit is made. "App" is one that answers as examples/replay/nonce does;
   with any other one the visits are the same, and less of the answers can be
   checked. */
enum traffic_kind {
  TRAFFIC_PLAIN,        /* GET /, on a kept connection or a new one */
  TRAFFIC_LAST,         /* the same with Connection: close */
  TRAFFIC_HEAD,         /* HEAD / */
  TRAFFIC_OLD,          /* GET / of HTTP/1.0 */
  TRAFFIC_SLOW,         /* GET /, its head in pieces over up to slow_ms */
  TRAFFIC_BYTES,        /* GET /, each byte a segment of its own */
  TRAFFIC_POST,         /* a body of known length, in pieces, echoed */
  TRAFFIC_CHUNKED,      /* a chunked one */
  TRAFFIC_HALF_CLOSE,   /* GET /, and the end of what is sent behind it */
  TRAFFIC_PIPELINED,    /* two GETs of two hosts at once: two visits */
  TRAFFIC_BIG,          /* GET /big/LINES, read slowly */
  TRAFFIC_WEBSOCKET,    /* its first message is the page, others are echoed */
  TRAFFIC_ABORT_HEAD,   /* the connection is closed within the head, */
  TRAFFIC_ABORT_BODY,   /* within the body, */
  TRAFFIC_ABORT_ANSWER, /* within the answer to GET /big/LINES */
  TRAFFIC_KINDS
};
const char *traffic_kind_name(enum traffic_kind kind); /* "abort-head" */

enum traffic_outcome {
  TRAFFIC_ANSWERED,      /* a whole answer, whoever gave it */
  TRAFFIC_ABORTED,       /* by the visitor, as its kind is */
  TRAFFIC_NOT_CONNECTED, /* why */
  TRAFFIC_CUT_HEAD,      /* closed or reset before there was a whole head */
  TRAFFIC_CUT_BODY,      /* or before the answer's end */
  TRAFFIC_LATE,          /* not over after visit_ms */
  TRAFFIC_BROKEN,        /* no HTTP, or more of it than bytes_most: why */
  TRAFFIC_NOT_BEGUN,     /* flights_most were under way; or no target is up,
                            then target is -1 */
  TRAFFIC_STOPPED,       /* by traffic_close */
  TRAFFIC_OUTCOMES
};
const char *traffic_outcome_name(enum traffic_outcome outcome); /* "cut-head" */

enum { TRAFFIC_BODY = 8192, TRAFFIC_PAGE_MOST = 200, TRAFFIC_TARGETS = 16 };

typedef struct traffic_result {
  uint64_t number; /* 1, 2, 3 ... as they were due */
  enum traffic_kind kind;
  enum traffic_outcome outcome;
  const char *why;     /* a sentence where an outcome says so; never NULL */
  size_t host;         /* index in config.hosts */
  int target;          /* index in config.targets, or -1 */
  unsigned generation; /* of the target when it was begun, */
  unsigned ended_in;   /* and at the end: another if it was marked meanwhile */
  const char *source;  /* IPv4 address that it came from, or "" */
  int64_t intended_us; /* CLOCK_MONOTONIC, as the others */
  int64_t begun_us;    /* 0: not begun */
  int64_t asked_us; /* the last byte of what it asks was sent; 0: it was not */
  int64_t first_byte_us; /* of the answer; 0: none came */
  int64_t end_us;
  bool again;    /* made twice: a kept connection was closed under it */
  int status;    /* 0: no whole head came */
  char error[8]; /* X-Balancer-Error, or "" */
  bool inside;   /* a field X-Drone-... came */
  char page[TRAFFIC_PAGE_MOST]; /* X-Nonce: "app=NAME nonce=NONCE", or "" */
  const char *body; /* of the answer: the first TRAFFIC_BODY bytes and a zero,
                       also when it was cut. Of a websocket: its first message
                     */
  size_t body_len;
  uint64_t length; /* of all of the body that came */
  /* A sentence if the answer has X-Nonce and is not what that app has to answer
     to this very request, byte by byte as far as it came; or NULL. */
  const char *wrong;
} traffic_result;

/* What came of it, in one word. own: "app=NAME nonce=NONCE", what the host's
   app has to say. */
enum traffic_verdict {
  TRAFFIC_NOTHING, /* not a byte of an answer's body, nor of its page */
  TRAFFIC_OWN,     /* the app's own, or the beginning of it */
  TRAFFIC_PAGE,    /* a page of the balancer */
  TRAFFIC_FOREIGN  /* anything else */
};
/* Says in `said` (may be NULL) what was found; on any thread. */
enum traffic_verdict traffic_judge(const traffic_result *r, const char *own,
                                   char *said, size_t size);

typedef struct traffic_config {
  const char *const *targets; /* "127.0.0.1:8000", "[::1]:8000"; copied */
  size_t target_count;        /* 1 to TRAFFIC_TARGETS; each is up at first, of
                                 generation 0 */
  const char *const *hosts;   /* copied */
  size_t host_count;          /* 1 to 100000 */
  double rate;                /* visits a second: above 0, at most 20000 */
  double zipf; /* 0: all hosts alike; 1: the k-th is asked for 1/k as often; at
                  most 4. Which host is the k-th, the seed says */
  uint64_t seed;
  unsigned mix[TRAFFIC_KINDS]; /* weights; none set: traffic_mix_default */
  const char *source; /* IPv4 address that the first visitor comes from; NULL:
                         the kernel's choice */
  unsigned sources;   /* so many from it upwards; 0: 1 */
  const char *forged; /* sent as X-Drone-Claim by one visit in eight; or NULL */
  bool paused;        /* until traffic_pause(t, false) */

  /* Limits; 0: what stands behind. */
  uint64_t total_most;   /* visits due, then no more are; 0: no limit */
  unsigned flights_most; /* visits under way: 256 */
  unsigned kept_most;    /* idle connections kept: 64 */
  uint64_t bytes_most;   /* of an answer: 8 MiB */
  int64_t visit_ms;      /* of a visit, from when it was begun: 45 s */
  int64_t slow_ms;       /* that a slow head or body takes at most: 2 s */
  unsigned body_most;    /* bytes of a body that is sent: 32 KiB */
  unsigned big_lines;    /* LINES of /big: 5000, some 250 KiB */
  int64_t close_ms;      /* traffic_close waits for visits under way: 1 s */

  void (*on_result)(void *ctx, const traffic_result *result); /* required */
  void *ctx;
} traffic_config;

/* Mostly plain, and some of each odd kind. */
void traffic_mix_default(unsigned mix[TRAFFIC_KINDS]);
void traffic_mix_plain(unsigned mix[TRAFFIC_KINDS]);

/* NULL with a sentence that names what is wrong. */
traffic *traffic_open(const traffic_config *config, char *error,
                      size_t error_size);
/* No more are begun; those under way have close_ms, and are then told as
   TRAFFIC_STOPPED. When it returns everything was told, and t is gone. NULL is
   fine. */
void traffic_close(traffic *t);

/* From now on; false, and nothing changes, if it is not within its range. */
bool traffic_set_rate(traffic *t, double rate);
/* Nothing is due while paused, and nothing is caught up on afterwards. */
void traffic_pause(traffic *t, bool paused);

/* A target goes down (no visit goes there, connections kept are closed) or
   comes up, maybe at another address (NULL: the same), with a number of the
   caller's: before something is ended, mark it with a new number, and all that
   is cut by that ends in another generation than it was begun in. false:
   no such target, or the address is none. */
bool traffic_target(traffic *t, unsigned target, bool up, unsigned generation,
                    const char *address);

typedef struct traffic_counts {
  uint64_t due; /* visits, each told once or under way */
  uint64_t told[TRAFFIC_OUTCOMES];
  uint64_t again;    /* of the visits told, made twice */
  uint64_t connects; /* connections begun */
  uint64_t flights;  /* under way now */
  uint64_t flights_peak;
  uint64_t kept;    /* idle connections now */
  uint64_t unasked; /* bytes that came when no answer was due: a mistake */
} traffic_counts;
traffic_counts traffic_get_counts(traffic *t);

/* The same clock as in a result. */
int64_t traffic_now_us(void);

#endif
