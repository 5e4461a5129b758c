/* What came for one visit: an answer taken apart as strictly as the proxy does
   it, and, when it names its app (X-Nonce), held byte by byte to what that app
   has to answer to this very request. Pure; takes any cut of the bytes. */
#ifndef PLATFORM_TRAFFIC_ANSWER_H
#define PLATFORM_TRAFFIC_ANSWER_H

#include "common/http_body.h"
#include "common/traffic.h"

/* What was asked for. The texts are the caller's, and live as long. */
typedef struct traffic_asked {
  bool head;          /* HEAD */
  const char *target; /* "/?v=7" */
  const char *accept; /* Sec-WebSocket-Accept to come, or NULL */
  unsigned lines;     /* that /big was asked for, or 0 */
  bool posted;        /* a body, of this length and sum */
  uint64_t length, sum;
  uint64_t most; /* bytes of an answer's body */
} traffic_asked;

typedef struct traffic_answer {
  traffic_asked asked;
  text held; /* of a head that is not whole */
  size_t scanned;
  int informs;
  bool has_head, whole, upgraded, keep_alive;
  int status;
  char error[8];
  bool inside;
  char page[TRAFFIC_PAGE_MOST];
  http_body body;
  uint64_t length;
  text kept; /* of the body */
  const char *wrong;
  text expected;  /* the next bytes of the app's own answer, */
  size_t matched; /* so many of which have come */
  unsigned line;  /* of /big, the next to be expected */
} traffic_answer;

enum traffic_state {
  TRAFFIC_MORE,  /* is to come */
  TRAFFIC_WHOLE, /* a has it */
  TRAFFIC_TALK,  /* a websocket has begun; what follows is its */
  TRAFFIC_NONSENSE
};

void traffic_answer_begin(traffic_answer *a, const traffic_asked *asked);
/* Takes from data what it can, *used bytes; all of it for TRAFFIC_MORE. Not
   called again after anything else. *why is set for TRAFFIC_NONSENSE. */
enum traffic_state traffic_answer_take(traffic_answer *a, const char *data,
                                       size_t len, size_t *used,
                                       const char **why);
/* The connection has ended in order: whether that was the answer's end. */
bool traffic_answer_ends(traffic_answer *a);
/* Bytes that the visitor saw as a body, kept as far as there is room. */
void traffic_answer_keep(traffic_answer *a, const char *data, size_t len);
/* The memory; what it says of the answer stays. */
void traffic_answer_free(traffic_answer *a);

/* The sum that the app answers to a body with: FNV-1a, 64 bits. */
enum { TRAFFIC_SUM_LEN = 16 };
#define TRAFFIC_SUM_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t traffic_sum(uint64_t sum, const char *data, size_t len);

#endif
