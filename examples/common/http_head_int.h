/* What the files of http_head share. */
#ifndef PLATFORM_HTTP_HEAD_INT_H
#define PLATFORM_HTTP_HEAD_INT_H

#include "common/http_head.h"

#include <endian.h>
#include <string.h>

enum {
  HTTP_CLASS_TOKEN = 1,  /* RFC 9110, 5.6.2 */
  HTTP_CLASS_VALUE = 2,  /* of a field's value */
  HTTP_CLASS_TARGET = 4, /* of a request's target */
  HTTP_CLASS_HOST = 8,   /* of a host's name */
  HTTP_CLASS_HEX = 16
};

extern const unsigned char http_head_classes[256];

static inline bool http_class(char c, int classes) {
  return (http_head_classes[(unsigned char)c] & classes) != 0;
}

static inline http_str http_str_of(const char *data, size_t len) {
  return (http_str){data, len};
}

/* How many of the bytes are fit for a field's value. Eight at a time: in marks,
   the first byte that is 0x7f or below a space has its highest bit set, and
   none before it has. Of those only a tab is fit. */
static inline size_t http_value_span(const char *at, size_t len) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  size_t i = 0;

  while (i + 8 <= len) {
    uint64_t bytes, marks;

    memcpy(&bytes, at + i, 8);
    bytes = le64toh(bytes);
    marks = bytes ^ ones * 0x7f;
    marks = (marks - ones) & ~marks;
    marks = (marks | ((bytes - ones * ' ') & ~bytes)) & ones << 7;
    if (marks == 0) {
      i += 8;
      continue;
    }
    i += (size_t)__builtin_ctzll(marks) / 8;
    if (at[i] != '\t')
      return i;
    i++;
  }
  while (i < len && http_class(at[i], HTTP_CLASS_VALUE))
    i++;
  return i;
}

/* A line of a head, of what is known to be fit for one. */
static inline void http_put_line(text *out, http_str name, http_str value) {
  size_t len = name.len + value.len + 4;
  char *at;

  if (!text_reserve(out, len))
    return;
  at = out->data + out->len;
  memcpy(at, name.data, name.len);
  at += name.len;
  *at++ = ':';
  *at++ = ' ';
  if (value.len != 0)
    memcpy(at, value.data, value.len);
  at += value.len;
  memcpy(at, "\r\n", 3);
  out->len += len;
}

/* Takes the next word of a comma separated list from *rest; false at its end.
   Empty words are passed over. */
bool http_list_next(http_str *rest, http_str *word);

/* Each answers 0, or the status to refuse with and *why. */
int http_head_host(http_head *head, const http_field *field, const char **why);
int http_head_target(http_head *head, const char **why);
int http_head_judge(http_head *head, http_str to, const char **why);

#endif
