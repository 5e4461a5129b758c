/* Rows are worked on by threads, which finish in any order: each acknowledges
   its row alone, and the saved position stays in front of the first that is not
   done. What was under way when the process died comes again.
     cc threads.c $(pkg-config --cflags --libs changefeed) -pthread -o threads
     ./threads http://127.0.0.1:5984/db /var/lib/me/db.position */
#include <changefeed/changefeed.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* As many rows are out at most: the queue needs no other limit. */
enum { WORKERS = 8, MAX_UNACKED = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static changefeed_change *queue[MAX_UNACKED];
static size_t first, queued;
static int closed, failed;
static changefeed *feed;

static void on_signal(int number) {
  (void)number;
  changefeed_stop(feed);
}

/* ---- the loop's thread ---- */

/* The row is lent, so the workers get a copy; NOMEM ends the feed. */
static int on_change(changefeed *self, const changefeed_change *change,
                     void *user) {
  changefeed_change *copy;
  int rc = changefeed_change_copy(change, &copy);

  (void)self;
  (void)user;
  if (rc != CHANGEFEED_OK)
    return rc;
  pthread_mutex_lock(&lock);
  queue[(first + queued++) % MAX_UNACKED] = copy;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  return CHANGEFEED_CONTINUE;
}

/* ---- the workers ---- */

/* The next row, or NULL when there will be none. */
static changefeed_change *take(void) {
  changefeed_change *change = NULL;

  pthread_mutex_lock(&lock);
  while (queued == 0 && !closed)
    pthread_cond_wait(&changed, &lock);
  if (queued > 0) {
    change = queue[first];
    first = (first + 1) % MAX_UNACKED;
    queued--;
  }
  pthread_mutex_unlock(&lock);
  return change;
}

/* Stands for a call of another service, which takes longer now and then. */
static int work_on(const changefeed_change *change, unsigned *random) {
  struct timespec pause = {0, 0};

  *random = *random * 1103515245u + 12345u;
  pause.tv_nsec = (*random >> 16 & 63) == 0 ? 50000000 : 100000;
  (void)nanosleep(&pause, NULL);
  flockfile(stdout);
  if (printf("%s %s\n", change->id.data,
             change->flags & CHANGEFEED_DELETED ? "deleted" : "changed") < 0 ||
      fflush(stdout) != 0) {
    funlockfile(stdout);
    return -1;
  }
  funlockfile(stdout);
  return 0;
}

static void *work(void *number) {
  unsigned random = *(unsigned *)number;
  changefeed_change *change;

  while ((change = take()) != NULL) {
    int rc = work_on(change, &random);

    if (rc == 0)
      rc = changefeed_ack_one(feed, change->ordinal);
    if (rc != 0) { /* not acknowledged: another run gets it again */
      pthread_mutex_lock(&lock);
      failed = 1;
      pthread_mutex_unlock(&lock);
      changefeed_stop(feed);
    }
    changefeed_change_free(change);
  }
  return NULL;
}

/* ---- all of it ---- */

static int open_feed(changefeed_loop *loop, const char *url, const char *path) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options = NULL;
  size_t size = sizeof "file:" + strlen(path);
  char *checkpoint = malloc(size);
  int rc = CHANGEFEED_ERR_NOMEM;

  if (checkpoint != NULL &&
      (rc = changefeed_options_new(&options)) == CHANGEFEED_OK) {
    (void)snprintf(checkpoint, size, "file:%s", path);
    callbacks.on_change = on_change;
    if ((rc = changefeed_options_set(options, "url", url)) != 0 ||
        (rc = changefeed_options_set(options, "checkpoint", checkpoint)) != 0 ||
        (rc = changefeed_options_set(options, "auto_ack", "0")) != 0 ||
        (rc = changefeed_options_set(options, "checkpoint_every", "20")) != 0 ||
        (rc = changefeed_options_set(options, "seq_interval", "1")) != 0 ||
        (rc = changefeed_options_set_int(options, "max_unacked",
                                         MAX_UNACKED)) != 0 ||
        (rc = changefeed_options_set_callbacks(options, &callbacks)) != 0 ||
        (rc = changefeed_open(&feed, loop, options)) != 0)
      fprintf(stderr, "threads: %s\n", changefeed_options_error(options));
  }
  changefeed_options_free(options);
  free(checkpoint);
  return rc;
}

static int run(changefeed_loop *loop) {
  struct sigaction action = {.sa_handler = on_signal};
  unsigned numbers[WORKERS];
  pthread_t threads[WORKERS];
  unsigned started = 0;
  int rc = 0;

  while (started < WORKERS && rc == 0) {
    numbers[started] = started + 1;
    rc = pthread_create(&threads[started], NULL, work, &numbers[started]);
    started += rc == 0;
  }
  if (rc != 0 || sigaction(SIGINT, &action, NULL) != 0 ||
      sigaction(SIGTERM, &action, NULL) != 0) {
    fprintf(stderr, "threads: no threads, or no signal handlers\n");
    rc = 1;
  } else if ((rc = changefeed_loop_run(loop)) != CHANGEFEED_OK) {
    fprintf(stderr, "threads: %s\n", changefeed_strerror(rc));
  } else if (changefeed_get_state(feed) == CHANGEFEED_STATE_FAILED) {
    fprintf(stderr, "threads: %s\n", changefeed_last_error(feed)->message);
    rc = 1;
  }
  (void)signal(SIGINT, SIG_DFL); /* the feed is about to go */
  (void)signal(SIGTERM, SIG_DFL);
  /* What is in the queue is still done, and counts. No worker may be left when
     the feed is closed. */
  pthread_mutex_lock(&lock);
  closed = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  while (started > 0)
    pthread_join(threads[--started], NULL);
  return rc != 0 || failed;
}

int main(int argc, char **argv) {
  changefeed_loop *loop = NULL;
  int status = 2;

  if (argc != 3 || changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fprintf(stderr, "threads URL POSITION-FILE\n");
  else if (open_feed(loop, argv[1], argv[2]) == CHANGEFEED_OK)
    status = run(loop);
  changefeed_loop_free(loop); /* saves the position */
  return status;
}
