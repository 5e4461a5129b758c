/* See face.h. */
#include "platform/support/face.h"

#include "changefeed/mirror.h"
#include "common/http_server.h"
#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUTES_MOST = 10000 };

typedef struct listed {
  char app[64], rev[64];
} listed;

struct face {
  char id[64], url[80];
  pthread_t thread;
  pthread_mutex_t lock;
  listed *all; /* in order */
  size_t count;
  int status; /* 0: as it should */
  char *body;
  atomic_uint asked;
  uv_loop_t loop;
  uv_async_t stop;
  http_server *server;
};

/* The value of a parameter, "" if it is not there; no app needs an escape, and
   "{", beyond all of them, comes as one. */
static void parameter(http_str target, const char *name, char *out,
                      size_t size) {
  char all[512], find[32], *at;
  size_t len;

  (void)snprintf(all, sizeof all, "%.*s", (int)target.len, target.data);
  (void)snprintf(find, sizeof find, "%s=", name);
  out[0] = '\0';
  at = strstr(all, find);
  if (at == NULL)
    return;
  at += strlen(find);
  len = strcspn(at, "&");
  at[len] = '\0';
  if (strlen(at) >= 3 && strcasecmp(at + strlen(at) - 3, "%7b") == 0)
    memcpy(at + strlen(at) - 3, "{", 2);
  (void)snprintf(out, size, "%s", at);
}

static bool in_range(const listed *one, const char *from, const char *to) {
  return strcmp(one->app, from) >= 0 &&
         (to[0] == '\0' || strcmp(one->app, to) < 0);
}

static json_t *digest(face *f, const char *from, const char *to) {
  char hex[CHANGEFEED_DIGEST_TEXT], id[96];
  changefeed_digest sum;
  size_t i, count = 0;

  memset(&sum, 0, sizeof sum);
  for (i = 0; i < f->count; i++) {
    if (!in_range(&f->all[i], from, to))
      continue;
    (void)snprintf(id, sizeof id, "route:%s", f->all[i].app);
    (void)changefeed_digest_add(&sum, id, strlen(id), f->all[i].rev,
                                strlen(f->all[i].rev));
    count++;
  }
  return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:i, s:b}", "id", f->id,
                   "boot", "b", "version", "9.9", "digest",
                   changefeed_digest_text(&sum, hex), "routes",
                   (json_int_t)count, "source", "database", "synced", 1,
                   "fresh_ms", 42, "stale", 0);
}

static json_t *routes(face *f, const char *from, const char *to, size_t limit) {
  json_t *list = json_array();
  const char *next = NULL;
  size_t i;

  for (i = 0; i < f->count && next == NULL; i++) {
    if (!in_range(&f->all[i], from, to))
      continue;
    if (json_array_size(list) == limit)
      next = f->all[i].app;
    else
      (void)json_array_append_new(
          list,
          json_pack("{s:s, s:s}", "app", f->all[i].app, "rev", f->all[i].rev));
  }
  return json_pack("{s:o, s:s?}", "routes", list, "next", next);
}

static void on_request(http_exchange *x, void *user) {
  face *f = user;
  http_str target = http_exchange_head(x)->target;
  char from[128], to[128], limit[16];
  json_t *made = NULL;
  char *page;

  f->asked++;
  parameter(target, "from", from, sizeof from);
  parameter(target, "to", to, sizeof to);
  parameter(target, "limit", limit, sizeof limit);
  (void)pthread_mutex_lock(&f->lock);
  if (f->status != 0)
    http_exchange_answer(x, f->status, NULL, 0, f->body, strlen(f->body));
  else if (strncmp(target.data, "/digest", 7) == 0)
    made = digest(f, from, to);
  else
    made = routes(f, from, to, (size_t)atoi(limit));
  (void)pthread_mutex_unlock(&f->lock);
  if (made == NULL)
    return;
  page = json_dumps(made, 0);
  http_exchange_answer(x, 200, NULL, 0, page, strlen(page));
  free(page);
  json_decref(made);
}

static void on_stop(uv_async_t *stop) {
  face *f = stop->data;

  http_server_close(f->server, NULL, NULL);
  uv_close((uv_handle_t *)stop, NULL);
}

static void *run(void *arg) {
  face *f = arg;

  (void)uv_run(&f->loop, UV_RUN_DEFAULT);
  return NULL;
}

face *face_start(const char *id) {
  face *f = calloc(1, sizeof *f);
  http_server_config config;
  char error[256];

  ck_assert_ptr_nonnull(f);
  memset(&config, 0, sizeof config);
  config.address = "127.0.0.1:0";
  config.on_request = on_request;
  config.user = f;
  (void)snprintf(f->id, sizeof f->id, "%s", id);
  f->all = calloc(ROUTES_MOST, sizeof *f->all);
  ck_assert_ptr_nonnull(f->all);
  ck_assert_int_eq(uv_loop_init(&f->loop), 0);
  f->server = http_server_open(&f->loop, &config, error, sizeof error);
  ck_assert_msg(f->server != NULL, "%s", error);
  (void)snprintf(f->url, sizeof f->url, "http://%s",
                 http_server_address(f->server));
  ck_assert_int_eq(uv_async_init(&f->loop, &f->stop, on_stop), 0);
  f->stop.data = f;
  ck_assert_int_eq(pthread_mutex_init(&f->lock, NULL), 0);
  ck_assert_int_eq(pthread_create(&f->thread, NULL, run, f), 0);
  return f;
}

void face_stop(face *f) {
  (void)uv_async_send(&f->stop);
  (void)pthread_join(f->thread, NULL);
  ck_assert_int_eq(uv_loop_close(&f->loop), 0);
  (void)pthread_mutex_destroy(&f->lock);
  free(f->all);
  free(f->body);
  free(f);
}

const char *face_url(const face *f) { return f->url; }

const char *face_address(const face *f) { return f->url + strlen("http://"); }

void face_set(face *f, const char *app, const char *rev) {
  size_t i = 0;

  (void)pthread_mutex_lock(&f->lock);
  while (i < f->count && strcmp(f->all[i].app, app) < 0)
    i++;
  if (i == f->count || strcmp(f->all[i].app, app) != 0) {
    ck_assert(rev != NULL && f->count < ROUTES_MOST);
    memmove(&f->all[i + 1], &f->all[i], (f->count++ - i) * sizeof *f->all);
    (void)snprintf(f->all[i].app, sizeof f->all[i].app, "%s", app);
  }
  if (rev == NULL)
    memmove(&f->all[i], &f->all[i + 1], (--f->count - i) * sizeof *f->all);
  else
    (void)snprintf(f->all[i].rev, sizeof f->all[i].rev, "%s", rev);
  (void)pthread_mutex_unlock(&f->lock);
}

void face_say(face *f, int status, const char *body) {
  (void)pthread_mutex_lock(&f->lock);
  free(f->body);
  f->status = status;
  f->body = strdup(body != NULL ? body : "");
  (void)pthread_mutex_unlock(&f->lock);
}

unsigned face_asked(const face *f) { return f->asked; }
