/*
 * What is said about a feed on standard error: lines of JSON (--events,
 * --stats), lines for people, and the progress line.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "args.h"
#include "console.h"

typedef struct report {
  const args *args;
  console *console;
  textbuf line;     /* in the making */
  const char *side; /* "A" or "B" of a comparison; NULL: there is one feed */
  bool mirrors;  /* the feed is a mirror's: its rows are nothing to be shown */
  bool troubled; /* a fault was told, and no row or LIVE since */
  /* progress */
  int64_t next_progress_ms; /* -1: not catching up */
  int64_t rate_ms;          /* when rate_rows was taken */
  uint64_t rate_rows;
  double rate;
  /* --stats-interval */
  int64_t next_stats_ms; /* -1: never */
} report;

void report_init(report *r, const args *a, console *c);
void report_free(report *r);

/* The callbacks' parts. */
void report_state(report *r, changefeed *feed, const changefeed_event *event);
void report_notice(report *r, const changefeed_notice *notice);
void report_reset(report *r, const char *reason);
void report_log(report *r, int level, const char *text, size_t len);

/* Does what is due by now; answers how long until the next, -1: nothing is. */
int report_tick(report *r, changefeed *feed);
/* How it ended: code 0, or a fault and a sentence about it. */
void report_end(report *r, changefeed *feed, int code, const char *message);
/* Options that contradict each other. */
void report_usage(report *r, const char *message);
/* A sentence for people, unless it is to be quiet or to write JSON. */
void report_say(report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* How a mirror, or a snapshot, ended: a fault, a sentence about it, and of
   what. */
void report_fault(report *r, int code, const char *message, const char *of);

/* report_progress.c: draws the line when it is due. */
void report_progress(report *r, changefeed *feed, int64_t now_ms);
/* report_json.c: the lines of JSON. */
void report_json_begin(report *r, const char *event);
void report_json_text(report *r, const char *name, const char *value);
void report_json_int(report *r, const char *name, int64_t value);
void report_json_position(report *r, changefeed *feed);
void report_json_end(report *r);
void report_stats(report *r, changefeed *feed);

#endif
