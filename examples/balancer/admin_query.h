/* What stands behind the '?' of a target, and percent escapes. Pure. */
#ifndef BALANCER_ADMIN_QUERY_H
#define BALANCER_ADMIN_QUERY_H

#include "common/http_head.h"

enum { QUERY_WORDS = 4, QUERY_NAME_MOST = 15, QUERY_VALUE_MOST = 255 };

typedef struct admin_query {
  struct {
    char name[QUERY_NAME_MOST + 1];
    char value[QUERY_VALUE_MOST + 1];
  } words[QUERY_WORDS];
  size_t count;
} admin_query;

/* Percent escapes undone; false: one is none, it does not fit, or there is a
   control byte in it. '+' is itself. */
bool admin_unescape(http_str in, char *out, size_t size);
/* "a=1&b=2". allowed: names with blanks between them. false with a sentence:
   another name, the same twice, a value that cannot be read. */
bool admin_query_read(admin_query *out, http_str query, const char *allowed,
                      char *why, size_t size);
/* NULL: it was not said, or is empty. */
const char *admin_query_get(const admin_query *q, const char *name);
/* Leaves *value where it was not said; false with a sentence. */
bool admin_query_number(const admin_query *q, const char *name, int64_t least,
                        int64_t most, int64_t *value, char *why, size_t size);

/* Whether a request that names this host in Host may be answered: a page of
   somebody else's, whose name was made to mean our address, must not be able to
   read what we say. Addresses and "localhost" cannot be made to mean another;
   self and machine are the names that are ours. Without Host: no browser. */
bool admin_host_is_ours(http_str host, const char *self, const char *machine);

#endif
