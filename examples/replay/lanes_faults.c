/* The lane of faults as bands, made on purpose, and words at their time.
   What would lie over another goes into the next row. See chart.h. */
#include "replay/chart.h"

#include <stdio.h>

enum { ROWS = 14, ROW = 17, BAR = 13, LABEL_MOST = 330 };

typedef struct packing {
  double until[ROWS]; /* the right end of what a row has */
  unsigned used;
  size_t left; /* that found no row */
} packing;

/* The first row with room from x on; -1: none. */
static int row_for(packing *p, double left, double right) {
  for (unsigned row = 0; row < ROWS; row++) {
    if (row < p->used && p->until[row] > left)
      continue;
    if (row == p->used)
      p->used++;
    p->until[row] = right + 10;
    return (int)row;
  }
  p->left++;
  return -1;
}

/* Something from x to end with words behind it, or before it where there is
   more room. */
static void draw_one(chart *c, packing *p, double x, double end,
                     const char *class, const char *words) {
  double width = chart_words_width(words) + 6;
  bool before;
  double from, to, y;
  int row;

  width = width < LABEL_MOST ? width : LABEL_MOST;
  before = end + width > CHART_RIGHT && x - width > CHART_LEFT;
  from = before ? x - width : x;
  to = before ? end : end + width;
  row = row_for(p, from, to);
  if (row < 0)
    return;
  y = c->y + (double)row * ROW;
  chart_rect(c->out, x, y, end - x, BAR, class, words);
  (void)chart_text_within(c->out, before ? from : end + 4, y + 10, width,
                          "label", words);
}

static double end_of(const chart *c, const timeline_span *band) {
  double x = chart_x(c, band->begin_ms);
  double end = chart_x(c, band->end_ms >= 0 ? band->end_ms : c->data->end_ms);

  return end - x < 3 ? x + 3 : end;
}

/* In order of their begin, so that rows fill from the left; they are few. */
static void draw_faults(chart *c, packing *p) {
  bool drawn[TIMELINE_BANDS] = {false};

  for (;;) {
    const timeline_data *d = c->data;
    size_t next = TIMELINE_BANDS;

    for (size_t i = 0; i < d->band_count; i++)
      if (d->bands[i].kind == TIMELINE_FAULT && !drawn[i] &&
          (next == TIMELINE_BANDS ||
           d->bands[i].begin_ms < d->bands[next].begin_ms))
        next = i;
    if (next == TIMELINE_BANDS)
      return;
    drawn[next] = true;
    draw_one(c, p, chart_x(c, d->bands[next].begin_ms),
             end_of(c, &d->bands[next]), "fault", d->bands[next].name);
  }
}

static void draw_marks(chart *c, packing *p) {
  bool drawn[TIMELINE_MARKS] = {false};

  for (;;) {
    const timeline_data *d = c->data;
    size_t next = TIMELINE_MARKS;

    for (size_t i = 0; i < d->mark_count; i++)
      if (!drawn[i] &&
          (next == TIMELINE_MARKS || d->marks[i].at_ms < d->marks[next].at_ms))
        next = i;
    if (next == TIMELINE_MARKS)
      return;
    drawn[next] = true;
    draw_one(c, p, chart_x(c, d->marks[next].at_ms),
             chart_x(c, d->marks[next].at_ms) + 3, "mark", d->marks[next].word);
  }
}

void lane_faults(chart *c) {
  packing faults = {.used = 0}, marks = {.used = 0};
  size_t lost = c->data->lost_bands + c->data->lost_marks;
  char words[64];

  chart_lane(c, "Faults and events");
  c->y += 2;
  draw_faults(c, &faults);
  c->y += (double)faults.used * ROW;
  draw_marks(c, &marks);
  c->y += (double)marks.used * ROW;
  lost += faults.left + marks.left;
  (void)snprintf(words, sizeof words,
                 lost != 0 ? "and %zu more without room" : "nothing", lost);
  if (lost != 0 || faults.used + marks.used == 0)
    chart_note(c, "label", words);
}
