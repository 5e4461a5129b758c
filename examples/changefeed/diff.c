/*
 * Two replicas: read, compared, looked at until what differs stands still.
 */
#include "diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settle.h"

/* How many times what moves is looked at again. */
enum { LOOKS = 4, WORDS = 200 };

typedef struct job {
  const args *args;
  stage stage;
  lines lines;
  replica sides[2];
  progress progress;
  settle settle;
  changefeed_digest digests[2];
  uint64_t counts[2];
  bool agree;
} job;

/* ---- the range ---- */

/* The narrower one of two bounds. */
static bool narrow(char **bound, const char *other, bool upper) {
  int order = *bound != NULL && other != NULL ? strcmp(other, *bound) : 0;
  char *copy;

  if (other == NULL || (*bound != NULL && (upper ? order >= 0 : order <= 0)))
    return true;
  copy = strdup(other);
  if (copy == NULL)
    return false;
  free(*bound);
  *bound = copy;
  return true;
}

/* The first text behind all that begin so: UTF-8 has no byte 255. */
static bool narrow_to_prefix(id_range *range, const char *prefix) {
  size_t len = strlen(prefix);
  char *behind = strdup(prefix);
  bool ok = behind != NULL;

  if (ok && len != 0) {
    behind[len - 1] = (char)((unsigned char)behind[len - 1] + 1);
    ok =
        narrow(&range->from, prefix, false) && narrow(&range->to, behind, true);
  }
  free(behind);
  return ok;
}

static bool narrow_to_snapshot(job *j, replica *r) {
  changefeed_snapshot_info info = CHANGEFEED_SNAPSHOT_INFO_INIT;
  id_range *range = &j->settle.range;

  if (r->snapshot == NULL ||
      changefeed_snapshot_get_info(r->snapshot, &info) != CHANGEFEED_OK)
    return true;
  if (info.from != NULL || info.to != NULL)
    report_say(
        &r->report, "%s holds only ids%s%s%s%s; only these are compared", r->of,
        info.from != NULL ? " from " : "", info.from != NULL ? info.from : "",
        info.to != NULL ? " to before " : "", info.to != NULL ? info.to : "");
  return narrow(&range->from, info.from, false) &&
         narrow(&range->to, info.to, true);
}

static bool find_range(job *j) {
  const mirror_args *m = &j->args->mirror;
  id_range *range = &j->settle.range;

  return narrow(&range->from, m->from, false) &&
         narrow(&range->to, m->to, true) &&
         (m->prefix == NULL || narrow_to_prefix(range, m->prefix)) &&
         narrow_to_snapshot(j, &j->sides[0]) &&
         narrow_to_snapshot(j, &j->sides[1]);
}

/* ---- the beginning ---- */

static int open_files(job *j) {
  int status = EXIT_OK;

  for (int i = 0; i < 2 && status == EXIT_OK; i++)
    if (j->args->mirror.sides[i].options == NULL)
      status = replica_read(&j->sides[i], j->args->mirror.sides[i].name);
  if (status == EXIT_OK && !find_range(j)) {
    report_fault(&j->stage.report, CHANGEFEED_ERR_NOMEM, "no memory", NULL);
    status = EXIT_TROUBLE;
  }
  return status;
}

static int open_mirrors(job *j) {
  const mirror_args *m = &j->args->mirror;
  int status = EXIT_OK;

  for (int i = 0; i < 2 && status == EXIT_OK; i++) {
    changefeed_mirror_config config = CHANGEFEED_MIRROR_CONFIG_INIT;

    if (m->sides[i].options == NULL)
      continue;
    config.start = m->start;
    config.prefix = m->prefix;
    if (m->prefix == NULL) {
      config.from = j->settle.range.from;
      config.to = j->settle.range.to;
    }
    status =
        replica_open(&j->sides[i], j->stage.loop, m->sides[i].options, &config);
  }
  return status;
}

/* ---- the middle ---- */

static bool both_are_live(const job *j) {
  return replica_is_live(&j->sides[0]) && replica_is_live(&j->sides[1]);
}

/* One turn of the loop. False after a message: it cannot go on. */
static bool turn(job *j, int wait_ms) {
  bool failed = false;

  if (!stage_turn(&j->stage, wait_ms))
    return false;
  for (int i = 0; i < 2; i++)
    failed = replica_tell_failure(&j->sides[i]) || failed;
  if (failed)
    return false;
  if (!stage_is_stopped())
    return true;
  report_fault(&j->stage.report, CHANGEFEED_END,
               "stopped by a signal before it was done", NULL);
  return false;
}

static int settling_tick(job *j, int64_t left_ms) {
  char words[WORDS];
  const settle *s = &j->settle;
  uint64_t differ = s->only[0] + s->only[1] + s->revisions + s->moving;

  if (!progress_is_shown(&j->stage))
    return (int)left_ms;
  (void)snprintf(words, sizeof words,
                 "%llu documents differ; looked at again in %.1f s",
                 (unsigned long long)differ, (double)left_ms / 1000);
  progress_show(&j->stage, words);
  return left_ms < WORDS ? (int)left_ms : WORDS;
}

/* Takes the versions of now if they agree. */
static bool agrees_now(job *j) {
  pair now;

  pair_take(&now, j->sides);
  j->agree = pair_agrees(&now, &j->settle.range, j->digests, j->counts);
  pair_drop(&now);
  return j->agree;
}

/* Until both have been live for the whole time, or agree. */
static bool wait_for_look(job *j) {
  int64_t begun = clock_ms(), time = j->args->mirror.settle_ms, left = time;

  while (left > 0) {
    if (!turn(j, settling_tick(j, left)))
      return false;
    if (!both_are_live(j))
      begun = clock_ms();
    else if (agrees_now(j))
      return true;
    left = begun + time - clock_ms();
  }
  return true;
}

static int compare(job *j) {
  settle *s = &j->settle;

  while (!both_are_live(j))
    if (!turn(j, progress_tick(&j->progress, &j->stage, j->sides, 2)))
      return EXIT_TROUBLE;
  s->fixed = j->sides[0].snapshot != NULL || j->sides[1].snapshot != NULL ||
             j->args->mirror.settle_ms == 0;
  if (agrees_now(j))
    return EXIT_OK;
  settle_look(s, j->sides);
  for (int i = 0; i < LOOKS && !settle_is_over(s); i++) {
    if (!wait_for_look(j))
      return EXIT_TROUBLE;
    if (j->agree)
      return EXIT_OK;
    settle_look(s, j->sides);
  }
  j->agree = pair_agrees(&s->now, &s->range, j->digests, j->counts);
  return EXIT_OK;
}

/* ---- the end ---- */

static int on_difference(void *ctx, const changefeed_entry *a,
                         const changefeed_entry *b) {
  static const changefeed_str none = {NULL, 0};
  changefeed_str id = a != NULL ? a->id : b->id;
  lines *l = ctx;

  if (l->json) {
    json_begin(l, "difference");
    json_str(l, "id", id);
    json_str(l, "a", a != NULL ? a->rev : none);
    json_str(l, "b", b != NULL ? b->rev : none);
    json_end(l);
    return lines_go_on(l) ? 0 : 1;
  }
  line_begin(l);
  text_puts(&l->text, a == NULL ? "> " : b == NULL ? "< " : "! ");
  text_put_escaped(&l->text, id);
  if (a != NULL) {
    text_putc(&l->text, '\t');
    text_put_escaped(&l->text, a->rev);
  }
  if (b != NULL) {
    text_putc(&l->text, '\t');
    text_put_escaped(&l->text, b->rev);
  }
  lines_send(l);
  return lines_go_on(l) ? 0 : 1;
}

static const char *word_of(int status) {
  return status == EXIT_OK          ? "equal"
         : status == EXIT_DIFFERENT ? "different"
                                    : "unsettled";
}

static int verdict(const job *j) {
  const settle *s = &j->settle;

  if (j->agree)
    return EXIT_OK;
  if (s->only[0] + s->only[1] + s->revisions != 0)
    return EXIT_DIFFERENT;
  return s->moving != 0 ? EXIT_UNSETTLED : EXIT_OK;
}

static void summary_as_json(job *j, int status) {
  const settle *s = &j->settle;
  lines *l = &j->lines;

  for (int i = 0; i < 2; i++) {
    json_begin(l, "digest");
    json_text(l, "side", i == 0 ? "a" : "b");
    json_digest(l, &j->digests[i]);
    json_int(l, "documents", j->counts[i]);
    json_text(l, "of", j->sides[i].of);
    json_end(l);
  }
  json_begin(l, "summary");
  json_text(l, "verdict", word_of(status));
  json_int(l, "only_a", j->agree ? 0 : s->only[0]);
  json_int(l, "only_b", j->agree ? 0 : s->only[1]);
  json_int(l, "revisions", j->agree ? 0 : s->revisions);
  json_int(l, "moving", j->agree ? 0 : s->moving);
  json_int(l, "under_way", j->agree ? 0 : s->young);
  json_end(l);
}

static void print_digests(job *j, int status) {
  for (int i = 0; i < 2; i++)
    lines_digest(&j->lines, &j->digests[i], j->counts[i], j->sides[i].of);
  line_begin(&j->lines);
  text_puts(&j->lines.text, word_of(status));
  lines_send(&j->lines);
}

static void tell_summary(job *j) {
  const settle *s = &j->settle;
  report *r = &j->stage.report;

  if (j->agree)
    return;
  if (s->only[0] + s->only[1] + s->revisions != 0)
    report_say(r, "%llu only in A, %llu only in B, %llu in another revision",
               (unsigned long long)s->only[0], (unsigned long long)s->only[1],
               (unsigned long long)s->revisions);
  if (s->moving != 0)
    report_say(r, "%llu documents differ that went on changing",
               (unsigned long long)s->moving);
  if (s->young != 0)
    report_say(r, "%llu documents were under way, and equal before",
               (unsigned long long)s->young);
}

static int finish(job *j) {
  int status = verdict(j);
  bool all = !j->args->mirror.digest_only && !j->agree;

  if (all)
    settle_each(&j->settle, on_difference, &j->lines);
  if (j->args->mirror.json)
    summary_as_json(j, status);
  else if (j->args->mirror.digest_only)
    print_digests(j, status);
  console_erase(&j->stage.console);
  tell_summary(j);
  if (j->lines.no_memory) {
    report_fault(&j->stage.report, CHANGEFEED_ERR_NOMEM,
                 "there is no memory for a line", NULL);
    status = EXIT_TROUBLE;
  }
  if (stage_is_stopped()) {
    report_fault(&j->stage.report, CHANGEFEED_END,
                 "stopped by a signal before all was printed", NULL);
    status = EXIT_TROUBLE;
  }
  return status;
}

int diff(const args *a) {
  static job j; /* outlives a thread that hangs */
  int status = EXIT_TROUBLE;

  memset(&j, 0, sizeof j);
  j.args = a;
  if (stage_open(&j.stage, a)) {
    lines_init(&j.lines, a, &j.stage.console);
    replica_init(&j.sides[0], &j.stage, "A", &j.lines);
    replica_init(&j.sides[1], &j.stage, "B", &j.lines);
    status = open_files(&j);
    if (status == EXIT_OK)
      status = open_mirrors(&j);
    if (status == EXIT_OK)
      status = compare(&j);
    if (status == EXIT_OK)
      status = finish(&j);
    for (int i = 0; i < 2; i++)
      replica_tell_stats(&j.sides[i]);
    status = stage_finish(&j.stage, status);
    settle_free(&j.settle);
    replica_close(&j.sides[0]);
    replica_close(&j.sides[1]);
    lines_free(&j.lines);
  }
  stage_close(&j.stage, status);
  return status;
}
