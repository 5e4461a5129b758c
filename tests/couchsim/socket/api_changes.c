/*
 * _changes and _db_updates: their parameters, and the feed that comes of them.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_MS = 60000 };

static const char malformed[] =
    "Malformed sequence supplied in 'since' parameter.";

static bool bad(couch_reply *out, const char *reason) {
  couch_error(out, 400, "bad_request", reason);
  return false;
}

static bool read_mode(const couch_request *r, couch_feed *f, couch_reply *out) {
  static const struct {
    const char *name;
    couch_mode mode;
  } modes[] = {{"normal", COUCH_NORMAL},
               {"longpoll", COUCH_LONGPOLL},
               {"continuous", COUCH_CONTINUOUS},
               {"live", COUCH_CONTINUOUS},
               {"eventsource", COUCH_EVENTSOURCE}};
  const char *name = couch_param(r, "feed");
  if (name == NULL)
    return true;
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i].name, name) == 0) {
      f->mode = modes[i].mode;
      return true;
    }
  return bad(out, "Supported `feed` types: normal, continuous, live, longpoll, "
                  "eventsource");
}

static bool read_heartbeat(const couch_request *r, couch_feed *f,
                           couch_reply *out) {
  const char *text = couch_param(r, "heartbeat");
  int64_t ms;
  if (text == NULL)
    return true;
  if (strcmp(text, "true") == 0) {
    f->heartbeat_ms = CAP_MS;
    return true;
  }
  if (!couch_to_int(text, &ms))
    return bad(out, "Invalid heartbeat value. Expecting a positive integer "
                    "value (in milliseconds).");
  if (ms <= 0)
    return bad(out, "The heartbeat value should be a positive integer (in "
                    "milliseconds).");
  f->heartbeat_ms = ms < CAP_MS ? ms : CAP_MS;
  return true;
}

/* A number that CouchDB's own code stumbles over has a reference of its own. */
static bool stumbles(couch_reply *out, const char *ref) {
  couch_crash(out, "unknown_error", "badarg", ref);
  return false;
}

static bool read_numbers(const couch_request *r, couch_feed *f,
                         couch_reply *out) {
  const char *limit = couch_param(r, "limit");
  const char *timeout = couch_param(r, "timeout");
  const char *interval = couch_param(r, "seq_interval");
  int64_t n;
  f->limit = UINT64_C(10000000000000000);
  f->timeout_ms = CAP_MS;
  f->interval = 1;
  if (limit != NULL) {
    if (!couch_to_int(limit, &n))
      return stumbles(out, "4160630019");
    if (n >= 0)
      f->limit = (uint64_t)n;
    if (n == 0 && f->mode != COUCH_NORMAL)
      f->limit = 1;
  }
  if (timeout != NULL) {
    if (!couch_to_int(timeout, &n))
      return stumbles(out, "2985729647");
    if (n < 0 && f->mode != COUCH_NORMAL) {
      out->status = 0; /* not one byte */
      return false;
    }
    f->timeout_ms = n < CAP_MS ? n : CAP_MS;
  }
  if (interval != NULL) {
    if (!couch_to_int(interval, &n) || n <= 0)
      return bad(out, "invalid_seq_interval");
    f->interval = (uint64_t)n;
  }
  return true;
}

static const char *since_of(const couch_request *r, const couch_feed *f) {
  const char *event = couch_header(r, "Last-Event-ID");
  const char *since = couch_param(r, "since");
  if (f->mode == COUCH_EVENTSOURCE && event != NULL)
    return event;
  if (couch_param(r, "last-event-id") != NULL)
    return couch_param(r, "last-event-id");
  return since;
}

static bool read_style(const couch_request *r, couch_feed *f,
                       couch_reply *out) {
  const char *style = couch_param(r, "style");
  if (style == NULL || strcmp(style, "main_only") == 0)
    return true;
  if (strcmp(style, "all_docs") == 0) {
    f->all_leaves = true;
    return true;
  }
  couch_error(out, 500, "error",
              "{function_clause,nil,\n    [{couch_changes,apply_style,\n"
              "         [{doc_info,<<\"d1\">>,1,[]},foo],[]}]}");
  return false;
}

static const char *query_value(const void *user, const char *name) {
  return couch_param(user, name);
}

/* A filter or view of a design document. */
static bool read_function(const couch_call *c, couch_feed *f, const char *name,
                          bool view, couch_reply *out) {
  const char *slash = strchr(name, '/');
  couch_buf id = {0}, reason = {0};
  const couch_shard *s;
  const couch_doc *doc = NULL;
  const couch_json *all, *group, *function;
  if (slash == NULL)
    return bad(out, "`filter` must be of the form `designname/filtername`");
  couch_add_text(&id, "_design/");
  couch_add(&id, name, (size_t)(slash - name));
  s = couch_copy_for(c->w, c->db, c->r->node, couch_range(c->db, id.data),
                     NULL);
  if (s != NULL)
    doc = couch_shard_doc(s, id.data);
  couch_buf_free(&id);
  if (doc == NULL || couch_doc_winner(doc)->deleted) {
    couch_error(out, 404, "not_found", doc == NULL ? "missing" : "deleted");
    return false;
  }
  couch_addf(&id, "{%s}", couch_doc_winner(doc)->body->text);
  all = couch_json_parse(&f->filter.pool, id.data, id.len);
  couch_buf_free(&id);
  group = couch_json_get(all, view ? "views" : "filters");
  function = couch_json_get(group, slash + 1);
  if (view)
    function = couch_json_get(function, "map");
  if (function == NULL || function->kind != COUCH_STRING) {
    couch_addf(&reason, "missing json key: %s",
               group == NULL ? (view ? "views" : "filters") : slash + 1);
    couch_error(out, 404, "not_found", reason.data);
    couch_buf_free(&reason);
    return false;
  }
  if (!couch_filter_function(&f->filter, function->text, query_value, c->r)) {
    couch_error(out, 500, "error",
                "{os_process_error,\"OS process timed out.\"}");
    return false;
  }
  return true;
}

static bool read_ids(const couch_call *c, couch_feed *f,
                     const couch_json *body) {
  const char *text = couch_param(c->r, "doc_ids");
  const couch_json *ids = couch_json_get(body, "doc_ids");
  if (ids == NULL && text != NULL)
    ids = couch_json_parse(&f->filter.pool, text, strlen(text));
  if (ids == NULL || ids->kind != COUCH_ARRAY)
    return bad(c->out, "`doc_ids` filter parameter is not a list of doc ids.");
  for (const couch_json *v = ids->first; v != NULL; v = v->next)
    if (v->kind != COUCH_STRING)
      return bad(c->out,
                 "`doc_ids` filter parameter is not a list of doc ids.");
  f->filter.kind = COUCH_BY_IDS;
  f->filter.ids = ids;
  return true;
}

static bool read_selector(const couch_call *c, couch_feed *f,
                          const couch_json *body) {
  const couch_json *selector = couch_json_get(body, "selector");
  const couch_json *fields = couch_json_get(body, "fields");
  const char *unknown;
  if (!couch_is(c->r, "POST"))
    return bad(c->out, "Selector must be specified in POST payload");
  if (selector == NULL || selector->kind != COUCH_OBJECT)
    return bad(c->out, "Selector error: expected a JSON object");
  unknown = couch_selector_unknown(selector);
  if (unknown != NULL) {
    couch_buf reason = {0};
    couch_addf(&reason, "Invalid operator: %s", unknown);
    couch_error(c->out, 400, "bad_request", reason.data);
    couch_buf_free(&reason);
    return false;
  }
  f->filter.kind = COUCH_BY_SELECTOR;
  f->filter.selector = selector;
  if (fields != NULL && fields->kind == COUCH_ARRAY)
    f->filter.fields = fields;
  return true;
}

static bool read_filter(const couch_call *c, couch_feed *f) {
  const char *name = couch_param(c->r, "filter");
  const char *view = couch_param(c->r, "view");
  const couch_json *body = NULL;
  if (couch_is(c->r, "POST")) {
    if (!couch_wants_json(c->r, c->out))
      return false;
    body = couch_body_json(c->r, &f->filter.pool, c->out);
    if (body == NULL)
      return false;
  }
  if (name == NULL)
    return true;
  if (strcmp(name, "_doc_ids") == 0)
    return read_ids(c, f, body);
  if (strcmp(name, "_selector") == 0)
    return read_selector(c, f, body);
  if (strcmp(name, "_view") == 0)
    return read_function(c, f, view != NULL ? view : "", true, c->out);
  if (strcmp(name, "_design") == 0) {
    f->filter.kind = COUCH_BY_DESIGN;
    return true;
  }
  if (name[0] == '_')
    return bad(c->out, "unknown builtin filter name");
  return read_function(c, f, name, false, c->out);
}

static bool read_place(const couch_call *c, couch_feed *f) {
  const char *since = since_of(c->r, f);
  couch_place from;
  if (since != NULL && strcmp(since, "now") == 0) {
    couch_place_end(c->w, c->db, c->r->node, &f->place);
    return true;
  }
  if (!couch_place_parse(since != NULL ? since : "0", &from))
    return bad(c->out, malformed);
  if (couch_place_resume(c->w, c->db, c->r->node, &from, &f->place))
    return true;
  couch_unreachable(c->out);
  return false;
}

/* As CouchDB's: 25 letters and digits that follow from the state. */
static void etag(const couch_call *c, char text[28]) {
  static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  couch_place end;
  couch_buf seq = {0};
  couch_random r;
  couch_place_end(c->w, c->db, c->r->node, &end);
  couch_place_text(&end, &seq);
  couch_seed(&r, couch_hash(seq.data, seq.len));
  couch_buf_free(&seq);
  text[0] = text[26] = '"';
  for (int i = 1; i < 26; i++)
    text[i] = digits[couch_below(&r, 36)];
  text[27] = '\0';
}

static void answer(couch_reply *out, couch_feed *f) {
  out->status = 200;
  out->feed = f;
  if (f->mode == COUCH_EVENTSOURCE) {
    couch_header_add(out, "Content-Type", "text/event-stream");
    couch_header_add(out, "Cache-Control", "no-cache");
  } else {
    couch_header_add(out, "Content-Type", "application/json");
  }
}

static void normal_head(const couch_call *c, couch_feed *f) {
  const char *match = couch_header(c->r, "If-None-Match");
  char tag[28];
  etag(c, tag);
  couch_header_add(c->out, "ETag", tag);
  if (match != NULL && strcmp(match, tag) == 0) {
    c->out->status = 304;
    couch_feed_free(f);
  } else if (couch_is(c->r, "HEAD")) {
    c->out->status = 200;
    couch_header_add(c->out, "Content-Type", "application/json");
    couch_feed_free(f);
  } else {
    answer(c->out, f);
  }
}

void couch_api_changes(const couch_call *c) {
  couch_feed *f;
  if (!couch_is(c->r, "GET") && !couch_is(c->r, "POST") &&
      !couch_is(c->r, "HEAD")) {
    couch_only(c->r, c->out, "GET,POST,HEAD");
    return;
  }
  f = couch_alloc(sizeof *f);
  f->framed = !c->r->old_http;
  f->db = couch_dup(c->db->name);
  f->tag = c->db->tag;
  f->node = c->r->node;
  f->plan = *c->plan;
  f->include_docs = couch_flag(c->r, "include_docs");
  f->conflicts = couch_flag(c->r, "conflicts");
  f->descending = couch_flag(c->r, "descending");
  if (!read_mode(c->r, f, c->out) || !read_heartbeat(c->r, f, c->out) ||
      !read_numbers(c->r, f, c->out) || !read_style(c->r, f, c->out) ||
      !couch_readable(c->w, c->db, c->r->node, f->mode != COUCH_NORMAL,
                      c->out) ||
      !read_place(c, f) || !read_filter(c, f))
    couch_feed_free(f);
  else if (f->mode == COUCH_NORMAL)
    normal_head(c, f);
  else
    answer(c->out, f);
}

static bool updates_place(const couch_world *w, const couch_request *r,
                          couch_feed *f, couch_reply *out) {
  const char *since = since_of(r, f);
  couch_place from;
  f->place = (couch_place){.tag = w->events_tag, .q = 1};
  if (since != NULL && strcmp(since, "now") == 0) {
    f->place.seq[0] = w->event_seq;
    return true;
  }
  if (!couch_place_parse(since != NULL ? since : "0", &from))
    return bad(out, malformed);
  if (from.tag == w->events_tag)
    f->place.seq[0] = from.seq[0];
  return true;
}

void couch_api_updates(couch_world *w, const couch_request *r, couch_plan *plan,
                       couch_reply *out) {
  couch_feed *f = couch_alloc(sizeof *f);
  f->updates = true;
  f->framed = !r->old_http;
  f->db = couch_dup("");
  f->node = r->node;
  f->plan = *plan;
  if (!read_mode(r, f, out) || !read_heartbeat(r, f, out) ||
      !read_numbers(r, f, out) || !updates_place(w, r, f, out)) {
    couch_feed_free(f);
    return;
  }
  answer(out, f);
  if (f->mode == COUCH_NORMAL)
    couch_addf(&out->headers, "Etag: \"%020llu%05u\"\r\n",
               (unsigned long long)w->event_seq, w->nodes);
}
