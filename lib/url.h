/*
 * Takes the URL of a feed apart once: where requests go, which database, what
 * may be shown. Credentials leave the URL here. Also percent-encoding of query
 * values. Uses libcurl's URL parser; opens nothing.
 */
#ifndef CFI_URL_H
#define CFI_URL_H

#include "buf.h"
#include "error.h"

typedef enum cfi_url_target {
  CFI_URL_DATABASE,
  CFI_URL_DB_UPDATES
} cfi_url_target;

typedef struct cfi_url {
  char *base;     /* scheme://host[:port][/prefix], no '/' at its end */
  char *db;       /* one encoded path segment; NULL for _db_updates */
  char *db_name;  /* decoded; NULL for _db_updates */
  char *shown;    /* what was asked for, without credentials and query */
  char *username; /* decoded; NULL when the URL has none */
  char *password;
  cfi_url_target target;
} cfi_url;

/* "http://user:pw@host:5984/prefix/db", a trailing '/' or "/_changes" allowed;
   ".../_db_updates" is the server's feed. The last segment is the database: a
   '/' in its name is written %2F. Empty segments and a default port are
   dropped; ".", "..", control characters, bytes that are not UTF-8, a query, a
   fragment and a bare '@' behind the host are refused. Answers CHANGEFEED_OK,
   ERR_OPTION (the sentence says what is wrong and quotes nothing of the URL),
   ERR_NOMEM; out is filled only on OK. */
int cfi_url_parse(const cfi_alloc *alloc, const char *text, cfi_url *out,
                  cfi_error *error);
/* "http://host:port[/prefix]" of another endpoint: only base and shown are
   set; credentials, a query or a fragment are errors. */
int cfi_url_parse_endpoint(const cfi_alloc *alloc, const char *text,
                           cfi_url *out, cfi_error *error);
void cfi_url_free(const cfi_alloc *alloc, cfi_url *url);

/* Appends text percent-encoded: everything but A-Z a-z 0-9 - . _ ~ */
void cfi_url_put_encoded(cfi_buf *out, const char *text, size_t len);

/* A URL from elsewhere (a redirect, a proxy) without its user info and query,
   for messages; "(a malformed URL)" when it cannot be read. NULL: no memory. */
char *cfi_url_shown(const cfi_alloc *alloc, const char *text);

#endif
