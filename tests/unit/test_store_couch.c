/*
 * The `_local` document that keeps a position: what is written is read again,
 * whatever is in it; what is not ours is refused; runs are kept behind each
 * other, and an older one's record serves when the newest cannot be read.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "crc.h"
#include "store_couch.h"
#include "support/failing.h"
#include "support/unit.h"

/* of the key "" */
#define EMPTY_NAME "722fb4b4da651e0fec211622a15ee9ff"

static cft_failing memory;
static cfi_error error, warning;

static void setup(void) { cft_failing_init(&memory, 0); }

static void teardown(void) { ck_assert_uint_eq(memory.live, 0); }

/* ---- documents ---- */

static const char *written(const cfi_couch_doc *doc) {
  static char text[8192];
  cfi_buf b;

  cfi_buf_init(&b, &memory.alloc);
  ck_assert(cfi_couch_doc_write(doc, "n", &b));
  ck_assert_uint_lt(b.len, sizeof text);
  memcpy(text, cfi_buf_data(&b), b.len);
  text[b.len] = '\0';
  cfi_buf_free(&b);
  return text;
}

static int parse(const char *text, cfi_couch_doc *doc) {
  *doc = (cfi_couch_doc){0};
  return cfi_couch_doc_parse(&memory.alloc, text, strlen(text), doc, &error);
}

static void must_parse(const char *text, cfi_couch_doc *doc) {
  ck_assert_msg(parse(text, doc) == CHANGEFEED_OK, "%s: %s", text, error.text);
}

static void put(cfi_couch_doc *doc, const char *session, const char *record) {
  ck_assert(
      cfi_couch_doc_put(&memory.alloc, doc, session, record, strlen(record)));
}

static void drop(cfi_couch_doc *doc) { cfi_couch_doc_free(&memory.alloc, doc); }

/* A record as the feed makes it. */
static const char *record(const char *seq) {
  static char text[512];
  char feed[] = "db", copy[64];
  cfi_checkpoint c = {feed, copy, NULL, NULL, NULL, 7, 9};
  cfi_alloc heap;
  cfi_buf b;

  ck_assert(cfi_alloc_init(&heap, NULL));
  (void)snprintf(copy, sizeof copy, "%s", seq);
  cfi_buf_init(&b, &heap);
  ck_assert(cfi_checkpoint_encode(&c, &b));
  (void)snprintf(text, sizeof text, "%s", cfi_buf_text(&b));
  cfi_buf_free(&b);
  return text;
}

static void assert_position(const cfi_couch_doc *doc, const char *seq) {
  cfi_checkpoint c = {0};
  int rc =
      cfi_couch_doc_position(&memory.alloc, doc, "n", &c, &warning, &error);

  ck_assert_msg(rc == CHANGEFEED_OK, "%d: %s", rc, error.text);
  ck_assert_str_eq(c.seq, seq);
  cfi_checkpoint_free(&memory.alloc, &c);
}

static int no_position(const cfi_couch_doc *doc) {
  cfi_checkpoint c = {0};
  int rc =
      cfi_couch_doc_position(&memory.alloc, doc, "n", &c, &warning, &error);

  ck_assert_int_ne(rc, CHANGEFEED_OK);
  ck_assert_ptr_null(c.seq);
  return rc;
}

/* ---- names ---- */

START_TEST(test_store_couch_name_is_of_letters_that_any_url_may_hold) {
  char *a = cfi_couch_name(&memory.alloc, "db&filter=_design");
  char *b = cfi_couch_name(&memory.alloc, "db&filter=_design");
  char *c = cfi_couch_name(&memory.alloc, "db&filter=_designs");
  char *empty = cfi_couch_name(&memory.alloc, "");

  ck_assert_uint_eq(strlen(a), strlen("changefeed-") + 32);
  ck_assert_uint_eq(strspn(a, "changefeed-0123456789abcdef"), strlen(a));
  ck_assert_str_eq(a, b);
  ck_assert_str_ne(a, c);
  ck_assert_str_ne(a, empty);
  /* stored positions must be found by every version to come */
  ck_assert_str_eq(empty, "changefeed-" EMPTY_NAME);
  cfi_free(&memory.alloc, a);
  cfi_free(&memory.alloc, b);
  cfi_free(&memory.alloc, c);
  cfi_free(&memory.alloc, empty);
}
END_TEST

/* ---- texts ---- */

START_TEST(test_store_couch_document_is_what_the_format_says) {
  cfi_couch_doc doc = {0};

  ck_assert_str_eq(written(&doc),
                   "{\"_id\":\"_local/n\",\"type\":\"changefeed-checkpoint\","
                   "\"format\":1,\"history\":[]}");
  put(&doc, "s1", "one\ntwo");
  ck_assert_str_eq(
      written(&doc),
      "{\"_id\":\"_local/n\",\"type\":\"changefeed-checkpoint\",\"format\":1,"
      "\"history\":[{\"session\":\"s1\",\"record\":\"one\\ntwo\"}]}");
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_reads_what_it_wrote) {
  static const char *const odd[] = {"",
                                    "plain",
                                    "quote \" and \\ slash / ",
                                    "\x01\x1f\t\r\n\x7f",
                                    "\xc3\xa9 \xf0\x9f\x98\x80 \xef\xbf\xbd",
                                    "\\u0041 \\n",
                                    "{\"a\":[1]}"};
  cfi_couch_doc doc = {0}, back;

  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    char text[8192];

    put(&doc, "session", odd[i]);
    put(&doc, odd[i], "record");
    cfi_free(&memory.alloc, doc.rev);
    doc.rev = cfi_strdup(&memory.alloc, "0-12");
    (void)snprintf(text, sizeof text, "%s", written(&doc));
    must_parse(text, &back);
    ck_assert_str_eq(back.rev, "0-12");
    ck_assert_uint_eq(back.count, doc.count);
    for (size_t k = 0; k < doc.count; k++) {
      ck_assert_str_eq(back.entry[k].session, doc.entry[k].session);
      ck_assert_str_eq(back.entry[k].record, doc.entry[k].record);
    }
    ck_assert_str_eq(written(&back), text);
    drop(&back);
  }
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_reads_members_in_any_order_and_passes_others) {
  cfi_couch_doc doc;

  must_parse("{\"history\":[{\"x\":{\"session\":\"no\"},\"record\":\"r\","
             "\"session\":\"s\",\"more\":[1,{\"record\":\"no\"}]},7,\"text\","
             "[{\"session\":\"a\",\"record\":\"b\"}],"
             "{\"session\":\"only\"},{\"session\":3,\"record\":\"r\"},"
             "{\"session\":\"s2\",\"record\":\"r2\"}],\"new\":{\"type\":1},"
             "\"format\":1,\"type\":\"changefeed-checkpoint\","
             "\"_rev\":\"0-1\",\"_id\":\"_local/other\"}",
             &doc);
  ck_assert_uint_eq(doc.count, 2);
  ck_assert_str_eq(doc.entry[0].session, "s");
  ck_assert_str_eq(doc.entry[0].record, "r");
  ck_assert_str_eq(doc.entry[1].session, "s2");
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_keeps_the_first_runs_of_a_longer_list) {
  char text[1024];
  size_t len = (size_t)snprintf(text, sizeof text,
                                "{\"_rev\":\"0-1\",\"type\":"
                                "\"changefeed-checkpoint\",\"history\":[");
  cfi_couch_doc doc;

  for (int i = 0; i < 9; i++)
    len += (size_t)snprintf(text + len, sizeof text - len,
                            "%s{\"session\":\"s%d\",\"record\":\"r\"}",
                            i != 0 ? "," : "", i);
  (void)snprintf(text + len, sizeof text - len, "]}");
  must_parse(text, &doc);
  ck_assert_uint_eq(doc.count, CFI_COUCH_HISTORY);
  ck_assert_str_eq(doc.entry[4].session, "s4");
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_refuses_what_is_not_its_own) {
  static const char *const foreign[] = {
      "", "{}", "[]", "7", "{\"_rev\":\"0-1\"}",
      "{\"_rev\":\"0-1\",\"type\":\"checkpoint\",\"history\":[]}",
      "{\"_rev\":\"0-1\",\"type\":{\"type\":\"changefeed-checkpoint\"}}",
      "{\"_rev\":7,\"type\":\"changefeed-checkpoint\"}",
      "{\"type\":\"changefeed-checkpoint\",\"format\":1,\"history\":[]}",
      "{\"_rev\":\"0-1\",\"type\":\"changefeed-checkpoint\",\"history\":[",
      "{\"_rev\":\"0-1\",\"type\":\"changefeed-checkpoint\"} {}",
      "<html>login</html>",
      /* a replication's checkpoint */
      "{\"_id\":\"_local/x\",\"_rev\":\"0-1\",\"session_id\":\"a\","
      "\"source_last_seq\":1,\"history\":[{\"session_id\":\"a\"}]}"};
  cfi_couch_doc doc;

  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    ck_assert_int_eq(parse(foreign[i], &doc), CHANGEFEED_ERR_STORE);
    ck_assert_str_eq(error.text,
                     "it is not a checkpoint document of this library");
    ck_assert(!cfi_checkpoint_is_damage(&error));
  }
}
END_TEST

START_TEST(test_store_couch_refuses_a_newer_format) {
  static const char *const formats[] = {"2", "99999999999999999999", "1.5",
                                        "1e9"};
  cfi_couch_doc doc;

  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    char text[256];

    (void)snprintf(text, sizeof text,
                   "{\"_rev\":\"0-1\",\"format\":%s,\"type\":"
                   "\"changefeed-checkpoint\",\"history\":[{\"session\":\"s\","
                   "\"record\":\"r\"}]}",
                   formats[i]);
    ck_assert_int_eq(parse(text, &doc), CHANGEFEED_ERR_STORE);
    ck_assert_ptr_nonnull(strstr(error.text, "newer version"));
  }
}
END_TEST

/* ---- runs ---- */

START_TEST(test_store_couch_saves_of_one_run_replace_each_other) {
  cfi_couch_doc doc = {0};

  put(&doc, "a", "1");
  put(&doc, "a", "2");
  ck_assert_uint_eq(doc.count, 1);
  ck_assert_str_eq(doc.entry[0].record, "2");
  put(&doc, "b", "3");
  put(&doc, "b", "4");
  ck_assert_uint_eq(doc.count, 2);
  ck_assert_str_eq(doc.entry[0].record, "4");
  ck_assert_str_eq(doc.entry[1].record, "2");
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_keeps_five_runs_the_newest_first) {
  cfi_couch_doc doc = {0};

  for (char name[] = "a"; name[0] <= 'h'; name[0]++)
    put(&doc, name, name);
  ck_assert_uint_eq(doc.count, CFI_COUCH_HISTORY);
  for (size_t i = 0; i < doc.count; i++)
    ck_assert_int_eq(doc.entry[i].session[0], 'h' - (int)i);
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_does_not_grow_without_bound_by_long_records) {
  enum { LONG = 200 * 1024 };
  cfi_couch_doc doc = {0};
  char *text = malloc(2 * LONG + 1);

  ck_assert_ptr_nonnull(text);
  memset(text, 'x', 2 * LONG);
  text[2 * LONG] = '\0';
  put(&doc, "small", "s");
  put(&doc, "big", text + LONG);
  ck_assert_uint_eq(doc.count, 2);
  put(&doc, "bigger", text + LONG); /* two of them are too much */
  ck_assert_uint_eq(doc.count, 1);
  ck_assert_str_eq(doc.entry[0].session, "bigger");
  put(&doc, "last", text); /* the newest is kept whatever its length */
  ck_assert_uint_eq(doc.count, 1);
  ck_assert_uint_eq(strlen(doc.entry[0].record), 2 * LONG);
  free(text);
  drop(&doc);
}
END_TEST

/* ---- positions ---- */

START_TEST(test_store_couch_position_is_the_newest) {
  cfi_couch_doc doc = {0};

  ck_assert_int_eq(no_position(&doc), CHANGEFEED_END);
  put(&doc, "a", record("1-a"));
  assert_position(&doc, "1-a");
  put(&doc, "b", record("2-b"));
  assert_position(&doc, "2-b");
  ck_assert_int_eq(warning.pub.code, 0);
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_uses_an_older_record_when_the_newest_is_damaged) {
  cfi_couch_doc doc = {0};
  size_t len;

  put(&doc, "a", record("1-a"));
  put(&doc, "b", record("2-b"));
  put(&doc, "c", record("3-c"));
  len = strlen(doc.entry[0].record);
  doc.entry[0].record[len - 2] ^= 1;
  assert_position(&doc, "2-b");
  ck_assert_int_eq(warning.pub.code, CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(warning.text, "_local/n"));
  ck_assert_ptr_nonnull(strstr(warning.text, "checksum"));
  doc.entry[1].record[0] = '\0';
  assert_position(&doc, "1-a");
  doc.entry[2].record[3] ^= 1;
  ck_assert_int_eq(no_position(&doc), CHANGEFEED_ERR_STORE);
  ck_assert(cfi_checkpoint_is_damage(&error));
  ck_assert_ptr_nonnull(strstr(error.text, "_local/n"));
  drop(&doc);
}
END_TEST

START_TEST(test_store_couch_does_not_pass_over_a_newer_record) {
  /* whole, by its checksum, and of a format to come */
  static const char head[] = "changefeed-checkpoint 2 2 ";
  char newer[64];
  uint32_t crc = cfi_crc_of(0, head, strlen(head));
  cfi_couch_doc doc = {0};

  crc = cfi_crc_of(crc, "x\n", 2);
  (void)snprintf(newer, sizeof newer, "%s%08lx\nx\n", head, (unsigned long)crc);
  put(&doc, "a", record("1-a"));
  put(&doc, "b", newer);
  ck_assert_int_eq(no_position(&doc), CHANGEFEED_ERR_STORE);
  ck_assert(!cfi_checkpoint_is_damage(&error));
  ck_assert_ptr_nonnull(strstr(error.text, "newer version"));
  drop(&doc);
}
END_TEST

/* ---- memory ---- */

/* Reads, adds a run, writes; true when there was memory for all of it. */
static bool all_of_it(const char *text) {
  cfi_couch_doc doc = {0};
  cfi_checkpoint c = {0};
  char *name = cfi_couch_name(&memory.alloc, "key");
  int rc = parse(text, &doc);
  size_t before;
  cfi_buf b;
  bool ok = name != NULL;

  cfi_buf_init(&b, &memory.alloc);
  if (rc != CHANGEFEED_OK) {
    ck_assert_int_eq(rc, CHANGEFEED_ERR_NOMEM);
    ok = false;
  }
  before = doc.count;
  rc = cfi_couch_doc_position(&memory.alloc, &doc, "n", &c, &warning, &error);
  if (rc == CHANGEFEED_ERR_NOMEM)
    ok = false;
  else if (rc == CHANGEFEED_OK)
    ck_assert_str_eq(c.seq, "1-a");
  if (!cfi_couch_doc_put(&memory.alloc, &doc, "new", "r", 1)) {
    ck_assert_uint_eq(doc.count, before);
    ok = false;
  }
  ok = cfi_couch_doc_write(&doc, "n", &b) && ok;
  cfi_checkpoint_free(&memory.alloc, &c);
  cfi_buf_free(&b);
  drop(&doc);
  cfi_free(&memory.alloc, name);
  return ok;
}

START_TEST(test_store_couch_survives_each_failed_allocation) {
  cfi_couch_doc doc = {0};
  char text[8192];
  size_t calls;

  put(&doc, "a", record("1-a"));
  put(&doc, "b", "damaged");
  doc.rev = cfi_strdup(&memory.alloc, "0-1");
  put(&doc, "c", "");
  /* the first that can be read is the third */
  cfi_free(&memory.alloc, doc.entry[1].record);
  doc.entry[1].record = cfi_strdup(&memory.alloc, "");
  (void)snprintf(text, sizeof text, "%s", written(&doc));
  drop(&doc);
  cft_failing_init(&memory, 0);
  ck_assert(all_of_it(text));
  calls = memory.calls;
  for (size_t n = 1; n <= calls; n++) {
    cft_failing_init(&memory, n);
    ck_assert_msg(!all_of_it(text), "nobody missed allocation %zu", n);
    ck_assert_uint_eq(memory.live, 0);
    cft_failing_init(&memory, n);
    memory.fails = CFT_FOR_GOOD;
    ck_assert(!all_of_it(text));
    ck_assert_uint_eq(memory.live, 0);
  }
}
END_TEST

static Suite *store_couch_suite(void) {
  Suite *s = suite_create("store_couch");
  TCase *t = tcase_create("store_couch");

  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_store_couch_name_is_of_letters_that_any_url_may_hold);
  tcase_add_test(t, test_store_couch_document_is_what_the_format_says);
  tcase_add_test(t, test_store_couch_reads_what_it_wrote);
  tcase_add_test(t,
                 test_store_couch_reads_members_in_any_order_and_passes_others);
  tcase_add_test(t, test_store_couch_keeps_the_first_runs_of_a_longer_list);
  tcase_add_test(t, test_store_couch_refuses_what_is_not_its_own);
  tcase_add_test(t, test_store_couch_refuses_a_newer_format);
  tcase_add_test(t, test_store_couch_saves_of_one_run_replace_each_other);
  tcase_add_test(t, test_store_couch_keeps_five_runs_the_newest_first);
  tcase_add_test(t,
                 test_store_couch_does_not_grow_without_bound_by_long_records);
  tcase_add_test(t, test_store_couch_position_is_the_newest);
  tcase_add_test(
      t, test_store_couch_uses_an_older_record_when_the_newest_is_damaged);
  tcase_add_test(t, test_store_couch_does_not_pass_over_a_newer_record);
  tcase_add_test(t, test_store_couch_survives_each_failed_allocation);
  suite_add_tcase(s, t);
  return s;
}

int main(void) { return cft_run(store_couch_suite()); }
