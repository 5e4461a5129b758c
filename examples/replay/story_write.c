/* The story as it is read: minute by minute, as text or as a table in Markdown;
   see story.h. */
#include "replay/story_int.h"

#include "replay/figures.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  PAIRS_TOLD = 4,  /* of a minute; what is left is told together */
  TEXT_INDENT = 18 /* "14:00 to 14:09  ! " */
};

typedef struct writing {
  const story *s;
  const timeline_data *data;
  enum story_form form;
  text *out;
  char when[48]; /* of the next line; "" once it was said */
} writing;

/* ---- lines ---- */

/* What has a meaning in Markdown within a cell of a table. */
static void add_markdown(text *out, const char *s) {
  for (; *s != '\0'; s++) {
    if (strchr("\\`*_[]<>#|&~", *s) != NULL)
      text_str(out, "\\");
    text_add(out, s, 1);
  }
}

static void add_line(writing *w, enum story_kind kind, const char *sentence) {
  const char *bold = kind == STORY_WRONG ? "**" : "";

  if (w->form == STORY_MARKDOWN) {
    text_printf(w->out, "| %s | %s", w->when, bold);
    add_markdown(w->out, sentence);
    text_printf(w->out, "%s |\n", bold);
  } else {
    text_printf(w->out, "%-15s %s", w->when, kind == STORY_WRONG ? "! " : "  ");
    figures_wrap(w->out, sentence, TEXT_INDENT, TEXT_INDENT, 100);
  }
  w->when[0] = '\0';
}

static void add_paragraph(writing *w, const char *sentence) {
  if (w->form == STORY_MARKDOWN)
    add_markdown(w->out, sentence);
  else
    figures_wrap(w->out, sentence, 0, 0, 100);
  text_str(w->out, w->form == STORY_MARKDOWN ? "\n\n" : "\n");
}

static void set_when(writing *w, unsigned from, unsigned to) {
  unsigned a = (w->s->begins_at + from) % (24 * 60);
  unsigned b = (w->s->begins_at + to) % (24 * 60);

  if (from == to)
    (void)snprintf(w->when, sizeof w->when, "%02u:%02u", a / 60, a % 60);
  else
    (void)snprintf(w->when, sizeof w->when, "%02u:%02u to %02u:%02u", a / 60,
                   a % 60, b / 60, b % 60);
}

/* "1 visitor", "37 visitors". */
static void add_some(text *out, uint64_t n, const char *one, const char *more) {
  figures_count(out, n);
  text_printf(out, " %s", n == 1 ? one : more);
}

/* ---- who saw whose site ---- */

static void add_through(const story *s, unsigned through, text *out) {
  const char *before = " (through ";

  for (unsigned i = 0; i < s->through_count; i++) {
    if ((through & 1u << i) == 0)
      continue;
    text_printf(out, "%s%s", before, s->through[i]);
    before = ", ";
  }
  text_str(out, through != 0 ? ")." : ".");
}

static unsigned apps_of(const mistaken *pairs, size_t count) {
  unsigned apps = 0;

  for (size_t i = 0; i < count; i++) {
    size_t before = 0;

    while (before < i && strcmp(pairs[before].app, pairs[i].app) != 0)
      before++;
    apps += before == i;
  }
  return apps;
}

static void add_rest(writing *w, const mistaken *pairs, size_t count) {
  text line = TEXT_INIT;
  uint64_t visitors = 0;

  for (size_t i = 0; i < count; i++)
    visitors += pairs[i].count;
  add_some(&line, visitors, "visitor", "visitors");
  text_str(&line, " of ");
  add_some(&line, apps_of(pairs, count), "more site", "more sites");
  text_str(&line, " saw somebody else's.");
  add_line(w, STORY_WRONG, text_get(&line));
  text_free(&line);
}

/* Pairs are in order: by minute, those with most visitors first. */
static void add_pairs(writing *w, const mistaken *pairs, size_t count) {
  /* One more is as short as to say that there is one more. */
  size_t some = count <= PAIRS_TOLD + 1 ? count : PAIRS_TOLD;

  for (size_t i = 0; i < some; i++) {
    text line = TEXT_INIT;

    add_some(&line, pairs[i].count, "visitor", "visitors");
    text_printf(&line, " of %s saw %s's site", pairs[i].app, pairs[i].owner);
    add_through(w->s, pairs[i].through, &line);
    add_line(w, STORY_WRONG, text_get(&line));
    text_free(&line);
  }
  if (some < count)
    add_rest(w, pairs + some, count - some);
}

/* ---- how many there were ---- */

static void add_counts(timeline_counts *to, const timeline_counts *c) {
  to->own += c->own;
  to->foreign += c->foreign;
  for (unsigned i = 0; i < TIMELINE_OUTCOMES; i++)
    to->outcomes[i] += c->outcomes[i];
  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    to->apis[i] += c->apis[i];
}

static void add_part(text *out, const char **before, uint64_t n,
                     const char *what) {
  if (n == 0)
    return;
  text_str(out, *before);
  figures_count(out, n);
  text_printf(out, " %s", what);
  *before = ", ";
}

static void add_visitors(writing *w, const timeline_counts *c) {
  text line = TEXT_INIT;
  const char *before = ": ";
  uint64_t all = 0;

  for (unsigned i = 0; i < TIMELINE_OUTCOMES; i++)
    all += c->outcomes[i];
  add_some(&line, all, "visitor", "visitors");
  if (c->own == all) {
    text_str(&line, ": each saw the site that was asked for");
  } else {
    add_part(&line, &before, c->own, "saw the site they asked for");
    add_part(&line, &before, c->foreign, "somebody else's");
    add_part(&line, &before, c->outcomes[TIMELINE_PAGE], "an error page");
    add_part(&line, &before, c->outcomes[TIMELINE_NOTHING], "nothing");
    add_part(&line, &before, c->outcomes[TIMELINE_LEFT], "went away");
  }
  text_str(&line, ".");
  if (all != 0)
    add_line(w, STORY_SAID, text_get(&line));
  text_free(&line);
}

static void add_callers(writing *w, const timeline_counts *c) {
  static const char *const words[TIMELINE_APIS] = {
      "live",      "begun",   "begun already",
      "too often", "no room", "something else"};
  text line = TEXT_INIT;
  const char *before = "Who asked for a start was told: ";

  for (unsigned i = 0; i < TIMELINE_APIS; i++) {
    if (c->apis[i] == 0)
      continue;
    text_printf(&line, "%s%s (", before, words[i]);
    figures_count(&line, c->apis[i]);
    text_str(&line, ")");
    before = ", ";
  }
  text_str(&line, ".");
  if (line.len > 1)
    add_line(w, STORY_SAID, text_get(&line));
  text_free(&line);
}

/* Of the minutes from .. to: a slice is of the minute it begins in. */
static void add_numbers(writing *w, unsigned from, unsigned to) {
  timeline_counts sum;

  if (w->data == NULL)
    return;
  memset(&sum, 0, sizeof sum);
  for (size_t i = 0; i < w->data->slice_count; i++) {
    unsigned minute = story_minute(w->s, (int64_t)i * w->data->slice_ms);

    if (minute >= from && minute <= to)
      add_counts(&sum, &w->data->slices[i].counts);
  }
  add_visitors(w, &sum);
  add_callers(w, &sum);
}

/* ---- minutes ---- */

static int by_minute(const void *a, const void *b) {
  const mistaken *x = a, *y = b;
  int order;

  if (x->minute != y->minute)
    return x->minute < y->minute ? -1 : 1;
  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  order = strcmp(x->app, y->app);
  return order != 0 ? order : strcmp(x->owner, y->owner);
}

/* By time; those of one time stay as they were told. They are nearly in order
   already. */
static void sort_events(story *s) {
  for (size_t i = 1; i < s->event_count; i++) {
    told event = s->events[i];
    size_t at = i;

    for (; at != 0 && s->events[at - 1].at_ms > event.at_ms; at--)
      s->events[at] = s->events[at - 1];
    s->events[at] = event;
  }
}

static unsigned minutes_of(const writing *w) {
  const story *s = w->s;
  unsigned minutes = 0;

  if (w->data != NULL && w->data->slice_count != 0)
    minutes = 1 + story_minute(s, (int64_t)(w->data->slice_count - 1) *
                                      w->data->slice_ms);
  for (size_t i = 0; i < s->event_count; i++)
    if (story_minute(s, s->events[i].at_ms) >= minutes)
      minutes = story_minute(s, s->events[i].at_ms) + 1;
  for (size_t i = 0; i < s->pair_count; i++)
    if (s->pairs[i].minute >= minutes)
      minutes = s->pairs[i].minute + 1;
  return minutes;
}

typedef struct place {
  size_t event, pair;
} place;

/* Where the events and pairs of a minute end that begin there. */
static place end_of(const story *s, place from, unsigned minute) {
  while (from.event < s->event_count &&
         story_minute(s, s->events[from.event].at_ms) == minute)
    from.event++;
  while (from.pair < s->pair_count && s->pairs[from.pair].minute == minute)
    from.pair++;
  return from;
}

static void write_quiet(writing *w, unsigned from, unsigned to) {
  set_when(w, from, to);
  add_numbers(w, from, to);
}

static void write_minute(writing *w, unsigned minute, place at, place end) {
  set_when(w, minute, minute);
  for (; at.event < end.event; at.event++)
    add_line(w, w->s->events[at.event].kind, w->s->events[at.event].sentence);
  add_pairs(w, w->s->pairs + at.pair, end.pair - at.pair);
  add_numbers(w, minute, minute);
}

static void write_minutes(writing *w) {
  unsigned minutes = minutes_of(w), quiet = 0; /* the first of those not told */
  place at = {0, 0};

  for (unsigned minute = 0; minute < minutes; minute++) {
    place end = end_of(w->s, at, minute);

    if (end.event == at.event && end.pair == at.pair)
      continue;
    if (quiet < minute)
      write_quiet(w, quiet, minute - 1);
    write_minute(w, minute, at, end);
    quiet = minute + 1;
    at = end;
  }
  if (quiet < minutes)
    write_quiet(w, quiet, minutes - 1);
}

/* ---- the whole ---- */

static void write_head(writing *w) {
  text line = TEXT_INIT;

  text_str(w->out, w->form == STORY_MARKDOWN ? "## " : "");
  add_paragraph(w, w->s->title);
  if (w->s->ms_per_minute % 1000 == 0)
    text_printf(&line, "%lld s", (long long)w->s->ms_per_minute / 1000);
  else
    text_printf(&line, "%lld ms", (long long)w->s->ms_per_minute);
  text_printf(&line,
              " of the replay is one minute %s; all numbers are the replay's.",
              w->s->minute_name);
  add_paragraph(w, text_get(&line));
  text_free(&line);
  if (w->form == STORY_MARKDOWN)
    text_str(w->out, "| time | |\n|---|---|\n");
}

static void write_end(writing *w) {
  const story *s = w->s;
  text line = TEXT_INIT;

  text_str(w->out, "\n");
  if (s->visits == 0) {
    text_str(&line, "Nobody saw another site than the one that was asked for.");
  } else {
    text_str(&line, "In all ");
    add_some(&line, s->visits, "visitor", "visitors");
    text_str(&line, " of ");
    add_some(&line, apps_of(s->pairs, s->pair_count), "site", "sites");
    text_str(&line, " saw somebody else's.");
  }
  add_paragraph(w, text_get(&line));
  text_clear(&line);
  if (s->lost_events != 0 || s->lost_visits != 0) {
    text_printf(&line,
                "%zu sentences and the sites of %" PRIu64
                " visitors found no room here.",
                s->lost_events, s->lost_visits);
    add_paragraph(w, text_get(&line));
  }
  text_free(&line);
}

void story_write(story *s, const timeline_data *data, enum story_form form,
                 text *out) {
  writing w = {.s = s, .data = data, .form = form, .out = out};

  if (s == NULL)
    return;
  (void)pthread_mutex_lock(&s->lock);
  qsort(s->pairs, s->pair_count, sizeof *s->pairs, by_minute);
  sort_events(s);
  write_head(&w);
  write_minutes(&w);
  write_end(&w);
  (void)pthread_mutex_unlock(&s->lock);
}
