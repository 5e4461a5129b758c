/*
 * One mirror: read, then printed, or followed and told until it is stopped.
 */
#include "mirror.h"

#include <string.h>

#include "teller.h"

/* How long the last lines of a followed mirror may take after a signal. */
enum { LAST_LINES_MS = 1000 };

typedef struct job {
  const args *args;
  stage stage;
  lines lines;
  replica replica;
  teller teller;
  progress progress;
  unsigned audited_sync; /* the sync an audit was begun for */
  bool teller_begun, stopping, cut_short;
  uint64_t saves, save_errors; /* when the end was asked for */
} job;

/* ---- the beginning ---- */

static int open_mirror(job *j) {
  changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;
  const mirror_args *m = &j->args->mirror;
  int status;

  config.keep = m->keep;
  config.start = m->start;
  config.from = m->from;
  config.to = m->to;
  config.prefix = m->prefix;
  config.snapshot = m->snapshot;
  config.snapshot_ms = m->follow ? m->snapshot_ms : 0;
  config.audit_ms = m->audit_ms;
  config.stale_ms = m->stale_ms;
  status = replica_open(&j->replica, j->stage.loop, j->args->options, &config);
  if (status == EXIT_OK && m->follow) {
    teller_begin(&j->teller, &j->replica, m->list);
    j->teller_begun = true;
  }
  return status;
}

/* ---- the middle ---- */

static void stop(job *j) {
  if (j->stopping)
    return;
  j->stopping = true;
  replica_saves(&j->replica, &j->saves, &j->save_errors);
  (void)changefeed_mirror_stop(j->replica.mirror);
}

/* An audit for each time the mirror came into step. EXIT_OK, or an exit status
   after a message. */
static int audit(job *j) {
  replica *r = &j->replica;
  int rc;

  if (j->audited_sync == r->syncs || !changefeed_mirror_is_synced(r->mirror))
    return EXIT_OK;
  rc = changefeed_mirror_audit(r->mirror);
  if (rc == CHANGEFEED_ERR_UNSUPPORTED) {
    report_usage(&r->report, "audit: a server lists no documents by a filter");
    return EXIT_USAGE;
  }
  if (rc == CHANGEFEED_OK) {
    j->audited_sync = r->syncs;
    r->audited = false;
  }
  return EXIT_OK;
}

/* Has what was asked for been done? An audit that the server's other history
   has cut off is run again. */
static bool is_done(const job *j) {
  const replica *r = &j->replica;

  if (j->args->mirror.follow || r->syncs == 0)
    return false;
  return !j->args->mirror.audit ||
         (r->audited && r->audit.code != CHANGEFEED_END);
}

/* What is to be done after each turn of the loop. */
static int work(job *j) {
  replica *r = &j->replica;
  const mirror_args *m = &j->args->mirror;
  int status = EXIT_OK;

  if (stage_is_stopped() || (m->follow && stage_is_deaf(&j->stage))) {
    j->cut_short = !is_done(j);
    stop(j);
  } else if (is_done(j)) {
    stop(j);
  } else if (m->audit && r->syncs != 0) {
    status = audit(j);
  }
  if (status == EXIT_OK && m->follow && r->syncs != 0 &&
      !teller_step(&j->teller, r)) {
    report_fault(&r->report, CHANGEFEED_ERR_NOMEM,
                 "there is no memory for a line", NULL);
    status = EXIT_TROUBLE;
  }
  return status;
}

static int next_wait(job *j) {
  if (j->replica.syncs != 0) {
    console_erase(&j->stage.console);
    return -1;
  }
  return progress_tick(&j->progress, &j->stage, &j->replica, 1);
}

static int run(job *j) {
  replica *r = &j->replica;
  int status = EXIT_OK;

  while (status == EXIT_OK && !r->over)
    status = stage_turn(&j->stage, next_wait(j)) ? work(j) : EXIT_TROUBLE;
  if (status != EXIT_OK)
    return status;
  return replica_tell_failure(r) ? EXIT_TROUBLE : EXIT_OK;
}

/* ---- the end ---- */

static int on_entry(void *ctx, const changefeed_entry *entry) {
  lines_entry(ctx, "entry", "", entry);
  return lines_go_on(ctx) ? 0 : 1;
}

static void print_contents(job *j) {
  const mirror_args *m = &j->args->mirror;
  const changefeed_view *view = replica_view(&j->replica);
  changefeed_digest digest;
  uint64_t count;

  if (m->list) {
    (void)changefeed_view_each(view, NULL, NULL, on_entry, &j->lines);
  } else if ((m->digest || !m->audit) &&
             changefeed_view_digest(view, NULL, NULL, &digest, &count) ==
                 CHANGEFEED_OK) {
    lines_digest(&j->lines, &digest, count, j->replica.of);
  }
  changefeed_view_release(view);
}

/* What has changed up to the end; it is in the snapshot, and would not be told
   by the next run. */
static void tell_rest(job *j) {
  sink *out = &j->stage.console.out;
  int64_t until = clock_ms() + LAST_LINES_MS;

  if (j->replica.syncs == 0)
    return;
  while (!teller_is_done(&j->teller, &j->replica) &&
         !stage_is_deaf(&j->stage) && clock_ms() < until)
    if (!teller_step(&j->teller, &j->replica) || !sink_wait(out, until, NULL))
      break;
}

/* The snapshot is saved when the mirror ends; what came of it? */
static int check_snapshot(job *j) {
  replica *r = &j->replica;
  uint64_t saves, errors;

  if (j->args->mirror.snapshot == NULL)
    return EXIT_OK;
  replica_saves(r, &saves, &errors);
  if (errors > j->save_errors) {
    report_fault(&r->report, CHANGEFEED_ERR_STORE,
                 changefeed_mirror_last_error(r->mirror)->message, r->of);
    return EXIT_TROUBLE;
  }
  if (saves == j->saves)
    report_say(&r->report, "the snapshot is as it was: the mirror was not in "
                           "step when it was stopped");
  return EXIT_OK;
}

static int verdict(const job *j) {
  const replica *r = &j->replica;

  if (r->differences != 0)
    return EXIT_DIFFERENT;
  return r->unsettled != 0 ||
                 (r->audited && r->audit.code == CHANGEFEED_ERR_LIMIT)
             ? EXIT_UNSETTLED
             : EXIT_OK;
}

static int finish(job *j) {
  int saved = check_snapshot(j), status = verdict(j);

  if (j->args->mirror.follow) {
    tell_rest(j);
  } else if (j->cut_short) {
    report_fault(&j->replica.report, CHANGEFEED_END,
                 "stopped by a signal before it was done", j->replica.of);
    status = EXIT_TROUBLE;
  } else {
    print_contents(j);
    if (stage_is_stopped())
      status = EXIT_TROUBLE;
  }
  if (j->lines.no_memory) {
    report_fault(&j->replica.report, CHANGEFEED_ERR_NOMEM,
                 "there is no memory for a line", NULL);
    status = EXIT_TROUBLE;
  }
  return saved != EXIT_OK ? saved : status;
}

int mirror(const args *a) {
  static job j; /* outlives a thread that hangs */
  int status = EXIT_TROUBLE;

  memset(&j, 0, sizeof j);
  j.args = a;
  if (stage_open(&j.stage, a)) {
    lines_init(&j.lines, a, &j.stage.console);
    replica_init(&j.replica, &j.stage, NULL, &j.lines);
    status = open_mirror(&j);
    if (status == EXIT_OK)
      status = run(&j);
    if (status == EXIT_OK)
      status = finish(&j);
    replica_tell_stats(&j.replica);
    status = stage_finish(&j.stage, status);
    if (j.teller_begun)
      teller_end(&j.teller);
    replica_close(&j.replica);
    lines_free(&j.lines);
  }
  stage_close(&j.stage, status);
  return status;
}
