/* Questions about strings and fields of a head. */
#include "common/http_head_int.h"

#include <string.h>

static inline char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool http_str_equal(http_str a, http_str b) {
  if (a.len != b.len)
    return false;
  for (size_t i = 0; i < a.len; i++) {
    if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i]))
      return false;
  }
  return true;
}

const http_field *http_head_find(const http_head *head, const char *name) {
  http_str wanted = http_str_of(name, strlen(name));

  for (size_t i = 0; i < head->count; i++) {
    if (head->fields[i].name.len == wanted.len &&
        http_str_equal(head->fields[i].name, wanted))
      return &head->fields[i];
  }
  return NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool http_list_next(http_str *rest, http_str *word) {
  const char *p = rest->data, *end = p + rest->len, *comma;

  while (p < end && (is_blank(*p) || *p == ','))
    p++;
  if (p == end)
    return false;
  comma = memchr(p, ',', (size_t)(end - p));
  if (comma == NULL)
    comma = end;
  *rest = http_str_of(comma, (size_t)(end - comma));
  while (comma > p && is_blank(comma[-1]))
    comma--;
  *word = http_str_of(p, (size_t)(comma - p));
  return true;
}

bool http_head_lists(const http_head *head, const char *name,
                     const char *word) {
  for (size_t i = 0; i < head->count; i++) {
    http_str rest = head->fields[i].value, one;

    if (!http_str_is(head->fields[i].name, name))
      continue;
    while (http_list_next(&rest, &one)) {
      if (http_str_is(one, word))
        return true;
    }
  }
  return false;
}

static bool is_hop_name(http_str name) {
  switch (name.len) {
  case 2:
    return http_str_is(name, "te");
  case 5:
    return http_str_is(name, "close");
  case 7:
    return http_str_is(name, "trailer") || http_str_is(name, "upgrade");
  case 10:
    return http_str_is(name, "connection") || http_str_is(name, "keep-alive");
  case 14:
    if (http_str_is(name, "content-length"))
      return true;
    break;
  case 17:
    if (http_str_is(name, "transfer-encoding"))
      return true;
    break;
  default:
    break;
  }
  return name.len > 6 && http_str_is(http_str_of(name.data, 6), "proxy-");
}

/* Whether Connection names it. Host cannot be taken away so. */
static bool is_named(const http_head *head, http_str name) {
  for (size_t i = 0; i < head->count; i++) {
    http_str rest = head->fields[i].value, word;

    if (head->fields[i].name.len != 10 ||
        !http_str_is(head->fields[i].name, "connection"))
      continue;
    while (http_list_next(&rest, &word)) {
      if (http_str_equal(word, name))
        return !http_str_is(name, "host");
    }
  }
  return false;
}

bool http_head_is_hop(const http_head *head, const http_field *field) {
  return is_hop_name(field->name) ||
         (head != NULL && head->names_fields && is_named(head, field->name));
}
