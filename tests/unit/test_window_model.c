/* The window against a model that is slow and plain, over random work; and
   against an allocator that fails at every place in turn. Known failure 87. */
#include "window.h"

#include <string.h>

#include "random.h"
#include "support/failing.h"
#include "support/unit.h"

static cft_failing memory;
static cfi_window window;

static changefeed_str str(const char *text) {
  changefeed_str s = {text, text != NULL ? strlen(text) : 0};
  return s;
}

static void setup(void) {
  cft_failing_init(&memory, 0);
  ck_assert(cfi_window_init(&window, &memory.alloc));
}

static void teardown(void) {
  cfi_window_free(&window);
  ck_assert_uint_eq(memory.live, 0);
}

/* NULL: there must be none. */
static void assert_position(const char *expected) {
  char *copy;
  size_t len;

  ck_assert_int_eq(cfi_window_position(&window, &copy, &len), expected != NULL);
  if (expected != NULL)
    ck_assert_str_eq(copy, expected);
  cfi_free(&memory.alloc, copy);
}

enum { EVENTS = 1500 };

/* Rows and progress in order of arrival, from the oldest un-acked one on. */
typedef struct event {
  uint64_t ordinal; /* 0: progress */
  int seq;          /* 0: null */
  bool acked;
} event;

typedef struct model {
  event events[EVENTS];
  size_t first, count; /* of events, those before first are done */
  uint64_t delivered, forgotten, acked, moves;
  int position; /* 0: none */
} model;

static void settle(model *m) {
  int position = m->position;

  while (m->first < m->count &&
         (m->events[m->first].ordinal == 0 || m->events[m->first].acked)) {
    if (m->events[m->first].seq != 0)
      position = m->events[m->first].seq;
    m->first++;
  }
  m->moves += position != m->position;
  m->position = position;
}

static void add(model *m, uint64_t ordinal, int seq, bool acked) {
  event e = {ordinal, seq, acked};

  m->events[m->count++] = e;
  if (ordinal != 0)
    m->delivered = ordinal;
  m->acked += acked;
}

static void ack_range(model *m, uint64_t from, uint64_t to) {
  for (size_t i = m->first; i < m->count; i++) {
    event *e = &m->events[i];

    if (e->ordinal >= from && e->ordinal <= to && !e->acked) {
      e->acked = true;
      m->acked++;
    }
  }
}

static void pop_last(model *m) {
  size_t at = m->count;

  while (at > m->first && m->events[at - 1].ordinal == 0)
    at--;
  if (at > m->first) { /* the row is still waiting */
    at--;
    m->acked -= m->events[at].acked;
    m->count = at;
  } else if (m->delivered > m->forgotten) {
    m->acked--;
  }
  m->delivered--;
  if (m->forgotten > m->delivered)
    m->forgotten = m->delivered;
}

static void reset(model *m, int position) {
  m->moves += position != m->position;
  m->position = position;
  m->first = m->count;
  m->forgotten = m->delivered;
}

/* Neither the order of text nor that of numbers is the order of arrival. */
static const char *seq_text(int seq, char out[32]) {
  if (seq == 0)
    return NULL;
  (void)snprintf(out, 32, "%d-%c", seq * 7919 % 1000, 'a' + seq % 26);
  return out;
}

static uint64_t unacked_of(const model *m) {
  uint64_t n = 0;

  for (size_t i = m->first; i < m->count; i++)
    n += m->events[i].ordinal != 0 && !m->events[i].acked;
  return n;
}

static void step(model *m, cfi_random *random) {
  int seq = cfi_random_upto(random, 3) == 0
                ? 0
                : (int)cfi_random_upto(random, 400) + 1;
  uint64_t ordinal =
      (uint64_t)cfi_random_upto(random, (int64_t)m->delivered + 1);
  char text[32];
  changefeed_str s = str(seq_text(seq, text));

  switch (cfi_random_upto(random, 10)) {
  case 0:
  case 1:
  case 2:
    add(m, m->delivered + 1, seq, false);
    ck_assert(cfi_window_push(&window, m->delivered, s));
    break;
  case 3:
    add(m, m->delivered + 1, seq, true);
    ck_assert(cfi_window_pass(&window, m->delivered, 1, s));
    break;
  case 4:
    add(m, 0, seq, false);
    ck_assert(cfi_window_progress(&window, s));
    break;
  case 5:
    cfi_window_pop(&window, m->delivered);
    if (m->delivered != 0)
      pop_last(m);
    break;
  case 6:
    ck_assert_int_eq(cfi_window_ack(&window, ordinal),
                     ordinal != 0 && ordinal <= m->delivered);
    if (ordinal <= m->delivered)
      ack_range(m, 1, ordinal);
    break;
  case 7:
    if (cfi_random_upto(random, 20) == 0) {
      ck_assert(cfi_window_reset(&window, s));
      reset(m, seq);
    }
    break;
  default: /* mostly rows near the end */
    if (m->delivered > 8)
      ordinal = m->delivered - (uint64_t)cfi_random_upto(random, 7);
    ck_assert_int_eq(cfi_window_ack_one(&window, ordinal),
                     ordinal != 0 && ordinal <= m->delivered);
    if (ordinal != 0)
      ack_range(m, ordinal, ordinal);
    break;
  }
  settle(m);
}

START_TEST(test_window_does_what_a_naive_model_does) {
  static model m;
  cfi_random random;

  memset(&m, 0, sizeof m);
  cfi_random_init(&random, (uint64_t)_i + 1);
  for (int i = 0; i < EVENTS - 1; i++) {
    cfi_window_view view;
    char text[32];

    step(&m, &random);
    view = cfi_window_look(&window);
    ck_assert_uint_eq(view.delivered, m.delivered);
    ck_assert_uint_eq(view.acked, m.acked);
    ck_assert_uint_eq(view.unacked, unacked_of(&m));
    ck_assert_uint_eq(view.moves, m.moves);
    assert_position(seq_text(m.position, text));
  }
}
END_TEST

/* The same work at each failing allocation: what fails changes nothing, and
   works when it is tried again. */
START_TEST(test_window_is_unchanged_by_each_failing_allocation) {
  size_t n = 0;
  bool failed;

  do {
    cft_failing f;
    cfi_window w;
    char longer[80], *copy;
    size_t len;

    failed = false;
    cft_failing_init(&f, ++n);
    ck_assert(cfi_window_init(&w, &f.alloc));
    for (uint64_t ordinal = 1; ordinal <= 300; ordinal++) {
      changefeed_str seq = {longer, (size_t)ordinal % sizeof longer};
      cfi_window_view before, after;
      bool ok;

      memset(longer, 'a' + (char)(ordinal % 26), sizeof longer);
      do {
        before = cfi_window_look(&w);
        ok = ordinal % 3 == 0 ? cfi_window_pass(&w, ordinal, 1, seq)
                              : cfi_window_push(&w, ordinal, seq);
        after = cfi_window_look(&w);
        if (!ok) {
          failed = true;
          ck_assert_uint_eq(before.delivered, after.delivered);
          ck_assert_uint_eq(before.acked, after.acked);
          ck_assert_uint_eq(before.unacked, after.unacked);
          ck_assert_uint_eq(before.moves, after.moves);
        }
      } while (!ok);
      if (ordinal % 100 == 50)
        while (!cfi_window_progress(&w, seq))
          failed = true;
      if (ordinal % 100 == 99)
        ck_assert(cfi_window_ack(&w, ordinal - 20));
    }
    ck_assert(cfi_window_ack(&w, 300));
    while (!cfi_window_position(&w, &copy, &len))
      failed = true;
    ck_assert_uint_eq(len, 300 % sizeof longer);
    for (size_t i = 0; i < len; i++)
      ck_assert_int_eq(copy[i], 'a' + 300 % 26);
    cfi_free(&f.alloc, copy);
    while (!cfi_window_reset(&w, str("a position that is longer than any "
                                     "before, so that it needs memory, all of "
                                     "it in one piece")))
      failed = true;
    cfi_window_free(&w);
    ck_assert_uint_eq(f.live, 0);
  } while (failed);
  ck_assert_uint_gt(n, 100);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("window_model");
  TCase *tc = tcase_create("window_model");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_window_does_what_a_naive_model_does, 0, 60);
  tcase_add_test(tc, test_window_is_unchanged_by_each_failing_allocation);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
