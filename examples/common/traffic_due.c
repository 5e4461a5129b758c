/* When visits are due: a Poisson process that does not wait for anything. What
   the thread comes to late is begun late, and keeps the time it was due at. */
#include "common/traffic_state.h"

#include <sys/timerfd.h>
#include <unistd.h>

static double rate_of(traffic *t) {
  double rate;

  (void)pthread_mutex_lock(&t->lock);
  rate = t->shared.rate;
  (void)pthread_mutex_unlock(&t->lock);
  return rate;
}

static void set_clock(traffic *t) {
  struct itimerspec at = {{0, 0}, {0, 0}};

  if (t->running) {
    at.it_value.tv_sec = t->next_us / 1000000;
    at.it_value.tv_nsec = t->next_us % 1000000 * 1000;
  }
  /* It cannot fail: the descriptor and the time are good. */
  (void)timerfd_settime(t->clock_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* A pair counts as the two that it is. */
static void one_due(traffic *t, double rate) {
  uint64_t most = t->config.total_most;
  traffic_due due = {.intended_us = t->next_us, .number = t->number + 1};

  due.kind = (enum traffic_kind)traffic_weighted(&t->dice, t->config.mix,
                                                 TRAFFIC_KINDS);
  due.host = traffic_zipf_pick(&t->zipf, &t->dice);
  due.other = traffic_zipf_pick(&t->zipf, &t->dice);
  if (due.kind == TRAFFIC_PIPELINED && most != 0 && most - t->number < 2)
    due.kind = TRAFFIC_PLAIN;
  t->number++;
  t->next_us += traffic_gap_us(&t->dice, rate);
  if (due.kind == TRAFFIC_PIPELINED) {
    t->number++;
    t->next_us += traffic_gap_us(&t->dice, rate);
  }
  if (most != 0 && t->number >= most)
    t->running = false;
  traffic_visit_due(t, &due);
}

void traffic_due_run(traffic *t) {
  int64_t now_us = traffic_now_us();
  double rate = rate_of(t);
  uint64_t fired;

  /* Only to make it wait again; there may be nothing. */
  if (read(t->clock_fd, &fired, sizeof fired) < 0)
    fired = 0;
  while (t->running && t->next_us <= now_us)
    one_due(t, rate);
  set_clock(t);
}

void traffic_due_again(traffic *t) {
  bool paused;
  double rate = rate_of(t);

  (void)pthread_mutex_lock(&t->lock);
  paused = t->shared.paused;
  (void)pthread_mutex_unlock(&t->lock);
  t->running = !paused && !t->closing &&
               (t->config.total_most == 0 || t->number < t->config.total_most);
  t->next_us = traffic_now_us() + traffic_gap_us(&t->dice, rate);
  set_clock(t);
}
