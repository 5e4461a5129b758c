/*
 * What the command was asked to do, read from its arguments: the library's
 * options go into an options object, the command's own flags into a struct.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <changefeed/mirror.h>
#include <stdbool.h>

#include "flags.h"
#include "secrets.h"

typedef enum row_format {
  FORMAT_ROW,
  FORMAT_ID,
  FORMAT_TSV,
  FORMAT_DOC
} row_format;

/* Which credentials were given as options; while the arguments are read. */
typedef struct identity {
  bool username, password, bearer_token;
  const char *password_file;
} identity;

/* One side of a comparison. */
typedef struct side_args {
  char *name;                  /* as it was given; may hold a password */
  changefeed_options *options; /* NULL: a snapshot file */
} side_args;

/* What mirror and diff were asked to do. */
typedef struct mirror_args {
  char *from, *to, *prefix, *snapshot;
  int keep, start;
  bool digest, list, follow, audit, json, digest_only;
  int64_t snapshot_ms, audit_ms, stale_ms, settle_ms;
  side_args sides[2];
  int operands;
  bool retry_limit; /* was given */
} mirror_args;

typedef struct args {
  command command;
  changefeed_options *options;
  row_format format;
  bool events, stats, verbose, quiet, version, help;
  int64_t stats_interval_ms; /* 0: none */
  int64_t limit;             /* the option's value: 0 = none */
  bool reset_stops;          /* on_reset=stop */
  bool couch;                /* checkpoint=couch */
  bool keeps;                /* a position, there or elsewhere */
  mirror_args mirror;

  /* while they are read */
  const char *url;
  identity me;
  bool seq_interval, flush_on_stop;
} args;

/* Of mirror and diff, 1 says that something differs. */
enum {
  EXIT_OK = 0,
  EXIT_FAILED = 1,
  EXIT_DIFFERENT = 1,
  EXIT_USAGE = 2,
  EXIT_TROUBLE = 3,
  EXIT_UNSETTLED = 4
};

/* EXIT_OK, or the exit status after a message on standard error. */
int args_read(args *a, const secrets *s);
void args_free(args *a);

/* "changefeed: ..." as a line on standard error, before threads are there. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All flags and options on standard output; false: it could not be written. */
bool help_print(command c);

#endif
