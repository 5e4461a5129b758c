/* Recording what a feed tells, and running its loop: see follow.h. */
#include "follow.h"
#include "mem.h"
#include "timing.h"

#include <check.h>
#include <stdarg.h>

/* ---- callbacks ---- */

static cft_follow *called(void *user) {
  cft_follow *f = user;
  f->calls++;
  f->calls_late += cft_follow_is_over(f);
  return f;
}

static char *copy(changefeed_str s) {
  return s.data ? cft_memdup(s.data, s.len) : NULL;
}

static void record_row(cft_follow *f, const changefeed_change *change) {
  f->taken++;
  if (f->quiet)
    return;
  f->rows = cft_room(f->rows, f->row_count, &f->row_cap, sizeof *f->rows);
  cft_seen_row *row = &f->rows[f->row_count++];
  *row = (cft_seen_row){
      .id = copy(change->id),
      .rev = change->rev_count ? copy(change->revs[0]) : NULL,
      .seq = copy(change->seq),
      .ordinal = change->ordinal,
      .request = f->feed ? cft_follow_stats(f).requests : 0,
      .flags = change->flags,
      .at_ms = cft_now_ms(),
  };
  cft_revs_put(f->revs, row->id, row->rev ? row->rev : "",
               (change->flags & CHANGEFEED_DELETED) != 0);
}

static bool is_taken(int verdict) {
  return verdict == CHANGEFEED_CONTINUE || verdict == CHANGEFEED_STOP;
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  cft_follow *f = called(user);
  (void)feed;
  f->offered++;
  int verdict = f->on_row ? f->on_row(f, change) : CHANGEFEED_CONTINUE;
  if (is_taken(verdict))
    record_row(f, change);
  return verdict;
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  cft_follow *f = called(user);
  (void)feed;
  f->offered += count;
  int verdict =
      f->on_rows ? f->on_rows(f, changes, count) : CHANGEFEED_CONTINUE;
  for (size_t i = 0; i < count && is_taken(verdict); i++)
    record_row(f, changes[i]);
  return verdict;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  cft_follow *f = called(user);
  const changefeed_error *error = event->error;
  (void)feed;
  f->states =
      cft_room(f->states, f->state_count, &f->state_cap, sizeof *f->states);
  cft_seen_state *seen = &f->states[f->state_count++];
  *seen = (cft_seen_state){.state = event->state,
                           .previous = event->previous,
                           .attempt = event->attempt,
                           .delay_ms = event->delay_ms,
                           .at_ms = cft_now_ms(),
                           .retry_after_ms = -1};
  if (error) {
    seen->code = error->code;
    seen->http_status = error->http_status;
    seen->curl_code = error->curl_code;
    seen->retryable = error->retryable;
    seen->retry_after_ms = error->retry_after_ms;
    seen->message = cft_strdup(error->message);
  }
  if (f->on_state)
    f->on_state(f, event);
}

static void on_notice(changefeed *feed, const changefeed_notice *notice,
                      void *user) {
  cft_follow *f = called(user);
  (void)feed;
  f->notices =
      cft_room(f->notices, f->notice_count, &f->notice_cap, sizeof *f->notices);
  f->notices[f->notice_count++] =
      (cft_seen_notice){.kind = notice->kind,
                        .rows = notice->rows,
                        .from = cft_strdup(notice->from),
                        .to = cft_strdup(notice->to),
                        .reason = cft_strdup(notice->reason),
                        .at_ms = cft_now_ms()};
  if (f->on_notice)
    f->on_notice(f, notice);
}

static void keep_reset(cft_follow *f, const char *reason) {
  f->resets =
      cft_room(f->resets, f->reset_count, &f->reset_cap, sizeof *f->resets);
  f->resets[f->reset_count++] = cft_strdup(reason);
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  cft_follow *f = called(user);
  (void)feed;
  keep_reset(f, reason);
  return f->on_reset(f, reason);
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  cft_follow *f = called(user);
  (void)feed;
  (void)level;
  while (f->log_cap - f->log_len < len + 2) {
    f->log_cap = f->log_cap ? f->log_cap * 2 : 256;
    f->log = cft_realloc(f->log, f->log_cap, 1);
  }
  memcpy(f->log + f->log_len, text, len);
  f->log_len += len;
  memcpy(f->log + f->log_len++, "\n", 2);
}

static int64_t on_retry(changefeed *feed, const changefeed_error *error,
                        unsigned attempt, int64_t proposed_ms, void *user) {
  cft_follow *f = called(user);
  (void)feed;
  return f->on_retry(f, error, attempt, proposed_ms);
}

static int on_request(changefeed *feed, void *user) {
  cft_follow *f = called(user);
  (void)feed;
  return f->on_request(f);
}

/* ---- opening and closing ---- */

static bool is_list(const char *name) {
  const changefeed_option_info *info;
  for (size_t i = 0; changefeed_option_at(i, &info) == CHANGEFEED_OK; i++)
    if (strcmp(info->name, name) == 0)
      return info->kind == CHANGEFEED_OPTION_LIST;
  return false;
}

static int set_options(changefeed_options *o, const char *url, va_list args) {
  static const char *const defaults[][2] = {
      {"proxy", "-"}, {"retry_min_ms", "10"}, {"retry_max_ms", "100"}};
  int rc = changefeed_options_set(o, "url", url);
  for (size_t i = 0; rc == CHANGEFEED_OK && i < 3; i++)
    rc = changefeed_options_set(o, defaults[i][0], defaults[i][1]);
  while (rc == CHANGEFEED_OK) {
    const char *name = va_arg(args, const char *);
    if (!name)
      break;
    const char *value = va_arg(args, const char *);
    rc = is_list(name) ? changefeed_options_add(o, name, value)
                       : changefeed_options_set(o, name, value);
  }
  return rc;
}

static int set_callbacks(cft_follow *f, changefeed_options *o) {
  changefeed_callbacks c = CHANGEFEED_CALLBACKS_INIT;
  c.user = f;
  c.on_change = f->pull || f->batch ? NULL : on_change;
  c.on_batch = f->batch ? on_batch : NULL;
  c.on_state = on_state;
  c.on_notice = on_notice;
  c.on_log = on_log;
  /* These three change what the library does by being there. */
  c.on_reset = f->on_reset ? on_reset : NULL;
  c.on_retry = f->on_retry ? on_retry : NULL;
  c.on_request = f->on_request ? on_request : NULL;
  int rc = changefeed_options_set_callbacks(o, &c);
  if (rc == CHANGEFEED_OK && f->store)
    rc = changefeed_options_set_store(o, f->store);
  return rc;
}

static int open_with(cft_follow *f, changefeed_loop *loop, char *why,
                     size_t size, const char *url, va_list args) {
  changefeed_options *o = NULL;
  int rc = changefeed_options_new(&o);
  if (rc == CHANGEFEED_OK)
    rc = set_options(o, url, args);
  if (rc == CHANGEFEED_OK)
    rc = set_callbacks(f, o);
  if (!f->revs)
    f->revs = cft_revs_new();
  f->opened_ms = cft_now_ms();
  if (rc == CHANGEFEED_OK)
    rc = changefeed_open(&f->feed, loop, o);
  snprintf(why, size, "%s", o ? changefeed_options_error(o) : "no options");
  changefeed_options_free(o);
  f->loop = rc == CHANGEFEED_OK ? changefeed_get_loop(f->feed) : NULL;
  return rc;
}

void cft_follow_open(cft_follow *f, changefeed_loop *loop, const char *url,
                     ...) {
  char why[512];
  va_list args;
  va_start(args, url);
  int rc = open_with(f, loop, why, sizeof why, url, args);
  va_end(args);
  ck_assert_msg(rc == CHANGEFEED_OK, "changefeed_open: %s: %s",
                changefeed_strerror(rc), why);
}

int cft_follow_try(cft_follow *f, changefeed_loop *loop, char *why, size_t size,
                   const char *url, ...) {
  va_list args;
  va_start(args, url);
  int rc = open_with(f, loop, why, size, url, args);
  va_end(args);
  return rc;
}

void cft_follow_close(cft_follow *f) {
  changefeed *feed = f->feed;
  f->feed = NULL;
  changefeed_close(feed);
}

void cft_follow_clear(cft_follow *f) {
  cft_follow_close(f);
  for (size_t i = 0; i < f->row_count; i++) {
    free(f->rows[i].id);
    free(f->rows[i].rev);
    free(f->rows[i].seq);
  }
  for (size_t i = 0; i < f->state_count; i++)
    free(f->states[i].message);
  for (size_t i = 0; i < f->notice_count; i++) {
    free(f->notices[i].from);
    free(f->notices[i].to);
    free(f->notices[i].reason);
  }
  for (size_t i = 0; i < f->reset_count; i++)
    free(f->resets[i]);
  free(f->rows);
  free(f->states);
  free(f->notices);
  free(f->resets);
  free(f->log);
  if (f->revs)
    cft_revs_free(f->revs);
  *f = (cft_follow){.feed = NULL};
}

/* ---- running ---- */

changefeed_loop *cft_loop(void) {
  changefeed_loop *loop = NULL;
  ck_assert_int_eq(changefeed_loop_new(&loop, NULL), CHANGEFEED_OK);
  return loop;
}

bool cft_loop_until(changefeed_loop *loop, bool (*cond)(void *user), void *user,
                    int64_t timeout_ms) {
  int64_t end = cft_now_ms() + timeout_ms;
  while (!cond(user)) {
    int64_t left = end - cft_now_ms();
    if (left <= 0)
      return false;
    int rc = changefeed_loop_run_once(loop, left < 20 ? (int)left : 20);
    ck_assert_msg(rc >= 0, "changefeed_loop_run_once: %s",
                  changefeed_strerror(rc));
  }
  return true;
}

static bool never(void *user) {
  (void)user;
  return false;
}

void cft_loop_for(changefeed_loop *loop, int64_t ms) {
  (void)cft_loop_until(loop, never, NULL, ms);
}

/* What a condition below is about. */
typedef struct goal {
  cft_follow *f;
  int state;
  uint64_t n;
  const cft_revs *want;
} goal;

static bool in_state(void *user) {
  const goal *g = user;
  return changefeed_get_state(g->f->feed) == g->state;
}

bool cft_follow_until_state(cft_follow *f, int state, int64_t timeout_ms) {
  return cft_loop_until(f->loop, in_state, &(goal){.f = f, .state = state},
                        timeout_ms);
}

static bool has_rows(void *user) {
  const goal *g = user;
  return g->f->taken >= g->n;
}

bool cft_follow_until_rows(cft_follow *f, uint64_t taken, int64_t timeout_ms) {
  return cft_loop_until(f->loop, has_rows, &(goal){.f = f, .n = taken},
                        timeout_ms);
}

static bool over(void *user) {
  return cft_follow_is_over(((const goal *)user)->f);
}

bool cft_follow_until_over(cft_follow *f, int64_t timeout_ms) {
  return cft_loop_until(f->loop, over, &(goal){.f = f}, timeout_ms);
}

static bool has_asked(void *user) {
  const goal *g = user;
  return cft_follow_stats(g->f).requests >= g->n;
}

bool cft_follow_until_requests(cft_follow *f, uint64_t n, int64_t timeout_ms) {
  return cft_loop_until(f->loop, has_asked, &(goal){.f = f, .n = n},
                        timeout_ms);
}

static bool has_revs(void *user) {
  const goal *g = user;
  char why[8];
  return cft_revs_count(g->f->revs) == cft_revs_count(g->want) &&
         cft_revs_equal(g->want, g->f->revs, why, sizeof why);
}

bool cft_follow_until_revs(cft_follow *f, const cft_revs *want,
                           int64_t timeout_ms) {
  return cft_loop_until(f->loop, has_revs, &(goal){.f = f, .want = want},
                        timeout_ms);
}

/* ---- looking ---- */

bool cft_follow_is_over(const cft_follow *f) {
  int state = f->state_count ? f->states[f->state_count - 1].state : 0;
  return state == CHANGEFEED_STATE_ENDED || state == CHANGEFEED_STATE_FAILED;
}

changefeed_stats cft_follow_stats(const cft_follow *f) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;
  ck_assert_int_eq(changefeed_get_stats(f->feed, &stats), CHANGEFEED_OK);
  return stats;
}

void cft_follow_position(const cft_follow *f, char *text, size_t size) {
  changefeed_str at = changefeed_position(f->feed);
  snprintf(text, size, "%s", at.data ? at.data : "");
}

size_t cft_follow_times(const cft_follow *f, int state) {
  size_t n = 0;
  for (size_t i = 0; i < f->state_count; i++)
    n += f->states[i].state == state;
  return n;
}

const cft_seen_state *cft_follow_last(const cft_follow *f, int state) {
  for (size_t i = f->state_count; i > 0; i--)
    if (f->states[i - 1].state == state)
      return &f->states[i - 1];
  return NULL;
}

size_t cft_follow_doubles(const cft_follow *f) {
  size_t doubles = 0;
  uint64_t request = 0;
  cft_revs *seen = cft_revs_new();
  for (size_t i = 0; i < f->row_count; i++) {
    const cft_seen_row *row = &f->rows[i];
    const char *rev = row->rev ? row->rev : "";
    bool deleted = false;
    if (row->request != request) {
      cft_revs_free(seen);
      seen = cft_revs_new();
      request = row->request;
    }
    const char *before = cft_revs_get(seen, row->id, &deleted);
    doubles += before && strcmp(before, rev) == 0;
    cft_revs_put(seen, row->id, rev, deleted);
  }
  cft_revs_free(seen);
  return doubles;
}
