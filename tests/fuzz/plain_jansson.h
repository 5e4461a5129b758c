/*
 * jansson, for comparison: a parser that shares nothing with ours. It is the
 * stricter one: what it cannot or will not read (a member twice, bytes that
 * are not UTF-8, numbers beyond its types) is not compared.
 */
#ifndef CFT_FUZZ_PLAIN_JANSSON_H
#define CFT_FUZZ_PLAIN_JANSSON_H

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "changefeed/changefeed.h"

/* The value, or NULL when jansson refuses the text. It loses a NUL behind a
   number, so no text with one is its to judge. */
static inline json_t *jansson_read(const char *text, size_t len) {
  if (len != 0 && memchr(text, '\0', len) != NULL)
    return NULL;
  return json_loadb(len != 0 ? text : "", len,
                    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
                    NULL);
}

/* A string's content; what is no string is absent. */
static inline bool jansson_same_text(const json_t *value, changefeed_str s) {
  if (!json_is_string(value))
    return s.data == NULL;
  return s.data != NULL && s.len == json_string_length(value) &&
         memcmp(s.data, json_string_value(value), s.len) == 0;
}

/* A seq: a string's content, the text of a number or an array, absent when
   null or not there. */
static inline bool jansson_same_seq(const json_t *value, changefeed_str s) {
  json_t *read;
  bool same;

  if (!json_is_number(value) && !json_is_array(value))
    return jansson_same_text(value, s);
  if (s.data == NULL)
    return false;
  read = jansson_read(s.data, s.len);
  same = json_equal(read, value) != 0;
  json_decref(read);
  return same;
}

#endif
