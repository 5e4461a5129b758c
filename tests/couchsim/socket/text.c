/*
 * Memory, buffers, numbers, random numbers; codec.c has the encodings.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void no_memory(void) {
  (void)fputs("couchsim: out of memory\n", stderr);
  _Exit(3);
}

void *couch_alloc(size_t size) {
  void *p = calloc(1, size ? size : 1);
  if (p == NULL)
    no_memory();
  return p;
}

void *couch_realloc(void *old, size_t size) {
  void *p = realloc(old, size ? size : 1);
  if (p == NULL)
    no_memory();
  return p;
}

void *couch_room(void *array, size_t *cap, size_t count, size_t unit) {
  if (count < *cap)
    return array;
  if (*cap > SIZE_MAX / 2 / unit)
    no_memory();
  *cap = *cap ? *cap * 2 : 8;
  return couch_realloc(array, *cap * unit);
}

char *couch_dup_n(const char *text, size_t len) {
  char *copy = couch_alloc(len + 1);
  if (len > 0)
    memcpy(copy, text, len);
  return copy;
}

char *couch_dup(const char *text) { return couch_dup_n(text, strlen(text)); }

static void want(couch_buf *b, size_t more) {
  size_t cap = b->cap ? b->cap : 64;
  if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
    no_memory();
  if (b->len + more + 1 <= b->cap)
    return;
  while (cap < b->len + more + 1)
    cap *= 2;
  b->data = couch_realloc(b->data, cap);
  b->cap = cap;
}

void couch_add(couch_buf *b, const void *bytes, size_t len) {
  want(b, len);
  if (len > 0)
    memcpy(b->data + b->len, bytes, len);
  b->len += len;
  b->data[b->len] = '\0';
}

void couch_add_text(couch_buf *b, const char *text) {
  couch_add(b, text, strlen(text));
}

void couch_addf(couch_buf *b, const char *format, ...) {
  va_list args;
  int n;
  want(b, 128);
  va_start(args, format);
  n = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
  va_end(args);
  if (n < 0)
    no_memory();
  if ((size_t)n >= b->cap - b->len) {
    want(b, (size_t)n);
    va_start(args, format);
    n = vsnprintf(b->data + b->len, b->cap - b->len, format, args);
    va_end(args);
  }
  b->len += (size_t)n;
}

void couch_buf_drop(couch_buf *b, size_t front) {
  if (front == 0)
    return;
  b->len -= front;
  memmove(b->data, b->data + front, b->len);
  b->data[b->len] = '\0';
}

void couch_buf_free(couch_buf *b) {
  free(b->data);
  *b = (couch_buf){0};
}

const char *couch_buf_text(const couch_buf *b) {
  return b->data != NULL ? b->data : "";
}

bool couch_to_int(const char *text, int64_t *out) {
  bool minus = *text == '-';
  int64_t n = 0;
  const char *p = minus ? text + 1 : text;
  if (*p == '\0')
    return false;
  for (; *p != '\0'; p++) {
    if (*p < '0' || *p > '9')
      return false;
    if (n > (INT64_MAX - 9) / 10)
      n = (INT64_MAX - 9) / 10; /* stays at the limit */
    n = n * 10 + (*p - '0');
  }
  *out = minus ? -n : n;
  return true;
}

/* splitmix64: every seed is a good one. */
void couch_seed(couch_random *r, uint64_t seed) { r->state = seed; }

uint64_t couch_next(couch_random *r) {
  uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

uint64_t couch_below(couch_random *r, uint64_t n) {
  return n > 0 ? couch_next(r) % n : 0;
}

bool couch_chance(couch_random *r, double p) {
  if (p <= 0)
    return false;
  return (double)(couch_next(r) >> 11) < p * 9007199254740992.0;
}

typedef struct couch_block {
  struct couch_block *next;
  size_t used, size;
  max_align_t data[];
} couch_block;

void *couch_pool_alloc(couch_pool *pool, size_t size) {
  couch_block *block = pool->blocks;
  char *p;
  size = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
  if (block == NULL || block->size - block->used < size) {
    size_t room = size > 8000 ? size : 8000;
    block = couch_realloc(NULL, sizeof *block + room);
    block->next = pool->blocks;
    block->used = 0;
    block->size = room;
    pool->blocks = block;
  }
  p = (char *)block->data + block->used;
  block->used += size;
  memset(p, 0, size);
  return p;
}

void couch_pool_free(couch_pool *pool) {
  while (pool->blocks != NULL) {
    couch_block *next = pool->blocks->next;
    free(pool->blocks);
    pool->blocks = next;
  }
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool couch_equal_nocase(const char *a, const char *b) {
  for (; *a != '\0' && *b != '\0'; a++, b++)
    if (lower(*a) != lower(*b))
      return false;
  return *a == *b;
}

bool couch_starts(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}
