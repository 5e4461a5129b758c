/* A connection with a visit: what is sent and when, what comes, and how it
   ends. */
#include "common/traffic_state.h"

#include <errno.h>
#include <sys/socket.h>

enum {
  LEAVE_MS = 20,  /* at most, between the last byte and an abort */
  READ_US = 5000, /* between pieces of an answer that is read slowly */
  TALK_MOST = 64 * 1024
};

/* ---- ends ---- */

void traffic_pass_fail(traffic_link *l, enum traffic_outcome outcome,
                       const char *why) {
  traffic_visit *first = l->first, *second = l->second;
  bool reset = outcome == TRAFFIC_ABORTED && first != NULL &&
               traffic_below(&first->dice, 2) == 0;

  l->first = l->second = NULL;
  traffic_link_close(l, reset);
  if (first != NULL)
    traffic_visit_end(first, outcome, why);
  if (second != NULL)
    traffic_visit_end(second, outcome, why);
}

static bool is_sent(const traffic_visit *v) {
  return v->request.sent == v->request.out.len;
}

/* Its answer is whole; `beyond` bytes have come behind it. */
static void answered(traffic_link *l, size_t beyond) {
  traffic_visit *v = l->first, *next = l->second;
  bool keeps = v->answer.keep_alive && !v->answer.upgraded && is_sent(v) &&
               l->deaf == 0 && !v->request.closes;

  l->served++;
  l->first = next;
  l->second = NULL;
  if (!keeps || (next == NULL && beyond != 0)) {
    l->first = NULL;
    traffic_link_close(l, false);
  } else if (next == NULL) {
    traffic_link_keep(l);
  }
  if (beyond != 0 && next == NULL && !v->answer.upgraded)
    traffic_count(l->t, &l->t->shared.counts.unasked, (int)beyond);
  traffic_visit_end(v, TRAFFIC_ANSWERED, "");
  if (!keeps && next != NULL)
    traffic_visit_again(next, "The connection was closed after the answer "
                              "before.");
}

/* Nothing had come for it on a connection that had served others: it may just
   have been closed when the request was sent. */
static bool may_go_again(const traffic_link *l, const traffic_visit *v) {
  return l->served != 0 && v->told.first_byte_us == 0 &&
         v->request.may_repeat && !v->told.again;
}

static bool is_leaving(const traffic_visit *v) {
  return v->request.sent == v->request.ends_at;
}

void traffic_pass_broken(traffic_link *l, int error) {
  traffic_visit *v = l->first, *second = l->second;
  const char *why = error != 0 ? uv_strerror(uv_translate_sys_error(error))
                               : "The connection was closed.";

  if (v != NULL && error == 0 && !v->answer.upgraded &&
      traffic_answer_ends(&v->answer)) {
    answered(l, 0);
    return;
  }
  l->first = l->second = NULL;
  traffic_link_close(l, false);
  if (v == NULL)
    return;
  if (is_leaving(v))
    traffic_visit_end(v, TRAFFIC_ABORTED, "");
  else if (may_go_again(l, v))
    traffic_visit_again(v, why);
  else
    traffic_visit_end(
        v, v->answer.has_head ? TRAFFIC_CUT_BODY : TRAFFIC_CUT_HEAD, why);
  if (second != NULL)
    traffic_visit_again(second, why);
}

/* ---- what is sent ---- */

static void has_asked(traffic_visit *v) {
  if (v != NULL && v->told.asked_us == 0)
    v->told.asked_us = traffic_now_us();
}

static void all_sent(traffic_link *l) {
  traffic_request *r = &l->first->request;

  has_asked(l->first);
  has_asked(l->second); /* which is sent with the first */
  if (r->sent == r->ends_at && l->write_us == 0)
    l->write_us =
        traffic_now_us() +
        1000 * (1 + (int64_t)traffic_below(&l->first->dice, LEAVE_MS));
  if (r->half_close)
    (void)shutdown(l->fd, SHUT_WR);
  r->half_close = false;
}

void traffic_pass_send(traffic_link *l) {
  traffic_request *r = &l->first->request;
  int64_t pause;
  size_t len;

  while (l->deaf == 0 && (len = traffic_request_next(r, &pause)) != 0) {
    ssize_t n;

    if (pause != 0 && !l->rested) {
      l->write_us = traffic_now_us() + pause * 1000;
      return;
    }
    n = send(l->fd, r->out.data + r->sent, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR)
        l->deaf = errno; /* what has come before is still read */
      return;
    }
    r->sent += (size_t)n;
    l->rested = (size_t)n < len;
    if (r->bytes)
      break; /* the next goes out in the loop's next round */
  }
  if (traffic_request_next(r, &pause) == 0)
    all_sent(l);
}

/* ---- what comes ---- */

static enum traffic_state talk(traffic_visit *v, const char *data, size_t len,
                               const char **why) {
  v->talked += len;
  *why = "The websocket says more than it was asked to.";
  if (v->talked > TALK_MOST)
    return TRAFFIC_NONSENSE;
  return traffic_talk_take(&v->talk, &v->answer, data, len, &v->request.out,
                           &v->dice, why);
}

/* A part of it for the first visit. Returns how many bytes it took; 0: the
   connection was closed. */
static size_t take(traffic_link *l, const char *data, size_t len) {
  traffic_visit *v = l->first;
  enum traffic_state state;
  const char *why = "";
  size_t used = len;

  if (v->told.first_byte_us == 0)
    v->told.first_byte_us = traffic_now_us();
  if (v->answer.upgraded)
    state = talk(v, data, len, &why);
  else
    state = traffic_answer_take(&v->answer, data, len, &used, &why);
  if (state == TRAFFIC_NONSENSE)
    traffic_pass_fail(l, TRAFFIC_BROKEN, why);
  else if (state == TRAFFIC_WHOLE)
    answered(l, len - used);
  else if (state == TRAFFIC_TALK)
    traffic_talk_begin(&v->talk, &v->dice);
  else if (v->request.enough != 0 && v->answer.length >= v->request.enough)
    traffic_pass_fail(l, TRAFFIC_ABORTED, "");
  return l->closing ? 0 : used;
}

void traffic_pass_data(traffic_link *l, const char *data, size_t len) {
  bool slow = l->first != NULL && l->first->request.reads_slowly;

  if (l->first == NULL) {
    traffic_count(l->t, &l->t->shared.counts.unasked, (int)len);
    traffic_link_close(l, false);
    return;
  }
  while (len != 0 && l->first != NULL) {
    size_t used = take(l, data, len);

    if (l->closing)
      return;
    data += used;
    len -= used;
  }
  if (l->first == NULL)
    return;
  if (slow)
    l->read_us = traffic_now_us() + READ_US;
  if (l->first->answer.upgraded && l->write_us == 0)
    traffic_pass_send(l);
}

/* ---- time ---- */

void traffic_pass_time(traffic_link *l, int64_t now_us) {
  if (l->due_us != 0 && l->due_us <= now_us) {
    traffic_pass_fail(l, l->connecting ? TRAFFIC_NOT_CONNECTED : TRAFFIC_LATE,
                      "The time of the visit was over.");
    return;
  }
  if (l->read_us != 0 && l->read_us <= now_us)
    l->read_us = 0;
  if (l->write_us != 0 && l->write_us <= now_us) {
    l->write_us = 0;
    if (is_leaving(l->first)) {
      traffic_pass_fail(l, TRAFFIC_ABORTED, "");
      return;
    }
    l->rested = true;
    traffic_pass_send(l);
  }
  traffic_link_arm(l);
}
