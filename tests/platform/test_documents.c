/*
 * The platform's documents: what is right comes back as it was, what is wrong
 * is refused with a sentence that names the field.
 */
#include "common/documents.h"
#include "support/unit.h"

#include <string.h>

#define C1 "0123456789abcdef0123456789abcdef"
#define DRONE(more)                                                            \
  "{\"_id\":\"drone:127.1.0.1:4000\",\"_rev\":\"3-abc\","                      \
  "\"addr\":\"127.1.0.1:4000\",\"ctl\":\"127.1.0.1:4001\",\"vm\":\"" C1        \
  "\",\"epoch\":7,\"at\":1," more "}"
#define CLAIM                                                                  \
  "\"claim\":{\"id\":\"" C1                                                    \
  "\",\"app\":\"blog\",\"gen\":3,\"by\":\"p1\",\"at\":5}"
#define APP(more)                                                              \
  "{\"_id\":\"app:blog\",\"_rev\":\"1-a\",\"hosts\":[\"blog.example\"],"       \
  "\"command\":\"./run\"," more "}"
#define ROUTE(more)                                                            \
  "{\"_id\":\"route:blog\",\"app\":\"blog\",\"gen\":3," more "}"
#define TO                                                                     \
  "\"to\":[{\"drone\":\"127.1.0.1:4000\",\"addr\":\"127.1.0.1:4000\","         \
  "\"claim\":\"" C1 "\"}]"

static json_t *parsed(const char *text) {
  json_t *doc = json_loads(text, JSON_ALLOW_NUL, NULL);

  ck_assert_msg(doc != NULL, "not JSON: %s", text);
  return doc;
}

START_TEST(test_documents_a_drone_comes_back_as_it_was) {
  json_t *doc = parsed(DRONE("\"state\":\"bound\"," CLAIM)), *again;
  drone_doc d;
  char why[256];

  ck_assert_msg(drone_doc_read(doc, &d, why, sizeof why), "%s", why);
  ck_assert_int_eq(d.state, DRONE_BOUND);
  ck_assert_int_eq(d.epoch, 7);
  ck_assert_str_eq(d.claim.app, "blog");
  ck_assert_str_eq(d.claim.by, "p1");
  again = drone_doc_write(&d);
  ck_assert(json_equal(doc, again));
  json_decref(again);
  json_decref(doc);
}
END_TEST

START_TEST(test_documents_a_route_comes_back_as_it_was) {
  json_t *doc = parsed(ROUTE("\"state\":\"live\",\"code\":\"ok\",\"msg\":\"\","
                             "\"hosts\":[\"a.example\",\"b.example\"],"
                             "\"prev\":[],\"at\":4," TO));
  route_doc r;
  json_t *again;
  char why[256];

  ck_assert_msg(route_doc_read(doc, &r, why, sizeof why), "%s", why);
  ck_assert_int_eq(r.state, ROUTE_LIVE);
  ck_assert_uint_eq(r.host_count, 2);
  ck_assert_str_eq(r.to[0].claim, C1);
  again = route_doc_write(&r);
  ck_assert(json_equal(doc, again));
  json_decref(again);
  json_decref(doc);
}
END_TEST

START_TEST(test_documents_an_app_without_a_wish_is_not_started) {
  json_t *doc = parsed(APP("\"env\":{}"));
  app_doc a;
  char why[256];

  ck_assert_msg(app_doc_read(doc, &a, why, sizeof why), "%s", why);
  ck_assert(!a.started);
  ck_assert_int_eq(a.gen, 0);
  app_doc_free(&a);
  json_decref(doc);
  doc = parsed(APP("\"want\":{\"state\":\"started\",\"gen\":9}"));
  ck_assert(app_doc_read(doc, &a, why, sizeof why));
  ck_assert(a.started);
  ck_assert_int_eq(a.gen, 9);
  ck_assert_str_eq(a.hosts[0], "blog.example");
  app_doc_free(&a);
  json_decref(doc);
}
END_TEST

static const struct {
  char kind;
  const char *text, *names;
} broken[] = {
    {'d', "[]", "object"},
    {'d', "{}", "_id"},
    {'d', "{\"_id\":7}", "_id"},
    {'d', "{\"_id\":\"drone:\"}", "_id"},
    {'d', "{\"_id\":\"drone:1.2.3.4:5\"}", "addr"},
    {'d', "{\"_id\":\"drone:1.2.3.4:5\",\"_deleted\":true}", "deleted"},
    {'d', "{\"_id\":\"drone:x\",\"addr\":\"x\"}", "addr"},
    {'d',
     "{\"_id\":\"drone:1.2.3.4:5\",\"addr\":\"1.2.3.4:6\","
     "\"ctl\":\"1.2.3.4:7\"}",
     "addr"},
    {'d', DRONE("\"state\":\"asleep\""), "state"},
    {'d', DRONE("\"state\":3"), "state"},
    {'d', DRONE("\"state\":\"bound\""), "claim"},
    {'d', DRONE("\"state\":\"free\"," CLAIM), "claim"},
    {'d', DRONE("\"state\":\"bound\",\"claim\":\"mine\""), "claim"},
    {'d', DRONE("\"state\":\"bound\",\"claim\":{\"id\":\"xyz\"}"), "id"},
    {'d', DRONE("\"state\":\"free\",\"vm\":7"), "vm"},
    {'d', DRONE("\"state\":\"free\",\"epoch\":-1"), "epoch"},
    {'d', DRONE("\"state\":\"free\",\"epoch\":\"7\""), "epoch"},
    {'d', DRONE("\"state\":\"free\",\"epoch\":1.5"), "epoch"},
    {'a', "{\"_id\":\"app:Blog\"}", "_id"},
    {'a', "{\"_id\":\"app:blog\"}", "command"},
    {'a', APP("\"env\":[]"), "env"},
    {'a', APP("\"env\":{\"A\":1}"), "env"},
    {'a', APP("\"env\":{\"A=B\":\"1\"}"), "env"},
    {'a', APP("\"env\":{\"A\":\"x\\u0000y\"}"), "env"},
    {'a', APP("\"want\":1"), "want"},
    {'a', APP("\"want\":{\"state\":\"started\"}"), "gen"},
    {'a', APP("\"want\":{\"state\":\"running\",\"gen\":1}"), "want.state"},
    {'a', APP("\"memory_mb\":0"), "memory_mb"},
    {'a', APP("\"command\":\"\""), "command"},
    {'a', APP("\"command\":\"a\\u0000b\""), "command"},
    {'a', APP("\"hosts\":[\"a b\"]"), "hosts"},
    {'a', APP("\"hosts\":[\"*.example\"]"), "hosts"},
    {'a', APP("\"hosts\":{}"), "hosts"},
    {'r', ROUTE("\"state\":\"live\""), "to"},
    {'r', ROUTE("\"state\":\"live\",\"to\":[1]"), "to"},
    {'r', ROUTE("\"state\":\"live\",\"to\":[{}]"), "drone"},
    {'r', ROUTE("\"state\":\"queued\",\"gen\":9223372036854775807"), "gen"},
    {'r', ROUTE("\"state\":\"queued\",\"app\":\"other\""), "app"},
    {'r', ROUTE("\"state\":\"queued\",\"msg\":{}"), "msg"},
};

START_TEST(test_documents_what_is_wrong_is_named) {
  json_t *doc = parsed(broken[_i].text);
  static drone_doc d;
  static app_doc a;
  static route_doc r;
  char why[256] = "";
  bool ok = broken[_i].kind == 'd'   ? drone_doc_read(doc, &d, why, sizeof why)
            : broken[_i].kind == 'a' ? app_doc_read(doc, &a, why, sizeof why)
                                     : route_doc_read(doc, &r, why, sizeof why);

  ck_assert_msg(!ok, "accepted: %s", broken[_i].text);
  ck_assert_msg(strstr(why, broken[_i].names) != NULL, "%s: %s",
                broken[_i].text, why);
  json_decref(doc);
}
END_TEST

START_TEST(test_documents_giant_values_are_refused) {
  static char giant[70000];
  json_t *doc = parsed(APP("\"env\":{}"));
  app_doc a;
  char why[256], name[16];
  int i;

  memset(giant, 'x', sizeof giant - 1);
  json_object_set_new(doc, "command", json_string(giant));
  ck_assert(!app_doc_read(doc, &a, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "command"));
  json_object_set_new(doc, "command", json_string("x"));
  json_object_set_new(json_object_get(doc, "env"), "A", json_string(giant));
  ck_assert(!app_doc_read(doc, &a, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "env"));
  json_object_clear(json_object_get(doc, "env"));
  for (i = 0; i < 65; i++) {
    (void)snprintf(name, sizeof name, "E%d", i);
    json_object_set_new(json_object_get(doc, "env"), name, json_string("1"));
  }
  ck_assert(!app_doc_read(doc, &a, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "64"));
  json_decref(doc);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("documents");
  TCase *tc = tcase_create("documents");

  tcase_add_test(tc, test_documents_a_drone_comes_back_as_it_was);
  tcase_add_test(tc, test_documents_a_route_comes_back_as_it_was);
  tcase_add_test(tc, test_documents_an_app_without_a_wish_is_not_started);
  tcase_add_loop_test(tc, test_documents_what_is_wrong_is_named, 0,
                      (int)(sizeof broken / sizeof broken[0]));
  tcase_add_test(tc, test_documents_giant_values_are_refused);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
