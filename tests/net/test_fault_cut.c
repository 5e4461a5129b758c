/* A response that breaks at any byte: by FIN, by RST, or by silence. Whatever
   was broken is asked for again, and nothing is lost, doubled or invented.
   Every offset is a feed of its own; all feeds of a case run at once on one
   loop. Known failures 1, 2, 3, 11, 37, 38, 39, 55, 56, 57, 66, 67, 90.
   ctest: COST 125 */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_client.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/unit.h"

enum { ROWS = 6, LONG_MS = 100000, TOGETHER = 1000 /* feeds at most */ };

static cft_mini *mini;
static changefeed_loop *loop;
static cft_revs *want;
static char last_seq[256];
static size_t together;      /* feeds at a time */
static const char *quick_ms; /* a silence; the peer's threads are no slower */

/* What a row can hold that is not plain: escapes, surrogate pairs, braces in
   strings, multi-byte text, a tombstone. */
static void put_rows(void) {
  cft_mini_put_doc(mini, "plain", "1-a", false, "\"n\":1");
  cft_mini_put_doc(mini, "quote\"back\\slash\n", "2-b", false,
                   "\"t\":\"\\\"}{\\\\\"");
  cft_mini_put_doc(mini, "snow\xe2\x98\x83man", "1-c", false,
                   "\"t\":\"\\u0416\\ud83d\\ude00\xf0\x9f\x98\x80\"");
  cft_mini_put(mini, "gone", "3-d", true);
  cft_mini_put_doc(mini, "deep", "1-e", false, "\"a\":[{\"b\":[[],{}]},null]");
  cft_mini_put_doc(mini, "last", "1-f", false, "\"n\":-0.5e3");
}

static void setup(void) {
  cft_mini_config config;
  char text[256];
  const char *instrumented = getenv("CFT_INSTRUMENTED");
  bool slow = instrumented && strcmp(instrumented, "1") == 0;
  together = slow ? TOGETHER / 4 : TOGETHER;
  quick_ms = slow ? "2500" : "900";
  ck_assert(cft_want_fds(8 * TOGETHER));
  mini = cft_mini_start(NULL);
  loop = cft_loop();
  config = cft_mini_get_config(mini);
  config.buffer = 400;               /* several chunks */
  config.pending = CFT_PENDING_NULL; /* one answer is all of the past */
  cft_mini_set_config(mini, &config);
  put_rows();
  want = cft_mini_revs(mini);
  cft_mini_seq(mini, ROWS, text, sizeof text);
  /* a JSON string: its content is the position */
  snprintf(last_seq, sizeof last_seq, "%.*s", (int)strlen(text) - 2, text + 1);
}

static void teardown(void) {
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  cft_revs_free(want);
}

/* ---- one feed for each offset ---- */

typedef struct cutting {
  const char *name; /* of the feed that is cut */
  unsigned on;      /* which requests are */

} cutting;

typedef struct cutter {
  cft_follow follow;
  size_t fault, at;
} cutter;

/* Bytes of head and body up to the end of the last row, with its chunk. */
static void measure(const char *feed, size_t *head, size_t *body) {
  char line[256];
  cft_client c;
  cft_wire w;
  snprintf(line, sizeof line,
           "GET /db/_changes?feed=%s&since=0&include_docs=true&timeout=0",
           feed);
  ck_assert(cft_client_connect(&c, cft_peer_port(cft_mini_peer(mini))));
  ck_assert(cft_client_request(&c, line, "Connection: close\r\n", NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert(cft_wire_parse("GET", c.data, c.len, &w));
  const char *end = w.raw + w.raw_len;
  if (strcmp(feed, "continuous") == 0) /* its last word stays away for now */
    end = strstr(w.raw, "{\"last_seq\"") - strlen("42\r\n");
  else if (strcmp(feed, "eventsource") == 0)
    end = strstr(w.raw, "\r\n0\r\n") + strlen("\r\n");
  *head = w.head_len;
  *body = (size_t)(end - w.raw) - w.head_len;
  cft_wire_clear(&w);
  cft_client_close(&c);
}

static void open_cutter(cutter *c, const cutting *how, cft_fault fault,
                        size_t number) {
  char header[64];
  bool live = strcmp(how->name, "normal") != 0;
  const char *silence_ms = fault.then == CFT_BLACKHOLE ? quick_ms : "60000";
  snprintf(header, sizeof header, "X-Feed: %zu.", number);
  /* A live response is to bring the rows: the past seems empty. */
  if (live)
    cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                      .match = header,
                                      .times = 1,
                                      .empty = true});
  fault.match = header;
  c->at = fault.cut_at;
  c->fault = cft_mini_fault(mini, &fault);
  cft_follow_open(&c->follow, loop, cft_mini_url(mini), "header", header,
                  "include_docs", "1", "seq_interval", "1", "transport",
                  live ? how->name : "continuous", "idle_timeout_ms",
                  silence_ms, "heartbeat_ms", "400", "header_timeout_ms",
                  silence_ms, "retry_max_ms", "50", NULL);
}

static bool is_done(const cutter *c) {
  char at[256];
  cft_follow_position(&c->follow, at, sizeof at);
  return strcmp(at, last_seq) == 0 &&
         changefeed_get_state(c->follow.feed) == CHANGEFEED_STATE_LIVE &&
         cft_mini_fault_cuts(mini, c->fault) == 1;
}

/* Those that got there are closed, so that they cost no more. */
static bool all_done(void *user) {
  cutter *c = user;
  size_t open = 0;
  for (size_t i = 0; i < TOGETHER; i++) {
    if (c[i].follow.feed && is_done(&c[i]))
      cft_follow_close(&c[i].follow);
    open += c[i].follow.feed != NULL;
  }
  return open == 0;
}

static void check_cutter(cutter *c, const cutting *how) {
  cft_follow *f = &c->follow;
  char why[256], at[256];
  if (f->feed) {
    cft_follow_position(f, at, sizeof at);
    ck_abort_msg("%s cut at %zu: %s, position %s, last error %s", how->name,
                 c->at, changefeed_state_name(changefeed_get_state(f->feed)),
                 at, changefeed_last_error(f->feed)->message);
  }
  ck_assert_msg(cft_revs_equal(want, f->revs, why, sizeof why),
                "%s cut at %zu: %s", how->name, c->at, why);
  ck_assert_msg(cft_follow_doubles(f) == 0,
                "%s cut at %zu: a row came twice in one response", how->name,
                c->at);
  ck_assert_msg(f->offered == f->taken && f->calls_late == 0, "%s cut at %zu",
                how->name, c->at);
}

enum { WHOLE, SLICED };

/* A feed for each number of bytes from 0 to `most`. Sliced, the bytes come by
   one, two ... seven. */
static void cut_everywhere(const cutting *how, cft_fault fault, size_t most,
                           int pieces) {
  static cutter all[TOGETHER];
  for (size_t at = 0; at <= most;) {
    size_t n = 0;
    for (; n < together && at <= most; n++) {
      fault.slice = pieces == SLICED ? at % 7 + 1 : 0;
      fault.cut_at = at++;
      open_cutter(&all[n], how, fault, n);
    }
    (void)cft_loop_until(loop, all_done, all, LONG_MS);
    for (size_t i = 0; i < n; i++) {
      check_cutter(&all[i], how);
      cft_follow_clear(&all[i].follow);
    }
    cft_mini_heal(mini);
  }
}

static void cut_body(const cutting *how, enum cft_then then, int pieces) {
  size_t head, body;
  measure(how->name, &head, &body);
  ck_assert_uint_gt(body, 700);
  cut_everywhere(
      how,
      (cft_fault){.on = how->on, .times = 1, .cut = CFT_CUT_BODY, .then = then},
      body, pieces);
}

/* ---- bodies ---- */

static const cutting bodies[] = {
    {"normal", CFT_NORMAL},
    {"continuous", CFT_CONTINUOUS},
    {"longpoll", CFT_LONGPOLL},
    {"eventsource", CFT_EVENTSOURCE},
};
enum { BODIES = sizeof bodies / sizeof *bodies };

START_TEST(test_cut_by_fin_at_every_byte) {
  cut_body(&bodies[_i], CFT_CLOSE, WHOLE);
}
END_TEST

START_TEST(test_cut_by_rst_at_every_byte) {
  cut_body(&bodies[_i], CFT_RST, WHOLE);
}
END_TEST

/* Neither FIN nor another byte. */
START_TEST(test_cut_by_silence_at_every_byte) {
  cut_body(&bodies[_i], CFT_BLACKHOLE, WHOLE);
}
END_TEST

START_TEST(test_cut_in_slices_at_every_byte) {
  cut_body(&bodies[_i], CFT_CLOSE, SLICED);
}
END_TEST

/* No response ever gets to its end; known failure 11. */
START_TEST(test_cut_each_response_and_get_there) {
  cft_follow f = {.feed = NULL};
  char why[256];
  cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                    .cut = CFT_CUT_BODY,
                                    .cut_at = 700,
                                    .then = _i ? CFT_RST : CFT_CLOSE});
  cft_mini_fill(mini, "more", 12);
  cft_revs *all = cft_mini_revs(mini);
  cft_follow_open(&f, loop, cft_mini_url(mini), "include_docs", "1",
                  "seq_interval", "1", NULL);
  (void)cft_follow_until_revs(&f, all, LONG_MS);
  ck_assert_msg(cft_revs_equal(all, f.revs, why, sizeof why), "%s", why);
  ck_assert_uint_eq(f.taken, ROWS + 12);
  ck_assert_uint_ge(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 4);
  ck_assert_uint_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->attempt, 1);
  cft_revs_free(all);
  cft_follow_clear(&f);
}
END_TEST

/* ---- heads ---- */

/* The normal feed is the one whose requests come first; a live request's head
   has no rows behind it yet. */
static const cutting heads[] = {
    {"normal", CFT_ROOT},
    {"normal", CFT_DB},
    {"normal", CFT_NORMAL},
    {"continuous", CFT_CONTINUOUS},
};
enum { HEADS = sizeof heads / sizeof *heads };

static void cut_head(const cutting *how, enum cft_then then) {
  size_t head, body;
  measure(how->name, &head, &body);
  cut_everywhere(
      how,
      (cft_fault){
          .on = how->on, .times = 1, .cut = CFT_CUT_RESPONSE, .then = then},
      head - 1, WHOLE);
}

START_TEST(test_cut_head_by_fin_at_every_byte) {
  cut_head(&heads[_i], CFT_CLOSE);
}
END_TEST

START_TEST(test_cut_head_by_rst_at_every_byte) {
  cut_head(&heads[_i], CFT_RST);
}
END_TEST

START_TEST(test_cut_head_by_silence_at_every_byte) {
  cut_head(&heads[_i], CFT_BLACKHOLE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_cut");
  TCase *body = tcase_create("body"), *head = tcase_create("head");
  tcase_add_checked_fixture(body, setup, teardown);
  tcase_add_loop_test(body, test_cut_by_fin_at_every_byte, 0, BODIES);
  tcase_add_loop_test(body, test_cut_by_rst_at_every_byte, 0, BODIES);
  tcase_add_loop_test(body, test_cut_by_silence_at_every_byte, 0, BODIES);
  tcase_add_loop_test(body, test_cut_each_response_and_get_there, 0, 2);
  tcase_add_loop_test(body, test_cut_in_slices_at_every_byte, 0, BODIES);
  suite_add_tcase(suite, body);
  tcase_add_checked_fixture(head, setup, teardown);
  tcase_add_loop_test(head, test_cut_head_by_fin_at_every_byte, 0, HEADS);
  tcase_add_loop_test(head, test_cut_head_by_rst_at_every_byte, 0, HEADS);
  tcase_add_loop_test(head, test_cut_head_by_silence_at_every_byte, 0, HEADS);
  suite_add_tcase(suite, head);
  return cft_run(suite);
}
