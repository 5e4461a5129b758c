/* Prints the changes of a database and remembers how far it came. However it
   ends, by kill -9 too, the next run goes on where it was: no row is missing,
   and those printed since the last save come again.
     cc resume.c $(pkg-config --cflags --libs changefeed) -o resume
     ./resume http://127.0.0.1:5984/db /var/lib/me/db.position */
#include <changefeed/changefeed.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static changefeed *feed;

static void on_signal(int number) {
  (void)number;
  changefeed_stop(feed);
}

/* With CONTINUE the row is done: the position may pass it. So the work comes
   first, all of it; here, that the line has left this process. */
static int on_change(changefeed *self, const changefeed_change *change,
                     void *user) {
  (void)self;
  (void)user;
  if (printf("%s %s\n", change->id.data,
             change->flags & CHANGEFEED_DELETED ? "deleted" : "changed") < 0 ||
      fflush(stdout) != 0)
    return -1;
  return CHANGEFEED_CONTINUE;
}

/* The database was deleted and made again, or is another one: all of it comes
   now, and what was printed before is of no worth. */
static int on_reset(changefeed *self, const char *reason, void *user) {
  (void)self;
  (void)user;
  fprintf(stderr, "resume: from the beginning: %s\n", reason);
  return CHANGEFEED_CONTINUE;
}

/* "file:" and a path; NULL without memory. */
static char *checkpoint_at(const char *path) {
  size_t size = sizeof "file:" + strlen(path);
  char *text = malloc(size);

  if (text != NULL)
    (void)snprintf(text, size, "file:%s", path);
  return text;
}

static int run(changefeed_loop *loop) {
  struct sigaction action = {.sa_handler = on_signal};
  int rc;

  if (sigaction(SIGINT, &action, NULL) != 0 ||
      sigaction(SIGTERM, &action, NULL) != 0) {
    perror("resume: sigaction");
    return 1;
  }
  rc = changefeed_loop_run(loop);
  (void)signal(SIGINT, SIG_DFL); /* the feed is about to go */
  (void)signal(SIGTERM, SIG_DFL);
  if (rc == CHANGEFEED_OK &&
      changefeed_get_state(feed) == CHANGEFEED_STATE_ENDED)
    return 0;
  fprintf(stderr, "resume: %s\n",
          rc < 0 ? changefeed_strerror(rc)
                 : changefeed_last_error(feed)->message);
  return 1;
}

int main(int argc, char **argv) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_options *options = NULL;
  changefeed_loop *loop = NULL;
  char *checkpoint = argc == 3 ? checkpoint_at(argv[2]) : NULL;
  int status = 2;

  callbacks.on_change = on_change;
  callbacks.on_reset = on_reset;
  if (checkpoint == NULL || changefeed_options_new(&options) != CHANGEFEED_OK ||
      changefeed_loop_new(&loop, NULL) != CHANGEFEED_OK)
    fprintf(stderr, "resume URL POSITION-FILE\n");
  else if (changefeed_options_set(options, "url", argv[1]) != CHANGEFEED_OK ||
           changefeed_options_set(options, "checkpoint", checkpoint) !=
               CHANGEFEED_OK ||
           /* a save is an fsync; at most so many rows come again */
           changefeed_options_set(options, "checkpoint_every", "100") !=
               CHANGEFEED_OK ||
           changefeed_options_set_callbacks(options, &callbacks) !=
               CHANGEFEED_OK ||
           changefeed_open(&feed, loop, options) != CHANGEFEED_OK)
    fprintf(stderr, "resume: %s\n", changefeed_options_error(options));
  else
    status = run(loop);
  changefeed_loop_free(loop); /* saves the position */
  changefeed_options_free(options);
  free(checkpoint);
  return status;
}
