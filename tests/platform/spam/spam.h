/* Callers who will not wait, and one who does: the load of test_spam.sh.
 *
 *   main.c   options
 *   flood.c  start calls at a rate, whether they are answered or not
 *   quiet.c  apps that are started one after the other, and how long that takes
 */
#ifndef PLATFORM_SPAM_H
#define PLATFORM_SPAM_H

#include <stdint.h>

enum { APPS_MOST = 1000 };

typedef struct spam_options {
  const char *api;    /* ADDR:PORT */
  const char *prefix; /* apps are PREFIX-0, PREFIX-1, ... */
  char token[256];
  unsigned apps, rate, seconds;
  unsigned force; /* of 1,000 calls so many want another drone */
  uint64_t seed;
  unsigned first; /* quiet: the first app's number */
  int64_t every_ms;
} spam_options;

int64_t spam_now_us(void);
/* The exit status: 1 when something was answered as it should not be. */
int spam_flood(const spam_options *o);
int spam_quiet(const spam_options *o);
/* Sorts; what so many per cent are not above. */
int64_t spam_rank(int64_t *all, unsigned count, unsigned percent);

#endif
