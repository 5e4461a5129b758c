/* Frames of websockets; see websocket.h. */
#include "common/websocket.h"

enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80, CONTROL_MOST = 125 };

static bool is_known(int opcode) {
  return opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY ||
         (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

static const char *judge_first(unsigned char first) {
  if ((first & RESERVED) != 0)
    return "A frame has a bit of an extension.";
  if (!is_known(first & 0x0f))
    return (first & 0x0f) == 0 ? "A frame goes on with no message."
                               : "A frame is of no known kind.";
  if ((first & FIN) == 0)
    return "Messages in several frames are not taken.";
  return NULL;
}

/* The shortest form of a length is the only one. */
static const char *judge_length(const websocket_frame *f, size_t bytes,
                                uint64_t most) {
  if ((bytes == 2 && f->len < 126) || (bytes == 8 && f->len < 65536))
    return "A frame's length is longer than need be.";
  if (f->opcode >= WEBSOCKET_CLOSE && f->len > CONTROL_MOST)
    return "A control frame is too long.";
  if (f->len > most)
    return "A frame is too long.";
  return NULL;
}

int websocket_read(websocket_frame *f, const char *data, size_t len,
                   uint64_t most, const char **why) {
  const unsigned char *p = (const unsigned char *)data;
  size_t bytes;

  if (len == 0)
    return 0;
  *why = judge_first(p[0]);
  if (*why != NULL)
    return -1;
  if (len < 2)
    return 0;
  *f = (websocket_frame){.opcode = p[0] & 0x0f, .masked = p[1] >= MASKED};
  bytes = (p[1] & 0x7f) == 127 ? 8 : (p[1] & 0x7f) == 126 ? 2 : 0;
  f->head = 2 + bytes + (f->masked ? 4 : 0);
  if (len < 2 + bytes)
    return 0;
  f->len = bytes == 0 ? p[1] & 0x7f : 0;
  for (size_t i = 0; i < bytes; i++)
    f->len = f->len << 8 | p[2 + i];
  *why = judge_length(f, bytes, most);
  if (*why != NULL)
    return -1;
  if (len < f->head)
    return 0;
  if (f->masked)
    memcpy(f->mask, p + 2 + bytes, sizeof f->mask);
  return 1;
}

size_t websocket_write(char out[WEBSOCKET_HEAD], int opcode, uint64_t len,
                       const unsigned char mask[4]) {
  size_t bytes = len < 126 ? 0 : len < 65536 ? 2 : 8, at = 2;
  unsigned second = bytes == 0 ? (unsigned)len : bytes == 2 ? 126 : 127;

  out[0] = (char)(FIN | opcode);
  out[1] = (char)(second | (mask != NULL ? MASKED : 0));
  for (size_t i = bytes; i != 0; i--)
    out[at++] = (char)(len >> (8 * (i - 1)) & 0xff);
  if (mask == NULL)
    return at;
  memcpy(out + at, mask, 4);
  return at + 4;
}

void websocket_mask(char *data, size_t len, const unsigned char mask[4]) {
  for (size_t i = 0; i < len; i++)
    data[i] = (char)((unsigned char)data[i] ^ mask[i % 4]);
}
