/*
 * Standard output and standard error together: rows go to the one, lines about
 * them to the other, and a progress line, where there is one, is erased before
 * anything else is shown. When both are the same terminal, both go through one
 * sink, so that their order on the screen is right.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include "sink.h"

typedef struct console {
  sink out, err_sink;
  sink *err;     /* err_sink, or out */
  bool terminal; /* standard error can show a progress line */
  bool shown;    /* the progress line is there */
  bool no_memory;
} console;

/* To be called before any descriptor is opened. False after a message. */
bool console_check_descriptors(void);
/* False after a message. */
bool console_open(console *c);

/* Prints a row; len 0: only acknowledges it. False: no memory. */
bool console_row(console *c, const char *data, size_t len, uint64_t ordinal);
/* A line on standard error. */
void console_line(console *c, const char *data, size_t len);
/* Shows this in place of the progress line before it. */
void console_progress(console *c, const char *data, size_t len);
void console_erase(console *c);

#endif
