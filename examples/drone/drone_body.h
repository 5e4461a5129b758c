/*
 * The bodies of the agent's requests: read once, each field checked, and the
 * first that is wrong named.
 */
#ifndef DRONE_BODY_H
#define DRONE_BODY_H

#include "drone/drone_record.h"

enum { DRONE_BODY_MOST = 256 * 1024, DRONE_COMMAND_MOST = 16 * 1024 };

typedef struct drone_body {
  json_t *json; /* the fields point into it */
  drone_bound claim;
  char vm[CLAIM_LEN + 1];
  const char *command;
  const json_t *env; /* or NULL */
  int64_t memory_mb; /* or 0 */
  char error[256];
} drone_body;

enum drone_wants {
  DRONE_WANTS_CLAIM = 1,
  DRONE_WANTS_EPOCH = 2,
  DRONE_WANTS_VM = 4,
  DRONE_WANTS_APP = 8, /* app and gen */
  DRONE_WANTS_START = 16
};

/* false with error set. drone_body_free after either. */
bool drone_body_read(drone_body *b, const char *data, size_t len, int wants);
void drone_body_free(drone_body *b);

#endif
