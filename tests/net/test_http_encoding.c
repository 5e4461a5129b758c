/* Compressed answers: asked for by the option compression, and unasked, which
   proxies do. The same body plain, gzip and deflate, whole, sliced, and cut at
   every byte. Known failures 34 and 93. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum { LONG_MS = 30000, MOST = 256 };

/* What the mini couch answers to feed=normal&since=0 with the rows of setup,
   by gzip and by zlib. */
static const char gzip_body[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\x4a\x2d\x2e\xcd\x29"
    "\x29\x56\xb2\x8a\xe6\xaa\x56\x2a\x4e\x2d\x54\xb2\x32\xd4\x51\xca\x4c\x51"
    "\xb2\x52\x4a\x54\xd2\x51\x4a\xce\x48\xcc\x4b\x4f\x05\xc9\x56\x03\x55\x96"
    "\x01\x45\x0d\x75\x13\x95\x6a\x63\x6b\x75\x78\x61\xca\x8d\xa0\xca\x8b\xf3"
    "\xf2\xcb\x1f\xcd\x68\xce\x4d\xcc\xc3\xa1\x2f\x09\x55\x9f\x31\x54\x5f\x32"
    "\x56\xe5\x46\xba\xc9\xa8\xca\x4d\xa0\xca\x53\x70\x98\x9e\x02\x52\xce\x15"
    "\xab\xc3\xa5\x94\x93\x58\x5c\x12\x0f\xd3\x53\x90\x9a\x97\x92\x99\x97\xae"
    "\x64\x65\x50\xcb\x05\x00\xd4\xcb\x25\xd1\xed\x00\x00\x00";

static const char deflate_body[] =
    "\x78\xda\xab\x56\x2a\x4a\x2d\x2e\xcd\x29\x29\x56\xb2\x8a\xe6\xaa\x56\x2a"
    "\x4e\x2d\x54\xb2\x32\xd4\x51\xca\x4c\x51\xb2\x52\x4a\x54\xd2\x51\x4a\xce"
    "\x48\xcc\x4b\x4f\x05\xc9\x56\x03\x55\x96\x01\x45\x0d\x75\x13\x95\x6a\x63"
    "\x6b\x75\x78\x61\xca\x8d\xa0\xca\x8b\xf3\xf2\xcb\x1f\xcd\x68\xce\x4d\xcc"
    "\xc3\xa1\x2f\x09\x55\x9f\x31\x54\x5f\x32\x56\xe5\x46\xba\xc9\xa8\xca\x4d"
    "\xa0\xca\x53\x70\x98\x9e\x02\x52\xce\x15\xab\xc3\xa5\x94\x93\x58\x5c\x12"
    "\x0f\xd3\x53\x90\x9a\x97\x92\x99\x97\xae\x64\x65\x50\xcb\x05\x00\x66\x68"
    "\x47\x10";

static const struct {
  const char *name, *body;
  size_t len;
} codings[] = {
    {"gzip", gzip_body, sizeof gzip_body - 1},
    {"x-gzip", gzip_body, sizeof gzip_body - 1},
    {"deflate", deflate_body, sizeof deflate_body - 1},
};
enum { CODINGS = sizeof codings / sizeof *codings };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_revs *want;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  cft_mini_config config = cft_mini_get_config(mini);
  config.seqs = CFT_SEQ_NUMBER;
  cft_mini_set_config(mini, &config);
  cft_mini_put(mini, "a", "1-a", false);
  cft_mini_put(mini, "snow\xe2\x98\x83man", "1-b", false);
  cft_mini_put(mini, "c", "2-c", false);
  cft_mini_put(mini, "d", "1-d", false);
  want = cft_mini_revs(mini);
}

static void teardown(void) {
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  cft_revs_free(want);
}

/* The first feed=normal of a request with `match` is answered in a coding. */
static void encode(size_t coding, cft_fault fault) {
  char raw[1024];
  int head = snprintf(raw, sizeof raw,
                      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
                      codings[coding].name, codings[coding].len);
  memcpy(raw + head, codings[coding].body, codings[coding].len);
  fault.on = CFT_NORMAL;
  fault.times = 1;
  fault.raw = raw;
  fault.raw_len = (size_t)head + codings[coding].len;
  cft_mini_fault(mini, &fault);
}

static void expect_rows(const cft_follow *f, const char *what, size_t at) {
  char why[256];
  ck_assert_msg(changefeed_get_state(f->feed) == CHANGEFEED_STATE_ENDED,
                "%s at %zu: %s", what, at,
                changefeed_last_error(f->feed)->message);
  ck_assert_msg(cft_revs_equal(want, f->revs, why, sizeof why), "%s at %zu: %s",
                what, at, why);
}

START_TEST(test_encoding_unasked_is_read) {
  cft_follow f = {.feed = NULL};
  encode((size_t)_i, (cft_fault){.slice = 1});
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  expect_rows(&f, codings[_i].name, 0);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
  ck_assert_uint_eq(f.taken, 4);
  cft_follow_clear(&f);
}
END_TEST

START_TEST(test_encoding_is_asked_for_by_compression) {
  cft_follow f = {.feed = NULL};
  char accept[128];
  encode(0, (cft_fault){.slice = 0});
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", "compression",
                  "1", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  expect_rows(&f, "compression", 0);
  ck_assert(cft_request_header(cft_peer_request(peer, CFT_NORMAL, 0),
                               "Accept-Encoding", accept, sizeof accept));
  ck_assert_ptr_nonnull(strstr(accept, "gzip"));
  cft_follow_clear(&f);
}
END_TEST

static bool all_over(void *user) {
  cft_follow *f = user;
  for (size_t i = 0; i < MOST; i++)
    if (f[i].feed && !cft_follow_is_over(&f[i]))
      return false;
  return true;
}

/* A feed for each byte, all at once. What came in whole rows before the cut is
   kept, the rest is asked for again. */
START_TEST(test_encoding_cut_at_every_byte_loses_nothing) {
  static cft_follow f[MOST];
  const char *name = codings[_i].name;
  size_t n = codings[_i].len;
  ck_assert_uint_le(n, MOST);
  for (size_t at = 0; at < n; at++) {
    char header[64];
    snprintf(header, sizeof header, "X-Feed: %zu.", at);
    encode((size_t)_i, (cft_fault){.match = header,
                                   .cut = CFT_CUT_BODY,
                                   .cut_at = at,
                                   .then = at % 2 ? CFT_CLOSE : CFT_RST});
    cft_follow_open(&f[at], loop, cft_mini_url(mini), "mode", "once", "header",
                    header, NULL);
  }
  ck_assert(cft_loop_until(loop, all_over, f, LONG_MS));
  for (size_t at = 0; at < n; at++) {
    expect_rows(&f[at], name, at);
    ck_assert_uint_eq(cft_follow_doubles(&f[at]), 0);
    ck_assert_uint_le(cft_follow_stats(&f[at]).reconnects, 1);
    cft_follow_clear(&f[at]);
  }
}
END_TEST

/* A coding that is not what it says is a fault, not a feed without rows. */
START_TEST(test_encoding_that_is_none_is_a_fault) {
  cft_follow f = {.feed = NULL};
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                    .times = 1,
                                    .status = 200,
                                    .headers = "Content-Encoding: gzip\r\n",
                                    .body = "{\"results\":[\n],\n"
                                            "\"last_seq\":4,\"pending\":0}"});
  cft_follow_open(&f, loop, cft_mini_url(mini), "mode", "once", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  expect_rows(&f, "no gzip", 0);
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
  ck_assert_ptr_nonnull(s);
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_PROTOCOL);
  cft_follow_clear(&f);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("http_encoding");
  TCase *t = tcase_create("encoding");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_encoding_unasked_is_read, 0, CODINGS);
  tcase_add_test(t, test_encoding_is_asked_for_by_compression);
  tcase_add_loop_test(t, test_encoding_cut_at_every_byte_loses_nothing, 0,
                      CODINGS);
  tcase_add_test(t, test_encoding_that_is_none_is_a_fault);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
