/*
 * What is said on standard error, and when.
 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_init(report *r, const args *a, console *c) {
  memset(r, 0, sizeof *r);
  r->args = a;
  r->console = c;
  r->next_progress_ms = -1;
  r->next_stats_ms =
      a->stats_interval_ms > 0 ? clock_ms() + a->stats_interval_ms : -1;
}

void report_free(report *r) { text_free(&r->line); }

/* Lines for people: neither asked to be quiet nor to write JSON. */
static bool for_people(const report *r) {
  return !r->args->events && !r->args->quiet;
}

static void say_begin(report *r) {
  text_clear(&r->line);
  text_puts(&r->line, "changefeed: ");
  if (r->side != NULL)
    text_printf(&r->line, "%s: ", r->side);
}

/* A sentence that goes on: without its full stop. */
static void say_sentence(report *r, const char *message) {
  size_t len = strlen(message);

  text_put(&r->line, message,
           len != 0 && message[len - 1] == '.' ? len - 1 : len);
}

static void say_end(report *r) {
  if (text_ok(&r->line))
    console_line(r->console, r->line.data, r->line.len);
  else
    r->console->no_memory = true;
}

/* ---- states ---- */

static void tell_retry(report *r, const changefeed_event *e) {
  if (r->args->events) {
    report_json_begin(r, "retry");
    report_json_int(r, "attempt", e->attempt);
    report_json_int(r, "delay_ms", e->delay_ms);
    report_json_int(r, "code", e->error->code);
    report_json_int(r, "http_status", e->error->http_status);
    report_json_text(r, "message", e->error->message);
    report_json_end(r);
  } else if (for_people(r)) {
    say_begin(r);
    say_sentence(r, e->error->message);
    text_printf(&r->line, "; trying again in %.1f s",
                (double)e->delay_ms / 1000);
    say_end(r);
  }
  r->troubled = true;
}

static void tell_recovery(report *r) {
  if (r->troubled && for_people(r)) {
    say_begin(r);
    text_puts(&r->line, "connected again");
    say_end(r);
  }
  r->troubled = false;
}

static void start_progress(report *r, changefeed *feed) {
  changefeed_stats s = CHANGEFEED_STATS_INIT;

  if (r->mirrors || !for_people(r) || r->args->verbose ||
      !r->console->terminal || changefeed_get_stats(feed, &s) != CHANGEFEED_OK)
    return;
  r->next_progress_ms = r->rate_ms = clock_ms();
  r->rate_rows = s.changes;
  r->rate = 0;
}

void report_state(report *r, changefeed *feed, const changefeed_event *e) {
  if (r->args->events) {
    report_json_begin(r, "state");
    report_json_text(r, "state", changefeed_state_name(e->state));
    report_json_text(r, "previous", changefeed_state_name(e->previous));
    report_json_end(r);
  }
  if (e->state == CHANGEFEED_STATE_WAITING && e->error != NULL)
    tell_retry(r, e);
  if (e->state == CHANGEFEED_STATE_CATCHUP || e->state == CHANGEFEED_STATE_LIVE)
    tell_recovery(r);
  /* Our own pause, while the reader of standard output is behind, is a part
     of catching up. */
  if (e->state == CHANGEFEED_STATE_CATCHUP && r->next_progress_ms < 0) {
    start_progress(r, feed);
  } else if (e->state != CHANGEFEED_STATE_CATCHUP &&
             e->state != CHANGEFEED_STATE_PAUSED) {
    r->next_progress_ms = -1;
    console_erase(r->console);
  }
}

/* ---- notices, resets, log ---- */

static const char *notice_name(int kind) {
  switch (kind) {
  case CHANGEFEED_NOTICE_REWIND:
    return "rewind";
  case CHANGEFEED_NOTICE_FALLBACK:
    return "fallback";
  case CHANGEFEED_NOTICE_STORE:
    return "store";
  case CHANGEFEED_NOTICE_ENDPOINT:
    return "endpoint";
  case CHANGEFEED_NOTICE_TICK:
    return "tick";
  default:
    return NULL;
  }
}

static void notice_as_json(report *r, const changefeed_notice *n) {
  report_json_begin(r, notice_name(n->kind));
  if (n->kind == CHANGEFEED_NOTICE_REWIND)
    report_json_int(r, "rows", (int64_t)n->rows);
  if (n->from != NULL)
    report_json_text(r, "from", n->from);
  if (n->to != NULL)
    report_json_text(r, "to", n->to);
  if (n->reason != NULL)
    report_json_text(r, "reason", n->reason);
  report_json_end(r);
}

void report_notice(report *r, const changefeed_notice *n) {
  if (notice_name(n->kind) == NULL)
    return;
  if (r->args->events) {
    notice_as_json(r, n);
    return;
  }
  /* What may not be written the library's log says, too. */
  if (n->kind == CHANGEFEED_NOTICE_REWIND ||
      n->kind == CHANGEFEED_NOTICE_STORE || n->kind == CHANGEFEED_NOTICE_TICK ||
      !for_people(r))
    return;
  say_begin(r);
  text_printf(&r->line, "%s instead of %s from now on: %s", n->to, n->from,
              n->reason);
  say_end(r);
}

void report_reset(report *r, const char *reason) {
  if (r->args->events) {
    report_json_begin(r, "reset");
    report_json_text(r, "reason", reason);
    report_json_end(r);
  }
  /* For people the library's log has said it, with the URL. */
}

static const char *level_name(int level) {
  static const char *const names[] = {"error", "warning", "info", "debug"};

  return level >= 0 && level < 4 ? names[level] : "log";
}

void report_log(report *r, int level, const char *text, size_t len) {
  if (!r->args->verbose &&
      level > (r->args->quiet ? CHANGEFEED_LOG_ERROR : CHANGEFEED_LOG_WARNING))
    return;
  if (r->args->events) {
    report_json_begin(r, "log");
    report_json_text(r, "level", level_name(level));
    report_json_text(r, "message", text);
    report_json_end(r);
    return;
  }
  say_begin(r);
  text_printf(&r->line, "%s: ", level_name(level));
  text_put(&r->line, text, len);
  say_end(r);
}

void report_usage(report *r, const char *message) {
  say_begin(r);
  text_printf(&r->line, "%s\nTry \"%s --help\".", message,
              command_name(r->args->command));
  say_end(r);
}

void report_say(report *r, const char *format, ...) {
  char words[1024];
  va_list list;

  if (!for_people(r))
    return;
  va_start(list, format);
  (void)vsnprintf(words, sizeof words, format, list);
  va_end(list);
  say_begin(r);
  text_puts(&r->line, words);
  say_end(r);
}

void report_fault(report *r, int code, const char *message, const char *of) {
  console_erase(r->console);
  if (r->args->events) {
    report_json_begin(r, "end");
    report_json_int(r, "code", code);
    report_json_text(r, "message", message);
    report_json_text(r, "of", of);
    report_json_end(r);
    return;
  }
  say_begin(r);
  /* The library's words for these are about feeds. */
  if (code != CHANGEFEED_ERR_STORE && code != CHANGEFEED_END)
    text_printf(&r->line, "%s: ", changefeed_strerror(code));
  say_sentence(r, message);
  if (of != NULL && strstr(message, of) == NULL)
    text_printf(&r->line, "; of %s", of);
  say_end(r);
}

/* ---- time, and the end ---- */

static int until(int64_t next_ms, int64_t now_ms, int wait) {
  int64_t left = next_ms > now_ms ? next_ms - now_ms : 0;

  if (next_ms < 0 || (wait >= 0 && left > wait))
    return wait;
  return left < INT32_MAX ? (int)left : INT32_MAX;
}

int report_tick(report *r, changefeed *feed) {
  int64_t now = clock_ms();
  int wait = -1;

  report_progress(r, feed, now);
  if (r->next_stats_ms >= 0 && now >= r->next_stats_ms) {
    report_stats(r, feed);
    r->next_stats_ms += r->args->stats_interval_ms;
    if (r->next_stats_ms <= now)
      r->next_stats_ms = now + r->args->stats_interval_ms;
  }
  wait = until(r->next_progress_ms, now, wait);
  return until(r->next_stats_ms, now, wait);
}

/* What, why, where, and how far it had come. */
static void say_failure(report *r, changefeed *feed, int code,
                        const char *message) {
  const char *url = feed != NULL ? changefeed_get_url(feed) : NULL;
  changefeed_str position = {NULL, 0};

  if (feed != NULL)
    position = changefeed_position(feed);
  say_begin(r);
  text_printf(&r->line, "%s: ", changefeed_strerror(code));
  say_sentence(r, message);
  if (url != NULL && strstr(message, url) == NULL)
    text_printf(&r->line, "; following %s", url);
  text_puts(&r->line, "; last position: ");
  if (position.data != NULL)
    text_put_escaped(&r->line, position);
  else
    text_puts(&r->line, "none");
  say_end(r);
}

void report_end(report *r, changefeed *feed, int code, const char *message) {
  r->next_progress_ms = -1;
  console_erase(r->console);
  if (r->args->stats)
    report_stats(r, feed);
  if (r->args->events) {
    report_json_begin(r, "end");
    report_json_int(r, "code", code);
    report_json_text(r, "message", message);
    report_json_position(r, feed);
    report_json_end(r);
  } else if (code != CHANGEFEED_OK) {
    say_failure(r, feed, code, message);
  }
}
