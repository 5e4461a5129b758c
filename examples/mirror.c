/* Keeps a routing table in step with a database, and prints it on each change
   and on SIGUSR1: mirror http://127.0.0.1:5984/db [PREFIX]
     cc mirror.c $(pkg-config --cflags --libs changefeed) -o mirror */
#include <changefeed/mirror.h>
#include <signal.h>
#include <stdio.h>

static changefeed_loop *loop;
static volatile sig_atomic_t wanted;

/* What a router looks up: here the text of the document; KEEP_VALUES would hold
   what is made of it once. */
static int print_route(void *ctx, const changefeed_entry *route) {
  (void)ctx;
  printf("%s %s %s\n", route->id.data, route->rev.data, route->doc.data);
  return 0;
}

/* Any thread may do this, at any time. */
static void print_table(changefeed_mirror *mirror) {
  const changefeed_view *view = changefeed_mirror_view(mirror);

  printf("%llu routes%s\n", (unsigned long long)changefeed_view_count(view),
         changefeed_mirror_is_synced(mirror) ? "" : ", not in step yet");
  changefeed_view_each(view, NULL, NULL, print_route, NULL);
  changefeed_view_release(view);
  fflush(stdout);
}

static int on_put(changefeed_mirror *mirror, const changefeed_entry *route,
                  void **value, void *user) {
  (void)route, (void)value, (void)user;
  wanted = changefeed_mirror_is_synced(mirror);
  return CHANGEFEED_CONTINUE;
}

static void on_gone(changefeed_mirror *mirror, const changefeed_entry *route,
                    void *user) {
  (void)mirror, (void)user;
  printf("%s is gone\n", route->id.data);
  wanted = 1;
}

static void on_synced(changefeed_mirror *mirror, void *user) {
  (void)mirror, (void)user;
  wanted = 1;
}

static void on_over(changefeed_mirror *mirror, const changefeed_error *error,
                    void *user) {
  (void)mirror, (void)user;
  fprintf(stderr, "%s\n", error != NULL ? error->message : "stopped");
}

static void on_signal(int number) {
  (void)number;
  wanted = 1;
  /* The header says that it may be called here.
     NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
  changefeed_loop_wakeup(loop);
}

int main(int argc, char **argv) {
  changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;
  changefeed_options *options;
  changefeed_mirror *mirror;
  int rc;

  if (argc < 2 || changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    return 2;
  config.keep = CHANGEFEED_KEEP_DOCS;
  config.prefix = argv[2];
  config.callbacks.on_put = on_put;
  config.callbacks.on_gone = on_gone;
  config.callbacks.on_synced = on_synced;
  config.callbacks.on_over = on_over;
  if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
      changefeed_mirror_open(&mirror, loop, options, &config) !=
          CHANGEFEED_OK) {
    fprintf(stderr, "%s\n", changefeed_options_error(options));
    changefeed_loop_free(loop);
    changefeed_options_free(options);
    return 2;
  }
  signal(SIGUSR1, on_signal);
  do {
    rc = changefeed_loop_run_once(loop, -1);
    if (wanted) {
      wanted = 0;
      print_table(mirror);
    }
  } while (rc >= 0 && changefeed_mirror_get_feed(mirror) != NULL);
  changefeed_mirror_close(mirror);
  changefeed_loop_free(loop);
  changefeed_options_free(options);
  return 1;
}
