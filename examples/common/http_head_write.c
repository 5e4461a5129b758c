/* Heads written. Values come from the network as well: what would end a line or
   begin another is refused. */
#include "common/http_head_int.h"

#include <string.h>

static bool is_value(http_str s) {
  return http_value_span(s.data, s.len) == s.len;
}

static bool is_word(http_str s) {
  for (size_t i = 0; i < s.len; i++) {
    if (s.data[i] <= ' ' || s.data[i] == 0x7f)
      return false;
  }
  return s.len != 0;
}

static void add(text *out, http_str s) { text_add(out, s.data, s.len); }

bool http_put_request(text *out, http_str method, http_str target) {
  if (!is_word(method) || !is_word(target))
    return false;
  add(out, method);
  text_add(out, " ", 1);
  add(out, target);
  text_add(out, " HTTP/1.1\r\n", 11);
  return true;
}

bool http_put_status(text *out, int status, http_str reason) {
  char line[] = "HTTP/1.1 000 ";

  if (status < 100 || status > 999 || !is_value(reason))
    return false;
  line[9] = (char)('0' + status / 100);
  line[10] = (char)('0' + status / 10 % 10);
  line[11] = (char)('0' + status % 10);
  text_add(out, line, sizeof line - 1);
  add(out, reason);
  text_add(out, "\r\n", 2);
  return true;
}

static bool put_field(text *out, http_str name, http_str value) {
  if (name.len == 0 || !is_value(value))
    return false;
  for (size_t i = 0; i < name.len; i++) {
    if (!http_class(name.data[i], HTTP_CLASS_TOKEN))
      return false;
  }
  http_put_line(out, name, value);
  return true;
}

bool http_put_field(text *out, const char *name, http_str value) {
  return put_field(out, http_str_of(name, strlen(name)), value);
}

bool http_put_copy(text *out, const http_field *field) {
  return put_field(out, field->name, field->value);
}

bool http_put_field_text(text *out, const char *name, const char *value) {
  return http_put_field(out, name, http_str_of(value, strlen(value)));
}

void http_put_framing(text *out, enum http_framing framing, uint64_t length) {
  if (framing == HTTP_CHUNKED) {
    text_str(out, "Transfer-Encoding: chunked\r\n");
  } else if (framing == HTTP_LENGTH) {
    char digits[24];
    size_t at = sizeof digits;

    do
      digits[--at] = (char)('0' + length % 10);
    while ((length /= 10) != 0);
    text_str(out, "Content-Length: ");
    text_add(out, digits + at, sizeof digits - at);
    text_add(out, "\r\n", 2);
  }
}

void http_put_end(text *out) { text_add(out, "\r\n", 2); }

const char *http_reason(int status) {
  static const struct {
    int status;
    const char *reason;
  } all[] = {{100, "Continue"},
             {101, "Switching Protocols"},
             {103, "Early Hints"},
             {200, "OK"},
             {201, "Created"},
             {202, "Accepted"},
             {204, "No Content"},
             {206, "Partial Content"},
             {301, "Moved Permanently"},
             {302, "Found"},
             {303, "See Other"},
             {304, "Not Modified"},
             {307, "Temporary Redirect"},
             {308, "Permanent Redirect"},
             {400, "Bad Request"},
             {401, "Unauthorized"},
             {403, "Forbidden"},
             {404, "Not Found"},
             {405, "Method Not Allowed"},
             {408, "Request Timeout"},
             {409, "Conflict"},
             {410, "Gone"},
             {411, "Length Required"},
             {412, "Precondition Failed"},
             {413, "Content Too Large"},
             {414, "URI Too Long"},
             {415, "Unsupported Media Type"},
             {417, "Expectation Failed"},
             {421, "Misdirected Request"},
             {422, "Unprocessable Content"},
             {426, "Upgrade Required"},
             {429, "Too Many Requests"},
             {431, "Request Header Fields Too Large"},
             {500, "Internal Server Error"},
             {501, "Not Implemented"},
             {502, "Bad Gateway"},
             {503, "Service Unavailable"},
             {504, "Gateway Timeout"},
             {505, "HTTP Version Not Supported"},
             {507, "Insufficient Storage"}};

  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (all[i].status == status)
      return all[i].reason;
  }
  return "Status";
}
