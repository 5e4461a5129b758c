/* Clients and servers around a front: see front.h. Answers are read by rules of
   their own here, not by the code that is tested. */
#include "platform/support/front.h"

#include "support/mem.h"

#include <check.h>
#include <stdlib.h>
#include <strings.h>

enum { WAIT_MS = 20000 };

static void point_to(front_config *config, const cft_peer *peer) {
  (void)snprintf(config->target, sizeof config->target, "127.0.0.1:%u",
                 (unsigned)cft_peer_port(peer));
}

cft_peer *front_behind(front_config *config, const cft_step *steps,
                       size_t count) {
  cft_peer *peer = cft_peer_script(NULL, steps, count);

  point_to(config, peer);
  return peer;
}

cft_peer *front_behind_handler(front_config *config, cft_handler handler,
                               void *user) {
  cft_peer *peer = cft_peer_start(NULL, handler, user);

  point_to(config, peer);
  return peer;
}

void front_client(const front *f, cft_client *c) {
  ck_assert(cft_client_connect(c, front_port(f)));
}

int front_status(const char *data) {
  return strncmp(data, "HTTP/1.1 ", 9) == 0 ? (int)strtol(data + 9, NULL, 10)
                                            : 0;
}

bool front_has(const char *data, const char *field) {
  size_t len = strlen(field);
  const char *end = strstr(data, "\r\n\r\n");
  const char *line = strstr(data, "\r\n");

  for (; end != NULL && line != NULL && line < end;
       line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, field, len) == 0 &&
        strncmp(line + 2 + len, "\r\n", 2) == 0)
      return true;
  return false;
}

static const char *value_of(const char *data, const char *name) {
  size_t len = strlen(name);
  const char *end = strstr(data, "\r\n\r\n");
  const char *line = strstr(data, "\r\n");

  for (; line != NULL && line < end; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
      return line + 2 + len + 2;
  return NULL;
}

static bool more(cft_client *c) {
  return cft_client_until_len(c, c->len + 1, WAIT_MS);
}

/* The position in c->data behind text that begins at from or later; 0: none. */
static size_t behind(cft_client *c, size_t from, const char *word) {
  const char *at;

  while ((at = strstr(c->data + from, word)) == NULL)
    if (!more(c))
      return 0;
  return (size_t)(at - c->data) + strlen(word);
}

static char *ask_chunked(cft_client *c, size_t at) {
  char *body = cft_calloc(1, 1);
  size_t len = 0;

  for (;;) {
    size_t next = behind(c, at, "\r\n"), size;

    if (next == 0)
      break;
    size = strtoul(c->data + at, NULL, 16);
    while (c->len < next + size + 2)
      if (!more(c)) {
        free(body);
        return NULL;
      }
    if (strncmp(c->data + next + size, "\r\n", 2) != 0)
      break;
    if (size == 0)
      return body;
    body = cft_realloc(body, len + size + 1, 1);
    memcpy(body + len, c->data + next, size);
    len += size;
    body[len] = '\0';
    at = next + size + 2;
  }
  free(body);
  return NULL;
}

static char *rest_of(cft_client *c, size_t at) {
  char *body = cft_calloc(c->len - at + 1, 1);

  memcpy(body, c->data + at, c->len - at);
  return body;
}

char *front_rest(cft_client *c, size_t from, const char *method) {
  const char *length, *head;
  size_t at = behind(c, from, "\r\n\r\n");
  int status;

  if (at == 0)
    return NULL;
  head = c->data + from;
  status = front_status(head);
  if (strcmp(method, "HEAD") == 0 || status == 204 || status == 304)
    return rest_of(c, at);
  if (front_has(head, "Transfer-Encoding: chunked"))
    return ask_chunked(c, at);
  length = value_of(head, "Content-Length");
  if (length == NULL) {
    if (!cft_client_until_end(c, WAIT_MS) || c->end != CFT_END_FIN)
      return NULL;
  } else if (!cft_client_until_len(c, at + strtoul(length, NULL, 10),
                                   WAIT_MS)) {
    return NULL;
  }
  return rest_of(c, at);
}

char *front_ask(cft_client *c, const char *method, const char *request) {
  cft_client_reset(c);
  return cft_client_send(c, request) ? front_rest(c, 0, method) : NULL;
}
