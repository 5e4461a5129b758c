/*
 * What a drone must not forget: its vm (the life of its disk), the fence, the
 * claim it holds and what that claim runs. Pure: bytes to struct and back, with
 * a version and a checksum in front.
 */
#ifndef DRONE_RECORD_H
#define DRONE_RECORD_H

#include "common/ids.h"
#include "common/text.h"
#include <jansson.h>

enum { DRONE_ADDR_MOST = 255, DRONE_RECORD_MOST = 1024 * 1024 };
#define DRONE_NUMBER_MOST (INT64_C(1) << 53)

typedef struct drone_bound {
  char id[CLAIM_LEN + 1];
  char app[NAME_MOST + 1];
  int64_t gen, epoch;
  int64_t at; /* ms since 1970, when it was bound */
} drone_bound;

typedef struct drone_record {
  char vm[CLAIM_LEN + 1];
  char addr[DRONE_ADDR_MOST + 1]; /* of its guard: whose file it is */
  char ctl[DRONE_ADDR_MOST + 1];  /* of its agent */
  int64_t fence;                  /* no claim of an epoch <= this, ever */
  bool held;
  drone_bound claim; /* when held */
  char *command;     /* NULL: the claim has started nothing */
  json_t *env;       /* object of strings, or NULL */
  int64_t memory_mb; /* 0: the drone's own limit */
} drone_record;

void drone_record_clear(drone_record *r); /* frees; all zero afterwards */
/* to is overwritten, not freed; false: no memory, to is clear. */
bool drone_record_copy(drone_record *to, const drone_record *from);
bool drone_record_encode(const drone_record *r, text *out);
/* r is overwritten; on false it is clear and *why says what is wrong. */
bool drone_record_decode(drone_record *r, const char *data, size_t len,
                         const char **why);
/* CRC-32 as zlib has it. */
uint32_t drone_crc(const void *data, size_t len);
/* An environment that can be given to a program: names of letters, digits and
   '_', strings without a zero byte. The wrong name, or NULL. */
const char *drone_env_wrong(const json_t *env);

#endif
