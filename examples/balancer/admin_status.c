/* /status: all that the page shows, and that tools may want. */
#include "balancer/admin_state.h"

#include <stdlib.h>
#include <string.h>

static const char *source_name(enum follow_source source) {
  static const char *const names[] = {"nothing", "snapshot", "database"};

  return names[source];
}

static void put_lines(text *out, const char *name, const text *lines) {
  const char *at = text_get(lines);
  char line[512];

  json_open(out, name, '[');
  while (*at != '\0') {
    size_t len = strcspn(at, "\n");
    size_t kept = len < sizeof line - 1 ? len : sizeof line - 1;

    memcpy(line, at, kept);
    line[kept] = '\0';
    json_text(out, NULL, line);
    at += len + (at[len] == '\n');
  }
  json_shut(out, ']');
}

static void put_follow(text *out, const follow_status *s) {
  char digest[CHANGEFEED_DIGEST_TEXT];

  json_text(out, "source", source_name(s->source));
  json_flag(out, "synced", s->synced);
  json_number(out, "fresh_ms", s->fresh_ms);
  json_flag(out, "stale", s->stale);
  json_text(out, "digest", changefeed_digest_text(&s->digest, digest));
  json_count(out, "routes", s->routes);
  json_count(out, "hosts", s->hosts);
  json_open(out, "feed", '{');
  json_text(out, "state", s->feed);
  json_text(out, "trouble", s->trouble);
  json_number(out, "lag_p99_ms", s->lag_p99_ms);
  json_count(out, "changes", s->changes);
  json_count(out, "resets", s->resets);
  json_count(out, "audits", s->audits);
  json_count(out, "repairs", s->repairs);
  json_count(out, "unproven", s->unproven);
  json_count(out, "unreadable", s->unreadable);
  json_count(out, "older", s->older);
  json_count(out, "shadowed", s->shadowed);
  json_number(out, "snapshot_age_ms", s->snapshot_age_ms);
  json_shut(out, '}');
}

static void put_engine(text *out, engine *e) {
  engine_status s;

  if (e == NULL) {
    json_text(out, "engine", NULL);
    return;
  }
  memset(&s, 0, sizeof s);
  engine_get_status(e, &s);
  json_open(out, "engine", '{');
  json_text(out, "name", s.name);
  json_text(out, "address", engine_address(e));
  json_text(out, "trouble", s.trouble);
  json_count(out, "connections", s.connections);
  json_count(out, "requests", s.requests);
  json_count(out, "waiting", s.waiting);
  json_shut(out, '}');
}

static void put_maintenance(text *out, const table *t) {
  const table_notice *notice = table_get_notice(t);

  json_open(out, "maintenance", '{');
  json_flag(out, "full", notice != NULL && notice->full);
  json_text(out, "msg", notice != NULL ? notice->msg : "");
  json_shut(out, '}');
}

static void put_peer(text *out, const peer_status *p) {
  json_open(out, NULL, '{');
  json_text(out, "id", p->id);
  json_text(out, "admin", p->admin);
  json_flag(out, "answers", p->answers);
  json_flag(out, "drifted", p->drifted);
  json_number(out, "seen_ms", p->seen_ms);
  json_text(out, "digest", p->digest);
  json_count(out, "routes", p->routes);
  json_number(out, "fresh_ms", p->fresh_ms);
  json_flag(out, "stale", p->stale);
  json_text(out, "version", p->version);
  json_text(out, "source", p->source);
  json_text(out, "trouble", p->trouble);
  json_shut(out, '}');
}

static void put_peers(text *out, peers *p) {
  peer_status *all = calloc(PEERS_MOST, sizeof *all);
  size_t count = all != NULL && p != NULL ? peers_get(p, all, PEERS_MOST) : 0;

  json_flag(out, "drifted", p != NULL && peers_drifted(p));
  json_open(out, "peers", '[');
  for (size_t i = 0; i < count; i++)
    put_peer(out, &all[i]);
  json_shut(out, ']');
  free(all);
}

static void put_traffic(text *out, admin *a) {
  double requests, errors;

  json_open(out, "errors", '{');
  for (size_t i = 0; i < PAGES; i++)
    json_number(out, page_code(page_at(i)), metric_value(a->errors[i]));
  json_shut(out, '}');
  admin_rates(a, &requests, &errors);
  json_open(out, "rates", '{');
  text_printf(out, "\"requests_per_s\":%.1f,\"errors_per_s\":%.1f,", requests,
              errors);
  json_shut(out, '}');
  admin_history(a, out);
}

void admin_status(admin_call *c) {
  admin *a = c->a;
  follow_status follows;
  admin_health health;
  text out = TEXT_INIT;

  follow_get_status(a->follow, &follows);
  admin_judge(a, &health);
  json_open(&out, NULL, '{');
  json_text(&out, "id", a->config.self);
  json_text(&out, "version", a->config.version);
  json_text(&out, "boot", a->config.boot);
  json_number(&out, "up_ms", (int64_t)uv_now(a->loop) - a->began_ms);
  json_flag(&out, "ready", table_is_ready(a->config.table));
  put_lines(&out, "troubles", &health.troubles);
  put_lines(&out, "warnings", &health.warnings);
  put_follow(&out, &follows);
  put_engine(&out, a->engine);
  put_maintenance(&out, a->config.table);
  put_peers(&out, a->peers);
  put_traffic(&out, a);
  json_shut(&out, '}');
  text_cut(&out, out.len - 1); /* the comma */
  text_str(&out, "\n");
  admin_answer_json(c->x, 200, &out);
  text_free(&out);
  admin_health_free(&health);
}

/* ---- digests ---- */

void admin_digest(admin_call *c) {
  admin *a = c->a;
  char text_of[CHANGEFEED_DIGEST_TEXT];
  changefeed_digest digest;
  follow_status s;
  uint64_t count = 0;
  text out = TEXT_INIT;

  memset(&digest, 0, sizeof digest);
  follow_get_status(a->follow, &s);
  follow_digest(a->follow, admin_query_get(&c->query, "from"),
                admin_query_get(&c->query, "to"), &digest, &count);
  json_open(&out, NULL, '{');
  json_text(&out, "id", a->config.self);
  json_text(&out, "boot", a->config.boot);
  json_text(&out, "version", a->config.version);
  json_text(&out, "digest", changefeed_digest_text(&digest, text_of));
  json_count(&out, "routes", count);
  json_text(&out, "source", source_name(s.source));
  json_flag(&out, "synced", s.synced);
  json_number(&out, "fresh_ms", s.fresh_ms);
  json_flag(&out, "stale", s.stale);
  json_shut(&out, '}');
  text_cut(&out, out.len - 1);
  text_str(&out, "\n");
  admin_answer_json(c->x, 200, &out);
  text_free(&out);
}
