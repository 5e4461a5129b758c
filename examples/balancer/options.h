/* What the balancer is told, checked, secrets read. */
#ifndef BALANCER_OPTIONS_H
#define BALANCER_OPTIONS_H

#include "common/config.h"
#include "common/ids.h"

#define BALANCER_VERSION "0.1.0"

typedef struct options {
  config *config;
  char *couch; /* with user:password@ */
  char id[NAME_MOST + 1];
  int log_level;
} options;

/* Negative: go on. Else the status to exit with, 0 after --help and --version;
   with a sentence in error otherwise. */
int options_read(options *o, int argc, char **argv, char *error,
                 size_t error_size);
void options_free(options *o);

#endif
