/* The same with memory of libcurl that fails: see starve.h. */
#include "starve_int.h"

#include <check.h>
#include <curl/curl.h>

static cft_failing *of_curl, idle;

static void *curl_malloc(size_t size) {
  return cft_failing_resize(of_curl, NULL, size);
}

static void *curl_calloc(size_t count, size_t size) {
  void *block;

  if (size != 0 && count > SIZE_MAX / size)
    return NULL;
  block = cft_failing_resize(of_curl, NULL, count * size);
  if (block != NULL)
    memset(block, 0, count * size);
  return block;
}

static void *curl_realloc(void *block, size_t size) {
  return cft_failing_resize(of_curl, block, size);
}

static void curl_free_block(void *block) {
  cft_failing_release(of_curl, block);
}

static char *curl_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = cft_failing_resize(of_curl, NULL, size);

  if (copy != NULL)
    memcpy(copy, text, size);
  return copy;
}

void cft_starve_curl_init(void) {
  cft_failing_init(&idle, 0);
  of_curl = &idle;
  ck_assert_int_eq(curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc,
                                        curl_free_block, curl_realloc,
                                        curl_strdup, curl_calloc),
                   CURLE_OK);
}

void cft_starve_curl(const cft_starve *s, cft_failing *memory) {
  cft_starve_begin(s, memory);
  of_curl = memory;
  cft_starve_follow(NULL);
  of_curl = &idle;
  cft_starve_end_server();
  HOLDS(memory->live == 0, "%zu blocks are left, %zu bytes", memory->live,
        memory->bytes);
}
