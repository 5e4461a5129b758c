/* The recordings are whole, and the reference reader of feed bodies sees in
   them what is there. */
#include "support/unit.h"
#include "support/wire.h"

#include <string.h>

static void load(const char *name, cft_wire *w, cft_rows *rows) {
  ck_assert_msg(cft_wire_load(name, w), "no recording %s", name);
  cft_rows_read(w->body, w->body_len, rows);
}

static void done(cft_wire *w, cft_rows *rows) {
  cft_rows_clear(rows);
  cft_wire_clear(w);
}

START_TEST(test_wire_every_recording_loads) {
  size_t count, empty = 0, broken = 0, rows_seen = 0;
  char **names = cft_wire_list("", &count);
  ck_assert_uint_eq(count, 231);
  for (size_t i = 0; i < count; i++) {
    cft_wire w;
    cft_rows rows;
    load(names[i], &w, &rows);
    empty += w.status == 0;
    broken += w.chunk_error;
    const char *changes = strstr(w.request, "_changes");
    if (w.status == 200 && changes && changes < strchr(w.request, '\n')) {
      ck_assert_msg(rows.torn == 0, "%s: %zu torn rows", names[i], rows.torn);
      rows_seen += rows.count;
    }
    ck_assert_uint_le(w.end, w.raw_len);
    if (w.split_count)
      ck_assert_uint_eq(w.splits[w.split_count - 1], w.raw_len);
    done(&w, &rows);
  }
  ck_assert_uint_eq(empty, 2);
  ck_assert_uint_eq(broken, 4);
  ck_assert_uint_eq(rows_seen, 1492); /* as grep counts them */
  cft_wire_list_free(names);
}
END_TEST

START_TEST(test_wire_list_takes_a_prefix) {
  size_t count;
  char **names = cft_wire_list("eventsource_", &count);
  ck_assert_uint_eq(count, 8);
  ck_assert_str_eq(names[0], "eventsource_db_deleted");
  ck_assert_ptr_null(names[8]);
  cft_wire_list_free(names);
  names = cft_wire_list("no such", &count);
  ck_assert_uint_eq(count, 0);
  ck_assert_ptr_null(names[0]);
  cft_wire_list_free(names);
}
END_TEST

START_TEST(test_wire_reads_head_and_body) {
  cft_wire w;
  cft_rows rows;
  load("changes_limit_2", &w, &rows);
  ck_assert_int_eq(w.status, 200);
  ck_assert(w.chunked && w.complete && !w.chunk_error);
  ck_assert_str_eq(cft_wire_header(&w, "content-type"), "application/json");
  ck_assert_ptr_null(cft_wire_header(&w, "Content-Length"));
  ck_assert_int_eq(strncmp(w.body, "{\"results\":[\n{\"seq\":\"3-", 23), 0);
  ck_assert_uint_eq(rows.count, 2);
  ck_assert_str_eq(rows.row[0].id, "doc2");
  ck_assert_str_eq(rows.row[0].rev, "2-1288bc61f7cd70eaef815284c7cc1299");
  ck_assert(!rows.row[0].deleted && rows.row[1].deleted);
  ck_assert_str_eq(rows.row[1].seq, rows.last_seq);
  ck_assert(rows.has_pending);
  ck_assert_int_eq((int)rows.pending, 8);
  done(&w, &rows);

  load("root", &w, &rows);
  ck_assert(!w.chunked && w.complete);
  ck_assert_uint_eq(w.body_len, 257);
  done(&w, &rows);

  load("expect_100_continue", &w, &rows);
  ck_assert_int_eq(w.status, 200);
  ck_assert_uint_eq(rows.count, 1);
  done(&w, &rows);

  load("changes_head", &w, &rows);
  ck_assert(w.complete);
  ck_assert_uint_eq(w.body_len, 0);
  done(&w, &rows);
}
END_TEST

START_TEST(test_wire_tells_broken_chunks_and_cut_bodies) {
  cft_wire w;
  cft_rows rows;
  load("cluster_longpoll_db_deleted", &w, &rows);
  ck_assert(w.chunk_error && !w.complete);
  ck_assert_int_eq(strncmp(w.raw + w.chunk_error_at, "HTTP/1.1 404", 12), 0);
  ck_assert_str_eq(w.body, "{\"results\":[\n\n\n\n");
  done(&w, &rows);

  load("continuous_server_kill9", &w, &rows);
  ck_assert(!w.chunk_error && !w.complete);
  ck_assert_uint_eq(rows.count, 3);
  ck_assert_ptr_null(rows.last_seq);
  done(&w, &rows);

  load("eventsource_since_now_timeout_1500", &w, &rows);
  ck_assert(w.complete);
  ck_assert_str_eq(w.raw + w.end, "1\r\n\n\r\n0\r\n\r\n");
  done(&w, &rows);
}
END_TEST

/* Wherever a body is cut, the rows before it are the same and the parser says
   that it was cut. */
START_TEST(test_wire_cut_anywhere) {
  cft_wire whole, w;
  cft_rows all, rows;
  load("continuous_limit_3", &whole, &all);
  for (size_t len = whole.head_len; len < whole.raw_len; len++) {
    ck_assert(cft_wire_parse("GET", whole.raw, len, &w));
    ck_assert(!w.complete && !w.chunk_error);
    ck_assert_mem_eq(w.body, whole.body, w.body_len);
    cft_rows_read(w.body, w.body_len, &rows);
    ck_assert_uint_le(rows.torn, 1);
    for (size_t i = 0; i < rows.count; i++)
      ck_assert_str_eq(rows.row[i].text, all.row[i].text);
    done(&w, &rows);
  }
  done(&whole, &all);
}
END_TEST

START_TEST(test_wire_reads_every_mode_and_odd_documents) {
  static const struct {
    const char *name;
    size_t rows;
  } cases[] = {
      {"continuous_heartbeat_1000", 18},   {"eventsource_timeout_1500", 3},
      {"longpoll_rows_available", 4},      {"db_updates_continuous", 5},
      {"changes_include_docs_escapes", 1}, {"changes_normal_include_docs", 10}};
  cft_wire w;
  cft_rows rows;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    load(cases[i].name, &w, &rows);
    ck_assert_uint_eq(rows.torn, 0);
    ck_assert_msg(rows.count == cases[i].rows, "%s: %zu rows", cases[i].name,
                  rows.count);
    done(&w, &rows);
  }
  load("changes_seq_interval_10", &w, &rows);
  size_t nulls = 0;
  for (size_t i = 0; i < rows.count; i++)
    nulls += rows.row[i].seq == NULL;
  ck_assert_uint_gt(nulls, rows.count / 2);
  done(&w, &rows);

  static const char odd[] =
      "{\"results\":[\n{\"seq\":[12,\"x\"],\"id\":\"a\",\"changes\":[{\"rev\":"
      "\"1-a\"},{\"rev\":\"1-b\"}],\"doc\":{\"n\":123456789012345678901}},\n"
      "{\"id\":\"b\",\"seq\":13,\"changes\":[{\"rev\":\"1-b\"}]}\n"
      "],\n\"last_seq\":13}\n{\"error\":\"x\"}\n{\"seq\":1,";
  cft_rows_read(odd, strlen(odd), &rows);
  ck_assert_uint_eq(rows.count, 2);
  ck_assert_uint_eq(rows.torn, 1);
  ck_assert_uint_eq(rows.row[0].revs, 2);
  ck_assert_str_eq(rows.row[1].seq, "13");
  ck_assert_str_eq(rows.last_seq, "13");
  ck_assert_str_eq(rows.error, "x");
  ck_assert(!rows.has_pending);
  cft_rows_clear(&rows);
}
END_TEST

START_TEST(test_revs_say_what_differs) {
  cft_revs *a = cft_revs_new(), *b = cft_revs_new();
  char why[256];
  bool deleted = false;
  cft_revs_put(a, "x", "1-x", false);
  cft_revs_put(a, "y", "1-y", false);
  cft_revs_put(a, "x", "2-x", true);
  ck_assert_uint_eq(cft_revs_count(a), 2);
  ck_assert_str_eq(cft_revs_get(a, "x", &deleted), "2-x");
  ck_assert(deleted);
  ck_assert_ptr_null(cft_revs_get(a, "z", NULL));
  cft_revs_put(b, "y", "1-y", false);
  ck_assert(!cft_revs_equal(a, b, why, sizeof why));
  ck_assert_str_eq(why, "2 ids wanted, 1 got; 1 missing or stale, 0 extra or "
                        "stale; x: wanted 2-x, got nothing");
  cft_revs_put(b, "x", "2-x", false); /* not deleted: not the same */
  ck_assert(!cft_revs_equal(a, b, why, sizeof why));
  cft_revs_put(b, "x", "2-x", true);
  ck_assert(cft_revs_equal(a, b, why, sizeof why));
  cft_revs_put(b, "more", "1-m", false);
  ck_assert(!cft_revs_equal(a, b, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "more: wanted nothing, got 1-m"));
  cft_revs_free(a);
  cft_revs_free(b);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("wire");
  TCase *tc = tcase_create("wire");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, test_wire_every_recording_loads);
  tcase_add_test(tc, test_wire_list_takes_a_prefix);
  tcase_add_test(tc, test_wire_reads_head_and_body);
  tcase_add_test(tc, test_wire_tells_broken_chunks_and_cut_bodies);
  tcase_add_test(tc, test_wire_cut_anywhere);
  tcase_add_test(tc, test_wire_reads_every_mode_and_odd_documents);
  tcase_add_test(tc, test_revs_say_what_differs);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
