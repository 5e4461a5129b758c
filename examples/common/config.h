/* What a program is told: one table of options says names, defaults, bounds and
   help; values come from a file (--config=FILE, lines "name = value", # is a
   comment), then from the environment (PREFIX_NAME in capitals, '-' as '_'),
   then from the command line (--name=value or --name value), later ones win. A
   secret is named by a file (--token-file), never given as a value.

   CONFIG_LIST may be said several times; a later source replaces all values of
   an earlier one. An environment variable that is empty counts as none. */
#ifndef PLATFORM_CONFIG_H
#define PLATFORM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_STRING, CONFIG_NUMBER, CONFIG_MS, CONFIG_FLAG, CONFIG_LIST };

typedef struct config_option {
  const char *name;
  int kind;
  const char *value;    /* the default, as it would be written; NULL: none */
  int64_t least, most;  /* of numbers, and of milliseconds ("250ms", "5s", "2m",
                           "1h");  both 0: any that is not negative */
  const char *argument; /* how --help names the value */
  const char *help;     /* one sentence */
} config_option;

typedef struct config config;

typedef struct config_program {
  const char *name, *summary, *prefix; /* of the environment's names */
  const config_option *options;        /* ends with name NULL */
  const char *operands; /* "[ADDR]...", or NULL: none are taken */
} config_program;

/* NULL after a wrong word, with a sentence in error that names it and where it
   stood. --help and --version are flags of every program: see config_flag. */
config *config_read(const config_program *program, int argc, char **argv,
                    char *error, size_t error_size);
void config_free(config *c);
void config_print_help(const config_program *program);
const char *config_string(const config *c, const char *name); /* or NULL */
int64_t config_number(const config *c, const char *name);     /* also of ms */
bool config_flag(const config *c, const char *name);
bool config_is_set(const config *c, const char *name); /* by anybody */
/* By a word of the command line. */
bool config_is_argument(const config *c, const char *name);
/* The values of a CONFIG_LIST; how many there are. */
size_t config_list(const config *c, const char *name,
                   const char *const **values);
int config_operands(const config *c, char *const **operands);
/* A line out of a file that only its owner can read; NULL with a sentence. To
   be wiped and freed by config_forget. */
char *config_secret(const char *path, char *error, size_t error_size);
void config_forget(char *secret);

#endif
