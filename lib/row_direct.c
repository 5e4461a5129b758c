/*
 * A cursor that passes over the words of a row and notes where its strings are.
 * Later one piece of memory is made for all of them: the front of the row is
 * copied as it is, and a '\0' put in place of each closing quote.
 */
#include "row_direct.h"

#include <stdint.h>
#include <string.h>

#include "str.h"

enum { DEPTH = 3 }; /* of a row, its document aside */

/* All that passes over a row is one function, which keeps its cursor in
   registers: each step waits for the one before it, and a step through memory
   takes as long as to look at 64 bytes. */
#define INLINE static inline __attribute__((always_inline))

typedef struct cursor {
  const cfi_scan_path *path;
  const char *text, *at, *end;
} cursor;

/* Compares by loads of fixed sizes, which may overlap: len is a constant where
   this is called, and a call of memcmp costs more than all of it. */
INLINE bool same_word(const char *a, const char *b, size_t len) {
  uint64_t a8[2], b8[2];
  uint32_t a4[2], b4[2];

  if (len >= 8) {
    memcpy(&a8[0], a, 8);
    memcpy(&a8[1], a + len - 8, 8);
    memcpy(&b8[0], b, 8);
    memcpy(&b8[1], b + len - 8, 8);
    return a8[0] == b8[0] && a8[1] == b8[1];
  }
  if (len >= 4) {
    memcpy(&a4[0], a, 4);
    memcpy(&a4[1], a + len - 4, 4);
    memcpy(&b4[0], b, 4);
    memcpy(&b4[1], b + len - 4, 4);
    return a4[0] == b4[0] && a4[1] == b4[1];
  }
  return a[0] == b[0] && a[len - 1] == b[len - 1] && a[len / 2] == b[len / 2];
}

/* len: 1 to 16. */
INLINE bool pass(cursor *c, const char *word, size_t len) {
  if ((size_t)(c->end - c->at) < len || !same_word(c->at, word, len))
    return false;
  c->at += len;
  return true;
}

#define PASS(c, word) pass(c, word, sizeof word - 1)

/* From behind a string's first quote. What has an escape is not ours. */
INLINE bool pass_string(cursor *c, cfi_piece *out) {
  const char *begin = c->at;
  cfi_scan_text found = c->path->plain(begin, c->end);

  if (found.end == c->end || *found.end != '"')
    return false;
  out->at = (size_t)(begin - c->text);
  out->len = (size_t)(found.end - begin);
  c->at = found.end + 1;
  return found.ascii || cfi_str_is_utf8(begin, out->len);
}

/* A number is an integer, as each CouchDB that counts writes it. */
INLINE bool pass_number(cursor *c, cfi_piece *out) {
  const char *begin = c->at;

  while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
    c->at++;
  out->at = (size_t)(begin - c->text);
  out->len = (size_t)(c->at - begin);
  return out->len == 1 || (out->len != 0 && *begin != '0');
}

INLINE bool pass_position(cursor *c, cfi_piece *out) {
  out->at = out->len = 0;
  if (PASS(c, "\""))
    return pass_string(c, out);
  return PASS(c, "null") || pass_number(c, out);
}

#define CHANGES_BEGIN ",\"changes\":["
#define REV_BEGINS "{\"rev\":\""
#define REV_ENDS "}," /* and another comes */

INLINE bool pass_revs(cursor *c, cfi_row_places *p) {
  p->rev_count = 0;
  if (!PASS(c, CHANGES_BEGIN))
    return false;
  do {
    if (!PASS(c, REV_BEGINS) || !pass_string(c, &p->last_rev))
      return false;
    if (p->rev_count++ == 0)
      p->first_rev = p->last_rev.at;
  } while (PASS(c, REV_ENDS));
  return PASS(c, "}]");
}

/* Up to the end of the row, or to the first brace of its document. */
INLINE bool pass_doc(cursor *c, cfi_row_places *p) {
  if (PASS(c, ",\"doc\":") && !PASS(c, "null")) {
    p->doc = (size_t)(c->at - c->text);
    return c->at < c->end && *c->at == '{';
  }
  if (!PASS(c, "}"))
    return false;
  p->end = (size_t)(c->at - c->text);
  return true;
}

INLINE bool pass_change(cursor *c, cfi_row_places *p) {
  p->source = CFI_ROW_OF_DATABASE;
  p->doc = p->end = 0;
  if (!PASS(c, "{\"seq\":") || !pass_position(c, &p->seq) ||
      !PASS(c, ",\"id\":\"") || !pass_string(c, &p->id) || p->id.len == 0 ||
      !pass_revs(c, p))
    return false;
  p->deleted = PASS(c, ",\"deleted\":true");
  return pass_doc(c, p);
}

#define VALUE_BEGINS ",\"value\":"

/* Of the list of documents. The key is the id. */
static bool pass_listed(cursor at, cfi_row_places *p) {
  cursor *c = &at;
  cfi_piece key;

  p->source = CFI_ROW_OF_ALL_DOCS;
  p->doc = p->end = p->seq.at = p->seq.len = 0;
  p->rev_count = 1;
  if (!PASS(c, "{\"id\":\"") || !pass_string(c, &p->id) || p->id.len == 0 ||
      !PASS(c, ",\"key\":\"") || !pass_string(c, &key) ||
      !PASS(c, VALUE_BEGINS) || !PASS(c, REV_BEGINS) ||
      !pass_string(c, &p->last_rev))
    return false;
  p->first_rev = p->last_rev.at;
  p->deleted = PASS(c, ",\"deleted\":true");
  return PASS(c, "}") && pass_doc(c, p);
}

static bool pass_update(cursor at, cfi_row_places *p) {
  cursor *c = &at;
  static const char deleted[] = "deleted";
  cfi_piece type;

  p->source = CFI_ROW_OF_DB_UPDATES;
  p->doc = p->rev_count = 0;
  if (!PASS(c, "{\"db_name\":\"") || !pass_string(c, &p->id) ||
      p->id.len == 0 || !PASS(c, ",\"type\":\"") || !pass_string(c, &type) ||
      !PASS(c, ",\"seq\":") || !pass_position(c, &p->seq) || !PASS(c, "}"))
    return false;
  p->deleted = type.len == sizeof deleted - 1 &&
               memcmp(c->text + type.at, deleted, type.len) == 0;
  p->end = (size_t)(c->at - c->text);
  return true;
}

/* Where what holds the revisions begins: in a row without a document nothing
   else is an object or an array. */
static size_t last_value(const cfi_row_places *p) {
  size_t brackets = p->source == CFI_ROW_OF_DATABASE ? 1 : 0;

  return p->first_rev - (sizeof REV_BEGINS - 1) - brackets;
}

cfi_scan_result cfi_row_find(const cfi_scan_path *path, cfi_scan *s,
                             size_t max_depth, bool one_line, const char *text,
                             size_t held, size_t *pos, cfi_row_places *out) {
  cursor c = {path, text, text, text + held};
  /* Told apart by the first letter of the first name. */
  bool listed = held > 2 && text[2] == 'i';

  if (max_depth < DEPTH ||
      !(listed ? pass_listed(c, out) : pass_change(&c, out))) {
    out->doc = out->end = 0;
    return CFI_SCAN_MORE;
  }
  if (out->end != 0) {
    *s = (cfi_scan){0, last_value(out), false, false};
    *pos = out->end;
    return CFI_SCAN_END;
  }
  *s = (cfi_scan){1, 0, false, false};
  *pos = out->doc;
  return path->object(s, max_depth, one_line, text, held, pos);
}

/* A document that is the last member ends where the row does: nothing else
   directly within the row begins behind its first brace. */
bool cfi_row_find_end(cfi_row_places *p, const char *text, size_t len,
                      size_t inner) {
  if (p->doc != 0 && p->doc == inner && text[len - 1] == '}' &&
      text[len - 2] == '}')
    p->end = len;
  return p->end == len;
}

bool cfi_row_find_whole(const cfi_scan_path *path, cfi_row_source source,
                        size_t max_depth, const char *text, size_t len,
                        size_t inner, cfi_row_places *out) {
  cursor c = {path, text, text, text + len};

  if (max_depth < DEPTH)
    return false;
  if (!(source == CFI_ROW_OF_DATABASE   ? pass_change(&c, out)
        : source == CFI_ROW_OF_ALL_DOCS ? pass_listed(c, out)
                                        : pass_update(c, out)))
    return false;
  return cfi_row_find_end(out, text, len, inner);
}

/* ---- the copy ---- */

static void move(const cfi_piece *piece, char *copy, changefeed_str *out) {
  if (piece->at == 0)
    return;
  out->data = copy + piece->at;
  out->len = piece->len;
  copy[piece->at + piece->len] = '\0';
}

/* Each ends at the first quote: there are no escapes. */
static void move_revs(const cfi_row_places *p, char *copy,
                      changefeed_str *revs) {
  char *at = copy + p->first_rev, *last = copy + p->last_rev.at;

  for (size_t i = 0; i + 1 < p->rev_count; i++) {
    char *end = memchr(at, '"', (size_t)(last - at));

    *end = '\0';
    revs[i].data = at;
    revs[i].len = (size_t)(end - at);
    at = end + (sizeof "\"" REV_ENDS REV_BEGINS - 1);
  }
  move(&p->last_rev, copy, &revs[p->rev_count - 1]);
}

bool cfi_row_copy(cfi_arena *texts, const char *text, const cfi_row_places *p,
                  cfi_row *out) {
  const cfi_piece *last = p->rev_count != 0 ? &p->last_rev
                          : p->seq.at != 0  ? &p->seq
                                            : &p->id;
  /* With the byte behind the last string, which gives its place to a '\0'. */
  size_t len = last->at + last->len + 1, size;
  changefeed_str *revs;
  char *copy;

  if (p->rev_count > (SIZE_MAX - len) / sizeof *revs)
    return false;
  size = p->rev_count * sizeof *revs;
  revs = cfi_arena_get(texts, size + len);
  if (revs == NULL)
    return false;
  copy = (char *)revs + size;
  memcpy(copy, text, len);
  if (p->rev_count != 0) {
    move_revs(p, copy, revs);
    out->revs = revs;
    out->rev_count = p->rev_count;
  }
  move(&p->seq, copy, &out->seq);
  move(&p->id, copy, &out->id);
  out->deleted = p->deleted;
  if (p->doc != 0) {
    out->doc_offset = p->doc;
    out->doc_len = p->end - 1 - p->doc;
  }
  return true;
}
