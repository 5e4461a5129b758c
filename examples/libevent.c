/* A feed in libevent's loop: prints the changes of a database until SIGINT or
   SIGTERM. The glue is on_ready and one event.
     cc libevent.c $(pkg-config --cflags --libs changefeed libevent) -o libevent
     ./libevent http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

static struct event_base *base;
static int failed;

static void leave(void) {
  if (event_base_loopbreak(base) != 0)
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
    fprintf(stderr, "libevent: %s\n", event->error->message);
    failed = 1;
  }
  leave();
}

static void on_ready(evutil_socket_t fd, short what, void *loop) {
  int rc = changefeed_loop_dispatch(loop);

  (void)fd;
  (void)what;
  if (rc >= 0)
    return;
  fprintf(stderr, "libevent: %s\n", changefeed_strerror(rc));
  failed = 1;
  leave();
}

/* Within 100 ms on_state says ENDED. */
static void on_signal(evutil_socket_t number, short what, void *feed) {
  (void)number;
  (void)what;
  changefeed_stop(feed);
}

static struct event *watch(evutil_socket_t fd, short what,
                           event_callback_fn call, void *user) {
  struct event *event = event_new(base, fd, what | EV_PERSIST, call, user);

  if (event == NULL || event_add(event, NULL) != 0) {
    fprintf(stderr, "libevent: an event cannot be added\n");
    failed = 1;
  }
  return event;
}

static int run(changefeed_loop *loop, changefeed *feed) {
  struct event *events[3];
  int fd = changefeed_loop_fd(loop);

  base = event_base_new();
  if (base == NULL || fd < 0) {
    fprintf(stderr, "libevent: no event base, or no descriptor\n");
    return 1;
  }
  events[0] = watch(fd, EV_READ, on_ready, loop);
  events[1] = watch(SIGINT, EV_SIGNAL, on_signal, feed);
  events[2] = watch(SIGTERM, EV_SIGNAL, on_signal, feed);
  if (!failed && event_base_dispatch(base) != 0)
    failed = 1;
  for (int i = 0; i < 3; i++)
    if (events[i] != NULL)
      event_free(events[i]);
  event_base_free(base);
  return failed;
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
    fprintf(stderr, "libevent URL\n");
    failed = 2;
  } else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
             changefeed_options_set_callbacks(options, &callbacks) !=
                 CHANGEFEED_OK ||
             changefeed_open(&feed, loop, options) != CHANGEFEED_OK) {
    fprintf(stderr, "libevent: %s\n", changefeed_options_error(options));
    failed = 2;
  } else {
    failed |= run(loop, feed);
  }
  changefeed_loop_free(loop); /* and the feed */
  changefeed_options_free(options);
  return failed;
}
