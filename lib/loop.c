/*
 * The round of the loop: waiting, libcurl's sockets and timer, transfers that
 * ended. What belongs to single feeds is in loop_feeds.c.
 */
#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MAX_EVENTS = 256,
  MANY_EVENTS = MAX_EVENTS - 2 /* a driver keeps up to two for itself */
};

/* ---- libcurl, once per process ---- */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
  /* A failure shows when the first handle is made. */
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- sockets ---- */

static void forget_socket(changefeed_loop *loop, curl_socket_t fd) {
  if ((size_t)fd >= loop->socket_cap || loop->sockets[fd].inode == 0)
    return;
  loop->sockets[fd].inode = 0;
  loop->socket_count--;
}

/* Descriptors are small and dense, so the table is as the kernel's own. */
static bool reserve_socket(changefeed_loop *loop, int fd) {
  size_t cap = loop->socket_cap != 0 ? loop->socket_cap : 32;
  cfi_socket *p;

  while (cap <= (size_t)fd)
    cap *= 2;
  if (cap == loop->socket_cap)
    return true;
  p = cfi_resize(&loop->alloc, loop->sockets, cap, sizeof *p);
  if (p == NULL)
    return false;
  memset(p + loop->socket_cap, 0, (cap - loop->socket_cap) * sizeof *p);
  loop->sockets = p;
  loop->socket_cap = cap;
  return true;
}

static bool note_socket(changefeed_loop *loop, int fd, ino_t inode) {
  if (!reserve_socket(loop, fd))
    return false;
  forget_socket(loop, fd);
  loop->sockets[fd].inode = inode;
  loop->socket_count++;
  return true;
}

static curl_socket_t open_socket(void *ctx, struct curl_sockaddr *address) {
  changefeed_loop *loop = ctx;
  struct stat st;
  int fd;

  /* Closed at exec: no program started by the application inherits it. */
  fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
              address->protocol);
  if (fd < 0 || fstat(fd, &st) != 0 || !note_socket(loop, fd, st.st_ino)) {
    if (fd >= 0)
      (void)close(fd);
    return CURL_SOCKET_BAD;
  }
  return fd;
}

static int close_socket(void *ctx, curl_socket_t fd) {
  forget_socket(ctx, fd);
  return close(fd);
}

static bool is_ours(const changefeed_loop *loop, int fd) {
  struct stat st;

  return loop->sockets[fd].inode != 0 && fstat(fd, &st) == 0 &&
         S_ISSOCK(st.st_mode) && st.st_ino == loop->sockets[fd].inode;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                     void *socket_user) {
  cfi_multi *multi = user;
  changefeed_loop *loop = multi->loop;
  unsigned want = 0;

  (void)easy;
  (void)socket_user;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
    want |= CFI_DRIVER_READ;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
    want |= CFI_DRIVER_WRITE;
  /* A descriptor that cannot be watched stays silent, and its feed's deadline
     ends it; an error from here would end every transfer. */
  if (want != 0) {
    if (!reserve_socket(loop, fd))
      return 0;
    loop->sockets[fd].multi = (unsigned char)(multi - loop->multis);
  }
  (void)cfi_driver_watch(loop->driver, fd, want);
  return 0;
}

static int on_timer(CURLM *curl, long timeout_ms, void *user) {
  cfi_multi *multi = user;

  (void)curl;
  multi->due_ms = timeout_ms < 0
                      ? CFI_NEVER
                      : cfi_clock_after(multi->loop->now_ms, timeout_ms);
  return 0;
}

/* ---- life ---- */

static int64_t round_now(void *ctx) { return ((changefeed_loop *)ctx)->now_ms; }

static int64_t wall_now(void *ctx) {
  (void)ctx;
  return cfi_clock_wall(&cfi_clock_system);
}

void cfi_loop_refresh(changefeed_loop *loop) {
  loop->now_ms = cfi_clock_now(&cfi_clock_system);
}

static bool set_up_multi(cfi_multi *m) {
  return curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket) ==
             CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m) == CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timer) ==
             CURLM_OK &&
         curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m) == CURLM_OK &&
         /* A paused feed must not hold up others on the same connection. */
         curl_multi_setopt(m->curl, CURLMOPT_PIPELINING,
                           (long)CURLPIPE_NOTHING) == CURLM_OK;
}

static void drop_multi(cfi_multi *m) {
  if (m->curl != NULL)
    (void)curl_multi_cleanup(m->curl);
  m->curl = NULL;
  m->due_ms = CFI_NEVER;
}

static void drop_multis(changefeed_loop *loop) {
  for (int i = 0; i < CFI_MULTIS; i++)
    drop_multi(&loop->multis[i]);
}

bool cfi_loop_make_multi(cfi_multi *m) {
  if (m->curl != NULL)
    return true;
  m->curl = curl_multi_init();
  if (m->curl != NULL && set_up_multi(m))
    return true;
  drop_multi(m);
  return false;
}

int cfi_loop_new(changefeed_loop **out, const changefeed_allocator *allocator) {
  changefeed_loop *loop;
  cfi_alloc alloc;
  int rc;

  if (!cfi_alloc_init(&alloc, allocator))
    return CHANGEFEED_ERR_INVALID;
  (void)pthread_once(&curl_once, init_curl);
  loop = cfi_calloc(&alloc, 1, sizeof *loop);
  if (loop == NULL)
    return CHANGEFEED_ERR_NOMEM;
  loop->alloc = alloc;
  loop->clock = (cfi_clock){round_now, wall_now, loop};
  loop->owner = getpid();
  loop->commons_due_ms = CFI_NEVER;
  for (int i = 0; i < CFI_MULTIS; i++)
    loop->multis[i] = (cfi_multi){.loop = loop, .due_ms = CFI_NEVER};
  cfi_ramp_init(loop);
  atomic_init(&loop->mail, NULL);
  atomic_init(&loop->stop, false);
  atomic_init(&loop->woken, false);
  cfi_loop_refresh(loop);
  rc = cfi_driver_new(&loop->alloc, &loop->driver);
  if (rc == CHANGEFEED_OK && !cfi_loop_make_multi(&loop->multis[0]))
    rc = CHANGEFEED_ERR_NOMEM;
  if (rc != CHANGEFEED_OK) {
    int saved = errno;

    cfi_loop_free(loop);
    errno = saved;
    return rc;
  }
  *out = loop;
  return CHANGEFEED_OK;
}

void cfi_loop_free(changefeed_loop *loop) {
  cfi_alloc alloc = loop->alloc;

  while (loop->member_count != 0)
    cfi_loop_destroy(loop->seats[loop->member_count - 1].member,
                     !loop->abandoned);
  cfi_loop_close_commons(loop);
  drop_multis(loop);
  cfi_driver_free(loop->driver);
  cfi_free(&alloc, loop->seats);
  cfi_heap_free(&loop->heap, &alloc);
  cfi_free(&alloc, loop->sockets);
  cfi_free(&alloc, loop);
}

bool cfi_loop_is_forked(const changefeed_loop *loop) {
  return loop->owner != getpid();
}

/* The sockets are the parent's: what libcurl says to close them must reach
   nobody, not even as a TLS alert. */
void cfi_loop_abandon(changefeed_loop *loop) {
  int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

  loop->abandoned = true;
  cfi_driver_abandon(loop->driver);
  /* Without /dev/null closing them here is next best: libcurl's own writes
     then fail with EBADF. */
  for (int fd = 0; (size_t)fd < loop->socket_cap; fd++)
    if (is_ours(loop, fd) && (null_fd < 0 || dup3(null_fd, fd, O_CLOEXEC) < 0))
      (void)close(fd);
  if (null_fd >= 0)
    (void)close(null_fd);
  cfi_loop_free(loop);
}

/* ---- the round ---- */

static void socket_action(cfi_multi *m, curl_socket_t fd, int mask) {
  changefeed_loop *loop = m->loop;
  int running;

  m->acted = true;
  if (m->curl == NULL ||
      curl_multi_socket_action(m->curl, fd, mask, &running) !=
          CURLM_OUT_OF_MEMORY)
    return; /* else it fails only for a socket that is no more */
  /* What it wanted to remember about a socket is lost, which one it does not
     tell: that request would wait for ever, and libcurl 7.88 divides by zero
     when the descriptor's number comes again. */
  cfi_loop_end_requests(loop);
  drop_multis(loop);
}

static void run_sockets(changefeed_loop *loop, const cfi_driver_event *events,
                        int count) {
  for (int i = 0; i < count; i++) {
    unsigned what = events[i].what;

    socket_action(&loop->multis[loop->sockets[events[i].fd].multi],
                  events[i].fd,
                  ((what & CFI_DRIVER_READ) != 0 ? CURL_CSELECT_IN : 0) |
                      ((what & CFI_DRIVER_WRITE) != 0 ? CURL_CSELECT_OUT : 0) |
                      ((what & CFI_DRIVER_ERROR) != 0 ? CURL_CSELECT_ERR : 0));
  }
}

/* True: libcurl's time had come. */
static bool run_timers(changefeed_loop *loop) {
  bool any = false;

  for (int i = 0; i < CFI_MULTIS; i++)
    if (loop->now_ms >= loop->multis[i].due_ms) {
      loop->multis[i].due_ms = CFI_NEVER;
      socket_action(&loop->multis[i], CURL_SOCKET_TIMEOUT, 0);
      any = true;
    }
  return any;
}

static void finish_transfers(cfi_multi *m) {
  CURLMsg *message;
  int left;

  if (!m->acted)
    return;
  m->acted = false;
  while (m->curl != NULL &&
         (message = curl_multi_info_read(m->curl, &left)) != NULL) {
    CURLcode code = message->data.result;
    cfi_transfer *t = NULL;

    if (message->msg != CURLMSG_DONE ||
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) !=
            CURLE_OK ||
        t == NULL)
      continue;
    cfi_transfer_done(t, code); /* message is gone from here on */
  }
}

static int wait_ms(const changefeed_loop *loop, int timeout_ms) {
  int64_t due = cfi_ramp_due_ms(loop), wait;

  if (loop->ready != NULL || atomic_load(&loop->mail) != NULL)
    return 0;
  if (cfi_heap_first_ms(&loop->heap) < due)
    due = cfi_heap_first_ms(&loop->heap);
  for (int i = 0; i < CFI_MULTIS; i++)
    if (loop->multis[i].due_ms < due)
      due = loop->multis[i].due_ms;
  if (loop->commons_due_ms < due)
    due = loop->commons_due_ms;
  if (due == CFI_NEVER)
    return timeout_ms;
  wait = due > loop->now_ms ? due - loop->now_ms : 0;
  if (wait > INT_MAX)
    wait = INT_MAX;
  return timeout_ms >= 0 && timeout_ms < wait ? timeout_ms : (int)wait;
}

/* A foreign loop is told when to come again. */
static void rearm(changefeed_loop *loop) {
  int wait = wait_ms(loop, -1);

  (void)cfi_driver_arm(
      loop->driver, wait < 0 ? CFI_NEVER : cfi_clock_after(loop->now_ms, wait));
}

/* Reads every socket that has something, however many they are, before anybody
   looks at deadlines: bytes in the kernel are no silence. Events, or -1. */
static int read_sockets(changefeed_loop *loop, int timeout_ms) {
  cfi_driver_event events[MAX_EVENTS];
  size_t batches = loop->socket_count / MANY_EVENTS + 1;
  int count, all = 0;

  do {
    count = cfi_driver_wait(loop->driver, events, MAX_EVENTS, timeout_ms);
    if (count < 0)
      return -1;
    cfi_loop_refresh(loop);
    loop->read_ms = loop->now_ms;
    run_sockets(loop, events, count);
    all += count;
    timeout_ms = 0;
  } while (count >= MANY_EVENTS && batches-- != 0);
  return all;
}

int cfi_loop_round(changefeed_loop *loop, int timeout_ms) {
  bool worked;
  int count;

  cfi_loop_refresh(loop);
  count = read_sockets(loop, wait_ms(loop, timeout_ms));
  if (count < 0)
    return CHANGEFEED_ERR_SYSTEM;
  worked = count != 0;
  worked = run_timers(loop) || worked;
  for (int i = 0; i < CFI_MULTIS; i++)
    finish_transfers(&loop->multis[i]);
  cfi_loop_take_mail(loop);
  cfi_loop_wake_due(loop);
  cfi_ramp_expire(loop);
  if (loop->now_ms >= loop->commons_due_ms)
    cfi_loop_close_commons(loop);
  worked = cfi_loop_step_ready(loop) || worked;
  rearm(loop);
  return worked ? CHANGEFEED_OK : CHANGEFEED_TIMEOUT;
}

static void noted(changefeed *feed) {
  cfi_loop_make_ready(cfi_loop_member(feed));
}

void cfi_loop_sockets(changefeed_loop *loop, cfi_sockets *out) {
  out->ctx = loop;
  out->open = open_socket;
  out->close = close_socket;
  out->noted = noted;
  out->beat = cfi_loop_beat;
}
