/*
 * The beginning and the end of mirror and diff.
 */
#include "stage.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "stopper.h"

/* After a signal; see follow.c. What is left of a line may take a moment. */
enum { FLUSH_MS = 100, LINE_MS = 30, THREAD_MS = 60, UNHURRIED_MS = 5000 };

bool stage_open(stage *s, const args *a) {
  int rc;

  memset(s, 0, sizeof *s);
  s->args = a;
  report_init(&s->report, a, &s->console);
  if (!console_check_descriptors())
    return false;
  stopper_block();
  if (!console_open(&s->console))
    return false;
  rc = changefeed_loop_new(&s->loop, NULL);
  if (rc != CHANGEFEED_OK) {
    report_fault(&s->report, rc, "the loop cannot be made", NULL);
    return false;
  }
  rc = stopper_start(&s->console.out, EXIT_TROUBLE);
  if (rc != 0) {
    report_fault(&s->report, CHANGEFEED_ERR_SYSTEM, strerror(rc), NULL);
    return false;
  }
  stopper_set_loop(s->loop);
  sink_set_loop(&s->console.out, s->loop);
  return true;
}

bool stage_turn(stage *s, int wait_ms) {
  int rc = changefeed_loop_run_once(s->loop, wait_ms);

  if (rc < 0)
    report_fault(&s->report, rc, "the loop cannot go on", NULL);
  return rc >= 0;
}

bool stage_is_stopped(void) { return atomic_load(stopper_asked()); }

bool stage_is_deaf(stage *s) { return sink_error(&s->console.out) != 0; }

int stage_finish(stage *s, int status) {
  static const char lost[] = "there was no memory for some messages";
  sink *out = &s->console.out;
  int error;

  console_erase(&s->console);
  if (!sink_wait(out, -1, stopper_asked()) &&
      !sink_wait(out, clock_ms() + FLUSH_MS, NULL))
    sink_discard(out, clock_ms() + LINE_MS);
  error = sink_error(out);
  if (error != 0 && error != EPIPE) {
    report_fault(&s->report, CHANGEFEED_ERR_SYSTEM, strerror(error),
                 "standard output");
    status = EXIT_TROUBLE;
  }
  if (s->console.no_memory)
    report_log(&s->report, CHANGEFEED_LOG_ERROR, lost, sizeof lost - 1);
  return status;
}

void stage_close(stage *s, int status) {
  int64_t until;
  bool out, err;

  stopper_set_loop(NULL);
  if (s->console.out.started)
    sink_set_loop(&s->console.out, NULL);
  if (s->console.err != NULL && s->console.err->started &&
      !sink_wait(s->console.err, -1, stopper_asked()))
    (void)sink_wait(s->console.err, clock_ms() + LINE_MS, NULL);
  stopper_forget();
  changefeed_loop_free(s->loop);
  until = clock_ms() + (stage_is_stopped() ? THREAD_MS : UNHURRIED_MS);
  out = sink_close(&s->console.out, until);
  err = sink_close(&s->console.err_sink, until);
  if (!out || !err)
    _exit(status);
  report_free(&s->report);
}
