/* A feed in systemd's event loop: prints the changes of a database until SIGINT
   or SIGTERM. The glue is on_ready and sd_event_add_io.
     cc sdevent.c $(pkg-config --cflags --libs changefeed libsystemd) -o sdevent
     ./sdevent http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

static sd_event *events;
static int failed;

static void leave(void) {
  if (sd_event_exit(events, 0) < 0)
    failed = 1;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  (void)user;
  if (printf("%s %s\n", change->id.data,
             change->flags & CHANGEFEED_DELETED ? "deleted" : "changed") < 0 ||
      fflush(stdout) != 0)
    return -1; /* nobody reads: the row is not taken, the feed fails */
  return CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  (void)feed;
  (void)user;
  if (event->state < CHANGEFEED_STATE_ENDED)
    return;
  if (event->state == CHANGEFEED_STATE_FAILED) {
    fprintf(stderr, "sdevent: %s\n", event->error->message);
    failed = 1;
  }
  leave();
}

/* A negative answer would only switch the source off. */
static int on_ready(sd_event_source *source, int fd, uint32_t what,
                    void *loop) {
  int rc = changefeed_loop_dispatch(loop);

  (void)source;
  (void)fd;
  (void)what;
  if (rc >= 0)
    return 0;
  fprintf(stderr, "sdevent: %s\n", changefeed_strerror(rc));
  failed = 1;
  leave();
  return 0;
}

/* Within 100 ms on_state says ENDED. */
static int on_signal(sd_event_source *source,
                     const struct signalfd_siginfo *info, void *feed) {
  (void)source;
  (void)info;
  return changefeed_stop(feed);
}

static int run(changefeed_loop *loop, changefeed *feed) {
  int fd = changefeed_loop_fd(loop), rc = fd;
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (rc < 0 || (rc = -sigprocmask(SIG_BLOCK, &set, NULL)) < 0 ||
      (rc = sd_event_new(&events)) < 0 ||
      (rc = sd_event_add_io(events, NULL, fd, EPOLLIN, on_ready, loop)) < 0 ||
      (rc = sd_event_add_signal(events, NULL, SIGINT, on_signal, feed)) < 0 ||
      (rc = sd_event_add_signal(events, NULL, SIGTERM, on_signal, feed)) < 0 ||
      (rc = sd_event_loop(events)) < 0)
    fprintf(stderr, "sdevent: %s\n",
            fd < 0 ? changefeed_strerror(fd) : strerror(-rc));
  sd_event_unref(events); /* and its sources */
  return rc < 0;
}

int main(int argc, char **argv) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options = NULL;
  changefeed_loop *loop = NULL;
  changefeed *feed;

  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  if (argc != 2 || changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK) {
    fprintf(stderr, "sdevent URL\n");
    failed = 2;
  } else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
             changefeed_options_set_callbacks(options, &callbacks) !=
                 CHANGEFEED_OK ||
             changefeed_open(&feed, loop, options) != CHANGEFEED_OK) {
    fprintf(stderr, "sdevent: %s\n", changefeed_options_error(options));
    failed = 2;
  } else {
    failed |= run(loop, feed);
  }
  changefeed_loop_free(loop); /* and the feed */
  changefeed_options_free(options);
  return failed;
}
