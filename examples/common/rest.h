/* Calls of JSON services over HTTP, one at a time, each waited for: for threads
   whose code is to read as a sequence. A rest belongs to one thread, keeps its
   connections, follows no redirect, uses no proxy, verifies TLS, and sends what
   is not a GET at most once. Programs with TLS ignore SIGPIPE. */
#ifndef PLATFORM_REST_H
#define PLATFORM_REST_H

#include "common/text.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rest rest;

typedef struct rest_config {
  const char *url;     /* what paths are put behind; may have user:password@ */
  const char *token;   /* sent as "Authorization: Bearer", or NULL */
  const char *ca_file; /* or NULL: the system's */
  int64_t connect_ms;  /* 0: 2000 */
  int64_t total_ms;    /* of a call; 0: 10000 */
  size_t max_reply;    /* bytes; 0: 16 MiB */
} rest_config;

typedef struct rest_reply {
  int status;    /* of HTTP; 0: no whole answer came, error says why */
  bool in_doubt; /* with status 0 or 5xx: what was asked may have been done, or
                    may yet be */
  json_t *body;  /* or NULL: none, or not JSON */
  int64_t retry_after_ms; /* 0: not told */
  int64_t took_ms;
  char error[256]; /* a sentence without a secret: what, where, what came */
} rest_reply;

/* NULL with a sentence in error. */
rest *rest_new(const rest_config *config, char *error, size_t error_size);
void rest_free(rest *r);
/* path begins with '/', escaped already (rest_escape); body NULL: none. Any
   answer of HTTP is an answer: the result is reply->status. Fills all of reply.
 */
int rest_call(rest *r, const char *method, const char *path, const json_t *body,
              rest_reply *reply);
/* The same with another limit of time for this call. */
int rest_call_ms(rest *r, const char *method, const char *path,
                 const json_t *body, int64_t total_ms, rest_reply *reply);
/* GET of something that need not be JSON: what came is added to out. */
int rest_get_text(rest *r, const char *path, int64_t total_ms, text *out,
                  rest_reply *reply);
void rest_reply_free(rest_reply *reply);
/* The URL without what is secret; lives as long as r. */
const char *rest_url(const rest *r);
/* Percent-escapes one segment; false when out is too small. */
bool rest_escape(const char *segment, char *out, size_t size);

#endif
