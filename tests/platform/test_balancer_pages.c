/*
 * What visitors are told: each page in each form, which form is chosen, and
 * that words of others stay words whatever is in them.
 */
#include "balancer/pages.h"
#include "balancer/pages_form.h"
#include "common/escape.h"

#include "support/unit.h"
#include <jansson.h>
#include <string.h>

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

static const char *field(const page_answer *a, const char *name) {
  static char value[256];

  for (size_t i = 0; i < a->field_count; i++)
    if (http_str_is(a->fields[i].name, name)) {
      ck_assert_uint_lt(a->fields[i].value.len, sizeof value);
      memcpy(value, a->fields[i].value.data, a->fields[i].value.len);
      value[a->fields[i].value.len] = '\0';
      return value;
    }
  return NULL;
}

static size_t times(const char *in, const char *what) {
  size_t n = 0;

  for (; (in = strstr(in, what)) != NULL; in += strlen(what))
    n++;
  return n;
}

/* ---- each page ---- */

typedef struct wanted {
  enum page page;
  const char *code;
  int status;
  const char *retry;
} wanted;

static const wanted all[PAGES] = {
    {PAGE_UNKNOWN, "E01", 404, NULL},
    {PAGE_STARTING, "E02", 503, "2"},
    {PAGE_CRASHED, "E03", 503, "10"},
    {PAGE_STOPPED, "E04", 503, NULL},
    {PAGE_QUEUED, "E05", 503, "10"},
    {PAGE_MISROUTED, "E06", 503, "1"},
    {PAGE_NOT_SYNCED, "E09", 503, "2"},
    {PAGE_REFUSED, "E10", 502, "2"},
    {PAGE_UNREACHABLE, "E11", 504, "5"},
    {PAGE_BROKEN, "E12", 502, NULL},
    {PAGE_LATE, "E13", 504, NULL},
    {PAGE_BUSY, "E14", 503, "1"},
    {PAGE_BAD, "E20", 400, NULL},
    {PAGE_LIMIT, "E21", 431, NULL},
    {PAGE_APP_MAINTENANCE, "E30", 503, "60"},
    {PAGE_MAINTENANCE, "E31", 503, "60"},
    {PAGE_INTERNAL, "E99", 500, NULL},
};

static void check_fields(const page_answer *a, const wanted *w) {
  ck_assert_str_eq(field(a, "x-balancer-error"), w->code);
  ck_assert_str_eq(field(a, "x-request-id"), "r-1");
  ck_assert_str_eq(field(a, "cache-control"), "no-store");
  ck_assert_str_eq(field(a, "vary"), "Accept");
  if (w->retry == NULL)
    ck_assert_ptr_null(field(a, "retry-after"));
  else
    ck_assert_str_eq(field(a, "retry-after"), w->retry);
  ck_assert_uint_le(a->field_count, PAGE_FIELDS);
}

static void check_html(const wanted *w) {
  page_answer a;
  bool again = w->page == PAGE_STARTING || w->page == PAGE_QUEUED;

  page_make(&a, w->page, 0, str("text/html"), "r-1", "So it is.");
  ck_assert_int_eq(a.status, w->status);
  check_fields(&a, w);
  ck_assert_str_eq(field(&a, "content-type"), "text/html; charset=utf-8");
  ck_assert_int_eq(strncmp(a.body.data, "<!doctype html>\n", 16), 0);
  ck_assert_ptr_nonnull(strstr(a.body.data, "<html lang=\"en\">"));
  ck_assert_uint_eq(times(a.body.data, "<title>"), 1);
  ck_assert_ptr_nonnull(strstr(a.body.data, w->code));
  ck_assert_ptr_nonnull(strstr(a.body.data, "r-1"));
  ck_assert_ptr_nonnull(strstr(a.body.data, "<p>So it is.</p>"));
  ck_assert_uint_eq(times(a.body.data, "http-equiv=\"refresh\""), again);
  /* nothing is fetched from anywhere */
  ck_assert_ptr_null(strstr(a.body.data, "http://"));
  ck_assert_ptr_null(strstr(a.body.data, "https://"));
  ck_assert_ptr_null(strstr(a.body.data, "src="));
  ck_assert_ptr_null(strstr(a.body.data, "url("));
  page_free(&a);
}

static void check_json(const wanted *w) {
  const char *code, *message, *id;
  json_t *body;
  page_answer a;
  int status;

  page_make(&a, w->page, 0, str("application/json"), "r-1", NULL);
  check_fields(&a, w);
  ck_assert_str_eq(field(&a, "content-type"), "application/json");
  body = json_loadb(a.body.data, a.body.len, 0, NULL);
  ck_assert_ptr_nonnull(body);
  ck_assert_int_eq(json_unpack(body, "{s:s, s:i, s:s, s:s}", "error", &code,
                               "status", &status, "message", &message,
                               "request_id", &id),
                   0);
  ck_assert_str_eq(code, w->code);
  ck_assert_int_eq(status, w->status);
  ck_assert_uint_gt(strlen(message), 20);
  ck_assert_str_eq(id, "r-1");
  ck_assert_int_eq(json_integer_value(json_object_get(body, "retry_after")),
                   w->retry != NULL ? (json_int_t)strtol(w->retry, NULL, 10)
                                    : 0);
  json_decref(body);
  page_free(&a);
}

static void check_text(const wanted *w) {
  char begin[16];
  page_answer a;

  page_make(&a, w->page, 0, str(""), "r-1", NULL);
  check_fields(&a, w);
  ck_assert_str_eq(field(&a, "content-type"), "text/plain; charset=utf-8");
  (void)snprintf(begin, sizeof begin, "%s %d ", w->code, w->status);
  ck_assert_int_eq(strncmp(a.body.data, begin, strlen(begin)), 0);
  ck_assert_ptr_eq(strchr(a.body.data, '\n'), a.body.data + a.body.len - 1);
  ck_assert_ptr_nonnull(strstr(a.body.data, "r-1"));
  page_free(&a);
}

START_TEST(test_pages_each_in_each_form) {
  for (size_t i = 0; i < PAGES; i++) {
    ck_assert_int_eq(page_at(i), all[i].page);
    ck_assert_str_eq(page_code(all[i].page), all[i].code);
    ck_assert_int_eq(page_status(all[i].page), all[i].status);
    check_html(&all[i]);
    check_json(&all[i]);
    check_text(&all[i]);
  }
  /* no page at all is a fault of the one who asks */
  ck_assert_str_eq(page_code((enum page)7), "E99");
}
END_TEST

START_TEST(test_pages_take_another_status_and_no_id) {
  page_answer a;

  page_make(&a, PAGE_LIMIT, 413, str("application/json"), "", NULL);
  ck_assert_int_eq(a.status, 413);
  ck_assert_ptr_null(field(&a, "x-request-id"));
  ck_assert_ptr_nonnull(strstr(a.body.data, "\"status\":413"));
  ck_assert_ptr_null(strstr(a.body.data, "request_id"));
  page_free(&a);
  page_make(&a, PAGE_LIMIT, 408, str("text/html"), "", NULL);
  ck_assert_ptr_nonnull(strstr(a.body.data, "E21 &middot; 408</small>"));
  page_free(&a);
}
END_TEST

START_TEST(test_pages_as_html_for_others) {
  text out = TEXT_INIT;

  page_html(PAGE_QUEUED, "<3rd>", &out);
  ck_assert_ptr_nonnull(strstr(out.data, "<p>&lt;3rd&gt;</p>"));
  ck_assert_ptr_nonnull(strstr(out.data, "E05"));
  ck_assert_ptr_null(strstr(out.data, "request"));
  text_clear(&out);
  page_html(PAGE_QUEUED, NULL, &out);
  ck_assert_uint_eq(times(out.data, "<p>"), 1);
  text_free(&out);
}
END_TEST

/* ---- which form ---- */

typedef struct asked {
  const char *accept;
  enum page_form form;
} asked;

static const asked accepts[] = {
    {"", PAGE_FORM_TEXT},
    {"*/*", PAGE_FORM_TEXT}, /* curl */
    /* Firefox, Chrome */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
     "image/webp,*/*;q=0.8",
     PAGE_FORM_HTML},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
     "image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
     PAGE_FORM_HTML},
    {"image/avif,image/webp,*/*", PAGE_FORM_TEXT},
    {"application/json, text/plain, */*", PAGE_FORM_JSON}, /* axios */
    {"application/json", PAGE_FORM_JSON},
    {"Application/JSON", PAGE_FORM_JSON},
    {"application/json;charset=utf-8", PAGE_FORM_JSON},
    {"application/json; charset=\"utf-8\"", PAGE_FORM_JSON},
    {"application/json; a=\"x,text/html;q=1,\\\",\" ", PAGE_FORM_JSON},
    {"application/problem+json", PAGE_FORM_JSON},
    {"application/*", PAGE_FORM_JSON},
    {"text/*", PAGE_FORM_TEXT},
    {"text/plain", PAGE_FORM_TEXT},
    {"text/html;q=0.5, application/json", PAGE_FORM_JSON},
    {"text/html;q=0.5,application/json;q=0.4", PAGE_FORM_HTML},
    {"text/html ; q=0.5 , application/json ; Q=0.501", PAGE_FORM_JSON},
    {"application/json,text/html", PAGE_FORM_HTML},
    {"text/html;q=0.3,*/*;q=0.8", PAGE_FORM_TEXT},
    {"text/plain;q=0.1,*/*,text/html;q=0.2", PAGE_FORM_HTML},
    {"text/html;q=0", PAGE_FORM_TEXT},
    {"text/html;q=0.000,application/json;q=0.001", PAGE_FORM_JSON},
    {"text/html;q=0, text/html;q=0.4", PAGE_FORM_HTML},
    {"application/*;q=0.9, application/json;q=0, text/html;q=0.1",
     PAGE_FORM_HTML},
    {"text/html;q=1.000", PAGE_FORM_HTML},
    {"text/html;level=1", PAGE_FORM_HTML},
    {"text/html;", PAGE_FORM_HTML},
    {",, ,text/html,,", PAGE_FORM_HTML},
    {"image/png", PAGE_FORM_TEXT},
    /* what is not as it should be was not said */
    {"text/html;q=1.001", PAGE_FORM_TEXT},
    {"text/html;q=2", PAGE_FORM_TEXT},
    {"text/html;q=-1", PAGE_FORM_TEXT},
    {"text/html;q=.5", PAGE_FORM_TEXT},
    {"text/html;q=0.1234", PAGE_FORM_TEXT},
    {"text/html;q=0,5", PAGE_FORM_TEXT},
    {"text/html;q=", PAGE_FORM_TEXT},
    {"text/html;q", PAGE_FORM_TEXT},
    {"text/html;q=\"1", PAGE_FORM_TEXT},
    {"text/html x", PAGE_FORM_TEXT},
    {"text/html/x", PAGE_FORM_TEXT},
    {"text / html", PAGE_FORM_TEXT},
    {"text/", PAGE_FORM_TEXT},
    {"/html", PAGE_FORM_TEXT},
    {"html", PAGE_FORM_TEXT},
    {"*/html", PAGE_FORM_TEXT},
    {"text/htmlx", PAGE_FORM_TEXT},
    {"xtext/html", PAGE_FORM_TEXT},
    {"\"text/html\"", PAGE_FORM_TEXT},
    {"text/html;a=\"\\", PAGE_FORM_TEXT},
    {"text/html junk, application/json", PAGE_FORM_JSON},
    {"text/html;q=x, application/json;q=0.1", PAGE_FORM_JSON},
    {"\xff\xfe/\x01, application/json", PAGE_FORM_JSON},
};

START_TEST(test_pages_form_is_what_is_asked_for) {
  for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++)
    ck_assert_msg(page_form_of(str(accepts[i].accept)) == accepts[i].form,
                  "'%s' is %d, not %d", accepts[i].accept,
                  (int)page_form_of(str(accepts[i].accept)),
                  (int)accepts[i].form);
}
END_TEST

/* Reads nothing behind the end: each beginning lies at the end of a block. */
START_TEST(test_pages_accept_is_read_within_its_length) {
  const char *accept = accepts[(size_t)_i].accept;
  size_t len = strlen(accept);

  for (size_t cut = 0; cut <= len; cut++) {
    char *block = malloc(cut != 0 ? cut : 1);

    ck_assert_ptr_nonnull(block);
    memcpy(block, accept, cut);
    ck_assert_int_le(page_form_of((http_str){block, cut}), PAGE_FORM_JSON);
    free(block);
  }
}
END_TEST

/* ---- words of others ---- */

static const char *const hostile[] = {
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'onmouseover='alert(1)",
    "</p></main></body><!--",
    "a\r\nX-Injected: 1\r\n\r\nHTTP/1.1 200 OK",
    "\"}, {\"error\":\"E00\"",
    "\\\" \\u0041 \\",
    "line\nline\ttab\x01\x1f\x7f",
    "\xc3\x28 \xff\xfe \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\xaf \xe2\x82",
    "\xe2\x80\xaegpj.exe \xe2\x80\xa8 \xc2\x85",
    "&lt; &amp; &#x3c;",
    "{{7*7}} ${7*7} %s%n%p",
    "gr\xc3\xbc\xc3\x9f!  \xf0\x9f\x90\x9d",
};

/* No tag and no quote of theirs, and none of ours is left open. */
static void check_hostile_html(const char *words) {
  page_answer plain, a;

  page_make(&plain, PAGE_STOPPED, 0, str("text/html"), "id", "x");
  page_make(&a, PAGE_STOPPED, 0, str("text/html"), words, words);
  for (const char *c = "<>\"'"; *c != '\0'; c++) {
    char one[2] = {*c, '\0'};

    ck_assert_msg(times(plain.body.data, one) == times(a.body.data, one),
                  "'%s' adds a %s", words, one);
  }
  for (size_t i = 0; i < a.body.len; i++)
    ck_assert_msg((unsigned char)a.body.data[i] >= 0x20 ||
                      a.body.data[i] == '\n',
                  "a control byte in '%s'", words);
  ck_assert_uint_eq(times(plain.body.data, "\n"), times(a.body.data, "\n"));
  page_free(&plain);
  page_free(&a);
}

static void check_hostile_json(const char *words) {
  text clean = TEXT_INIT;
  page_answer a;
  json_t *body;

  page_make(&a, PAGE_STOPPED, 0, str("application/json"), words, words);
  body = json_loadb(a.body.data, a.body.len, JSON_REJECT_DUPLICATES, NULL);
  ck_assert_msg(body != NULL, "no JSON: %s", a.body.data);
  ck_assert_str_eq(json_string_value(json_object_get(body, "error")), "E04");
  escape_clean(&clean, words, 400);
  ck_assert_str_eq(json_string_value(json_object_get(body, "detail")),
                   clean.data);
  ck_assert_uint_eq(json_object_size(body), 5);
  json_decref(body);
  page_free(&a);
  text_free(&clean);
}

START_TEST(test_pages_words_of_others_stay_words) {
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    page_answer a;

    check_hostile_html(hostile[i]);
    check_hostile_json(hostile[i]);
    page_make(&a, PAGE_STOPPED, 0, str("*/*"), hostile[i], hostile[i]);
    ck_assert_uint_eq(times(a.body.data, "\n"), 1);
    page_free(&a);
  }
}
END_TEST

static const char *clean(const char *words, size_t most) {
  static char out[512];
  text t = TEXT_INIT;

  escape_clean(&t, words, most);
  ck_assert_uint_lt(t.len, sizeof out);
  memcpy(out, text_get(&t), t.len + 1);
  text_free(&t);
  return out;
}

START_TEST(test_pages_clean_keeps_letters_only) {
  ck_assert_str_eq(clean("gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\x9d", 100),
                   "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\x9d");
  ck_assert_str_eq(clean("a\nb\x7f"
                         "c\xc2\x85"
                         "d\xe2\x80\xae"
                         "e",
                         100),
                   "a b c d e");
  ck_assert_str_eq(clean("a\xef\xbf\xbe"
                         "b\xef\xbf\xbf"
                         "c",
                         100),
                   "a b c");
  ck_assert_str_eq(clean("\xc0\xaf", 100), "\xef\xbf\xbd\xef\xbf\xbd");
  ck_assert_str_eq(clean("\xed\xa0\x80"
                         "x",
                         100),
                   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx");
  ck_assert_str_eq(clean("\xe2\x82", 100), "\xef\xbf\xbd\xef\xbf\xbd");
  /* cut between letters, never within one */
  ck_assert_str_eq(clean("\xc3\xbc\xc3\xbc\xc3\xbc", 5), "\xc3\xbc\xc3\xbc");
  ck_assert_str_eq(clean("abc", 0), "");
}
END_TEST

START_TEST(test_pages_long_words_are_cut) {
  char words[3000];
  page_answer a;

  memset(words, '<', sizeof words - 1);
  words[sizeof words - 1] = '\0';
  page_make(&a, PAGE_STOPPED, 0, str("text/html"), "id", words);
  ck_assert_uint_eq(times(a.body.data, "&lt;"), 400);
  page_free(&a);
}
END_TEST

/* ---- of a route ---- */

typedef struct state_page {
  enum route_state state;
  size_t targets;
  bool closed;    /* for maintenance */
  enum page page; /* 0: visitors get to the app */
} state_page;

static const state_page states[] = {
    {ROUTE_LIVE, 1, false, (enum page)0},
    {ROUTE_QUEUED, 0, false, PAGE_QUEUED},
    {ROUTE_STARTING, 0, false, PAGE_STARTING},
    {ROUTE_CRASHED, 0, false, PAGE_CRASHED},
    {ROUTE_FAILED, 0, false, PAGE_CRASHED},
    {ROUTE_STOPPED, 0, false, PAGE_STOPPED},
    /* the one before serves on while the next is not there */
    {ROUTE_QUEUED, 1, false, (enum page)0},
    {ROUTE_STARTING, 1, false, (enum page)0},
    {ROUTE_CRASHED, 1, false, (enum page)0},
    {ROUTE_FAILED, 1, false, (enum page)0},
    {ROUTE_LIVE, 2, false, (enum page)0},
    {ROUTE_STOPPED, 1, false, PAGE_STOPPED},
    /* its owner works on it, whatever else it is */
    {ROUTE_LIVE, 1, true, PAGE_APP_MAINTENANCE},
    {ROUTE_STOPPED, 0, true, PAGE_APP_MAINTENANCE},
    {ROUTE_QUEUED, 0, true, PAGE_APP_MAINTENANCE},
};

START_TEST(test_pages_of_a_route) {
  const state_page *s = &states[(size_t)_i];
  static route_doc doc;
  route *r;

  memset(&doc, 0, sizeof doc);
  (void)snprintf(doc.app, sizeof doc.app, "shop");
  (void)snprintf(doc.hosts[0], sizeof doc.hosts[0], "shop.example");
  doc.host_count = 1;
  doc.gen = 1;
  doc.state = s->state;
  (void)strcpy(doc.code, "ok");
  doc.closed = s->closed;
  doc.to_count = s->targets;
  for (size_t i = 0; i < s->targets; i++) {
    (void)snprintf(doc.to[i].addr, sizeof doc.to[i].addr, "127.1.0.%zu:40",
                   i + 1);
    memcpy(doc.to[i].drone, doc.to[i].addr, sizeof doc.to[i].drone);
    (void)snprintf(doc.to[i].claim, sizeof doc.to[i].claim,
                   "0123456789abcdef0123456789abcdef");
  }
  r = route_make(&doc);
  ck_assert_ptr_nonnull(r);
  ck_assert_int_eq(page_of_route(r), s->page);
  free(r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("balancer_pages");
  TCase *tc = tcase_create("pages");

  tcase_add_test(tc, test_pages_each_in_each_form);
  tcase_add_test(tc, test_pages_take_another_status_and_no_id);
  tcase_add_test(tc, test_pages_as_html_for_others);
  tcase_add_test(tc, test_pages_form_is_what_is_asked_for);
  tcase_add_loop_test(tc, test_pages_accept_is_read_within_its_length, 0,
                      sizeof accepts / sizeof *accepts);
  tcase_add_test(tc, test_pages_words_of_others_stay_words);
  tcase_add_test(tc, test_pages_clean_keeps_letters_only);
  tcase_add_test(tc, test_pages_long_words_are_cut);
  tcase_add_loop_test(tc, test_pages_of_a_route, 0,
                      sizeof states / sizeof *states);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
