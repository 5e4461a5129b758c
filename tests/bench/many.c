/* Thousands of idle feeds on one loop in one thread against as many bare
   libcurl handles: time until all are live, resident memory, processor time.
   Each in a process of its own, so that neither sees the other's memory. They
   come up one after the other and then wait at the same time: what else this
   machine does meanwhile it does to both.

     bench_many [--feeds N] [--beat MS] [--seconds S] [--settle S] */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "changefeed/changefeed.h"
#include "support/beats.h"
#include "support/proc.h"
#include "support/timing.h"

enum { CONTENDERS = 2, PATIENCE_MS = 120000, FDS_BESIDE = 300, SKIPPED = 77 };

typedef struct result {
  double live_s, cpu_live_s; /* until all were live */
  double rss_kb;             /* of each feed */
  double cpu_percent;        /* of a core, idle */
  double cpu_us;             /* of each heartbeat */
  unsigned long accepted, asking_most;
  atomic_bool live; /* all are */
  bool done;
} result;

typedef struct plan {
  size_t feeds;
  int64_t beat_ms, seconds, settle_s;
  char base[64];
  cft_beats server;
  _Atomic(int64_t) *begin_ms; /* all have settled by then; 0: not known yet */
} plan;

/* What all processes see. */
typedef struct board {
  _Atomic(int64_t) begin_ms;
  result of[CONTENDERS];
} board;

typedef struct contender {
  const char *name;
  bool (*open)(const plan *p);
  bool (*round)(int timeout_ms);
  size_t (*live)(void);
} contender;

static double cpu_s(void) {
  struct rusage u;

  if (getrusage(RUSAGE_SELF, &u) != 0)
    return 0;
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- the library ---- */

static changefeed_loop *loop;
static size_t live;

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  (void)change;
  (void)user;
  return 0;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  (void)feed;
  (void)user;
  if (event->state == CHANGEFEED_STATE_LIVE)
    live++;
  if (event->previous == CHANGEFEED_STATE_LIVE)
    live--;
}

static bool library_open(const plan *p) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options;
  char url[100];
  int rc = changefeed_loop_new(&loop, NULL);

  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_new(&options);
  if (rc != CHANGEFEED_OK)
    return false;
  changefeed_options_set_callbacks(options, &callbacks);
  rc = changefeed_options_set(options, "proxy", "-");
  for (size_t i = 0; i < p->feeds && rc == CHANGEFEED_OK; i++) {
    changefeed *feed;

    (void)snprintf(url, sizeof url, "%s/db%zu", p->base, i);
    rc = changefeed_options_set(options, "url", url);
    if (rc == CHANGEFEED_OK)
      rc = changefeed_open(&feed, loop, options);
  }
  if (rc != CHANGEFEED_OK)
    fprintf(stderr, "%s\n", changefeed_options_error(options));
  changefeed_options_free(options);
  return rc == CHANGEFEED_OK;
}

static bool library_round(int timeout_ms) {
  return changefeed_loop_run_once(loop, timeout_ms) >= 0;
}

static size_t library_live(void) { return live; }

/* ---- bare libcurl ---- */

static CURLM *multi;
static int epoll_fd;
static int64_t curl_due_ms = -1;

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  bool *seen = user;

  (void)data;
  live += !*seen;
  *seen = true;
  return size * count;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                     void *socket_user) {
  struct epoll_event ev = {.data = {.fd = fd}};

  (void)easy;
  (void)user;
  (void)socket_user;
  ev.events = ((what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0U) |
              ((what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0U);
  if (what == CURL_POLL_REMOVE)
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &ev);
  else if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &ev) != 0)
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
  return 0;
}

static int on_timer(CURLM *m, long timeout_ms, void *user) {
  (void)m;
  (void)user;
  curl_due_ms = timeout_ms < 0 ? -1 : cft_now_ms() + timeout_ms;
  return 0;
}

static bool bare_round(int timeout_ms) {
  struct epoll_event events[256];
  int64_t now = cft_now_ms();
  int n, running, wait = timeout_ms;

  if (curl_due_ms >= 0 && curl_due_ms - now < wait)
    wait = curl_due_ms > now ? (int)(curl_due_ms - now) : 0;
  n = epoll_wait(epoll_fd, events, 256, wait);
  for (int i = 0; i < n; i++)
    if (curl_multi_socket_action(
            multi, events[i].data.fd,
            ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0),
            &running) != CURLM_OK)
      return false;
  if (curl_due_ms >= 0 && cft_now_ms() >= curl_due_ms) {
    curl_due_ms = -1;
    return curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running) ==
           CURLM_OK;
  }
  return n >= 0 || errno == EINTR;
}

static size_t bare_live(void) { return live; }

static bool bare_add(const char *url, bool *seen) {
  CURL *easy = curl_easy_init();

  return easy != NULL && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_WRITEDATA, seen) == CURLE_OK &&
         curl_multi_add_handle(multi, easy) == CURLM_OK;
}

/* So many at once as the library has: a listening socket holds back no more. */
static bool bare_open(const plan *p) {
  enum { AT_ONCE = 96 };
  bool *seen = calloc(p->feeds, sizeof *seen);
  char url[140];

  multi = curl_multi_init();
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (seen == NULL || multi == NULL || epoll_fd < 0 ||
      curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) !=
          CURLM_OK ||
      curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK)
    return false;
  for (size_t i = 0; i < p->feeds; i++) {
    (void)snprintf(url, sizeof url,
                   "%s/db%zu/_changes?feed=continuous&heartbeat=%lld", p->base,
                   i, (long long)p->beat_ms);
    if (!bare_add(url, &seen[i]))
      return false;
    while (i + 1 > live + AT_ONCE)
      if (!bare_round(100))
        return false;
  }
  return true;
}

/* ---- measuring ---- */

static bool idle_until(const contender *c, int64_t until_ms) {
  while (cft_now_ms() < until_ms)
    if (!c->round((int)(until_ms - cft_now_ms())))
      return false;
  return true;
}

static bool come_up(const contender *c, const plan *p, result *r) {
  int64_t begun = cft_now_ms();
  double cpu = cpu_s();

  if (!c->open(p))
    return false;
  while (c->live() < p->feeds)
    if (!c->round(100) || cft_now_ms() - begun > PATIENCE_MS)
      return false;
  r->live_s = (double)(cft_now_ms() - begun) / 1000;
  r->cpu_live_s = cpu_s() - cpu;
  r->accepted = atomic_load(&p->server.seen->accepted);
  r->asking_most = atomic_load(&p->server.seen->asking_most);
  return true;
}

static bool measure(const contender *c, const plan *p, result *r) {
  size_t rss = cft_rss_bytes(getpid());
  int64_t begun;
  unsigned long beats;
  double cpu;

  if (!come_up(c, p, r))
    return false;
  atomic_store(&r->live, true);
  while (atomic_load(p->begin_ms) == 0)
    if (!idle_until(c, cft_now_ms() + 50))
      return false;
  begun = atomic_load(p->begin_ms);
  if (!idle_until(c, begun))
    return false;
  cpu = cpu_s();
  beats = atomic_load(&p->server.seen->beats);
  if (!idle_until(c, begun + p->seconds * 1000))
    return false;
  cpu = cpu_s() - cpu;
  beats = atomic_load(&p->server.seen->beats) - beats;
  r->cpu_percent = 100 * cpu * 1000 / (double)(cft_now_ms() - begun);
  r->rss_kb = (double)(cft_rss_bytes(getpid()) - rss) / 1024 / (double)p->feeds;
  r->cpu_us = beats != 0 ? cpu * 1e6 / (double)beats : 0;
  return r->done = c->live() == p->feeds;
}

typedef struct child {
  const result *r;
  pid_t pid;
} child;

static bool is_up_or_gone(void *user) {
  const child *c = user;

  return atomic_load(&c->r->live) || waitpid(c->pid, NULL, WNOHANG) != 0;
}

/* Forked for each: the other's memory is not there to be used again. */
static bool start(const contender *c, plan *p, result *r, pid_t *pid) {
  if (!cft_beats_start(&p->server, p->beat_ms, 0)) {
    perror("bench_many: the server");
    return false;
  }
  (void)snprintf(p->base, sizeof p->base, "http://127.0.0.1:%d",
                 p->server.port);
  *pid = fork();
  if (*pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(measure(c, p, r) ? 0 : 1);
  }
  return *pid > 0 &&
         cft_until(is_up_or_gone, &(child){r, *pid}, 2 * PATIENCE_MS) &&
         atomic_load(&r->live);
}

static bool run_all(const contender *c, plan *p, result *r) {
  plan plans[CONTENDERS];
  pid_t pids[CONTENDERS] = {0};
  bool good = true;

  for (int i = 0; i < CONTENDERS && good; i++) {
    plans[i] = *p;
    good = start(&c[i], &plans[i], &r[i], &pids[i]);
    if (!good)
      fprintf(stderr, "bench_many: %s did not get so far\n", c[i].name);
  }
  /* What belongs to the start is over then, libcurl's timers included. */
  atomic_store(p->begin_ms, cft_now_ms() + p->settle_s * 1000);
  for (int i = 0; i < CONTENDERS && good; i++) {
    int status;

    while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
      ;
    good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && r[i].done;
    if (!good)
      fprintf(stderr, "bench_many: %s lost feeds\n", c[i].name);
  }
  for (int i = 0; i < CONTENDERS && pids[i] != 0; i++)
    cft_beats_stop(&plans[i].server);
  return good;
}

static bool parse(plan *p, int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    long long n = strtoll(argv[i + 1], NULL, 10);

    if (n <= 0)
      return false;
    if (strcmp(argv[i], "--feeds") == 0)
      p->feeds = (size_t)n;
    else if (strcmp(argv[i], "--beat") == 0)
      p->beat_ms = n;
    else if (strcmp(argv[i], "--seconds") == 0)
      p->seconds = n;
    else if (strcmp(argv[i], "--settle") == 0)
      p->settle_s = n;
    else
      return false;
  }
  return argc % 2 == 1;
}

int main(int argc, char **argv) {
  static const contender all[CONTENDERS] = {
      {"bare libcurl", bare_open, bare_round, bare_live},
      {"libchangefeed", library_open, library_round, library_live}};
  plan p = {.feeds = 1000, .beat_ms = 10000, .seconds = 20, .settle_s = 1};
  board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const result *r;

  if (!parse(&p, argc, argv) || b == MAP_FAILED) {
    fprintf(stderr, "bench_many [--feeds N] [--beat MS] [--seconds S] "
                    "[--settle S]\n");
    return 2;
  }
  if (!cft_want_fds(p.feeds + FDS_BESIDE)) {
    printf("%zu feeds: skipped, this process may not open so many "
           "descriptors (ulimit -Hn)\n",
           p.feeds);
    return SKIPPED;
  }
  p.begin_ms = &b->begin_ms;
  if (!run_all(all, &p, b->of))
    return 1;
  r = b->of;
  printf("%zu idle feeds, a heartbeat each %lld ms, %lld s\n\n"
         "| | connections | at once | all live, s | CPU s until then "
         "| KB each | %% of a core | us CPU per heartbeat |\n"
         "|---|---:|---:|---:|---:|---:|---:|---:|\n",
         p.feeds, (long long)p.beat_ms, (long long)p.seconds);
  for (int i = 0; i < CONTENDERS; i++)
    printf("| %s | %lu | %lu | %.2f | %.2f | %.1f | %.2f | %.1f |\n",
           all[i].name, r[i].accepted, r[i].asking_most, r[i].live_s,
           r[i].cpu_live_s, r[i].rss_kb, r[i].cpu_percent, r[i].cpu_us);
  printf("\nBeyond bare libcurl: %.1f KB for each feed, %.2f x its processor "
         "time.\n",
         r[1].rss_kb - r[0].rss_kb, r[1].cpu_percent / r[0].cpu_percent);
  return 0;
}
