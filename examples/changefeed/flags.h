/*
 * Which flags there are: the command's own, and one for each row of the
 * library's option table. Splits an argument into name and value; decides
 * nothing about values.
 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include <changefeed/changefeed.h>
#include <stdbool.h>

typedef enum own_flag {
  OWN_NONE,
  OWN_ONCE,
  OWN_FORMAT,
  OWN_EVENTS,
  OWN_STATS,
  OWN_STATS_INTERVAL,
  OWN_PASSWORD_FILE,
  OWN_VERBOSE,
  OWN_QUIET,
  OWN_VERSION,
  OWN_HELP
} own_flag;

typedef struct flag_info {
  own_flag id;
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
void flag_read(char *const *argv, int at, flag *out);
/* The known flag nearest to a wrong name, NULL: none is near. */
const char *flag_nearest(const char *name);

#endif
