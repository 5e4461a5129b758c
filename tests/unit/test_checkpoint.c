/* The record of a position: whatever happens to its bytes, it is either what
   was written or refused. Known failures 61, 62. */
#include "checkpoint.h"

#include <errno.h>
#include <string.h>

#include "crc.h"
#include "random.h"
#include "support/failing.h"
#include "support/unit.h"

static cfi_alloc heap;
static cfi_buf record;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  cfi_buf_init(&record, &heap);
}

static void teardown(void) { cfi_buf_free(&record); }

static char feed[] = "db&filter=_design&style=all_docs";
static char seq[] = "12-g1AAAACbeJzLYWBgYMpgTmEQTM4vTc5ISXIwNDLXMwBCwxyQVCJ";
static char uuid[] = "85fb71bf700c17267fef77535820e371";
static char instance[] = "1700000000000000";
static char marker[] = "a marker";

static cfi_checkpoint full(void) {
  cfi_checkpoint c = {feed, seq, uuid, instance, marker, 1763860000123, 4711};
  return c;
}

static void encode(const cfi_checkpoint *c) {
  cfi_buf_clear(&record, SIZE_MAX);
  ck_assert(cfi_checkpoint_encode(c, &record));
}

static int decode(const char *data, size_t len, cfi_checkpoint *out,
                  cfi_error *error) {
  /* A block of just this size: AddressSanitizer sees who reads on. */
  char *exact = malloc(len != 0 ? len : 1);
  int rc;

  ck_assert_ptr_nonnull(exact);
  if (len != 0)
    memcpy(exact, data, len);
  rc = cfi_checkpoint_decode(&heap, exact, len, out, error);
  free(exact);
  ck_assert(rc == CHANGEFEED_OK || error->pub.code == rc);
  return rc;
}

static bool same_text(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void assert_same(const cfi_checkpoint *a, const cfi_checkpoint *b) {
  ck_assert(same_text(a->feed, b->feed));
  ck_assert(same_text(a->seq, b->seq));
  ck_assert(same_text(a->server_uuid, b->server_uuid));
  ck_assert(same_text(a->instance_start_time, b->instance_start_time));
  ck_assert(same_text(a->marker, b->marker));
  ck_assert_int_eq(a->saved_ms, b->saved_ms);
  ck_assert_uint_eq(a->rows, b->rows);
}

static void assert_survives(const cfi_checkpoint *c) {
  cfi_checkpoint back;
  cfi_error error;

  encode(c);
  ck_assert_msg(decode(cfi_buf_data(&record), record.len, &back, &error) ==
                    CHANGEFEED_OK,
                "%s", error.text);
  assert_same(c, &back);
  cfi_checkpoint_free(&heap, &back);
}

/* The text in docs/checkpoint-format.md. A change of it is a new version. */
START_TEST(test_checkpoint_is_text_of_this_form) {
  cfi_checkpoint c = full();

  encode(&c);
  ck_assert_str_eq(
      cfi_buf_text(&record),
      "changefeed-checkpoint 1 228 8ebd4dfe\n"
      "feed=db&filter=_design&style=all_docs\n"
      "seq=12-g1AAAACbeJzLYWBgYMpgTmEQTM4vTc5ISXIwNDLXMwBCwxyQVCJ\n"
      "server_uuid=85fb71bf700c17267fef77535820e371\n"
      "instance_start_time=1700000000000000\n"
      "marker=a marker\n"
      "saved_ms=1763860000123\n"
      "rows=4711\n");
}
END_TEST

START_TEST(test_checkpoint_survives_with_and_without_each_member) {
  for (unsigned mask = 0; mask < 16; mask++) {
    cfi_checkpoint c = full();

    c.seq = (mask & 1) != 0 ? seq : NULL;
    c.server_uuid = (mask & 2) != 0 ? uuid : NULL;
    c.instance_start_time = (mask & 4) != 0 ? instance : NULL;
    c.marker = (mask & 8) != 0 ? marker : NULL;
    assert_survives(&c);
  }
}
END_TEST

START_TEST(test_checkpoint_survives_every_byte_and_number) {
  static const int64_t times[] = {0, 1, -1, INT64_MAX, INT64_MIN};
  char bytes[256], empty[] = "";
  cfi_checkpoint c = full();

  for (int i = 1; i < 256; i++)
    bytes[i - 1] = (char)i;
  bytes[255] = '\0';
  c.seq = c.feed = c.marker = bytes;
  assert_survives(&c);
  for (size_t i = 0; i < record.len; i++)
    ck_assert(
        cfi_buf_data(&record)[i] == '\n' ||
        (cfi_buf_data(&record)[i] >= ' ' && cfi_buf_data(&record)[i] <= '~'));
  c.seq = c.feed = c.server_uuid = c.instance_start_time = c.marker = empty;
  assert_survives(&c);
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    c.saved_ms = times[i];
    c.rows = (uint64_t)times[i];
    assert_survives(&c);
  }
}
END_TEST

START_TEST(test_checkpoint_without_a_feed_counts_as_an_empty_one) {
  cfi_checkpoint c = {NULL, NULL, NULL, NULL, NULL, 0, 0}, back;
  cfi_error error;

  encode(&c);
  ck_assert_int_eq(decode(cfi_buf_data(&record), record.len, &back, &error), 0);
  ck_assert_str_eq(back.feed, "");
  cfi_checkpoint_free(&heap, &back);
}
END_TEST

START_TEST(test_checkpoint_is_appended_to_what_is_there) {
  cfi_checkpoint c = full();
  size_t len;

  encode(&c);
  len = record.len;
  cfi_buf_clear(&record, 0);
  cfi_buf_puts(&record, "before");
  ck_assert(cfi_checkpoint_encode(&c, &record));
  ck_assert_uint_eq(record.len, len + 6);
  ck_assert_mem_eq(cfi_buf_data(&record), "before", 6);
}
END_TEST

/* Every byte replaced by every other: never accepted, always called damage, so
   that the older copy is used. */
START_TEST(test_checkpoint_damaged_in_any_one_byte_is_refused) {
  cfi_checkpoint c = full(), back;
  cfi_error error;

  encode(&c);
  for (size_t at = 0; at < record.len; at++) {
    char *byte = cfi_buf_data(&record) + at, right = *byte;

    for (int other = 0; other < 256; other++) {
      *byte = (char)other;
      if (*byte == right)
        continue;
      ck_assert_msg(decode(cfi_buf_data(&record), record.len, &back, &error) ==
                        CHANGEFEED_ERR_STORE,
                    "byte %zu replaced by %d was accepted", at, other);
      ck_assert_msg(cfi_checkpoint_is_damage(&error), "byte %zu, %d: %s", at,
                    other, error.text);
      ck_assert_ptr_null(back.feed);
    }
    *byte = right;
  }
}
END_TEST

START_TEST(test_checkpoint_cut_off_anywhere_is_refused) {
  cfi_checkpoint c = full(), back;
  cfi_error error;

  encode(&c);
  for (size_t len = 0; len < record.len; len++) {
    ck_assert_int_eq(decode(cfi_buf_data(&record), len, &back, &error),
                     CHANGEFEED_ERR_STORE);
    ck_assert(cfi_checkpoint_is_damage(&error));
  }
  ck_assert_int_eq(decode(NULL, 0, &back, &error), CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(error.text, "empty"));
}
END_TEST

/* What file systems leave behind: zeros to the end, the end of another record,
   a byte missing or doubled. */
START_TEST(test_checkpoint_with_a_foreign_end_is_refused) {
  cfi_checkpoint c = full(), back;
  cfi_error error;
  char copy[1024];
  size_t len;

  encode(&c);
  len = record.len;
  ck_assert_uint_lt(len * 2, sizeof copy);
  for (size_t at = 0; at < len; at++) {
    memcpy(copy, cfi_buf_data(&record), len);
    memset(copy + at, 0, len - at);
    ck_assert_int_eq(decode(copy, len, &back, &error), CHANGEFEED_ERR_STORE);
    ck_assert(cfi_checkpoint_is_damage(&error));

    memcpy(copy, cfi_buf_data(&record), len);
    memmove(copy + at, copy + at + 1, len - at - 1);
    ck_assert_int_eq(decode(copy, len - 1, &back, &error),
                     CHANGEFEED_ERR_STORE);

    memcpy(copy, cfi_buf_data(&record), at + 1);
    memcpy(copy + at + 1, cfi_buf_data(&record) + at, len - at);
    ck_assert_int_eq(decode(copy, len + 1, &back, &error),
                     CHANGEFEED_ERR_STORE);
  }
  memcpy(copy, cfi_buf_data(&record), len);
  memcpy(copy + len, cfi_buf_data(&record), len);
  ck_assert_int_eq(decode(copy, 2 * len, &back, &error), CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(error.text, "behind its end"));
}
END_TEST

/* A record of the given first words with a right checksum. */
static size_t sign(char *out, size_t size, const char *version,
                   const char *body) {
  char head[64];
  uint32_t crc;

  (void)snprintf(head, sizeof head, "changefeed-checkpoint %s %zu ", version,
                 strlen(body));
  crc = cfi_crc_of(0, head, strlen(head));
  crc = cfi_crc_of(crc, body, strlen(body));
  return (size_t)snprintf(out, size, "%s%08x\n%s", head, (unsigned)crc, body);
}

START_TEST(test_checkpoint_of_a_newer_version_is_named_and_not_damage) {
  cfi_checkpoint back;
  cfi_error error;
  char text[256];
  size_t len = sign(text, sizeof text, "2", "anything at all");

  ck_assert_int_eq(decode(text, len, &back, &error), CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(error.text, "newer version"));
  ck_assert_ptr_nonnull(strstr(error.text, "format 2"));
  ck_assert(!cfi_checkpoint_is_damage(&error));

  text[len - 1] = '!'; /* a newer one that is damaged is damage */
  ck_assert_int_eq(decode(text, len, &back, &error), CHANGEFEED_ERR_STORE);
  ck_assert(cfi_checkpoint_is_damage(&error));
}
END_TEST

START_TEST(test_checkpoint_of_another_program_is_not_damage) {
  static const char *const foreign[] = {"{\"seq\":\"12-abc\"}\n",
                                        "root:x:0:0:root:/root:/bin/bash\n",
                                        "1234",
                                        "7",
                                        "\177ELF\2\1\1",
                                        "CHANGEFEED",
                                        "checkpoint changefeed 1\n"};

  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    cfi_checkpoint back;
    cfi_error error;
    int rc = decode(foreign[i], strlen(foreign[i]), &back, &error);

    ck_assert_int_eq(rc, CHANGEFEED_ERR_STORE);
    ck_assert_msg(!cfi_checkpoint_is_damage(&error), "%s", foreign[i]);
  }
}
END_TEST

/* Right length and checksum, wrong within: only what encode writes is taken,
   so that one record has one text. */
START_TEST(test_checkpoint_takes_only_its_own_spelling) {
  /* clang-format off */
  static const char *const bodies[] = {
      "",
      "feed=f\n",
      "seq=s\nsaved_ms=1\nrows=2\n",
      "feed=f\nrows=2\nsaved_ms=1\n",
      "feed=f\nfeed=f\nsaved_ms=1\nrows=2\n",
      "feed=f\nmarker=m\nseq=s\nsaved_ms=1\nrows=2\n",
      "feed=f\nunknown=u\nsaved_ms=1\nrows=2\n",
      "feed=f\nsaved_ms=1\nrows=2\nmore\n",
      "feed=f\nsaved_ms=1\nrows=2",
      "feed=f\nsaved_ms=1\nrows=02\n",
      "feed=f\nsaved_ms=01\nrows=2\n",
      "feed=f\nsaved_ms=+1\nrows=2\n",
      "feed=f\nsaved_ms=-0\nrows=2\n",
      "feed=f\nsaved_ms=-\nrows=2\n",
      "feed=f\nsaved_ms=\nrows=2\n",
      "feed=f\nsaved_ms=9223372036854775808\nrows=2\n",
      "feed=f\nsaved_ms=-9223372036854775809\nrows=2\n",
      "feed=f\nsaved_ms=1\nrows=18446744073709551616\n",
      "feed=f\nsaved_ms=1\nrows=-1\n",
      "feed=f\nsaved_ms=1 \nrows=2\n",
      "feed=%66\nsaved_ms=1\nrows=2\n",
      "feed=%c3%a9\nsaved_ms=1\nrows=2\n",
      "feed=%00\nsaved_ms=1\nrows=2\n",
      "feed=%0\nsaved_ms=1\nrows=2\n",
      "feed=%\nsaved_ms=1\nrows=2\n",
      "feed=\xc3\xa9\nsaved_ms=1\nrows=2\n",
      "feed=a\tb\nsaved_ms=1\nrows=2\n",
      "feed=f\r\nsaved_ms=1\r\nrows=2\r\n",
  };
  /* clang-format on */
  cfi_checkpoint back;
  cfi_error error;
  char text[512];
  size_t len;

  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    len = sign(text, sizeof text, "1", bodies[i]);
    ck_assert_msg(decode(text, len, &back, &error) == CHANGEFEED_ERR_STORE,
                  "accepted: %s", bodies[i]);
    ck_assert(cfi_checkpoint_is_damage(&error));
  }
  len = sign(text, sizeof text, "1", "feed=f\nsaved_ms=-1\nrows=2\n");
  ck_assert_int_eq(decode(text, len, &back, &error), CHANGEFEED_OK);
  cfi_checkpoint_free(&heap, &back);
  len = sign(text, sizeof text, "01", "feed=f\nsaved_ms=1\nrows=2\n");
  ck_assert_int_eq(decode(text, len, &back, &error), CHANGEFEED_ERR_STORE);
  len = sign(text, sizeof text, "0", "feed=f\nsaved_ms=1\nrows=2\n");
  ck_assert_int_eq(decode(text, len, &back, &error), CHANGEFEED_ERR_STORE);
}
END_TEST

START_TEST(test_checkpoint_survives_each_failing_allocation) {
  cfi_checkpoint c = full();
  size_t n = 0;
  bool done;

  do {
    cft_failing f;
    cfi_buf out;

    cft_failing_init(&f, ++n);
    cfi_buf_init(&out, &f.alloc);
    done = cfi_checkpoint_encode(&c, &out);
    ck_assert(done || cfi_buf_text(&out) == NULL || out.len == 0);
    cfi_buf_free(&out);
    ck_assert_uint_eq(f.live, 0);
  } while (!done);
  ck_assert_uint_gt(n, 3);

  encode(&c);
  n = 0;
  do {
    cft_failing f;
    cfi_checkpoint back;
    cfi_error error;
    int rc;

    cft_failing_init(&f, ++n);
    rc = cfi_checkpoint_decode(&f.alloc, cfi_buf_data(&record), record.len,
                               &back, &error);
    done = rc == CHANGEFEED_OK;
    ck_assert(done || rc == CHANGEFEED_ERR_NOMEM);
    if (done)
      cfi_checkpoint_free(&f.alloc, &back);
    ck_assert_uint_eq(f.live, 0);
  } while (!done);
  ck_assert_uint_gt(n, 5);
}
END_TEST

/* Two bytes, at random: the checksum's business. */
START_TEST(test_checkpoint_damaged_in_several_bytes_is_refused) {
  cfi_checkpoint c = full(), back;
  cfi_random random;
  cfi_error error;

  cfi_random_init(&random, 3);
  encode(&c);
  for (int i = 0; i < 100000; i++) {
    char copy[512];
    int changes = (int)cfi_random_upto(&random, 6) + 2;

    memcpy(copy, cfi_buf_data(&record), record.len);
    while (changes-- != 0)
      copy[cfi_random_upto(&random, (int64_t)record.len - 1)] ^=
          (char)(1 << cfi_random_upto(&random, 7));
    if (memcmp(copy, cfi_buf_data(&record), record.len) == 0)
      continue;
    ck_assert_int_eq(
        cfi_checkpoint_decode(&heap, copy, record.len, &back, &error),
        CHANGEFEED_ERR_STORE);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("checkpoint");
  TCase *tc = tcase_create("checkpoint");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_checkpoint_is_text_of_this_form);
  tcase_add_test(tc, test_checkpoint_survives_with_and_without_each_member);
  tcase_add_test(tc, test_checkpoint_survives_every_byte_and_number);
  tcase_add_test(tc, test_checkpoint_without_a_feed_counts_as_an_empty_one);
  tcase_add_test(tc, test_checkpoint_is_appended_to_what_is_there);
  tcase_add_test(tc, test_checkpoint_damaged_in_any_one_byte_is_refused);
  tcase_add_test(tc, test_checkpoint_cut_off_anywhere_is_refused);
  tcase_add_test(tc, test_checkpoint_with_a_foreign_end_is_refused);
  tcase_add_test(tc,
                 test_checkpoint_of_a_newer_version_is_named_and_not_damage);
  tcase_add_test(tc, test_checkpoint_of_another_program_is_not_damage);
  tcase_add_test(tc, test_checkpoint_takes_only_its_own_spelling);
  tcase_add_test(tc, test_checkpoint_survives_each_failing_allocation);
  tcase_add_test(tc, test_checkpoint_damaged_in_several_bytes_is_refused);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
