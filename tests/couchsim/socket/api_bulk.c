/*
 * Many documents in one request: _bulk_docs, _bulk_get, _revs_diff.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void row_start(couch_buf *json) {
  if (json->len > 1)
    couch_add(json, ",", 1);
}

static void row_error(couch_buf *json, const char *id, const char *rev,
                      const char *error, const char *reason) {
  row_start(json);
  couch_add_text(json, "{\"id\":");
  couch_add_json_text(json, id);
  if (rev != NULL) {
    couch_add_text(json, ",\"rev\":");
    couch_add_json_text(json, rev);
  }
  couch_add_text(json, ",\"error\":");
  couch_add_json_text(json, error);
  couch_add_text(json, ",\"reason\":");
  couch_add_json_text(json, reason);
  couch_add(json, "}", 1);
}

static void row_result(couch_buf *json, const char *id, couch_result result,
                       const couch_rev_name *made, bool *accepted) {
  if (result == COUCH_CONFLICT) {
    row_error(json, id, NULL, "conflict", "Document update conflict.");
    return;
  }
  if (result == COUCH_UNREACHABLE) {
    row_error(json, id, NULL, "internal_server_error",
              "No DB shards could be opened.");
    return;
  }
  if (result == COUCH_ACCEPTED)
    *accepted = true;
  row_start(json);
  couch_add_text(json, "{\"ok\":true,\"id\":");
  couch_add_json_text(json, id);
  couch_addf(json, ",\"rev\":\"%u-%s\"}", made->gen, made->hash);
}

static void edit_one(const couch_call *c, const char *id,
                     const couch_json *document, couch_buf *json,
                     bool *accepted) {
  couch_edit edit = {.id = id, .document = document};
  couch_rev_name made = {0};
  const char *rev = couch_json_text(document, "_rev");
  edit.deleted = couch_json_true(document, "_deleted");
  if (rev != NULL && !couch_rev_parse(rev, &edit.parent)) {
    row_error(json, id, NULL, "bad_request", "Invalid rev format");
    return;
  }
  row_result(json, id, couch_write(c->w, c->db, c->r->node, &edit, &made),
             &made, accepted);
}

/* With its history out of _revisions, or its _rev alone. */
static void merge_one(const couch_call *c, const char *id,
                      const couch_json *document, couch_buf *json) {
  const couch_json *history = couch_json_get(document, "_revisions");
  const couch_json *ids = couch_json_get(history, "ids");
  const char *rev = couch_json_text(document, "_rev");
  int64_t start = couch_json_int(history, "start", 0);
  size_t count = ids != NULL && ids->count > 0 ? ids->count : 1, n = 0;
  couch_rev_name *path = couch_alloc(count * sizeof *path);
  bool good = true;
  if (ids != NULL && ids->kind == COUCH_ARRAY && start >= (int64_t)ids->count &&
      start < UINT32_MAX) {
    for (const couch_json *v = ids->first; v != NULL && good; v = v->next) {
      char text[64];
      good = v->kind == COUCH_STRING && v->len < COUCH_HASH;
      if (!good)
        break;
      (void)snprintf(text, sizeof text, "%lld-%s", (long long)start - (int)n,
                     v->text);
      good = couch_rev_parse(text, &path[n++]);
    }
  } else {
    good = rev != NULL && couch_rev_parse(rev, &path[n++]);
  }
  if (!good || n == 0)
    row_error(json, id, rev, "bad_request", "Invalid rev format");
  else if (couch_write_merge(c->w, c->db, c->r->node, id, path, n,
                             couch_json_true(document, "_deleted"),
                             document) == COUCH_UNREACHABLE)
    row_error(json, id, rev, "internal_server_error",
              "No DB shards could be opened.");
  free(path);
}

static void local_one(const couch_call *c, const char *id,
                      const couch_json *document, couch_buf *json,
                      bool *accepted) {
  const char *rev = couch_json_text(document, "_rev");
  int64_t parent = 0;
  uint32_t n = 0;
  couch_rev_name made = {0};
  couch_result result;
  if (rev != NULL &&
      (!couch_starts(rev, "0-") || !couch_to_int(rev + 2, &parent))) {
    row_error(json, id, NULL, "bad_request", "Invalid rev format");
    return;
  }
  result = couch_write_local(
      c->w, c->db, c->r->node, id, parent,
      couch_json_true(document, "_deleted") ? NULL : document, &n);
  (void)snprintf(made.hash, sizeof made.hash, "%u", n);
  row_result(json, id, result, &made, accepted);
}

static void take_one(const couch_call *c, const couch_json *document,
                     bool edits, couch_buf *json, bool *accepted) {
  const char *id = couch_json_text(document, "_id"), *reason = NULL, *error;
  char made[40];
  couch_buf room = {0};
  if (id == NULL) {
    (void)snprintf(made, sizeof made, "%016llx%016llx",
                   (unsigned long long)couch_next(&c->w->random),
                   (unsigned long long)couch_next(&c->w->random));
    id = made;
  }
  if (couch_starts(id, "_local/") && id[7] != '\0') {
    local_one(c, id, document, json, accepted);
    return;
  }
  error = couch_id_error(id, &reason);
  if (error == NULL)
    error = couch_document_error(document, &reason, &room);
  if (error != NULL)
    row_error(json, id, NULL, error, reason);
  else if (edits)
    edit_one(c, id, document, json, accepted);
  else
    merge_one(c, id, document, json);
  couch_buf_free(&room);
}

void couch_api_bulk(const couch_call *c) {
  couch_pool pool = {0};
  couch_buf json = {0};
  const couch_json *v, *docs, *edits;
  bool accepted = false;
  if (!couch_is(c->r, "POST")) {
    couch_only(c->r, c->out, "POST");
    return;
  }
  if (!couch_wants_json(c->r, c->out))
    return;
  v = couch_body_json(c->r, &pool, c->out);
  docs = couch_json_get(v, "docs");
  edits = couch_json_get(v, "new_edits");
  if (v == NULL) {
    couch_pool_free(&pool);
    return;
  }
  if (docs == NULL || docs->kind != COUCH_ARRAY) {
    couch_error(c->out, 400, "bad_request",
                docs == NULL ? "POST body must include `docs` parameter."
                             : "`docs` parameter must be an array.");
  } else if (couch_db_reach(c->w, c->db, c->r->node) == COUCH_NONE) {
    couch_unreachable(c->out);
  } else {
    for (const couch_json *d = docs->first; d != NULL; d = d->next)
      if (d->kind != COUCH_OBJECT) {
        couch_error(c->out, 400, "bad_request",
                    "Document must be a JSON object");
        couch_pool_free(&pool);
        return;
      }
    couch_add(&json, "[", 1);
    for (const couch_json *d = docs->first; d != NULL; d = d->next)
      take_one(c, d, edits == NULL || edits->kind != COUCH_FALSE, &json,
               &accepted);
    couch_add(&json, "]", 1);
    couch_json_reply(c->out, accepted ? 202 : 201, json.data);
  }
  couch_buf_free(&json);
  couch_pool_free(&pool);
}

static void got_error(couch_buf *json, const char *id, const char *rev) {
  couch_add_text(json, "{\"error\":{\"id\":");
  couch_add_json_text(json, id);
  couch_add_text(json, ",\"rev\":");
  couch_add_json_text(json, rev != NULL ? rev : "undefined");
  couch_add_text(json, ",\"error\":\"not_found\",\"reason\":\"missing\"}}");
}

static void get_one(const couch_call *c, const couch_json *ask,
                    couch_buf *json) {
  const char *id = couch_json_text(ask, "id"), *rev;
  const couch_shard *s;
  const couch_doc *doc;
  couch_rev_name name;
  couch_show show = {.revs = couch_flag(c->r, "revs")};
  int32_t at = -1;
  if (id == NULL)
    return;
  rev = couch_json_text(ask, "rev");
  s = couch_copy_for(c->w, c->db, c->r->node, couch_range(c->db, id), NULL);
  doc = s != NULL ? couch_shard_doc(s, id) : NULL;
  if (doc != NULL && rev == NULL)
    at = (int32_t)doc->winner;
  else if (doc != NULL && couch_rev_parse(rev, &name))
    at = couch_doc_find(doc, &name);
  row_start(json);
  couch_add_text(json, "{\"id\":");
  couch_add_json_text(json, id);
  couch_add_text(json, ",\"docs\":[");
  if (at >= 0 && doc->revs[at].body != NULL) {
    couch_add_text(json, "{\"ok\":");
    couch_add_doc(json, doc, (size_t)at, &show);
    couch_add(json, "}", 1);
  } else {
    got_error(json, id, rev);
  }
  couch_add_text(json, "]}");
}

void couch_api_bulk_get(const couch_call *c) {
  couch_pool pool = {0};
  couch_buf json = {0}, all = {0};
  const couch_json *v, *docs;
  if (!couch_is(c->r, "POST")) {
    couch_only(c->r, c->out, "POST");
    return;
  }
  if (!couch_wants_json(c->r, c->out))
    return;
  v = couch_body_json(c->r, &pool, c->out);
  docs = couch_json_get(v, "docs");
  if (v != NULL && (docs == NULL || docs->kind != COUCH_ARRAY)) {
    couch_error(c->out, 400, "bad_request", "Missing JSON list of 'docs'.");
  } else if (v != NULL &&
             couch_readable(c->w, c->db, c->r->node, false, c->out)) {
    couch_add(&json, "[", 1);
    for (const couch_json *d = docs->first; d != NULL; d = d->next)
      get_one(c, d, &json);
    couch_addf(&all, "{\"results\":%s]}", json.data);
    couch_json_reply(c->out, 200, all.data);
  }
  couch_buf_free(&json);
  couch_buf_free(&all);
  couch_pool_free(&pool);
}

static void diff_one(const couch_call *c, const couch_json *ask,
                     couch_buf *json) {
  const couch_shard *s = couch_copy_for(c->w, c->db, c->r->node,
                                        couch_range(c->db, ask->key), NULL);
  const couch_doc *doc = s != NULL ? couch_shard_doc(s, ask->key) : NULL;
  bool some = false;
  for (const couch_json *v = ask->first; v != NULL; v = v->next) {
    couch_rev_name name;
    if (v->kind != COUCH_STRING || !couch_rev_parse(v->text, &name) ||
        (doc != NULL && couch_doc_find(doc, &name) >= 0))
      continue;
    if (!some) {
      row_start(json);
      couch_add_json_text(json, ask->key);
      couch_add_text(json, ":{\"missing\":[");
    } else {
      couch_add(json, ",", 1);
    }
    some = true;
    couch_add_json_text(json, v->text);
  }
  if (some)
    couch_add_text(json, "]}");
}

void couch_api_revs_diff(const couch_call *c) {
  couch_pool pool = {0};
  couch_buf json = {0};
  const couch_json *v;
  if (!couch_is(c->r, "POST")) {
    couch_only(c->r, c->out, "POST");
    return;
  }
  v = couch_body_json(c->r, &pool, c->out);
  if (v != NULL && v->kind != COUCH_OBJECT) {
    couch_error(c->out, 400, "bad_request",
                "Request body must be a JSON object");
  } else if (v != NULL &&
             couch_readable(c->w, c->db, c->r->node, false, c->out)) {
    couch_add(&json, "{", 1);
    for (const couch_json *d = v->first; d != NULL; d = d->next)
      diff_one(c, d, &json);
    couch_add(&json, "}", 1);
    couch_json_reply(c->out, 200, json.data);
  }
  couch_buf_free(&json);
  couch_pool_free(&pool);
}
