/* What HAProxy says on its runtime socket in interactive mode: lines, then
   "> " where the next line would begin. While it takes a payload, it says "+ "
   for each line of it. See haproxy_state.h. Pure. */
#include "balancer/haproxy_state.h"

#include <stdlib.h>
#include <string.h>

static enum haproxy_piece take(haproxy_answer *a, char c) {
  if (c == '\n') {
    a->line[a->len] = '\0';
    return HAPROXY_LINE;
  }
  if (c == '\0' || a->len + 1 >= sizeof a->line)
    return HAPROXY_WRONG;
  a->line[a->len++] = c;
  if (a->len != 2 || c != ' ')
    return HAPROXY_MORE;
  if (a->line[0] == '+')
    a->len = 0;
  return a->line[0] == '>' ? HAPROXY_PROMPT : HAPROXY_MORE;
}

enum haproxy_piece haproxy_answer_next(haproxy_answer *a, const char *data,
                                       size_t len, size_t *used) {
  enum haproxy_piece piece = HAPROXY_MORE;

  if (a->over) {
    a->len = 0;
    a->over = false;
  }
  for (*used = 0; *used < len && piece == HAPROXY_MORE; ++*used)
    piece = take(a, data[*used]);
  a->over = piece == HAPROXY_LINE || piece == HAPROXY_PROMPT;
  return piece;
}

bool haproxy_info(const char *line, const char *name, uint64_t *value) {
  size_t len = strlen(name);
  unsigned long long n;
  char *end;

  if (strncmp(line, name, len) != 0 || line[len] != ':' ||
      line[len + 1] != ' ' || line[len + 2] < '0' || line[len + 2] > '9')
    return false;
  n = strtoull(line + len + 2, &end, 10);
  if (*end != '\0')
    return false;
  *value = n;
  return true;
}

/* "0x55d7a12af6c0 shop.example 127.1.0.3|4000|shop/..." */
const char *haproxy_map_line(const char *line) {
  const char *key = strchr(line, ' ');

  if (line[0] != '0' || line[1] != 'x' || key == NULL || key[1] == '\0')
    return NULL;
  return key + 1;
}
