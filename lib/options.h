/*
 * The settings of one feed: values with types, made by the option table.
 * Setting checks each value alone; cfi_options_check looks at them together.
 */
#ifndef CFI_OPTIONS_H
#define CFI_OPTIONS_H

#include "alloc.h"
#include "error.h"

typedef struct cfi_list {
  char **items;
  size_t count;
} cfi_list;

enum { CFI_LIST_MAX = 64 };

enum { CFI_MODE_LIVE, CFI_MODE_ONCE };
enum {
  CFI_TRANSPORT_AUTO,
  CFI_TRANSPORT_CONTINUOUS,
  CFI_TRANSPORT_LONGPOLL,
  CFI_TRANSPORT_EVENTSOURCE
};
enum { CFI_SOURCE_CHANGES, CFI_SOURCE_ALL_DOCS };
enum { CFI_STYLE_MAIN_ONLY, CFI_STYLE_ALL_DOCS };
enum { CFI_HTTP_1_1, CFI_HTTP_2 };
enum { CFI_ON_RESET_RESTART, CFI_ON_RESET_STOP };
enum { CFI_ENDPOINT_ORDER_SPREAD, CFI_ENDPOINT_ORDER_LISTED };

/* Strings are NULL when not set; those with a default hold it. */
#define STRING(name, secret, def, summary) char *name;
#define INT(name, unit, min, max, zero, def, summary) int64_t name;
#define SWITCH(name, def, summary) int64_t name;
#define ENUM(name, values, def, summary) int64_t name;
#define LIST(name, secret, summary) cfi_list name;
#define JSON(name, type, summary) char *name;
typedef struct cfi_settings {
#include "options_table.h"
} cfi_settings;
#undef STRING
#undef INT
#undef SWITCH
#undef ENUM
#undef LIST
#undef JSON

struct changefeed_options {
  cfi_alloc alloc; /* malloc: options outlive loops */
  cfi_settings set;
  bool since_given; /* since was set by the caller */
  changefeed_callbacks callbacks;
  changefeed_store store; /* save NULL: none */
  cfi_error error;
};

/* changefeed_options_new with other memory functions: for tests. */
int cfi_options_new_with(const cfi_alloc *alloc, changefeed_options **out);

/* The contradictions no single value shows. OK, ERR_OPTION, ERR_RANGE. */
int cfi_options_check(const changefeed_options *o, cfi_error *error);

/* A copy of all settings in memory of alloc. OK or ERR_NOMEM. */
int cfi_settings_copy(const cfi_alloc *alloc, const cfi_settings *from,
                      cfi_settings *to);
/* Frees the values; secrets are wiped. */
void cfi_settings_free(const cfi_alloc *alloc, cfi_settings *s);

#endif
