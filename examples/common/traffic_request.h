/* What a visit sends, and how: its bytes, where it is slow, where it breaks
   off. Made from a seed; pure. */
#ifndef PLATFORM_TRAFFIC_REQUEST_H
#define PLATFORM_TRAFFIC_REQUEST_H

#include "common/traffic_answer.h"
#include "common/traffic_choice.h"
#include "common/websocket.h"

/* Of a traffic_config, without zeros. */
typedef struct traffic_request_limits {
  const char *forged; /* or NULL */
  int64_t slow_ms;
  unsigned body_most, big_lines;
  uint64_t bytes_most;
} traffic_request_limits;

typedef struct traffic_request {
  text out;
  size_t sent;
  /* From slow_from to slow_to in pieces, with a pause before each. */
  size_t slow_from, slow_to, piece;
  int64_t pause_ms;
  bool bytes;      /* each in a segment of its own */
  size_t ends_at;  /* where an abort comes; SIZE_MAX: nowhere */
  uint64_t enough; /* bytes of the answer's body after which it does; 0:
                      all are wanted */
  bool half_close; /* behind the last byte */
  bool may_repeat; /* nothing is done twice when it is sent twice */
  bool may_share;  /* a kept connection will do, and may be kept */
  bool closes;     /* the connection is not kept behind it */
  bool reads_slowly;
  char target[48], accept[WEBSOCKET_ACCEPT];
  traffic_asked asked; /* points into this */
} traffic_request;

/* false: out of memory. */
bool traffic_request_make(traffic_request *r, enum traffic_kind kind,
                          const char *host, uint64_t number, traffic_dice *d,
                          const traffic_request_limits *limits);
/* So many bytes from r->sent on may be sent now; 0: no more, ever. *pause_ms:
   after such a pause. */
size_t traffic_request_next(const traffic_request *r, int64_t *pause_ms);
void traffic_request_free(traffic_request *r);

#endif
