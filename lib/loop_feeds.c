/*
 * The feeds of a loop: opened, stepped when they are due or told, closed. A
 * heap orders their deadlines, the mail stack takes calls from other threads.
 */
#include <errno.h>

#include "loop.h"

enum {
  ROWS_PER_STEP = 256,
  SPARE_MS = 5,
  COMMONS_MS = 2000,
  /* So many feeds have connections each of its own, kept in a pool that takes
     10 KB. In a larger crowd, those that follow streams share connections for
     what is short, and each has one for its stream. */
  CROWD = 64,
  STREAMS_EACH = 512,
  /* So many may each have the buffer for what is past while they are live. */
  FEW = 8
};

cfi_member *cfi_loop_member(const changefeed *feed) { return feed->host; }

static int64_t due_of(const cfi_seat *s) {
  return s->silence_ms < s->other_ms ? s->silence_ms : s->other_ms;
}

/* When to look at it. That a peer is silent is seen a little late, so that the
   deadlines which ten thousand heartbeats have moved meanwhile are looked at
   together, and not each in a round of its own. */
static int64_t look_ms(const changefeed_loop *loop, const cfi_seat *s) {
  int64_t silence = cfi_clock_about(loop->now_ms, s->silence_ms);

  return silence < s->other_ms ? silence : s->other_ms;
}

static void set_due(cfi_member *m) {
  cfi_seat *seat = &m->loop->seats[m->seat];
  cfi_heap *heap = &m->loop->heap;
  int64_t look;

  seat->silence_ms = cfi_feed_silence_ends(m->feed);
  seat->other_ms = cfi_feed_other_deadline(m->feed);
  look = look_ms(m->loop, seat);
  if (look == CFI_NEVER)
    cfi_heap_remove(heap, m->seat);
  else if (look < cfi_heap_at(heap, m->seat))
    cfi_heap_set(heap, m->seat, look);
}

void cfi_loop_beat(changefeed *feed) {
  cfi_member *m = cfi_loop_member(feed);

  m->loop->seats[m->seat].silence_ms = cfi_feed_silence_ends(feed);
}

/* ---- ready feeds ---- */

void cfi_loop_make_ready(cfi_member *m) {
  changefeed_loop *loop = m->loop;

  if (m->is_ready)
    return;
  m->is_ready = true;
  m->ready_next = NULL;
  m->ready_prev = loop->last_ready;
  if (loop->last_ready != NULL)
    loop->last_ready->ready_next = m;
  else
    loop->ready = m;
  loop->last_ready = m;
  loop->ready_count++;
}

static void unready(cfi_member *m) {
  changefeed_loop *loop = m->loop;

  if (!m->is_ready)
    return;
  m->is_ready = false;
  if (m->ready_prev != NULL)
    m->ready_prev->ready_next = m->ready_next;
  else
    loop->ready = m->ready_next;
  if (m->ready_next != NULL)
    m->ready_next->ready_prev = m->ready_prev;
  else
    loop->last_ready = m->ready_prev;
  loop->ready_count--;
}

void cfi_loop_post(changefeed *feed) {
  cfi_member *m = cfi_loop_member(feed);
  changefeed_loop *loop = m->loop;

  if (!atomic_exchange(&m->posted, true)) {
    cfi_member *head = atomic_load(&loop->mail);

    do
      m->mail_next = head;
    while (!atomic_compare_exchange_weak(&loop->mail, &head, m));
    cfi_driver_wake(loop->driver);
  }
}

void cfi_loop_take_mail(changefeed_loop *loop) {
  cfi_member *m = atomic_exchange(&loop->mail, NULL);

  while (m != NULL) {
    cfi_member *next = m->mail_next; /* read before it may be posted again */

    atomic_store(&m->posted, false);
    cfi_loop_make_ready(m);
    m = next;
  }
}

void cfi_loop_wake_due(changefeed_loop *loop) {
  cfi_heap *heap = &loop->heap;

  while (cfi_heap_first_ms(heap) <= loop->now_ms) {
    size_t who = heap->entries[0].who;
    const cfi_seat *seat = &loop->seats[who];

    if (due_of(seat) > loop->now_ms) {
      cfi_heap_set(heap, who, look_ms(loop, seat));
      continue;
    }
    cfi_heap_remove(heap, who);
    cfi_loop_make_ready(seat->member);
  }
}

void cfi_loop_end_requests(changefeed_loop *loop) {
  for (size_t i = 0; i < loop->member_count; i++) {
    cfi_transfer_starved(&loop->seats[i].member->main);
    cfi_transfer_starved(&loop->seats[i].member->side);
  }
}

static void free_transfers(cfi_member *m) {
  cfi_ramp_leave(m);
  cfi_transfer_free(&m->side);
  cfi_transfer_free(&m->main);
  (void)cfi_transfer_free_pool(&m->pool);
}

void cfi_loop_close_commons(changefeed_loop *loop) {
  bool closed = cfi_transfer_free_pool(&loop->commons);

  if (loop->alive == 0)
    closed = cfi_transfer_free_pool(&loop->sessions) && closed;
  /* A short request may be reading its answer still. */
  loop->commons_due_ms =
      closed ? CFI_NEVER : cfi_clock_after(loop->now_ms, COMMONS_MS);
}

/* Connections in common are for those who come soon. */
static void look_after_commons(changefeed_loop *loop) {
  if (loop->alive == 0)
    cfi_loop_close_commons(loop);
  else if (loop->ramp.held != 0 || loop->commons == NULL)
    loop->commons_due_ms = CFI_NEVER;
  else if (loop->commons_due_ms == CFI_NEVER)
    loop->commons_due_ms = cfi_clock_after(loop->now_ms, COMMONS_MS);
}

static void after_step(cfi_member *m, bool more) {
  changefeed_loop *loop = m->loop;
  changefeed *f = m->feed;

  if (f->closing) {
    cfi_loop_destroy(m, true);
    return;
  }
  if (!m->counted_over && cfi_feed_over(f)) {
    m->counted_over = true;
    loop->alive--;
    free_transfers(m);
  }
  cfi_ramp_settle(m);
  look_after_commons(loop);
  if (more)
    cfi_loop_make_ready(m);
  set_due(m);
}

/* One step; or some, while all steps of this round together took no time to
   speak of: rows that stay in the queue make libcurl copy what comes behind
   them. */
static bool step_feed(changefeed_loop *loop, changefeed *f, int64_t until_ms) {
  bool more;

  do
    more = cfi_feed_step(f, ROWS_PER_STEP);
  while (more && !atomic_load_explicit(&loop->stop, memory_order_relaxed) &&
         cfi_clock_now(&cfi_clock_system) < until_ms);
  return more;
}

/* Each feed that is ready now gets a step; those made ready meanwhile wait
   for the next round, after the sockets were read again. */
bool cfi_loop_step_ready(changefeed_loop *loop) {
  size_t left = loop->ready_count;
  int64_t until_ms = cfi_clock_after(loop->now_ms, SPARE_MS);
  bool any = left != 0;

  while (left-- != 0 && loop->ready != NULL &&
         !atomic_load_explicit(&loop->stop, memory_order_relaxed)) {
    cfi_member *m = loop->ready;
    bool more;

    unready(m);
    loop->stepping = true;
    more = step_feed(loop, m->feed, until_ms);
    loop->stepping = false;
    /* It may have rows left that the stop held back. */
    after_step(m, more || atomic_load(&loop->stop));
  }
  return any;
}

static const changefeed_change *lend(cfi_member *m) {
  changefeed_loop *loop = m->loop;
  const changefeed_change *change;

  loop->stepping = true;
  change = cfi_feed_lend(m->feed);
  loop->stepping = false;
  after_step(m, false);
  return change;
}

/* A row that was received before the sockets were last looked at costs no
   round, unless the application takes its time. */
const changefeed_change *cfi_loop_lend(changefeed *feed) {
  cfi_member *m = cfi_loop_member(feed);
  changefeed_loop *loop = m->loop;
  const changefeed_change *change;
  bool gave_back = feed->lent;

  loop->awaited = feed;
  change = lend(m);
  if (change != NULL || loop->awaited == NULL || !gave_back ||
      cfi_feed_over(feed))
    return change;
  if (loop->now_ms < cfi_clock_after(loop->read_ms, SPARE_MS) &&
      cfi_feed_rows_waiting(feed)) {
    bool more;

    loop->stepping = true;
    more = cfi_feed_step(feed, ROWS_PER_STEP);
    loop->stepping = false;
    after_step(m, more);
    if (loop->awaited != NULL)
      change = lend(m);
  }
  if (change == NULL && loop->awaited != NULL && !cfi_feed_over(feed))
    cfi_loop_make_ready(m); /* there may be more in the queue */
  return change;
}

/* ---- opening ---- */

static cfi_transfer *transfer_of(void *ctx, bool side) {
  cfi_member *m = ctx;

  return side ? &m->side : &m->main;
}

static bool admit(void *host, int kind) { return cfi_ramp_admit(host, kind); }

static void choose_pool(cfi_member *m, cfi_transfer *t,
                        const cfi_request *request) {
  changefeed_loop *loop = m->loop;
  bool stream = request->ask == CFI_ASK_LIVE;

  /* A pool in use stays until its last request is over. */
  t->crowded = request->streams && loop->member_count > CROWD &&
               ((!m->main.active && !m->side.active) || m->pool == NULL);
  t->alone = t->crowded && stream;
  t->few = loop->member_count <= FEW;
  t->pool = t->alone ? &loop->sessions : t->crowded ? &loop->commons : &m->pool;
  if (t->crowded)
    (void)cfi_transfer_free_pool(&m->pool);
}

/* What is short stays with the first. */
static cfi_multi *choose_multi(changefeed_loop *loop, const cfi_transfer *t) {
  size_t used = loop->member_count / STREAMS_EACH + 1;

  if (!t->alone)
    return &loop->multis[0];
  return &loop->multis[loop->streams++ %
                       (used < CFI_MULTIS ? used : (size_t)CFI_MULTIS)];
}

static int world_start(void *ctx, const cfi_request *request,
                       cfi_error *error) {
  cfi_member *m = ctx;
  cfi_transfer *t = transfer_of(m, request->side);

  cfi_multi *multi;

  choose_pool(m, t, request);
  multi = choose_multi(m->loop, t);
  if (!cfi_loop_make_multi(multi))
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  t->multi = &multi->curl;
  return cfi_transfer_start(t, request, error);
}

static void world_cancel(void *ctx, bool side) {
  cfi_transfer_cancel(transfer_of(ctx, side));
}

static void world_unblock(void *ctx) {
  cfi_transfer_unblock(transfer_of(ctx, false));
}

static void init_transfers(cfi_member *m) {
  changefeed_loop *loop = m->loop;
  cfi_sockets sockets;

  cfi_loop_sockets(loop, &sockets);
  cfi_transfer_init(&m->main, &loop->alloc, &loop->multis[0].curl, &m->pool,
                    &sockets);
  cfi_transfer_init(&m->side, &loop->alloc, &loop->multis[0].curl, &m->pool,
                    &sockets);
}

static bool reserve_seat(changefeed_loop *loop) {
  size_t cap = loop->seat_cap != 0 ? loop->seat_cap * 2 : 8;
  void *p;

  if (!cfi_heap_reserve(&loop->heap, &loop->alloc, loop->member_count + 1))
    return false;
  if (loop->member_count < loop->seat_cap)
    return true;
  p = cfi_resize(&loop->alloc, loop->seats, cap, sizeof *loop->seats);
  if (p == NULL)
    return false;
  loop->seats = p;
  loop->seat_cap = cap;
  return true;
}

static void sit_down(changefeed_loop *loop, cfi_member *m) {
  m->seat = loop->member_count++;
  loop->seats[m->seat] = (cfi_seat){m, CFI_NEVER, CFI_NEVER};
  loop->alive++;
  cfi_loop_make_ready(m);
  cfi_driver_wake(loop->driver);
}

/* The last one takes the seat. */
static void stand_up(changefeed_loop *loop, cfi_member *m) {
  const cfi_seat *last = &loop->seats[--loop->member_count];

  cfi_heap_remove(&loop->heap, m->seat);
  cfi_heap_renumber(&loop->heap, loop->member_count, m->seat);
  last->member->seat = m->seat;
  loop->seats[m->seat] = *last;
  if (!m->counted_over)
    loop->alive--;
}

int cfi_loop_open(changefeed_loop *loop, const changefeed_options *options,
                  changefeed **out, cfi_error *error) {
  cfi_feed_config config = {.alloc = &loop->alloc, .clock = loop->clock};
  int rc = cfi_transfer_check(&options->set, error);
  cfi_member *m;

  if (rc != CHANGEFEED_OK)
    return rc;
  m = cfi_calloc(&loop->alloc, 1, sizeof *m);
  if (m == NULL || !reserve_seat(loop)) {
    cfi_free(&loop->alloc, m);
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM, "no memory");
  }
  cfi_loop_refresh(loop);
  m->loop = loop;
  m->turns[0].member = m->turns[1].member = m;
  atomic_init(&m->posted, false);
  config.world = (cfi_world){world_start, world_cancel, world_unblock, m};
  config.halt = &loop->stop;
  config.host = m;
  config.admit = admit;
  init_transfers(m);
  rc = cfi_feed_new(&m->feed, options, &config, error);
  if (rc != CHANGEFEED_OK) {
    cfi_free(&loop->alloc, m);
    return rc;
  }
  m->main.feed = m->side.feed = m->feed;
  m->main.lane = &m->feed->main;
  m->side.lane = &m->feed->side;
  sit_down(loop, m);
  *out = m->feed;
  return CHANGEFEED_OK;
}

/* ---- closing ---- */

void cfi_loop_destroy(cfi_member *m, bool save) {
  changefeed_loop *loop = m->loop;

  if (loop->awaited == m->feed)
    loop->awaited = NULL;
  cfi_loop_take_mail(loop); /* else it might be on the stack */
  unready(m);
  stand_up(loop, m);
  cfi_feed_free(m->feed, save);
  free_transfers(m);
  look_after_commons(loop);
  cfi_free(&loop->alloc, m);
}

void cfi_loop_close(changefeed *feed) {
  cfi_member *m = cfi_loop_member(feed);

  if (feed->depth == 0) {
    cfi_loop_destroy(m, true);
    return;
  }
  feed->closing = true; /* destroyed when its step returns */
  cfi_feed_drop_request(feed);
}
