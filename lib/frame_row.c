/*
 * Within a row. Its first piece is read as a row of CouchDB's, which finds the
 * row's end and its strings at once; a row that is none, or whose document has
 * not begun yet, is scanned from its start. That is tried once for a row, so a
 * byte is looked at twice here at most, whatever the pieces.
 */
#include "frame_row.h"

void cfi_frame_begin_row(cfi_frame *f, bool stray) {
  f->in_row = true;
  f->row = f->pos;
  f->stray = stray;
}

cfi_frame_kind cfi_frame_fail(cfi_frame *f, cfi_frame_kind kind,
                              const char *why) {
  f->failed = kind;
  f->why = why;
  return kind;
}

static cfi_frame_kind fault(cfi_frame *f, cfi_scan_result result) {
  switch (result) {
  case CFI_SCAN_TOO_DEEP:
    return cfi_frame_fail(f, CFI_FRAME_TOO_DEEP, "a row is nested too deep");
  case CFI_SCAN_CONTROL:
    return cfi_frame_fail(f, CFI_FRAME_BAD,
                          "a string in a row holds a control character");
  default:
    return cfi_frame_fail(f, CFI_FRAME_BAD, "an event ends inside of its row");
  }
}

static cfi_scan_result look(cfi_frame *f, const char *text, size_t held,
                            size_t *pos) {
  bool one_line = f->mode == CFI_FRAME_EVENTS;
  cfi_scan_result result = CFI_SCAN_MORE;

  if (*pos == 0)
    result = cfi_row_find(f->path, &f->scan, f->max_depth, one_line, text, held,
                          pos, &f->places);
  if (result == CFI_SCAN_MORE && *pos != held)
    result = f->path->object(&f->scan, f->max_depth, one_line, text, held, pos);
  return result;
}

cfi_frame_kind cfi_frame_look_at_row(cfi_frame *f, const char *data, size_t len,
                                     cfi_frame_item *item) {
  const char *text = data + f->row;
  size_t held = len - f->row > f->max_row ? f->max_row : len - f->row;
  size_t pos = f->pos - f->row;
  cfi_scan_result result = look(f, text, held, &pos);

  f->pos = f->row + pos;
  if (result == CFI_SCAN_END) {
    f->in_row = false;
    item->offset = f->row;
    item->len = pos;
    item->stray = f->stray;
    item->inner = f->scan.inner;
    if (cfi_row_find_end(&f->places, text, pos, item->inner))
      item->places = &f->places;
    return CFI_FRAME_ROW;
  }
  if (result != CFI_SCAN_MORE)
    return fault(f, result);
  if (pos >= f->max_row)
    return cfi_frame_fail(f, CFI_FRAME_TOO_LONG,
                          "a row is longer than allowed");
  return CFI_FRAME_MORE;
}
