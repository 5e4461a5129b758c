/* TLS through stunnel in front of the mini couch: which certificates are
   refused for good, which faults are tried again, and client certificates.
   Needs stunnel4 and openssl. Known failure 7. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/follow.h"
#include "support/mem.h"
#include "support/peer_mini.h"
#include "support/proc.h"
#include "support/timing.h"
#include "support/unit.h"
#include "unit/scratch_dir.h"

#include <signal.h>

enum { LONG_MS = 20000 };

static cft_mini *mini;
static cft_proc *tunnel;
static scratch_dir dir;
static cft_follow f;
static char url[64];
static char good[1100], other[1100], key[1100];

static void run(const char *const argv[]) {
  int status = -1;
  cft_proc *proc = cft_proc_start(argv, NULL);
  ck_assert_msg(proc, "%s cannot be run; these tests need it", argv[0]);
  ck_assert_msg(cft_proc_wait(proc, LONG_MS, &status) && status == 0,
                "%s has failed (%d): %s", argv[0], status,
                cft_proc_text(proc, CFT_STDERR, NULL));
  cft_proc_free(proc);
}

/* A certificate signed by itself, for these names. */
static void make_certificate(const char *to, const char *names) {
  const char *const argv[] = {"openssl",
                              "req",
                              "-x509",
                              "-newkey",
                              "ec",
                              "-pkeyopt",
                              "ec_paramgen_curve:prime256v1",
                              "-nodes",
                              "-days",
                              "2",
                              "-keyout",
                              key,
                              "-out",
                              to,
                              "-subj",
                              "/CN=test",
                              "-addext",
                              names,
                              NULL};
  run(argv);
}

/* stunnel with that certificate and more lines of configuration; its key is the
   one made last. */
static void start_tunnel(const char *certificate, const char *more) {
  char text[4096], config[1100];
  unsigned port;
  int n = snprintf(text, sizeof text,
                   "foreground = yes\npid =\ndebug = 6\nsocket = "
                   "l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n[couch]\naccept "
                   "= 127.0.0.1:0\nconnect = 127.0.0.1:%u\ncert = %s\nkey = "
                   "%s\n%s",
                   cft_peer_port(cft_mini_peer(mini)), certificate, key, more);
  scratch_write(&dir, "stunnel.conf", text, (size_t)n);
  snprintf(config, sizeof config, "%s", scratch_path(&dir, "stunnel.conf"));
  const char *const argv[] = {"stunnel4", config, NULL};
  tunnel = cft_proc_start(argv, NULL);
  ck_assert_msg(tunnel, "stunnel4 cannot be run; these tests need it");
  const char *line =
      cft_proc_line_with(tunnel, CFT_STDERR, "bound to 127.0.0.1:", LONG_MS);
  ck_assert_msg(line, "stunnel4 does not start: %s",
                cft_proc_text(tunnel, CFT_STDERR, NULL));
  ck_assert_int_eq(
      sscanf(strstr(line, "bound to"), "bound to 127.0.0.1:%u", &port), 1);
  snprintf(url, sizeof url, "https://127.0.0.1:%u/db", port);
}

static void setup(void) {
  mini = cft_mini_start(NULL);
  cft_mini_fill(mini, "d", 3);
  f = (cft_follow){.feed = NULL};
  tunnel = NULL;
  scratch_begin(&dir);
  snprintf(good, sizeof good, "%s", scratch_path(&dir, "good.pem"));
  snprintf(other, sizeof other, "%s", scratch_path(&dir, "other.pem"));
  snprintf(key, sizeof key, "%s", scratch_path(&dir, "key.pem"));
}

static void teardown(void) {
  cft_follow_clear(&f);
  cft_proc_free(tunnel);
  cft_mini_free(mini);
  scratch_end(&dir);
}

static void start_good(void) {
  make_certificate(good, "subjectAltName=IP:127.0.0.1");
  start_tunnel(good, "");
}

/* A delay may be 0: the state itself is easily missed. */
static bool has_waited(void *user) {
  return cft_follow_times(user, CHANGEFEED_STATE_WAITING) != 0;
}

/* For good, in one attempt, and before a request was sent. */
static void expect_refused(void) {
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_FAILED);
  ck_assert_ptr_nonnull(s);
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_TLS);
  ck_assert_int_eq(s->retryable, 0);
  ck_assert_int_ne(s->curl_code, 0);
  ck_assert_msg(strstr(s->message, url), "%s", s->message);
  ck_assert_uint_gt(strlen(s->message), strlen(url) + 30);
  ck_assert_uint_eq(cft_follow_times(&f, CHANGEFEED_STATE_WAITING), 0);
  ck_assert_uint_eq(cft_peer_count(cft_mini_peer(mini), CFT_ANY), 0);
}

START_TEST(test_tls_unknown_certificate_is_refused) {
  start_good();
  cft_follow_open(&f, NULL, url, NULL);
  expect_refused();
}
END_TEST

START_TEST(test_tls_certificate_of_another_host_is_refused) {
  make_certificate(other, "subjectAltName=DNS:other.example");
  start_tunnel(other, "");
  cft_follow_open(&f, NULL, url, "ca_file", other, NULL);
  expect_refused();
}
END_TEST

START_TEST(test_tls_ca_file_makes_a_certificate_known) {
  start_good();
  cft_follow_open(&f, NULL, url, "ca_file", good, "tls_verify", "1", NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  cft_mini_put(mini, "later", "1-a", false);
  ck_assert(cft_follow_until_rows(&f, 4, LONG_MS));
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

START_TEST(test_tls_verify_off_takes_any_certificate) {
  /* known failure 7 */
  make_certificate(other, "subjectAltName=DNS:other.example");
  start_tunnel(other, "");
  cft_follow_open(&f, NULL, url, "mode", "once", "tls_verify", "0", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
}
END_TEST

/* TLS delivers what it has decrypted only when it is read: nothing may be left
   behind when the socket has no more. */
START_TEST(test_tls_slow_reader_gets_all_rows) {
  start_good();
  cft_mini_fill(mini, "many", 5000);
  cft_follow_open(&f, NULL, url, "mode", "once", "ca_file", good,
                  "max_queue_bytes", "4096", NULL);
  ck_assert(cft_follow_until_rows(&f, 10, LONG_MS));
  ck_assert_int_eq(changefeed_pause(f.feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_state(&f, CHANGEFEED_STATE_PAUSED, LONG_MS));
  cft_loop_for(f.loop, 200);
  uint64_t taken = f.taken;
  cft_loop_for(f.loop, 200);
  ck_assert_uint_eq(f.taken, taken);
  ck_assert_int_eq(changefeed_resume(f.feed), CHANGEFEED_OK);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 5003);
  ck_assert_uint_eq(cft_follow_stats(&f).reconnects, 0);
}
END_TEST

/* ---- faults that may go away ---- */

START_TEST(test_tls_handshake_with_no_tls_is_tried_again) {
  snprintf(url, sizeof url, "https://127.0.0.1:%u/db",
           cft_peer_port(cft_mini_peer(mini)));
  cft_follow_open(&f, NULL, url, "header_timeout_ms", "1000",
                  "connect_timeout_ms", "1000", NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert(s->code == CHANGEFEED_ERR_TLS || s->code == CHANGEFEED_ERR_NETWORK);
}
END_TEST

START_TEST(test_tls_death_of_the_other_side_is_tried_again) {
  start_good();
  cft_follow_open(&f, NULL, url, "ca_file", good, NULL);
  ck_assert(cft_follow_until_rows(&f, 3, LONG_MS));
  ck_assert(cft_proc_signal(tunnel, SIGKILL));
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(s->retryable, 1);
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_NETWORK);
}
END_TEST

/* ---- client certificates ---- */

static char client[1100], locked[1100];

/* The server wants a certificate, and knows one. */
static void start_asking(void) {
  char more[2400];
  const char *const lock[] = {
      "openssl",         "pkey", "-in",  key, "-aes256", "-passout",
      "pass:k3y-s3cret", "-out", locked, NULL};
  make_certificate(good, "subjectAltName=IP:127.0.0.1");
  snprintf(client, sizeof client, "%s", good);
  snprintf(locked, sizeof locked, "%s", scratch_path(&dir, "locked.pem"));
  run(lock);
  snprintf(more, sizeof more,
           "requireCert = yes\nverifyPeer = yes\nCAfile = %s\n", client);
  start_tunnel(good, more);
}

START_TEST(test_tls_client_certificate_is_shown) {
  start_asking();
  cft_follow_open(&f, NULL, url, "mode", "once", "ca_file", good, "client_cert",
                  client, "client_key", key, NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
}
END_TEST

START_TEST(test_tls_client_key_is_unlocked_by_its_password) {
  start_asking();
  cft_follow_open(&f, NULL, url, "mode", "once", "ca_file", good, "client_cert",
                  client, "client_key", locked, "client_key_password",
                  "k3y-s3cret", NULL);
  ck_assert(cft_follow_until_over(&f, LONG_MS));
  ck_assert_uint_eq(f.taken, 3);
}
END_TEST

START_TEST(test_tls_client_key_password_is_not_told) {
  start_asking();
  cft_follow_open(&f, NULL, url, "mode", "once", "ca_file", good, "client_cert",
                  client, "client_key", locked, "client_key_password",
                  "wrong-s3cret", NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  const cft_seen_state *s = cft_follow_last(&f, CHANGEFEED_STATE_WAITING);
  ck_assert_int_eq(s->code, CHANGEFEED_ERR_TLS);
  ck_assert_msg(!strstr(s->message, "s3cret"), "%s", s->message);
  ck_assert(!f.log || !strstr(f.log, "s3cret"));
}
END_TEST

START_TEST(test_tls_client_without_a_certificate_is_turned_away) {
  start_asking();
  cft_follow_open(&f, NULL, url, "mode", "once", "ca_file", good, NULL);
  ck_assert(cft_loop_until(f.loop, has_waited, &f, LONG_MS));
  ck_assert_int_eq(cft_follow_last(&f, CHANGEFEED_STATE_WAITING)->retryable, 1);
  ck_assert_uint_eq(cft_peer_count(cft_mini_peer(mini), CFT_ANY), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("net_tls");
  TCase *t = tcase_create("tls");
  tcase_add_checked_fixture(t, setup, teardown);
  tcase_add_test(t, test_tls_unknown_certificate_is_refused);
  tcase_add_test(t, test_tls_certificate_of_another_host_is_refused);
  tcase_add_test(t, test_tls_ca_file_makes_a_certificate_known);
  tcase_add_test(t, test_tls_verify_off_takes_any_certificate);
  tcase_add_test(t, test_tls_slow_reader_gets_all_rows);
  tcase_add_test(t, test_tls_handshake_with_no_tls_is_tried_again);
  tcase_add_test(t, test_tls_death_of_the_other_side_is_tried_again);
  tcase_add_test(t, test_tls_client_certificate_is_shown);
  tcase_add_test(t, test_tls_client_key_is_unlocked_by_its_password);
  tcase_add_test(t, test_tls_client_key_password_is_not_told);
  tcase_add_test(t, test_tls_client_without_a_certificate_is_turned_away);
  suite_add_tcase(suite, t);
  return cft_run(suite);
}
