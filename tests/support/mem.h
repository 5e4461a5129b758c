/* Memory for test support: an allocation that fails ends the test program with
   a message, so no caller has to carry a path that no test can take. */
#ifndef CFT_MEM_H
#define CFT_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *cft_checked(void *p) {
  if (!p) {
    fputs("test support: out of memory\n", stderr);
    abort();
  }
  return p;
}

/* Zeroed. */
static inline void *cft_calloc(size_t count, size_t size) {
  return cft_checked(calloc(count ? count : 1, size ? size : 1));
}

static inline void *cft_realloc(void *old, size_t count, size_t size) {
  if (size && count > SIZE_MAX / size)
    return cft_checked(NULL);
  return cft_checked(realloc(old, count && size ? count * size : 1));
}

/* A copy with a NUL behind it; data may hold any bytes. */
static inline char *cft_memdup(const void *data, size_t len) {
  if (len == SIZE_MAX)
    return cft_checked(NULL);
  char *copy = cft_checked(malloc(len + 1));
  if (len)
    memcpy(copy, data, len);
  copy[len] = '\0';
  return copy;
}

/* NULL stays NULL. */
static inline char *cft_strdup(const char *s) {
  return s ? cft_memdup(s, strlen(s)) : NULL;
}

/* Room for one more element in an array that doubles. */
static inline void *cft_room(void *array, size_t count, size_t *cap,
                             size_t size) {
  if (count < *cap)
    return array;
  *cap = *cap ? *cap * 2 : 16;
  return cft_realloc(array, *cap, size);
}

#endif
