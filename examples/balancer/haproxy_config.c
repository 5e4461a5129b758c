/* The configuration HAProxy is to be started with; see haproxy_state.h.

   The front decides by one look into the map what is to become of a request:
   txn.to is a target, or a page's code. Behind it there are two backends for
   each form of a page: pages_FORM answers, drones_FORM passes on and looks at
   what comes back.

   What is not as with the embedded data plane: heads that are no HTTP, too
   large or too slow get HAProxy's own 400 and 408, without a code; a body is
   too large only by its Content-Length; a page has no words of a document, such
   as a place in the line; a 1xx goes on before the claim was seen (a drone's
   guard passes none on); a request that misses its drone is not tried at
   another; names of pages in Accept have no weights. */
#include "balancer/haproxy_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  MAX_CONNECTIONS = 20000,
  MAX_APP = 1000,
  MAX_HEAD = 16 * 1024,
  LEAST_BUFFER = 2 * HAPROXY_PAYLOAD,
  REWRITE = 2048, /* what is added to a head */
  HEAD_MS = 10000,
  IDLE_MS = 60000,
  CONNECT_MS = 2000,
  ANSWER_MS = 30000,
  TUNNEL_MS = 3600000,
  DRAIN_MS = 30000,
  APPS = 100000 /* whose requests are counted at a time */
};

#define MAX_BODY (UINT64_C(1) << 30)

static int64_t or_else(int64_t value, int64_t otherwise) {
  return value > 0 ? value : otherwise;
}

static void write_global(text *out, const engine_config *c) {
  size_t head = c->max_head != 0 ? c->max_head : MAX_HEAD;
  size_t buffer = head + REWRITE > LEAST_BUFFER ? head + REWRITE : LEAST_BUFFER;
  size_t rewrite = buffer - head; /* HAProxy takes half of it at most */

  text_str(out,
           "# HAProxy 2.6 for libchangefeed's balancer, which keeps the "
           "map up to date through\n# the socket. The socket must be the "
           "balancer's user's alone: whoever writes to it\n# decides where "
           "visitors go.\nglobal\n  stats socket ");
  haproxy_quote(out, c->haproxy_socket != NULL ? c->haproxy_socket
                                               : "/run/haproxy/balancer.sock");
  text_str(out, " mode 600 level admin\n");
  if (c->threads != 0)
    text_printf(out, "  nbthread %u\n", c->threads);
  text_printf(out, "  maxconn %zu\n",
              c->max_connections != 0 ? c->max_connections
                                      : (size_t)MAX_CONNECTIONS);
  text_printf(out,
              "  hard-stop-after %" PRId64 "ms\n"
              "  tune.bufsize %zu\n"
              "  tune.maxrewrite %zu\n"
              "  tune.http.maxhdr %d\n\n",
              or_else(c->drain_ms, DRAIN_MS), buffer,
              rewrite < buffer / 2 ? rewrite : buffer / 2, HTTP_FIELDS);
}

static void write_defaults(text *out, const engine_config *c) {
  text_str(out, "defaults\n  mode http\n");
  if (c->access_log)
    text_str(out, "  log stdout format raw daemon info\n");
  text_printf(out,
              "  timeout client %" PRId64 "ms\n"
              "  timeout http-keep-alive %" PRId64 "ms\n"
              "  timeout http-request %" PRId64 "ms\n"
              "  timeout connect %" PRId64 "ms\n"
              "  timeout server %" PRId64 "ms\n"
              "  timeout tunnel %" PRId64 "ms\n",
              or_else(c->idle_ms, IDLE_MS), or_else(c->idle_ms, IDLE_MS),
              or_else(c->head_ms, HEAD_MS), or_else(c->connect_ms, CONNECT_MS),
              or_else(c->answer_ms, ANSWER_MS),
              or_else(c->tunnel_ms, TUNNEL_MS));
  text_str(out, "  option disable-h2-upgrade\n"
                "  option http-restrict-req-hdr-names delete\n"
                "  # A kept connection may end just when a request goes out.\n"
                "  retries 1\n"
                "  retry-on empty-response\n"
                "  # By the drone's address; its guard looks at each claim.\n"
                "  http-reuse safe\n\n");
}

/* ---- the front ---- */

/* "?": not over the base. What is no host at all is found nowhere. */
static void write_lookup(text *out) {
  text_str(out,
           "  http-request allow if { var(txn.to) -m found }\n"
           "  http-request set-var(txn.to) str(" HAPROXY_ALL
           "),map_str(" HAPROXY_OVER ",E09)\n"
           "  http-request allow if !{ var(txn.to) -m str ok }\n"
           "  http-request set-var(txn.to) str(" HAPROXY_GONE ")\n"
           "  http-request set-var(txn.host) "
           "req.fhdr(host),field(1,:),rtrim(.),lower\n"
           "  http-request set-var(txn.to) var(txn.host),map_str(" HAPROXY_OVER
           ",?)\n"
           "  http-request set-var(txn.to) var(txn.host),map_str(" HAPROXY_BASE
           "," HAPROXY_GONE ") if { var(txn.to) -m str ? }\n"
           "  http-request allow if !{ var(txn.to) -m str " HAPROXY_GONE " }\n"
           "  # Patterns, the longest first.\n"
           "  http-request set-var(txn.rest) var(txn.host),field(2,.,0)\n");
  for (int labels = HAPROXY_LABELS; labels >= 2; labels--)
    text_printf(
        out,
        "  http-request set-var(txn.key) var(txn.rest),field(-1,.,%d),"
        "concat(" HAPROXY_ANY ")\n"
        "  http-request set-var(txn.to) var(txn.key),map_str(" HAPROXY_OVER
        ",?) if { var(txn.to) -m str " HAPROXY_GONE " }\n"
        "  http-request set-var(txn.to) var(txn.key),map_str(" HAPROXY_BASE
        "," HAPROXY_GONE ") if { var(txn.to) -m str ? }\n",
        labels);
  text_printf(out,
              "  http-request set-var(txn.to) str(%s) "
              "if { var(txn.to) -m str " HAPROXY_GONE " }\n",
              page_code(PAGE_UNKNOWN));
}

static void write_request_fields(text *out, const engine_config *c) {
  text via = TEXT_INIT;

  text_str(out, "  http-request del-header X-Drone- -m beg\n"
                "  http-request set-var(txn.at) date(0,ms)\n"
                "  http-request set-var(txn.id) req.fhdr(x-request-id) "
                "if { req.fhdr_cnt(x-request-id) 1 } "
                "{ req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,64}$ }\n"
                "  http-request set-var(txn.id) uuid() "
                "if !{ var(txn.id) -m found }\n"
                "  http-request set-header X-Request-Id %[var(txn.id)]\n"
                "  http-request set-header X-Forwarded-Host %[req.fhdr(host)]\n"
                "  option forwardfor\n");
  text_printf(out, "  http-request set-header X-Forwarded-Proto %s\n",
              c->forwarded_https ? "https" : "http");
  text_printf(&via, "%%[req.ver] %s", c->self != NULL ? c->self : "balancer");
  text_str(out, "  http-request add-header Via ");
  haproxy_quote(out, text_get(&via));
  text_str(out, "\n");
  text_free(&via);
}

static void write_front(text *out, const engine_config *c) {
  text_str(out, "frontend visitors\n  bind ");
  haproxy_quote(out, c->listen);
  text_str(out, "\n");
  if (c->access_log)
    text_str(out, "  log-format 'event=request id=%[var(txn.id)] peer=%ci "
                  "method=%HM host=%{+Q,+E}[var(txn.host)] path=%{+Q,+E}HPO "
                  "status=%ST bytes=%B ms=%Ta end=%ts'\n");
  write_request_fields(out, c);
  text_printf(out,
              "  http-request set-var(txn.to) str(%s) "
              "if METH_CONNECT || METH_TRACE || "
              "!{ req.fhdr(host) -m found }\n"
              "  http-request set-var(txn.to) str(%s) "
              "if { req.hdr_val(content-length) gt %" PRIu64 " }\n",
              page_code(PAGE_BAD), page_code(PAGE_LIMIT),
              c->max_body != 0 ? c->max_body : MAX_BODY);
  write_lookup(out);
  text_str(out, "  acl is_page var(txn.to) -m beg E\n"
                "  acl wants_html req.fhdr(accept) -i -m sub text/html\n"
                "  acl wants_json req.fhdr(accept) -i -m sub application/json\n"
                "  use_backend pages_html if is_page wants_html\n"
                "  use_backend pages_json if is_page wants_json\n"
                "  use_backend pages_text if is_page\n"
                "  use_backend drones_html if wants_html\n"
                "  use_backend drones_json if wants_json\n"
                "  default_backend drones_text\n\n");
}

/* ---- behind it ---- */

static void write_pages(text *out, const char *form, const char *accept) {
  text_printf(out, "backend pages_%s\n", form);
  for (size_t i = 0; i < PAGES; i++) {
    enum page page = page_at(i);
    char condition[48];

    (void)snprintf(condition, sizeof condition, "if { var(txn.to) -m str %s }",
                   page_code(page));
    haproxy_page_return(out, "http-request", accept, page,
                        page == PAGE_LIMIT ? 413 : 0, condition);
  }
  haproxy_page_return(out, "http-request", accept, PAGE_INTERNAL, 0, "");
  text_str(out, "\n");
}

/* One of the slots, by chance: halves of twelve, of six, and one of three. */
static void write_target(text *out) {
  text_str(out,
           "  http-request set-var(txn.to) var(txn.to),field(7,!,6) "
           "if { var(txn.to) -m sub ! } { rand(2) 1 }\n"
           "  http-request set-var(txn.to) var(txn.to),field(4,!,3) "
           "if { var(txn.to) -m sub ! } { rand(2) 1 }\n"
           "  http-request set-var(txn.n) rand(3) if { var(txn.to) -m sub ! }\n"
           "  http-request set-var(txn.to) var(txn.to),field(2,!) "
           "if { var(txn.to) -m sub ! } { var(txn.n) -m int 1 }\n"
           "  http-request set-var(txn.to) var(txn.to),field(3,!) "
           "if { var(txn.to) -m sub ! } { var(txn.n) -m int 2 }\n"
           "  http-request set-var(txn.to) var(txn.to),field(1,!) "
           "if { var(txn.to) -m sub ! }\n"
           "  http-request set-dst var(txn.to),field(1,|)\n"
           "  http-request set-dst-port var(txn.to),field(2,|)\n"
           "  http-request set-var(txn.claim) var(txn.to),field(3,|)\n"
           "  http-request set-header X-Drone-Claim %[var(txn.claim)]\n");
}

static void write_request_rules(text *out, const char *accept,
                                const engine_config *c) {
  char busy[80];

  (void)snprintf(busy, sizeof busy, "if { sc0_conn_cur(apps) gt %zu }",
                 c->max_app != 0 ? c->max_app : (size_t)MAX_APP);
  write_target(out);
  text_str(out, "  http-request track-sc0 var(txn.claim),field(1,/) "
                "table apps\n");
  haproxy_page_return(out, "http-request", accept, PAGE_BUSY, 0, busy);
  text_str(out, "  http-request disable-l7-retry if !METH_GET !{ method "
                "OPTIONS }\n");
}

/* An answer without our claim is nobody's. What the guard says in place of its
   app is a page of ours; as the embedded data plane has it. */
static void write_response_rules(text *out, const char *accept) {
  static const char rule[] = "http-response", told[] = "{ var(res.told) -m str";
  static const int limits[] = {408, 413, 414, 431};
  static const struct {
    const char *word;
    enum page page;
  } words[] = {{"starting", PAGE_STARTING},
               {"crashed", PAGE_CRASHED},
               {"late", PAGE_LATE}};
  char condition[96];

  haproxy_page_return(out, rule, accept, PAGE_MISROUTED, 0,
                      "if !{ res.fhdr_cnt(X-Drone-Claim) 1 } || "
                      "!{ res.fhdr(X-Drone-Claim),strcmp(txn.claim) 0 }");
  text_str(out, "  http-response set-var(res.told) res.fhdr(X-Drone-Error)\n"
                "  http-response del-header X-Drone- -m beg\n"
                "  http-response del-header X_Drone_ -m beg\n"
                "  http-response del-header X-Balancer-Error\n"
                "  http-response allow if !{ var(res.told) -m found }\n");
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    (void)snprintf(condition, sizeof condition, "if %s %s }", told,
                   words[i].word);
    haproxy_page_return(out, rule, accept, words[i].page, 0, condition);
  }
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    (void)snprintf(condition, sizeof condition, "if %s refused } { status %d }",
                   told, limits[i]);
    haproxy_page_return(out, rule, accept, PAGE_LIMIT, limits[i], condition);
  }
  (void)snprintf(condition, sizeof condition, "if %s refused } { status 503 }",
                 told);
  haproxy_page_return(out, rule, accept, PAGE_BUSY, 0, condition);
  haproxy_page_return(out, rule, accept, PAGE_BROKEN, 0, "");
}

static void write_drones(text *out, const char *form, const char *accept,
                         const engine_config *c) {
  text_printf(out, "backend drones_%s\n", form);
  write_request_rules(out, accept, c);
  write_response_rules(out, accept);
  haproxy_page_error(out, accept, PAGE_BAD, 400);
  haproxy_page_error(out, accept, PAGE_LIMIT, 408);
  haproxy_page_error(out, accept, PAGE_LIMIT, 413);
  haproxy_page_error(out, accept, PAGE_INTERNAL, 500);
  haproxy_page_error(out, accept, PAGE_BROKEN, 502);
  haproxy_page_error(out, accept, PAGE_LATE, 504);
  haproxy_page_failed(out, accept, or_else(c->connect_ms, CONNECT_MS));
  text_str(out, "  server drone 0.0.0.0:0\n\n");
}

int haproxy_write_config(const engine_config *config, FILE *out) {
  static const char *const forms[][2] = {
      {"html", "text/html"}, {"json", "application/json"}, {"text", ""}};
  text all = TEXT_INIT;
  bool ok;

  write_global(&all, config);
  write_defaults(&all, config);
  write_front(&all, config);
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    write_pages(&all, forms[i][0], forms[i][1]);
    write_drones(&all, forms[i][0], forms[i][1], config);
  }
  text_printf(&all,
              "# Requests of each app that are under way.\n"
              "backend apps\n"
              "  stick-table type string len %d size %d expire 1h "
              "store conn_cur\n",
              NAME_MOST + 1, APPS);
  ok = !all.failed && fwrite(all.data, 1, all.len, out) == all.len;
  text_free(&all);
  return ok ? 0 : -1;
}
