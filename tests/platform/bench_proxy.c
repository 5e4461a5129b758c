/* What it costs to pass a request on, with all that a balancer does but for its
   table: the claim is set and its echo looked for.

     bench_proxy [CONNECTIONS [SECONDS]]      (64, 2)

   is a server, a proxy and clients, each a process, small answers over
   connections that stay. Told are requests a second and the proxy's CPU time
   for one.

     bench_proxy --front PORT

   is the proxy only, for tests/bench/proxy.sh: it prints where it listens, and
   ends with its standard input. Host aN.bench, N below 1000, is the app aN, on
   port PORT of 127.1.0.1 + N % 16. */
#include "common/http_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASK                                                                    \
  "GET /a HTTP/1.1\r\nHost: a7.bench\r\nUser-Agent: bench\r\n"                 \
  "Accept: */*\r\nX-Some: thing\r\n\r\n"
#define CLAIM "X-Drone-Claim"

enum { MOST = 1000, APPS = 1000, DRONES = 16 };

typedef struct app {
  char claim[64], address[32];
} app;

typedef struct program {
  uv_loop_t loop;
  http_server *server;
  http_pool *pool;   /* NULL: it answers itself */
  const char *whole; /* address behind; NULL: the app's */
  app apps[APPS];
} program;

static void die(const char *what) {
  (void)fprintf(stderr, "bench_proxy: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- server and proxy ---- */

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

/* aN.bench: N, below APPS. */
static const app *app_of(const program *p, http_str host) {
  unsigned n = 0;

  for (size_t i = 1; i < host.len && host.data[i] >= '0' && host.data[i] <= '9';
       i++)
    n = n * 10 + (unsigned)(host.data[i] - '0');
  return &p->apps[n % APPS];
}

static void make_apps(program *p, unsigned port) {
  for (unsigned i = 0; i < APPS; i++) {
    (void)snprintf(p->apps[i].claim, sizeof p->apps[i].claim, "a%u/%032x", i,
                   i);
    (void)snprintf(p->apps[i].address, sizeof p->apps[i].address,
                   "127.1.0.%u:%u", 1 + i % DRONES, port);
  }
}

static void on_failed(http_exchange *x, enum http_proxy_result result,
                      const char *why, void *user) {
  (void)result;
  (void)user;
  http_exchange_answer(x, 502, NULL, 0, why, strlen(why));
}

static enum http_proxy_result on_head(http_exchange *x, const http_head *head,
                                      void *user) {
  const http_field *echo = http_head_find(head, CLAIM);
  const app *a = app_of(user, http_exchange_head(x)->host);

  return echo != NULL && http_str_same(echo->value, a->claim)
             ? HTTP_PROXY_OK
             : HTTP_PROXY_REJECTED;
}

static void answer(http_exchange *x) {
  static char body[100];
  const http_field *claim = http_head_find(http_exchange_head(x), CLAIM);

  if (body[0] == '\0')
    memset(body, 'x', sizeof body);
  http_exchange_answer(x, 200, claim, claim != NULL ? 1 : 0, body, sizeof body);
}

static void on_request(http_exchange *x, void *user) {
  program *p = user;
  const app *a = app_of(p, http_exchange_head(x)->host);
  http_proxy_target target = {p->whole != NULL ? p->whole : a->address,
                              a->claim};
  http_field field = {str(CLAIM), str(a->claim)};
  http_proxy_rules rules = {.request = &field,
                            .request_count = 1,
                            .drop_prefix = "X-Drone-",
                            .forwarded = true,
                            .via = "bench",
                            .on_head = on_head,
                            .on_failed = on_failed,
                            .user = p};

  if (p->pool == NULL)
    answer(x);
  else
    http_proxy(x, p->pool, &target, &rules);
}

static void open_all(program *p, bool proxy) {
  http_server_config config = {.address = "127.0.0.1:0",
                               .max_connections = MOST,
                               .on_request = on_request,
                               .user = p};
  http_pool_config pool = {.max_idle = MOST, .max_idle_all = MOST};
  char error[200];

  if (uv_loop_init(&p->loop) != 0)
    die("loop");
  if (proxy && (p->pool = http_pool_new(&p->loop, &pool)) == NULL)
    die("pool");
  p->server = http_server_open(&p->loop, &config, error, sizeof error);
  if (p->server == NULL)
    die(error);
}

/* In a process of its own, until it is ended; its address is written to fd. */
static pid_t begin(const char *behind, char *address, size_t size) {
  static program p; /* the loop is never closed */
  const char *mine;
  int fds[2];
  pid_t pid;
  ssize_t n;

  if (pipe(fds) != 0)
    die("pipe");
  pid = fork();
  if (pid < 0)
    die("fork");
  if (pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive us */
    p.whole = behind;
    make_apps(&p, 0);
    open_all(&p, behind != NULL);
    mine = http_server_address(p.server);
    if (write(fds[1], mine, strlen(mine)) < 0)
      die("write");
    (void)close(fds[1]);
    (void)uv_run(&p.loop, UV_RUN_DEFAULT);
    exit(0);
  }
  (void)close(fds[1]);
  n = read(fds[0], address, size - 1);
  if (n <= 0)
    die("no address");
  address[n] = '\0';
  (void)close(fds[0]);
  return pid;
}

static void on_stdin(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  uv_stop(poll->loop);
}

static int front(const char *port) {
  static program p;
  uv_poll_t input;

  make_apps(&p, (unsigned)strtoul(port, NULL, 10));
  open_all(&p, true);
  if (uv_poll_init(&p.loop, &input, STDIN_FILENO) != 0 ||
      uv_poll_start(&input, UV_READABLE | UV_DISCONNECT, on_stdin) != 0)
    die("standard input is to be a pipe");
  (void)printf("%s\n", http_server_address(p.server));
  (void)fflush(stdout);
  (void)uv_run(&p.loop, UV_RUN_DEFAULT);
  return 0;
}

/* ---- clients ---- */

static int connect_to(const char *address) {
  struct sockaddr_in to;
  unsigned port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || uv_ip4_addr("127.0.0.1", (int)port, &to) != 0 ||
      connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
    die("connect");
  return fd;
}

static void ask(int fd) {
  if (send(fd, ASK, strlen(ASK), MSG_NOSIGNAL) != (ssize_t)strlen(ASK))
    die("send");
}

/* Requests that were answered; the answers are all of one length and come in
   one piece. */
static uint64_t load(const char *address, int connections, int64_t us) {
  struct epoll_event events[64];
  char data[4096];
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int64_t end = now_us() + us;
  uint64_t count = 0;

  for (int i = 0; i < connections; i++) {
    struct epoll_event event = {.events = EPOLLIN};

    event.data.fd = connect_to(address);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
      die("epoll");
    ask(event.data.fd);
  }
  while (now_us() < end) {
    int n = epoll_wait(epoll, events, 64, 1000);

    for (int i = 0; i < n; i++) {
      ssize_t len = recv(events[i].data.fd, data, sizeof data, 0);

      if (len < 12 || memcmp(data, "HTTP/1.1 200", 12) != 0)
        die("not the answer");
      count++;
      ask(events[i].data.fd);
    }
  }
  (void)close(epoll);
  return count;
}

static double cpu_s(const struct rusage *r) {
  return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
         (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec) / 1e6;
}

/* Ends it, and says how long it has worked. */
static double end(pid_t pid) {
  struct rusage usage;
  int status;

  (void)kill(pid, SIGTERM);
  if (wait4(pid, &status, 0, &usage) != pid)
    die("wait");
  return cpu_s(&usage);
}

int main(int argc, char **argv) {
  int connections = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 64;
  int64_t us = (argc > 2 ? strtol(argv[2], NULL, 10) : 2) * 1000000;
  char behind[64], before[64];
  pid_t server, proxy;
  uint64_t count;
  double server_s, proxy_s;

  if (argc == 3 && strcmp(argv[1], "--front") == 0)
    return front(argv[2]);
  if (connections < 1 || connections > MOST || us <= 0) {
    (void)fprintf(stderr, "usage: bench_proxy [CONNECTIONS [SECONDS]]\n"
                          "       bench_proxy --front PORT\n");
    return 2;
  }
  server = begin(NULL, behind, sizeof behind);
  proxy = begin(behind, before, sizeof before);
  count = load(before, connections, us);
  proxy_s = end(proxy);
  server_s = end(server);
  (void)printf("connections %d: %.0f requests/s, CPU per request: proxy %.1f "
               "us, server %.1f us\n",
               connections, (double)count / ((double)us / 1e6),
               proxy_s * 1e6 / (double)count, server_s * 1e6 / (double)count);
  return 0;
}
