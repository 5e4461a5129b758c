/*
 * What does not depend on the machine: how often the library asks for memory
 * when it is in its stride, and into how many pieces libcurl cuts what it hands
 * to it. A whole feed over a socket, through the public interface; libcurl's
 * own allocations are not counted.
 *
 *   counters PATH-OF-FEED-SERVER
 */
/* ctest: WRAP cfi_feed_receive */
#define _POSIX_C_SOURCE 200809L

#include <changefeed/changefeed.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "feed.h"

typedef struct counters {
  size_t allocations;
  uint64_t rows, half;
  size_t at_half, at_end; /* allocations until then */
  changefeed_loop *loop;
} counters;

/* Of the whole process, since the function that is replaced has no place for a
   pointer of ours. */
static size_t pieces, piece_bytes;

bool __real_cfi_feed_receive(changefeed *f, cfi_lane *l, const void *data,
                             size_t len, bool *fail);
bool __wrap_cfi_feed_receive(changefeed *f, cfi_lane *l, const void *data,
                             size_t len, bool *fail);

bool __wrap_cfi_feed_receive(changefeed *f, cfi_lane *l, const void *data,
                             size_t len, bool *fail) {
  pieces++;
  piece_bytes += len;
  return __real_cfi_feed_receive(f, l, data, len, fail);
}

static void *counted_resize(void *ctx, void *block, size_t size) {
  ((counters *)ctx)->allocations++;
  return realloc(block, size);
}

static void counted_release(void *ctx, void *block) {
  (void)ctx;
  free(block);
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  counters *c = user;

  (void)feed;
  (void)change;
  c->at_end = c->allocations;
  if (++c->rows == c->half)
    c->at_half = c->allocations;
  return CHANGEFEED_CONTINUE;
}

/* ---- the server ---- */

typedef struct server {
  pid_t pid;
  int in; /* it ends with this */
  unsigned port;
} server;

static bool start(server *s, const char *path, const char *feed,
                  const char *rows, const char *chunk) {
  char line[128];
  int to[2], from[2];
  ssize_t len;

  if (pipe(to) != 0 || pipe(from) != 0 || (s->pid = fork()) < 0)
    return false;
  if (s->pid == 0) {
    (void)dup2(to[0], STDIN_FILENO);
    (void)dup2(from[1], STDOUT_FILENO);
    (void)close(to[0]);
    (void)close(to[1]);
    (void)close(from[0]);
    (void)close(from[1]);
    (void)execl(path, path, "--feed", feed, "--rows", rows, "--chunk", chunk,
                (char *)NULL);
    _exit(127);
  }
  (void)close(to[0]);
  (void)close(from[1]);
  s->in = to[1];
  len = read(from[0], line, sizeof line - 1);
  (void)close(from[0]);
  if (len <= 0)
    return false;
  line[len] = '\0';
  s->port = (unsigned)strtoul(line, NULL, 10);
  return s->port != 0;
}

static void end(server *s) {
  (void)close(s->in);
  (void)waitpid(s->pid, NULL, 0);
}

/* ---- the feed ---- */

static bool read_all(counters *c, unsigned port) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;
  changefeed_options *options = NULL;
  changefeed *feed = NULL;
  char url[64];
  bool good;

  allocator.resize = counted_resize;
  allocator.release = counted_release;
  allocator.ctx = c;
  callbacks.on_change = on_change;
  callbacks.user = c;
  (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/db", port);
  good = changefeed_options_new(&options) == 0 &&
         changefeed_options_set(options, "url", url) == 0 &&
         changefeed_options_set(options, "mode", "once") == 0 &&
         changefeed_options_set_callbacks(options, &callbacks) == 0 &&
         changefeed_loop_new(&c->loop, &allocator) == 0 &&
         changefeed_open(&feed, c->loop, options) == 0 &&
         changefeed_loop_run(c->loop) == 0 &&
         changefeed_get_state(feed) == CHANGEFEED_STATE_ENDED;
  if (!good && feed != NULL)
    (void)fprintf(stderr, "%s\n", changefeed_last_error(feed)->message);
  changefeed_loop_free(c->loop);
  changefeed_options_free(options);
  return good;
}

typedef struct expectation {
  const char *feed, *rows, *chunk;
  /* In the second half of the rows. Its queue may grow to its size late, by
     doubling, when the network was slow before. */
  size_t allocations;
  /* Of a MiB: one for each of the server's HTTP chunks, since libcurl hands
     them over one by one, and some for where reading broke off. */
  size_t pieces;
} expectation;

static const expectation all[] = {
    {"a", "20000", "1490", 12, 1000}, {"a", "20000", "65536", 12, 90},
    {"b", "20000", "1490", 12, 1500}, {"b", "20000", "65536", 12, 90},
    {"c", "4000", "1490", 12, 140},   {"c", "4000", "65536", 12, 90},
};

static bool check(const char *path, const expectation *e) {
  counters c = {0};
  server s;
  uint64_t rows = strtoull(e->rows, NULL, 10);
  size_t allocations, per_mib;
  bool good;

  if (!start(&s, path, e->feed, e->rows, e->chunk)) {
    (void)fprintf(stderr, "counters: %s did not start\n", path);
    return false;
  }
  pieces = piece_bytes = 0;
  c.half = rows / 2;
  good = read_all(&c, s.port) && c.rows == rows;
  end(&s);
  if (!good)
    return false;
  allocations = c.at_end - c.at_half;
  per_mib = pieces * 1024 / (piece_bytes / 1024 + 1);
  (void)printf("feed %s, chunks of %s: %zu allocations for %llu rows (at most "
               "%zu), %zu pieces for a MiB (at most %zu)\n",
               e->feed, e->chunk, allocations,
               (unsigned long long)(rows - c.half), e->allocations, per_mib,
               e->pieces);
  /* Nothing counted at all would be no measurement. */
  return c.at_half != 0 && allocations <= e->allocations && per_mib != 0 &&
         per_mib <= e->pieces;
}

int main(int argc, char **argv) {
  bool good = true;

  if (argc != 2) {
    (void)fprintf(stderr, "usage: counters PATH-OF-FEED-SERVER\n");
    return 2;
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    good = check(argv[1], &all[i]) && good;
  return good ? 0 : 1;
}
