/* See run.h. The loop only listens: to signals, and to who asks for metrics. */
#include "deploybot/run.h"

#include "common/http_server.h"
#include "common/log.h"
#include "common/program.h"
#include "deploybot/bot.h"
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 64 };

typedef struct program {
  const options *o;
  uv_loop_t loop;
  uv_async_t ended;
  program_signals signals;
  http_server *server; /* of the command run */
  metrics *metrics;
  halt *halt;
  bot *bot;
  pthread_t thread;
  enum canary_result result; /* of once, when the thread has ended */
} program;

/* ---- who asks ---- */

static void answer(http_exchange *x, int status, const char *type,
                   const char *data, size_t len) {
  const http_field fields[] = {{{"Content-Type", 12}, {type, strlen(type)}},
                               {{"Cache-Control", 13}, {"no-store", 8}}};

  http_exchange_answer(x, status, fields, 2, data, len);
}

static void on_request(http_exchange *x, void *user) {
  static const char plain[] = "text/plain; charset=utf-8";
  const http_head *head = http_exchange_head(x);
  program *p = user;
  text out = TEXT_INIT;
  int status = 200;

  if (!http_str_is(head->method, "GET") && !http_str_is(head->method, "HEAD")) {
    status = 405;
    text_str(&out, "This is read, by GET.\n");
  } else if (http_str_same(head->target, "/metrics")) {
    metrics_write(p->metrics, &out);
    answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", text_get(&out),
           out.failed ? 0 : out.len);
    text_free(&out);
    return;
  } else if (http_str_same(head->target, "/healthz")) {
    const char *why = bot_trouble(p->bot);

    status = why == NULL ? 200 : 503;
    text_printf(&out, "%s\n", why == NULL ? "ok" : why);
  } else {
    status = 404;
    text_str(&out, "There is /metrics and /healthz.\n");
  }
  answer(x, status, plain, text_get(&out), out.failed ? 0 : out.len);
  text_free(&out);
}

static bool listen_for(program *p, char *error, size_t size) {
  const char *address = config_string(p->o->config, "listen");
  http_server_config how = {.address = address,
                            .max_connections = CONNECTIONS,
                            .max_body = 65536,
                            .on_request = on_request,
                            .user = p};
  char line[256];

  if (p->o->command != COMMAND_RUN)
    return true;
  p->server = http_server_open(&p->loop, &how, error, size);
  if (p->server == NULL)
    return false;
  (void)snprintf(line, sizeof line, "%s\n", http_server_address(p->server));
  return program_ready(p->o->config, line, error, size);
}

/* ---- the thread ---- */

static void *work(void *arg) {
  program *p = arg;

  if (p->o->command == COMMAND_RUN)
    bot_go_on(p->bot);
  else
    p->result = bot_once(p->bot);
  (void)uv_async_send(&p->ended);
  return NULL;
}

static void on_ended(uv_async_t *async) {
  program *p = async->data;

  if (p->server != NULL)
    http_server_close(p->server, NULL, NULL);
  p->server = NULL;
  program_signals_close(&p->signals);
  uv_close((uv_handle_t *)async, NULL);
}

static bool on_signal(void *ctx) {
  program *p = ctx;

  if (halt_is_set(p->halt))
    return false;
  log_event(LOG_INFO, "ending", LS("id", p->o->id));
  halt_set(p->halt);
  return true;
}

static bool begin(program *p, char *error, size_t size) {
  sigset_t all, before;
  bool begun;

  (void)snprintf(error, size, "there is no memory");
  p->metrics = metrics_new();
  p->halt = halt_new();
  if (p->metrics == NULL || p->halt == NULL ||
      curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK ||
      uv_loop_init(&p->loop) != 0 ||
      uv_async_init(&p->loop, &p->ended, on_ended) != 0)
    return false;
  p->ended.data = p;
  p->bot = bot_new(p->o, p->metrics, p->halt, error, size);
  if (p->bot == NULL ||
      !program_signals_open(&p->signals, &p->loop, on_signal, p) ||
      !listen_for(p, error, size))
    return false;
  (void)sigfillset(&all); /* signals are the loop's */
  (void)pthread_sigmask(SIG_BLOCK, &all, &before);
  begun = pthread_create(&p->thread, NULL, work, p) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!begun)
    (void)snprintf(error, size, "no thread can be started");
  return begun;
}

static int tell(const program *p) {
  text out = TEXT_INIT;
  int status = EXIT_FAILURE;

  bot_tell(p->bot, &out);
  (void)fputs(text_get(&out), stdout);
  text_free(&out);
  if (p->result == CANARY_OK)
    status = EXIT_SUCCESS;
  else if (p->result == CANARY_SKIPPED)
    status = EXIT_SKIPPED;
  return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}

int run(const options *o) {
  program p = {.o = o};
  char error[512];
  int status = EXIT_SUCCESS;

  (void)signal(SIGPIPE, SIG_IGN);
  if (!begin(&p, error, sizeof error)) {
    (void)fprintf(stderr, "deploybot: %s\n", error);
    _Exit(EXIT_FAILURE); /* nothing was begun */
  }
  log_event(
      LOG_INFO, "ready", LS("id", o->id), LS("app", o->app),
      LS("listen", p.server != NULL ? http_server_address(p.server) : "none"));
  (void)uv_run(&p.loop, UV_RUN_DEFAULT);
  (void)pthread_join(p.thread, NULL);
  if (uv_loop_close(&p.loop) != 0)
    log_event(LOG_WARN, "loop.busy", LS("why", "something was left open"));
  if (o->command == COMMAND_ONCE)
    status = tell(&p);
  bot_free(p.bot);
  halt_free(p.halt);
  metrics_free(p.metrics);
  curl_global_cleanup();
  log_event(LOG_INFO, "ended", LN("status", status));
  return status;
}
