/* Servers that are ill in every way, each with a feed of its own, all at once:
   none is asked more often than the rate limit allows, no socket piles up, and
   the feed is there soon after the server is well. Known failures 13, 17, 18,
   19, 43, 45, 46, 49, 54, 58, 66, 75, 76, 77, 82. */
#include "support/follow.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

enum {
  ILL_MS = 10000,
  /* Five at once, then one a second; and those that brought the rows, where
     they came through. */
  MOST_REQUESTS = 15 + 2,
  /* Back-off, then who is there, the database and its rows, each of which may
     have to wait for the rate limit; and the machine is busy. */
  WELL_MS = 300 + 3 * 1000 + 3000,
};

#define HTML "<!DOCTYPE html><html><body>Please log in</body></html>"
#define PAGE "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

typedef struct illness {
  const char *name;
  cft_fault fault;
  const char *transport;
  void (*begin)(cft_mini *mini); /* in place of the fault */
  void (*end)(cft_mini *mini);
} illness;

static void go_away(cft_mini *mini) { cft_peer_stop(cft_mini_peer(mini)); }

static void come_back(cft_mini *mini) { cft_peer_restart(cft_mini_peer(mini)); }

static void freeze(cft_mini *mini) { cft_mini_freeze(mini, true); }

static void thaw(cft_mini *mini) { cft_mini_freeze(mini, false); }

#define STATUS(kinds, number)                                                  \
  { .on = (kinds), .status = (number) }
#define BODY(kinds, text)                                                      \
  { .on = (kinds), .status = 200, .body = (text) }
#define RAW(kinds, text, end)                                                  \
  { .on = (kinds), .raw = (text), .then = (end) }

static const illness illnesses[] = {
    {"refuses connections", {0}, "auto", go_away, come_back},
    {"is hung", {0}, "auto", freeze, thaw},
    {"accepts and says nothing",
     {.on = CFT_CONNECT, .then = CFT_SILENCE},
     "auto",
     NULL,
     NULL},
    {"accepts and closes",
     {.on = CFT_CONNECT, .then = CFT_CLOSE},
     "auto",
     NULL,
     NULL},
    {"accepts and resets",
     {.on = CFT_CONNECT, .then = CFT_RST},
     "auto",
     NULL,
     NULL},
    {"resets before the head",
     {.on = CFT_FEED, .cut = CFT_CUT_RESPONSE, .then = CFT_RST},
     "auto",
     NULL,
     NULL},
    {"closes each second request unanswered",
     {.on = CFT_DB, .cut = CFT_CUT_RESPONSE, .then = CFT_CLOSE},
     "auto",
     NULL,
     NULL},
    {"is late with heads",
     {.on = CFT_FEED, .delay_ms = 3000},
     "auto",
     NULL,
     NULL},
    {"speaks no HTTP", RAW(CFT_ANY, "SSH-2.0-OpenSSH_9.2\r\n", CFT_CLOSE),
     "auto", NULL, NULL},
    {"says 503 to all", STATUS(CFT_ANY, 503), "auto", NULL, NULL},
    {"says 503 of the database", STATUS(CFT_DB, 503), "auto", NULL, NULL},
    {"says 500 of the changes", STATUS(CFT_NORMAL, 500), "auto", NULL, NULL},
    {"says 500 of the live changes", STATUS(CFT_LIVE, 500), "auto", NULL, NULL},
    {"says 429", STATUS(CFT_FEED, 429), "auto", NULL, NULL},
    {"has a log-in page", BODY(CFT_ANY, HTML), "auto", NULL, NULL},
    {"has a front page of HTML", BODY(CFT_ROOT, HTML), "auto", NULL, NULL},
    {"has HTML for the database", BODY(CFT_DB, HTML), "auto", NULL, NULL},
    {"has HTML for the changes", BODY(CFT_NORMAL, HTML), "auto", NULL, NULL},
    {"has HTML for continuous", BODY(CFT_LIVE, HTML), "continuous", NULL, NULL},
    {"has HTML for longpoll", BODY(CFT_LIVE, HTML), "longpoll", NULL, NULL},
    {"has HTML for eventsource", BODY(CFT_LIVE, HTML), "eventsource", NULL,
     NULL},
    {"has {} for all", BODY(CFT_ANY, "{}"), "auto", NULL, NULL},
    {"has {} for the changes", BODY(CFT_NORMAL, "{}"), "auto", NULL, NULL},
    {"has {} for continuous", BODY(CFT_LIVE, "{}\n"), "continuous", NULL, NULL},
    {"has {} for longpoll", BODY(CFT_LIVE, "{}"), "longpoll", NULL, NULL},
    {"has [] for the changes", BODY(CFT_FEED, "[]"), "auto", NULL, NULL},
    {"has nothing for all", BODY(CFT_ANY, ""), "auto", NULL, NULL},
    {"has nothing for the changes", BODY(CFT_NORMAL, ""), "auto", NULL, NULL},
    {"has nothing for continuous", BODY(CFT_LIVE, ""), "continuous", NULL,
     NULL},
    {"has nothing for longpoll", BODY(CFT_LIVE, ""), "longpoll", NULL, NULL},
    {"has nothing for eventsource", BODY(CFT_LIVE, ""), "eventsource", NULL,
     NULL},
    {"has an error for the changes",
     BODY(CFT_NORMAL, "{\"error\":\"timeout\",\"reason\":\"x\"}"), "auto", NULL,
     NULL},
    {"has an error for continuous",
     BODY(CFT_LIVE, "{\"error\":\"timeout\",\"reason\":\"x\"}\n"), "auto", NULL,
     NULL},
    {"ends continuous at once",
     {.on = CFT_LIVE, .empty = true},
     "continuous",
     NULL,
     NULL},
    {"ends longpoll at once",
     {.on = CFT_LIVE, .empty = true},
     "longpoll",
     NULL,
     NULL},
    {"ends eventsource at once",
     {.on = CFT_LIVE, .empty = true},
     "eventsource",
     NULL,
     NULL},
    {"ends without last_seq",
     BODY(CFT_NORMAL, "{\"results\":[\n\n],\n\"pending\":0}\n"), "auto", NULL,
     NULL},
    {"gives the same rows for ever",
     {.on = CFT_LIVE, .rewind = SIZE_MAX},
     "longpoll",
     NULL,
     NULL},
    {"breaks off in the middle",
     RAW(CFT_LIVE, PAGE "Content-Length: 99\r\n\r\n{\"seq\":\"1-", CFT_CLOSE),
     "auto", NULL, NULL},
    {"has a broken chunk",
     RAW(CFT_FEED, PAGE "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 412 x\r\n",
         CFT_SILENCE),
     "auto", NULL, NULL},
};
enum { ILLNESSES = sizeof illnesses / sizeof *illnesses };

typedef struct patient {
  cft_mini *mini;
  cft_follow follow;
  cft_revs *want;
  uint64_t asked;
  int64_t well_ms; /* 0: not yet */
} patient;

static changefeed_loop *loop;
static patient patients[ILLNESSES];

static void admit(patient *p, const illness *i) {
  p->mini = cft_mini_start(NULL);
  cft_mini_fill(p->mini, "d", 3);
  p->want = cft_mini_revs(p->mini);
  if (i->begin)
    i->begin(p->mini);
  else
    cft_mini_fault(p->mini, &i->fault);
  cft_follow_open(&p->follow, loop, cft_mini_url(p->mini), "transport",
                  i->transport, "retry_max_ms", "300", "heartbeat_ms", "1000",
                  "header_timeout_ms", "1000", NULL);
}

static void heal(patient *p, const illness *i) {
  if (i->end)
    i->end(p->mini);
  cft_mini_heal(p->mini);
  cft_mini_put(p->mini, "new", "1-n", false);
  cft_revs_put(p->want, "new", "1-n", false);
}

static bool is_well(patient *p) {
  char why[8];
  if (p->well_ms == 0 &&
      changefeed_get_state(p->follow.feed) == CHANGEFEED_STATE_LIVE &&
      cft_revs_equal(p->want, p->follow.revs, why, sizeof why))
    p->well_ms = cft_now_ms();
  return p->well_ms != 0;
}

static bool all_are_well(void *user) {
  size_t well = 0;
  (void)user;
  for (size_t i = 0; i < ILLNESSES; i++)
    well += is_well(&patients[i]);
  return well == ILLNESSES;
}

static void check_ill(const patient *p, const illness *i) {
  changefeed_stats stats = cft_follow_stats(&p->follow);
  cft_peer *peer = cft_mini_peer(p->mini);
  size_t seen = cft_peer_count(peer, CFT_ANY);
  ck_assert_msg(stats.requests <= MOST_REQUESTS,
                "a server that %s: %u requests", i->name,
                (unsigned)stats.requests);
  ck_assert_msg(stats.requests >= 5, "a server that %s: only %u requests",
                i->name, (unsigned)stats.requests);
  ck_assert_msg(seen <= MOST_REQUESTS, "a server that %s saw %zu requests",
                i->name, seen);
  ck_assert_msg(cft_peer_accepted(peer) <= MOST_REQUESTS + 2,
                "a server that %s: %zu connections", i->name,
                cft_peer_accepted(peer));
  ck_assert_msg(cft_peer_open_max(peer) <= 2,
                "a server that %s: %zu connections at a time", i->name,
                cft_peer_open_max(peer));
  ck_assert_msg(!cft_follow_is_over(&p->follow), "a server that %s: %s",
                i->name, changefeed_last_error(p->follow.feed)->message);
}

START_TEST(test_ill_servers_are_left_in_peace_and_found_again) {
  loop = cft_loop();
  for (size_t i = 0; i < ILLNESSES; i++)
    admit(&patients[i], &illnesses[i]);
  cft_loop_for(loop, ILL_MS);
  for (size_t i = 0; i < ILLNESSES; i++)
    check_ill(&patients[i], &illnesses[i]);
  int64_t healed_ms = cft_now_ms();
  for (size_t i = 0; i < ILLNESSES; i++)
    heal(&patients[i], &illnesses[i]);
  (void)cft_loop_until(loop, all_are_well, NULL, WELL_MS);
  for (size_t i = 0; i < ILLNESSES; i++) {
    patient *p = &patients[i];
    char why[256] = "not live";
    (void)cft_revs_equal(p->want, p->follow.revs, why, sizeof why);
    ck_assert_msg(is_well(p), "a server that %s, well since %d ms: %s; %s",
                  illnesses[i].name, (int)(cft_now_ms() - healed_ms), why,
                  changefeed_last_error(p->follow.feed)->message);
    ck_assert_msg(p->follow.calls_late == 0, "%s", illnesses[i].name);
    cft_follow_clear(&p->follow);
    cft_mini_free(p->mini);
    cft_revs_free(p->want);
  }
  changefeed_loop_free(loop);
}
END_TEST

/* A server that goes round in circles: each answer has a row and moves the
   position, and none of it is new. */
#define AT(seq, id)                                                            \
  "HTTP/1.1 200 OK\r\nContent-Length: 92\r\n\r\n"                              \
  "{\"results\":[{\"seq\":\"" seq "\",\"id\":\"" id "\",\"changes\":"          \
  "[{\"rev\":\"1-a\"}]}],\"last_seq\":\"" seq "\",\"pending\":0}\n"

START_TEST(test_rows_that_go_round_in_circles_are_slowed) {
  static const char db[] = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"
                           "{\"db_name\":\"db\"}";
  const cft_step steps[] = {
      {.match = "feed=normal", .send = AT("1-x", "a"), .times = CFT_FOREVER},
      {.match = "since=1-x", .send = AT("2-x", "b"), .times = CFT_FOREVER},
      {.match = "since=2-x", .send = AT("1-x", "a"), .times = CFT_FOREVER},
      {.send = db, .times = CFT_FOREVER},
  };
  cft_follow f = {.feed = NULL};
  char url[64];
  ck_assert_uint_eq(strlen(strstr(AT("1-x", "a"), "{")), 92);
  cft_peer *peer = cft_peer_script(NULL, steps, 4);
  snprintf(url, sizeof url, "%s/db", cft_peer_url(peer));
  loop = cft_loop();
  cft_follow_open(&f, loop, url, "transport", "longpoll", NULL);
  cft_loop_for(loop, 3000);
  ck_assert_uint_ge(cft_peer_count(peer, CFT_LONGPOLL), 4);
  ck_assert_uint_le(cft_peer_count(peer, CFT_ANY), 5 + 3 + 2);
  cft_follow_clear(&f);
  changefeed_loop_free(loop);
  cft_peer_free(peer);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fault_servers");
  TCase *t = tcase_create("servers");
  tcase_add_test(t, test_ill_servers_are_left_in_peace_and_found_again);
  tcase_add_test(t, test_rows_that_go_round_in_circles_are_slowed);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
