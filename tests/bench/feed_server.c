/*
 * A server for measuring: generated feeds, sent as CouchBENCH_DB 3.5 sends
 * them, and the few other requests that followers make. One thread, one feed;
 * it costs next to nothing beside the client. It knows what followers ask of
 * the past (since, limit), sends every row with its seq whatever seq_interval
 * says, and keeps the requested heartbeat.
 *
 *   feed_server [--feed a] [--rows N] [--huge BYTES] [--chunk BYTES]
 *               [--lines 1] [--break 20]
 *
 * --lines: the continuous form of them, too. Databases:
 *   /db     has all rows already
 *   /live   is empty; all rows come on the first continuous request
 *   /tick   a row each millisecond, its id the monotonic time in ns of its
 *           write; nothing is past
 *   /break  a row for each continuous request, its id the time at which the
 *           connection before it was broken, which is --break MS after the row
 *
 * Prints "PORT ROWS BYTES-OF-ROWS" and serves until its standard input ends.
 */
#define _GNU_SOURCE
#include "body.h"
#include "request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_CONNS = 64,
  MAX_REQUEST = 16 * 1024,
  SEND_AT_ONCE = 1 << 20, /* then the other connections have their turn */
  MS = 1000000
};

typedef struct conn {
  int fd; /* -1: free */
  char in[MAX_REQUEST];
  size_t in_len;
  bool answering, streaming, wants_out;
  bench_database db; /* of the stream */
  int64_t heartbeat_ns, due_ns;
  bench_answer answer;
} conn;

typedef struct server {
  bench_kind kind;
  size_t rows, huge, chunk, with_lines, break_ms;
  int epoll, listener, timer;
  bench_body list, lines;
  uint64_t ticks, breaks;
  int64_t broken_ns;
  conn conns[MAX_CONNS];
} server;

static int64_t now_ns(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void drop(conn *c) {
  (void)close(c->fd);
  c->fd = -1;
}

/* ---- answers ---- */

static const char head_200[] =
    "HTTP/1.1 200 OK\r\n"
    "Cache-Control: must-revalidate\r\n"
    "Content-Type: application/json\r\n"
    "Date: Sun, 22 Nov 2026 23:15:53 GMT\r\n"
    "Server: CouchBENCH_DB/3.5.0 (Erlang OTP/25)\r\n";

static bool answer_json(conn *c, const char *status, bool head,
                        const char *json) {
  return bench_answer_text(&c->answer,
                           "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                           "Server: CouchBENCH_DB/3.5.0 (Erlang OTP/25)\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           status, strlen(json), head ? "" : json);
}

static bool answer_info(server *s, conn *c, const bench_request *r, bool head) {
  char json[2048];
  size_t rows = r->db == BENCH_DB ? s->rows : 0, len;
  const char *seq = bench_body_seq(&s->list, rows, &len);

  if (r->db == BENCH_NO_DATABASE)
    return answer_json(
        c, "200 OK", head,
        "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"git_sha\":"
        "\"11f0d3643\",\"uuid\":\"6a3dd0d5bd1c4b9a9e6c5c0e1f2a3b4c\","
        "\"features\":[\"access-ready\",\"partitioned\",\"pluggable-storage-"
        "engines\",\"reshard\",\"scheduler\"],\"vendor\":{\"name\":\"The "
        "Apache Software Foundation\"}}\n");
  (void)snprintf(
      json, sizeof json,
      "{\"instance_start_time\":\"1763853353\",\"db_name\":\"db\","
      "\"purge_seq\":\"0\",\"update_seq\":\"%.*s\",\"sizes\":{\"file\":33952,"
      "\"external\":2054,\"active\":6538},\"props\":{},\"doc_del_count\":0,"
      "\"doc_count\":%zu,\"disk_format_version\":8,\"compact_running\":false,"
      "\"cluster\":{\"q\":2,\"n\":1,\"w\":1,\"r\":1}}\n",
      (int)len, seq, rows);
  return answer_json(c, "200 OK", head, json);
}

static bool has_rows(const server *s, const bench_request *r) {
  return r->db == BENCH_DB ||
         (r->db == BENCH_LIVE && r->continuous && s->rows != 0);
}

/* Rows, and a last word where the response ends by itself. */
static bool answer_changes(server *s, conn *c, bench_request *r) {
  bench_body *body = r->continuous ? &s->lines : &s->list;
  bench_answer *a = &c->answer;
  size_t all = has_rows(s, r) ? s->rows : 0, from = r->since, to, len;
  const char *seq;
  bool good;

  if (has_rows(s, r) && body->fd < 0)
    return false;
  if (r->since_now || from > all)
    from = all;
  to = r->limit < all - from ? from + (size_t)r->limit : all;
  good = bench_answer_text(a, "%sTransfer-Encoding: chunked\r\n\r\n", head_200);
  if (!r->continuous)
    good = good && bench_answer_chunk(a, "{\"results\":[\n");
  good = good && bench_answer_rows(a, body, from, to);
  c->streaming = r->continuous && r->limit == UINT64_MAX;
  if (c->streaming) {
    c->db = r->db;
    c->heartbeat_ns = r->heartbeat_ms * MS;
    c->due_ns = r->db >= BENCH_TICK   ? now_ns() + MS
                : r->heartbeat_ms > 0 ? now_ns() + c->heartbeat_ns
                                      : INT64_MAX;
    return good;
  }
  seq = bench_body_seq(&s->list, to, &len);
  return good &&
         bench_answer_chunk(a, "%s\"last_seq\":\"%.*s\",\"pending\":%zu}\n",
                            r->continuous ? "{" : "\n],\n", (int)len, seq,
                            all - to) &&
         bench_answer_text(a, "0\r\n\r\n");
}

static bool answer(server *s, conn *c, bench_request *r) {
  bool head = strcmp(r->method, "HEAD") == 0;

  memset(&c->answer, 0, offsetof(bench_answer, fd) + sizeof c->answer.fd);
  if (strcmp(r->method, "PUT") == 0)
    return answer_json(c, "412 Precondition Failed", false,
                       "{\"error\":\"file_exists\",\"reason\":\"The database "
                       "could not be created, the file already exists.\"}\n");
  if (strcmp(r->path, "_changes") == 0 && head)
    return answer_json(c, "200 OK", true, "");
  if (strcmp(r->path, "_changes") == 0)
    return answer_changes(s, c, r);
  if (r->path[0] == '\0')
    return answer_info(s, c, r, head);
  if (strcmp(r->path, "_session") == 0)
    return answer_json(c, "200 OK", head,
                       "{\"ok\":true,\"userCtx\":{\"name\":null,\"roles\":"
                       "[\"_admin\"]},\"info\":{}}\n");
  return answer_json(c, "404 Object Not Found", head,
                     "{\"error\":\"not_found\",\"reason\":\"missing\"}\n");
}

/* ---- sending ---- */

/* Bytes, 0 when the peer is to read first, or -1. */
static ssize_t send_piece(conn *c, const bench_piece *p, bool more) {
  ssize_t n;

  if (p->in_file) {
    off_t offset = (off_t)p->offset;

    n = sendfile(c->fd, c->answer.fd, &offset,
                 p->len < SEND_AT_ONCE ? p->len : SEND_AT_ONCE);
  } else {
    n = send(c->fd, c->answer.text + p->offset, p->len,
             MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  }
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void want(server *s, conn *c, bool out) {
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0U),
                          .data.ptr = c};

  if (c->wants_out != out)
    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &e);
  c->wants_out = out;
}

/* False: the connection is gone. */
static bool send_some(server *s, conn *c) {
  bench_answer *a = &c->answer;
  size_t sent = 0;

  while (a->at < a->count && sent < SEND_AT_ONCE) {
    bench_piece *p = &a->pieces[a->at];
    ssize_t n = p->len != 0 ? send_piece(c, p, a->at + 1 < a->count) : 0;

    if (n < 0) {
      drop(c);
      return false;
    }
    p->offset += (size_t)n;
    p->len -= (size_t)n;
    sent += (size_t)n;
    if (p->len == 0)
      a->at++;
    else if (n == 0)
      break;
  }
  want(s, c, a->at < a->count);
  if (a->at == a->count && !c->streaming)
    c->answering = false;
  return true;
}

/* ---- streams ---- */

static bool stream_row(conn *c, uint64_t n, int64_t stamp_ns) {
  return bench_answer_chunk(
      &c->answer,
      "{\"seq\":\"%llu-g1AAAACbeJzLYWBgYMpgTmEQTM4vTc5ISXIwNDLXMwBCwxyQVCJDU"
      "v\",\"id\":\"%lld\",\"changes\":[{\"rev\":\"1-"
      "967a00dff5e02add41819138abb3284d\"}]}\n",
      (unsigned long long)n, (long long)stamp_ns);
}

static void beat(server *s, conn *c, int64_t now) {
  bool sending = c->answer.at < c->answer.count;

  if (!sending)
    memset(&c->answer, 0, offsetof(bench_answer, fd));
  if (c->db == BENCH_TICK) {
    c->due_ns += MS;
    if (c->due_ns < now)
      c->due_ns = now + MS; /* no burst after a pause of this process */
    (void)(sending || stream_row(c, ++s->ticks, now_ns()));
  } else if (c->db == BENCH_BREAK && c->due_ns != INT64_MAX) {
    if (c->heartbeat_ns >= 0) { /* the row first, then the end */
      (void)stream_row(c, ++s->breaks, s->broken_ns);
      c->heartbeat_ns = -1;
      c->due_ns = now + (int64_t)s->break_ms * MS;
    } else {
      s->broken_ns = now_ns();
      drop(c);
      return;
    }
  } else {
    c->due_ns = now + c->heartbeat_ns;
    (void)(sending || bench_answer_chunk(&c->answer, "\n"));
  }
  (void)send_some(s, c);
}

static void run_streams(server *s) {
  int64_t now = now_ns(), due = INT64_MAX;
  struct itimerspec at = {0};

  for (conn *c = s->conns; c < s->conns + MAX_CONNS; c++) {
    if (c->fd < 0 || !c->streaming)
      continue;
    if (c->due_ns <= now)
      beat(s, c, now);
    if (c->fd >= 0 && c->due_ns < due)
      due = c->due_ns;
  }
  if (due != INT64_MAX) {
    at.it_value.tv_sec = due / (1000 * (int64_t)MS);
    at.it_value.tv_nsec = due % (1000 * (int64_t)MS);
  }
  (void)timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* ---- connections ---- */

static void take_requests(server *s, conn *c) {
  size_t len;

  while (!c->answering && (len = bench_request_len(c->in, c->in_len)) != 0) {
    bench_request r;

    c->answering = true;
    c->streaming = false;
    if (!bench_request_parse(c->in, &r) || !answer(s, c, &r)) {
      (void)fprintf(stderr, "feed_server: not understood: %.200s\n", c->in);
      drop(c);
      return;
    }
    memmove(c->in, c->in + len, c->in_len - len + 1);
    c->in_len -= len;
    if (!send_some(s, c))
      return;
  }
}

static void read_some(conn *c) {
  ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - 1 - c->in_len, 0);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) {
    drop(c);
    return;
  }
  c->in_len += (size_t)n;
  c->in[c->in_len] = '\0';
}

static void accept_one(server *s) {
  int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int on = 1;
  conn *c = s->conns;

  while (c < s->conns + MAX_CONNS && c->fd >= 0)
    c++;
  if (fd < 0)
    return;
  if (c == s->conns + MAX_CONNS) {
    (void)close(fd);
    return;
  }
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c->fd = fd;
  c->in_len = 0;
  c->in[0] = '\0';
  c->answering = c->streaming = c->wants_out = false;
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
    drop(c);
}

static bool watch(server *s, int fd, void *as) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = as};

  return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static bool set_up(server *s, uint16_t *port) {
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;

  for (conn *c = s->conns; c < s->conns + MAX_CONNS; c++)
    c->fd = -1;
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (s->epoll < 0 || s->listener < 0 || s->timer < 0 ||
      bind(s->listener, (struct sockaddr *)&a, sizeof a) != 0 ||
      listen(s->listener, 64) != 0 ||
      getsockname(s->listener, (struct sockaddr *)&a, &len) != 0)
    return false;
  *port = ntohs(a.sin_port);
  return watch(s, s->listener, &s->listener) && watch(s, s->timer, &s->timer) &&
         watch(s, STDIN_FILENO, NULL);
}

static void handle(server *s, const struct epoll_event *e) {
  conn *c = e->data.ptr;
  uint64_t expired;

  if (e->data.ptr == &s->listener) {
    accept_one(s);
  } else if (e->data.ptr == &s->timer) {
    (void)!read(s->timer, &expired, sizeof expired);
  } else if (c->fd >= 0) {
    if ((e->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
      read_some(c);
    if (c->fd >= 0 && c->answering && (e->events & EPOLLOUT) != 0)
      (void)send_some(s, c);
    if (c->fd >= 0)
      take_requests(s, c);
  }
}

static int serve(server *s) {
  struct epoll_event events[MAX_CONNS];

  for (;;) {
    int count = epoll_wait(s->epoll, events, MAX_CONNS, -1);

    if (count < 0 && errno != EINTR)
      return 1;
    for (int i = 0; i < count; i++) {
      char byte;

      if (events[i].data.ptr == NULL) {
        if (read(STDIN_FILENO, &byte, 1) <= 0)
          return 0;
      } else {
        handle(s, &events[i]);
      }
    }
    run_streams(s);
  }
}

static bool read_arguments(server *s, int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    size_t n = strtoul(argv[i + 1], NULL, 10);

    if (strcmp(argv[i], "--feed") == 0 && argv[i + 1][0] >= 'a' &&
        argv[i + 1][0] < 'a' + BENCH_KINDS)
      s->kind = (bench_kind)(argv[i + 1][0] - 'a');
    else if (strcmp(argv[i], "--rows") == 0)
      s->rows = n;
    else if (strcmp(argv[i], "--huge") == 0)
      s->huge = n;
    else if (strcmp(argv[i], "--lines") == 0)
      s->with_lines = n;
    else if (strcmp(argv[i], "--break") == 0)
      s->break_ms = n;
    else if (strcmp(argv[i], "--chunk") == 0 && n != 0)
      s->chunk = n;
    else
      return false;
  }
  return argc % 2 == 1;
}

int main(int argc, char **argv) {
  static server s = {.rows = 1000,
                     .huge = 1 << 20,
                     .chunk = 1490,
                     .break_ms = 20,
                     .lines.fd = -1};
  uint16_t port;

  if (!read_arguments(&s, argc, argv)) {
    (void)fprintf(stderr,
                  "usage: feed_server [--feed a] [--rows N] "
                  "[--huge BYTES] [--chunk BYTES] [--lines 1] [--break MS]\n");
    return 2;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  if (!bench_body_make(&s.list, s.kind, s.rows, s.huge, s.chunk, true) ||
      (s.with_lines != 0 &&
       !bench_body_make(&s.lines, s.kind, s.rows, s.huge, s.chunk, false)) ||
      !set_up(&s, &port)) {
    perror("feed_server");
    return 1;
  }
  (void)printf("%u %zu %zu\n", (unsigned)port, s.rows, s.list.text_len);
  (void)fflush(stdout);
  return serve(&s);
}
