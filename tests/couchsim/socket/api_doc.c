/*
 * One document: GET, HEAD, PUT, DELETE, POST /db, and local documents.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *couch_id_error(const char *id, const char **reason) {
  if (*id == '\0') {
    *reason = "Document id must not be empty";
    return "illegal_docid";
  }
  if (*id == '_' && !couch_starts(id, "_design/")) {
    *reason = "Only reserved document ids may start with underscore.";
    return "illegal_docid";
  }
  return NULL;
}

const char *couch_document_error(const couch_json *document,
                                 const char **reason, couch_buf *room) {
  static const char *const known[] = {
      "_id",        "_rev",         "_deleted",
      "_revisions", "_attachments", "_revs_info",
      "_conflicts", "_local_seq",   "_deleted_conflicts"};
  if (document->kind != COUCH_OBJECT) {
    *reason = "Document must be a JSON object";
    return "bad_request";
  }
  for (const couch_json *m = document->first; m != NULL; m = m->next) {
    bool good = m->key[0] != '_';
    for (size_t i = 0; !good && i < sizeof known / sizeof *known; i++)
      good = strcmp(m->key, known[i]) == 0;
    if (strcmp(m->key, "_attachments") == 0 && m->count > 0) {
      *reason = "couchsim keeps no attachments";
      return "bad_request";
    }
    if (!good) {
      room->len = 0;
      couch_addf(room, "Bad special document member: %s", m->key);
      *reason = room->data;
      return "doc_validation";
    }
  }
  return NULL;
}

static void not_found(couch_reply *out, const char *reason) {
  couch_error(out, 404, "not_found", reason);
}

static void etag(couch_reply *out, const char *rev) {
  couch_addf(&out->headers, "ETag: \"%s\"\r\n", rev);
}

static void rev_text(const couch_rev_name *name, char out[64]) {
  (void)snprintf(out, 64, "%u-%s", name->gen, name->hash);
}

/* A revision out of If-Match, without its quotes. */
static bool strip(const char *text, char out[64]) {
  size_t len = strlen(text);
  if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
    text++;
    len -= 2;
  }
  if (len >= 64)
    return false;
  memcpy(out, text, len);
  out[len] = '\0';
  return true;
}

/* The revision that a write names in its body, query or header. */
static bool named_rev(const couch_call *c, const couch_json *document,
                      couch_rev_name *out) {
  const char *given[3] = {couch_json_text(document, "_rev"),
                          couch_param(c->r, "rev"),
                          couch_header(c->r, "If-Match")};
  const couch_json *in_body = couch_json_get(document, "_rev");
  const char *first = NULL;
  char text[3][64];
  *out = (couch_rev_name){0};
  for (int i = 0; i < 3; i++) {
    if (given[i] == NULL)
      continue;
    if (!strip(given[i], text[i]) ||
        (first != NULL && strcmp(first, text[i]))) {
      couch_error(c->out, 400, "bad_request",
                  "Document rev from request body and query string have "
                  "different values");
      return false;
    }
    first = text[i];
  }
  if (in_body != NULL && in_body->kind != COUCH_STRING)
    first = "";
  if (first != NULL && !couch_rev_parse(first, out)) {
    couch_error(c->out, 400, "bad_request", "Invalid rev format");
    return false;
  }
  return true;
}

static void written(const couch_call *c, const char *id, couch_result result,
                    const couch_rev_name *made, int status) {
  couch_buf json = {0}, url = {0};
  const char *host = couch_header(c->r, "Host");
  char rev[64];
  if (result == COUCH_CONFLICT) {
    couch_error(c->out, 409, "conflict", "Document update conflict.");
    return;
  }
  if (result == COUCH_UNREACHABLE) {
    couch_unreachable(c->out);
    c->out->close = c->r->body.len > 0;
    return;
  }
  rev_text(made, rev);
  couch_add_text(&json, "{\"ok\":true,\"id\":");
  couch_add_json_text(&json, id);
  couch_addf(&json, ",\"rev\":\"%s\"}", rev);
  couch_json_reply(c->out, result == COUCH_ACCEPTED ? 202 : status, json.data);
  if (c->r->parts > 1)
    etag(c->out, rev);
  if (status == 201) {
    couch_addf(&url, "http://%s/", host != NULL ? host : "127.0.0.1");
    couch_add_percent(&url, c->db->name);
    couch_add(&url, "/", 1);
    couch_add_percent(&url, id);
    couch_header_add(c->out, "Location", url.data);
  }
  couch_buf_free(&json);
  couch_buf_free(&url);
}

static void write_edit(const couch_call *c, const char *id,
                       const couch_json *document, int status) {
  couch_edit edit = {.id = id, .document = document};
  couch_rev_name made = {0};
  couch_buf room = {0};
  const char *reason = NULL, *error = couch_id_error(id, &reason);
  if (error == NULL)
    error = couch_document_error(document, &reason, &room);
  if (error != NULL) {
    couch_error(c->out, 400, error, reason);
  } else if (named_rev(c, document, &edit.parent)) {
    edit.deleted = couch_json_true(document, "_deleted");
    written(c, id, couch_write(c->w, c->db, c->r->node, &edit, &made), &made,
            status);
  }
  couch_buf_free(&room);
}

/* The copy that answers for this document; NULL: none, and so it is said. */
static couch_shard *copy_of(const couch_call *c, const char *id) {
  couch_shard *s =
      couch_copy_for(c->w, c->db, c->r->node, couch_range(c->db, id), NULL);
  if (s == NULL) {
    couch_unreachable(c->out);
    c->out->close = c->r->body.len > 0;
  }
  return s;
}

static void put_merge(const couch_call *c, const char *id,
                      const couch_json *document) {
  couch_rev_name name;
  const char *rev = couch_json_text(document, "_rev");
  if (rev == NULL || !couch_rev_parse(rev, &name)) {
    couch_error(c->out, 400, "bad_request", "Invalid rev format");
    return;
  }
  written(c, id,
          couch_write_merge(c->w, c->db, c->r->node, id, &name, 1,
                            couch_json_true(document, "_deleted"), document),
          &name, 201);
}

static void put(const couch_call *c, const char *id) {
  couch_pool pool = {0};
  const couch_json *document = couch_body_json(c->r, &pool, c->out);
  const char *edits = couch_param(c->r, "new_edits");
  if (document != NULL && edits != NULL && strcmp(edits, "false") == 0)
    put_merge(c, id, document);
  else if (document != NULL)
    write_edit(c, id, document, 201);
  couch_pool_free(&pool);
}

static void erase(const couch_call *c, const char *id) {
  couch_pool pool = {0};
  couch_shard *s = copy_of(c, id);
  const couch_doc *doc = s != NULL ? couch_shard_doc(s, id) : NULL;
  if (s == NULL)
    return;
  if (doc == NULL || couch_doc_winner(doc)->deleted)
    not_found(c->out, doc == NULL ? "missing" : "deleted");
  else
    write_edit(c, id, couch_json_parse(&pool, "{\"_deleted\":true}", 17), 200);
  couch_pool_free(&pool);
}

void couch_api_post(const couch_call *c) {
  couch_pool pool = {0};
  const couch_json *document;
  const char *id;
  char made[40];
  if (!couch_wants_json(c->r, c->out))
    return;
  document = couch_body_json(c->r, &pool, c->out);
  if (document != NULL) {
    id = couch_json_text(document, "_id");
    if (id == NULL) {
      (void)snprintf(made, sizeof made, "%016llx%016llx",
                     (unsigned long long)couch_next(&c->w->random),
                     (unsigned long long)couch_next(&c->w->random));
      id = made;
    }
    write_edit(c, id, document, 201);
  }
  couch_pool_free(&pool);
}

static couch_show shows(const couch_request *r) {
  bool all = couch_flag(r, "meta");
  return (couch_show){.revs = couch_flag(r, "revs"),
                      .conflicts = all || couch_flag(r, "conflicts"),
                      .deleted_conflicts =
                          all || couch_flag(r, "deleted_conflicts"),
                      .revs_info = all || couch_flag(r, "revs_info"),
                      .local_seq = couch_flag(r, "local_seq")};
}

static void open_revs(const couch_call *c, const couch_doc *doc,
                      const char *which) {
  couch_pool pool = {0};
  couch_buf json = {0};
  couch_show show = shows(c->r);
  const couch_json *list = couch_json_parse(&pool, which, strlen(which));
  bool some = false;
  size_t count = 0, *leaves = NULL;
  if (strcmp(which, "all") != 0 &&
      (list == NULL || list->kind != COUCH_ARRAY)) {
    couch_error(c->out, 400, "bad_request", "invalid_json");
    couch_pool_free(&pool);
    return;
  }
  couch_add(&json, "[", 1);
  if (strcmp(which, "all") == 0 && doc != NULL)
    leaves = couch_doc_leaves(doc, &count);
  for (size_t i = 0; i < count; i++) {
    couch_addf(&json, "%s{\"ok\":", i > 0 ? "," : "");
    couch_add_doc(&json, doc, leaves[i], &show);
    couch_add(&json, "}", 1);
  }
  free(leaves);
  for (const couch_json *v = list != NULL ? list->first : NULL; v != NULL;
       v = v->next) {
    couch_rev_name name;
    int32_t at = -1;
    if (v->kind != COUCH_STRING || !couch_rev_parse(v->text, &name))
      continue;
    if (doc != NULL)
      at = couch_doc_find(doc, &name);
    couch_add_text(&json, some ? "," : "");
    some = true;
    if (at >= 0 && doc->revs[at].body != NULL) {
      couch_add_text(&json, "{\"ok\":");
      couch_add_doc(&json, doc, (size_t)at, &show);
    } else {
      couch_add_text(&json, "{\"missing\":");
      couch_add_json_text(&json, v->text);
    }
    couch_add(&json, "}", 1);
  }
  couch_add(&json, "]", 1);
  couch_json_reply(c->out, 200, json.data);
  couch_buf_free(&json);
  couch_pool_free(&pool);
}

static void show_rev(const couch_call *c, const couch_doc *doc, size_t rev) {
  couch_show show = shows(c->r);
  couch_buf json = {0};
  char text[64];
  const char *match = couch_header(c->r, "If-None-Match");
  (void)snprintf(text, sizeof text, "%u-%s", doc->revs[rev].gen,
                 doc->revs[rev].hash);
  if (match != NULL && strstr(match, text) != NULL) {
    c->out->status = 304;
  } else {
    couch_add_doc(&json, doc, rev, &show);
    couch_json_reply(c->out, 200, json.data);
  }
  etag(c->out, text);
  couch_buf_free(&json);
}

static void get(const couch_call *c, const char *id) {
  couch_shard *s = copy_of(c, id);
  const couch_doc *doc = s != NULL ? couch_shard_doc(s, id) : NULL;
  const char *rev = couch_param(c->r, "rev"), *open;
  couch_rev_name name;
  int32_t at;
  if (s == NULL)
    return;
  open = couch_param(c->r, "open_revs");
  if (open != NULL) {
    open_revs(c, doc, open);
  } else if (rev != NULL && !couch_rev_parse(rev, &name)) {
    couch_error(c->out, 400, "bad_request", "Invalid rev format");
  } else if (doc == NULL) {
    not_found(c->out, "missing");
  } else if (rev != NULL) {
    at = couch_doc_find(doc, &name);
    if (at < 0 || doc->revs[at].body == NULL)
      not_found(c->out, "missing");
    else
      show_rev(c, doc, (size_t)at);
  } else if (couch_doc_winner(doc)->deleted) {
    not_found(c->out, "deleted");
  } else {
    show_rev(c, doc, doc->winner);
  }
}

void couch_api_document(const couch_call *c, const char *id) {
  const char *reason, *error = couch_id_error(id, &reason);
  if (error != NULL)
    couch_error(c->out, 400, error, reason);
  else if (couch_is(c->r, "GET") || couch_is(c->r, "HEAD"))
    get(c, id);
  else if (couch_is(c->r, "PUT"))
    put(c, id);
  else if (couch_is(c->r, "DELETE"))
    erase(c, id);
  else
    couch_only(c->r, c->out, "DELETE,GET,HEAD,POST,PUT,COPY");
}

/* ---- local documents ---- */

static void local_written(const couch_call *c, const char *id,
                          couch_result result, uint32_t n, int status) {
  couch_rev_name made = {.gen = 0};
  (void)snprintf(made.hash, sizeof made.hash, "%u", n);
  written(c, id, result, &made, status);
}

/* 0-N, or none: 0. -1: no revision. */
static int64_t local_rev(const couch_call *c, const couch_json *document) {
  const char *text = couch_json_text(document, "_rev");
  const char *match = couch_header(c->r, "If-Match");
  char plain[64];
  int64_t n;
  if (text == NULL)
    text = couch_param(c->r, "rev");
  if (text == NULL)
    text = match;
  if (text == NULL)
    return 0;
  return strip(text, plain) && couch_starts(plain, "0-") &&
                 couch_to_int(plain + 2, &n) && n >= 0
             ? n
             : -1;
}

static void local_put(const couch_call *c, const char *id,
                      const couch_json *document, int status) {
  int64_t parent = local_rev(c, document);
  const char *reason = NULL, *error = NULL;
  couch_buf room = {0};
  uint32_t made = 0;
  if (status == 201)
    error = couch_document_error(document, &reason, &room);
  if (error != NULL)
    couch_error(c->out, 400, error, reason);
  else if (parent < 0)
    couch_error(c->out, 400, "bad_request", "Invalid rev format");
  else {
    couch_result result =
        couch_write_local(c->w, c->db, c->r->node, id, parent,
                          status == 201 ? document : NULL, &made);
    local_written(c, id, result, made, status);
  }
  couch_buf_free(&room);
}

void couch_api_local(const couch_call *c, const char *id) {
  couch_pool pool = {0};
  couch_shard *s = copy_of(c, id);
  const couch_local *local = s != NULL ? couch_shard_local(s, id) : NULL;
  const couch_json *document;
  bool there = local != NULL && local->body != NULL;
  if (s == NULL)
    return;
  if (couch_is(c->r, "PUT")) {
    document = couch_body_json(c->r, &pool, c->out);
    if (document != NULL)
      local_put(c, id, document, 201);
  } else if (!couch_is(c->r, "GET") && !couch_is(c->r, "HEAD") &&
             !couch_is(c->r, "DELETE")) {
    couch_only(c->r, c->out, "DELETE,GET,HEAD,PUT");
  } else if (!there) {
    not_found(c->out, local != NULL ? "deleted" : "missing");
  } else if (couch_is(c->r, "DELETE")) {
    local_put(c, id, NULL, 200);
  } else {
    couch_buf json = {0};
    couch_add_text(&json, "{\"_id\":");
    couch_add_json_text(&json, id);
    couch_addf(&json, ",\"_rev\":\"0-%u\"", local->n);
    if (local->body->len > 0)
      couch_addf(&json, ",%s", local->body->text);
    couch_add(&json, "}", 1);
    couch_json_reply(c->out, 200, json.data);
    couch_buf_free(&json);
  }
  couch_pool_free(&pool);
}
