/* One epoll loop; connections by descriptor. Answers and heartbeats each have
   one delay, so that two queues in order of time are all the timers. */
#define _GNU_SOURCE
#include "beats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "timing.h"

enum { MAX_CONNS = 65536, REQUEST_MAX = 1500, EVENTS = 256, BACKLOG = 1024 };

typedef struct conn {
  int fd; /* -1: none */
  bool streaming;
  int64_t due_ms;
  struct queue *in; /* ANSWERS, BEATS or NULL */
  struct conn *prev, *next;
  bool asking;
  size_t len;
  char request[REQUEST_MAX];
} conn;

typedef struct queue {
  conn *first, *last;
} queue;

typedef struct server {
  int epoll, listener, wake;
  int64_t beat_ms, answer_ms;
  conn **conns;
  queue answers, beats;
  unsigned long round;
  cft_beats_seen *seen;
} server;

static void unlink_conn(conn *c) {
  queue *q = c->in;

  if (q == NULL)
    return;
  if (c->prev != NULL)
    c->prev->next = c->next;
  else
    q->first = c->next;
  if (c->next != NULL)
    c->next->prev = c->prev;
  else
    q->last = c->prev;
  c->in = NULL;
}

static void enqueue(queue *q, conn *c, int64_t due_ms) {
  unlink_conn(c);
  c->in = q;
  c->due_ms = due_ms;
  c->next = NULL;
  c->prev = q->last;
  if (q->last != NULL)
    q->last->next = c;
  else
    q->first = c;
  q->last = c;
}

static void set_asking(server *s, conn *c, bool asking) {
  unsigned long now;

  if (c->asking == asking)
    return;
  c->asking = asking;
  if (!asking) {
    atomic_fetch_sub(&s->seen->asking, 1);
    return;
  }
  now = atomic_fetch_add(&s->seen->asking, 1) + 1;
  if (now > atomic_load(&s->seen->asking_most))
    atomic_store(&s->seen->asking_most, now);
}

static void drop(server *s, conn *c) {
  set_asking(s, c, false);
  unlink_conn(c);
  if (c->streaming)
    atomic_fetch_sub(&s->seen->streams, 1);
  (void)close(c->fd);
  s->conns[c->fd] = NULL;
  free(c);
  atomic_fetch_sub(&s->seen->open, 1);
}

/* What is sent is small: a client that does not read it is gone. */
static bool say(server *s, conn *c, const char *text, size_t len) {
  if (send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len)
    return true;
  drop(s, c);
  return false;
}

static void send_row(server *s, conn *c) {
  char row[200], chunk[256];
  int len = snprintf(row, sizeof row,
                     "{\"seq\":\"%lu-x\",\"id\":\"doc\",\"changes\":[{\"rev\":"
                     "\"%lu-967a00dff5e02add41819138abb3284d\"}]}\n",
                     s->round, s->round);

  len = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)len, row);
  if (say(s, c, chunk, (size_t)len))
    atomic_fetch_add(&s->seen->rows, 1);
}

static bool begin_stream(server *s, conn *c) {
  static const char head[] = "HTTP/1.1 200 OK\r\n"
                             "Content-Type: application/json\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"
                             "1\r\n\n\r\n";

  if (!say(s, c, head, sizeof head - 1))
    return false;
  c->streaming = true;
  atomic_fetch_add(&s->seen->streams, 1);
  enqueue(&s->beats, c, cft_now_ms() + s->beat_ms);
  return true;
}

static bool send_json(server *s, conn *c, const char *json) {
  char text[1024];
  int len = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(json), json);

  return say(s, c, text, (size_t)len);
}

static void answer(server *s, conn *c) {
  char json[256];

  unlink_conn(c);
  set_asking(s, c, false);
  if (strstr(c->request, "feed=continuous") != NULL) {
    (void)begin_stream(s, c);
    return;
  }
  if (strncmp(c->request, "GET / ", 6) == 0)
    (void)snprintf(json, sizeof json,
                   "{\"couchdb\":\"Welcome\",\"version\":\"3.3.3\",\"uuid\":"
                   "\"85fb71bf700c17267fef77535820e371\"}\n");
  else if (strstr(c->request, "/_changes?") != NULL)
    (void)snprintf(json, sizeof json,
                   "{\"results\":[\n\n],\n\"last_seq\":\"%lu-x\","
                   "\"pending\":0}\n",
                   s->round);
  else
    (void)snprintf(json, sizeof json,
                   "{\"db_name\":\"db\",\"update_seq\":\"%lu-x\","
                   "\"doc_count\":0,\"doc_del_count\":0,"
                   "\"instance_start_time\":\"0\"}\n",
                   s->round);
  c->len = 0;
  (void)send_json(s, c, json);
}

static void on_readable(server *s, conn *c) {
  ssize_t got = recv(c->fd, c->request + c->len, sizeof c->request - 1 - c->len,
                     MSG_DONTWAIT);

  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got <= 0) {
    drop(s, c);
    return;
  }
  set_asking(s, c, true);
  c->len += (size_t)got;
  c->request[c->len] = '\0';
  if (strstr(c->request, "\r\n\r\n") == NULL) {
    if (c->len == sizeof c->request - 1)
      drop(s, c);
    return;
  }
  atomic_fetch_add(&s->seen->requests, 1);
  if (s->answer_ms == 0)
    answer(s, c);
  else
    enqueue(&s->answers, c, cft_now_ms() + s->answer_ms);
}

static void on_connect(server *s) {
  int fd;

  while ((fd = accept4(s->listener, NULL, NULL,
                       SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};
    conn *c = fd < MAX_CONNS ? calloc(1, sizeof *c) : NULL;
    int on = 1;
    unsigned long now;

    if (c == NULL || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
      (void)close(fd);
      free(c);
      continue;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    s->conns[fd] = c;
    atomic_fetch_add(&s->seen->accepted, 1);
    now = atomic_fetch_add(&s->seen->open, 1) + 1;
    if (now > atomic_load(&s->seen->open_most))
      atomic_store(&s->seen->open_most, now);
    set_asking(s, c, true);
  }
}

static void on_wake(server *s) {
  uint64_t count;

  if (read(s->wake, &count, sizeof count) < 0)
    return;
  while (s->round < atomic_load(&s->seen->round)) {
    s->round++;
    for (int fd = 0; fd < MAX_CONNS; fd++)
      if (s->conns[fd] != NULL && s->conns[fd]->streaming)
        send_row(s, s->conns[fd]);
  }
}

static int64_t run_timers(server *s) {
  int64_t now = cft_now_ms(), due = -1;
  conn *c;

  while ((c = s->answers.first) != NULL && c->due_ms <= now)
    answer(s, c);
  while ((c = s->beats.first) != NULL && c->due_ms <= now) {
    enqueue(&s->beats, c, c->due_ms + s->beat_ms);
    if (say(s, c, "1\r\n\n\r\n", 6))
      atomic_fetch_add(&s->seen->beats, 1);
  }
  if (s->answers.first != NULL)
    due = s->answers.first->due_ms;
  if (s->beats.first != NULL && (due < 0 || s->beats.first->due_ms < due))
    due = s->beats.first->due_ms;
  return due < 0 ? -1 : due > now ? due - now : 0;
}

static void serve(server *s) {
  struct epoll_event events[EVENTS];

  for (;;) {
    int n = epoll_wait(s->epoll, events, EVENTS, (int)run_timers(s));

    if (n < 0 && errno != EINTR)
      return;
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;

      if (fd == s->listener)
        on_connect(s);
      else if (fd == s->wake)
        on_wake(s);
      else if (s->conns[fd] != NULL)
        on_readable(s, s->conns[fd]);
    }
  }
}

static bool watch(server *s, int fd) {
  struct epoll_event ev = {.events = EPOLLIN, .data = {.fd = fd}};

  return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static int listen_somewhere(int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(fd, BACKLOG) != 0 ||
      getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    return -1;
  *port = ntohs(at.sin_port);
  return fd;
}

static void be_server(server *s) {
  struct rlimit files;

  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  s->conns = calloc(MAX_CONNS, sizeof *s->conns);
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (s->conns != NULL && s->epoll >= 0 && watch(s, s->listener) &&
      watch(s, s->wake))
    serve(s);
  _exit(1);
}

bool cft_beats_start(cft_beats *b, int64_t beat_ms, int64_t answer_ms) {
  server s = {.beat_ms = beat_ms, .answer_ms = answer_ms};

  b->seen = mmap(NULL, sizeof *b->seen, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  s.listener = listen_somewhere(&b->port);
  if (b->seen == MAP_FAILED || b->wake < 0 || s.listener < 0)
    return false;
  s.seen = b->seen;
  s.wake = b->wake;
  b->pid = fork();
  if (b->pid == 0)
    be_server(&s);
  (void)close(s.listener);
  return b->pid > 0;
}

void cft_beats_write(cft_beats *b) {
  uint64_t one = 1;

  atomic_fetch_add(&b->seen->round, 1);
  if (write(b->wake, &one, sizeof one) < 0)
    perror("beats: write");
}

void cft_beats_stop(cft_beats *b) {
  (void)kill(b->pid, SIGKILL);
  while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  (void)close(b->wake);
  (void)munmap(b->seen, sizeof *b->seen);
}
