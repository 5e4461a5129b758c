/*
 * The application: takes rows, acknowledges them in any order and late, keeps
 * the position in memory of its own, pauses, gives up, crashes.
 */
#include <string.h>

#include "sim.h"
#include "support/mem.h"

/* ---- the store ---- */

static int load(void *ctx, const char *key,
                int (*put)(void *sink, const char *data, size_t len),
                void *sink) {
  sim *s = ctx;

  (void)key;
  return s->record.data != NULL ? put(sink, s->record.data, s->record.len) : 0;
}

static void keep_record(sim *s, const char *data, size_t len) {
  free(s->record.data);
  s->record.data = cft_memdup(data, len);
  s->record.len = len;
  s->record.place = s->place;
  s->record.damaged = false;
}

static int save(void *ctx, const char *key, const char *data, size_t len) {
  sim *s = ctx;

  (void)key;
  if (s->dead)
    return -1;
  sim_check_saved(s, data, len);
  if (!s->healing && sim_chance(s, s->config.save_fault)) {
    s->counts.save_faults++;
    sim_trail(s, "save fails");
    return -1;
  }
  /* A crash before the bytes are safe, and one right behind it. */
  if (!s->healing && s->config.may_crash && sim_chance(s, 2)) {
    s->dead = true;
    if (sim_chance(s, 500))
      keep_record(s, data, len);
    sim_trail(s, "crash inside a save");
    return 0;
  }
  s->counts.saves++;
  keep_record(s, data, len);
  return 0;
}

/* ---- rows ---- */

static void add_place(sim *s, const char *seq, uint64_t ordinal, unsigned tag) {
  sim_place *p;

  if (seq[0] == '\0')
    return;
  s->places =
      cft_room(s->places, s->place_count, &s->place_cap, sizeof *s->places);
  p = &s->places[s->place_count++];
  p->ordinal = ordinal;
  p->tag = tag;
  p->uuid = sim_node_uuid(s, s->conn.node);
  memcpy(p->text, seq, sizeof p->text);
}

static void copy_seq(sim *s, changefeed_str seq, char out[SIM_SEQ_TEXT]) {
  memset(out, 0, SIM_SEQ_TEXT);
  if (seq.len >= SIM_SEQ_TEXT)
    sim_violate(s, "a seq of %zu bytes", seq.len);
  else if (seq.data != NULL)
    memcpy(out, seq.data, seq.len);
}

/* From now on the application would not want this row again. */
static void settle(sim *s, sim_given *g) {
  if (g->acked)
    return;
  g->acked = true;
  if (g->number > s->acked[g->tag][g->doc])
    s->acked[g->tag][g->doc] = g->number;
}

/* A row is the application's. */
static void taken(sim *s, const sim_given *row, const char *seq) {
  sim_given *g;

  s->given =
      cft_room(s->given, s->given_count, &s->given_cap, sizeof *s->given);
  g = &s->given[s->given_count++];
  *g = *row;
  if (g->number > s->seen[g->tag][g->doc])
    s->seen[g->tag][g->doc] = g->number;
  add_place(s, seq, g->ordinal, g->tag);
  if (!s->config.manual) {
    settle(s, g);
    s->given_head = s->given_count;
  }
  if (s->app_knows_tag && s->app_uuid != sim_node_uuid(s, s->conn.node) &&
      !s->hidden)
    sim_violate(s, "rows of another server without a reset");
  s->app_uuid = sim_node_uuid(s, s->conn.node);
  if (s->config.limit != 0 && ++s->rows_this_life > s->config.limit)
    sim_violate(s, "%lld rows, %lld were asked for",
                (long long)s->rows_this_life, (long long)s->config.limit);
  s->pinned = s->pinned || seq[0] != '\0';
  s->app_tag = g->tag;
  s->app_knows_tag = true;
  s->ordinal = g->ordinal;
  s->counts.rows++;
  if (g->number <= s->before[g->tag][g->doc])
    sim_check_again(s, g->tag, g->doc, g->number);
  s->request_rows++;
  s->rows_since_failure = true;
}

static void acknowledge(sim *s, size_t index, bool all) {
  uint64_t ordinal = s->given[index].ordinal;
  bool known = all ? cfi_window_ack(&s->feed->window, ordinal)
                   : cfi_window_ack_one(&s->feed->window, ordinal);

  if (!known)
    sim_violate(s, "row %llu cannot be acknowledged",
                (unsigned long long)ordinal);
  for (size_t i = all ? s->given_head : index; i <= index; i++)
    settle(s, &s->given[i]);
  sim_trail(s, "ack %s %llu", all ? "up to" : "one",
            (unsigned long long)ordinal);
  atomic_fetch_or(&s->feed->mail, (unsigned)CFI_MAIL_ACK);
  s->poke = true;
}

void sim_app_ack_some(sim *s) {
  size_t open = s->given_count - s->given_head, index;

  if (!s->config.manual || open == 0)
    return;
  index = s->given_head + (size_t)sim_pick(s, open);
  if (!s->given[index].acked)
    acknowledge(s, index, sim_chance(s, 400));
  while (s->given_head < s->given_count && s->given[s->given_head].acked)
    s->given_head++;
}

void sim_app_ack_all(sim *s) {
  if (s->config.manual && s->given_head < s->given_count) {
    acknowledge(s, s->given_count - 1, true);
    s->given_head = s->given_count;
  }
}

/* The first row is done with, and all the same to come again. Whoever has said
   so has it. */
static void acknowledge_and_refuse(sim *s, const changefeed_change *change) {
  unsigned tag = 0, doc = 0;
  uint32_t number = 0;
  char seq[SIM_SEQ_TEXT];

  sim_check_row(s, change, &tag, &doc, &number);
  copy_seq(s, change->seq, seq);
  add_place(s, seq, change->ordinal - 1, tag);
  if (number > s->acked[tag][doc])
    s->acked[tag][doc] = number;
  if (!cfi_window_ack_one(&s->feed->window, change->ordinal))
    sim_violate(s, "row %llu cannot be acknowledged",
                (unsigned long long)change->ordinal);
  atomic_fetch_or(&s->feed->mail, (unsigned)CFI_MAIL_ACK);
  sim_trail(s, "ack of a row not taken");
}

static int verdict(sim *s) {
  const sim_config *c = &s->config;

  if (s->healing)
    return CHANGEFEED_CONTINUE;
  if (c->may_crash && sim_chance(s, 2)) {
    s->dead = true;
    sim_trail(s, "crash inside a callback");
    return CHANGEFEED_CONTINUE;
  }
  if (sim_chance(s, c->later)) {
    s->counts.laters++;
    s->resume_at_ms = s->now_ms + sim_between(s, 0, 60000);
    return CHANGEFEED_LATER;
  }
  if (sim_chance(s, c->give_up)) {
    s->gave_up = true;
    return -7;
  }
  if (sim_chance(s, c->stop_verdict))
    return CHANGEFEED_STOP;
  if (sim_chance(s, c->pause)) {
    atomic_store(&s->feed->paused, true);
    s->counts.pauses++;
    s->resume_at_ms = s->now_ms + sim_between(s, 0, 60000);
  }
  return CHANGEFEED_CONTINUE;
}

static int take(sim *s, const changefeed_change *const *changes, size_t count) {
  unsigned tag = 0, doc = 0;
  uint32_t number = 0;
  int answer;

  if (s->dead)
    return CHANGEFEED_CONTINUE;
  for (size_t i = 0; i < count && !s->violated; i++) {
    if (changes[i]->ordinal != s->ordinal + 1 + i)
      sim_violate(s, "ordinal %llu after %llu",
                  (unsigned long long)changes[i]->ordinal,
                  (unsigned long long)(s->ordinal + i));
    sim_check_row(s, changes[i], &tag, &doc, &number);
  }
  answer = verdict(s);
  sim_trail(s, "%zu rows up to %llu (doc%u, update %u): %d", count,
            (unsigned long long)(s->ordinal + count), doc, (unsigned)number,
            answer);
  if (answer == CHANGEFEED_LATER && s->config.manual && sim_chance(s, 300))
    acknowledge_and_refuse(s, changes[0]);
  if (s->dead || s->violated ||
      (answer != CHANGEFEED_CONTINUE && answer != CHANGEFEED_STOP))
    return answer;
  for (size_t i = 0; i < count; i++) {
    char seq[SIM_SEQ_TEXT];

    sim_check_row(s, changes[i], &tag, &doc, &number);
    copy_seq(s, changes[i]->seq, seq);
    taken(s, &(sim_given){changes[i]->ordinal, tag, doc, number, false}, seq);
  }
  /* Workers may be done before the callback is. */
  if (s->config.manual && !s->healing && sim_chance(s, 100))
    acknowledge(s, s->given_count - 1, false);
  return answer;
}

void sim_app_pull(sim *s) {
  const changefeed_change *change;
  sim_given *g = &s->lent_row;

  s->pull_at_ms = s->now_ms + (s->healing ? 1 : sim_between(s, 1, 3000));
  if (s->lent)
    taken(s, g, s->lent_seq);
  s->lent = false;
  change = cfi_feed_lend(s->feed);
  s->poke = true;
  if (change == NULL) {
    s->pull_at_ms = CFI_NEVER; /* until something happens */
    return;
  }
  if (change->ordinal != s->ordinal + 1)
    sim_violate(s, "ordinal %llu after %llu",
                (unsigned long long)change->ordinal,
                (unsigned long long)s->ordinal);
  *g = (sim_given){.ordinal = change->ordinal};
  sim_check_row(s, change, &g->tag, &g->doc, &g->number);
  copy_seq(s, change->seq, s->lent_seq);
  s->lent = true;
  sim_trail(s, "row %llu lent (doc%u, update %u)",
            (unsigned long long)g->ordinal, g->doc, (unsigned)g->number);
}

static int on_change(changefeed *feed, const changefeed_change *change,
                     void *user) {
  (void)feed;
  return take(user, &change, 1);
}

static int on_batch(changefeed *feed, const changefeed_change *const *changes,
                    size_t count, void *user) {
  (void)feed;
  return take(user, changes, count);
}

/* ---- the rest ---- */

static void on_state(changefeed *feed, const changefeed_event *event,
                     void *user) {
  sim *s = user;

  (void)feed;
  if (s->dead)
    return;
  sim_trail(s, "state %s%s%s", changefeed_state_name(event->state),
            event->error != NULL ? ": " : "",
            event->error != NULL ? event->error->message : "");
  s->last_state = event->state;
  s->last_code = event->error != NULL ? event->error->code : 0;
  if (event->state == CHANGEFEED_STATE_LIVE)
    sim_check_live(s);
  if (event->state == CHANGEFEED_STATE_WAITING)
    sim_check_waiting(s, event);
  if (event->state == CHANGEFEED_STATE_FAILED) {
    sim_check_failed(s, event->error);
    s->forgets =
        event->error->code == CHANGEFEED_ERR_RESET && s->config.stop_at_reset;
  }
}

static int answer_reset(sim *s) {
  static const int answers[] = {CHANGEFEED_STOP, CHANGEFEED_LATER, -3};
  int answer = CHANGEFEED_CONTINUE;

  if (!s->healing && s->config.odd_answers && sim_chance(s, 200))
    answer = answers[sim_pick(s, 3)];
  s->refuses_reset = s->config.stop_at_reset || answer != CHANGEFEED_CONTINUE;
  s->gave_up = s->gave_up || answer == CHANGEFEED_LATER;
  s->reset_answer = answer;
  return answer;
}

static int64_t on_retry(changefeed *feed, const changefeed_error *error,
                        unsigned attempt, int64_t proposed_ms, void *user) {
  sim *s = user;
  int64_t answer = proposed_ms;

  (void)feed, (void)error, (void)attempt;
  if (s->dead || s->healing || sim_chance(s, 600))
    return proposed_ms;
  switch (sim_pick(s, 8)) {
  case 0:
    s->gave_up = true;
    return -1;
  case 1:
  case 2:
    answer = 0;
    break;
  case 3:
    answer = sim_between(s, 0, 100000);
    break;
  default:
    answer = proposed_ms / 2;
    break;
  }
  if (answer > s->retry_answer_ms)
    s->retry_answer_ms = answer;
  return answer;
}

static int on_request(changefeed *feed, void *user) {
  sim *s = user;

  (void)feed;
  if (s->dead || s->healing || !sim_chance(s, 5))
    return 0;
  s->gave_up = true;
  return -1;
}

static int on_reset(changefeed *feed, const char *reason, void *user) {
  sim *s = user;

  (void)feed;
  if (s->dead)
    return CHANGEFEED_CONTINUE;
  sim_trail(s, "reset: %s", reason);
  s->counts.resets++;
  s->resets_this_life++;
  sim_check_reset(s, reason);
  if (answer_reset(s) != CHANGEFEED_CONTINUE || s->refuses_reset)
    return s->reset_answer;
  s->app_knows_tag = false;
  s->place_count = 0;
  s->given_head = s->given_count; /* what is not acknowledged is forgotten */
  memset(&s->baseline, 0, sizeof s->baseline);
  s->pinned = true; /* from the beginning */
  s->damage_known = true;
  return CHANGEFEED_CONTINUE;
}

static void on_log(changefeed *feed, int level, const char *text, size_t len,
                   void *user) {
  sim *s = user;

  (void)feed;
  (void)len;
  if (!s->dead)
    sim_trail(s, "log %d: %s", level, text);
}

/* ---- lives ---- */

static int64_t now(void *ctx) { return ((sim *)ctx)->now_ms; }

static int64_t wall(void *ctx) { return ((sim *)ctx)->now_ms + 1700000000000; }

static void check(sim *s, int rc, const char *what) {
  if (rc != CHANGEFEED_OK)
    sim_violate(s, "%s: %s", what, changefeed_options_error(s->options));
}

static void make_options(sim *s) {
  changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;
  changefeed_store store = CHANGEFEED_STORE_INIT;

  if (changefeed_options_new(&s->options) != CHANGEFEED_OK)
    abort();
  for (const char *const *o = s->config.options; *o != NULL; o += 2)
    check(s, changefeed_options_set(s->options, o[0], o[1]), o[0]);
  if (s->config.batch)
    callbacks.on_batch = on_batch;
  else if (!s->config.pull)
    callbacks.on_change = on_change;
  callbacks.on_state = on_state;
  callbacks.on_reset = on_reset;
  callbacks.on_log = on_log;
  if (s->config.odd_answers) {
    callbacks.on_retry = on_retry;
    callbacks.on_request = on_request;
  }
  callbacks.user = s;
  check(s, changefeed_options_set_callbacks(s->options, &callbacks),
        "callbacks");
  if (s->config.couch)
    return;
  store.load = load;
  store.save = save;
  store.ctx = s;
  check(s, changefeed_options_set_store(s->options, &store), "store");
}

/* What is seen in a life was given in one before the next. */
static void remember_given(sim *s) {
  for (unsigned tag = 0; tag < SIM_HISTORIES; tag++)
    for (unsigned doc = 0; doc < SIM_DOCS; doc++)
      if (s->seen[tag][doc] > s->before[tag][doc])
        s->before[tag][doc] = s->seen[tag][doc];
}

static void new_life(sim *s) {
  s->dead = s->stopping = s->gave_up = s->was_live = s->live_known = false;
  s->ordinal = 0;
  s->lent = false;
  s->given_count = s->given_head = s->place_count = 0;
  s->resets_this_life = 0;
  s->began_damaged = s->record.damaged;
  s->refuses_reset = s->damage_known = s->reset_seen = false;
  s->retry_answer_ms = s->rows_this_life = 0;
  remember_given(s);
  memcpy(s->seen, s->acked, sizeof s->seen);
  s->again = 0;
  sim_check_loaded(s, s->record.data != NULL ? &s->record.place : NULL);
  s->missing_seen = s->checked_any = false;
  sim_rate_clear(s);
  s->failures = 0;
  s->rows_since_failure = false;
  s->stream_at_ms = CFI_NEVER;
  s->checks = 0;
  s->request_rows = 0;
  s->resume_at_ms = s->stop_step_ms = s->pull_at_ms = CFI_NEVER;
  s->last_state = -1;
}

void sim_app_open(sim *s) {
  cfi_feed_config config = {0};
  cfi_error error;
  int rc;

  new_life(s);
  if (s->options == NULL)
    make_options(s);
  cfi_error_clear(&error);
  config.alloc = &s->alloc;
  config.clock = (cfi_clock){now, wall, s};
  config.seed = cfi_random_next(&s->random) | 1;
  config.world = sim_net_world;
  config.world.ctx = s;
  if (s->violated)
    return;
  rc = cfi_feed_new(&s->feed, s->options, &config, &error);
  if (rc == CHANGEFEED_ERR_NOMEM && s->config.no_memory != 0)
    s->open_at_ms = s->now_ms + 1000;
  else if (rc != CHANGEFEED_OK)
    sim_violate(s, "cannot open: %s", error.text);
  else
    sim_trail(s, "opened, position %.*s", (int)s->feed->resume.len,
              cfi_buf_data(&s->feed->resume));
  s->poke = s->feed != NULL;
}

void sim_app_close(sim *s, bool save_it) {
  if (s->feed == NULL)
    return;
  cfi_feed_free(s->feed, save_it);
  s->feed = NULL;
  /* Whoever does not want to begin again by itself has to forget. */
  if (s->forgets) {
    free(s->record.data);
    s->record = (sim_record){.data = NULL};
  }
  s->forgets = false;
  if (s->conn.open || s->side.open)
    sim_violate(s, "the feed is closed, its connections are not");
}
