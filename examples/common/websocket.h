/* Websockets (RFC 6455), as much as visitors of tests and their app need: the
   answer to a key, the heads of frames, and masks. Pure. Extensions and
   messages in several frames are refused. */
#ifndef PLATFORM_WEBSOCKET_H
#define PLATFORM_WEBSOCKET_H

#include "common/http_head.h"

enum {
  WEBSOCKET_KEY = 25, /* with the zero, as the next two */
  WEBSOCKET_ACCEPT = 29,
  WEBSOCKET_HEAD = 14 /* bytes of a frame's head, at most */
};

enum {
  WEBSOCKET_TEXT = 1,
  WEBSOCKET_BINARY = 2,
  WEBSOCKET_CLOSE = 8,
  WEBSOCKET_PING = 9,
  WEBSOCKET_PONG = 10
};

/* Sec-WebSocket-Key of 16 bytes. */
void websocket_key(const unsigned char bytes[16], char out[WEBSOCKET_KEY]);
/* Sec-WebSocket-Accept for a key; false: it is not as long as a key is. */
bool websocket_accept(http_str key, char out[WEBSOCKET_ACCEPT]);

typedef struct websocket_frame {
  int opcode;
  bool masked;
  unsigned char mask[4]; /* zeros if it is not masked */
  uint64_t len;          /* of what follows the head */
  size_t head;           /* bytes of the head */
} websocket_frame;

/* 1: f is the head of a frame that data begins with; 0: more bytes are needed;
   -1: it is none, *why says so. most: bytes that may follow the head. */
int websocket_read(websocket_frame *f, const char *data, size_t len,
                   uint64_t most, const char **why);
/* Writes a head; mask is NULL for none. Returns its length. */
size_t websocket_write(char out[WEBSOCKET_HEAD], int opcode, uint64_t len,
                       const unsigned char mask[4]);
/* Masks what follows the head, or unmasks it. */
void websocket_mask(char *data, size_t len, const unsigned char mask[4]);

#endif
