/*
 * Reads one whole JSON text event by event: yajl behind a face that checks what
 * yajl does not (depth, memory, strict Unicode) and does not decode what nobody
 * asks for. The only module that knows yajl. It keeps nothing of a text.
 */
#ifndef CFI_JSON_H
#define CFI_JSON_H

#include "alloc.h"

typedef enum cfi_json_kind {
  CFI_JSON_NULL,
  CFI_JSON_TRUE,
  CFI_JSON_FALSE,
  CFI_JSON_NUMBER, /* text as written */
  CFI_JSON_STRING, /* decoded, strict UTF-8, may hold '\0' */
  CFI_JSON_KEY,    /* as STRING */
  CFI_JSON_OBJECT, /* its {; SKIP is a possible answer */
  CFI_JSON_OBJECT_END,
  CFI_JSON_ARRAY, /* its [; SKIP is a possible answer */
  CFI_JSON_ARRAY_END,
  CFI_JSON_RAW /* in place of the END of what was skipped: all its text */
} cfi_json_kind;

typedef struct cfi_json_event {
  cfi_json_kind kind;
  size_t depth; /* objects and arrays around it */
  /* NUMBER, STRING, KEY: until the handler returns, without '\0';
     RAW: a piece of the text that is read. Else absent. */
  const char *text;
  size_t len;
} cfi_json_event;

typedef enum cfi_json_verdict {
  CFI_JSON_GO_ON,
  CFI_JSON_SKIP, /* after KEY: no event of its value; after OBJECT, ARRAY: only
                    RAW. What is skipped is checked less strictly. */
  CFI_JSON_STOP
} cfi_json_verdict;

typedef cfi_json_verdict cfi_json_handler(void *user,
                                          const cfi_json_event *event);

typedef enum cfi_json_result {
  CFI_JSON_OK,
  CFI_JSON_INVALID,  /* not one JSON value */
  CFI_JSON_TOO_DEEP, /* more than max_depth objects and arrays in each other */
  CFI_JSON_NOT_TEXT, /* a string that is not UTF-8, or half a character */
  CFI_JSON_STOPPED,  /* the handler said so */
  CFI_JSON_NOMEM
} cfi_json_result;

cfi_json_result cfi_json_parse(const cfi_alloc *alloc, size_t max_depth,
                               const char *text, size_t len,
                               cfi_json_handler *handler, void *user);

/* yajl's version at run time: 20100 is 2.1.0. */
int cfi_json_yajl_version(void);

/* Half a sentence about INVALID, TOO_DEEP, NOT_TEXT; static. */
const char *cfi_json_why(cfi_json_result result);

#endif
