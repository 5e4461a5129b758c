/* Lanes of what was looked at: how far behind balancers were, and who had which
   routes. See chart.h. */
#include "replay/chart.h"

#include "replay/figures.h"
#include <math.h>
#include <stdio.h>

enum {
  ROW = 13,   /* of a strip */
  RECENT = 64 /* digests whose colour is remembered */
};

/* ---- staleness ---- */

static const char *line_class(unsigned balancer) {
  static const char *const classes[CHART_COLOURS] = {"l0", "l1", "l2", "l3",
                                                     "l4", "l5", "l6", "l7"};

  return classes[balancer % CHART_COLOURS];
}

static double worst(const chart *c, unsigned balancer) {
  double most = 0;

  for (size_t i = 0; i < c->count; i++)
    most = fmax(most, (double)c->columns[i].stale_ms[balancer] / 1000);
  return most;
}

static void key_worst(chart *c, unsigned balancer, double seconds) {
  text words = TEXT_INIT;

  text_printf(&words, "balancer %u, at worst ", balancer + 1);
  figures_time(&words, (int64_t)(seconds * 1e6));
  chart_key(c, line_class(balancer), text_get(&words));
  text_free(&words);
}

void lane_stale(chart *c) {
  double most = 0;
  chart_plot plot;

  if (c->data->balancers == 0)
    return;
  chart_lane(c, "Not proven to be in step, for");
  for (unsigned b = 0; b < c->data->balancers; b++) {
    key_worst(c, b, worst(c, b));
    most = fmax(most, worst(c, b));
  }
  plot = chart_plot_begin(c, 64, most, " s");
  for (unsigned b = 0; b < c->data->balancers; b++) {
    for (size_t i = 0; i < c->count; i++) {
      int64_t ms = c->columns[i].stale_ms[b];

      c->values[i] = ms >= 0 ? (double)ms / 1000 : -1;
    }
    chart_line(c, &plot, line_class(b));
  }
}

/* ---- digests ---- */

/* A colour for each digest, given round; who comes back soon has the same. */
typedef struct palette {
  const char *digests[RECENT];
  unsigned given;
} palette;

static unsigned colour_of(palette *p, const char *digest) {
  unsigned known = p->given < RECENT ? p->given : RECENT;

  for (unsigned i = 0; i < known; i++) {
    unsigned at = (p->given - 1 - i) % RECENT;

    if (strcmp(p->digests[at], digest) == 0)
      return at % CHART_COLOURS; /* RECENT is a multiple of it */
  }
  p->digests[p->given % RECENT] = digest;
  return p->given++ % CHART_COLOURS;
}

/* What a row has had since a column. */
typedef struct strip {
  const timeline_seen *seen;
  size_t since;
  unsigned colour;
  double y;
} strip;

static bool is_same(const timeline_seen *a, const timeline_seen *b) {
  return a->known == b->known && strcmp(a->digest, b->digest) == 0;
}

static void end_strip(const chart *c, const strip *s, size_t column) {
  static const char *const classes[CHART_COLOURS] = {"d0", "d1", "d2", "d3",
                                                     "d4", "d5", "d6", "d7"};
  double left = chart_column_x(c, s->since);
  double right = chart_column_x(c, column);
  bool gap = s->seen->digest[0] == '\0';

  if (s->seen->known && right > left)
    chart_rect(c->out, left, s->y, right - left, ROW - 2,
               gap ? "gap" : classes[s->colour],
               gap ? "not known" : s->seen->digest);
}

/* The last slice of a column counts. */
static const timeline_slice *slice_of(const chart *c, size_t column) {
  size_t end = (column + 1) * c->slices;

  if (column + 1 == c->count || end > c->data->slice_count)
    end = c->data->slice_count;
  return &c->data->slices[end - 1];
}

static const timeline_seen *seen_by(const timeline_slice *s, unsigned row) {
  return row == 0 ? &s->database : &s->balancers[row - 1];
}

static void draw_strips(chart *c, strip *rows, unsigned count) {
  palette p = {.given = 0};

  for (size_t i = 0; i < c->count; i++)
    for (unsigned row = 0; row < count; row++) {
      const timeline_seen *seen = seen_by(slice_of(c, i), row);
      strip *s = &rows[row];

      if (i != 0 && is_same(seen, s->seen))
        continue;
      if (i != 0)
        end_strip(c, s, i);
      s->seen = seen;
      s->since = i;
      s->colour = seen->digest[0] != '\0' ? colour_of(&p, seen->digest) : 0;
    }
  for (unsigned row = 0; row < count && c->count != 0; row++)
    end_strip(c, &rows[row], c->count);
}

/* In how many slices all were known, and in how many of these equal. */
static void count_equal(const timeline_data *d, size_t *known, size_t *equal) {
  for (size_t i = 0; i < d->slice_count; i++) {
    const timeline_slice *s = &d->slices[i];
    bool all = s->database.digest[0] != '\0', same = true;

    for (unsigned b = 0; b < d->balancers; b++) {
      all = all && s->balancers[b].digest[0] != '\0';
      same = same && strcmp(s->balancers[b].digest, s->database.digest) == 0;
    }
    *known += all;
    *equal += all && same;
  }
}

static void note_equal(chart *c) {
  size_t known = 0, equal = 0;
  char words[80];

  if (c->data->balancers == 0)
    return;
  count_equal(c->data, &known, &equal);
  if (known == 0)
    (void)snprintf(words, sizeof words, "all were never known at once");
  else
    (void)snprintf(words, sizeof words, "all were equal in %zu of %zu looks",
                   equal, known);
  chart_note(c, "label", words);
}

void lane_digests(chart *c) {
  strip rows[TIMELINE_BALANCERS + 1];
  unsigned count = c->data->balancers + 1;

  chart_lane(c, "Who has which routes: a colour for each digest");
  note_equal(c);
  chart_key(c, "gap", "not known");
  c->y += 3;
  for (unsigned row = 0; row < count; row++) {
    char name[24];

    (void)snprintf(name, sizeof name, "balancer %u", row);
    rows[row] = (strip){.y = c->y};
    chart_text(c->out, CHART_LEFT - 6, c->y + ROW - 3, "scale",
               row == 0 ? "database" : name);
    c->y += ROW;
  }
  draw_strips(c, rows, count);
}
