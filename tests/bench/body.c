/*
 * Framing of the made-up feeds, and cutting them.
 */
#define _GNU_SOURCE
#include "body.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- making ---- */

/* What the chunk being collected holds. */
typedef struct collected {
  char *data;
  size_t len, cap;
  size_t first_row;
} collected;

static bool make_room(void **array, size_t count, size_t *cap, size_t size) {
  size_t more = *cap != 0 ? *cap * 2 : 1024;
  void *p;

  if (count < *cap)
    return true;
  if (more > SIZE_MAX / size || (p = realloc(*array, more * size)) == NULL)
    return false;
  *array = p;
  *cap = more;
  return true;
}

static bool collect(collected *c, const char *data, size_t len) {
  if (len > c->cap - c->len) {
    size_t cap = (c->cap + len) * 2;
    char *p = realloc(c->data, cap);

    if (p == NULL)
      return false;
    c->data = p;
    c->cap = cap;
  }
  memcpy(c->data + c->len, data, len);
  c->len += len;
  return true;
}

/* Writes the chunk and moves its rows from their places in it to those in the
   file. */
static bool end_chunk(bench_body *b, collected *c, FILE *file) {
  bench_chunk_place *place;
  int line;

  if (c->len == 0)
    return true;
  if (!make_room((void **)&b->chunks, b->chunk_count, &b->chunk_cap,
                 sizeof *b->chunks) ||
      (line = fprintf(file, "%zx\r\n", c->len)) < 0 ||
      fwrite(c->data, 1, c->len, file) != c->len || fputs("\r\n", file) < 0)
    return false;
  place = &b->chunks[b->chunk_count];
  place->start = b->len;
  place->data = b->len + (size_t)line;
  place->end = place->data + c->len;
  place->row = c->first_row;
  place->row_end = b->row_count;
  for (size_t i = c->first_row; i < b->row_count; i++) {
    b->rows[i].offset += place->data;
    b->rows[i].chunk = b->chunk_count;
  }
  b->chunk_count++;
  b->len = place->end + 2;
  b->text_len += c->len;
  c->first_row = b->row_count;
  c->len = 0;
  return true;
}

static bool add_row(bench_body *b, collected *c, FILE *file, size_t chunk,
                    const char *text, size_t len) {
  size_t whole = len + (b->list ? 2U : 1U);

  if (c->len != 0 && c->len + whole > chunk && !end_chunk(b, c, file))
    return false;
  if (!make_room((void **)&b->rows, b->row_count, &b->row_cap,
                 sizeof *b->rows) ||
      (b->list && b->row_count != 0 && !collect(c, ",\n", 2)))
    return false;
  b->rows[b->row_count].offset = c->len;
  b->rows[b->row_count].len = len;
  b->row_count++;
  return collect(c, text, len) && (b->list || collect(c, "\n", 1));
}

static bool write_body(bench_body *b, bench_kind kind, size_t rows, size_t huge,
                       size_t chunk, FILE *file) {
  bench_feed feed = {0};
  collected c = {0};
  bool good = true;

  while (good && b->row_count < rows) {
    feed.len = 0;
    good = bench_feed_add(&feed, kind, huge) &&
           add_row(b, &c, file, chunk, feed.data, feed.len - 1);
  }
  good = good && end_chunk(b, &c, file) && fflush(file) == 0;
  free(c.data);
  bench_feed_free(&feed);
  return good;
}

bool bench_body_make(bench_body *b, bench_kind kind, size_t rows, size_t huge,
                     size_t chunk, bool list) {
  FILE *file;
  int copy;
  bool good;

  memset(b, 0, sizeof *b);
  b->list = list;
  b->fd = memfd_create("feed", MFD_CLOEXEC);
  copy = b->fd >= 0 ? dup(b->fd) : -1;
  file = copy >= 0 ? fdopen(copy, "w") : NULL;
  if (file == NULL) {
    if (copy >= 0)
      (void)close(copy);
    bench_body_free(b);
    return false;
  }
  good = write_body(b, kind, rows, huge, chunk, file);
  good = fclose(file) == 0 && good;
  if (good && b->len != 0) {
    void *map = mmap(NULL, b->len, PROT_READ, MAP_SHARED, b->fd, 0);

    good = map != MAP_FAILED;
    b->map = good ? map : NULL;
  }
  if (!good)
    bench_body_free(b);
  return good;
}

void bench_body_free(bench_body *b) {
  int saved = errno;

  if (b->map != NULL)
    (void)munmap(b->map, b->len);
  if (b->fd >= 0)
    (void)close(b->fd);
  free(b->rows);
  free(b->chunks);
  memset(b, 0, sizeof *b);
  b->fd = -1;
  errno = saved;
}

const char *bench_body_seq(const bench_body *b, size_t n, size_t *len) {
  static const char front[] = "{\"seq\":\"";
  const char *text, *end;

  *len = 1;
  if (n == 0 || n > b->row_count)
    return "0";
  text = b->map + b->rows[n - 1].offset + sizeof front - 1;
  end = memchr(text, '"', b->rows[n - 1].len);
  *len = end != NULL ? (size_t)(end - text) : 0;
  return text;
}

/* ---- cutting ---- */

static bool add_piece(bench_answer *a, bool in_file, size_t offset,
                      size_t len) {
  bench_piece *last = a->count != 0 ? &a->pieces[a->count - 1] : NULL;

  if (last != NULL && last->in_file == in_file &&
      last->offset + last->len == offset) {
    last->len += len;
    return true;
  }
  if (a->count == BENCH_PIECES)
    return false;
  a->pieces[a->count++] = (bench_piece){in_file, offset, len};
  return true;
}

static bool add_text(bench_answer *a, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static bool add_text(bench_answer *a, const char *format, va_list args) {
  size_t room = sizeof a->text - a->text_len, before = a->text_len;
  int len = vsnprintf(a->text + before, room, format, args);

  if (len < 0 || (size_t)len >= room)
    return false;
  a->text_len += (size_t)len;
  return add_piece(a, false, before, (size_t)len);
}

bool bench_answer_text(bench_answer *a, const char *format, ...) {
  va_list args;
  bool good;

  va_start(args, format);
  good = add_text(a, format, args);
  va_end(args);
  return good;
}

bool bench_answer_chunk(bench_answer *a, const char *format, ...) {
  va_list args;
  int len;
  bool good;

  va_start(args, format);
  len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (len < 0 || !bench_answer_text(a, "%x\r\n", (unsigned)len))
    return false;
  va_start(args, format);
  good = add_text(a, format, args);
  va_end(args);
  return good && bench_answer_text(a, "\r\n");
}

/* Bytes of one chunk, as a chunk. */
static bool add_part(bench_answer *a, size_t from, size_t to) {
  return bench_answer_text(a, "%zx\r\n", to - from) &&
         add_piece(a, true, from, to - from) && bench_answer_text(a, "\r\n");
}

static size_t end_of_row(const bench_body *b, size_t row) {
  return b->rows[row].offset + b->rows[row].len + (b->list ? 0U : 1U);
}

bool bench_answer_rows(bench_answer *a, const bench_body *b, size_t from,
                       size_t to) {
  size_t chunk, last, last_end;

  if (from >= to)
    return true;
  a->fd = b->fd;
  chunk = b->rows[from].chunk;
  last = b->rows[to - 1].chunk;
  last_end = end_of_row(b, to - 1);
  /* The first row of a list has nothing before it. */
  if (b->chunks[chunk].row != from || (b->list && from != 0)) {
    size_t end = chunk == last ? last_end : b->chunks[chunk].end;

    if (!add_part(a, b->rows[from].offset, end) || chunk++ == last)
      return chunk > last;
  }
  if (b->chunks[last].row_end == to)
    return add_piece(a, true, b->chunks[chunk].start,
                     b->chunks[last].end + 2 - b->chunks[chunk].start);
  return (chunk == last ||
          add_piece(a, true, b->chunks[chunk].start,
                    b->chunks[last].start - b->chunks[chunk].start)) &&
         add_part(a, b->chunks[last].data, last_end);
}
