/* Rows of every kind while the loop's memory fails: each allocation once, and
   then some in a row. The constructors say so and work when they are called
   again; a feed that runs drops the attempt and goes on where it was.
   ctest: WRAP cfi_clock_now */
#include <check.h>

#include "support/starve.h"
#include "support/unit.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void odd_seqs(cft_mini *mini) {
  cft_mini_config config = cft_mini_get_config(mini);

  config.seqs = CFT_SEQ_ODD;
  cft_mini_set_config(mini, &config);
}

static void array_seqs(cft_mini *mini) {
  cft_mini_config config = cft_mini_get_config(mini);

  config.seqs = CFT_SEQ_ARRAY;
  cft_mini_set_config(mini, &config);
}

#define TEN(x) x x x x x x x x x x
#define DEEP "\"a\":" TEN(TEN("[[[")) "{\"b\":\"\\n\"}" TEN(TEN("]]]"))

static const cft_starve scenarios[] = {
    {.name = "once"},
    {.name = "live", .event = CFT_EVENT_PUT},
    {.name = "longpoll",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("transport", "longpoll")},
    {.name = "eventsource",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("transport", "eventsource")},
    {.name = "documents",
     .options = OPTIONS("include_docs", "1"),
     .members = "\"a\":[1,{\"b\":\"c\"}]"},
    {.name = "deep documents",
     .options = OPTIONS("include_docs", "1"),
     .members = DEEP},
    {.name = "large documents",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("include_docs", "1", "max_queue_bytes", "4096"),
     .large = 20000},
    {.name = "ids to be decoded", .long_ids = 3000},
    {.name = "batches",
     .batch = true,
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("batch_max", "2")},
    {.name = "row by row", .pull = true},
    {.name = "row by row, live", .pull = true, .event = CFT_EVENT_PUT},
    {.name = "acknowledged out of order", .late = true, .event = CFT_EVENT_PUT},
    {.name = "odd seqs",
     .serve = odd_seqs,
     .late = true,
     .store = CFT_STORE_APP},
    {.name = "seqs that are arrays", .serve = array_seqs},
    {.name = "doc_ids",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("doc_ids", "[\"d100\",\"d101\",\"d102\",\"d103\","
                                   "\"d104\"]")},
    {.name = "selector", .options = OPTIONS("selector", "{}")},
    {.name = "everything in the URL",
     .options = OPTIONS("filter", "x/d", "query", "a=b c", "query", "d=e",
                        "header", "X-A: b", "style", "all_docs", "since", "0",
                        "limit", "7", "user_agent", "tester")},
    {.name = "unix socket", .unix_socket = true},
    {.name = "_db_updates", .updates = true, .event = CFT_EVENT_PUT},
};

/* From 1 on: what fails can be seen again. */
enum { SEEDS = 20 };

START_TEST(test_memory_each_failed_allocation_loses_no_row) {
  cft_starve_each(cft_starve_loop, &scenarios[_i]);
}
END_TEST

START_TEST(test_memory_gone_for_a_while_loses_no_row) {
  cft_starve_seeds(cft_starve_loop, &scenarios[_i], SEEDS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory_rows");
  TCase *t = tcase_create("memory_rows");

  tcase_set_timeout(t, 120);
  tcase_add_loop_test(t, test_memory_each_failed_allocation_loses_no_row, 0,
                      COUNT(scenarios));
  tcase_add_loop_test(t, test_memory_gone_for_a_while_loses_no_row, 0,
                      COUNT(scenarios));
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
