/*
 * The progress line while a feed catches up: rows, their rate, and how much is
 * left as far as the server or --limit says it.
 */
#include "report.h"

enum { PROGRESS_MS = 200, RATE_MS = 1000 };

/* The rate over the last second or so, a younger one counting for half. */
static void take_rate(report *r, uint64_t rows, int64_t now_ms) {
  int64_t passed = now_ms - r->rate_ms;
  double rate;

  if (passed < RATE_MS && (r->rate > 0 || passed < PROGRESS_MS))
    return;
  rate = (double)(rows - r->rate_rows) * 1000 / (double)passed;
  r->rate = r->rate > 0 ? (r->rate + rate) / 2 : rate;
  r->rate_ms = now_ms;
  r->rate_rows = rows;
}

static void put_left(report *r, const changefeed_stats *s) {
  uint64_t left = 0;

  if (s->pending > 0)
    left = (uint64_t)s->pending;
  if (r->args->limit > 0 && (uint64_t)r->args->limit > s->changes &&
      (left == 0 || (uint64_t)r->args->limit - s->changes < left))
    left = (uint64_t)r->args->limit - s->changes;
  if (left != 0)
    text_printf(&r->line, ", %llu to go, %.0f %% done",
                (unsigned long long)left,
                (double)s->changes * 100 / (double)(s->changes + left));
  else
    text_printf(&r->line, ", %.1f MB read", (double)s->bytes / 1e6);
}

void report_progress(report *r, changefeed *feed, int64_t now_ms) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  if (r->next_progress_ms < 0 || now_ms < r->next_progress_ms)
    return;
  r->next_progress_ms = now_ms + PROGRESS_MS;
  if (changefeed_get_stats(feed, &s) != CHANGEFEED_OK)
    return;
  take_rate(r, s.changes, now_ms);
  text_clear(&r->line);
  text_printf(&r->line, "catching up: %llu rows",
              (unsigned long long)s.changes);
  if (r->rate > 0)
    text_printf(&r->line, ", %.0f rows/s", r->rate);
  put_left(r, &s);
  if (text_ok(&r->line))
    console_progress(r->console, r->line.data, r->line.len);
}
