/*
 * Bodies cut into rows, each at every place where it can be torn into two or
 * three pieces. The rows about parsing of the list of known failures: 5, 26,
 * 27, 55, 56, 57, 75, 77, 88.
 */
#include "frame.h"

#include <check.h>

#include "frame_reader.h"
#include "support/failing.h"
#include "support/unit.h"

enum { MAX_ROW = 1000, MAX_DEPTH = 8 };

static cfi_alloc alloc;

static void setup(void) { ck_assert(cfi_alloc_init(&alloc, NULL)); }

/* What holds the rows of a list. */
static const char *list_name = "results";

/* What a body torn at a and b reads as; to be freed. */
static char *reading(cfi_frame_mode mode, const char *body, size_t len,
                     size_t a, size_t b) {
  cfi_frame f;
  frame_reader r;
  char *log;

  cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
  f.list = list_name;
  frame_reader_start(&r, &f, mode);
  frame_feed(&r, body, a);
  frame_feed(&r, body + a, b - a);
  frame_feed(&r, body + b, len - b);
  frame_finish(&r);
  log = r.log;
  r.log = NULL;
  frame_reader_clear(&r);
  cfi_frame_free(&f);
  return log;
}

static void expect_bytes(cfi_frame_mode mode, const char *body, size_t len,
                         const char *wanted) {
  size_t step = len < 120 ? 1 : len / 12;

  for (size_t a = 0; a <= len; a++)
    for (size_t b = a; b <= len; b += step) {
      char *log = reading(mode, body, len, a, b);

      ck_assert_msg(strcmp(log, wanted) == 0,
                    "torn at %zu and %zu:\n%s\nwanted:\n%s", a, b, log, wanted);
      free(log);
    }
}

static void expect(cfi_frame_mode mode, const char *body, const char *wanted) {
  expect_bytes(mode, body, strlen(body), wanted);
}

#define LIST CFI_FRAME_LIST
#define LINES CFI_FRAME_LINES
#define EVENTS CFI_FRAME_EVENTS

/* ---- rows ---- */

START_TEST(test_frame_row_ends_at_its_own_brace) {
  static const char *const rows[] = {
      "{}",
      "{\"a\":{\"b\":[{},{}]}}",
      "{\"a\":\"}\"}",
      "{\"a\":\"{[\"}",
      "{\"a\":\"\\\"}\"}",
      "{\"a\":\"\\\\\"}",
      "{\"a\":\"\\\\\\\"}\"}",
      "{\"}\":\"\"}",
      "{\"a\":\"\\u007d\\ud83d\\ude00\\u0022\"}",
      "{\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}",
      "{\"a\" : [ ] ,\r\n\"b\"\t:1 }",
      "{\"a long string\":\"so that eight bytes at once are looked at{}\\n\"}"};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char body[512], wanted[512];

    (void)snprintf(body, sizeof body, "%s\n%s\n", rows[i], rows[i]);
    (void)snprintf(wanted, sizeof wanted, "row %s\nrow %s\nbeats 0\n", rows[i],
                   rows[i]);
    expect(LINES, body, wanted);
    (void)snprintf(body, sizeof body, "{\"results\":[%s,\r\n%s]}", rows[i],
                   rows[i]);
    (void)snprintf(wanted, sizeof wanted,
                   "row %s\nrow %s\ntail {\"results\":[]}\nbeats 0\n", rows[i],
                   rows[i]);
    expect(LIST, body, wanted);
    if (strpbrk(rows[i], "\r\n") != NULL)
      continue;
    (void)snprintf(body, sizeof body, "data: %s\n\ndata:%s", rows[i], rows[i]);
    (void)snprintf(wanted, sizeof wanted, "row %s\nrow %s\nbeats 0\n", rows[i],
                   rows[i]);
    expect(EVENTS, body, wanted);
  }
}
END_TEST

START_TEST(test_frame_row_is_there_with_its_last_byte) {
  /* 88: nothing of the next line is awaited. */
  expect(LINES, "{\"seq\":1}", "row {\"seq\":1}\nbeats 0\n");
  expect(EVENTS, "data: {\"seq\":1}", "row {\"seq\":1}\nbeats 0\n");
  expect(LIST, "{\"results\":[{\"seq\":1}",
         "row {\"seq\":1}\nbeats 0 inside\n");
}
END_TEST

START_TEST(test_frame_unfinished_row_is_no_row) {
  expect(LINES, "{\"seq\":1}\n{\"seq\":2", "row {\"seq\":1}\nbeats 0 inside\n");
  expect(EVENTS, "data: {\"seq\":\"}", "beats 0 inside\n");
  expect(LIST, "{\"results\":[{\"seq\":1},{\"se",
         "row {\"seq\":1}\nbeats 0 inside\n");
}
END_TEST

START_TEST(test_frame_control_character_in_a_string_is_no_row) {
  /* 27: a row cut off by the server's error message. */
  expect(LINES, "{\"id\":\"a\"}\n{\"id\":\"b\n{\"error\":\"timeout\"}\n",
         "row {\"id\":\"a\"}\n"
         "bad: a string in a row holds a control character\nbeats 0 inside\n");
  expect(LIST, "{\"results\":[{\"id\":\"\\\n",
         "bad: a string in a row holds a control character\nbeats 0 inside\n");
  expect_bytes(LINES, "{\"\0\"}", 5,
               "bad: a string in a row holds a control character\n"
               "beats 0 inside\n");
}
END_TEST

START_TEST(test_frame_row_length_is_limited) {
  char body[MAX_ROW + 64], wanted[MAX_ROW + 128];

  for (int over = 0; over < 2; over++) {
    int len = snprintf(body, sizeof body, "\n{\"a\":\"%0*d\"}", MAX_ROW - 8, 0);

    ck_assert_int_eq(len, MAX_ROW + 1);
    if (over != 0)
      (void)snprintf(body, sizeof body, "\n{\"a\":\"%0*d\"}", MAX_ROW - 7, 0);
    (void)snprintf(wanted, sizeof wanted, "row %s\nbeats 1\n", body + 1);
    expect(LINES, body, over != 0 ? "too long\nbeats 1 inside\n" : wanted);
  }
  /* As soon as it is known: the byte that would end it comes too late. */
  body[MAX_ROW + 1] = '\0';
  expect(LINES, body, "too long\nbeats 1 inside\n");
  body[MAX_ROW] = '\0';
  expect(LINES, body, "beats 1 inside\n");
}
END_TEST

START_TEST(test_frame_depth_is_limited) {
  expect(LINES, "{\"a\":[[[[[[[]]]]]]]}",
         "row {\"a\":[[[[[[[]]]]]]]}\nbeats 0\n");
  expect(LINES, "{\"a\":[[[[[[[[", "too deep\nbeats 0 inside\n");
  expect(LINES, "{\"a\":\"[[[[[[[[[[\"}",
         "row {\"a\":\"[[[[[[[[[[\"}\nbeats 0\n");
  expect(LIST, "{\"a\":[[[[[[[]]]]]]]}",
         "tail {\"a\":[[[[[[[]]]]]]]}\nbeats 0\n");
  expect(LIST, "{\"a\":[[[[[[[[", "too deep\nbeats 0 inside\n");
}
END_TEST

/* ---- LINES ---- */

START_TEST(test_frame_lines_are_rows) {
  expect(LINES, "", "beats 0\n");
  /* 55, 77: rows and the end, one after the other. */
  expect(LINES, "{\"seq\":1}\n{\"seq\":2}\r\n{\"last_seq\":2}\n",
         "row {\"seq\":1}\nrow {\"seq\":2}\nrow {\"last_seq\":2}\nbeats 0\n");
  expect(LINES, " \t{\"a\":1}  {\"a\":2}",
         "row {\"a\":1}\nrow {\"a\":2}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_lines_without_a_row_are_heartbeats) {
  /* 27, 56 */
  expect(LINES, "\n", "beats 1\n");
  expect(LINES, "\r\n", "beats 1\n");
  expect(LINES, "\n\n{\"a\":1}\n\n\r\n{\"a\":2}\n",
         "row {\"a\":1}\nrow {\"a\":2}\nbeats 4\n");
  expect(LINES, "{\"a\":1}", "row {\"a\":1}\nbeats 0\n");
  expect(LINES, "{\"a\":1}\n", "row {\"a\":1}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_line_breaks_within_a_row_are_no_heartbeats) {
  expect(LINES, "{\n\n\"a\":\n1}\n", "row {\n\n\"a\":\n1}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_row_glued_to_the_row_before_is_stray) {
  expect(LINES, "{\"a\":1}{\"error\":\"x\"}\n",
         "row {\"a\":1}\nstray {\"error\":\"x\"}\nbeats 0\n");
  expect(LINES, "{\"a\":1}{\"a\":2} {\"a\":3}",
         "row {\"a\":1}\nstray {\"a\":2}\nrow {\"a\":3}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_line_that_is_no_row_is_bad) {
  /* 27: what came before it is delivered. */
  expect(LINES, "{\"a\":1}\ngarbage\n{\"a\":2}\n",
         "row {\"a\":1}\nbad: a line does not begin with '{'\nbeats 0\n");
  expect(LINES, "[{\"a\":1}]",
         "bad: a line does not begin with '{'\nbeats 0\n");
  expect(LINES, "{},{}",
         "row {}\nbad: a line does not begin with '{'\nbeats 0\n");
  /* 75 */
  expect(LINES, "<html><body>{}</body>",
         "bad: a line begins with '<': HTML, not a feed\nbeats 0\n");
  expect(LINES, "HTTP/1.1 500 Internal Server Error\r\n",
         "bad: a line does not begin with '{'\nbeats 0\n");
}
END_TEST

/* ---- LIST ---- */

START_TEST(test_frame_list_as_couchdb_writes_it) {
  expect(LIST,
         "{\"results\":[\n{\"seq\":\"1-a\"},\r\n{\"seq\":\"2-b\"}\n],\n"
         "\"last_seq\":\"2-b\",\"pending\":0}\n",
         "row {\"seq\":\"1-a\"}\nrow {\"seq\":\"2-b\"}\n"
         "tail {\"results\":[],\"last_seq\":\"2-b\",\"pending\":0}\nbeats 0\n");
  expect(LIST, "{\"results\":[\n\n],\n\"last_seq\":\"0\",\"pending\":0}\n",
         "tail {\"results\":[],\"last_seq\":\"0\",\"pending\":0}\nbeats 1\n");
}
END_TEST

START_TEST(test_frame_list_layout_does_not_matter) {
  expect(LIST, "{\"results\":[{\"a\":1},{\"a\":2}],\"last_seq\":5}",
         "row {\"a\":1}\nrow {\"a\":2}\n"
         "tail {\"results\":[],\"last_seq\":5}\nbeats 0\n");
  expect(LIST,
         " {\n  \"last_seq\" : 5 ,\n  \"results\" : [\n    { \"a\": 1 }\n    ,"
         "{ \"a\" : 2 }\n  ]\n, \"pending\"\t: 3\n}\n\n",
         "row { \"a\": 1 }\nrow { \"a\" : 2 }\n"
         "tail {\"last_seq\":5,\"results\":[],\"pending\":3}\nbeats 1\n");
  expect(LIST, "{\"results\":[]}", "tail {\"results\":[]}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_list_rows_are_those_of_results_on_the_top) {
  expect(LIST,
         "{\"x\":{\"results\":[{\"a\":1}]},\"y\":[{\"results\":[{}]}],"
         "\"s\":\"results\",\"results\":[{\"a\":2}]}",
         "row {\"a\":2}\ntail {\"x\":{\"results\":[{\"a\":1}]},"
         "\"y\":[{\"results\":[{}]}],\"s\":\"results\",\"results\":[]}\n"
         "beats 0\n");
  expect(LIST, "{\"result\":[{}],\"resultss\":[{}],\"Results\":[{}]}",
         "tail {\"result\":[{}],\"resultss\":[{}],\"Results\":[{}]}\n"
         "beats 0\n");
  expect(LIST, "{\"results\":{\"results\":[{}]}}",
         "tail {\"results\":{\"results\":[{}]}}\nbeats 0\n");
  expect(LIST, "{\"results\":5[{}]}", "tail {\"results\":5[{}]}\nbeats 0\n");
  expect(LIST, "{\"x\":\"results\"[{}]}",
         "tail {\"x\":\"results\"[{}]}\nbeats 0\n");
  expect(LIST, "{\"x\":[1,\"results\"]:[{}]}",
         "tail {\"x\":[1,\"results\"]:[{}]}\nbeats 0\n");
  expect(LIST, "{\"r\\u0065sults\":[{}],\"\\\"results\":[{}]}",
         "tail {\"r\\u0065sults\":[{}],\"\\\"results\":[{}]}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_list_rows_may_have_another_name) {
  list_name = "rows";
  expect(LIST,
         "{\"total_rows\":2,\"offset\":0,\"rows\":[\r\n"
         "{\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"}},\r\n"
         "{\"id\":\"b\",\"key\":\"b\",\"value\":{\"rev\":\"1-b\"}}\r\n]}\n",
         "row {\"id\":\"a\",\"key\":\"a\",\"value\":{\"rev\":\"1-a\"}}\n"
         "row {\"id\":\"b\",\"key\":\"b\",\"value\":{\"rev\":\"1-b\"}}\n"
         "tail {\"total_rows\":2,\"offset\":0,\"rows\":[]}\nbeats 0\n");
  expect(LIST, "{\"rows\":[]}", "tail {\"rows\":[]}\nbeats 0\n");
  expect(LIST,
         "{\"row\":[{}],\"rowss\":[{}],\"Rows\":[{}],\"results\":[{}],"
         "\"\":[{}],\"s\":\"rows\",\"x\":{\"rows\":[{}]}}",
         "tail {\"row\":[{}],\"rowss\":[{}],\"Rows\":[{}],\"results\":[{}],"
         "\"\":[{}],\"s\":\"rows\",\"x\":{\"rows\":[{}]}}\nbeats 0\n");
  expect(LIST, "{\"rows\":5}", "tail {\"rows\":5}\nbeats 0\n");
  list_name = "results";
}
END_TEST

/* A byte that ends the name in memory does not end it in the body. */
START_TEST(test_frame_list_name_is_longer_than_what_it_begins_with) {
  char *log;

  list_name = "rows";
  log = reading(LIST, "{\"rows\0\":[{}]}", 15, 7, 7);
  ck_assert_int_eq(strncmp(log, "tail {\"rows", 11), 0);
  free(log);
  list_name = "results";
}
END_TEST

START_TEST(test_frame_list_keeps_its_name) {
  cfi_frame f;
  frame_reader r;

  cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
  f.list = "rows";
  for (int body = 0; body < 3; body++) {
    frame_reader_start(&r, &f, LIST);
    frame_read(&r, "{\"rows\":[{\"a\":1}]}", 18, 5);
    ck_assert_str_eq(r.log, "row {\"a\":1}\ntail {\"rows\":[]}\nbeats 0\n");
    frame_reader_clear(&r);
  }
  cfi_frame_free(&f);
}
END_TEST

START_TEST(test_frame_list_heartbeats) {
  /* 27: before the list, between its rows, of both kinds. */
  expect(LIST,
         "\n\r\n{\"results\":[\n\n\n{\"a\":1}\n\n,\n\n{\"a\":2}\r\n\r\n]}",
         "row {\"a\":1}\nrow {\"a\":2}\ntail {\"results\":[]}\nbeats 7\n");
}
END_TEST

START_TEST(test_frame_list_row_without_a_comma_is_stray) {
  /* 26: what a server writes when it gives up. */
  expect(LIST, "{\"results\":[\n{\"a\":1}\n\n{\"error\":\"x\"}\n",
         "row {\"a\":1}\nstray {\"error\":\"x\"}\nbeats 1 inside\n");
  expect(LIST, "{\"results\":[{\"a\":1}{\"a\":2},{\"a\":3}]}",
         "row {\"a\":1}\nstray {\"a\":2}\nrow {\"a\":3}\n"
         "tail {\"results\":[]}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_list_with_something_else_among_rows_is_bad) {
  static const char *const bodies[] = {
      "{\"results\":[5]}",   "{\"results\":[[]]}",   "{\"results\":[\"x\"]}",
      "{\"results\":[,{}]}", "{\"results\":[null]}", "{\"results\":[}",
      "{\"results\":[\xff"};

  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
    expect(LIST, bodies[i],
           "bad: something that is not a row stands in \"results\"\n"
           "beats 0 inside\n");
  expect(LIST, "{\"results\":[{},,{}]}",
         "row {}\nbad: something that is not a row stands in \"results\"\n"
         "beats 0 inside\n");
  expect(LIST, "{\"results\":[{},]}",
         "row {}\nbad: something that is not a row stands in \"results\"\n"
         "beats 0 inside\n");
}
END_TEST

START_TEST(test_frame_list_without_results_is_its_own_envelope) {
  /* 75: what to make of it is for the feed to say. */
  expect(LIST, "{}", "tail {}\nbeats 0\n");
  expect(LIST, "\n{\"error\":\"not_found\",\"reason\":\"no db file\"}\n",
         "tail {\"error\":\"not_found\",\"reason\":\"no db file\"}\nbeats 1\n");
}
END_TEST

START_TEST(test_frame_list_that_is_none_is_bad) {
  expect(LIST, "", "beats 0 inside\n");
  expect(LIST, "<!DOCTYPE html>",
         "bad: the body begins with '<': HTML, not a feed\nbeats 0 inside\n");
  expect(LIST, "[]", "bad: the body does not begin with '{'\nbeats 0 inside\n");
  expect(LIST, "\n5",
         "bad: the body does not begin with '{'\nbeats 1 inside\n");
}
END_TEST

START_TEST(test_frame_list_followed_by_something_is_bad) {
  expect(LIST, "{\"results\":[]} \r\n", "tail {\"results\":[]}\nbeats 0\n");
  expect(LIST, "{\"results\":[]}\n{\"error\":\"x\"}",
         "tail {\"results\":[]}\nbad: something follows the end of the list\n"
         "beats 0\n");
}
END_TEST

START_TEST(test_frame_envelope_is_kept_as_it_means) {
  expect(LIST, "{ \"a b\" : \" { \\\" } \" , \"c\" : [ 1 , 2 ] }",
         "tail {\"a b\":\" { \\\" } \",\"c\":[1,2]}\nbeats 0\n");
  /* White space that holds two words apart is not dropped. */
  expect(LIST, "{\"last_seq\":1 \n 2,\"x\":tr ue\t}",
         "tail {\"last_seq\":1 2,\"x\":tr ue}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_envelope_length_is_limited) {
  enum { LIMIT = 4096 };
  char body[3 * LIMIT], wanted[2 * LIMIT];
  int len;

  for (int over = 0; over < 2; over++) {
    cfi_frame f;
    frame_reader r;

    /* Neither white space nor rows count. */
    len = snprintf(body, sizeof body,
                   "{%*s\"results\":[{\"a\":\"%0*d\"},{}],\"x\":\"%0*d\"}",
                   LIMIT, "", MAX_ROW - 20, 0, LIMIT - 21 + over, 0);
    ck_assert_int_lt(len, (int)sizeof body);
    (void)snprintf(wanted, sizeof wanted,
                   "tail {\"results\":[],\"x\":\"%0*d\"}\nbeats 0\n",
                   LIMIT - 21, 0);
    for (size_t piece = 1; piece < LIMIT; piece = piece * 3 + 1) {
      cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
      frame_reader_start(&r, &f, LIST);
      frame_read(&r, body, (size_t)len, piece);
      /* More than check can put into a message. */
      ck_assert_int_eq(
          strcmp(strstr(r.log, "row {}\n") + 7,
                 over != 0 ? "too long\nbeats 0 inside\n" : wanted),
          0);
      frame_reader_clear(&r);
      cfi_frame_free(&f);
    }
  }
}
END_TEST

/* ---- EVENTS ---- */

START_TEST(test_frame_events_as_couchdb_writes_them) {
  expect(EVENTS,
         "\nevent: heartbeat\ndata: \n\ndata: {\"a\":1}\nid: \"1-a\"\n\n"
         "data: {\"a\":2}\nid: 2\n\nevent: heartbeat\ndata: \n\n",
         "row {\"a\":1}\nrow {\"a\":2}\nbeats 3\n");
}
END_TEST

START_TEST(test_frame_events_line_ends) {
  expect(EVENTS,
         "data: {\"a\":1}\r\n\r\ndata: {\"a\":2}\r\rdata: {\"a\":3}\n\n",
         "row {\"a\":1}\nrow {\"a\":2}\nrow {\"a\":3}\nbeats 0\n");
  expect(EVENTS, "event: heartbeat\r\ndata:\r\n\r\n", "beats 1\n");
  expect(EVENTS, "event: heartbeat\rdata:\r\r", "beats 1\n");
  expect(EVENTS, "\r\n\r\n", "beats 2\n");
  expect(EVENTS, "\r\r\n\n", "beats 3\n");
}
END_TEST

START_TEST(test_frame_events_fields) {
  expect(EVENTS, "data:{\"a\":1}\n\ndata: \t {\"a\":2} \t \n\n",
         "row {\"a\":1}\nrow {\"a\":2}\nbeats 0\n");
  expect(EVENTS, "data\n\ndata:\n\ndata: \n\n", "beats 0\n");
  expect(EVENTS,
         ": {\"comment\":1}\nretry: 1000\nid: {\"x\":1}\ndatum: {}\ndat: {}\n"
         "dataa: {}\n data: {}\neventual: {}\nevent: {}\nx\n\n",
         "beats 0\n");
  expect(EVENTS,
         "event:heartbeat\n\nevent: heartbeats\n\nevent: heart\n\n"
         "event:  heartbeat\n\nevent\n\n",
         "beats 1\n");
}
END_TEST

START_TEST(test_frame_events_comment_alone_is_a_heartbeat) {
  expect(EVENTS, ":\n\n: ping\n\n:", "beats 2\n");
  expect(EVENTS, ":\ndata: {}\n\n", "row {}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_events_row_outside_of_data_is_stray) {
  /* 26 */
  expect(EVENTS, "data: {\"a\":1}\n\n{\"error\":\"x\",\"reason\":\"y\"}\n\n",
         "row {\"a\":1}\nstray {\"error\":\"x\",\"reason\":\"y\"}\nbeats 0\n");
  expect(EVENTS, "data: {\"a\":1}{\"error\":\"x\"}\n",
         "row {\"a\":1}\nstray {\"error\":\"x\"}\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_events_bad) {
  expect(EVENTS, "data: 5\n",
         "bad: the data of an event does not begin with '{'\nbeats 0\n");
  expect(EVENTS, "data: {} x\n",
         "row {}\nbad: something follows a row on its line\nbeats 0\n");
  expect(EVENTS, "data: {\"a\":\ndata: 1}\n",
         "bad: an event ends inside of its row\nbeats 0 inside\n");
  expect(EVENTS, "data: {\r",
         "bad: an event ends inside of its row\nbeats 0 inside\n");
  expect(EVENTS, "<html>",
         "bad: a line begins with '<': HTML, not a feed\nbeats 0\n");
}
END_TEST

/* ---- all modes ---- */

START_TEST(test_frame_byte_order_mark_is_passed_over) {
  expect(LINES, "\xef\xbb\xbf{}\n", "row {}\nbeats 0\n");
  expect(LINES, "\xef\xbb\xbf\n", "beats 1\n");
  expect(LIST, "\xef\xbb\xbf\n{}", "tail {}\nbeats 1\n");
  expect(EVENTS,
         "\xef\xbb\xbf"
         "data: {}\n\n",
         "row {}\nbeats 0\n");
  expect(LINES, "\n\xef\xbb\xbf{}",
         "bad: a line does not begin with '{'\nbeats 1\n");
  expect(LINES, "\xef\xbb{}",
         "bad: the body does not begin with '{'\nbeats 0\n");
}
END_TEST

START_TEST(test_frame_starts_anew_for_each_body) {
  cfi_frame f;
  frame_reader r;
  static const char *const torn[] = {"{\"a\":\"x\\",
                                     "{\"results\":[{\"a\":[",
                                     "{\"last_seq\":1,\"res",
                                     "garbage",
                                     "\xef\xbb",
                                     "{\"results\":[]}",
                                     "event: heart"};

  cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
  for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++)
    for (int mode = LIST; mode <= EVENTS; mode++) {
      frame_reader_start(&r, &f, (cfi_frame_mode)mode);
      frame_read(&r, torn[i], strlen(torn[i]), 5);
      frame_reader_clear(&r);
      f.beats = 0;
      frame_reader_start(&r, &f, LIST);
      frame_read(&r, "{\"results\":[{\"b\":1}],\"last_seq\":2}", 34, 3);
      ck_assert_str_eq(r.log,
                       "row {\"b\":1}\n"
                       "tail {\"results\":[],\"last_seq\":2}\nbeats 0\n");
      frame_reader_clear(&r);
    }
  cfi_frame_free(&f);
}
END_TEST

START_TEST(test_frame_counts_heartbeats_over_bodies) {
  cfi_frame f;
  frame_reader r;

  cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
  for (int i = 0; i < 3; i++) {
    frame_reader_start(&r, &f, LINES);
    frame_read(&r, "\n\n", 2, 1);
    frame_reader_clear(&r);
  }
  ck_assert_uint_eq(f.beats, 6);
  cfi_frame_free(&f);
}
END_TEST

START_TEST(test_frame_several_rows_may_be_taken_before_bytes_are_dropped) {
  static const char body[] = "\n{\"a\":1}\n{\"a\":22} {\"a\":333}\n{\"a";
  cfi_frame f;
  cfi_frame_item item[3], more;

  cfi_frame_init(&f, &alloc, MAX_ROW, MAX_DEPTH);
  cfi_frame_start(&f, LINES);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(cfi_frame_next(&f, body, sizeof body - 1, &item[i]),
                     CFI_FRAME_ROW);
  ck_assert_int_eq(cfi_frame_next(&f, body, sizeof body - 1, &more),
                   CFI_FRAME_MORE);
  ck_assert_uint_eq(item[0].offset, 1);
  ck_assert_uint_eq(item[0].len, 7);
  ck_assert_uint_eq(item[1].offset, 9);
  ck_assert_uint_eq(item[1].len, 8);
  ck_assert_uint_eq(item[2].offset, 18);
  ck_assert_uint_eq(item[2].len, 9);
  ck_assert_uint_eq(cfi_frame_unneeded(&f), 28);
  /* Less than could be dropped, then the rest. */
  cfi_frame_dropped(&f, 9);
  ck_assert_uint_eq(cfi_frame_unneeded(&f), 19);
  cfi_frame_dropped(&f, 19);
  ck_assert_uint_eq(cfi_frame_unneeded(&f), 0);
  ck_assert_int_eq(cfi_frame_next(&f, "{\"a\":4444}", 10, &more),
                   CFI_FRAME_ROW);
  ck_assert_uint_eq(more.offset, 0);
  ck_assert_uint_eq(more.len, 10);
  cfi_frame_free(&f);
}
END_TEST

/* What was looked at is overwritten with bytes that would change everything. */
static void expect_blind(cfi_frame_mode mode, const char *body, size_t len,
                         size_t piece, size_t rows_wanted) {
  cfi_frame f;
  char *held = malloc(len);
  size_t rows = 0, looked_at = 0;
  cfi_frame_kind kind = CFI_FRAME_MORE;

  ck_assert_ptr_nonnull(held);
  cfi_frame_init(&f, &alloc, SIZE_MAX, MAX_DEPTH);
  cfi_frame_start(&f, mode);
  for (size_t at = 0; at < len; at += piece) {
    size_t more = len - at < piece ? len - at : piece;
    cfi_frame_item item;

    memcpy(held + at, body + at, more);
    do {
      kind = cfi_frame_next(&f, held, at + more, &item);
      ck_assert_uint_ge(f.pos, looked_at);
      memset(held + looked_at, '}', f.pos - looked_at);
      looked_at = f.pos;
      rows += kind == CFI_FRAME_ROW;
    } while (kind == CFI_FRAME_ROW || kind == CFI_FRAME_TAIL);
    ck_assert_int_eq(kind, CFI_FRAME_MORE);
    ck_assert_uint_eq(looked_at, at + more);
  }
  ck_assert_uint_eq(rows, rows_wanted);
  cfi_frame_free(&f);
  free(held);
}

START_TEST(test_frame_looks_at_no_byte_twice) {
  static const char *const bodies[] = {
      "{\"results\":[\n{\"a\":\"x\\\"{y\"},\r\n{\"b\":[1,{}]}\n],\n"
      "\"last_seq\":\"2-b\"}\n",
      "{\"a\":\"x\\\"{y\"}\n\n{\"b\":[1,{}]}\n",
      "data: {\"a\":\"x\\\"{y\"}\nid: 1\n\nevent: heartbeat\ndata: \n\n"
      "data: {\"b\":[1,{}]}\n\n"};

  for (int mode = LIST; mode <= EVENTS; mode++)
    for (size_t piece = 1; piece < 100; piece++)
      expect_blind((cfi_frame_mode)mode, bodies[mode], strlen(bodies[mode]),
                   piece, 2);
}
END_TEST

START_TEST(test_frame_long_row_in_small_pieces_is_read_once) {
  /* known failure 5: a row of 8 MiB that comes in pieces of 1 KiB. */
  enum { LONG = 8 << 20 };
  char *body = malloc(LONG);

  ck_assert_ptr_nonnull(body);
  for (size_t i = 0; i < LONG; i += 8)
    memcpy(body + i, "ab\\\"{[\\n", 8);
  memcpy(body, "{\"long\":\"", 9);
  memcpy(body + LONG - 8, "\"    }\n\n", 8);
  expect_blind(LINES, body, LONG, 1024, 1);
  free(body);
}
END_TEST

START_TEST(test_frame_goes_on_after_a_failed_allocation) {
  static const char body[] = "{\"results\":[{\"a\":1},{\"a\":2}],\"pad\":\""
                             "................................................"
                             "................................................"
                             "................................................"
                             "................................................"
                             "................................................"
                             "................................................"
                             "\",\"last_seq\":3 4}";
  size_t failures = 0;

  for (size_t n = 1; n < 6; n++) {
    cft_failing c;
    cfi_frame f;
    cfi_frame_item item;
    cfi_frame_kind kind;
    size_t rows = 0;

    cft_failing_init(&c, n);
    cfi_frame_init(&f, &c.alloc, MAX_ROW, MAX_DEPTH);
    cfi_frame_start(&f, LIST);
    do {
      kind = cfi_frame_next(&f, body, sizeof body - 1, &item);
      rows += kind == CFI_FRAME_ROW;
      failures += kind == CFI_FRAME_NOMEM;
    } while (kind == CFI_FRAME_ROW || kind == CFI_FRAME_NOMEM);
    ck_assert_int_eq(kind, CFI_FRAME_TAIL);
    ck_assert_uint_eq(rows, 2);
    ck_assert_uint_eq(cfi_frame_envelope(&f).len,
                      sizeof body - 1 - strlen("{\"a\":1},{\"a\":2}"));
    cfi_frame_free(&f);
    ck_assert_uint_eq(c.live, 0);
  }
  ck_assert_uint_ge(failures, 2);
}
END_TEST

static void add_rows(Suite *suite) {
  TCase *rows = tcase_create("rows");

  tcase_add_unchecked_fixture(rows, setup, NULL);
  tcase_add_test(rows, test_frame_row_ends_at_its_own_brace);
  tcase_add_test(rows, test_frame_row_is_there_with_its_last_byte);
  tcase_add_test(rows, test_frame_unfinished_row_is_no_row);
  tcase_add_test(rows, test_frame_control_character_in_a_string_is_no_row);
  tcase_add_test(rows, test_frame_row_length_is_limited);
  tcase_add_test(rows, test_frame_depth_is_limited);
  suite_add_tcase(suite, rows);
}

static void add_lines(Suite *suite) {
  TCase *lines = tcase_create("lines");

  tcase_add_unchecked_fixture(lines, setup, NULL);
  tcase_add_test(lines, test_frame_lines_are_rows);
  tcase_add_test(lines, test_frame_lines_without_a_row_are_heartbeats);
  tcase_add_test(lines, test_frame_line_breaks_within_a_row_are_no_heartbeats);
  tcase_add_test(lines, test_frame_row_glued_to_the_row_before_is_stray);
  tcase_add_test(lines, test_frame_line_that_is_no_row_is_bad);
  suite_add_tcase(suite, lines);
}

static void add_list(Suite *suite) {
  TCase *list = tcase_create("list");

  tcase_add_unchecked_fixture(list, setup, NULL);
  tcase_add_test(list, test_frame_list_as_couchdb_writes_it);
  tcase_add_test(list, test_frame_list_layout_does_not_matter);
  tcase_add_test(list, test_frame_list_rows_are_those_of_results_on_the_top);
  tcase_add_test(list, test_frame_list_rows_may_have_another_name);
  tcase_add_test(list, test_frame_list_name_is_longer_than_what_it_begins_with);
  tcase_add_test(list, test_frame_list_keeps_its_name);
  tcase_add_test(list, test_frame_list_heartbeats);
  tcase_add_test(list, test_frame_list_row_without_a_comma_is_stray);
  tcase_add_test(list, test_frame_list_with_something_else_among_rows_is_bad);
  tcase_add_test(list, test_frame_list_without_results_is_its_own_envelope);
  tcase_add_test(list, test_frame_list_that_is_none_is_bad);
  tcase_add_test(list, test_frame_list_followed_by_something_is_bad);
  tcase_add_test(list, test_frame_envelope_is_kept_as_it_means);
  tcase_add_test(list, test_frame_envelope_length_is_limited);
  suite_add_tcase(suite, list);
}

static void add_events(Suite *suite) {
  TCase *events = tcase_create("events");

  tcase_add_unchecked_fixture(events, setup, NULL);
  tcase_add_test(events, test_frame_events_as_couchdb_writes_them);
  tcase_add_test(events, test_frame_events_line_ends);
  tcase_add_test(events, test_frame_events_fields);
  tcase_add_test(events, test_frame_events_comment_alone_is_a_heartbeat);
  tcase_add_test(events, test_frame_events_row_outside_of_data_is_stray);
  tcase_add_test(events, test_frame_events_bad);
  suite_add_tcase(suite, events);
}

static void add_all_modes(Suite *suite) {
  TCase *all = tcase_create("all modes");

  tcase_add_unchecked_fixture(all, setup, NULL);
  tcase_add_test(all, test_frame_byte_order_mark_is_passed_over);
  tcase_add_test(all, test_frame_starts_anew_for_each_body);
  tcase_add_test(all, test_frame_counts_heartbeats_over_bodies);
  tcase_add_test(all,
                 test_frame_several_rows_may_be_taken_before_bytes_are_dropped);
  tcase_add_test(all, test_frame_looks_at_no_byte_twice);
  tcase_add_test(all, test_frame_long_row_in_small_pieces_is_read_once);
  tcase_add_test(all, test_frame_goes_on_after_a_failed_allocation);
  suite_add_tcase(suite, all);
}

int main(void) {
  Suite *suite = suite_create("frame");

  add_rows(suite);
  add_lines(suite);
  add_list(suite);
  add_events(suite);
  add_all_modes(suite);
  return cft_run(suite);
}
