/* The server as a whole: opened, drained, closed; see http_server.h. */
#include "common/http_server_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what connections share ---- */

const char *server_date(http_server *s) {
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  time_t now = time(NULL);
  struct tm t;

  if (s->date_s == (int64_t)now && s->date[0] != '\0')
    return s->date;
  s->date_s = (int64_t)now;
  if (gmtime_r(&now, &t) == NULL)
    memset(&t, 0, sizeof t);
  (void)snprintf(s->date, sizeof s->date,
                 "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                 days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
                 t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  return s->date;
}

http_head *server_head_take(http_server *s) {
  if (s->head_count != 0)
    return s->heads[--s->head_count];
  return malloc(sizeof(http_head));
}

void server_head_give(http_server *s, http_head *head) {
  if (s->head_count < SERVER_HEADS && head != NULL)
    s->heads[s->head_count++] = head;
  else
    free(head);
}

/* ---- work that the loop is to do ---- */

/* Before the loop sleeps. New work that this makes is done here as well; it is
   bounded, for nothing is read meanwhile. */
static void on_prepare(uv_prepare_t *prepare) {
  http_server *s = prepare->data;

  while (s->marked_first != NULL) {
    http_conn *c = s->marked_first;

    s->marked_first = c->marked_next;
    if (s->marked_first == NULL)
      s->marked_last = NULL;
    c->marked_next = NULL;
    c->marked = false;
    conn_work(c, NULL, 0);
  }
  if (!s->closing)
    (void)uv_prepare_stop(prepare);
}

void conn_mark(http_conn *c) {
  http_server *s = c->server;

  if (c->marked || c->feeding || c->state == CONN_CLOSED)
    return;
  c->marked = true;
  c->marked_next = NULL;
  if (s->marked_last != NULL)
    s->marked_last->marked_next = c;
  else
    s->marked_first = c;
  s->marked_last = c;
  if (!s->closing)
    (void)uv_prepare_start(&s->prepare, on_prepare);
}

/* ---- ends ---- */

static void on_own_closed(uv_handle_t *handle) {
  server_handle_closed(handle->data);
}

void server_handle_closed(http_server *s) {
  void (*done)(void *ctx) = s->on_closed;
  void *ctx = s->closed_ctx;

  s->handles--;
  if (!s->closing || s->handles != 0)
    return;
  for (size_t i = 0; i < s->head_count; i++)
    free(s->heads[i]);
  free(s);
  if (done != NULL)
    done(ctx);
}

static void on_drain(uv_timer_t *timer);

void server_conn_gone(http_server *s) {
  if (!s->draining || s->drained || s->closing || s->count != 0)
    return;
  /* Told by the timer, not out of whatever closed the last one. */
  (void)uv_timer_start(&s->drain, on_drain, 0, 0);
}

static void end_all(http_server *s) {
  while (s->conns != NULL)
    conn_gone(s->conns);
}

static void on_drain(uv_timer_t *timer) {
  http_server *s = timer->data;

  if (s->drained || s->closing)
    return;
  end_all(s);
  if (s->closing) /* by somebody's on_gone */
    return;
  s->drained = true;
  if (s->on_drained != NULL)
    s->on_drained(s->drained_ctx);
}

static void on_grace_over(uv_timer_t *timer) {
  http_server *s = timer->data;
  http_conn *c, *next;

  if (s->closing)
    return;
  (void)uv_timer_start(&s->drain, on_drain, (uint64_t)s->drain_ms, 0);
  for (c = s->idle_first; c != NULL; c = next) {
    next = c->idle_next;
    if (c->rest.len != c->rest_at)
      continue;
    if (conn_waiting(c) == 0)
      conn_close(c);
    else
      conn_linger(c);
  }
  server_conn_gone(s);
}

/* What has come by now is read before anything is closed: the loop polls once
   more. */
static void on_grace(uv_timer_t *timer) {
  (void)uv_timer_start(timer, on_grace_over, 1, 0);
}

void http_server_drain(http_server *s, int64_t ms, void (*done)(void *ctx),
                       void *ctx) {
  int64_t grace = ms < SERVER_GRACE_MS ? ms : SERVER_GRACE_MS;

  if (s->draining || s->closing)
    return;
  s->draining = true;
  s->on_drained = done;
  s->drained_ctx = ctx;
  server_accept_waiting(s);
  server_unlisten(s);
  grace = grace > 0 ? grace : 0;
  s->drain_ms = ms > grace ? ms - grace : 0;
  (void)uv_timer_start(&s->drain, on_grace, (uint64_t)grace, 0);
  server_conn_gone(s);
}

void http_server_close(http_server *s, void (*done)(void *ctx), void *ctx) {
  uv_handle_t *handles[3];

  if (s->closing)
    return;
  s->closing = true;
  s->on_closed = done;
  s->closed_ctx = ctx;
  s->handles++; /* nobody frees it meanwhile */
  server_unlisten(s);
  end_all(s);
  handles[0] = (uv_handle_t *)&s->pause;
  handles[1] = (uv_handle_t *)&s->drain;
  handles[2] = (uv_handle_t *)&s->prepare;
  for (size_t i = 0; i < 3; i++)
    uv_close(handles[i], on_own_closed);
  s->handles--;
}

/* ---- the beginning ---- */

static void defaults(http_server_config *c) {
  if (c->max_head == 0)
    c->max_head = HTTP_HEAD_MOST;
  if (c->max_connections == 0)
    c->max_connections = 1000;
  if (c->max_body == 0)
    c->max_body = UINT64_C(64) << 20;
  if (c->head_ms == 0)
    c->head_ms = 10 * 1000;
  if (c->idle_ms == 0)
    c->idle_ms = 60 * 1000;
}

/* libuv writes without MSG_NOSIGNAL; whoever wants the signal has said so. */
static void ignore_sigpipe(void) {
  struct sigaction action;

  if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
    (void)signal(SIGPIPE, SIG_IGN);
}

http_server *http_server_open(uv_loop_t *loop, const http_server_config *config,
                              char *error, size_t error_size) {
  http_server *s = calloc(1, sizeof *s);

  if (s == NULL) {
    (void)snprintf(error, error_size, "out of memory");
    return NULL;
  }
  s->config = *config;
  s->loop = loop;
  s->fd = -1;
  defaults(&s->config);
  if (!server_listen(s, error, error_size)) {
    free(s);
    return NULL;
  }
  ignore_sigpipe();
  s->config.address = s->address;
  (void)uv_timer_init(loop, &s->pause);
  (void)uv_timer_init(loop, &s->drain);
  (void)uv_prepare_init(loop, &s->prepare);
  s->pause.data = s->drain.data = s->prepare.data = s;
  s->handles += 3;
  return s;
}

const char *http_server_address(const http_server *s) { return s->address; }

size_t http_server_connections(const http_server *s) { return s->count; }
