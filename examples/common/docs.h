/* Documents of one database: the few calls the platform makes, and what their
   answers mean to somebody who must know whether it was he who wrote. */
#ifndef PLATFORM_DOCS_H
#define PLATFORM_DOCS_H

#include "common/rest.h"

typedef struct docs docs;

enum docs_result {
  DOCS_OK,       /* 200, 201: done, by this very call */
  DOCS_ACCEPTED, /* 202: kept by fewer copies than asked for; it may have been
                    raced by another, and then lie as a conflict */
  DOCS_CONFLICT, /* 409, 412 */
  DOCS_MISSING,  /* 404 */
  DOCS_REFUSED,  /* another 4xx: it will not get better by itself */
  DOCS_UNKNOWN   /* time-out, cut, 5xx, 429: done, not done, or done later */
};

typedef struct docs_answer {
  char rev[96]; /* of a write that was answered 2xx */
  int status;   /* of HTTP, 0: none */
  int64_t took_ms, retry_after_ms;
  char error[256]; /* a sentence, unless DOCS_OK */
} docs_answer;

/* config.url is the server's, without the database. */
docs *docs_new(const rest_config *config, const char *db, char *error,
               size_t error_size);
void docs_free(docs *d);
rest *docs_rest(docs *d);

/* *doc is the caller's, with _id and _rev; with conflicts, _conflicts too. */
enum docs_result docs_get(docs *d, const char *id, json_t **doc,
                          docs_answer *answer);
/* DOCS_OK: it was deleted, and its tombstone is there. DOCS_CONFLICT: it is
   there (again). DOCS_MISSING: the database has never had it. */
enum docs_result docs_find_tombstone(docs *d, const char *id,
                                     docs_answer *answer);
/* doc has the _rev it replaces, or none: a new one. Not changed. */
enum docs_result docs_put(docs *d, const char *id, const json_t *doc,
                          docs_answer *answer);
enum docs_result docs_delete(docs *d, const char *id, const char *rev,
                             docs_answer *answer);
/* Every document whose id begins with prefix, in order of ids, paged; each
   returns false to stop. */
enum docs_result docs_each(docs *d, const char *prefix,
                           bool (*each)(void *ctx, const json_t *doc),
                           void *ctx, docs_answer *answer);
/* n: copies of each document, 0: the server's default. There already:
   DOCS_CONFLICT. */
enum docs_result docs_create_db(docs *d, int n, docs_answer *answer);

#endif
