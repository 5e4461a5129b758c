/* What the bot is told, by arguments, the environment and a file. */
#ifndef DEPLOYBOT_OPTIONS_H
#define DEPLOYBOT_OPTIONS_H

#include "common/config.h"
#include "common/ids.h"
#include "deploybot/canary.h"
#include "deploybot/incident.h"
#include "deploybot/lines.h"
#include "deploybot/post.h"

enum command { COMMAND_RUN, COMMAND_ONCE, COMMAND_GATE, COMMAND_SERVE };

typedef struct options {
  config *config;
  enum command command;
  int log_level;
  char id[NAME_MOST + 1], app[NAME_MOST + 1];
  char *couch, *token, *password; /* secret, or with a secret in it */
  char *serve;                    /* the command of the canary's app */
  lines *lines;                   /* or NULL */
  canary_config canary;
  incident_rules rules;
  post_config post;
} options;

/* -1: go on; else the status to exit with, for errors with a sentence. To be
   freed in any case. */
int options_read(options *o, int argc, char **argv, char *error,
                 size_t error_size);
void options_free(options *o);

#endif
