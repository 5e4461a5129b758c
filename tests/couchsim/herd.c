/*
 * A thousand followers are live when their server goes away for two hours of
 * virtual time. When it is back all are live again within retry_max_ms and the
 * time of an answer, and they do not come at once. Followers do not meet each
 * other, so that each lives through its hours alone, one after the other.
 */
#include "herd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "str.h"

enum {
  FOLLOWERS = 1000,
  AWAY_MS = 2 * 3600 * 1000,
  CALM_MS = 60000, /* live before it goes away */
  RETRY_MAX_MS = 60000,
  ANSWER_MS = 20,
  CONNECT_MS = 10000, /* until libcurl gives up */
  SLACK_MS = 65000,   /* what a header may take */
  PARTS = 10,         /* of the window, to see whether they come spread */
  RETRY_AFTER_S = 10
};

/* How a server that is away meets a request. */
typedef enum herd_away {
  AWAY_REFUSED,   /* at once */
  AWAY_SILENT,    /* no connection comes about, as libcurl finds in time */
  AWAY_OVERLOADED /* 503 with Retry-After */
} herd_away;

/* One follower and its connection. */
typedef struct follower {
  changefeed *feed;
  herd_away away;
  int64_t now_ms, gone_ms, back_ms;
  struct {
    bool open;
    cfi_ask ask;
    int64_t answer_ms; /* CFI_NEVER: answered, or never */
    bool away;         /* asked while the server was */
  } lane[2];
  int64_t first_ms, live_ms; /* after it is back; CFI_NEVER */
  uint64_t asked_away;
} follower;

/* ---- the network ---- */

static bool is_away(const follower *o) {
  return o->now_ms >= o->gone_ms && o->now_ms < o->back_ms;
}

static int start(void *ctx, const cfi_request *request, cfi_error *error) {
  follower *o = ctx;
  bool away = is_away(o);
  int which = request->side;

  (void)error;
  if (away)
    o->asked_away++;
  else if (o->now_ms >= o->back_ms && o->first_ms == CFI_NEVER)
    o->first_ms = o->now_ms;
  o->lane[which].open = true;
  o->lane[which].ask = request->ask;
  o->lane[which].away = away;
  o->lane[which].answer_ms = o->now_ms + ANSWER_MS;
  if (away && o->away == AWAY_SILENT)
    o->lane[which].answer_ms = o->now_ms + CONNECT_MS;
  return CHANGEFEED_OK;
}

static void cancel(void *ctx, bool side) {
  ((follower *)ctx)->lane[side].open = false;
}

static void unblock(void *ctx) { (void)ctx; }

static cfi_lane *lane_of(follower *o, int which) {
  return which == 0 ? &o->feed->main : &o->feed->side;
}

static void done(follower *o, int which, int code) {
  cfi_outcome outcome = {.code = code, .text = "the simulated network"};

  o->lane[which].open = false;
  cfi_feed_note_done(o->feed, lane_of(o, which), &outcome);
}

static const char *body_of(cfi_ask ask) {
  switch (ask) {
  case CFI_ASK_SERVER:
    return "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\",\"uuid\":\"u\"}\n";
  case CFI_ASK_DATABASE:
    return "{\"db_name\":\"db\",\"instance_start_time\":\"1700000000\","
           "\"update_seq\":\"1-a\"}\n";
  case CFI_ASK_CATCHUP:
    return "{\"results\":[\n],\n\"last_seq\":\"1-a\",\"pending\":0}\n";
  default:
    return "\n";
  }
}

static void answer(follower *o, int which) {
  cfi_lane *l = lane_of(o, which);
  const char *body = body_of(o->lane[which].ask);
  cfi_head head = {.status = 200, .cookie_age_ms = -1};
  bool fail;

  o->lane[which].answer_ms = CFI_NEVER;
  if (o->lane[which].away && o->away != AWAY_OVERLOADED) {
    done(o, which, CHANGEFEED_ERR_NETWORK);
    return;
  }
  if (o->lane[which].away) {
    char text[CFI_INT_TEXT];

    (void)cfi_str_from_int(text, RETRY_AFTER_S);
    head.status = 503;
    head.retry_after = text;
    body = "busy";
    cfi_feed_note_connected(o->feed, l);
    cfi_feed_note_head(o->feed, l, &head);
  } else {
    cfi_feed_note_connected(o->feed, l);
    cfi_feed_note_head(o->feed, l, &head);
  }
  (void)cfi_feed_receive(o->feed, l, body, strlen(body), &fail);
  if (head.status != 200 || o->lane[which].ask != CFI_ASK_LIVE)
    done(o, which, CHANGEFEED_OK);
  else
    o->lane[which].answer_ms = o->now_ms + 5000; /* a heartbeat */
}

static void beat(follower *o) {
  bool fail;

  (void)cfi_feed_receive(o->feed, &o->feed->main, "\n", 1, &fail);
  o->lane[0].answer_ms = o->now_ms + 5000;
}

/* ---- a follower's hours ---- */

static int64_t now(void *ctx) { return ((follower *)ctx)->now_ms; }

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed, (void)change, (void)user;
  return CHANGEFEED_CONTINUE;
}

static bool open_feed(follower *o, const cfi_alloc *alloc, uint64_t seed) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  cfi_feed_config config = {.alloc = alloc, .seed = seed};
  changefeed_options *options = NULL;
  cfi_error error;
  bool ok;

  callbacks.on_change = on_change;
  callbacks.user = o;
  config.clock = (cfi_clock){now, now, o};
  config.world = (cfi_world){start, cancel, unblock, o};
  ok = changefeed_options_new(&options) == CHANGEFEED_OK &&
       changefeed_options_set(options, "url", "http://127.0.0.1:5984/db") ==
           CHANGEFEED_OK &&
       changefeed_options_set_callbacks(options, &callbacks) == CHANGEFEED_OK &&
       cfi_feed_new(&o->feed, options, &config, &error) == CHANGEFEED_OK;
  changefeed_options_free(options);
  return ok;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t next_ms(const follower *o) {
  int64_t at = cfi_feed_deadline(o->feed);

  for (int which = 0; which < 2; which++)
    if (o->lane[which].open)
      at = least(at, o->lane[which].answer_ms);
  if (o->now_ms < o->gone_ms)
    at = least(at, o->gone_ms);
  else if (o->now_ms < o->back_ms)
    at = least(at, o->back_ms);
  return at > o->now_ms ? at : o->now_ms;
}

/* All connections break when the server goes away. */
static void go_away(follower *o) {
  for (int which = 0; which < 2; which++)
    if (o->lane[which].open)
      done(o, which, CHANGEFEED_ERR_NETWORK);
}

static void network(follower *o) {
  for (int which = 0; which < 2; which++) {
    if (!o->lane[which].open || o->now_ms < o->lane[which].answer_ms)
      continue;
    if (lane_of(o, which)->has_head)
      beat(o);
    else
      answer(o, which);
  }
}

/* False: it did not come back, or was not live before. */
static bool live_through(follower *o) {
  bool was_live = false;

  o->first_ms = o->live_ms = CFI_NEVER;
  while (o->live_ms == CFI_NEVER) {
    int64_t before = o->now_ms;

    o->now_ms = next_ms(o);
    if (o->now_ms > o->back_ms + RETRY_MAX_MS + SLACK_MS)
      return false;
    if (before < o->gone_ms && o->now_ms >= o->gone_ms) {
      was_live = o->feed->base_state == CHANGEFEED_STATE_LIVE;
      go_away(o);
    }
    network(o);
    while (cfi_feed_step(o->feed, 16)) {
    }
    if (o->now_ms >= o->back_ms && o->feed->base_state == CHANGEFEED_STATE_LIVE)
      o->live_ms = o->now_ms;
  }
  return was_live;
}

/* ---- all of them ---- */

typedef struct herd_counts {
  unsigned part[PARTS + 1];
  int64_t first_ms, last_ms, live_ms;
  uint64_t asked_away, most_asked;
} herd_counts;

static void count(herd_counts *n, const follower *o) {
  int64_t first = o->first_ms - o->back_ms, part = first * PARTS / RETRY_MAX_MS;

  n->part[part < PARTS ? part : PARTS]++;
  n->first_ms = least(n->first_ms, first);
  if (first > n->last_ms)
    n->last_ms = first;
  if (o->live_ms - o->back_ms > n->live_ms)
    n->live_ms = o->live_ms - o->back_ms;
  n->asked_away += o->asked_away;
  if (o->asked_away > n->most_asked)
    n->most_asked = o->asked_away;
}

/* Spread: from the first to the last it takes half the window, and no tenth of
   it sees more than three times its share. */
static bool judge(const herd_counts *n, const char *name) {
  unsigned most = 0;
  bool ok;

  for (int i = 0; i <= PARTS; i++)
    if (n->part[i] > most)
      most = n->part[i];
  ok = n->last_ms - n->first_ms >= RETRY_MAX_MS / 2 &&
       most <= 3 * FOLLOWERS / PARTS;
  (void)printf("%s: %d followers, first requests %" PRId64 " to %" PRId64
               " ms after it is back, at most %u in a tenth of %d ms; all live "
               "after %" PRId64 " ms; %" PRIu64 " requests while it was away, "
               "at most %" PRIu64 " of one\n",
               name, FOLLOWERS, n->first_ms, n->last_ms, most, RETRY_MAX_MS,
               n->live_ms, n->asked_away, n->most_asked);
  if (!ok)
    (void)printf("%s: they come too close together\n", name);
  return ok;
}

static bool one_herd(herd_away away, const char *name, uint64_t seed) {
  herd_counts n = {.first_ms = CFI_NEVER};
  bool ok = true;
  cfi_alloc alloc;

  if (!cfi_alloc_init(&alloc, NULL))
    return false;
  for (uint64_t i = 0; i < FOLLOWERS && ok; i++) {
    follower o = {.away = away, .now_ms = 1000000};

    o.gone_ms = o.now_ms + CALM_MS;
    o.back_ms = o.gone_ms + AWAY_MS;
    ok = open_feed(&o, &alloc, seed + i + 1) && live_through(&o);
    if (ok)
      count(&n, &o);
    else
      (void)printf("%s: follower %" PRIu64 " is not back\n", name, i);
    if (o.feed != NULL)
      cfi_feed_free(o.feed, false);
  }
  return ok && judge(&n, name);
}

bool sim_herd(uint64_t seed) {
  bool refused = one_herd(AWAY_REFUSED, "refused", seed);
  bool silent = one_herd(AWAY_SILENT, "silent", seed);
  bool overloaded = one_herd(AWAY_OVERLOADED, "overloaded", seed);

  return refused && silent && overloaded;
}
