/*
 * Look-ups run in threads of libcurl's.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "names.h"

#include <netdb.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs;
static unsigned resolving;

/* In libcurl's place the C library's would be called; this one knows no name
   and says so when it is let go. */
int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict found) {
  (void)node;
  (void)service;
  (void)hints;
  *found = NULL;
  (void)pthread_mutex_lock(&lock);
  resolving++;
  while (hangs)
    (void)pthread_cond_wait(&changed, &lock);
  resolving--;
  (void)pthread_cond_broadcast(&changed);
  (void)pthread_mutex_unlock(&lock);
  return EAI_AGAIN;
}

void cft_names_hang(void) {
  (void)pthread_mutex_lock(&lock);
  hangs = true;
  (void)pthread_mutex_unlock(&lock);
}

bool cft_names_resolving(void *user) {
  bool yes;

  (void)user;
  (void)pthread_mutex_lock(&lock);
  yes = resolving != 0;
  (void)pthread_mutex_unlock(&lock);
  return yes;
}

void cft_names_let_go(void) {
  (void)pthread_mutex_lock(&lock);
  hangs = false;
  (void)pthread_cond_broadcast(&changed);
  while (resolving != 0)
    (void)pthread_cond_wait(&changed, &lock);
  (void)pthread_mutex_unlock(&lock);
}
