/*
 * Bytes for the simulated CouchDB: memory, growing buffers, hashes, base64,
 * percent-encoding, and random numbers that follow from one seed. Memory that
 * cannot be had ends the program with a message: it is a test's server, and a
 * server that limps would only confuse the test.
 */
#ifndef COUCHSIM_TEXT_H
#define COUCHSIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *couch_alloc(size_t size); /* zeroed */
void *couch_realloc(void *old, size_t size);
/* Makes room for one more element of `unit` bytes. */
void *couch_room(void *array, size_t *cap, size_t count, size_t unit);
char *couch_dup(const char *text);
char *couch_dup_n(const char *text, size_t len);

typedef struct couch_buf {
  char *data; /* NUL-terminated beyond len once anything was added */
  size_t len, cap;
} couch_buf;

void couch_add(couch_buf *b, const void *bytes, size_t len);
void couch_add_text(couch_buf *b, const char *text);
void couch_addf(couch_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void couch_buf_drop(couch_buf *b, size_t front);
void couch_buf_free(couch_buf *b);
const char *couch_buf_text(const couch_buf *b); /* "" when empty */

void couch_md5(const void *bytes, size_t len, unsigned char out[16]);
void couch_hex(const unsigned char *bytes, size_t len, char *out);
uint32_t couch_crc32(const void *bytes, size_t len);
uint64_t couch_hash(const void *bytes, size_t len);

/* With - and _, and without padding, as CouchDB does. */
void couch_add_base64url(couch_buf *b, const void *bytes, size_t len);
/* Reads both alphabets, padding or not. False: it is not base64. */
bool couch_base64_decode(const char *text, size_t len, couch_buf *out);

/* Percent-decodes; '+' is a blank in a query. False: a bad escape. */
bool couch_percent_decode(const char *text, size_t len, bool query,
                          couch_buf *out);
void couch_add_percent(couch_buf *b, const char *text);

/* Decimal digits with an optional minus; false on anything else. What does not
   fit is cut to the limits of the type. */
bool couch_to_int(const char *text, int64_t *out);

typedef struct couch_random {
  uint64_t state;
} couch_random;

void couch_seed(couch_random *r, uint64_t seed);
uint64_t couch_next(couch_random *r);
uint64_t couch_below(couch_random *r, uint64_t n); /* 0 for n = 0 */
bool couch_chance(couch_random *r, double p);

/* Memory that is given back all at once. */
typedef struct couch_pool {
  struct couch_block *blocks;
} couch_pool;

void *couch_pool_alloc(couch_pool *pool, size_t size);
void couch_pool_free(couch_pool *pool);

bool couch_equal_nocase(const char *a, const char *b);
bool couch_starts(const char *text, const char *prefix);

#endif
