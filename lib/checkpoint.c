/*
 * The record of a position as text: a line with magic, version, length and
 * checksum, then a line for each member. There is one way only to write a
 * given record, so that no damaged one can pass for another.
 */
#include "checkpoint.h"

#include <errno.h>
#include <string.h>

#include "crc.h"
#include "file_write.h"
#include "str.h"

static const char MAGIC[] = "changefeed-checkpoint ";
enum { MAGIC_LEN = sizeof MAGIC - 1, VERSION = 1, CRC_DIGITS = 8 };

static const char HEX[] = "0123456789ABCDEF";

bool cfi_checkpoint_is_damage(const cfi_error *error) {
  return error->pub.code == CHANGEFEED_ERR_STORE &&
         error->pub.sys_errno == EBADMSG;
}

void cfi_checkpoint_free(const cfi_alloc *alloc, cfi_checkpoint *c) {
  cfi_free(alloc, c->feed);
  cfi_free(alloc, c->seq);
  cfi_free(alloc, c->server_uuid);
  cfi_free(alloc, c->instance_start_time);
  cfi_free(alloc, c->marker);
  memset(c, 0, sizeof *c);
}

/* ---- encoding ---- */

/* Printable ASCII stands for itself, so that a person can read a seq. */
static bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x7f && c != '%';
}

/* A member that is not there has no line; one that is empty has. */
static void put_text(cfi_buf *out, const char *name, const char *value) {
  if (value == NULL)
    return;
  cfi_buf_puts(out, name);
  for (; *value != '\0'; value++) {
    unsigned char c = (unsigned char)*value;
    char escape[3] = {'%', HEX[c >> 4], HEX[c & 15]};

    if (is_plain(c))
      cfi_buf_putc(out, *value);
    else
      cfi_buf_put(out, escape, sizeof escape);
  }
  cfi_buf_putc(out, '\n');
}

/* Of its own because rows is unsigned and may not fit a long long. */
static void put_number(cfi_buf *out, const char *name, bool negative,
                       uint64_t value) {
  char digits[CFI_INT_TEXT];
  size_t at = sizeof digits;

  cfi_buf_puts(out, name);
  if (negative)
    cfi_buf_putc(out, '-');
  do {
    digits[--at] = (char)('0' + (int)(value % 10));
    value /= 10;
  } while (value != 0);
  cfi_buf_put(out, digits + at, sizeof digits - at);
  cfi_buf_putc(out, '\n');
}

static void put_crc(cfi_buf *out, uint32_t crc) {
  for (int shift = 28; shift >= 0; shift -= 4)
    cfi_buf_putc(out, (char)cfi_str_lower(HEX[(crc >> shift) & 15]));
}

/* The order of the lines is part of the format: a reader takes no other. */
static void put_body(const cfi_checkpoint *c, cfi_buf *out) {
  uint64_t saved = (uint64_t)c->saved_ms;

  put_text(out, "feed=", c->feed != NULL ? c->feed : "");
  put_text(out, "seq=", c->seq);
  put_text(out, "server_uuid=", c->server_uuid);
  put_text(out, "instance_start_time=", c->instance_start_time);
  put_text(out, "marker=", c->marker);
  put_number(out, "saved_ms=", c->saved_ms < 0,
             c->saved_ms < 0 ? 0 - saved : saved);
  put_number(out, "rows=", false, c->rows);
}

/* The checksum is over the first line too, as far as it stands before it: so a
   changed version or length is damage, not another record. */
bool cfi_checkpoint_encode(const cfi_checkpoint *c, cfi_buf *out) {
  cfi_buf head, body;
  bool done = false;

  cfi_buf_init(&head, out->alloc);
  cfi_buf_init(&body, out->alloc);
  put_body(c, &body);
  cfi_buf_puts(&head, MAGIC);
  cfi_buf_putint(&head, VERSION);
  cfi_buf_putc(&head, ' ');
  cfi_buf_putint(&head, (long long)body.len);
  cfi_buf_putc(&head, ' ');
  if (cfi_buf_text(&head) != NULL && cfi_buf_text(&body) != NULL) {
    uint32_t sum = cfi_crc_of(0, cfi_buf_text(&head), head.len);

    sum = cfi_crc_of(sum, cfi_buf_text(&body), body.len);
    cfi_buf_put(out, cfi_buf_text(&head), head.len);
    put_crc(out, sum);
    cfi_buf_putc(out, '\n');
    cfi_buf_put(out, cfi_buf_text(&body), body.len);
    done = cfi_buf_text(out) != NULL;
  }
  cfi_buf_free(&head);
  cfi_buf_free(&body);
  return done;
}

/* ---- decoding ---- */

/* Reads on in a record. why is set at the first disappointment. */
typedef struct reader {
  const cfi_alloc *alloc;
  const char *at, *end;
  const char *why; /* half a sentence, static */
  bool no_memory;
} reader;

static bool ok(const reader *r) { return r->why == NULL && !r->no_memory; }

static void refuse(reader *r, const char *why) {
  if (ok(r))
    r->why = why;
}

/* Does this text stand here? Nothing does when reading has failed before. */
static bool comes(const reader *r, const char *text, size_t len) {
  return ok(r) && (size_t)(r->end - r->at) >= len &&
         memcmp(r->at, text, len) == 0;
}

static void expect(reader *r, const char *text, const char *why) {
  size_t len = strlen(text);

  if (comes(r, text, len))
    r->at += len;
  else
    refuse(r, why);
}

/* A decimal number in its shortest form. */
static uint64_t number(reader *r, uint64_t max, const char *why) {
  const char *begin = r->at;
  uint64_t value = 0;

  while (ok(r) && r->at < r->end && *r->at >= '0' && *r->at <= '9') {
    uint64_t digit = (uint64_t)(*r->at - '0');

    if (value > (max - digit) / 10)
      refuse(r, why);
    value = value * 10 + digit;
    r->at++;
  }
  if (r->at == begin || (*begin == '0' && r->at - begin > 1))
    refuse(r, why);
  return value;
}

/* The value of one digit of put_text, or put_crc with lower; -1: it is none. */
static int hex_digit(char c, bool lower) {
  char a = lower ? 'a' : 'A';

  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= a && c <= a + 5 ? c - a + 10 : -1;
}

static uint32_t crc(reader *r) {
  uint32_t value = 0;

  for (int i = 0; i < CRC_DIGITS && ok(r); i++) {
    int digit = r->at < r->end ? hex_digit(*r->at, true) : -1;

    if (digit < 0) {
      refuse(r, "its first line has no checksum");
      break;
    }
    value = value * 16 + (uint32_t)digit;
    r->at++;
  }
  return value;
}

/* The rest of a line, decoded, as it would be written again. */
static char *text_value(reader *r) {
  cfi_buf out;
  char *text;

  cfi_buf_init(&out, r->alloc);
  while (r->at < r->end && *r->at != '\n' && ok(r)) {
    char c = *r->at;

    if (c == '%') {
      int high = r->end - r->at > 2 ? hex_digit(r->at[1], false) : -1;
      int low = r->end - r->at > 2 ? hex_digit(r->at[2], false) : -1;

      c = (char)(high * 16 + low);
      if (high < 0 || low < 0 || c == '\0' || is_plain((unsigned char)c)) {
        refuse(r, "a line holds an escape that is not written so");
        break;
      }
      r->at += 2;
    } else if (!is_plain((unsigned char)c)) {
      refuse(r, "a line holds a byte that is not written so");
      break;
    }
    cfi_buf_putc(&out, c);
    r->at++;
  }
  expect(r, "\n", "a line does not end");
  text = cfi_buf_take(&out);
  if (text == NULL)
    r->no_memory = true;
  return text;
}

/* The line of a text member, or NULL when it is not there. */
static char *text_line(reader *r, const char *name) {
  size_t len = strlen(name);

  if (!comes(r, name, len))
    return NULL;
  r->at += len;
  return text_value(r);
}

/* From INT64_MIN on; "-0" would be a second spelling of 0. */
static int64_t signed_number(reader *r, const char *why) {
  bool negative = comes(r, "-", 1);
  uint64_t value;

  if (negative)
    r->at++;
  value = number(r, (uint64_t)INT64_MAX + (negative ? 1 : 0), why);
  if (negative && value == 0)
    refuse(r, why);
  if (!ok(r))
    return 0;
  return negative ? -(int64_t)(value - 1) - 1 : (int64_t)value;
}

/* The first disappointment is kept in r; what was read before it is in out, to
   be freed. */
static void read_body(reader *r, cfi_checkpoint *out) {
  out->feed = text_line(r, "feed=");
  if (out->feed == NULL)
    refuse(r, "it has no line feed=");
  out->seq = text_line(r, "seq=");
  out->server_uuid = text_line(r, "server_uuid=");
  out->instance_start_time = text_line(r, "instance_start_time=");
  out->marker = text_line(r, "marker=");

  expect(r, "saved_ms=", "it has no line saved_ms= where it belongs");
  out->saved_ms = signed_number(r, "saved_ms is not a time");
  expect(r, "\n", "a line does not end");
  expect(r, "rows=", "it has no line rows= where it belongs");
  out->rows = number(r, UINT64_MAX, "rows is not a number");
  expect(r, "\n", "a line does not end");
  if (ok(r) && r->at != r->end)
    refuse(r, "it has a line too many");
}

static int damaged(cfi_error *error, const char *why) {
  (void)cfi_error_set(error, CHANGEFEED_ERR_STORE,
                      "The stored position is damaged: %s.", why);
  error->pub.sys_errno = EBADMSG;
  return CHANGEFEED_ERR_STORE;
}

/* The first line, and whether what it says is true of the rest. It has this
   form in every version to come, so that a newer one is told from damage. OK,
   or what decode answers. */
static int read_head(reader *r, cfi_error *error) {
  const char *begin = r->at;
  uint64_t version, length;
  uint32_t sum, expected;

  expect(r, MAGIC, "its first line is not that of a position");
  version = number(r, INT64_MAX, "its version is not a number");
  expect(r, " ", "its first line has no length");
  length = number(r, INT64_MAX, "its length is not a number");
  expect(r, " ", "its first line has no checksum");
  sum = cfi_crc_of(0, begin, (size_t)(r->at - begin));
  expected = crc(r);
  expect(r, "\n", "its first line does not end");
  if (ok(r) && length > (uint64_t)(r->end - r->at))
    refuse(r, "it has been cut off");
  if (ok(r) && length < (uint64_t)(r->end - r->at))
    refuse(r, "something stands behind its end");
  if (ok(r) && expected != cfi_crc_of(sum, r->at, (size_t)length))
    refuse(r, "its checksum is wrong");
  if (ok(r) && version > VERSION)
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The stored position was written by a newer version "
                         "of the library (format %llu; this one reads up to "
                         "%d).",
                         (unsigned long long)version, VERSION);
  if (ok(r) && version != VERSION)
    refuse(r, "its version never existed");
  return ok(r) ? CHANGEFEED_OK : damaged(error, r->why);
}

int cfi_checkpoint_decode(const cfi_alloc *alloc, const char *data, size_t len,
                          cfi_checkpoint *out, cfi_error *error) {
  reader r = {alloc, data, NULL, NULL, false};
  cfi_checkpoint c;
  int rc;

  memset(out, 0, sizeof *out);
  if (len == 0)
    return damaged(error, "it is empty");
  if (cfi_file_is_foreign(MAGIC, MAGIC_LEN, data, len))
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "There is no stored position, but something that "
                         "another program wrote.");
  r.end = data + len;
  rc = read_head(&r, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  memset(&c, 0, sizeof c);
  read_body(&r, &c);
  if (!ok(&r)) {
    cfi_checkpoint_free(alloc, &c);
    if (r.no_memory)
      return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                           "There was no memory to read the stored position.");
    return damaged(error, r.why);
  }
  *out = c;
  return CHANGEFEED_OK;
}
