/* See shadow.h. A round on the loop: the next hosts of the table, and those
   that differed in the round before, with what they say here; then a thread of
   libuv's pool asks the peers for the same; then both are compared. */
#include "balancer/shadow.h"

#include "common/log.h"
#include "common/rest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVERY_MS = 2000, HOSTS = 40, WORD_MOST = 512, CALL_MS = 1000 };

/* What an answer comes to: "APP GEN STATE CLAIM.."; "": nothing is held. */
typedef struct word {
  char text[WORD_MOST];
} word;

typedef struct probe {
  char app[NAME_MOST + 1], host[HOST_MOST + 1];
  word ours;
  word theirs[PEERS_MOST];
  bool answered[PEERS_MOST];
  bool again; /* differed in the round before */
} probe;

struct shadow {
  shadow_config config;
  uv_timer_t timer;
  uv_work_t work;
  bool working, closing;
  void (*done)(void *ctx);
  void *ctx;
  char next[NAME_MOST + 2]; /* app to begin with; "": the first */
  probe probes[2 * HOSTS], suspects[HOSTS];
  size_t count, suspect_count;
  uint64_t compared, differences;
  bool wrapped, whole; /* all hosts were seen once; and by all peers */
  bool heard[PEERS_MOST];
  metric *m_compared, *m_differences;
};

/* ---- on the loop: what is asked for ---- */

static void say_route(const route *r, word *out) {
  route_target target;
  char app[NAME_MOST + 1];
  size_t i, len;

  route_app(r, app);
  len = (size_t)snprintf(out->text, sizeof out->text, "%s %lld %s", app,
                         (long long)route_gen(r),
                         route_state_word(route_state(r)));
  for (i = 0; i < route_target_count(r) && len < sizeof out->text; i++) {
    route_target_at(r, i, &target);
    len += (size_t)snprintf(out->text + len, sizeof out->text - len, " %s",
                            strchr(target.claim, '/') + 1);
  }
}

static bool take_route(void *ctx, const char *app, const char *rev,
                       const route *r) {
  shadow *s = ctx;
  probe *p = &s->probes[s->count];
  const char *host;
  size_t len;

  (void)rev;
  (void)snprintf(s->next, sizeof s->next, "%s-", app); /* the next after it */
  if (route_host_count(r) == 0)
    return true;
  memset(p, 0, sizeof *p);
  host = route_host(r, 0, &len);
  (void)snprintf(p->app, sizeof p->app, "%s", app);
  (void)snprintf(p->host, sizeof p->host, "%.*s", (int)len, host);
  say_route(r, &p->ours);
  return ++s->count < 2 * HOSTS;
}

typedef struct lookup {
  const probe *of;
  word now;
} lookup;

static bool look_up(void *ctx, const char *app, const char *rev,
                    const route *r) {
  lookup *l = ctx;

  (void)rev;
  if (strcmp(app, l->of->app) == 0)
    say_route(r, &l->now);
  return false;
}

/* A suspect is asked about again only when nothing has changed here. */
static void take_suspects(shadow *s) {
  size_t i;

  for (i = 0; i < s->suspect_count; i++) {
    lookup l = {&s->suspects[i], {""}};

    follow_each(s->config.follow, s->suspects[i].app, NULL, look_up, &l);
    if (strcmp(l.now.text, s->suspects[i].ours.text) == 0) {
      s->probes[s->count] = s->suspects[i];
      s->probes[s->count++].again = true;
    }
  }
  s->suspect_count = 0;
}

static void take_more(shadow *s) {
  follow_each(s->config.follow, s->next[0] != '\0' ? s->next : NULL, NULL,
              take_route, s);
  if (s->count < 2 * HOSTS) {
    s->next[0] = '\0';
    s->wrapped = true;
  }
}

/* ---- in the pool: what the peers say ---- */

static void read_word(const json_t *body, word *out) {
  const char *app = json_string_value(json_object_get(body, "app"));
  const char *state = json_string_value(json_object_get(body, "state"));
  json_t *one;
  size_t i, len;

  if (app == NULL || state == NULL)
    return;
  len = (size_t)snprintf(
      out->text, sizeof out->text, "%.63s %lld %.15s", app,
      (long long)json_integer_value(json_object_get(body, "gen")), state);
  json_array_foreach(json_object_get(body, "to"), i, one) {
    const char *claim = json_string_value(json_object_get(one, "claim"));
    const char *digits = claim != NULL ? strchr(claim, '/') : NULL;

    if (claim != NULL && len < sizeof out->text)
      len += (size_t)snprintf(out->text + len, sizeof out->text - len, " %s",
                              digits != NULL ? digits + 1 : claim);
  }
}

static void ask_peer(shadow *s, size_t peer) {
  char path[HOST_MOST * 3 + 16], host[HOST_MOST * 3 + 4], error[128];
  rest_config config;
  rest *to;
  size_t i;

  memset(&config, 0, sizeof config);
  config.url = s->config.urls[peer];
  config.connect_ms = CALL_MS;
  config.total_ms = CALL_MS;
  to = rest_new(&config, error, sizeof error);
  for (i = 0; to != NULL && i < s->count; i++) {
    probe *p = &s->probes[i];
    rest_reply reply;
    int status;

    if (!rest_escape(p->host, host, sizeof host))
      continue;
    (void)snprintf(path, sizeof path, "/route/%s", host);
    status = rest_call(to, "GET", path, NULL, &reply);
    p->answered[peer] =
        (status == 200 || status == 404) && json_is_object(reply.body);
    if (p->answered[peer])
      read_word(reply.body, &p->theirs[peer]);
    rest_reply_free(&reply);
    if (status == 0)
      break; /* it is away: what is left is asked another time */
  }
  rest_free(to);
}

static void ask_all(uv_work_t *work) {
  shadow *s = work->data;
  size_t i;

  for (i = 0; i < s->config.url_count; i++)
    ask_peer(s, i);
}

/* ---- on the loop: what came of it ---- */

static void compare(shadow *s, const probe *p) {
  bool differs = false;
  size_t i;

  for (i = 0; i < s->config.url_count; i++) {
    if (!p->answered[i])
      continue;
    s->heard[i] = true;
    s->compared++;
    metric_add(s->m_compared, 1);
    if (strcmp(p->ours.text, p->theirs[i].text) == 0)
      continue;
    differs = true;
    if (p->again) {
      s->differences++;
      metric_add(s->m_differences, 1);
      log_event(LOG_ERROR, "shadow.differs", LS("host", p->host),
                LS("peer", s->config.urls[i]), LS("ours", p->ours.text),
                LS("theirs", p->theirs[i].text));
    }
  }
  if (differs && !p->again && s->suspect_count < HOSTS)
    s->suspects[s->suspect_count++] = *p;
}

static void end(uv_handle_t *handle) {
  shadow *s = handle->data;
  void (*done)(void *) = s->done;
  void *ctx = s->ctx;

  free(s);
  if (done != NULL)
    done(ctx);
}

static void after(uv_work_t *work, int status) {
  shadow *s = work->data;
  bool all = true;
  size_t i;

  (void)status;
  s->working = false;
  for (i = 0; i < s->count; i++)
    compare(s, &s->probes[i]);
  for (i = 0; i < s->config.url_count; i++)
    all &= s->heard[i];
  s->whole = s->wrapped && all && s->suspect_count == 0;
  if (s->closing)
    uv_close((uv_handle_t *)&s->timer, end);
}

/* Digests that differ for over 2 s are counted as one difference each time. */
static void look_at_digests(shadow *s) {
  peer_status all[PEERS_MOST];
  size_t count = peers_get(s->config.peers, all, PEERS_MOST), i;

  for (i = 0; i < count; i++)
    if (all[i].drifted) {
      s->differences++;
      metric_add(s->m_differences, 1);
    }
}

static void on_timer(uv_timer_t *timer) {
  shadow *s = timer->data;
  follow_status now;

  follow_get_status(s->config.follow, &now);
  if (s->working || !now.synced)
    return;
  look_at_digests(s);
  s->count = 0;
  take_suspects(s);
  take_more(s);
  s->work.data = s;
  s->working = uv_queue_work(timer->loop, &s->work, ask_all, after) == 0;
}

/* ---- beginning and end ---- */

shadow *shadow_start(uv_loop_t *loop, const shadow_config *config, char *error,
                     size_t size) {
  shadow *s = calloc(1, sizeof *s);
  uint64_t every;

  if (s == NULL || uv_timer_init(loop, &s->timer) != 0) {
    (void)snprintf(error, size, "there is no memory");
    free(s);
    return NULL;
  }
  s->config = *config;
  s->timer.data = s;
  every = (uint64_t)(config->every_ms > 0 ? config->every_ms : EVERY_MS);
  s->m_compared =
      metrics_counter(config->metrics, "balancer_shadow_compared_total", NULL,
                      "Answers of peers that were compared.");
  s->m_differences =
      metrics_counter(config->metrics, "balancer_shadow_differences_total",
                      NULL, "Answers and digests that differed twice.");
  (void)uv_timer_start(&s->timer, on_timer, every, every);
  return s;
}

uint64_t shadow_compared(const shadow *s) { return s->compared; }

uint64_t shadow_differences(const shadow *s) { return s->differences; }

bool shadow_is_round(const shadow *s) { return s->whole; }

void shadow_close(shadow *s, void (*done)(void *ctx), void *ctx) {
  s->closing = true;
  s->done = done;
  s->ctx = ctx;
  (void)uv_timer_stop(&s->timer);
  if (!s->working)
    uv_close((uv_handle_t *)&s->timer, end);
}
