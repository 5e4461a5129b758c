/*
 * Reads the small JSON answers that are not feeds: GET / (server), GET /db
 * (database), POST and GET /_session, and error bodies. Members that are
 * missing are absent; unknown ones are ignored.
 */
#ifndef CFI_INFO_H
#define CFI_INFO_H

#include "alloc.h"

typedef struct cfi_info {
  changefeed_str uuid;                /* GET / */
  changefeed_str version;             /* GET / */
  bool welcome;                       /* GET /: "couchdb" or "uuid" is there */
  changefeed_str db_name;             /* GET /db */
  changefeed_str instance_start_time; /* a number's text, or a string */
  changefeed_str update_seq;          /* as cfi_row.seq */
  bool update_seq_is_number;
  bool has_user;    /* _session: userCtx.name or name is a string */
  bool has_session; /* userCtx is there */
  changefeed_str error, reason;
  changefeed_str rev; /* "_rev" or "rev" */
  changefeed_str marker;
  void *block; /* owns the strings */
} cfi_info;

enum { CFI_INFO_OK = 0, CFI_INFO_BAD = -1, CFI_INFO_NOMEM = -2 };

/* BAD: not one JSON object. out is filled only on OK. */
int cfi_info_parse(const cfi_alloc *alloc, const char *text, size_t len,
                   cfi_info *out);
void cfi_info_free(const cfi_alloc *alloc, cfi_info *info);

#endif
