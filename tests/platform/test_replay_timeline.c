/* The replay's timeline: what is recorded is what is read, from however many
   threads, and nothing is lost without being counted.

   ctest: LABEL threads */
#include "replay/timeline.h"

#include "support/unit.h"

#include <pthread.h>

static timeline *make(int64_t slice_ms, unsigned seconds, unsigned balancers) {
  timeline *t = timeline_new(&(timeline_config){slice_ms, seconds, balancers});

  ck_assert_ptr_nonnull(t);
  return t;
}

static timeline_data *take(timeline *t) {
  timeline_data *d = timeline_take(t);

  ck_assert_ptr_nonnull(d);
  return d;
}

START_TEST(test_timeline_refuses_what_is_out_of_range) {
  const timeline_config bad[] = {
      {99, 10, 1},
      {10001, 10, 1},
      {-1, 10, 1},
      {500, TIMELINE_SECONDS_MOST + 1, 1},
      {500, 10, TIMELINE_BALANCERS + 1},
  };

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_ptr_null(timeline_new(&bad[i]));
  timeline_free(NULL);
}
END_TEST

START_TEST(test_timeline_a_visit_is_counted_where_it_began_and_ended) {
  timeline *t = make(500, 10, 0);
  timeline_data *d;

  timeline_add_visit(
      t, &(timeline_visit){100, 700, 600000, TIMELINE_APP, 0, 200, false});
  timeline_add_visit(
      t, &(timeline_visit){499, 500, 900, TIMELINE_APP, 0, 200, true});
  timeline_add_visit(
      t, &(timeline_visit){0, 1, -1, TIMELINE_NOTHING, 0, 0, false});
  timeline_add_visit(
      t, &(timeline_visit){1000, 1200, 5, TIMELINE_PAGE, 5, 503, false});
  timeline_add_visit(
      t, &(timeline_visit){1000, 1200, 5, TIMELINE_PAGE, 100, 1000, false});
  timeline_add_visit(
      t, &(timeline_visit){1499, 1499, 5, TIMELINE_APP, 0, 500, false});
  timeline_add_visit(
      t, &(timeline_visit){-7, 1499, 5, TIMELINE_LEFT, 0, 200, true});
  d = take(t);
  ck_assert_uint_eq(d->slice_count, 3);
  ck_assert_int_eq(d->end_ms, 1499);
  ck_assert_uint_eq(d->slices[0].counts.asked, 4);
  ck_assert_uint_eq(d->slices[0].counts.outcomes[TIMELINE_NOTHING], 1);
  ck_assert_uint_eq(d->slices[0].counts.outcomes[TIMELINE_APP], 0);
  ck_assert_uint_eq(d->slices[1].counts.asked, 0);
  ck_assert_uint_eq(d->slices[1].counts.outcomes[TIMELINE_APP], 2);
  ck_assert_uint_eq(d->slices[1].counts.own, 1);
  ck_assert_uint_eq(d->slices[1].counts.foreign, 1);
  ck_assert_uint_eq(d->slices[2].counts.asked, 3);
  ck_assert_uint_eq(d->slices[2].counts.codes[5], 1);
  ck_assert_uint_eq(d->slices[2].counts.codes[0], 1);
  ck_assert_uint_eq(d->slices[2].counts.app_errors, 1);
  ck_assert_uint_eq(d->slices[2].counts.foreign, 1);
  ck_assert_uint_eq(d->slices[2].counts.outcomes[TIMELINE_LEFT], 1);
  ck_assert_uint_eq(d->total.asked, 7);
  ck_assert_uint_eq(d->total.own, 2);
  ck_assert_uint_eq(d->total.foreign, 2);
  ck_assert_uint_eq(d->statuses[200], 2);
  ck_assert_uint_eq(d->statuses[503], 1);
  ck_assert_uint_eq(d->statuses[500], 1);
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_times_are_known_to_an_eighth) {
  static const int64_t times[] = {0,    63,     64,     100,     999,
                                  5000, 123456, 999999, 1000001, 120000000};

  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    timeline *t = make(0, 0, 0);
    timeline_data *d;
    int64_t told;

    timeline_add_visit(
        t, &(timeline_visit){0, 0, times[i], TIMELINE_APP, 0, 200, false});
    d = take(t);
    told = timeline_time(&d->total, 0.5);
    ck_assert_int_gt(told, times[i]);
    ck_assert_int_le(told, times[i] < 64 ? 64 : times[i] + times[i] / 8 + 1);
    ck_assert_int_eq(timeline_time(&d->total, 0), told);
    ck_assert_int_eq(timeline_time(&d->total, 1), told);
    free(d);
    timeline_free(t);
  }
}
END_TEST

START_TEST(test_timeline_shares_of_times) {
  timeline *t = make(0, 0, 0);
  timeline_data *d = take(t);

  ck_assert_int_eq(timeline_time(&d->total, 0.5), -1);
  free(d);
  for (int i = 0; i < 100; i++)
    timeline_add_visit(t, &(timeline_visit){0, 0, i < 98 ? 1000 : INT64_MAX,
                                            TIMELINE_APP, 0, 200, false});
  d = take(t);
  ck_assert_int_lt(timeline_time(&d->total, 0.5), 1200);
  ck_assert_int_lt(timeline_time(&d->total, 0.98), 1200);
  ck_assert_int_gt(timeline_time(&d->total, 0.99), 100000000);
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_answers_of_the_api) {
  timeline *t = make(1000, 5, 0);
  timeline_data *d;

  ck_assert_int_eq(timeline_api_of(200, true), TIMELINE_LIVE);
  ck_assert_int_eq(timeline_api_of(202, false), TIMELINE_ACCEPTED);
  ck_assert_int_eq(timeline_api_of(202, true), TIMELINE_COALESCED);
  ck_assert_int_eq(timeline_api_of(429, false), TIMELINE_OFTEN);
  ck_assert_int_eq(timeline_api_of(503, false), TIMELINE_FULL);
  ck_assert_int_eq(timeline_api_of(0, false), TIMELINE_OTHER);
  ck_assert_int_eq(timeline_api_of(500, false), TIMELINE_OTHER);
  for (int i = 0; i < TIMELINE_APIS; i++)
    for (int n = 0; n <= i; n++)
      timeline_add_api(t, 1000 * n, (enum timeline_api)i);
  d = take(t);
  for (unsigned i = 0; i < TIMELINE_APIS; i++) {
    ck_assert_uint_eq(d->total.apis[i], i + 1);
    for (unsigned n = 0; n < d->slice_count; n++)
      ck_assert_uint_eq(d->slices[n].counts.apis[i], n <= i ? 1 : 0);
  }
  ck_assert_uint_eq(d->beyond, 1); /* the sixth of the last, in the sixth s */
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_what_was_seen_is_carried_on) {
  timeline *t = make(1000, 10, 2);
  timeline_data *d;

  timeline_set_balancer(t, 1000, 0, 300, "aa");
  timeline_set_balancer(t, 1100, 0, 100, "bb"); /* the worst, the last */
  timeline_set_balancer(t, 1200, 1, 5, "aa");
  timeline_set_balancer(t, 3000, 1, 900, "cc");
  timeline_set_balancer(t, 3100, 1, -5, NULL); /* cannot be asked */
  timeline_set_balancer(t, 3200, 1, 7, NULL);
  timeline_set_balancer(t, 0, 2, 7, "dd"); /* there is none */
  timeline_set_database(t, 2000, "aa");
  timeline_set_database(t, 4000, "");
  timeline_set_drones(t, 2000, 200, 40, 3);
  timeline_end(t, 6000);
  d = take(t);
  ck_assert_uint_eq(d->slice_count, 6);
  ck_assert(!d->slices[0].balancers[0].known);
  ck_assert(!d->slices[0].database.known && !d->slices[1].database.known);
  ck_assert_str_eq(d->slices[1].balancers[0].digest, "bb");
  ck_assert_int_eq(d->slices[1].balancers[0].stale_ms, 300);
  ck_assert_str_eq(d->slices[5].balancers[0].digest, "bb");
  ck_assert_int_eq(d->slices[2].balancers[1].stale_ms, 5);
  ck_assert_int_eq(d->slices[3].balancers[1].stale_ms, -1);
  ck_assert_str_eq(d->slices[3].balancers[1].digest, "");
  ck_assert(d->slices[3].balancers[1].known);
  ck_assert(!d->slices[5].balancers[2].known);
  ck_assert_str_eq(d->slices[3].database.digest, "aa");
  ck_assert(d->slices[5].database.known);
  ck_assert_str_eq(d->slices[5].database.digest, "");
  ck_assert(!d->slices[1].drones_known && d->slices[5].drones_known);
  ck_assert_uint_eq(d->slices[5].bound, 200);
  ck_assert_uint_eq(d->slices[5].free, 40);
  ck_assert_uint_eq(d->slices[5].queue, 3);
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_bands_and_words) {
  timeline *t = make(1000, 10, 0);
  timeline_data *d;
  char name[200];
  int first, second;

  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  first = timeline_begin_band(t, 100, TIMELINE_STEP, 3, "five <apps>\n\xff");
  second = timeline_begin_band(t, 200, TIMELINE_FAULT, 0, name);
  timeline_end_band(t, first, 700);
  timeline_end_band(t, first, 900);  /* it has ended */
  timeline_end_band(t, second, 100); /* not before it began */
  timeline_end_band(t, 77, 100);
  timeline_end_band(t, -1, 100);
  timeline_mark(t, 2000, NULL);
  d = take(t);
  ck_assert_uint_eq(d->band_count, 2);
  ck_assert_str_eq(d->bands[0].name, "five <apps> \xef\xbf\xbd");
  ck_assert_int_eq(d->bands[0].number, 3);
  ck_assert_int_eq(d->bands[0].begin_ms, 100);
  ck_assert_int_eq(d->bands[0].end_ms, 700);
  ck_assert_uint_eq(strlen(d->bands[1].name), TIMELINE_NAME - 1);
  ck_assert_int_eq(d->bands[1].end_ms, 200);
  ck_assert_uint_eq(d->mark_count, 1);
  ck_assert_int_eq(d->marks[0].at_ms, 2000);
  ck_assert_str_eq(d->marks[0].word, "");
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_has_bounds_and_counts_what_is_beyond) {
  timeline *t = make(100, 1, 0);
  timeline_data *d;

  for (int i = 0; i < TIMELINE_BANDS + 3; i++)
    ck_assert_int_eq(timeline_begin_band(t, 0, TIMELINE_FAULT, 0, "x"),
                     i < TIMELINE_BANDS ? i : -1);
  for (int i = 0; i < TIMELINE_MARKS + 2; i++)
    timeline_mark(t, 0, "x");
  timeline_add_visit(
      t, &(timeline_visit){900, 1000, 1, TIMELINE_APP, 0, 200, false});
  timeline_end(t, 5000);
  d = take(t);
  ck_assert_uint_eq(d->lost_bands, 3);
  ck_assert_uint_eq(d->lost_marks, 2);
  ck_assert_uint_eq(d->beyond, 1);
  ck_assert_uint_eq(d->slice_count, 10);
  ck_assert_int_eq(d->end_ms, 1000);
  ck_assert_uint_eq(d->slices[9].counts.asked, 1);
  ck_assert_uint_eq(d->total.own, 1);
  free(d);
  timeline_free(t);
}
END_TEST

START_TEST(test_timeline_without_one_nothing_happens) {
  timeline_add_visit(NULL, &(timeline_visit){0});
  timeline_add_api(NULL, 0, TIMELINE_LIVE);
  timeline_set_drones(NULL, 0, 1, 1, 1);
  timeline_set_balancer(NULL, 0, 0, 1, "a");
  timeline_set_database(NULL, 0, "a");
  timeline_mark(NULL, 0, "a");
  timeline_end_band(NULL, timeline_begin_band(NULL, 0, TIMELINE_STEP, 1, "a"),
                    0);
  timeline_end(NULL, 0);
  ck_assert_int_eq(timeline_now(NULL), 0);
  ck_assert_ptr_null(timeline_take(NULL));
}
END_TEST

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 2000 };

static timeline *shared;

static void *record(void *arg) {
  unsigned number = *(unsigned *)arg;

  for (int i = 0; i < ROUNDS; i++) {
    timeline_add_visit(shared, &(timeline_visit){i, i + 1, 1000, TIMELINE_APP,
                                                 0, 200, i % 10 == 0});
    timeline_add_api(shared, i, TIMELINE_OFTEN);
    timeline_set_balancer(shared, i, number, i, "digest");
    timeline_set_drones(shared, i, number, number, number);
    if (i % 100 == 0)
      timeline_end_band(
          shared, timeline_begin_band(shared, i, TIMELINE_FAULT, 0, "fault"),
          i + 50);
  }
  return NULL;
}

/* While others record, a copy is of one moment: what ended was asked. */
START_TEST(test_timeline_threads_lose_nothing) {
  pthread_t threads[THREADS];
  unsigned numbers[THREADS];
  timeline_data *d;

  shared = make(100, 10, THREADS);
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, record, &numbers[i]), 0);
  }
  for (int i = 0; i < 20; i++) {
    d = take(shared);
    ck_assert_uint_eq(d->total.asked, d->total.outcomes[TIMELINE_APP]);
    ck_assert_uint_eq(d->total.asked, d->total.own + d->total.foreign);
    for (size_t s = 0; s < d->slice_count; s++)
      ck_assert(!d->slices[s].drones_known ||
                (d->slices[s].bound == d->slices[s].free &&
                 d->slices[s].free == d->slices[s].queue));
    free(d);
  }
  for (unsigned i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  d = take(shared);
  ck_assert_uint_eq(d->total.asked, THREADS * ROUNDS);
  ck_assert_uint_eq(d->total.foreign, THREADS * ROUNDS / 10);
  ck_assert_uint_eq(d->total.apis[TIMELINE_OFTEN], THREADS * ROUNDS);
  ck_assert_uint_eq(d->band_count, THREADS * ROUNDS / 100);
  for (size_t s = 0, seen = 0; s < d->slice_count; s++) {
    seen += d->slices[s].counts.asked;
    if (s + 1 == d->slice_count)
      ck_assert_uint_eq(seen, THREADS * ROUNDS);
  }
  free(d);
  timeline_free(shared);
}
END_TEST

int main(void) {
  Suite *s = suite_create("replay_timeline");
  TCase *t = tcase_create("replay_timeline");

  tcase_add_test(t, test_timeline_refuses_what_is_out_of_range);
  tcase_add_test(t, test_timeline_a_visit_is_counted_where_it_began_and_ended);
  tcase_add_test(t, test_timeline_times_are_known_to_an_eighth);
  tcase_add_test(t, test_timeline_shares_of_times);
  tcase_add_test(t, test_timeline_answers_of_the_api);
  tcase_add_test(t, test_timeline_what_was_seen_is_carried_on);
  tcase_add_test(t, test_timeline_bands_and_words);
  tcase_add_test(t, test_timeline_has_bounds_and_counts_what_is_beyond);
  tcase_add_test(t, test_timeline_without_one_nothing_happens);
  tcase_add_test(t, test_timeline_threads_lose_nothing);
  suite_add_tcase(s, t);
  return cft_run(s);
}
