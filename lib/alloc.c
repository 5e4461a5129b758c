/*
 * Memory functions: forwards to the application's allocator or to malloc.
 */
#define _DEFAULT_SOURCE /* madvise */
#include "alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

/* A block so large holds one row that is larger than most; it is written once
   from front to back, and a third of the time goes into the faults of its small
   pages. All its pages are named, the first and the last with what else is in
   them: a mapping that is of two kinds cannot be moved when the block grows,
   and would be copied. */
static void want_huge_pages(void *block, size_t size) {
#if defined __linux__ && defined MADV_HUGEPAGE
  enum { LARGE = 4 << 20 };

  if (block != NULL && size >= LARGE) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t skip = (uintptr_t)block & (page - 1);

    /* Advice: without it, all goes on. */
    (void)madvise((char *)block - skip, (size + skip + page - 1) & ~(page - 1),
                  MADV_HUGEPAGE);
  }
#else
  (void)block;
  (void)size;
#endif
}

static void *libc_resize(void *ctx, void *block, size_t size) {
  void *resized = realloc(block, size);

  (void)ctx;
  want_huge_pages(resized, size);
  return resized;
}

static void libc_release(void *ctx, void *block) {
  (void)ctx;
  free(block);
}

bool cfi_alloc_init(cfi_alloc *a, const changefeed_allocator *from) {
  if (from == NULL) {
    a->resize = libc_resize;
    a->release = libc_release;
    a->ctx = NULL;
    return true;
  }
  if (from->size != sizeof *from || from->resize == NULL ||
      from->release == NULL)
    return false;
  a->resize = from->resize;
  a->release = from->release;
  a->ctx = from->ctx;
  return true;
}

void *cfi_malloc(const cfi_alloc *a, size_t size) {
  return a->resize(a->ctx, NULL, size != 0 ? size : 1);
}

void *cfi_calloc(const cfi_alloc *a, size_t count, size_t size) {
  void *block;

  if (size != 0 && count > SIZE_MAX / size)
    return NULL;
  block = cfi_malloc(a, count * size);
  if (block != NULL)
    memset(block, 0, count * size);
  return block;
}

void *cfi_resize(const cfi_alloc *a, void *block, size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size)
    return NULL;
  size *= count;
  return a->resize(a->ctx, block, size != 0 ? size : 1);
}

void cfi_free(const cfi_alloc *a, void *block) {
  if (block != NULL)
    a->release(a->ctx, block);
}

char *cfi_strndup(const cfi_alloc *a, const char *text, size_t len) {
  char *copy;
  size_t size;

  if (!cfi_add(len, 1, &size))
    return NULL;
  copy = cfi_malloc(a, size);
  if (copy == NULL)
    return NULL;
  if (len != 0)
    memcpy(copy, text, len);
  copy[len] = '\0';
  return copy;
}

char *cfi_strdup(const cfi_alloc *a, const char *text) {
  return cfi_strndup(a, text, strlen(text));
}

void cfi_wipe(void *block, size_t size) {
  volatile unsigned char *p = block;

  while (size-- != 0)
    *p++ = 0;
}

void cfi_free_secret(const cfi_alloc *a, char *text) {
  if (text != NULL)
    cfi_wipe(text, strlen(text));
  cfi_free(a, text);
}

bool cfi_add(size_t a, size_t b, size_t *out) {
  if (a > SIZE_MAX - b)
    return false;
  *out = a + b;
  return true;
}
