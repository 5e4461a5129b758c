/*
 * The router, what stands above databases, and a database as a whole.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void welcome(const couch_world *w, couch_reply *out) {
  couch_buf json = {0};
  couch_add_text(&json, "{\"couchdb\":\"Welcome\"");
  if (w->settings.version[0] != '\0')
    couch_addf(&json, ",\"version\":\"%s\"", w->settings.version);
  couch_add_text(&json, ",\"git_sha\":\"11f0d3643\"");
  if (w->settings.uuid[0] != '\0')
    couch_addf(&json, ",\"uuid\":\"%s\"", w->settings.uuid);
  couch_add_text(&json,
                 ",\"features\":[\"quickjs\",\"access-ready\",\"partitioned\","
                 "\"pluggable-storage-engines\",\"reshard\",\"scheduler\"],"
                 "\"vendor\":{\"name\":\"The Apache Software Foundation\"}}");
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}

static void all_dbs(const couch_world *w, couch_reply *out) {
  couch_buf json = {0};
  couch_add(&json, "[", 1);
  for (size_t i = 0; i < w->db_count; i++) {
    if (i > 0)
      couch_add(&json, ",", 1);
    couch_add_json_text(&json, w->dbs[i]->name);
  }
  couch_add(&json, "]", 1);
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}

static void uuids(couch_world *w, const couch_request *r, couch_reply *out) {
  couch_buf json = {0};
  int64_t count = 1;
  const char *text = couch_param(r, "count");
  if (text != NULL && (!couch_to_int(text, &count) || count < 0))
    count = 1;
  couch_add_text(&json, "{\"uuids\":[");
  for (int64_t i = 0; i < count && i < 1000; i++)
    couch_addf(&json, "%s\"%016llx%016llx\"", i > 0 ? "," : "",
               (unsigned long long)couch_next(&w->random),
               (unsigned long long)couch_next(&w->random));
  couch_add_text(&json, "]}");
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}

static void membership(const couch_world *w, unsigned node, couch_reply *out) {
  couch_buf json = {0};
  bool some = false;
  couch_add_text(&json, "{\"all_nodes\":[");
  for (unsigned i = 0; i < w->nodes; i++) {
    if (!couch_sees(w, node, i))
      continue;
    couch_addf(&json, "%s\"node%u@127.0.0.1\"", some ? "," : "", i + 1);
    some = true;
  }
  couch_add_text(&json, "],\"cluster_nodes\":[");
  for (unsigned i = 0; i < w->nodes; i++)
    couch_addf(&json, "%s\"node%u@127.0.0.1\"", i > 0 ? "," : "", i + 1);
  couch_add_text(&json, "]}");
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}

/* True when the path was one above databases. */
static bool server_level(couch_world *w, const couch_request *r,
                         const couch_who *who, couch_plan *plan,
                         couch_reply *out) {
  const char *kind = couch_request_kind(r);
  bool reads = couch_is(r, "GET") || couch_is(r, "HEAD");
  if (strcmp(kind, "session") == 0) {
    couch_api_session(w, r, who, out);
    return true;
  }
  if (r->parts == 0 ||
      (r->parts == 1 && r->part[0][0] == '_' && strcmp(kind, "db_info") != 0)) {
    if (!reads && strcmp(kind, "db_create") != 0 &&
        strcmp(kind, "db_delete") != 0 && strcmp(kind, "doc_post") != 0) {
      couch_only(r, out, "GET,HEAD");
      return true;
    }
  }
  if (strcmp(kind, "root") == 0)
    welcome(w, out);
  else if (strcmp(kind, "up") == 0)
    couch_json_reply(out, w->maintenance[r->node] ? 404 : 200,
                     w->maintenance[r->node]
                         ? "{\"status\":\"maintenance_mode\"}"
                         : "{\"status\":\"ok\",\"seeds\":{}}");
  else if (strcmp(kind, "uuids") == 0)
    uuids(w, r, out);
  else if (strcmp(kind, "membership") == 0)
    membership(w, r->node, out);
  else if (strcmp(kind, "all_dbs") == 0 && couch_must_be_admin(who, out))
    all_dbs(w, out);
  else if (strcmp(kind, "db_updates") == 0 && couch_must_be_admin(who, out))
    couch_api_updates(w, r, plan, out);
  else
    return out->status != 0;
  return true;
}

void couch_handle(couch_world *w, const couch_request *r, couch_plan *plan,
                  couch_reply *out) {
  couch_who who;
  if (!couch_authenticate(w, r, plan, &who, out))
    return;
  if (r->bad_escape) {
    couch_error(out, 400, "bad_request", "invalid_url_encoding");
    return;
  }
  if (!server_level(w, r, &who, plan, out))
    couch_api_database(w, r, &who, plan, out);
}

/* ---- a database ---- */

static bool good_name(const char *name) {
  if (strcmp(name, "_users") == 0 || strcmp(name, "_replicator") == 0 ||
      strcmp(name, "_global_changes") == 0)
    return true;
  if (*name < 'a' || *name > 'z' || strlen(name) > 238)
    return false;
  for (; *name != '\0'; name++)
    if (!((*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') ||
          strchr("_$()+-/", *name) != NULL))
      return false;
  return true;
}

static void create(couch_world *w, const couch_request *r, couch_reply *out) {
  const char *name = r->part[0], *q = couch_param(r, "q");
  const char *n = couch_param(r, "n"), *host = couch_header(r, "Host");
  int64_t shards = 0, copies = 0;
  couch_buf text = {0};
  if (!good_name(name)) {
    couch_addf(&text,
               "Name: '%s'. Only lowercase characters (a-z), digits (0-9), "
               "and any of the characters _, $, (, ), +, -, and / are allowed."
               " Must begin with a letter.",
               name);
    couch_error(out, 400, "illegal_database_name", text.data);
  } else if (couch_db_find(w, name) != NULL) {
    couch_error(out, 412, "file_exists",
                "The database could not be created, the file already exists.");
  } else if ((q != NULL && (!couch_to_int(q, &shards) || shards < 1 ||
                            shards > COUCH_Q_MAX)) ||
             (n != NULL && (!couch_to_int(n, &copies) || copies < 1))) {
    couch_error(out, 400, "bad_request",
                "The `q` and `n` values should be positive integers.");
  } else {
    unsigned up = 0;
    if (copies > (int64_t)w->nodes)
      copies = (int64_t)w->nodes;
    (void)couch_db_create(w, name, (unsigned)shards, (unsigned)copies);
    for (unsigned i = 0; i < w->nodes; i++)
      up += couch_sees(w, r->node, i);
    couch_json_reply(out, up == w->nodes ? 201 : 202, "{\"ok\":true}");
    couch_addf(&text, "http://%s/", host != NULL ? host : "127.0.0.1");
    couch_add_percent(&text, name);
    couch_header_add(out, "Location", text.data);
  }
  couch_buf_free(&text);
}

static void start_time(couch_world *w, const couch_db *db, couch_buf *json) {
  switch (w->settings.start_time) {
  case COUCH_SHOWN_ZERO:
    couch_add_text(json, "\"instance_start_time\":\"0\",");
    break;
  case COUCH_SHOWN_CHANGING:
    couch_addf(json, "\"instance_start_time\":\"%llu\",",
               (unsigned long long)(couch_next(&w->random) >> 13));
    break;
  case COUCH_SHOWN_ABSENT:
    break;
  case COUCH_SHOWN:
  case COUCH_SHOWN_NULL:
  case COUCH_SHOWN_NEGATIVE:
    couch_addf(json, "\"instance_start_time\":\"%lld\",",
               (long long)db->created_s);
    break;
  }
}

static void info(const couch_call *c) {
  couch_buf json = {0};
  couch_place end, zero;
  size_t docs = 0, live = 0, bytes = 0, log = 0;
  if (!couch_readable(c->w, c->db, c->r->node, false, c->out))
    return;
  for (unsigned r = 0; r < c->db->q; r++) {
    const couch_shard *s = couch_copy_for(c->w, c->db, c->r->node, r, NULL);
    docs += s->docs;
    live += s->live;
    bytes += s->bytes;
    log += s->log_len;
  }
  couch_place_end(c->w, c->db, c->r->node, &end);
  zero = end;
  memset(zero.seq, 0, sizeof zero.seq);
  couch_add(&json, "{", 1);
  start_time(c->w, c->db, &json);
  couch_add_text(&json, "\"db_name\":");
  couch_add_json_text(&json, c->db->name);
  couch_add_text(&json, ",\"purge_seq\":\"");
  couch_place_text(&zero, &json);
  couch_add_text(&json, "\",\"update_seq\":\"");
  couch_place_text(&end, &json);
  couch_addf(&json,
             "\",\"sizes\":{\"file\":%zu,\"external\":%zu,\"active\":%zu},"
             "\"props\":{},\"doc_del_count\":%zu,\"doc_count\":%zu,"
             "\"disk_format_version\":8,\"compact_running\":false,"
             "\"cluster\":{\"q\":%u,\"n\":%u,\"w\":%u,\"r\":%u}}",
             16700 + bytes + 256 * log, bytes, bytes + 128 * docs, docs - live,
             live, c->db->q, c->db->n, c->db->n / 2 + 1, c->db->n / 2 + 1);
  couch_json_reply(c->out, 200, json.data);
  couch_buf_free(&json);
}

static void security(const couch_call *c) {
  couch_pool pool = {0};
  if (couch_is(c->r, "GET")) {
    couch_json_reply(c->out, 200, c->db->security);
  } else if (!couch_is(c->r, "PUT")) {
    couch_only(c->r, c->out, "PUT,GET");
  } else if (couch_must_be_admin(c->who, c->out)) {
    const couch_json *v = couch_body_json(c->r, &pool, c->out);
    if (v != NULL && v->kind == COUCH_OBJECT) {
      couch_buf text = {0};
      couch_json_write(&text, v);
      free(c->db->security);
      c->db->security = text.data;
      couch_json_reply(c->out, 200, "{\"ok\":true}");
    } else if (v != NULL) {
      couch_error(c->out, 400, "bad_request",
                  "Security object must be a JSON object");
    }
  }
  couch_pool_free(&pool);
}

static void below_database(const couch_call *c) {
  const char *kind = couch_request_kind(c->r), *part = c->r->part[1];
  couch_buf id = {0};
  if (strcmp(kind, "changes") == 0)
    couch_api_changes(c);
  else if (strcmp(kind, "all_docs") == 0)
    couch_api_all_docs(c);
  else if (strcmp(kind, "bulk_docs") == 0)
    couch_api_bulk(c);
  else if (strcmp(kind, "bulk_get") == 0)
    couch_api_bulk_get(c);
  else if (strcmp(kind, "revs_diff") == 0)
    couch_api_revs_diff(c);
  else if (strcmp(kind, "security") == 0)
    security(c);
  else if (strcmp(part, "_ensure_full_commit") == 0)
    couch_json_reply(c->out, 201,
                     "{\"ok\":true,\"instance_start_time\":\"0\"}");
  else if (strcmp(part, "_compact") == 0 || strcmp(part, "_view_cleanup") == 0)
    couch_json_reply(c->out, 202, "{\"ok\":true}");
  else if (strcmp(part, "_design") == 0 || strcmp(part, "_local") == 0) {
    if (c->r->parts != 3) {
      couch_error(c->out, 404, "not_found", "missing");
      return;
    }
    couch_addf(&id, "%s/%s", part, c->r->part[2]);
    if (part[1] == 'l')
      couch_api_local(c, id.data);
    else
      couch_api_document(c, id.data);
    couch_buf_free(&id);
  } else if (c->r->parts > 2) {
    couch_error(c->out, 404, "not_found", "Document is missing attachment");
  } else {
    couch_api_document(c, part);
  }
}

void couch_api_database(couch_world *w, const couch_request *r,
                        const couch_who *who, couch_plan *plan,
                        couch_reply *out) {
  couch_call c = {w, couch_db_find(w, r->part[0]), r, who, plan, out};
  if (r->parts == 1 && couch_is(r, "PUT")) {
    if (couch_must_be_admin(who, out))
      create(w, r, out);
    return;
  }
  if (c.db == NULL) {
    couch_error(out, 404, "not_found", "Database does not exist.");
    return;
  }
  if (!couch_may_read(w, c.db, who, out))
    return;
  if (r->parts > 1) {
    below_database(&c);
  } else if (couch_is(r, "GET") || couch_is(r, "HEAD")) {
    info(&c);
  } else if (couch_is(r, "DELETE")) {
    if (!couch_must_be_admin(who, out))
      return;
    couch_db_delete(w, c.db);
    couch_json_reply(out, 200, "{\"ok\":true}");
  } else if (couch_is(r, "POST")) {
    couch_api_post(&c);
  } else {
    couch_only(r, out, "DELETE,GET,HEAD,POST,PUT");
  }
}
