/* One run, from the first program to the table. */
#include "replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  SLICE_MS = 500,
  SECONDS = 900,
  LOOK_MS = 20,      /* at the database and at balancers, */
  LOOK_PER_APP = 200 /* and a bit longer the more there is */
};

int64_t replay_now(const replay *r) { return timeline_now(r->t); }

/* ---- before the world is there ---- */

static void set_world(replay *r, options *ko) {
  const replay_options *o = r->o;
  const plan *p = r->p;
  *ko = (options){.apps = p->apps,
                  .drones = p->drones + p->spare,
                  .spare = p->spare,
                  .idle = 1,
                  .users = p->users,
                  .starts = 1000000,
                  .pause = p->users_pause,
                  .start_s = p->is_small ? 8 : 15,
                  .reserved = p->operated ? MOVED + 1 : 0,
                  .look_ms = LOOK_MS + p->drones * 2,
                  .copies = p->copies,
                  .provs = VISIT_PROVS,
                  .nodes = VISIT_NODES,
                  .calm_ms = p->calm_ms,
                  .race = p->race_percent / 100.0,
                  .operated = p->operated,
                  .plain = true,
                  .dry = p->dry,
                  .faults = true,
                  .kills = true,
                  .naive = p->provisioners,
                  .drone_naive = p->drone,
                  .against = o->against};
  memcpy(ko->platform, o->programs, sizeof ko->platform);
  memcpy(ko->couchsim, o->couchsim, sizeof ko->couchsim);
  memcpy(ko->dir, o->dir, sizeof ko->dir);
  (void)snprintf(ko->nonce, sizeof ko->nonce, "%.400s/platform_nonce",
                 o->programs);
}

static void set_visit(replay *r) {
  const plan *p = r->p;
  r->vo = (visit_options){.apps = p->apps,
                          .drones = p->drones,
                          .threads = 1,
                          .moves = MOVED,
                          .movable = p->operated ? MOVED : 0,
                          .calm_ms = p->calm_ms,
                          .stale_ms = p->is_small ? 2000 : 7000,
                          .soon_ms = 1000,
                          .spell = p->spell,
                          .look_ms = LOOK_MS + p->apps * LOOK_PER_APP / 400,
                          .faults = true,
                          .kills = true,
                          .naive = p->balancers};
}

static visit *new_visit(replay *r) {
  visit *v = calloc(1, sizeof *v);
  if (!v)
    return NULL;
  set_visit(r);
  set_world(r, &v->ko);
  v->o = &r->vo;
  v->k.o = &v->ko;
  v->k.seed = r->seed;
  v->begun_ms = now_ms();
  v->dice.state = r->seed * 7919 + 1;
  (void)pthread_mutex_init(&v->lock, NULL);
  (void)pthread_mutex_init(&v->k.lock, NULL);
  v->latencies = calloc(LATENCIES_MOST, sizeof *v->latencies);
  v->k.lives = calloc(LIVES_MOST, sizeof *v->k.lives);
  return v->latencies && v->k.lives ? v : NULL;
}

static void tell_options(replay *r) {
  const plan *p = r->p;
  char number[32];
  const struct {
    const char *name;
    unsigned value;
  } all[] = {{"apps", p->apps},           {"drones", p->drones},
             {"users", p->users},         {"scripts", p->scripts},
             {"visitors", p->visitors},   {"copies of locks", p->copies},
             {"race, %", p->race_percent}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    (void)snprintf(number, sizeof number, "%u", all[i].value);
    report_option(r->report, all[i].name, number);
  }
  report_option(r->report, "database",
                r->o->against ? "one that was there" : "simulated");
  report_option(r->report, "drones work", p->drone ? p->drone : "as they are");
  report_option(r->report, "provisioners work",
                p->provisioners ? p->provisioners : "as they are");
  report_option(r->report, "balancers work",
                p->balancers ? p->balancers : "as they are");
}

replay *replay_new(const replay_options *o, const plan *p, uint64_t seed,
                   story *s) {
  replay *r = calloc(1, sizeof *r);
  if (!r)
    return NULL;
  r->o = o;
  r->p = p;
  r->seed = seed;
  r->s = s;
  r->strict = -1;
  (void)pthread_mutex_init(&r->lock, NULL);
  r->t = timeline_new(&(timeline_config){
      .slice_ms = SLICE_MS, .seconds = SECONDS, .balancers = BALANCERS});
  r->begun_us = traffic_now_us() - replay_now(r) * 1000;
  if (p->provisioners || p->balancers)
    (void)snprintf(r->naive, sizeof r->naive, "%s%s%s",
                   p->provisioners ? p->provisioners : "",
                   p->provisioners && p->balancers ? "," : "",
                   p->balancers ? p->balancers : "");
  r->report =
      report_new(&(report_config){.title = p->title,
                                  .naive = r->naive[0] ? r->naive : NULL,
                                  .seed = seed,
                                  .timeline = r->t});
  r->flat = flat_new();
  r->v = new_visit(r);
  if (!r->t || !r->report || !r->flat || !r->v)
    return NULL;
  tell_options(r);
  return r;
}

/* ---- its begin ---- */

/* Those who look, and judge, all the time. */
static void begin_looking(replay *r) {
  run *k = &r->v->k;
  for (unsigned i = 0; i < 4; i++) {
    r->looks[i] = (user_arg){k, i};
    (void)pthread_create(&r->watchers[i], NULL, watch_drones_main,
                         &r->looks[i]);
  }
  (void)pthread_create(&r->routes, NULL, watch_routes_main, k);
  (void)pthread_create(&r->facts, NULL, facts_main, r->v);
  for (unsigned i = 0; i < BALANCERS; i++) {
    r->holder_args[i] = (visit_arg){r->v, i};
    (void)pthread_create(&r->holders[i], NULL, watch_main, &r->holder_args[i]);
  }
  (void)pthread_create(&r->pulse, NULL, pulse_main, r);
}

static void end_looking(replay *r) {
  r->v->k.watch_end = true;
  r->v->watch_end = true;
  r->pulse_end = true;
  for (unsigned i = 0; i < 4; i++)
    (void)pthread_join(r->watchers[i], NULL);
  (void)pthread_join(r->routes, NULL);
  (void)pthread_join(r->facts, NULL);
  for (unsigned i = 0; i < BALANCERS; i++)
    (void)pthread_join(r->holders[i], NULL);
  (void)pthread_join(r->pulse, NULL);
}

static void everybody_starts(replay *r) {
  for (unsigned app = 0; app + 1 < r->p->apps; app++)
    if (!post_wish(&r->v->k, app, "start"))
      law_broken(r, L10_NOTHING_LOST, "nobody takes the wish for app-%u", app);
}

bool replay_begin(replay *r) {
  run *k = &r->v->k;
  int64_t began = now_ms();
  bool ok = world_open(k) &&
            /* where the command apps keeps its locks */
            setenv("XDG_RUNTIME_DIR", k->dir, 1) == 0 &&
            balancers_start(r->v) && wait_pool(k);
  int64_t up = now_ms();
  ok = ok && create_apps(k);
  if (ok) {
    begin_looking(r);
    everybody_starts(r);
    ok = r->p->dry || settled(r->v);
    if (!ok)
      (void)fprintf(stderr, "replay: %s\n", r->v->first[V10_LIVE]);
    ok = ok && crowd_open(r);
    if (!ok)
      end_looking(r);
  }
  if (ok)
    report_counter(r->report, "ms until programs were up", up - began);
  if (ok)
    report_counter(r->report, "ms until apps were live", now_ms() - up);
  if (!ok)
    (void)fprintf(stderr, "replay: the world does not begin; see %s\n", k->dir);
  return ok;
}

/* ---- its course ---- */

/* NULL: the step is run. */
static const char *why_not(const replay *r, int i) {
  char bot[PATH_LEN + 16];
  (void)snprintf(bot, sizeof bot, "%s/deploybot", r->o->programs);
  if (!(r->p->steps & 1U << i))
    return "it was not asked for";
  if (all_steps[i].is_simulated && r->o->against)
    return "it needs a simulated database, which takes orders";
  if (all_steps[i].run == step_bot && access(bot, X_OK) != 0)
    return "there is no program deploybot beside the others";
  return NULL;
}

void replay_steps(replay *r) {
  for (int i = 0; i < STEPS; i++) {
    const replay_step *s = &all_steps[i];
    const char *why = why_not(r, i);
    if (why) {
      report_skip(r->report, i, s->name, why);
      continue;
    }
    r->ran |= 1U << i;
    (void)fprintf(stderr, "%6.1f s  %2d %s\n", (double)replay_now(r) / 1000, i,
                  s->name);
    report_step(r->report, i, s->name);
    story_event(r->s, replay_now(r), STORY_SAID, "Step %d: %s.", i, s->name);
    s->run(r, r->p->is_small ? s->small_ms : s->full_ms);
  }
}

/* ---- its end ---- */

static void tell_counters(replay *r) {
  const run *k = &r->v->k;
  const struct {
    const char *name;
    unsigned value;
  } all[] = {{"visits", r->visits},
             {"visits that could not be begun", r->late_begun},
             {"visitors who took 9 s to ask", r->too_slow},
             {"pages of another app", r->foreign},
             {"calls of users", k->calls},
             {"told live", k->told_live},
             {"looks at agents", k->samples},
             {"looks at routes", k->routes_read},
             {"binds", k->binds},
             {"apps moved in calm", r->v->moves},
             {"provisioners killed", k->prov_kills + r->v->prov_kills},
             {"provisioners stopped", k->prov_stops},
             {"drones killed", k->drone_kills + r->v->drone_kills},
             {"balancers killed", r->v->balancer_kills},
             {"feeds disturbed", r->v->disturbed}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    report_counter(r->report, all[i].name, all[i].value);
}

unsigned replay_end(replay *r) {
  crowd_close(r);
  end_looking(r);
  watch_judge(r->v);
  report_end(r->report);
  balancers_end(r->v);
  world_close(&r->v->k);
  tell_counters(r);
  return laws_collect(r);
}

void replay_free(replay *r, bool fine) {
  if (!r)
    return;
  if (r->v && r->v->k.dir[0] && fine && !r->o->keep)
    remove_all(r->v->k.dir);
  else if (r->v && r->v->k.dir[0])
    (void)printf("logs: %s\n", r->v->k.dir);
  if (r->v) {
    free(r->v->k.drones);
    free(r->v->k.lives);
    free(r->v->latencies);
  }
  free(r->v);
  report_free(r->report);
  timeline_free(r->t);
  flat_free(r->flat);
  free(r->own);
  free(r);
}
