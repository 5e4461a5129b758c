/*
 * The byte queue and string builder.
 */
#include "buf.h"

#include <stdint.h>
#include <string.h>

#include "str.h"

enum { MIN_CAP = 256, LITTLE = 16 };
/* cap of a builder that has failed: nothing is added any more */
static const size_t FAILED = SIZE_MAX;

void cfi_buf_init(cfi_buf *b, const cfi_alloc *alloc) {
  memset(b, 0, sizeof *b);
  b->alloc = alloc;
}

void cfi_buf_free(cfi_buf *b) {
  cfi_free(b->alloc, b->block);
  cfi_buf_init(b, b->alloc);
}

char *cfi_buf_data(const cfi_buf *b) {
  return b->block != NULL ? b->block + b->start : NULL;
}

/* Geometric growth, never beyond the limit: a queue near its limit does not
   take twice the memory it may hold. */
static size_t grown_cap(const cfi_buf *b, size_t need, size_t limit) {
  size_t cap = b->cap < MIN_CAP ? MIN_CAP : b->cap;

  while (cap < need || cap == b->cap)
    cap = cap > SIZE_MAX / 2 ? need : cap * 2;
  if (cap > limit)
    cap = limit;
  return cap;
}

static int make_room(cfi_buf *b, size_t len, size_t limit) {
  size_t need, cap, size;
  char *block;

  if (!cfi_add(b->len, len, &need))
    return CFI_BUF_NOMEM;
  if (need > limit)
    return CFI_BUF_FULL;
  /* Little that is left goes to the front: the memory in use stays as small as
     it can, and in the processor's cache. */
  if (b->start / LITTLE > b->len) {
    memcpy(b->block, b->block + b->start, b->len);
    b->start = 0;
  }
  if (b->block != NULL && need <= b->cap - b->start)
    return CFI_BUF_OK;
  /* Moving what is held costs as much as copying it, so it is done where that
     is little against what it frees, and where the limit forbids to grow. */
  if (b->block != NULL && need <= b->cap &&
      (b->len <= b->start || b->cap >= limit)) {
    memmove(b->block, b->block + b->start, b->len);
    b->start = 0;
    return CFI_BUF_OK;
  }
  if (!cfi_add(b->start, need, &need))
    return CFI_BUF_NOMEM;
  if (need > limit) {
    if (b->start != 0)
      memmove(b->block, b->block + b->start, b->len);
    need -= b->start;
    b->start = 0;
  }
  cap = grown_cap(b, need, limit);
  if (!cfi_add(cap, 1, &size))
    return CFI_BUF_NOMEM;
  block = cfi_resize(b->alloc, b->block, size, 1);
  if (block == NULL)
    return CFI_BUF_NOMEM;
  b->block = block;
  b->cap = cap;
  return CFI_BUF_OK;
}

int cfi_buf_append(cfi_buf *b, const void *data, size_t len, size_t limit) {
  int rc;

  if (len == 0)
    return CFI_BUF_OK;
  if (b->cap == FAILED)
    return CFI_BUF_NOMEM;
  rc = make_room(b, len, limit);
  if (rc != CFI_BUF_OK)
    return rc;
  memcpy(b->block + b->start + b->len, data, len);
  b->len += len;
  return CFI_BUF_OK;
}

void cfi_buf_consume(cfi_buf *b, size_t len) {
  b->len -= len;
  b->start = b->len != 0 ? b->start + len : 0;
}

void cfi_buf_clear(cfi_buf *b, size_t keep) {
  if (b->cap == FAILED || b->cap > keep)
    cfi_buf_free(b);
  b->start = b->len = 0;
}

void cfi_buf_put(cfi_buf *b, const char *text, size_t len) {
  if (b->cap == FAILED)
    return;
  if (cfi_buf_append(b, text, len, SIZE_MAX - 2) != CFI_BUF_OK) {
    cfi_buf_free(b);
    b->cap = FAILED;
  }
}

void cfi_buf_puts(cfi_buf *b, const char *text) {
  cfi_buf_put(b, text, strlen(text));
}

void cfi_buf_putc(cfi_buf *b, char c) { cfi_buf_put(b, &c, 1); }

void cfi_buf_putint(cfi_buf *b, long long value) {
  char text[CFI_INT_TEXT];

  cfi_buf_put(b, text, cfi_str_from_int(text, value));
}

char *cfi_buf_text(cfi_buf *b) {
  if (b->cap == FAILED)
    return NULL;
  if (b->block == NULL && make_room(b, 1, SIZE_MAX - 2) != CFI_BUF_OK)
    return NULL;
  b->block[b->start + b->len] = '\0';
  return cfi_buf_data(b);
}

char *cfi_buf_take(cfi_buf *b) {
  char *text = cfi_buf_text(b);

  if (text == NULL) {
    cfi_buf_free(b);
    return NULL;
  }
  if (b->start != 0)
    memmove(b->block, text, b->len + 1);
  text = b->block;
  cfi_buf_init(b, b->alloc);
  return text;
}
