/* HTTP requests as the peer sees them: reading, classifying, picking headers
   and parameters. Bounded: a head of 256 KiB, a body of 64 MiB. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_int.h"
#include "timing.h"

#include <strings.h>

static const size_t HEAD_MAX = 256 * 1024;
static const size_t BODY_MAX = 64 * 1024 * 1024;

/* ---- text ---- */

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool cft_percent_decode(char *text, bool plus) {
  char *out = text;
  for (const char *p = text; *p; p++) {
    if (*p == '%') {
      int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
      if (low < 0)
        return false;
      *out++ = (char)(high * 16 + low);
      p += 2;
    } else {
      *out++ = plus && *p == '+' ? ' ' : *p;
    }
  }
  *out = '\0';
  return true;
}

static bool copy_out(const char *from, size_t len, char *value, size_t size) {
  if (len >= size)
    return false;
  memcpy(value, from, len);
  value[len] = '\0';
  return true;
}

bool cft_query_value(const char *query, const char *name, char *value,
                     size_t size) {
  size_t n = strlen(name);
  for (const char *p = query; *p;) {
    size_t len = strcspn(p, "&");
    if (len > n && strncmp(p, name, n) == 0 && p[n] == '=')
      return copy_out(p + n + 1, len - n - 1, value, size) &&
             cft_percent_decode(value, true);
    p += len + (p[len] == '&');
  }
  return false;
}

bool cft_request_param(const cft_request *req, const char *name, char *value,
                       size_t size) {
  const char *query = strchr(req->target, '?');
  return query && cft_query_value(query + 1, name, value, size);
}

bool cft_request_header(const cft_request *req, const char *name, char *value,
                        size_t size) {
  size_t n = strlen(name);
  for (const char *p = strstr(req->head, "\r\n"); p && p[2] != '\r';
       p = strstr(p + 2, "\r\n")) {
    if (strncasecmp(p + 2, name, n) != 0 || p[2 + n] != ':')
      continue;
    const char *v = p + 3 + n;
    v += strspn(v, " \t");
    return copy_out(v, strcspn(v, "\r"), value, size);
  }
  return false;
}

/* ---- kinds ---- */

static unsigned feed_kind(const char *query) {
  char feed[32] = "normal";
  if (query)
    cft_query_value(query + 1, "feed", feed, sizeof feed);
  if (strcmp(feed, "continuous") == 0 || strcmp(feed, "live") == 0)
    return CFT_CONTINUOUS;
  if (strcmp(feed, "longpoll") == 0)
    return CFT_LONGPOLL;
  return strcmp(feed, "eventsource") == 0 ? CFT_EVENTSOURCE : CFT_NORMAL;
}

static bool is_segment(const char *p, size_t len, const char *name) {
  return len == strlen(name) && memcmp(p, name, len) == 0;
}

unsigned cft_kind_of(const char *target, const char *prefix) {
  size_t skip = strlen(prefix);
  if (strncmp(target, prefix, skip) != 0)
    return CFT_OTHER;
  const char *p = target + skip, *query = strchr(p, '?');
  size_t len = query ? (size_t)(query - p) : strlen(p);
  if (len <= 1)
    return CFT_ROOT;
  p++, len--;
  const char *slash = memchr(p, '/', len);
  size_t first = slash ? (size_t)(slash - p) : len;
  if (!slash || first + 1 == len) {
    if (is_segment(p, first, "_db_updates"))
      return feed_kind(query) | CFT_UPDATES;
    if (is_segment(p, first, "_session"))
      return CFT_SESSION;
    return p[0] == '_' ? CFT_OTHER : CFT_DB;
  }
  const char *rest = slash + 1;
  if (is_segment(rest, len - first - 1, "_changes"))
    return feed_kind(query);
  return strncmp(rest, "_local/", 7) == 0 ? CFT_LOCAL : CFT_OTHER;
}

/* ---- reading ---- */

/* Waits for more bytes in conn->in; false at EOF or error. */
static bool fill(cft_conn *conn) {
  if (conn->in_cap - conn->in_len < 4096) {
    conn->in_cap = conn->in_cap ? conn->in_cap * 2 : 8192;
    conn->in = cft_realloc(conn->in, conn->in_cap, 1);
  }
  ssize_t got =
      cft_conn_recv(conn, conn->in + conn->in_len, conn->in_cap - conn->in_len);
  conn->in_len += got > 0 ? (size_t)got : 0;
  return got > 0;
}

/* Length of the head with its empty line; 0 when the connection ended. */
static size_t wait_head(cft_conn *conn, bool *bad) {
  size_t seen = 0;
  for (;;) {
    const char *end =
        conn->in_len > seen
            ? memmem(conn->in + seen, conn->in_len - seen, "\r\n\r\n", 4)
            : NULL;
    if (end)
      return (size_t)(end - conn->in) + 4;
    seen = conn->in_len > 3 ? conn->in_len - 3 : 0;
    if (conn->in_len > HEAD_MAX) {
      *bad = true;
      return 0;
    }
    if (!fill(conn)) {
      *bad = conn->in_len > 0;
      return 0;
    }
  }
}

/* One allocation: the struct, the head, the line in three parts. */
static cft_request *new_request(const char *head, size_t len) {
  size_t line = 0;
  while (head[line] != '\r') /* it is there: the head was found by it */
    line++;
  const char *s1 = memchr(head, ' ', line), *s2 = memrchr(head, ' ', line);
  if (!s1 || s1 == s2 || s1[1] != '/' || strncmp(s2 + 1, "HTTP/1.", 7) != 0 ||
      memchr(head, '\0', len))
    return NULL;
  size_t method = (size_t)(s1 - head), target = (size_t)(s2 - s1) - 1;
  cft_request *req =
      cft_calloc(1, sizeof *req + len + 1 + line + 1 + method + 1 + target + 1);
  char *p = (char *)(req + 1);
  req->head = memcpy(p, head, len);
  req->head_len = len;
  p += len + 1;
  req->line = memcpy(p, head, line);
  p += line + 1;
  req->method = memcpy(p, head, method);
  p += method + 1;
  req->target = memcpy(p, s1 + 1, target);
  req->body = "";
  return req;
}

/* Content-Length; false at a bad one or at a coding that is not read here. */
static bool body_length(const cft_request *req, size_t *len) {
  char value[64];
  *len = 0;
  if (cft_request_header(req, "Transfer-Encoding", value, sizeof value))
    return false;
  if (!cft_request_header(req, "Content-Length", value, sizeof value))
    return true;
  for (const char *p = value; *p; p++) {
    if (*p < '0' || *p > '9' || *len > BODY_MAX)
      return false;
    *len = *len * 10 + (size_t)(*p - '0');
  }
  return *value && *len <= BODY_MAX;
}

static cft_request *read_request(cft_conn *conn, bool *bad) {
  size_t head = wait_head(conn, bad), body = 0;
  if (!head)
    return NULL;
  int64_t at_ms = cft_now_ms();
  cft_request *req = new_request(conn->in, head);
  if (!req || !body_length(req, &body)) {
    *bad = true;
    free(req);
    return NULL;
  }
  while (conn->in_len < head + body) {
    if (!fill(conn)) {
      *bad = true;
      free(req);
      return NULL;
    }
  }
  if (body)
    req->body = cft_memdup(conn->in + head, body);
  req->body_len = body;
  req->at_ms = at_ms;
  req->conn = conn->number;
  req->kind = cft_kind_of(req->target, conn->peer->prefix);
  if (req->kind == CFT_SESSION && strcmp(req->method, "GET") == 0)
    req->kind = CFT_WHO;
  conn->in_len -= head + body;
  memmove(conn->in, conn->in + head + body, conn->in_len);
  return req;
}

void cft_request_free(cft_request *req) {
  if (!req)
    return;
  if (req->body_len) {
    union {
      const char *shown;
      char *owned;
    } body = {.shown = req->body};
    free(body.owned);
  }
  free(req);
}

bool cft_conn_read_request(cft_conn *conn, const cft_request **out) {
  cft_peer *peer = conn->peer;
  bool bad = false;
  cft_request_free(conn->unlogged);
  conn->unlogged = NULL;
  cft_request *req = read_request(conn, &bad);
  *out = req;
  pthread_mutex_lock(&peer->mu);
  if (req) {
    peer->counts[req->kind]++;
    if (peer->logged < CFT_LOG_MAX) {
      peer->log =
          cft_room(peer->log, peer->logged, &peer->log_cap, sizeof *peer->log);
      peer->log[peer->logged++] = req;
    } else {
      conn->unlogged = req;
    }
  } else if (bad && !peer->stopping && !atomic_load(&conn->dropped)) {
    peer->malformed++;
  }
  pthread_cond_broadcast(&peer->changed);
  pthread_mutex_unlock(&peer->mu);
  return req != NULL;
}
