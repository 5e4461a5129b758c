/*
 * Requests taken apart, answers put together, and what stands above databases.
 */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void add_param(couch_request *r, const char *text, size_t len) {
  couch_buf name = {0}, value = {0};
  const char *eq = memchr(text, '=', len);
  size_t name_len = eq != NULL ? (size_t)(eq - text) : len;
  if (len == 0)
    return;
  if (!couch_percent_decode(text, name_len, true, &name) ||
      !couch_percent_decode(eq != NULL ? eq + 1 : "",
                            eq != NULL ? len - name_len - 1 : 0, true, &value))
    r->bad_escape = true;
  r->params =
      couch_room(r->params, &r->param_cap, r->param_count, sizeof *r->params);
  r->params[r->param_count++] = (couch_pair){couch_dup(couch_buf_text(&name)),
                                             couch_dup(couch_buf_text(&value))};
  couch_buf_free(&name);
  couch_buf_free(&value);
}

void couch_request_split(couch_request *r) {
  const char *p = r->target, *end = p + strcspn(p, "?#");
  while (p < end) {
    couch_buf part = {0};
    size_t len;
    while (p < end && *p == '/')
      p++;
    len = strcspn(p, "/?#");
    if (len == 0)
      break;
    if (!couch_percent_decode(p, len, false, &part))
      r->bad_escape = true;
    if (r->parts < COUCH_PATH_PARTS)
      r->part[r->parts] = couch_dup(couch_buf_text(&part));
    if (r->parts <= COUCH_PATH_PARTS)
      r->parts++;
    couch_buf_free(&part);
    p += len;
  }
  for (p = *end == '?' ? end + 1 : ""; *p != '\0' && *p != '#';) {
    size_t len = strcspn(p, "&#");
    add_param(r, p, len);
    p += len + (p[len] == '&');
  }
}

static void free_pairs(couch_pair *pairs, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(pairs[i].name);
    free(pairs[i].value);
  }
  free(pairs);
}

void couch_request_free(couch_request *r) {
  free_pairs(r->params, r->param_count);
  free_pairs(r->headers, r->header_count);
  for (unsigned i = 0; i < COUCH_PATH_PARTS; i++)
    free(r->part[i]);
  free(r->method);
  free(r->target);
  couch_buf_free(&r->body);
  *r = (couch_request){0};
}

void couch_reply_free(couch_reply *r) {
  couch_buf_free(&r->headers);
  couch_buf_free(&r->body);
  couch_feed_free(r->feed);
  *r = (couch_reply){0};
}

const char *couch_header(const couch_request *r, const char *name) {
  for (size_t i = 0; i < r->header_count; i++)
    if (couch_equal_nocase(r->headers[i].name, name))
      return r->headers[i].value;
  return NULL;
}

const char *couch_param(const couch_request *r, const char *name) {
  for (size_t i = 0; i < r->param_count; i++)
    if (strcmp(r->params[i].name, name) == 0)
      return r->params[i].value;
  return NULL;
}

bool couch_flag(const couch_request *r, const char *name) {
  const char *value = couch_param(r, name);
  return value != NULL && strcmp(value, "true") == 0;
}

bool couch_is(const couch_request *r, const char *method) {
  return strcmp(r->method, method) == 0;
}

static const char *kind_below_db(const couch_request *r) {
  static const struct {
    const char *part, *kind;
  } kinds[] = {{"_changes", "changes"},     {"_all_docs", "all_docs"},
               {"_bulk_docs", "bulk_docs"}, {"_bulk_get", "bulk_get"},
               {"_revs_diff", "revs_diff"}, {"_security", "security"}};
  const char *part = r->part[1];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(part, kinds[i].part) == 0)
      return kinds[i].kind;
  if (strcmp(part, "_local") == 0)
    return couch_is(r, "PUT")      ? "local_put"
           : couch_is(r, "DELETE") ? "local_delete"
                                   : "local_get";
  if (part[0] == '_' && strcmp(part, "_design") != 0)
    return "other";
  return couch_is(r, "PUT")      ? "doc_put"
         : couch_is(r, "DELETE") ? "doc_delete"
                                 : "doc_get";
}

const char *couch_request_kind(const couch_request *r) {
  static const char *const server[] = {"_up",    "_all_dbs",    "_session",
                                       "_uuids", "_db_updates", "_membership"};
  if (r->parts == 0)
    return "root";
  if (r->part[0][0] == '_')
    for (size_t i = 0; i < sizeof server / sizeof *server; i++)
      if (strcmp(r->part[0], server[i]) == 0)
        return server[i] + 1;
  if (r->parts > 1)
    return kind_below_db(r);
  if (couch_is(r, "PUT"))
    return "db_create";
  if (couch_is(r, "DELETE"))
    return "db_delete";
  return couch_is(r, "POST") ? "doc_post" : "db_info";
}

/* ---- answers ---- */

const char *couch_status_text(int status) {
  static const struct {
    int status;
    const char *text;
  } texts[] = {{100, "Continue"},
               {200, "OK"},
               {201, "Created"},
               {202, "Accepted"},
               {301, "Moved Permanently"},
               {302, "Found"},
               {304, "Not Modified"},
               {400, "Bad Request"},
               {401, "Unauthorized"},
               {403, "Forbidden"},
               {404, "Object Not Found"},
               {405, "Method Not Allowed"},
               {406, "Not Acceptable"},
               {408, "Request Timeout"},
               {409, "Conflict"},
               {412, "Precondition Failed"},
               {413, "Request Entity Too Large"},
               {414, "Request-URI Too Long"},
               {415, "Unsupported Media Type"},
               {417, "Expectation Failed"},
               {429, "Too Many Requests"},
               {431, "Request Header Fields Too Large"},
               {500, "Internal Server Error"},
               {501, "Not Implemented"},
               {502, "Bad Gateway"},
               {503, "Service Unavailable"},
               {504, "Gateway Timeout"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].status == status)
      return texts[i].text;
  return "Unknown";
}

void couch_header_add(couch_reply *out, const char *name, const char *value) {
  couch_addf(&out->headers, "%s: %s\r\n", name, value);
}

void couch_json_reply(couch_reply *out, int status, const char *json) {
  out->status = status;
  couch_header_add(out, "Content-Type", "application/json");
  out->body.len = 0;
  couch_add_text(&out->body, json);
  couch_add(&out->body, "\n", 1);
}

static void error_with(couch_reply *out, int status, const char *error,
                       const char *reason, const char *ref) {
  couch_buf json = {0};
  couch_add_text(&json, "{\"error\":");
  couch_add_json_text(&json, error);
  couch_add_text(&json, ",\"reason\":");
  couch_add_json_text(&json, reason);
  if (ref != NULL)
    couch_addf(&json, ",\"ref\":%s", ref);
  couch_add(&json, "}", 1);
  couch_json_reply(out, status, json.data);
  couch_buf_free(&json);
}

void couch_error(couch_reply *out, int status, const char *error,
                 const char *reason) {
  error_with(out, status, error, reason, NULL);
}

void couch_crash(couch_reply *out, const char *error, const char *reason,
                 const char *ref) {
  error_with(out, 500, error, reason, ref);
  couch_header_add(out, "X-Couch-Stack-Hash", ref);
}

void couch_only(const couch_request *r, couch_reply *out, const char *allowed) {
  char reason[96];
  (void)snprintf(reason, sizeof reason, "Only %s allowed", allowed);
  couch_error(out, 405, "method_not_allowed", reason);
  couch_header_add(out, "Allow", allowed);
  out->close = r->body.len > 0; /* its body was not read */
}

bool couch_wants_json(const couch_request *r, couch_reply *out) {
  const char *type = couch_header(r, "Content-Type");
  if (type != NULL && couch_starts(type, "application/json"))
    return true;
  couch_error(out, 415, "bad_content_type",
              "Content-Type must be application/json");
  out->close = true;
  return false;
}

const couch_json *couch_body_json(const couch_request *r, couch_pool *pool,
                                  couch_reply *out) {
  const couch_json *v = r->body.len > 0
                            ? couch_json_parse(pool, r->body.data, r->body.len)
                            : couch_json_parse(pool, "{}", 2);
  if (v == NULL)
    couch_error(out, 400, "bad_request", "invalid UTF-8 JSON");
  return v;
}

void couch_unreachable(couch_reply *out) {
  couch_crash(out, "internal_server_error", "No DB shards could be opened.",
              "3318763005");
}

bool couch_readable(const couch_world *w, const couch_db *db, unsigned node,
                    bool lasting, couch_reply *out) {
  couch_reach reach = couch_db_reach(w, db, node);
  if (reach == COUCH_ALL)
    return true;
  if (reach == COUCH_NONE) {
    couch_unreachable(out);
  } else if (lasting) {
    couch_error(out, 500, "error", "timeout");
    out->delay_ms = 60000;
  } else {
    couch_error(out, 500, "nodedown", "progress not possible");
  }
  return false;
}

/* ---- heads ---- */

static int by_name(const void *a, const void *b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  for (; *x != '\0' && *x != ':'; x++, y++) {
    int cx = *x | 32, cy = *y | 32;
    if (cx != cy)
      return cx < cy ? -1 : 1;
  }
  return *y == ':' ? 0 : -1;
}

static void sorted_lines(couch_buf *lines, couch_buf *out) {
  char *line[64];
  size_t count = 0;
  for (char *p = lines->data; p != NULL && *p != '\0' && count < 64;) {
    char *end = strstr(p, "\r\n");
    line[count++] = p;
    if (end == NULL)
      break;
    *end = '\0';
    p = end + 2;
  }
  qsort(line, count, sizeof *line, by_name);
  for (size_t i = 0; i < count; i++)
    couch_addf(out, "%s\r\n", line[i]);
}

void couch_head(couch_world *w, const couch_request *r, couch_reply *reply,
                bool no_body, couch_buf *out) {
  couch_buf lines = {0};
  time_t seconds = (time_t)(w->now_ms / 1000);
  struct tm tm;
  char date[64] = "";
  bool chunked = (reply->feed != NULL && reply->feed->framed) || reply->framed;
  if (reply->headers.len > 0)
    couch_add(&lines, reply->headers.data, reply->headers.len);
  if (gmtime_r(&seconds, &tm) != NULL)
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  couch_addf(&lines, "Date: %s\r\n", date);
  if (chunked && !no_body)
    couch_add_text(&lines, "Transfer-Encoding: chunked\r\n");
  else if (reply->feed == NULL)
    couch_addf(&lines, "Content-Length: %zu\r\n", reply->body.len);
  if (reply->close)
    couch_add_text(&lines, "Connection: close\r\n");
  if (reply->plain) {
    couch_add_text(&lines, "Server: MochiWeb/1.0 (Any of you quaids got a "
                           "smint?)\r\n");
  } else {
    if (reply->feed == NULL || reply->feed->mode != COUCH_EVENTSOURCE)
      couch_add_text(&lines, "Cache-Control: must-revalidate\r\n");
    couch_addf(&lines, "Server: CouchDB/%s (Erlang OTP/25)\r\n",
               w->settings.version);
    if (r->parts == 0 || (strcmp(r->part[0], "_session") != 0 &&
                          strcmp(r->part[0], "_membership") != 0))
      couch_addf(&lines,
                 "X-Couch-Request-ID: %010llx\r\n"
                 "X-CouchDB-Body-Time: 0\r\n",
                 (unsigned long long)(++w->ids * UINT64_C(0x9E3779B97F) &
                                      UINT64_C(0xffffffffff)));
  }
  couch_addf(out, "HTTP/1.%d %d %s\r\n", r->old_http ? 0 : 1, reply->status,
             couch_status_text(reply->status));
  sorted_lines(&lines, out);
  couch_add(out, "\r\n", 2);
  couch_buf_free(&lines);
}
