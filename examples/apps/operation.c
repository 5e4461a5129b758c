/* See operation.h. The server holds a question (?wait=) until something has
   changed; one that does not is asked more and more seldom. */
#include "apps/operation.h"
#include "apps/call.h"
#include "apps/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  HOLD_MS = 25000, /* the server may hold a question so long; below its 30 s */
  BEYOND_MS = 10000,
  SOON_MS = 200,
  SELDOM_MS = 5000,
  UNKNOWN_MS = 10000 /* an operation may be new to the server that is asked */
};

typedef struct wait {
  apps_run *run;
  enum apps_goal goal;
  json_t *body; /* what is known of it */
  char op[256]; /* escaped */
  int64_t pause_ms;
  int64_t unknown_ms; /* since when the server does not know it; 0: it does */
  int tries;          /* without an answer */
} wait;

int apps_op_status(enum apps_goal goal, const char *state, const char *code) {
  int failed = apps_exit_of(0, code);

  if (strcmp(state, "failed") == 0)
    return failed;
  if (strcmp(state, "superseded") == 0)
    return EXIT_OTHER;
  if (goal == GOAL_LIVE) {
    if (strcmp(state, "live") == 0)
      return EXIT_LIVE;
    if (strcmp(state, "crashed") == 0)
      return EXIT_APP_FAILED;
    return strcmp(state, "stopped") == 0 ? EXIT_OTHER : -1;
  }
  return strcmp(state, "stopped") == 0 ? EXIT_LIVE : -1;
}

static const char *state_of(const wait *w) {
  const char *state = apps_text(w->body, "state");

  return state != NULL ? state : "";
}

/* ---- what is told ---- */

static void tell_progress(const wait *w) {
  const json_t *position = json_object_get(w->body, "position");
  const char *state = state_of(w), *msg = apps_text(w->body, "msg");
  char place[40] = "";

  if (strcmp(state, "queued") == 0 && json_is_integer(position))
    (void)snprintf(place, sizeof place, " for a drone, place %lld",
                   (long long)json_integer_value(position));
  apps_progress(w->run, "%s: %s%s%s%s", w->run->operand,
                *state != '\0' ? state : "accepted", place,
                msg != NULL && *msg != '\0' ? ": " : "",
                msg != NULL ? msg : "");
}

static void print_live(const wait *w) {
  const char *url = apps_text(w->body, "url");
  const char *acks = apps_text(w->body, "acks");
  const json_t *to = json_array_get(json_object_get(w->body, "to"), 0);
  const char *drone = apps_text(w->body, "drone");
  const json_t *lacking = json_object_get(w->body, "lacking");

  if (drone == NULL)
    drone = apps_text(to, "addr");
  if (acks != NULL && strcmp(acks, "0/0") == 0)
    acks = NULL; /* there is none */
  apps_print(w->run, "%s is live%s%s%s%s%s%s", w->run->operand,
             url != NULL ? " at " : "", url != NULL ? url : "",
             acks != NULL ? ", balancers " : "", acks != NULL ? acks : "",
             drone != NULL ? ", drone " : "", drone != NULL ? drone : "");
  for (size_t i = 0; i < json_array_size(lacking); i++) {
    const json_t *one = json_array_get(lacking, i);
    char *shown = json_is_string(one) ? NULL : json_dumps(one, JSON_COMPACT);

    apps_say(w->run, "It is not known yet to %s.",
             shown != NULL ? shown : json_string_value(one));
    free(shown);
  }
}

static const char *undone(const wait *w, int status) {
  const char *state = state_of(w);

  if (status == EXIT_PENDING)
    return w->run->no_wait ? "was accepted and is under way"
                           : "is still under way, and the time is over";
  if (status == EXIT_NO_CAPACITY)
    return "has got no drone";
  if (strcmp(state, "superseded") == 0)
    return "was told something else meanwhile";
  if (strcmp(state, "stopped") == 0)
    return "was stopped meanwhile";
  return strcmp(state, "crashed") == 0 ? "crashes" : "has failed";
}

static int conclude_for_people(const wait *w, int status) {
  const char *msg = apps_text(w->body, "msg");

  if (status == EXIT_LIVE && w->goal == GOAL_LIVE)
    print_live(w);
  else if (status == EXIT_LIVE)
    apps_print(w->run, "%s is %s", w->run->operand,
               w->goal == GOAL_STOPPED ? "stopped" : "gone");
  else
    apps_say(w->run, "%s %s%s%s", w->run->operand, undone(w, status),
             msg != NULL && *msg != '\0' ? ": " : ".", msg != NULL ? msg : "");
  return status;
}

static int conclude(const wait *w, int status) {
  json_t *result;

  if (!w->run->json)
    return conclude_for_people(w, status);
  result = json_is_object(w->body) ? json_copy(w->body) : json_object();
  if (result != NULL) {
    (void)json_object_set_new(result, "app", json_string(w->run->operand));
    (void)json_object_set_new(result, "exit", json_integer(status));
  }
  apps_print_json(w->run, result);
  return status;
}

/* The time is over, or nobody waits. */
static int conclude_pending(const wait *w) {
  const char *code = apps_text(w->body, "code");
  bool no_drone = !w->run->no_wait && strcmp(state_of(w), "queued") == 0 &&
                  code != NULL && strcmp(code, "capacity") == 0;

  return conclude(w, no_drone ? EXIT_NO_CAPACITY : EXIT_PENDING);
}

/* ---- looking ---- */

static bool same(const json_t *a, const json_t *b, const char *name) {
  const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);

  return x == y || (x != NULL && y != NULL && json_equal(x, y) != 0);
}

/* True when something is new in it. */
static bool take(wait *w, json_t *body) {
  bool changed = !same(body, w->body, "state") ||
                 !same(body, w->body, "position") ||
                 !same(body, w->body, "code") || !same(body, w->body, "msg");

  json_decref(w->body);
  w->body = json_incref(body);
  return changed;
}

/* An answer that does not show the operation: the exit status, or -1: go on. */
static int no_answer(wait *w, const rest_reply *reply) {
  int64_t again_ms;

  if (reply->status == 404 && w->goal == GOAL_GONE)
    return conclude(w, EXIT_LIVE);
  if (reply->status == 404) {
    if (w->unknown_ms == 0)
      w->unknown_ms = apps_now_ms();
    w->pause_ms = SOON_MS * 2;
    return apps_now_ms() - w->unknown_ms < UNKNOWN_MS
               ? -1
               : apps_refused(w->run, &(apps_answer){*reply, false});
  }
  /* It is under way whatever becomes of the server; the deadline is the limit.
   */
  again_ms = apps_again_ms(w->run, reply, ++w->tries < 5 ? w->tries : 5);
  if (again_ms < 0)
    return apps_refused(w->run, &(apps_answer){*reply, false});
  apps_progress(w->run, "%s: %s; looking again in %lld s", w->run->operand,
                reply->error, (long long)(again_ms + 999) / 1000);
  w->pause_ms = again_ms;
  return -1;
}

static int look(wait *w) {
  int64_t left_ms = w->run->deadline_ms - apps_now_ms();
  int64_t hold_ms = left_ms < HOLD_MS ? left_ms : HOLD_MS;
  rest_reply reply;
  char path[320];
  bool changed;
  int status = -1;

  hold_ms = hold_ms > 1000 ? hold_ms : 1000;
  (void)snprintf(path, sizeof path, "/ops/%s?wait=%lld", w->op,
                 (long long)(hold_ms / 1000));
  (void)rest_call_ms(w->run->rest, "GET", path, NULL, hold_ms + BEYOND_MS,
                     &reply);
  if (reply.status != 200 || apps_text(reply.body, "state") == NULL) {
    status = no_answer(w, &reply);
  } else {
    w->unknown_ms = 0;
    w->tries = 0;
    changed = take(w, reply.body);
    if (changed)
      w->pause_ms = SOON_MS;
    else if (reply.took_ms < 1000) /* it does not hold questions */
      w->pause_ms = w->pause_ms * 2 < SELDOM_MS ? w->pause_ms * 2 : SELDOM_MS;
    status = apps_op_status(w->goal, state_of(w), apps_text(w->body, "code"));
    if (status >= 0)
      status = conclude(w, status);
    else if (changed)
      tell_progress(w);
  }
  rest_reply_free(&reply);
  return status;
}

static int wait_until_over(wait *w) {
  int status = -1;

  while (status < 0) {
    if (!apps_pause(w->run, apps_jitter(w->run, w->pause_ms)))
      return conclude_pending(w);
    status = look(w);
  }
  return status;
}

/* 200 says that it is done, even if not in so many words. */
static bool take_first(wait *w, const rest_reply *reply) {
  w->body = json_copy(reply->body);
  if (reply->status == 200 && apps_text(w->body, "state") == NULL)
    return json_object_set_new(
               w->body, "state",
               json_string(w->goal == GOAL_LIVE ? "live" : "stopped")) == 0;
  return w->body != NULL;
}

int apps_op_wait(apps_run *run, enum apps_goal goal, const rest_reply *reply) {
  wait w = {.run = run, .goal = goal, .pause_ms = SOON_MS};
  const char *op = apps_text(reply->body, "op");
  int status;

  if (!json_is_object(reply->body) || !take_first(&w, reply)) {
    json_decref(w.body);
    return apps_fail(run, EXIT_OTHER, NULL,
                     "%s did not answer as a provisioner does.",
                     rest_url(run->rest));
  }
  status = apps_op_status(goal, state_of(&w), apps_text(w.body, "code"));
  if (status >= 0) {
    status = conclude(&w, status);
  } else if (run->no_wait || op == NULL ||
             !rest_escape(op, w.op, sizeof w.op)) {
    status = conclude_pending(&w);
  } else {
    if (json_is_true(json_object_get(w.body, "coalesced")))
      apps_progress(run, "%s: the same is under way already (%s)", run->operand,
                    op);
    tell_progress(&w);
    status = wait_until_over(&w);
  }
  json_decref(w.body);
  return status;
}
