/*
 * Signals. One process has one set of them, so this is the one module with
 * state of its own.
 */
#include "stopper.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "args.h"

static struct {
  pthread_mutex_t lock; /* guards feed, loop and poke */
  changefeed *feed;
  changefeed_loop *loop;
  sink *poke;
  atomic_bool asked;
  sigset_t signals;
  int again;
} stopper = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* timeout(1) and some shells send the same signal twice at once. Only a later
   one, when the first should have had its effect, means: now. */
enum { AGAIN_MS = 300 };

static void *wait_for_signals(void *unused) {
  int64_t first_ms = 0;
  int number;

  (void)unused;
  for (;;) {
    if (sigwait(&stopper.signals, &number) != 0)
      continue;
    if (atomic_exchange(&stopper.asked, true)) {
      if (clock_ms() - first_ms >= AGAIN_MS)
        _exit(stopper.again);
      continue;
    }
    first_ms = clock_ms();
    (void)pthread_mutex_lock(&stopper.lock);
    if (stopper.feed != NULL)
      (void)changefeed_stop(stopper.feed);
    if (stopper.loop != NULL)
      (void)changefeed_loop_wakeup(stopper.loop);
    if (stopper.poke != NULL)
      sink_poke(stopper.poke);
    (void)pthread_mutex_unlock(&stopper.lock);
  }
}

/* A shell without job control starts its background jobs with SIGINT ignored;
   they are to be stopped by it all the same. SIGHUP stays ignored: nohup. */
static void choose_signals(void) {
  struct sigaction action;

  (void)sigemptyset(&stopper.signals);
  (void)sigaddset(&stopper.signals, SIGINT);
  (void)sigaddset(&stopper.signals, SIGTERM);
  if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
    (void)sigaddset(&stopper.signals, SIGHUP);
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &action, NULL);
}

void stopper_block(void) {
  choose_signals();
  (void)pthread_sigmask(SIG_BLOCK, &stopper.signals, NULL);
}

int stopper_start(sink *poke, int again) {
  pthread_t thread;
  int rc;

  stopper.poke = poke;
  stopper.again = again;
  rc = pthread_create(&thread, NULL, wait_for_signals, NULL);
  return rc != 0 ? rc : pthread_detach(thread);
}

void stopper_set_feed(changefeed *feed) {
  (void)pthread_mutex_lock(&stopper.lock);
  stopper.feed = feed;
  if (feed != NULL && atomic_load(&stopper.asked))
    (void)changefeed_stop(feed);
  (void)pthread_mutex_unlock(&stopper.lock);
}

void stopper_set_loop(changefeed_loop *loop) {
  (void)pthread_mutex_lock(&stopper.lock);
  stopper.loop = loop;
  (void)pthread_mutex_unlock(&stopper.lock);
}

void stopper_forget(void) {
  (void)pthread_mutex_lock(&stopper.lock);
  stopper.feed = NULL;
  stopper.loop = NULL;
  stopper.poke = NULL;
  (void)pthread_mutex_unlock(&stopper.lock);
}

const atomic_bool *stopper_asked(void) { return &stopper.asked; }
