/*
 * Following one feed.
 */
#include "follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "rows.h"
#include "stopper.h"

/* What a stop may still take, so that all of it, with the 100 ms of the
   library, stays below 300 ms. Without a signal a thread may take its time. */
enum {
  FLUSH_MS = 60,
  LINE_MS = 30,
  ERR_MS = 30,
  THREAD_MS = 60,
  UNHURRIED_MS = 5000
};

typedef struct follower {
  const args *args;
  console console;
  report report;
  textbuf scratch;
  changefeed *feed;
  bool row_lost; /* no memory */
} follower;

/* ---- callbacks ---- */

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  follower *f = user;
  changefeed_str line = {NULL, 0};

  (void)feed;
  if (!row_line(f->args->format, change, &f->scratch, &line) ||
      !console_row(&f->console, line.data, line.len, change->ordinal)) {
    f->row_lost = true;
    return -1;
  }
  return CHANGEFEED_CONTINUE;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  report_state(&((follower *)user)->report, feed, event);
}

static void on_notice(changefeed *feed, const changefeed_notice *notice,
                      void *user) {
  (void)feed;
  report_notice(&((follower *)user)->report, notice);
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  follower *f = user;

  (void)feed;
  report_reset(&f->report, reason);
  return f->args->reset_stops ? CHANGEFEED_STOP : CHANGEFEED_CONTINUE;
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  (void)feed;
  report_log(&((follower *)user)->report, level, text, len);
}

/* ---- the beginning ---- */

static int open_feed(follower *f) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  int rc;

  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.on_notice = on_notice;
  callbacks.on_reset = on_reset;
  callbacks.on_log = on_log;
  callbacks.user = f;
  rc = changefeed_options_set_callbacks(f->args->options, &callbacks);
  if (rc == CHANGEFEED_OK)
    rc = changefeed_open(&f->feed, NULL, f->args->options);
  return rc;
}

/* Wrong usage, or the end before the beginning. */
static int refuse(follower *f, int rc) {
  const char *why = changefeed_options_error(f->args->options);

  if (why[0] == '\0')
    why = changefeed_strerror(rc);
  if (rc == CHANGEFEED_ERR_OPTION || rc == CHANGEFEED_ERR_RANGE) {
    report_usage(&f->report, why);
    return EXIT_USAGE;
  }
  report_end(&f->report, NULL, rc, why);
  return EXIT_FAILED;
}

/* Signals wait from the start, and are taken when there is a feed to stop. */
static int start(follower *f) {
  int rc;

  if (!console_check_descriptors())
    return EXIT_FAILED;
  stopper_block();
  if (!console_open(&f->console))
    return EXIT_FAILED;
  rc = open_feed(f);
  if (rc != CHANGEFEED_OK)
    return refuse(f, rc);
  rc = stopper_start(&f->console.out, EXIT_OK);
  if (rc != 0) {
    report_end(&f->report, f->feed, CHANGEFEED_ERR_SYSTEM, strerror(rc));
    return EXIT_FAILED;
  }
  sink_set_feed(&f->console.out, f->feed);
  stopper_set_feed(f->feed);
  return EXIT_OK;
}

/* ---- the middle ---- */

static bool is_over(const changefeed *feed) {
  int state = changefeed_get_state(feed);

  return state == CHANGEFEED_STATE_ENDED || state == CHANGEFEED_STATE_FAILED ||
         state < 0;
}

/* 0, or what the loop says when it cannot go on. */
static int run(follower *f) {
  changefeed_loop *loop = changefeed_get_loop(f->feed);
  int rc = CHANGEFEED_OK;

  while (rc >= 0 && !is_over(f->feed))
    rc = changefeed_loop_run_once(loop, report_tick(&f->report, f->feed));
  return rc >= 0 ? CHANGEFEED_OK : rc;
}

/* ---- the end ---- */

/* The rows that wait go out as long as somebody reads them, but not for long
   after a signal. */
static void finish_rows(follower *f) {
  const atomic_bool *asked = stopper_asked();
  sink *out = &f->console.out;

  if (!sink_wait(out, -1, asked) &&
      !sink_wait(out, clock_ms() + FLUSH_MS, NULL))
    sink_discard(out, clock_ms() + LINE_MS);
}

static void finish_messages(follower *f) {
  if (f->console.err != NULL && f->console.err->started &&
      !sink_wait(f->console.err, -1, stopper_asked()))
    (void)sink_wait(f->console.err, clock_ms() + ERR_MS, NULL);
}

/* The code of the end, with a sentence about it. */
typedef struct ending {
  int code;
  char message[1024];
} ending;

static void set_ending(ending *e, int code, const char *why, const char *more) {
  e->code = code;
  (void)snprintf(e->message, sizeof e->message, "%s%s%s", why,
                 more[0] != '\0' ? ": " : "", more);
}

/* What has gone wrong first is what is told. */
static void find_ending(follower *f, int loop_rc, ending *e) {
  const changefeed_error *error = changefeed_last_error(f->feed);
  int out = sink_error(&f->console.out);
  int kept;

  set_ending(e, CHANGEFEED_OK, "", "");
  if (out != 0 && out != EPIPE)
    set_ending(e, CHANGEFEED_ERR_SYSTEM, "standard output could not be written",
               strerror(out));
  else if (loop_rc < 0)
    set_ending(e, loop_rc, "the loop cannot go on", strerror(errno));
  else if (f->row_lost)
    set_ending(e, CHANGEFEED_ERR_NOMEM, "there is no memory for a row", "");
  else if (changefeed_get_state(f->feed) == CHANGEFEED_STATE_FAILED)
    set_ending(e, error->code, error->message, "");
  if (e->code != CHANGEFEED_OK)
    return;
  /* Rows were written, and would come again although they need not. */
  kept = changefeed_checkpoint(f->feed);
  if (kept == CHANGEFEED_ERR_STORE)
    set_ending(e, kept, changefeed_last_error(f->feed)->message, "");
  else if (f->args->couch && kept == CHANGEFEED_ERR_STATE)
    set_ending(e, CHANGEFEED_ERR_STORE,
               "the last position is not saved in the database", "");
}

static void tell_losses(follower *f) {
  static const char lost[] = "there was no memory for some messages";

  if (f->console.no_memory)
    report_log(&f->report, CHANGEFEED_LOG_ERROR, lost, sizeof lost - 1);
}

static int finish(follower *f, int loop_rc) {
  ending e;

  finish_rows(f);
  stopper_set_feed(NULL);
  sink_set_feed(&f->console.out, NULL);
  find_ending(f, loop_rc, &e);
  tell_losses(f);
  report_end(&f->report, f->feed, e.code, e.message);
  return e.code == CHANGEFEED_OK ? EXIT_OK : EXIT_FAILED;
}

/* A thread that hangs in a write must not hold the end up, nor see its memory
   freed. */
static void close_all(follower *f, int status) {
  int64_t until;
  bool out, err;

  changefeed_close(f->feed);
  finish_messages(f);
  stopper_forget();
  until =
      clock_ms() + (atomic_load(stopper_asked()) ? THREAD_MS : UNHURRIED_MS);
  out = sink_close(&f->console.out, until);
  err = sink_close(&f->console.err_sink, until);
  if (!out || !err)
    _exit(status);
  report_free(&f->report);
  text_free(&f->scratch);
}

int follow(const args *a) {
  static follower f; /* outlives a thread that hangs */
  int status;

  memset(&f, 0, sizeof f);
  f.args = a;
  report_init(&f.report, a, &f.console);
  status = start(&f);
  if (status == EXIT_OK)
    status = finish(&f, run(&f));
  close_all(&f, status);
  return status;
}
