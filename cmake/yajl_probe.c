/*
 * Tries the faults of yajl 2.1.0 as released, which distributions have patched,
 * by what they do. Exits 0 when none is there; a number below, or a signal,
 * says which it is. Not tried is CVE-2022-24795, which takes 2 GiB of input in
 * an address space of 32 bits: rows are bounded far below that.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <yajl/yajl_parse.h>
#include <yajl/yajl_tree.h>

enum { GOOD = 0, NO_MEMORY = 1, REFUSED = 2, LEAKS = 3 };

static int on_string(void *ctx, const unsigned char *text, size_t len) {
  (void)ctx;
  (void)text;
  (void)len;
  return 1;
}

/* CVE-2017-16516: a lone surrogate and a backslash; it does not come back. */
static int parses_surrogate(void) {
  static const char text[] = "\"\\ud800\\\\x\"";
  yajl_callbacks callbacks;
  yajl_handle handle;
  yajl_status status;

  memset(&callbacks, 0, sizeof callbacks);
  callbacks.yajl_string = on_string;
  handle = yajl_alloc(&callbacks, NULL, NULL);
  if (handle == NULL)
    return NO_MEMORY;
  status = yajl_parse(handle, (const unsigned char *)text, sizeof text - 1);
  if (status == yajl_status_ok)
    status = yajl_complete_parse(handle);
  yajl_free(handle);
  return status == yajl_status_ok ? GOOD : REFUSED;
}

/* CVE-2023-33460: what was read before an error is not given back. This library
   does not build trees; but where that is not patched, other things are not. */
static int frees_tree(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  enum { ROUNDS = 2000 };
  size_t before;

  if (yajl_tree_parse("[[[", NULL, 0) != NULL)
    return REFUSED;
  before = mallinfo2().uordblks;
  for (int i = 0; i < ROUNDS; i++)
    if (yajl_tree_parse("[{\"a\":[\"b\",", NULL, 0) != NULL)
      return REFUSED;
  return mallinfo2().uordblks < before + ROUNDS ? GOOD : LEAKS;
#else
  return GOOD; /* it cannot be measured here */
#endif
}

int main(void) {
  int rc = parses_surrogate();

  return rc != GOOD ? rc : frees_tree();
}
