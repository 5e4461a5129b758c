/*
 * Lines of JSON on standard error.
 */
#include <string.h>

#include "report.h"

void report_json_begin(report *r, const char *event) {
  text_clear(&r->line);
  text_puts(&r->line, "{\"event\":");
  text_put_json(&r->line, event, strlen(event));
  text_puts(&r->line, ",\"time\":\"");
  text_put_now(&r->line);
  text_putc(&r->line, '"');
  if (r->side != NULL)
    text_printf(&r->line, ",\"side\":\"%s\"", r->side);
}

static void put_name(report *r, const char *name) {
  text_putc(&r->line, ',');
  text_put_json(&r->line, name, strlen(name));
  text_putc(&r->line, ':');
}

void report_json_text(report *r, const char *name, const char *value) {
  put_name(r, name);
  if (value != NULL)
    text_put_json(&r->line, value, strlen(value));
  else
    text_puts(&r->line, "null");
}

void report_json_int(report *r, const char *name, int64_t value) {
  put_name(r, name);
  text_printf(&r->line, "%lld", (long long)value);
}

void report_json_position(report *r, changefeed *feed) {
  changefeed_str position = {NULL, 0};

  if (feed != NULL)
    position = changefeed_position(feed);
  put_name(r, "position");
  if (position.data != NULL)
    text_put_json(&r->line, position.data, position.len);
  else
    text_puts(&r->line, "null");
}

void report_json_end(report *r) {
  text_putc(&r->line, '}');
  if (text_ok(&r->line))
    console_line(r->console, r->line.data, r->line.len);
  else
    r->console->no_memory = true;
}

void report_stats(report *r, changefeed *feed) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  if (feed == NULL || changefeed_get_stats(feed, &s) != CHANGEFEED_OK)
    return;
  report_json_begin(r, "stats");
#define COUNTER(name) report_json_int(r, #name, (int64_t)s.name)
  COUNTER(changes);
  COUNTER(deleted);
  COUNTER(bytes);
  COUNTER(heartbeats);
  COUNTER(requests);
  COUNTER(unproductive);
  COUNTER(reconnects);
  COUNTER(faults_network);
  COUNTER(faults_tls);
  COUNTER(faults_idle);
  COUNTER(faults_auth);
  COUNTER(faults_http);
  COUNTER(faults_protocol);
  COUNTER(faults_local);
  COUNTER(ends);
  COUNTER(repeats);
  COUNTER(rewinds);
  COUNTER(resets);
  COUNTER(acked);
  COUNTER(saves);
  COUNTER(save_errors);
  COUNTER(fallbacks);
  COUNTER(unacked);
  COUNTER(queued_bytes);
  COUNTER(pending);
  COUNTER(idle_ms);
  COUNTER(row_age_ms);
  COUNTER(save_age_ms);
  COUNTER(fresh_ms);
#undef COUNTER
  report_json_position(r, feed);
  report_json_end(r);
}
