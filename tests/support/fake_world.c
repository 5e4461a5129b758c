/*
 * The fake world.
 */
#include "fake_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* ---- what the feed sees ---- */

static const char DATABASE[] =
    "{\"db_name\":\"db\",\"instance_start_time\":\"77\","
    "\"update_seq\":\"9-x\"}";
static const char SERVER[] =
    "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":\"u1\"}";

static void start_side(cft_world *w, const cfi_request *request) {
  ck_assert_msg(!w->side.active, "a second request on the side");
  w->side.active = true;
  w->side.put = request->put;
  w->side.ask = request->ask;
  (void)snprintf(w->side.url, sizeof w->side.url, "%s", request->url);
  (void)snprintf(w->side.body, sizeof w->side.body, "%s",
                 request->body != NULL ? request->body : "");
  w->side_requests++;
}

static int world_start(void *ctx, const cfi_request *request,
                       cfi_error *error) {
  cft_world *w = ctx;

  (void)error;
  if (request->side) {
    start_side(w, request);
    return CHANGEFEED_OK;
  }
  ck_assert_msg(!w->active, "a second request beside the first");
  ck_assert_uint_lt(w->requests, CFT_WORLD_REQUESTS);
  w->request[w->requests].ask = request->ask;
  w->request[w->requests].at_ms = w->now_ms;
  (void)snprintf(w->request[w->requests].url, CFT_WORLD_TEXT, "%s",
                 request->url);
  (void)snprintf(w->request[w->requests].body, CFT_WORLD_TEXT, "%s",
                 request->body != NULL ? request->body : "");
  (void)snprintf(w->request[w->requests].cookie, 64, "%s",
                 request->cookie != NULL ? request->cookie : "");
  w->requests++;
  w->active = true;
  return CHANGEFEED_OK;
}

static void world_cancel(void *ctx, bool side) {
  cft_world *w = ctx;

  if (side) {
    ck_assert_msg(w->side.active, "cancelled what does not run");
    w->side.active = false;
    w->side_cancels++;
    return;
  }
  ck_assert_msg(w->active, "cancelled what does not run");
  w->active = false;
  w->cancels++;
}

static void world_unblock(void *ctx) { ((cft_world *)ctx)->unblocks++; }

static int64_t now(void *ctx) { return ((cft_world *)ctx)->now_ms; }

static int64_t wall(void *ctx) { return ((cft_world *)ctx)->wall_ms; }

/* ---- what the application sees ---- */

static void copy(char *to, size_t size, changefeed_str s) {
  (void)snprintf(to, size, "%s", s.data != NULL ? s.data : "(absent)");
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  cft_world *w = user;

  (void)feed;
  ck_assert_uint_lt(w->rows, CFT_WORLD_ROWS);
  w->row[w->rows].ordinal = change->ordinal;
  w->row[w->rows].flags = change->flags;
  copy(w->row[w->rows].id, 64, change->id);
  copy(w->row[w->rows].seq, 64, change->seq);
  w->row[w->rows].rev[0] = '\0';
  if (change->rev_count != 0)
    copy(w->row[w->rows].rev, 64, change->revs[0]);
  w->rows++;
  return w->verdict;
}

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  cft_world *w = user;
  size_t len = strlen(w->states);

  (void)feed;
  (void)snprintf(w->states + len, sizeof w->states - len, "%s%s",
                 len != 0 ? " " : "", changefeed_state_name(event->state));
  w->last_state = event->state;
  w->last_delay_ms = event->delay_ms;
  w->last_attempt = event->attempt;
  w->last_code = event->error != NULL ? event->error->code : 0;
}

static void on_notice(changefeed *feed, const changefeed_notice *notice,
                      void *user) {
  cft_world *w = user;

  (void)feed;
  w->notice = notice->kind;
  (void)snprintf(w->notice_reason, sizeof w->notice_reason, "%s",
                 notice->reason != NULL ? notice->reason : "");
  if (notice->kind == CHANGEFEED_NOTICE_REWIND)
    w->rewind_rows += notice->rows;
  else
    w->fallbacks++;
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  cft_world *w = user;

  (void)feed;
  w->resets++;
  (void)snprintf(w->reset_reason, sizeof w->reset_reason, "%s", reason);
  return CHANGEFEED_CONTINUE;
}

/* ---- opening and closing ---- */

int cft_world_try(cft_world *w, const cfi_alloc *alloc,
                  const char *const *options) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  cfi_feed_config config = {.seed = 1};
  int rc;

  memset(w, 0, sizeof *w);
  ck_assert(cfi_alloc_init(&w->alloc, NULL));
  if (alloc != NULL)
    w->alloc = *alloc;
  w->now_ms = 1000000;
  w->wall_ms = 1700000000000;
  ck_assert_int_eq(changefeed_options_new(&w->options), CHANGEFEED_OK);
  ck_assert_int_eq(
      changefeed_options_set(w->options, "url", "http://127.0.0.1:5984/db"),
      CHANGEFEED_OK);
  for (; *options != NULL; options += 2) {
    bool list = strcmp(options[0], "endpoint") == 0;

    rc = list ? changefeed_options_add(w->options, options[0], options[1])
              : changefeed_options_set(w->options, options[0], options[1]);
    ck_assert_msg(rc == CHANGEFEED_OK, "%s",
                  changefeed_options_error(w->options));
  }
  callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.on_notice = on_notice;
  callbacks.on_reset = on_reset;
  callbacks.user = w;
  ck_assert_int_eq(changefeed_options_set_callbacks(w->options, &callbacks),
                   CHANGEFEED_OK);
  config.alloc = &w->alloc;
  config.clock = (cfi_clock){now, wall, w};
  config.world = (cfi_world){world_start, world_cancel, world_unblock, w};
  cfi_error_clear(&w->error);
  rc = cfi_feed_new(&w->feed, w->options, &config, &w->error);
  if (rc != CHANGEFEED_OK)
    changefeed_options_free(w->options);
  return rc;
}

void cft_world_open(cft_world *w, const char *const *options) {
  int rc = cft_world_try(w, NULL, options);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", w->error.text);
  cft_world_settle(w);
}

void cft_world_close(cft_world *w) {
  cfi_feed_free(w->feed, true);
  changefeed_options_free(w->options);
}

/* ---- time ---- */

static void settle_feed(cft_world *w) {
  while (cfi_feed_step(w->feed, 16)) {
  }
}

/* Not followed by settling. */
static void side_answer(cft_world *w, int status, const char *body) {
  cfi_head head = {.status = status, .cookie_age_ms = -1};
  cfi_outcome outcome = {.code = CHANGEFEED_OK};
  cfi_lane *lane = &w->feed->side;
  bool fail;

  cfi_feed_note_connected(w->feed, lane);
  cfi_feed_note_head(w->feed, lane, &head);
  if (!cfi_feed_receive(w->feed, lane, body, strlen(body), &fail))
    outcome.code = CHANGEFEED_ERR_NOMEM; /* nothing else refuses here */
  w->side.active = false;
  cfi_feed_note_done(w->feed, lane, &outcome);
}

static bool answer_check(cft_world *w) {
  if (!w->side.active || w->hold_checks)
    return false;
  switch (w->side.ask) {
  case CFI_ASK_SERVER:
    side_answer(w, 200, SERVER);
    return true;
  case CFI_ASK_DATABASE:
    side_answer(w, 200, w->database != NULL ? w->database : DATABASE);
    return true;
  case CFI_ASK_SESSION:
    side_answer(w, 200, "{\"ok\":true,\"userCtx\":{\"name\":\"u\"}}");
    return true;
  case CFI_ASK_MARKER:
    side_answer(w, 200, "{\"_rev\":\"0-1\",\"marker\":\"m\"}");
    return true;
  default:
    return false;
  }
}

void cft_world_settle(cft_world *w) {
  do
    settle_feed(w);
  while (answer_check(w));
}

/* The rate limit may hold the check of a response back. */
static void confirm(cft_world *w) {
  const changefeed *f = w->feed;

  while (!w->hold_checks && f->phase == CFI_PHASE_ACTIVE &&
         cfi_lane_asks_rows(&f->main) && f->main.status == 200 &&
         !f->verified && !(f->main.done && f->queue.len == 0))
    cft_world_to_deadline(w);
}

void cft_world_side_answer(cft_world *w, int status, const char *body) {
  (void)cft_world_side_ask(w);
  side_answer(w, status, body);
  cft_world_settle(w);
}

void cft_world_side_fails(cft_world *w, int code) {
  cfi_outcome outcome = {.code = code, .text = "a test"};

  (void)cft_world_side_ask(w);
  w->side.active = false;
  cfi_feed_note_done(w->feed, &w->feed->side, &outcome);
  cft_world_settle(w);
}

cfi_ask cft_world_side_ask(cft_world *w) {
  if (!w->side.active && !cfi_feed_over(w->feed))
    cft_world_to_deadline(w); /* the rate limit may hold it back */
  ck_assert_msg(w->side.active, "no request on the side (states: %s)",
                w->states);
  return w->side.ask;
}

void cft_world_pass(cft_world *w, int64_t ms) {
  int64_t until = w->now_ms + ms;

  for (;;) {
    int64_t due = cfi_feed_deadline(w->feed);

    if (due > until)
      break;
    if (due > w->now_ms)
      w->now_ms = due;
    cft_world_settle(w);
    ck_assert_msg(cfi_feed_deadline(w->feed) > w->now_ms,
                  "the feed asks to be called again at once, for ever");
  }
  w->now_ms = until;
  cft_world_settle(w);
}

void cft_world_to_deadline(cft_world *w) {
  int64_t due = cfi_feed_deadline(w->feed);

  ck_assert_int_ne(due, CFI_NEVER);
  cft_world_pass(w, due > w->now_ms ? due - w->now_ms : 0);
}

/* ---- answers ---- */

const char *cft_world_url(cft_world *w) {
  /* The rate limit may hold it back, after the wait that a fault cost. */
  for (int i = 0; i < 2 && !w->active && !cfi_feed_over(w->feed); i++)
    cft_world_to_deadline(w);
  ck_assert_msg(w->active, "no request is under way (states: %s)", w->states);
  return w->request[w->requests - 1].url;
}

cfi_ask cft_world_ask(cft_world *w) {
  (void)cft_world_url(w);
  return w->request[w->requests - 1].ask;
}

void cft_world_head(cft_world *w, int status, const char *retry_after) {
  cfi_head head = {.status = status, .cookie_age_ms = -1};

  (void)cft_world_url(w);
  head.retry_after = retry_after;
  if (cft_world_ask(w) == CFI_ASK_LOGIN && status == 200)
    head.cookie = "AuthSession=abc";
  cfi_feed_note_connected(w->feed, &w->feed->main);
  cfi_feed_note_head(w->feed, &w->feed->main, &head);
  cft_world_settle(w);
  confirm(w);
}

bool cft_world_body(cft_world *w, const char *text) {
  bool fail;
  bool taken =
      cfi_feed_receive(w->feed, &w->feed->main, text, strlen(text), &fail);

  ck_assert(!fail);
  cft_world_settle(w);
  return taken;
}

void cft_world_feed(cft_world *w, const char *text) {
  bool fail = false;

  if (!w->active)
    return;
  (void)cfi_feed_receive(w->feed, &w->feed->main, text, strlen(text), &fail);
  if (fail)
    cft_world_done(w, CHANGEFEED_ERR_NOMEM);
  else
    cft_world_settle(w);
}

void cft_world_done(cft_world *w, int code) {
  cfi_outcome outcome = {.code = code, .text = "a test"};

  w->active = false;
  cfi_feed_note_done(w->feed, &w->feed->main, &outcome);
  cft_world_settle(w);
}

void cft_world_answer(cft_world *w, int status, const char *body) {
  cfi_head head = {.status = status, .cookie_age_ms = -1};
  cfi_outcome outcome = {.code = CHANGEFEED_OK};
  bool fail;

  if (cft_world_ask(w) == CFI_ASK_LOGIN && status == 200)
    head.cookie = "AuthSession=abc";
  cfi_feed_note_connected(w->feed, &w->feed->main);
  cfi_feed_note_head(w->feed, &w->feed->main, &head);
  if (!cfi_feed_receive(w->feed, &w->feed->main, body, strlen(body), &fail))
    outcome.code = CHANGEFEED_ERR_NOMEM; /* nothing else refuses here */
  w->active = false;
  cfi_feed_note_done(w->feed, &w->feed->main, &outcome);
  cft_world_settle(w);
  confirm(w);
}

void cft_world_greet(cft_world *w) {
  for (;;) {
    switch (cft_world_ask(w)) {
    case CFI_ASK_LOGIN:
      cft_world_answer(w, 200, "{\"ok\":true}");
      break;
    case CFI_ASK_SERVER:
      cft_world_answer(w, 200, SERVER);
      break;
    case CFI_ASK_DATABASE:
      cft_world_answer(w, 200, w->database != NULL ? w->database : DATABASE);
      break;
    case CFI_ASK_LOAD:
      cft_world_answer(w, 404,
                       "{\"error\":\"not_found\",\"reason\":\"missing\"}");
      break;
    default:
      return;
    }
  }
}
