/* couchsim (tests/couchsim/socket) as a child process: started, told what is to
   go wrong, asked what it saw. What cannot be done fails the test at once with
   the reason: call these from the thread of the test. */
#ifndef CFT_COUCHSIM_H
#define CFT_COUCHSIM_H

#include "wire.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct cft_couchsim cft_couchsim;

/* args: options of couchsim up to a NULL, or NULL. Ports are the system's. */
cft_couchsim *cft_couchsim_start(const char *const *args);
/* Stops it; fails the test if it had ended by itself, or badly. NULL is
   fine. */
void cft_couchsim_stop(cft_couchsim *sim);

/* The base URL of a node, from 0, without a slash at its end; with the user
   info of the first --admin. */
const char *cft_couchsim_url(const cft_couchsim *sim, unsigned node);
/* The same without user info. */
const char *cft_couchsim_plain_url(const cft_couchsim *sim, unsigned node);
pid_t cft_couchsim_pid(const cft_couchsim *sim);

/* POST /_couchsim/WHAT with a body made by the format; it must succeed. */
void cft_couchsim_tell(cft_couchsim *sim, const char *what, const char *format,
                       ...) __attribute__((format(printf, 3, 4)));
/* Adds a rule, or a list of them; DELETE of all rules. */
void cft_couchsim_rule(cft_couchsim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cft_couchsim_no_rules(cft_couchsim *sim);
/* GET /_couchsim/WHAT; the caller frees. */
json_t *cft_couchsim_ask(cft_couchsim *sim, const char *what);
/* How many requests of a kind came; NULL: of all kinds. */
uint64_t cft_couchsim_count(cft_couchsim *sim, const char *kind);
/* Feeds that are open. */
uint64_t cft_couchsim_feeds(cft_couchsim *sim);

/* One request to a node, path with its slash and query; body NULL: none. The
   status, -1 without a whole answer. *answer, if asked for, is the body as
   JSON, NULL when it is none. */
int cft_couchsim_do(cft_couchsim *sim, unsigned node, const char *method,
                    const char *path, const char *body, json_t **answer);
/* The same with a body or path made by the format: it must give this status. */
void cft_couchsim_must(cft_couchsim *sim, int status, const char *method,
                       const char *path, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Bytes to a node as they are, and all bytes that come until it closes or is
   silent for silent_ms, or enough(...) (if given) says so; NUL-terminated, the
   caller frees. The first byte may take longer; a negative silent_ms says that
   none may come at all. *ended tells whether it closed, *was_reset whether with
   RST. */
char *cft_couchsim_raw(cft_couchsim *sim, unsigned node, const void *bytes,
                       size_t size, int64_t silent_ms, size_t *len, bool *ended,
                       bool *was_reset,
                       bool (*enough)(const char *text, size_t len, void *user),
                       void *user);

/* id -> rev of all that is in the database, as its normal feed tells. */
cft_revs *cft_couchsim_revs(cft_couchsim *sim, unsigned node, const char *db);

#endif
