/* The table of options, and the program's words; see options.h. What they mean
   together is in options_check.c. */
#include "deploybot/options_int.h"

#include "common/couch_url.h"
#include "common/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, DAY_MS = 24 * 3600 * 1000 };

#define MONTH_MS (INT64_C(30) * DAY_MS)

static const config_option table[] = {
    COUCH_OPTIONS,
    {"apps", CONFIG_STRING, "apps", 0, 0, "DB",
     "the database of apps and routes"},
    {"server", CONFIG_STRING, "http://127.0.0.1:7400", 0, 0, "URL",
     "the provisioner's API"},
    {"token-file", CONFIG_STRING, NULL, 0, 0, "FILE", "the API's token"},
    {"ca-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "certificates to trust there instead of the system's"},
    {"balancer", CONFIG_LIST, NULL, 0, 0, "ADDR:PORT",
     "where visitors come to a balancer; default: those in the database."},
    {"id", CONFIG_STRING, NULL, 0, 0, "NAME",
     "of this bot, another for each; default: the machine's name"},
    {"app", CONFIG_STRING, NULL, 0, 0, "NAME",
     "the canary's app; default: canary-ID"},
    {"host", CONFIG_STRING, NULL, 0, 0, "HOST",
     "of that app; default: what the API gives it"},
    {"command", CONFIG_STRING, NULL, 0, 0, "CMD",
     "what the app is; default: this program, serve"},
    {"every", CONFIG_MS, "2m", 1000, DAY_MS, "TIME",
     "from one canary's beginning to the next"},
    {"again", CONFIG_MS, "30s", 1000, DAY_MS, "TIME",
     "the same after a failure that is not told yet"},
    {"run-time", CONFIG_MS, "60s", 1000, 3600000, "TIME",
     "for all of a canary"},
    {"settle", CONFIG_MS, "10s", 100, 600000, "TIME",
     "for a balancer to show what the API said"},
    {"alert-after", CONFIG_NUMBER, "2", 1, 1000, "N",
     "failures in a row that are an incident"},
    {"repeat-first", CONFIG_MS, "1h", 1000, MONTH_MS, "TIME",
     "after which an incident is told again"},
    {"repeat", CONFIG_MS, "24h", 1000, MONTH_MS, "TIME",
     "after which it is told again and again"},
    {"staging", CONFIG_STRING, "staging", 0, 0, "NAME",
     "what mails call the platform"},
    {"smtp", CONFIG_STRING, NULL, 0, 0, "URL",
     "the mail server, smtp://HOST:PORT or smtps://HOST:PORT"},
    {"smtp-tls", CONFIG_STRING, "try", 0, 0, "try|need|never",
     "STARTTLS, of smtp://"},
    {"smtp-ca-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "certificates to trust there instead of the system's"},
    {"smtp-user", CONFIG_STRING, NULL, 0, 0, "NAME", "who we are there"},
    {"smtp-password-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "the password, in a file that only its owner can read"},
    {"mail-from", CONFIG_STRING, "deploybot@localhost", 0, 0, "ADDR",
     "the sender of mails"},
    {"mail-to", CONFIG_LIST, NULL, 0, 0, "ADDR", "who gets them."},
    {"mail-again", CONFIG_MS, "30s", 1000, 900000, "TIME",
     "the first pause after a mail that was not accepted"},
    {"mailbox", CONFIG_STRING, NULL, 0, 0, "DIR",
     "mails become files of this directory"},
    {"lines", CONFIG_STRING, NULL, 0, 0, "FILE",
     "one of its lines ends each mail"},
    {"polite", CONFIG_FLAG, NULL, 0, 0, NULL, "none of them"},
    {"state", CONFIG_STRING, NULL, 0, 0, "FILE",
     "what must be known after a restart"},
    {"listen", CONFIG_STRING, "127.0.0.1:7600", 0, 0, "ADDR:PORT",
     "metrics and health; port 0: the system chooses"},
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "write where that is to this file, once it is ready"},
    {"max-age", CONFIG_MS, "10m", 1000, MONTH_MS, "TIME",
     "gate: of the last canary"},
    {"log-level", CONFIG_STRING, "info", 0, 0, "LEVEL",
     "debug, info, warn or error"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program program = {
    "deploybot",
    "Deploys a canary all the time, and mails when that does not work.\n"
    "once: one canary. gate: may be deployed now? serve: the canary's app.",
    "DEPLOYBOT", table, "[once|gate|serve]"};

static bool take_command(options *o, char *error, size_t size) {
  static const char *const names[] = {"run", "once", "gate", "serve"};
  char *const *words;
  int count = config_operands(o->config, &words);

  if (count > 1) {
    (void)snprintf(error, size, "there is one word too many: \"%.60s\"",
                   words[1]);
    return false;
  }
  for (int i = COMMAND_RUN; i <= COMMAND_SERVE; i++)
    if (count == 0 || strcmp(words[0], names[i]) == 0) {
      o->command = (enum command)i;
      return true;
    }
  (void)snprintf(error, size,
                 "there is no command \"%.60s\"; there is once, gate and serve",
                 words[0]);
  return false;
}

int options_read(options *o, int argc, char **argv, char *error,
                 size_t error_size) {
  memset(o, 0, sizeof *o);
  o->config = config_read(&program, argc, argv, error, error_size);
  if (o->config == NULL)
    return EXIT_USAGE;
  if (config_flag(o->config, "help")) {
    config_print_help(&program);
    return 0;
  }
  if (config_flag(o->config, "version")) {
    (void)puts("deploybot of libchangefeed's platform, version 1");
    return 0;
  }
  o->log_level = log_level_of(config_string(o->config, "log-level"));
  if (o->log_level < 0) {
    (void)snprintf(error, error_size,
                   "--log-level is debug, info, warn or error");
    return EXIT_USAGE;
  }
  if (!take_command(o, error, error_size))
    return EXIT_USAGE;
  if (o->command == COMMAND_SERVE)
    return -1;
  return options_check(o, error, error_size) ? -1 : EXIT_USAGE;
}

void options_free(options *o) {
  config_forget(o->couch);
  config_forget(o->token);
  config_forget(o->password);
  lines_free(o->lines);
  free(o->serve);
  config_free(o->config);
}
