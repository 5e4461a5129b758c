/*
 * CRC-32C eight bytes at a step: by tables, or by the instruction that x86 has
 * for it.
 */
#include "crc.h"

#include <string.h>

/* The sum is linear, so a table is made of its entries for single bits. Table
   n is for a byte with n zeros behind it. */
#define ENTRY(i, a, b, c, d, e, f, g, h)                                       \
  (((i)&1 ? (a) : 0U) ^ ((i)&2 ? (b) : 0U) ^ ((i)&4 ? (c) : 0U) ^              \
   ((i)&8 ? (d) : 0U) ^ ((i)&16 ? (e) : 0U) ^ ((i)&32 ? (f) : 0U) ^            \
   ((i)&64 ? (g) : 0U) ^ ((i)&128 ? (h) : 0U))
#define TABLE_0(i)                                                             \
  ENTRY(i, 0xf26b8303U, 0xe13b70f7U, 0xc79a971fU, 0x8ad958cfU, 0x105ec76fU,    \
        0x20bd8edeU, 0x417b1dbcU, 0x82f63b78U)
#define TABLE_1(i)                                                             \
  ENTRY(i, 0x13a29877U, 0x274530eeU, 0x4e8a61dcU, 0x9d14c3b8U, 0x3fc5f181U,    \
        0x7f8be302U, 0xff17c604U, 0xfbc3faf9U)
#define TABLE_2(i)                                                             \
  ENTRY(i, 0xa541927eU, 0x4f6f520dU, 0x9edea41aU, 0x38513ec5U, 0x70a27d8aU,    \
        0xe144fb14U, 0xc76580d9U, 0x8b277743U)
#define TABLE_3(i)                                                             \
  ENTRY(i, 0xdd45aab8U, 0xbf672381U, 0x7b2231f3U, 0xf64463e6U, 0xe964b13dU,    \
        0xd725148bU, 0xaba65fe7U, 0x52a0c93fU)
#define TABLE_4(i)                                                             \
  ENTRY(i, 0x38116facU, 0x7022df58U, 0xe045beb0U, 0xc5670b91U, 0x8f2261d3U,    \
        0x1ba8b557U, 0x37516aaeU, 0x6ea2d55cU)
#define TABLE_5(i)                                                             \
  ENTRY(i, 0xef306b19U, 0xdb8ca0c3U, 0xb2f53777U, 0x6006181fU, 0xc00c303eU,    \
        0x85f4168dU, 0x0e045bebU, 0x1c08b7d6U)
#define TABLE_6(i)                                                             \
  ENTRY(i, 0x68032cc8U, 0xd0065990U, 0xa5e0c5d1U, 0x4e2dfd53U, 0x9c5bfaa6U,    \
        0x3d5b83bdU, 0x7ab7077aU, 0xf56e0ef4U)
#define TABLE_7(i)                                                             \
  ENTRY(i, 0x493c7d27U, 0x9278fa4eU, 0x211d826dU, 0x423b04daU, 0x847609b4U,    \
        0x0d006599U, 0x1a00cb32U, 0x34019664U)

#define FOUR(t, i) t(i), t((i) + 1), t((i) + 2), t((i) + 3)
#define SIXTEEN(t, i)                                                          \
  FOUR(t, i), FOUR(t, (i) + 4), FOUR(t, (i) + 8), FOUR(t, (i) + 12)
#define SIXTY_FOUR(t, i)                                                       \
  SIXTEEN(t, i), SIXTEEN(t, (i) + 16), SIXTEEN(t, (i) + 32),                   \
      SIXTEEN(t, (i) + 48)
#define ALL(t)                                                                 \
  SIXTY_FOUR(t, 0), SIXTY_FOUR(t, 64), SIXTY_FOUR(t, 128), SIXTY_FOUR(t, 192)

static const uint32_t tables[8][256] = {
    {ALL(TABLE_0)}, {ALL(TABLE_1)}, {ALL(TABLE_2)}, {ALL(TABLE_3)},
    {ALL(TABLE_4)}, {ALL(TABLE_5)}, {ALL(TABLE_6)}, {ALL(TABLE_7)}};

static uint32_t by_byte(uint32_t crc, const unsigned char *p, size_t len) {
  for (size_t i = 0; i < len; i++)
    crc = crc >> 8 ^ tables[0][(crc ^ p[i]) & 0xff];
  return crc;
}

uint32_t cfi_crc_portable(uint32_t crc, const void *data, size_t len) {
  const unsigned char *p = data;

  crc = ~crc;
  for (; len >= 8; len -= 8, p += 8) {
    uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 |
                          (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

    crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^
          tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24] ^ tables[3][p[4]] ^
          tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
  }
  return ~by_byte(crc, p, len);
}

#if defined(__GNUC__) && defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const void *data, size_t len) {
  const unsigned char *p = data;
  uint64_t sum = ~crc;

  for (; len >= 8; len -= 8, p += 8) {
    uint64_t word;

    memcpy(&word, p, sizeof word);
    sum = __builtin_ia32_crc32di(sum, word);
  }
  return ~by_byte((uint32_t)sum, p, len);
}

uint32_t cfi_crc_of(uint32_t crc, const void *data, size_t len) {
  return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, data, len)
                                          : cfi_crc_portable(crc, data, len);
}

#else

uint32_t cfi_crc_of(uint32_t crc, const void *data, size_t len) {
  return cfi_crc_portable(crc, data, len);
}

#endif
