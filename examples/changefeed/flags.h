/*
 * Which flags there are: the command's own, those of its sub-commands, and one
 * for each row of the library's option table. Splits an argument into name and
 * value; decides nothing about values.
 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include <changefeed/changefeed.h>
#include <stdbool.h>

/* What is to be done; bits, so that a flag can belong to several. */
typedef enum command {
  COMMAND_FOLLOW = 1,
  COMMAND_MIRROR = 2,
  COMMAND_DIFF = 4
} command;

/* The first argument names a sub-command, or there is none. */
command command_of(char *const *argv);
/* "changefeed mirror" and the like */
const char *command_name(command c);

typedef enum own_flag {
  OWN_NONE,
  OWN_ONCE,
  OWN_FORMAT,
  OWN_EVENTS,
  OWN_STATS,
  OWN_STATS_INTERVAL,
  OWN_PASSWORD_FILE,
  OWN_FROM,
  OWN_TO,
  OWN_PREFIX,
  OWN_START,
  OWN_KEEP,
  OWN_SNAPSHOT,
  OWN_SNAPSHOT_INTERVAL,
  OWN_DIGEST,
  OWN_LIST,
  OWN_FOLLOW,
  OWN_AUDIT,
  OWN_AUDIT_INTERVAL,
  OWN_STALE,
  OWN_SETTLE,
  OWN_DIGEST_ONLY,
  OWN_JSON,
  OWN_A_OPTION,
  OWN_B_OPTION,
  OWN_A_PASSWORD_FILE,
  OWN_B_PASSWORD_FILE,
  OWN_VERBOSE,
  OWN_QUIET,
  OWN_VERSION,
  OWN_HELP
} own_flag;

typedef struct flag_info {
  own_flag id;
  unsigned commands; /* it belongs to */
  const char *name;
  const char *value; /* what stands for the value in --help; NULL: none */
  const char *summary;
} flag_info;

/* The command's own flags; the last has no name. */
extern const flag_info own_flags[];

enum { FLAG_NAME_MAX = 64 };

typedef struct flag {
  char name[FLAG_NAME_MAX]; /* as it was written, cut when it is too long */
  bool is_flag;             /* false: an operand */
  bool ends_flags;          /* "--" */
  const flag_info *own;     /* at most one of these two is set */
  const changefeed_option_info *option;
  bool negated;      /* --no-NAME of a switch */
  const char *value; /* NULL: none was given */
  int used;          /* arguments it consists of: 1 or 2 */
} flag;

/* Reads the flag that begins at argv[at]; argv ends with NULL. */
void flag_read(command c, char *const *argv, int at, flag *out);
/* The known flag nearest to a wrong name, NULL: none is near. */
const char *flag_nearest(command c, const char *name);
/* Whether an option of the library is of use to the command: a mirror decides
   some itself. */
bool flag_is_of_use(command c, const changefeed_option_info *option);
/* An option of the library by its name, NULL: there is none. */
const changefeed_option_info *flag_option(const char *name);
/* "name=value" of --a-option: where the value begins, and the option or NULL.
   NULL: there is no '='. */
const char *flag_split(const char *text, const changefeed_option_info **option);

#endif
