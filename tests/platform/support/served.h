/* A server under test, and its clients, on one thread: the loop runs while a
   client waits for bytes. The server answers by the path that is asked for:

   /hello     at once, "hello"        /empty     204
   /echo      with the whole body     /stream    with the body, as it comes
   /length    5 bytes in two pieces   /short     5 promised, 2 sent
   /close     ends with the connection
   /cut, /cutclose, /drop             aborted: chunked, to the end, at once
   /hold      not at all: in `held`   /big       `big` bytes, as they go
   /inform    103, then "hello"       /upgrade   echoes what comes
   /paused    reads nothing, until `held` is resumed, then like /echo
   /over      closes the server   /much   more than was promised
   /huge      a MiB, at once
   /upgrade-end  "bye", and its end   /fields   some may not be sent */
#ifndef PLATFORM_TEST_SERVED_H
#define PLATFORM_TEST_SERVED_H

#include "common/http_server.h"

typedef struct served {
  uv_loop_t loop;
  http_server *server;
  http_exchange *held;
  int asked, gone, done, refused, closed, drained;
  int status;    /* of the last one that was done */
  uint64_t sent; /* bytes of body, then */
  const char *peer;
  size_t big;   /* bytes that /big sends */
  size_t most;  /* that waited for a client at once */
  size_t taken; /* bytes of bodies that came */
  text got;     /* what the last client has read, without the dates */
  bool got_end; /* and the connection's end */
  bool got_reset;
} served;

/* Zeros in config are small here where a test has to wait for them. */
void served_open(served *w, const http_server_config *config);
/* Closes the server and fails when a handle is left. */
void served_close(served *w);

int served_connect(served *w);
void served_send(served *w, int fd, const char *bytes, size_t len);
void served_say(served *w, int fd, const char *bytes);
/* What comes, until it holds `until` or the connection ends (NULL: until that);
   fails after 20 s. */
const char *served_read(served *w, int fd, const char *until);
/* A connection of its own: all bytes, and what comes until the end. */
const char *served_ask(served *w, const char *bytes);
/* Runs the loop until the condition holds; fails after 20 s. */
#define served_until(w, condition)                                             \
  do {                                                                         \
    int64_t served_end_ = served_ms() + 20000;                                 \
    while (!(condition)) {                                                     \
      served_turn((w), -1);                                                    \
      ck_assert_msg(served_ms() < served_end_, "waited for %s", #condition);   \
    }                                                                          \
  } while (0)
void served_turn(served *w, int fd);
int64_t served_ms(void);

#endif
