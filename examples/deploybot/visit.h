/* A visitor of the canary's app: one request through one balancer, by the
   Host header, and what it showed. A visitor belongs to one thread. */
#ifndef DEPLOYBOT_VISIT_H
#define DEPLOYBOT_VISIT_H

#include "deploybot/report.h"

typedef struct visitor visitor;

typedef struct visit_answer {
  int status;       /* of HTTP; 0: no head came */
  char page[8];     /* X-Balancer-Error, or "" */
  char request[65]; /* X-Request-Id: the answer's, or the one that was sent */
  char body[CAME_MOST];
  size_t kept, total; /* bytes of it; kept: in body */
  char error[160];    /* "": the answer is whole */
} visit_answer;

/* What a balancer is expected to show of the app. */
typedef struct expectation {
  const char *app;
  const char *nonce; /* of the version that is meant; NULL: a page */
  const char *page;  /* "E04" */
  /* All words of ours, the one above among them: an older version. */
  const char (*ours)[CLAIM_LEN + 1];
  size_t ours_count;
} expectation;

enum verdict {
  SHOWS_IT,
  SHOWS_OLDER,   /* the app, but with an older word, or where a page is due */
  SHOWS_PAGE,    /* a page of the balancer's that was not expected */
  SHOWS_NOTHING, /* no answer, a cut one, an empty one, a 5xx of no balancer */
  SHOWS_OTHERS   /* bytes that are neither the app's nor the balancer's */
};

/* addr: "127.0.0.1:8000". NULL for want of memory. */
visitor *visitor_new(const char *addr);
void visitor_free(visitor *v);
void visit(visitor *v, const char *host, int64_t total_ms, visit_answer *out);

/* Pure. */
enum verdict visit_judge(const visit_answer *a, const expectation *e);
void visit_describe(const visit_answer *a, enum verdict v, finding *f);
void visit_describe_expected(const expectation *e, char *out, size_t size);

#endif
