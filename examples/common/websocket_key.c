/* The two fields of a websocket's beginning: base64 of 16 bytes, and base64 of
   the SHA-1 of that and a fixed text. It proves that the server speaks the
   protocol, and keeps no secret; so SHA-1 will do, and stands here rather than
   a library of ciphers. */
#include "common/websocket.h"

static const char protocol[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum { KEY_CHARS = WEBSOCKET_KEY - 1, BLOCK = 64, DIGEST = 20 };

static void base64(const unsigned char *in, size_t len, char *out) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < len; i += 3) {
    unsigned bits = (unsigned)in[i] << 16;

    if (i + 1 < len)
      bits |= (unsigned)in[i + 1] << 8;
    if (i + 2 < len)
      bits |= in[i + 2];
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
    *out++ = i + 2 < len ? digits[bits & 63] : '=';
  }
  *out = '\0';
}

static uint32_t turn(uint32_t x, int by) { return x << by | x >> (32 - by); }

static uint32_t mixed(int round, const uint32_t h[5], uint32_t *constant) {
  if (round < 20) {
    *constant = 0x5a827999;
    return (h[1] & h[2]) | (~h[1] & h[3]);
  }
  *constant = round < 40 ? 0x6ed9eba1 : round < 60 ? 0x8f1bbcdc : 0xca62c1d6;
  if (round >= 40 && round < 60)
    return (h[1] & h[2]) | (h[1] & h[3]) | (h[2] & h[3]);
  return h[1] ^ h[2] ^ h[3];
}

/* FIPS 180-4, 6.1.2: one block. */
static void digest_block(uint32_t state[5], const unsigned char *block) {
  uint32_t w[80], h[5], constant;

  for (size_t i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
           (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  for (size_t i = 16; i < 80; i++)
    w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  memcpy(h, state, sizeof h);
  for (int i = 0; i < 80; i++) {
    uint32_t f = mixed(i, h, &constant);
    uint32_t next = turn(h[0], 5) + f + h[4] + constant + w[i];

    h[4] = h[3];
    h[3] = h[2];
    h[2] = turn(h[1], 30);
    h[1] = h[0];
    h[0] = next;
  }
  for (size_t i = 0; i < 5; i++)
    state[i] += h[i];
}

/* SHA-1 of what takes up one block and, with its padding, two. */
static void digest_of(const unsigned char *data, size_t len,
                      unsigned char out[DIGEST]) {
  uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                       0xc3d2e1f0};
  unsigned char blocks[2 * BLOCK] = {0};

  memcpy(blocks, data, len);
  blocks[len] = 0x80;
  blocks[2 * BLOCK - 2] = (unsigned char)(len * 8 >> 8);
  blocks[2 * BLOCK - 1] = (unsigned char)(len * 8 & 0xff);
  digest_block(state, blocks);
  digest_block(state, blocks + BLOCK);
  for (size_t i = 0; i < DIGEST; i++)
    out[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void websocket_key(const unsigned char bytes[16], char out[WEBSOCKET_KEY]) {
  base64(bytes, 16, out);
}

bool websocket_accept(http_str key, char out[WEBSOCKET_ACCEPT]) {
  unsigned char whole[KEY_CHARS + sizeof protocol - 1], digest[DIGEST];

  /* 60 bytes: with its padding that is two blocks. */
  _Static_assert(sizeof whole > BLOCK - 9 && sizeof whole <= BLOCK,
                 "digest_of is for two blocks");
  if (key.len != KEY_CHARS)
    return false;
  memcpy(whole, key.data, KEY_CHARS);
  memcpy(whole + KEY_CHARS, protocol, sizeof protocol - 1);
  digest_of(whole, sizeof whole, digest);
  base64(digest, sizeof digest, out);
  return true;
}
