/* What callers wish, taken out of the bodies of their requests, and what it
   makes of an app's document. Pure. A body that is wrong is refused with a
   sentence that names the field; members that are not known are refused, too:
   a typing error must not be taken for a wish. */
#ifndef PROVISIONER_WISH_H
#define PROVISIONER_WISH_H

#include "common/documents.h"

enum { KEY_MOST_LEN = 64, DEFINITION_LEN = 16, MESSAGE_MOST = 255 };

/* {hosts, command, env, memory_mb} of a create: *definition is what of it goes
   into the document, with the default host NAME.DOMAIN where none is named.
   NULL, with a sentence, when it is refused or there is no memory. */
json_t *wish_app(const json_t *body, const char *name, const char *domain,
                 char *why, size_t size);

typedef struct wish_start_body {
  bool force;
  char key[KEY_MOST_LEN + 1]; /* "": none */
} wish_start_body;

/* {force?, key?}; body NULL: neither. */
bool wish_start(const json_t *body, wish_start_body *out, char *why,
                size_t size);

/* {mode, msg?} of one app: "on" or "off"; *notice: what its document gets as
   maintenance, NULL: nothing. false: refused. */
bool wish_notice(const json_t *body, const char **notice, char *why,
                 size_t size);

/* {mode, msg?, until?}: the document sys:maintenance without _id and _rev. */
json_t *wish_maintenance(const json_t *body, char *why, size_t size);

/* What an app's document says is wanted now. */
typedef struct wish {
  bool any, started;
  bool changed; /* the definition is another than the one that was started */
  int64_t gen, at_ms;
  char key[KEY_MOST_LEN + 1];
  char definition[DEFINITION_LEN + 1]; /* hash of the present one */
} wish;

void wish_of(const json_t *doc, wish *out);

/* What somebody wants to have changed. */
typedef struct wish_change {
  bool start;
  const char *key;  /* "": none */
  int64_t renew_of; /* a new gen, unless it is already beyond that; -1: only
                       where something changes */
  int64_t floor;    /* gen that is known from elsewhere: it goes beyond */
  int64_t at_ms;
} wish_change;

/* Whether the document says so already. */
bool wish_is_done(const wish *now, const wish_change *change);
/* The document with it; NULL for want of memory. */
json_t *wish_apply(const json_t *doc, const char *name,
                   const wish_change *change, int64_t *gen);
/* The document, or an empty one (NULL), with the definition in place of its
   own; what is wanted stays. gen_floor: of a tombstone before it; 0: none. NULL
   for want of memory. */
json_t *wish_define(const json_t *doc, const json_t *definition,
                    int64_t gen_floor);
bool wish_same_definition(const json_t *doc, const json_t *definition);

#endif
