/*
 * The body of a changes response, framed as CouchDB 3 frames it: whole rows
 * collected into an HTTP chunk until the next one would pass the size of its
 * buffer, with ",\n" before each row but the first (the list) or "\n" behind
 * each (the lines). It lies in memory the kernel can send from by itself, and
 * any span of rows can be cut out of it.
 */
#ifndef CFT_BENCH_BODY_H
#define CFT_BENCH_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include "feeds.h"

typedef struct bench_row_place {
  size_t offset; /* of its '{' */
  size_t len;    /* to its '}' */
  size_t chunk;
} bench_row_place;

typedef struct bench_chunk_place {
  size_t start;        /* of its size line */
  size_t data, end;    /* of its bytes */
  size_t row, row_end; /* the rows in it */
} bench_chunk_place;

typedef struct bench_body {
  int fd;
  char *map;
  size_t len;      /* of the file */
  size_t text_len; /* of the rows alone, with what separates them */
  bool list;
  bench_row_place *rows;
  size_t row_count, row_cap;
  bench_chunk_place *chunks;
  size_t chunk_count, chunk_cap;
} bench_body;

/* What is to be sent, in order: texts, and spans of the body's file. */
enum { BENCH_TEXT = 4096, BENCH_PIECES = 16 };

typedef struct bench_piece {
  bool in_file;
  size_t offset, len; /* in the file, or in text */
} bench_piece;

typedef struct bench_answer {
  char text[BENCH_TEXT];
  size_t text_len;
  bench_piece pieces[BENCH_PIECES];
  size_t count, at; /* pieces, and the one being sent */
  int fd;           /* the file */
} bench_answer;

/* chunk: the size of CouchDB's buffer, 1490 by default. False: errno. */
bool bench_body_make(bench_body *b, bench_kind kind, size_t rows, size_t huge,
                     size_t chunk, bool list);
void bench_body_free(bench_body *b);

/* The seq of the n-th row, counted from 1; "0" of none. Not ended by '\0'. */
const char *bench_body_seq(const bench_body *b, size_t n, size_t *len);

/* Adds to an answer. False: it is too long, which is a mistake of the caller.
 */
bool bench_answer_text(bench_answer *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same as a chunk of its own. */
bool bench_answer_chunk(bench_answer *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Rows from..to-1, counted from 0. */
bool bench_answer_rows(bench_answer *a, const bench_body *b, size_t from,
                       size_t to);

#endif
