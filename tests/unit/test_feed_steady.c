/*
 * A feed in its stride asks for no memory: not for a row, not for a piece of
 * the body. And one that has nothing to do keeps none of what it took.
 */
#include <stdlib.h>
#include <string.h>

#include "support/failing.h"
#include "support/unit.h"
#include "unit/feed_in_world.h"

enum { ROWS = 40, PIECES = 90 };

static cft_failing memory;

static const char *const options[] = {"include_docs", "1", NULL};

static void open_counted(void) {
  cft_failing_init(&memory, 0);
  ck_assert_int_eq(cft_world_try(&w, &memory.alloc, options), CHANGEFEED_OK);
  cft_world_settle(&w);
  cft_world_greet(&w);
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
}

/* Rows of a CouchDB, each second with a document. */
static size_t put_rows(char *text, size_t size, unsigned from) {
  size_t len = 0;

  for (unsigned i = from; i < from + ROWS; i++)
    len += (size_t)snprintf(
        text + len, size - len,
        "{\"seq\":\"%u-g1AAAACbeJzLYWBgYMpgTmEQTM4vTc5ISXIwNDLXMwBCwxyQVCJDUv"
        "\",\"id\":\"doc%08u\",\"changes\":[{\"rev\":\"1-%032u\"}]%s}\n",
        i, i, i, i % 2 != 0 ? ",\"doc\":{\"a\":[1,{\"b\":\"\\n\"}]}" : "");
  return len;
}

START_TEST(test_feed_steady_rows_cost_no_allocation) {
  enum { SIZE = ROWS * 300 };
  char *text = malloc(SIZE), *rest;
  size_t calls = 0;

  ck_assert_ptr_nonnull(text);
  rest = malloc(SIZE);
  ck_assert_ptr_nonnull(rest);
  open_counted();
  for (unsigned i = 0; i < PIECES; i++) {
    size_t len = put_rows(text, SIZE, 10 + i * ROWS), cut = len * i / PIECES;

    (void)snprintf(rest, SIZE, "%s", text + cut);
    text[cut] = '\0';
    ck_assert(cft_world_body(&w, text));
    ck_assert(cft_world_body(&w, rest));
    ck_assert_uint_eq(w.rows, (i + 1) * ROWS);
    /* By then everything has its size: the memory of repeats, for instance,
       is as large as it gets. */
    if (i == PIECES / 2)
      calls = memory.calls;
  }
  ck_assert_uint_eq(memory.calls, calls);
  cft_world_close(&w);
  ck_assert_uint_eq(memory.live, 0);
  free(rest);
  free(text);
}
END_TEST

START_TEST(test_feed_steady_heartbeats_give_memory_back) {
  enum { SIZE = ROWS * 300 };
  char *text = malloc(SIZE);
  size_t idle, burst;

  ck_assert_ptr_nonnull(text);
  open_counted();
  ck_assert(cft_world_body(&w, "\n"));
  idle = memory.bytes;
  (void)put_rows(text, SIZE, 10);
  ck_assert(cft_world_body(&w, text));
  ck_assert_uint_eq(w.rows, ROWS);
  burst = memory.bytes;
  ck_assert(cft_world_body(&w, "\n"));
  /* The queue at least, which held all of it. */
  ck_assert_uint_lt(memory.bytes + strlen(text), burst);
  ck_assert_uint_eq(w.feed->held_cap, 0);
  ck_assert_uint_ge(memory.bytes, idle);
  cft_world_close(&w);
  ck_assert_uint_eq(memory.live, 0);
  free(text);
}
END_TEST

static bool received(const char *text) {
  bool fail;

  ck_assert(cfi_feed_receive(w.feed, &w.feed->main, text, strlen(text), &fail));
  return cfi_feed_has_received(w.feed, &w.feed->main);
}

/* Ten thousand feeds have nothing but these to do. */
START_TEST(test_feed_steady_heartbeat_at_rest_needs_no_step) {
  uint64_t beats, bytes;
  size_t calls;

  open_counted();
  ck_assert(cft_world_body(&w, "\n"));
  calls = memory.calls;
  beats = w.feed->stats.heartbeats;
  bytes = w.feed->stats.bytes;
  for (int i = 1; i <= 5; i++) {
    w.now_ms += 10000;
    ck_assert(!received("\n"));
    ck_assert_uint_eq(w.feed->stats.heartbeats - beats, (unsigned)i);
    ck_assert_uint_eq(w.feed->stats.bytes - bytes, (unsigned)i);
    /* And the silence is over all the same. */
    ck_assert_int_eq(cfi_feed_deadline(w.feed), w.now_ms + 15000);
  }
  ck_assert_uint_eq(memory.calls, calls);
  /* The row behind them is read as ever. */
  ck_assert(received("{\"seq\":\"6-b\",\"id\":\"a\","));
  ck_assert(received("\n"));
  ck_assert(received("\"changes\":[{\"rev\":\"1-a\"}]}\n"));
  cft_world_settle(&w);
  ck_assert_uint_eq(w.rows, 1);
  ck_assert_str_eq(w.row[0].seq, "6-b");
  cft_world_close(&w);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* What would not be read now waits for a step, a heartbeat too. */
START_TEST(test_feed_steady_heartbeat_waits_like_all_else) {
  open_counted();
  ck_assert(cft_world_body(&w, "\n"));
  ck_assert(received("\n\n"));
  cft_world_settle(&w);
  ck_assert(!received("\n"));
  w.feed->verified = false; /* whose response is it? */
  ck_assert(received("\n"));
  w.feed->verified = true;
  cft_world_settle(&w);
  ck_assert(!received("\n"));
  atomic_store(&w.feed->paused, true);
  ck_assert(received("\n"));
  atomic_store(&w.feed->paused, false);
  cft_world_settle(&w);
  ck_assert(!received("\n"));
  ck_assert(received("<"));
  cft_world_settle(&w);
  ck_assert_int_eq(w.last_code, CHANGEFEED_ERR_PROTOCOL);
  cft_world_close(&w);
  ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* As much as is taken before the feed is stepped. */
static size_t take_until_refused(void) {
  static const char row[] = ROW("6-a", "x", "1-r") "\n";
  size_t taken = 0;
  bool fail;

  while (taken < 100000 &&
         cfi_feed_receive(w.feed, &w.feed->main, row, sizeof row - 1, &fail))
    taken += sizeof row - 1;
  ck_assert(!fail);
  return taken;
}

START_TEST(test_feed_steady_reading_waits_for_the_step) {
  static const char *const small[] = {"max_queue_bytes", "8192", NULL};
  size_t taken;

  open_live(small);
  cft_world_head(&w, 200, NULL);
  taken = take_until_refused();
  ck_assert_uint_le(taken, 4096);
  ck_assert_uint_gt(taken, 3500);
  ck_assert_uint_eq(w.unblocks, 0);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.unblocks, 1);
  ck_assert_uint_ge(w.rows, 50);
  ck_assert_uint_eq(take_until_refused(), taken);

  /* Rows that are not wanted now do not hold it up, until the queue is full. */
  atomic_store(&w.feed->paused, true);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.unblocks, 2);
  ck_assert_uint_eq(take_until_refused(), taken);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.unblocks, 3);
  ck_assert_uint_lt(take_until_refused(), taken);
  cft_world_settle(&w);
  ck_assert_uint_eq(w.unblocks, 3);
  ck_assert_uint_le(w.feed->queue.len, 8192);
  cft_world_close(&w);
}
END_TEST

/* An application that takes a minute for what is there: nobody could have heard
   the peer meanwhile. */
START_TEST(test_feed_steady_held_up_is_not_the_peers_silence) {
  static const char *const small[] = {"max_queue_bytes", "8192", NULL};

  open_live(small);
  cft_world_head(&w, 200, NULL);
  (void)take_until_refused();
  w.now_ms += 60000;
  cft_world_settle(&w);
  ck_assert_uint_ge(w.rows, 50);
  ck_assert_uint_eq(w.cancels, 0);
  ck_assert_uint_eq(w.unblocks, 1);
  cft_world_pass(&w, 14000); /* and the silence is counted from here */
  ck_assert_uint_eq(w.cancels, 0);
  cft_world_pass(&w, 1000);
  ck_assert_uint_eq(w.cancels, 1);
  cft_world_close(&w);
}
END_TEST

/* libcurl 7.88 may lose the wake-up of a paused HTTP/2 stream. */
START_TEST(test_feed_steady_http_2_is_not_held_up) {
  static const char *const options_2[] = {"max_queue_bytes", "8192",
                                          "http_version", "2", NULL};

  open_live(options_2);
  cft_world_head(&w, 200, NULL);
  ck_assert_uint_gt(take_until_refused(), 8000);
  cft_world_close(&w);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("feed_steady");
  TCase *steady = tcase_create("steady");

  tcase_add_test(steady, test_feed_steady_rows_cost_no_allocation);
  tcase_add_test(steady, test_feed_steady_heartbeats_give_memory_back);
  tcase_add_test(steady, test_feed_steady_heartbeat_at_rest_needs_no_step);
  tcase_add_test(steady, test_feed_steady_heartbeat_waits_like_all_else);
  tcase_add_test(steady, test_feed_steady_reading_waits_for_the_step);
  tcase_add_test(steady, test_feed_steady_held_up_is_not_the_peers_silence);
  tcase_add_test(steady, test_feed_steady_http_2_is_not_held_up);
  suite_add_tcase(suite, steady);
  return cft_run(suite);
}
