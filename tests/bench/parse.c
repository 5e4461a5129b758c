/*
 * How fast rows are read out of bytes that are there already: the frame and the
 * row, on each path of the scanner, against yajl, which is what a client would
 * take otherwise. All of them read the same feed in turn, round after round,
 * and the median counts: ratios hold on a machine that does something else
 * besides, figures do not.
 *
 *   bench_parse [--size MIB] [--rounds N] [--chunk BYTES] [--feed abcd]
 *               [--only NAME]
 */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yajl/yajl_parse.h>

#include "buf.h"
#include "feeds.h"
#include "frame.h"
#include "row.h"

enum { MAX_ROUNDS = 101, MAX_DEPTH = 1000 };

typedef struct setting {
  size_t size, chunk;
  int rounds;
  const char *feeds;
  const char *only; /* readers whose name holds this */
} setting;

/* Answers the number of rows, or 0 when something went wrong. */
typedef size_t reader(const void *how, const bench_feed *feed, size_t chunk);

typedef struct contender {
  const char *name;
  reader *read;
  const void *how;
} contender;

/* ---- the contenders ---- */

/* The least there is to do: find the line feeds. */
static size_t read_lines(const void *how, const bench_feed *feed,
                         size_t chunk) {
  const char *p = feed->data, *end = p + feed->len;
  size_t rows = 0;

  (void)how;
  (void)chunk;
  while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
    rows++;
    p++;
  }
  return rows;
}

typedef struct counts {
  size_t depth, rows, bytes;
} counts;

static int on_text(void *ctx, const unsigned char *text, size_t len) {
  counts *c = ctx;

  c->bytes += len + (len != 0 && text[0] == 0);
  return 1;
}

static int on_number(void *ctx, const char *text, size_t len) {
  counts *c = ctx;

  c->bytes += len + (text[0] == '-');
  return 1;
}

static int on_start(void *ctx) {
  ((counts *)ctx)->depth++;
  return 1;
}

static int on_end(void *ctx) {
  counts *c = ctx;

  c->rows += --c->depth == 0;
  return 1;
}

/* yajl, with a callback for each token, as a stream of rows. */
static size_t read_yajl(const void *how, const bench_feed *feed, size_t chunk) {
  static const yajl_callbacks callbacks = {
      NULL,     NULL,    NULL,   NULL,     on_number, on_text,
      on_start, on_text, on_end, on_start, on_end};
  counts c = {0, 0, 0};
  yajl_handle handle = yajl_alloc(&callbacks, NULL, &c);
  yajl_status status = yajl_status_ok;

  (void)how;
  if (handle == NULL)
    return 0;
  (void)yajl_config(handle, yajl_allow_multiple_values, 1);
  for (size_t at = 0; at < feed->len && status == yajl_status_ok; at += chunk)
    status = yajl_parse(handle, (const unsigned char *)feed->data + at,
                        feed->len - at < chunk ? feed->len - at : chunk);
  yajl_free(handle);
  return status == yajl_status_ok ? c.rows : 0;
}

/* What the library does with what it has received. */
typedef struct library_way {
  const cfi_scan_path *path;
  bool by_json; /* each row to the JSON parser */
  bool queued;  /* with the copy from libcurl's buffer into the queue */
} library_way;

typedef struct library {
  cfi_alloc alloc;
  cfi_frame frame;
  cfi_buf queue;
  cfi_row_parser *parser;
} library;

/* Rows of what has come; data[len] is the end of that. */
static size_t take_rows(const library_way *way, library *l, const char *data,
                        size_t len) {
  cfi_frame_item item;
  size_t rows = 0;

  while (cfi_frame_next(&l->frame, data, len, &item) == CFI_FRAME_ROW) {
    const char *text = data + item.offset;
    cfi_row row;
    cfi_row_kind kind =
        way->by_json
            ? cfi_row_parse_by_json(l->parser, CFI_ROW_OF_DATABASE, text,
                                    item.len, &row)
            : cfi_row_parse_framed(l->parser, CFI_ROW_OF_DATABASE, text,
                                   item.len, item.inner, item.places, &row);

    rows += kind == CFI_ROW_CHANGE;
    cfi_row_reset(l->parser);
  }
  return rows;
}

static size_t take_queued(const library_way *way, library *l, const char *piece,
                          size_t len) {
  size_t rows, unneeded;

  if (cfi_buf_append(&l->queue, piece, len, SIZE_MAX - 2) != CFI_BUF_OK)
    return 0;
  rows = take_rows(way, l, cfi_buf_data(&l->queue), l->queue.len);
  unneeded = cfi_frame_unneeded(&l->frame);
  cfi_frame_dropped(&l->frame, unneeded);
  cfi_buf_consume(&l->queue, unneeded);
  return rows;
}

static size_t read_library(const void *how, const bench_feed *feed,
                           size_t chunk) {
  const library_way *way = how;
  library l;
  size_t rows = 0;

  if (!cfi_alloc_init(&l.alloc, NULL) ||
      (l.parser = cfi_row_parser_new(&l.alloc, MAX_DEPTH)) == NULL)
    return 0;
  cfi_buf_init(&l.queue, &l.alloc);
  cfi_frame_init(&l.frame, &l.alloc, SIZE_MAX, MAX_DEPTH);
  cfi_frame_start(&l.frame, CFI_FRAME_LINES);
  l.frame.path = way->path;
  for (size_t at = 0; at < feed->len; at += chunk) {
    size_t n = feed->len - at < chunk ? feed->len - at : chunk;

    rows += way->queued ? take_queued(way, &l, feed->data + at, n)
                        : take_rows(way, &l, feed->data, at + n);
  }
  cfi_frame_free(&l.frame);
  cfi_buf_free(&l.queue);
  cfi_row_parser_free(l.parser);
  return rows;
}

/* ---- measuring ---- */

static double now_s(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, by_value);
  return values[count / 2];
}

enum { MAX_CONTENDERS = 8 };

static int race(const contender *c, size_t count, bench_kind kind,
                const setting *s) {
  static double seconds[MAX_CONTENDERS][MAX_ROUNDS];
  bench_feed feed;
  double yajl_s = 0;

  if (!bench_feed_make(&feed, kind, s->size)) {
    (void)fprintf(stderr, "bench_parse: no memory for feed %s\n",
                  bench_kind_name(kind));
    return 1;
  }
  for (int round = 0; round < s->rounds; round++)
    for (size_t i = 0; i < count; i++) {
      double start = now_s();
      size_t rows = c[i].read(c[i].how, &feed, s->chunk);

      seconds[i][round] = now_s() - start;
      if (rows != feed.rows) {
        (void)fprintf(stderr,
                      "bench_parse: %s read %zu rows of feed %s, not %zu\n",
                      c[i].name, rows, bench_kind_name(kind), feed.rows);
        bench_feed_free(&feed);
        return 1;
      }
    }
  for (size_t i = 0; i < count; i++) {
    double s_i = median(seconds[i], s->rounds);

    if (strcmp(c[i].name, "yajl") == 0)
      yajl_s = s_i;
  }
  for (size_t i = 0; i < count; i++) {
    double s_i = median(seconds[i], s->rounds);

    (void)printf("| %s | %zu | %s | %.0f | %.0f |", bench_kind_name(kind),
                 s->chunk, c[i].name, (double)feed.len / s_i / 1e6,
                 (double)feed.rows / s_i / 1e3);
    (void)(yajl_s > 0 ? printf(" %.1f |\n", yajl_s / s_i) : printf(" - |\n"));
  }
  bench_feed_free(&feed);
  return 0;
}

static size_t chosen(contender *c, size_t count, const char *only) {
  size_t kept = 0;

  for (size_t i = 0; i < count; i++)
    if (strstr(c[i].name, only) != NULL)
      c[kept++] = c[i];
  return kept;
}

static int race_all(const setting *s) {
  static library_way ways[MAX_CONTENDERS];
  static char names[MAX_CONTENDERS][48];
  contender c[MAX_CONTENDERS] = {{"line feeds", read_lines, NULL},
                                 {"yajl", read_yajl, NULL}};
  const cfi_scan_path *path;
  size_t count = 2;

  ways[count] = (library_way){cfi_scan_best(), true, false};
  (void)snprintf(names[count++], sizeof names[0], "frame; row by yajl");
  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++) {
    ways[count] = (library_way){path, false, false};
    (void)snprintf(names[count++], sizeof names[0], "frame, row; %s",
                   path->name);
  }
  ways[count] = (library_way){cfi_scan_best(), false, true};
  (void)snprintf(names[count++], sizeof names[0], "queued, then that; %s",
                 cfi_scan_best()->name);
  for (size_t i = 2; i < count; i++)
    c[i] = (contender){names[i], read_library, &ways[i]};
  count = chosen(c, count, s->only);
  (void)printf("| feed | chunk | reader | MB/s | 1000 rows/s | x yajl |\n"
               "|---|---:|---|---:|---:|---:|\n");
  for (int kind = 0; kind < BENCH_KINDS; kind++)
    if (strstr(s->feeds, bench_kind_name((bench_kind)kind)) != NULL &&
        race(c, count, (bench_kind)kind, s) != 0)
      return 1;
  return 0;
}

static int usage(void) {
  (void)fprintf(stderr, "usage: bench_parse [--size MIB] [--rounds N] "
                        "[--chunk BYTES] [--feed abcd] [--only NAME]\n");
  return 2;
}

int main(int argc, char **argv) {
  setting s = {(size_t)1 << 20, 16384, 21, "abc", ""};

  for (int i = 1; i < argc; i += 2) {
    long n = i + 1 < argc ? strtol(argv[i + 1], NULL, 10) : 0;

    if (i + 1 < argc && strcmp(argv[i], "--feed") == 0)
      s.feeds = argv[i + 1];
    else if (i + 1 < argc && strcmp(argv[i], "--only") == 0)
      s.only = argv[i + 1];
    else if (n > 0 && n <= 1024 && strcmp(argv[i], "--size") == 0)
      s.size = (size_t)n << 20;
    else if (n > 0 && n < MAX_ROUNDS && strcmp(argv[i], "--rounds") == 0)
      s.rounds = (int)n;
    else if (n > 0 && strcmp(argv[i], "--chunk") == 0)
      s.chunk = (size_t)n;
    else
      return usage();
  }
  return race_all(&s);
}
