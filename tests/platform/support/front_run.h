/* For tests of what flows: one client, one front, and a server whose handler
   goes step by step with the test. */
#ifndef FRONT_RUN_H
#define FRONT_RUN_H

#include "platform/support/front.h"

#include "support/mem.h"
#include "support/timing.h"
#include "support/unit.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { WAIT_MS = 20000 };

/* One exchange of a client, a front and a server that a handler plays; user is
   the run. */
typedef struct run {
  cft_peer *behind;
  front *f;
  cft_client c;
  /* between the test and the server's thread */
  _Atomic int step;
  _Atomic size_t bytes;
  _Atomic unsigned sum;
  _Atomic bool ended;
  const char *script;
} run;

static inline void begin(run *r, front_config config, cft_handler handler) {
  r->behind = front_behind_handler(&config, handler, r);
  r->f = front_start(&config);
  front_client(r->f, &r->c);
}

static inline void finish(run *r) {
  cft_client_close(&r->c);
  front_stop(r->f);
  cft_peer_free(r->behind);
}

/* In the server's thread: until the test has come so far. */
static inline bool wait_step(cft_conn *conn, run *r, int step) {
  cft_conn_wakeable(conn);
  while (atomic_load(&r->step) < step)
    if (cft_conn_wait(conn, -1) == CFT_WAIT_GONE)
      return false;
  return true;
}

static inline void go(run *r, int step) {
  atomic_store(&r->step, step);
  cft_peer_wake(r->behind);
}

/* Raw bytes, until there is this word in them. */
static inline bool read_word(cft_conn *conn, text *in, const char *word) {
  char data[4096];
  size_t got = 0;

  while (strstr(text_get(in), word) == NULL) {
    if (!cft_conn_read(conn, data, sizeof data, &got) || got == 0)
      return false;
    text_add(in, data, got);
  }
  return true;
}

static inline bool is_past(void *user) {
  run *r = user;

  return atomic_load(&r->bytes) != 0;
}

#endif
