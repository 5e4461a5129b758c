/* A feed in an event loop of one's own, made with epoll: prints the changes of
   a database until SIGINT or SIGTERM. The library shows one descriptor.
     cc epoll.c $(pkg-config --cflags --libs changefeed) -o epoll
     ./epoll http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int over, failed;

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
  over |= event->state >= CHANGEFEED_STATE_ENDED;
  if (event->state == CHANGEFEED_STATE_FAILED) {
    fprintf(stderr, "epoll: %s\n", event->error->message);
    failed = 1;
  }
}

static int open_signals(void) {
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
    return -1;
  return signalfd(-1, &set, SFD_CLOEXEC);
}

static int watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int give_up(const char *what) {
  perror(what);
  return 1;
}

static int run(changefeed_loop *loop, changefeed *feed) {
  int epoll = epoll_create1(EPOLL_CLOEXEC), signals = open_signals();
  int fd = changefeed_loop_fd(loop), rc = CHANGEFEED_OK;

  if (fd < 0 || epoll < 0 || signals < 0 || watch(epoll, fd) != 0 ||
      watch(epoll, signals) != 0)
    return give_up("epoll");
  while (!over && rc >= 0) {
    struct epoll_event event;
    int n = epoll_wait(epoll, &event, 1, -1);

    if (n < 0 && errno != EINTR)
      return give_up("epoll_wait");
    if (n == 1 && event.data.fd == fd)
      rc = changefeed_loop_dispatch(loop); /* does what is due, never waits */
    else if (n == 1)
      rc = changefeed_stop(feed); /* within 100 ms on_state says ENDED */
  }
  if (rc < 0)
    fprintf(stderr, "epoll: %s\n", changefeed_strerror(rc));
  close(signals);
  close(epoll);
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
    fprintf(stderr, "epoll URL\n");
    failed = 2;
  } else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
             changefeed_options_set_callbacks(options, &callbacks) !=
                 CHANGEFEED_OK ||
             changefeed_open(&feed, loop, options) != CHANGEFEED_OK) {
    fprintf(stderr, "epoll: %s\n", changefeed_options_error(options));
    failed = 2;
  } else {
    failed |= run(loop, feed);
  }
  changefeed_loop_free(loop); /* and the feed */
  changefeed_options_free(options);
  return failed;
}
