/*
 * Change feeds made up for measuring, each byte the same at each run: what a
 * CouchDB 3 writes, of the four kinds that the benchmarks speak of.
 */
#ifndef CFT_BENCH_FEEDS_H
#define CFT_BENCH_FEEDS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum bench_kind {
  BENCH_PLAIN, /* a: rows without documents, 312 bytes each */
  BENCH_DOCS,  /* b: with documents of 500 bytes */
  BENCH_LARGE, /* c: with nested documents of 10 KB, many escapes and letters
                  beyond ASCII */
  BENCH_HUGE,  /* d: one row with an attachment of 64 MiB among small ones */
  BENCH_KINDS
} bench_kind;

typedef struct bench_feed {
  char *data; /* rows, each with a line feed behind it */
  size_t len, cap;
  size_t rows;
} bench_feed;

/* "a" to "d" */
const char *bench_kind_name(bench_kind kind);
/* About size bytes, at least one row; HUGE: the long row is size bytes. False
   without memory. */
bool bench_feed_make(bench_feed *f, bench_kind kind, size_t size);
/* One more row. f begins as {0}; the caller may take its bytes away and set
   len to 0. huge: the length of HUGE's long row, which is the row number
   BENCH_HUGE_AT. False without memory. */
enum { BENCH_HUGE_AT = 100 };
bool bench_feed_add(bench_feed *f, bench_kind kind, size_t huge);
void bench_feed_free(bench_feed *f);

#endif
