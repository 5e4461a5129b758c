/*
 * Holds the direct way through a row to the JSON parser's: what it takes, the
 * parser takes too, and finds the same in it. Where the two may differ is the
 * inside of a document alone, and this says in what.
 */
#ifndef CFT_UNIT_ROW_AGREES_H
#define CFT_UNIT_ROW_AGREES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "row_direct.h"
#include "str.h"

/* Not assert: it must hold in release builds too. */
#define AGREES_CHECK(condition)                                                \
  do {                                                                         \
    if (!(condition)) {                                                        \
      (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,   \
                    #condition);                                               \
      abort();                                                                 \
    }                                                                          \
  } while (0)

enum { AGREES_DEPTH = 50 };

static inline void agrees_same(const cfi_row *a, const cfi_row *b) {
  AGREES_CHECK(cfi_str_same(a->seq, b->seq));
  AGREES_CHECK(cfi_str_same(a->id, b->id));
  AGREES_CHECK(a->rev_count == b->rev_count);
  for (size_t i = 0; i < a->rev_count; i++)
    AGREES_CHECK(cfi_str_same(a->revs[i], b->revs[i]));
  AGREES_CHECK(a->doc_offset == b->doc_offset);
  AGREES_CHECK(a->deleted == b->deleted && a->has_error == b->has_error);
  AGREES_CHECK(cfi_str_same(a->last_seq, b->last_seq));
  AGREES_CHECK(a->pending == b->pending && a->has_results == b->has_results);
  AGREES_CHECK(cfi_str_same(a->error, b->error));
  AGREES_CHECK(cfi_str_same(a->reason, b->reason));
}

static inline void agrees_terminated(const cfi_row *row) {
  AGREES_CHECK(row->seq.data == NULL || row->seq.data[row->seq.len] == '\0');
  AGREES_CHECK(row->id.data[row->id.len] == '\0');
  for (size_t i = 0; i < row->rev_count; i++)
    AGREES_CHECK(row->revs[i].data[row->revs[i].len] == '\0');
}

static inline cfi_json_verdict agrees_skip(void *user,
                                           const cfi_json_event *event) {
  (void)user;
  (void)event;
  return CFI_JSON_SKIP;
}

/* Is the document JSON, as far as the parser looks at what it skips? */
static inline bool agrees_doc_is_json(const cfi_alloc *alloc, const char *doc,
                                      size_t len) {
  /* Two levels of the row are around it. */
  return cfi_json_parse(alloc, AGREES_DEPTH - 1, doc, len, agrees_skip, NULL) ==
         CFI_JSON_OK;
}

/* The row with {} for its document. */
static inline cfi_row_kind
agrees_without_doc(cfi_row_parser *p, cfi_row_source source, const char *text,
                   const cfi_row *taken, cfi_row *out) {
  char *other = malloc(taken->doc_offset + 3);
  cfi_row_kind kind;

  AGREES_CHECK(other != NULL);
  memcpy(other, text, taken->doc_offset);
  memcpy(other + taken->doc_offset, "{}}", 3);
  kind = cfi_row_parse_by_json(p, source, other, taken->doc_offset + 3, out);
  free(other);
  return kind;
}

static inline void agrees_on_doc(const cfi_alloc *alloc, cfi_row_parser *p,
                                 cfi_row_source source, const char *text,
                                 size_t len, const cfi_row *taken) {
  const char *doc = text + taken->doc_offset;
  cfi_scan scan = {0};
  size_t end = 0;
  cfi_row row;

  AGREES_CHECK(taken->doc_offset + taken->doc_len == len - 1);
  /* What is certain of any document. */
  AGREES_CHECK(cfi_scan_path_at(0)->object(&scan, AGREES_DEPTH - 1, false, doc,
                                           taken->doc_len,
                                           &end) == CFI_SCAN_END);
  AGREES_CHECK(end == taken->doc_len && doc[0] == '{' && doc[end - 1] == '}');
  AGREES_CHECK(agrees_without_doc(p, source, text, taken, &row) ==
               CFI_ROW_CHANGE);
  AGREES_CHECK(row.doc_len == 2);
  agrees_same(taken, &row);
  /* If the parser refuses the row, that is for its document alone. */
  if (cfi_row_parse_by_json(p, source, text, len, &row) == CFI_ROW_CHANGE) {
    AGREES_CHECK(row.doc_len == taken->doc_len);
    agrees_same(taken, &row);
  } else {
    AGREES_CHECK(!agrees_doc_is_json(alloc, doc, taken->doc_len));
  }
}

/* The row as the direct way reads it; false: it declines. */
static inline bool agrees_direct(cfi_arena *texts, const cfi_scan_path *path,
                                 cfi_row_source source, const char *text,
                                 size_t len, size_t inner, cfi_row *out) {
  cfi_row_places places;

  memset(out, 0, sizeof *out);
  out->pending = -1;
  if (!cfi_row_find_whole(path, source, AGREES_DEPTH, text, len, inner,
                          &places))
    return false;
  AGREES_CHECK(cfi_row_copy(texts, text, &places, out));
  return true;
}

/* True when the row was taken directly. */
static inline bool row_agrees(const cfi_alloc *alloc, const cfi_scan_path *path,
                              cfi_row_source source, const char *text,
                              size_t len) {
  cfi_row_parser *p = cfi_row_parser_new(alloc, AGREES_DEPTH);
  cfi_scan scan = {0};
  cfi_arena texts;
  cfi_row taken, row;
  size_t end = 0;
  bool framed, is_taken;

  AGREES_CHECK(p != NULL);
  framed = len != 0 && text[0] == '{' &&
           path->object(&scan, AGREES_DEPTH, false, text, len, &end) ==
               CFI_SCAN_END &&
           end == len;
  cfi_arena_init(&texts, alloc, 2048);
  is_taken = agrees_direct(&texts, path, source, text, len,
                           framed ? scan.inner : 0, &taken);
  if (is_taken) {
    agrees_terminated(&taken);
    if (taken.doc_len != 0) {
      agrees_on_doc(alloc, p, source, text, len, &taken);
    } else {
      AGREES_CHECK(cfi_row_parse_by_json(p, source, text, len, &row) ==
                   CFI_ROW_CHANGE);
      AGREES_CHECK(row.doc_len == 0);
      agrees_same(&taken, &row);
    }
  }
  cfi_arena_free(&texts);
  cfi_row_parser_free(p);
  return is_taken;
}

#endif
