/*
 * Connections; see conn.h. Bytes are counted as they leave, so that a fault at
 * byte k is at byte k whatever the kernel took at once.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_AT_ONCE = 65536, IN_MAX = 1 << 20 };

static size_t waiting(const couch_conn *c) { return c->out.len - c->out_at; }

couch_conn *couch_conn_new(int fd, int node) {
  couch_conn *c = couch_alloc(sizeof *c);
  c->fd = fd;
  c->node = node;
  couch_plan_init(&c->plan);
  return c;
}

static void end_request(couch_front *f, couch_conn *c) {
  if (c->reply.feed != NULL)
    f->book.feeds--;
  if (c->number > 0)
    couch_book_done(&f->book, c->number, c->reply.status, f->world.now_ms);
  c->number = 0;
  couch_reply_free(&c->reply);
  couch_request_free(&c->request);
  couch_plan_free(&c->plan);
  c->whole = c->head_held = false;
  c->body_sent = 0;
}

void couch_conn_close(couch_front *f, couch_conn *c, bool reset) {
  struct linger hard = {1, 0};
  if (c->state == COUCH_CLOSED)
    return;
  end_request(f, c);
  if (reset)
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  (void)close(c->fd);
  c->fd = -1;
  c->state = COUCH_CLOSED;
  c->out.len = c->out_at = 0;
}

void couch_conn_free(couch_front *f, couch_conn *c) {
  couch_conn_close(f, c, false);
  couch_buf_free(&c->in);
  couch_buf_free(&c->out);
  free(c);
}

/* ---- answering ---- */

static void put_head(couch_front *f, couch_conn *c) {
  bool head_only = couch_is(&c->request, "HEAD");
  size_t before = c->out.len;
  if (!c->reader.keep_alive || (c->request.old_http && c->reply.feed != NULL))
    c->reply.close = true;
  couch_head(&f->world, &c->request, &c->reply, head_only, &c->out);
  c->head_left += c->out.len - before;
}

static void put_answer(couch_front *f, couch_conn *c) {
  c->state = COUCH_WRITING;
  if (c->reply.status == 0) {
    couch_conn_close(f, c, false);
    return;
  }
  if (c->reply.feed != NULL) {
    f->book.feeds++;
    if (f->world.settings.late_heads && c->reply.feed->mode != COUCH_NORMAL)
      c->head_held = true;
    else
      put_head(f, c);
    return;
  }
  put_head(f, c);
  if (!couch_is(&c->request, "HEAD"))
    couch_add(&c->out, couch_buf_text(&c->reply.body), c->reply.body.len);
  c->whole = true;
}

/* An answer that a rule gives in place of the server. */
static void planned_answer(couch_conn *c) {
  const couch_plan *p = &c->plan;
  if (p->body != NULL) {
    c->reply.status = p->status;
    couch_add_text(&c->reply.body, p->body);
    couch_header_add(&c->reply, "Content-Type",
                     p->body[0] == '<' ? "text/html" : "application/json");
  } else {
    couch_error(&c->reply, p->status, p->error ? p->error : "error",
                p->reason ? p->reason : "couchsim was told to");
  }
  if (p->headers != NULL)
    couch_add_text(&c->reply.headers, p->headers);
}

static void do_later(couch_front *f, couch_conn *c) {
  f->late = couch_room(f->late, &f->late_cap, f->late_count, sizeof *f->late);
  f->late[f->late_count++] =
      (couch_late){f->clock_ms + c->plan.apply_ms, c->request};
  /* The connection keeps what its answer needs. */
  c->request = (couch_request){.method = couch_dup(c->request.method),
                               .target = couch_dup(c->request.target),
                               .node = c->request.node,
                               .old_http = c->request.old_http};
  couch_request_split(&c->request);
}

static void handle(couch_front *f, couch_conn *c) {
  if (c->plan.apply_ms >= 0) {
    do_later(f, c);
    if (c->plan.then == COUCH_THEN_ANSWER && c->plan.status == 0)
      couch_error(&c->reply, 500, "timeout",
                  "The request could not be processed in a reasonable amount "
                  "of time.");
    else if (c->plan.status != 0)
      planned_answer(c);
  } else if (c->plan.status != 0) {
    planned_answer(c);
  } else {
    couch_handle(&f->world, &c->request, &c->plan, &c->reply);
  }
  if (c->plan.then == COUCH_THEN_SILENCE) {
    c->state = COUCH_SILENT;
  } else if (c->plan.then != COUCH_THEN_ANSWER) {
    couch_conn_close(f, c, c->plan.then == COUCH_THEN_RESET);
  } else if (c->plan.head_ms > 0 || c->reply.delay_ms > 0) {
    c->state = COUCH_HOLDING;
    c->at_ms = f->clock_ms + c->plan.head_ms + c->reply.delay_ms;
  } else {
    put_answer(f, c);
  }
}

static void begin_request(couch_front *f, couch_conn *c) {
  couch_request_split(&c->request);
  if (c->node < 0) {
    couch_control_handle(&f->control, &c->request, &c->reply);
    put_answer(f, c);
    return;
  }
  c->request.node = (unsigned)c->node;
  c->number = couch_book_request(&f->book, &c->request, f->world.now_ms);
  couch_rules_draw(&f->rules, &f->world, &c->request, &c->plan);
  if (c->plan.delay_ms > 0) {
    c->state = COUCH_DELAYED;
    c->at_ms = f->clock_ms + c->plan.delay_ms;
    return;
  }
  handle(f, c);
}

static void refuse(couch_front *f, couch_conn *c, couch_reading why) {
  f->book.bad++;
  if (why == COUCH_READ_GARBAGE) {
    couch_conn_close(f, c, false);
    return;
  }
  if (why == COUCH_READ_TOO_LARGE) {
    couch_error(&c->reply, 413, "too_large", "the request entity is too large");
  } else {
    c->reply.status = 400;
    c->reply.plain = true;
  }
  c->reader.keep_alive = false;
  if (c->request.method == NULL)
    c->request.method = couch_dup("GET");
  put_answer(f, c);
}

static void next_request(couch_front *f, couch_conn *c) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\nServer: MochiWeb/1.0 "
                              "(Any of you quaids got a smint?)\r\n\r\n";
  couch_reading result;
  if (c->in.len == 0)
    return;
  result = couch_read_request(&c->reader, &c->in, &c->request);
  if (result == COUCH_READ_CONTINUE) {
    couch_add(&c->out, go_on, sizeof go_on - 1);
    c->head_left += sizeof go_on - 1;
  } else if (result == COUCH_READ_DONE) {
    begin_request(f, c);
  } else if (result != COUCH_READ_MORE) {
    refuse(f, c, result);
  }
}

void couch_conn_readable(couch_front *f, couch_conn *c) {
  char bytes[READ_AT_ONCE];
  ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0) { /* a half-closed client would wait for its answer */
    bool answering = c->state == COUCH_WRITING && c->reply.feed == NULL;
    if (n == 0 && (answering || c->state == COUCH_CLOSING)) {
      c->reader.keep_alive = false;
      c->lingers = true;
      return;
    }
    couch_conn_close(f, c, false);
    return;
  }
  couch_add(&c->in, bytes, (size_t)n);
  if (c->state == COUCH_READING)
    next_request(f, c);
}

/* ---- writing ---- */

static void pump(couch_front *f, couch_conn *c) {
  couch_feed *feed = c->reply.feed;
  if (feed == NULL || c->whole || waiting(c) > COUCH_FEED_FULL)
    return;
  if (c->head_held) {
    couch_buf first = {0};
    couch_feed_pump(feed, &f->world, f->clock_ms, &first);
    /* What comes before a row or a heartbeat waits with the head. */
    couch_add(&c->reply.body, couch_buf_text(&first), first.len);
    couch_buf_free(&first);
    if (feed->row_count + feed->beats > 0 || feed->ended || feed->broken) {
      c->head_held = false;
      put_head(f, c);
      couch_add(&c->out, couch_buf_text(&c->reply.body), c->reply.body.len);
      c->reply.body.len = 0;
    }
  } else {
    couch_feed_pump(feed, &f->world, f->clock_ms, &c->out);
  }
  if (feed->broken)
    c->reply.close = true;
  c->whole = feed->ended || feed->broken;
}

/* How much may go out in one send; 0: a fault has struck, or nothing is due. */
static size_t allowed(couch_front *f, couch_conn *c) {
  uint64_t n = waiting(c);
  const int64_t stops[2] = {c->plan.cut_at, c->plan.mute_at};
  for (int i = 0; i < 2; i++) {
    uint64_t left;
    if (stops[i] < 0)
      continue;
    left = c->head_left + (uint64_t)stops[i] - c->body_sent;
    if (left < n)
      n = left;
    if (left == 0 && i == 0) {
      couch_conn_close(f, c, c->plan.cut_reset);
      return 0;
    }
    if (left == 0) {
      c->state = COUCH_SILENT;
      return 0;
    }
  }
  if (c->plan.slice > 0 && n > c->plan.slice)
    n = c->plan.slice;
  return (size_t)n;
}

static void sent(couch_front *f, couch_conn *c, size_t n) {
  size_t head = n < c->head_left ? n : c->head_left;
  c->head_left -= head;
  c->body_sent += n - head;
  f->book.bytes_out += n;
  c->out_at += n;
  if (c->out_at == c->out.len || c->out_at > c->out.len / 2) {
    couch_buf_drop(&c->out, c->out_at);
    c->out_at = 0;
  }
}

/* The answer is out: the next request, or the end. */
static void answered(couch_front *f, couch_conn *c) {
  bool close_it = c->reply.close || !c->reader.keep_alive ||
                  (c->reply.feed != NULL && !c->reply.feed->framed);
  bool broken = c->reply.feed != NULL && c->reply.feed->broken;
  end_request(f, c);
  c->reader = (couch_reader){0};
  c->state = COUCH_READING;
  if (!close_it) {
    next_request(f, c);
    return;
  }
  if (broken || c->lingers || shutdown(c->fd, SHUT_WR) != 0) {
    couch_conn_close(f, c, false);
    return;
  }
  /* With bytes unread a close would be a reset, and eat the answer. */
  c->state = COUCH_CLOSING;
  c->at_ms = f->clock_ms + 2000;
  c->in.len = 0;
}

static bool write_some(couch_front *f, couch_conn *c) {
  size_t n;
  ssize_t done;
  if (waiting(c) == 0 && c->plan.cut_at < 0)
    return false;
  n = allowed(f, c);
  if (n == 0 || c->state == COUCH_CLOSED)
    return false;
  done = send(c->fd, c->out.data + c->out_at, n, MSG_NOSIGNAL);
  if (done < 0) {
    if (errno != EAGAIN && errno != EINTR)
      couch_conn_close(f, c, false);
    return false;
  }
  sent(f, c, (size_t)done);
  if (c->plan.slice > 0 && waiting(c) > 0) {
    c->at_ms = f->clock_ms + c->plan.slice_ms;
    return c->plan.slice_ms == 0;
  }
  return true;
}

static void write_all(couch_front *f, couch_conn *c) {
  for (int round = 0; round < 64 && c->state == COUCH_WRITING; round++) {
    pump(f, c);
    if (c->plan.slice > 0 && c->plan.slice_ms > 0 && f->clock_ms < c->at_ms)
      return;
    if (!write_some(f, c))
      break;
  }
  if (c->state == COUCH_WRITING && c->whole && waiting(c) == 0)
    answered(f, c);
}

void couch_conn_turn(couch_front *f, couch_conn *c) {
  if (c->state == COUCH_DELAYED && f->clock_ms >= c->at_ms)
    handle(f, c);
  if (c->state == COUCH_HOLDING && f->clock_ms >= c->at_ms)
    put_answer(f, c);
  if (c->state == COUCH_CLOSING && f->clock_ms >= c->at_ms)
    couch_conn_close(f, c, false);
  if (c->state == COUCH_READING && waiting(c) > 0)
    (void)write_some(f, c);
  /* Answers to requests that came together follow each other. */
  for (int i = 0; i < 16 && c->state == COUCH_WRITING; i++) {
    uint64_t number = c->number;
    write_all(f, c);
    if (c->number == number)
      break;
  }
}

int64_t couch_conn_due_ms(const couch_conn *c) {
  switch (c->state) {
  case COUCH_DELAYED:
  case COUCH_HOLDING:
  case COUCH_CLOSING:
    return c->at_ms;
  case COUCH_WRITING:
    if (c->plan.slice > 0 && waiting(c) > 0 && c->plan.slice_ms > 0)
      return c->at_ms;
    return c->reply.feed != NULL && waiting(c) == 0
               ? couch_feed_due_ms(c->reply.feed)
               : INT64_MAX;
  case COUCH_READING:
  case COUCH_SILENT:
  case COUCH_CLOSED:
    break;
  }
  return INT64_MAX;
}

bool couch_conn_wants_write(const couch_conn *c) {
  if (c->plan.slice > 0 && c->plan.slice_ms > 0)
    return false; /* by the clock */
  return waiting(c) > 0 &&
         (c->state == COUCH_WRITING || c->state == COUCH_READING);
}

bool couch_conn_wants_read(const couch_conn *c) {
  return c->in.len < IN_MAX && !c->lingers;
}

bool couch_conn_has_news(const couch_front *f, const couch_conn *c) {
  return c->state == COUCH_WRITING && c->reply.feed != NULL && !c->whole &&
         waiting(c) <= COUCH_FEED_FULL &&
         couch_feed_has_news(c->reply.feed, &f->world);
}

/* ---- what is done late ---- */

void couch_late_turn(couch_front *f) {
  for (size_t i = 0; i < f->late_count;) {
    couch_late late = f->late[i];
    couch_plan plan;
    couch_reply reply = {0};
    if (f->clock_ms < late.at_ms) {
      i++;
      continue;
    }
    memmove(f->late + i, f->late + i + 1,
            (f->late_count - i - 1) * sizeof *f->late);
    f->late_count--;
    couch_plan_init(&plan);
    couch_handle(&f->world, &late.request, &plan, &reply);
    couch_reply_free(&reply);
    couch_request_free(&late.request);
  }
}

int64_t couch_late_due_ms(const couch_front *f) {
  int64_t due = INT64_MAX;
  for (size_t i = 0; i < f->late_count; i++)
    if (f->late[i].at_ms < due)
      due = f->late[i].at_ms;
  return due;
}
