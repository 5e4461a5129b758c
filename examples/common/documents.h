/* The platform's documents, taken out of JSON and put into it. Pure. A document
   with a wrong type, a missing field or a giant value is refused with a
   sentence that names the field; nothing of it is used. */
#ifndef COMMON_DOCUMENTS_H
#define COMMON_DOCUMENTS_H

#include "common/ids.h"
#include <jansson.h>

enum {
  ADDR_MOST = 63,
  REV_MOST = 95,
  HOSTS_MOST = 16,
  TO_MOST = 4,
  NOTICE_MOST = 255
};

enum drone_state {
  DRONE_BOOTING,
  DRONE_FREE,
  DRONE_CLAIMED,
  DRONE_BOUND,
  DRONE_DRAINING,
  DRONE_WIPING,
  DRONE_DEAD
};

typedef struct claim_doc {
  char id[CLAIM_LEN + 1]; /* "": none */
  char app[NAME_MOST + 1];
  char by[NAME_MOST + 1];
  int64_t gen, at_ms;
} claim_doc;

typedef struct drone_doc {
  char addr[ADDR_MOST + 1], ctl[ADDR_MOST + 1];
  char vm[CLAIM_LEN + 1];
  char rev[REV_MOST + 1];
  enum drone_state state;
  int64_t epoch, at_ms;
  claim_doc claim;
} drone_doc;

typedef struct app_doc {
  char name[NAME_MOST + 1];
  char rev[REV_MOST + 1];
  char hosts[HOSTS_MOST][HOST_MOST + 1];
  size_t host_count;
  bool started; /* what is wanted */
  bool closed;  /* "maintenance": visitors are told the notice instead */
  char notice[NOTICE_MOST + 1];
  int64_t gen, at_ms, memory_mb;
  json_t *doc; /* all of it: command and env are read there; app_doc_free */
} app_doc;

enum route_state {
  ROUTE_QUEUED,
  ROUTE_STARTING,
  ROUTE_LIVE,
  ROUTE_CRASHED,
  ROUTE_STOPPED,
  ROUTE_FAILED
};

typedef struct route_to {
  char drone[ADDR_MOST + 1], addr[ADDR_MOST + 1];
  char claim[CLAIM_LEN + 1];
} route_to;

typedef struct route_doc {
  char app[NAME_MOST + 1];
  char rev[REV_MOST + 1]; /* "": there is none yet */
  char hosts[HOSTS_MOST][HOST_MOST + 1];
  size_t host_count;
  int64_t gen, at_ms;
  enum route_state state;
  char code[32], msg[256];
  bool closed; /* as its app has it */
  char notice[NOTICE_MOST + 1];
  route_to to[TO_MOST], prev[TO_MOST];
  size_t to_count, prev_count;
} route_doc;

typedef struct maintenance_doc {
  char mode[8], msg[256]; /* "off", "api", "full" */
  int64_t until_ms;       /* 0: until somebody ends it */
} maintenance_doc;

/* A provisioner's sign of life. */
typedef struct tick_doc {
  char id[NAME_MOST + 1], boot[CLAIM_LEN + 1];
  int64_t n, at_ms, up_ms;
} tick_doc;

typedef struct balancer_doc {
  char id[NAME_MOST + 1], addr[ADDR_MOST + 1], admin[ADDR_MOST + 1];
} balancer_doc;

/* false, with a sentence in why. */
bool drone_doc_read(const json_t *doc, drone_doc *out, char *why, size_t size);
bool app_doc_read(const json_t *doc, app_doc *out, char *why, size_t size);
void app_doc_free(app_doc *app);
bool route_doc_read(const json_t *doc, route_doc *out, char *why, size_t size);
bool maintenance_doc_read(const json_t *doc, maintenance_doc *out, char *why,
                          size_t size);
/* name: what is behind the prefix in its _id. */
bool tick_doc_read(const json_t *doc, const char *name, tick_doc *out,
                   char *why, size_t size);
bool balancer_doc_read(const json_t *doc, const char *name, balancer_doc *out,
                       char *why, size_t size);
/* NULL for want of memory. With _rev unless that is empty. */
json_t *drone_doc_write(const drone_doc *drone);
json_t *route_doc_write(const route_doc *route);

const char *drone_state_name(enum drone_state state);
const char *route_state_name(enum route_state state);

#endif
