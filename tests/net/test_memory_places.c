/* Positions, resets, log-ins, redirects and endpoints while the loop's memory
   fails: each allocation once, and then some in a row. No position passes a
   row that is not acknowledged, a reset is told once, no password stays behind.
   ctest: WRAP cfi_clock_now */
#include <check.h>

#include "support/starve.h"
#include "support/unit.h"

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void with_token(cft_mini *mini) {
  cft_mini_config config = cft_mini_get_config(mini);

  (void)snprintf(config.user, sizeof config.user, "somebody");
  (void)snprintf(config.bearer, sizeof config.bearer, "tok");
  cft_mini_set_config(mini, &config);
}

static const cft_starve scenarios[] = {
    {.name = "file", .store = CFT_STORE_FILE},
    {.name = "file, each row",
     .store = CFT_STORE_FILE,
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("checkpoint_every", "1")},
    {.name = "file, acknowledged out of order",
     .store = CFT_STORE_FILE,
     .late = true,
     .options = OPTIONS("checkpoint_interval_ms", "0")},
    {.name = "store of the application",
     .store = CFT_STORE_APP,
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("checkpoint_every", "1", "checkpoint_key", "key")},
    {.name = "store, row by row",
     .store = CFT_STORE_APP,
     .pull = true,
     .options = OPTIONS("checkpoint_every", "1")},
    {.name = "_local document", .options = OPTIONS("checkpoint", "couch")},
    {.name = "_local document, each row",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("checkpoint", "couch", "checkpoint_every", "1")},
    {.name = "marker",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("marker", "1")},
    {.name = "position of a history that is gone", .store = CFT_STORE_STALE},
    {.name = "database made anew", .event = CFT_EVENT_RECREATE},
    {.name = "database made anew, with a store",
     .event = CFT_EVENT_RECREATE,
     .late = true,
     .store = CFT_STORE_APP,
     .options = OPTIONS("checkpoint_every", "1")},
    {.name = "Basic", .user = "jan"},
    {.name = "session", .user = "jan", .options = OPTIONS("session", "1")},
    {.name = "session, live",
     .user = "jan",
     .event = CFT_EVENT_PUT,
     .options = OPTIONS("session", "1")},
    {.name = "bearer_token",
     .serve = with_token,
     .options = OPTIONS("bearer_token", "tok")},
    {.name = "token of on_request", .bearer = "tok"},
    {.name = "redirect", .redirected = true, .event = CFT_EVENT_PUT},
    {.name = "endpoint", .refused = true, .event = CFT_EVENT_PUT},
};

/* From 1 on: what fails can be seen again. */
enum { SEEDS = 10 };

START_TEST(test_memory_each_failed_allocation_keeps_the_place) {
  cft_starve_each(cft_starve_loop, &scenarios[_i]);
}
END_TEST

START_TEST(test_memory_gone_for_a_while_keeps_the_place) {
  cft_starve_seeds(cft_starve_loop, &scenarios[_i], SEEDS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory_places");
  TCase *t = tcase_create("memory_places");

  tcase_set_timeout(t, 120);
  tcase_add_loop_test(t, test_memory_each_failed_allocation_keeps_the_place, 0,
                      COUNT(scenarios));
  tcase_add_loop_test(t, test_memory_gone_for_a_while_keeps_the_place, 0,
                      COUNT(scenarios));
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
