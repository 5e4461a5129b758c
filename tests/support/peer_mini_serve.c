/* The mini couch's connections: each request meets its fault, is admitted and
   routed. Feeds are answered in peer_mini_feed.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "peer_mini_int.h"
#include "timing.h"

#include <strings.h>

/* ---- answering ---- */

bool cft_mini_gate(cft_exchange *x) {
  for (bool again = false;; again = true) {
    pthread_mutex_lock(&x->mini->mu);
    bool frozen = x->mini->frozen;
    pthread_mutex_unlock(&x->mini->mu);
    if (!frozen)
      return true;
    if (!again)
      cft_conn_wakeable(x->conn); /* before the second look */
    else if (cft_conn_wait(x->conn, -1) == CFT_WAIT_GONE)
      return false;
  }
}

static void note_cut(void *user) {
  cft_exchange *x = user;
  pthread_mutex_lock(&x->mini->mu);
  x->struck->cuts++;
  pthread_mutex_unlock(&x->mini->mu);
}

static void set_shape(cft_exchange *x, size_t head_len) {
  const cft_fault *f = cft_fault_of(x);
  if (!f)
    return;
  cft_shape shape = {.slice = f->slice,
                     .cut = f->cut != CFT_CUT_NONE,
                     .cut_at = f->cut_at,
                     .then = f->then,
                     .on_cut = note_cut,
                     .user = x};
  if (f->cut == CFT_CUT_BODY)
    shape.cut_at =
        f->cut_at > SIZE_MAX - head_len ? SIZE_MAX : f->cut_at + head_len;
  cft_conn_shape(x->conn, &shape);
}

bool cft_mini_begin(cft_exchange *x, const char *text, size_t len,
                    size_t head_len) {
  if (!cft_mini_gate(x))
    return false;
  set_shape(x, head_len);
  return cft_conn_send(x->conn, text, len);
}

bool cft_mini_reply(cft_exchange *x, int status, const char *headers,
                    const char *body) {
  cft_text text = {NULL, 0, 0};
  cft_head_text(&text, status, headers);
  if (x->config.close_each_response)
    cft_text_adds(&text, "Connection: close\r\n");
  cft_text_addf(&text, "Content-Length: %zu\r\n\r\n", strlen(body));
  size_t head_len = text.len;
  if (strcmp(x->req->method, "HEAD") != 0)
    cft_text_adds(&text, body);
  bool ok = cft_mini_begin(x, text.data, text.len, head_len);
  cft_text_free(&text);
  return ok;
}

bool cft_mini_refuse(cft_exchange *x, int status, const char *error,
                     const char *reason) {
  cft_text text = {NULL, 0, 0};
  cft_text_adds(&text, "{\"error\":");
  cft_text_json(&text, error);
  cft_text_adds(&text, ",\"reason\":");
  cft_text_json(&text, reason);
  cft_text_adds(&text, "}\n");
  bool ok = cft_mini_reply(x, status, NULL, text.data);
  cft_text_free(&text);
  return ok;
}

/* ---- documents that are not feeds ---- */

static bool serve_root(cft_exchange *x) {
  cft_text text = {NULL, 0, 0};
  cft_text_adds(&text, "{\"couchdb\":\"Welcome\",\"version\":");
  cft_text_json(&text, x->config.version);
  if (x->config.uuid[0]) {
    cft_text_adds(&text, ",\"uuid\":");
    cft_text_json(&text, x->config.uuid);
  }
  cft_text_adds(&text, ",\"features\":[],\"vendor\":{\"name\":\"test\"}}\n");
  bool ok = cft_mini_reply(x, 200, NULL, text.data);
  cft_text_free(&text);
  return ok;
}

static bool serve_db(cft_exchange *x) {
  cft_mini *mini = x->mini;
  cft_text text = {NULL, 0, 0};
  size_t gone = 0;
  cft_text_adds(&text, "{");
  if (x->config.start_time[0])
    cft_text_addf(&text, "\"instance_start_time\":%s,", x->config.start_time);
  cft_text_adds(&text, "\"db_name\":");
  cft_text_json(&text, x->config.db);
  pthread_mutex_lock(&mini->mu);
  cft_text_adds(&text, ",\"update_seq\":");
  cft_seq_text(&mini->changes, x->config.seqs, mini->changes.count, &text);
  for (size_t i = 0; i < mini->changes.count; i++)
    gone += mini->changes.rows[i].current && mini->changes.rows[i].deleted;
  cft_text_addf(&text, ",\"doc_del_count\":%zu,\"doc_count\":%zu", gone,
                mini->changes.current - gone);
  pthread_mutex_unlock(&mini->mu);
  cft_text_adds(&text, ",\"purge_seq\":\"0-g1\",\"props\":{},"
                       "\"disk_format_version\":8,\"compact_running\":false,"
                       "\"cluster\":{\"q\":1,\"n\":1,\"w\":1,\"r\":1}}\n");
  bool ok = cft_mini_reply(x, 200, NULL, text.data);
  cft_text_free(&text);
  return ok;
}

/* ---- routing ---- */

/* The first path segment decoded, and the rest behind its slash. */
static bool split_path(const cft_exchange *x, char *db, char *rest,
                       size_t size) {
  const char *p = x->req->target + strlen(x->config.prefix) + 1;
  size_t path = strcspn(p, "?"), first = strcspn(p, "/?");
  size_t more = first < path ? path - first - 1 : 0;
  if (first >= size || more >= size)
    return false;
  memcpy(db, p, first);
  db[first] = '\0';
  memcpy(rest, more ? p + first + 1 : "", more);
  rest[more] = '\0';
  return cft_percent_decode(db, false) && cft_percent_decode(rest, false);
}

static bool db_exists(const cft_exchange *x, const char *name) {
  pthread_mutex_lock(&x->mini->mu);
  bool yes = x->mini->exists && strcmp(name, x->config.db) == 0;
  pthread_mutex_unlock(&x->mini->mu);
  return yes;
}

static bool route(cft_exchange *x) {
  char db[256], rest[512];
  unsigned kind = x->req->kind;
  bool ok;
  if (kind & CFT_ROOT)
    return serve_root(x);
  if (kind & (CFT_SESSION | CFT_WHO))
    return cft_mini_session(x);
  if (!cft_mini_admit(x, &ok))
    return ok;
  if (kind & CFT_UPDATES)
    return cft_mini_feed(x);
  if ((kind & CFT_OTHER) || !split_path(x, db, rest, sizeof db))
    return cft_mini_refuse(x, 404, "not_found", "missing");
  if (!db_exists(x, db))
    return cft_mini_refuse(x, 404, "not_found", "Database does not exist.");
  if (kind & CFT_LOCAL)
    return cft_mini_serve_local(x, rest + strlen("_local/"));
  return kind & CFT_DB ? serve_db(x) : cft_mini_feed(x);
}

/* What the fault answers in the server's place; false: nothing. */
static bool answered(cft_exchange *x, bool *ok) {
  const cft_fault *f = cft_fault_of(x);
  if (f->raw) {
    const char *end = memmem(f->raw, f->raw_len, "\r\n\r\n", 4);
    *ok = cft_mini_begin(x, f->raw, f->raw_len,
                         end ? (size_t)(end - f->raw) + 4 : 0);
    return true;
  }
  if (!f->status)
    return false;
  *ok = f->body ? cft_mini_reply(x, f->status, f->headers, f->body)
                : cft_mini_reply(x, f->status, f->headers,
                                 "{\"error\":\"fault\",\"reason\":"
                                 "\"A fault of the test.\"}\n");
  return true;
}

static bool wants_close(const cft_exchange *x) {
  char value[64];
  if (x->config.close_each_response)
    return true;
  if (cft_request_header(x->req, "Connection", value, sizeof value))
    return strcasecmp(value, "close") == 0;
  return strstr(x->req->line, "HTTP/1.0") != NULL;
}

/* True when the connection is to go on with the next request. */
static bool serve(cft_mini *mini, cft_conn *conn, const cft_request *req) {
  cft_exchange x = {.mini = mini, .conn = conn, .req = req};
  bool ok = true;
  if (mini->hook)
    mini->hook(mini->hook_user, req);
  x.config = cft_mini_get_config(mini);
  x.struck = cft_mini_strike(mini, req->kind, req->head);
  const cft_fault *f = cft_fault_of(&x);
  if (f && f->delay_ms > 0 && !cft_conn_wait_ms(conn, f->delay_ms))
    return false;
  if (!f || !answered(&x, &ok))
    ok = route(&x);
  cft_conn_shape(conn, NULL);
  if (!ok)
    return false;
  if (f && f->then != CFT_KEEP)
    return cft_conn_then(conn, f->then);
  return !wants_close(&x);
}

void cft_mini_handler(cft_conn *conn, void *user) {
  cft_mini *mini = user;
  const cft_request *req;
  const cft_struck *s = cft_mini_strike(mini, CFT_CONNECT, NULL);
  if (s &&
      ((s->fault.delay_ms > 0 && !cft_conn_wait_ms(conn, s->fault.delay_ms)) ||
       !cft_conn_then(conn, s->fault.then)))
    return;
  while (cft_conn_read_request(conn, &req) && serve(mini, conn, req)) {
  }
}
