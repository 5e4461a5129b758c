/* Filters of the mini couch: _doc_ids, _selector (equality, {"$gt":null}),
   _design, and by name. A filter or view "dd/NAME" passes the ids that begin
   with NAME: there is no JavaScript here. */
#include "mem.h"
#include "peer_mini_int.h"

void cft_doc_text(const cft_entry *row, cft_text *out) {
  cft_text_adds(out, "{\"_id\":");
  cft_text_json(out, row->id);
  cft_text_adds(out, ",\"_rev\":");
  cft_text_json(out, row->rev);
  if (row->deleted)
    cft_text_adds(out, ",\"_deleted\":true");
  if (row->members && *row->members) {
    cft_text_adds(out, ",");
    cft_text_adds(out, row->members);
  }
  cft_text_adds(out, "}");
}

static json_t *member_of_body(const cft_request *req, const char *name) {
  json_t *body = json_loadb(req->body, req->body_len, 0, NULL);
  json_t *member = json_incref(json_object_get(body, name));
  json_decref(body);
  return member;
}

static const char *read_doc_ids(const cft_request *req, cft_filter *filter) {
  char text[8192];
  if (strcmp(req->method, "POST") == 0)
    filter->json = member_of_body(req, "doc_ids");
  else if (cft_request_param(req, "doc_ids", text, sizeof text))
    filter->json = json_loads(text, 0, NULL);
  filter->kind = CFT_DOC_IDS;
  bool ok = json_is_array(filter->json);
  for (size_t i = 0; ok && i < json_array_size(filter->json); i++)
    ok = json_is_string(json_array_get(filter->json, i));
  return ok ? NULL : "`doc_ids` filter parameter is not a list of doc ids.";
}

static const char *read_selector(const cft_request *req, cft_filter *filter) {
  if (strcmp(req->method, "POST") != 0)
    return "Selector must be specified in POST payload";
  filter->kind = CFT_SELECTOR;
  filter->json = member_of_body(req, "selector");
  return json_is_object(filter->json)
             ? NULL
             : "Selector error: expected a JSON object";
}

const char *cft_filter_read(const cft_request *req, cft_filter *filter) {
  char name[256];
  *filter = (cft_filter){.kind = CFT_ALL};
  if (!cft_request_param(req, "filter", name, sizeof name))
    return NULL;
  if (strcmp(name, "_doc_ids") == 0)
    return read_doc_ids(req, filter);
  if (strcmp(name, "_selector") == 0)
    return read_selector(req, filter);
  filter->kind = CFT_ID_PREFIX;
  if (strcmp(name, "_design") == 0) {
    snprintf(filter->prefix, sizeof filter->prefix, "_design/");
    return NULL;
  }
  if (strcmp(name, "_view") == 0) {
    if (!cft_request_param(req, "view", name, sizeof name))
      return "`view` filter parameter is not provided.";
  } else if (name[0] == '_') {
    return "unknown builtin filter name";
  }
  const char *slash = strchr(name, '/');
  if (!slash)
    return "`filter` must be of the form `designname/filtername`";
  snprintf(filter->prefix, sizeof filter->prefix, "%s", slash + 1);
  return NULL;
}

static bool member_matches(const json_t *value, const json_t *want) {
  if (!json_is_object(want))
    return value && json_equal(value, want);
  if (!json_is_null(json_object_get(want, "$gt")))
    return false;
  return value && !json_is_null(value);
}

static bool selected(json_t *selector, const cft_entry *row) {
  cft_text text = {NULL, 0, 0};
  cft_doc_text(row, &text);
  json_t *doc = json_loadb(text.data, text.len, 0, NULL);
  bool ok = doc != NULL;
  void *at = json_object_iter(doc ? selector : NULL);
  for (; ok && at; at = json_object_iter_next(selector, at))
    ok = member_matches(json_object_get(doc, json_object_iter_key(at)),
                        json_object_iter_value(at));
  json_decref(doc);
  cft_text_free(&text);
  return ok;
}

static bool listed(const json_t *ids, const char *id) {
  for (size_t i = 0; i < json_array_size(ids); i++)
    if (strcmp(json_string_value(json_array_get(ids, i)), id) == 0)
      return true;
  return false;
}

bool cft_filter_match(const cft_filter *filter, const cft_entry *row) {
  switch (filter->kind) {
  case CFT_DOC_IDS:
    return listed(filter->json, row->id);
  case CFT_SELECTOR:
    return selected(filter->json, row);
  case CFT_ID_PREFIX:
    return strncmp(row->id, filter->prefix, strlen(filter->prefix)) == 0;
  case CFT_ALL:
    break;
  }
  return true;
}

void cft_filter_clear(cft_filter *filter) {
  json_decref(filter->json);
  filter->json = NULL;
}
