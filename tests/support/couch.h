/* A database for tests: couch-serve as a child process, or the one that
   COUCHDB_URL names; and a small blocking HTTP client to fill it. A database
   that cannot be had fails the test at once with the reason (ck_abort_msg):
   call these from the thread of the test. */
#ifndef CFT_COUCH_H
#define CFT_COUCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct cft_couch cft_couch;

/* With COUCHDB_URL in the environment that server, whatever the arguments.
   Else couch-serve with its data in memory on a free port, with `extra_args`
   (NULL, or a NULL-ended list of its options) besides. It dies with the test
   process. */
cft_couch *cft_couch_start(const char *const *extra_args);

/* Always a couch-serve of our own, its data in a directory that is removed at
   the end: for tests that kill it, which nobody may do to COUCHDB_URL. */
cft_couch *cft_couch_start_durable(const char *const *extra_args);

/* The base URL without a slash at its end, with the user info of COUCHDB_URL;
   the same after a restart. Valid until cft_couch_stop. */
const char *cft_couch_url(const cft_couch *couch);

/* False for COUCHDB_URL. */
bool cft_couch_is_ours(const cft_couch *couch);

/* 0 while it is not running or not ours. */
pid_t cft_couch_pid(const cft_couch *couch);

/* A new, empty database with a name of its own, begun with `stem` (letters,
   digits, - and _): its URL, valid until cft_couch_stop, which deletes it on
   COUCHDB_URL. Asked for as the admin that the URL names, if any. */
const char *cft_couch_database(cft_couch *couch, const char *stem);

/* SIGKILL, and waits for the end. Only for a server of ours. */
void cft_couch_kill9(cft_couch *couch);

/* The same options and port again; with the same data if durable. */
void cft_couch_restart(cft_couch *couch);

/* Stops it and frees; fails the test if the server had ended before by itself
   or had said something on its standard error. NULL is fine. */
void cft_couch_stop(cft_couch *couch);

/* One request; `body` (or NULL) is sent as JSON. The HTTP status, or -1 when
   there was no whole answer (said on standard error). *out_body, if asked
   for, is the answer's body, NUL-terminated, to be freed; NULL with -1. */
int cft_http(const char *method, const char *url, const char *body,
             char **out_body);

#endif
