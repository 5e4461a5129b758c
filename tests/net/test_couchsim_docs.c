/* couchsim's documents: revisions that are CouchDB's own, conflicts, winners,
   tombstones, local documents, lists, sessions, and its errors. */
#include "support/couch.h"
#include "support/couchsim.h"
#include "support/unit.h"

#include <string.h>

static cft_couchsim *sim;

static void start(void) {
  const char *const args[] = {"--admin", "admin:secret", "--user", "joe:pw",
                              NULL};
  sim = cft_couchsim_start(args);
  cft_couchsim_must(sim, 201, "PUT", "/db", NULL);
}

static void stop(void) { cft_couchsim_stop(sim); }

/* The answer as compact JSON with its members in order. */
static void expect(int status, const char *method, const char *path,
                   const char *body, const char *json) {
  json_t *answer = NULL;
  char *text;
  int got = cft_couchsim_do(sim, 0, method, path, body, &answer);
  text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
  ck_assert_msg(got == status, "%s %s: %d %s", method, path, got,
                text ? text : "");
  if (json != NULL)
    ck_assert_str_eq(text, json);
  free(text);
  json_decref(answer);
}

#define CONFLICT                                                               \
  "{\"error\":\"conflict\",\"reason\":\"Document update conflict.\"}"
#define A1 "1-23202479633c2b380f79507a776743d5" /* of {"a":1} */

START_TEST(test_couchsim_revisions_are_those_of_couchdb) {
  expect(201, "PUT", "/db/x", "{\"a\":1}",
         "{\"ok\":true,\"id\":\"x\",\"rev\":\"" A1 "\"}");
  expect(201, "PUT", "/db/y", "{}",
         "{\"ok\":true,\"id\":\"y\","
         "\"rev\":\"1-967a00dff5e02add41819138abb3284d\"}");
  expect(201, "PUT", "/db/z", "{\"n\":1,\"type\":\"a\"}",
         "{\"ok\":true,\"id\":\"z\","
         "\"rev\":\"1-37a219e9afc747f2de33274ffd69eaf2\"}");
  expect(200, "GET", "/db/x", NULL,
         "{\"_id\":\"x\",\"_rev\":\"" A1 "\",\"a\":1}");
}
END_TEST

START_TEST(test_couchsim_a_stale_writer_is_told_409) {
  json_t *answer;
  char path[200];
  expect(201, "PUT", "/db/x", "{\"a\":1}", NULL);
  expect(409, "PUT", "/db/x", "{\"a\":2}", CONFLICT);
  expect(409, "PUT", "/db/x", "{\"_rev\":\"1-abc\"}", CONFLICT);
  expect(409, "PUT", "/db/none", "{\"_rev\":\"1-abc\"}", CONFLICT);
  ck_assert_int_eq(
      cft_couchsim_do(sim, 0, "PUT", "/db/x?rev=" A1, "{\"a\":2}", &answer),
      201);
  json_decref(answer);
  expect(409, "PUT", "/db/x", "{\"_rev\":\"" A1 "\"}", CONFLICT);
  expect(409, "DELETE", "/db/x?rev=" A1, NULL, CONFLICT);
  expect(409, "DELETE", "/db/x", NULL, CONFLICT);
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", "/db/x", NULL, &answer), 200);
  (void)snprintf(path, sizeof path, "/db/x?rev=%s",
                 json_string_value(json_object_get(answer, "_rev")));
  json_decref(answer);
  expect(200, "DELETE", path, NULL, NULL);
  expect(404, "GET", "/db/x", NULL,
         "{\"error\":\"not_found\",\"reason\":\"deleted\"}");
  expect(404, "DELETE", "/db/x", NULL,
         "{\"error\":\"not_found\",\"reason\":\"deleted\"}");
  expect(404, "GET", "/db/y", NULL,
         "{\"error\":\"not_found\",\"reason\":\"missing\"}");
  /* Begun again, it goes on where it ended. */
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "PUT", "/db/x", "{}", &answer), 201);
  ck_assert_int_eq(
      strncmp(json_string_value(json_object_get(answer, "rev")), "4-", 2), 0);
  json_decref(answer);
}
END_TEST

START_TEST(test_couchsim_the_longest_then_highest_leaf_wins) {
  expect(201, "POST", "/db/_bulk_docs",
         "{\"new_edits\":false,\"docs\":["
         "{\"_id\":\"c\",\"_rev\":\"2-aaa\",\"v\":1,"
         "\"_revisions\":{\"start\":2,\"ids\":[\"aaa\",\"one\"]}},"
         "{\"_id\":\"c\",\"_rev\":\"2-ccc\",\"v\":2,"
         "\"_revisions\":{\"start\":2,\"ids\":[\"ccc\",\"one\"]}},"
         "{\"_id\":\"c\",\"_rev\":\"3-ddd\",\"_deleted\":true,"
         "\"_revisions\":{\"start\":3,\"ids\":[\"ddd\",\"bbb\",\"one\"]}},"
         "{\"_id\":\"c\",\"_rev\":\"1-zzz\",\"v\":3}]}",
         "[]");
  expect(200, "GET", "/db/c?conflicts=true&revs=true", NULL,
         "{\"_id\":\"c\",\"_rev\":\"2-ccc\",\"v\":2,"
         "\"_revisions\":{\"start\":2,\"ids\":[\"ccc\",\"one\"]},"
         "\"_conflicts\":[\"2-aaa\",\"1-zzz\"]}");
  expect(200, "GET", "/db/c?rev=2-aaa", NULL,
         "{\"_id\":\"c\",\"_rev\":\"2-aaa\",\"v\":1}");
  expect(404, "GET", "/db/c?rev=1-one", NULL,
         "{\"error\":\"not_found\",\"reason\":\"missing\"}");
  expect(200, "GET", "/db/c?open_revs=[\"1-zzz\",\"9-x\"]", NULL,
         "[{\"ok\":{\"_id\":\"c\",\"_rev\":\"1-zzz\",\"v\":3}},"
         "{\"missing\":\"9-x\"}]");
  expect(200, "POST", "/db/_revs_diff", "{\"c\":[\"2-ccc\",\"5-new\"]}",
         "{\"c\":{\"missing\":[\"5-new\"]}}");
  /* The winner gone, the next one shows; all gone, it is deleted. */
  expect(200, "DELETE", "/db/c?rev=2-ccc", NULL, NULL);
  expect(200, "GET", "/db/c", NULL,
         "{\"_id\":\"c\",\"_rev\":\"2-aaa\",\"v\":1}");
  expect(200, "DELETE", "/db/c?rev=2-aaa", NULL, NULL);
  expect(200, "DELETE", "/db/c?rev=1-zzz", NULL, NULL);
  expect(404, "GET", "/db/c", NULL,
         "{\"error\":\"not_found\",\"reason\":\"deleted\"}");
}
END_TEST

START_TEST(test_couchsim_lists_ids_in_order) {
  expect(201, "POST", "/db/_bulk_docs",
         "{\"docs\":[{\"_id\":\"b\",\"a\":1},{\"_id\":\"a\"},{\"_id\":\"d\"},"
         "{\"_id\":\"c\"},{\"_id\":\"b\"}]}",
         NULL);
  expect(200, "DELETE", "/db/d?rev=1-967a00dff5e02add41819138abb3284d", NULL,
         NULL);
#define ROW(id)                                                                \
  "{\"id\":\"" id "\",\"key\":\"" id                                           \
  "\",\"value\":{\"rev\":\"1-967a00dff5e02add41819138abb3284d\"}}"
#define ROW_B "{\"id\":\"b\",\"key\":\"b\",\"value\":{\"rev\":\"" A1 "\"}"
  expect(200, "GET", "/db/_all_docs", NULL,
         "{\"total_rows\":3,\"offset\":0,\"rows\":[" ROW(
             "a") "," ROW_B "}," ROW("c") "]}");
  expect(200, "GET",
         "/db/"
         "_all_docs?startkey=\"b\"&endkey=\"c\"&inclusive_end=false&include_"
         "docs=true",
         NULL,
         "{\"total_rows\":3,\"offset\":1,\"rows\":[" ROW_B
         ",\"doc\":{\"_id\":\"b\",\"_rev\":\"" A1 "\",\"a\":1}}]}");
  expect(200, "GET", "/db/_all_docs?descending=true&limit=1&skip=1", NULL,
         "{\"total_rows\":3,\"offset\":1,\"rows\":[" ROW_B "}]}");
  expect(200, "GET", "/db/_all_docs?descending=true&startkey=\"bz\"", NULL,
         "{\"total_rows\":3,\"offset\":1,\"rows\":[" ROW_B "}," ROW("a") "]}");
  expect(
      200, "POST", "/db/_all_docs", "{\"keys\":[\"c\",\"no\",\"d\"]}",
      "{\"total_rows\":3,\"offset\":null,\"rows\":[" ROW(
          "c") ","
               "{\"key\":\"no\",\"error\":\"not_found\"},"
               "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":"
               "\"2-eec205a9d413992850a6e32678485900\",\"deleted\":true}}]}");
  expect(400, "GET", "/db/_all_docs?limit=x", NULL, NULL);
  expect(400, "GET", "/db/_all_docs?startkey=x", NULL, NULL);
}
END_TEST

START_TEST(test_couchsim_local_documents_count_their_revisions) {
  expect(201, "PUT", "/db/_local/p", "{\"a\":1}",
         "{\"ok\":true,\"id\":\"_local/p\",\"rev\":\"0-1\"}");
  expect(409, "PUT", "/db/_local/p", "{\"a\":2}", CONFLICT);
  expect(201, "PUT", "/db/_local/p", "{\"a\":2,\"_rev\":\"0-1\"}",
         "{\"ok\":true,\"id\":\"_local/p\",\"rev\":\"0-2\"}");
  expect(409, "PUT", "/db/_local/p", "{\"a\":2,\"_rev\":\"0-1\"}", CONFLICT);
  expect(200, "GET", "/db/_local/p", NULL,
         "{\"_id\":\"_local/p\",\"_rev\":\"0-2\",\"a\":2}");
  expect(200, "DELETE", "/db/_local/p?rev=0-2", NULL, NULL);
  expect(404, "GET", "/db/_local/p", NULL, NULL);
  expect(201, "PUT", "/db/_local/p", "{}",
         "{\"ok\":true,\"id\":\"_local/p\",\"rev\":\"0-1\"}");
  expect(200, "GET", "/db/_all_docs", NULL,
         "{\"total_rows\":0,\"offset\":0,\"rows\":[]}");
}
END_TEST

START_TEST(test_couchsim_refuses_what_couchdb_refuses) {
  expect(400, "PUT", "/db/x", "{\"a\":", NULL);
  expect(400, "PUT", "/db/x", "[]",
         "{\"error\":\"bad_request\","
         "\"reason\":\"Document must be a JSON object\"}");
  expect(400, "PUT", "/db/x", "{\"_foo\":1}",
         "{\"error\":\"doc_validation\","
         "\"reason\":\"Bad special document member: _foo\"}");
  expect(400, "PUT", "/db/_x", "{}", NULL);
  expect(400, "PUT", "/db/x", "{\"_rev\":\"x\"}",
         "{\"error\":\"bad_request\",\"reason\":\"Invalid rev format\"}");
  expect(400, "PUT", "/db/x?rev=1-a", "{\"_rev\":\"1-b\"}", NULL);
  expect(412, "PUT", "/db", NULL, NULL);
  expect(400, "PUT", "/Db", NULL, NULL);
  expect(404, "GET", "/none/x", NULL,
         "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}");
  expect(405, "PUT", "/db/_changes", "{}", NULL);
  expect(400, "POST", "/db/_bulk_docs", "{}", NULL);
  expect(201, "POST", "/db/_bulk_docs",
         "{\"docs\":[{\"_id\":\"_a\"},{\"_id\":\"b\",\"_rev\":\"1-x\"}]}",
         "[{\"id\":\"_a\",\"error\":\"illegal_docid\",\"reason\":\"Only "
         "reserved document ids may start with underscore.\"},"
         "{\"id\":\"b\",\"error\":\"conflict\","
         "\"reason\":\"Document update conflict.\"}]");
  expect(200, "DELETE", "/db", NULL, "{\"ok\":true}");
  expect(404, "GET", "/db", NULL, NULL);
}
END_TEST

/* A request without the admin's credentials, with head lines of its own. */
static void expect_raw(const char *request, const char *status,
                       const char *part) {
  size_t len;
  bool ended, was_reset;
  char *got = cft_couchsim_raw(sim, 0, request, strlen(request), 300, &len,
                               &ended, &was_reset, NULL, NULL);
  ck_assert_msg(strncmp(got, status, strlen(status)) == 0, "%s", got);
  ck_assert_msg(strstr(got, part) != NULL, "%s", got);
  free(got);
}

START_TEST(test_couchsim_sessions_live_and_expire) {
  static const char login[] =
      "POST /_session HTTP/1.1\r\nContent-Length: 20\r\n\r\n"
      "name=joe&password=pw";
  char *got, *cookie, request[400];
  size_t len;
  bool ended, was_reset;
  got = cft_couchsim_raw(sim, 0, login, strlen(login), 300, &len, &ended,
                         &was_reset, NULL, NULL);
  ck_assert_ptr_nonnull(
      strstr(got, "{\"ok\":true,\"name\":\"joe\",\"roles\":[]}"));
  cookie = strstr(got, "AuthSession=");
  ck_assert_ptr_nonnull(cookie);
  cookie[strcspn(cookie, ";")] = '\0';
  (void)snprintf(request, sizeof request,
                 "GET /_session HTTP/1.1\r\nCookie: %s\r\n\r\n", cookie);
  free(got);
  expect_raw(request, "HTTP/1.1 200", "\"name\":\"joe\"");
  cft_couchsim_tell(sim, "advance", "{\"ms\":590000}");
  expect_raw(request, "HTTP/1.1 200", "Set-Cookie: AuthSession="); /* renewed */
  cft_couchsim_tell(sim, "advance", "{\"ms\":12000}");
  expect_raw(request, "HTTP/1.1 200", "\"name\":null");
  expect_raw("GET /db HTTP/1.1\r\n\r\n", "HTTP/1.1 401",
             "You are not authorized to access this db.");
  expect_raw("GET /db HTTP/1.1\r\nAuthorization: Basic am9lOnB3\r\n\r\n",
             "HTTP/1.1 403", "You are not allowed to access this db.");
  expect_raw("GET /db HTTP/1.1\r\nAuthorization: Basic am9lOm5v\r\n\r\n",
             "HTTP/1.1 401", "Name or password is incorrect.");
  cft_couchsim_rule(sim, "{\"times\":1,\"do\":{\"anonymous\":true}}");
  expect(401, "GET", "/db", NULL, NULL);
  /* Open to joe, then to everybody: an expired cookie is served as nobody. */
  expect(200, "PUT", "/db/_security", "{\"members\":{\"names\":[\"joe\"]}}",
         "{\"ok\":true}");
  expect_raw("GET /db HTTP/1.1\r\nAuthorization: Basic am9lOnB3\r\n\r\n",
             "HTTP/1.1 200", "doc_count");
  expect(200, "PUT", "/db/_security", "{}", "{\"ok\":true}");
  expect_raw("GET /db HTTP/1.1\r\n\r\n", "HTTP/1.1 200", "doc_count");
}
END_TEST

START_TEST(test_couchsim_survives_what_is_no_http) {
  static const char *const bad[] = {
      "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: "
      "chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      "POST /db HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "GET  HTTP/1.1\r\n\r\n"};
  char *many = malloc(20000);
  size_t len;
  bool ended, was_reset;
  char *got;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    expect_raw(bad[i], "HTTP/1.1 400", "Connection: close");
  expect_raw("POST /db HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
             "HTTP/1.1 413", "too_large");
  ck_assert_ptr_nonnull(many);
  memset(many, 'a', 20000);
  memcpy(many, "GET /", 5);
  got = cft_couchsim_raw(sim, 0, many, 20000, 300, &len, &ended, &was_reset,
                         NULL, NULL);
  ck_assert(ended);
  free(got);
  got = cft_couchsim_raw(sim, 0, "HELLO\r\n\r\n", 9, 300, &len, &ended,
                         &was_reset, NULL, NULL);
  ck_assert(ended && len == 0);
  free(got);
  free(many);
  /* Two in a row, the second in pieces of 1.0 and with bare line feeds. */
  expect_raw("GET /_up HTTP/1.1\r\n\r\nGET /none HTTP/1.0\n\n", "HTTP/1.1 200",
             "HTTP/1.0 404");
  expect(200, "GET", "/_up", NULL, "{\"status\":\"ok\",\"seeds\":{}}");
}
END_TEST

int main(void) {
  Suite *s = suite_create("couchsim documents");
  TCase *t = tcase_create("all");
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, test_couchsim_revisions_are_those_of_couchdb);
  tcase_add_test(t, test_couchsim_a_stale_writer_is_told_409);
  tcase_add_test(t, test_couchsim_the_longest_then_highest_leaf_wins);
  tcase_add_test(t, test_couchsim_lists_ids_in_order);
  tcase_add_test(t, test_couchsim_local_documents_count_their_revisions);
  tcase_add_test(t, test_couchsim_refuses_what_couchdb_refuses);
  tcase_add_test(t, test_couchsim_sessions_live_and_expire);
  tcase_add_test(t, test_couchsim_survives_what_is_no_http);
  suite_add_tcase(s, t);
  return cft_run(s);
}
