/*
 * A small answer: it is accepted when yajl accepts it and it is an object, its
 * strings are text, and a failed allocation loses nothing.
 *
 * Input: failing call, then the text.
 */
#include "fuzz/fuzz.h"

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
