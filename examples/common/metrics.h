/* Counters, gauges and histograms, written in Prometheus' text format. Made
   once at the start, counted from any thread without a lock. */
#ifndef PLATFORM_METRICS_H
#define PLATFORM_METRICS_H

#include "common/text.h"
#include <stdint.h>

typedef struct metrics metrics;
typedef struct metric metric;

metrics *metrics_new(void);
void metrics_free(metrics *m);

/* labels: "code=\"200\"" or NULL. The same name with other labels is another
   metric of one family. NULL for want of memory; NULL may be counted. All
   strings are copied. */
metric *metrics_counter(metrics *m, const char *name, const char *labels,
                        const char *help);
metric *metrics_gauge(metrics *m, const char *name, const char *labels,
                      const char *help);
/* Of seconds; bounds are 1 ms .. 60 s, three in a decade. */
metric *metrics_times(metrics *m, const char *name, const char *labels,
                      const char *help);
/* A gauge whose value is asked for when it is written. */
metric *metrics_asked(metrics *m, const char *name, const char *labels,
                      const char *help, double (*ask)(void *ctx), void *ctx);

void metric_add(metric *m, int64_t by);
void metric_set(metric *m, int64_t value);
void metric_time(metric *m, int64_t ms);
int64_t metric_value(const metric *m); /* of a counter or a gauge */

void metrics_write(const metrics *m, text *out);

#endif
