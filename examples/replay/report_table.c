/* The report as a table for people; see report.h. */
#include "replay/report_int.h"

#include "replay/figures.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
  ID_WIDTH = 5,
  MEANS_WIDTH = 48,
  NUMBER_WIDTH = 12,
  STEP_INDENT = 4,
  FIRST_MOST = 280 /* characters of a violation, in lines */
};

void report_date(int64_t at_ms, text *out) {
  time_t seconds = (time_t)(at_ms / 1000);
  struct tm parts;
  char date[64];

  if (gmtime_r(&seconds, &parts) == NULL ||
      strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
    return;
  text_str(out, date);
}

static void add_spaces(text *out, size_t count) {
  while (count-- != 0)
    text_str(out, " ");
}

/* To the right of its column. */
static void add_number(text *out, uint64_t n) {
  text number = TEXT_INIT;

  figures_count(&number, n);
  if (number.len < NUMBER_WIDTH)
    add_spaces(out, NUMBER_WIDTH - number.len);
  text_str(out, text_get(&number));
  text_free(&number);
}

/* "LABEL  SENTENCE", wrapped. */
static void add_labelled(text *out, const char *label, const char *sentence) {
  size_t at = 10;

  figures_pad(out, label, at);
  figures_wrap(out, sentence, at, at, REPORT_TABLE_WIDTH);
}

static void add_pairs(text *out, const char *label, const report_pairs *pairs) {
  text line = TEXT_INIT;

  for (size_t i = 0; i < pairs->count; i++) {
    const report_pair *pair = &pairs->list[i];

    text_printf(&line, "%s%s ", i != 0 ? ", " : "", pair->name);
    if (pair->value != NULL)
      text_str(&line, pair->value);
    else if (pair->number < 0)
      text_printf(&line, "%" PRId64, pair->number);
    else
      figures_count(&line, (uint64_t)pair->number);
  }
  if (pairs->count != 0)
    add_labelled(out, label, text_get(&line));
  text_free(&line);
}

/* ---- the run ---- */

static void add_head(const run_report *r, const timeline_data *d, text *out) {
  text line = TEXT_INIT;

  text_printf(&line, "replay: %s", r->title);
  if (r->naive != NULL)
    text_printf(&line, "; naive: %s", r->naive);
  text_printf(&line, "; seed %" PRIu64 "; ", r->seed);
  report_date(r->begun_ms, &line);
  text_str(&line, "; ");
  figures_time(&line, d->end_ms * 1000);
  text_printf(&line, "; %d cores", r->cores);
  figures_wrap(out, text_get(&line), 0, 2, REPORT_TABLE_WIDTH);
  text_free(&line);
  add_pairs(out, "options", &r->options);
  add_pairs(out, "programs", &r->programs);
  text_str(out, "\n");
}

static void add_step(const report_stage *step, text *out) {
  text line = TEXT_INIT;

  text_printf(&line, "%2d  %s: ", step->number, step->name);
  if (step->reason != NULL) {
    text_printf(&line, "skipped: %s", step->reason);
  } else {
    text_str(&line, "from ");
    figures_time(&line, step->begin_ms * 1000);
    text_str(&line, ", for ");
    figures_time(&line, (step->end_ms - step->begin_ms) * 1000);
  }
  figures_wrap(out, text_get(&line), 0, STEP_INDENT, REPORT_TABLE_WIDTH);
  text_free(&line);
  for (size_t i = 0; i < step->sentence_count; i++) {
    add_spaces(out, STEP_INDENT);
    figures_wrap(out, step->sentences[i], STEP_INDENT, STEP_INDENT,
                 REPORT_TABLE_WIDTH);
  }
}

/* ---- what was counted ---- */

static void add_codes(const timeline_counts *c, text *line) {
  const char *before = " (";

  for (unsigned code = 0; code < TIMELINE_CODES; code++) {
    if (c->codes[code] == 0)
      continue;
    text_printf(line, "%sE%02u ", before, code);
    figures_count(line, c->codes[code]);
    before = ", ";
  }
  if (before[0] == ',')
    text_str(line, ")");
}

static void add_count(text *line, const char *before, uint64_t n,
                      const char *after) {
  text_str(line, before);
  figures_count(line, n);
  text_str(line, after);
}

static void add_visitors(const timeline_counts *c, text *out) {
  text line = TEXT_INIT;

  add_count(&line, "", c->asked, " asked; ");
  add_count(&line, "", c->own, " answered by the app of that site; ");
  add_count(&line, "", c->foreign, " saw somebody else's; ");
  add_count(&line, "", c->outcomes[TIMELINE_PAGE], " pages");
  add_codes(c, &line);
  add_count(&line, "; ", c->outcomes[TIMELINE_NOTHING], " without an answer; ");
  add_count(&line, "", c->outcomes[TIMELINE_LEFT], " went away themselves");
  if (timeline_time(c, 0.5) >= 0) {
    text_str(&line, "; first byte p50 ");
    figures_time(&line, timeline_time(c, 0.5));
    text_str(&line, ", p99 ");
    figures_time(&line, timeline_time(c, 0.99));
  }
  add_labelled(out, "visitors", text_get(&line));
  text_free(&line);
}

static void add_callers(const timeline_counts *c, text *out) {
  static const char *const names[TIMELINE_APIS] = {
      " live",      " accepted", " coalesced",
      " too often", " no room",  " anything else"};
  text line = TEXT_INIT;

  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    add_count(&line, i != 0 ? ", " : "", c->apis[i], names[i]);
  add_labelled(out, "callers", text_get(&line));
  text_free(&line);
}

/* ---- laws ---- */

static void add_law(const report_law *law, text *out) {
  static const char *const verdicts[] = {"", "  BROKEN", "  NOT CHECKED",
                                         "  excused"};
  text line = TEXT_INIT;
  const char *more = law->broken != 0 ? law->first : NULL;

  if (law->excuse != NULL && report_verdict_of(law) == REPORT_EXCUSED)
    more = law->excuse;
  figures_pad(out, law->id, ID_WIDTH - 1);
  text_str(out, " ");
  figures_pad(out, law->means, MEANS_WIDTH);
  add_number(out, law->checks);
  add_number(out, law->broken);
  text_str(out, verdicts[report_verdict_of(law)]);
  text_str(out, "\n");
  if (more != NULL) {
    figures_cut(&line, more, FIRST_MOST);
    add_spaces(out, ID_WIDTH);
    figures_wrap(out, text_get(&line), ID_WIDTH, ID_WIDTH, REPORT_TABLE_WIDTH);
  }
  text_free(&line);
}

static void add_laws(const run_report *r, text *out) {
  unsigned count[4] = {0};

  figures_pad(out, "law", ID_WIDTH);
  figures_pad(out, "what it says", MEANS_WIDTH);
  text_printf(out, "%*s%*s\n", NUMBER_WIDTH, "checks", NUMBER_WIDTH,
              "violations");
  for (size_t i = 0; i < r->law_count; i++) {
    count[report_verdict_of(&r->laws[i])]++;
    add_law(&r->laws[i], out);
  }
  text_printf(out, "\n%u held, %u broken, %u not checked, %u excused\n",
              count[REPORT_HELD], count[REPORT_BROKEN], count[REPORT_UNCHECKED],
              count[REPORT_EXCUSED]);
}

static void add_lost(const run_report *r, const timeline_data *d, text *out) {
  if (r->lost != 0)
    text_printf(out, "%" PRIu64 " things found no room in this report\n",
                r->lost);
  if (d->lost_bands + d->lost_marks + d->beyond != 0)
    text_printf(out,
                "the timeline had no room for %zu faults and %zu marks, and "
                "%" PRIu64 " things came after its end\n",
                d->lost_bands, d->lost_marks, d->beyond);
}

void report_add_table(const run_report *r, const timeline_data *d, text *out) {
  add_head(r, d, out);
  for (size_t i = 0; i < r->step_count; i++)
    add_step(&r->steps[i], out);
  text_str(out, r->step_count != 0 ? "\n" : "");
  add_visitors(&d->total, out);
  add_callers(&d->total, out);
  add_pairs(out, "counted", &r->counters);
  text_str(out, "\n");
  add_laws(r, out);
  add_lost(r, d, out);
}

void report_table(run_report *r, text *out) {
  timeline_data *d = timeline_take(r->timeline);

  if (d == NULL) {
    out->failed = true;
    return;
  }
  (void)pthread_mutex_lock(&r->lock);
  report_add_table(r, d, out);
  (void)pthread_mutex_unlock(&r->lock);
  free(d);
}
