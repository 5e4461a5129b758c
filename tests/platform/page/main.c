/* An admin face in a world that does as it is told; see world.h. */
#include "platform/page/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
  uv_loop_t loop;
  uv_pipe_t input;
  char bytes[65536];
  text line;
  table *table;
  metrics *metrics;
  follow follow;
  peers peers;
  admin *admin;
  bool closing;
} world;

static void say(const char *words) {
  (void)printf("%s\n", words);
  (void)fflush(stdout);
}

/* ---- what there is to do ---- */

/* As long as a name may be. */
static json_t *long_hosts(const char *app, int64_t count) {
  static const char label[] = ".a-label-of-forty-letters-and-four-digits-0";
  json_t *hosts = json_array();
  char host[HOST_MOST + 1];

  for (int64_t i = 0; i < count; i++) {
    (void)snprintf(host, sizeof host, "%s.h%d", app, (int)i);
    while (strlen(host) + sizeof label <= sizeof host)
      memcpy(host + strlen(host), label, sizeof label);
    (void)json_array_append_new(hosts, json_string(host));
  }
  return hosts;
}

static bool pile(const json_t *m, char *why, size_t size) {
  int64_t count = json_integer_value(json_object_get(m, "count"));
  int64_t hosts = json_integer_value(json_object_get(m, "hosts"));
  bool ok = true;

  for (int64_t i = 0; i < count && ok; i++) {
    char app[32], id[40], host[64], addr[32];
    json_t *doc;

    (void)snprintf(app, sizeof app, "app-%06d", (int)i);
    (void)snprintf(id, sizeof id, "route:%s", app);
    (void)snprintf(host, sizeof host, "%s.example", app);
    (void)snprintf(addr, sizeof addr, "127.1.%d.%d:40", (int)(i / 250),
                   (int)(i % 250 + 1));
    doc = json_pack(
        "{s:s, s:s, s:s, s:o, s:i, s:s, s:[{s:s, s:s, s:s}]}", "_id", id,
        "_rev", "1-0123456789abcdef0123456789abcdef", "app", app, "hosts",
        hosts != 0 ? long_hosts(app, hosts) : json_pack("[s]", host), "gen", 1,
        "state", "live", "to", "drone", addr, "addr", addr, "claim",
        "0123456789abcdef0123456789abcdef");
    ok = doc != NULL && fake_put(&world.follow, doc, why, size);
    json_decref(doc);
  }
  return ok;
}

static void set_notice(const json_t *m) {
  const char *msg = json_string_value(json_object_get(m, "msg"));
  table_notice notice = {json_is_true(json_object_get(m, "full")), ""};

  (void)snprintf(notice.msg, sizeof notice.msg, "%s", msg != NULL ? msg : "");
  (void)table_set_notice(world.table, &notice);
}

static void add_errors(const json_t *m) {
  char label[32];

  (void)snprintf(label, sizeof label, "code=\"%s\"",
                 json_string_value(json_object_get(m, "code")));
  metric_add(metrics_counter(world.metrics, "balancer_errors_total", label, ""),
             json_integer_value(json_object_get(m, "count")));
}

static void on_input_closed(uv_handle_t *handle) { (void)handle; }

static void on_admin_closed(void *ctx) {
  (void)ctx;
  say("closed");
}

static void close_admin(void) {
  if (world.closing)
    return;
  world.closing = true;
  admin_close(world.admin, on_admin_closed, NULL);
}

static bool change(const char *what, const json_t *m, char *why, size_t size) {
  bool ok = true;

  if (strcmp(what, "put") == 0)
    ok = fake_put(&world.follow, json_object_get(m, "doc"), why, size);
  else if (strcmp(what, "drop") == 0)
    ok = fake_drop(&world.follow, json_string_value(json_object_get(m, "app")));
  else if (strcmp(what, "pile") == 0)
    ok = pile(m, why, size);
  else if (strcmp(what, "engine") == 0)
    fake_engine_set(m);
  else if (strcmp(what, "changed") != 0)
    return false;
  admin_changed(world.admin);
  return ok;
}

static bool set(const char *what, const json_t *m) {
  if (strcmp(what, "status") == 0)
    fake_status_set(&world.follow, m);
  else if (strcmp(what, "peers") == 0)
    fake_peers_set(&world.peers, json_object_get(m, "list"));
  else if (strcmp(what, "notice") == 0)
    set_notice(m);
  else if (strcmp(what, "ready") == 0)
    table_set_ready(world.table, json_is_true(json_object_get(m, "is")));
  else if (strcmp(what, "errors") == 0)
    add_errors(m);
  else if (strcmp(what, "audit") == 0)
    world.follow.audit = json_is_true(json_object_get(m, "is"));
  else if (strcmp(what, "diff") == 0)
    fake_diff_set(m);
  else if (strcmp(what, "release") == 0)
    fake_diff_release();
  else if (strcmp(what, "attach") == 0)
    admin_attach(world.admin, &world.follow, fake_engine(), &world.peers);
  else if (strcmp(what, "shadow") == 0)
    admin_attach(world.admin, &world.follow, NULL, NULL);
  else if (strcmp(what, "detach") == 0)
    admin_attach(world.admin, NULL, NULL, NULL);
  else if (strcmp(what, "close") == 0)
    close_admin();
  else
    return false;
  return true;
}

static void obey(const char *line) {
  json_t *m = json_loads(line, 0, NULL);
  const char *what = json_string_value(json_object_get(m, "do"));
  char why[256] = "there is no such thing to do";

  if (what == NULL || (!set(what, m) && !change(what, m, why, sizeof why)))
    (void)printf("no: %s\n", why);
  else
    (void)printf("ok\n");
  (void)fflush(stdout);
  json_decref(m);
}

/* ---- its input ---- */

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf) {
  (void)handle;
  (void)wanted;
  *buf = uv_buf_init(world.bytes, sizeof world.bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  char *end;

  if (n < 0) { /* who tells us what to do has gone */
    close_admin();
    uv_close((uv_handle_t *)stream, on_input_closed);
    return;
  }
  text_add(&world.line, buf->base, (size_t)n);
  while (world.line.len != 0 &&
         (end = memchr(world.line.data, '\n', world.line.len)) != NULL) {
    size_t len = (size_t)(end - world.line.data) + 1;

    *end = '\0';
    obey(world.line.data);
    memmove(world.line.data, world.line.data + len, world.line.len - len + 1);
    world.line.len -= len;
  }
}

static bool open_all(const char *listen) {
  admin_config config = {.listen = listen,
                         .self = "b1",
                         .version = "1.2.3",
                         .boot = "0123456789abcdef0123456789abcdef"};
  char error[256];
  routes *first;

  world.table = table_new();
  world.metrics = metrics_new();
  first = world.table != NULL ? routes_new(world.table, 0) : NULL;
  if (first == NULL || world.metrics == NULL || uv_loop_init(&world.loop) != 0)
    return false;
  table_publish(world.table, first);
  table_set_ready(world.table, true);
  fake_follow_open(&world.follow, world.table);
  config.table = world.table;
  config.metrics = world.metrics;
  world.admin = admin_open(&world.loop, &config, error, sizeof error);
  if (world.admin == NULL) {
    (void)fprintf(stderr, "%s\n", error);
    return false;
  }
  return uv_pipe_init(&world.loop, &world.input, 0) == 0 &&
         uv_pipe_open(&world.input, 0) == 0 &&
         uv_read_start((uv_stream_t *)&world.input, on_alloc, on_read) == 0;
}

int main(int argc, char **argv) {
  if (!open_all(argc > 1 ? argv[1] : "127.0.0.1:0"))
    return 1;
  say(admin_address(world.admin));
  (void)uv_run(&world.loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&world.loop) != 0) {
    (void)fprintf(stderr, "handles are left\n");
    return 1;
  }
  fake_follow_close(&world.follow);
  table_free(world.table);
  metrics_free(world.metrics);
  text_free(&world.line);
  return 0;
}
