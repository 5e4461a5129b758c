/* What the fields of a head mean together: one framing, one host, whether the
   connection lives on. Anything that could be read in two ways is refused. */
#include "common/http_head_int.h"

#include <string.h>

typedef struct found {
  const http_field *host, *length, *coding, *expect, *upgrade;
  size_t hosts, lengths, codings, expects, upgrades;
  bool close, keep_alive, upgrades_connection, names_fields;
} found;

static void take(const http_field **first, size_t *count,
                 const http_field *field) {
  if (*first == NULL)
    *first = field;
  ++*count;
}

static void take_connection(found *f, http_str list) {
  http_str word;

  while (http_list_next(&list, &word)) {
    if (http_str_is(word, "close"))
      f->close = true;
    else if (http_str_is(word, "keep-alive"))
      f->keep_alive = true;
    else if (http_str_is(word, "upgrade"))
      f->upgrades_connection = true;
    else
      f->names_fields = true;
  }
}

/* Gateways that turn names into variables make "-" and "_" the same. */
static bool is_twin(http_str name) {
  static const char *const twins[] = {"content_length", "transfer_encoding"};

  for (size_t t = 0; t < sizeof twins / sizeof *twins; t++) {
    size_t i;

    if (name.len != strlen(twins[t]) ||
        memchr(name.data, '_', name.len) == NULL)
      continue;
    for (i = 0; i < name.len; i++) {
      char c = name.data[i] == '-' ? '_' : name.data[i];

      if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
      if (c != twins[t][i])
        break;
    }
    if (i == name.len)
      return true;
  }
  return false;
}

/* false: a name that must not be. */
static bool look(found *f, const http_head *head) {
  memset(f, 0, sizeof *f);
  for (size_t i = 0; i < head->count; i++) {
    const http_field *field = &head->fields[i];
    http_str name = field->name;

    switch (name.len) {
    case 4:
      if (http_str_is(name, "host"))
        take(&f->host, &f->hosts, field);
      break;
    case 6:
      if (http_str_is(name, "expect"))
        take(&f->expect, &f->expects, field);
      break;
    case 7:
      if (http_str_is(name, "upgrade"))
        take(&f->upgrade, &f->upgrades, field);
      break;
    case 10:
      if (http_str_is(name, "connection"))
        take_connection(f, field->value);
      break;
    case 14:
      if (http_str_is(name, "content-length"))
        take(&f->length, &f->lengths, field);
      else if (is_twin(name))
        return false;
      break;
    case 17:
      if (http_str_is(name, "transfer-encoding"))
        take(&f->coding, &f->codings, field);
      else if (is_twin(name))
        return false;
      break;
    default:
      break;
    }
  }
  return true;
}

/* At most one blank before a value that decides about framing, none behind. */
static bool is_tight(const http_field *field) {
  const char *colon = field->name.data + field->name.len;
  size_t before = (size_t)(field->value.data - colon) - 1;

  return (before == 0 || (before == 1 && colon[1] == ' ')) &&
         field->value.data[field->value.len] == '\r';
}

static bool number(http_str s, uint64_t *out) {
  uint64_t n = 0;

  if (s.len == 0 || s.len > 18 || (s.len > 1 && s.data[0] == '0'))
    return false;
  for (size_t i = 0; i < s.len; i++) {
    if (s.data[i] < '0' || s.data[i] > '9')
      return false;
    n = n * 10 + (uint64_t)(s.data[i] - '0');
  }
  *out = n;
  return true;
}

static const char *frame(http_head *head, const found *f, int *status) {
  if (f->codings != 0) {
    if (f->lengths != 0)
      return "Content-Length and Transfer-Encoding are both there.";
    if (f->codings > 1)
      return "Transfer-Encoding is there more than once.";
    if (head->minor == 0)
      return "HTTP/1.0 has no Transfer-Encoding.";
    if (!http_str_is(f->coding->value, "chunked") || !is_tight(f->coding)) {
      if (!head->response)
        *status = 501;
      return "Of transfer codings only chunked is known.";
    }
    head->framing = HTTP_CHUNKED;
  } else if (f->lengths != 0) {
    if (f->lengths > 1)
      return "Content-Length is there more than once.";
    if (!is_tight(f->length) || !number(f->length->value, &head->length))
      return "Content-Length is not a plain number.";
    head->framing = HTTP_LENGTH;
  } else if (head->response) {
    head->framing = HTTP_CLOSE;
  }
  return NULL;
}

static bool has_body(const http_head *head) {
  return head->framing == HTTP_CHUNKED ||
         (head->framing == HTTP_LENGTH && head->length != 0);
}

static int judge_request(http_head *head, const found *f, const char **why) {
  int status;

  if (f->hosts > 1 || (f->hosts == 0 && head->minor == 1)) {
    *why = f->hosts == 0 ? "Host is missing." : "Host is there more than once.";
    return 400;
  }
  if (f->host != NULL) {
    status = http_head_host(head, f->host, why);
    if (status != 0)
      return status;
  }
  status = http_head_target(head, why);
  if (status != 0)
    return status;
  if (f->expects != 0 && head->minor == 1) {
    if (f->expects > 1 || !http_str_is(f->expect->value, "100-continue")) {
      *why = "Of expectations only 100-continue is known.";
      return 417;
    }
    head->expects = has_body(head);
  }
  return 0;
}

static void judge_response(http_head *head, http_str to) {
  if (head->status < 200 || head->status == 204 || head->status == 304 ||
      http_str_same(to, "HEAD"))
    head->framing = HTTP_NONE;
}

int http_head_judge(http_head *head, http_str to, const char **why) {
  int status = head->response ? 502 : 400;
  found f;

  if (!look(&f, head)) {
    *why = "A field's name differs from Content-Length or Transfer-Encoding "
           "by an underscore only.";
    return status;
  }
  *why = frame(head, &f, &status);
  if (*why != NULL)
    return status;
  head->names_fields = f.names_fields;
  head->keep_alive = head->minor == 1 ? !f.close : f.keep_alive && !f.close;
  if (f.upgrades == 1 && f.upgrades_connection && head->minor == 1 &&
      http_str_is(f.upgrade->value, "websocket") &&
      (head->response ? head->status == 101
                      : !has_body(head) && http_str_same(head->method, "GET")))
    head->upgrade = f.upgrade->value;
  if (!head->response)
    return judge_request(head, &f, why);
  judge_response(head, to);
  if (head->framing == HTTP_CLOSE)
    head->keep_alive = false;
  return 0;
}
