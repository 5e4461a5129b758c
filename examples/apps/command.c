/* See command.h. One table of options for all commands, so that a file or the
   environment can hold those of several; a word of the command line that means
   nothing to its command is refused. */
#include "apps/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One bit for each command, in the order of the table. */
enum {
  CREATE = 1 << 0,
  START = 1 << 1,
  STOP = 1 << 2,
  RESTART = 1 << 3,
  STATUS = 1 << 4,
  LIST = 1 << 5,
  LOGS = 1 << 6,
  DESTROY = 1 << 7,
  DRONES = 1 << 8,
  MAINTENANCE = 1 << 9,
  COMMANDS = 10,
  WAITING = START | STOP | RESTART | DESTROY,
  ALL = (1 << COMMANDS) - 1
};

static const apps_command commands[COMMANDS] = {
    {"create", "NAME", 1, 1, "Creates an app, or changes what it is.",
     apps_create},
    {"start", "NAME", 1, 1, "Starts an app and waits until it is live.",
     apps_start},
    {"stop", "NAME", 1, 1, "Stops an app and waits until it has stopped.",
     apps_stop},
    {"restart", "NAME", 1, 1, "Starts an app anew, as it was created last.",
     apps_restart},
    {"status", "NAME", 1, 1, "Shows one app; the exit status says how it is.",
     apps_status},
    {"list", NULL, 0, 0, "Lists all apps.", apps_list},
    {"logs", "NAME", 1, 1, "Shows what an app has printed last.", apps_logs},
    {"destroy", "NAME", 1, 1, "Stops an app and forgets it.", apps_destroy},
    {"drones", NULL, 0, 0, "Lists the drones and who holds them.", apps_drones},
    {"maintenance", "[off|api|full|on]", 0, 1,
     "Shows or sets the maintenance mode.", apps_maintenance}};

typedef struct offered {
  int to; /* commands */
  config_option option;
} offered;

static const offered offers[] = {
    {CREATE,
     {"command", CONFIG_STRING, NULL, 0, 0, "CMD",
      "What runs, by /bin/sh; it listens on the port in $PORT."}},
    {CREATE,
     {"host", CONFIG_LIST, NULL, 0, 0, "HOST", "A name it answers to."}},
    {CREATE,
     {"env", CONFIG_LIST, NULL, 0, 0, "K=V", "A variable of its environment."}},
    {CREATE,
     {"env-file", CONFIG_STRING, NULL, 0, 0, "FILE",
      "Variables, one a line: K=V. For what is secret."}},
    {START | RESTART,
     {"force", CONFIG_FLAG, NULL, 0, 0, NULL,
      "Moves it to another drone even if it is live (once a minute)."}},
    {LOGS | STATUS | LIST,
     {"follow", CONFIG_FLAG, NULL, 0, 0, NULL,
      "Goes on with what comes, until it is interrupted."}},
    {LOGS,
     {"bytes", CONFIG_NUMBER, "16384", 1, 1048576, "N",
      "How much of its end."}},
    {STATUS | LIST,
     {"couch", CONFIG_STRING, NULL, 0, 0, "URL",
      "Database server to follow instead of asking again and again "
      "(or COUCHDB_URL)."}},
    {STATUS | LIST,
     {"couch-db", CONFIG_STRING, "apps", 0, 0, "NAME", "Its database."}},
    {MAINTENANCE,
     {"app", CONFIG_STRING, NULL, 0, 0, "NAME",
      "Of this app alone: on or off, for its visitors."}},
    {MAINTENANCE,
     {"message", CONFIG_STRING, NULL, 0, 0, "TEXT", "Why, for all who ask."}},
    {MAINTENANCE,
     {"until", CONFIG_STRING, NULL, 0, 0, "TIME",
      "2h, 30m or 2030-12-31T18:00Z: for the message."}},
    {WAITING,
     {"no-wait", CONFIG_FLAG, NULL, 0, 0, NULL,
      "Ends as soon as the operation is accepted (exit status 3)."}},
    {ALL,
     {"timeout", CONFIG_MS, "5m", 1, 86400000, "TIME",
      "How long all of it may take."}},
    {ALL,
     {"server", CONFIG_STRING, "http://127.0.0.1:7400", 0, 0, "URL",
      "The provisioner's API."}},
    {ALL,
     {"token-file", CONFIG_STRING, NULL, 0, 0, "FILE",
      "The token's file [~/.config/apps/token]."}},
    {ALL,
     {"ca-file", CONFIG_STRING, NULL, 0, 0, "FILE",
      "Certificates to trust instead of the system's."}},
    {ALL, {"json", CONFIG_FLAG, NULL, 0, 0, NULL, "JSON on standard output."}},
    {ALL,
     {"quiet", CONFIG_FLAG, NULL, 0, 0, NULL,
      "No progress, only the result."}}};

enum { OFFERS = sizeof offers / sizeof offers[0] };

/* The options of some commands, ended as config.h wants it. */
static void collect(int of, config_option *out) {
  size_t n = 0;

  for (size_t i = 0; i < OFFERS; i++)
    if ((offers[i].to & of) != 0)
      out[n++] = offers[i].option;
  memset(&out[n], 0, sizeof out[n]);
}

static const apps_command *command_named(const char *name) {
  for (size_t i = 0; i < COMMANDS; i++)
    if (strcmp(commands[i].name, name) == 0)
      return &commands[i];
  return NULL;
}

void apps_print_help(const apps_command *command) {
  config_option options[OFFERS + 1];
  config_program program;
  char name[32];

  if (command != NULL) {
    (void)snprintf(name, sizeof name, "apps %s", command->name);
    collect(1 << (command - commands), options);
    program = (config_program){name, command->summary, "APPS", options,
                               command->operands};
    config_print_help(&program);
    return;
  }
  (void)printf("Usage: apps COMMAND [NAME] [OPTION]...\n"
               "Runs apps on a pool of drones.\n\n");
  for (size_t i = 0; i < COMMANDS; i++)
    (void)printf("  %-12s %s\n", commands[i].name, commands[i].summary);
  (void)printf(
      "\n\"apps COMMAND --help\" shows a command's options. The server is "
      "named "
      "by\n--server or APPS_SERVER, the token's file by --token-file or "
      "APPS_TOKEN_FILE.\n\nExit status: 0 live or done, 1 other, 2 usage, 3 "
      "pending, 4 no capacity,\n5 the app failed, 6 maintenance, 7 too many "
      "requests.\n");
}

/* ---- reading a line ---- */

static bool wrong(apps_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool wrong(apps_line *line, const char *format, ...) {
  va_list args;

  va_start(args, format);
  /* The analyzer does not see va_start here, though it does elsewhere.
     NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
  (void)vsnprintf(line->error, line->error_size, format, args);
  va_end(args);
  return false;
}

static bool take_operands(apps_line *line, int count, char *const *words) {
  const apps_command *c = line->command;

  if (count < c->least)
    return wrong(line, "apps %s needs %s.", c->name, c->operands);
  if (count > c->most)
    return wrong(line, "apps %s: there is one word too many: \"%.60s\".",
                 c->name, words[c->most]);
  line->operand = count > 0 ? words[0] : NULL;
  return true;
}

static bool takes_its_options(apps_line *line) {
  int bit = 1 << (line->command - commands);

  for (size_t i = 0; i < OFFERS; i++)
    if ((offers[i].to & bit) == 0 &&
        config_is_argument(line->config, offers[i].option.name))
      return wrong(line, "apps %s has no option --%s.", line->command->name,
                   offers[i].option.name);
  return true;
}

/* "apps help start" is "apps start --help". */
static bool take_words(apps_line *line) {
  char *const *words;
  int count = config_operands(line->config, &words);
  bool help = count > 0 && strcmp(words[0], "help") == 0;

  words += help;
  count -= help;
  line->help = help || config_flag(line->config, "help");
  line->version = config_flag(line->config, "version");
  if (count == 0)
    return line->help || line->version ||
           wrong(line, "No command is given; \"apps --help\" shows them.");
  line->command = command_named(words[0]);
  if (line->command == NULL)
    return wrong(line,
                 "There is no command \"%.60s\"; \"apps --help\" shows them.",
                 words[0]);
  return line->help || line->version ||
         (take_operands(line, count - 1, words + 1) && takes_its_options(line));
}

bool apps_line_read(apps_line *line, int argc, char **argv, char *error,
                    size_t error_size) {
  bool done = false;

  memset(line, 0, sizeof *line);
  line->error = error;
  line->error_size = error_size;
  /* The config goes on reading the table, so it is not on the stack. */
  line->options = calloc(OFFERS + 1, sizeof *line->options);
  if (line->options == NULL)
    return wrong(line, "There is not enough memory.");
  collect(ALL, line->options);
  line->program =
      (config_program){"apps", "", "APPS", line->options, "COMMAND"};
  line->config = config_read(&line->program, argc, argv, error, error_size);
  done = line->config != NULL && take_words(line);
  if (!done)
    apps_line_free(line);
  return done;
}

void apps_line_free(apps_line *line) {
  config_free(line->config);
  free(line->options);
  line->config = NULL;
  line->options = NULL;
}
