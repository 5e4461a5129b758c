/*
 * Memory of one loop and everything that belongs to it: the application's
 * allocator or malloc, with sizes checked before they are multiplied. Every
 * function may answer NULL; nothing here aborts.
 */
#ifndef CFI_ALLOC_H
#define CFI_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "changefeed/changefeed.h"

typedef struct cfi_alloc {
  void *(*resize)(void *ctx, void *block, size_t size);
  void (*release)(void *ctx, void *block);
  void *ctx;
} cfi_alloc;

/* from NULL: malloc and free. False when from is not usable. */
bool cfi_alloc_init(cfi_alloc *a, const changefeed_allocator *from);

void *cfi_malloc(const cfi_alloc *a, size_t size);
/* count * size zeroed bytes; NULL also when the product overflows. */
void *cfi_calloc(const cfi_alloc *a, size_t count, size_t size);
/* Resizes to count * size bytes; NULL leaves the block as it was. */
void *cfi_resize(const cfi_alloc *a, void *block, size_t count, size_t size);
void cfi_free(const cfi_alloc *a, void *block);

/* A copy of len bytes with '\0' behind it. */
char *cfi_strndup(const cfi_alloc *a, const char *text, size_t len);
char *cfi_strdup(const cfi_alloc *a, const char *text);

/* Overwrites memory in a way the compiler does not remove. */
void cfi_wipe(void *block, size_t size);
/* Wipes and frees a '\0'-terminated secret; NULL is allowed. */
void cfi_free_secret(const cfi_alloc *a, char *text);

/* *out = a + b, or false when it overflows. */
bool cfi_add(size_t a, size_t b, size_t *out);

#endif
