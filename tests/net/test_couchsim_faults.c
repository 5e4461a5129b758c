/* Each fault that couchsim can be told to have does what its README says, to
   the request that its rule is for, and to no other. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couchsim.h"
#include "support/timing.h"
#include "support/unit.h"

#include <string.h>

static cft_couchsim *sim;

static void start(void) {
  sim = cft_couchsim_start(NULL);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
  for (int i = 0; i < 6; i++) {
    char path[32];
    (void)snprintf(path, sizeof path, "/db/d%d", i);
    cft_couchsim_must(sim, 201, "PUT", path, "{\"n\":%d}", i);
  }
}

static void stop(void) { cft_couchsim_stop(sim); }

typedef struct raw {
  char *text;
  size_t len;
  bool ended, was_reset;
  int64_t took_ms;
} raw;

static raw ask(const char *target, int64_t silent_ms) {
  raw r;
  char *request = NULL;
  int64_t began = cft_now_ms();
  if (asprintf(&request, "GET %s HTTP/1.1\r\n\r\n", target) < 0)
    ck_abort_msg("no memory");
  r.text = cft_couchsim_raw(sim, 0, request, strlen(request), silent_ms, &r.len,
                            &r.ended, &r.was_reset, NULL, NULL);
  r.took_ms = cft_now_ms() - began;
  free(request);
  return r;
}

static size_t behind_head(const raw *r) {
  const char *body = strstr(r->text, "\r\n\r\n");
  ck_assert_msg(body != NULL, "%s", r->text);
  return r->len - (size_t)(body + 4 - r->text);
}

static size_t times(const char *text, const char *part) {
  size_t n = 0;
  while ((text = strstr(text, part)) != NULL) {
    text += strlen(part);
    n++;
  }
  return n;
}

static void expect_rows(const char *target, size_t rows) {
  raw r = ask(target, 200);
  ck_assert_msg(times(r.text, "{\"seq\":") == rows, "%zu rows, not %zu: %s",
                times(r.text, "{\"seq\":"), rows, r.text);
  free(r.text);
}

#define CONTINUOUS "/db/_changes?feed=continuous&heartbeat=10"

START_TEST(test_couchsim_a_rule_strikes_the_kth_request) {
  cft_couchsim_rule(sim, "{\"kind\":\"doc_get\",\"skip\":1,\"times\":2,\"do\":{"
                         "\"status\":503,\"error\":\"busy\",\"reason\":\"r\","
                         "\"headers\":{\"Retry-After\":\"7\"}}}");
  cft_couchsim_must(sim, 200, "GET", "/db/d0", NULL);
  cft_couchsim_must(sim, 200, "GET", "/db", NULL);
  {
    raw r = ask("/db/d0", 200);
    ck_assert_ptr_nonnull(strstr(r.text, "HTTP/1.1 503 Service Unavailable"));
    ck_assert_ptr_nonnull(strstr(r.text, "Retry-After: 7\r\n"));
    ck_assert_ptr_nonnull(
        strstr(r.text, "{\"error\":\"busy\",\"reason\":\"r\"}\n"));
    free(r.text);
  }
  cft_couchsim_must(sim, 503, "GET", "/db/d0", NULL);
  cft_couchsim_must(sim, 200, "GET", "/db/d0", NULL);
  ck_assert_uint_eq(cft_couchsim_count(sim, "doc_get"), 4);
}
END_TEST

START_TEST(test_couchsim_a_chance_is_drawn_from_the_seed) {
  char first[65] = "", again[65] = "";
  for (int run = 0; run < 2; run++) {
    char *seen = run == 0 ? first : again;
    cft_couchsim_stop(sim);
    start();
    cft_couchsim_rule(sim, "{\"kind\":\"doc_get\",\"chance\":0.5,"
                           "\"do\":{\"status\":500}}");
    for (int i = 0; i < 64; i++)
      seen[i] = cft_couchsim_do(sim, 0, "GET", "/db/d0", NULL, NULL) == 200
                    ? '.'
                    : 'x';
  }
  ck_assert_str_eq(first, again);
  ck_assert(strchr(first, '.') != NULL && strchr(first, 'x') != NULL);
}
END_TEST

START_TEST(test_couchsim_cuts_at_the_byte) {
  raw r;
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"cut_at\":333,\"slice\":1}}");
  r = ask("/db/_changes", 3000);
  ck_assert(r.ended && !r.was_reset);
  ck_assert_uint_eq(behind_head(&r), 333);
  free(r.text);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"cut_at\":20,\"cut_reset\":true}}");
  r = ask("/db/_changes", 3000);
  ck_assert(r.ended && r.was_reset);
  free(r.text);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"mute_at\":100}}");
  r = ask("/db/_changes", 300);
  ck_assert(!r.ended);
  ck_assert_uint_eq(behind_head(&r), 100);
  free(r.text);
  expect_rows("/db/_changes", 6);
}
END_TEST

START_TEST(test_couchsim_is_late_when_told) {
  raw r;
  cft_couchsim_rule(sim, "{\"kind\":\"db_info\",\"times\":1,"
                         "\"do\":{\"delay_ms\":300}}");
  r = ask("/db", 400);
  ck_assert_int_ge(r.took_ms, 300);
  ck_assert_ptr_nonnull(strstr(r.text, "HTTP/1.1 200"));
  free(r.text);
  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"times\":1,"
                         "\"do\":{\"head_ms\":300}}");
  r.took_ms = cft_now_ms();
  cft_couchsim_must(sim, 201, "PUT", "/db/slow", "{}");
  ck_assert_int_ge(cft_now_ms() - r.took_ms, 300);
  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"times\":1,"
                         "\"do\":{\"then\":\"close\"}}");
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "PUT", "/db/gone", "{}", NULL), -1);
  cft_couchsim_must(sim, 200, "GET", "/db/gone", NULL); /* it was stored */
  cft_couchsim_rule(sim, "{\"kind\":\"doc_put\",\"times\":1,"
                         "\"do\":{\"apply_ms\":1500}}");
  cft_couchsim_must(sim, 500, "PUT", "/db/later", "{}");
  cft_couchsim_must(sim, 404, "GET", "/db/later", NULL);
  r = ask("/db/_changes?feed=longpoll&since=now&timeout=9000", 2500);
  ck_assert_ptr_nonnull(strstr(r.text, "\"id\":\"later\""));
  free(r.text);
}
END_TEST

START_TEST(test_couchsim_ends_stalls_and_errs_after_rows) {
  raw r;
  cft_couchsim_rule(sim, "{\"feed\":\"continuous\",\"times\":1,"
                         "\"do\":{\"end_rows\":3}}");
  r = ask(CONTINUOUS, 200);
  ck_assert_uint_eq(times(r.text, "{\"seq\":"), 3);
  ck_assert_ptr_nonnull(strstr(r.text, "\"pending\":3}\n"));
  free(r.text);
  cft_couchsim_rule(sim, "{\"feed\":\"continuous\",\"times\":1,"
                         "\"do\":{\"stall_rows\":2}}");
  r = ask(CONTINUOUS, 300);
  ck_assert_uint_eq(times(r.text, "{\"seq\":"), 2);
  ck_assert_uint_eq(times(r.text, "1\r\n\n\r\n"), 0);
  free(r.text);
  cft_couchsim_rule(sim, "{\"feed\":\"continuous\",\"times\":1,\"do\":{"
                         "\"stall_rows\":2,\"stall_beats\":true,"
                         "\"cut_at\":1000}}");
  r = ask(CONTINUOUS "&include_docs=true", 3000);
  ck_assert(r.ended);
  ck_assert_uint_eq(times(r.text, "{\"seq\":"), 2);
  ck_assert_uint_gt(times(r.text, "1\r\n\n\r\n"), 50);
  free(r.text);
  cft_couchsim_rule(sim, "{\"feed\":\"continuous\",\"times\":1,\"do\":{"
                         "\"error_rows\":1,\"error\":\"e\",\"reason\":\"r\"}}");
  r = ask(CONTINUOUS, 3000);
  ck_assert(r.ended);
  ck_assert_ptr_nonnull(
      strstr(r.text, "\n{\"error\":\"e\",\"reason\":\"r\"}\n"));
  ck_assert_ptr_null(strstr(r.text, "\r\n0\r\n"));
  free(r.text);
  cft_couchsim_rule(sim, "{\"feed\":\"continuous\",\"times\":1,\"do\":{"
                         "\"error_rows\":1,\"error_status\":500}}");
  r = ask(CONTINUOUS, 300);
  ck_assert(!r.ended);
  ck_assert_uint_eq(times(r.text, "HTTP/1.1 "), 2);
  free(r.text);
}
END_TEST

START_TEST(test_couchsim_repeats_rewinds_and_reorders) {
  json_t *v = NULL;
  char path[400];
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"repeat\":1}}");
  expect_rows("/db/_changes", 12);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db", NULL, &v), 200);
  (void)snprintf(path, sizeof path, "/db/_changes?since=%s",
                 json_string_value(json_object_get(v, "update_seq")));
  json_decref(v);
  expect_rows(path, 0);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"rewind_all\":true}}");
  expect_rows(path, 6);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"rewind\":1}}");
  expect_rows(path, 2); /* one in each of two shards */
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"rewind_all\":true,\"rewind_rows\":6}}");
  expect_rows("/db/_changes", 12);
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"reorder\":1}}");
  expect_rows("/db/_changes", 6);
  cft_couchsim_must(sim, 201, "PUT",
                    "/db/d1?rev=1-731bef401491606a3b246ed178e697c1", "{}");
  cft_couchsim_rule(sim, "{\"kind\":\"changes\",\"times\":1,"
                         "\"do\":{\"old\":1}}");
  expect_rows("/db/_changes", 7); /* d1 twice, the others have no past */
}
END_TEST

START_TEST(test_couchsim_settings_show_in_answers) {
  raw r;
  cft_couchsim_tell(sim, "settings",
                    "{\"instance_start_time\":\"zero\",\"pending\":\"null\","
                    "\"uuid\":\"\"}");
  r = ask("/db", 150);
  ck_assert_ptr_nonnull(strstr(r.text, "{\"instance_start_time\":\"0\","));
  free(r.text);
  r = ask("/db/_changes", 150);
  ck_assert_ptr_nonnull(strstr(r.text, "\"pending\":null}\n"));
  free(r.text);
  r = ask("/", 150);
  ck_assert_ptr_null(strstr(r.text, "uuid"));
  free(r.text);
  cft_couchsim_tell(sim, "settings",
                    "{\"instance_start_time\":\"absent\","
                    "\"pending\":\"negative\",\"late_heads\":true}");
  r = ask("/db", 150);
  ck_assert_ptr_null(strstr(r.text, "instance_start_time"));
  free(r.text);
  r = ask("/db/_changes", 150);
  ck_assert_ptr_nonnull(strstr(r.text, "\"pending\":-1}\n"));
  free(r.text);
  r = ask("/db/_changes?feed=continuous&since=now&timeout=30000", -300);
  ck_assert_uint_eq(r.len, 0);
  free(r.text);
}
END_TEST

START_TEST(test_couchsim_recreates_and_restores) {
  raw before = ask("/db", 150), after;
  cft_couchsim_tell(sim, "snapshot", "{\"name\":\"s\",\"db\":\"db\"}");
  cft_couchsim_must(sim, 201, "PUT", "/db/new", "{}");
  cft_couchsim_tell(sim, "restore", "{\"name\":\"s\"}");
  cft_couchsim_must(sim, 404, "GET", "/db/new", NULL);
  expect_rows("/db/_changes", 6);
  after = ask("/db", 150);
  ck_assert_str_eq(strstr(before.text, "{\"instance"),
                   strstr(after.text, "{\"instance"));
  free(after.text);
  cft_couchsim_tell(sim, "recreate", "{\"db\":\"db\"}");
  expect_rows("/db/_changes", 0);
  after = ask("/db", 150);
  ck_assert_int_ne(strncmp(strstr(before.text, "{\"instance"),
                           strstr(after.text, "{\"instance"), 36),
                   0);
  free(after.text);
  free(before.text);
}
END_TEST

START_TEST(test_couchsim_control_refuses_nonsense) {
  cft_couchsim_rule(sim, "[{\"do\":{}},{\"kind\":\"x\",\"do\":{}}]");
  {
    json_t *rules = cft_couchsim_ask(sim, "rules");
    ck_assert_uint_eq(json_array_size(rules), 2);
    json_decref(rules);
  }
  cft_couchsim_no_rules(sim);
  {
    json_t *rules = cft_couchsim_ask(sim, "rules");
    json_t *log = cft_couchsim_ask(sim, "log?since=2");
    ck_assert_uint_eq(json_array_size(rules), 0);
    ck_assert_str_eq(
        json_string_value(json_object_get(
            json_array_get(json_object_get(log, "requests"), 0), "target")),
        "/db/d0");
    json_decref(rules);
    json_decref(log);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("couchsim faults");
  TCase *t = tcase_create("all");
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, test_couchsim_a_rule_strikes_the_kth_request);
  tcase_add_test(t, test_couchsim_a_chance_is_drawn_from_the_seed);
  tcase_add_test(t, test_couchsim_cuts_at_the_byte);
  tcase_add_test(t, test_couchsim_is_late_when_told);
  tcase_add_test(t, test_couchsim_ends_stalls_and_errs_after_rows);
  tcase_add_test(t, test_couchsim_repeats_rewinds_and_reorders);
  tcase_add_test(t, test_couchsim_settings_show_in_answers);
  tcase_add_test(t, test_couchsim_recreates_and_restores);
  tcase_add_test(t, test_couchsim_control_refuses_nonsense);
  suite_add_tcase(s, t);
  return cft_run(s);
}
