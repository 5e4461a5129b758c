/*
 * One row taken apart: nothing is accepted that yajl refuses, and nothing is
 * called invalid JSON that it accepts; what jansson reads has the same members;
 * what is handed out is text and lies within the row; a second time, or after a
 * failed allocation, it is the same.
 *
 * Input: source, depth and failing call, then the row.
 */
#include "fuzz/fuzz.h"

#include "fuzz/plain_jansson.h"
#include "fuzz/plain_yajl.h"
#include "json.h"
#include "row.h"
#include "str.h"
#include "support/failing.h"

static const size_t depths[] = {1, 2, 3, 1000};

static void check_text(changefeed_str s) {
  if (s.data == NULL)
    return;
  CFT_FUZZ_CHECK(s.data[s.len] == '\0');
  CFT_FUZZ_CHECK(cfi_str_is_utf8(s.data, s.len));
}

/* An array's text is passed on as it is, whatever bytes are in it. */
static void check_position(changefeed_str s) {
  if (s.data == NULL)
    return;
  CFT_FUZZ_CHECK(s.data[s.len] == '\0');
  CFT_FUZZ_CHECK((s.len != 0 && s.data[0] == '[') ||
                 cfi_str_is_utf8(s.data, s.len));
}

static bool same(changefeed_str a, changefeed_str b) {
  return cfi_str_same(a, b);
}

static bool same_row(const cfi_row *a, const cfi_row *b) {
  for (size_t i = 0; i < a->rev_count && i < b->rev_count; i++)
    if (!same(a->revs[i], b->revs[i]))
      return false;
  return same(a->seq, b->seq) && same(a->id, b->id) &&
         a->rev_count == b->rev_count && a->doc_offset == b->doc_offset &&
         a->doc_len == b->doc_len && a->deleted == b->deleted &&
         a->has_error == b->has_error && same(a->last_seq, b->last_seq) &&
         a->pending == b->pending && a->has_results == b->has_results &&
         same(a->error, b->error) && same(a->reason, b->reason);
}

static const char *id_of(cfi_row_source source) {
  return source == CFI_ROW_OF_DB_UPDATES ? "db_name" : "id";
}

static void check_row(cfi_row_kind kind, cfi_row_source source,
                      const cfi_row *row, const char *text, size_t len) {
  static plain_member id;

  CFT_FUZZ_CHECK(plain_accepts(text, len));
  check_position(row->seq);
  check_position(row->last_seq);
  check_text(row->id);
  check_text(row->error);
  check_text(row->reason);
  for (size_t i = 0; i < row->rev_count; i++) {
    CFT_FUZZ_CHECK(row->revs[i].data != NULL);
    check_text(row->revs[i]);
  }
  CFT_FUZZ_CHECK(row->doc_len <= len && row->doc_offset <= len - row->doc_len);
  CFT_FUZZ_CHECK(row->doc_len == 0 ||
                 (text[row->doc_offset] == '{' &&
                  plain_accepts(text + row->doc_offset, row->doc_len)));
  CFT_FUZZ_CHECK(row->pending >= -1);
  plain_find(&id, id_of(source), text, len);
  CFT_FUZZ_CHECK((kind == CFI_ROW_CHANGE) == (row->id.data != NULL));
  /* A document that was asked for and is none is known by the key. */
  if (source == CFI_ROW_OF_ALL_DOCS && row->has_error && !id.found)
    plain_find(&id, "key", text, len);
  if (row->id.len < sizeof id.text)
    CFT_FUZZ_CHECK(id.found == (row->id.data != NULL));
  if (id.found)
    CFT_FUZZ_CHECK(row->id.len == id.len &&
                   memcmp(row->id.data, id.text, id.len) == 0);
}

/* ---- what jansson reads ---- */

static void check_revs(const json_t *changes, const cfi_row *row) {
  CFT_FUZZ_CHECK(json_array_size(changes) == row->rev_count);
  for (size_t i = 0; i < row->rev_count; i++)
    CFT_FUZZ_CHECK(jansson_same_text(
        json_object_get(json_array_get(changes, i), "rev"), row->revs[i]));
}

static void check_doc(const json_t *doc, const cfi_row *row, const char *text) {
  json_t *same = NULL;

  if (row->doc_len != 0)
    same = jansson_read(text + row->doc_offset, row->doc_len);
  if (json_is_object(doc))
    CFT_FUZZ_CHECK(json_equal(doc, same));
  else
    CFT_FUZZ_CHECK(row->doc_len == 0);
  json_decref(same);
}

/* "-0" is the one spelling of a whole number that is not one. */
static void check_pending(const json_t *pending, const cfi_row *row,
                          const char *text, size_t len) {
  json_int_t value = json_integer_value(pending);

  if (!json_is_integer(pending) || value < 0)
    CFT_FUZZ_CHECK(row->pending == -1);
  else if (row->pending != value)
    CFT_FUZZ_CHECK(value == 0 && row->pending == -1 &&
                   cfi_str_find(text, len, "-0") != NULL);
}

static void check_listed(const json_t *value, const cfi_row *row) {
  if (value == NULL) {
    CFT_FUZZ_CHECK(row->rev_count == 0 && !row->deleted);
    return;
  }
  CFT_FUZZ_CHECK(row->rev_count == 1);
  CFT_FUZZ_CHECK(
      jansson_same_text(json_object_get(value, "rev"), row->revs[0]));
  CFT_FUZZ_CHECK(row->deleted ==
                 json_is_true(json_object_get(value, "deleted")));
}

/* What only a list of documents has, and what it has not. */
static void check_list_members(const json_t *j, const cfi_row *row,
                               const char *text) {
  const json_t *id = json_object_get(j, "id");

  CFT_FUZZ_CHECK(row->seq.data == NULL && row->last_seq.data == NULL);
  CFT_FUZZ_CHECK(row->pending == -1);
  if (id == NULL && row->has_error)
    id = json_object_get(j, "key");
  CFT_FUZZ_CHECK(jansson_same_text(id, row->id));
  CFT_FUZZ_CHECK(row->has_results == json_is_array(json_object_get(j, "rows")));
  check_listed(json_object_get(j, "value"), row);
  check_doc(json_object_get(j, "doc"), row, text);
}

static void check_messages(const json_t *j, const cfi_row *row) {
  const json_t *error = json_object_get(j, "error");

  CFT_FUZZ_CHECK(jansson_same_text(error, row->error));
  CFT_FUZZ_CHECK(jansson_same_text(json_object_get(j, "reason"), row->reason));
  CFT_FUZZ_CHECK(row->has_error == (error != NULL && !json_is_null(error)));
}

static void check_members(const json_t *j, cfi_row_source source,
                          const cfi_row *row, const char *text, size_t len) {
  bool database = source == CFI_ROW_OF_DATABASE;
  const json_t *type = json_object_get(j, "type");

  CFT_FUZZ_CHECK(json_is_object(j));
  check_messages(j, row);
  if (source == CFI_ROW_OF_ALL_DOCS) {
    check_list_members(j, row, text);
    return;
  }
  CFT_FUZZ_CHECK(jansson_same_seq(json_object_get(j, "seq"), row->seq));
  CFT_FUZZ_CHECK(
      jansson_same_seq(json_object_get(j, "last_seq"), row->last_seq));
  CFT_FUZZ_CHECK(jansson_same_text(json_object_get(j, id_of(source)), row->id));
  CFT_FUZZ_CHECK(row->has_results ==
                 json_is_array(json_object_get(j, "results")));
  check_pending(json_object_get(j, "pending"), row, text, len);
  check_revs(database ? json_object_get(j, "changes") : NULL, row);
  check_doc(database ? json_object_get(j, "doc") : NULL, row, text);
  if (database)
    CFT_FUZZ_CHECK(row->deleted == json_is_true(json_object_get(j, "deleted")));
  else
    CFT_FUZZ_CHECK(row->deleted ==
                   (json_is_string(type) &&
                    strcmp(json_string_value(type), "deleted") == 0));
}

/* What the stricter parser reads is JSON and text for ours too. */
static void check_agreed(cfi_row_kind kind, cfi_row_source source,
                         const cfi_row *row, const char *text, size_t len) {
  json_t *j = jansson_read(text, len);

  if (j != NULL && kind == CFI_ROW_BAD) {
    CFT_FUZZ_CHECK(row->why != cfi_json_why(CFI_JSON_INVALID));
    CFT_FUZZ_CHECK(row->why != cfi_json_why(CFI_JSON_NOT_TEXT));
  } else if (j != NULL) {
    check_members(j, source, row, text, len);
  }
  json_decref(j);
}

static void check_bad(const cfi_row *row, const char *text, size_t len) {
  CFT_FUZZ_CHECK(row->why != NULL);
  if (strcmp(row->why, cfi_json_why(CFI_JSON_INVALID)) == 0)
    CFT_FUZZ_CHECK(!plain_accepts(text, len));
}

/* A parser of its own, so that each of its allocations is one of this row. */
static void check_without_memory(uint8_t how, cfi_row_source source,
                                 size_t depth, const char *text, size_t len,
                                 cfi_row_kind wanted) {
  cft_failing c;
  cfi_row_parser *p;
  cfi_row row;
  cfi_row_kind kind = CFI_ROW_NOMEM;

  cft_failing_init(&c, 0);
  c.fail_at = how % 8;
  c.fails = how >= 128 ? CFT_FOR_GOOD : 1;
  p = cfi_row_parser_new(&c.alloc, depth);
  if (p != NULL)
    kind = cfi_row_parse(p, source, text, len, &row);
  CFT_FUZZ_CHECK(kind == wanted || (kind == CFI_ROW_NOMEM && c.fail_at != 0));
  cfi_row_parser_free(p);
  CFT_FUZZ_CHECK(c.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cft_failing c;
  cfi_row_parser *p;
  cfi_row row, again;
  cfi_row_kind kind;
  cfi_row_source source;
  const char *text;
  size_t len, depth;

  if (size < 2)
    return 0;
  source =
      (data[0] & 8) != 0 ? CFI_ROW_OF_ALL_DOCS : (cfi_row_source)(data[0] % 2);
  depth = depths[data[0] / 2 % 4];
  text = (const char *)data + 2;
  len = size - 2;
  cft_failing_init(&c, 0);
  p = cfi_row_parser_new(&c.alloc, depth);
  CFT_FUZZ_CHECK(p != NULL);
  kind = cfi_row_parse(p, source, text, len, &row);
  CFT_FUZZ_CHECK(kind != CFI_ROW_NOMEM);
  if (kind == CFI_ROW_BAD)
    check_bad(&row, text, len);
  else
    check_row(kind, source, &row, text, len);
  check_agreed(kind, source, &row, text, len);

  CFT_FUZZ_CHECK(cfi_row_parse(p, source, text, len, &again) == kind);
  CFT_FUZZ_CHECK(kind == CFI_ROW_BAD ? row.why == again.why
                                     : same_row(&row, &again));
  cfi_row_parser_free(p);
  CFT_FUZZ_CHECK(c.live == 0);
  check_without_memory(data[1], source, depth, text, len, kind);
  return 0;
}
