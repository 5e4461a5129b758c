/*
 * The rows lie in memory, all of one length, so that any page is cut out of
 * them without a look; the kernel gets them in CouchDB's chunks.
 */
#define _GNU_SOURCE
#include "list_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  CONNS = 32,
  IN = 256 * 1024,
  OUT = 256 * 1024,
  ROW = 95, /* without what separates it from the next */
  STRIDE = ROW + 3,
  CHUNK_ROWS = 15, /* 1490 bytes, CouchDB's buffer, hold so many */
  VECS = 3 * 300,
  BEAT_MS = 1000
};

typedef struct conn {
  int fd; /* -1: free */
  char *in;
  size_t in_len;
  char *out; /* sent before rows */
  size_t out_len, out_at;
  unsigned row, rows_end; /* to be sent */
  size_t chunk_at;        /* of the chunk that begins at row, sent already */
  bool ends, listing;     /* the tail of a list follows the rows */
  bool live;
  int64_t begun_ms, beat_ms;
  unsigned paced; /* rows sent since begun */
} conn;

typedef struct server {
  char *rows; /* row, ",\r\n", row, ",\r\n" ... */
  unsigned count, rate;
  int listener;
  conn conns[CONNS];
} server;

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

void list_id(char out[LIST_ID + 1], unsigned n) {
  (void)snprintf(out, LIST_ID + 1, "doc-%08u", n % 100000000);
}

void list_rev(char out[LIST_REV + 1], unsigned n) {
  (void)snprintf(out, LIST_REV + 1, "%u-%016llx%016llx", 1 + n % 9,
                 (unsigned long long)mix(n + 1),
                 (unsigned long long)mix(~(uint64_t)n));
}

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool make_rows(server *s) {
  s->rows = malloc((size_t)s->count * STRIDE + 1);
  if (s->rows == NULL)
    return false;
  for (unsigned i = 0; i < s->count; i++) {
    char id[LIST_ID + 1], rev[LIST_REV + 1], row[STRIDE + 32];

    list_id(id, i);
    list_rev(rev, i);
    if (snprintf(row, sizeof row,
                 "{\"id\":\"%s\",\"key\":\"%s\",\"value\":{\"rev\":\"%s\"}}",
                 id, id, rev) != ROW)
      return false;
    memcpy(row + ROW, ",\r\n", 3);
    memcpy(s->rows + (size_t)i * STRIDE, row, STRIDE);
  }
  return true;
}

/* ---- answers ---- */

static void say(conn *c, const char *text) {
  size_t len = strlen(text);

  if (len <= OUT - c->out_len)
    memcpy(c->out + c->out_len, text, len);
  c->out_len += len;
}

static void say_json(conn *c, const char *json) {
  char head[256];

  (void)snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 "Server: CouchDB/3.5.0 (Erlang OTP/25)\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 strlen(json));
  say(c, head);
  say(c, json);
}

static const char chunked[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "Server: CouchDB/3.5.0 (Erlang OTP/25)\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";

static void say_chunk(conn *c, const char *text) {
  char size[32];

  (void)snprintf(size, sizeof size, "%zx\r\n", strlen(text));
  say(c, size);
  say(c, text);
  say(c, "\r\n");
}

static const char *param(const char *query, const char *name) {
  const char *at = strstr(query, name);

  return at != NULL ? at + strlen(name) : NULL;
}

/* The number in startkey=%22doc-00000042%22. */
static unsigned key_of(const char *query, const char *name, unsigned none) {
  const char *value = param(query, name);

  return value != NULL && strncmp(value, "%22doc-", 7) == 0
             ? (unsigned)strtoul(value + 7, NULL, 10)
             : none;
}

static void list(server *s, conn *c, const char *query) {
  const char *limit = param(query, "limit="), *skip = param(query, "skip=");
  unsigned from = key_of(query, "startkey=", 0);
  unsigned to = key_of(query, "endkey=", s->count);
  unsigned long most =
      limit != NULL ? strtoul(limit, NULL, 10) : (unsigned long)s->count;
  char head[128];

  from += skip != NULL ? (unsigned)strtoul(skip, NULL, 10) : 0;
  to = to < s->count ? to : s->count;
  from = from < to ? from : to;
  to = most < to - from ? from + (unsigned)most : to;
  say(c, chunked);
  (void)snprintf(head, sizeof head,
                 "{\"total_rows\":%u,\"offset\":%u,\"rows\":[\r\n", s->count,
                 from);
  say_chunk(c, head);
  c->row = from;
  c->rows_end = to;
  c->chunk_at = 0;
  c->listing = true;
  c->begun_ms = now_ms();
  c->paced = 0;
}

static void answer_keys(server *s, conn *c, const char *body) {
  bool first = true;

  say(c, chunked);
  say_chunk(c, "{\"total_rows\":1,\"offset\":0,\"rows\":[\r\n");
  for (const char *at = strchr(body, '['); at != NULL;
       at = strstr(at, "\"doc-")) {
    char row[256], rev[LIST_REV + 1];
    unsigned n;

    if (*at == '[' && (at = strstr(at, "\"doc-")) == NULL)
      break;
    n = (unsigned)strtoul(at + 5, NULL, 10);
    list_rev(rev, n);
    if (n < s->count)
      (void)snprintf(row, sizeof row,
                     "%s{\"id\":\"doc-%08u\",\"key\":\"doc-%08u\",\"value\":{"
                     "\"rev\":\"%s\"}}",
                     first ? "" : ",\r\n", n, n, rev);
    else
      (void)snprintf(row, sizeof row,
                     "%s{\"key\":\"doc-%08u\",\"error\":\"not_found\"}",
                     first ? "" : ",\r\n", n);
    first = false;
    say_chunk(c, row);
    at += 5;
  }
  say_chunk(c, "\r\n]}\n");
  say(c, "0\r\n\r\n");
}

static void answer(server *s, conn *c, const char *target, const char *body) {
  char json[512];

  c->live = false;
  if (strncmp(target, "/db/_all_docs", 13) == 0) {
    if (body != NULL)
      answer_keys(s, c, body);
    else
      list(s, c, target);
  } else if (strncmp(target, "/db/_changes", 12) == 0) {
    say(c, chunked);
    c->live = strstr(target, "feed=continuous") != NULL;
    if (!c->live)
      say_chunk(c, "{\"results\":[\n\n],\n\"last_seq\":\"7-g1AAA\","
                   "\"pending\":0}\n");
    if (!c->live)
      say(c, "0\r\n\r\n");
    c->beat_ms = now_ms();
  } else if (strcmp(target, "/") == 0) {
    say_json(c, "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":"
                "\"6a3dd0d5bd1c4b9a9e6c5c0e1f2a3b4c\"}\n");
  } else {
    (void)snprintf(json, sizeof json,
                   "{\"instance_start_time\":\"1763853353\",\"db_name\":\"db\","
                   "\"update_seq\":\"7-g1AAA\",\"doc_count\":%u}\n",
                   s->count);
    say_json(c, json);
  }
}

/* ---- connections ---- */

static void drop(conn *c) {
  (void)close(c->fd);
  c->fd = -1;
}

static bool is_idle(const conn *c) {
  return c->out_at == c->out_len && c->row == c->rows_end && !c->live;
}

static void take_request(server *s, conn *c) {
  char target[2048], method[16], *end = strstr(c->in, "\r\n\r\n");
  size_t len, body = 0;
  char *length;

  if (!is_idle(c) || end == NULL)
    return;
  length = strcasestr(c->in, "content-length:");
  if (length != NULL && length < end)
    body = strtoul(length + 15, NULL, 10);
  len = (size_t)(end - c->in) + 4 + body;
  if (c->in_len < len || sscanf(c->in, "%15s %2047s", method, target) != 2)
    return;
  c->out_len = c->out_at = 0;
  answer(s, c, target, body != 0 ? end + 4 : NULL);
  memmove(c->in, c->in + len, c->in_len - len + 1);
  c->in_len -= len;
}

/* Rows that may be sent now. */
static unsigned allowed(const server *s, const conn *c) {
  int64_t most;

  if (s->rate == 0)
    return c->rows_end - c->row;
  most = (now_ms() - c->begun_ms + 1) * (int64_t)s->rate / 1000 - c->paced;
  most = most > 0 ? most : 0;
  return most < c->rows_end - c->row ? (unsigned)most : c->rows_end - c->row;
}

/* Whole chunks of rows, what was sent of the first one left out. */
static ssize_t send_rows(server *s, conn *c, unsigned count) {
  static char sizes[VECS / 3][8];
  struct iovec v[VECS];
  unsigned at = c->row, end = c->row + count;
  size_t vecs = 0, skip = c->chunk_at;
  ssize_t n;

  while (at < end && vecs + 3 <= VECS) {
    unsigned rows =
        c->rows_end - at < CHUNK_ROWS ? c->rows_end - at : CHUNK_ROWS;
    size_t len = (size_t)rows * STRIDE - (at + rows == c->rows_end ? 3 : 0);
    int line = snprintf(sizes[vecs / 3], 8, "%zx\r\n", len);

    v[vecs] = (struct iovec){sizes[vecs / 3], (size_t)line};
    v[vecs + 1] = (struct iovec){s->rows + (size_t)at * STRIDE, len};
    v[vecs + 2] = (struct iovec){(char *)(uintptr_t) "\r\n", 2};
    vecs += 3;
    at += rows;
  }
  for (size_t i = 0; skip != 0; i++) {
    size_t less = skip < v[i].iov_len ? skip : v[i].iov_len;

    v[i].iov_base = (char *)v[i].iov_base + less;
    v[i].iov_len -= less;
    skip -= less;
  }
  n = writev(c->fd, v, (int)vecs);
  return n < 0 && errno == EAGAIN ? 0 : n;
}

static size_t chunk_len(const conn *c) {
  unsigned rows =
      c->rows_end - c->row < CHUNK_ROWS ? c->rows_end - c->row : CHUNK_ROWS;
  size_t len = (size_t)rows * STRIDE - (c->row + rows == c->rows_end ? 3 : 0);
  char size[8];

  return len + 2 + (size_t)snprintf(size, sizeof size, "%zx\r\n", len);
}

static void note_sent(conn *c, size_t n) {
  c->chunk_at += n;
  while (c->row < c->rows_end && c->chunk_at >= chunk_len(c)) {
    unsigned rows =
        c->rows_end - c->row < CHUNK_ROWS ? c->rows_end - c->row : CHUNK_ROWS;

    c->chunk_at -= chunk_len(c);
    c->row += rows;
    c->paced += rows;
  }
}

/* False: gone. */
static bool send_some(server *s, conn *c) {
  ssize_t n = 1;
  unsigned rows;

  while (n > 0 && c->out_at < c->out_len) {
    n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
             MSG_NOSIGNAL | (c->listing ? MSG_MORE : 0));
    n = n < 0 && errno == EAGAIN ? 0 : n;
    c->out_at += n > 0 ? (size_t)n : 0;
  }
  while (n > 0 && c->out_at == c->out_len && (rows = allowed(s, c)) != 0) {
    n = send_rows(s, c, rows);
    if (n > 0)
      note_sent(c, (size_t)n);
  }
  if (n >= 0 && c->listing && c->row == c->rows_end &&
      c->out_at == c->out_len) {
    c->listing = false;
    c->out_len = c->out_at = 0;
    say_chunk(c, "\r\n]}\n");
    say(c, "0\r\n\r\n");
    return send_some(s, c);
  }
  if (n < 0)
    drop(c);
  return n >= 0;
}

static void beat(server *s, conn *c) {
  if (!c->live || now_ms() - c->beat_ms < BEAT_MS)
    return;
  c->beat_ms = now_ms();
  if (c->out_at == c->out_len)
    c->out_at = c->out_len = 0;
  say_chunk(c, "\n");
  (void)send_some(s, c);
}

static void read_some(server *s, conn *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, IN - 1 - c->in_len, 0);

  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) {
    drop(c);
    return;
  }
  c->in_len += (size_t)n;
  c->in[c->in_len] = '\0';
  take_request(s, c);
}

static void accept_one(server *s) {
  int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int on = 1;

  for (conn *c = s->conns; fd >= 0 && c < s->conns + CONNS; c++) {
    if (c->fd >= 0)
      continue;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *c = (conn){.fd = fd, .in = c->in, .out = c->out};
    c->in[0] = '\0';
    return;
  }
  if (fd >= 0)
    (void)close(fd);
}

static void serve(server *s) {
  struct pollfd p[CONNS + 1];

  for (;;) {
    int wait = BEAT_MS / 4;

    p[CONNS] = (struct pollfd){.fd = s->listener, .events = POLLIN};
    for (int i = 0; i < CONNS; i++) {
      conn *c = &s->conns[i];
      bool has = c->fd >= 0 && (c->out_at < c->out_len || c->row < c->rows_end);
      bool may = has && (c->out_at < c->out_len || allowed(s, c) != 0);

      if (has && !may)
        wait = 1; /* paced */
      p[i] = (struct pollfd){.fd = c->fd,
                             .events = (short)(POLLIN | (may ? POLLOUT : 0))};
    }
    if (poll(p, CONNS + 1, wait) < 0 && errno != EINTR)
      _exit(1);
    if ((p[CONNS].revents & POLLIN) != 0)
      accept_one(s);
    for (int i = 0; i < CONNS; i++) {
      conn *c = &s->conns[i];

      if (p[i].fd != c->fd || c->fd < 0)
        continue;
      if ((p[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
        read_some(s, c);
      if (c->fd >= 0 && !send_some(s, c))
        continue;
      if (c->fd >= 0) {
        take_request(s, c);
        beat(s, c);
      }
    }
  }
}

/* ---- the process ---- */

static bool begin(server *s, uint16_t *port) {
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;

  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s->listener < 0 ||
      bind(s->listener, (struct sockaddr *)&a, sizeof a) != 0 ||
      listen(s->listener, 64) != 0 ||
      getsockname(s->listener, (struct sockaddr *)&a, &len) != 0)
    return false;
  *port = ntohs(a.sin_port);
  return true;
}

static void live(server *s) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)signal(SIGPIPE, SIG_IGN);
  for (conn *c = s->conns; c < s->conns + CONNS; c++) {
    c->fd = -1;
    c->in = malloc(IN);
    c->out = malloc(OUT);
    if (c->in == NULL || c->out == NULL)
      _exit(1);
  }
  if (!make_rows(s))
    _exit(1);
  serve(s);
}

pid_t list_server_start(unsigned rows, unsigned rate, uint16_t *port) {
  static server s;
  pid_t child;

  s.count = rows;
  s.rate = rate;
  if (!begin(&s, port))
    return -1;
  child = fork();
  if (child == 0)
    live(&s);
  (void)close(s.listener);
  return child;
}

void list_server_stop(pid_t server_pid) {
  if (server_pid <= 0)
    return;
  (void)kill(server_pid, SIGTERM);
  (void)waitpid(server_pid, NULL, 0);
}
