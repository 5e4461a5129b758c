/* A connection of the app: one request after the other, read strictly, each
 * answered when all of it is there. */
#include "nonce.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t nonce_now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void nonce_conn_close(nonce_conn *c) {
  (void)close(c->fd);
  text_free(&c->in);
  text_free(&c->out);
  memset(c, 0, sizeof *c);
  c->fd = -1;
}

static void drop_front(text *t, size_t len) {
  if (len != 0 && !t->failed)
    memmove(t->data, t->data + len, t->len - len);
  text_cut(t, t->len - len);
}

/* ---- what comes ---- */

static void begin_request(nonce_conn *c, const http_head *head) {
  size_t len = head->target.len;
  if (len >= sizeof c->target)
    len = sizeof c->target - 1;
  memcpy(c->target, head->target.data, len);
  c->target[len] = '\0';
  c->head_only = http_str_same(head->method, "HEAD");
  c->keep_alive = head->keep_alive;
  c->old = head->minor == 0;
  c->has_body = head->framing != HTTP_NONE;
  c->length = 0;
  c->sum = UINT64_C(0xcbf29ce484222325);
  http_body_start(&c->body, head);
  c->state = NONCE_BODY;
  if (head->expects)
    text_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static bool take_head(nonce_conn *c) {
  http_head head;
  const char *why = "";
  size_t used = 0;
  int result = http_head_request(&head, text_get(&c->in), c->in.len,
                                 HTTP_HEAD_MOST, &c->scanned, &used, &why);
  if (result == HTTP_HEAD_MORE)
    return false;
  c->scanned = 0;
  if (result != HTTP_HEAD_DONE) {
    nonce_answer_refusal(c, result, why);
    return false;
  }
  begin_request(c, &head);
  if (head.upgrade.len != 0 && nonce_answer_upgrade(c, &head))
    c->state = NONCE_TALK;
  drop_front(&c->in, used);
  return true;
}

/* The app's own sum: not the code that it is compared with. */
static void add_up(nonce_conn *c, http_str data) {
  c->length += data.len;
  for (size_t i = 0; i < data.len; i++) {
    c->sum ^= (unsigned char)data.data[i];
    c->sum *= UINT64_C(1099511628211);
  }
}

static bool take_body(nonce_conn *c) {
  const char *why = "";
  size_t at = 0, used = 0;
  http_str piece;
  while (!c->body.done) {
    if (!http_body_next(&c->body, text_get(&c->in) + at, c->in.len - at, &used,
                        &piece, &why)) {
      nonce_answer_refusal(c, 400, why);
      return false;
    }
    add_up(c, piece);
    at += used;
    if (used == 0)
      break;
  }
  drop_front(&c->in, at);
  if (!c->body.done)
    return false;
  c->state = NONCE_HEAD;
  nonce_answer(c);
  return true;
}

/* As much as there is, and as there is room for answers. */
static void understand(nonce_conn *c) {
  bool more = true;
  while (more && !c->closing && c->out.len < NONCE_OUT) {
    if (c->state == NONCE_HEAD)
      more = take_head(c);
    else if (c->state == NONCE_BODY)
      more = take_body(c);
    else if (c->state == NONCE_BIG)
      nonce_answer_more(c);
    else {
      nonce_answer_talk(c);
      more = false;
    }
  }
  if (c->in.len == 0)
    text_free(&c->in);
  if (c->ended && c->state != NONCE_BIG && c->out.len == 0)
    c->closing = true;
  if (c->in.failed || c->out.failed || (c->closing && c->out.len == 0))
    nonce_conn_close(c);
}

void nonce_conn_read(nonce_conn *c) {
  static char data[16 * 1024];
  ssize_t n = recv(c->fd, data, sizeof data, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  c->moved_ms = nonce_now_ms();
  if (n < 0) {
    nonce_conn_close(c);
    return;
  }
  c->ended = n == 0;
  c->heard = true;
  text_add(&c->in, data, (size_t)n);
  understand(c);
}

void nonce_conn_write(nonce_conn *c) {
  ssize_t n =
      send(c->fd, text_get(&c->out), c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  c->moved_ms = nonce_now_ms();
  if (n < 0) {
    nonce_conn_close(c);
    return;
  }
  drop_front(&c->out, (size_t)n);
  if (c->out.len == 0)
    text_free(&c->out);
  understand(c);
}

bool nonce_conn_wants(const nonce_conn *c, bool *write) {
  *write = c->out.len != 0;
  return !c->ended && !c->closing && c->out.len < NONCE_OUT;
}
