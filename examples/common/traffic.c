/* The generator of visits: made, told what to do, ended; see traffic.h. */
#include "common/traffic_config.h"
#include "common/traffic_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

int64_t traffic_now_us(void) { return (int64_t)(uv_hrtime() / 1000); }

/* ---- the thread ---- */

static void close_handles(traffic *t) {
  uv_close((uv_handle_t *)&t->wake, NULL);
  uv_close((uv_handle_t *)&t->end, NULL);
  uv_close((uv_handle_t *)&t->clock, NULL);
}

/* The loop ends behind it. */
static void on_end(uv_timer_t *end) {
  traffic *t = end->data;

  if (uv_is_closing((uv_handle_t *)&t->end))
    return;
  traffic_link_stop(t);
  close_handles(t);
}

static void obey_close(traffic *t) {
  traffic_counts now = traffic_get_counts(t);

  if (!t->closing) {
    t->closing = true;
    (void)uv_timer_start(&t->end, on_end, (uint64_t)t->config.close_ms, 0);
  }
  if (now.flights == 0)
    on_end(&t->end);
}

static void on_wake(uv_async_t *wake) {
  traffic *t = wake->data;
  bool close, rerun;

  traffic_due_run(t); /* what was due before the order */
  (void)pthread_mutex_lock(&t->lock);
  close = t->shared.close;
  rerun = t->shared.rerun;
  t->shared.rerun = false;
  (void)pthread_mutex_unlock(&t->lock);
  traffic_link_sweep(t);
  if (rerun || (close && !t->closing))
    traffic_due_again(t);
  if (close)
    obey_close(t);
}

static void on_clock(uv_poll_t *clock, int status, int events) {
  (void)status;
  (void)events;
  traffic_due_run(clock->data);
}

static void *run(void *arg) {
  traffic *t = arg;

  traffic_due_again(t);
  (void)uv_run(&t->loop, UV_RUN_DEFAULT);
  return NULL;
}

/* ---- the beginning ---- */

static void drop(traffic *t) {
  for (size_t i = 0; t->hosts != NULL && i < t->config.host_count; i++)
    free(t->hosts[i]);
  free(t->hosts);
  free(t->forged);
  traffic_zipf_free(&t->zipf);
  if (t->clock_fd >= 0)
    (void)close(t->clock_fd);
  (void)pthread_mutex_destroy(&t->lock);
  free(t);
}

static bool copy(traffic *t) {
  t->hosts = calloc(t->config.host_count, sizeof *t->hosts);
  if (t->hosts == NULL)
    return false;
  for (size_t i = 0; i < t->config.host_count; i++) {
    t->hosts[i] = strdup(t->config.hosts[i]);
    if (t->hosts[i] == NULL)
      return false;
  }
  if (t->config.forged != NULL) {
    t->forged = strdup(t->config.forged);
    if (t->forged == NULL)
      return false;
  }
  t->limits = (traffic_request_limits){t->forged, t->config.slow_ms,
                                       t->config.body_most, t->config.big_lines,
                                       t->config.bytes_most};
  return traffic_zipf_init(&t->zipf, t->config.host_count, t->config.zipf,
                           t->config.seed);
}

static void set_places(traffic *t) {
  for (size_t i = 0; i < t->config.target_count; i++) {
    traffic_place *place = &t->shared.places[i];

    place->up = traffic_address(&place->address, t->config.targets[i]);
  }
}

/* Nothing of the loop is left when it fails. */
static bool begin(traffic *t) {
  t->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (t->clock_fd < 0 || uv_loop_init(&t->loop) != 0)
    return false;
  if (uv_async_init(&t->loop, &t->wake, on_wake) != 0) {
    (void)uv_loop_close(&t->loop);
    return false;
  }
  (void)uv_timer_init(&t->loop, &t->end);
  t->wake.data = t->end.data = t->clock.data = t;
  if (uv_poll_init(&t->loop, &t->clock, t->clock_fd) == 0) {
    (void)uv_poll_start(&t->clock, UV_READABLE, on_clock);
    if (pthread_create(&t->thread, NULL, run, t) == 0)
      return true;
    uv_close((uv_handle_t *)&t->clock, NULL);
  }
  uv_close((uv_handle_t *)&t->wake, NULL);
  uv_close((uv_handle_t *)&t->end, NULL);
  (void)uv_run(&t->loop, UV_RUN_DEFAULT);
  (void)uv_loop_close(&t->loop);
  return false;
}

traffic *traffic_open(const traffic_config *config, char *error,
                      size_t error_size) {
  traffic *t;
  uint32_t source;

  if (!traffic_config_check(config, &source, error, error_size))
    return NULL;
  (void)snprintf(error, error_size, "traffic: no memory");
  t = calloc(1, sizeof *t);
  if (t == NULL)
    return NULL;
  t->config = *config;
  traffic_config_defaults(&t->config);
  t->source = source;
  t->clock_fd = -1;
  t->dice.state = config->seed ^ UINT64_C(0x6a09e667f3bcc908);
  t->shared.rate = config->rate;
  t->shared.paused = config->paused;
  (void)pthread_mutex_init(&t->lock, NULL);
  set_places(t);
  if (copy(t)) {
    if (begin(t))
      return t;
    (void)snprintf(error, error_size,
                   "traffic: no thread, or no descriptors for its loop");
  }
  drop(t);
  return NULL;
}

/* ---- orders ---- */

void traffic_close(traffic *t) {
  if (t == NULL)
    return;
  (void)pthread_mutex_lock(&t->lock);
  t->shared.close = true;
  (void)pthread_mutex_unlock(&t->lock);
  (void)uv_async_send(&t->wake);
  (void)pthread_join(t->thread, NULL);
  (void)uv_loop_close(&t->loop);
  drop(t);
}

static void rerun(traffic *t) {
  (void)pthread_mutex_lock(&t->lock);
  t->shared.rerun = true;
  (void)pthread_mutex_unlock(&t->lock);
  (void)uv_async_send(&t->wake);
}

bool traffic_set_rate(traffic *t, double rate) {
  if (!traffic_rate_is_good(rate))
    return false;
  (void)pthread_mutex_lock(&t->lock);
  t->shared.rate = rate;
  (void)pthread_mutex_unlock(&t->lock);
  rerun(t);
  return true;
}

void traffic_pause(traffic *t, bool paused) {
  (void)pthread_mutex_lock(&t->lock);
  t->shared.paused = paused;
  (void)pthread_mutex_unlock(&t->lock);
  rerun(t);
}

bool traffic_target(traffic *t, unsigned target, bool up, unsigned generation,
                    const char *address) {
  http_address parsed;
  traffic_place *place;

  if (target >= t->config.target_count ||
      (address != NULL && !traffic_address(&parsed, address)))
    return false;
  (void)pthread_mutex_lock(&t->lock);
  place = &t->shared.places[target];
  place->up = up;
  place->generation = generation;
  if (address != NULL)
    place->address = parsed;
  (void)pthread_mutex_unlock(&t->lock);
  (void)uv_async_send(&t->wake);
  return true;
}

traffic_counts traffic_get_counts(traffic *t) {
  traffic_counts counts;

  (void)pthread_mutex_lock(&t->lock);
  counts = t->shared.counts;
  (void)pthread_mutex_unlock(&t->lock);
  return counts;
}
