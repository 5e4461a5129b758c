/* URLs: names go to the server as the bytes that were meant, credentials go
   nowhere but into their two members. */
#include "url.h"

#include <string.h>

#include "str.h"
#include "support/failing.h"
#include "support/unit.h"

static cfi_alloc heap;

static void setup(void) { ck_assert(cfi_alloc_init(&heap, NULL)); }

/* NULL where nothing is expected. */
typedef struct accepted {
  const char *text, *base, *db, *db_name, *shown, *username, *password;
} accepted;

static void assert_text(const char *got, const char *expected, const char *what,
                        const char *text) {
  if (expected == NULL)
    ck_assert_msg(got == NULL, "%s: %s is %s", text, what, got);
  else
    ck_assert_msg(got != NULL && strcmp(got, expected) == 0,
                  "%s: %s is %s, not %s", text, what,
                  got != NULL ? got : "(null)", expected);
}

static void assert_accepted(const accepted *expected, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const accepted *e = &expected[i];
    cfi_error error;
    cfi_url url;
    int rc = cfi_url_parse(&heap, e->text, &url, &error);

    ck_assert_msg(rc == CHANGEFEED_OK, "%s: %s", e->text, error.text);
    assert_text(url.base, e->base, "base", e->text);
    assert_text(url.db, e->db, "db", e->text);
    assert_text(url.db_name, e->db_name, "db_name", e->text);
    assert_text(url.shown, e->shown, "shown", e->text);
    assert_text(url.username, e->username, "username", e->text);
    assert_text(url.password, e->password, "password", e->text);
    ck_assert_int_eq(url.target,
                     e->db != NULL ? CFI_URL_DATABASE : CFI_URL_DB_UPDATES);
    cfi_url_free(&heap, &url);
  }
}
#define ASSERT_ACCEPTED(table)                                                 \
  assert_accepted(table, sizeof(table) / sizeof((table)[0]))

START_TEST(test_url_is_taken_apart) {
  /* clang-format off */
  static const accepted table[] = {
      {"http://localhost:5984/db", "http://localhost:5984", "db", "db",
       "http://localhost:5984/db", NULL, NULL},
      {"https://h.example/prefix/deep/db", "https://h.example/prefix/deep",
       "db", "db", "https://h.example/prefix/deep/db", NULL, NULL},
      {"http://h/db/", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://h/db///", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://h//db", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://h/a//b//db", "http://h/a/b", "db", "db", "http://h/a/b/db",
       NULL, NULL},
      {"http://h/db/_changes", "http://h", "db", "db", "http://h/db", NULL,
       NULL},
      {"http://h/db/_changes/", "http://h", "db", "db", "http://h/db", NULL,
       NULL},
      {"http://h/p/db/%5Fchanges", "http://h/p", "db", "db", "http://h/p/db",
       NULL, NULL},
      {"http://h/_users", "http://h", "_users", "_users", "http://h/_users",
       NULL, NULL},
      {"http://h/_global_changes/_changes", "http://h", "_global_changes",
       "_global_changes", "http://h/_global_changes", NULL, NULL},
      {"http://h/_odd", "http://h", "_odd", "_odd", "http://h/_odd", NULL,
       NULL},
  };
  /* clang-format on */
  ASSERT_ACCEPTED(table);
}
END_TEST

START_TEST(test_url_of_the_servers_feed_has_no_database) {
  static const accepted table[] = {
      {"http://h:5984/_db_updates", "http://h:5984", NULL, NULL,
       "http://h:5984/_db_updates", NULL, NULL},
      {"http://h/p/_db_updates/", "http://h/p", NULL, NULL,
       "http://h/p/_db_updates", NULL, NULL},
      {"http://h/%5fdb%5Fupdates", "http://h", NULL, NULL,
       "http://h/_db_updates", NULL, NULL},
      {"http://u:p@h/_db_updates", "http://h", NULL, NULL,
       "http://h/_db_updates", "u", "p"},
  };
  ASSERT_ACCEPTED(table);
}
END_TEST

/* Decoded once, encoded strictly: what the server decodes is what was meant. */
START_TEST(test_url_database_names_keep_their_bytes) {
  /* clang-format off */
  static const accepted table[] = {
      {"http://h/a%2Fb", "http://h", "a%2Fb", "a/b", "http://h/a%2Fb", NULL,
       NULL},
      {"http://h/a%2fb/_changes", "http://h", "a%2Fb", "a/b", "http://h/a%2Fb",
       NULL, NULL},
      {"http://h/a+b", "http://h", "a%2Bb", "a+b", "http://h/a%2Bb", NULL,
       NULL},
      {"http://h/a%2Bb", "http://h", "a%2Bb", "a+b", "http://h/a%2Bb", NULL,
       NULL},
      {"http://h/a%20b", "http://h", "a%20b", "a b", "http://h/a%20b", NULL,
       NULL},
      {"http://h/sm\xc3\xb8r", "http://h", "sm%C3%B8r", "sm\xc3\xb8r",
       "http://h/sm%C3%B8r", NULL, NULL},
      {"http://h/sm%c3%b8r", "http://h", "sm%C3%B8r", "sm\xc3\xb8r",
       "http://h/sm%C3%B8r", NULL, NULL},
      {"http://h/%E2%98%83", "http://h", "%E2%98%83", "\xe2\x98\x83",
       "http://h/%E2%98%83", NULL, NULL},
      {"http://h/a%3Fb%23c%25d", "http://h", "a%3Fb%23c%25d", "a?b#c%d",
       "http://h/a%3Fb%23c%25d", NULL, NULL},
      {"http://h/%2525", "http://h", "%2525", "%25", "http://h/%2525", NULL,
       NULL},
      {"http://h/a$(b)", "http://h", "a%24%28b%29", "a$(b)",
       "http://h/a%24%28b%29", NULL, NULL},
      {"http://h/a%40b", "http://h", "a%40b", "a@b", "http://h/a%40b", NULL,
       NULL},
      {"http://h/a\\b", "http://h", "a%5Cb", "a\\b", "http://h/a%5Cb", NULL,
       NULL},
      {"http://h/Aa0-._~", "http://h", "Aa0-._~", "Aa0-._~",
       "http://h/Aa0-._~", NULL, NULL},
      {"http://h/..a", "http://h", "..a", "..a", "http://h/..a", NULL, NULL},
      /* %00 is no name, but these are not %00 */
      {"http://h/%3000", "http://h", "000", "000", "http://h/000", NULL, NULL},
  };
  /* clang-format on */
  ASSERT_ACCEPTED(table);
}
END_TEST

/* A proxy in front may compare its prefix literally. */
START_TEST(test_url_prefix_goes_out_as_it_was_written) {
  static const accepted table[] = {
      {"http://h/a:b;c=1,2/x+y/%7Ez%2Fw/db", "http://h/a:b;c=1,2/x+y/%7Ez%2Fw",
       "db", "db", "http://h/a:b;c=1,2/x+y/%7Ez%2Fw/db", NULL, NULL},
      {"http://h/\xc3\xa9|\"/db", "http://h/%C3%A9%7C%22", "db", "db",
       "http://h/%C3%A9%7C%22/db", NULL, NULL},
  };
  ASSERT_ACCEPTED(table);
}
END_TEST

START_TEST(test_url_hosts_have_one_spelling) {
  /* clang-format off */
  static const accepted table[] = {
      {"HTTP://Host.Example/Db", "http://host.example", "Db", "Db",
       "http://host.example/Db", NULL, NULL},
      {"http://h:80/db", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"https://h:443/db", "https://h", "db", "db", "https://h/db", NULL,
       NULL},
      {"https://h:80/db", "https://h:80", "db", "db", "https://h:80/db", NULL,
       NULL},
      {"http://h:/db", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://127.0.0.1:15984/db", "http://127.0.0.1:15984", "db", "db",
       "http://127.0.0.1:15984/db", NULL, NULL},
      {"http://[::1]:5984/db", "http://[::1]:5984", "db", "db",
       "http://[::1]:5984/db", NULL, NULL},
      {"http://u:p@[2001:DB8::1]/db", "http://[2001:db8::1]", "db", "db",
       "http://[2001:db8::1]/db", "u", "p"},
      {"http://[fe80::1%25Eth0]:5984/db", "http://[fe80::1%25Eth0]:5984", "db",
       "db", "http://[fe80::1%25Eth0]:5984/db", NULL, NULL},
  };
  /* clang-format on */
  ASSERT_ACCEPTED(table);
}
END_TEST

START_TEST(test_url_credentials_are_decoded_and_shown_nowhere) {
  /* clang-format off */
  static const accepted table[] = {
      {"http://user:pw@h/db", "http://h", "db", "db", "http://h/db", "user",
       "pw"},
      {"http://us%40er:p%3Aw%2F%3f%23%25@h/db", "http://h", "db", "db",
       "http://h/db", "us@er", "p:w/?#%"},
      {"http://user:a:b@h/db", "http://h", "db", "db", "http://h/db", "user",
       "a:b"},
      {"http://user@h/db", "http://h", "db", "db", "http://h/db", "user",
       NULL},
      {"http://user:@h/db", "http://h", "db", "db", "http://h/db", "user", ""},
      {"http://:pw@h/db", "http://h", "db", "db", "http://h/db", "", "pw"},
      {"http://@h/db", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://:@h/db", "http://h", "db", "db", "http://h/db", NULL, NULL},
      {"http://us\xc3\xa9r:p%C3%A9@h/db", "http://h", "db", "db",
       "http://h/db", "us\xc3\xa9r", "p\xc3\xa9"},
      {"http://user:pw;options@h/db", "http://h", "db", "db", "http://h/db",
       "user", "pw;options"},
  };
  /* clang-format on */
  ASSERT_ACCEPTED(table);
}
END_TEST

/* Refused with a sentence that holds part and nothing of the secret. */
static void assert_refused(const char *text, const char *part) {
  cfi_error error;
  cfi_url url;
  int rc = cfi_url_parse(&heap, text, &url, &error);

  ck_assert_msg(rc == CHANGEFEED_ERR_OPTION, "%s: answered %d", text, rc);
  ck_assert_int_eq(error.pub.code, rc);
  ck_assert_msg(strstr(error.text, part) != NULL, "%s: %s", text, error.text);
  ck_assert_msg(strstr(error.text, "s3cret") == NULL, "%s: %s", text,
                error.text);
  ck_assert_ptr_null(url.base);
  ck_assert_ptr_null(url.password);
}

START_TEST(test_url_refusals_say_how_to_write_it) {
  assert_refused("", "http://localhost:5984/db");
  assert_refused("localhost:5984/db", "http://localhost:5984/db");
  assert_refused("s3cret:s3cret@host/db", "http:// or https://");
  assert_refused("//host/db", "http:// or https://");
  assert_refused("/db", "http:// or https://");
  assert_refused("ftp://u:s3cret@h/db", "scheme other than http and https");
  assert_refused("file:///etc/passwd", "scheme other than http and https");
  assert_refused("http:/h/db", "http:// or https://");
  assert_refused("http://", "names no host");
  assert_refused("http:///db", "names no host");
  assert_refused("http://u:s3cret@/db", "No host");
  assert_refused("http://h", "names no database");
  assert_refused("http://h/", "names no database");
  assert_refused("http://h//", "names no database");
  assert_refused("http://h/_changes", "names no database");
  assert_refused("http://h/db/_changes/_changes", "names no database");
  assert_refused("http://h/_db_updates/_changes", "a feed itself");
  assert_refused("http://h/db?since=s3cret", "query=name=value");
  assert_refused("http://h/db?", "query=name=value");
  assert_refused("http://h/db#s3cret", "fragment");
  assert_refused("http://h:x/db", "Port number");
  assert_refused("http://h:65536/db", "Port number");
  assert_refused("http://[::1/db", "IPv6");
  assert_refused("http://[fe80::1%25e%40]/db", "IPv6 zone");
  assert_refused("http://u:s3cret@[fe80::1%25e@0]/db", "IPv6 zone");
  assert_refused("http://[1.2.3]/db", "IPv6");
}
END_TEST

START_TEST(test_url_refuses_bytes_that_no_name_has) {
  assert_refused("http://h/d b", "%20");
  assert_refused(" http://h/db", "space");
  assert_refused("http://h/db\n", "control character (byte 12)");
  assert_refused("http://h/d\x7f", "control character");
  assert_refused("http://u:s3cret\t@h/db", "control character");
  assert_refused("http://h/a%00b", "control character");
  assert_refused("http://h/a%0Ab", "control character");
  assert_refused("http://h/p%7f/db", "control character");
  assert_refused("http://u%0a:s3cret@h/db", "control character");
  assert_refused("http://h/d\xff", "UTF-8");
  assert_refused("http://h%41/db", "host name");
  assert_refused("http://u:s3cret%40@h%2e/db", "host name");
  assert_refused("http://h/d%ff", "UTF-8");
  assert_refused("http://h/d%ED%A0%80", "UTF-8");
  assert_refused("http://h/a%", "hexadecimal");
  assert_refused("http://h/a%2", "hexadecimal");
  assert_refused("http://h/a%2/db", "hexadecimal");
  assert_refused("http://h/a%gg", "hexadecimal");
}
END_TEST

/* Clients and proxies resolve them, so they would name another place. */
START_TEST(test_url_refuses_dot_segments) {
  static const char *const bad[] = {
      "http://h/..",     "http://h/.",        "http://h/../db",
      "http://h/a/../b", "http://h/a/./b",    "http://h/%2e%2E",
      "http://h/%2e",    "http://h/%2E./db",  "http://h/../_changes",
      "http://h/db/.",   "http://h/db/../x/", "http://h/.%2e/_db_updates"};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_refused(bad[i], "segment");
}
END_TEST

/* A password with a bare '/', '?', '#' or '@' ends the authority early: what
   is behind it must not become a path that is shown. */
START_TEST(test_url_refuses_passwords_that_look_like_paths) {
  assert_refused("http://u:s3cret/x@h/db", "%2F");
  assert_refused("http://u:12/s3cret@h/db", "%2F");
  assert_refused("http://u:s3cret?x@h/db", "%3F");
  assert_refused("http://u:12?s3cret@h/db", "%3F");
  assert_refused("http://u:s3cret#x@h/db", "%23");
  assert_refused("http://u:a@s3cret/x@h/db", "%40");
  assert_refused("http://u:s3cret@x@h/db", "%40");
  assert_refused("http://u:a@b/s3cret@c/db", "%40");
}
END_TEST

START_TEST(test_url_shown_is_a_url_of_the_same_place) {
  static const char *const texts[] = {
      "http://u:p@Host:80/a%2Fb/_changes", "https://h/p|q/sm\xc3\xb8r/",
      "http://u@[fe80::1%25eth0]/x/_db_updates"};

  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    cfi_error error;
    cfi_url first, second;

    ck_assert_int_eq(cfi_url_parse(&heap, texts[i], &first, &error), 0);
    ck_assert_int_eq(cfi_url_parse(&heap, first.shown, &second, &error), 0);
    ck_assert_str_eq(first.shown, second.shown);
    ck_assert_str_eq(first.base, second.base);
    ck_assert_int_eq(first.target, second.target);
    cfi_url_free(&heap, &first);
    cfi_url_free(&heap, &second);
  }
}
END_TEST

START_TEST(test_url_endpoint_is_a_base_without_a_database) {
  cfi_error error;
  cfi_url url;

  ck_assert_int_eq(
      cfi_url_parse_endpoint(&heap, "http://H2:5984/prefix//x/", &url, &error),
      CHANGEFEED_OK);
  ck_assert_str_eq(url.base, "http://h2:5984/prefix/x");
  ck_assert_str_eq(url.shown, url.base);
  ck_assert_ptr_null(url.db);
  ck_assert_ptr_null(url.username);
  cfi_url_free(&heap, &url);
  ck_assert_int_eq(cfi_url_parse_endpoint(&heap, "http://h2", &url, &error),
                   CHANGEFEED_OK);
  ck_assert_str_eq(url.base, "http://h2");
  cfi_url_free(&heap, &url);
}
END_TEST

START_TEST(test_url_endpoint_takes_no_credentials_query_or_fragment) {
  static const char *const bad[][2] = {{"http://u:s3cret@h2", "credentials"},
                                       {"http://u@h2/", "credentials"},
                                       {"http://h2/?x=s3cret", "query"},
                                       {"http://h2/#x", "fragment"},
                                       {"h2:5984", "http://"},
                                       {"http://h2/..", "segment"},
                                       {"http://", "names no host"}};

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cfi_error error;
    cfi_url url;

    ck_assert_int_eq(cfi_url_parse_endpoint(&heap, bad[i][0], &url, &error),
                     CHANGEFEED_ERR_OPTION);
    ck_assert_msg(strstr(error.text, bad[i][1]) != NULL, "%s: %s", bad[i][0],
                  error.text);
    ck_assert_msg(strstr(error.text, "endpoint") != NULL, "%s", error.text);
    ck_assert_ptr_null(strstr(error.text, "s3cret"));
  }
}
END_TEST

START_TEST(test_url_parsing_survives_each_failing_allocation) {
  static const char *const texts[] = {
      "http://user:pw@h:5984/prefix/sm\xc3\xb8r/_changes",
      "http://user:pw@h/_db_updates"};

  for (size_t i = 0; i < 2; i++) {
    size_t n = 0;
    int rc;

    do {
      cft_failing f;
      cfi_error error;
      cfi_url url;

      cft_failing_init(&f, ++n);
      rc = cfi_url_parse(&f.alloc, texts[i], &url, &error);
      ck_assert(rc == CHANGEFEED_OK || rc == CHANGEFEED_ERR_NOMEM);
      if (rc == CHANGEFEED_OK)
        cfi_url_free(&f.alloc, &url);
      ck_assert_uint_eq(f.live, 0);
    } while (rc != CHANGEFEED_OK);
    ck_assert_uint_gt(n, 5);
  }
}
END_TEST

START_TEST(test_url_encodes_all_but_the_unreserved) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789-._~";

  for (int c = 0; c < 256; c++) {
    char byte = (char)c, expected[4];
    cfi_buf out;

    cfi_buf_init(&out, &heap);
    cfi_url_put_encoded(&out, &byte, 1);
    if (c != 0 && strchr(plain, c) != NULL)
      (void)snprintf(expected, sizeof expected, "%c", c);
    else
      (void)snprintf(expected, sizeof expected, "%%%02X", (unsigned)c);
    ck_assert_str_eq(cfi_buf_text(&out), expected);
    cfi_buf_free(&out);
  }
}
END_TEST

START_TEST(test_url_shown_of_foreign_urls_hides_what_may_be_secret) {
  static const char *const table[][2] = {
      {"http://u:s3cret@h:8080/path?token=s3cret#s3cret", "http://h:8080/path"},
      {"https://login.example/s?next=/db", "https://login.example/s"},
      {"socks5h://u:s3cret@proxy:1080", "socks5h://proxy:1080/"},
      {"u:s3cret@proxy:3128", "http://proxy:3128/"},
      {"proxy:3128", "http://proxy:3128/"},
      {"http://h/sm\xc3\xb8r", "http://h/sm%C3%B8r"},
      {"", "(a malformed URL)"},
      {"http://", "(a malformed URL)"},
      {"http://h:s3cret/", "(a malformed URL)"},
      {"http://u:12/s3cret@h/", "(a malformed URL)"},
      {"u:12/://s3cret@h", "(a malformed URL)"},
      {"http://u:a@b/s3cret@h/", "(a malformed URL)"},
      {"http://h/a\nb", "(a malformed URL)"},
      {"http://h/s?u=s3cret@x", "(a malformed URL)"}};

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    char *shown = cfi_url_shown(&heap, table[i][0]);

    assert_text(shown, table[i][1], "shown", table[i][0]);
    cfi_free(&heap, shown);
  }
}
END_TEST

START_TEST(test_url_shown_without_memory_is_null) {
  cft_failing f;

  cft_failing_init(&f, 1);
  ck_assert_ptr_null(cfi_url_shown(&f.alloc, "http://h/"));
  ck_assert_uint_eq(f.live, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("url");
  TCase *tc = tcase_create("url");

  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, test_url_is_taken_apart);
  tcase_add_test(tc, test_url_of_the_servers_feed_has_no_database);
  tcase_add_test(tc, test_url_database_names_keep_their_bytes);
  tcase_add_test(tc, test_url_prefix_goes_out_as_it_was_written);
  tcase_add_test(tc, test_url_hosts_have_one_spelling);
  tcase_add_test(tc, test_url_credentials_are_decoded_and_shown_nowhere);
  tcase_add_test(tc, test_url_refusals_say_how_to_write_it);
  tcase_add_test(tc, test_url_refuses_bytes_that_no_name_has);
  tcase_add_test(tc, test_url_refuses_dot_segments);
  tcase_add_test(tc, test_url_refuses_passwords_that_look_like_paths);
  tcase_add_test(tc, test_url_shown_is_a_url_of_the_same_place);
  tcase_add_test(tc, test_url_endpoint_is_a_base_without_a_database);
  tcase_add_test(tc, test_url_endpoint_takes_no_credentials_query_or_fragment);
  tcase_add_test(tc, test_url_parsing_survives_each_failing_allocation);
  tcase_add_test(tc, test_url_encodes_all_but_the_unreserved);
  tcase_add_test(tc, test_url_shown_of_foreign_urls_hides_what_may_be_secret);
  tcase_add_test(tc, test_url_shown_without_memory_is_null);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
