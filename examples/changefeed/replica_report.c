/*
 * What is told of a replica: on standard error its health and counters, on
 * standard output what an audit finds.
 */
#include <string.h>

#include "replica.h"

uint64_t replica_documents(replica *r) {
  changefeed_mirror_stats s = CHANGEFEED_MIRROR_STATS_INIT;

  if (r->mirror == NULL ||
      changefeed_mirror_get_stats(r->mirror, &s) != CHANGEFEED_OK)
    return 0;
  return s.documents;
}

void replica_saves(replica *r, uint64_t *saves, uint64_t *errors) {
  changefeed_mirror_stats s = CHANGEFEED_MIRROR_STATS_INIT;

  *saves = *errors = 0;
  if (changefeed_mirror_get_stats(r->mirror, &s) != CHANGEFEED_OK)
    return;
  *saves = s.saves;
  *errors = s.save_errors;
}

static void tell_event(replica *r, const char *event, const char *name,
                       int64_t value) {
  if (!r->args->events)
    return;
  report_json_begin(&r->report, event);
  report_json_int(&r->report, name, value);
  report_json_end(&r->report);
}

void replica_tell_synced(replica *r) {
  uint64_t count = replica_documents(r);

  tell_event(r, "synced", "documents", (int64_t)count);
  if (r->args->mirror.follow)
    report_say(&r->report, "in step, with %llu documents",
               (unsigned long long)count);
}

void replica_tell_stale(replica *r, int64_t ms) {
  tell_event(r, "stale", "ms", ms);
  report_say(&r->report, "stale: not proven to be in step for %.1f s",
             (double)ms / 1000);
}

void replica_tell_fresh(replica *r) {
  tell_event(r, "fresh", "documents", (int64_t)replica_documents(r));
  report_say(&r->report, "fresh: in step again");
}

void replica_tell_stats(replica *r) {
  changefeed_mirror_stats s = CHANGEFEED_MIRROR_STATS_INIT;

  if (!r->args->stats || r->mirror == NULL ||
      changefeed_mirror_get_stats(r->mirror, &s) != CHANGEFEED_OK)
    return;
  report_json_begin(&r->report, "stats");
#define COUNTER(name) report_json_int(&r->report, #name, (int64_t)s.name)
  COUNTER(documents);
  COUNTER(bytes);
  COUNTER(puts);
  COUNTER(gones);
  COUNTER(repeats);
  COUNTER(older);
  COUNTER(asked);
  COUNTER(syncs);
  COUNTER(resets);
  COUNTER(audits);
  COUNTER(repairs);
  COUNTER(saves);
  COUNTER(save_errors);
  COUNTER(fresh_ms);
  COUNTER(save_age_ms);
#undef COUNTER
  report_json_end(&r->report);
}

/* ---- audits ---- */

void replica_tell_difference(replica *r, const changefeed_difference *d) {
  const char *kind = d->held.data == NULL     ? "missing"
                     : d->served.data == NULL ? "extra"
                                              : "stale";
  lines *l = r->lines;

  if (l->json) {
    json_begin(l, "difference");
    json_text(l, "kind", kind);
    json_str(l, "id", d->id);
    json_str(l, "held", d->held);
    json_str(l, "served", d->served);
    json_end(l);
    return;
  }
  line_begin(l);
  text_printf(&l->text, "%s ", kind);
  text_put_escaped(&l->text, d->id);
  if (d->held.data != NULL) {
    text_putc(&l->text, '\t');
    text_put_escaped(&l->text, d->held);
  }
  if (d->served.data != NULL) {
    text_putc(&l->text, '\t');
    text_put_escaped(&l->text, d->served);
  }
  lines_send(l);
}

static const char *word_of(int code) {
  switch (code) {
  case CHANGEFEED_OK:
    return "complete";
  case CHANGEFEED_TIMEOUT:
    return "unsettled";
  case CHANGEFEED_ERR_LIMIT:
    return "more differ";
  default:
    return "interrupted";
  }
}

void replica_tell_audit(replica *r) {
  const changefeed_audit *a = &r->audit;
  lines *l = r->lines;

  if (!l->json) {
    line_begin(l);
    text_printf(&l->text,
                "audit: %s, %llu documents, %llu missing, %llu extra, %llu "
                "stale, %llu repaired, %llu unsettled, %s, %.1f s",
                word_of(a->code), (unsigned long long)a->documents,
                (unsigned long long)a->missing, (unsigned long long)a->extra,
                (unsigned long long)a->stale, (unsigned long long)a->repaired,
                (unsigned long long)a->unsettled,
                a->quiet != 0 ? "quiet" : "not quiet",
                (double)a->took_ms / 1000);
    lines_send(l);
    return;
  }
  json_begin(l, "audit");
  json_text(l, "end", word_of(a->code));
  json_int(l, "documents", a->documents);
  json_int(l, "missing", a->missing);
  json_int(l, "extra", a->extra);
  json_int(l, "stale", a->stale);
  json_int(l, "repaired", a->repaired);
  json_int(l, "unsettled", a->unsettled);
  json_int(l, "requests", a->requests);
  json_int(l, "quiet", (uint64_t)(a->quiet != 0));
  json_int(l, "took_ms", (uint64_t)a->took_ms);
  json_end(l);
}
