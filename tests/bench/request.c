/*
 * HTTP requests of followers.
 */
#define _POSIX_C_SOURCE 200809L
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t bench_request_len(const char *data, size_t len) {
  const char *end = strstr(data, "\r\n\r\n");
  size_t need;

  if (end == NULL)
    return 0;
  need = (size_t)(end - data) + 4;
  for (const char *p = data; p < end; p = strstr(p, "\r\n") + 2)
    if (strncasecmp(p, "Content-Length:", 15) == 0)
      need += strtoul(p + 15, NULL, 10);
  return need <= len ? need : 0;
}

static const char *param(const char *query, const char *name) {
  size_t len = strlen(name);

  for (const char *p = query; p != NULL && *p != '\0';
       p = strchr(p, '&'), p += p != NULL) {
    if (strncmp(p, name, len) == 0 && p[len] == '=')
      return p + len + 1;
  }
  return NULL;
}

static uint64_t number(const char *query, const char *name, uint64_t none) {
  const char *value = param(query, name);

  if (value != NULL && strncmp(value, "%22", 3) == 0)
    value += 3; /* some write seqs as JSON */
  return value != NULL && *value >= '0' && *value <= '9'
             ? strtoull(value, NULL, 10)
             : none;
}

static bench_database database_of(const char *path, size_t len) {
  static const char *const names[] = {"db", "live", "tick", "break"};

  for (int i = 0; i < BENCH_NO_DATABASE; i++)
    if (strlen(names[i]) == len && memcmp(names[i], path, len) == 0)
      return (bench_database)i;
  return BENCH_NO_DATABASE;
}

static bool is_word(const char *value, const char *word) {
  size_t len = strlen(word);

  return value != NULL && strncmp(value, word, len) == 0 &&
         (value[len] == '\0' || value[len] == '&');
}

bool bench_request_parse(const char *head, bench_request *r) {
  char target[2048], *query, *rest;
  const char *feed;
  size_t name_len;

  memset(r, 0, sizeof *r);
  if (sscanf(head, "%15s %2047s", r->method, target) != 2 || target[0] != '/')
    return false;
  query = strchr(target, '?');
  if (query != NULL)
    *query++ = '\0';
  name_len = strcspn(target + 1, "/");
  rest = target + 1 + name_len;
  r->db = database_of(target + 1, name_len);
  if (r->db == BENCH_NO_DATABASE)
    rest = target;
  (void)snprintf(r->path, sizeof r->path, "%s", rest + (*rest == '/'));
  r->since = number(query, "since", 0);
  r->since_now = is_word(param(query, "since"), "now");
  r->limit = number(query, "limit", UINT64_MAX);
  feed = param(query, "feed");
  r->continuous = is_word(feed, "continuous");
  r->heartbeat_ms = is_word(param(query, "heartbeat"), "true")
                        ? 60000
                        : (int64_t)number(query, "heartbeat", 0);
  return true;
}
