/*
 * Which documents a feed shows: by ids, design documents, a selector, or a
 * filter function or view of the simplest form, such as
 * function(doc,req){return doc.type==req.query.type;}.
 */
#ifndef COUCHSIM_FILTER_H
#define COUCHSIM_FILTER_H

#include "doc.h"

typedef enum couch_filtering {
  COUCH_UNFILTERED,
  COUCH_BY_IDS,
  COUCH_BY_DESIGN,
  COUCH_BY_SELECTOR,
  COUCH_BY_FUNCTION
} couch_filtering;

typedef struct couch_filter {
  couch_filtering kind;
  couch_pool pool; /* of what the others point to */
  const couch_json *ids, *selector, *fields;
  /* doc.FIELD [% modulus] == wanted */
  const char *field;
  int64_t modulus;          /* 0: none */
  const couch_json *wanted; /* NULL: nothing is equal; doc.FIELD alone: true */
  bool truthy, everything;
} couch_filter;

void couch_filter_free(couch_filter *filter);
bool couch_filter_shows(const couch_filter *filter, const couch_doc *doc);
/* Reads the function; false: not of a form that is known. query looks up a
   parameter of the request. */
bool couch_filter_function(couch_filter *filter, const char *source,
                           const char *(*query)(const void *user,
                                                const char *name),
                           const void *user);

/* NULL: fine. Else the operator that is unknown. */
const char *couch_selector_unknown(const couch_json *selector);
bool couch_selector_matches(const couch_json *selector,
                            const couch_json *document);

#endif
