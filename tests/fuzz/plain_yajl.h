/*
 * yajl as it is, for comparison with what the library makes of it.
 */
#ifndef CFT_FUZZ_PLAIN_YAJL_H
#define CFT_FUZZ_PLAIN_YAJL_H

#include <stdbool.h>
#include <string.h>

#include <yajl/yajl_parse.h>

/* Is it one JSON value? Without callbacks no string is decoded; what bytes are
   in it is not asked. */
static inline bool plain_accepts(const char *text, size_t len) {
  yajl_handle handle = yajl_alloc(NULL, NULL, NULL);
  yajl_status status;

  (void)yajl_config(handle, yajl_dont_validate_strings, 1);
  status = yajl_parse(handle, (const unsigned char *)text, len);
  if (status == yajl_status_ok)
    status = yajl_complete_parse(handle);
  yajl_free(handle);
  return status == yajl_status_ok;
}

/* The last string that is the value of a member of the object on the top. */
typedef struct plain_member {
  const char *name;
  yajl_callbacks callbacks;
  size_t depth;
  bool wanted, found;
  char text[8192];
  size_t len;
} plain_member;

static inline int plain_string(void *ctx, const unsigned char *text,
                               size_t len) {
  plain_member *m = ctx;

  if (m->wanted && len < sizeof m->text) {
    m->found = true;
    memcpy(m->text, text, len);
    m->text[m->len = len] = '\0';
  }
  m->wanted = false;
  return 1;
}

static inline int plain_key(void *ctx, const unsigned char *text, size_t len) {
  plain_member *m = ctx;

  m->wanted = len == strlen(m->name) && memcmp(text, m->name, len) == 0;
  return 1;
}

/* Strings further down are not decoded: some builds of yajl cannot. */
static inline int plain_depth(plain_member *m, size_t depth) {
  m->depth = depth;
  m->wanted = false;
  m->callbacks.yajl_string = depth == 1 ? plain_string : NULL;
  m->callbacks.yajl_map_key = depth == 1 ? plain_key : NULL;
  return 1;
}

static inline int plain_start(void *ctx) {
  plain_member *m = ctx;

  return plain_depth(m, m->depth + 1);
}

static inline int plain_end(void *ctx) {
  plain_member *m = ctx;

  return plain_depth(m, m->depth - 1);
}

static inline void plain_find(plain_member *m, const char *name,
                              const char *text, size_t len) {
  yajl_handle handle;

  memset(m, 0, sizeof *m);
  m->name = name;
  m->callbacks.yajl_start_map = m->callbacks.yajl_start_array = plain_start;
  m->callbacks.yajl_end_map = m->callbacks.yajl_end_array = plain_end;
  handle = yajl_alloc(&m->callbacks, NULL, m);
  (void)yajl_config(handle, yajl_dont_validate_strings, 1);
  if (yajl_parse(handle, (const unsigned char *)text, len) == yajl_status_ok)
    (void)yajl_complete_parse(handle);
  yajl_free(handle);
}

#endif
