/* Bodies that go wrong after a good beginning: the server's error objects, a
   second response in the middle of the chunks, garbage, rows that are none.
   Whatever stood before is delivered, the fault is noticed at once and counted
   once, and nothing is skipped. Known failures 26, 27, 38, 39, 56, 88. */
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_client.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum { ROWS = 5, LONG_MS = 30000, CASES = ROWS + 1 };

static cft_mini *mini;
static cft_peer *peer;
static changefeed_loop *loop;
static cft_revs *want;

static const char *const modes[] = {"normal", "continuous", "longpoll",
                                    "eventsource"};
static const unsigned kinds[] = {CFT_NORMAL, CFT_CONTINUOUS, CFT_LONGPOLL,
                                 CFT_EVENTSOURCE};
enum { MODES = sizeof modes / sizeof *modes };

static void setup(void) {
  cft_mini_config config;
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
  loop = cft_loop();
  config = cft_mini_get_config(mini);
  config.pending = CFT_PENDING_NULL; /* one answer is all of the past */
  cft_mini_set_config(mini, &config);
  cft_mini_fill(mini, "d", ROWS - 1);
  cft_mini_put(mini, "snow\xe2\x98\x83 \"man\"", "2-a", true);
  want = cft_mini_revs(mini);
}

static void teardown(void) {
  changefeed_loop_free(loop);
  cft_mini_free(mini);
  cft_revs_free(want);
}

/* ---- bodies: what the server would send, up to the end of a row ---- */

typedef struct text {
  char *data;
  size_t len;
} text;

static void add(text *t, const char *data, size_t len) {
  t->data = cft_realloc(t->data, t->len + len + 1, 1);
  memcpy(t->data + t->len, data, len);
  t->len += len;
  t->data[t->len] = '\0';
}

static void add_chunk(text *t, const char *data, size_t len) {
  char size[16];
  int n = snprintf(size, sizeof size, "%zx\r\n", len);
  add(t, size, (size_t)n);
  add(t, data, len);
  add(t, "\r\n", 2);
}

/* The beginning of a response with `rows` rows, as one chunk: up to the end of
   the last one's line, or up to its brace. */
enum until { END_OF_LINE, BRACE };

static text good_beginning(const char *mode, size_t rows, enum until until) {
  char line[128];
  text t = {NULL, 0};
  cft_client c;
  cft_wire w;
  cft_rows all = {.count = 0};
  snprintf(line, sizeof line, "GET /db/_changes?feed=%s&since=0&timeout=0",
           mode);
  ck_assert(cft_client_connect(&c, cft_peer_port(peer)));
  ck_assert(cft_client_request(&c, line, "Connection: close\r\n", NULL));
  ck_assert(cft_client_until_end(&c, LONG_MS));
  ck_assert(cft_wire_parse("GET", c.data, c.len, &w));
  cft_rows_read(w.body, w.body_len, &all);
  ck_assert_uint_eq(all.count, ROWS);
  const char *end = strchr(w.body, '\n') + 1; /* of the list's head */
  if (rows != 0) {
    end = strstr(w.body, all.row[rows - 1].text);
    end += strlen(all.row[rows - 1].text);
    if (until == END_OF_LINE)
      end += strcspn(end, "\n"); /* the comma of a list too */
  } else if (strcmp(mode, "continuous") == 0 ||
             strcmp(mode, "eventsource") == 0) {
    end = w.body;
  }
  add(&t, w.raw, w.head_len);
  if (end != w.body) {
    text body = {NULL, 0};
    add(&body, w.body, (size_t)(end - w.body));
    if (until == END_OF_LINE)
      add(&body, "\n", 1);
    add_chunk(&t, body.data, body.len);
    free(body.data);
  }
  cft_rows_clear(&all);
  cft_wire_clear(&w);
  cft_client_close(&c);
  return t;
}

/* ---- a feed for each number of rows before the fault ---- */

typedef struct spoiling {
  const char *name;
  const char *end;    /* after the good rows ... */
  bool outside;       /* ... not as a chunk of its own */
  enum cft_then then; /* after that; the body has no end of its own */
  const char *told;   /* part of the message */
} spoiling;

typedef struct spoiled {
  cft_follow follow;
  const spoiling *how;
  size_t rows, fault;
} spoiled;

static void spoil(spoiled *s, size_t number, size_t mode, const spoiling *how,
                  size_t rows) {
  char header[32];
  bool live = kinds[mode] != CFT_NORMAL;
  snprintf(header, sizeof header, "X-Feed: %zu.", number);
  s->how = how;
  s->rows = rows;
  text t = good_beginning(modes[mode], rows, END_OF_LINE);
  if (how->outside)
    add(&t, how->end, strlen(how->end));
  else
    add_chunk(&t, how->end, strlen(how->end));
  if (how->then == CFT_KEEP)
    add(&t, "0\r\n\r\n", 5);
  if (live)
    cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL,
                                      .match = header,
                                      .times = 1,
                                      .empty = true});
  s->fault = cft_mini_fault(mini, &(cft_fault){.on = kinds[mode],
                                               .match = header,
                                               .times = 1,
                                               .raw = t.data,
                                               .raw_len = t.len,
                                               .then = how->then});
  free(t.data);
  /* Nothing here may take the time of a watchdog to be noticed. */
  cft_follow_open(&s->follow, loop, cft_mini_url(mini), "header", header,
                  "transport", live ? modes[mode] : "continuous",
                  "heartbeat_ms", "60000", NULL);
}

typedef struct group {
  spoiled *all;
  size_t count;
} group;

static bool all_there(void *user) {
  const group *g = user;
  char why[8];
  for (size_t i = 0; i < g->count; i++) {
    const cft_follow *f = &g->all[i].follow;
    if (!cft_revs_equal(want, f->revs, why, sizeof why) ||
        changefeed_get_state(f->feed) != CHANGEFEED_STATE_LIVE ||
        cft_follow_times(f, CHANGEFEED_STATE_WAITING) == 0)
      return false;
  }
  return true;
}

/* Rows of the response that was spoiled: those of the first request with any.
 */
static size_t rows_before(const cft_follow *f) {
  size_t n = 0;
  while (n < f->row_count && f->rows[n].request == f->rows[0].request)
    n++;
  return n;
}

static void check(const spoiled *s, size_t mode) {
  const cft_follow *f = &s->follow;
  const spoiling *how = s->how;
  size_t rows = s->rows;
  const cft_seen_state *fault = cft_follow_last(f, CHANGEFEED_STATE_WAITING);
  char what[128], why[256];
  snprintf(what, sizeof what, "%s, %s after row %zu", modes[mode], how->name,
           rows);
  ck_assert_msg(cft_revs_equal(want, f->revs, why, sizeof why), "%s: %s", what,
                why);
  ck_assert_msg(fault, "%s: no fault was told", what);
  ck_assert_msg(strstr(fault->message, how->told), "%s: %s", what,
                fault->message);
  ck_assert_msg(cft_follow_times(f, CHANGEFEED_STATE_WAITING) == 1,
                "%s: more than one fault", what);
  ck_assert_msg(cft_follow_stats(f).reconnects == 1, "%s: reconnects", what);
  ck_assert_msg(fault->at_ms - f->opened_ms < 5000, "%s: noticed late", what);
  ck_assert_msg(rows == 0 || rows_before(f) == rows, "%s: %zu rows before it",
                what, rows_before(f));
  ck_assert_msg(f->taken == ROWS, "%s: %d rows", what, (int)f->taken);
}

/* ---- what goes wrong ---- */

#define SECOND                                                                 \
  "HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/json\r\n"     \
  "\r\n{\"error\":\"nodedown\",\"reason\":\"progress not possible\"}\n"

static const spoiling spoilings[] = {
    {"an error", "\n{\"error\":\"timeout\",\"reason\":\"A  B\"}\n", false,
     CFT_KEEP, "timeout: A  B"},
    {"an error and FIN", "\n{\"error\":\"timeout\",\"reason\":\"A  B\"}\n",
     false, CFT_CLOSE, "timeout: A  B"},
    {"an error and silence", "{\"error\":\"x\",\"reason\":\"y\"}", false,
     CFT_SILENCE, "x: y"},
    {"a second response", SECOND, true, CFT_SILENCE, "chunk"},
    {"HTML", "<html><body>502 Bad Gateway</body></html>", false, CFT_SILENCE,
     ""},
    {"a row that is none", "{\"seq\":\"9-x\",\"id\":7,\"changes\":[]}\n", false,
     CFT_SILENCE, ""},
    {"a row that is no JSON", "{\"seq\":\"9-x\",\"id\":\"e\",}\n", false,
     CFT_SILENCE, ""},
    {"an early end", "\n", false, CFT_KEEP, ""},
};
enum { SPOILINGS = sizeof spoilings / sizeof *spoilings };

START_TEST(test_body_spoiled_after_each_row) {
  static spoiled all[SPOILINGS * CASES];
  group g = {all, 0};
  for (size_t k = 0; k < SPOILINGS; k++) {
    /* Their end has no last word: any end between events is one in health. */
    if (spoilings[k].then == CFT_KEEP && kinds[_i] == CFT_EVENTSOURCE &&
        strcmp(spoilings[k].end, "\n") == 0)
      continue;
    for (size_t rows = 0; rows < CASES; rows++) {
      spoil(&all[g.count], g.count, (size_t)_i, &spoilings[k], rows);
      g.count++;
    }
  }
  (void)cft_loop_until(loop, all_there, &g, LONG_MS);
  for (size_t i = 0; i < g.count; i++)
    check(&all[i], (size_t)_i);
  for (size_t i = 0; i < g.count; i++)
    cft_follow_clear(&all[i].follow);
}
END_TEST

/* ---- rows that nothing follows ---- */

/* A row is delivered when its last brace is here; known failure 88. */
START_TEST(test_body_row_does_not_wait_for_what_follows) {
  cft_follow all[ROWS + 1];
  memset(all, 0, sizeof all);
  for (size_t rows = 1; rows <= ROWS; rows++) {
    bool live = kinds[_i] != CFT_NORMAL;
    text t = good_beginning(modes[_i], rows, BRACE);
    if (live)
      cft_mini_fault(mini, &(cft_fault){.on = CFT_NORMAL, .empty = true});
    cft_mini_fault(mini, &(cft_fault){.on = kinds[_i],
                                      .raw = t.data,
                                      .raw_len = t.len,
                                      .then = CFT_SILENCE});
    free(t.data);
    cft_follow_open(&all[rows], loop, cft_mini_url(mini), "transport",
                    live ? modes[_i] : "continuous", "heartbeat_ms", "60000",
                    NULL);
    ck_assert_msg(cft_follow_until_rows(&all[rows], rows, 5000),
                  "%s: %d of %zu rows", modes[_i], (int)all[rows].taken, rows);
    ck_assert_uint_eq(cft_follow_times(&all[rows], CHANGEFEED_STATE_WAITING),
                      0);
    cft_follow_clear(&all[rows]);
    cft_mini_heal(mini);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_body");
  TCase *t = tcase_create("body");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_loop_test(t, test_body_spoiled_after_each_row, 0, MODES);
  tcase_add_loop_test(t, test_body_row_does_not_wait_for_what_follows, 0,
                      MODES);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
