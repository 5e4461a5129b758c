/* What the provisioner is told, checked, secrets read. */
#ifndef PROVISIONER_OPTIONS_H
#define PROVISIONER_OPTIONS_H

#include "common/config.h"
#include "common/ids.h"

typedef struct options {
  config *config;
  char *couch; /* with user:password@ */
  char *token, *drone_token;
  char id[NAME_MOST + 1];
  int log_level;
} options;

/* Negative: go on. Else the status to exit with, 0 after --help and --version;
   with a sentence in error otherwise. */
int options_read(options *o, int argc, char **argv, char *error,
                 size_t error_size);
void options_free(options *o);

#endif
