/* Admission on a clock of its own: what one app, and all together, can get in
   any stretch of time, whatever is asked; what is coalesced and ensured costs
   nothing; a refusal says how long, and means it. */
#include "provisioner/admission.h"
#include "support/unit.h"
#include <string.h>

/* check writes down each assertion it makes: too slow for millions. */
#define MUST(condition)                                                        \
  do {                                                                         \
    if (!(condition))                                                          \
      ck_abort_msg("%s", #condition);                                          \
  } while (0)

static admission *make(admission_config config) {
  admission *a = admission_new(&config);

  ck_assert_ptr_nonnull(a);
  return a;
}

static admission_question start_of(const char *app, int64_t now_ms) {
  admission_question q = {app, true, false, false, false, 0, now_ms};

  return q;
}

static enum admission_verdict ask(admission *a, admission_question q) {
  int64_t retry_ms = -1;
  enum admission_verdict verdict = admission_ask(a, &q, &retry_ms);

  MUST((verdict == ADMIT_RATE || verdict == ADMIT_FULL) == (retry_ms > 0));
  MUST(retry_ms >= 0);
  return verdict;
}

START_TEST(test_admission_one_app_has_a_burst_and_then_a_rate) {
  admission *a = make((admission_config){0});

  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(ask(a, start_of("a", 1000)), ADMIT);
  ck_assert_int_eq(ask(a, start_of("a", 1000)), ADMIT_RATE);
  ck_assert_int_eq(ask(a, start_of("b", 1000)), ADMIT);
  ck_assert_int_eq(ask(a, start_of("a", 10999)), ADMIT_RATE);
  ck_assert_int_eq(ask(a, start_of("a", 11000)), ADMIT);
  ck_assert_int_eq(ask(a, start_of("a", 11000)), ADMIT_RATE);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_many_small_steps_lose_no_token) {
  admission *a = make((admission_config){.app_burst = 1});
  int admitted = 0;

  for (int64_t now = 0; now < 1000 * 1000; now += 7)
    admitted += ask(a, start_of("a", now)) == ADMIT;
  /* Asked each 7 ms, a token is taken up to 7 ms late; none is lost. */
  ck_assert_int_ge(admitted, 99);
  ck_assert_int_le(admitted, 101);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_busy_is_coalesced_and_costs_nothing) {
  admission *a = make((admission_config){.rate = 5});
  admission_question q = start_of("a", 1);

  q.busy = true;
  for (int i = 0; i < 10000; i++) {
    q.force = i % 2 != 0;
    q.live = i % 3 != 0;
    ck_assert_int_eq(ask(a, q), ADMIT_COALESCE);
  }
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(ask(a, start_of("a", 1)), ADMIT);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_live_and_asked_again_is_ensured) {
  admission *a = make((admission_config){0});
  admission_question q = start_of("a", 0);

  ck_assert_int_eq(ask(a, q), ADMIT);
  q.live = true;
  for (q.now_ms = 0; q.now_ms < 600000; q.now_ms += 59999)
    ck_assert_int_eq(ask(a, q), ADMIT_ENSURE);
  q.now_ms += 60000;
  ck_assert_int_eq(ask(a, q), ADMIT);
  q.start = false; /* a stop is never a matter of ensuring */
  ck_assert_int_eq(ask(a, q), ADMIT);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_force_moves_once_a_minute) {
  admission *a = make((admission_config){.app_burst = 100, .rate = 100});
  admission_question q = start_of("a", 5);
  int64_t retry_ms;

  q.live = q.force = true;
  ck_assert_int_eq(ask(a, q), ADMIT_MOVE);
  q.now_ms = 60004;
  ck_assert_int_eq(admission_ask(a, &q, &retry_ms), ADMIT_RATE);
  ck_assert_int_eq(retry_ms, 1);
  q.now_ms = 60005;
  ck_assert_int_eq(ask(a, q), ADMIT_MOVE);
  q.live = false; /* nothing to move: an operation as any other */
  ck_assert_int_eq(ask(a, q), ADMIT);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_a_full_queue_refuses_starts_only) {
  admission *a = make((admission_config){.queue_most = 10});
  admission_question q = start_of("a", 0);

  q.queued = 10;
  for (int i = 0; i < 50; i++)
    ck_assert_int_eq(ask(a, q), ADMIT_FULL);
  q.start = false;
  ck_assert_int_eq(ask(a, q), ADMIT);
  q.start = true;
  q.queued = 9; /* what was refused has cost no token */
  ck_assert_int_eq(ask(a, q), ADMIT);
  ck_assert_int_eq(ask(a, q), ADMIT);
  ck_assert_int_eq(ask(a, q), ADMIT_RATE);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_rate_halves_under_strain_and_grows_by_tenths) {
  admission *a = make((admission_config){.rate = 40, .rate_least = 3});
  static const int down[] = {20, 10, 5, 3, 3};

  for (size_t i = 0; i < sizeof down / sizeof *down; i++) {
    admission_load(a, i % 2 != 0 ? 2001 : 1, i % 2 != 0 ? 0 : 11,
                   (int64_t)i * 1000);
    ck_assert_int_eq(admission_rate(a), down[i]);
  }
  for (int want = 7; want < 40; want += 4) {
    admission_load(a, 2000, 10, 10000);
    ck_assert_int_eq(admission_rate(a), want);
  }
  admission_load(a, 0, 0, 10000);
  ck_assert_int_eq(admission_rate(a), 40);
  admission_load(a, 0, 0, 10000);
  ck_assert_int_eq(admission_rate(a), 40);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_the_halved_rate_holds_at_once) {
  admission *a = make((admission_config){.rate = 1000});
  int admitted = 0;
  char name[32];

  ck_assert_int_eq(ask(a, start_of("first", 0)), ADMIT);
  for (int i = 0; i < 20; i++)
    admission_load(a, 9999, 0, 0);
  ck_assert_int_eq(admission_rate(a), 1);
  for (int i = 0; i < 5000; i++) { /* ten seconds */
    (void)snprintf(name, sizeof name, "a%d", i);
    admitted += ask(a, start_of(name, (int64_t)i * 2)) == ADMIT;
  }
  ck_assert_int_ge(admitted, 10);
  ck_assert_int_le(admitted, 11);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_forgets_the_longest_unasked_first) {
  admission *a = make((admission_config){
      .apps_most = 100, .rate = 100000, .app_burst = 1, .queue_most = 5});
  char name[32];

  ck_assert_int_eq(ask(a, start_of("kept", 0)), ADMIT);
  for (int i = 0; i < 5000; i++) {
    (void)snprintf(name, sizeof name, "a%d", i);
    ck_assert_int_eq(ask(a, start_of(name, 0)), ADMIT);
    ck_assert_int_eq(ask(a, start_of("kept", 0)), ADMIT_RATE);
  }
  ck_assert_int_eq(ask(a, start_of("a4999", 0)), ADMIT_RATE);
  ck_assert_int_eq(ask(a, start_of("a0", 0)), ADMIT); /* was forgotten */
  admission_free(a);
}
END_TEST

START_TEST(test_admission_a_clock_that_goes_back_gives_nothing_away) {
  admission *a = make((admission_config){.app_burst = 1});
  int admitted = 0;

  for (int i = 0; i < 1000; i++)
    admitted += ask(a, start_of("a", i % 2 != 0 ? 5000 : -5000000)) == ADMIT;
  ck_assert_int_le(admitted, 2);
  admission_free(a);
}
END_TEST

START_TEST(test_admission_a_name_that_is_none_is_refused) {
  admission *a = make((admission_config){0});
  char name[200];

  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  ck_assert_int_eq(ask(a, start_of(name, 0)), ADMIT_RATE);
  admission_free(a);
}
END_TEST

/* ---- anything may be asked ---- */

enum { APPS = 7, STEPS = 20000 };

static uint64_t seed;

static unsigned draw(unsigned below) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)(seed % below);
}

typedef struct grants {
  int64_t at[STEPS];
  size_t count;
} grants;

/* In no stretch of time more than the burst and what grew meanwhile. */
static void check_bound(const grants *g, int64_t burst, int64_t per,
                        int64_t every_ms) {
  size_t step = g->count / 300 + 1;

  for (size_t i = 0; i < g->count; i += step)
    for (size_t j = i; j < g->count; j++) {
      int64_t passed = g->at[j] - g->at[i];

      MUST((int64_t)(j - i + 1) * every_ms <= burst * every_ms + passed * per);
    }
}

static void random_run(void) {
  static grants all, each[APPS], moves[APPS];
  static const char *const names[APPS] = {"a", "b", "c", "d", "e", "f", "g"};
  int burst = 1 + (int)draw(5), rate = 1 + (int)draw(20);
  int64_t every = 100 + draw(5000), now = draw(1000000);
  admission *a = make((admission_config){.app_burst = burst,
                                         .app_every_ms = every,
                                         .rate = rate,
                                         .force_ms = 3000,
                                         .queue_most = 50});

  all.count = 0;
  for (int i = 0; i < APPS; i++)
    each[i].count = moves[i].count = 0;
  for (int i = 0; i < STEPS; i++) {
    unsigned app = draw(APPS);
    admission_question q = {names[app],     draw(4) != 0, draw(2) != 0,
                            draw(5) == 0,   draw(4) == 0, draw(60),
                            now += draw(20)};
    int64_t retry_ms;
    enum admission_verdict verdict = admission_ask(a, &q, &retry_ms);

    MUST(!q.busy || verdict == ADMIT_COALESCE);
    MUST(q.busy || verdict != ADMIT_COALESCE);
    MUST(verdict != ADMIT_ENSURE || (q.live && q.start && !q.force));
    MUST(verdict != ADMIT_FULL || (q.queued >= 50 && q.start));
    MUST((verdict == ADMIT || verdict == ADMIT_MOVE) <=
         (q.queued < 50 || !q.start));
    if (verdict == ADMIT || verdict == ADMIT_MOVE) {
      all.at[all.count++] = now;
      each[app].at[each[app].count++] = now;
    }
    if (verdict == ADMIT_MOVE)
      moves[app].at[moves[app].count++] = now;
    if (verdict == ADMIT_RATE && draw(10) == 0) {
      q.now_ms = now += retry_ms; /* nobody else has asked meanwhile */
      q.queued = 0;
      verdict = admission_ask(a, &q, &retry_ms);
      MUST(verdict != ADMIT_RATE);
      if (verdict == ADMIT || verdict == ADMIT_MOVE) {
        all.at[all.count++] = now;
        each[app].at[each[app].count++] = now;
      }
      if (verdict == ADMIT_MOVE)
        moves[app].at[moves[app].count++] = now;
    }
    if (all.count >= STEPS - 2)
      break;
  }
  ck_assert_uint_gt(all.count, 10);
  check_bound(&all, rate, rate, 1000);
  for (int i = 0; i < APPS; i++) {
    check_bound(&each[i], burst, 1, every);
    for (size_t j = 1; j < moves[i].count; j++)
      MUST(moves[i].at[j] - moves[i].at[j - 1] >= 3000);
  }
  admission_free(a);
}

START_TEST(test_admission_bounds_hold_whatever_is_asked) {
  seed = 0x9e3779b97f4a7c15U + (uint64_t)_i * 7919;
  random_run();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("admission");
  TCase *c = tcase_create("admission");

  tcase_set_timeout(c, 60);
  tcase_add_test(c, test_admission_one_app_has_a_burst_and_then_a_rate);
  tcase_add_test(c, test_admission_many_small_steps_lose_no_token);
  tcase_add_test(c, test_admission_busy_is_coalesced_and_costs_nothing);
  tcase_add_test(c, test_admission_live_and_asked_again_is_ensured);
  tcase_add_test(c, test_admission_force_moves_once_a_minute);
  tcase_add_test(c, test_admission_a_full_queue_refuses_starts_only);
  tcase_add_test(c,
                 test_admission_rate_halves_under_strain_and_grows_by_tenths);
  tcase_add_test(c, test_admission_the_halved_rate_holds_at_once);
  tcase_add_test(c, test_admission_forgets_the_longest_unasked_first);
  tcase_add_test(c, test_admission_a_clock_that_goes_back_gives_nothing_away);
  tcase_add_test(c, test_admission_a_name_that_is_none_is_refused);
  tcase_add_loop_test(c, test_admission_bounds_hold_whatever_is_asked, 0, 12);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
