/* A websocket: from the 101 on, bytes as they are, each way with its own end.
 */
#include "common/http_proxy_state.h"

#include <string.h>

/* ---- from the client ---- */

static void on_data(http_exchange *x, const char *data, size_t len, void *ctx) {
  http_pass *p = ctx;
  uv_buf_t buf;

  memcpy(&buf.base, &data, sizeof data); /* it is only read */
  buf.len = len;
  if (http_link_write(p->link, &buf, 1) > HTTP_LINK_HIGH && !p->client_paused) {
    p->client_paused = true;
    http_exchange_pause(x);
  }
}

static void on_end(http_exchange *x, void *ctx) {
  http_pass *p = ctx;

  (void)x;
  p->client_ended = true;
  if (p->server_ended)
    pass_tunnel_over(p);
  else
    http_link_end(p->link);
}

/* ---- from the server ---- */

void pass_tunnel_begin(http_pass *p, const http_head *head, const char *data,
                       size_t len) {
  static const http_sink sink = {on_data, on_end};
  http_field fields[HTTP_FIELDS + HTTP_PROXY_SET];
  size_t count = pass_answer_fields(p, head, fields);

  p->tunnel = true;
  http_exchange_on_drain(p->x, pass_client_drained, p);
  http_exchange_upgrade(p->x, fields, count, &sink, p);
  if (p->x == NULL)
    return;
  pass_waits(p);
  if (len != 0)
    pass_tunnel_data(p, data, len);
}

void pass_tunnel_data(http_pass *p, const char *data, size_t len) {
  size_t waiting;

  pass_enter(p);
  waiting = http_exchange_write(p->x, data, len);
  if (p->x != NULL && waiting > HTTP_LINK_HIGH) {
    p->client_waits = waiting;
    http_link_pause(p->link);
  }
  (void)pass_leave(p);
}

void pass_tunnel_end(http_pass *p) {
  http_exchange *x = p->x;

  p->server_ended = true;
  if (p->client_ended)
    pass_finish(p, false);
  else
    http_exchange_end(x);
}
