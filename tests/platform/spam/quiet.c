/* One who waits: creates an app, starts it, waits until it is live, stops it,
   and waits again. Told is how long the starts took. */
#include "common/rest.h"
#include "spam.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALL_MS = 45000, LIVE_US = 60000000 };

static bool call(rest *r, const char *method, const char *path, json_t *body,
                 rest_reply *reply) {
  (void)rest_call_ms(r, method, path, body, CALL_MS, reply);
  json_decref(body);
  if (reply->status / 100 == 2)
    return true;
  (void)fprintf(stderr, "quiet: %s %s: %d %s\n", method, path, reply->status,
                json_string_value(json_object_get(reply->body, "error"))
                    ? json_string_value(json_object_get(reply->body, "error"))
                    : reply->error);
  rest_reply_free(reply);
  return false;
}

/* Until the operation is in that state. */
static bool follow(rest *r, const char *op, const char *wanted) {
  int64_t end = spam_now_us() + LIVE_US;
  rest_reply reply;
  char path[200];
  bool there;

  (void)snprintf(path, sizeof path, "/ops/%s?wait=20", op);
  do {
    const char *state;

    if (!call(r, "GET", path, NULL, &reply))
      return false;
    state = json_string_value(json_object_get(reply.body, "state"));
    there = state != NULL && strcmp(state, wanted) == 0;
    rest_reply_free(&reply);
  } while (!there && spam_now_us() < end);
  if (!there)
    (void)fprintf(stderr, "quiet: %s is not %s\n", op, wanted);
  return there;
}

static bool change(rest *r, const char *app, const char *what,
                   const char *wanted) {
  rest_reply reply;
  char path[200], op[100];

  (void)snprintf(path, sizeof path, "/apps/%s/%s", app, what);
  if (!call(r, "POST", path, NULL, &reply))
    return false;
  (void)snprintf(op, sizeof op, "%s",
                 json_string_value(json_object_get(reply.body, "op"))
                     ? json_string_value(json_object_get(reply.body, "op"))
                     : "");
  rest_reply_free(&reply);
  return follow(r, op, wanted);
}

static bool one(rest *r, const char *app, const char *command,
                int64_t *took_us) {
  rest_reply reply;
  char path[100];
  int64_t began;

  (void)snprintf(path, sizeof path, "/apps/%s", app);
  if (!call(r, "POST", path, json_pack("{s:s}", "command", command), &reply))
    return false;
  rest_reply_free(&reply);
  began = spam_now_us();
  if (!change(r, app, "start", "live"))
    return false;
  *took_us = spam_now_us() - began;
  return change(r, app, "stop", "stopped");
}

static void pause_until(int64_t us) {
  int64_t left = us - spam_now_us();
  struct timespec t = {left / 1000000, left % 1000000 * 1000};

  if (left > 0)
    (void)nanosleep(&t, NULL);
}

int spam_quiet(const spam_options *o) {
  static int64_t took[APPS_MOST];
  const char *command = getenv("SPAM_COMMAND");
  char url[200], error[256], app[64];
  rest_config config = {.url = url, .token = o->token};
  int64_t next = spam_now_us();
  unsigned done = 0, failed = 0;
  rest *r;

  (void)snprintf(url, sizeof url, "http://%s", o->api);
  r = rest_new(&config, error, sizeof error);
  if (r == NULL || command == NULL) {
    (void)fprintf(stderr, "quiet: %s\n", r ? "no SPAM_COMMAND" : error);
    return 2;
  }
  for (unsigned i = 0; i < o->apps; i++) {
    pause_until(next);
    next += o->every_ms * 1000;
    (void)snprintf(app, sizeof app, "%s-%u", o->prefix, o->first + i);
    if (one(r, app, command, &took[done]))
      done++;
    else
      failed++;
  }
  rest_free(r);
  (void)printf("started %u\nfailed %u\np50_ms %" PRId64 "\np95_ms %" PRId64
               "\nmost_ms %" PRId64 "\n",
               done, failed, spam_rank(took, done, 50) / 1000,
               spam_rank(took, done, 95) / 1000,
               spam_rank(took, done, 100) / 1000);
  return failed == 0 && done > 0 ? 0 : 1;
}
