/* What people and scripts see: results on standard output, progress and errors
   on standard error. What a server said is shown without what a terminal would
   obey. */
#ifndef APPS_CONSOLE_H
#define APPS_CONSOLE_H

#include "apps/apps.h"

/* One line of progress: on a terminal in place of the one before. Nothing when
   the run is quiet or speaks JSON. */
void apps_progress(apps_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A warning, or why it ended; the line stays. */
void apps_say(apps_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One line of a result for people. */
void apps_print(apps_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One line of JSON; takes value over. */
void apps_print_json(apps_run *run, json_t *value);
/* A failure: a sentence on standard error, or JSON {error, code, exit} on
   standard output. Answers status. code may be NULL. */
int apps_fail(apps_run *run, int status, const char *code, const char *format,
              ...) __attribute__((format(printf, 4, 5)));
/* status, or 1 when not all of the output could be written. */
int apps_console_end(apps_run *run, int status);
/* A copy of len bytes for a terminal, appended to out. */
void apps_clean(text *out, const char *s, size_t len, bool lines);

#endif
