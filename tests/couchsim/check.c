/*
 * The rules: what a follower may not do, whatever the world does to it. Each is
 * told from the outside, by what the application and the server see, with a
 * second bookkeeping of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum {
  RATE_MS = 1000,
  STOP_MS = 100,
  HEALTHY_MS = 60000,
  STEPS_MAX = 100,
  FLUSH_MS = 10000 /* enough to save the last position in health */
};

/* ---- rows: none invented, none of another history without a word ---- */

static void check_history(sim *s, unsigned tag) {
  if (!s->app_knows_tag || tag == s->app_tag)
    return;
  sim_violate(s, "rows of history %u after those of %u without a reset", tag,
              s->app_tag);
}

static bool has_conflict(changefeed_str id) {
  int64_t doc;

  return cfi_str_to_int(id.data + 3, id.len - 3, &doc) && doc % 4 == 0;
}

void sim_check_row(sim *s, const changefeed_change *change, unsigned *tag,
                   unsigned *doc, uint32_t *number) {
  const sim_update *u;
  char id[3 + CFI_INT_TEXT] = "doc";

  size_t revs = 1;

  if (s->stopping || s->refuses_reset)
    sim_violate(s, "a row after stop, or after a reset that was refused");
  if (s->began_damaged && !s->damage_known)
    sim_violate(s, "a row, and not a word of the damaged position");
  if (change->id.len > 3 && s->config.all_docs)
    revs = has_conflict(change->id) ? 2 : 1;
  if (change->rev_count != revs ||
      !sim_rev_parse(&s->model, change->revs[0].data, tag, doc, number)) {
    sim_violate(s, "a row that nobody wrote: %.*s", (int)change->row.len,
                change->row.data);
    return;
  }
  u = sim_model_update(&s->model, *tag, sim_model_shard(&s->model, *doc),
                       *number);
  (void)cfi_str_from_int(id + 3, *doc);
  if (!cfi_str_equal(change->id, id) ||
      u->deleted != ((change->flags & CHANGEFEED_DELETED) != 0) ||
      s->config.include_docs != ((change->flags & CHANGEFEED_DOC) != 0))
    sim_violate(s, "a row is not as it was written: %.*s", (int)change->row.len,
                change->row.data);
  if (change->row.data[change->row.len] != '\0')
    sim_violate(s, "a row is not terminated");
  check_history(s, *tag);
}

/* ---- live: only when the server has said so, and it is true ---- */

void sim_check_live(sim *s) {
  const sim_conn *c = &s->conn;

  if (s->live_known)
    return;
  s->live_known = s->pinned = true;
  if (c->ask != CFI_ASK_CATCHUP || !c->tail_written ||
      c->delivered < c->tail_at) {
    sim_violate(s, "live before the server has said so");
    return;
  }
  if (c->plan.end_rows != 0 && c->pending > 0 && c->rows != 0 &&
      !s->config.filtered)
    sim_violate(s, "live although %lld are pending", (long long)c->pending);
  for (unsigned doc = 0; doc < SIM_DOCS; doc++)
    if (sim_doc_wanted(s, c->tag, doc) &&
        c->snapshot[doc] > s->seen[c->tag][doc] &&
        (c->tag != s->baseline_tag ||
         c->snapshot[doc] > s->baseline.at[sim_model_shard(&s->model, doc)]) &&
        c->plan.end_rows == 0)
      sim_violate(s, "live without update %u of doc%u",
                  (unsigned)c->snapshot[doc], doc);
}

/* ---- positions ---- */

static uint64_t first_unacked(const sim *s) {
  return s->given_head < s->given_count ? s->given[s->given_head].ordinal
                                        : s->ordinal + 1;
}

/* The first document whose last update before the position is not
   acknowledged, in this life or an earlier one; SIM_DOCS: none. */
static unsigned not_covered(const sim *s, unsigned tag, sim_vec vec) {
  unsigned doc = 0;

  for (; doc < SIM_DOCS; doc++) {
    uint32_t latest = s->model.history[tag].latest[doc];

    if (sim_doc_wanted(s, tag, doc) &&
        latest <= vec.at[sim_model_shard(&s->model, doc)] &&
        s->acked[tag][doc] < latest)
      break;
  }
  return doc;
}

/* The position was stated by the server, behind rows that are all acknowledged.
   Two histories may have written it the same way. */
static void check_place(sim *s, const char *seq) {
  bool stated = false;
  uint64_t limit;

  while (s->given_head < s->given_count && s->given[s->given_head].acked)
    s->given_head++;
  limit = first_unacked(s);
  for (size_t i = s->place_count; i-- != 0;) {
    const sim_place *p = &s->places[i];
    unsigned tag = p->tag;
    sim_vec vec;

    if (p->ordinal >= limit || strcmp(p->text, seq) != 0)
      continue;
    stated = true;
    if (sim_seq_parse(&s->model, seq, &tag, &vec) &&
        not_covered(s, tag, vec) == SIM_DOCS) {
      s->place = *p;
      s->place.tag = tag;
      s->place.baseline = s->baseline;
      s->place.baseline_tag = s->baseline_tag;
      return;
    }
  }
  sim_violate(s,
              stated ? "saved %s although not all before it is acknowledged "
                       "(%llu)"
                     : "saved %s, which is beyond row %llu, not acknowledged",
              seq, (unsigned long long)first_unacked(s));
}

void sim_check_saved(sim *s, const char *data, size_t len) {
  cfi_checkpoint c = {0};
  cfi_error error;

  if (cfi_checkpoint_decode(&s->quiet_alloc, data, len, &c, &error) !=
      CHANGEFEED_OK) {
    sim_violate(s, "saved what cannot be read: %s", error.text);
    return;
  }
  sim_trail(s, "save %s", c.seq != NULL ? c.seq : "(none)");
  if (c.seq == NULL)
    sim_violate(s, "saved no position");
  else
    check_place(s, c.seq);
  cfi_checkpoint_free(&s->quiet_alloc, &c);
}

/* Does a feed from here show nothing more? */
static bool is_end(const sim *s, unsigned tag, sim_vec vec) {
  for (unsigned doc = 0; doc < SIM_DOCS; doc++)
    if (sim_doc_matches(s, doc) && s->model.history[tag].latest[doc] >
                                       vec.at[sim_model_shard(&s->model, doc)])
      return false;
  return tag == sim_model_tag(&s->model);
}

/* The record that is kept; false: none that can be read. */
static bool kept(const sim *s, cfi_checkpoint *c, unsigned *tag) {
  char *of_document = NULL;
  const char *data = s->record.data;
  size_t len = s->record.len;
  cfi_error error;
  bool ok;

  *tag = s->record.place.tag;
  if (s->config.couch) {
    *tag = s->position.place.tag;
    if (s->position.text != NULL)
      of_document = sim_local_record(s, s->position.text);
    data = of_document;
    len = data != NULL ? strlen(data) : 0;
  }
  ok = data != NULL && cfi_checkpoint_decode(&s->quiet_alloc, data, len, c,
                                             &error) == CHANGEFEED_OK;
  free(of_document);
  return ok;
}

/* In the database it is kept at the end only when there was time to. */
static bool is_kept_at_end(const sim *s) {
  const sim_config *c = &s->config;

  return !c->couch ||
         ((c->flush_on_stop || c->once) && c->flush_ms >= FLUSH_MS &&
          s->save_is_sure && !c->read_only && !s->intruded);
}

void sim_check_final_position(sim *s) {
  sim_vec vec = {{0}};
  unsigned tag;
  cfi_checkpoint c = {0};

  if (!is_kept_at_end(s) || (!s->config.couch && s->record.damaged))
    return;
  if (!kept(s, &c, &tag) || c.seq == NULL ||
      !sim_seq_parse(&s->model, c.seq, &tag, &vec))
    sim_violate(s, "no position is kept at the end");
  else if (s->config.seq_interval == 1 &&
           !(s->config.marks && s->ends_unconfirmed) &&
           !(s->config.once && s->config.fault != 0) && !is_end(s, tag, vec))
    sim_violate(s, "the position kept at the end is behind: %s", c.seq);
  cfi_checkpoint_free(&s->quiet_alloc, &c);
}

/* ---- another history ---- */

void sim_check_reset(sim *s, const char *reason) {
  bool another = s->model.histories > 1;

  if (strstr(reason, "created anew") != NULL
          ? (s->config.identity == SIM_IDENTITY_CHANGING && !s->hidden) ||
                (s->config.identity == SIM_IDENTITY_TRUE && !another) ||
                s->config.identity == SIM_IDENTITY_ZERO
      : strstr(reason, "gone and is there") != NULL
          ? !s->missed || (s->config.identity == SIM_IDENTITY_TRUE &&
                           s->model.histories <= 3)
      : strstr(reason, "ahead of") != NULL
          ? !another || s->model.seqs != SIM_SEQ_NUMBER
      : strstr(reason, "marker") != NULL ? !s->config.marks || !another
      : strstr(reason, "another server") != NULL
          ? s->config.foreign_node == 0 ||
                (s->app_knows_tag && s->app_uuid == s->answer_uuid)
      : strstr(reason, "damaged") != NULL              ? !s->began_damaged
      : strstr(reason, "refused the position") != NULL ? !s->refused_since
                                                       : true)
    sim_violate(s, "a reset for no reason: %s", reason);
  if (s->resets_this_life > 1 && s->answer_tag == s->reset_tag &&
      strstr(reason, "gone and is there") == NULL &&
      strstr(reason, "another server") == NULL && s->reset_seen &&
      !(s->config.identity == SIM_IDENTITY_CHANGING && s->hidden))
    sim_violate(s, "two resets for one change: %s", reason);
  s->reset_tag = s->answer_tag;
  s->reset_seen = strstr(reason, "damaged") == NULL;
}

/* ---- requests ---- */

void sim_check_request_end(sim *s) {
  const cfi_buf *resume = &s->feed->resume;
  bool moved =
      s->conn.ask >= CFI_ASK_CATCHUP &&
      (strlen(s->conn.since_text) != resume->len ||
       memcmp(s->conn.since_text, cfi_buf_data(resume), resume->len) != 0);

  sim_rate_response(s, s->request_rows != 0 || moved);
  s->checks = 0;
}

/* The last position may be saved behind the end, when that was asked for. */
static void ask(sim *s, bool save) {
  if (s->stopping && !(save && s->config.couch && s->config.flush_on_stop))
    sim_violate(s, "a request after stop");
}

void sim_check_request_begin(sim *s) {
  sim_check_request_end(s);
  s->request_rows = 0;
  s->told_to_wait = false;
  ask(s, false);
}

/* Checks only about what has begun to answer. */
void sim_check_side_begin(sim *s, cfi_ask what) {
  bool check = sim_is_check(what);

  s->counts.checks++;
  if (check && (!s->conn.head_told || s->conn.status != 200))
    sim_violate(s, "a second request beside one that has not begun to answer");
  if (check && ++s->checks > SIM_CHECKS)
    sim_violate(s, "asks more than %d times about one response", SIM_CHECKS);
  ask(s, !check);
}

/* ---- what is done twice ---- */

void sim_check_loaded(sim *s, const sim_place *place) {
  unsigned tag = place != NULL ? place->tag : 0;
  sim_vec vec = {{0}};

  s->counts.loads += place != NULL;
  s->app_knows_tag = place != NULL;
  s->app_tag = tag;
  s->app_uuid = place != NULL ? place->uuid : 0;
  s->pinned = place != NULL;
  s->position.foreign = s->intruded = false;
  s->save_is_sure = true;
  if (place != NULL)
    (void)sim_seq_parse(&s->model, place->text, &tag, &vec);
  s->start = vec;
  if (place != NULL) {
    s->baseline = place->baseline;
    s->baseline_tag = place->baseline_tag;
  }
  s->at_risk = place != NULL ? 0 : UINT64_MAX / 2;
  for (unsigned doc = 0; doc < SIM_DOCS; doc++)
    s->at_risk +=
        s->before[s->app_tag][doc] > vec.at[sim_model_shard(&s->model, doc)];
}

/* Without faults of the server a row comes again only when its position was not
   safe before the crash, and once. */
void sim_check_again(sim *s, unsigned tag, unsigned doc, uint32_t number) {
  if (s->config.fault != 0 || s->config.no_memory != 0 ||
      s->config.seq_interval != 1 || s->resets_this_life != 0 ||
      !s->app_knows_tag || tag != s->app_tag)
    return;
  if (number <= s->start.at[sim_model_shard(&s->model, doc)])
    sim_violate(s, "update %u of doc%u comes again, and its position was safe",
                (unsigned)number, doc);
  if (++s->again > s->at_risk)
    sim_violate(s, "%llu rows come again, %llu were behind the position",
                (unsigned long long)s->again, (unsigned long long)s->at_risk);
}

/* A row, or a minute of stream, ends a series of failures; an answer does
   not. */
static void check_series(sim *s, unsigned attempt) {
  if (s->rows_since_failure || (s->stream_at_ms != CFI_NEVER &&
                                s->byte_at_ms - s->stream_at_ms >= HEALTHY_MS))
    s->failures = 0;
  s->failures++;
  s->rows_since_failure = false;
  s->stream_at_ms = CFI_NEVER;
  if (attempt < s->failures)
    sim_violate(s, "counts %u failures in a row, there were %u", attempt,
                s->failures);
}

void sim_check_waiting(sim *s, const changefeed_event *event) {
  int64_t most = s->config.retry_max_ms, delay_ms = event->delay_ms;

  if (most < RATE_MS)
    most = RATE_MS;
  if (most < s->retry_answer_ms)
    most = s->retry_answer_ms;
  if (s->told_to_wait && most < 30000)
    most = 30000;
  if (delay_ms > most || delay_ms < 0)
    sim_violate(s, "waits %lld ms, at most %lld are allowed",
                (long long)delay_ms, (long long)most);
  check_series(s, event->attempt);
}

/* ---- the end of a life ---- */

void sim_check_failed(sim *s, const changefeed_error *error) {
  bool allowed = s->config.retry_limit != 0 || s->gave_up ||
                 (error->code == CHANGEFEED_ERR_RESET && s->refuses_reset) ||
                 (error->code == CHANGEFEED_ERR_NOTFOUND && s->missed);

  s->counts.fails++;
  if (!allowed)
    sim_violate(s, "failed: %s", error->message);
}

/* ---- after each step ---- */

static void check_memory(sim *s) {
  size_t most = (size_t)s->config.max_row + (size_t)s->config.max_queue;

  if (most < SIM_PIECE_MAX)
    most = SIM_PIECE_MAX;
  if (s->feed->queue.len > most || s->feed->queue.cap > 2 * most)
    sim_violate(s, "%zu bytes in %zu are queued", s->feed->queue.len,
                s->feed->queue.cap);
}

static int64_t stop_patience_ms(const sim *s) {
  if (s->config.couch && s->config.flush_on_stop)
    return STOP_MS + s->config.flush_ms;
  return 0; /* with the first step that sees it */
}

void sim_check_step(sim *s) {
  changefeed *f = s->feed;
  bool live = f->base_state == CHANGEFEED_STATE_LIVE;

  s->counts.steps++;
  if (s->dead)
    return;
  if (s->step_ms != s->now_ms)
    s->steps_now = 0;
  s->step_ms = s->now_ms;
  /* A deadline that is over again right behind the step. */
  if (cfi_feed_deadline(f) <= s->now_ms && ++s->steps_now > STEPS_MAX)
    sim_violate(s, "steps for ever at one instant");
  if (live && !s->was_live)
    s->counts.lives++;
  if (live)
    sim_check_live(s);
  else
    s->live_known = false;
  s->was_live = live;
  check_memory(s);
  s->marker_given_up = s->marker_given_up || f->marker_refused;
  /* Whoever holds a row has the feed wait. */
  if (s->stopping && !f->lent &&
      s->now_ms - s->stop_ms >= stop_patience_ms(s) &&
      (!cfi_feed_over(f) || s->conn.open || s->side.open))
    sim_violate(s, "not over after stop");
  if (cfi_feed_over(f) && (s->conn.open || s->side.open))
    sim_violate(s, "over, with a connection");
}

bool sim_check_complete(const sim *s) {
  unsigned tag = sim_model_tag(&s->model);

  for (unsigned doc = 0; doc < SIM_DOCS; doc++)
    if (sim_doc_wanted(s, tag, doc) &&
        s->acked[tag][doc] != s->model.history[tag].latest[doc])
      return false;
  return true;
}
