/* This balancer's own document, balancer:ID in the database apps: where it is
   asked, and that it is there. Written at the start, every minute, and when
   somebody asks for it; deleted at the end. A thread of its own, because each
   call is waited for. */
#ifndef BALANCER_ANNOUNCE_H
#define BALANCER_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>

typedef struct announce announce;

/* Strings are copied. */
typedef struct announce_config {
  const char *couch, *apps;
  const char *self, *addr, *admin, *boot, *version;
  int64_t every_ms; /* 0: 60 s */
} announce_config;

/* NULL with a sentence. */
announce *announce_start(const announce_config *config, char *error,
                         size_t size);
/* Writes it soon, once for many who ask. [any thread] */
void announce_ask(announce *a);
/* When the database last said that it is written, by follow's clock
   (CLOCK_BOOTTIME); -1: never. [any thread] */
int64_t announce_written_ms(announce *a);
/* Deletes it, and frees; blocks for 2 s at most. When a call is under way that
   does not end in time, the document stays. NULL is allowed. */
void announce_stop(announce *a);

#endif
