/*
 * What workers have to look at: each name by one at a time, in order, and again
 * when it was asked for meanwhile; and how the database does.
 */
/* ctest: LABEL threads */
#include "provisioner/clock.h"
#include "provisioner/jobs.h"
#include "provisioner/load.h"
#include "support/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

START_TEST(test_jobs_come_in_order_and_once) {
  jobs *j = jobs_new();
  job *one, *two;

  jobs_look(j, "a:one");
  jobs_look(j, "a:two");
  jobs_look(j, "a:one");
  ck_assert_uint_eq(jobs_waiting(j), 2);
  one = jobs_take(j);
  two = jobs_take(j);
  ck_assert_str_eq(one->key, "a:one");
  ck_assert_str_eq(two->key, "a:two");
  jobs_done(j, one, FORGET);
  jobs_done(j, two, FORGET);
  ck_assert_uint_eq(jobs_waiting(j), 0);
  jobs_free(j);
}
END_TEST

START_TEST(test_jobs_asked_for_during_a_look_are_looked_at_again) {
  jobs *j = jobs_new();
  job *one;

  jobs_look(j, "a:one");
  one = jobs_take(j);
  one->memory.bad_ms = 7;
  jobs_look(j, "a:one");
  jobs_later(j, "a:one", 0);
  ck_assert_uint_eq(jobs_waiting(j), 0); /* not by another worker meanwhile */
  jobs_done(j, one, FORGET);
  one = jobs_take(j);
  ck_assert_int_eq(one->memory.bad_ms, 7);
  jobs_done(j, one, FORGET);
  jobs_look(j, "a:one");
  one = jobs_take(j);
  ck_assert_int_eq(one->memory.bad_ms, 0); /* it was forgotten */
  jobs_done(j, one, FORGET);
  jobs_free(j);
}
END_TEST

START_TEST(test_jobs_due_later_come_when_they_are_due) {
  jobs *j = jobs_new();
  int64_t began = mono_ms();
  char key[16];
  job *one;
  int i;

  for (i = 0; i < 200; i++) {
    (void)snprintf(key, sizeof key, "d:%d", i);
    jobs_later(j, key, 50 + (i * 37) % 100);
  }
  jobs_later(j, "d:7", 20); /* sooner counts */
  jobs_later(j, "d:7", 90);
  one = jobs_take(j);
  ck_assert_str_eq(one->key, "d:7");
  ck_assert_int_ge(mono_ms() - began, 20);
  jobs_done(j, one, FORGET);
  for (i = 1; i < 200; i++) {
    one = jobs_take(j);
    ck_assert_ptr_nonnull(one);
    ck_assert_int_ge(mono_ms() - began, 50);
    jobs_done(j, one, 1000000);
  }
  ck_assert_int_ge(mono_ms() - began, 149);
  jobs_look(j, "d:8"); /* at once, though due much later */
  one = jobs_take(j);
  ck_assert_str_eq(one->key, "d:8");
  jobs_done(j, one, FORGET);
  jobs_free(j);
}
END_TEST

typedef struct crowd {
  jobs *j;
  atomic_int inside[10], most, looks;
} crowd;

static void *work(void *ctx) {
  crowd *c = ctx;
  job *one;

  while ((one = jobs_take(c->j)) != NULL) {
    int n = one->key[2] - '0', inside = ++c->inside[n];

    if (inside > c->most)
      c->most = inside;
    if (++c->looks == 20000)
      jobs_stop(c->j);
    c->inside[n]--;
    jobs_done(c->j, one, n % 2);
  }
  return NULL;
}

START_TEST(test_jobs_never_two_workers_at_one_name) {
  crowd c;
  pthread_t threads[4];
  char key[8];
  int i;

  memset(&c, 0, sizeof c);
  c.j = jobs_new();
  for (i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &c), 0);
  for (i = 0; !jobs_stopping(c.j); i++) {
    (void)snprintf(key, sizeof key, "a:%d", i % 10);
    jobs_look(c.j, key);
  }
  for (i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_int_eq(c.most, 1);
  ck_assert(!jobs_pause(c.j, 100000));
  jobs_free(c.j);
}
END_TEST

START_TEST(test_jobs_load_is_of_the_last_half_minute) {
  load *l = load_new();
  int64_t p95, i;
  int errors;

  load_read(l, 0, &p95, &errors);
  ck_assert_int_eq(p95, 0);
  ck_assert_int_eq(errors, 0);
  for (i = 1; i <= 100; i++)
    load_note(l, i, i > 90, 1000);
  load_read(l, 2000, &p95, &errors);
  ck_assert_int_eq(p95, 95);
  ck_assert_int_eq(errors, 10);
  for (i = 0; i < 5000; i++)
    load_note(l, 3, false, 40000);
  load_read(l, 40001, &p95, &errors);
  ck_assert_int_eq(p95, 3);
  ck_assert_int_eq(errors, 0);
  load_read(l, 80000, &p95, &errors);
  ck_assert_int_eq(p95, 0);
  load_free(l);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("jobs");
  TCase *tc = tcase_create("jobs");

  tcase_add_test(tc, test_jobs_come_in_order_and_once);
  tcase_add_test(tc, test_jobs_asked_for_during_a_look_are_looked_at_again);
  tcase_add_test(tc, test_jobs_due_later_come_when_they_are_due);
  tcase_add_test(tc, test_jobs_never_two_workers_at_one_name);
  tcase_add_test(tc, test_jobs_load_is_of_the_last_half_minute);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
