/* The mini couch answers as CouchDB does and fails as it is told. Seen through
   a raw client; bodies are read with the reference reader of wire.h. */
#include "support/peer_client.h"
#include "support/peer_mini.h"
#include "support/timing.h"
#include "support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 10000 };

static cft_mini *mini;
static cft_peer *peer;

static void setup(void) {
  mini = cft_mini_start(NULL);
  peer = cft_mini_peer(mini);
}

static void teardown(void) {
  cft_mini_free(mini);
  mini = NULL;
}

static void ask(cft_client *c, const char *line) {
  ck_assert(cft_client_connect(c, cft_peer_port(peer)));
  ck_assert(cft_client_request(c, line, NULL, NULL));
}

/* A response to its end: asks with Connection: close. */
typedef struct answer {
  cft_client client;
  cft_wire wire;
  cft_rows rows;
} answer;

static void get_with(answer *a, const char *line, const char *headers,
                     const char *body) {
  char all[512];
  snprintf(all, sizeof all, "Connection: close\r\n%s", headers ? headers : "");
  ck_assert(cft_client_connect(&a->client, cft_peer_port(peer)));
  ck_assert(cft_client_request(&a->client, line, all, body));
  ck_assert_msg(cft_client_until_end(&a->client, LONG_MS), "no end of %s",
                line);
  ck_assert_msg(cft_wire_parse("GET", a->client.data, a->client.len, &a->wire),
                "no head in the answer to %s", line);
  cft_rows_read(a->wire.body, a->wire.body_len, &a->rows);
}

static void get(answer *a, const char *line) { get_with(a, line, NULL, NULL); }

static void done(answer *a) {
  cft_rows_clear(&a->rows);
  cft_wire_clear(&a->wire);
  cft_client_close(&a->client);
}

static int status_of(const char *line, const char *headers, const char *body) {
  answer a;
  get_with(&a, line, headers, body);
  int status = a.wire.status;
  done(&a);
  return status;
}

static void has_all_rows(const cft_rows *rows) {
  char why[256];
  cft_revs *want = cft_mini_revs(mini), *got = cft_revs_new();
  cft_revs_put_rows(got, rows);
  ck_assert_msg(cft_revs_equal(want, got, why, sizeof why), "%s", why);
  cft_revs_free(want);
  cft_revs_free(got);
}

/* ---- the healthy server ---- */

START_TEST(test_mini_tells_its_identity) {
  answer a;
  cft_mini_put(mini, "a", "1-a", false);
  cft_mini_put(mini, "b", "2-b", true);
  get(&a, "GET /");
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"version\":\"3.5.0\""));
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"uuid\":\"fc36"));
  done(&a);
  get(&a, "GET /db");
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"db_name\":\"db\""));
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"update_seq\":\"2-g1"));
  ck_assert_ptr_nonnull(
      strstr(a.wire.body, "\"doc_del_count\":1,\"doc_count\":1"));
  ck_assert_ptr_nonnull(
      strstr(a.wire.body, "\"instance_start_time\":\"1795389351\""));
  done(&a);
  cft_mini_create_db(mini);
  get(&a, "GET /db");
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"1795389352\""));
  ck_assert_ptr_nonnull(strstr(a.wire.body, "\"doc_count\":0"));
  done(&a);
  ck_assert_int_eq(status_of("GET /other", NULL, NULL), 404);
}
END_TEST

START_TEST(test_mini_every_mode_shows_every_document) {
  static const char *const lines[] = {
      "GET /db/_changes", "GET /db/_changes?feed=longpoll",
      "GET /db/_changes?feed=continuous&timeout=0",
      "GET /db/_changes?feed=eventsource&timeout=0",
      "POST /db/_changes?feed=normal"};
  cft_mini_fill(mini, "doc", 500);
  cft_mini_put(mini, "doc000007", "2-x", true);
  cft_mini_put_doc(mini, "quote\"\\\n\xc3\xa9", "1-q", false, "\"n\":1");
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    answer a;
    get(&a, lines[i]);
    ck_assert_int_eq(a.wire.status, 200);
    ck_assert(a.wire.complete);
    ck_assert_uint_eq(a.rows.torn, 0);
    ck_assert_uint_eq(a.rows.count, 501);
    has_all_rows(&a.rows);
    if (!strstr(lines[i], "eventsource")) {
      ck_assert_str_eq(a.rows.last_seq, a.rows.row[500].seq);
      ck_assert_int_eq((int)a.rows.pending, 0);
    }
    done(&a);
  }
}
END_TEST

/* Byte for byte what the recordings show, but for names, seqs and dates. */
START_TEST(test_mini_has_the_layout_of_the_recordings) {
  static const struct {
    const char *recording, *line;
  } cases[] = {
      {"changes_limit_2", "GET /db/_changes?limit=2"},
      {"changes_empty_db", "GET /db/_changes?filter=dd/nothing"},
      {"changes_descending_limit2", "GET /db/_changes?descending=true&limit=2"},
      {"continuous_limit_3", "GET /db/_changes?feed=continuous&limit=3"},
      {"longpoll_rows_available", "GET /db/_changes?feed=longpoll&limit=4"},
      {"longpoll_timeout_2000", "GET /db/_changes?feed=longpoll&since=now"},
      {"eventsource_timeout_1500", "GET /db/_changes?feed=eventsource&limit=3"},
      {"eventsource_since_now_timeout_1500",
       "GET /db/_changes?feed=eventsource&since=now"},
      {"continuous_since_now_timeout_1500",
       "GET /db/_changes?feed=continuous&since=now"},
      {"db_updates_since_now", "GET /_db_updates?since=now"},
  };
  cft_mini_config config = cft_mini_get_config(mini);
  config.timeout_max_ms = 20;
  config.buffer = 100000;
  cft_mini_set_config(mini, &config);
  cft_mini_fill(mini, "d", 10);
  cft_mini_put(mini, "d000003", "2-a", true);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cft_wire w;
    answer a;
    char shape[2][4096];
    ck_assert(cft_wire_load(cases[i].recording, &w));
    get(&a, cases[i].line);
    const cft_wire *both[] = {&w, &a.wire};
    for (size_t k = 0; k < 2; k++) { /* texts in quotes become one letter */
      char *out = shape[k];
      bool quoted = false;
      const char *end = both[k]->raw + both[k]->raw_len;
      for (const char *p = both[k]->raw + both[k]->head_len; p < end; p++) {
        bool key = strchr(":[{]},\n\r", *p) != NULL;
        if (*p == '"' && (quoted = !quoted))
          *out++ = 's';
        else if (!quoted && key)
          *out++ = *p;
        ck_assert_uint_lt((size_t)(out - shape[k]), sizeof shape[k]);
      }
      *out = '\0';
    }
    /* deleted rows may stand elsewhere: compare without them */
    for (size_t k = 0; k < 2; k++)
      for (char *p; (p = strstr(shape[k], ",s:}")) != NULL;)
        memmove(p, p + 3, strlen(p + 3) + 1);
    ck_assert_msg(strcmp(shape[0], shape[1]) == 0, "%s:\n%s\n--- differs\n%s",
                  cases[i].recording, shape[0], shape[1]);
    done(&a);
    cft_wire_clear(&w);
  }
}
END_TEST

START_TEST(test_mini_resumes_from_each_seq_of_each_style) {
  static const enum cft_seqs styles[] = {
      CFT_SEQ_OPAQUE, CFT_SEQ_LIAR, CFT_SEQ_ODD, CFT_SEQ_NUMBER, CFT_SEQ_ARRAY};
  cft_mini_fill(mini, "d", 30);
  for (size_t s = 0; s < 5; s++) {
    cft_mini_config config = cft_mini_get_config(mini);
    config.seqs = styles[s];
    cft_mini_set_config(mini, &config);
    answer all;
    get(&all, "GET /db/_changes");
    ck_assert_uint_eq(all.rows.count, 30);
    for (size_t i = 0; i < 30; i += 7) {
      char line[1024] = "GET /db/_changes?since=";
      for (const char *p = all.rows.row[i].seq; *p; p++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%%%02X",
                 (unsigned char)*p);
      answer a;
      get(&a, line);
      ck_assert_int_eq(a.wire.status, 200);
      ck_assert_uint_eq(a.rows.count, 29 - i);
      if (a.rows.count)
        ck_assert_str_eq(a.rows.row[0].id, all.rows.row[i + 1].id);
      done(&a);
    }
    done(&all);
  }
}
END_TEST

START_TEST(test_mini_refuses_what_couchdb_refuses) {
  static const struct {
    const char *line, *body;
    int status;
  } cases[] = {
      {"GET /db/_changes?since=abc", NULL, 400},
      {"GET /db/_changes?since=5", NULL, 400},
      {"GET /db/_changes?since=", NULL, 400},
      {"GET /db/_changes?since=1-g1AAAACbeJzLYWBg5eed0001_1-Z", NULL, 400},
      {"GET /db/_changes?since=9-g1AAAACbeJzLYWBg5eed0001_9-Zz", NULL, 400},
      {"GET /db/_changes?since=0", NULL, 200},
      {"GET /db/_changes?feed=continuous&heartbeat=0", NULL, 400},
      {"GET /db/_changes?limit=x", NULL, 500},
      {"GET /db/_changes?filter=_doc_ids", NULL, 400},
      {"POST /db/_changes?filter=_selector", "{}", 400},
      {"PUT /db/_changes", "{}", 405},
      {"GET /_all_dbs", NULL, 404},
  };
  cft_mini_put(mini, "a", "1-a", false);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int status = status_of(cases[i].line, NULL, cases[i].body);
    ck_assert_msg(status == cases[i].status, "%s: %d, not %d", cases[i].line,
                  status, cases[i].status);
  }
}
END_TEST

START_TEST(test_mini_since_of_another_history_replays_all) {
  char line[256], seq[128];
  answer a;
  cft_mini_fill(mini, "d", 5);
  cft_mini_seq(mini, 5, seq, sizeof seq);
  seq[strlen(seq) - 1] = '\0'; /* its quotes */
  snprintf(line, sizeof line, "GET /db/_changes?since=%s", seq + 1);
  cft_mini_delete_db(mini);
  ck_assert_int_eq(status_of(line, NULL, NULL), 404);
  cft_mini_create_db(mini);
  cft_mini_fill(mini, "e", 2);
  get(&a, line);
  ck_assert_int_eq(a.wire.status, 200);
  ck_assert_uint_eq(a.rows.count, 2);
  done(&a);
}
END_TEST

START_TEST(test_mini_filters_and_parameters) {
  static const struct {
    const char *line, *body;
    size_t rows;
  } cases[] = {
      {"POST /db/_changes?filter=_doc_ids",
       "{\"doc_ids\":[\"d000003\",\"x\",\"d000009\"]}", 2},
      {"GET /db/_changes?filter=_doc_ids&doc_ids=%5B%22d000001%22%5D", NULL, 1},
      {"POST /db/_changes?filter=_selector", "{\"selector\":{\"n\":4}}", 1},
      {"POST /db/_changes?filter=_selector",
       "{\"selector\":{\"_id\":{\"$gt\":null}}}", 12},
      {"GET /db/_changes?filter=_design", NULL, 1},
      {"GET /db/_changes?filter=dd/e0", NULL, 1},
      {"GET /db/_changes?filter=_view&view=dd/d", NULL, 10},
      {"GET /db/_changes?limit=3", NULL, 3},
      {"GET /db/_changes?limit=0", NULL, 0},
      {"GET /db/_changes?feed=continuous&limit=12", NULL, 12},
      {"GET /db/_changes?descending=true&limit=100", NULL, 12},
  };
  answer a;
  cft_mini_fill(mini, "d", 10);
  cft_mini_put(mini, "e0", "1-e", false);
  cft_mini_put(mini, "_design/dd", "1-d", false);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    get_with(&a, cases[i].line, NULL, cases[i].body);
    ck_assert_msg(a.rows.count == cases[i].rows, "%s: %zu rows, not %zu",
                  cases[i].line, a.rows.count, cases[i].rows);
    done(&a);
  }
  get(&a, "GET /db/_changes?seq_interval=4&include_docs=true&limit=6");
  for (size_t i = 0; i < 6; i++) {
    ck_assert_int_eq(a.rows.row[i].seq != NULL, i % 4 == 0);
    ck_assert_ptr_nonnull(strstr(a.rows.row[i].text, "\"doc\":{\"_id\":\"d00"));
  }
  ck_assert_int_eq((int)a.rows.pending, 6);
  done(&a);
}
END_TEST

START_TEST(test_mini_pending_and_start_time_can_be_odd) {
  static const char *const ends[] = {",\"pending\":0}", "-Zz\"}",
                                     ",\"pending\":null}", ",\"pending\":-3}"};
  for (int i = 0; i < 4; i++) {
    cft_mini_config config = cft_mini_get_config(mini);
    answer a;
    config.pending = (enum cft_pending)i;
    config.start_time[0] = config.uuid[0] = '\0';
    cft_mini_set_config(mini, &config);
    get(&a, "GET /db/_changes");
    ck_assert_ptr_nonnull(strstr(a.wire.body, ends[i]));
    done(&a);
    get(&a, "GET /db");
    ck_assert_ptr_null(strstr(a.wire.body, "instance_start_time"));
    done(&a);
    get(&a, "GET /");
    ck_assert_ptr_null(strstr(a.wire.body, "uuid"));
    done(&a);
  }
}
END_TEST

START_TEST(test_mini_has_prefixes_and_odd_names) {
  cft_mini_config config = cft_mini_get_config(mini);
  snprintf(config.prefix, sizeof config.prefix, "/couch/x");
  snprintf(config.db, sizeof config.db, "a/b+c");
  cft_mini_set_config(mini, &config);
  ck_assert_ptr_nonnull(strstr(cft_mini_url(mini), "/couch/x/a%2Fb%2Bc"));
  ck_assert_int_eq(status_of("GET /couch/x/a%2Fb%2Bc", NULL, NULL), 200);
  ck_assert_int_eq(status_of("GET /couch/x/a%2fb+c/_changes", NULL, NULL), 200);
  ck_assert_int_eq(status_of("GET /couch/x/", NULL, NULL), 200);
  ck_assert_int_eq(status_of("GET /a%2Fb%2Bc", NULL, NULL), 404);
  ck_assert_int_eq(status_of("GET /couch/x/a/b+c", NULL, NULL), 404);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_NORMAL), 1);
}
END_TEST

/* ---- live feeds ---- */

START_TEST(test_mini_live_feeds_are_woken_at_once) {
  static const char *const modes[] = {"continuous", "longpoll", "eventsource"};
  for (size_t i = 0; i < 3; i++) {
    char line[128];
    cft_client c;
    snprintf(line, sizeof line, "GET /db/_changes?feed=%s&since=now", modes[i]);
    ask(&c, line);
    ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
    ck_assert_uint_eq(cft_mini_waiting(mini), 1);
    cft_mini_put(mini, "fresh", "1-f", false);
    ck_assert(cft_client_until(&c, "\"id\":\"fresh\"", LONG_MS));
    if (i == 1)
      ck_assert(cft_client_until(&c, "\"pending\":0}", LONG_MS));
    else
      ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
    cft_client_close(&c);
    ck_assert(cft_mini_wait_waiting(mini, 0, LONG_MS));
    ck_assert(cft_peer_wait_open(peer, 0, LONG_MS));
  }
}
END_TEST

START_TEST(test_mini_heartbeats_keep_coming) {
  cft_mini_config config = cft_mini_get_config(mini);
  cft_client c;
  ask(&c, "GET /db/_changes?feed=continuous&heartbeat=10");
  ck_assert(cft_client_until(
      &c, "\r\n\r\n1\r\n\n\r\n1\r\n\n\r\n1\r\n\n\r\n1\r\n\n\r\n", LONG_MS));
  cft_client_close(&c);
  config.crlf = true;
  cft_mini_set_config(mini, &config);
  ask(&c, "GET /db/_changes?feed=longpoll&heartbeat=10&since=now");
  ck_assert(cft_client_until(&c, "2\r\n\r\n\r\n2\r\n\r\n\r\n", LONG_MS));
  cft_client_close(&c);
  ask(&c, "GET /db/_changes?feed=eventsource&heartbeat=10&since=now");
  ck_assert(cft_client_until(&c, "event: heartbeat\ndata: \n\n", LONG_MS));
  cft_client_close(&c);
}
END_TEST

START_TEST(test_mini_late_headers_and_proxies_hold_back) {
  cft_mini_config config = cft_mini_get_config(mini);
  cft_client c;
  config.late_headers = true;
  cft_mini_set_config(mini, &config);
  ask(&c, "GET /db/_changes?feed=continuous");
  ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
  ck_assert(cft_client_quiet(&c, 50));
  cft_mini_put(mini, "a", "1-a", false);
  ck_assert(cft_client_until(&c, "\"id\":\"a\"", LONG_MS));
  ck_assert_int_eq(strncmp(c.data, "HTTP/1.1 200", 12), 0);
  cft_client_close(&c);

  config.late_headers = false;
  config.proxy_buffer = 4096;
  cft_mini_set_config(mini, &config);
  ask(&c, "GET /db/_changes?feed=continuous&heartbeat=5");
  ck_assert(cft_client_until(&c, "\r\n\r\n", LONG_MS));
  cft_mini_put(mini, "b", "1-b", false);
  ck_assert(cft_client_quiet(&c, 100));
  cft_mini_fill(mini, "more", 40);
  ck_assert(cft_client_until(&c, "\"id\":\"b\"", LONG_MS));
  cft_client_close(&c);
}
END_TEST

START_TEST(test_mini_ends_freezes_and_injects) {
  cft_client c;
  cft_mini_put(mini, "a", "1-a", false);
  ask(&c, "GET /db/_changes?feed=continuous&heartbeat=1000");
  ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
  cft_mini_inject(mini, "{\"error\":\"x\"}\n", 14);
  ck_assert(cft_client_until(&c, "\r\ne\r\n{\"error\":\"x\"}\n\r\n", LONG_MS));
  cft_mini_freeze(mini, true);
  cft_mini_put(mini, "b", "1-b", false);
  ck_assert(cft_client_quiet(&c, 50));
  cft_mini_freeze(mini, false);
  ck_assert(cft_client_until(&c, "\"id\":\"b\"", LONG_MS));
  cft_mini_end_feeds(mini);
  ck_assert(cft_client_until(&c, "\"pending\":0}\n\r\n1\r\n\n\r\n0\r\n\r\n",
                             LONG_MS));
  /* the connection is still good */
  cft_client_reset(&c);
  ck_assert(
      cft_client_request(&c, "GET /db/_changes?feed=continuous", NULL, NULL));
  ck_assert(cft_mini_wait_waiting(mini, 1, LONG_MS));
  cft_mini_inject_raw(mini, "HTTP/1.1 404 Nope\r\n\r\n", 21);
  ck_assert(cft_client_until(&c, "\r\nHTTP/1.1 404 Nope\r\n\r\n", LONG_MS));
  ck_assert_uint_eq(cft_peer_accepted(peer), 1);
  cft_client_close(&c);
}
END_TEST

START_TEST(test_mini_updates_feed) {
  answer a;
  cft_mini_db_event(mini, "one", "created");
  cft_mini_db_event(mini, "two", "created");
  cft_mini_db_event(mini, "one", "deleted");
  get(&a, "GET /_db_updates");
  ck_assert_uint_eq(a.rows.count, 2);
  ck_assert_str_eq(a.rows.row[1].id, "one");
  ck_assert_str_eq(a.rows.row[1].rev, "deleted");
  ck_assert(!a.rows.has_pending);
  ck_assert_str_eq(a.rows.last_seq, a.rows.row[1].seq);
  done(&a);
  ck_assert_uint_eq(cft_peer_count(peer, CFT_UPDATES), 1);
}
END_TEST

static void *put_many(void *arg) {
  const char *prefix = arg;
  for (int i = 0; i < 500; i++) {
    char id[32], rev[16];
    snprintf(id, sizeof id, "%s%d", prefix, i % 50);
    snprintf(rev, sizeof rev, "%d-r", i / 50 + 1);
    cft_mini_put(mini, id, rev, i % 7 == 0);
  }
  return NULL;
}

START_TEST(test_mini_writers_and_feeds_side_by_side) {
  enum { FEEDS = 20 };
  static char names[2][2] = {"a", "b"};
  cft_client c[FEEDS];
  pthread_t writers[2];
  for (size_t i = 0; i < FEEDS; i++)
    ask(&c[i], "GET /db/_changes?feed=continuous&since=0");
  for (size_t i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&writers[i], NULL, put_many, names[i]), 0);
  for (size_t i = 0; i < 2; i++)
    pthread_join(writers[i], NULL);
  cft_mini_put(mini, "last", "1-l", false);
  for (size_t i = 0; i < FEEDS; i++) {
    cft_wire w;
    cft_rows rows;
    ck_assert(cft_client_until(&c[i], "\"id\":\"last\"", LONG_MS));
    ck_assert(cft_client_until(&c[i], "\n\r\n", LONG_MS));
    ck_assert(cft_mini_wait_waiting(mini, FEEDS - i, LONG_MS));
    ck_assert(cft_wire_parse("GET", c[i].data, c[i].len, &w));
    cft_rows_read(w.body, w.body_len, &rows);
    has_all_rows(&rows);
    cft_rows_clear(&rows);
    cft_wire_clear(&w);
    cft_client_close(&c[i]);
    ck_assert(cft_peer_wait_open(peer, FEEDS - i - 1, LONG_MS));
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peer_mini");
  TCase *tc = tcase_create("mini couch");
  tcase_set_timeout(tc, 60);
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_mini_tells_its_identity);
  tcase_add_test(tc, test_mini_every_mode_shows_every_document);
  tcase_add_test(tc, test_mini_has_the_layout_of_the_recordings);
  tcase_add_test(tc, test_mini_resumes_from_each_seq_of_each_style);
  tcase_add_test(tc, test_mini_refuses_what_couchdb_refuses);
  tcase_add_test(tc, test_mini_since_of_another_history_replays_all);
  tcase_add_test(tc, test_mini_filters_and_parameters);
  tcase_add_test(tc, test_mini_pending_and_start_time_can_be_odd);
  tcase_add_test(tc, test_mini_has_prefixes_and_odd_names);
  tcase_add_test(tc, test_mini_live_feeds_are_woken_at_once);
  tcase_add_test(tc, test_mini_heartbeats_keep_coming);
  tcase_add_test(tc, test_mini_late_headers_and_proxies_hold_back);
  tcase_add_test(tc, test_mini_ends_freezes_and_injects);
  tcase_add_test(tc, test_mini_updates_feed);
  tcase_add_test(tc, test_mini_writers_and_feeds_side_by_side);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
