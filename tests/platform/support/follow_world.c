/* See follow_world.h. */
#include "follow_world.h"

#include "common/log.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t follow_world_now(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_timer(uv_timer_t *timer) { (void)timer; }

void follow_world_open(follow_world *w) {
  memset(w, 0, sizeof *w);
  log_open("follow", getenv("CFT_LOG") != NULL ? LOG_INFO : LOG_WARN);
  w->sim = cft_couchsim_start(NULL);
  (void)snprintf(w->url, sizeof w->url, "%s", cft_couchsim_url(w->sim, 0));
  cft_couchsim_must(w->sim, 201, "PUT", "/apps", "%s", "");
  (void)snprintf(w->dir, sizeof w->dir, "/tmp/follow-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(w->dir));
  ck_assert_int_eq(uv_loop_init(&w->loop), 0);
  (void)uv_timer_init(&w->loop, &w->timer);
  (void)uv_timer_start(&w->timer, on_timer, 10, 10);
}

void follow_world_close(follow_world *w) {
  char file[128];

  for (int i = 0; i < FOLLOWERS; i++) {
    follower *f = &w->followers[i];

    if (f->follow != NULL)
      follower_close(f);
    metrics_free(f->metrics);
    (void)snprintf(file, sizeof file, "%s/%d", w->dir, i);
    (void)unlink(file);
  }
  uv_close((uv_handle_t *)&w->timer, NULL);
  (void)uv_run(&w->loop, UV_RUN_DEFAULT);
  ck_assert_int_eq(uv_loop_close(&w->loop), 0);
  cft_couchsim_stop(w->sim);
  ck_assert_msg(rmdir(w->dir) == 0, "%s is not empty", w->dir);
}

/* ---- followers ---- */

static void on_change(void *ctx, const route *was, const route *is) {
  follower *f = ctx;

  f->changes++;
  f->gone += is == NULL;
  f->came += was == NULL;
  f->went_back += was != NULL && is != NULL && route_gen(is) < route_gen(was);
  route_app(is != NULL ? is : was, f->last);
}

static void on_replaced(void *ctx) { ((follower *)ctx)->replaced++; }
static void on_notice(void *ctx) { ((follower *)ctx)->notices++; }

follower *follower_new(follow_world *w, int number) {
  follower *f = &w->followers[number];

  f->world = w;
  (void)snprintf(f->self, sizeof f->self, "b%d", number);
  if (f->metrics == NULL)
    f->metrics = metrics_new();
  f->config = (follow_config){.couch = w->url,
                              .apps = "apps",
                              .self = f->self,
                              .version = "1",
                              .addr = "127.0.0.1:1",
                              .admin = "127.0.0.1:2",
                              .boot = "00000000000000000000000000000001",
                              .proof_ms = 1500,
                              .metrics = f->metrics,
                              .on_change = on_change,
                              .on_replaced = on_replaced,
                              .on_notice = on_notice,
                              .ctx = f};
  return f;
}

void follower_open(follower *f) {
  char error[512] = "";

  f->closed = false;
  f->table = table_new();
  ck_assert_ptr_nonnull(f->table);
  f->config.table = f->table;
  f->follow = follow_open(&f->world->loop, &f->config, error, sizeof error);
  ck_assert_msg(f->follow != NULL, "%s", error);
}

static void on_closed(void *ctx) { ((follower *)ctx)->closed = true; }

void follower_close(follower *f) {
  follow_close(f->follow, on_closed, f);
  FOLLOW_AWAIT(f->world, f->closed);
  f->follow = NULL;
  ck_assert(!table_is_ready(f->table));
  table_free(f->table);
  f->table = NULL;
}

void follow_world_for(follow_world *w, int64_t ms) {
  int64_t until = follow_world_now() + ms;

  while (follow_world_now() < until)
    (void)uv_run(&w->loop, UV_RUN_ONCE);
}

/* ---- documents ---- */

static bool rev_of(follow_world *w, const char *id, char rev[128]) {
  char path[160];
  json_t *doc = NULL;
  int status;

  (void)snprintf(path, sizeof path, "/apps/%s", id);
  status = cft_couchsim_do(w->sim, 0, "GET", path, NULL, &doc);
  rev[0] = '\0';
  if (status == 200)
    (void)snprintf(rev, 128, "%s",
                   json_string_value(json_object_get(doc, "_rev")));
  json_decref(doc);
  return rev[0] != '\0';
}

void follow_put(follow_world *w, const char *id, const char *body) {
  char path[160], rev[128], old[160] = "";

  (void)snprintf(path, sizeof path, "/apps/%s", id);
  if (rev_of(w, id, rev))
    (void)snprintf(old, sizeof old, "\"_rev\":\"%s\"%s", rev,
                   body[0] != '\0' ? "," : "");
  cft_couchsim_must(w->sim, 201, "PUT", path, "{%s%s}", old, body);
}

void follow_delete(follow_world *w, const char *id) {
  char path[320], rev[128];

  ck_assert_msg(rev_of(w, id, rev), "%s is not there", id);
  (void)snprintf(path, sizeof path, "/apps/%s?rev=%s", id, rev);
  cft_couchsim_must(w->sim, 200, "DELETE", path, "%s", "");
}

static long long wall_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void follow_put_route(follow_world *w, const char *app, int64_t gen) {
  char id[96], body[512];

  (void)snprintf(id, sizeof id, "route:%s", app);
  (void)snprintf(body, sizeof body,
                 "\"app\":\"%s\",\"hosts\":[\"%s.test\"],\"gen\":%lld,"
                 "\"state\":\"live\",\"to\":[{\"drone\":\"127.0.0.1:9\","
                 "\"addr\":\"127.0.0.1:9\",\"claim\":\"%032llx\"}],\"prev\":[],"
                 "\"at\":%lld",
                 app, app, (long long)gen, (unsigned long long)gen, wall_ms());
  follow_put(w, id, body);
}

void follow_tick(follow_world *w) {
  static long long n;
  char body[160];

  (void)snprintf(body, sizeof body,
                 "\"at\":%lld,\"boot\":\"x\",\"n\":%lld,\"up\":1", wall_ms(),
                 ++n);
  follow_put(w, "sys:tick:p", body);
}

/* ---- what is served ---- */

int64_t follow_served(follower *f, const char *app) {
  const route *r;
  char host[128];
  int64_t gen = -1;
  int len = snprintf(host, sizeof host, "%s.test", app);

  table_online(f->table, 0);
  r = table_find(f->table, host, (size_t)len);
  if (r != NULL)
    gen = route_gen(r);
  table_offline(f->table, 0);
  return gen;
}

follow_status follow_now(follower *f) {
  follow_status s;

  follow_get_status(f->follow, &s);
  return s;
}

changefeed_digest follow_listed(follow_world *w, uint64_t *count) {
  changefeed_digest digest = {{0}};
  json_t *list = NULL, *row;
  size_t i;

  *count = 0;
  ck_assert_int_eq(
      cft_couchsim_do(w->sim, 0, "GET", "/apps/_all_docs", NULL, &list), 200);
  json_array_foreach(json_object_get(list, "rows"), i, row) {
    const char *id = json_string_value(json_object_get(row, "id"));
    const char *rev = json_string_value(
        json_object_get(json_object_get(row, "value"), "rev"));

    if (strncmp(id, "route:", 6) != 0)
      continue;
    ck_assert_int_eq(
        changefeed_digest_add(&digest, id, strlen(id), rev, strlen(rev)), 0);
    (*count)++;
  }
  json_decref(list);
  return digest;
}

typedef struct sum {
  changefeed_digest digest;
  uint64_t count;
  char before[64];
} sum;

static bool add(void *ctx, const char *app, const char *rev, const route *r) {
  sum *s = ctx;
  char id[96], of[NAME_MOST + 1];

  route_app(r, of);
  ck_assert_str_eq(app, of);
  ck_assert_int_lt(strcmp(s->before, app), 0); /* in order */
  (void)snprintf(s->before, sizeof s->before, "%s", app);
  (void)snprintf(id, sizeof id, "route:%s", app);
  (void)changefeed_digest_add(&s->digest, id, strlen(id), rev, strlen(rev));
  s->count++;
  return true;
}

/* By the status, by a walk, and by the halves: all the same. */
bool follow_is_listed(follower *f) {
  uint64_t count, low_count, high_count;
  changefeed_digest listed = follow_listed(f->world, &count), low, high;
  follow_status s = follow_now(f);
  sum walked;

  memset(&walked, 0, sizeof walked);
  ck_assert(follow_each(f->follow, NULL, NULL, add, &walked));
  ck_assert_uint_eq(walked.count, s.routes);
  ck_assert_mem_eq(&walked.digest, &s.digest, sizeof s.digest);
  follow_digest(f->follow, NULL, "m", &low, &low_count);
  follow_digest(f->follow, "m", NULL, &high, &high_count);
  ck_assert_uint_eq(low_count + high_count, s.routes);
  return s.routes == count && memcmp(&s.digest, &listed, sizeof listed) == 0;
}
