/* What the files of http_head share. */
#ifndef PLATFORM_HTTP_HEAD_INT_H
#define PLATFORM_HTTP_HEAD_INT_H

#include "common/http_head.h"

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

bool http_str_equal(http_str a, http_str b); /* case ignored */

/* Takes the next word of a comma separated list from *rest; false at its end.
   Empty words are passed over. */
bool http_list_next(http_str *rest, http_str *word);

/* Each answers 0, or the status to refuse with and *why. */
int http_head_host(http_head *head, const http_field *field, const char **why);
int http_head_target(http_head *head, const char **why);
int http_head_judge(http_head *head, http_str to, const char **why);

#endif
