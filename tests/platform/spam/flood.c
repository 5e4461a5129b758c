/* Start calls at a rate, each at its time, whether those before were answered
   or not: one that finds no idle connection opens another, up to a limit,
   beyond which calls are late and are told to be. What is answered is looked
   at: one of 200, 202, 429 and 503, the last two with Retry-After. An operation
   that was begun is a 202 that did not join another. */
#include "spam.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  LINKS_MOST = 400,
  REPLY_SIZE = 8192,
  BATCH = 64,
  LAST_WAIT_US = 30000000, /* for the last answers */
  SHOWN = 5
};

typedef struct line {
  int fd; /* -1: none */
  bool busy;
  unsigned app;
  int64_t sent_us;
  size_t len;
  char reply[REPLY_SIZE];
} line;

typedef struct flood {
  const spam_options *o;
  struct sockaddr_in to;
  int epoll;
  line links[LINKS_MOST];
  unsigned idle[LINKS_MOST], idle_count, busy;
  uint64_t dice;
  uint64_t sent, late, lost, again, wrong, silent, codes[600];
  unsigned begun[APPS_MOST];
  int64_t late_most_us, *took;
  uint64_t took_count, took_size;
  unsigned shown;
} flood;

static unsigned roll(flood *f, unsigned below) {
  f->dice ^= f->dice << 13;
  f->dice ^= f->dice >> 7;
  f->dice ^= f->dice << 17;
  return (unsigned)(f->dice >> 33) % below;
}

static void show(flood *f, const char *what, const char *text) {
  if (f->shown++ < SHOWN)
    (void)fprintf(stderr, "flood: %s: %.400s\n", what, text);
}

/* ---- answers ---- */

static void judge(flood *f, const line *l, int code, const char *body) {
  bool busy = code == 429 || code == 503;

  f->codes[code > 0 && code < 600 ? code : 0]++;
  if (code != 200 && code != 202 && !busy) {
    f->wrong++;
    show(f, "wrong", l->reply);
  }
  if (busy && strcasestr(l->reply, "\r\nRetry-After: ") == NULL) {
    f->silent++;
    show(f, "without Retry-After", l->reply);
  }
  if (code == 202 && strstr(body, "\"coalesced\":false") != NULL)
    f->begun[l->app]++;
  if (f->took_count < f->took_size)
    f->took[f->took_count++] = spam_now_us() - l->sent_us;
}

/* 1: a whole answer, 0: not yet, -1: none. */
static int whole(flood *f, line *l) {
  char *end, *length;
  size_t head, body;

  l->reply[l->len] = '\0';
  end = strstr(l->reply, "\r\n\r\n");
  if (end == NULL)
    return l->len + 1 < sizeof l->reply ? 0 : -1;
  length = strcasestr(l->reply, "\r\nContent-Length: ");
  if (length == NULL || length > end || strncmp(l->reply, "HTTP/1.1 ", 9) != 0)
    return -1;
  head = (size_t)(end - l->reply) + 4;
  body = strtoul(length + 18, NULL, 10);
  if (body > sizeof l->reply - 1 - head)
    return -1;
  if (l->len < head + body)
    return 0;
  judge(f, l, (int)strtol(l->reply + 9, NULL, 10), end + 4);
  return 1;
}

/* ---- connections ---- */

static void drop(flood *f, unsigned at) {
  line *l = &f->links[at];

  if (l->fd >= 0)
    (void)close(l->fd);
  l->fd = -1;
  if (l->busy) {
    f->lost++;
    f->busy--;
    show(f, "no answer", l->len > 0 ? l->reply : "(nothing came)");
  } else {
    for (unsigned i = 0; i < f->idle_count; i++)
      if (f->idle[i] == at)
        f->idle[i--] = f->idle[--f->idle_count];
  }
  l->busy = false;
}

static void readable(flood *f, unsigned at) {
  line *l = &f->links[at];
  ssize_t n = recv(l->fd, l->reply + l->len, sizeof l->reply - 1 - l->len,
                   MSG_DONTWAIT);
  int done;

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0 || !l->busy) {
    drop(f, at);
    return;
  }
  l->len += (size_t)n;
  done = whole(f, l);
  if (done < 0) {
    drop(f, at);
  } else if (done > 0) {
    bool ends = strcasestr(l->reply, "\r\nConnection: close") != NULL;

    l->busy = false;
    f->busy--;
    if (ends)
      drop(f, at);
    else
      f->idle[f->idle_count++] = at;
  }
}

/* LINKS_MOST: none is to be had. */
static unsigned a_link(flood *f) {
  struct epoll_event event = {.events = EPOLLIN};
  int on = 1;

  if (f->idle_count > 0)
    return f->idle[--f->idle_count];
  for (unsigned i = 0; i < LINKS_MOST; i++) {
    line *l = &f->links[i];

    if (l->fd >= 0)
      continue;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    event.data.u32 = i;
    if (l->fd < 0 ||
        connect(l->fd, (struct sockaddr *)&f->to, sizeof f->to) != 0 ||
        epoll_ctl(f->epoll, EPOLL_CTL_ADD, l->fd, &event) != 0) {
      if (l->fd >= 0)
        (void)close(l->fd);
      l->fd = -1;
      return LINKS_MOST;
    }
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return i;
  }
  return LINKS_MOST;
}

static bool write_call(flood *f, line *l) {
  const char *body = roll(f, 1000) < f->o->force ? "{\"force\":true}" : "{}";
  char all[1024];
  int n = snprintf(all, sizeof all,
                   "POST /apps/%s-%u/start HTTP/1.1\r\nHost: %s\r\n"
                   "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                   f->o->prefix, l->app, f->o->api, f->o->token, strlen(body),
                   body);

  return n > 0 && (size_t)n < sizeof all &&
         send(l->fd, all, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n;
}

/* False: later. A connection that was closed while it was idle is no lost call:
   the next one is taken. */
static bool call(flood *f) {
  unsigned app = roll(f, f->o->apps);

  for (unsigned tries = 0; tries < LINKS_MOST; tries++) {
    unsigned at = a_link(f);
    line *l;

    if (at == LINKS_MOST)
      return false;
    l = &f->links[at];
    l->app = app;
    l->len = 0;
    l->sent_us = spam_now_us();
    if (write_call(f, l)) {
      l->busy = true;
      f->busy++;
      f->sent++;
      return true;
    }
    f->again++;
    drop(f, at);
  }
  return false;
}

static void wait_for(flood *f, int64_t until_us) {
  struct epoll_event events[BATCH];
  int64_t left = (until_us - spam_now_us()) / 1000;
  int n = epoll_wait(f->epoll, events, BATCH, left > 0 ? (int)left : 0);

  for (int i = 0; i < n; i++)
    readable(f, events[i].data.u32);
}

/* ---- all of it ---- */

static bool begin(flood *f, const spam_options *o) {
  char host[64];
  const char *colon = strrchr(o->api, ':');

  f->o = o;
  f->dice = o->seed * 2654435769U + 88172645463325252U;
  f->to.sin_family = AF_INET;
  if (colon == NULL || (size_t)(colon - o->api) >= sizeof host)
    return false;
  memcpy(host, o->api, (size_t)(colon - o->api));
  host[colon - o->api] = '\0';
  f->to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
  for (unsigned i = 0; i < LINKS_MOST; i++)
    f->links[i].fd = -1;
  f->took_size = (uint64_t)o->rate * o->seconds;
  f->took = calloc(f->took_size, sizeof *f->took);
  f->epoll = epoll_create1(EPOLL_CLOEXEC);
  return inet_pton(AF_INET, host, &f->to.sin_addr) == 1 && f->took != NULL &&
         f->epoll >= 0;
}

static void run(flood *f) {
  int64_t start = spam_now_us();
  uint64_t all = (uint64_t)f->o->rate * f->o->seconds, next = 0;

  while (next < all) {
    int64_t due = start + (int64_t)(next * 1000000 / f->o->rate);
    int64_t behind = spam_now_us() - due;

    if (behind < 0) {
      wait_for(f, due);
      continue;
    }
    if (behind > f->late_most_us)
      f->late_most_us = behind;
    if (!call(f)) {
      f->late++;
      wait_for(f, spam_now_us() + 2000);
      continue;
    }
    if (++next % BATCH == 0)
      wait_for(f, 0);
  }
  start = spam_now_us();
  while (f->busy > 0 && spam_now_us() - start < LAST_WAIT_US)
    wait_for(f, spam_now_us() + 100000);
  for (unsigned i = 0; i < LINKS_MOST; i++)
    if (f->links[i].fd >= 0)
      drop(f, i);
}

static void tell(flood *f, int64_t took_us) {
  unsigned most = 0, sum = 0;

  for (unsigned i = 0; i < f->o->apps; i++) {
    most = f->begun[i] > most ? f->begun[i] : most;
    sum += f->begun[i];
  }
  (void)printf("sent %" PRIu64 "\nper_second %.0f\n", f->sent,
               (double)f->sent * 1e6 / (double)took_us);
  for (unsigned i = 0; i < 600; i++)
    if (f->codes[i] > 0)
      (void)printf("code_%u %" PRIu64 "\n", i, f->codes[i]);
  (void)printf("begun %u\nbegun_most %u\nlost %" PRIu64 "\nwrong %" PRIu64
               "\nno_retry_after %" PRIu64 "\nwaited %" PRIu64
               "\nbehind_most_ms %" PRId64 "\n",
               sum, most, f->lost, f->wrong, f->silent, f->late,
               f->late_most_us / 1000);
  (void)printf("p50_us %" PRId64 "\np95_us %" PRId64 "\np99_us %" PRId64 "\n",
               spam_rank(f->took, (unsigned)f->took_count, 50),
               spam_rank(f->took, (unsigned)f->took_count, 95),
               spam_rank(f->took, (unsigned)f->took_count, 99));
}

int spam_flood(const spam_options *o) {
  static flood f;
  int64_t start = spam_now_us();

  if (!begin(&f, o)) {
    (void)fprintf(stderr, "flood: %s cannot be used\n", o->api);
    return 2;
  }
  run(&f);
  tell(&f, spam_now_us() - start);
  free(f.took);
  (void)close(f.epoll);
  return f.lost > 0 || f.wrong > 0 || f.silent > 0 || f.sent == 0 ? 1 : 0;
}
