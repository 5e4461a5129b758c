/* The declarative layer of the scripted peer: an ordered list of steps, each
   taken by the first request that matches it. See peer.h. */
#include "mem.h"
#include "peer_int.h"

typedef struct script {
  pthread_mutex_t mu;
  cft_step *steps;
  size_t *used;
  size_t count, unmatched;
} script;

static bool free_for(const script *s, size_t i, const cft_request *req) {
  const cft_step *step = &s->steps[i];
  size_t times = step->times > 0 ? (size_t)step->times : 1;
  return (step->times == CFT_FOREVER || s->used[i] < times) &&
         (!step->match || strstr(req->line, step->match));
}

static const cft_step *take_step(script *s, const cft_request *req) {
  const cft_step *step = NULL;
  pthread_mutex_lock(&s->mu);
  for (size_t i = 0; i < s->count && !step; i++) {
    if (free_for(s, i, req)) {
      s->used[i]++;
      step = &s->steps[i];
    }
  }
  if (!step)
    s->unmatched++;
  pthread_mutex_unlock(&s->mu);
  return step;
}

static bool play(cft_conn *conn, const cft_step *step) {
  if (step->delay_ms > 0 && !cft_conn_wait_ms(conn, step->delay_ms))
    return false;
  if (step->send) {
    size_t len = step->len ? step->len : strlen(step->send);
    if (!cft_conn_send_sliced(conn, step->send, len, step->slice))
      return false;
  }
  return cft_conn_then(conn, step->then);
}

static void script_handler(cft_conn *conn, void *user) {
  const cft_request *req;
  while (cft_conn_read_request(conn, &req)) {
    const cft_step *step = take_step(user, req);
    if (!step || !play(conn, step))
      return;
  }
}

static void script_free(void *user) {
  script *s = user;
  pthread_mutex_destroy(&s->mu);
  free(s->steps);
  free(s->used);
  free(s);
}

cft_peer *cft_peer_script(const char *where, const cft_step *steps,
                          size_t count) {
  script *s = cft_calloc(1, sizeof *s);
  pthread_mutex_init(&s->mu, NULL);
  s->steps = cft_calloc(count, sizeof *s->steps);
  s->used = cft_calloc(count, sizeof *s->used);
  s->count = count;
  if (count)
    memcpy(s->steps, steps, count * sizeof *steps);
  cft_peer *peer = cft_peer_reserve(where, script_handler, s);
  peer->free_user = script_free;
  cft_peer_restart(peer);
  return peer;
}

size_t cft_peer_unmatched(const cft_peer *peer) {
  script *s = peer->user;
  pthread_mutex_lock(&s->mu);
  size_t n = s->unmatched;
  pthread_mutex_unlock(&s->mu);
  return n;
}

size_t cft_peer_step_used(const cft_peer *peer, size_t i) {
  script *s = peer->user;
  pthread_mutex_lock(&s->mu);
  size_t n = i < s->count ? s->used[i] : 0;
  pthread_mutex_unlock(&s->mu);
  return n;
}
