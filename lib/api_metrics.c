/*
 * Statistics as Prometheus text: names, help, types and labels, made from the
 * fields of changefeed_stats and nothing else. Touches no feed, so that any
 * thread may do it.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "changefeed/changefeed.h"

enum { COUNTER, GAUGE, KNOWN, SECONDS }; /* the last two: -1 is not told */

typedef struct metric {
  const char *name;  /* behind "changefeed_"; neighbours may share one */
  const char *label; /* "" or another label, with its comma */
  const char *help;
  size_t offset;
  int kind;
} metric;

#define AT(field) offsetof(changefeed_stats, field)
#define FAULT(cause)                                                           \
  {                                                                            \
    "faults_total", ",cause=\"" #cause "\"", "Attempts that failed, by cause", \
        AT(faults_##cause), COUNTER                                            \
  }

static const metric metrics[] = {
    {"changes_total", "", "Rows delivered and taken", AT(changes), COUNTER},
    {"deleted_total", "", "Of these, deletions", AT(deleted), COUNTER},
    {"received_bytes_total", "", "Body bytes read", AT(bytes), COUNTER},
    {"heartbeats_total", "", "Signs of life", AT(heartbeats), COUNTER},
    {"requests_total", "", "Requests, probes included", AT(requests), COUNTER},
    {"unproductive_requests_total", "", "Requests without row and progress",
     AT(unproductive), COUNTER},
    {"reconnects_total", "", "Attempts after a fault", AT(reconnects), COUNTER},
    FAULT(network),
    FAULT(tls),
    FAULT(idle),
    FAULT(auth),
    FAULT(http),
    FAULT(protocol),
    FAULT(local),
    {"ends_total", "", "Responses that ended in health", AT(ends), COUNTER},
    {"repeats_total", "", "Rows that came again", AT(repeats), COUNTER},
    {"rewinds_total", "", "Runs of rows that came again", AT(rewinds), COUNTER},
    {"resets_total", "", "Histories that ended", AT(resets), COUNTER},
    {"acked_total", "", "Rows acknowledged", AT(acked), COUNTER},
    {"saves_total", "", "Positions saved", AT(saves), COUNTER},
    {"save_errors_total", "", "Saves that failed", AT(save_errors), COUNTER},
    {"fallbacks_total", "", "Changes of transport", AT(fallbacks), COUNTER},
    {"unacked_rows", "", "Rows delivered, not acknowledged", AT(unacked),
     GAUGE},
    {"queued_bytes", "", "Received, not delivered", AT(queued_bytes), GAUGE},
    {"pending_rows", "", "Rows left, by the server's last word", AT(pending),
     KNOWN},
    {"idle_seconds", "", "Since the last byte", AT(idle_ms), SECONDS},
    {"row_age_seconds", "", "Since the last row", AT(row_age_ms), SECONDS},
    {"save_age_seconds", "", "Since the last good save", AT(save_age_ms),
     SECONDS},
    {"fresh_seconds", "", "What was written before so long is delivered",
     AT(fresh_ms), SECONDS},
};

typedef struct text {
  char *data;
  size_t size, len; /* len goes on counting behind the end of data */
} text;

static void put_bytes(text *t, const char *bytes, size_t len) {
  if (t->len < t->size && len < t->size - t->len)
    memcpy(t->data + t->len, bytes, len);
  else
    t->size = 0; /* nothing behind a gap */
  t->len = len > SIZE_MAX - t->len ? SIZE_MAX : t->len + len;
}

static void put(text *t, const char *string) {
  put_bytes(t, string, strlen(string));
}

/* A label's value: \ " and line breaks are escaped. */
static void put_escaped(text *t, const char *value) {
  for (; *value != '\0'; value++)
    if (*value == '\n')
      put(t, "\\n");
    else {
      if (*value == '\\' || *value == '"')
        put_bytes(t, "\\", 1);
      put_bytes(t, value, 1);
    }
}

/* Values of an older, shorter struct end early. */
static int is_told(const metric *m, const changefeed_stats *stats,
                   int64_t *value) {
  if (stats->size < m->offset + sizeof *value)
    return 0;
  memcpy(value, (const char *)stats + m->offset, sizeof *value);
  return *value >= 0 || m->kind == COUNTER || m->kind == GAUGE;
}

static void put_sample(text *t, const metric *m, const char *name,
                       int64_t value) {
  char number[32];

  if (m->kind == SECONDS)
    (void)snprintf(number, sizeof number, "%lld.%03d",
                   (long long)(value / 1000), (int)(value % 1000));
  else
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)value);
  put(t, "changefeed_");
  put(t, m->name);
  put(t, "{feed=\"");
  put_escaped(t, name);
  put(t, "\"");
  put(t, m->label);
  put(t, "} ");
  put(t, number);
  put(t, "\n");
}

static void put_head(text *t, const metric *m) {
  put(t, "# HELP changefeed_");
  put(t, m->name);
  put(t, " ");
  put(t, m->help);
  put(t, "\n# TYPE changefeed_");
  put(t, m->name);
  put(t, m->kind == COUNTER ? " counter\n" : " gauge\n");
}

int changefeed_stats_text(const changefeed_stats *const *stats,
                          const char *const *names, size_t count, char *buffer,
                          size_t size, size_t *len) {
  text t = {buffer, size, 0};
  int64_t value;

  if (len == NULL || (buffer == NULL && size != 0) ||
      (count != 0 && (stats == NULL || names == NULL)))
    return CHANGEFEED_ERR_INVALID;
  for (size_t i = 0; i < count; i++)
    if (stats[i] == NULL || names[i] == NULL ||
        stats[i]->size < sizeof stats[i]->size)
      return CHANGEFEED_ERR_INVALID;
  for (const metric *m = metrics;
       m < metrics + sizeof metrics / sizeof *metrics; m++) {
    if (m == metrics || strcmp(m->name, m[-1].name) != 0)
      put_head(&t, m);
    for (size_t i = 0; i < count; i++)
      if (is_told(m, stats[i], &value))
        put_sample(&t, m, names[i], value);
  }
  *len = t.len;
  if (size > t.len)
    buffer[t.len] = '\0';
  else if (size > 0)
    buffer[0] = '\0';
  return size > t.len ? CHANGEFEED_OK : CHANGEFEED_ERR_LIMIT;
}
