/* Counters, gauges and histograms; see metrics.h. A metric is found by its
   pointer, so counting is one atomic addition; the list is only walked when it
   is written. */
#include "common/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { COUNTER, GAUGE, TIMES, ASKED };

/* In ms; a last one counts what is longer. */
static const int64_t bounds[] = {1,   2,    5,    10,   20,    50,    100,  200,
                                 500, 1000, 2000, 5000, 10000, 20000, 60000};
enum { BOUNDS = sizeof bounds / sizeof bounds[0] };

struct metric {
  metric *next;             /* of the same family */
  char *labels;             /* "" without */
  _Atomic int64_t value;    /* of a histogram: the sum of its times in ms */
  _Atomic int64_t *buckets; /* of a histogram: BOUNDS + 1 */
  double (*ask)(void *ctx);
  void *ctx;
};

typedef struct family {
  struct family *next;
  char *name, *help;
  enum kind kind;
  metric *first, **last;
} family;

struct metrics {
  family *first, **last;
};

metrics *metrics_new(void) {
  metrics *m = calloc(1, sizeof *m);

  if (m != NULL)
    m->last = &m->first;
  return m;
}

static void metric_free(metric *one) {
  free(one->labels);
  free(one->buckets);
  free(one);
}

static void family_free(family *f) {
  metric *next;

  for (metric *one = f->first; one != NULL; one = next) {
    next = one->next;
    metric_free(one);
  }
  free(f->name);
  free(f->help);
  free(f);
}

void metrics_free(metrics *m) {
  family *next;

  if (m == NULL)
    return;
  for (family *f = m->first; f != NULL; f = next) {
    next = f->next;
    family_free(f);
  }
  free(m);
}

/* ---- making them ---- */

static bool is_name(const char *s) {
  for (size_t i = 0; s[i] != '\0'; i++)
    if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') &&
        s[i] != '_' && (i == 0 || s[i] < '0' || s[i] > '9'))
      return false;
  return *s != '\0';
}

static family *family_of(metrics *m, const char *name, enum kind kind,
                         const char *help) {
  family *f = m->first;

  while (f != NULL && strcmp(f->name, name) != 0)
    f = f->next;
  if (f != NULL)
    return f->kind == kind ? f : NULL;
  f = calloc(1, sizeof *f);
  if (f == NULL)
    return NULL;
  f->name = strdup(name);
  f->help = strdup(help);
  f->kind = kind;
  f->last = &f->first;
  if (f->name == NULL || f->help == NULL) {
    family_free(f);
    return NULL;
  }
  *m->last = f;
  m->last = &f->next;
  return f;
}

/* The same name and labels again are the same metric. */
static metric *make(metrics *m, const char *name, const char *labels,
                    enum kind kind, const char *help) {
  family *f =
      m != NULL && is_name(name) ? family_of(m, name, kind, help) : NULL;
  metric *one;

  if (f == NULL)
    return NULL;
  labels = labels != NULL ? labels : "";
  for (one = f->first; one != NULL; one = one->next)
    if (strcmp(one->labels, labels) == 0)
      return one;
  one = calloc(1, sizeof *one);
  if (one == NULL)
    return NULL;
  one->labels = strdup(labels);
  if (kind == TIMES)
    one->buckets = calloc(BOUNDS + 1, sizeof *one->buckets);
  if (one->labels == NULL || (kind == TIMES && one->buckets == NULL)) {
    metric_free(one);
    return NULL;
  }
  *f->last = one;
  f->last = &one->next;
  return one;
}

metric *metrics_counter(metrics *m, const char *name, const char *labels,
                        const char *help) {
  return make(m, name, labels, COUNTER, help);
}

metric *metrics_gauge(metrics *m, const char *name, const char *labels,
                      const char *help) {
  return make(m, name, labels, GAUGE, help);
}

metric *metrics_times(metrics *m, const char *name, const char *labels,
                      const char *help) {
  return make(m, name, labels, TIMES, help);
}

metric *metrics_asked(metrics *m, const char *name, const char *labels,
                      const char *help, double (*ask)(void *ctx), void *ctx) {
  metric *one = make(m, name, labels, ASKED, help);

  if (one != NULL) {
    one->ask = ask;
    one->ctx = ctx;
  }
  return one;
}

/* ---- counting ---- */

void metric_add(metric *m, int64_t by) {
  if (m != NULL)
    (void)atomic_fetch_add_explicit(&m->value, by, memory_order_relaxed);
}

void metric_set(metric *m, int64_t value) {
  if (m != NULL)
    atomic_store_explicit(&m->value, value, memory_order_relaxed);
}

void metric_time(metric *m, int64_t ms) {
  size_t i = 0;

  if (m == NULL || m->buckets == NULL)
    return;
  ms = ms > 0 ? ms : 0;
  while (i < BOUNDS && ms > bounds[i])
    i++;
  (void)atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
  metric_add(m, ms);
}

int64_t metric_value(const metric *m) {
  return m != NULL ? atomic_load_explicit(&m->value, memory_order_relaxed) : 0;
}

/* ---- writing them ---- */

static void write_help(const char *help, text *out) {
  for (; *help != '\0'; help++) {
    if (*help == '\n')
      text_str(out, "\\n");
    else if (*help == '\\')
      text_str(out, "\\\\");
    else
      text_add(out, help, 1);
  }
}

/* NAME SUFFIX {LABELS,le="LE"}, without what there is none of. */
static void write_name(const family *f, const metric *one, const char *suffix,
                       const char *le, text *out) {
  bool labels = one->labels[0] != '\0';

  text_printf(out, "%s%s", f->name, suffix);
  if (labels || le != NULL)
    text_printf(out, "{%s%s", one->labels, labels && le != NULL ? "," : "");
  if (le != NULL)
    text_printf(out, "le=\"%s\"", le);
  text_str(out, labels || le != NULL ? "} " : " ");
}

static void write_seconds(int64_t ms, text *out) {
  text_printf(out, "%lld.%03d\n", (long long)(ms / 1000), (int)(ms % 1000));
}

/* The count is the sum of what was read, so that the lines agree while others
   go on counting. */
static void write_times(const family *f, const metric *one, text *out) {
  int64_t count = 0;
  char le[16];

  for (size_t i = 0; i <= BOUNDS; i++) {
    count += atomic_load_explicit(&one->buckets[i], memory_order_relaxed);
    if (i < BOUNDS)
      (void)snprintf(le, sizeof le, "%g", (double)bounds[i] / 1000);
    write_name(f, one, "_bucket", i < BOUNDS ? le : "+Inf", out);
    text_printf(out, "%lld\n", (long long)count);
  }
  write_name(f, one, "_sum", NULL, out);
  write_seconds(metric_value(one), out);
  write_name(f, one, "_count", NULL, out);
  text_printf(out, "%lld\n", (long long)count);
}

static void write_double(double d, text *out) {
  if (isnan(d))
    text_str(out, "NaN\n");
  else if (isinf(d))
    text_str(out, d > 0 ? "+Inf\n" : "-Inf\n");
  else
    text_printf(out, "%.15g\n", d);
}

static void write_one(const family *f, const metric *one, text *out) {
  if (f->kind == TIMES) {
    write_times(f, one, out);
    return;
  }
  write_name(f, one, "", NULL, out);
  if (f->kind == ASKED)
    write_double(one->ask(one->ctx), out);
  else
    text_printf(out, "%lld\n", (long long)metric_value(one));
}

void metrics_write(const metrics *m, text *out) {
  static const char *const types[] = {"counter", "gauge", "histogram", "gauge"};

  for (const family *f = m->first; f != NULL; f = f->next) {
    text_printf(out, "# HELP %s ", f->name);
    write_help(f->help, out);
    text_printf(out, "\n# TYPE %s %s\n", f->name, types[f->kind]);
    for (const metric *one = f->first; one != NULL; one = one->next)
      write_one(f, one, out);
  }
}
