/* Heads written. Values come from the network as well: what would end a line or
   begin another is refused. */
#include "common/http_head_int.h"

#include <string.h>

static bool is_value(http_str s) {
  for (size_t i = 0; i < s.len; i++) {
    if (!http_class(s.data[i], HTTP_CLASS_VALUE))
      return false;
  }
  return true;
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
  char digits[3];

  if (status < 100 || status > 999 || !is_value(reason))
    return false;
  digits[0] = (char)('0' + status / 100);
  digits[1] = (char)('0' + status / 10 % 10);
  digits[2] = (char)('0' + status % 10);
  text_add(out, "HTTP/1.1 ", 9);
  text_add(out, digits, 3);
  text_add(out, " ", 1);
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
  add(out, name);
  text_add(out, ": ", 2);
  add(out, value);
  text_add(out, "\r\n", 2);
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
  switch (status) {
  case 100:
    return "Continue";
  case 101:
    return "Switching Protocols";
  case 103:
    return "Early Hints";
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 206:
    return "Partial Content";
  case 301:
    return "Moved Permanently";
  case 302:
    return "Found";
  case 303:
    return "See Other";
  case 304:
    return "Not Modified";
  case 307:
    return "Temporary Redirect";
  case 308:
    return "Permanent Redirect";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 411:
    return "Length Required";
  case 412:
    return "Precondition Failed";
  case 413:
    return "Content Too Large";
  case 414:
    return "URI Too Long";
  case 415:
    return "Unsupported Media Type";
  case 417:
    return "Expectation Failed";
  case 421:
    return "Misdirected Request";
  case 422:
    return "Unprocessable Content";
  case 426:
    return "Upgrade Required";
  case 429:
    return "Too Many Requests";
  case 431:
    return "Request Header Fields Too Large";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 502:
    return "Bad Gateway";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 505:
    return "HTTP Version Not Supported";
  case 507:
    return "Insufficient Storage";
  default:
    return "Status";
  }
}
