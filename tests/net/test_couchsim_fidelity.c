/* couchsim against the recordings of CouchDB 3.5 (data/wire): the same request
   to a database with the same documents must get the same status line, the same
   header lines in the same order, and the same body, but for seqs, dates and
   ids of requests, and the order of rows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/couchsim.h"
#include "support/unit.h"
#include "support/wire_compare.h"

#include <string.h>

static cft_couchsim *sim;

/* ---- databases as they were ---- */

static void put_leaf(const char *db, const char *document) {
  char path[64];
  (void)snprintf(path, sizeof path, "/%s/_bulk_docs", db);
  cft_couchsim_must(sim, 201, "POST", path,
                    "{\"new_edits\":false,\"docs\":[%s]}", document);
}

/* As text: what is in there may be more than another reader of JSON takes. */
static void load_row(const char *db, const char *row) {
  const char *id = strstr(row, "\"id\":") + 5,
             *end = strstr(id, ",\"changes\"");
  const char *doc = strstr(row, ",\"doc\":{"), *rev = end;
  bool deleted = strstr(row, "\"deleted\":true") != NULL, first = true;
  int n = 0;
  while ((rev = strstr(rev, "{\"rev\":\"")) != NULL) {
    char *leaf = NULL;
    int len;
    rev += 7;
    len = (int)strcspn(rev, "}");
    n++;
    /* The third leaf of the recorded database is a deleted one. */
    if (first && doc != NULL && strstr(doc, "_rev") != NULL)
      leaf = strndup(doc + 7, strlen(doc + 7) - 1);
    else if (asprintf(&leaf, "{\"_id\":%.*s,\"_rev\":%.*s%s%.*s}",
                      (int)(end - id), id, len, rev,
                      deleted || n == 3 ? ",\"_deleted\":true" : "",
                      first && doc ? (int)strlen(doc + 8) - 2 : 0,
                      first && doc ? doc + 8 : "") < 0)
      leaf = NULL;
    ck_assert_ptr_nonnull(leaf);
    put_leaf(db, leaf);
    free(leaf);
    first = false;
    if (doc != NULL && strstr(rev, "}]") + 2 <= doc && rev[len + 1] == ']')
      break;
  }
}

static void fresh(const char *db) {
  char path[64];
  (void)snprintf(path, sizeof path, "/%s", db);
  (void)cft_couchsim_do(sim, 0, "DELETE", path, NULL, NULL);
  cft_couchsim_must(sim, 201, "PUT", path, NULL);
}

/* The documents of a recording's rows, and as many more as it says. */
static void load_recorded(const char *db, const cft_wire *w) {
  cft_rows rows;
  char *body = strndup(w->body ? w->body : "", w->body_len);
  ck_assert_ptr_nonnull(body);
  cft_wire_drop_attachments(body);
  cft_rows_read(body, strlen(body), &rows);
  fresh(db);
  for (size_t i = 0; i < rows.count; i++)
    if (strchr(rows.row[i].text, '\x01') == NULL &&
        strstr(rows.row[i].text, "\\u0000") == NULL)
      load_row(db, rows.row[i].text);
  for (int64_t i = 0; rows.has_pending && i < rows.pending; i++) {
    char path[64];
    (void)snprintf(path, sizeof path, "/%s/zz%lld", db, (long long)i);
    cft_couchsim_must(sim, 201, "PUT", path, "{}");
  }
  cft_rows_clear(&rows);
  free(body);
}

static void load_wire3(void) {
  static const char *const rows[] = {
      "{\"id\":\"d1\",\"changes\":[{\"rev\":\"1-731bef401491606a3b246ed178e697c"
      "1\"}],\"doc\":{,\"n\":1}}",
      "{\"id\":\"d2\",\"changes\":[{\"rev\":\"1-43a36d04d31d38efc5b9245c53e0062"
      "7\"}],\"doc\":{,\"n\":2}}",
      "{\"id\":\"d3\",\"changes\":[{\"rev\":\"1-2acff5ec499bf1cf4a478896765b824"
      "e\"}],\"doc\":{,\"n\":3}}",
      "{\"id\":\"_design/dd\",\"changes\":[{\"rev\":"
      "\"1-99c6c99fe61f3daa73cdee558131b274\"}],\"doc\":{,\"filters\":{"
      "\"boom\":\"function(doc,req){throw({forbidden:'no'});}\","
      "\"err\":\"function(doc,req){return doc.x.y.z;}\","
      "\"loop\":\"function(doc,req){while(true){}}\","
      "\"syn\":\"function(doc,req){ return ()\","
      "\"notbool\":\"function(doc,req){return \\\"x\\\";}\"},"
      "\"views\":{\"v\":{\"map\":\"function(doc){emit(1)}\"}}}}"};
  fresh("wire3");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    load_row("wire3", rows[i]);
}

/* ---- the requests ---- */

static char *replaced(char *in, const char *from, size_t from_len,
                      const char *to) {
  char *at = strstr(in, from), *out = NULL;
  if (at == NULL)
    return in;
  if (asprintf(&out, "%.*s%s%s", (int)(at - in), in, to, at + from_len) < 0)
    ck_abort_msg("no memory");
  free(in);
  return out;
}

/* A seq of ours behind so many rows. */
static char *seq_behind(const char *db, const char *rows) {
  char path[96], *seq;
  json_t *v = NULL;
  (void)snprintf(path, sizeof path, "/%s/_changes?limit=%d", db, atoi(rows));
  ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", path, NULL, &v), 200);
  seq = strdup(json_string_value(json_object_get(v, "last_seq")));
  ck_assert_ptr_nonnull(seq);
  json_decref(v);
  return seq;
}

/* Positions of ours in place of theirs, and no long waits. */
static char *our_request(const cft_wire *w, const char *db, bool keep_seqs) {
  static const char *const places[] = {
      "since=", "last-event-id=", "Last-Event-ID: "};
  static const char *const waits[] = {"timeout=1500", "timeout=1000",
                                      "timeout=2000", "timeout=2200"};
  char *request = strndup(w->request, w->request_len);
  ck_assert_ptr_nonnull(request);
  for (size_t i = 0; i < 3 && !keep_seqs; i++) {
    char *at = strstr(request, places[i]), *seq, *theirs;
    size_t skip, len;
    if (at == NULL)
      continue;
    skip = strlen(places[i]);
    len = strcspn(at + skip, "& \r");
    if (strstr(at, "-g1A") == NULL || strstr(at, "-g1A") > at + skip + len)
      continue;
    seq = seq_behind(db, at + skip + (at[skip] == '"'));
    theirs = strndup(at + skip, len);
    ck_assert_ptr_nonnull(theirs);
    request = replaced(request, theirs, len, seq);
    free(theirs);
    free(seq);
  }
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
    request = replaced(request, waits[i], strlen(waits[i]), "timeout=150");
  return request;
}

typedef struct expected {
  const char *method;
  const cft_wire *want;
} expected;

static bool is_whole(const char *raw, size_t len, void *user) {
  const expected *e = user;
  cft_wire got;
  bool whole;
  if (!cft_wire_parse(e->method, raw, len, &got))
    return false;
  whole =
      got.complete && got.raw_len - got.end == e->want->raw_len - e->want->end;
  cft_wire_clear(&got);
  return whole;
}

static void play(const char *name, const char *db, bool keep_seqs) {
  cft_wire w;
  char *request, *got, method[16] = "";
  size_t len;
  bool ended, was_reset;
  ck_assert(cft_wire_load(name, &w));
  (void)sscanf(w.request, "%15s", method);
  request = our_request(&w, db, keep_seqs);
  got = cft_couchsim_raw(sim, 0, request, strlen(request), 3000, &len, &ended,
                         &was_reset, is_whole, &(expected){method, &w});
  cft_wire_same(name, &w, got, len, method,
                strstr(w.request, "limit=") != NULL ||
                    strstr(w.request, "seq_interval") != NULL);
  free(got);
  free(request);
  cft_wire_clear(&w);
}

static void start(void) {
  const char *const args[] = {"--admin", "admin:secret", "--user", "joe:pw",
                              NULL};
  sim = cft_couchsim_start(args);
}

static void stop(void) { cft_couchsim_stop(sim); }

START_TEST(test_couchsim_answers_for_the_recorded_database) {
  static const char *const names[] = {
      "db_info",
      "changes_att_encoding_info",
      "changes_conn_close",
      "changes_descending",
      "changes_descending_limit2",
      "changes_filter_ddoc",
      "changes_filter_ddoc_query",
      "changes_filter_design",
      "changes_filter_doc_ids_post",
      "changes_filter_selector_post",
      "changes_filter_selector_post_include_docs",
      "changes_filter_view",
      "changes_head",
      "changes_limit_0",
      "changes_limit_2",
      "changes_normal",
      "changes_normal_accept_gzip",
      "changes_normal_accept_json",
      "changes_normal_include_docs",
      "changes_post_no_filter_empty_body",
      "changes_since_now",
      "changes_style_all_docs",
      "changes_style_all_docs_include_docs"};
  cft_wire w;
  ck_assert(cft_wire_load("changes_style_all_docs_include_docs", &w));
  load_recorded("wire", &w);
  cft_wire_clear(&w);
  /* 13 updates for 10 documents there; one filtered row needs its body. */
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    play(names[i], "wire", false);
}
END_TEST

START_TEST(test_couchsim_answers_errors_as_recorded) {
  static const char *const prefixes[] = {"err_", "since_", "limit_", "post_",
                                         "filter_notbool"};
  static const char *const without[] = {
      "err_long_since",
      "err_414_or_long_uri", /* a reset, or the answer */
      "err_431_long_header",
      "since_from_other_db",
      "since_opaque_only",
      "since_quoted",
      "since_number_prefix_altered",
      "since_last_seq_before_shard_split",
      "since_mid_seq_before_shard_split"};
  size_t played = 0;
  load_wire3();
  for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
    size_t count;
    char **names = cft_wire_list(prefixes[p], &count);
    for (size_t i = 0; i < count; i++) {
      bool skip = false;
      for (size_t k = 0; k < sizeof without / sizeof *without; k++)
        skip = skip || strcmp(without[k], names[i]) == 0;
      if (skip)
        continue;
      play(names[i], "wire3", true);
      played++;
    }
    cft_wire_list_free(names);
  }
  ck_assert_uint_gt(played, 50);
}
END_TEST

START_TEST(test_couchsim_reads_its_positions_as_recorded) {
  static const char *const before[] = {"", "%22", "999", ""};
  char *seq, *opaque;
  load_wire3();
  seq = seq_behind("wire3", "4");
  opaque = strchr(seq, '-');
  for (int i = 0; i < 4; i++) {
    char url[500];
    json_t *v = NULL;
    (void)snprintf(url, sizeof url, "/wire3/_changes?since=%s%s%s", before[i],
                   i < 2    ? seq
                   : i == 2 ? opaque
                            : opaque + 1,
                   i == 1 ? "%22" : "");
    ck_assert_int_eq(cft_couchsim_do(sim, 0, "GET", url, NULL, &v), 200);
    ck_assert_uint_eq(json_array_size(json_object_get(v, "results")), 0);
    json_decref(v);
  }
  free(seq);
}
END_TEST

START_TEST(test_couchsim_answers_other_recordings) {
  static const struct {
    const char *name, *db;
  } list[] = {{"changes_empty_db", "wire_empty"},
              {"db_info_empty", "wire_empty"},
              {"changes_seq_interval_10", "wire_si"},
              {"changes_seq_interval_1000", "wire_si"},
              {"changes_seq_interval_10_limit_13", "wire_si"},
              {"continuous_descending", "wire2"},
              {"continuous_limit_3", "wire2"},
              {"continuous_live_alias", "wire2"},
              {"continuous_since_now_timeout_1500", "wire2"},
              {"continuous_timeout_1500", "wire2"},
              {"continuous_include_docs_timeout_1000", "wire2"},
              {"eventsource_include_docs", "wire2"},
              {"eventsource_timeout_1500", "wire2"},
              {"eventsource_since_now_timeout_1500", "wire2"},
              {"longpoll_limit_1", "wire2"},
              {"longpoll_rows_available", "wire2"},
              {"longpoll_timeout_0", "wire2"},
              {"longpoll_timeout_2000", "wire2"},
              {"root", ""},
              {"up", ""},
              {"session_post", ""},
              {"session_post_bad", ""},
              {"db_updates_no_auth", ""},
              {"db_updates_bad_since", ""}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    cft_wire w;
    ck_assert(cft_wire_load(list[i].name, &w));
    if (*list[i].db != '\0')
      load_recorded(list[i].db, &w);
    cft_wire_clear(&w);
    play(list[i].name, list[i].db, false);
  }
}
END_TEST

/* The recorded rows are written once the feed waits. */
typedef struct waking {
  expected e;
  const char *id;
  bool written;
} waking;

static bool write_when_waiting(const char *raw, size_t len, void *user) {
  waking *w = user;
  char path[64];
  if (!w->written && strstr(raw, "\r\n1\r\n\n\r\n") != NULL) {
    w->written = true;
    (void)snprintf(path, sizeof path, "/wire2/%s", w->id);
    cft_couchsim_must(sim, 201, "PUT", path, "{\"a\":1}");
  }
  return is_whole(raw, len, &w->e);
}

START_TEST(test_couchsim_wakes_as_recorded) {
  static const char *const names[] = {"longpoll_since_now_wake",
                                      "longpoll_since_now_wake_include_docs",
                                      "continuous_timeout_1500_put_at_1000"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    cft_wire w;
    cft_rows rows;
    char *request, *got;
    size_t len;
    bool ended, was_reset;
    waking state;
    ck_assert(cft_wire_load(names[i], &w));
    cft_rows_read(w.body, w.body_len, &rows);
    ck_assert_uint_eq(rows.count, 1);
    fresh("wire2");
    request = our_request(&w, "wire2", false);
    state = (waking){{"GET", &w}, rows.row[0].id, false};
    got = cft_couchsim_raw(sim, 0, request, strlen(request), 3000, &len, &ended,
                           &was_reset, write_when_waiting, &state);
    cft_wire_same(names[i], &w, got, len, "GET", false);
    free(got);
    free(request);
    cft_rows_clear(&rows);
    cft_wire_clear(&w);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("couchsim fidelity");
  TCase *t = tcase_create("all");
  tcase_add_checked_fixture(t, start, stop);
  tcase_add_test(t, test_couchsim_answers_for_the_recorded_database);
  tcase_add_test(t, test_couchsim_answers_errors_as_recorded);
  tcase_add_test(t, test_couchsim_reads_its_positions_as_recorded);
  tcase_add_test(t, test_couchsim_answers_other_recordings);
  tcase_add_test(t, test_couchsim_wakes_as_recorded);
  suite_add_tcase(s, t);
  return cft_run(s);
}
