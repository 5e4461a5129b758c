/* The proof that feeds come through: a document that is written every five
   seconds, in each of the two databases; see view_is_fresh. It also tells the
   others that this provisioner is there. A thread of its own; at the end the
   documents are deleted, so that the others take over at once. */
#ifndef PROVISIONER_TICK_H
#define PROVISIONER_TICK_H

#include <stdint.h>

typedef struct tick tick;

typedef struct tick_config {
  const char *couch, *apps, *locks;
  const char *self, *boot; /* as the view's */
  const char *addr;        /* of the API */
  int64_t every_ms;        /* 0: 5 s */
} tick_config;

/* NULL with a sentence. */
tick *tick_start(const tick_config *config, char *error, unsigned error_size);
/* Blocks until the documents are deleted, or a few seconds without success. */
void tick_stop(tick *t);

#endif
