/* A mirror whose memory fails, at each allocation once and at some in a row: it
   opens or says NOMEM; it gets in step, follows, and lives through another
   history, or is over with NOMEM; what it holds in step is the database; and
   nothing is left behind.
   ctest: WRAP cfi_clock_now
   ctest: COST 45 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "clock.h"
#include "support/failing.h"

#include "net/mirror_in_couchsim.h"
#include "unit/scratch_dir.h"

enum { JUMP_MS = 50, ROUNDS_MAX = 20000, DOCUMENTS = 25, SEEDS = 30 };

/* ---- the library's clock does not wait ---- */

static int64_t jumped_ms;

int64_t __real_cfi_clock_now(const cfi_clock *clock);
int64_t __wrap_cfi_clock_now(const cfi_clock *clock);

int64_t __wrap_cfi_clock_now(const cfi_clock *clock) {
  return __real_cfi_clock_now(clock) +
         (clock == &cfi_clock_system ? jumped_ms : 0);
}

/* ---- the memory ---- */

static cft_failing memory;

static void *resize(void *ctx, void *block, size_t size) {
  return cft_failing_resize(ctx, block, size);
}

static void release(void *ctx, void *block) { cft_failing_release(ctx, block); }

typedef struct scenario {
  const char *name;
  int keep, start;
  bool snapshot, audits;
} scenario;

static const scenario scenarios[] = {
    {"revisions", CHANGEFEED_KEEP_REVS, CHANGEFEED_START_LIST, false, true},
    {"documents, saved", CHANGEFEED_KEEP_DOCS, CHANGEFEED_START_LIST, true,
     false},
    {"values", CHANGEFEED_KEEP_VALUES, CHANGEFEED_START_CHANGES, false, false},
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

static scratch_dir dir;
static char path[1100];
static bool went_over; /* in this run: what follows cannot be asked for */

/* ---- one run ---- */

static bool is_over(void) { return f.count[CFT_TOLD_OVER] != 0; }

static void run_once(void) {
  int rc = changefeed_loop_run_once(f.loop, 1);

  ck_assert_msg(rc >= 0 || rc == CHANGEFEED_ERR_NOMEM, "run_once: %s",
                changefeed_strerror(rc));
  if (rc == CHANGEFEED_TIMEOUT)
    jumped_ms += JUMP_MS;
}

static bool is_same(void) {
  const changefeed_view *v;
  char why[300];
  bool same;

  if (!changefeed_mirror_is_synced(f.mirror))
    return false;
  v = changefeed_mirror_view(f.mirror);
  same = cft_view_is(v, sim, 0, "db", NULL, NULL, why, sizeof why);
  changefeed_view_release(v);
  return same;
}

/* False: it is over, for want of memory. */
static bool gets_right(const scenario *s, const char *when) {
  for (int round = 0; round < ROUNDS_MAX; round++) {
    if (is_over()) {
      ck_assert_msg(f.over_code == CHANGEFEED_ERR_NOMEM && memory.refused != 0,
                    "%s, %s: over with %d: %s", s->name, when, f.over_code,
                    f.over);
      went_over = true;
      return false;
    }
    if (round % 4 == 0 && is_same())
      return true;
    run_once();
  }
  ck_abort_msg("%s, %s, call %zu: it does not get right", s->name, when,
               memory.fail_at);
}

static changefeed_loop *open_on_a_loop(const scenario *s) {
  changefeed_loop *loop = NULL;
  changefeed_allocator a = CHANGEFEED_ALLOCATOR_INIT;
  char why[300];
  int rc;

  a.resize = resize;
  a.release = release;
  a.ctx = &memory;
  for (int tries = 0; tries < 100; tries++) {
    rc = changefeed_loop_new(&loop, &a);
    if (rc == CHANGEFEED_OK)
      break;
    ck_assert_int_eq(rc, CHANGEFEED_ERR_NOMEM);
  }
  f.config.keep = s->keep;
  f.config.start = s->start;
  f.config.snapshot = s->snapshot ? path : NULL;
  f.config.snapshot_ms = s->snapshot ? 1 : 0;
  for (int tries = 0; tries < 100; tries++) {
    rc = cft_mirrored_try(&f, loop, why, sizeof why, url, "header_timeout_ms",
                          "3600000", "idle_timeout_ms", "86400000",
                          "connection_max_age_ms", "0", "page_rows", "9", NULL);
    if (rc == CHANGEFEED_OK)
      return loop;
    ck_assert_msg(rc == CHANGEFEED_ERR_NOMEM, "%s: open answers %d: %s",
                  s->name, rc, why);
  }
  ck_abort_msg("%s: it never opens", s->name);
}

static void prepare(void) {
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
  fill(0, DOCUMENTS);
  memset(&f, 0, sizeof f);
  went_over = false;
}

static void live(const scenario *s) {
  if (!gets_right(s, "in step"))
    return;
  drop("d0003");
  write_doc("d0004", 7);
  write_doc("new", 7);
  if (!gets_right(s, "following"))
    return;
  if (s->audits && changefeed_mirror_audit(f.mirror) == CHANGEFEED_OK)
    while (f.count[CFT_TOLD_AUDIT] == 0 && !is_over())
      run_once();
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
  fill(10, DOCUMENTS + 10);
  (void)gets_right(s, "another history");
}

static void run(const scenario *s) {
  changefeed_loop *loop;

  prepare();
  loop = open_on_a_loop(s);
  live(s);
  cft_mirrored_clear(&f);
  changefeed_loop_free(loop);
  ck_assert_msg(memory.live == 0, "%s, call %zu: %zu blocks are left", s->name,
                memory.fail_at, memory.live);
  if (s->snapshot)
    (void)remove(path);
}

/* ---- the tests ---- */

START_TEST(test_memory_of_a_mirror_fails_at_each_call) {
  const scenario *s = &scenarios[_i];
  size_t calls, fast = 100;

  cft_failing_init(&memory, 0);
  run(s);
  calls = memory.calls;
  ck_assert_uint_gt(calls, 100);
  /* All of those that open it, and of the others as many as time allows. */
  for (size_t at = 1; at <= calls; at += at < fast ? 1 : 1 + calls / 100) {
    cft_failing_init(&memory, at);
    run(s);
    /* How often it is saved, and what is read at once, differs a little. */
    ck_assert(memory.refused == 1 || at > calls / 2);
  }
}
END_TEST

START_TEST(test_memory_of_a_mirror_is_gone_for_a_while) {
  const scenario *s = &scenarios[_i];

  for (size_t seed = 1; seed <= SEEDS; seed++) {
    cft_failing_init(&memory, 20 + seed * 61 % 1500);
    memory.fails = 1 + seed * 7 % 30;
    memory.bursts = 1 + seed % 4;
    memory.gap = 1 + seed * 13 % 90;
    run(s);
  }
}
END_TEST

static void begin(void) {
  setup();
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s", scratch_path(&dir, "snapshot"));
}

static void end(void) {
  cft_couchsim_stop(sim);
  scratch_end(&dir);
}

int main(void) {
  Suite *suite = suite_create("memory_mirror");
  TCase *t = tcase_create("memory_mirror");

  tcase_set_timeout(t, 240);
  tcase_add_checked_fixture(t, begin, end);
  tcase_add_loop_test(t, test_memory_of_a_mirror_fails_at_each_call, 0,
                      SCENARIOS);
  tcase_add_loop_test(t, test_memory_of_a_mirror_is_gone_for_a_while, 0,
                      SCENARIOS);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
