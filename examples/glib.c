/* A feed in GLib's main loop: prints the changes of a database until SIGINT or
   SIGTERM. The glue is on_ready and g_unix_fd_add.
     cc glib.c $(pkg-config --cflags --libs changefeed glib-2.0) -o glib
     ./glib http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>

static GMainLoop *main_loop;
static int failed;

static void leave(void) { g_main_loop_quit(main_loop); }

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
    fprintf(stderr, "glib: %s\n", event->error->message);
    failed = 1;
  }
  leave();
}

static gboolean on_ready(gint fd, GIOCondition condition, gpointer loop) {
  int rc = changefeed_loop_dispatch(loop);

  (void)fd;
  (void)condition;
  if (rc >= 0)
    return G_SOURCE_CONTINUE;
  fprintf(stderr, "glib: %s\n", changefeed_strerror(rc));
  failed = 1;
  leave();
  return G_SOURCE_CONTINUE;
}

/* Within 100 ms on_state says ENDED. */
static gboolean on_signal(gpointer feed) {
  changefeed_stop(feed);
  return G_SOURCE_CONTINUE;
}

static int run(changefeed_loop *loop, changefeed *feed) {
  int fd = changefeed_loop_fd(loop);
  guint sources[3];

  if (fd < 0) {
    fprintf(stderr, "glib: %s\n", changefeed_strerror(fd));
    return 1;
  }
  main_loop = g_main_loop_new(NULL, FALSE);
  sources[0] = g_unix_fd_add(fd, G_IO_IN, on_ready, loop);
  sources[1] = g_unix_signal_add(SIGINT, on_signal, feed);
  sources[2] = g_unix_signal_add(SIGTERM, on_signal, feed);
  g_main_loop_run(main_loop);
  for (int i = 0; i < 3; i++)
    g_source_remove(sources[i]);
  g_main_loop_unref(main_loop);
  return 0;
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
    fprintf(stderr, "glib URL\n");
    failed = 2;
  } else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
             changefeed_options_set_callbacks(options, &callbacks) !=
                 CHANGEFEED_OK ||
             changefeed_open(&feed, loop, options) != CHANGEFEED_OK) {
    fprintf(stderr, "glib: %s\n", changefeed_options_error(options));
    failed = 2;
  } else {
    failed |= run(loop, feed);
  }
  changefeed_loop_free(loop); /* and the feed */
  changefeed_options_free(options);
  return failed;
}
