/* The commands of `apps`: their names, what each takes, and their help. */
#ifndef APPS_COMMAND_H
#define APPS_COMMAND_H

#include "apps/apps.h"

typedef struct apps_command {
  const char *name;
  const char *operands; /* as the help shows them, or NULL */
  int least, most;      /* how many of them */
  const char *summary;
  int (*run)(apps_run *run);
} apps_command;

/* A command line that was understood. */
typedef struct apps_line {
  const apps_command *command; /* NULL: only help or version is wanted */
  const char *operand;         /* the first behind the command, or NULL */
  bool help, version;
  config *config;
  config_program program; /* what config goes on reading */
  config_option *options;
  char *error; /* of the caller */
  size_t error_size;
} apps_line;

/* false with a sentence in error. */
bool apps_line_read(apps_line *line, int argc, char **argv, char *error,
                    size_t error_size);
void apps_line_free(apps_line *line);
/* Of one command, or (NULL) of all. */
void apps_print_help(const apps_command *command);

#endif
