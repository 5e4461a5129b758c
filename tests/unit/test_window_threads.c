/* The window under four threads that acknowledge out of order while a fifth
   delivers: the position passes no row that is not done, and the allocator is
   used by the delivering thread alone. */
#define _POSIX_C_SOURCE 200809L
#include "window.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "random.h"
#include "str.h"
#include "support/unit.h"

enum { WORKERS = 4, ROWS = 20000, AHEAD = 500 };

typedef struct work {
  cfi_window window;
  pthread_t owner;
  atomic_uint_fast64_t pushed;    /* rows that may be worked on */
  atomic_bool done[ROWS + 1];     /* set before the row is acknowledged */
  atomic_bool foreign_allocation; /* memory was asked for by a worker */
} work;

static void *resize(void *ctx, void *block, size_t size) {
  work *w = ctx;

  if (!pthread_equal(pthread_self(), w->owner))
    atomic_store(&w->foreign_allocation, true);
  return realloc(block, size);
}

static void release(void *ctx, void *block) {
  work *w = ctx;

  if (!pthread_equal(pthread_self(), w->owner))
    atomic_store(&w->foreign_allocation, true);
  free(block);
}

typedef struct worker {
  work *w;
  uint64_t number;
  bool unknown; /* a row that was pushed was not known */
  pthread_t thread;
} worker;

/* Takes the rows of one residue class, in a shuffled order within a stretch of
   40 rows. */
static void *run(void *arg) {
  worker *self = arg;
  work *w = self->w;
  cfi_random random;

  cfi_random_init(&random, self->number + 1);
  for (uint64_t begin = 1; begin <= ROWS; begin += 40) {
    uint64_t rows[40 / WORKERS];
    size_t count = 0;

    for (uint64_t n = begin; n < begin + 40 && n <= ROWS; n++)
      if (n % WORKERS == self->number)
        rows[count++] = n;
    for (size_t i = count; i > 1; i--) {
      size_t other = (size_t)cfi_random_upto(&random, (int64_t)i - 1);
      uint64_t row = rows[i - 1];

      rows[i - 1] = rows[other];
      rows[other] = row;
    }
    for (size_t i = 0; i < count; i++) {
      while (atomic_load(&w->pushed) < rows[i])
        (void)sched_yield();
      atomic_store(&w->done[rows[i]], true);
      if (!cfi_window_ack_one(&w->window, rows[i]))
        self->unknown = true;
    }
  }
  return NULL;
}

/* The row whose seq is the position; 0 when there is none. */
static uint64_t position_of(work *w) {
  const cfi_alloc *alloc = w->window.alloc;
  int64_t row = 0;
  char *text;
  size_t len;

  if (!cfi_window_position(&w->window, &text, &len))
    return 0;
  ck_assert(cfi_str_to_int(text, len, &row));
  cfi_free(alloc, text);
  return (uint64_t)row;
}

START_TEST(test_window_threads_never_pass_a_row_in_work) {
  static work w;
  cfi_alloc alloc = {resize, release, &w};
  worker workers[WORKERS];
  uint64_t last = 0;

  w.owner = pthread_self();
  ck_assert(cfi_window_init(&w.window, &alloc));
  for (uint64_t i = 0; i < WORKERS; i++) {
    workers[i].w = &w;
    workers[i].number = i;
    workers[i].unknown = false;
    ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run, &workers[i]),
                     0);
  }
  for (uint64_t n = 1; n <= ROWS; n++) {
    char text[CFI_INT_TEXT];
    changefeed_str seq = {text, cfi_str_from_int(text, (long long)n)};

    ck_assert(cfi_window_push(&w.window, n, seq));
    atomic_store(&w.pushed, n);
    while (cfi_window_look(&w.window).unacked >= AHEAD)
      (void)sched_yield();
    if (n % 16 == 0) {
      uint64_t position = position_of(&w);

      ck_assert_uint_ge(position, last);
      for (uint64_t row = last + 1; row <= position; row++)
        ck_assert_msg(atomic_load(&w.done[row]), "%d was not done", (int)row);
      last = position;
    }
  }
  for (size_t i = 0; i < WORKERS; i++) {
    ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
    ck_assert(!workers[i].unknown);
  }
  ck_assert_uint_eq(position_of(&w), ROWS);
  ck_assert_uint_eq(cfi_window_look(&w.window).acked, ROWS);
  ck_assert_uint_eq(cfi_window_look(&w.window).unacked, 0);
  ck_assert(!atomic_load(&w.foreign_allocation));
  cfi_window_free(&w.window);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("window_threads");
  TCase *tc = tcase_create("window_threads");

  tcase_add_test(tc, test_window_threads_never_pass_a_row_in_work);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
