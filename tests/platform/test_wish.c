/* Wishes: bodies that are wrong are refused by the name of what is wrong; gen
   grows when something has to be done anew, and only then; what is written can
   be read by the kernel. */
#include "provisioner/wish.h"
#include "support/unit.h"
#include <string.h>

static json_t *parse(const char *text) {
  json_error_t error;
  json_t *value = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);

  ck_assert_msg(value != NULL, "%s: %s", error.text, text);
  return value;
}

static void refuse(const char *body, const char *field) {
  char why[256] = "";
  json_t *in = parse(body), *out = wish_app(in, "a", "d", why, sizeof why);

  ck_assert_msg(out == NULL, "taken: %s", body);
  ck_assert_msg(strstr(why, field) == why, "\"%s\" does not begin with %s", why,
                field);
  json_decref(in);
}

static json_t *take(const char *body) {
  char why[256] = "";
  json_t *in = parse(body), *out = wish_app(in, "a", "d", why, sizeof why);

  ck_assert_msg(out != NULL, "%s: %s", why, body);
  json_decref(in);
  return out;
}

START_TEST(test_wish_a_wrong_definition_is_refused_by_name) {
  static const char *const cases[][2] = {
      {"[]", "the body"},
      {"\"x\"", "the body"},
      {"{}", "command"},
      {"{\"command\":1}", "command"},
      {"{\"command\":\"\"}", "command"},
      {"{\"command\":\"a\\u0000b\"}", "command"},
      {"{\"command\":\"a\",\"comand\":\"b\"}", "comand"},
      {"{\"command\":\"a\",\"hosts\":\"h\"}", "hosts"},
      {"{\"command\":\"a\",\"hosts\":[\"ok.de\",\"UPPER\"]}", "hosts[1]"},
      {"{\"command\":\"a\",\"hosts\":[\"a b\"]}", "hosts[0]"},
      {"{\"command\":\"a\",\"hosts\":[\"a\\u0000b\"]}", "hosts[0]"},
      {"{\"command\":\"a\",\"hosts\":[3]}", "hosts[0]"},
      {"{\"command\":\"a\",\"env\":[]}", "env"},
      {"{\"command\":\"a\",\"env\":{\"A\":1}}", "env.A"},
      {"{\"command\":\"a\",\"env\":{\"A\":\"x\\u0000y\"}}", "env.A"},
      {"{\"command\":\"a\",\"env\":{\"A=B\":\"x\"}}", "env"},
      {"{\"command\":\"a\",\"env\":{\"\":\"x\"}}", "env"},
      {"{\"command\":\"a\",\"memory_mb\":0}", "memory_mb"},
      {"{\"command\":\"a\",\"memory_mb\":1.5}", "memory_mb"},
      {"{\"command\":\"a\",\"memory_mb\":\"64\"}", "memory_mb"}};

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refuse(cases[i][0], cases[i][1]);
}
END_TEST

static void refuse_made(json_t *in, const char *field) {
  char why[256] = "";

  ck_assert_ptr_null(wish_app(in, "a", "d", why, sizeof why));
  ck_assert_msg(strstr(why, field) == why, "%s", why);
  json_decref(in);
}

static json_t *with_env(size_t count, size_t bytes) {
  json_t *env = json_object();
  char name[32], value[9000];

  memset(value, 'x', sizeof value);
  value[bytes] = '\0';
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(name, sizeof name, "V%zu", i);
    json_object_set_new(env, name, json_string(value));
  }
  return json_pack("{s:s, s:o}", "command", "a", "env", env);
}

START_TEST(test_wish_limits_hold_to_the_byte) {
  char command[4098], why[256];
  json_t *hosts = json_array(), *in, *out;

  memset(command, 'c', sizeof command);
  command[4097] = '\0';
  refuse_made(json_pack("{s:s}", "command", command), "command");
  command[4096] = '\0';
  in = json_pack("{s:s}", "command", command);
  out = wish_app(in, "a", "d", why, sizeof why);
  ck_assert_ptr_nonnull(out);
  json_decref(out);
  json_decref(in);
  refuse_made(with_env(65, 1), "env");
  refuse_made(with_env(4, 8300), "env");
  in = with_env(64, 500);
  out = wish_app(in, "a", "d", why, sizeof why);
  ck_assert_ptr_nonnull(out);
  json_decref(out);
  json_decref(in);
  for (int i = 0; i < 17; i++)
    json_array_append_new(hosts, json_string("h.de"));
  refuse_made(json_pack("{s:s, s:o}", "command", "a", "hosts", hosts), "hosts");
}
END_TEST

START_TEST(test_wish_hosts_have_a_default_and_are_told_once) {
  json_t *out = take("{\"command\":\"a\"}");

  ck_assert_str_eq(
      json_string_value(json_array_get(json_object_get(out, "hosts"), 0)),
      "a.d");
  json_decref(out);
  out = take("{\"command\":\"a\",\"hosts\":[\"x.de\",\"y.de\",\"x.de\"]}");
  ck_assert_uint_eq(json_array_size(json_object_get(out, "hosts")), 2);
  json_decref(out);
  out = take("{\"command\":\"a\",\"hosts\":[]}");
  ck_assert_uint_eq(json_array_size(json_object_get(out, "hosts")), 0);
  json_decref(out);
}
END_TEST

static bool start(const char *body, wish_start_body *out) {
  char why[256];
  json_t *in = body != NULL ? parse(body) : NULL;
  bool ok = wish_start(in, out, why, sizeof why);

  json_decref(in);
  return ok;
}

START_TEST(test_wish_start_takes_force_and_key_and_nothing_else) {
  wish_start_body out;

  ck_assert(start(NULL, &out) && !out.force && out.key[0] == '\0');
  ck_assert(start("{}", &out) && !out.force);
  ck_assert(start("{\"force\":true,\"key\":\"k\"}", &out) && out.force);
  ck_assert_str_eq(out.key, "k");
  ck_assert(!start("{\"force\":1}", &out));
  ck_assert(!start("{\"key\":\"\"}", &out));
  ck_assert(!start("{\"key\":\"a\\u0000\"}", &out));
  ck_assert(!start("{\"Force\":true}", &out));
  ck_assert(!start("[]", &out));
}
END_TEST

START_TEST(test_wish_maintenance_has_three_modes) {
  static const char *const bad[] = {"{}",
                                    "{\"mode\":\"on\"}",
                                    "{\"mode\":1}",
                                    "{\"mode\":\"api\",\"msg\":1}",
                                    "{\"mode\":\"api\",\"until\":\"x\"}",
                                    "{\"mode\":\"api\",\"until\":-1}",
                                    "{\"mode\":\"api\",\"message\":\"x\"}",
                                    "[]"};
  char why[256];
  json_t *in, *out;

  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    in = parse(bad[i]);
    ck_assert_ptr_null(wish_maintenance(in, why, sizeof why));
    json_decref(in);
  }
  in = parse("{\"mode\":\"full\",\"msg\":\"soon\",\"until\":5}");
  out = wish_maintenance(in, why, sizeof why);
  ck_assert(json_equal(in, out));
  json_decref(out);
  json_decref(in);
}
END_TEST

/* ---- gen ---- */

static wish_change change(bool starts, const char *key, int64_t renew_of) {
  wish_change c = {starts, key, renew_of, 0, 77};

  return c;
}

/* What becomes of the document; NULL: nothing had to be done. */
static json_t *apply(json_t *doc, wish_change c, int64_t want_gen) {
  json_t *out;
  int64_t gen;
  wish now;

  wish_of(doc, &now);
  if (wish_is_done(&now, &c)) {
    ck_assert_int_eq(want_gen, 0);
    return doc;
  }
  out = wish_apply(doc, "a", &c, &gen);
  ck_assert_ptr_nonnull(out);
  ck_assert_int_eq(gen, want_gen);
  json_decref(doc);
  return out;
}

static json_t *redefine(json_t *doc, const char *body) {
  json_t *definition = take(body), *out = wish_define(doc, definition, 0);

  ck_assert_ptr_nonnull(out);
  json_decref(definition);
  json_decref(doc);
  return out;
}

START_TEST(test_wish_gen_grows_only_when_something_changes) {
  json_t *doc = redefine(NULL, "{\"command\":\"a\"}");

  doc = apply(doc, change(false, "", -1), 0); /* never started */
  doc = apply(doc, change(true, "", -1), 1);
  doc = apply(doc, change(true, "", -1), 0);
  doc = apply(doc, change(true, "k", -1), 2);
  doc = apply(doc, change(true, "k", -1), 0);
  doc = apply(doc, change(true, "", -1), 0);
  doc = apply(doc, change(true, "", 2), 3); /* gen 2 has failed: once more */
  doc = apply(doc, change(true, "", 2), 0); /* somebody else did that */
  doc = redefine(doc, "{\"command\":\"a\"}");
  doc = apply(doc, change(true, "", -1), 0); /* the same definition */
  doc = redefine(doc, "{\"command\":\"b\"}");
  doc = apply(doc, change(true, "", -1), 4);
  doc = apply(doc, change(true, "", -1), 0);
  doc = redefine(doc, "{\"command\":\"b\",\"hosts\":[\"other.de\"]}");
  doc = apply(doc, change(true, "", -1), 5);
  doc = apply(doc, change(false, "", -1), 6);
  doc = apply(doc, change(false, "", -1), 0);
  doc = apply(doc, change(true, "", -1), 7);
  json_decref(doc);
}
END_TEST

START_TEST(test_wish_gen_goes_beyond_what_is_known_elsewhere) {
  json_t *definition = take("{\"command\":\"a\"}"),
         *doc = wish_define(NULL, definition, 12);
  wish_change c = change(true, "", -1);
  wish now;

  wish_of(doc, &now);
  ck_assert_int_eq(now.gen, 12); /* of the tombstone before it */
  ck_assert(!now.started);
  doc = apply(doc, c, 13);
  c.key = "again";
  c.floor = 40;
  doc = apply(doc, c, 41);
  json_decref(doc);
  json_decref(definition);
}
END_TEST

START_TEST(test_wish_what_is_written_can_be_read) {
  json_t *doc = redefine(
      NULL, "{\"command\":\"run\",\"env\":{\"A\":\"1\"},\"memory_mb\":64}");
  char why[256];
  app_doc app;

  json_object_set_new(doc, "_id", json_string("app:a"));
  doc = apply(doc, change(true, "k", -1), 1);
  ck_assert_msg(app_doc_read(doc, &app, why, sizeof why), "%s", why);
  ck_assert(app.started);
  ck_assert_int_eq(app.gen, 1);
  ck_assert_int_eq(app.memory_mb, 64);
  ck_assert_int_eq(app.at_ms, 77);
  ck_assert_str_eq(app.hosts[0], "a.d");
  ck_assert_str_eq(json_string_value(
                       json_object_get(json_object_get(app.doc, "want"), "op")),
                   "a.1");
  app_doc_free(&app);
  json_decref(doc);
}
END_TEST

START_TEST(test_wish_documents_of_other_hands_do_no_harm) {
  static const char *const docs[] = {
      "{}", "{\"want\":[]}", "{\"want\":{\"state\":3,\"gen\":\"x\"}}",
      "{\"want\":{\"state\":\"started\",\"gen\":3,\"key\":7}}",
      "{\"want\":{\"state\":\"started\",\"gen\":3,\"definition\":{}}}"};

  for (size_t i = 0; i < sizeof docs / sizeof *docs; i++) {
    json_t *doc = parse(docs[i]);
    wish now;

    wish_of(doc, &now);
    ck_assert(!now.changed);
    ck_assert_int_eq(now.gen, now.any ? 3 : 0);
    json_decref(doc);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("wish");
  TCase *c = tcase_create("wish");

  tcase_add_test(c, test_wish_a_wrong_definition_is_refused_by_name);
  tcase_add_test(c, test_wish_limits_hold_to_the_byte);
  tcase_add_test(c, test_wish_hosts_have_a_default_and_are_told_once);
  tcase_add_test(c, test_wish_start_takes_force_and_key_and_nothing_else);
  tcase_add_test(c, test_wish_maintenance_has_three_modes);
  tcase_add_test(c, test_wish_gen_grows_only_when_something_changes);
  tcase_add_test(c, test_wish_gen_goes_beyond_what_is_known_elsewhere);
  tcase_add_test(c, test_wish_what_is_written_can_be_read);
  tcase_add_test(c, test_wish_documents_of_other_hands_do_no_harm);
  suite_add_tcase(suite, c);
  return cft_run(suite);
}
