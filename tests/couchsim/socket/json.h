/*
 * JSON as CouchDB reads and writes it: members keep their order, integers keep
 * every digit, other numbers are written as its jiffy does. A tree lives in a
 * pool. Nothing recurses; what is nested deeper than COUCH_JSON_DEPTH is
 * refused.
 */
#ifndef COUCHSIM_JSON_H
#define COUCHSIM_JSON_H

#include "text.h"

enum { COUCH_JSON_DEPTH = 256 };

typedef enum couch_kind {
  COUCH_NULL,
  COUCH_FALSE,
  COUCH_TRUE,
  COUCH_NUMBER,
  COUCH_STRING,
  COUCH_ARRAY,
  COUCH_OBJECT
} couch_kind;

typedef struct couch_json couch_json;
struct couch_json {
  couch_kind kind;
  bool is_integer;  /* of a number */
  const char *key;  /* of an object's member, NUL-terminated */
  const char *text; /* of a string or number, NUL-terminated */
  size_t key_len, len;
  size_t count; /* of an array or object */
  couch_json *first, *last, *next, *parent;
};

/* NULL: not one JSON value in UTF-8. */
couch_json *couch_json_parse(couch_pool *pool, const char *text, size_t len);

void couch_json_write(couch_buf *out, const couch_json *value);
/* The same without the value's own key, and of an object all members but those
   whose key begins with '_' ; without braces. */
void couch_json_write_members(couch_buf *out, const couch_json *object);
void couch_add_json_string(couch_buf *out, const char *text, size_t len);
void couch_add_json_text(couch_buf *out, const char *text);

/* NULL when it is no object or has no such member; the last of several. */
const couch_json *couch_json_get(const couch_json *object, const char *key);
/* The text of a string member, or NULL. */
const char *couch_json_text(const couch_json *object, const char *key);
bool couch_json_true(const couch_json *object, const char *key);
/* A number member; `otherwise` when there is none. */
int64_t couch_json_int(const couch_json *object, const char *key,
                       int64_t otherwise);
double couch_json_number(const couch_json *value);

/* The order of CouchDB's keys: null, false, true, numbers, strings by their
   bytes, arrays, objects. Containers of one kind compare by their JSON. */
int couch_json_compare(const couch_json *a, const couch_json *b);

#endif
