/*
 * What is printed of a change.
 */
#include "rows.h"

/* JSON as it came when it is on one line. */
static changefeed_str one_line(changefeed_str json, textbuf *scratch) {
  if (json.data == NULL || !has_line_break(json.data, json.len))
    return json;
  text_put_compact(scratch, json.data, json.len);
  return (changefeed_str){scratch->data, scratch->len};
}

static void put_tsv(const changefeed_change *c, textbuf *t) {
  text_put_escaped(t, c->seq);
  text_putc(t, '\t');
  text_put_escaped(t, c->id);
  text_putc(t, '\t');
  if (c->rev_count != 0)
    text_put_escaped(t, c->revs[0]);
  text_puts(t, (c->flags & CHANGEFEED_DELETED) != 0 ? "\t1" : "\t0");
}

bool row_line(row_format format, const changefeed_change *c, textbuf *scratch,
              changefeed_str *line) {
  text_trim(scratch);
  switch (format) {
  case FORMAT_ROW:
    *line = one_line(c->row, scratch);
    break;
  case FORMAT_DOC:
    *line = one_line(c->doc, scratch);
    break;
  case FORMAT_ID:
    text_put_escaped(scratch, c->id);
    *line = (changefeed_str){scratch->data, scratch->len};
    break;
  case FORMAT_TSV:
    put_tsv(c, scratch);
    *line = (changefeed_str){scratch->data, scratch->len};
    break;
  }
  return text_ok(scratch);
}
