/*
 * What the feed server understands of an HTTP request.
 */
#ifndef CFT_BENCH_REQUEST_H
#define CFT_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum bench_database {
  BENCH_DB,
  BENCH_LIVE,
  BENCH_TICK,
  BENCH_BREAK,
  BENCH_NO_DATABASE
} bench_database;

typedef struct bench_request {
  char method[16];
  bench_database db;
  char path[64]; /* behind the database */
  uint64_t since, limit;
  bool since_now, continuous;
  int64_t heartbeat_ms; /* 0: none */
} bench_request;

/* The length of a whole request at the front of what has come, or 0. data is
   ended by '\0'. */
size_t bench_request_len(const char *data, size_t len);
/* Of a whole one. False: it is none. */
bool bench_request_parse(const char *head, bench_request *r);

#endif
