/* Lanes of numbers: load, times, errors, other people's sites, drones, callers.
   See chart.h. */
#include "replay/chart.h"

#include "replay/figures.h"
#include <math.h>
#include <stdio.h>

static const char *const colours[CHART_COLOURS] = {"c0", "c1", "c2", "c3",
                                                   "c4", "c5", "c6", "c7"};

static void key_count(chart *c, const char *class, const char *name,
                      uint64_t n) {
  text words = TEXT_INIT;

  text_printf(&words, "%s ", name);
  figures_count(&words, n);
  chart_key(c, class, text_get(&words));
  text_free(&words);
}

typedef double value_of(const chart *c, const chart_column *column,
                        unsigned which);

static void fill(chart *c, value_of *value, unsigned which) {
  for (size_t i = 0; i < c->count; i++)
    c->values[i] = value(c, &c->columns[i], which);
}

/* A bar of several parts: the key of each, then the plot. */
typedef struct part {
  const char *class, *name;
  value_of *value;
  unsigned which;
  uint64_t total;
} part;

static void draw_parts(chart *c, const part *parts, size_t count, double height,
                       const char *unit) {
  chart_plot plot;
  double most;

  chart_base_clear(c);
  for (size_t i = 0; i < count; i++) {
    key_count(c, parts[i].class, parts[i].name, parts[i].total);
    fill(c, parts[i].value, parts[i].which);
    for (size_t j = 0; j < c->count; j++)
      c->base[j] += c->values[j];
  }
  most = chart_most(c, c->base);
  chart_base_clear(c);
  plot = chart_plot_begin(c, height, most, unit);
  for (size_t i = 0; i < count; i++) {
    fill(c, parts[i].value, parts[i].which);
    chart_bars(c, &plot, parts[i].class);
  }
}

/* ---- load, and how long the first byte took ---- */

static double asked(const chart *c, const chart_column *column,
                    unsigned which) {
  (void)which;
  return chart_rate(c, column, column->counts.asked);
}

static double answered(const chart *c, const chart_column *column,
                       unsigned which) {
  (void)which;
  return chart_rate(c, column, column->counts.outcomes[TIMELINE_APP]);
}

void lane_load(chart *c) {
  const timeline_counts *total = &c->data->total;
  chart_plot plot;
  double most;

  chart_lane(c, "Visitors, each second");
  key_count(c, "l0", "asked", total->asked);
  key_count(c, "c1", "answered by an app", total->outcomes[TIMELINE_APP]);
  chart_base_clear(c);
  fill(c, asked, 0);
  most = chart_most(c, c->values);
  fill(c, answered, 0);
  plot = chart_plot_begin(c, 84, fmax(most, chart_most(c, c->values)), "/s");
  chart_bars(c, &plot, "c1");
  fill(c, asked, 0);
  chart_line(c, &plot, "l0");
}

/* On a scale of decades: 0 is 1 ms. */
static double decades(const chart *c, const chart_column *column,
                      unsigned percent) {
  int64_t us = timeline_time(&column->counts, percent / 100.0);

  (void)c;
  return us < 0 ? -1 : fmax(0, log10((double)us / 1000));
}

static void key_time(chart *c, const char *class, const char *name,
                     double share) {
  text words = TEXT_INIT;
  int64_t us = timeline_time(&c->data->total, share);

  text_printf(&words, "%s ", name);
  if (us >= 0)
    figures_time(&words, us);
  else
    text_str(&words, "-");
  chart_key(c, class, text_get(&words));
  text_free(&words);
}

void lane_times(chart *c) {
  static const char *const words[] = {"1 ms", "10 ms", "100 ms",
                                      "1 s",  "10 s",  "100 s"};
  enum { DECADE = 17 };
  chart_plot plot;
  unsigned top;

  fill(c, decades, 99);
  top = (unsigned)ceil(fmin(5, fmax(2, chart_most(c, c->values))));
  chart_lane(c, "Time to the first byte");
  key_time(c, "l0", "p99", 0.99);
  key_time(c, "l1", "p50", 0.5);
  plot = (chart_plot){c->y + 6, DECADE * (double)top, top};
  for (unsigned i = 0; i <= top; i++) {
    double y = plot.top + plot.height - DECADE * (double)i;

    text_printf(c->out, "<path d=\"M%d %.1fH%d\" class=\"grid\"/>\n",
                CHART_LEFT, y, CHART_RIGHT);
    chart_text(c->out, CHART_LEFT - 6, y + 4, "scale", words[i]);
  }
  c->y = plot.top + plot.height;
  fill(c, decades, 50);
  chart_line(c, &plot, "l1");
  fill(c, decades, 99);
  chart_line(c, &plot, "l0");
}

/* ---- errors ---- */

static double nothing(const chart *c, const chart_column *column,
                      unsigned which) {
  (void)which;
  return chart_rate(c, column, column->counts.outcomes[TIMELINE_NOTHING]);
}

static double app_errors(const chart *c, const chart_column *column,
                         unsigned which) {
  (void)which;
  return chart_rate(c, column, column->counts.app_errors);
}

static double page(const chart *c, const chart_column *column, unsigned code) {
  return chart_rate(c, column, column->counts.codes[code]);
}

static uint32_t other_pages(const chart *c, const timeline_counts *counts) {
  uint32_t count = counts->outcomes[TIMELINE_PAGE];

  for (unsigned i = 0; i < c->code_count; i++)
    count -= counts->codes[c->codes[i]];
  return count;
}

static double other(const chart *c, const chart_column *column,
                    unsigned which) {
  (void)which;
  return chart_rate(c, column, other_pages(c, &column->counts));
}

/* As short as a key has to be; balancer(1) has the whole. */
static const char *meaning_of(unsigned code) {
  static const struct {
    unsigned code;
    const char *words;
  } known[] = {{1, "unknown host"},     {2, "starting"},
               {3, "crashed"},          {4, "stopped"},
               {5, "queued"},           {6, "claim refused"},
               {9, "not synced"},       {10, "connect refused"},
               {11, "connect late"},    {12, "broken answer"},
               {13, "answer late"},     {14, "app busy"},
               {20, "bad request"},     {21, "too large or slow"},
               {30, "app maintenance"}, {31, "maintenance"},
               {99, "no memory"}};

  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].code == code)
      return known[i].words;
  return "page";
}

void lane_errors(chart *c) {
  const timeline_counts *total = &c->data->total;
  part parts[CHART_CODES + 3];
  char names[CHART_CODES][48];
  size_t count = 0;

  for (unsigned i = 0; i < c->code_count; i++) {
    unsigned code = c->codes[i];

    (void)snprintf(names[i], sizeof names[i], "E%02u %s", code,
                   meaning_of(code));
    parts[count++] =
        (part){colours[i], names[i], page, code, total->codes[code]};
  }
  if (other_pages(c, total) != 0)
    parts[count++] =
        (part){colours[5], "other pages", other, 0, other_pages(c, total)};
  parts[count++] =
      (part){colours[6], "app's own 5xx", app_errors, 0, total->app_errors};
  parts[count++] = (part){colours[7], "no answer", nothing, 0,
                          total->outcomes[TIMELINE_NOTHING]};
  chart_lane(c, "Errors, each second");
  draw_parts(c, parts, count, 70, "/s");
}

static double foreign(const chart *c, const chart_column *column,
                      unsigned which) {
  (void)which;
  return chart_rate(c, column, column->counts.foreign);
}

void lane_foreign(chart *c) {
  text words = TEXT_INIT;
  chart_plot plot;

  chart_lane(c, "Visitors who saw somebody else's site, each second");
  if (c->data->total.foreign != 0)
    figures_count(&words, c->data->total.foreign);
  else
    text_str(&words, "none");
  chart_note(c, c->data->total.foreign != 0 ? "foul" : "fine",
             text_get(&words));
  text_free(&words);
  chart_base_clear(c);
  fill(c, foreign, 0);
  plot = chart_plot_begin(c, 44, chart_most(c, c->values), "/s");
  chart_bars(c, &plot, "wrong");
}

/* ---- drones, and who asks for them ---- */

static double drones(const chart *c, const chart_column *column,
                     unsigned which) {
  const unsigned numbers[] = {column->bound, column->free, column->queue};

  (void)c;
  return numbers[which];
}

void lane_drones(chart *c) {
  static const char *const names[] = {"bound", "free"};
  static const char *const classes[] = {"c0", "c2"};
  chart_plot plot;
  double most;

  chart_lane(c, "Drones");
  chart_key(c, classes[0], names[0]);
  chart_key(c, classes[1], names[1]);
  chart_key(c, "l5", "apps that wait for one");
  chart_base_clear(c);
  for (unsigned i = 0; i < 2; i++) {
    fill(c, drones, i);
    for (size_t j = 0; j < c->count; j++)
      c->base[j] += c->values[j];
  }
  fill(c, drones, 2);
  most = fmax(chart_most(c, c->base), chart_most(c, c->values));
  chart_base_clear(c);
  plot = chart_plot_begin(c, 64, most, "");
  for (unsigned i = 0; i < 2; i++) {
    fill(c, drones, i);
    chart_bars(c, &plot, classes[i]);
  }
  fill(c, drones, 2);
  chart_line(c, &plot, "l5");
}

static double api(const chart *c, const chart_column *column, unsigned answer) {
  return chart_rate(c, column, column->counts.apis[answer]);
}

void lane_callers(chart *c) {
  static const char *const names[TIMELINE_APIS] = {
      "live", "accepted", "coalesced", "429 too often", "503 no room", "other"};
  static const char *const classes[TIMELINE_APIS] = {"c2", "c0", "c1",
                                                     "c4", "c5", "c7"};
  part parts[TIMELINE_APIS];

  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    parts[i] = (part){classes[i], names[i], api, i, c->data->total.apis[i]};
  chart_lane(c, "Answers of the API, each second");
  draw_parts(c, parts, TIMELINE_APIS, 60, "/s");
}
