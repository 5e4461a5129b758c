/*
 * The library as a client of a benchmark: counts rows and their bytes.
 *
 *   client_changefeed --url URL [--rows N] [--how change|batch|next|ack]
 *                     [--option NAME=VALUE]...
 *
 * Ends with the past, or behind row N of what comes.
 */
#define _POSIX_C_SOURCE 200809L

#include <changefeed/changefeed.h>

#include <stdlib.h>
#include <string.h>

#include "client.h"

typedef struct count {
  changefeed_loop *loop;
  uint64_t rows, bytes, stop_at;
  int64_t end_ns;
  int acks;
} count;

static void one(count *c, const changefeed_change *change) {
  c->bytes += change->row.len;
  if (++c->rows == c->stop_at)
    c->end_ns = bench_now_ns();
}

static int verdict(const count *c) {
  return c->stop_at != 0 && c->rows >= c->stop_at ? CHANGEFEED_STOP
                                                  : CHANGEFEED_CONTINUE;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  count *c = user;

  one(c, change);
  if (c->acks)
    (void)changefeed_ack(feed, change->ordinal);
  return verdict(c);
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t n, void *user) {
  count *c = user;

  (void)feed;
  for (size_t i = 0; i < n; i++)
    one(c, changes[i]);
  return verdict(c);
}

static int follow(changefeed_options *options, count *c, const char *how) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  const changefeed_change *change;
  changefeed *feed;
  int rc = 0;

  callbacks.user = c;
  c->acks = strcmp(how, "ack") == 0;
  if (strcmp(how, "batch") == 0)
    callbacks.on_batch = on_batch;
  else if (strcmp(how, "next") != 0)
    callbacks.on_change = on_change;
  if (changefeed_options_set_callbacks(options, &callbacks) != 0 ||
      (c->acks && changefeed_options_set(options, "auto_ack", "0") != 0) ||
      changefeed_open(&feed, c->loop, options) != 0) {
    (void)fprintf(stderr, "%s\n", changefeed_options_error(options));
    return 1;
  }
  if (strcmp(how, "next") != 0)
    rc = changefeed_loop_run(c->loop);
  else
    while (verdict(c) == CHANGEFEED_CONTINUE &&
           (rc = changefeed_next(feed, -1, &change)) == 0)
      one(c, change);
  rc = rc < 0 || changefeed_get_state(feed) == CHANGEFEED_STATE_FAILED;
  if (rc)
    (void)fprintf(stderr, "%s\n", changefeed_last_error(feed)->message);
  changefeed_close(feed);
  return rc;
}

static int set(changefeed_options *options, const char *text) {
  char name[64];
  const char *value = strchr(text, '=');

  if (value == NULL || (size_t)(value - text) >= sizeof name)
    return CHANGEFEED_ERR_INVALID;
  memcpy(name, text, (size_t)(value - text));
  name[value - text] = '\0';
  return changefeed_options_set(options, name, value + 1);
}

int main(int argc, char **argv) {
  changefeed_options *options = NULL;
  const char *how = "change";
  count c = {0};
  int rc = changefeed_options_new(&options);
  int64_t start = bench_now_ns();

  for (int i = 1; rc == 0 && i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--url") == 0)
      rc = changefeed_options_set(options, "url", argv[i + 1]);
    else if (strcmp(argv[i], "--rows") == 0)
      c.stop_at = strtoull(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--how") == 0)
      how = argv[i + 1];
    else if (strcmp(argv[i], "--option") == 0)
      rc = set(options, argv[i + 1]);
    else
      rc = CHANGEFEED_ERR_INVALID;
  }
  if (rc == 0 && c.stop_at == 0)
    rc = changefeed_options_set(options, "mode", "once");
  if (rc == 0)
    rc = changefeed_options_set(options, "include_docs", "1");
  if (rc != 0 || changefeed_loop_new(&c.loop, NULL) != 0) {
    (void)fprintf(stderr, "client_changefeed: %s\n",
                  options != NULL ? changefeed_options_error(options) : "");
    changefeed_options_free(options);
    return 2;
  }
  rc = follow(options, &c, how);
  if (rc == 0)
    bench_tell(c.rows, c.bytes,
               (c.end_ns != 0 ? c.end_ns : bench_now_ns()) - start);
  changefeed_loop_free(c.loop);
  changefeed_options_free(options);
  return rc;
}
