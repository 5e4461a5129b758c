/* The variables of an app: K=V from the command line and from a file. */
#ifndef APPS_ENVIRONMENT_H
#define APPS_ENVIRONMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Adds "NAME=VALUE" to an object, in place of a value that is there. false with
   a sentence, which quotes no value. */
bool apps_env_add(json_t *env, const char *text, size_t len, const char *place,
                  char *error, size_t size);
/* All lines of a file; empty ones and those that begin with # are passed
   over. */
bool apps_env_add_file(json_t *env, const char *path, char *error, size_t size);

#endif
