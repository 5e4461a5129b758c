/* The commands that change an app. Each asks once; a call whose outcome nobody
   knows is made again in the same words, which the server takes for one. */
#include "apps/call.h"
#include "apps/console.h"
#include "apps/environment.h"
#include "apps/lock.h"
#include "apps/operation.h"
#include "common/ids.h"

#include <string.h>

enum { PATH_SIZE = 128 };

/* ---- create ---- */

static json_t *read_environment(apps_run *run, int *status) {
  const char *file = config_string(run->config, "env-file");
  const char *const *words;
  size_t count = config_list(run->config, "env", &words);
  json_t *env = json_object();
  char error[320] = "There is not enough memory.";
  bool done = env != NULL;

  if (done && file != NULL)
    done = apps_env_add_file(env, file, error, sizeof error);
  for (size_t i = 0; done && i < count; i++)
    done = apps_env_add(env, words[i], strlen(words[i]), "--env", error,
                        sizeof error);
  *status = done ? EXIT_LIVE : apps_fail(run, EXIT_USAGE, NULL, "%s", error);
  if (done)
    return env;
  json_decref(env);
  return NULL;
}

static json_t *read_hosts(apps_run *run, int *status) {
  const char *const *words;
  size_t count = config_list(run->config, "host", &words);
  json_t *hosts = json_array();

  *status = EXIT_LIVE;
  for (size_t i = 0; i < count && *status == EXIT_LIVE; i++) {
    if (!id_is_served_host(words[i], strlen(words[i])))
      *status = apps_fail(run, EXIT_USAGE, NULL,
                          "\"%.100s\" is no name of a host (lower case, "
                          "without a port).",
                          words[i]);
    else if (json_array_append_new(hosts, json_string(words[i])) != 0)
      *status = apps_fail(run, EXIT_OTHER, NULL, "There is not enough memory.");
  }
  if (*status == EXIT_LIVE)
    return hosts;
  json_decref(hosts);
  return NULL;
}

/* What is not said is not sent: it stays as it is, or is the server's choice.
 */
static json_t *definition(apps_run *run, int *status) {
  const char *command = config_string(run->config, "command");
  json_t *body = NULL, *hosts, *env = NULL;

  if (command == NULL || *command == '\0') {
    *status = apps_fail(run, EXIT_USAGE, NULL,
                        "apps create needs --command: what is to run.");
    return NULL;
  }
  hosts = read_hosts(run, status);
  if (hosts != NULL)
    env = read_environment(run, status);
  if (*status == EXIT_LIVE &&
      (body = json_pack("{s:s}", "command", command)) == NULL)
    *status = apps_fail(run, EXIT_USAGE, NULL, "The command is not UTF-8.");
  if (body != NULL && json_array_size(hosts) != 0)
    (void)json_object_set(body, "hosts", hosts);
  if (body != NULL && (config_is_set(run->config, "env") ||
                       config_is_set(run->config, "env-file")))
    (void)json_object_set(body, "env", env);
  json_decref(hosts);
  json_decref(env);
  return body;
}

static int tell_created(apps_run *run, const rest_reply *reply) {
  if (run->json) {
    json_t *result =
        json_is_object(reply->body) ? json_copy(reply->body) : json_object();

    (void)json_object_set_new(result, "app", json_string(run->operand));
    (void)json_object_set_new(result, "exit", json_integer(EXIT_LIVE));
    apps_print_json(run, result);
  } else {
    apps_print(run, "%s is %s; \"apps start %s\" puts it to work", run->operand,
               reply->status == 201 ? "created" : "changed", run->operand);
  }
  return EXIT_LIVE;
}

int apps_create(apps_run *run) {
  int status;
  json_t *body = definition(run, &status);
  char path[PATH_SIZE];
  apps_answer answer;
  apps_lock lock;

  if (body == NULL)
    return status;
  status = apps_lock_take(run, &lock);
  if (status == EXIT_LIVE) {
    if (apps_call(run, "POST", apps_path(run, "", path, sizeof path), body,
                  &answer))
      status = tell_created(run, &answer.reply);
    else
      status = apps_refused(run, &answer);
    apps_answer_free(&answer);
    apps_lock_release(&lock);
  }
  json_decref(body);
  return status;
}

/* ---- start, stop, restart, destroy ---- */

static int operate(apps_run *run, const char *method, const char *more,
                   const json_t *body, enum apps_goal goal) {
  char path[PATH_SIZE];
  apps_answer answer;
  apps_lock lock;
  int status = apps_lock_take(run, &lock);

  if (status != EXIT_LIVE)
    return status;
  if (apps_call(run, method, apps_path(run, more, path, sizeof path), body,
                &answer)) {
    status = apps_op_wait(run, goal, &answer.reply);
  } else if (goal == GOAL_GONE && answer.reply.status == 404 &&
             answer.doubted) {
    /* By the call before. */
    rest_reply gone = {.status = 200, .body = json_object()};

    status = apps_op_wait(run, goal, &gone);
    rest_reply_free(&gone);
  } else {
    status = apps_refused(run, &answer);
  }
  apps_answer_free(&answer);
  apps_lock_release(&lock);
  return status;
}

int apps_start(apps_run *run) {
  json_t *body = json_object();
  int status;

  if (config_flag(run->config, "force"))
    (void)json_object_set_new(body, "force", json_true());
  status = operate(run, "POST", "/start", body, GOAL_LIVE);
  json_decref(body);
  return status;
}

int apps_stop(apps_run *run) {
  json_t *body = json_object();
  int status = operate(run, "POST", "/stop", body, GOAL_STOPPED);

  json_decref(body);
  return status;
}

/* The key makes it another operation than the one before, but the same when
   this very call is repeated. */
int apps_restart(apps_run *run) {
  char key[CLAIM_LEN + 1];
  json_t *body;
  int status;

  if (!id_random(key))
    return apps_fail(run, EXIT_OTHER, NULL, "The kernel has no random bytes.");
  body = json_pack("{s:s}", "key", key);
  if (config_flag(run->config, "force"))
    (void)json_object_set_new(body, "force", json_true());
  status = operate(run, "POST", "/start", body, GOAL_LIVE);
  json_decref(body);
  return status;
}

int apps_destroy(apps_run *run) {
  return operate(run, "DELETE", "", NULL, GOAL_GONE);
}
