/* Recordings of real servers (tests/data/wire) and an independent reading of
   feed bodies: line by line and with another JSON parser than the library's,
   so that a test compares two opinions. Nothing here is fast or strict. */
#ifndef CFT_WIRE_H
#define CFT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path of a file below tests/data. The directory is CFT_DATA_DIR of the
   environment or of the build, else found beside the sources. False when it
   does not fit. */
bool cft_data_path(const char *file, char *path, size_t size);

/* A whole file, NUL-terminated beyond *len; NULL when it cannot be read. */
char *cft_read_file(const char *path, size_t *len);

typedef struct cft_header {
  char *name;
  char *value;
} cft_header;

typedef struct cft_wire {
  char *name;
  char *request; /* as sent, body included */
  size_t request_len;
  char *raw; /* as received: head, framing, body, and what follows */
  size_t raw_len;

  int status; /* of the first response that is not 1xx; 0: no bytes at all */
  cft_header *headers;
  size_t header_count;
  size_t head_len; /* offset of the body in raw */

  char *body; /* without chunk framing */
  size_t body_len;
  bool chunked;
  bool complete;         /* the framing says the body ended */
  bool chunk_error;      /* no chunk size where one belongs */
  size_t chunk_error_at; /* its offset in raw */
  size_t end;            /* offset in raw just after this response */

  size_t *splits; /* offsets in raw at which a recv() of the recording ended */
  size_t split_count;
} cft_wire;

/* Loads tests/data/wire/NAME.*; false with one line on stderr when it cannot.
 *w is filled, free it with cft_wire_clear. */
bool cft_wire_load(const char *name, cft_wire *w);

/* The same from bytes: parses a response whose request had that method. */
bool cft_wire_parse(const char *method, const void *raw, size_t len,
                    cft_wire *w);

void cft_wire_clear(cft_wire *w);

/* The value of the first header of that name, case-insensitively, or NULL. */
const char *cft_wire_header(const cft_wire *w, const char *name);

/* Names of the recordings that begin with prefix, sorted, NULL-ended. */
char **cft_wire_list(const char *prefix, size_t *count);
void cft_wire_list_free(char **names);

/* ---- rows of a body ---- */

typedef struct cft_row {
  char *id;   /* db_name in a _db_updates feed */
  char *rev;  /* the first of "changes"; "type" in a _db_updates feed */
  char *seq;  /* a string's content, or the JSON text; NULL for null */
  char *text; /* the JSON text of the row as it stood in the body */
  size_t revs;
  bool deleted;
} cft_row;

typedef struct cft_rows {
  cft_row *row;
  size_t count, cap;
  char *last_seq; /* NULL when the body did not tell */
  bool has_pending;
  int64_t pending;
  size_t heartbeats; /* lines (or event: heartbeat) that are one */
  size_t torn;       /* lines that begin a row and do not parse */
  char *error;       /* "error" of an in-body error line, or NULL */
} cft_rows;

/* Reads what CouchDB's own layout puts a row on a line: continuous, normal,
   longpoll, eventsource. Torn rows are counted, not taken. */
void cft_rows_read(const char *body, size_t len, cft_rows *rows);
void cft_rows_clear(cft_rows *rows);

/* ---- id -> rev ---- */

typedef struct cft_revs cft_revs;

cft_revs *cft_revs_new(void);
void cft_revs_free(cft_revs *revs);

/* The last rev put for an id stands. */
void cft_revs_put(cft_revs *revs, const char *id, const char *rev,
                  bool deleted);
void cft_revs_put_rows(cft_revs *revs, const cft_rows *rows);
const char *cft_revs_get(const cft_revs *revs, const char *id, bool *deleted);
size_t cft_revs_count(const cft_revs *revs);

/* True when both hold the same ids with the same revs. Otherwise `why` (of
   `size` bytes) says in one line what differs first and how much. */
bool cft_revs_equal(const cft_revs *want, const cft_revs *got, char *why,
                    size_t size);

#endif
