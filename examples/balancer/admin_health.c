/* Whether this balancer is well, and its metrics. What keeps visitors from
   being served is a trouble, and /healthz says 503; what does not is a warning:
   a balancer whose database is away serves on, and must not be taken out for
   it. */
#include "balancer/admin_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void judge_follow(const follow_status *s, text *warnings) {
  if (s->source == FOLLOW_SNAPSHOT)
    text_str(warnings, "served is a snapshot: the database was not read yet\n");
  if (s->stale && s->fresh_ms >= 0)
    text_printf(warnings,
                "stale: nothing has come from the database for %" PRId64 " s\n",
                s->fresh_ms / 1000);
  else if (s->stale)
    text_str(warnings, "stale: nothing has come from the database yet\n");
  if (s->trouble[0] != '\0')
    text_printf(warnings, "the feed: %s\n", s->trouble);
  if (s->unproven != 0)
    text_printf(warnings,
                "%" PRIu64 " routes are served that the database did not "
                "have when it was last read\n",
                s->unproven);
  if (s->unreadable != 0)
    text_printf(warnings,
                "%" PRIu64 " documents cannot be read; what was before is "
                "served\n",
                s->unreadable);
  if (s->older != 0)
    text_printf(warnings,
                "%" PRIu64 " routes are older in the database than what is "
                "served\n",
                s->older);
  if (s->shadowed != 0)
    text_printf(warnings, "%" PRIu64 " hosts are listed by two apps\n",
                s->shadowed);
  if (s->repairs != 0)
    text_printf(warnings,
                "%" PRIu64 " routes were wrong when the database was "
                "compared with, and put right\n",
                s->repairs);
}

static void judge_peers(peers *p, text *warnings) {
  peer_status *all = calloc(PEERS_MOST, sizeof *all);
  size_t count = all != NULL ? peers_get(p, all, PEERS_MOST) : 0;

  for (size_t i = 0; i < count; i++) {
    if (all[i].drifted)
      text_printf(warnings, "drift: %s holds other routes%s%s\n", all[i].id,
                  all[i].trouble[0] != '\0' ? ": " : "", all[i].trouble);
    else if (!all[i].answers && all[i].seen_ms >= 0)
      text_printf(warnings, "%s does not answer: %s\n", all[i].id,
                  all[i].trouble);
  }
  free(all);
}

void admin_judge(admin *a, admin_health *out) {
  follow_status follows;
  engine_status serves;

  memset(out, 0, sizeof *out);
  if (!a->attached) {
    text_str(&out->troubles,
             a->was_attached ? "it ends\n" : "it is starting\n");
    return;
  }
  follow_get_status(a->follow, &follows);
  if (!table_is_ready(a->config.table))
    text_printf(&out->troubles,
                "there is no table: no snapshot, and the database was not "
                "read yet%s%s\n",
                follows.trouble[0] != '\0' ? ": " : "", follows.trouble);
  if (a->engine != NULL) {
    memset(&serves, 0, sizeof serves);
    engine_get_status(a->engine, &serves);
    if (serves.trouble[0] != '\0')
      text_printf(&out->troubles, "the engine %s: %s\n", serves.name,
                  serves.trouble);
  }
  judge_follow(&follows, &out->warnings);
  if (a->peers != NULL)
    judge_peers(a->peers, &out->warnings);
}

void admin_health_free(admin_health *h) {
  text_free(&h->troubles);
  text_free(&h->warnings);
}

static void add_lines(text *out, const char *lines, const char *before) {
  while (*lines != '\0') {
    size_t len = strcspn(lines, "\n");

    text_str(out, before);
    text_add(out, lines, len);
    text_str(out, "\n");
    lines += len + (lines[len] == '\n');
  }
}

void admin_healthz(admin_call *c) {
  admin_health h;
  text body = TEXT_INIT;
  bool well;

  admin_judge(c->a, &h);
  well = h.troubles.len == 0 && !h.troubles.failed;
  text_str(&body, well ? "ok\n" : "");
  add_lines(&body, text_get(&h.troubles), "");
  add_lines(&body, text_get(&h.warnings), "warning: ");
  admin_answer(c->x, well ? 200 : 503, "text/plain; charset=utf-8", &body);
  text_free(&body);
  admin_health_free(&h);
}

void admin_metrics(admin_call *c) {
  text body = TEXT_INIT;

  metrics_write(c->a->config.metrics, &body);
  admin_answer(c->x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
  text_free(&body);
}
