/* The way back: the answer's head, when the caller agrees to it, and its body
   as it comes, no faster than the client takes it. */
#include "common/http_proxy_state.h"

#include <string.h>

/* ---- the body ---- */

/* Bytes behind the end are nobody's: such a connection is not used again, and
   so isn't one whose request was answered before it was sent in full. */
static bool may_keep(const http_pass *p, size_t beyond) {
  return p->keeps && beyond == 0 && (!p->has_body || p->body_done);
}

void pass_client_drained(http_exchange *x, void *ctx) {
  http_pass *p = ctx;

  (void)x;
  if (p->link == NULL)
    return;
  p->client_waits = 0;
  http_link_touch(p->link);
  http_link_resume(p->link);
}

/* Hands over what is body of it. */
static void take_body(http_pass *p, const char *data, size_t len) {
  const char *why = "";
  size_t used = 0, waiting = 0;
  http_str piece;

  pass_enter(p);
  while (p->x != NULL && !p->body.done) {
    piece = (http_str){NULL, 0};
    if (!http_body_next(&p->body, data, len, &used, &piece, &why)) {
      pass_cut(p);
      break;
    }
    if (piece.len != 0)
      waiting = http_exchange_write(p->x, piece.data, piece.len);
    data += used;
    len -= used;
    if (used == 0)
      break;
  }
  if (p->x != NULL && p->body.done) {
    pass_finish(p, may_keep(p, len));
  } else if (p->x != NULL && waiting > HTTP_LINK_HIGH) {
    p->client_waits = waiting;
    http_link_pause(p->link);
  }
  (void)pass_leave(p);
}

/* ---- the head ---- */

/* As the server framed it; one that ends with its connection is chunked for the
   client, so that its connection stays, and a cut is seen. */
static void begin_answer(http_pass *p, const http_head *head) {
  http_field fields[HTTP_FIELDS + HTTP_PROXY_SET];
  size_t count = pass_answer_fields(p, head, fields);
  enum http_framing framing = head->framing;

  if (framing == HTTP_CLOSE)
    framing = HTTP_CHUNKED;
  else if (p->is_head && http_head_find(head, "content-length") != NULL)
    framing = HTTP_LENGTH; /* of what a GET would get */
  p->keeps = head->keep_alive && head->framing != HTTP_CLOSE;
  http_body_start(&p->body, head);
  http_exchange_on_drain(p->x, pass_client_drained, p);
  http_exchange_begin(p->x, head->status, fields, count, framing, head->length);
  if (p->x == NULL)
    return;
  p->answered = true;
  pass_waits(p);
}

static void take_answer(http_pass *p, const http_head *head, const char *data,
                        size_t len) {
  enum http_proxy_result result = HTTP_PROXY_OK;

  if (head->status == 101 &&
      (!p->upgrades || !http_str_is(head->upgrade, "websocket"))) {
    pass_fail(p, HTTP_PROXY_BROKEN, "an upgrade that was not asked for");
    return;
  }
  if (p->rules.on_head != NULL)
    result = p->rules.on_head(p->x, head, p->rules.user);
  if (p->x == NULL)
    return;
  if (result != HTTP_PROXY_OK) {
    pass_fail(p, result, "the answer is not to be passed on");
  } else if (head->status == 101) {
    pass_tunnel_begin(p, head, data, len);
  } else {
    begin_answer(p, head);
    if (p->x != NULL)
      take_body(p, data, len);
  }
}

static void take_inform(http_pass *p, const http_head *head) {
  p->informs++;
  if (p->informs > PASS_INFORMS) {
    pass_fail(p, HTTP_PROXY_BROKEN, "too many heads before the answer's");
  } else if (head->status != 100) {
    if (p->rules.on_head == NULL)
      http_exchange_inform(p->x, head->status);
  } else if (p->expecting) {
    p->expecting = false;
    pass_read_body(p); /* which tells the client to go on */
    if (p->x != NULL)
      pass_waits(p);
  }
}

/* One head; false when there is not enough for it, or the pass has gone on. */
static bool take_head(http_pass *p, const char **data, size_t *len) {
  static const char get[] = "GET", head_[] = "HEAD";
  http_str method = {p->is_head ? head_ : get, p->is_head ? 4 : 3};
  http_head head;
  const char *why = "";
  size_t used = 0;
  int result = http_head_response(&head, *data, *len, HTTP_HEAD_MOST,
                                  &p->scanned, method, &used, &why);

  if (result == HTTP_HEAD_MORE)
    return false;
  if (result != HTTP_HEAD_DONE) {
    pass_fail(p, HTTP_PROXY_BROKEN, why);
    return false;
  }
  p->scanned = 0;
  *data += used;
  *len -= used;
  if (head.status >= 200 || head.status == 101) {
    take_answer(p, &head, *data, *len);
    return false;
  }
  take_inform(p, &head);
  return p->x != NULL;
}

/* What is left of it is kept until there is more. */
static void hold(http_pass *p, const char *data, size_t len) {
  text rest = TEXT_INIT;

  if (p->held.len == 0) {
    text_add(&p->held, data, len);
  } else if (data != p->held.data) {
    text_add(&rest, data, len);
    text_free(&p->held);
    p->held = rest;
  }
  if (p->held.failed)
    pass_fail(p, HTTP_PROXY_BROKEN, "out of memory");
}

void pass_answer_data(http_pass *p, const char *data, size_t len) {
  if (p->answered) {
    take_body(p, data, len);
    return;
  }
  pass_enter(p);
  if (p->held.len != 0) {
    text_add(&p->held, data, len);
    data = p->held.data;
    len = p->held.len;
  }
  if (p->held.failed)
    pass_fail(p, HTTP_PROXY_BROKEN, "out of memory");
  while (p->x != NULL && take_head(p, &data, &len))
    ;
  if (p->x != NULL && !p->answered && !p->tunnel)
    hold(p, data, len);
  (void)pass_leave(p);
}

void pass_answer_end(http_pass *p) {
  if (!p->answered)
    pass_no_answer(p, "the connection was closed before an answer");
  else if (http_body_ends(&p->body))
    pass_finish(p, false);
  else
    pass_cut(p);
}
