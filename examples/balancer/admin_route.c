/* /route/HOST: whether a claim serves a host here, now or within some seconds.
   Who waits is looked at when something has changed, and told at the latest
   when his time is over. */
#include "balancer/admin_state.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MOST_S = 60, LOOK_MS = 1000 };

struct wait {
  LIST_ENTRY(wait) link;
  admin *a;
  http_exchange *x;
  char host[QUERY_VALUE_MOST + 1], claim[CLAIM_LEN + 1]; /* "": any */
  int64_t due_ms;                                        /* uv_now() */
};

/* Whether it is so; else why says what is so instead. Maintenance does not
   count: visitors are kept out, and the route is there all the same. A shadow
   has no visitors: there the table is all that counts. */
static bool is_served(admin *a, const route *r, const char *claim,
                      const char **why) {
  if (r == NULL)
    *why = table_is_ready(a->config.table)
               ? "no app has this host"
               : "there is no table yet: no snapshot, and the database was "
                 "not read";
  else if (page_of_route(r) != 0 && !route_is_closed(r))
    *why = "the app of this host has no drone that serves";
  else if (claim[0] != '\0' && !route_has_claim(r, claim, CLAIM_LEN))
    *why = "another claim serves this host";
  else if (a->engine != NULL && !engine_is_applied(a->engine, r))
    *why = "the route is not in force yet";
  else
    *why = NULL;
  return *why == NULL;
}

static void put_nothing(text *out) {
  json_text(out, "app", NULL);
  json_text(out, "gen", NULL);
  json_text(out, "state", NULL);
  json_open(out, "to", '[');
  json_shut(out, ']');
}

static void answer(admin *a, http_exchange *x, const char *host, const route *r,
                   const char *why) {
  text out = TEXT_INIT;

  json_open(&out, NULL, '{');
  json_text(&out, "host", host);
  if (r != NULL)
    json_route(&out, r);
  else
    put_nothing(&out);
  json_flag(&out, "served", why == NULL);
  json_flag(&out, "applied",
            r != NULL && a->engine != NULL && engine_is_applied(a->engine, r));
  json_text(&out, "why", why != NULL ? why : "");
  json_shut(&out, '}');
  text_cut(&out, out.len - 1);
  text_str(&out, "\n");
  admin_answer_json(x, why == NULL ? 200 : 404, &out);
  text_free(&out);
}

static const route *find(admin *a, const char *host) {
  return routes_find(table_current(a->config.table), host, strlen(host));
}

/* ---- who waits ---- */

static void forget(wait *w) {
  w->a->waiting--;
  LIST_REMOVE(w, link);
  free(w);
}

static void on_gone(http_exchange *x, void *ctx) {
  (void)x;
  forget(ctx);
}

static void look_later(admin *a, int64_t first_ms);

/* A client that has sent its end is answered: mostly it is gone, and only what
   is written to it shows that. */
void admin_look_at_waits(admin *a) {
  int64_t now = (int64_t)uv_now(a->loop), first = INT64_MAX;
  wait *w, *next;

  for (w = LIST_FIRST(&a->waits); w != NULL; w = next) {
    const route *r = find(a, w->host);
    const char *why;

    next = LIST_NEXT(w, link);
    if (is_served(a, r, w->claim, &why) || w->due_ms <= now ||
        http_exchange_has_ended(w->x)) {
      answer(a, w->x, w->host, r, why);
      forget(w);
    } else if (w->due_ms < first) {
      first = w->due_ms;
    }
  }
  look_later(a, first);
}

static void on_due(uv_timer_t *timer) { admin_look_at_waits(timer->data); }

/* When the first one's time is over; each second for those who go. */
static void look_later(admin *a, int64_t first_ms) {
  int64_t ms = first_ms - (int64_t)uv_now(a->loop);

  if (LIST_EMPTY(&a->waits))
    (void)uv_timer_stop(&a->due);
  else
    (void)uv_timer_start(&a->due, on_due,
                         (uint64_t)(ms < LOOK_MS ? ms : LOOK_MS), 0);
}

void admin_end_waits(admin *a) {
  wait *w;

  while ((w = LIST_FIRST(&a->waits)) != NULL) {
    admin_answer_error(w->x, 503, "this balancer ends");
    forget(w);
  }
  (void)uv_timer_stop(&a->due);
}

static void let_wait(admin_call *c, const char *host, const char *claim,
                     int64_t seconds) {
  admin *a = c->a;
  wait *w = a->waiting < ADMIN_WAITING ? calloc(1, sizeof *w) : NULL;

  if (w == NULL) {
    admin_answer_error(c->x, 503, "%d requests wait for a route already",
                       (int)a->waiting);
    return;
  }
  w->a = a;
  w->x = c->x;
  memcpy(w->host, host, strlen(host) + 1);
  memcpy(w->claim, claim, strlen(claim) + 1);
  w->due_ms = (int64_t)uv_now(a->loop) + seconds * 1000;
  LIST_INSERT_HEAD(&a->waits, w, link);
  a->waiting++;
  http_exchange_on_gone(c->x, on_gone, w);
  if (!uv_is_active((uv_handle_t *)&a->due))
    look_later(a, w->due_ms);
}

/* ---- the request ---- */

static bool read_claim(admin_call *c, const char **claim) {
  *claim = admin_query_get(&c->query, "claim");
  if (*claim == NULL)
    *claim = "";
  else if (!id_is_claim(*claim, strlen(*claim)))
    return false;
  return true;
}

void admin_route(admin_call *c) {
  char host[QUERY_VALUE_MOST + 1], why_not[160];
  const char *claim, *why;
  int64_t seconds = 0;
  const route *r;

  if (!admin_unescape(c->rest, host, sizeof host) || host[0] == '\0' ||
      strpbrk(host, "/ @\\") != NULL) {
    admin_answer_error(c->x, 400, "/route/HOST takes the name of a host");
  } else if (!read_claim(c, &claim)) {
    admin_answer_error(c->x, 400,
                       "claim takes the 32 hexadecimal digits of a claim");
  } else if (!admin_query_number(&c->query, "wait", 0, WAIT_MOST_S, &seconds,
                                 why_not, sizeof why_not)) {
    admin_answer_error(c->x, 400, "%s", why_not);
  } else {
    r = find(c->a, host);
    if (is_served(c->a, r, claim, &why) || seconds == 0)
      answer(c->a, c->x, host, r, why);
    else
      let_wait(c, host, claim, seconds);
  }
}
