/* libcurl's own allocations fail, each once, and then some in a row: a feed
   that runs drops the attempt and goes on where it was, and nothing is left.
   ctest: WRAP cfi_clock_now */
#include <check.h>

#include "support/starve.h"
#include "support/unit.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const cft_starve scenarios[] = {
    {.name = "once"},
    {.name = "live", .event = CFT_EVENT_PUT},
    {.name = "row by row", .pull = true},
    {.name = "selector", .options = OPTIONS("selector", "{}")},
    {.name = "unix socket", .unix_socket = true},
    {.name = "store",
     .store = CFT_STORE_APP,
     .options = OPTIONS("checkpoint_every", "1")},
    {.name = "database made anew", .event = CFT_EVENT_RECREATE},
    {.name = "session", .user = "jan", .options = OPTIONS("session", "1")},
    {.name = "token of on_request", .bearer = "tok"},
    {.name = "endpoint", .refused = true},
    {.name = "redirect", .redirected = true},
};

/* From 1 on: what fails can be seen again. */
enum { SEEDS = 20 };

START_TEST(test_memory_curl_each_failed_allocation_loses_no_row) {
  cft_starve_curl_init();
  cft_starve_each(cft_starve_curl, &scenarios[_i]);
}
END_TEST

START_TEST(test_memory_curl_gone_for_a_while_loses_no_row) {
  cft_starve_curl_init();
  cft_starve_seeds(cft_starve_curl, &scenarios[_i], SEEDS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory_curl");
  TCase *t = tcase_create("memory_curl");

  tcase_set_timeout(t, 120);
  tcase_add_loop_test(t, test_memory_curl_each_failed_allocation_loses_no_row,
                      0, COUNT(scenarios));
  tcase_add_loop_test(t, test_memory_curl_gone_for_a_while_loses_no_row, 0,
                      COUNT(scenarios));
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
