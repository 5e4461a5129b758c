/*
 * The request reader; see http.h.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

/* Length of the head with its empty line; 0: it is not whole. */
static size_t head_length(const couch_buf *in) {
  for (size_t i = 0; i + 1 < in->len; i++) {
    if (in->data[i] != '\n')
      continue;
    if (in->data[i + 1] == '\n')
      return i + 2;
    if (in->data[i + 1] == '\r' && i + 2 < in->len && in->data[i + 2] == '\n')
      return i + 3;
  }
  return 0;
}

/* One line without its end; *next is behind it. */
static size_t line_at(const char *p, const char *end, const char **next) {
  const char *lf = memchr(p, '\n', (size_t)(end - p));
  size_t len = lf != NULL ? (size_t)(lf - p) : (size_t)(end - p);
  *next = lf != NULL ? lf + 1 : end;
  return len > 0 && p[len - 1] == '\r' ? len - 1 : len;
}

static bool token(const char *p, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)p[i];
    if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c) != NULL)
      return false;
  }
  return len > 0;
}

static couch_reading request_line(couch_request *r, const char *p, size_t len) {
  const char *space = memchr(p, ' ', len), *target, *second;
  if (space == NULL || !token(p, (size_t)(space - p)))
    return COUCH_READ_GARBAGE;
  target = space + 1;
  second = memchr(target, ' ', len - (size_t)(target - p));
  if (second == NULL || len - (size_t)(second - p) != 9 ||
      strncmp(second + 1, "HTTP/1.", 7) != 0)
    return COUCH_READ_GARBAGE;
  if (second == target || memchr(p, '\0', len) != NULL)
    return COUCH_READ_BAD;
  r->old_http = second[8] == '0';
  r->method = couch_dup_n(p, (size_t)(space - p));
  r->target = couch_dup_n(target, (size_t)(second - target));
  if (couch_starts(r->target, "http://")) { /* as to a proxy */
    const char *path = strchr(r->target + 7, '/');
    char *whole = r->target;
    r->target = couch_dup(path != NULL ? path : "/");
    free(whole);
  }
  return r->target[0] == '/' || r->target[0] == '*' ? COUCH_READ_MORE
                                                    : COUCH_READ_BAD;
}

static bool add_header(couch_request *r, const char *p, size_t len) {
  const char *colon = memchr(p, ':', len), *value, *end = p + len;
  if (colon == NULL || !token(p, (size_t)(colon - p)) ||
      memchr(p, '\0', len) != NULL)
    return false;
  for (value = colon + 1; value < end && (*value == ' ' || *value == '\t');)
    value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  r->headers = couch_room(r->headers, &r->header_cap, r->header_count,
                          sizeof *r->headers);
  r->headers[r->header_count++] =
      (couch_pair){couch_dup_n(p, (size_t)(colon - p)),
                   couch_dup_n(value, (size_t)(end - value))};
  return true;
}

/* What the head says of the body and of the connection. */
static couch_reading framing(couch_reader *reader, const couch_request *r) {
  const char *coding = couch_header(r, "Transfer-Encoding");
  const char *connection = couch_header(r, "Connection");
  const char *length = NULL;
  int64_t n;
  reader->keep_alive =
      connection != NULL
          ? !couch_equal_nocase(connection, "close") &&
                (!r->old_http || couch_equal_nocase(connection, "keep-alive"))
          : !r->old_http;
  for (size_t i = 0; i < r->header_count; i++) {
    if (!couch_equal_nocase(r->headers[i].name, "Content-Length"))
      continue;
    if (length != NULL && strcmp(length, r->headers[i].value) != 0)
      return COUCH_READ_BAD;
    length = r->headers[i].value;
  }
  if (coding != NULL) {
    if (length != NULL || !couch_equal_nocase(coding, "chunked"))
      return COUCH_READ_BAD;
    reader->chunked = true;
  } else if (length != NULL) {
    if (!couch_to_int(length, &n) || n < 0)
      return COUCH_READ_BAD;
    if (n > COUCH_BODY_MAX)
      return COUCH_READ_TOO_LARGE;
    reader->left = (size_t)n;
  }
  return COUCH_READ_MORE;
}

static couch_reading read_head(couch_reader *reader, couch_buf *in,
                               couch_request *r) {
  size_t skip = 0, len, line_len;
  const char *p, *end, *next;
  couch_reading result;
  while (skip < in->len && (in->data[skip] == '\r' || in->data[skip] == '\n'))
    skip++; /* between requests */
  couch_buf_drop(in, skip);
  len = head_length(in);
  if (len == 0 || len > COUCH_HEAD_MAX) {
    if (in->len > COUCH_HEAD_MAX)
      return COUCH_READ_BAD;
    if (in->len > COUCH_LINE_MAX && memchr(in->data, '\n', in->len) == NULL)
      return COUCH_READ_BAD;
    return COUCH_READ_MORE;
  }
  p = in->data;
  end = in->data + len;
  line_len = line_at(p, end, &next);
  if (line_len > COUCH_LINE_MAX)
    return COUCH_READ_BAD;
  result = request_line(r, p, line_len);
  for (p = next; result == COUCH_READ_MORE && p < end; p = next) {
    line_len = line_at(p, end, &next);
    if (line_len > COUCH_LINE_MAX || r->header_count > 200 ||
        (line_len > 0 && !add_header(r, p, line_len)))
      result = COUCH_READ_BAD;
  }
  reader->has_head = true;
  reader->at = len;
  return result == COUCH_READ_MORE ? framing(reader, r) : result;
}

/* Takes up to `left` bytes into the body. */
static void take(couch_reader *reader, const couch_buf *in, couch_request *r) {
  size_t have = in->len - reader->at;
  size_t n = have < reader->left ? have : reader->left;
  couch_add(&r->body, in->data + reader->at, n);
  reader->at += n;
  reader->left -= n;
}

enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

static couch_reading chunk_size(couch_reader *reader, const char *p,
                                size_t len) {
  size_t n = 0, i = 0;
  for (; i < len; i++) {
    char c = p[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0)
      break;
    n = n * 16 + (size_t)digit;
    if (n > COUCH_BODY_MAX)
      return COUCH_READ_TOO_LARGE;
  }
  if (i == 0 || (i < len && p[i] != ';' && p[i] != ' '))
    return COUCH_READ_BAD;
  reader->left = n;
  reader->chunk_state = n > 0 ? CHUNK_DATA : TRAILER;
  return COUCH_READ_MORE;
}

static couch_reading read_chunks(couch_reader *reader, const couch_buf *in,
                                 couch_request *r) {
  while (reader->at < in->len) {
    const char *p = in->data + reader->at, *end = in->data + in->len, *next;
    size_t len;
    if (reader->chunk_state == CHUNK_DATA) {
      take(reader, in, r);
      if (r->body.len > COUCH_BODY_MAX)
        return COUCH_READ_TOO_LARGE;
      if (reader->left == 0)
        reader->chunk_state = CHUNK_END;
      continue;
    }
    if (memchr(p, '\n', (size_t)(end - p)) == NULL)
      return end - p > 1024 ? COUCH_READ_BAD : COUCH_READ_MORE;
    len = line_at(p, end, &next);
    reader->at += (size_t)(next - p);
    if (reader->chunk_state == CHUNK_END) {
      if (len != 0)
        return COUCH_READ_BAD;
      reader->chunk_state = CHUNK_SIZE;
    } else if (reader->chunk_state == TRAILER) {
      if (len == 0)
        return COUCH_READ_DONE;
    } else {
      couch_reading result = chunk_size(reader, p, len);
      if (result != COUCH_READ_MORE)
        return result;
    }
  }
  return COUCH_READ_MORE;
}

couch_reading couch_read_request(couch_reader *reader, couch_buf *in,
                                 couch_request *r) {
  couch_reading result = COUCH_READ_MORE;
  const char *expect;
  if (!reader->has_head) {
    result = read_head(reader, in, r);
    if (result != COUCH_READ_MORE || !reader->has_head)
      return result;
  }
  if (reader->chunked) {
    result = read_chunks(reader, in, r);
  } else {
    take(reader, in, r);
    if (reader->left == 0)
      result = COUCH_READ_DONE;
  }
  couch_buf_drop(in, reader->at);
  reader->at = 0;
  if (result == COUCH_READ_MORE && !reader->told) {
    reader->told = true;
    expect = couch_header(r, "Expect");
    if (expect != NULL && couch_equal_nocase(expect, "100-continue"))
      return COUCH_READ_CONTINUE;
  }
  return result;
}
