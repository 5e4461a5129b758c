/* See admin_query.h. */
#include "balancer/admin_query.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool admin_unescape(http_str in, char *out, size_t size) {
  size_t len = 0;

  for (size_t i = 0; i < in.len; i++) {
    unsigned char c = (unsigned char)in.data[i];

    if (c == '%') {
      int high = i + 1 < in.len ? hex(in.data[i + 1]) : -1;
      int low = i + 2 < in.len ? hex(in.data[i + 2]) : -1;

      if (high < 0 || low < 0)
        return false;
      c = (unsigned char)(high * 16 + low);
      i += 2;
    }
    if (c < 0x20 || c == 0x7f || len + 1 >= size)
      return false;
    out[len++] = (char)c;
  }
  if (size == 0)
    return false;
  out[len] = '\0';
  return true;
}

static bool is_allowed(const char *allowed, const char *name) {
  size_t len = strlen(name);

  for (const char *at = allowed; *at != '\0';) {
    size_t word = strcspn(at, " ");

    if (word == len && memcmp(at, name, len) == 0)
      return true;
    at += word + (at[word] == ' ');
  }
  return false;
}

static const char *find(const admin_query *q, const char *name) {
  for (size_t i = 0; i < q->count; i++)
    if (strcmp(q->words[i].name, name) == 0)
      return q->words[i].value;
  return NULL;
}

static bool read_word(admin_query *q, http_str word, const char *allowed,
                      char *why, size_t size) {
  const char *equals = memchr(word.data, '=', word.len);
  size_t len = equals != NULL ? (size_t)(equals - word.data) : word.len;
  http_str value = {word.data + len, word.len - len};
  char name[QUERY_NAME_MOST + 1];

  if (!admin_unescape((http_str){word.data, len}, name, sizeof name) ||
      !is_allowed(allowed, name)) {
    (void)snprintf(why, size, "\"%.*s\" is no parameter of this; %s%s",
                   (int)(len < 40 ? len : 40), word.data,
                   allowed[0] != '\0' ? "there are: " : "there is none",
                   allowed);
    return false;
  }
  if (find(q, name) != NULL || q->count == QUERY_WORDS) {
    (void)snprintf(why, size, "%s is given twice", name);
    return false;
  }
  if (equals != NULL) {
    value.data++;
    value.len--;
  }
  if (!admin_unescape(value, q->words[q->count].value,
                      sizeof q->words[q->count].value)) {
    (void)snprintf(why, size, "the value of %s is not to be read, or too long",
                   name);
    return false;
  }
  memcpy(q->words[q->count++].name, name, sizeof name);
  return true;
}

bool admin_query_read(admin_query *out, http_str query, const char *allowed,
                      char *why, size_t size) {
  const char *at = query.data, *end = query.data + query.len;

  out->count = 0;
  while (at < end) {
    const char *and = memchr(at, '&', (size_t)(end - at));
    size_t len = (size_t)((and != NULL ? and : end) - at);

    if (len != 0 && !read_word(out, (http_str){at, len}, allowed, why, size))
      return false;
    at += len + (and != NULL);
  }
  return true;
}

const char *admin_query_get(const admin_query *q, const char *name) {
  const char *value = find(q, name);

  return value != NULL && value[0] != '\0' ? value : NULL;
}

bool admin_query_number(const admin_query *q, const char *name, int64_t least,
                        int64_t most, int64_t *value, char *why, size_t size) {
  const char *said = find(q, name);
  size_t len = said != NULL ? strlen(said) : 0;
  int64_t number = 0;

  if (said == NULL)
    return true;
  for (size_t i = 0; i < len && len <= 15; i++)
    number = said[i] >= '0' && said[i] <= '9' && number >= 0
                 ? number * 10 + (said[i] - '0')
                 : -1;
  if (len == 0 || len > 15 || number < least || number > most) {
    (void)snprintf(why, size,
                   "%s takes a number from %" PRId64 " to %" PRId64
                   ", not \"%.40s\"",
                   name, least, most, said);
    return false;
  }
  *value = number;
  return true;
}

bool admin_host_is_ours(http_str host, const char *self, const char *machine) {
  char name[INET6_ADDRSTRLEN + 2];
  unsigned char bytes[16];
  size_t len = host.len;

  if (len == 0 || http_str_is(host, "localhost") || http_str_is(host, self) ||
      http_str_is(host, machine))
    return true;
  if (len >= sizeof name || memchr(host.data, '\0', len) != NULL)
    return false;
  memcpy(name, host.data, len);
  name[len] = '\0';
  if (name[0] != '[')
    return inet_pton(AF_INET, name, bytes) == 1;
  if (name[len - 1] != ']')
    return false;
  name[len - 1] = '\0';
  return inet_pton(AF_INET6, name + 1, bytes) == 1;
}
