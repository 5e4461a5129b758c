/*
 * A feed read over sockets by each path of the scanner this processor can go:
 * the same rows and the same documents by all of them, from lists and from
 * streams, in chunks of any size. Which path it is, the test puts into the
 * feed; the library takes the fastest.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"
#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/unit.h"

enum { PATHS_MOST = 4, DOCS = 300, MORE = 50, PATIENCE_MS = 20000 };

/* Quotes, escapes, braces in strings, letters beyond ASCII, and lengths that
   end a string at each place of a block of 64 bytes. */
static void put_docs(cft_mini *mini, int from, int count) {
  static const char *const pieces[] = {
      "\\\"",     "\\\\",           "{[", "]}",
      "\\\\\\\"", "\xc3\xa4",       "x",  "\\n",
      ",:",       "\\u00e4\\u0000", " ",  "\xf0\x9f\x90\xbb"};
  enum { PIECES = sizeof pieces / sizeof *pieces };

  for (int i = from; i < from + count; i++) {
    char members[4096], id[32];
    size_t len = (size_t)snprintf(members, sizeof members,
                                  "\"a\":[{\"b\":{}},[[]]],\"text\":\"");

    for (int n = 0; n < i % 131; n++)
      len += (size_t)snprintf(members + len, sizeof members - len, "%s",
                              pieces[(i + n * 7) % PIECES]);
    (void)snprintf(members + len, sizeof members - len, "\"");
    (void)snprintf(id, sizeof id, "doc%04d", i);
    (void)cft_mini_put_doc(mini, id, "1-a", false, members);
  }
}

typedef struct digest {
  uint64_t rows, sum, doc_bytes;
} digest;

/* Of all that the application sees of a row. */
static void add(digest *d, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    d->sum = (d->sum ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
  d->sum = (d->sum ^ len) * UINT64_C(1099511628211);
}

static int on_row(cft_follow *f, const changefeed_change *change) {
  digest *d = f->user;

  d->rows++;
  d->doc_bytes += change->doc.len;
  add(d, change->id.data, change->id.len);
  add(d, change->seq.data, change->seq.len);
  add(d, change->row.data, change->row.len);
  add(d, change->doc.data, change->doc.len);
  return CHANGEFEED_CONTINUE;
}

/* The past, then what comes. */
static digest follow(const cfi_scan_path *path, size_t buffer) {
  cft_mini *mini = cft_mini_start(NULL);
  cft_mini_config config = cft_mini_get_config(mini);
  digest d = {0};
  cft_follow f = {.on_row = on_row, .user = &d};
  cft_revs *want;

  config.buffer = buffer;
  cft_mini_set_config(mini, &config);
  put_docs(mini, 0, DOCS);
  cft_follow_open(&f, NULL, cft_mini_url(mini), "include_docs", "1", NULL);
  f.feed->frame.path = path;
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_LIVE, PATIENCE_MS));
  ck_assert_uint_eq(d.rows, DOCS);
  put_docs(mini, DOCS, MORE);
  want = cft_mini_revs(mini);
  ck_assert(cft_follow_until_revs(&f, want, PATIENCE_MS));
  ck_assert_uint_eq(d.rows, DOCS + MORE);
  ck_assert_ptr_eq(f.feed->frame.path, path);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  cft_revs_free(want);
  cft_follow_clear(&f);
  cft_mini_free(mini);
  return d;
}

START_TEST(test_scan_paths_read_the_same_over_sockets) {
  static const size_t buffers[] = {1, 100, 1490, 65536};
  const cfi_scan_path *path;
  digest first = {0};

  for (size_t i = 0; (path = cfi_scan_path_at(i)) != NULL; i++) {
    digest d;

    ck_assert_uint_lt(i, PATHS_MOST);
    d = follow(path, buffers[_i]);
    if (i == 0)
      first = d;
    ck_assert_uint_gt(d.doc_bytes, (uint64_t)DOCS * 100);
    ck_assert_msg(d.sum == first.sum && d.doc_bytes == first.doc_bytes,
                  "%s reads other rows than the portable path", path->name);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scan_paths");
  TCase *tc = tcase_create("paths");

  tcase_add_loop_test(tc, test_scan_paths_read_the_same_over_sockets, 0, 4);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
