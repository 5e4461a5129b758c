/*
 * Text that grows, and what the command writes into it: JSON strings, escaped
 * ids, times, rows on one line. Running out of memory is remembered and told
 * once, by text_ok.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <changefeed/changefeed.h>
#include <stdbool.h>

typedef struct textbuf {
  char *data; /* not terminated by '\0' */
  size_t len, cap;
  bool failed;
} textbuf;

void text_clear(textbuf *t);
/* Gives memory back that only an unusually long text needed. */
void text_trim(textbuf *t);
void text_free(textbuf *t);
bool text_ok(const textbuf *t);

/* Makes room for more bytes; false without memory. */
bool text_reserve(textbuf *t, size_t more);
void text_put(textbuf *t, const char *data, size_t len);
void text_puts(textbuf *t, const char *string);
void text_putc(textbuf *t, char c);
void text_printf(textbuf *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void text_put_json(textbuf *t, const char *data, size_t len);
/* \t \n \r \\ and \xHH for other control characters, C1 included: one field of
   one line, and harmless on a terminal. */
void text_put_escaped(textbuf *t, changefeed_str s);
/* JSON without the white space between its tokens. */
void text_put_compact(textbuf *t, const char *json, size_t len);
/* "2024-05-31T12:34:56.789Z" */
void text_put_now(textbuf *t);

/* True when a JSON text is not on one line. */
bool has_line_break(const char *data, size_t len);

/* ---- small helpers of no better place ---- */

/* Milliseconds of a clock that never goes back. */
int64_t clock_ms(void);
/* Overwrites a secret in a way the compiler keeps. */
void wipe(void *block, size_t size);

#endif
