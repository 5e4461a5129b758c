/*
 * Every allocation of a feed fails once, and then all from one on: opening says
 * NOMEM, a running feed drops the attempt and gets there all the same, and
 * nothing is leaked.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/failing.h"
#include "support/fake_world.h"
#include "support/unit.h"

#define ROW(seq, id)                                                           \
  "{\"seq\":\"" seq "\",\"id\":\"" id "\",\"changes\":[{\"rev\":\"1-r\"}]}"

static cft_world w;
static cft_failing memory;
static size_t failing; /* the call that fails first */

static const char *const options[] = {"session",
                                      "1",
                                      "username",
                                      "u",
                                      "password",
                                      "p",
                                      "filter",
                                      "d/f",
                                      "repeat_cache",
                                      "64",
                                      "auto_ack",
                                      "0",
                                      "endpoint",
                                      "http://127.0.0.1:5985",
                                      NULL};

/* What a healthy server would answer to what is asked, from where it is
   asked. */
static void serve(void) {
  bool from_start, from_four, from_five;

  switch (cft_world_ask(&w)) {
  case CFI_ASK_LOGIN:
  case CFI_ASK_SERVER:
  case CFI_ASK_DATABASE:
    if (cft_world_ask(&w) == CFI_ASK_LOGIN)
      cft_world_answer(&w, 200, "{\"ok\":true}");
    else if (cft_world_ask(&w) == CFI_ASK_DATABASE)
      cft_world_answer(&w, 200,
                       "{\"db_name\":\"db\",\"instance_start_time\":\"77\"}");
    else
      cft_world_answer(&w, 200, "{\"version\":\"3.5.0\",\"uuid\":\"u1\"}");
    return;
  default:
    break;
  }
  from_start = strstr(cft_world_url(&w), "since=0&") != NULL;
  from_four = strstr(cft_world_url(&w), "since=4-a&") != NULL;
  from_five = strstr(cft_world_url(&w), "since=5-a&") != NULL;
  if (cft_world_ask(&w) == CFI_ASK_CATCHUP) {
    char body[512];

    (void)snprintf(body, sizeof body,
                   "{\"results\":[%s%s%s],\"last_seq\":\"%s\",\"pending\":0}",
                   from_start ? ROW("4-a", "x") : "", from_start ? "," : "",
                   from_start || from_four ? ROW("5-a", "y\\u00e9") : "",
                   from_start || from_four || from_five ? "5-a" : "6-a");
    cft_world_answer(&w, 200, body);
    return;
  }
  cft_world_head(&w, 200, NULL);
  if (from_five)
    cft_world_feed(&w, ROW("6-a", "z") "\n");
  if (w.active)
    cft_world_done(&w, CHANGEFEED_ERR_NETWORK);
}

static bool has_row(const char *id) {
  for (size_t i = 0; i < w.rows; i++)
    if (strcmp(w.row[i].id, id) == 0)
      return true;
  return false;
}

static bool all_rows(void) {
  return has_row("x") && has_row("y\xc3\xa9") && has_row("z");
}

/* True when the feed could be opened; it then has every row in the end. */
static bool follow(void) {
  int rc = cft_world_try(&w, &memory.alloc, options);

  if (rc != CHANGEFEED_OK) {
    ck_assert_int_eq(rc, CHANGEFEED_ERR_NOMEM);
    return false;
  }
  cft_world_settle(&w);
  for (int turn = 0; !all_rows(); turn++) {
    ck_assert_msg(turn < 200, "lost at failing call %zu (states: %s)", failing,
                  w.states);
    serve();
  }
  ck_assert_int_ne(w.last_state, CHANGEFEED_STATE_FAILED);
  (void)cfi_window_ack(&w.feed->window, w.feed->ordinal);
  cft_world_close(&w);
  return true;
}

START_TEST(test_feed_survives_each_failed_allocation) {
  size_t calls;
  bool opened = false;

  failing = 0;
  cft_failing_init(&memory, 0);
  ck_assert(follow());
  calls = memory.calls;
  ck_assert_uint_eq(memory.live, 0);
  for (size_t n = 1; n <= calls; n++) {
    failing = n;
    cft_failing_init(&memory, n);
    opened = follow() || opened;
    ck_assert_msg(memory.live == 0, "%zu blocks leaked at call %zu",
                  memory.live, n);
  }
  ck_assert(opened);
}
END_TEST

/* Memory is gone and stays gone for a while: the position does not move, and
   all is read when it is back. */
START_TEST(test_feed_survives_a_time_without_memory) {
  size_t calls;

  failing = 0;
  cft_failing_init(&memory, 0);
  ck_assert(follow());
  calls = memory.calls;
  for (size_t n = 1; n <= calls; n++) {
    cft_failing_init(&memory, n);
    memory.fails = CFT_FOR_GOOD;
    if (cft_world_try(&w, &memory.alloc, options) == CHANGEFEED_OK) {
      cft_world_settle(&w);
      for (int turn = 0; turn < 10; turn++)
        if (w.active)
          serve();
        else
          cft_world_to_deadline(&w);
      memory.fail_at = 0; /* there is memory again */
      for (int turn = 0; !all_rows(); turn++) {
        ck_assert_msg(turn < 200, "lost at failing call %zu", n);
        serve();
      }
      cft_world_close(&w);
    }
    ck_assert_msg(memory.live == 0, "%zu blocks leaked at call %zu",
                  memory.live, n);
  }
}
END_TEST

static Suite *feed_memory_suite(void) {
  Suite *s = suite_create("feed_memory");
  TCase *t = tcase_create("feed_memory");

  tcase_set_timeout(t, 120);
  tcase_add_test(t, test_feed_survives_each_failed_allocation);
  tcase_add_test(t, test_feed_survives_a_time_without_memory);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(feed_memory_suite()); }
