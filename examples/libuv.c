/* A feed in libuv's loop: prints the changes of a database until SIGINT or
   SIGTERM. The glue is on_ready and the uv_poll calls in run.
     cc libuv.c $(pkg-config --cflags --libs changefeed libuv) -o libuv
     ./libuv http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

static uv_loop_t uv;
static uv_poll_t poller;
static uv_signal_t interrupted, terminated;
static int failed;

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

static void close_handle(uv_handle_t *handle, void *user) {
  (void)user;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

/* Without handles uv_run returns. */
static void leave(void) { uv_walk(&uv, close_handle, NULL); }

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  (void)feed;
  (void)user;
  if (event->state < CHANGEFEED_STATE_ENDED)
    return;
  if (event->state == CHANGEFEED_STATE_FAILED) {
    fprintf(stderr, "libuv: %s\n", event->error->message);
    failed = 1;
  }
  leave();
}

static void on_ready(uv_poll_t *handle, int status, int events) {
  int rc = changefeed_loop_dispatch(handle->data);

  (void)status; /* an error of the descriptor's is one of dispatch, too */
  (void)events;
  if (rc >= 0)
    return;
  fprintf(stderr, "libuv: %s\n", changefeed_strerror(rc));
  failed = 1;
  leave();
}

/* Within 100 ms on_state says ENDED. */
static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  changefeed_stop(handle->data);
}

static int run(changefeed_loop *loop, changefeed *feed) {
  int fd = changefeed_loop_fd(loop),
      rc = fd < 0 ? UV_ENOTSUP : uv_loop_init(&uv);

  if (rc != 0) {
    fprintf(stderr, "libuv: %s\n", uv_strerror(rc));
    return 1;
  }
  poller.data = loop;
  interrupted.data = terminated.data = feed;
  if ((rc = uv_poll_init(&uv, &poller, fd)) != 0 ||
      (rc = uv_poll_start(&poller, UV_READABLE, on_ready)) != 0 ||
      (rc = uv_signal_init(&uv, &interrupted)) != 0 ||
      (rc = uv_signal_start(&interrupted, on_signal, SIGINT)) != 0 ||
      (rc = uv_signal_init(&uv, &terminated)) != 0 ||
      (rc = uv_signal_start(&terminated, on_signal, SIGTERM)) != 0) {
    fprintf(stderr, "libuv: %s\n", uv_strerror(rc));
    leave();
  }
  uv_run(&uv, UV_RUN_DEFAULT);
  return uv_loop_close(&uv) != 0 || rc != 0;
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
    fprintf(stderr, "libuv URL\n");
    failed = 2;
  } else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
             changefeed_options_set_callbacks(options, &callbacks) !=
                 CHANGEFEED_OK ||
             changefeed_open(&feed, loop, options) != CHANGEFEED_OK) {
    fprintf(stderr, "libuv: %s\n", changefeed_options_error(options));
    failed = 2;
  } else {
    failed |= run(loop, feed);
  }
  changefeed_loop_free(loop); /* and the feed */
  changefeed_options_free(options);
  return failed;
}
