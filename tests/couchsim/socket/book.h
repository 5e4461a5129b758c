/*
 * What the program remembers for tests: how many requests of each kind, the
 * last of them one by one, and what is open.
 */
#ifndef COUCHSIM_BOOK_H
#define COUCHSIM_BOOK_H

#include "api.h"

enum { COUCH_KINDS = 40, COUCH_LOG_MAX = 20000 };

typedef struct couch_count {
  const char *kind; /* a literal */
  uint64_t requests;
} couch_count;

typedef struct couch_line {
  uint64_t number;
  int64_t at_ms, done_ms; /* done -1: no answer yet */
  unsigned node;
  const char *kind;
  char *method, *target;
  int status; /* 0: none */
} couch_line;

typedef struct couch_book {
  couch_count counts[COUCH_KINDS];
  size_t count;
  uint64_t requests, bad;
  couch_line *lines; /* a ring */
  uint64_t first, next;
  size_t feeds, connections;
  uint64_t accepted, bytes_out;
} couch_book;

void couch_book_init(couch_book *book);
void couch_book_free(couch_book *book);
/* Its number, for couch_book_done. */
uint64_t couch_book_request(couch_book *book, const couch_request *r,
                            int64_t at_ms);
void couch_book_done(couch_book *book, uint64_t number, int status,
                     int64_t at_ms);
void couch_book_counters(const couch_book *book, couch_buf *json);
void couch_book_log(const couch_book *book, uint64_t since, couch_buf *json);

#endif
