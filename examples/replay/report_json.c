/* The report as JSON; see report.h. Its members are described in replay(1). */
#include "replay/report_int.h"

#include <stdio.h>
#include <stdlib.h>

/* What could not be made, for want of memory, makes the whole fail. */
typedef struct making {
  const timeline_data *d;
  bool failed;
} making;

static void put(making *m, json_t *object, const char *key, json_t *value) {
  if (json_object_set_new(object, key, value) != 0)
    m->failed = true;
}

static void put_number(making *m, json_t *object, const char *key,
                       int64_t value) {
  put(m, object, key, json_integer(value));
}

static void put_string(making *m, json_t *object, const char *key,
                       const char *value) {
  put(m, object, key, json_string(value));
}

static void append(making *m, json_t *array, json_t *value) {
  if (json_array_append_new(array, value) != 0)
    m->failed = true;
}

/* ---- what was put into the report ---- */

static json_t *json_pairs(making *m, const report_pairs *pairs) {
  json_t *object = json_object();

  for (size_t i = 0; i < pairs->count; i++)
    put(m, object, pairs->list[i].name,
        pairs->list[i].value != NULL ? json_string(pairs->list[i].value)
                                     : json_integer(pairs->list[i].number));
  return object;
}

static json_t *json_step(making *m, const report_stage *step) {
  json_t *object = json_object(), *said;

  put_number(m, object, "number", step->number);
  put_string(m, object, "name", step->name);
  if (step->reason != NULL) {
    put_string(m, object, "skipped", step->reason);
    return object;
  }
  put_number(m, object, "begin_ms", step->begin_ms);
  put_number(m, object, "end_ms", step->end_ms);
  said = json_array();
  for (size_t i = 0; i < step->sentence_count; i++)
    append(m, said, json_string(step->sentences[i]));
  put(m, object, "said", said);
  return object;
}

static json_t *json_law(making *m, const report_law *law) {
  static const char *const verdicts[] = {"held", "broken", "unchecked",
                                         "excused"};
  json_t *object = json_object();

  put_string(m, object, "id", law->id);
  put_string(m, object, "means", law->means);
  put_number(m, object, "checks", (int64_t)law->checks);
  put_number(m, object, "violations", (int64_t)law->broken);
  put_string(m, object, "verdict", verdicts[report_verdict_of(law)]);
  if (law->first != NULL)
    put_string(m, object, "first", law->first);
  if (law->excuse != NULL)
    put_string(m, object, "excuse", law->excuse);
  return object;
}

/* ---- what the timeline counted ---- */

static const char *const api_names[TIMELINE_APIS] = {
    "live", "accepted", "coalesced", "too_often", "no_room", "other"};

static json_t *json_visitors(making *m) {
  const timeline_counts *c = &m->d->total;
  json_t *object = json_object(), *pages = json_object();
  json_t *statuses = json_object();
  char key[16];

  put_number(m, object, "asked", c->asked);
  put_number(m, object, "by_app", c->outcomes[TIMELINE_APP]);
  put_number(m, object, "own", c->own);
  put_number(m, object, "foreign", c->foreign);
  put_number(m, object, "app_errors", c->app_errors);
  put_number(m, object, "by_page", c->outcomes[TIMELINE_PAGE]);
  put_number(m, object, "nothing", c->outcomes[TIMELINE_NOTHING]);
  put_number(m, object, "left", c->outcomes[TIMELINE_LEFT]);
  for (unsigned code = 0; code < TIMELINE_CODES; code++) {
    (void)snprintf(key, sizeof key, "E%02u", code);
    if (c->codes[code] != 0)
      put_number(m, pages, key, c->codes[code]);
  }
  put(m, object, "pages", pages);
  for (unsigned status = 100; status < 600; status++) {
    (void)snprintf(key, sizeof key, "%u", status);
    if (m->d->statuses[status] != 0)
      put_number(m, statuses, key, m->d->statuses[status]);
  }
  put(m, object, "statuses", statuses);
  put_number(m, object, "first_byte_p50_us", timeline_time(c, 0.5));
  put_number(m, object, "first_byte_p99_us", timeline_time(c, 0.99));
  return object;
}

static json_t *json_callers(making *m) {
  json_t *object = json_object();

  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    put_number(m, object, api_names[i], m->d->total.apis[i]);
  return object;
}

/* Steps are told with what was said in them. */
static json_t *json_faults(making *m) {
  json_t *array = json_array();

  for (size_t i = 0; i < m->d->band_count; i++) {
    const timeline_span *band = &m->d->bands[i];
    json_t *object;

    if (band->kind != TIMELINE_FAULT)
      continue;
    object = json_object();
    put_string(m, object, "name", band->name);
    put_number(m, object, "begin_ms", band->begin_ms);
    put_number(m, object, "end_ms",
               band->end_ms >= 0 ? band->end_ms : m->d->end_ms);
    append(m, array, object);
  }
  return array;
}

static json_t *json_marks(making *m) {
  json_t *array = json_array();

  for (size_t i = 0; i < m->d->mark_count; i++) {
    json_t *object = json_object();

    put_number(m, object, "at_ms", m->d->marks[i].at_ms);
    put_string(m, object, "word", m->d->marks[i].word);
    append(m, array, object);
  }
  return array;
}

static json_t *json_lost(making *m, uint64_t of_report) {
  json_t *object = json_object();

  put_number(m, object, "of_the_report", (int64_t)of_report);
  put_number(m, object, "faults", (int64_t)m->d->lost_bands);
  put_number(m, object, "marks", (int64_t)m->d->lost_marks);
  put_number(m, object, "beyond_the_timeline", (int64_t)m->d->beyond);
  return object;
}

/* ---- series: a number or null for each slice ---- */

typedef json_t *value_of(const timeline_slice *s, unsigned which);

static void put_series(making *m, json_t *object, const char *key,
                       value_of *value, unsigned which) {
  json_t *array = json_array();

  for (size_t i = 0; i < m->d->slice_count; i++)
    append(m, array, value(&m->d->slices[i], which));
  put(m, object, key, array);
}

static json_t *asked(const timeline_slice *s, unsigned which) {
  (void)which;
  return json_integer(s->counts.asked);
}

static json_t *own(const timeline_slice *s, unsigned which) {
  (void)which;
  return json_integer(s->counts.own);
}

static json_t *foreign(const timeline_slice *s, unsigned which) {
  (void)which;
  return json_integer(s->counts.foreign);
}

static json_t *app_errors(const timeline_slice *s, unsigned which) {
  (void)which;
  return json_integer(s->counts.app_errors);
}

static json_t *ended(const timeline_slice *s, unsigned outcome) {
  return json_integer(s->counts.outcomes[outcome]);
}

static json_t *pages(const timeline_slice *s, unsigned code) {
  return json_integer(s->counts.codes[code]);
}

static json_t *api(const timeline_slice *s, unsigned answer) {
  return json_integer(s->counts.apis[answer]);
}

static json_t *first_byte(const timeline_slice *s, unsigned percent) {
  int64_t us = timeline_time(&s->counts, percent / 100.0);

  return us >= 0 ? json_integer(us) : json_null();
}

static json_t *drones(const timeline_slice *s, unsigned which) {
  const unsigned numbers[] = {s->bound, s->free, s->queue};

  return s->drones_known ? json_integer(numbers[which]) : json_null();
}

static json_t *stale(const timeline_slice *s, unsigned balancer) {
  const timeline_seen *seen = &s->balancers[balancer];

  return seen->known && seen->stale_ms >= 0 ? json_integer(seen->stale_ms)
                                            : json_null();
}

static json_t *digest_of(const timeline_seen *seen) {
  return seen->digest[0] != '\0' ? json_string(seen->digest) : json_null();
}

static json_t *digest(const timeline_slice *s, unsigned balancer) {
  return digest_of(&s->balancers[balancer]);
}

static json_t *database(const timeline_slice *s, unsigned which) {
  (void)which;
  return digest_of(&s->database);
}

static void put_series_of_codes(making *m, json_t *series) {
  json_t *object = json_object();
  char key[8];

  for (unsigned code = 0; code < TIMELINE_CODES; code++) {
    (void)snprintf(key, sizeof key, "E%02u", code);
    if (m->d->total.codes[code] != 0)
      put_series(m, object, key, pages, code);
  }
  put(m, series, "pages", object);
}

static json_t *json_balancers(making *m) {
  json_t *array = json_array();

  for (unsigned b = 0; b < m->d->balancers; b++) {
    json_t *object = json_object();

    put_series(m, object, "stale_ms", stale, b);
    put_series(m, object, "digest", digest, b);
    append(m, array, object);
  }
  return array;
}

static json_t *json_series(making *m) {
  json_t *series = json_object(), *callers = json_object();

  put_number(m, series, "slice_ms", m->d->slice_ms);
  put_series(m, series, "asked", asked, 0);
  put_series(m, series, "own", own, 0);
  put_series(m, series, "foreign", foreign, 0);
  put_series(m, series, "app_errors", app_errors, 0);
  put_series(m, series, "nothing", ended, TIMELINE_NOTHING);
  put_series(m, series, "left", ended, TIMELINE_LEFT);
  put_series_of_codes(m, series);
  put_series(m, series, "first_byte_p50_us", first_byte, 50);
  put_series(m, series, "first_byte_p99_us", first_byte, 99);
  put_series(m, series, "bound", drones, 0);
  put_series(m, series, "free", drones, 1);
  put_series(m, series, "queue", drones, 2);
  for (unsigned i = 0; i < TIMELINE_APIS; i++)
    put_series(m, callers, api_names[i], api, i);
  put(m, series, "callers", callers);
  put_series(m, series, "database", database, 0);
  put(m, series, "balancers", json_balancers(m));
  return series;
}

/* ---- the whole ---- */

static void put_head(making *m, json_t *object, const run_report *r) {
  text words = TEXT_INIT;

  put_string(m, object, "title", r->title);
  put(m, object, "naive",
      r->naive != NULL ? json_string(r->naive) : json_null());
  /* Text, because it has 64 bits, and many readers' numbers have 53. */
  text_printf(&words, "%llu", (unsigned long long)r->seed);
  put_string(m, object, "seed", text_get(&words));
  text_clear(&words);
  report_date(r->begun_ms, &words);
  put_string(m, object, "begun", text_get(&words));
  m->failed = m->failed || words.failed;
  text_free(&words);
  put_number(m, object, "duration_ms", m->d->end_ms);
  put_number(m, object, "cores", r->cores);
}

json_t *report_json_of(const run_report *r, const timeline_data *d) {
  making m = {.d = d};
  json_t *object = json_object(), *laws = json_array(), *steps = json_array();

  put_head(&m, object, r);
  put(&m, object, "options", json_pairs(&m, &r->options));
  put(&m, object, "programs", json_pairs(&m, &r->programs));
  for (size_t i = 0; i < r->law_count; i++)
    append(&m, laws, json_law(&m, &r->laws[i]));
  put(&m, object, "laws", laws);
  for (size_t i = 0; i < r->step_count; i++)
    append(&m, steps, json_step(&m, &r->steps[i]));
  put(&m, object, "steps", steps);
  put(&m, object, "visitors", json_visitors(&m));
  put(&m, object, "callers", json_callers(&m));
  put(&m, object, "counters", json_pairs(&m, &r->counters));
  put(&m, object, "faults", json_faults(&m));
  put(&m, object, "marks", json_marks(&m));
  put(&m, object, "lost", json_lost(&m, r->lost));
  put(&m, object, "series", json_series(&m));
  if (!m.failed)
    return object;
  json_decref(object);
  return NULL;
}

json_t *report_json(run_report *r) {
  timeline_data *d = timeline_take(r->timeline);
  bool clean = report_is_clean(r);
  json_t *object = NULL;

  if (d != NULL) {
    (void)pthread_mutex_lock(&r->lock);
    object = report_json_of(r, d);
    (void)pthread_mutex_unlock(&r->lock);
  }
  free(d);
  if (object != NULL &&
      json_object_set_new(object, "clean", json_boolean(clean)) != 0) {
    json_decref(object);
    return NULL;
  }
  return object;
}
