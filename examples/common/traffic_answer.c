/* Answers taken apart; see traffic_answer.h. */
#include "common/traffic_answer.h"

#include <stdio.h>

enum { INFORMS_MOST = 8 };

uint64_t traffic_sum(uint64_t sum, const char *data, size_t len) {
  for (size_t i = 0; i < len; i++)
    sum = (sum ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
  return sum;
}

void traffic_answer_begin(traffic_answer *a, const traffic_asked *asked) {
  memset(a, 0, sizeof *a);
  a->asked = *asked;
}

void traffic_answer_keep(traffic_answer *a, const char *data, size_t len) {
  size_t room = TRAFFIC_BODY - a->kept.len;

  a->length += len;
  text_add(&a->kept, data, len < room ? len : room);
}

void traffic_answer_free(traffic_answer *a) {
  text_free(&a->held);
  text_free(&a->kept);
  text_free(&a->expected);
}

/* ---- the app's own answer ---- */

/* The first mistake is the one to tell. */
static void say_wrong(traffic_answer *a, const char *sentence) {
  if (a->wrong == NULL)
    a->wrong = sentence;
}

/* The next part of what the app has to answer; false: there is no more. */
static bool expect_more(traffic_answer *a) {
  const traffic_asked *q = &a->asked;

  text_clear(&a->expected);
  a->matched = 0;
  if (q->lines != 0) {
    if (a->line == q->lines)
      return false;
    text_printf(&a->expected, "%s %u\n", a->page, a->line++);
    return true;
  }
  if (a->line++ != 0)
    return false;
  text_printf(&a->expected, "%s\n", a->page);
  if (q->posted)
    text_printf(&a->expected, "length=%llu sum=%016llx\n",
                (unsigned long long)q->length, (unsigned long long)q->sum);
  return true;
}

static void compare(traffic_answer *a, const char *data, size_t len) {
  while (len != 0 && a->wrong == NULL) {
    size_t n = a->expected.len - a->matched;

    if (n == 0 && !expect_more(a)) {
      say_wrong(a, "The body goes on behind what the app has to answer.");
      return;
    }
    n = a->expected.len - a->matched;
    if (n > len)
      n = len;
    if (memcmp(text_get(&a->expected) + a->matched, data, n) != 0)
      say_wrong(a, "The body is not what the app has to answer.");
    a->matched += n;
    data += n;
    len -= n;
  }
}

static void compare_end(traffic_answer *a) {
  if (a->page[0] != '\0' && !a->asked.head &&
      (a->matched != a->expected.len || expect_more(a)))
    say_wrong(a, "The body ends before what the app has to answer does.");
}

/* ---- the head ---- */

/* As much of a value as there is room for. */
static void copy_value(char *out, size_t size, const http_field *field) {
  if (field != NULL)
    (void)snprintf(out, size, "%.*s", (int)field->value.len, field->value.data);
}

static void look_at_fields(traffic_answer *a, const http_head *head) {
  static const char prefix[] = "x-drone-";
  const http_field *field;

  for (size_t i = 0; i < head->count; i++) {
    http_str name = head->fields[i].name;

    if (name.len >= sizeof prefix - 1)
      a->inside |=
          http_str_is((http_str){name.data, sizeof prefix - 1}, prefix);
  }
  copy_value(a->error, sizeof a->error,
             http_head_find(head, "x-balancer-error"));
  copy_value(a->page, sizeof a->page, http_head_find(head, "x-nonce"));
  if (a->page[0] == '\0')
    return;
  field = http_head_find(head, "x-nonce-target");
  if (field == NULL || !http_str_same(field->value, a->asked.target))
    say_wrong(a, "The answer is to another request.");
  if (a->error[0] != '\0')
    say_wrong(a, "It is an app's answer and the balancer's.");
  if (head->status != 200 && head->status != 101)
    say_wrong(a, "The app does not answer what it was asked for.");
}

/* A switch to websockets that was asked for, and proves that it was read. */
static enum traffic_state begin_talk(traffic_answer *a, const http_head *head,
                                     const char **why) {
  const http_field *accept = http_head_find(head, "sec-websocket-accept");

  *why = "The answer 101 was not asked for.";
  if (a->asked.accept == NULL || head->upgrade.len == 0)
    return TRAFFIC_NONSENSE;
  *why = "Sec-WebSocket-Accept does not follow from the key.";
  if (accept == NULL || !http_str_same(accept->value, a->asked.accept))
    return TRAFFIC_NONSENSE;
  a->upgraded = true;
  return TRAFFIC_TALK;
}

/* One head at the beginning of data; TRAFFIC_WHOLE: there was one. */
static enum traffic_state take_head(traffic_answer *a, const char *data,
                                    size_t len, size_t *used,
                                    const char **why) {
  static const http_str get = {"GET", 3}, head_ = {"HEAD", 4};
  http_head head;
  int result = http_head_response(&head, data, len, HTTP_HEAD_MOST, &a->scanned,
                                  a->asked.head ? head_ : get, used, why);

  if (result == HTTP_HEAD_MORE)
    return TRAFFIC_MORE;
  if (result != HTTP_HEAD_DONE)
    return TRAFFIC_NONSENSE;
  a->scanned = 0;
  if (head.status < 200 && head.status != 101) {
    *why = "There are too many heads before the answer's.";
    return ++a->informs > INFORMS_MOST ? TRAFFIC_NONSENSE : TRAFFIC_WHOLE;
  }
  a->has_head = true;
  a->status = head.status;
  a->keep_alive = head.keep_alive;
  look_at_fields(a, &head);
  http_body_start(&a->body, &head);
  return head.status == 101 ? begin_talk(a, &head, why) : TRAFFIC_WHOLE;
}

/* Heads until the answer's; of data, *used bytes. What was held of earlier
   data is in front of it. */
static enum traffic_state take_heads(traffic_answer *a, const char *data,
                                     size_t len, size_t *used,
                                     const char **why) {
  enum traffic_state state = TRAFFIC_WHOLE;
  size_t before = a->held.len, at = 0, n = 0;

  text_add(&a->held, data, len);
  if (a->held.failed) {
    *why = "There was no memory for the answer's head.";
    return TRAFFIC_NONSENSE;
  }
  while (state == TRAFFIC_WHOLE && !a->has_head) {
    state = take_head(a, a->held.data + at, a->held.len - at, &n, why);
    at += n;
  }
  *used = len;
  if (state == TRAFFIC_MORE && at != 0) {
    text rest = TEXT_INIT;

    text_add(&rest, a->held.data + at, a->held.len - at);
    text_free(&a->held);
    a->held = rest;
  } else if (state == TRAFFIC_WHOLE || state == TRAFFIC_TALK) {
    *used = at - before; /* before that, there was no whole head */
    text_free(&a->held);
  }
  return state;
}

/* ---- the body ---- */

static enum traffic_state take_body(traffic_answer *a, const char *data,
                                    size_t len, size_t *used,
                                    const char **why) {
  size_t n = 0;
  http_str piece;

  while (!a->body.done) {
    if (!http_body_next(&a->body, data + *used, len - *used, &n, &piece, why))
      return TRAFFIC_NONSENSE;
    *used += n;
    if (piece.len != 0) {
      if (a->page[0] != '\0')
        compare(a, piece.data, piece.len);
      traffic_answer_keep(a, piece.data, piece.len);
    }
    if (a->length > a->asked.most) {
      *why = "There is more of the answer than may be.";
      return TRAFFIC_NONSENSE;
    }
    if (n == 0 && !a->body.done)
      return TRAFFIC_MORE;
  }
  compare_end(a);
  a->whole = true;
  return TRAFFIC_WHOLE;
}

enum traffic_state traffic_answer_take(traffic_answer *a, const char *data,
                                       size_t len, size_t *used,
                                       const char **why) {
  enum traffic_state state = TRAFFIC_WHOLE;

  *used = 0;
  *why = "";
  if (!a->has_head)
    state = take_heads(a, data, len, used, why);
  return state == TRAFFIC_WHOLE ? take_body(a, data, len, used, why) : state;
}

bool traffic_answer_ends(traffic_answer *a) {
  if (!a->has_head || !http_body_ends(&a->body))
    return false;
  compare_end(a);
  a->whole = true;
  return true;
}
