/* The log: logfmt, one line for one event on stderr, written in one piece.
   ts=2026-01-01T12:00:00.000Z level=warn program=drone event=bind.refused app=a

   No secret is a value of it: tokens and passwords are never handed over. */
#ifndef PLATFORM_LOG_H
#define PLATFORM_LOG_H

#include <stdint.h>

enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

typedef struct log_field {
  const char *key;  /* NULL: the end */
  const char *text; /* NULL: the number counts */
  int64_t number;
} log_field;

#define LS(key, text)                                                          \
  { (key), (text) != NULL ? (text) : "", 0 }
#define LN(key, number)                                                        \
  { (key), NULL, (int64_t)(number) }
/* log_event(LOG_INFO, "bind", LS("app", app), LN("epoch", epoch)); one field at
   least. Any thread. */
#define log_event(level, event, ...)                                           \
  log_fields((level), (event),                                                 \
             (const log_field[]){__VA_ARGS__, {NULL, NULL, 0}})

/* program is kept, not copied; least: the level below which nothing is written.
   Before it is called, warnings and worse are written, without a program. */
void log_open(const char *program, int least);
int log_level_of(const char *name); /* "debug" .. "error", or -1 */
void log_fields(int level, const char *event, const log_field *fields);

#endif
