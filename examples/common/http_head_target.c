/* Whom a request is for: Host, and the target, which is a path, or "*" of
   OPTIONS, or a whole address whose authority is that of Host. */
#include "common/http_head_int.h"

#include <string.h>

enum { HOST_MOST = 255 };

/* "", or ":" and a port of 1 to 65535. */
static bool is_port(http_str s) {
  unsigned port = 0;

  if (s.len == 0)
    return true;
  if (s.data[0] != ':' || s.len < 2 || s.len > 6)
    return false;
  for (size_t i = 1; i < s.len; i++) {
    if (s.data[i] < '0' || s.data[i] > '9')
      return false;
    port = port * 10 + (unsigned)(s.data[i] - '0');
  }
  return port != 0 && port <= 65535;
}

/* Length of the host's name at the beginning of an authority; 0: none. */
static size_t host_length(http_str s) {
  size_t at = 0;

  if (s.len != 0 && s.data[0] == '[') {
    for (at = 1; at < s.len && (http_class(s.data[at], HTTP_CLASS_HEX) ||
                                s.data[at] == ':' || s.data[at] == '.');)
      at++;
    return at > 3 && at < s.len && s.data[at] == ']' ? at + 1 : 0;
  }
  while (at < s.len && http_class(s.data[at], HTTP_CLASS_HOST))
    at++;
  return at;
}

int http_head_host(http_head *head, const http_field *field, const char **why) {
  http_str value = field->value;
  size_t len = host_length(value);

  if (len == 0 || len > HOST_MOST ||
      !is_port(http_str_of(value.data + len, value.len - len))) {
    *why = "Host is not a name or an address, with or without a port.";
    return 400;
  }
  head->host_field = value;
  head->host = http_str_of(value.data, len);
  return 0;
}

static int refuse(const char **why, const char *sentence) {
  *why = sentence;
  return 400;
}

static int check_path(http_str s, const char **why) {
  bool query = false;

  for (size_t i = 0; i < s.len; i++) {
    char c = s.data[i];

    if (!http_class(c, HTTP_CLASS_TARGET) || (c == '\\' && !query))
      return refuse(why, "The target has a character that has to be written "
                         "as %XX.");
    if (c == '?')
      query = true;
    if (c != '%')
      continue;
    if (s.len - i < 3 || !http_class(s.data[i + 1], HTTP_CLASS_HEX) ||
        !http_class(s.data[i + 2], HTTP_CLASS_HEX))
      return refuse(why, "The target has a % without two hex digits.");
    if (s.data[i + 1] == '0' && s.data[i + 2] == '0')
      return refuse(why, "The target has a %00.");
  }
  return 0;
}

static http_str without_80(http_str s) {
  if (s.len > 3 && memcmp(s.data + s.len - 3, ":80", 3) == 0)
    s.len -= 3;
  return s;
}

static int absolute(http_head *head, const char **why) {
  static const size_t scheme = sizeof "http://" - 1;
  http_str rest =
      http_str_of(head->target.data + scheme, head->target.len - scheme);
  http_str authority = rest;

  for (authority.len = 0; authority.len < rest.len; authority.len++) {
    char c = rest.data[authority.len];

    if (c == '@')
      return refuse(why, "The target has a user's name in it.");
    if (c == '/' || c == '?' || c == '\\' || c == '#')
      break;
  }
  /* HTTP/1.0 needs no Host; then there is nothing to agree with. */
  if (head->host_field.len == 0 ||
      !http_str_equal(without_80(authority), without_80(head->host_field)))
    return refuse(why, "The target names another host than Host does.");
  rest = http_str_of(rest.data + authority.len, rest.len - authority.len);
  if (rest.len == 0)
    rest = http_str_same(head->method, "OPTIONS") ? http_str_of("*", 1)
                                                  : http_str_of("/", 1);
  else if (rest.data[0] != '/')
    return refuse(why, "The target has no path behind its host.");
  head->target = rest;
  return rest.data[0] == '/' ? check_path(rest, why) : 0;
}

int http_head_target(http_head *head, const char **why) {
  http_str target = head->target;

  if (target.data[0] == '/')
    return check_path(target, why);
  if (http_str_same(target, "*"))
    return http_str_same(head->method, "OPTIONS")
               ? 0
               : refuse(why, "The target * is for OPTIONS only.");
  if (target.len > 7 && http_str_is(http_str_of(target.data, 7), "http://"))
    return absolute(head, why);
  return refuse(why, "The target is neither a path nor an http:// address.");
}
