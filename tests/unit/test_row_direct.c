/*
 * The direct way through a row: which rows take it, that nothing else does, and
 * that what it finds is what the JSON parser finds.
 */
#include "unit/row_agrees.h"

#include <check.h>
#include <stdint.h>

#include "frame.h"
#include "support/failing.h"
#include "support/unit.h"

static cfi_alloc alloc;

static void setup(void) { ck_assert(cfi_alloc_init(&alloc, NULL)); }

/* On all paths; the text in a block of its own, so that reading on is seen. */
static bool takes(cfi_row_source source, const char *text, size_t len) {
  char *exact = malloc(len != 0 ? len : 1);
  const cfi_scan_path *path;
  bool taken;

  ck_assert_ptr_nonnull(exact);
  memcpy(exact, text, len);
  taken = row_agrees(&alloc, cfi_scan_path_at(0), source, exact, len);
  for (size_t i = 1; (path = cfi_scan_path_at(i)) != NULL; i++)
    ck_assert_msg(row_agrees(&alloc, path, source, exact, len) == taken,
                  "%s: %.*s", path->name, (int)len, text);
  free(exact);
  return taken;
}

static void expect(cfi_row_source source, const char *text, bool wanted) {
  ck_assert_msg(takes(source, text, strlen(text)) == wanted, "%s: %s",
                wanted ? "declined" : "taken", text);
}

#define DATABASE CFI_ROW_OF_DATABASE
#define DB_UPDATES CFI_ROW_OF_DB_UPDATES
#define ALL_DOCS CFI_ROW_OF_ALL_DOCS
#define CHANGES "\"changes\":[{\"rev\":\"1-a\"}]"
#define LISTED "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"1-a\"}"

START_TEST(test_row_direct_takes_what_couchdb_writes) {
  static const char *const rows[] = {
      "{\"seq\":\"3-g1AAA_-\",\"id\":\"doc\"," CHANGES "}",
      "{\"seq\":12,\"id\":\"doc\"," CHANGES "}",
      "{\"seq\":0,\"id\":\"doc\"," CHANGES "}",
      "{\"seq\":null,\"id\":\"doc\"," CHANGES "}",
      "{\"seq\":\"3-g\",\"id\":\"\xe2\x98\x83\xf0\x9f\x98\x80\"," CHANGES "}",
      "{\"seq\":\"3-g\",\"id\":\"d\",\"changes\":[{\"rev\":\"2-bb\"},"
      "{\"rev\":\"\"},{\"rev\":\"1-a\"}],\"deleted\":true}",
      "{\"seq\":\"3-g\",\"id\":\"d\"," CHANGES ",\"doc\":{\"_id\":\"d\"}}",
      "{\"seq\":\"3-g\",\"id\":\"d\"," CHANGES ",\"doc\":{}}",
      "{\"seq\":\"3-g\",\"id\":\"d\"," CHANGES ",\"doc\":null}",
      "{\"seq\":\"3-g\",\"id\":\"d\"," CHANGES ",\"deleted\":true,"
      "\"doc\":{ \"a\" : [{\"b\":\"}\\\"\\ud83d\\ude00\"}, 1e5]\n}}"};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    expect(DATABASE, rows[i], true);
  expect(DB_UPDATES,
         "{\"db_name\":\"a/b\",\"type\":\"updated\",\"seq\":\"9-x\"}", true);
  expect(DB_UPDATES, "{\"db_name\":\"a\",\"type\":\"deleted\",\"seq\":null}",
         true);
  expect(DB_UPDATES, "{\"db_name\":\"a\",\"type\":\"created\",\"seq\":17}",
         true);
}
END_TEST

START_TEST(test_row_direct_leaves_all_else_to_the_parser) {
  static const char *const rows[] = {
      "",
      "{}",
      "{\"last_seq\":\"3-g\",\"pending\":0}",
      "{\"error\":\"x\",\"reason\":\"y\"}",
      "{\"id\":\"d\",\"seq\":1," CHANGES "}",
      "{\"seq\":1,\"id\":\"d\"}",
      "{\"seq\":1,\"id\":\"\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"a\\u0062\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"a\nb\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"\xff\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"\xed\xa0\x80\"," CHANGES "}",
      "{\"seq\":\"\\n\",\"id\":\"d\"," CHANGES "}",
      "{\"seq\":\"\xc0\x80\",\"id\":\"d\"," CHANGES "}",
      "{\"seq\":[1,\"x\"],\"id\":\"d\"," CHANGES "}",
      "{\"seq\":01,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":1.5,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":-1,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":true,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"d\",\"changes\":[]}",
      "{\"seq\":1,\"id\":\"d\",\"changes\":[{\"rev\":\"1\"},]}",
      "{\"seq\":1,\"id\":\"d\",\"changes\":[{\"rev\":\"\\u0031\"}]}",
      "{\"seq\":1,\"id\":\"d\",\"changes\":[{\"rev\":\"\x80\"}]}",
      "{\"seq\":1,\"id\":\"d\",\"changes\":[{\"rev\":1}]}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"deleted\":false}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"deleted\":true,\"deleted\":true}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{},\"deleted\":true}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{},\"doc\":{}}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{},\"x\":[{}]}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{},\"x\":\"}\"}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{}1}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{} }",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{}]",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{]}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":[]}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":\"{}\"}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\": {}}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"error\":\"x\"}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES "} ",
      "{ \"seq\":1,\"id\":\"d\"," CHANGES "}",
      "{\"seq\":1,\"id\":\"d\", " CHANGES "}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES "}}"};

  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    expect(DATABASE, rows[i], false);
  expect(DATABASE, "{\"db_name\":\"a\",\"type\":\"deleted\",\"seq\":1}", false);
  expect(DB_UPDATES, "{\"seq\":1,\"id\":\"d\"," CHANGES "}", false);
  expect(DB_UPDATES, "{\"db_name\":\"a\",\"seq\":1}", false);
  expect(DB_UPDATES, "{\"db_name\":\"\",\"type\":\"x\",\"seq\":1}", false);
  expect(DATABASE, LISTED "}", false);
  expect(DB_UPDATES, LISTED "}", false);
}
END_TEST

START_TEST(test_row_direct_takes_rows_of_the_list_of_documents) {
  static const char *const taken[] = {
      LISTED "}",
      "{\"id\":\"\xe2\x98\x83\",\"key\":\"\xe2\x98\x83\","
      "\"value\":{\"rev\":\"\"}}",
      "{\"id\":\"d\",\"key\":\"\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"2-b\","
      "\"deleted\":true}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"2-b\","
      "\"deleted\":true},\"doc\":null}",
      LISTED ",\"doc\":null}",
      LISTED ",\"doc\":{}}",
      LISTED ",\"doc\":{\"_id\":\"d\",\"a\":[{\"b\":\"}\\\"\"}, 1e5]\n}}"};
  static const char *const left[] = {
      "{\"rows\":[]}",
      "{\"total_rows\":3,\"offset\":0,\"rows\":[]}",
      "{\"key\":\"d\",\"error\":\"not_found\"}",
      "{\"id\":\"\",\"key\":\"\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"key\":null,\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"key\":\"\\n\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"key\":\"\xff\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"\xff\",\"key\":\"d\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"\\u0064\",\"key\":\"d\",\"value\":{\"rev\":\"1-a\"}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":null}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":1}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"\\u0031\"}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":[{\"rev\":\"1-a\"}]}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"1-a\"},"
      "{\"rev\":\"2-b\"}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"1\",\"x\":1}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"rev\":\"1\","
      "\"deleted\":false}}",
      "{\"id\":\"d\",\"key\":\"d\",\"value\":{\"deleted\":true,"
      "\"rev\":\"1\"}}",
      "{\"key\":\"d\",\"id\":\"d\",\"value\":{\"rev\":\"1-a\"}}",
      LISTED,
      LISTED ",\"deleted\":true}",
      LISTED ",\"doc\":{},\"x\":1}",
      LISTED ",\"doc\":{},\"x\":[{}]}",
      LISTED ",\"doc\":[]}",
      LISTED ",\"doc\":}",
      LISTED ",\"error\":\"x\"}",
      LISTED "} ",
      LISTED " }",
      LISTED "}}",
      " " LISTED "}",
      "{\"seq\":1,\"id\":\"d\"," CHANGES "}",
      "{\"db_name\":\"a\",\"type\":\"deleted\",\"seq\":1}"};

  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
    expect(ALL_DOCS, taken[i], true);
  for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
    expect(ALL_DOCS, left[i], false);
}
END_TEST

/* What the documentation says of a document that nobody asked to check. */
START_TEST(test_row_direct_does_not_look_into_a_document) {
  static const char *const docs[] = {"{\"a\":[1}}", "{a}", "{\"a\":01}",
                                     "{\"\xff\":\"\\q\"}", "{,,}"};

  for (size_t i = 0; i < sizeof docs / sizeof docs[0]; i++) {
    char text[128];

    (void)snprintf(text, sizeof text,
                   "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":%s}", docs[i]);
    expect(DATABASE, text, true);
  }
}
END_TEST

START_TEST(test_row_direct_does_not_take_a_row_that_was_cut) {
  static const char text[] =
      "{\"seq\":\"1-xyz\",\"id\":\"\xe2\x98\x83\",\"changes\":[{\"rev\":\"1\"},"
      "{\"rev\":\"2\"}],\"deleted\":true,\"doc\":{\"a\":{\"b\":[]}}}";

  static const char listed[] =
      "{\"id\":\"\xe2\x98\x83\",\"key\":\"\xe2\x98\x83\",\"value\":{"
      "\"rev\":\"2-b\",\"deleted\":true},\"doc\":{\"a\":{\"b\":[]}}}";

  ck_assert(takes(DATABASE, text, sizeof text - 1));
  for (size_t len = 0; len < sizeof text - 1; len++)
    ck_assert(!takes(DATABASE, text, len));
  ck_assert(takes(ALL_DOCS, listed, sizeof listed - 1));
  for (size_t len = 0; len < sizeof listed - 1; len++)
    ck_assert(!takes(ALL_DOCS, listed, len));
}
END_TEST

/* Without a frame's word for it nobody knows where a document ends. */
START_TEST(test_row_direct_needs_the_frame_to_find_a_document) {
  static const char text[] =
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\"a\":{}}}";
  cfi_row_places places;

  ck_assert(!cfi_row_find_whole(cfi_scan_best(), DATABASE, AGREES_DEPTH, text,
                                sizeof text - 1, 0, &places));
}
END_TEST

START_TEST(test_row_direct_declines_where_the_row_is_too_deep) {
  static const char text[] = "{\"seq\":1,\"id\":\"d\"," CHANGES "}";
  cfi_row_places places;

  for (size_t depth = 1; depth < 5; depth++)
    ck_assert_int_eq(cfi_row_find_whole(cfi_scan_best(), DATABASE, depth, text,
                                        sizeof text - 1, 0, &places),
                     depth >= 3);
}
END_TEST

/* ---- rows that begin to arrive ---- */

/* What a frame does, in two pieces: the same as the scanner alone, and the
   places of the whole row or none. Answers whether there were any. */
static bool arrives(const cfi_scan_path *path, const char *text, size_t len,
                    size_t cut, bool one_line) {
  cfi_scan scan = {0}, plain_scan = {0};
  cfi_row_places places, whole;
  cfi_scan_result result, wanted;
  size_t pos = 0, plain_pos = 0;
  bool found;

  wanted =
      path->object(&plain_scan, AGREES_DEPTH, one_line, text, len, &plain_pos);
  result = cfi_row_find(path, &scan, AGREES_DEPTH, one_line, text, cut, &pos,
                        &places);
  ck_assert(pos == 0 || pos == cut || result != CFI_SCAN_MORE);
  if (result == CFI_SCAN_MORE)
    result = path->object(&scan, AGREES_DEPTH, one_line, text, len, &pos);
  ck_assert_int_eq(result, wanted);
  ck_assert_uint_eq(pos, plain_pos);
  if (result != CFI_SCAN_END)
    return false;
  ck_assert_uint_eq(scan.inner, plain_scan.inner);
  found = cfi_row_find_end(&places, text, pos, scan.inner);
  if (!found)
    return false;
  ck_assert(cfi_row_find_whole(path, places.source, AGREES_DEPTH, text, pos,
                               scan.inner, &whole));
  ck_assert(whole.seq.at == places.seq.at && whole.seq.len == places.seq.len);
  ck_assert(whole.id.at == places.id.at && whole.id.len == places.id.len);
  ck_assert(whole.last_rev.at == places.last_rev.at &&
            whole.last_rev.len == places.last_rev.len);
  ck_assert(whole.first_rev == places.first_rev &&
            whole.rev_count == places.rev_count);
  ck_assert(whole.doc == places.doc && whole.end == places.end &&
            whole.deleted == places.deleted);
  return true;
}

START_TEST(test_row_direct_finds_a_row_that_arrives_in_pieces) {
  static const char *const rows[] = {
      "{\"seq\":1,\"id\":\"d\"," CHANGES "}{\"seq\"",
      "{\"seq\":\"1-x\",\"id\":\"d\"," CHANGES ",\"deleted\":true}\n{",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\"a\":[{\"}\":1}]}}\n",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{},\"x\":1}\n",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\n}}\n",
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\"\n\"}}\n",
      "{\"seq\":1, \"id\":\"d\"," CHANGES "}\n",
      LISTED "},\r\n{\"id\"",
      LISTED ",\"doc\":{\"a\":[{\"}\":1}]}},\r\n",
      LISTED ",\"doc\":{},\"x\":1}\n",
      "{\"key\":\"d\",\"error\":\"not_found\"},\r\n"};
  /* with all of the row, and with the document begun */
  static const bool whole[] = {true,  true, true, false, true, false,
                               false, true, true, false, false};
  static const bool begun[] = {false, false, true, false, true, false,
                               false, false, true, false, false};
  const cfi_scan_path *path;

  for (size_t k = 0; (path = cfi_scan_path_at(k)) != NULL; k++)
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
      const char *doc = strstr(rows[i], "\"doc\":");
      size_t len = strlen(rows[i]);

      for (size_t cut = 1; cut <= len; cut++) {
        (void)arrives(path, rows[i], len, cut, true);
        (void)arrives(path, rows[i], len, cut, false);
      }
      ck_assert_int_eq(arrives(path, rows[i], len, len, false), whole[i]);
      if (doc != NULL)
        ck_assert_int_eq(
            arrives(path, rows[i], len, (size_t)(doc - rows[i]) + 7, false),
            begun[i]);
    }
}
END_TEST

/* ---- framed rows ---- */

/* The row cut by a frame; what its parser makes of it, with what the frame has
   found or without. */
static cfi_row_kind parse_framed(const char *text, bool told, cfi_row *out) {
  cfi_row_parser *p = cfi_row_parser_new(&alloc, AGREES_DEPTH);
  cfi_frame f;
  cfi_frame_item item;
  cfi_row_kind kind;

  ck_assert_ptr_nonnull(p);
  cfi_frame_init(&f, &alloc, 1000, AGREES_DEPTH);
  cfi_frame_start(&f, CFI_FRAME_LINES);
  ck_assert_int_eq(cfi_frame_next(&f, text, strlen(text), &item),
                   CFI_FRAME_ROW);
  ck_assert_uint_eq(item.len, strlen(text));
  kind = told ? cfi_row_parse_framed(p, DATABASE, text, item.len, item.inner,
                                     item.places, out)
              : cfi_row_parse(p, DATABASE, text, item.len, out);
  /* Only what does not live in the parser is looked at. */
  cfi_row_parser_free(p);
  cfi_frame_free(&f);
  return kind;
}

START_TEST(test_row_direct_leaves_documents_alone_only_when_it_may) {
  static const char whole[] =
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\"a\":[1]}}";
  static const char broken[] =
      "{\"seq\":1,\"id\":\"d\"," CHANGES ",\"doc\":{\"a\":[1}}}";
  static const char other[] =
      "{\"id\":\"d\",\"seq\":1," CHANGES ",\"doc\":{\"a\":[1}}}";
  cfi_row row;

  for (int told = 0; told < 2; told++) {
    ck_assert_int_eq(parse_framed(whole, told != 0, &row), CFI_ROW_CHANGE);
    ck_assert_uint_eq(row.doc_len, strlen("{\"a\":[1]}"));
    /* Not CouchDB's way to write a row: the parser reads all of it. */
    ck_assert_int_eq(parse_framed(other, told != 0, &row), CFI_ROW_BAD);
  }
  ck_assert_int_eq(parse_framed(broken, true, &row), CFI_ROW_CHANGE);
  ck_assert_int_eq(parse_framed(broken, false, &row), CFI_ROW_BAD);
}
END_TEST

/* ---- rows at random ---- */

static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15U);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

static const char *one_of(uint64_t *seed, const char *const *list, size_t n) {
  return list[next_random(seed) % n];
}

#define ONE_OF(seed, list) one_of(seed, list, sizeof list / sizeof list[0])

/* Mostly canonical: each part has a wrong form or two. */
static size_t make_row(char *out, size_t size, uint64_t *seed) {
  static const char *const seqs[] = {
      "1",
      "null",
      "\"5-g1AAAAB5eJzLYWBgYMpgTmEQTM4vTc5ISXIwNDLXMwBCwxyQVCJDUv"
      "3___-zMpgTmXOBAuzGycnmKUmp2DTgMSaPBUgyNACp_yDTEhmyAHJ5IMM\"",
      "\"\"",
      "[1,\"a\"]",
      "12345678901234567890"};
  static const char *const ids[] = {
      "d",
      "0123456789abcdef0123456789abcdef",
      "\xe2\x98\x83\xc3\xa9",
      "a\\/b",
      "_design/x",
      "an id that is longer than two of the widest blocks are, "
      "which is the longest step of any path there is"};
  static const char *const middles[] = {"", "", ",{\"rev\":\"2-b\"}",
                                        ",{\"rev\":\"3-c\"},{\"rev\":\"\"}"};
  static const char *const ends[] = {
      "",
      "",
      ",\"deleted\":true",
      ",\"doc\":{\"a\":[{},{\"b\":\"\\\"}\"}]}",
      ",\"deleted\":true,\"doc\":{\"_id\":\"x\"}",
      ",\"doc\":null",
      ",\"doc\":{\"a\":1},\"x\":2"};

  return (size_t)snprintf(
      out, size,
      "{\"seq\":%s,\"id\":\"%s\",\"changes\":[{\"rev\":\"1-a\"}%s]%s}",
      ONE_OF(seed, seqs), ONE_OF(seed, ids), ONE_OF(seed, middles),
      ONE_OF(seed, ends));
}

static size_t make_listed(char *out, size_t size, uint64_t *seed) {
  static const char *const ids[] = {
      "d",
      "0123456789abcdef0123456789abcdef",
      "\xe2\x98\x83\xc3\xa9",
      "a\\/b",
      "_design/x",
      "an id that is longer than two of the widest blocks are, "
      "which is the longest step of any path there is"};
  static const char *const keys[] = {"\"d\"", "\"d\"", "\"\"", "null",
                                     "\"\xe2\x98\x83\""};
  static const char *const revs[] = {
      "1-a", "12-967a00dff5e02add41819138abb3284d", "", "1-\\u0061"};
  static const char *const middles[] = {"", "", "", ",\"deleted\":true",
                                        ",\"deleted\":false"};
  static const char *const ends[] = {"",
                                     "",
                                     ",\"doc\":{\"a\":[{},{\"b\":\"\\\"}\"}]}",
                                     ",\"doc\":null",
                                     ",\"error\":\"x\"",
                                     ",\"doc\":{\"a\":1},\"x\":2"};

  return (size_t)snprintf(
      out, size, "{\"id\":\"%s\",\"key\":%s,\"value\":{\"rev\":\"%s\"%s}%s}",
      ONE_OF(seed, ids), ONE_OF(seed, keys), ONE_OF(seed, revs),
      ONE_OF(seed, middles), ONE_OF(seed, ends));
}

/* One byte made another, doubled, or dropped. */
static size_t spoil(char *text, size_t len, uint64_t *seed) {
  static const char bytes[] = "\"\\{}[],:0 1a\n\x80\xc3";
  size_t at = (size_t)(next_random(seed) % len);

  switch (next_random(seed) % 3) {
  case 0:
    text[at] = bytes[next_random(seed) % (sizeof bytes - 1)];
    return len;
  case 1:
    memmove(text + at + 1, text + at, len - at);
    return len + 1;
  default:
    memmove(text + at, text + at + 1, len - at - 1);
    return len - 1;
  }
}

static void agree_on_random_rows(cfi_row_source source,
                                 size_t (*make)(char *out, size_t size,
                                                uint64_t *seed)) {
  uint64_t seed = 3;
  size_t whole = 0, spoiled = 0;

  for (int round = 0; round < 20000; round++) {
    char text[1024];
    size_t len = make(text, sizeof text - 8, &seed);

    ck_assert_uint_lt(len, sizeof text - 8);
    whole += takes(source, text, len);
    (void)arrives(cfi_scan_best(), text, len,
                  1 + (size_t)(next_random(&seed) % len), false);
    for (uint64_t n = 1 + next_random(&seed) % 3; n != 0; n--)
      len = spoil(text, len, &seed);
    spoiled += takes(source, text, len);
  }
  /* Both ways were gone often enough to mean something. */
  ck_assert_uint_gt(whole, 5000);
  ck_assert_uint_lt(whole, 18000);
  ck_assert_uint_gt(spoiled, 500);
}

START_TEST(test_row_direct_agrees_on_random_rows) {
  agree_on_random_rows(DATABASE, make_row);
}
END_TEST

START_TEST(test_row_direct_agrees_on_random_rows_of_a_list) {
  agree_on_random_rows(ALL_DOCS, make_listed);
}
END_TEST

/* ---- memory ---- */

START_TEST(test_row_direct_without_memory_says_so) {
  static const char text[] = "{\"seq\":1,\"id\":\"d\"," CHANGES "}";
  cft_failing c;
  cfi_arena texts;
  cfi_row_places places;
  cfi_row row = {0};

  cft_failing_init(&c, 1);
  cfi_arena_init(&texts, &c.alloc, 2048);
  ck_assert(cfi_row_find_whole(cfi_scan_best(), DATABASE, AGREES_DEPTH, text,
                               sizeof text - 1, 0, &places));
  ck_assert(!cfi_row_copy(&texts, text, &places, &row));
  cfi_arena_free(&texts);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

/* A batch of rows, again and again. */
START_TEST(test_row_direct_batches_cost_no_allocation) {
  enum { BATCH = 100 };
  cft_failing c;
  cfi_row_parser *p;
  char text[1024];
  int len = snprintf(text, sizeof text,
                     "{\"seq\":\"1-%0200d\",\"id\":\"%032d\"," CHANGES
                     ",\"deleted\":true}",
                     0, 0);
  size_t calls = 0;

  cft_failing_init(&c, 0);
  p = cfi_row_parser_new(&c.alloc, AGREES_DEPTH);
  ck_assert_ptr_nonnull(p);
  for (int batch = 0; batch < 100; batch++) {
    for (int i = 0; i < BATCH; i++) {
      cfi_row row;

      ck_assert_int_eq(cfi_row_parse(p, DATABASE, text, (size_t)len, &row),
                       CFI_ROW_CHANGE);
    }
    cfi_row_reset(p);
    if (batch == 0)
      calls = c.calls;
  }
  ck_assert_uint_eq(c.calls, calls);
  /* What is left is the parser. */
  cfi_row_rest(p);
  ck_assert_uint_eq(c.live, 1);
  cfi_row_parser_free(p);
  ck_assert_uint_eq(c.live, 0);
}
END_TEST

/* A row of nothing but revisions: its length, and two words for each. */
START_TEST(test_row_direct_memory_is_bounded_by_the_row) {
  enum { COUNT = 100000 };
  char *text = malloc(COUNT * 12 + 64), *p = text;
  cft_failing c;
  cfi_arena texts;
  cfi_row row;

  ck_assert_ptr_nonnull(text);
  p += sprintf(p, "{\"seq\":1,\"id\":\"d\",\"changes\":[{\"rev\":\"\"}");
  for (int i = 1; i < COUNT; i++)
    p += sprintf(p, ",{\"rev\":\"\"}");
  p += sprintf(p, "]}");
  cft_failing_init(&c, 0);
  cfi_arena_init(&texts, &c.alloc, 2048);
  ck_assert(agrees_direct(&texts, cfi_scan_best(), DATABASE, text,
                          (size_t)(p - text), 0, &row));
  ck_assert_uint_eq(row.rev_count, COUNT);
  for (size_t i = 0; i < COUNT; i++)
    ck_assert(row.revs[i].len == 0 && row.revs[i].data[0] == '\0');
  ck_assert_uint_eq(c.calls, 1);
  ck_assert_uint_le(c.bytes,
                    (size_t)(p - text) + COUNT * sizeof(changefeed_str) + 64);
  cfi_arena_free(&texts);
  ck_assert_uint_eq(c.live, 0);
  free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("row_direct");
  TCase *rows = tcase_create("rows");
  TCase *memory = tcase_create("memory");

  tcase_add_unchecked_fixture(rows, setup, NULL);
  tcase_add_test(rows, test_row_direct_takes_what_couchdb_writes);
  tcase_add_test(rows, test_row_direct_leaves_all_else_to_the_parser);
  tcase_add_test(rows, test_row_direct_does_not_look_into_a_document);
  tcase_add_test(rows, test_row_direct_does_not_take_a_row_that_was_cut);
  tcase_add_test(rows, test_row_direct_needs_the_frame_to_find_a_document);
  tcase_add_test(rows, test_row_direct_declines_where_the_row_is_too_deep);
  tcase_add_test(rows, test_row_direct_finds_a_row_that_arrives_in_pieces);
  tcase_add_test(rows, test_row_direct_leaves_documents_alone_only_when_it_may);
  tcase_add_test(rows, test_row_direct_takes_rows_of_the_list_of_documents);
  tcase_add_test(rows, test_row_direct_agrees_on_random_rows);
  tcase_add_test(rows, test_row_direct_agrees_on_random_rows_of_a_list);
  suite_add_tcase(suite, rows);
  tcase_add_test(memory, test_row_direct_without_memory_says_so);
  tcase_add_test(memory, test_row_direct_batches_cost_no_allocation);
  tcase_add_test(memory, test_row_direct_memory_is_bounded_by_the_row);
  suite_add_tcase(suite, memory);
  return cft_run(suite);
}
