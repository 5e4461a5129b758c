/*
 * Text as a JSON string.
 */
#include "json_write.h"

#define HEX "0123456789abcdef"

static void put_escaped(cfi_buf *b, unsigned char c) {
  const char code[6] = {'\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15]};

  if (c == '"' || c == '\\') {
    cfi_buf_putc(b, '\\');
    cfi_buf_putc(b, (char)c);
  } else {
    cfi_buf_put(b, code, sizeof code);
  }
}

void cfi_json_put_string(cfi_buf *b, const char *text, size_t len) {
  size_t plain = 0;

  cfi_buf_putc(b, '"');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];

    if (c >= 0x20 && c != '"' && c != '\\')
      continue;
    cfi_buf_put(b, text + plain, i - plain);
    put_escaped(b, c);
    plain = i + 1;
  }
  cfi_buf_put(b, text + plain, len - plain);
  cfi_buf_putc(b, '"');
}
