/* The parts that the timeline's picture is drawn of: lanes one under another on
   one axis of time, each with a head line (name, legend) and a plot. Only
   timeline_svg.c and the lanes include this. */
#ifndef REPLAY_CHART_H
#define REPLAY_CHART_H

#include "replay/timeline.h"

enum {
  CHART_WIDTH = 1200,
  CHART_LEFT = 96, /* the plots */
  CHART_RIGHT = 1176,
  CHART_COLUMNS = 540, /* at most: two points wide at least */
  CHART_COLOURS = 8,
  CHART_CODES = 5, /* pages with a colour of their own */
  CHART_UNKNOWN = -2
};

/* Some slices together. */
typedef struct chart_column {
  timeline_counts counts;
  bool drones_known;
  unsigned bound, free, queue;          /* at its end; the longest queue */
  int64_t stale_ms[TIMELINE_BALANCERS]; /* the worst; -1; CHART_UNKNOWN */
} chart_column;

typedef struct chart {
  text *out;
  const timeline_data *data;
  chart_column *columns;
  size_t count, slices; /* columns; slices of each, the last has more */
  int64_t column_ms;
  int64_t span_ms;             /* of the axis; 1 or more */
  unsigned codes[CHART_CODES]; /* pages that have their own colours */
  unsigned code_count;
  double *values, *base; /* one for each column */
  double y;              /* where the next thing goes */
  double head_x, head_y; /* where the lane's head line goes on */
} chart;

typedef struct chart_plot {
  double top, height, most; /* most: the value at the top */
} chart_plot;

/* Columns of a run, with its data for an axis of so many ms; false: no memory.
   chart_clear in either case. */
bool chart_make(chart *c, const timeline_data *data, int64_t span_ms,
                text *out);
void chart_clear(chart *c);

double chart_x(const chart *c, int64_t ms);
/* Where a column begins; of the one behind the last, where the last ends. */
double chart_column_x(const chart *c, size_t column);
/* About how wide words are drawn, at the size of a label. */
double chart_words_width(const char *words);
/* class: of the style sheet. Words are clean and are escaped here. */
void chart_text(text *out, double x, double y, const char *class,
                const char *words);
/* The same, cut to a width; false: it was cut. */
bool chart_text_within(text *out, double x, double y, double width,
                       const char *class, const char *words);
/* title: shown where the pointer rests, or NULL. */
void chart_rect(text *out, double x, double y, double width, double height,
                const char *class, const char *title);

void chart_lane(chart *c, const char *name);
/* A word behind the lane's name; the key of a colour, drawn as class. */
void chart_note(chart *c, const char *class, const char *words);
void chart_key(chart *c, const char *class, const char *words);

/* A plot under the head; unit is put behind the numbers of its scale. most: the
   largest value, 0 or more, which is rounded up. */
chart_plot chart_plot_begin(chart *c, double height, double most,
                            const char *unit);
/* On the base, which grows by the values. */
void chart_bars(chart *c, const chart_plot *plot, const char *class);
/* Steps, with gaps where a value is negative. */
void chart_line(chart *c, const chart_plot *plot, const char *class);
/* Each second, of a count within a column. */
double chart_rate(const chart *c, const chart_column *column, uint32_t count);
/* The largest of values; of what bars stand on, after the last of them. */
double chart_most(const chart *c, const double *values);
void chart_base_clear(chart *c);

/* ---- the lanes, from top to bottom ---- */

void lane_load(chart *c);
void lane_times(chart *c);
void lane_errors(chart *c);
void lane_foreign(chart *c);
void lane_stale(chart *c);
void lane_digests(chart *c);
void lane_drones(chart *c);
void lane_callers(chart *c);
void lane_faults(chart *c);

#endif
