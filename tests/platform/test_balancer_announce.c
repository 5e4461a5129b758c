/* A balancer's own document: written in spite of what is there and of errors,
   written when asked, deleted at the end, and the end waits for nobody.

   ctest: LABEL threads */
#include "balancer/announce.h"

#include "common/log.h"
#include "support/couchsim.h"
#include "support/unit.h"

#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 30000 };

static int64_t up_ms(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_BOOTTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void breathe(void) {
  const struct timespec t = {0, 10000000};

  (void)nanosleep(&t, NULL);
}

#define AWAIT(condition)                                                       \
  do {                                                                         \
    int64_t limit_ms = up_ms() + PATIENCE_MS;                                  \
    while (!(condition)) {                                                     \
      ck_assert_msg(up_ms() < limit_ms, "never: %s", #condition);              \
      breathe();                                                               \
    }                                                                          \
  } while (0)

static cft_couchsim *create(void) {
  cft_couchsim *sim = cft_couchsim_start(NULL);

  cft_couchsim_must(sim, 201, "PUT", "/apps", "%s", "");
  return sim;
}

static announce *begin(cft_couchsim *sim) {
  announce_config config = {.couch = cft_couchsim_url(sim, 0),
                            .apps = "apps",
                            .self = "me",
                            .addr = "127.0.0.1:80",
                            .admin = "127.0.0.1:81",
                            .boot = "boot-1",
                            .version = "7"};
  char error[256];
  announce *a = announce_start(&config, error, sizeof error);

  ck_assert_msg(a != NULL, "%s", error);
  return a;
}

/* A text member of the document; "" without the document. */
static const char *member(cft_couchsim *sim, const char *name) {
  static char text[256];
  json_t *doc = NULL;

  text[0] = '\0';
  if (cft_couchsim_do(sim, 0, "GET", "/apps/balancer:me", NULL, &doc) == 200)
    (void)snprintf(text, sizeof text, "%s",
                   json_string_value(json_object_get(doc, name)));
  json_decref(doc);
  return text;
}

START_TEST(test_announce_writes_over_what_is_there_and_deletes) {
  cft_couchsim *sim = create();
  int64_t began = up_ms(), written;
  announce *a;
  char rev[128];

  cft_couchsim_must(sim, 201, "PUT", "/apps/balancer:me", "%s",
                    "{\"boot\":\"another life\"}");
  a = begin(sim);
  AWAIT(strcmp(member(sim, "boot"), "boot-1") == 0);
  ck_assert_str_eq(member(sim, "addr"), "127.0.0.1:80");
  ck_assert_str_eq(member(sim, "admin"), "127.0.0.1:81");
  ck_assert_str_eq(member(sim, "version"), "7");
  AWAIT((written = announce_written_ms(a)) >= began);
  announce_ask(a);
  AWAIT(announce_written_ms(a) > written);
  /* Somebody else has written since: it goes all the same. */
  (void)snprintf(rev, sizeof rev, "%s", member(sim, "_rev"));
  cft_couchsim_must(sim, 201, "PUT", "/apps/balancer:me",
                    "{\"_rev\":\"%s\",\"boot\":\"x\"}", rev);
  announce_stop(a);
  cft_couchsim_must(sim, 404, "GET", "/apps/balancer:me", "%s", "");
  cft_couchsim_stop(sim);
}
END_TEST

START_TEST(test_announce_tries_again) {
  cft_couchsim *sim = create();
  announce *a;

  cft_couchsim_rule(
      sim, "%s",
      "[{\"kind\":\"doc_put\",\"times\":1,\"do\":{\"status\":500}},"
      "{\"kind\":\"doc_put\",\"times\":1,\"skip\":1,\"do\":{"
      "\"then\":\"reset\"}}]");
  a = begin(sim);
  ck_assert_int_eq(announce_written_ms(a), -1);
  AWAIT(announce_written_ms(a) >= 0); /* the second was done, unseen */
  ck_assert_uint_ge(cft_couchsim_count(sim, "doc_put"), 3);
  announce_stop(a);
  cft_couchsim_must(sim, 404, "GET", "/apps/balancer:me", "%s", "");
  cft_couchsim_stop(sim);
}
END_TEST

/* Two seconds, or some more on a machine that is busy. */
static void stop_in_time(announce *a) {
  int64_t began = up_ms();

  announce_stop(a);
  ck_assert_int_lt(up_ms() - began, 3500);
}

START_TEST(test_announce_ends_though_nobody_answers) {
  cft_couchsim *sim = create();
  announce *a = begin(sim);

  AWAIT(announce_written_ms(a) >= 0);
  cft_couchsim_rule(
      sim, "%s",
      "{\"db\":\"apps\",\"times\":-1,\"do\":{\"then\":\"silence\"}}");
  stop_in_time(a); /* the deletion hangs */
  cft_couchsim_no_rules(sim);
  cft_couchsim_rule(
      sim, "%s",
      "{\"db\":\"apps\",\"times\":-1,\"do\":{\"then\":\"silence\"}}");
  a = begin(sim);
  AWAIT(cft_couchsim_count(sim, "doc_put") >= 2);
  stop_in_time(a); /* the first write hangs: its thread ends by itself */
  cft_couchsim_stop(sim);
}
END_TEST

START_TEST(test_announce_says_what_is_wrong) {
  announce_config config = {.couch = "http://127.0.0.1:1",
                            .apps = "No Name",
                            .self = "me",
                            .addr = "",
                            .admin = "",
                            .boot = "",
                            .version = ""};
  char error[256] = "";

  ck_assert_ptr_null(announce_start(&config, error, sizeof error));
  ck_assert_ptr_nonnull(strstr(error, "No Name"));
  announce_stop(NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_announce");
  TCase *c = tcase_create("announce");

  log_open("announce", LOG_ERROR);
  tcase_add_test(c, test_announce_writes_over_what_is_there_and_deletes);
  tcase_add_test(c, test_announce_tries_again);
  tcase_add_test(c, test_announce_ends_though_nobody_answers);
  tcase_add_test(c, test_announce_says_what_is_wrong);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
