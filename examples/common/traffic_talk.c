/* The visitor's side of a websocket; see traffic_talk.h. */
#include "common/traffic_talk.h"

enum { MESSAGES_MOST = 4, FRAME_MOST = 4096, NORMAL = 1000 };

void traffic_talk_begin(traffic_talk *k, traffic_dice *d) {
  memset(k, 0, sizeof *k);
  k->left = 1 + traffic_below(d, MESSAGES_MOST);
}

static void send_frame(text *out, int opcode, const char *data, size_t len,
                       traffic_dice *d) {
  char head[WEBSOCKET_HEAD];
  unsigned char mask[4];
  size_t from;

  for (size_t i = 0; i < sizeof mask; i++)
    mask[i] = (unsigned char)traffic_below(d, 256);
  text_add(out, head, websocket_write(head, opcode, len, mask));
  from = out->len;
  text_add(out, data, len);
  if (!out->failed)
    websocket_mask(out->data + from, len, mask);
}

/* The next message, or the word that it is enough. */
static void say_next(traffic_talk *k, text *out, traffic_dice *d) {
  static const char enough[] = {NORMAL >> 8, (char)(NORMAL & 0xff)};

  if (k->left == 0) {
    k->closing = true;
    send_frame(out, WEBSOCKET_CLOSE, enough, sizeof enough, d);
    return;
  }
  k->left--;
  k->message_len = 1 + traffic_below(d, TRAFFIC_MESSAGE_MOST);
  for (size_t i = 0; i < k->message_len; i++)
    k->message[i] = (char)('a' + traffic_below(d, 26));
  send_frame(out, WEBSOCKET_TEXT, k->message, k->message_len, d);
}

static void say_wrong(traffic_answer *a, const char *sentence) {
  if (a->wrong == NULL)
    a->wrong = sentence;
}

static void take_page(traffic_talk *k, traffic_answer *a, const char *data,
                      size_t len) {
  size_t own = strlen(a->page);

  k->has_page = true;
  traffic_answer_keep(a, data, len);
  if (own != 0 &&
      (len != own + 1 || memcmp(data, a->page, own) != 0 || data[own] != '\n'))
    say_wrong(a, "The websocket's first message is not the app's page.");
}

/* One frame with its bytes; TRAFFIC_WHOLE: it was the last. */
static enum traffic_state take_frame(traffic_talk *k, traffic_answer *a,
                                     const websocket_frame *f, const char *data,
                                     text *out, traffic_dice *d,
                                     const char **why) {
  size_t len = (size_t)f->len;

  *why = f->masked ? "The server's frames are masked."
                   : "The server closed the websocket before it was asked to.";
  if (f->masked || (f->opcode == WEBSOCKET_CLOSE && !k->closing))
    return TRAFFIC_NONSENSE;
  if (f->opcode == WEBSOCKET_CLOSE)
    return TRAFFIC_WHOLE;
  if (f->opcode == WEBSOCKET_PING)
    send_frame(out, WEBSOCKET_PONG, data, len, d);
  if (f->opcode >= WEBSOCKET_CLOSE)
    return TRAFFIC_MORE;
  if (!k->has_page)
    take_page(k, a, data, len);
  else if (k->closing || len != k->message_len ||
           memcmp(data, k->message, len) != 0)
    say_wrong(a, "A message that came back is not the one that was sent.");
  if (!k->closing)
    say_next(k, out, d);
  return TRAFFIC_MORE;
}

static void drop_front(text *t, size_t len) {
  text rest = TEXT_INIT;

  text_add(&rest, text_get(t) + len, t->len - len);
  text_free(t);
  *t = rest;
}

enum traffic_state traffic_talk_take(traffic_talk *k, traffic_answer *a,
                                     const char *data, size_t len, text *out,
                                     traffic_dice *d, const char **why) {
  enum traffic_state state = TRAFFIC_MORE;
  websocket_frame f;
  size_t at = 0;

  text_add(&k->in, data, len);
  while (state == TRAFFIC_MORE) {
    int found = websocket_read(&f, text_get(&k->in) + at, k->in.len - at,
                               FRAME_MOST, why);

    if (found < 0)
      return TRAFFIC_NONSENSE;
    if (found == 0 || k->in.len - at - f.head < f.len)
      break;
    state = take_frame(k, a, &f, k->in.data + at + f.head, out, d, why);
    at += f.head + (size_t)f.len;
  }
  if (state == TRAFFIC_MORE && at != 0)
    drop_front(&k->in, at);
  if (k->in.failed || out->failed) {
    *why = "There was no memory for the websocket.";
    return TRAFFIC_NONSENSE;
  }
  return state;
}

void traffic_talk_end(traffic_talk *k, traffic_answer *a) {
  websocket_frame f;
  const char *why;

  if (!k->has_page && k->in.len != 0 &&
      websocket_read(&f, k->in.data, k->in.len, FRAME_MOST, &why) > 0)
    traffic_answer_keep(a, k->in.data + f.head, k->in.len - f.head);
  text_free(&k->in);
}
