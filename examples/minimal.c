/* Prints every change of a database: minimal http://127.0.0.1:5984/db */
#include <changefeed/changefeed.h>
#include <stdio.h>

int main(int argc, char **argv) {
  const changefeed_change *change;
  changefeed_options *options;
  changefeed *feed;

  if (argc != 2 || changefeed_options_new(&options) != CHANGEFEED_OK)
    return 2;
  if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
      changefeed_open(&feed, NULL, options) != CHANGEFEED_OK) {
    fprintf(stderr, "%s\n", changefeed_options_error(options));
    return 2;
  }
  while (changefeed_next(feed, -1, &change) == CHANGEFEED_OK) {
    printf("%s %s\n", change->id.data,
           change->flags & CHANGEFEED_DELETED ? "deleted" : "changed");
    fflush(stdout);
  }
  fprintf(stderr, "%s\n", changefeed_last_error(feed)->message);
  changefeed_close(feed);
  changefeed_options_free(options);
  return 1;
}
