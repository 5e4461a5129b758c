/*
 * The option table as data: one row an option, with the place of its value in
 * cfi_settings. Finds rows by name and the name nearest to a wrong one. The
 * values are checked in options_value.c.
 */
#ifndef CFI_OPTIONS_INFO_H
#define CFI_OPTIONS_INFO_H

#include "options.h"

typedef struct cfi_option {
  changefeed_option_info info;
  size_t offset;   /* of its member in cfi_settings */
  int64_t initial; /* INT, SWITCH, ENUM: the default */
} cfi_option;

extern const cfi_option cfi_option_table[];
extern const size_t cfi_option_count;

/* '-' and '_' are the same. NULL: there is none. */
const cfi_option *cfi_option_find(const char *name);
/* The known name that name was probably meant to be; NULL: none is near. */
const char *cfi_option_nearest(const char *name);

/* Where the value lies: STRING and JSON, INT and SWITCH and ENUM, LIST. */
char **cfi_option_text(const cfi_option *row, cfi_settings *s);
int64_t *cfi_option_int(const cfi_option *row, cfi_settings *s);
cfi_list *cfi_option_list(const cfi_option *row, cfi_settings *s);

/* The index of a word in "one|two|three", or -1. */
int cfi_option_word(const char *words, const char *word);

/* Checks one value alone: OK, or ERR_OPTION or ERR_RANGE with a sentence that
   names the option and, unless it is secret, the value. ERR_NOMEM for JSON. */
int cfi_option_check_text(const cfi_alloc *alloc, const cfi_option *row,
                          const char *value, cfi_error *error);
int cfi_option_check_int(const cfi_option *row, int64_t value,
                         cfi_error *error);
/* The same for a number, a switch or a word as text, which it reads too. */
int cfi_option_read(const cfi_option *row, const char *value, int64_t *out,
                    cfi_error *error);
/* "Name: value" and name=value of the options header and query. */
int cfi_option_check_header(const char *value, cfi_error *error);
int cfi_option_check_query(const char *value, cfi_error *error);

#endif
