/*
 * What the command was asked to do, read from its arguments: the library's
 * options go into an options object, the command's own flags into a struct.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <changefeed/changefeed.h>
#include <stdbool.h>

#include "secrets.h"

typedef enum row_format {
  FORMAT_ROW,
  FORMAT_ID,
  FORMAT_TSV,
  FORMAT_DOC
} row_format;

typedef struct args {
  changefeed_options *options;
  row_format format;
  bool events, stats, verbose, quiet, version, help;
  int64_t stats_interval_ms; /* 0: none */
  int64_t limit;             /* the option's value: 0 = none */
  bool reset_stops;          /* on_reset=stop */
  bool couch;                /* checkpoint=couch */
  bool keeps;                /* a position, there or elsewhere */

  /* while they are read */
  const char *password_file;
  const char *url;
  bool username, password, bearer_token, seq_interval, flush_on_stop;
} args;

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* EXIT_OK, or the exit status after a message on standard error. */
int args_read(args *a, const secrets *s);
void args_free(args *a);

/* "changefeed: ..." as a line on standard error, before threads are there. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All flags and options on standard output; false: it could not be written. */
bool help_print(void);

#endif
