/* Being told to end by a signal, at any moment: all programs are killed, their
 * files go, and so does this process. A thread of its own waits for it, as the
 * others may be waiting for anything else. */
#include "replay/replay.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { GONE_MS = 500 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static replay *whose;

static void end_all(replay *r) {
  world_kill(&r->v->k);
  for (unsigned i = 0; i < BALANCERS; i++)
    proc_kill(&r->v->balancers[i].proc, SIGKILL);
  sleep_ms(GONE_MS); /* apps end with their drones */
  couch_leave(&r->v->k);
  if (r->o->keep)
    (void)fprintf(stderr, "logs: %s\n", r->v->k.dir);
  else if (r->v->k.dir[0])
    remove_all(r->v->k.dir);
}

static void *wait_for(void *arg) {
  sigset_t *set = arg;
  int sig = 0;
  while (sigwait(set, &sig) != 0)
    continue;
  (void)fprintf(stderr, "\nreplay: interrupted; all that was begun ends\n");
  (void)pthread_mutex_lock(&lock);
  if (whose)
    end_all(whose);
  _exit(128 + sig);
}

void signals_watch(void) {
  static sigset_t set;
  pthread_t thread;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGINT);
  (void)sigaddset(&set, SIGTERM);
  (void)sigaddset(&set, SIGHUP);
  (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (pthread_create(&thread, NULL, wait_for, &set) != 0)
    exit(3);
  (void)pthread_detach(thread);
}

void signals_set(replay *r) {
  (void)pthread_mutex_lock(&lock);
  whose = r;
  (void)pthread_mutex_unlock(&lock);
}
