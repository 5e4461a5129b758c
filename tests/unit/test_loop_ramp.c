/*
 * The turns to ask alone: no feed, no socket. A member is said to be asking by
 * what its transfers say of themselves.
 */
#include <string.h>

#include "loop.h"
#include "random.h"
#include "support/unit.h"

enum { MEMBERS = 24, HOLD_MS = 5000 };

typedef struct field {
  changefeed_loop loop;
  cfi_member members[MEMBERS];
} field;

static void set_up(field *f, unsigned limit) {
  memset(f, 0, sizeof *f);
  f->loop.now_ms = 1000;
  cfi_ramp_init(&f->loop);
  cfi_ramp_set_limit(&f->loop, limit);
  for (int i = 0; i < MEMBERS; i++) {
    cfi_member *m = &f->members[i];

    m->loop = &f->loop;
    m->turns[0].member = m->turns[1].member = m;
  }
}

static cfi_transfer *of_kind(cfi_member *m, int kind) {
  return kind == CFI_TURN_SIDE ? &m->side : &m->main;
}

/* As a step does: asks for the turn, and starts the request with it. */
static bool ask(field *f, int i, int kind) {
  cfi_member *m = &f->members[i];

  if (!cfi_ramp_admit(m, kind))
    return false;
  of_kind(m, kind)->active = true;
  of_kind(m, kind)->head_noted = false;
  cfi_ramp_settle(m);
  return true;
}

static void head_comes(field *f, int i, int kind) {
  of_kind(&f->members[i], kind)->head_noted = true;
  cfi_ramp_settle(&f->members[i]);
}

/* Those made ready since the last look, as letters, in their order. */
static const char *ready(field *f) {
  static char text[MEMBERS + 1];
  size_t len = 0;

  while (f->loop.ready != NULL) {
    cfi_member *m = f->loop.ready;

    text[len++] = (char)('a' + (m - f->members));
    f->loop.ready = m->ready_next;
    m->is_ready = false;
  }
  f->loop.last_ready = NULL;
  f->loop.ready_count = 0;
  text[len] = '\0';
  return text;
}

START_TEST(test_loop_ramp_lets_so_many_ask_and_no_more) {
  field f;

  set_up(&f, 8); /* of these, 2 are kept for requests beside others */
  for (int i = 0; i < 6; i++)
    ck_assert(ask(&f, i, CFI_TURN_FIRST));
  for (int i = 6; i < 9; i++)
    ck_assert(!ask(&f, i, CFI_TURN_FIRST));
  ck_assert_str_eq(ready(&f), "");
  /* Asked again, it still waits, and keeps its place. */
  ck_assert(!ask(&f, 6, CFI_TURN_FIRST));
  ck_assert(ask(&f, 0, CFI_TURN_SIDE));
  ck_assert(ask(&f, 1, CFI_TURN_SIDE));
  ck_assert(!ask(&f, 2, CFI_TURN_SIDE));
  ck_assert_uint_eq(f.loop.ramp.held, 8);

  head_comes(&f, 0, CFI_TURN_SIDE);
  ck_assert_str_eq(ready(&f), "c");
  ck_assert(ask(&f, 2, CFI_TURN_SIDE));
  head_comes(&f, 3, CFI_TURN_FIRST);
  ck_assert_str_eq(ready(&f), "g");
  ck_assert(ask(&f, 6, CFI_TURN_FIRST));
  ck_assert_uint_eq(f.loop.ramp.held, 8);
}
END_TEST

START_TEST(test_loop_ramp_one_at_least_may_ask) {
  field f;

  set_up(&f, 1);
  ck_assert(ask(&f, 0, CFI_TURN_FIRST));
  ck_assert(!ask(&f, 1, CFI_TURN_FIRST));
  head_comes(&f, 0, CFI_TURN_FIRST);
  ck_assert_str_eq(ready(&f), "b");
}
END_TEST

START_TEST(test_loop_ramp_a_turn_not_used_goes_to_the_next) {
  field f;

  set_up(&f, 1);
  ck_assert(ask(&f, 0, CFI_TURN_FIRST));
  ck_assert(!ask(&f, 1, CFI_TURN_FIRST));
  ck_assert(!ask(&f, 2, CFI_TURN_FIRST));
  head_comes(&f, 0, CFI_TURN_FIRST);
  ck_assert_str_eq(ready(&f), "b");
  cfi_ramp_settle(&f.members[1]); /* its step asked for nothing */
  ck_assert_str_eq(ready(&f), "c");
  cfi_ramp_leave(&f.members[2]); /* closed, turn in hand */
  ck_assert_uint_eq(f.loop.ramp.held, 0);
  ck_assert(ask(&f, 1, CFI_TURN_FIRST));
}
END_TEST

/* A request that follows another at once, a redirect's for one, is a turn more,
   not one kept. */
START_TEST(test_loop_ramp_a_second_request_waits_behind_others) {
  field f;

  set_up(&f, 1);
  ck_assert(ask(&f, 0, CFI_TURN_FIRST));
  ck_assert(!ask(&f, 1, CFI_TURN_NEXT));
  f.members[0].main.active = false;
  ck_assert(!cfi_ramp_admit(&f.members[0], CFI_TURN_NEXT));
  ck_assert_str_eq(ready(&f), "b");
  ck_assert(ask(&f, 1, CFI_TURN_NEXT));
  head_comes(&f, 1, CFI_TURN_NEXT);
  ck_assert_str_eq(ready(&f), "a");
}
END_TEST

/* Those that go on go first, but each fourth turn is for one that begins. */
START_TEST(test_loop_ramp_who_goes_on_goes_first_mostly) {
  char order[2 * 8 + 1] = "";
  field f;

  set_up(&f, 1);
  ck_assert(ask(&f, MEMBERS - 1, CFI_TURN_FIRST));
  for (int i = 0; i < 8; i++) {
    ck_assert(!ask(&f, i, CFI_TURN_FIRST));
    ck_assert(!ask(&f, 8 + i, CFI_TURN_NEXT));
  }
  head_comes(&f, MEMBERS - 1, CFI_TURN_FIRST);
  for (int n = 0; n < 16; n++) {
    const char *who = ready(&f);
    int i = who[0] - 'a';

    ck_assert_uint_eq(strlen(who), 1);
    order[n] = i < 8 ? 'f' : 'n';
    ck_assert(ask(&f, i, i < 8 ? CFI_TURN_FIRST : CFI_TURN_NEXT));
    head_comes(&f, i, i < 8 ? CFI_TURN_FIRST : CFI_TURN_NEXT);
  }
  ck_assert_str_eq(order, "fnnnfnnnfnnfffff");
}
END_TEST

START_TEST(test_loop_ramp_no_turn_is_held_for_long) {
  field f;

  set_up(&f, 2);
  ck_assert(ask(&f, 0, CFI_TURN_FIRST));
  f.loop.now_ms += 100;
  ck_assert(ask(&f, 1, CFI_TURN_FIRST));
  ck_assert_int_eq(cfi_ramp_due_ms(&f.loop), CFI_NEVER); /* nobody waits */
  ck_assert(!ask(&f, 2, CFI_TURN_FIRST));
  ck_assert(!ask(&f, 3, CFI_TURN_FIRST));
  ck_assert_int_eq(cfi_ramp_due_ms(&f.loop), 1000 + HOLD_MS);
  f.loop.now_ms = 1000 + HOLD_MS - 1;
  cfi_ramp_expire(&f.loop);
  ck_assert_str_eq(ready(&f), "");
  f.loop.now_ms++;
  cfi_ramp_expire(&f.loop);
  ck_assert_str_eq(ready(&f), "c");
  ck_assert_int_eq(cfi_ramp_due_ms(&f.loop), 1100 + HOLD_MS);
  f.loop.now_ms += 100;
  cfi_ramp_expire(&f.loop);
  ck_assert_str_eq(ready(&f), "d");
  /* The head of the first comes after all: its turn is not given twice. */
  head_comes(&f, 0, CFI_TURN_FIRST);
  ck_assert_uint_eq(f.loop.ramp.held, 2);
}
END_TEST

START_TEST(test_loop_ramp_a_larger_limit_holds_at_once) {
  field f;

  set_up(&f, 1);
  for (int i = 0; i < 6; i++)
    ck_assert_int_eq(ask(&f, i, CFI_TURN_FIRST), i == 0);
  cfi_ramp_set_limit(&f.loop, 4); /* one of them is kept */
  ck_assert_str_eq(ready(&f), "bc");
}
END_TEST

/* Whatever members do, in whatever order: never more than the limit, never more
   than three quarters without a request beside another, and nobody waits while
   there is room for it. */
START_TEST(test_loop_ramp_holds_whatever_happens) {
  unsigned limit = (unsigned)_i;
  cfi_random random;
  field f;

  set_up(&f, limit);
  cfi_random_init(&random, (uint64_t)_i);
  for (int n = 0; n < 20000; n++) {
    int i = (int)cfi_random_upto(&random, MEMBERS - 1);
    int kind = (int)cfi_random_upto(&random, CFI_TURN_KINDS - 1);
    cfi_ramp *r = &f.loop.ramp;
    unsigned held = 0, waiting = 0;

    switch (cfi_random_upto(&random, 5)) {
    case 0:
      cfi_ramp_leave(&f.members[i]);
      f.members[i].main.active = f.members[i].side.active = false;
      break;
    case 1:
      f.loop.now_ms += cfi_random_upto(&random, 2000);
      cfi_ramp_expire(&f.loop);
      break;
    case 2:
      head_comes(&f, i, kind);
      break;
    default:
      if (!of_kind(&f.members[i], kind)->active ||
          of_kind(&f.members[i], kind)->head_noted)
        (void)ask(&f, i, kind);
    }
    for (int m = 0; m < MEMBERS; m++)
      for (int t = 0; t < 2; t++) {
        held += f.members[m].turns[t].place == CFI_TURN_HELD;
        waiting += f.members[m].turns[t].place == CFI_TURN_WAITING;
      }
    ck_assert_uint_eq(held, r->held);
    ck_assert_uint_le(held, limit);
    ck_assert_uint_le(r->held_main, limit - limit / 4);
    ck_assert(waiting == 0 || held == limit ||
              (r->waiting[CFI_TURN_SIDE].first == NULL &&
               r->held_main == limit - limit / 4));
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("loop_ramp");
  TCase *tc = tcase_create("turns");

  tcase_add_test(tc, test_loop_ramp_lets_so_many_ask_and_no_more);
  tcase_add_test(tc, test_loop_ramp_one_at_least_may_ask);
  tcase_add_test(tc, test_loop_ramp_a_turn_not_used_goes_to_the_next);
  tcase_add_test(tc, test_loop_ramp_a_second_request_waits_behind_others);
  tcase_add_test(tc, test_loop_ramp_who_goes_on_goes_first_mostly);
  tcase_add_test(tc, test_loop_ramp_no_turn_is_held_for_long);
  tcase_add_test(tc, test_loop_ramp_a_larger_limit_holds_at_once);
  tcase_add_loop_test(tc, test_loop_ramp_holds_whatever_happens, 1, 12);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
