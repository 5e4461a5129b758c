/* A mail as it goes over the wire: headers that nothing given can break, and a
   body any reader shows. Pure. */
#ifndef DEPLOYBOT_MAIL_H
#define DEPLOYBOT_MAIL_H

#include "common/text.h"
#include <stdint.h>

enum { MAIL_COLUMNS = 72, ADDRESS_MOST = 254 };

typedef struct mail_head {
  const char *from;      /* an address, as mail_is_address has it */
  const char *const *to; /* the same */
  size_t to_count;
  const char *subject;   /* any text; cut to what a line shows */
  const char *id;        /* of the message, without <> */
  const char *refers_to; /* an earlier one's, or NULL */
  int64_t at_ms;         /* since 1970 */
} mail_head;

/* One of "name@host" in ASCII, without spaces, quotes, brackets or commas. */
bool mail_is_address(const char *s);
/* Lines of body end in \n; what is not text in it is replaced. The result ends
   lines in CRLF. */
void mail_write(const mail_head *head, const char *body, text *out);

/* How many bytes at s are one character that may be shown; 0: none, this byte
   is a control, or not UTF-8. */
size_t mail_character(const char *s, size_t len);
/* Adds words, folded at MAIL_COLUMNS: the first line behind `first`, the others
   behind spaces as wide. Ends the line. A word that is longer is broken. */
void mail_fold(text *out, const char *first, const char *words);
/* Adds any bytes behind "  | ", with escapes for what cannot be shown. */
void mail_quote(text *out, const char *data, size_t len);
/* "2026-11-23 18:03:10 UTC" */
void mail_time(int64_t at_ms, char *out, size_t size);
/* "2 hours 5 minutes" */
void mail_duration(int64_t ms, char *out, size_t size);

#endif
