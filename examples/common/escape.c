/* Words of others, fit for what they are put into; see escape.h. */
#include "common/escape.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the one character of UTF-8 that s begins with, and which it is;
   0: it is none. Overlong forms, surrogates and what is beyond U+10FFFF are
   none (RFC 3629). Reads no further than the zero byte. */
static size_t character(const char *s, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned char first = (unsigned char)s[0];
  size_t len = first < 0x80   ? 1
               : first < 0xc2 ? 0
               : first < 0xe0 ? 2
               : first < 0xf0 ? 3
               : first < 0xf5 ? 4
                              : 0;

  if (len == 0)
    return 0;
  *code = len == 1 ? first : first & (0x7fu >> len);
  for (size_t i = 1; i < len; i++) {
    unsigned char c = (unsigned char)s[i];

    if ((c & 0xc0) != 0x80)
      return 0;
    *code = *code << 6 | (c & 0x3f);
  }
  if (*code < least[len] || *code > 0x10ffff ||
      (*code >= 0xd800 && *code <= 0xdfff))
    return 0;
  return len;
}

/* Not to be seen: controls, ends of lines, what turns the direction, and the
   two that XML has not. */
static bool is_hidden(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
         (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x200e ||
         code == 0x200f || code == 0x61c || code == 0xfeff || code == 0xfffe ||
         code == 0xffff;
}

void escape_clean(text *out, const char *s, size_t most) {
  size_t limit = out->len + most;
  uint32_t code = 0;

  while (*s != '\0') {
    size_t len = character(s, &code);
    size_t adds = len == 0 ? sizeof REPLACEMENT - 1 : len;

    if (out->len + adds > limit || out->failed)
      return;
    if (len == 0)
      text_str(out, REPLACEMENT);
    else if (is_hidden(code))
      text_str(out, " ");
    else
      text_add(out, s, len);
    s += len != 0 ? len : 1;
  }
}

void escape_copy(char *to, size_t size, const char *from) {
  text clean = TEXT_INIT;

  escape_clean(&clean, from != NULL ? from : "", size - 1);
  (void)memcpy(to, text_get(&clean), strlen(text_get(&clean)) + 1);
  text_free(&clean);
}

void escape_markup(text *out, const char *s) {
  for (; *s != '\0'; s++) {
    switch (*s) {
    case '&':
      text_str(out, "&amp;");
      break;
    case '<':
      text_str(out, "&lt;");
      break;
    case '>':
      text_str(out, "&gt;");
      break;
    case '"':
      text_str(out, "&quot;");
      break;
    case '\'':
      text_str(out, "&#39;");
      break;
    default:
      text_add(out, s, 1);
    }
  }
}

void escape_json(text *out, const char *s) {
  uint32_t code = 0;
  size_t len;

  text_str(out, "\"");
  for (; *s != '\0'; s += len != 0 ? len : 1) {
    len = character(s, &code);
    if (len == 0)
      text_str(out, REPLACEMENT);
    else if (*s == '"' || *s == '\\')
      text_printf(out, "\\%c", *s);
    else if (code < 0x20 || code == 0x7f || code == 0x2028 || code == 0x2029)
      text_printf(out, "\\u%04x", (unsigned)code);
    else
      text_add(out, s, len);
  }
  text_str(out, "\"");
}
