/* The thread that keeps HAProxy's map as the model says. A new link always
   begins with a complete replacement; after that changes are sent as they come,
   and now and then the whole map is read back. Whatever is not as it was left,
   and each command that HAProxy refuses, leads to a replacement again.

   A HAProxy that is reloaded goes on with our link in the old process, while
   the new one has an empty map: so it is asked twice a second whether it is
   about to end. See haproxy_state.h. */
#include "balancer/haproxy_state.h"

#include "common/log.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
  PROBE_MS = 500,
  RETRY_LEAST_MS = 20,
  RETRY_MOST_MS = 1000,
  VERIFY_MS = 60000
};

typedef struct work {
  haproxy_sync *sync;
  haproxy_link *link;
  int64_t verify_at, probe_at, retry_ms;
  haproxy_digest seen;    /* what HAProxy has, while it is read */
  uint64_t version;       /* of a map that is prepared */
  uint64_t pid, stopping; /* out of `show info` */
  uint64_t connections, requests;
  bool has_base, has_over;
  char why[HAPROXY_SAY];
} work;

static int64_t now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void raise_fd(int fd) {
  static const uint64_t one = 1;

  /* Full is as good. */
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
    ;
}

static void lower_fd(int fd) {
  uint64_t n;

  while (read(fd, &n, sizeof n) < 0 && errno == EINTR)
    ;
}

static bool is_stopped(const haproxy_sync *s) {
  struct pollfd fd = {s->stop, POLLIN, 0};

  return poll(&fd, 1, 0) > 0;
}

/* ---- commands ---- */

static bool no_line(void *ctx, const char *line) {
  (void)ctx;
  (void)line;
  return false;
}

static bool ask(work *w, const char *command,
                bool (*on_line)(void *, const char *)) {
  return haproxy_link_ask(w->link, command, strlen(command), 1, on_line, w,
                          w->why, sizeof w->why);
}

static bool on_info(void *ctx, const char *line) {
  work *w = ctx;

  if (!haproxy_info(line, "Pid", &w->pid) &&
      !haproxy_info(line, "Stopping", &w->stopping) &&
      !haproxy_info(line, "CurrConns", &w->connections))
    (void)haproxy_info(line, "CumReq", &w->requests);
  return true;
}

/* Also that it is no old process, whose visitors have gone to another. */
static bool probe(work *w) {
  haproxy_sync *s = w->sync;

  w->pid = w->stopping = w->connections = w->requests = 0;
  if (!ask(w, "show info\n", on_info))
    return false;
  w->probe_at = now_ms() + PROBE_MS;
  (void)pthread_mutex_lock(&s->lock);
  s->state.pid = w->pid;
  s->state.connections = w->connections;
  s->state.requests = w->requests;
  (void)pthread_mutex_unlock(&s->lock);
  if (w->pid != 0 && w->stopping == 0)
    return true;
  (void)snprintf(w->why, sizeof w->why, "%s",
                 w->pid == 0 ? "HAProxy does not say which process it is"
                             : "this HAProxy ends, another takes over");
  return false;
}

static bool on_list(void *ctx, const char *line) {
  work *w = ctx;

  if (strstr(line, "(" HAPROXY_BASE ")") != NULL)
    w->has_base = true;
  if (strstr(line, "(" HAPROXY_OVER ")") != NULL)
    w->has_over = true;
  return true;
}

static bool check_maps(work *w) {
  w->has_base = w->has_over = false;
  if (!ask(w, "show map\n", on_list))
    return false;
  if (w->has_base && w->has_over)
    return true;
  (void)snprintf(w->why, sizeof w->why,
                 "HAProxy runs with another configuration than that of "
                 "balancer --print-haproxy-config");
  return false;
}

/* ---- replacing ---- */

static bool on_version(void *ctx, const char *line) {
  work *w = ctx;

  return haproxy_info(line, "New version created", &w->version);
}

/* The end of as many lines as one command takes, one at least. */
static const char *lines_end(const char *at, const char *end) {
  const char *stop = at;

  while (stop != end) {
    const char *line = memchr(stop, '\n', (size_t)(end - stop));

    if (stop != at && line + 1 - at > HAPROXY_PAYLOAD)
      break;
    stop = line + 1;
  }
  return stop;
}

static bool send_lines(work *w, const char *map, const text *lines) {
  const char *at = text_get(lines), *end = at + lines->len;
  text command = TEXT_INIT;
  bool ok = true;

  while (ok && at != end) {
    const char *stop = lines_end(at, end);

    text_clear(&command);
    text_printf(&command, "add map @%" PRIu64 " %s <<\n", w->version, map);
    text_add(&command, at, (size_t)(stop - at));
    text_str(&command, "\n");
    ok = !command.failed &&
         haproxy_link_ask(w->link, command.data, command.len, 1, no_line, w,
                          w->why, sizeof w->why);
    at = stop;
  }
  text_free(&command);
  return ok;
}

static bool replace_map(work *w, const char *map, const text *lines) {
  char command[64];

  w->version = 0;
  (void)snprintf(command, sizeof command, "prepare map %s\n", map);
  if (!ask(w, command, on_version) || !send_lines(w, map, lines))
    return false;
  (void)snprintf(command, sizeof command, "commit map @%" PRIu64 " %s\n",
                 w->version, map);
  return ask(w, command, no_line);
}

static void tell(haproxy_sync *s, uint64_t batch) {
  (void)pthread_mutex_lock(&s->lock);
  s->state.acked = batch;
  s->state.sent = 0;
  s->state.in_force = true;
  s->state.trouble[0] = '\0';
  (void)pthread_mutex_unlock(&s->lock);
  s->on_news(s->ctx);
}

/* The base first: what lies over it then is older, or the same. */
static bool replace(work *w) {
  haproxy_sync *s = w->sync;
  text base = TEXT_INIT, over = TEXT_INIT;
  int64_t began = now_ms();
  uint64_t batch;
  size_t count;
  bool ok;

  (void)pthread_mutex_lock(&s->lock);
  count = haproxy_model_count(s->model);
  batch = haproxy_model_take_all(s->model, &base, &over);
  s->state.sent = count;
  (void)pthread_mutex_unlock(&s->lock);
  (void)snprintf(w->why, sizeof w->why, "there is no memory");
  ok = batch != 0 && replace_map(w, HAPROXY_BASE, &base) &&
       replace_map(w, HAPROXY_OVER, &over);
  text_free(&base);
  text_free(&over);
  if (!ok)
    return false;
  metric_add(s->replaced, 1);
  log_event(LOG_INFO, "haproxy.replaced", LN("entries", count),
            LN("ms", now_ms() - began), LN("pid", w->pid));
  w->verify_at = now_ms() + s->verify_ms;
  w->retry_ms = 0;
  tell(s, batch);
  return true;
}

/* ---- changes ---- */

static bool send_changes(work *w) {
  haproxy_sync *s = w->sync;
  text commands = TEXT_INIT;
  size_t count = 0;
  uint64_t batch;
  bool ok;

  (void)pthread_mutex_lock(&s->lock);
  batch = haproxy_model_take(s->model, &commands, &count);
  s->state.sent = count;
  (void)pthread_mutex_unlock(&s->lock);
  (void)snprintf(w->why, sizeof w->why, "there is no memory");
  ok = batch != 0 &&
       (count == 0 ||
        haproxy_link_ask(w->link, commands.data, commands.len, count, no_line,
                         w, w->why, sizeof w->why));
  text_free(&commands);
  if (!ok)
    return false;
  metric_add(s->changed, (int64_t)count);
  tell(s, batch);
  return true;
}

/* ---- proof ---- */

static bool on_entry(void *ctx, const char *line) {
  work *w = ctx;
  const char *entry = haproxy_map_line(line);

  if (entry == NULL)
    return false;
  haproxy_digest_add(&w->seen, entry, strlen(entry));
  return true;
}

static bool read_map(work *w, const char *command, haproxy_digest *out) {
  memset(&w->seen, 0, sizeof w->seen);
  if (!ask(w, command, on_entry))
    return false;
  *out = w->seen;
  return true;
}

static bool is_same(const haproxy_digest *a, const haproxy_digest *b) {
  return a->sum == b->sum && a->count == b->count;
}

static bool repair(work *w, uint64_t has, uint64_t wanted) {
  haproxy_sync *s = w->sync;

  (void)pthread_mutex_lock(&s->lock);
  s->state.in_force = false;
  (void)pthread_mutex_unlock(&s->lock);
  metric_add(s->repaired, 1);
  log_event(LOG_WARN, "haproxy.differs", LN("has", has), LN("wanted", wanted),
            LS("why", "somebody else has changed HAProxy's map; it is "
                      "replaced"));
  return replace(w);
}

/* Only when nothing waits: then HAProxy has what was taken last, and gets
   nothing else until this is over. */
static bool verify(work *w) {
  haproxy_sync *s = w->sync;
  haproxy_digest base, over, has_base, has_over;

  (void)pthread_mutex_lock(&s->lock);
  haproxy_model_digests(s->model, &base, &over);
  (void)pthread_mutex_unlock(&s->lock);
  if (!read_map(w, "show map " HAPROXY_BASE "\n", &has_base) ||
      !read_map(w, "show map " HAPROXY_OVER "\n", &has_over))
    return false;
  w->verify_at = now_ms() + s->verify_ms;
  if (is_same(&base, &has_base) && is_same(&over, &has_over))
    return true;
  return repair(w, has_base.count + has_over.count, base.count + over.count);
}

/* ---- the thread ---- */

static void lose(work *w) {
  haproxy_sync *s = w->sync;
  bool news;

  haproxy_link_close(w->link);
  w->link = NULL;
  metric_set(s->linked, 0);
  (void)pthread_mutex_lock(&s->lock);
  haproxy_model_forget(s->model);
  s->state.sent = 0;
  news = s->state.in_force || strcmp(s->state.trouble, w->why) != 0;
  s->state.in_force = false;
  memcpy(s->state.trouble, w->why, sizeof w->why);
  (void)pthread_mutex_unlock(&s->lock);
  if (!news || is_stopped(s))
    return;
  log_event(LOG_WARN, "haproxy.lost", LS("why", w->why));
  s->on_news(s->ctx);
}

static bool connect_again(work *w) {
  struct pollfd stop = {w->sync->stop, POLLIN, 0};

  if (poll(&stop, 1, (int)w->retry_ms) > 0)
    return true;
  w->retry_ms = w->retry_ms == 0                  ? RETRY_LEAST_MS
                : w->retry_ms * 2 < RETRY_MOST_MS ? w->retry_ms * 2
                                                  : RETRY_MOST_MS;
  w->link =
      haproxy_link_open(w->sync->path, w->sync->stop, w->why, sizeof w->why);
  if (w->link == NULL || !probe(w) || !check_maps(w))
    return false;
  metric_set(w->sync->linked, 1);
  return true;
}

/* What there is to do; false: the link is of no more use. */
static bool step(work *w) {
  haproxy_sync *s = w->sync;
  int64_t now = now_ms(), until = w->probe_at;
  size_t waiting;
  bool ready, all;

  lower_fd(s->wake);
  (void)pthread_mutex_lock(&s->lock);
  ready = s->ready;
  waiting = haproxy_model_waiting(s->model);
  all = haproxy_model_wants_all(s->model);
  (void)pthread_mutex_unlock(&s->lock);
  /* First, so that changes without an end do not keep us with an old one. */
  if (now >= w->probe_at)
    return probe(w);
  if (ready && all)
    return replace(w);
  if (ready && waiting != 0)
    return send_changes(w);
  if (ready && now >= w->verify_at)
    return verify(w);
  if (ready && w->verify_at < until)
    until = w->verify_at;
  (void)snprintf(w->why, sizeof w->why,
                 "HAProxy has closed its runtime socket");
  return haproxy_link_wait(w->link, s->wake, until - now);
}

static void *run(void *ctx) {
  haproxy_sync *s = ctx;
  work w = {.sync = s};

  while (!is_stopped(s)) {
    if (!(w.link == NULL ? connect_again(&w) : step(&w)))
      lose(&w);
  }
  haproxy_link_close(w.link);
  metric_set(s->linked, 0);
  return NULL;
}

void haproxy_sync_wake(haproxy_sync *s) { raise_fd(s->wake); }

static bool prepare(haproxy_sync *s) {
  s->model = haproxy_model_new();
  s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  s->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return s->model != NULL && s->wake >= 0 && s->stop >= 0 &&
         pthread_mutex_init(&s->lock, NULL) == 0;
}

bool haproxy_sync_start(haproxy_sync *s, char *error, size_t size) {
  memset(&s->state, 0, sizeof s->state);
  (void)snprintf(s->state.trouble, sizeof s->state.trouble,
                 "HAProxy was not reached yet");
  if (s->verify_ms <= 0)
    s->verify_ms = VERIFY_MS;
  if (!prepare(s)) {
    (void)snprintf(error, size, "there is no memory, or no descriptor");
  } else if (pthread_create(&s->thread, NULL, run, s) == 0) {
    return true;
  } else {
    (void)snprintf(error, size, "no thread can be started");
    (void)pthread_mutex_destroy(&s->lock);
  }
  if (s->wake >= 0)
    (void)close(s->wake);
  if (s->stop >= 0)
    (void)close(s->stop);
  haproxy_model_free(s->model);
  return false;
}

void haproxy_sync_stop(haproxy_sync *s) {
  raise_fd(s->stop);
  (void)pthread_join(s->thread, NULL);
  (void)pthread_mutex_destroy(&s->lock);
  (void)close(s->wake);
  (void)close(s->stop);
  haproxy_model_free(s->model);
}
