/* What the app answers: its page, many of it, or an echo. */
#include "nonce.h"

#include "common/websocket.h"

#include <stdio.h>
#include <stdlib.h>

const char *nonce_page(void) {
  static char page[256];
  const char *app = getenv("NONCE_APP"), *nonce = getenv("NONCE");
  if (!page[0])
    (void)snprintf(page, sizeof page, "app=%s nonce=%s", app ? app : "?",
                   nonce ? nonce : "?");
  return page;
}

/* ---- heads ---- */

static void put_head(nonce_conn *c, int status) {
  const char *reason = http_reason(status);
  (void)http_put_status(&c->out, status, (http_str){reason, strlen(reason)});
  (void)http_put_field_text(&c->out, "X-Nonce", nonce_page());
  (void)http_put_field_text(&c->out, "X-Nonce-Target", c->target);
}

static void put_rest(nonce_conn *c, enum http_framing framing,
                     uint64_t length) {
  text_str(&c->out, "Content-Type: text/plain\r\n");
  if (!c->keep_alive)
    text_str(&c->out, "Connection: close\r\n");
  http_put_framing(&c->out, framing, length);
  http_put_end(&c->out);
}

static void finish(nonce_conn *c) {
  c->state = NONCE_HEAD;
  if (!c->keep_alive)
    c->closing = true;
}

void nonce_answer_refusal(nonce_conn *c, int status, const char *why) {
  c->target[0] = '\0';
  c->keep_alive = false;
  put_head(c, status);
  put_rest(c, HTTP_LENGTH, strlen(why) + 1);
  text_printf(&c->out, "%s\n", why);
  finish(c);
}

/* ---- pages ---- */

static void answer_page(nonce_conn *c) {
  char page[512];
  int n = snprintf(page, sizeof page, "%s\n", nonce_page());
  if (c->has_body)
    n +=
        snprintf(page + n, sizeof page - (size_t)n, "length=%llu sum=%016llx\n",
                 (unsigned long long)c->length, (unsigned long long)c->sum);
  put_head(c, 200);
  put_rest(c, HTTP_LENGTH, (uint64_t)n);
  if (!c->head_only)
    text_add(&c->out, page, (size_t)n);
  finish(c);
}

static size_t put_line(char *out, size_t size, unsigned line) {
  return (size_t)snprintf(out, size, "%s %u\n", nonce_page(), line);
}

static void answer_big(nonce_conn *c, unsigned lines) {
  char line[300];
  uint64_t length = 0;
  c->line = 0;
  c->lines = lines;
  c->chunked = lines % 2 != 0 && !c->old;
  for (unsigned i = 0; i < lines; i++)
    length += put_line(line, sizeof line, i);
  put_head(c, 200);
  put_rest(c, c->chunked ? HTTP_CHUNKED : HTTP_LENGTH, length);
  c->state = NONCE_BIG;
  if (c->head_only)
    finish(c);
}

void nonce_answer_more(nonce_conn *c) {
  char line[300];
  while (c->line < c->lines && c->out.len < NONCE_OUT) {
    size_t len = put_line(line, sizeof line, c->line++);
    if (c->chunked)
      text_printf(&c->out, "%zx\r\n", len);
    text_add(&c->out, line, len);
    if (c->chunked)
      text_str(&c->out, "\r\n");
  }
  if (c->line < c->lines)
    return;
  if (c->chunked)
    text_str(&c->out, "0\r\n\r\n");
  finish(c);
}

/* N of "/big/N", with a query or without; 0: it is something else. */
static unsigned big_lines(const char *target) {
  static const char big[] = "/big/";
  unsigned lines = 0;
  const char *p = target + sizeof big - 1;
  if (strncmp(target, big, sizeof big - 1) != 0)
    return 0;
  for (; *p >= '0' && *p <= '9' && lines <= NONCE_LINES; p++)
    lines = lines * 10 + (unsigned)(*p - '0');
  return (*p == '\0' || *p == '?') && lines <= NONCE_LINES ? lines : 0;
}

void nonce_answer(nonce_conn *c) {
  unsigned lines = c->has_body ? 0 : big_lines(c->target);
  if (lines != 0)
    answer_big(c, lines);
  else
    answer_page(c);
}

/* ---- websockets ---- */

static void say(nonce_conn *c, int opcode, const char *data, size_t len) {
  char head[WEBSOCKET_HEAD];
  text_add(&c->out, head, websocket_write(head, opcode, len, NULL));
  text_add(&c->out, data, len);
}

bool nonce_answer_upgrade(nonce_conn *c, const http_head *head) {
  const http_field *key = http_head_find(head, "sec-websocket-key");
  char accept[WEBSOCKET_ACCEPT], page[260];
  if (!key || !websocket_accept(key->value, accept))
    return false;
  put_head(c, 101);
  text_str(&c->out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
  (void)http_put_field_text(&c->out, "Sec-WebSocket-Accept", accept);
  http_put_end(&c->out);
  say(c, WEBSOCKET_TEXT, page,
      (size_t)snprintf(page, sizeof page, "%s\n", nonce_page()));
  return true;
}

/* One frame; false: it is not there yet, or it was the last. */
static bool echo(nonce_conn *c, size_t *at) {
  websocket_frame f;
  const char *why;
  char *data;
  int found = websocket_read(&f, text_get(&c->in) + *at, c->in.len - *at,
                             NONCE_FRAME, &why);
  if (found == 0)
    return false;
  if (found < 0 || !f.masked) {
    say(c, WEBSOCKET_CLOSE, "\x03\xea", 2); /* 1002: not by the protocol */
    c->closing = true;
    return false;
  }
  if (c->in.len - *at - f.head < f.len)
    return false;
  data = c->in.data + *at + f.head;
  *at += f.head + (size_t)f.len;
  websocket_mask(data, (size_t)f.len, f.mask);
  if (f.opcode == WEBSOCKET_PING)
    f.opcode = WEBSOCKET_PONG;
  say(c, f.opcode, data, (size_t)f.len);
  c->closing = f.opcode == WEBSOCKET_CLOSE;
  return !c->closing;
}

void nonce_answer_talk(nonce_conn *c) {
  size_t at = 0;
  while (c->out.len < NONCE_OUT && echo(c, &at))
    ;
  if (at != 0)
    memmove(c->in.data, c->in.data + at, c->in.len - at);
  text_cut(&c->in, c->in.len - at);
}
