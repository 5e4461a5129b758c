/* The engine alone, as the data plane uses it, in a process of its own: what
   any visitor asks goes to one server behind, under one claim, and back only
   with its echo. For tests that attack it from outside, with the limits of the
   balancer as options of the same names.

     platform_front --behind 127.0.0.1:PORT --claim APP/CLAIM --port-file FILE

   A refusal is a short text with X-Balancer-Error: E20 or E21, a failure E06,
   E10 to E13. SIGTERM ends it at once. */
#include "common/config.h"
#include "common/http_proxy.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct front {
  config *config;
  uv_loop_t loop;
  uv_signal_t signal;
  http_server *server;
  http_pool *pool;
  const char *claim;
  http_proxy_target target;
  http_proxy_rules rules;
  http_field request[1];
} front;

static const config_option table[] = {
    {"listen", CONFIG_STRING, "127.0.0.1:0", 0, 0, "ADDR:PORT", "visitors"},
    {"behind", CONFIG_STRING, NULL, 0, 0, "ADDR:PORT", "the server"},
    {"claim", CONFIG_STRING, NULL, 0, 0, "APP/CLAIM", "sent and expected"},
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE", "gets the address"},
    {"max-connections", CONFIG_NUMBER, "20000", 1, 1000000, "N", "of visitors"},
    {"max-head", CONFIG_NUMBER, "16384", 1024, 65536, "BYTES", "of a request"},
    {"max-body", CONFIG_NUMBER, "1073741824", 0, 1099511627776, "BYTES",
     "of a request"},
    {"head-time", CONFIG_MS, "10s", 100, 3600000, "TIME", "for all of a head"},
    {"idle-time", CONFIG_MS, "60s", 100, 3600000, "TIME", "without a byte"},
    {"connect-time", CONFIG_MS, "2s", 10, 3600000, "TIME", "to connect"},
    {"answer-time", CONFIG_MS, "30s", 100, 3600000, "TIME", "for a head"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program program = {
    "platform_front", "A proxy to be attacked.", "FRONT", table, NULL};

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

static void page(http_exchange *x, int status, const char *code,
                 const char *why) {
  const http_field fields[] = {{str("X-Balancer-Error"), str(code)},
                               {str("Content-Type"), str("text/plain")}};

  http_exchange_answer(x, status, fields, 2, why, strlen(why));
}

static void on_refused(http_exchange *x, int status, const char *why,
                       void *user) {
  bool limit = status == 408 || status == 413 || status == 414 || status == 431;

  (void)user;
  page(x, status, limit ? "E21" : "E20", why);
}

static void on_failed(http_exchange *x, enum http_proxy_result result,
                      const char *why, void *user) {
  (void)user;
  if (result == HTTP_PROXY_REJECTED)
    page(x, 503, "E06", why);
  else if (result == HTTP_PROXY_REFUSED)
    page(x, 502, "E10", why);
  else if (result == HTTP_PROXY_UNREACHABLE)
    page(x, 504, "E11", why);
  else if (result == HTTP_PROXY_LATE)
    page(x, 504, "E13", why);
  else
    page(x, 502, "E12", why);
}

/* The claim as it was sent, and once. */
static enum http_proxy_result on_head(http_exchange *x, const http_head *head,
                                      void *user) {
  const front *f = user;
  size_t echoes = 0, right = 0;

  (void)x;
  for (size_t i = 0; i < head->count; i++) {
    if (!http_str_is(head->fields[i].name, "x-drone-claim"))
      continue;
    echoes++;
    right += http_str_same(head->fields[i].value, f->claim);
  }
  return echoes == 1 && right == 1 ? HTTP_PROXY_OK : HTTP_PROXY_REJECTED;
}

static void on_request(http_exchange *x, void *user) {
  front *f = user;

  http_proxy(x, f->pool, &f->target, &f->rules);
}

static void on_pool_closed(void *ctx) {
  front *f = ctx;

  uv_close((uv_handle_t *)&f->signal, NULL);
}

static void on_server_closed(void *ctx) {
  front *f = ctx;

  http_pool_close(f->pool, on_pool_closed, f);
}

static void on_signal(uv_signal_t *signal, int number) {
  front *f = signal->data;

  (void)number;
  (void)uv_signal_stop(signal);
  http_server_close(f->server, on_server_closed, f);
}

static void set_rules(front *f) {
  f->claim = config_string(f->config, "claim");
  f->target = (http_proxy_target){config_string(f->config, "behind"), f->claim};
  f->request[0] = (http_field){str("X-Drone-Claim"), str(f->claim)};
  f->rules =
      (http_proxy_rules){.request = f->request,
                         .request_count = 1,
                         .drop_prefix = "x-drone-",
                         .forwarded = true,
                         .via = "front",
                         .connect_ms = config_number(f->config, "connect-time"),
                         .head_ms = config_number(f->config, "answer-time"),
                         .idle_ms = config_number(f->config, "idle-time"),
                         .on_head = on_head,
                         .on_failed = on_failed,
                         .user = f};
}

/* Whole or not at all: whoever waits for the file reads it at once. */
static bool tell_port(const front *f, char *error, size_t size) {
  const char *path = config_string(f->config, "port-file");
  char other[4096];
  FILE *file;
  bool written;

  if (path == NULL)
    return true;
  (void)snprintf(other, sizeof other, "%s.new", path);
  file = fopen(other, "w");
  written =
      file != NULL && fprintf(file, "%s\n", http_server_address(f->server)) > 0;
  if (file != NULL && fclose(file) != 0)
    written = false;
  if (written && rename(other, path) == 0)
    return true;
  (void)snprintf(error, size, "cannot write %s", path);
  return false;
}

static bool open_all(front *f, char *error, size_t size) {
  const http_server_config server = {
      .address = config_string(f->config, "listen"),
      .max_connections = (size_t)config_number(f->config, "max-connections"),
      .max_head = (size_t)config_number(f->config, "max-head"),
      .max_body = (uint64_t)config_number(f->config, "max-body"),
      .head_ms = config_number(f->config, "head-time"),
      .idle_ms = config_number(f->config, "idle-time"),
      .on_request = on_request,
      .on_refused = on_refused,
      .user = f};
  const http_pool_config pool = {0};

  if (f->target.address == NULL || f->claim == NULL) {
    (void)snprintf(error, size, "--behind and --claim are needed");
    return false;
  }
  if (uv_loop_init(&f->loop) != 0 ||
      uv_signal_init(&f->loop, &f->signal) != 0 ||
      uv_signal_start(&f->signal, on_signal, SIGTERM) != 0) {
    (void)snprintf(error, size, "there is no loop");
    return false;
  }
  f->signal.data = f;
  f->pool = http_pool_new(&f->loop, &pool);
  if (f->pool == NULL) {
    (void)snprintf(error, size, "out of memory");
    return false;
  }
  f->server = http_server_open(&f->loop, &server, error, size);
  return f->server != NULL && tell_port(f, error, size);
}

int main(int argc, char **argv) {
  static front f;
  char error[512] = "";

  f.config = config_read(&program, argc, argv, error, sizeof error);
  if (f.config == NULL) {
    (void)fprintf(stderr, "platform_front: %s\n", error);
    return 2;
  }
  if (config_flag(f.config, "help")) {
    config_print_help(&program);
    config_free(f.config);
    return 0;
  }
  if (config_string(f.config, "claim") != NULL)
    set_rules(&f);
  if (!open_all(&f, error, sizeof error)) {
    (void)fprintf(stderr, "platform_front: %s\n", error);
    return 1;
  }
  (void)uv_run(&f.loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&f.loop);
  config_free(f.config);
  return 0;
}
