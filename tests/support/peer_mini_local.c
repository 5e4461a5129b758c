/* _local documents of the mini couch: enough for checkpoints and markers that
   a follower keeps on the server. */
#include "mem.h"
#include "peer_mini_int.h"

static cft_local_doc *find(cft_mini *mini, const char *id) {
  for (size_t i = 0; i < mini->local_count; i++)
    if (strcmp(mini->locals[i].id, id) == 0)
      return &mini->locals[i];
  return NULL;
}

/* The text of the document as GET gives it, or NULL; under mu. */
static char *text_of(const cft_local_doc *doc) {
  char rev[32], id[256];
  snprintf(rev, sizeof rev, "0-%u", doc->rev);
  snprintf(id, sizeof id, "_local/%s", doc->id);
  json_t *whole = cft_checked(json_pack("{s:s,s:s}", "_id", id, "_rev", rev));
  json_object_update(whole, doc->body);
  char *text = cft_checked(json_dumps(whole, JSON_COMPACT));
  json_decref(whole);
  return text;
}

char *cft_mini_local(cft_mini *mini, const char *id) {
  pthread_mutex_lock(&mini->mu);
  const cft_local_doc *doc = find(mini, id);
  char *text = doc ? text_of(doc) : NULL;
  pthread_mutex_unlock(&mini->mu);
  return text;
}

/* Stores; the new revision, or 0 when _rev is not the one stored. CouchDB from
   2 on does not look at that: it counts on from what it is given. */
static unsigned store(cft_mini *mini, const char *id, json_t *body) {
  const char *given = json_string_value(json_object_get(body, "_rev"));
  unsigned rev = 0, have = 0;
  if (given)
    have = (unsigned)strtoul(strncmp(given, "0-", 2) == 0 ? given + 2 : "0",
                             NULL, 10);
  pthread_mutex_lock(&mini->mu);
  cft_local_doc *doc = find(mini, id);
  if (!doc && (have == 0 || mini->config.locals_overwrite)) {
    mini->locals = cft_room(mini->locals, mini->local_count, &mini->local_cap,
                            sizeof *mini->locals);
    doc = &mini->locals[mini->local_count++];
    *doc = (cft_local_doc){cft_strdup(id), NULL, 0};
  }
  if (doc && (doc->rev == have || mini->config.locals_overwrite)) {
    json_object_del(body, "_rev");
    json_object_del(body, "_id");
    json_decref(doc->body);
    doc->body = json_incref(body);
    rev = doc->rev = have + 1;
  }
  pthread_mutex_unlock(&mini->mu);
  return rev;
}

static bool put(cft_exchange *x, const char *id) {
  json_t *body = json_loadb(x->req->body, x->req->body_len, 0, NULL);
  if (!json_is_object(body)) {
    json_decref(body);
    return cft_mini_refuse(x, 400, "bad_request", "invalid UTF-8 JSON");
  }
  unsigned rev = store(x->mini, id, body);
  json_decref(body);
  if (!rev)
    return cft_mini_refuse(x, 409, "conflict", "Document update conflict.");
  cft_text text = {NULL, 0, 0};
  char full[256];
  snprintf(full, sizeof full, "_local/%s", id);
  cft_text_adds(&text, "{\"ok\":true,\"id\":");
  cft_text_json(&text, full);
  cft_text_addf(&text, ",\"rev\":\"0-%u\"}\n", rev);
  bool ok = cft_mini_reply(x, 201, NULL, text.data);
  cft_text_free(&text);
  return ok;
}

bool cft_mini_serve_local(cft_exchange *x, const char *id) {
  if (strcmp(x->req->method, "PUT") == 0)
    return put(x, id);
  if (strcmp(x->req->method, "GET") != 0)
    return cft_mini_refuse(x, 405, "method_not_allowed",
                           "Only GET,PUT allowed");
  char *text = cft_mini_local(x->mini, id);
  if (!text)
    return cft_mini_refuse(x, 404, "not_found", "missing");
  bool ok = cft_mini_reply(x, 200, NULL, text);
  free(text);
  return ok;
}

/* They are lost with the database; under mu. */
void cft_mini_locals_clear(cft_mini *mini) {
  for (size_t i = 0; i < mini->local_count; i++) {
    free(mini->locals[i].id);
    json_decref(mini->locals[i].body);
  }
  mini->local_count = 0;
}

void cft_mini_locals_free(cft_mini *mini) {
  cft_mini_locals_clear(mini);
  free(mini->locals);
}
