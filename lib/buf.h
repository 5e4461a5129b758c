/*
 * A byte queue: written at its end, read from its front, one contiguous piece
 * of memory with a limit. It always has room for one byte behind the last, so
 * that a reader may put a '\0' there for a moment. It also serves as a string
 * builder.
 */
#ifndef CFI_BUF_H
#define CFI_BUF_H

#include "alloc.h"

typedef struct cfi_buf {
  const cfi_alloc *alloc;
  char *block;  /* what was allocated; NULL while empty and released */
  size_t start; /* of the bytes within block */
  size_t len;   /* bytes held */
  size_t cap;   /* bytes of block, the spare one not counted */
} cfi_buf;

enum { CFI_BUF_OK = 0, CFI_BUF_NOMEM = -1, CFI_BUF_FULL = -2 };

void cfi_buf_init(cfi_buf *b, const cfi_alloc *alloc);
void cfi_buf_free(cfi_buf *b);

/* The bytes held, NULL when there was never any. Moves when bytes are added. */
char *cfi_buf_data(const cfi_buf *b);

/* Adds bytes; nothing is added when it answers NOMEM, or FULL because more
   than limit bytes would be held. */
int cfi_buf_append(cfi_buf *b, const void *data, size_t len, size_t limit);

/* Drops bytes from the front. */
void cfi_buf_consume(cfi_buf *b, size_t len);
/* Empties it; memory beyond keep bytes is given back. */
void cfi_buf_clear(cfi_buf *b, size_t keep);

/* String builder: without limit, '\0'-terminated by cfi_buf_text, which
   answers NULL when any of the additions found no memory. */
void cfi_buf_puts(cfi_buf *b, const char *text);
void cfi_buf_put(cfi_buf *b, const char *text, size_t len);
void cfi_buf_putc(cfi_buf *b, char c);
void cfi_buf_putint(cfi_buf *b, long long value);
char *cfi_buf_text(cfi_buf *b);
/* The text as a block of its own to be freed by cfi_free; the buffer is empty
   afterwards. NULL as cfi_buf_text. */
char *cfi_buf_take(cfi_buf *b);

#endif
