/*
 * What is printed of a change.
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "args.h"
#include "text.h"

/* The line of a change without its line break; empty when this format prints
   nothing of it. The answer lies in the change or in scratch. False: no
   memory. */
bool row_line(row_format format, const changefeed_change *change,
              textbuf *scratch, changefeed_str *line);

#endif
