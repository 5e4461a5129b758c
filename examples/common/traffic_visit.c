/* Visits: begun, told. */
#include "common/traffic_state.h"

#include <stdlib.h>

enum { NEW_IN = 16 }; /* one in so many wants a connection of its own */

int64_t traffic_visit_due_us(const traffic_visit *v) {
  return v->told.begun_us + v->t->config.visit_ms * 1000;
}

/* ---- telling ---- */

static void tell(traffic *t, traffic_result *r, bool begun) {
  traffic_counts *counts = &t->shared.counts;

  r->end_us = traffic_now_us();
  (void)pthread_mutex_lock(&t->lock);
  if (r->target >= 0)
    r->ended_in = t->shared.places[r->target].generation;
  (void)pthread_mutex_unlock(&t->lock);
  t->config.on_result(t->config.ctx, r);
  (void)pthread_mutex_lock(&t->lock);
  counts->told[r->outcome]++;
  counts->again += r->again;
  counts->flights -= begun;
  (void)pthread_mutex_unlock(&t->lock);
  if (t->closing)
    (void)uv_async_send(&t->wake); /* it may have been the last */
}

static traffic_result result_of(const traffic_due *due) {
  traffic_result r = {.number = due->number,
                      .kind = due->kind,
                      .why = "",
                      .host = due->host,
                      .target = -1,
                      .source = "",
                      .intended_us = due->intended_us,
                      .body = ""};

  return r;
}

static void tell_unbegun(traffic *t, const traffic_due *due, const char *why) {
  traffic_result r = result_of(due);

  r.outcome = TRAFFIC_NOT_BEGUN;
  r.why = why;
  tell(t, &r, false);
}

static void fill(traffic_visit *v) {
  const traffic_answer *a = &v->answer;
  traffic_result *r = &v->told;

  r->source = v->source;
  r->status = a->status;
  memcpy(r->error, a->error, sizeof r->error);
  r->inside = a->inside;
  memcpy(r->page, a->page, sizeof r->page);
  r->body = text_get(&a->kept);
  r->body_len = a->kept.len;
  r->length = a->length;
  r->wrong = a->wrong;
}

static void drop(traffic_visit *v) {
  traffic_request_free(&v->request);
  traffic_answer_free(&v->answer);
  text_free(&v->talk.in);
  free(v);
}

void traffic_visit_end(traffic_visit *v, enum traffic_outcome outcome,
                       const char *why) {
  if (v->answer.upgraded)
    traffic_talk_end(&v->talk, &v->answer);
  v->told.outcome = outcome;
  v->told.why = why;
  fill(v);
  tell(v->t, &v->told, true);
  drop(v);
}

/* ---- where to ---- */

static traffic_place place_at(traffic *t, int target) {
  traffic_place place;

  (void)pthread_mutex_lock(&t->lock);
  place = t->shared.places[target];
  (void)pthread_mutex_unlock(&t->lock);
  return place;
}

/* One of those that are up, or -1. */
static int choose_target(traffic *t, traffic_dice *d) {
  int up[TRAFFIC_TARGETS], count = 0;

  (void)pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < t->config.target_count; i++)
    if (t->shared.places[i].up)
      up[count++] = (int)i;
  (void)pthread_mutex_unlock(&t->lock);
  return count != 0 ? up[traffic_below(d, (uint32_t)count)] : -1;
}

void traffic_visit_again(traffic_visit *v, const char *why) {
  traffic_place place = place_at(v->t, v->told.target);
  traffic_link *l = NULL;

  v->told.again = true;
  v->told.first_byte_us = v->told.asked_us = 0;
  v->request.sent = 0;
  traffic_answer_free(&v->answer);
  traffic_answer_begin(&v->answer, &v->request.asked);
  if (place.up)
    l = traffic_link_open(v->t, &place, v->told.target, v->request.reads_slowly,
                          &v->dice, &why);
  if (l != NULL)
    traffic_link_carry(l, v, NULL);
  else
    traffic_visit_end(v, TRAFFIC_CUT_HEAD, why);
}

/* ---- the beginning ---- */

static traffic_visit *make(traffic *t, const traffic_due *due) {
  traffic_visit *v = calloc(1, sizeof *v);

  if (v == NULL)
    return NULL;
  v->t = t;
  v->dice.state = t->config.seed ^ due->number * UINT64_C(0xff51afd7ed558ccd);
  v->told = result_of(due);
  if (!traffic_request_make(&v->request, due->kind, t->hosts[due->host],
                            due->number, &v->dice, &t->limits)) {
    drop(v);
    return NULL;
  }
  traffic_answer_begin(&v->answer, &v->request.asked);
  return v;
}

/* Room for so many, which are under way from now on. */
static bool take_off(traffic *t, unsigned count) {
  traffic_counts *counts = &t->shared.counts;
  bool room;

  (void)pthread_mutex_lock(&t->lock);
  counts->due += count;
  room = counts->flights + count <= t->config.flights_most;
  if (room)
    counts->flights += count;
  if (counts->flights > counts->flights_peak)
    counts->flights_peak = counts->flights;
  (void)pthread_mutex_unlock(&t->lock);
  return room;
}

static void set_off(traffic_visit *v, int target, unsigned generation) {
  v->told.target = target;
  v->told.generation = generation;
  v->told.begun_us = traffic_now_us();
}

/* One, or a pair, on a kept connection or a new one. */
static void begin(traffic *t, traffic_visit *v, traffic_visit *second,
                  int target) {
  traffic_place place = place_at(t, target);
  traffic_link *l = NULL;
  const char *why = "";

  set_off(v, target, place.generation);
  if (second != NULL) {
    set_off(second, target, place.generation);
    text_add(&v->request.out, text_get(&second->request.out),
             second->request.out.len);
    second->request.sent = second->request.out.len;
  }
  if (v->request.may_share && traffic_below(&v->dice, NEW_IN) != 0)
    l = traffic_link_kept(t, target, place.generation);
  if (l == NULL)
    l = traffic_link_open(t, &place, target, v->request.reads_slowly, &v->dice,
                          &why);
  if (l != NULL) {
    traffic_link_carry(l, v, second);
    return;
  }
  traffic_visit_end(v, TRAFFIC_NOT_CONNECTED, why);
  if (second != NULL)
    traffic_visit_end(second, TRAFFIC_NOT_CONNECTED, why);
}

static traffic_due second_of(const traffic_due *due) {
  traffic_due second = *due;

  second.host = due->other;
  second.number++;
  return second;
}

static void give_up(traffic *t, const traffic_due *due, const char *why) {
  tell_unbegun(t, due, why);
  if (due->kind == TRAFFIC_PIPELINED) {
    traffic_due second = second_of(due);

    tell_unbegun(t, &second, why);
  }
}

void traffic_visit_due(traffic *t, const traffic_due *due) {
  bool pair = due->kind == TRAFFIC_PIPELINED;
  traffic_due other = second_of(due);
  traffic_visit *v = NULL, *second = NULL;
  const char *why = "Too many visits are under way.";
  int target = -1;

  if (take_off(t, pair ? 2 : 1)) {
    why = "There was no memory for the visit.";
    v = make(t, due);
    second = v != NULL && pair ? make(t, &other) : NULL;
    if (v != NULL && (!pair || second != NULL)) {
      why = "No target is up.";
      target = choose_target(t, &v->dice);
    }
    if (target >= 0) {
      begin(t, v, second, target);
      return;
    }
    traffic_count(t, &t->shared.counts.flights, pair ? -2 : -1);
  }
  if (v != NULL)
    drop(v);
  if (second != NULL)
    drop(second);
  give_up(t, due, why);
}
