/* Prints the documents of a database as they are now, one JSON text a line,
   by asking for row after row: no callback, no thread, and between two rows the
   program may do what it likes. Ends when it has caught up, or by SIGINT.
     cc pull.c $(pkg-config --cflags --libs changefeed) -o pull
     ./pull http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <signal.h>
#include <stdio.h>

static changefeed *feed;

static void on_signal(int number) {
  (void)number;
  changefeed_stop(feed);
}

/* Once a second without a row: what is it waiting for? */
static void show_progress(void) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;

  if (changefeed_get_stats(feed, &stats) != CHANGEFEED_OK)
    return;
  fprintf(stderr, "pull: %s, %llu rows",
          changefeed_state_name(changefeed_get_state(feed)),
          (unsigned long long)stats.changes);
  if (stats.pending >= 0)
    fprintf(stderr, ", %lld to come", (long long)stats.pending);
  if (stats.reconnects > 0)
    fprintf(stderr, ", last trouble: %s", changefeed_last_error(feed)->message);
  fputc('\n', stderr);
}

/* doc is a part of the row's text: it has a length, and no '\0' at its end. */
static int print(const changefeed_change *change) {
  return (change->flags & CHANGEFEED_DELETED) != 0 || change->doc.len == 0 ||
         (fwrite(change->doc.data, change->doc.len, 1, stdout) == 1 &&
          putchar('\n') != EOF);
}

static int read_all(void) {
  const changefeed_change *change;
  int rc;

  while ((rc = changefeed_next(feed, 1000, &change)) != CHANGEFEED_END)
    if (rc == CHANGEFEED_TIMEOUT) {
      show_progress();
    } else if (rc != CHANGEFEED_OK) {
      fprintf(stderr, "pull: %s\n", changefeed_last_error(feed)->message);
      return 1;
    } else if (!print(change)) {
      break;
    }
  if (rc == CHANGEFEED_END && fflush(stdout) == 0)
    return 0;
  perror("pull: stdout");
  return 1;
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_signal};
  changefeed_options *options = NULL;
  int status;

  if (argc != 2 || changefeed_options_new(&options) != CHANGEFEED_OK) {
    fprintf(stderr, "pull URL\n");
    return 2;
  }
  if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
      changefeed_options_set(options, "mode", "once") != CHANGEFEED_OK ||
      changefeed_options_set(options, "include_docs", "1") != CHANGEFEED_OK ||
      changefeed_open(&feed, NULL, options) != CHANGEFEED_OK) {
    fprintf(stderr, "pull: %s\n", changefeed_options_error(options));
    changefeed_options_free(options);
    return 2;
  }
  changefeed_options_free(options); /* the feed has a copy */
  if (sigaction(SIGINT, &action, NULL) != 0) {
    perror("pull: sigaction");
    status = 1;
  } else {
    status = read_all();
    (void)signal(SIGINT, SIG_DFL); /* the feed is about to go */
  }
  changefeed_close(feed);
  return status;
}
