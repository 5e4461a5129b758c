/* Lanes, plots and words of the timeline's picture; see chart.h. */
#include "replay/chart.h"

#include "common/escape.h"
#include "replay/figures.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD = 16 }; /* of a lane: a line of words */

/* A lane's name is larger and bold. */
static const double BOLD = 1.24;

/* ---- columns ---- */

static void add_counts(timeline_counts *to, const timeline_counts *c) {
  to->asked += c->asked;
  to->own += c->own;
  to->foreign += c->foreign;
  to->app_errors += c->app_errors;
  for (unsigned i = 0; i < TIMELINE_OUTCOMES; i++)
    to->outcomes[i] += c->outcomes[i];
  for (unsigned i = 0; i < TIMELINE_CODES; i++)
    to->codes[i] += c->codes[i];
  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    to->apis[i] += c->apis[i];
  for (unsigned i = 0; i < TIMELINE_BUCKETS; i++)
    to->times[i] += c->times[i];
}

static void add_stale(chart_column *to, const timeline_slice *s) {
  for (unsigned b = 0; b < TIMELINE_BALANCERS; b++) {
    const timeline_seen *seen = &s->balancers[b];
    int64_t *worst = &to->stale_ms[b];

    if (!seen->known || *worst == -1)
      continue;
    if (seen->stale_ms < 0 || seen->stale_ms > *worst)
      *worst = seen->stale_ms;
  }
}

static void add_slice(chart_column *to, const timeline_slice *s) {
  add_counts(&to->counts, &s->counts);
  add_stale(to, s);
  if (!s->drones_known)
    return;
  to->drones_known = true;
  to->bound = s->bound;
  to->free = s->free;
  to->queue = s->queue > to->queue ? s->queue : to->queue;
}

/* Only whole ones: what is left belongs to the last. */
static size_t columns_of(const chart *c) {
  size_t whole = (size_t)(c->data->end_ms / c->column_ms);

  return whole != 0 || c->data->slice_count == 0 ? whole : 1;
}

bool chart_make(chart *c, const timeline_data *data, int64_t span_ms,
                text *out) {
  size_t all = (size_t)((span_ms + data->slice_ms - 1) / data->slice_ms);

  memset(c, 0, sizeof *c);
  c->out = out;
  c->data = data;
  c->span_ms = span_ms > 0 ? span_ms : 1;
  c->slices = all / CHART_COLUMNS + 1;
  c->column_ms = (int64_t)c->slices * data->slice_ms;
  c->count = columns_of(c);
  c->columns = calloc(c->count + 1, sizeof *c->columns);
  c->values = calloc(c->count + 1, sizeof *c->values);
  c->base = calloc(c->count + 1, sizeof *c->base);
  if (c->columns == NULL || c->values == NULL || c->base == NULL)
    return false;
  for (size_t i = 0; i < c->count; i++)
    for (unsigned b = 0; b < TIMELINE_BALANCERS; b++)
      c->columns[i].stale_ms[b] = CHART_UNKNOWN;
  for (size_t i = 0; i < data->slice_count; i++)
    add_slice(
        &c->columns[i / c->slices < c->count ? i / c->slices : c->count - 1],
        &data->slices[i]);
  return true;
}

void chart_clear(chart *c) {
  free(c->columns);
  free(c->values);
  free(c->base);
}

/* ---- words ---- */

/* What lies behind the axis' end is drawn at its end. */
double chart_x(const chart *c, int64_t ms) {
  double part = (double)ms / (double)c->span_ms;

  return CHART_LEFT + (CHART_RIGHT - CHART_LEFT) * (part < 1 ? part : 1);
}

/* One at the end of a run of no time has some width all the same. */
static int64_t column_begin(const chart *c, size_t column) {
  int64_t begin_ms = (int64_t)column * c->column_ms;

  if (column == 0 || column < c->count)
    return begin_ms;
  return c->data->end_ms > 0 ? c->data->end_ms : 1;
}

double chart_column_x(const chart *c, size_t column) {
  return chart_x(c, column_begin(c, column));
}

double chart_words_width(const char *words) {
  double width = 0;

  for (; *words != '\0'; words++)
    if ((unsigned char)*words < 0x80)
      width += strchr("ijl.,:;'|! ", *words) != NULL ? 3.7
               : strchr("mwMW@%", *words) != NULL    ? 10.2
               : *words >= 'A' && *words <= 'Z'      ? 7.9
                                                     : 6.7;
    else if ((unsigned char)*words >= 0xc0)
      width += 12;
  return width;
}

void chart_text(text *out, double x, double y, const char *class,
                const char *words) {
  text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
  escape_markup(out, words);
  text_str(out, "</text>\n");
}

bool chart_text_within(text *out, double x, double y, double width,
                       const char *class, const char *words) {
  size_t most = figures_width(words);
  bool whole = true;
  text cut = TEXT_INIT;

  text_str(&cut, words);
  while (chart_words_width(text_get(&cut)) > width && most > 4) {
    whole = false;
    most--;
    text_clear(&cut);
    figures_cut(&cut, words, most);
  }
  if (chart_words_width(text_get(&cut)) <= width)
    chart_text(out, x, y, class, text_get(&cut));
  else
    whole = false;
  text_free(&cut);
  return whole;
}

void chart_rect(text *out, double x, double y, double width, double height,
                const char *class, const char *title) {
  text_printf(out,
              "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
              "class=\"%s\"",
              x, y, width, height, class);
  if (title == NULL) {
    text_str(out, "/>\n");
    return;
  }
  text_str(out, "><title>");
  escape_markup(out, title);
  text_str(out, "</title></rect>\n");
}

/* ---- a lane's head ---- */

void chart_lane(chart *c, const char *name) {
  c->y += 20;
  c->head_x = CHART_LEFT;
  c->head_y = c->y;
  c->y += 6;
  chart_text(c->out, c->head_x, c->head_y, "name", name);
  c->head_x += chart_words_width(name) * BOLD + 14;
}

/* Goes to the next line where there is no room any more. */
static void make_room(chart *c, double width) {
  if (c->head_x + width <= CHART_RIGHT)
    return;
  c->head_x = CHART_LEFT;
  c->head_y += HEAD;
  c->y += HEAD;
}

void chart_note(chart *c, const char *class, const char *words) {
  double width = chart_words_width(words);

  make_room(c, width);
  (void)chart_text_within(c->out, c->head_x, c->head_y, CHART_RIGHT - c->head_x,
                          class, words);
  c->head_x += width + 16;
}

void chart_key(chart *c, const char *class, const char *words) {
  double width = chart_words_width(words) + 16;
  bool line = class[0] == 'l';

  make_room(c, width);
  if (line)
    text_printf(c->out, "<path d=\"M%.1f %.1fh12\" class=\"%s\"/>\n", c->head_x,
                c->head_y - 4, class);
  else
    chart_rect(c->out, c->head_x, c->head_y - 9, 12, 10, class, NULL);
  chart_text(c->out, c->head_x + 16, c->head_y, "label", words);
  c->head_x += width + 16;
}

/* ---- plots ---- */

/* One digit and zeros, not less; 1 at least. */
static double rounded_up(double most) {
  static const double digits[] = {1, 2, 3, 4, 5, 6, 8, 10};
  double step = 1;
  size_t i = 0;

  while (step * 10 < most && step < 1e12)
    step *= 10;
  while (digits[i] * step < most && digits[i] < 10)
    i++;
  return digits[i] * step;
}

static void scale_word(chart *c, double y, double value, const char *unit) {
  char words[48];

  (void)snprintf(words, sizeof words,
                 value < 1 && value > 0 ? "%.1f%s" : "%.0f%s", value, unit);
  chart_text(c->out, CHART_LEFT - 6, y + 4, "scale", words);
}

chart_plot chart_plot_begin(chart *c, double height, double most,
                            const char *unit) {
  chart_plot plot = {c->y + 4, height, rounded_up(most)};

  text_printf(c->out, "<path d=\"M%d %.1fH%dM%d %.1fH%d\" class=\"grid\"/>\n",
              CHART_LEFT, plot.top, CHART_RIGHT, CHART_LEFT, plot.top + height,
              CHART_RIGHT);
  scale_word(c, plot.top, plot.most, unit);
  scale_word(c, plot.top + height, 0, "");
  c->y = plot.top + height;
  return plot;
}

static double y_of(const chart_plot *plot, double value) {
  double part = value / plot->most;

  return plot->top + plot->height * (1 - (part < 1 ? part : 1));
}

void chart_bars(chart *c, const chart_plot *plot, const char *class) {
  text_printf(c->out, "<path class=\"%s\" d=\"", class);
  for (size_t i = 0; i < c->count; i++) {
    double below = y_of(plot, c->base[i]), above, left = chart_column_x(c, i);

    c->base[i] += c->values[i];
    above = y_of(plot, c->base[i]);
    if (c->values[i] <= 0)
      continue;
    /* What happened is seen, however little it was. */
    if (below - above < 1)
      above = below - 1;
    text_printf(c->out, "M%.1f %.1fH%.1fV%.1fH%.1fz", left, below,
                chart_column_x(c, i + 1), above, left);
  }
  text_str(c->out, "\"/>\n");
}

void chart_line(chart *c, const chart_plot *plot, const char *class) {
  bool drawing = false;

  text_printf(c->out, "<path class=\"%s\" d=\"", class);
  for (size_t i = 0; i < c->count; i++) {
    double y = y_of(plot, c->values[i]);

    if (c->values[i] < 0) {
      drawing = false;
      continue;
    }
    if (drawing)
      text_printf(c->out, "V%.1f", y);
    else
      text_printf(c->out, "M%.1f %.1f", chart_column_x(c, i), y);
    text_printf(c->out, "H%.1f", chart_column_x(c, i + 1));
    drawing = true;
  }
  text_str(c->out, "\"/>\n");
}

double chart_rate(const chart *c, const chart_column *column, uint32_t count) {
  size_t i = (size_t)(column - c->columns);

  return count * 1000.0 / (double)(column_begin(c, i + 1) - column_begin(c, i));
}

double chart_most(const chart *c, const double *values) {
  double most = 0;

  for (size_t i = 0; i < c->count; i++)
    most = fmax(most, values[i]);
  return most;
}

void chart_base_clear(chart *c) {
  memset(c->base, 0, (c->count + 1) * sizeof *c->base);
}
