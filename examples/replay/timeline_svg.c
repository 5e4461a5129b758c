/* The timeline's picture: its head, the axis, steps behind everything, and the
   lanes on top; see timeline.h. The lanes are in lanes*.c. */
#include "replay/chart.h"

#include "common/escape.h"
#include "replay/figures.h"
#include <stdio.h>

enum { MARGIN = 24, STEPS_HEIGHT = 22, BETWEEN = 36, WORDS_MOST = 400 };

/* Colours that the colour-blind can tell apart (Okabe and Ito's), a little
   darker on white and lighter on black. No custom properties: not all that show
   SVG know them. */
static const char style[] =
    "text{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:11px;"
    "fill:#1a2130}\n"
    ".title{font-size:19px;font-weight:600}.name{font-size:12px;"
    "font-weight:600}\n"
    ".faint,.scale{fill:#566074}.scale{text-anchor:end;font-size:10.5px}\n"
    ".tick{fill:#566074;text-anchor:middle}\n"
    ".fine{fill:#136c3a;font-weight:600}.foul{fill:#a5121f;font-weight:600}\n"
    ".back{fill:#fff}.odd{fill:#1a2130;fill-opacity:.055}"
    ".even{fill:#1a2130;fill-opacity:.015}\n"
    ".tint{fill:#d55e00;fill-opacity:.05}\n"
    "path{fill:none}.grid{stroke:#1a2130;stroke-opacity:.16}"
    ".hair{stroke:#1a2130;stroke-opacity:.3;stroke-dasharray:2 3}\n"
    ".fault{fill:#d55e00}.mark{fill:#1a2130}.wrong{fill:#d0021b}\n"
    ".gap{fill:#8a93a5;fill-opacity:.25;stroke:#8a93a5;stroke-width:.6}\n"
    ".c0,.d0{fill:#0072b2}.c1,.d1{fill:#74bde8}.c2,.d2{fill:#009e73}"
    ".c3,.d3{fill:#cc79a7}\n"
    ".c4,.d4{fill:#e69f00}.c5,.d5{fill:#d55e00}.c6,.d6{fill:#7a5195}"
    ".c7,.d7{fill:#555f70}\n"
    ".l0,.l1,.l2,.l3,.l4,.l5,.l6,.l7{stroke-width:1.6}\n"
    ".l0{stroke:#0072b2}.l1{stroke:#e69f00;stroke-dasharray:6 2}"
    ".l2{stroke:#009e73;stroke-dasharray:2 2}\n"
    ".l3{stroke:#cc79a7;stroke-dasharray:8 2 2 2}.l4{stroke:#56b4e9}"
    ".l5{stroke:#d55e00}\n"
    ".l6{stroke:#7a5195;stroke-dasharray:6 2}"
    ".l7{stroke:#555f70;stroke-dasharray:2 2}\n"
    "@media (prefers-color-scheme:dark){text{fill:#e7eaf0}"
    ".faint,.scale,.tick{fill:#a3adbf}\n"
    ".fine{fill:#7fdca4}.foul{fill:#ff9aa2}.back{fill:#12151a}"
    ".odd,.even{fill:#e7eaf0}\n"
    ".grid,.hair{stroke:#e7eaf0}.mark{fill:#e7eaf0}.wrong{fill:#ff4d5e}"
    ".tint{fill:#ff9a4d}\n"
    ".c0,.d0{fill:#2f8fd8}.c1,.d1{fill:#86b9d8}.c2,.d2{fill:#2fc79a}"
    ".c6,.d6{fill:#b08ad0}.c7,.d7{fill:#98a2b5}\n"
    ".l0{stroke:#4fb0f0}.l2{stroke:#2fc79a}.l5{stroke:#ff8a3d}"
    ".l6{stroke:#b08ad0}.l7{stroke:#98a2b5}}\n";

/* ---- behind the lanes ---- */

/* So far from each other that numbers have room: 12 at most. */
static int64_t tick_ms(int64_t span_ms) {
  static const int64_t steps[] = {100,   200,   500,   1000,  2000,   5000,
                                  10000, 15000, 30000, 60000, 120000, 300000};
  size_t i = 0;

  while (i + 1 < sizeof steps / sizeof *steps && span_ms / steps[i] > 12)
    i++;
  return steps[i];
}

static void draw_axis(const chart *c, double top, text *behind) {
  int64_t step = tick_ms(c->span_ms);
  char words[32];

  for (int64_t at = 0; at <= c->span_ms; at += step) {
    double x = chart_x(c, at);

    text_printf(behind, "<path d=\"M%.1f %.1fV%.1f\" class=\"grid\"/>\n", x,
                top, c->y + 6);
    (void)snprintf(words, sizeof words, step < 1000 ? "%.1f s" : "%.0f s",
                   (double)at / 1000);
    chart_text(behind, x, c->y + 18, "tick", words);
  }
}

static int64_t end_of(const chart *c, const timeline_span *band) {
  return band->end_ms >= 0 ? band->end_ms : c->data->end_ms;
}

/* false: a name was not told whole. */
static bool draw_step(const chart *c, const timeline_span *band, bool odd,
                      double top, text *behind) {
  double x = chart_x(c, band->begin_ms);
  double width = chart_x(c, end_of(c, band)) - x;
  char words[TIMELINE_NAME + 16];
  double room = width - 8;

  (void)snprintf(words, sizeof words, "%d %s", band->number, band->name);
  chart_rect(behind, x, top, width, c->y - top, odd ? "odd" : "even", words);
  if (chart_words_width(words) <= room)
    return chart_text_within(behind, x + 4, top + 15, room, "label", words);
  (void)snprintf(words, sizeof words, "%d", band->number);
  (void)chart_text_within(behind, x + 4, top + 15, width - 4, "label", words);
  return false;
}

/* Steps with their names, faults and words as a tint and a hair over all
   lanes. Whether all names were told. */
static bool draw_bands(const chart *c, double top, text *behind) {
  const timeline_data *d = c->data;
  bool odd = false, whole = true;

  for (size_t i = 0; i < d->band_count; i++) {
    const timeline_span *band = &d->bands[i];
    double x = chart_x(c, band->begin_ms);

    if (band->kind == TIMELINE_STEP) {
      whole = draw_step(c, band, odd, top, behind) && whole;
      odd = !odd;
    } else {
      chart_rect(behind, x, top + STEPS_HEIGHT, chart_x(c, end_of(c, band)) - x,
                 c->y - top - STEPS_HEIGHT, "tint", NULL);
    }
  }
  for (size_t i = 0; i < d->mark_count; i++)
    text_printf(behind, "<path d=\"M%.1f %.1fV%.1f\" class=\"hair\"/>\n",
                chart_x(c, d->marks[i].at_ms), top + STEPS_HEIGHT, c->y);
  return whole;
}

/* The names of all steps, where some had no room above. */
static void draw_names(chart *c) {
  c->y += 22;
  c->head_x = CHART_LEFT;
  c->head_y = c->y;
  for (size_t i = 0; i < c->data->band_count; i++) {
    const timeline_span *band = &c->data->bands[i];
    char words[TIMELINE_NAME + 16];

    (void)snprintf(words, sizeof words, "%d %s", band->number, band->name);
    if (band->kind == TIMELINE_STEP)
      chart_note(c, "faint", words);
  }
}

/* ---- one run ---- */

static void add_count(text *out, uint64_t n, const char *what) {
  figures_count(out, n);
  text_str(out, what);
}

/* Titles come from outside of the timeline, which keeps clean words only. */
static void draw_words(const chart *c, double y, double width,
                       const char *class, const char *words) {
  text clean = TEXT_INIT;

  escape_clean(&clean, words, WORDS_MOST);
  (void)chart_text_within(c->out, MARGIN, c->y + y, width, class,
                          text_get(&clean));
  text_free(&clean);
}

static void draw_head(chart *c, const timeline_picture *picture) {
  const timeline_counts *t = &c->data->total;
  text words = TEXT_INIT;
  double width = CHART_WIDTH - 2 * MARGIN;

  add_count(&words, t->asked, " visits: ");
  add_count(&words, t->own, " saw their site, ");
  add_count(&words, t->foreign, " somebody else's, ");
  add_count(&words, t->outcomes[TIMELINE_PAGE], " an error page, ");
  add_count(&words, t->outcomes[TIMELINE_NOTHING], " nothing; ");
  add_count(&words, t->outcomes[TIMELINE_LEFT], " went away. ");
  figures_time(&words, c->data->end_ms * 1000);
  text_str(&words, " in all.");
  /* Titles are almost twice as large as labels. */
  draw_words(c, 30, width * 0.55, "title", picture->title);
  draw_words(c, 49, width, "faint", picture->subtitle);
  draw_words(c, 66, width, "label", text_get(&words));
  c->y += 80;
  text_free(&words);
}

/* From c->y on; what is behind the lanes is put before them. */
static void draw_run(chart *c, const timeline_picture *picture) {
  text lanes = TEXT_INIT, *out = c->out;
  double top;
  bool whole;

  draw_head(c, picture);
  top = c->y;
  c->out = &lanes;
  c->y += STEPS_HEIGHT;
  lane_load(c);
  lane_times(c);
  lane_errors(c);
  lane_foreign(c);
  lane_stale(c);
  lane_digests(c);
  lane_drones(c);
  lane_callers(c);
  lane_faults(c);
  c->y += 8;
  whole = draw_bands(c, top, out);
  draw_axis(c, top + STEPS_HEIGHT, out);
  text_add(out, text_get(&lanes), lanes.len);
  out->failed = out->failed || lanes.failed;
  text_free(&lanes);
  c->out = out;
  c->y += 18;
  if (!whole)
    draw_names(c);
  c->y += BETWEEN;
}

/* ---- all runs ---- */

static int64_t longest(const timeline_picture *pictures, size_t count) {
  int64_t most = 0;

  for (size_t i = 0; i < count; i++)
    if (pictures[i].data->end_ms > most)
      most = pictures[i].data->end_ms;
  return most > 0 ? most : 1;
}

/* The most frequent pages of all runs, by number, so that each has the same
   colour everywhere. */
static unsigned choose_codes(const timeline_picture *pictures, size_t count,
                             unsigned codes[CHART_CODES]) {
  uint64_t sums[TIMELINE_CODES] = {0};
  unsigned chosen = 0;

  for (size_t i = 0; i < count; i++)
    for (unsigned code = 0; code < TIMELINE_CODES; code++)
      sums[code] += pictures[i].data->total.codes[code];
  while (chosen < CHART_CODES) {
    unsigned best = 0;

    for (unsigned code = 1; code < TIMELINE_CODES; code++)
      if (sums[code] > sums[best])
        best = code;
    if (sums[best] == 0)
      break;
    sums[best] = 0;
    codes[chosen++] = best;
  }
  return chosen;
}

void timeline_svg(const timeline_picture *pictures, size_t count, text *out) {
  unsigned codes[CHART_CODES] = {0};
  unsigned code_count = choose_codes(pictures, count, codes);
  int64_t span_ms = longest(pictures, count);
  text body = TEXT_INIT;
  double y = 0;

  for (size_t i = 0; i < count && !body.failed; i++) {
    chart c;

    body.failed = !chart_make(&c, pictures[i].data, span_ms, &body);
    c.y = y;
    c.code_count = code_count;
    memcpy(c.codes, codes, sizeof codes);
    if (!body.failed)
      draw_run(&c, &pictures[i]);
    y = c.y;
    chart_clear(&c);
  }
  text_printf(out,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
              "height=\"%.0f\" viewBox=\"0 0 %d %.0f\" role=\"img\">\n"
              "<title>The time-line of a replay</title>\n<style>\n%s</style>\n"
              "<rect class=\"back\" width=\"%d\" height=\"%.0f\"/>\n"
              "<g shape-rendering=\"crispEdges\">\n",
              CHART_WIDTH, y, CHART_WIDTH, y, style, CHART_WIDTH, y);
  text_add(out, text_get(&body), body.len);
  text_str(out, "</g>\n</svg>\n");
  out->failed = out->failed || body.failed;
  text_free(&body);
}
