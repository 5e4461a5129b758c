/*
 * A document as JSON, with what of its revisions was asked for, and plans.
 */
#include "feed.h"

#include <stdlib.h>

static void add_history(couch_buf *out, const couch_doc *doc, size_t rev,
                        bool info) {
  bool first = true;
  if (info)
    couch_add_text(out, ",\"_revs_info\":[");
  else
    couch_addf(out, ",\"_revisions\":{\"start\":%u,\"ids\":[",
               doc->revs[rev].gen);
  for (int32_t at = (int32_t)rev; at >= 0; at = doc->revs[at].parent) {
    const couch_rev *r = &doc->revs[at];
    const char *state = r->body == NULL ? "missing"
                        : r->deleted    ? "deleted"
                                        : "available";
    if (!first)
      couch_add(out, ",", 1);
    first = false;
    if (info)
      couch_addf(out, "{\"rev\":\"%u-%s\",\"status\":\"%s\"}", r->gen, r->hash,
                 state);
    else
      couch_addf(out, "\"%s\"", r->hash);
  }
  couch_add_text(out, info ? "]" : "]}");
}

static void add_others(couch_buf *out, const couch_doc *doc, size_t rev,
                       bool deleted, const char *name) {
  size_t count, *leaves = couch_doc_leaves(doc, &count);
  bool some = false;
  for (size_t i = 0; i < count; i++) {
    const couch_rev *r = &doc->revs[leaves[i]];
    if (leaves[i] == rev || r->deleted != deleted)
      continue;
    if (some)
      couch_add(out, ",", 1);
    else
      couch_addf(out, ",\"%s\":[", name);
    some = true;
    couch_addf(out, "\"%u-%s\"", r->gen, r->hash);
  }
  if (some)
    couch_add(out, "]", 1);
  free(leaves);
}

void couch_add_doc(couch_buf *out, const couch_doc *doc, size_t rev,
                   const couch_show *show) {
  const couch_rev *r = &doc->revs[rev];
  couch_add_text(out, "{\"_id\":");
  couch_add_json_text(out, doc->id);
  couch_addf(out, ",\"_rev\":\"%u-%s\"", r->gen, r->hash);
  if (r->body != NULL && r->body->len > 0) {
    couch_add(out, ",", 1);
    couch_add(out, r->body->text, r->body->len);
  }
  if (r->deleted)
    couch_add_text(out, ",\"_deleted\":true");
  if (show->revs)
    add_history(out, doc, rev, false);
  if (show->revs_info)
    add_history(out, doc, rev, true);
  if (show->conflicts)
    add_others(out, doc, rev, false, "_conflicts");
  if (show->deleted_conflicts)
    add_others(out, doc, rev, true, "_deleted_conflicts");
  if (show->local_seq)
    couch_addf(out, ",\"_local_seq\":%llu", (unsigned long long)doc->seq);
  couch_add(out, "}", 1);
}

void couch_plan_init(couch_plan *plan) {
  *plan = (couch_plan){.apply_ms = -1,
                       .cut_at = -1,
                       .mute_at = -1,
                       .end_rows = -1,
                       .end_ms = -1,
                       .error_rows = -1,
                       .stall_rows = -1};
}

void couch_plan_free(couch_plan *plan) {
  free(plan->error);
  free(plan->reason);
  free(plan->body);
  free(plan->headers);
  couch_plan_init(plan);
}
