/* Following with memory that fails, from the first call to the last: see
   starve.h. */
#include "clock.h"
#include "random.h"
#include "starve_int.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

enum { LATER_ROWS = 2, JUMP_MS = 1000, MAX_ROUNDS = 4000 };

cft_starving cft_starving_now;
static cft_starving *const r = &cft_starving_now;

/* Also what was asked: that it comes to light what was not. */
static void tell_requests(void) {
  const cft_request *req;

  for (size_t i = 0;
       r->mini != NULL &&
       (req = cft_peer_request(cft_mini_peer(r->mini), CFT_ANY, i)) != NULL;
       i++)
    (void)fprintf(stderr, "  connection %zu: %s\n", req->conn, req->line);
}

void cft_starve_complain(const char *file, int line, const char *format, ...) {
  char text[512];
  va_list args;

  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  tell_requests();
  ck_abort_msg("%s: %zu call(s) from %zu on fail, %zu time(s), %zu between "
               "(%zu did): %s (%s:%d)",
               r->s->name, r->fails, r->fail_at, r->bursts, r->gap,
               r->memory->refused, text, strrchr(file, '/') + 1, line);
}

/* ---- the library's clock ---- */

static int64_t jumped_ms;

int64_t __real_cfi_clock_now(const cfi_clock *clock);
int64_t __wrap_cfi_clock_now(const cfi_clock *clock);

int64_t __wrap_cfi_clock_now(const cfi_clock *clock) {
  return __real_cfi_clock_now(clock) +
         (clock == &cfi_clock_system ? jumped_ms : 0);
}

/* ---- running ---- */

static void pull_rows(void) {
  const changefeed_change *change;
  int rc;

  if (r->last != 0) /* by the call */
    r->acked[r->last - 1] = true;
  rc = changefeed_next(r->feed, 1, &change);
  if (rc == CHANGEFEED_OK)
    cft_starve_take(change);
  else if (rc == CHANGEFEED_TIMEOUT)
    jumped_ms += JUMP_MS;
  else
    HOLDS(rc == CHANGEFEED_END && r->over, "changefeed_next: %s",
          changefeed_strerror(rc));
}

static void acknowledge(bool first, bool others) {
  for (size_t i = 0; r->s->late && i < r->last; i++)
    if (!r->acked[i] && (i == 0 ? first : others)) {
      r->acked[i] = true;
      HOLDS(changefeed_ack_one(r->feed, r->ordinal[i]) == CHANGEFEED_OK,
            "row %zu cannot be acknowledged", i + 1);
    }
}

static void round_of_loop(void) {
  int rc;

  if (r->s->pull) {
    pull_rows();
  } else {
    rc = changefeed_loop_run_once(r->loop, 1);
    HOLDS(rc >= 0, "changefeed_loop_run_once: %s", changefeed_strerror(rc));
    if (rc == CHANGEFEED_TIMEOUT)
      jumped_ms += JUMP_MS;
  }
  acknowledge(false, true);
  (void)cft_starve_saved();
}

static bool all_rows(void) {
  return r->now + 1 == r->begun && r->last == r->histories[r->now].rows;
}

static void until_all_rows(void) {
  for (int rounds = 0; !all_rows(); rounds++) {
    HOLDS(!r->over, "the feed has ended before row %zu", r->last + 1);
    HOLDS(rounds < MAX_ROUNDS, "no row %zu, after %zu faults: %s", r->last + 1,
          r->faults, changefeed_last_error(r->feed)->message);
    round_of_loop();
  }
}

static void until_over(void) {
  for (int rounds = 0; !r->over; rounds++) {
    HOLDS(rounds < MAX_ROUNDS, "the feed does not end");
    round_of_loop();
  }
}

/* The position is told, and saved when that is asked for; a call that failed
   changes nothing, and the next one works. */
static void check_position(void) {
  const char *want = r->histories[r->now].seq[r->last - 1];
  size_t refused = r->memory->refused;
  changefeed_str position;
  int rc;

  if (r->s->store != CFT_STORE_NONE) {
    while ((rc = changefeed_checkpoint(r->feed)) != CHANGEFEED_OK) {
      HOLDS(rc == CHANGEFEED_ERR_NOMEM && r->memory->refused > refused,
            "changefeed_checkpoint: %s",
            changefeed_last_error(r->feed)->message);
      refused = r->memory->refused;
    }
    HOLDS(cft_starve_saved() == r->last, "saved is row %zu of %zu",
          cft_starve_saved(), r->last);
  }
  while ((position = changefeed_position(r->feed)).data == NULL) {
    HOLDS(r->memory->refused > refused, "no position");
    refused = r->memory->refused;
  }
  HOLDS(want == NULL || strcmp(position.data, want) == 0,
        "the position is %s, not %s", position.data, want);
}

static void check_stats(void) {
  changefeed_stats stats = CHANGEFEED_STATS_INIT;

  HOLDS(changefeed_get_stats(r->feed, &stats) == CHANGEFEED_OK, "no stats");
  HOLDS(stats.changes == r->taken && stats.unacked == 0,
        "%llu rows of %llu, %llu not acknowledged",
        (unsigned long long)stats.changes, (unsigned long long)r->taken,
        (unsigned long long)stats.unacked);
  HOLDS(stats.resets == r->resets, "%llu resets, %zu told",
        (unsigned long long)stats.resets, r->resets);
  HOLDS(r->faults <= r->memory->refused + (r->s->refused ? 2 : 0) +
                         (r->s->event == CFT_EVENT_RECREATE ? 2 : 0),
        "%zu faults of %zu failures", r->faults, r->memory->refused);
}

/* Not while a request is on its way: whether the feed then sees that there is
   another history is another test's business. */
static void until_live(void) {
  for (int rounds = 0; cft_mini_waiting(r->mini) == 0; rounds++) {
    HOLDS(rounds < MAX_ROUNDS, "the feed does not get live");
    round_of_loop();
  }
}

void cft_starve_follow(const changefeed_allocator *allocator) {
  cft_starve_make_loop(allocator);
  cft_starve_open();
  until_all_rows();
  if (r->s->event != CFT_EVENT_NONE)
    until_live();
  if (r->s->event == CFT_EVENT_PUT)
    cft_starve_put_rows(LATER_ROWS);
  else if (r->s->event == CFT_EVENT_RECREATE)
    cft_starve_recreate();
  until_all_rows();
  acknowledge(true, true);
  if (r->s->event != CFT_EVENT_NONE) {
    if (r->s->pull)
      round_of_loop();
    HOLDS(changefeed_stop(r->feed) == CHANGEFEED_OK, "cannot be stopped");
  }
  until_over();
  check_position();
  check_stats();
  changefeed_loop_free(r->loop);
  (void)cft_starve_saved();
}

/* A healthy run before the database is made anew. */
static void leave_stale_position(void) {
  static cft_failing plenty;

  r->memory = &plenty;
  cft_failing_init(&plenty, 0);
  cft_starve_follow(NULL);
  (void)snprintf(r->stale, sizeof r->stale, "%s",
                 r->histories[0].seq[r->last - 1]);
  cft_starve_recreate();
  r->taken = r->last = r->faults = 0;
  r->over = false;
  memset(r->acked, 0, sizeof r->acked);
}

void cft_starve_begin(const cft_starve *s, cft_failing *memory) {
  memset(r, 0, sizeof *r);
  r->s = s;
  r->memory = memory;
  r->fail_at = memory->fail_at;
  r->fails = memory->fails;
  r->bursts = memory->bursts;
  r->gap = memory->gap;
  cft_starve_begin_server();
  if (s->store == CFT_STORE_STALE)
    leave_stale_position();
  r->memory = memory;
}

void cft_starve_loop(const cft_starve *s, cft_failing *memory) {
  changefeed_allocator allocator = CHANGEFEED_ALLOCATOR_INIT;

  cft_starve_begin(s, memory);
  if (s->user != NULL)
    memory->secret = "s3cr3t";
  allocator.resize = memory->alloc.resize;
  allocator.release = memory->alloc.release;
  allocator.ctx = memory;
  cft_starve_follow(&allocator);
  cft_starve_end_server();
  HOLDS(memory->live == 0, "%zu blocks are left, %zu bytes", memory->live,
        memory->bytes);
  HOLDS(memory->exposed == 0, "%zu blocks were freed with the password in them",
        memory->exposed);
}

static size_t upto(cfi_random *random, size_t max) {
  return 1 + (size_t)cfi_random_upto(random, (int64_t)max - 1);
}

void cft_starve_each(cft_starve_fn *follow, const cft_starve *s) {
  cft_failing memory;
  size_t n = 0;

  do {
    cft_failing_init(&memory, ++n);
    follow(s, &memory);
  } while (memory.refused != 0);
  HOLDS(n > 30, "there were only %zu allocations", n - 1);
}

void cft_starve_seeds(cft_starve_fn *follow, const cft_starve *s,
                      uint64_t seeds) {
  cft_failing memory;
  size_t calls;

  cft_failing_init(&memory, 0);
  follow(s, &memory);
  calls = memory.calls;
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    cfi_random random;

    cfi_random_init(&random, seed);
    cft_failing_init(&memory, upto(&random, calls));
    memory.fails = 1 + upto(&random, 11);
    memory.bursts = upto(&random, 4);
    memory.gap = upto(&random, 20);
    follow(s, &memory);
    /* How many calls there are may differ a little from run to run. */
    HOLDS(memory.refused != 0 || r->fail_at > calls / 2,
          "memory has never failed");
  }
}
