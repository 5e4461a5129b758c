/* What visitors are made of, without sockets: chance that is what it should be,
   answers held to what the app has to say, and a websocket's two sides. */
#include "support/unit.h"

#include "common/traffic_answer.h"
#include "common/traffic_choice.h"
#include "common/traffic_request.h"
#include "common/traffic_talk.h"

#include <math.h>

#define PAGE "app=a nonce=n"
#define HEAD "HTTP/1.1 200 OK\r\nX-Nonce: " PAGE "\r\nX-Nonce-Target: /?v=1\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* RFC 6455, 1.3 */

/* ---- chance ---- */

START_TEST(test_gaps_are_those_of_a_poisson_process) {
  enum { GAPS = 20000 };
  traffic_dice d = {3}, same = {3}, other = {4};
  double sum = 0, squares = 0;
  size_t long_ones = 0, differ = 0;

  for (size_t i = 0; i < GAPS; i++) {
    int64_t gap = traffic_gap_us(&d, 100);

    ck_assert_int_ge(gap, 0);
    ck_assert_int_eq(gap, traffic_gap_us(&same, 100));
    differ += gap != traffic_gap_us(&other, 100);
    sum += (double)gap;
    squares += (double)gap * (double)gap;
    long_ones += gap > 10000;
  }
  sum /= GAPS;
  squares = squares / GAPS - sum * sum;
  /* Mean 10 ms, deviation 10 ms, 1/e of them longer than the mean. */
  ck_assert(sum > 9700 && sum < 10300);
  ck_assert(sqrt(squares) > 9500 && sqrt(squares) < 10500);
  ck_assert(long_ones > GAPS * 0.36 && long_ones < GAPS * 0.376);
  ck_assert_uint_gt(differ, GAPS / 2);
}
END_TEST

static void count_picks(double exponent, uint64_t seed, size_t count,
                        size_t picks, size_t *counts) {
  traffic_zipf z;
  traffic_dice d = {11};

  ck_assert(traffic_zipf_init(&z, count, exponent, seed));
  memset(counts, 0, count * sizeof *counts);
  for (size_t i = 0; i < picks; i++) {
    size_t host = traffic_zipf_pick(&z, &d);

    ck_assert_uint_lt(host, count);
    counts[host]++;
  }
  traffic_zipf_free(&z);
}

static int by_count(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;

  return x < y ? 1 : x > y ? -1 : 0;
}

START_TEST(test_hosts_are_asked_for_by_zipfs_law) {
  enum { HOSTS = 50, PICKS = 100000 };
  size_t one[HOSTS], other[HOSTS];
  double harmonic = 0;

  for (int i = 1; i <= HOSTS; i++)
    harmonic += 1.0 / i;
  count_picks(1, 1, HOSTS, PICKS, one);
  count_picks(1, 2, HOSTS, PICKS, other);
  /* Another seed: other hosts, the same law. */
  ck_assert_int_ne(memcmp(one, other, sizeof one), 0);
  qsort(one, HOSTS, sizeof *one, by_count);
  for (size_t k = 1; k <= 10; k++) {
    double expected = PICKS / harmonic / (double)k;

    ck_assert_msg((double)one[k - 1] > expected * 0.9 &&
                      (double)one[k - 1] < expected * 1.1,
                  "rank %d: %d times instead of %.0f", (int)k, (int)one[k - 1],
                  expected);
  }
  count_picks(0, 1, HOSTS, PICKS, one);
  for (size_t i = 0; i < HOSTS; i++)
    ck_assert(one[i] > PICKS / HOSTS * 0.85 && one[i] < PICKS / HOSTS * 1.15);
  count_picks(4, 1, 1, 10, one);
  ck_assert_uint_eq(one[0], 10);
}
END_TEST

START_TEST(test_weights_decide_how_often) {
  enum { ROLLS = 100000 };
  static const unsigned weights[] = {0, 3, 0, 1, 0};
  size_t counts[5] = {0};
  traffic_dice d = {5};

  for (size_t i = 0; i < ROLLS; i++)
    counts[traffic_weighted(&d, weights, 5)]++;
  ck_assert_uint_eq(counts[0] + counts[2] + counts[4], 0);
  ck_assert(counts[1] > ROLLS * 0.73 && counts[1] < ROLLS * 0.77);
}
END_TEST

/* ---- answers ---- */

static traffic_asked asked_for(void) {
  return (traffic_asked){.target = "/?v=1", .most = 100000};
}

/* All of the bytes, in pieces of that size. The rest of what was not taken is
   an error unless the answer was over. */
static enum traffic_state feed(traffic_answer *a, const traffic_asked *asked,
                               const char *bytes, size_t piece) {
  enum traffic_state state = TRAFFIC_MORE;
  size_t len = strlen(bytes), used;
  const char *why;

  traffic_answer_begin(a, asked);
  while (len != 0 && state == TRAFFIC_MORE) {
    size_t n = piece < len ? piece : len;

    state = traffic_answer_take(a, bytes, n, &used, &why);
    ck_assert(state != TRAFFIC_MORE || used == n);
    ck_assert_uint_le(used, n);
    bytes += used;
    len -= used;
  }
  return state;
}

typedef struct answer_case {
  const char *bytes;
  enum traffic_state state;
  const char *wrong; /* part of the sentence; NULL: nothing is */
  const char *body;
} answer_case;

static const answer_case answers[] = {
    {HEAD "Content-Length: 14\r\n\r\n" PAGE "\n", TRAFFIC_WHOLE, NULL,
     PAGE "\n"},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n"
          "3\r\napp\r\nb\r\n=a nonce=n\n\r\n0\r\n\r\n",
     TRAFFIC_WHOLE, NULL, PAGE "\n"},
    {"HTTP/1.1 103 Early Hints\r\n\r\n" HEAD "Content-Length: 14\r\n\r\n" PAGE
     "\n",
     TRAFFIC_WHOLE, NULL, PAGE "\n"},
    {HEAD "Content-Length: 14\r\n\r\n" PAGE, TRAFFIC_MORE, NULL, PAGE},
    {HEAD "Content-Length: 14\r\n\r\napp=b nonce=n\n", TRAFFIC_WHOLE,
     "not what the app", "app=b nonce=n\n"},
    {HEAD "Content-Length: 13\r\n\r\n" PAGE, TRAFFIC_WHOLE, "ends before",
     PAGE},
    {HEAD "Content-Length: 15\r\n\r\n" PAGE "\nx", TRAFFIC_WHOLE, "goes on",
     PAGE "\nx"},
    {HEAD "Content-Length: 0\r\n\r\n", TRAFFIC_WHOLE, "ends before", ""},
    {"HTTP/1.1 200 OK\r\nX-Nonce: " PAGE "\r\nX-Nonce-Target: /?v=2\r\n"
     "Content-Length: 14\r\n\r\n" PAGE "\n",
     TRAFFIC_WHOLE, "another request", PAGE "\n"},
    {"HTTP/1.1 200 OK\r\nX-Nonce: " PAGE "\r\nContent-Length: 14\r\n\r\n" PAGE
     "\n",
     TRAFFIC_WHOLE, "another request", PAGE "\n"},
    {"HTTP/1.1 500 No\r\nX-Nonce: " PAGE "\r\nX-Nonce-Target: /?v=1\r\n"
     "Content-Length: 14\r\n\r\n" PAGE "\n",
     TRAFFIC_WHOLE, "does not answer", PAGE "\n"},
    {HEAD "X-Balancer-Error: E04\r\nContent-Length: 14\r\n\r\n" PAGE "\n",
     TRAFFIC_WHOLE, "and the balancer's", PAGE "\n"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", TRAFFIC_WHOLE, NULL,
     "hello"},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", TRAFFIC_NONSENSE, NULL, ""},
    {"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", TRAFFIC_NONSENSE, NULL, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
     "\r\n",
     TRAFFIC_NONSENSE, NULL, ""},
    {HEAD "Transfer-Encoding: chunked\r\n\r\nx", TRAFFIC_NONSENSE, NULL, ""},
};

static void check_answer(const answer_case *e, size_t piece) {
  traffic_asked asked = asked_for();
  traffic_answer a;

  ck_assert_msg(feed(&a, &asked, e->bytes, piece) == e->state, "%s", e->bytes);
  if (e->wrong == NULL)
    ck_assert_msg(a.wrong == NULL, "%s: %s", e->bytes, a.wrong);
  else
    ck_assert_msg(a.wrong != NULL && strstr(a.wrong, e->wrong) != NULL,
                  "%s: %s", e->bytes, a.wrong != NULL ? a.wrong : "nothing");
  ck_assert_str_eq(text_get(&a.kept), e->body);
  ck_assert_uint_eq(a.length, strlen(e->body));
  traffic_answer_free(&a);
}

START_TEST(test_an_answer_is_the_same_in_pieces_and_held_to_the_app) {
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    for (size_t piece = 1; piece <= strlen(answers[i].bytes); piece++)
      check_answer(&answers[i], piece);
}
END_TEST

START_TEST(test_an_echo_and_a_long_answer_are_compared_to_the_last_byte) {
  static const char echoed[] = HEAD "Content-Length: 44\r\n\r\n" PAGE "\n"
                                    "length=5 sum=0123456789abcdef\n";
  static const char big[] =
      HEAD "Content-Length: 48\r\n\r\n" PAGE " 0\n" PAGE " 1\n" PAGE " 2\n";
  traffic_asked asked = asked_for();
  traffic_answer a;

  asked.posted = true;
  asked.length = 5;
  asked.sum = UINT64_C(0x0123456789abcdef);
  ck_assert_int_eq(feed(&a, &asked, echoed, 7), TRAFFIC_WHOLE);
  ck_assert_ptr_null(a.wrong);
  traffic_answer_free(&a);
  asked.sum++;
  ck_assert_int_eq(feed(&a, &asked, echoed, 7), TRAFFIC_WHOLE);
  ck_assert_ptr_nonnull(a.wrong);
  traffic_answer_free(&a);
  asked = asked_for();
  for (asked.lines = 2; asked.lines <= 4; asked.lines++) {
    ck_assert_int_eq(feed(&a, &asked, big, 10), TRAFFIC_WHOLE);
    ck_assert((a.wrong == NULL) == (asked.lines == 3));
    traffic_answer_free(&a);
  }
}
END_TEST

START_TEST(test_what_ends_with_its_connection_is_whole_or_cut) {
  traffic_asked asked = asked_for();
  traffic_answer a;

  ck_assert_int_eq(feed(&a, &asked, HEAD "\r\n" PAGE "\n", 5), TRAFFIC_MORE);
  ck_assert(traffic_answer_ends(&a));
  ck_assert_ptr_null(a.wrong);
  traffic_answer_free(&a);
  ck_assert_int_eq(feed(&a, &asked, HEAD "\r\n" PAGE, 5), TRAFFIC_MORE);
  ck_assert(traffic_answer_ends(&a));
  ck_assert_ptr_nonnull(a.wrong);
  traffic_answer_free(&a);
  ck_assert_int_eq(feed(&a, &asked, HEAD "Content-Length: 14\r\n\r\napp", 5),
                   TRAFFIC_MORE);
  ck_assert(!traffic_answer_ends(&a));
  traffic_answer_free(&a);
  ck_assert_int_eq(feed(&a, &asked, "HTTP/1.1 20", 5), TRAFFIC_MORE);
  ck_assert(!traffic_answer_ends(&a));
  traffic_answer_free(&a);
}
END_TEST

START_TEST(test_an_answer_has_limits) {
  traffic_asked asked = asked_for();
  traffic_answer a;
  text many = TEXT_INIT;

  asked.most = 4;
  ck_assert_int_eq(feed(&a, &asked, "HTTP/1.1 200 OK\r\n\r\nhell", 3),
                   TRAFFIC_MORE);
  traffic_answer_free(&a);
  ck_assert_int_eq(feed(&a, &asked, "HTTP/1.1 200 OK\r\n\r\nhello", 3),
                   TRAFFIC_NONSENSE);
  traffic_answer_free(&a);
  asked = asked_for();
  text_str(&many, "HTTP/1.1 200 OK\r\n\r\n");
  for (int i = 0; i < 10000; i++)
    text_str(&many, "0123");
  ck_assert_int_eq(feed(&a, &asked, text_get(&many), 1000), TRAFFIC_MORE);
  ck_assert_uint_eq(a.length, 40000);
  ck_assert_uint_eq(a.kept.len, TRAFFIC_BODY);
  traffic_answer_free(&a);
  text_clear(&many);
  for (int i = 0; i < 100; i++)
    text_str(&many, "HTTP/1.1 103 Early Hints\r\n\r\n");
  ck_assert_int_eq(feed(&a, &asked, text_get(&many), 1000), TRAFFIC_NONSENSE);
  traffic_answer_free(&a);
  text_free(&many);
}
END_TEST

/* ---- judged ---- */

typedef struct judged_case {
  int status;
  const char *error, *page, *body, *wrong;
  bool inside;
  enum traffic_verdict verdict;
} judged_case;

static const judged_case judged[] = {
    {200, "", PAGE, PAGE "\n", NULL, false, TRAFFIC_OWN},
    {200, "", "", PAGE "\n", NULL, false, TRAFFIC_OWN},
    {200, "", PAGE, PAGE " 0\n", NULL, false, TRAFFIC_OWN},
    {200, "", "", PAGE " 0\n", NULL, false, TRAFFIC_FOREIGN},
    {200, "", "", PAGE, NULL, false, TRAFFIC_FOREIGN},
    {200, "", "", "app=a nonce=m\n", NULL, false, TRAFFIC_FOREIGN},
    {200, "", "app=b nonce=n", "", NULL, false, TRAFFIC_FOREIGN},
    {200, "", PAGE, PAGE "\n", "wrong", false, TRAFFIC_FOREIGN},
    {200, "", PAGE, PAGE "\n", NULL, true, TRAFFIC_FOREIGN},
    {200, "", "", "", NULL, false, TRAFFIC_FOREIGN},
    {503, "", "", "<html>", NULL, false, TRAFFIC_FOREIGN},
    {503, "E04", "", "<html>", NULL, false, TRAFFIC_PAGE},
    {503, "E04", "", "app=b nonce=x\n", NULL, false, TRAFFIC_FOREIGN},
    {200, "E04", "", "<html>", NULL, false, TRAFFIC_FOREIGN},
    {503, "E4", "", "<html>", NULL, false, TRAFFIC_FOREIGN},
    {0, "", "", "", NULL, false, TRAFFIC_NOTHING},
};

START_TEST(test_an_answer_is_the_apps_own_a_page_or_foreign) {
  for (size_t i = 0; i < sizeof judged / sizeof *judged; i++) {
    const judged_case *e = &judged[i];
    traffic_result r = {.outcome = TRAFFIC_ANSWERED,
                        .status = e->status,
                        .inside = e->inside,
                        .body = e->body,
                        .body_len = strlen(e->body),
                        .length = strlen(e->body),
                        .wrong = e->wrong};
    char said[200];

    (void)snprintf(r.error, sizeof r.error, "%s", e->error);
    (void)snprintf(r.page, sizeof r.page, "%s", e->page);
    ck_assert_msg(traffic_judge(&r, PAGE, said, sizeof said) == e->verdict,
                  "case %d: %s", (int)i, said);
    ck_assert_uint_gt(strlen(said), 0);
  }
}
END_TEST

START_TEST(test_the_beginning_of_the_own_page_is_own_when_it_was_cut) {
  traffic_result r = {.outcome = TRAFFIC_CUT_BODY, .status = 200};

  for (size_t len = 0; len <= strlen(PAGE "\n"); len++) {
    char body[64];

    (void)snprintf(body, sizeof body, "%.*s", (int)len, PAGE "\n");
    r.body = body;
    r.length = r.body_len = len;
    ck_assert_int_eq(traffic_judge(&r, PAGE, NULL, 0),
                     len == 0 ? TRAFFIC_NOTHING : TRAFFIC_OWN);
    if (len == 0)
      continue;
    body[len - 1] = '#';
    ck_assert_int_eq(traffic_judge(&r, PAGE, NULL, 0), TRAFFIC_FOREIGN);
  }
}
END_TEST

/* ---- requests ---- */

/* How it is sent: pieces, and how long all pauses take. */
static size_t send_all(traffic_request *r, int64_t *paused_ms) {
  size_t pieces = 0, n;
  int64_t pause;

  *paused_ms = 0;
  while ((n = traffic_request_next(r, &pause)) != 0) {
    ck_assert_uint_le(r->sent + n, r->out.len);
    r->sent += n;
    *paused_ms += pause;
    pieces++;
  }
  return pieces;
}

START_TEST(test_requests_can_be_read_and_are_as_slow_as_allowed) {
  static const traffic_request_limits limits = {"x/1", 500, 3000, 100, 1000};

  for (uint64_t seed = 1; seed <= 50; seed++)
    for (int kind = 0; kind < TRAFFIC_KINDS; kind++) {
      traffic_dice d = {seed};
      traffic_request r;
      http_head head;
      size_t scanned = 0, used = 0, pieces;
      int64_t paused_ms;
      const char *why = "";
      bool ends;

      ck_assert(traffic_request_make(&r, (enum traffic_kind)kind, "a.example",
                                     seed, &d, &limits));
      ck_assert_msg(http_head_request(&head, r.out.data, r.out.len,
                                      HTTP_HEAD_MOST, &scanned, &used,
                                      &why) == HTTP_HEAD_DONE,
                    "%s: %s", traffic_kind_name((enum traffic_kind)kind), why);
      ck_assert(http_str_is(head.host, "a.example"));
      ck_assert(http_str_same(head.target, r.target));
      pieces = send_all(&r, &paused_ms);
      ck_assert_int_le(paused_ms, 500);
      ends = r.sent < r.out.len;
      ck_assert(ends ==
                (kind == TRAFFIC_ABORT_HEAD || kind == TRAFFIC_ABORT_BODY));
      ck_assert(kind != TRAFFIC_BYTES || pieces == r.out.len);
      ck_assert(kind != TRAFFIC_SLOW || (pieces > 2 && paused_ms > 0));
      ck_assert(kind != TRAFFIC_ABORT_HEAD || r.sent < used);
      ck_assert(kind != TRAFFIC_ABORT_BODY || r.sent >= used);
      traffic_request_free(&r);
    }
}
END_TEST

/* ---- websockets ---- */

START_TEST(test_a_key_has_the_answer_of_the_standard) {
  static const unsigned char bytes[16] = "the sample nonce";
  char accept[WEBSOCKET_ACCEPT], key[WEBSOCKET_KEY];

  ck_assert(websocket_accept((http_str){KEY, 24}, accept));
  ck_assert_str_eq(accept, ACCEPT);
  ck_assert(!websocket_accept((http_str){KEY, 23}, accept));
  websocket_key(bytes, key);
  ck_assert_str_eq(key, KEY);
}
END_TEST

START_TEST(test_frames_are_read_as_they_are_written_and_strictly) {
  static const uint64_t lengths[] = {0, 1, 125, 126, 65535, 65536, 1u << 20};
  static const unsigned char mask[4] = {1, 2, 3, 4};
  static const char *const bad[] = {"\x01\x00",         "\xc1\x00",
                                    "\x80\x00",         "\x83\x00",
                                    "\x89\x7e\x00\x7e", "\x81\x7e\x00\x7d"};
  websocket_frame f;
  const char *why;

  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (int masked = 0; masked < 2; masked++) {
      char head[WEBSOCKET_HEAD];
      size_t len = websocket_write(head, WEBSOCKET_BINARY, lengths[i],
                                   masked ? mask : NULL);

      for (size_t n = 0; n < len; n++)
        ck_assert_int_eq(websocket_read(&f, head, n, 1u << 20, &why), 0);
      ck_assert_int_eq(websocket_read(&f, head, len, 1u << 20, &why), 1);
      ck_assert_uint_eq(f.len, lengths[i]);
      ck_assert_uint_eq(f.head, len);
      ck_assert_int_eq(f.masked, masked);
      ck_assert_int_eq(f.opcode, WEBSOCKET_BINARY);
      if (lengths[i] != 0)
        ck_assert_int_eq(websocket_read(&f, head, len, lengths[i] - 1, &why),
                         -1);
    }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_int_eq(websocket_read(&f, bad[i], 4, 1000, &why), -1);
}
END_TEST

/* The other side: says its page, and gives each message back; changed ones if
   it is told to. */
static enum traffic_state talk_with(const char *page, bool changes,
                                    size_t piece, traffic_answer *a) {
  traffic_asked asked = asked_for();
  traffic_dice d = {1};
  traffic_talk k;
  text to = TEXT_INIT, from = TEXT_INIT;
  enum traffic_state state = TRAFFIC_MORE;
  char head[WEBSOCKET_HEAD];
  size_t at = 0;
  const char *why = "";

  traffic_answer_begin(a, &asked);
  (void)snprintf(a->page, sizeof a->page, PAGE);
  traffic_talk_begin(&k, &d);
  text_add(&to, head, websocket_write(head, 1, strlen(page), NULL));
  text_str(&to, page);
  while (state == TRAFFIC_MORE && at < to.len) {
    size_t n = piece < to.len - at ? piece : to.len - at;
    websocket_frame f;

    state = traffic_talk_take(&k, a, to.data + at, n, &from, &d, &why);
    at += n;
    while (from.len != 0 &&
           websocket_read(&f, from.data, from.len, 4096, &why) == 1) {
      char *data = from.data + f.head;

      ck_assert(f.masked);
      ck_assert_uint_eq(from.len, f.head + f.len);
      websocket_mask(data, (size_t)f.len, f.mask);
      data[0] = (char)(data[0] ^ (changes && f.opcode == 1));
      text_add(&to, head, websocket_write(head, f.opcode, f.len, NULL));
      text_add(&to, data, (size_t)f.len);
      text_clear(&from);
    }
  }
  traffic_talk_end(&k, a);
  text_free(&to);
  text_free(&from);
  return state;
}

START_TEST(test_a_websocket_is_held_to_its_page_and_its_echoes) {
  for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
    traffic_answer a;

    ck_assert_int_eq(talk_with(PAGE "\n", false, piece, &a), TRAFFIC_WHOLE);
    ck_assert_ptr_null(a.wrong);
    ck_assert_str_eq(text_get(&a.kept), PAGE "\n");
    traffic_answer_free(&a);
    ck_assert_int_eq(talk_with(PAGE "\n", true, piece, &a), TRAFFIC_WHOLE);
    ck_assert_ptr_nonnull(strstr(a.wrong, "came back"));
    traffic_answer_free(&a);
    ck_assert_int_eq(talk_with("app=b nonce=n\n", false, piece, &a),
                     TRAFFIC_WHOLE);
    ck_assert_ptr_nonnull(strstr(a.wrong, "first message"));
    ck_assert_str_eq(text_get(&a.kept), "app=b nonce=n\n");
    traffic_answer_free(&a);
  }
}
END_TEST

START_TEST(test_a_page_that_is_cut_in_its_frame_is_kept) {
  static const char half[] = "\x81\x0e"
                             "app=b";
  traffic_asked asked = asked_for();
  traffic_dice d = {1};
  traffic_answer a;
  traffic_talk k;
  text out = TEXT_INIT;
  const char *why;

  traffic_answer_begin(&a, &asked);
  traffic_talk_begin(&k, &d);
  ck_assert_int_eq(
      traffic_talk_take(&k, &a, half, sizeof half - 1, &out, &d, &why),
      TRAFFIC_MORE);
  traffic_talk_end(&k, &a);
  ck_assert_str_eq(text_get(&a.kept), "app=b");
  traffic_answer_free(&a);
  text_free(&out);
}
END_TEST

int main(void) {
  Suite *s = suite_create("traffic_parts");
  TCase *c = tcase_create("parts");

  tcase_add_test(c, test_gaps_are_those_of_a_poisson_process);
  tcase_add_test(c, test_hosts_are_asked_for_by_zipfs_law);
  tcase_add_test(c, test_weights_decide_how_often);
  tcase_add_test(c, test_an_answer_is_the_same_in_pieces_and_held_to_the_app);
  tcase_add_test(c,
                 test_an_echo_and_a_long_answer_are_compared_to_the_last_byte);
  tcase_add_test(c, test_what_ends_with_its_connection_is_whole_or_cut);
  tcase_add_test(c, test_an_answer_has_limits);
  tcase_add_test(c, test_an_answer_is_the_apps_own_a_page_or_foreign);
  tcase_add_test(c, test_the_beginning_of_the_own_page_is_own_when_it_was_cut);
  tcase_add_test(c, test_requests_can_be_read_and_are_as_slow_as_allowed);
  tcase_add_test(c, test_a_key_has_the_answer_of_the_standard);
  tcase_add_test(c, test_frames_are_read_as_they_are_written_and_strictly);
  tcase_add_test(c, test_a_websocket_is_held_to_its_page_and_its_echoes);
  tcase_add_test(c, test_a_page_that_is_cut_in_its_frame_is_kept);
  suite_add_tcase(s, c);
  return cft_run(s);
}
