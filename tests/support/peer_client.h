/* A raw TCP client for tests of the peer and of anything that listens: sends
   bytes, collects what comes, tells how the connection ended. */
#ifndef CFT_PEER_CLIENT_H
#define CFT_PEER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cft_client {
  int fd;
  char *data; /* all that was received, NUL-terminated */
  size_t len, cap;
  enum { CFT_END_NONE, CFT_END_FIN, CFT_END_RST } end;
} cft_client;

/* Connects to the port of 127.0.0.1. False, with errno, when that fails. */
bool cft_client_connect(cft_client *c, uint16_t port);
/* To [::1], to a unix socket. */
bool cft_client_connect6(cft_client *c, uint16_t port);
bool cft_client_connect_unix(cft_client *c, const char *path);

bool cft_client_send(cft_client *c, const char *text);

/* Sends "METHOD TARGET" with a Host and the header lines given (or NULL). */
bool cft_client_request(cft_client *c, const char *line, const char *headers,
                        const char *body);

/* Reads until `text` has come (since the last cft_client_reset), the end, or
   timeout_ms; true when it has come. */
bool cft_client_until(cft_client *c, const char *text, int64_t timeout_ms);
bool cft_client_until_len(cft_client *c, size_t len, int64_t timeout_ms);
bool cft_client_until_end(cft_client *c, int64_t timeout_ms);

/* True when nothing at all comes for ms. */
bool cft_client_quiet(cft_client *c, int64_t ms);

void cft_client_reset(cft_client *c); /* forgets what was received */
void cft_client_close(cft_client *c);

#endif
