/* apps: creates, starts, stops and shows apps, through a provisioner's API. */
#include "apps/command.h"
#include "apps/console.h"
#include "common/ids.h"

#include <changefeed/changefeed.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The token of the file that was named, or of the usual one if there is one. */
static bool read_token(apps_run *run, char **token) {
  const char *named = config_string(run->config, "token-file");
  const char *home = getenv("XDG_CONFIG_HOME"), *below = "apps/token";
  char error[320], usual[512];

  *token = NULL;
  if (home == NULL || home[0] != '/') {
    home = getenv("HOME");
    below = ".config/apps/token";
  }
  (void)snprintf(usual, sizeof usual, "%.400s/%s", home != NULL ? home : "",
                 below);
  if (named == NULL && (home == NULL || access(usual, F_OK) != 0))
    return true;
  *token = config_secret(named != NULL ? named : usual, error, sizeof error);
  if (*token == NULL)
    (void)apps_fail(run, EXIT_OTHER, NULL, "%s", error);
  return *token != NULL;
}

static bool make_client(apps_run *run) {
  rest_config server = {.url = config_string(run->config, "server"),
                        .ca_file = config_string(run->config, "ca-file")};
  char error[320];
  char *token;

  if (!read_token(run, &token))
    return false;
  server.token = token;
  run->rest = rest_new(&server, error, sizeof error);
  config_forget(token);
  if (run->rest == NULL)
    (void)apps_fail(run, EXIT_OTHER, NULL, "%s", error);
  return run->rest != NULL;
}

static int run_command(const apps_line *line) {
  const config *c = line->config;
  apps_run run = {.command = line->command->name,
                  .operand = line->operand,
                  .config = c,
                  .json = config_flag(c, "json"),
                  .quiet = config_flag(c, "quiet"),
                  .no_wait = config_flag(c, "no-wait"),
                  .terminal = isatty(STDOUT_FILENO) != 0};
  char seed[CLAIM_LEN + 1] = "";
  int status;

  run.deadline_ms = apps_now_ms() + config_number(c, "timeout");
  (void)id_random(seed);
  run.random = id_hash(seed, strlen(seed)) | 1;
  if (run.operand != NULL && strcmp(line->command->operands, "NAME") == 0 &&
      !id_is_app(run.operand, strlen(run.operand)))
    status = apps_fail(&run, EXIT_USAGE, NULL,
                       "\"%.80s\" is no name of an app: a-z, 0-9 and '-', "
                       "beginning with a letter, at most 63.",
                       run.operand);
  else if (!make_client(&run))
    status = EXIT_OTHER;
  else
    status = line->command->run(&run);
  status = apps_console_end(&run, status);
  rest_free(run.rest);
  return status;
}

int main(int argc, char **argv) {
  char error[512];
  apps_line line;
  int status = EXIT_LIVE;

  (void)signal(SIGPIPE,
               SIG_IGN); /* a reader that goes is an error of writing */
  if (!apps_line_read(&line, argc, argv, error, sizeof error)) {
    (void)fprintf(stderr, "apps: %s\n", error);
    return EXIT_USAGE;
  }
  if (line.help)
    apps_print_help(line.command);
  else if (line.version)
    (void)printf("apps %s\n", changefeed_version_string());
  else
    status = run_command(&line);
  if ((line.help || line.version) && fflush(stdout) != 0)
    status = EXIT_OTHER;
  apps_line_free(&line);
  return status;
}
