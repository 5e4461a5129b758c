/*
 * A small answer: it is accepted when yajl accepts it and it is an object, its
 * strings are text and those that jansson reads, and a failed allocation loses
 * nothing.
 *
 * Input: failing call, then the text.
 */
#include "fuzz/fuzz.h"

#include "fuzz/plain_jansson.h"
#include "fuzz/plain_yajl.h"
#include "info.h"
#include "str.h"
#include "support/failing.h"

static void check_text(changefeed_str s, bool may_be_array) {
  if (s.data == NULL)
    return;
  CFT_FUZZ_CHECK(s.data[s.len] == '\0');
  CFT_FUZZ_CHECK((may_be_array && s.len != 0 && s.data[0] == '[') ||
                 cfi_str_is_utf8(s.data, s.len));
}

static void check_info(const cfi_info *info, const char *text, size_t len) {
  static plain_member reason;

  CFT_FUZZ_CHECK(plain_accepts(text, len));
  check_text(info->uuid, false);
  check_text(info->version, false);
  check_text(info->db_name, false);
  check_text(info->instance_start_time, false);
  check_text(info->update_seq, true);
  check_text(info->error, false);
  check_text(info->reason, false);
  check_text(info->rev, false);
  plain_find(&reason, "reason", text, len);
  if (reason.found)
    CFT_FUZZ_CHECK(info->reason.len == reason.len &&
                   memcmp(info->reason.data, reason.text, reason.len) == 0);
}

/* "_rev" and "rev" are one member: what both say depends on their order. */
static void check_revs(const json_t *j, const cfi_info *info) {
  const json_t *rev = json_object_get(j, "rev");
  const json_t *other = json_object_get(j, "_rev");

  if (!json_is_string(rev) || !json_is_string(other))
    CFT_FUZZ_CHECK(
        jansson_same_text(json_is_string(rev) ? rev : other, info->rev));
}

static void check_members(const json_t *j, const cfi_info *info) {
  const json_t *start = json_object_get(j, "instance_start_time");
  const json_t *update_seq = json_object_get(j, "update_seq");
  const json_t *user = json_object_get(j, "userCtx");

  CFT_FUZZ_CHECK(jansson_same_text(json_object_get(j, "uuid"), info->uuid));
  CFT_FUZZ_CHECK(
      jansson_same_text(json_object_get(j, "version"), info->version));
  CFT_FUZZ_CHECK(
      jansson_same_text(json_object_get(j, "db_name"), info->db_name));
  CFT_FUZZ_CHECK(jansson_same_text(json_object_get(j, "error"), info->error));
  CFT_FUZZ_CHECK(jansson_same_text(json_object_get(j, "reason"), info->reason));
  if (!json_is_array(start))
    CFT_FUZZ_CHECK(jansson_same_seq(start, info->instance_start_time));
  CFT_FUZZ_CHECK(jansson_same_seq(update_seq, info->update_seq));
  CFT_FUZZ_CHECK(info->update_seq_is_number == json_is_number(update_seq));
  check_revs(j, info);
  CFT_FUZZ_CHECK(info->welcome == (json_object_get(j, "couchdb") != NULL ||
                                   json_object_get(j, "uuid") != NULL));
  CFT_FUZZ_CHECK(info->has_user ==
                 (json_is_string(json_object_get(j, "name")) ||
                  json_is_string(json_object_get(user, "name"))));
}

/* All objects that jansson reads are answers, unless they are too deep. */
static void check_agreed(int rc, const cfi_info *info, const char *text,
                         size_t len) {
  json_t *j = jansson_read(text, len);

  if (j != NULL && rc == CFI_INFO_OK)
    check_members(j, info);
  else if (json_is_object(j))
    CFT_FUZZ_CHECK(len > 100);
  json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cft_failing c;
  cfi_info info;
  const char *text;
  size_t len;
  int rc, failed;

  if (size < 1 || size > 8000)
    return 0;
  text = (const char *)data + 1;
  len = size - 1;
  cft_failing_init(&c, 0);
  rc = cfi_info_parse(&c.alloc, text, len, &info);
  CFT_FUZZ_CHECK(rc == CFI_INFO_OK || rc == CFI_INFO_BAD);
  check_agreed(rc, &info, text, len);
  if (rc == CFI_INFO_OK) {
    check_info(&info, text, len);
    cfi_info_free(&c.alloc, &info);
  }
  CFT_FUZZ_CHECK(c.live == 0);

  c.calls = 0;
  c.fail_at = data[0] % 8;
  c.fails = data[0] >= 128 ? CFT_FOR_GOOD : 1;
  failed = cfi_info_parse(&c.alloc, text, len, &info);
  CFT_FUZZ_CHECK(failed == rc || (failed == CFI_INFO_NOMEM && c.fail_at != 0));
  if (failed == CFI_INFO_OK)
    cfi_info_free(&c.alloc, &info);
  CFT_FUZZ_CHECK(c.live == 0);
  return 0;
}
