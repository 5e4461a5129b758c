/*
 * MD5, CRC-32, base64, hexadecimal and percent-encoding.
 */
#include "text.h"

#include <string.h>

static const uint32_t md5_k[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static const unsigned char md5_turn[16] = {7, 12, 17, 22, 5, 9,  14, 20,
                                           4, 11, 16, 23, 6, 10, 15, 21};

static void md5_block(uint32_t state[4], const unsigned char *p) {
  uint32_t m[16], a = state[0], b = state[1], c = state[2], d = state[3];
  for (unsigned i = 0; i < 16; i++)
    m[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 |
           (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
  for (unsigned i = 0; i < 64; i++) {
    unsigned g, turn = md5_turn[i / 16 * 4 + i % 4];
    uint32_t f;
    if (i < 16) {
      f = (b & c) | (~b & d);
      g = i;
    } else if (i < 32) {
      f = (d & b) | (~d & c);
      g = (5 * i + 1) % 16;
    } else if (i < 48) {
      f = b ^ c ^ d;
      g = (3 * i + 5) % 16;
    } else {
      f = c ^ (b | ~d);
      g = 7 * i % 16;
    }
    f += a + md5_k[i] + m[g];
    a = d;
    d = c;
    c = b;
    b += f << turn | f >> (32 - turn);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

void couch_md5(const void *bytes, size_t len, unsigned char out[16]) {
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const unsigned char *p = bytes;
  unsigned char tail[128] = {0};
  size_t rest = len % 64, tail_len = rest < 56 ? 64 : 128;
  for (size_t i = 0; i + 64 <= len; i += 64)
    md5_block(state, p + i);
  if (rest > 0)
    memcpy(tail, p + (len - rest), rest);
  tail[rest] = 0x80;
  for (unsigned i = 0; i < 8; i++)
    tail[tail_len - 8 + i] = (unsigned char)((uint64_t)len * 8 >> (8 * i));
  for (size_t i = 0; i < tail_len; i += 64)
    md5_block(state, tail + i);
  for (unsigned i = 0; i < 16; i++)
    out[i] = (unsigned char)(state[i / 4] >> (8 * (i % 4)));
}

void couch_hex(const unsigned char *bytes, size_t len, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < len; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
  out[2 * len] = '\0';
}

uint32_t couch_crc32(const void *bytes, size_t len) {
  const unsigned char *p = bytes;
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < len; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++)
      crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
  }
  return ~crc;
}

uint64_t couch_hash(const void *bytes, size_t len) {
  const unsigned char *p = bytes;
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < len; i++)
    h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return h ^ h >> 32;
}

void couch_add_base64url(couch_buf *b, const void *bytes, size_t len) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const unsigned char *p = bytes;
  for (size_t i = 0; i < len; i += 3) {
    uint32_t n = (uint32_t)p[i] << 16;
    char out[4];
    size_t have = len - i < 3 ? len - i : 3;
    if (have > 1)
      n |= (uint32_t)p[i + 1] << 8;
    if (have > 2)
      n |= p[i + 2];
    for (unsigned k = 0; k < 4; k++)
      out[k] = digits[n >> (18 - 6 * k) & 63];
    couch_add(b, out, have + 1);
  }
}

static int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  if (c == '-' || c == '+')
    return 62;
  return c == '_' || c == '/' ? 63 : -1;
}

bool couch_base64_decode(const char *text, size_t len, couch_buf *out) {
  uint32_t bits = 0;
  unsigned have = 0;
  while (len > 0 && text[len - 1] == '=')
    len--;
  if (len % 4 == 1)
    return false;
  for (size_t i = 0; i < len; i++) {
    int digit = base64_digit(text[i]);
    if (digit < 0)
      return false;
    bits = bits << 6 | (uint32_t)digit;
    have += 6;
    if (have >= 8) {
      char byte = (char)(bits >> (have - 8) & 255);
      have -= 8;
      couch_add(out, &byte, 1);
    }
  }
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool couch_percent_decode(const char *text, size_t len, bool query,
                          couch_buf *out) {
  couch_add(out, "", 0);
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c == '%') {
      int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
      int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return false;
      c = (char)(high * 16 + low);
      i += 2;
    } else if (c == '+' && query) {
      c = ' ';
    }
    couch_add(out, &c, 1);
  }
  return true;
}

void couch_add_percent(couch_buf *b, const char *text) {
  for (; *text != '\0'; text++) {
    char c = *text;
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
        (c >= 'A' && c <= 'Z') || strchr("-._~$()", c) != NULL)
      couch_add(b, &c, 1);
    else
      couch_addf(b, "%%%02X", (unsigned)(unsigned char)c);
  }
}
