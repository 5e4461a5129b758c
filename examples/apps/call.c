/* See call.h. */
#include "apps/call.h"
#include "apps/console.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
  CALL_MS = 30000,
  LEAST_MS = 1000, /* for the last call of a run */
  FIRST_MS = 500,  /* between tries, doubling */
  MOST_MS = 10000,
  TRIES = 6 /* of a server that says nothing, or nothing useful */
};

int64_t apps_now_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool apps_pause(const apps_run *run, int64_t ms) {
  struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

  if (apps_now_ms() + ms >= run->deadline_ms)
    return false;
  while (nanosleep(&t, &t) != 0) /* a signal that did not end us */
    ;
  return true;
}

int64_t apps_jitter(apps_run *run, int64_t ms) {
  run->random ^= run->random << 13;
  run->random ^= run->random >> 7;
  run->random ^= run->random << 17;
  return ms + (int64_t)(run->random % (uint64_t)(ms / 2 + 1));
}

const char *apps_text(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

const char *apps_path(const apps_run *run, const char *more, char *out,
                      size_t size) {
  /* It was looked at: nothing in the name of an app has to be escaped. */
  (void)snprintf(out, size, "/apps/%s%s", run->operand, more);
  return out;
}

static bool is_code(const json_t *body, const char *code) {
  const char *got = apps_text(body, "code");

  return got != NULL && strcmp(got, code) == 0;
}

int64_t apps_again_ms(apps_run *run, const rest_reply *reply, int tries) {
  int64_t ms = FIRST_MS;
  bool asked_to = reply->status == 429 || reply->status == 503;

  if (run->no_wait || (!asked_to && reply->status != 0 && reply->status < 500))
    return -1;
  /* People end a maintenance; programs that ask on do not help them. */
  if (is_code(reply->body, "maintenance"))
    return -1;
  if (asked_to && reply->retry_after_ms > 0)
    return apps_jitter(run, reply->retry_after_ms);
  if (!asked_to && tries >= TRIES)
    return -1;
  for (int i = 1; i < tries && ms < MOST_MS; i++)
    ms *= 2;
  return apps_jitter(run, ms < MOST_MS ? ms : MOST_MS);
}

static void tell_why_again(apps_run *run, const rest_reply *reply, int64_t ms) {
  const char *sentence = apps_text(reply->body, "error");

  apps_progress(run, "%s%s%s; asking again in %lld s",
                run->operand != NULL ? run->operand : "",
                run->operand != NULL ? ": " : "",
                sentence != NULL ? sentence : reply->error,
                (long long)(ms + 999) / 1000);
}

bool apps_call(apps_run *run, const char *method, const char *path,
               const json_t *body, apps_answer *answer) {
  rest_reply *reply = &answer->reply;

  answer->doubted = false;
  for (int tries = 1;; tries++) {
    int64_t left_ms = run->deadline_ms - apps_now_ms(), again_ms;

    left_ms = left_ms < CALL_MS ? left_ms : CALL_MS;
    (void)rest_call_ms(run->rest, method, path, body,
                       left_ms > LEAST_MS ? left_ms : LEAST_MS, reply);
    if (reply->status >= 200 && reply->status < 300)
      return true;
    again_ms = apps_again_ms(run, reply, tries);
    if (again_ms < 0 || apps_now_ms() + again_ms >= run->deadline_ms)
      return false;
    tell_why_again(run, reply, again_ms);
    answer->doubted = answer->doubted || reply->in_doubt;
    rest_reply_free(reply);
    if (!apps_pause(run, again_ms))
      return false;
  }
}

void apps_answer_free(apps_answer *answer) { rest_reply_free(&answer->reply); }

int apps_exit_of(int status, const char *code) {
  if (status == 429)
    return EXIT_RATE;
  if (code == NULL)
    return EXIT_OTHER;
  if (strcmp(code, "maintenance") == 0)
    return EXIT_MAINTENANCE;
  if (strcmp(code, "capacity") == 0)
    return EXIT_NO_CAPACITY;
  if (strcmp(code, "rate") == 0)
    return EXIT_RATE;
  if (strcmp(code, "app") == 0 || strcmp(code, "crash") == 0)
    return EXIT_APP_FAILED;
  return EXIT_OTHER;
}

int apps_refused(apps_run *run, const apps_answer *answer) {
  const rest_reply *reply = &answer->reply;
  const char *code = apps_text(reply->body, "code");
  const char *sentence = apps_text(reply->body, "error");
  char later[64] = "";
  size_t len;

  sentence = sentence != NULL ? sentence : reply->error;
  len = strlen(sentence);
  if (reply->retry_after_ms > 0)
    (void)snprintf(later, sizeof later, "%s Ask again in %lld s.",
                   len != 0 && sentence[len - 1] == '.' ? "" : ".",
                   (long long)(reply->retry_after_ms / 1000));
  if (reply->status == 401 || reply->status == 403)
    return apps_fail(run, EXIT_OTHER, code,
                     "The server does not accept the token (%d); see "
                     "--token-file.",
                     reply->status);
  return apps_fail(run, apps_exit_of(reply->status, code), code, "%s%s",
                   sentence, later);
}
