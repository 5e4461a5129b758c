/* Where a body ends; see http_body.h. */
#include "common/http_body.h"

enum state {
  SIZE,      /* before the first digit of a chunk's size */
  SIZE_MORE, /* within it; left holds what there is */
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  LAST_CR, /* behind the last chunk: an empty line */
  LAST_LF
};

enum { SIZE_DIGITS = 16 }; /* zeros at the begin count */

void http_body_start(http_body *b, const http_head *head) {
  b->framing = head->framing;
  b->left = head->framing == HTTP_LENGTH ? head->length : 0;
  b->state = SIZE;
  b->done = head->framing == HTTP_NONE ||
            (head->framing == HTTP_LENGTH && head->length == 0);
}

static int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* A byte of a size line. */
static const char *size_byte(http_body *b, char c) {
  int value = digit(c);

  if (value >= 0) {
    if (b->state == SIZE)
      b->digits = 0;
    if (++b->digits > SIZE_DIGITS)
      return "A chunk's size is too large.";
    b->left = b->left << 4 | (uint64_t)value;
    b->state = SIZE_MORE;
    return NULL;
  }
  if (b->state == SIZE)
    return "A chunk's size is not a number.";
  if (c == ';')
    return "Chunk extensions are not taken.";
  if (c != '\r')
    return "A chunk's size is not a number and CR LF.";
  b->state = SIZE_LF;
  return NULL;
}

static const char *expect(http_body *b, char c, char wanted, int next,
                          const char *why) {
  if (c != wanted)
    return why;
  b->state = next;
  return NULL;
}

/* A byte between the data of chunks. */
static const char *chunk_byte(http_body *b, char c) {
  static const char *const longer = "A chunk is longer than its size.";

  switch (b->state) {
  case SIZE:
  case SIZE_MORE:
    return size_byte(b, c);
  case SIZE_LF:
    return expect(b, c, '\n', b->left != 0 ? DATA : LAST_CR,
                  "A chunk's size does not end in CR LF.");
  case DATA_CR:
    return expect(b, c, '\r', DATA_LF, longer);
  case DATA_LF:
    return expect(b, c, '\n', SIZE, longer);
  case LAST_CR:
    return expect(b, c, '\r', LAST_LF, "Trailers are not taken.");
  default:
    b->done = c == '\n';
    return b->done ? NULL : "The last chunk does not end in CR LF.";
  }
}

static void take(http_body *b, const char *bytes, size_t len, size_t *used,
                 http_str *data) {
  size_t n = len < b->left ? len : (size_t)b->left;

  data->data = bytes;
  data->len = n;
  *used += n;
  b->left -= n;
}

/* As many bytes between data as there are, then one stretch of data. */
static bool next_chunked(http_body *b, const char *bytes, size_t len,
                         size_t *used, http_str *data, const char **why) {
  while (*used < len && !b->done) {
    const char *wrong;

    if (b->state == DATA) {
      take(b, bytes + *used, len - *used, used, data);
      if (b->left == 0)
        b->state = DATA_CR;
      return true;
    }
    wrong = chunk_byte(b, bytes[*used]);
    if (wrong != NULL) {
      *why = wrong;
      return false;
    }
    ++*used;
  }
  return true;
}

bool http_body_next(http_body *b, const char *bytes, size_t len, size_t *used,
                    http_str *data, const char **why) {
  *used = 0;
  *data = (http_str){bytes, 0};
  if (b->done)
    return true;
  switch (b->framing) {
  case HTTP_LENGTH:
    take(b, bytes, len, used, data);
    b->done = b->left == 0;
    return true;
  case HTTP_CHUNKED:
    return next_chunked(b, bytes, len, used, data, why);
  case HTTP_CLOSE:
    *data = (http_str){bytes, len};
    *used = len;
    return true;
  default:
    b->done = true;
    return true;
  }
}

bool http_body_ends(const http_body *b) {
  return b->done || b->framing == HTTP_CLOSE;
}
