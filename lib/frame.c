/*
 * The byte machine that cuts a body into rows: what stands between them is read
 * by one small machine for each mode. That the rows are JSON is for others to
 * find out.
 */
#include "frame_row.h"

#include <string.h>

#include "str.h"

enum { ENVELOPE_MAX = 4096, ENVELOPE_KEEP = 512 };

enum state {
  BODY, /* nothing read yet, or a byte order mark */
  LIST_BEGIN,
  LIST_ENVELOPE,
  LIST_FIRST_ROW,
  LIST_AFTER_ROW,
  LIST_NEXT_ROW,
  LIST_END,
  LINES_BETWEEN,
  EVENTS_LINE, /* at the beginning of a line */
  EVENTS_DATA_NAME,
  EVENTS_EVENT_NAME,
  EVENTS_DATA,
  EVENTS_EVENT_SPACE,
  EVENTS_EVENT,
  EVENTS_AFTER_ROW,
  EVENTS_SKIP /* the rest of the line means nothing */
};

enum member { MEMBER_KEY, MEMBER_COLON, MEMBER_VALUE, MEMBER_REST };

static const char bom[] = "\xef\xbb\xbf";
static const char heartbeat[] = "heartbeat";
/* matched when the name read is another one; longer than any of them */
enum { NO_MATCH = 64 };

static cfi_frame_kind bad(cfi_frame *f, const char *why) {
  return cfi_frame_fail(f, CFI_FRAME_BAD, why);
}

static cfi_frame_kind begin_row(cfi_frame *f, bool stray) {
  cfi_frame_begin_row(f, stray);
  return CFI_FRAME_MORE;
}

static void row_ended(cfi_frame *f) {
  switch (f->mode) {
  case CFI_FRAME_LIST:
    f->state = LIST_AFTER_ROW;
    break;
  case CFI_FRAME_LINES:
    f->state = LINES_BETWEEN;
    break;
  case CFI_FRAME_EVENTS:
    f->state = EVENTS_AFTER_ROW;
    break;
  }
  f->gap = false;
}

/* A line break on a line with nothing else is a heartbeat. */
static void note_byte(cfi_frame *f, char c) {
  if (c == '\n') {
    if (f->line_empty)
      f->beats++;
    f->line_empty = true;
  } else if (!cfi_str_is_space(c)) {
    f->line_empty = false;
  }
}

/* ---- LIST ---- */

static cfi_frame_kind keep(cfi_frame *f, char c) {
  switch (cfi_buf_append(&f->envelope, &c, 1, ENVELOPE_MAX)) {
  case CFI_BUF_OK:
    return CFI_FRAME_MORE;
  case CFI_BUF_FULL:
    return cfi_frame_fail(f, CFI_FRAME_TOO_LONG,
                          "what stands around the rows is longer than allowed");
  default:
    return CFI_FRAME_NOMEM;
  }
}

static bool is_literal(char c) {
  int lower = cfi_str_lower((unsigned char)c);

  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '+' || c == '.';
}

static char last_kept(const cfi_frame *f) {
  return f->envelope.len != 0 ? cfi_buf_data(&f->envelope)[f->envelope.len - 1]
                              : '\0';
}

static bool names_rows(const cfi_frame *f) {
  return f->matched < NO_MATCH && f->list[f->matched] == '\0';
}

static cfi_frame_kind envelope_string(cfi_frame *f, char c) {
  cfi_frame_kind kind = keep(f, c);

  if (kind != CFI_FRAME_MORE)
    return kind;
  if (f->escaped) {
    f->escaped = false;
    return CFI_FRAME_MORE;
  }
  if (c == '"') {
    f->in_string = false;
    if (f->member == MEMBER_KEY)
      f->member = MEMBER_COLON;
    return CFI_FRAME_MORE;
  }
  f->escaped = c == '\\';
  if (f->member == MEMBER_KEY) {
    if (f->matched < NO_MATCH && c != '\0' && c == f->list[f->matched])
      f->matched++;
    else
      f->matched = NO_MATCH;
  }
  return CFI_FRAME_MORE;
}

static void begin_member(cfi_frame *f) {
  f->member = MEMBER_KEY;
  f->matched = 0;
}

static cfi_frame_kind open_value(cfi_frame *f) {
  if (f->outer == f->max_depth)
    return cfi_frame_fail(f, CFI_FRAME_TOO_DEEP,
                          "what stands around the rows is nested too deep");
  if (f->outer++ == 0)
    begin_member(f);
  return CFI_FRAME_MORE;
}

static cfi_frame_kind close_value(cfi_frame *f) {
  if (--f->outer != 0)
    return CFI_FRAME_MORE;
  f->state = LIST_END;
  return CFI_FRAME_TAIL;
}

/* What a kept byte of the envelope outside of strings means. */
static cfi_frame_kind note_structure(cfi_frame *f, char c) {
  bool value = f->member == MEMBER_VALUE;

  if (value)
    f->member = MEMBER_REST;
  switch (c) {
  case '"':
    f->in_string = true;
    return CFI_FRAME_MORE;
  case '[':
    if (value && names_rows(f)) {
      f->state = LIST_FIRST_ROW;
      return CFI_FRAME_MORE;
    }
    return open_value(f);
  case '{':
    return open_value(f);
  case '}':
  case ']':
    return close_value(f);
  case ',':
    if (f->outer == 1)
      begin_member(f);
    return CFI_FRAME_MORE;
  case ':':
    if (f->outer == 1 && f->member == MEMBER_COLON)
      f->member = MEMBER_VALUE;
    return CFI_FRAME_MORE;
  default:
    return CFI_FRAME_MORE;
  }
}

static cfi_frame_kind envelope_structure(cfi_frame *f, char c) {
  cfi_frame_kind kind = CFI_FRAME_MORE;

  if (cfi_str_is_space(c)) {
    f->gap = true;
    return CFI_FRAME_MORE;
  }
  /* "1 2" must not become 12. */
  if (f->gap && is_literal(c) && is_literal(last_kept(f)))
    kind = keep(f, ' ');
  if (kind == CFI_FRAME_MORE)
    kind = keep(f, c);
  if (kind != CFI_FRAME_MORE)
    return kind;
  f->gap = false;
  return note_structure(f, c);
}

static cfi_frame_kind end_rows(cfi_frame *f) {
  cfi_frame_kind kind = keep(f, ']');

  if (kind == CFI_FRAME_MORE)
    f->state = LIST_ENVELOPE;
  return kind;
}

static cfi_frame_kind between_rows(cfi_frame *f, char c) {
  if (c == '{')
    return begin_row(f, f->state == LIST_AFTER_ROW);
  if (cfi_str_is_space(c))
    return CFI_FRAME_MORE;
  if (c == ']' && f->state != LIST_NEXT_ROW)
    return end_rows(f);
  if (c != ',' || f->state != LIST_AFTER_ROW)
    return bad(f, "something that is not a row stands in \"results\"");
  f->state = LIST_NEXT_ROW;
  return CFI_FRAME_MORE;
}

static const char *not_a_list(char c) {
  return c == '<' ? "the body begins with '<': HTML, not a feed"
                  : "the body does not begin with '{'";
}

static cfi_frame_kind list_byte(cfi_frame *f, char c) {
  switch (f->state) {
  case LIST_BEGIN:
    if (cfi_str_is_space(c))
      return CFI_FRAME_MORE;
    if (c != '{')
      return bad(f, not_a_list(c));
    f->state = LIST_ENVELOPE;
    return envelope_structure(f, c);
  case LIST_ENVELOPE:
    return f->in_string ? envelope_string(f, c) : envelope_structure(f, c);
  case LIST_END:
    return cfi_str_is_space(c)
               ? CFI_FRAME_MORE
               : bad(f, "something follows the end of the list");
  default:
    return between_rows(f, c);
  }
}

/* ---- LINES ---- */

static cfi_frame_kind lines_byte(cfi_frame *f, char c) {
  if (c == '{')
    return begin_row(f, !f->gap);
  if (cfi_str_is_space(c)) {
    f->gap = true;
    return CFI_FRAME_MORE;
  }
  return bad(f, c == '<' ? "a line begins with '<': HTML, not a feed"
                         : "a line does not begin with '{'");
}

/* ---- EVENTS ---- */

static cfi_frame_kind end_of_line(cfi_frame *f) {
  if (f->state == EVENTS_LINE) {
    /* An event that said nothing, or nothing but a comment. */
    if (f->line_empty)
      f->beats++;
    f->line_empty = true;
  } else if (f->state == EVENTS_EVENT && f->matched == sizeof heartbeat - 1) {
    f->beats++;
  }
  f->state = EVENTS_LINE;
  return CFI_FRAME_MORE;
}

static cfi_frame_kind begin_line(cfi_frame *f, char c) {
  f->state = EVENTS_SKIP;
  if (c == ':')
    return CFI_FRAME_MORE;
  f->line_empty = false;
  if (c == '{')
    return begin_row(f, true);
  if (c == '<')
    return bad(f, "a line begins with '<': HTML, not a feed");
  if (c == 'd' || c == 'e')
    f->state = c == 'd' ? EVENTS_DATA_NAME : EVENTS_EVENT_NAME;
  f->matched = 1;
  return CFI_FRAME_MORE;
}

static cfi_frame_kind field_name(cfi_frame *f, char c) {
  bool data = f->state == EVENTS_DATA_NAME;
  const char *name = data ? "data" : "event";

  if (name[f->matched] == '\0' && c == ':') {
    f->state = data ? EVENTS_DATA : EVENTS_EVENT_SPACE;
    f->matched = 0;
  } else if (name[f->matched] != '\0' && c == name[f->matched]) {
    f->matched++;
  } else {
    f->state = EVENTS_SKIP;
  }
  return CFI_FRAME_MORE;
}

static cfi_frame_kind event_value(cfi_frame *f, char c) {
  bool first = f->state == EVENTS_EVENT_SPACE;

  f->state = EVENTS_EVENT;
  if (first && c == ' ')
    return CFI_FRAME_MORE;
  if (f->matched < sizeof heartbeat - 1 && c == heartbeat[f->matched])
    f->matched++;
  else
    f->matched = NO_MATCH;
  return CFI_FRAME_MORE;
}

static cfi_frame_kind events_byte(cfi_frame *f, char c) {
  bool second = c == '\n' && f->after_cr;

  f->after_cr = c == '\r';
  if (second)
    return CFI_FRAME_MORE;
  if (c == '\n' || c == '\r')
    return end_of_line(f);
  switch (f->state) {
  case EVENTS_LINE:
    return begin_line(f, c);
  case EVENTS_DATA_NAME:
  case EVENTS_EVENT_NAME:
    return field_name(f, c);
  case EVENTS_EVENT_SPACE:
  case EVENTS_EVENT:
    return event_value(f, c);
  case EVENTS_SKIP:
    return CFI_FRAME_MORE;
  default:
    break;
  }
  if (c == ' ' || c == '\t')
    return CFI_FRAME_MORE;
  if (c == '{')
    return begin_row(f, f->state == EVENTS_AFTER_ROW);
  return bad(f, f->state == EVENTS_DATA
                    ? "the data of an event does not begin with '{'"
                    : "something follows a row on its line");
}

/* ---- all modes ---- */

static void begin_body(cfi_frame *f) {
  switch (f->mode) {
  case CFI_FRAME_LIST:
    f->state = LIST_BEGIN;
    break;
  case CFI_FRAME_LINES:
    f->state = LINES_BETWEEN;
    break;
  case CFI_FRAME_EVENTS:
    f->state = EVENTS_LINE;
    break;
  }
}

static cfi_frame_kind step(cfi_frame *f, char c) {
  if (f->state == BODY) {
    if (c == bom[f->matched]) {
      if (++f->matched == sizeof bom - 1)
        begin_body(f);
      return CFI_FRAME_MORE;
    }
    if (f->matched != 0)
      return bad(f, not_a_list(c));
    begin_body(f);
  }
  if (f->mode == CFI_FRAME_EVENTS)
    return events_byte(f, c);
  note_byte(f, c);
  return f->mode == CFI_FRAME_LIST ? list_byte(f, c) : lines_byte(f, c);
}

void cfi_frame_init(cfi_frame *f, const cfi_alloc *alloc, size_t max_row,
                    size_t max_depth) {
  memset(f, 0, sizeof *f);
  f->list = "results";
  f->max_row = max_row;
  f->max_depth = max_depth;
  f->path = cfi_scan_best();
  cfi_buf_init(&f->envelope, alloc);
  cfi_frame_start(f, CFI_FRAME_LINES);
}

void cfi_frame_start(cfi_frame *f, cfi_frame_mode mode) {
  cfi_frame fresh;

  cfi_buf_clear(&f->envelope, ENVELOPE_KEEP);
  memset(&fresh, 0, sizeof fresh);
  fresh.mode = mode;
  fresh.list = f->list;
  fresh.max_row = f->max_row;
  fresh.max_depth = f->max_depth;
  fresh.path = f->path;
  fresh.beats = f->beats;
  fresh.envelope = f->envelope;
  fresh.state = BODY;
  fresh.member = MEMBER_REST;
  fresh.failed = CFI_FRAME_MORE;
  fresh.line_empty = fresh.gap = true;
  *f = fresh;
}

void cfi_frame_free(cfi_frame *f) { cfi_buf_free(&f->envelope); }

/* What CouchDB writes between two rows, at one look. What it is not is read
   byte by byte, with the same outcome. */
static void pass_gap(cfi_frame *f, const char *data, size_t len) {
  const char *p = data + f->pos;
  size_t left = len - f->pos;

  if (f->state == LIST_AFTER_ROW && left > 2 && p[0] == ',' && p[1] == '\n' &&
      p[2] == '{')
    f->pos += 2;
  else if (f->state == LINES_BETWEEN && !f->line_empty && left > 1 &&
           p[0] == '\n' && p[1] == '{')
    f->pos += 1;
  else
    return;
  f->line_empty = false;
  cfi_frame_begin_row(f, false);
}

cfi_frame_kind cfi_frame_next(cfi_frame *f, const char *data, size_t len,
                              cfi_frame_item *item) {
  cfi_frame_kind kind = f->failed;

  memset(item, 0, sizeof *item);
  if (kind == CFI_FRAME_MORE && !f->in_row && f->pos < len)
    pass_gap(f, data, len);
  while (kind == CFI_FRAME_MORE && f->pos < len) {
    if (f->in_row) {
      kind = cfi_frame_look_at_row(f, data, len, item);
      if (kind == CFI_FRAME_ROW)
        row_ended(f);
      continue;
    }
    kind = step(f, data[f->pos]);
    /* A row's first byte is the row's own, one that found no memory to the
       next call. */
    if ((kind == CFI_FRAME_MORE || kind == CFI_FRAME_TAIL) && !f->in_row)
      f->pos++;
  }
  item->why = f->why;
  return kind;
}

size_t cfi_frame_unneeded(const cfi_frame *f) {
  return f->in_row ? f->row : f->pos;
}

void cfi_frame_dropped(cfi_frame *f, size_t n) {
  f->pos -= n;
  if (f->in_row)
    f->row -= n;
}

bool cfi_frame_inside(const cfi_frame *f) {
  return f->in_row || (f->mode == CFI_FRAME_LIST && f->state != LIST_END);
}

changefeed_str cfi_frame_envelope(cfi_frame *f) {
  changefeed_str text = {cfi_buf_text(&f->envelope), f->envelope.len};

  return text;
}
