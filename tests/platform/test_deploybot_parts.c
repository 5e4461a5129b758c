/* The parts of deploybot that ask nobody: whose bytes an answer is, when
   somebody is told, how a mail is written and when it is tried, what is kept
   over a restart, and what closes the gate. */
#include "deploybot/gate.h"
#include "deploybot/halt.h"
#include "deploybot/letter.h"
#include "deploybot/lines.h"
#include "deploybot/post.h"
#include "deploybot/state.h"
#include "deploybot/visit.h"

#include "support/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OLD "00000000000000000000000000000001"
#define NEW "00000000000000000000000000000002"

static const int64_t HOUR = INT64_C(3600000), DAY = 24 * INT64_C(3600000);

/* ---- whose bytes ---- */

static visit_answer answer(int status, const char *page, const char *body) {
  visit_answer a = {.status = status};

  (void)snprintf(a.page, sizeof a.page, "%s", page);
  a.kept = a.total = strlen(body);
  memcpy(a.body, body, a.kept);
  return a;
}

static const char words[2][CLAIM_LEN + 1] = {OLD, NEW};
static const expectation the_new = {"me", NEW, NULL, words, 2};
static const expectation stopped = {"me", NULL, "E04", words, 2};

static enum verdict judge(int status, const char *page, const char *body,
                          const expectation *e) {
  visit_answer a = answer(status, page, body);

  return visit_judge(&a, e);
}

static enum verdict judge_cut(const char *body, const expectation *e) {
  visit_answer a = answer(200, "", body);

  (void)snprintf(a.error, sizeof a.error, "it was cut");
  return visit_judge(&a, e);
}

START_TEST(test_deploybot_tells_its_bytes_from_others) {
  const char *fresh = "app=me nonce=" NEW "\n",
             *older = "app=me nonce=" OLD "\n";

  ck_assert_int_eq(judge(200, "", fresh, &the_new), SHOWS_IT);
  ck_assert_int_eq(judge(404, "", fresh, &the_new), SHOWS_OLDER);
  ck_assert_int_eq(judge(200, "", older, &the_new), SHOWS_OLDER);
  ck_assert_int_eq(judge(200, "", fresh, &stopped), SHOWS_OLDER);
  ck_assert_int_eq(judge(503, "E04", "stopped", &stopped), SHOWS_IT);
  ck_assert_int_eq(judge(503, "E05", "queued", &stopped), SHOWS_PAGE);
  ck_assert_int_eq(judge(503, "E04", "stopped", &the_new), SHOWS_PAGE);
  ck_assert_int_eq(judge(500, "", "oops", &the_new), SHOWS_NOTHING);
  ck_assert_int_eq(judge(200, "", "", &the_new), SHOWS_NOTHING);
  ck_assert_int_eq(judge(0, "", "", &the_new), SHOWS_NOTHING);
  ck_assert_int_eq(judge(200, "", "hello", &the_new), SHOWS_OTHERS);
  ck_assert_int_eq(judge(404, "", "nginx", &stopped), SHOWS_OTHERS);
  /* A word that was never ours, another app with our word, one byte more. */
  ck_assert_int_eq(judge(200, "",
                         "app=me nonce=00000000000000000000000000000003\n",
                         &the_new),
                   SHOWS_OTHERS);
  ck_assert_int_eq(judge(200, "", "app=you nonce=" NEW "\n", &the_new),
                   SHOWS_OTHERS);
  ck_assert_int_eq(judge(200, "", "app=me nonce=" NEW "\n\n", &the_new),
                   SHOWS_OTHERS);
  ck_assert_int_eq(judge_cut("app=me non", &the_new), SHOWS_NOTHING);
  ck_assert_int_eq(judge_cut("<html>", &the_new), SHOWS_OTHERS);
}
END_TEST

/* ---- when somebody is told ---- */

static const incident_rules rules = {2, INT64_C(3600000), INT64_C(86400000)};

static enum news take(history *h, incident *i, enum canary_result result,
                      int64_t now_ms) {
  static canary_report r;

  memset(&r, 0, sizeof r);
  r.at_ms = now_ms;
  if (result == CANARY_FAILED || result == CANARY_MISROUTE)
    (void)report_add(&r, "read", "b1", result == CANARY_MISROUTE);
  r.result = result;
  return incident_take(h, i, &r, &rules, now_ms);
}

START_TEST(test_deploybot_tells_after_two_failures_then_hourly_then_daily) {
  history h = {0};
  incident i = {0};
  int64_t t = 10 * DAY;

  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_OK, t + 1), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 2), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_SKIPPED, t + 3), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_INTERRUPTED, t + 4), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 5), NEWS_BEGUN);
  ck_assert(i.open && i.since_ms == t + 2);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + HOUR), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 5 + HOUR), NEWS_LASTS);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + DAY), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 5 + HOUR + DAY), NEWS_LASTS);
  ck_assert_int_eq(take(&h, &i, CANARY_OK, t + 2 * DAY), NEWS_OVER);
  ck_assert_int_eq(take(&h, &i, CANARY_OK, t + 3 * DAY), NEWS_NONE);
  ck_assert_int_eq(h.runs, 10);
  ck_assert_int_eq(h.last_ok_ms, t + 3 * DAY);
}
END_TEST

START_TEST(test_deploybot_tells_a_misroute_at_once_and_once) {
  history h = {0};
  incident i = {0};
  int64_t t = 10 * DAY;

  ck_assert_int_eq(take(&h, &i, CANARY_MISROUTE, t), NEWS_BEGUN);
  ck_assert_int_eq(take(&h, &i, CANARY_MISROUTE, t + 1), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_OK, t + 2), NEWS_OVER);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 3), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 4), NEWS_BEGUN);
  ck_assert_int_eq(take(&h, &i, CANARY_MISROUTE, t + 5), NEWS_WORSE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + 6), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_MISROUTE, t + 7), NEWS_NONE);
}
END_TEST

START_TEST(test_deploybot_is_not_silenced_by_a_clock_that_was_set_back) {
  history h = {0};
  incident i = {0};
  int64_t t = 400 * DAY;

  ck_assert_int_eq(take(&h, &i, CANARY_MISROUTE, t), NEWS_BEGUN);
  t -= 300 * DAY;
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t), NEWS_NONE);
  ck_assert_int_eq(take(&h, &i, CANARY_FAILED, t + HOUR), NEWS_LASTS);
}
END_TEST

START_TEST(test_deploybot_keeps_misroutes_among_many_findings) {
  canary_report r = {0};

  for (int n = 0; n < FINDINGS_MOST + 3; n++)
    (void)report_add(&r, "read", "b1", false);
  ck_assert_int_eq(r.result, CANARY_FAILED);
  ck_assert_uint_eq(r.count, FINDINGS_MOST);
  ck_assert_uint_eq(r.more, 3);
  for (int n = 0; n < FINDINGS_MOST + 1; n++)
    (void)report_add(&r, "read", "b2", true);
  ck_assert_int_eq(r.result, CANARY_MISROUTE);
  ck_assert_uint_eq(r.count, FINDINGS_MOST);
  for (size_t n = 0; n < r.count; n++)
    ck_assert(r.findings[n].misroute);
}
END_TEST

/* ---- mails ---- */

static text write_mail(const char *subject, const char *body) {
  const char *to[] = {"ann@example.org"};
  mail_head head = {.from = "bot@example.org",
                    .to = to,
                    .to_count = 1,
                    .subject = subject,
                    .id = "1.x@example.org",
                    .at_ms = INT64_C(1787000000000)};
  text out = TEXT_INIT;

  mail_write(&head, body, &out);
  ck_assert(!out.failed);
  return out;
}

START_TEST(test_deploybot_writes_plain_mails_as_they_are) {
  text m = write_mail("all is well", "one\ntwo\n");

  ck_assert_str_eq(text_get(&m), "From: deploybot <bot@example.org>\r\n"
                                 "To: <ann@example.org>\r\n"
                                 "Subject: all is well\r\n"
                                 "Date: Mon, 17 Aug 2026 20:53:20 +0000\r\n"
                                 "Message-ID: <1.x@example.org>\r\n"
                                 "MIME-Version: 1.0\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Transfer-Encoding: 7bit\r\n"
                                 "Auto-Submitted: auto-generated\r\n"
                                 "\r\n"
                                 "one\r\ntwo\r\n");
  text_free(&m);
}
END_TEST

START_TEST(test_deploybot_encodes_what_is_not_ascii) {
  text m = write_mail("B\xc3\xbchne", "sch\xc3\xb6n = x \n");

  ck_assert_ptr_nonnull(
      strstr(text_get(&m), "Subject: =?UTF-8?B?QsO8aG5l?=\r\n"));
  ck_assert_ptr_nonnull(strstr(text_get(&m), "quoted-printable"));
  ck_assert_ptr_nonnull(strstr(text_get(&m), "\r\nsch=C3=B6n =3D x=20\r\n"));
  text_free(&m);
  m = write_mail("=?UTF-8?B?aGVsbG8=?=", "\xff\x1b[31m\n");
  ck_assert_ptr_null(strstr(text_get(&m), "aGVsbG8="));
  ck_assert_ptr_nonnull(strstr(text_get(&m), "\r\n??[31m\r\n"));
  text_free(&m);
}
END_TEST

START_TEST(test_deploybot_lets_no_header_be_added) {
  text m = write_mail("x\r\nBcc: eve@example.org\r\n\r\nhello", "");

  ck_assert_ptr_null(strstr(text_get(&m), "\r\nBcc"));
  text_free(&m);
  ck_assert(mail_is_address("a.b+c@mail.example.org"));
  ck_assert(!mail_is_address("a b@c"));
  ck_assert(!mail_is_address("a@b\r\nBcc: c@d"));
  ck_assert(!mail_is_address("<a@b>"));
  ck_assert(!mail_is_address("a@b@c"));
  ck_assert(!mail_is_address("a,b@c"));
  ck_assert(!mail_is_address("@c"));
  ck_assert(!mail_is_address("a@"));
  ck_assert(!mail_is_address(""));
}
END_TEST

START_TEST(test_deploybot_folds_and_quotes_for_a_narrow_window) {
  text t = TEXT_INIT;
  char body[CAME_MOST];
  const char *s;

  memset(body, 'x', sizeof body);
  body[3] = '\0';
  body[4] = '\n';
  mail_fold(&t, "Came:      ",
            "a sentence of many words that does not fit into one line, and "
            "then https://a-word-without-an-end.example.org/0123456789/"
            "0123456789/0123456789/0123456789/0123456789");
  mail_quote(&t, body, sizeof body);
  ck_assert(!t.failed);
  ck_assert_ptr_nonnull(strstr(text_get(&t), "  | xxx\\x00\n  | xxx"));
  for (s = text_get(&t); *s != '\0'; s += strcspn(s, "\n") + 1)
    ck_assert_uint_le(strcspn(s, "\n"), 75);
  text_free(&t);
}
END_TEST

START_TEST(test_deploybot_says_how_long) {
  char out[64];

  mail_duration(59999, out, sizeof out);
  ck_assert_str_eq(out, "59 seconds");
  mail_duration(60000, out, sizeof out);
  ck_assert_str_eq(out, "1 minute");
  mail_duration(HOUR, out, sizeof out);
  ck_assert_str_eq(out, "1 hour");
  mail_duration(26 * HOUR, out, sizeof out);
  ck_assert_str_eq(out, "1 day 2 hours");
}
END_TEST

/* ---- when they are tried ---- */

static void add(outbox *o, const char *id, int64_t at_ms) {
  const char *to[] = {"a@b"};

  ck_assert_ptr_nonnull(outbox_add(o, id, "data", at_ms, to, 1));
}

START_TEST(test_deploybot_tries_mails_ever_more_seldom_and_for_seven_days) {
  post_config config = {.mailbox = "/nonexistent", .again_ms = 30000};
  int64_t now = wall_ms(), pause = 30000;
  halt *h = halt_new();
  outbox o = {.count = 0};

  ck_assert_ptr_nonnull(h);
  add(&o, "1.a@b", now);
  add(&o, "2.a@b", now);
  ck_assert(outbox_next(&o) == now);
  for (int n = 0; n < 8; n++) {
    ck_assert(post_due(&config, &o, o.mails[0].next_ms, h));
    ck_assert_int_eq(o.mails[0].tries, n + 1);
    ck_assert_int_ge(o.mails[0].next_ms, now + pause);
    ck_assert_int_lt(o.mails[0].next_ms, now + pause + 60000);
    ck_assert_int_eq(o.mails[1].tries, 0); /* it waits behind the first */
    pause = pause * 2 < 900000 ? pause * 2 : 900000;
  }
  ck_assert(!post_due(&config, &o, now, h));
  ck_assert(post_due(&config, &o, now + 7 * DAY + 1, h));
  ck_assert(post_due(&config, &o, now + 7 * DAY + 1, h));
  ck_assert_uint_eq(o.count, 0);
  halt_free(h);
}
END_TEST

START_TEST(test_deploybot_keeps_a_hundred_mails) {
  outbox o = {.count = 0};

  for (int n = 0; n < OUTBOX_MOST; n++)
    add(&o, "x@b", 1);
  ck_assert_ptr_null(outbox_add(&o, "x@b", "data", 1, NULL, 0));
  outbox_remove(&o, 50);
  add(&o, "last@b", 1);
  ck_assert_str_eq(o.mails[OUTBOX_MOST - 1].id, "last@b");
  outbox_clear(&o);
  ck_assert(outbox_next(&o) == INT64_MAX);
}
END_TEST

/* ---- what is kept ---- */

static text encoded(void) {
  text out = TEXT_INIT;
  state s;

  memset(&s, 0, sizeof s);
  s.history.runs = 7;
  s.history.last = CANARY_MISROUTE;
  (void)snprintf(s.history.what, sizeof s.history.what, "B\xc3\xbchne");
  s.incident.open = s.incident.misroute = true;
  s.incident.told_ms = 5;
  ck_assert(nonces_renew(&s.nonces));
  add(&s.outbox, "1.a@b", 3);
  s.outbox.mails[0].refused = true;
  s.outbox.mails[0].tries = 4;
  state_encode(&s, &out);
  state_clear(&s);
  ck_assert(!out.failed);
  return out;
}

START_TEST(test_deploybot_knows_after_a_restart_what_it_knew) {
  text saved = encoded(), again = TEXT_INIT;
  char why[200];
  state s;

  ck_assert(state_decode(saved.data, saved.len, &s, why, sizeof why));
  ck_assert(s.history.runs == 7 && s.history.last == CANARY_MISROUTE);
  ck_assert(s.incident.open && s.incident.misroute && s.incident.told_ms == 5);
  ck_assert_uint_eq(s.nonces.count, 2);
  ck_assert(s.outbox.count == 1 && s.outbox.mails[0].tries == 4);
  ck_assert_str_eq(s.outbox.mails[0].to[0], "a@b");
  state_encode(&s, &again);
  ck_assert_str_eq(text_get(&saved), text_get(&again));
  state_clear(&s);
  text_free(&saved);
  text_free(&again);
}
END_TEST

START_TEST(test_deploybot_takes_no_damaged_state) {
  text saved = encoded();
  char why[200];
  state s;

  for (size_t len = 0; len < saved.len; len++) {
    ck_assert(!state_decode(saved.data, len, &s, why, sizeof why));
    ck_assert_uint_eq(s.outbox.count, 0);
    ck_assert_int_eq(s.history.runs, 0);
  }
  for (size_t at = 0; at < saved.len; at++) {
    saved.data[at] ^= 1;
    ck_assert(!state_decode(saved.data, saved.len, &s, why, sizeof why));
    ck_assert_str_ne(why, "");
    saved.data[at] ^= 1;
  }
  text_free(&saved);
}
END_TEST

START_TEST(test_deploybot_remembers_its_last_words) {
  nonces n = {.count = 0};
  char first[CLAIM_LEN + 1];

  ck_assert(nonces_renew(&n));
  memcpy(first, n.words[0], sizeof first);
  for (int i = 2; i < NONCES_MOST; i += 2)
    ck_assert(nonces_renew(&n));
  ck_assert_uint_eq(n.count, NONCES_MOST);
  ck_assert_str_eq(n.words[0], first);
  ck_assert(nonces_renew(&n));
  ck_assert_uint_eq(n.count, NONCES_MOST);
  ck_assert_str_ne(n.words[0], first);
}
END_TEST

/* ---- the gate ---- */

static int ask(const char *doc, int64_t now_ms, const char *said) {
  json_t *json = json_loads(doc, 0, NULL);
  char why[200] = "";
  text out = TEXT_INIT;
  int status = GATE_UNKNOWN;
  freeze f;

  ck_assert_ptr_nonnull(json);
  if (freeze_read(json, &f, why, sizeof why))
    status = gate_freeze(&f, now_ms, &out);
  else
    text_str(&out, why);
  ck_assert_msg(strstr(text_get(&out), said) != NULL, "%s: \"%s\" lacks \"%s\"",
                doc, text_get(&out), said);
  ck_assert((status == GATE_OPEN) == (out.len == 0));
  text_free(&out);
  json_decref(json);
  return status;
}

START_TEST(test_deploybot_gate_is_closed_by_a_freeze_or_too_few) {
  ck_assert_int_eq(ask("{}", 5, ""), GATE_OPEN);
  ck_assert_int_eq(ask("{\"from\":4,\"to\":5}", 5, ""), GATE_OPEN);
  ck_assert_int_eq(ask("{\"from\":5,\"to\":6}", 5, "There is a freeze since"),
                   GATE_FREEZE);
  ck_assert_int_eq(ask("{\"from\":6}", 5, ""), GATE_OPEN);
  ck_assert_int_eq(ask("{\"from\":5}", 5, "until somebody ends it"),
                   GATE_FREEZE);
  ck_assert_int_eq(ask("{\"to\":6}", 5, "until 1970-01-01"), GATE_FREEZE);
  ck_assert_int_eq(ask("{\"from\":null,\"to\":null}", 5, ""), GATE_OPEN);
  ck_assert_int_eq(ask("{\"need\":1}", 5, "0 of the 1"), GATE_FEW);
  ck_assert_int_eq(
      ask("{\"need\":2,\"oncall\":[\"a\",\"a\"]}", 5, "1 of the 2"), GATE_FEW);
  ck_assert_int_eq(ask("{\"need\":2,\"oncall\":[\"a\",\"b\"]}", 5, ""),
                   GATE_OPEN);
  ck_assert_int_eq(ask("{\"need\":-1}", 5, "its need"), GATE_UNKNOWN);
  ck_assert_int_eq(ask("{\"need\":1.5}", 5, "its need"), GATE_UNKNOWN);
  ck_assert_int_eq(ask("{\"oncall\":\"ann\"}", 5, "its oncall"), GATE_UNKNOWN);
  ck_assert_int_eq(ask("{\"oncall\":[\"\"]}", 5, "its oncall"), GATE_UNKNOWN);
  ck_assert_int_eq(ask("{\"to\":\"friday\"}", 5, "its to"), GATE_UNKNOWN);
  ck_assert_int_eq(ask("[]", 5, "is no object"), GATE_UNKNOWN);
}
END_TEST

static int judge_history(enum canary_result last, int64_t at_ms,
                         const char *said) {
  history h = {.runs = 1, .last = last, .last_ms = at_ms, .what = "it broke"};
  text out = TEXT_INIT;
  int status = gate_history(&h, 600000, DAY, &out);

  ck_assert_msg(strstr(text_get(&out), said) != NULL, "\"%s\" lacks \"%s\"",
                text_get(&out), said);
  text_free(&out);
  return status;
}

START_TEST(test_deploybot_gate_is_closed_by_the_last_canary) {
  history none = {0};
  text out = TEXT_INIT;

  ck_assert_int_eq(gate_history(&none, 600000, DAY, &out), GATE_OLD);
  text_free(&out);
  ck_assert_int_eq(judge_history(CANARY_OK, DAY - 600000, ""), GATE_OPEN);
  ck_assert_int_eq(judge_history(CANARY_OK, DAY - 600001, "10 minutes"),
                   GATE_OLD);
  ck_assert_int_eq(judge_history(CANARY_OK, DAY + 1, "not within"), GATE_OLD);
  ck_assert_int_eq(judge_history(CANARY_FAILED, DAY, "it broke"), GATE_FAILED);
  ck_assert_int_eq(judge_history(CANARY_MISROUTE, 0, "not within"),
                   GATE_FAILED);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("deploybot");
  TCase *c = tcase_create("parts");

  tcase_add_test(c, test_deploybot_tells_its_bytes_from_others);
  tcase_add_test(
      c, test_deploybot_tells_after_two_failures_then_hourly_then_daily);
  tcase_add_test(c, test_deploybot_tells_a_misroute_at_once_and_once);
  tcase_add_test(c,
                 test_deploybot_is_not_silenced_by_a_clock_that_was_set_back);
  tcase_add_test(c, test_deploybot_keeps_misroutes_among_many_findings);
  tcase_add_test(c, test_deploybot_writes_plain_mails_as_they_are);
  tcase_add_test(c, test_deploybot_encodes_what_is_not_ascii);
  tcase_add_test(c, test_deploybot_lets_no_header_be_added);
  tcase_add_test(c, test_deploybot_folds_and_quotes_for_a_narrow_window);
  tcase_add_test(c, test_deploybot_says_how_long);
  tcase_add_test(
      c, test_deploybot_tries_mails_ever_more_seldom_and_for_seven_days);
  tcase_add_test(c, test_deploybot_keeps_a_hundred_mails);
  tcase_add_test(c, test_deploybot_knows_after_a_restart_what_it_knew);
  tcase_add_test(c, test_deploybot_takes_no_damaged_state);
  tcase_add_test(c, test_deploybot_remembers_its_last_words);
  tcase_add_test(c, test_deploybot_gate_is_closed_by_a_freeze_or_too_few);
  tcase_add_test(c, test_deploybot_gate_is_closed_by_the_last_canary);
  suite_add_tcase(s, c);
  return s;
}

int main(void) { return cft_run(suite()); }
