/* The app of runs from outside: it answers with its own name and nonce, in each
 * way that a visitor may ask (see common/traffic.h), so that every byte says
 * whose it is. With libc and the platform's parsers only: two hundred of it
 * run at once.
 *
 *   GET, HEAD, POST ...  "app=NAME nonce=NONCE\n"; behind a body that was sent,
 *                        a line with its length and its sum (FNV-1a)
 *   GET /big/N           N lines of that, numbered; chunked when N is odd
 *   websocket            that as the first message, then an echo
 *
 * Each answer has the same words as X-Nonce, and what was asked for as
 * X-Nonce-Target. NAME and NONCE come from NONCE_APP and NONCE, the port from
 * PORT; 0 is any, which it prints.
 *
 *   nonce.c         main: alone in its drone, and the loop
 *   nonce_conn.c    a connection: read, understood, written
 *   nonce_answer.c  what is answered */
#ifndef REPLAY_NONCE_H
#define REPLAY_NONCE_H

#include "common/http_body.h"

enum {
  NONCE_CONNS = 256,
  NONCE_OUT = 32 * 1024, /* waiting bytes beyond which nothing is read */
  NONCE_TARGET = 128,    /* of what is asked for, as much is told */
  NONCE_LINES = 100000,
  NONCE_FRAME = 4096
};

enum nonce_state { NONCE_HEAD, NONCE_BODY, NONCE_BIG, NONCE_TALK };

typedef struct nonce_conn {
  int fd; /* -1: none */
  enum nonce_state state;
  text in, out;
  size_t scanned;
  int64_t moved_ms; /* when bytes went last */
  bool heard;       /* something came */
  bool ended;       /* the client sends no more */
  bool closing;     /* nothing more is read, and what waits is the last */
  /* of the request */
  bool head_only, keep_alive, has_body, old;
  char target[NONCE_TARGET];
  http_body body;
  uint64_t length, sum;
  unsigned line, lines; /* of /big */
  bool chunked;
} nonce_conn;

/* "app=NAME nonce=NONCE", from the environment. */
const char *nonce_page(void);

void nonce_conn_read(nonce_conn *c);
void nonce_conn_write(nonce_conn *c);
bool nonce_conn_wants(const nonce_conn *c, bool *write); /* to read */
void nonce_conn_close(nonce_conn *c);
int64_t nonce_now_ms(void);

/* The request is whole; puts what is answered into c->out. */
void nonce_answer(nonce_conn *c);
/* More of /big, while there is room. */
void nonce_answer_more(nonce_conn *c);
void nonce_answer_refusal(nonce_conn *c, int status, const char *why);
/* A websocket that the head asks for; false: without a key. */
bool nonce_answer_upgrade(nonce_conn *c, const http_head *head);
/* What the client says in it, as far as it is there. */
void nonce_answer_talk(nonce_conn *c);

#endif
