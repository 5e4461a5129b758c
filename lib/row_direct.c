/*
 * A cursor that passes over the words of a canonical row and notes where its
 * strings are. Then one piece of memory is made for all of them: the front of
 * the row is copied as it is, and a '\0' put in place of each closing quote.
 */
#include "row_direct.h"

#include <stdint.h>
#include <string.h>

#include "str.h"

typedef struct cursor {
  const cfi_scan_path *path;
  const char *at, *end;
} cursor;

static inline bool pass(cursor *c, const char *word, size_t len) {
  if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
    return false;
  c->at += len;
  return true;
}

#define PASS(c, word) pass(c, word, sizeof word - 1)

/* From behind a string's first quote. What has an escape is not ours. */
static bool pass_string(cursor *c, changefeed_str *out) {
  bool ascii = true;
  const char *stop = c->path->plain(c->at, c->end, &ascii);

  if (stop == c->end || *stop != '"')
    return false;
  out->data = c->at;
  out->len = (size_t)(stop - c->at);
  c->at = stop + 1;
  return ascii || cfi_str_is_utf8(out->data, out->len);
}

/* A number is an integer, as each CouchDB that counts writes it. */
static bool pass_number(cursor *c, changefeed_str *out) {
  const char *begin = c->at;

  while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
    c->at++;
  out->data = begin;
  out->len = (size_t)(c->at - begin);
  return out->len == 1 || (out->len != 0 && *begin != '0');
}

static bool pass_position(cursor *c, changefeed_str *out) {
  if (PASS(c, "\""))
    return pass_string(c, out);
  return PASS(c, "null") || pass_number(c, out);
}

#define REV_BEGINS "{\"rev\":\""
#define REV_ENDS "}," /* and another comes */

/* "changes": where its revisions are. */
typedef struct rev_places {
  const char *first;
  changefeed_str last;
  size_t count;
} rev_places;

static bool pass_revs(cursor *c, rev_places *revs) {
  do {
    if (!PASS(c, REV_BEGINS) || !pass_string(c, &revs->last))
      return false;
    if (revs->count++ == 0)
      revs->first = revs->last.data;
  } while (PASS(c, REV_ENDS));
  return PASS(c, "}]");
}

/* A document that is the last member ends where the row does: nothing else
   directly within the row begins behind its first brace. */
static bool pass_doc(cursor *c, const char *text, size_t inner, cfi_row *out) {
  size_t begin = (size_t)(c->at - text);

  if (PASS(c, "null"))
    return true;
  if (begin != inner || c->end - c->at < 3 || *c->at != '{' ||
      c->end[-2] != '}')
    return false;
  out->doc_offset = begin;
  out->doc_len = (size_t)(c->end - c->at) - 1;
  c->at = c->end - 1;
  return true;
}

static bool pass_change(cursor *c, const char *text, size_t inner, cfi_row *out,
                        rev_places *revs) {
  if (!PASS(c, "{\"seq\":") || !pass_position(c, &out->seq) ||
      !PASS(c, ",\"id\":\"") || !pass_string(c, &out->id) ||
      !PASS(c, ",\"changes\":[") || !pass_revs(c, revs))
    return false;
  out->deleted = PASS(c, ",\"deleted\":true");
  if (PASS(c, ",\"doc\":") && !pass_doc(c, text, inner, out))
    return false;
  return PASS(c, "}") && c->at == c->end;
}

static bool pass_update(cursor *c, cfi_row *out) {
  changefeed_str type;

  if (!PASS(c, "{\"db_name\":\"") || !pass_string(c, &out->id) ||
      !PASS(c, ",\"type\":\"") || !pass_string(c, &type) ||
      !PASS(c, ",\"seq\":") || !pass_position(c, &out->seq))
    return false;
  out->deleted = cfi_str_equal(type, "deleted");
  return PASS(c, "}") && c->at == c->end;
}

/* ---- the copy ---- */

/* s is a piece of text, and shall be that of its copy. */
static void move(changefeed_str *s, const char *text, char *copy) {
  char *moved;

  if (s->data == NULL)
    return;
  moved = copy + (s->data - text);
  moved[s->len] = '\0';
  s->data = moved;
}

/* Each ends at the first quote: there are no escapes. */
static void move_revs(const rev_places *from, const char *text, char *copy,
                      changefeed_str *revs) {
  char *at = copy + (from->first - text), *last;

  revs[from->count - 1] = from->last;
  move(&revs[from->count - 1], text, copy);
  last = copy + (from->last.data - text);
  for (size_t i = 0; i + 1 < from->count; i++) {
    char *end = memchr(at, '"', (size_t)(last - at));

    *end = '\0';
    revs[i].data = at;
    revs[i].len = (size_t)(end - at);
    at = end + (sizeof "\"" REV_ENDS REV_BEGINS - 1);
  }
}

/* Up to the byte behind the last string, which gives its place to a '\0'. */
static size_t copied_len(const char *text, const cfi_row *row,
                         const rev_places *revs) {
  const changefeed_str *last = revs->count != 0        ? &revs->last
                               : row->seq.data != NULL ? &row->seq
                                                       : &row->id;

  return (size_t)(last->data - text) + last->len + 1;
}

static bool copy_strings(cfi_arena *texts, const char *text,
                         const rev_places *found, cfi_row *row) {
  size_t len = copied_len(text, row, found), size;
  changefeed_str *revs;
  char *copy;

  if (found->count > (SIZE_MAX - len) / sizeof *revs)
    return false;
  size = found->count * sizeof *revs;
  revs = cfi_arena_get(texts, size + len);
  if (revs == NULL)
    return false;
  copy = (char *)revs + size;
  memcpy(copy, text, len);
  if (found->count != 0) {
    move_revs(found, text, copy, revs);
    row->revs = revs;
    row->rev_count = found->count;
  }
  move(&row->seq, text, copy);
  move(&row->id, text, copy);
  return true;
}

cfi_direct cfi_row_direct(cfi_arena *texts, const cfi_scan_path *path,
                          cfi_row_source source, const char *text, size_t len,
                          size_t inner, cfi_row *out) {
  cursor c = {path, text, text + len};
  rev_places revs = {NULL, {NULL, 0}, 0};
  cfi_row row = *out;

  if (!(source == CFI_ROW_OF_DATABASE
            ? pass_change(&c, text, inner, &row, &revs)
            : pass_update(&c, &row)) ||
      row.id.len == 0)
    return CFI_DIRECT_DECLINED;
  if (!copy_strings(texts, text, &revs, &row))
    return CFI_DIRECT_NOMEM;
  *out = row;
  return CFI_DIRECT_TAKEN;
}
