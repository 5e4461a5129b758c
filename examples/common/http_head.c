/* Heads of HTTP/1.1 taken apart: where one ends, its first line, its fields.
   What they mean together is judged in http_head_judge.c, the target in
   http_head_target.c. */
#include "common/http_head_int.h"

#include <string.h>

/* Bits of HTTP_CLASS_*. */
const unsigned char http_head_classes[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  7,  2,  3,  7,  7,
    7,  7,  6,  6,  7,  7,  6,  15, 15, 6,  31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 6,  6,  2,  6,  2,  6,  6,  31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6,  6,  6,  7,
    15, 7,  31, 31, 31, 31, 31, 31, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 6,  7,  6,  15, 0,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
    2,  2,  2,  2,  2,  2,  2,  2,  2};

/* Most of a method's name; the longest registered one has 17. */
enum { METHOD_MOST = 24 };

typedef struct lines {
  const char *at, *end; /* end: behind the last line's CRLF */
} lines;

/* Finds the empty line; only lines that are new are looked at. 0 with *end 0:
   not there yet. One empty line may come before a request (RFC 9112, 2.2). */
static int find_end(const char *data, size_t len, size_t *scanned, bool request,
                    size_t *end, const char **why) {
  *end = 0;
  while (*scanned < len) {
    const char *lf = memchr(data + *scanned, '\n', len - *scanned);
    size_t at;

    if (lf == NULL) {
      *scanned = len;
      return 0;
    }
    at = (size_t)(lf - data);
    *scanned = at + 1;
    if (at == 0 || data[at - 1] != '\r') {
      *why = "A line ends in LF without CR.";
      return 400;
    }
    if (at != 1 && data[at - 2] != '\n')
      continue;
    if (at == 1 && request)
      continue;
    if (at == 1 || (at == 3 && request)) {
      *why = "An empty line stands where the first line is expected.";
      return 400;
    }
    *end = at + 1;
    return 0;
  }
  return 0;
}

/* The next line, which ends in CRLF: find_end has looked at each LF. */
static http_str next_line(lines *l) {
  const char *lf = memchr(l->at, '\n', (size_t)(l->end - l->at));
  http_str line;

  if (lf == NULL) /* cannot be */
    lf = l->end - 1;
  line = http_str_of(l->at, (size_t)(lf - l->at) - 1);
  l->at = lf + 1;
  return line;
}

static bool version_of(http_head *head, http_str v) {
  if (v.len != 8 || memcmp(v.data, "HTTP/1.", 7) != 0)
    return false;
  head->minor = v.data[7] - '0';
  return head->minor == 0 || head->minor == 1;
}

static int bad_version(http_str v, const char **why) {
  if (v.len == 8 && memcmp(v.data, "HTTP/", 5) == 0 && v.data[6] == '.') {
    *why = "Only HTTP/1.0 and HTTP/1.1 are spoken here.";
    return 505;
  }
  *why = "The first line does not end in HTTP/1.1.";
  return 400;
}

static int check_method(http_str method, const char **why) {
  bool known = method.len <= METHOD_MOST;

  for (size_t i = 0; i < method.len; i++) {
    char c = method.data[i];

    if (!http_class(c, HTTP_CLASS_TOKEN)) {
      *why = "The method has a character that no method has.";
      return 400;
    }
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_'))
      known = false;
  }
  if (!known) {
    *why = "There is no method of that name; methods are upper case.";
    return 501;
  }
  if (http_str_same(method, "CONNECT") || http_str_same(method, "TRACE")) {
    *why = "CONNECT and TRACE are not served.";
    return 405;
  }
  return 0;
}

static int request_line(http_head *head, http_str line, const char **why) {
  const char *first = memchr(line.data, ' ', line.len);
  const char *end = line.data + line.len, *second;
  http_str version;
  int status;

  if (first == NULL || first == line.data) {
    *why = "The first line is not METHOD TARGET HTTP/1.1.";
    return 400;
  }
  head->method = http_str_of(line.data, (size_t)(first - line.data));
  status = check_method(head->method, why);
  if (status == 400)
    return status;
  first++;
  second = memchr(first, ' ', (size_t)(end - first));
  if (second == NULL || second == first) {
    *why = "The first line is not METHOD TARGET HTTP/1.1.";
    return 400;
  }
  head->target = http_str_of(first, (size_t)(second - first));
  version = http_str_of(second + 1, (size_t)(end - second) - 1);
  if (!version_of(head, version))
    return bad_version(version, why);
  return status;
}

static int status_line(http_head *head, http_str line, const char **why) {
  const char *p = line.data;

  if (line.len < 12 || !version_of(head, http_str_of(p, 8)) || p[8] != ' ' ||
      (line.len > 12 && p[12] != ' ')) {
    *why = "The first line is not HTTP/1.1 STATUS REASON.";
    return 502;
  }
  head->status = 0;
  for (size_t i = 9; i < 12; i++) {
    if (p[i] < '0' || p[i] > '9') {
      *why = "The status is not a number.";
      return 502;
    }
    head->status = head->status * 10 + (p[i] - '0');
  }
  if (head->status < 100 || head->status > 599) {
    *why = "The status is not between 100 and 599.";
    return 502;
  }
  if (line.len > 13)
    head->reason = http_str_of(p + 13, line.len - 13);
  if (http_value_span(head->reason.data, head->reason.len) !=
      head->reason.len) {
    *why = "The first line holds a control character.";
    return 502;
  }
  return 0;
}

/* A line from l->at on; what is wrong with it, or NULL when the field is fine.
   The head ends in CRLF, and CR is in no name and no value: each loop ends. */
static const char *field_line(http_field *field, lines *l) {
  const char *name = l->at, *p = name, *end;

  if (*p == ' ' || *p == '\t')
    return "A line of the head begins with a blank.";
  while (http_class(*p, HTTP_CLASS_TOKEN))
    p++;
  if (p == name || *p != ':')
    return *p == ' ' || *p == '\t'
               ? "There is a blank in or behind a field's name."
               : "A line of the head is not NAME: VALUE.";
  field->name = http_str_of(name, (size_t)(p - name));
  p++;
  while (*p == ' ' || *p == '\t')
    p++;
  end = p + http_value_span(p, (size_t)(l->end - p));
  if (end[0] != '\r' || end[1] != '\n')
    return "A field's value holds a control character.";
  l->at = end + 2;
  while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  field->value = http_str_of(p, (size_t)(end - p));
  return NULL;
}

static void clear(http_head *head, bool response) {
  static const http_str none = {"", 0};

  head->response = response;
  head->minor = 0;
  head->method = head->target = head->host = head->host_field = none;
  head->status = 0;
  head->reason = head->upgrade = none;
  head->count = 0;
  head->framing = HTTP_NONE;
  head->length = 0;
  head->keep_alive = head->expects = head->names_fields = false;
}

static int fields(http_head *head, lines *l, const char **why) {
  int bad = head->response ? 502 : 400;

  while (l->at[0] != '\r' || l->at[1] != '\n') {
    const char *wrong;

    if (head->count == HTTP_FIELDS) {
      *why = "The head has more than 100 fields.";
      return head->response ? 502 : 431;
    }
    wrong = field_line(&head->fields[head->count], l);
    if (wrong != NULL) {
      *why = wrong;
      return bad;
    }
    head->count++;
  }
  return 0;
}

static int too_long(bool request, const char *data, size_t most,
                    const char **why) {
  if (!request) {
    *why = "The head is too long.";
    return 502;
  }
  if (memchr(data, '\n', most) == NULL) {
    *why = "The first line is too long.";
    return 414;
  }
  *why = "The head is too long.";
  return 431;
}

/* The arguments of one reading. */
typedef struct reading {
  const char *data;
  size_t len, most;
  size_t *scanned, *used;
  bool request;
  http_str to;
} reading;

static int parse(http_head *head, const reading *r, const char **why) {
  lines l;
  http_str first;
  size_t end;
  int status;

  *r->used = 0;
  status = find_end(r->data, r->len < r->most ? r->len : r->most, r->scanned,
                    r->request, &end, why);
  if (status != 0)
    return r->request ? status : 502;
  if (end == 0)
    return r->len < r->most ? HTTP_HEAD_MORE
                            : too_long(r->request, r->data, r->most, why);
  clear(head, !r->request);
  l = (lines){r->data, r->data + end};
  first = next_line(&l);
  if (first.len == 0)
    first = next_line(&l);
  status = r->request ? request_line(head, first, why)
                      : status_line(head, first, why);
  if (status == 0)
    status = fields(head, &l, why);
  if (status == 0)
    status = http_head_judge(head, r->to, why);
  if (status != 0)
    return status;
  *r->used = end;
  return HTTP_HEAD_DONE;
}

int http_head_request(http_head *head, const char *data, size_t len,
                      size_t most, size_t *scanned, size_t *used,
                      const char **why) {
  reading r = {data, len, most, scanned, used, true, {"", 0}};

  return parse(head, &r, why);
}

int http_head_response(http_head *head, const char *data, size_t len,
                       size_t most, size_t *scanned, http_str to, size_t *used,
                       const char **why) {
  reading r = {data, len, most, scanned, used, false, to};

  return parse(head, &r, why);
}
