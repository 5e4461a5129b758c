/* What is counted of a visit, and its line in the access log. */
#include "balancer/plane_state.h"

#include "common/log.h"
#include <stdio.h>
#include <string.h>

enum { METHOD_SHOWN = 16, PATH_SHOWN = 512 };

/* ---- metrics ---- */

static metric *class_of(metrics *m, const char *code) {
  char labels[32];

  (void)snprintf(labels, sizeof labels, "code=\"%s\"", code);
  return metrics_counter(m, "balancer_requests_total", labels,
                         "Requests of visitors by the class of the answer; "
                         "gone: the visitor went before there was one.");
}

static metric *error_of(metrics *m, enum page page) {
  char labels[32];

  (void)snprintf(labels, sizeof labels, "code=\"%s\"", page_code(page));
  return metrics_counter(m, "balancer_errors_total", labels,
                         "Pages of the balancer's own, by their code.");
}

void plane_make_counts(plane *p) {
  static const char *const classes[] = {"gone", "1xx", "2xx",
                                        "3xx",  "4xx", "5xx"};
  plane_counts *c = &p->counts;
  metrics *m = p->config.metrics;

  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    c->classes[i] = class_of(m, classes[i]);
  for (size_t i = 0; i < PAGES; i++)
    c->errors[page_at(i)] = error_of(m, page_at(i));
  c->seconds =
      metrics_times(m, "balancer_request_seconds", NULL,
                    "From a request's head to the answer's end, of "
                    "requests that were passed on; not of websockets.");
  c->connections = metrics_gauge(m, "balancer_connections", NULL,
                                 "Open connections of visitors.");
  c->connects = metrics_counter(m, "balancer_upstream_connects_total", NULL,
                                "Connections to drones that were begun.");
  c->reused = metrics_counter(m, "balancer_upstream_reused_total", NULL,
                              "Requests that went by a connection that was "
                              "kept.");
  c->again = metrics_counter(m, "balancer_retries_total", NULL,
                             "Requests passed on again to another target, "
                             "since the first took nothing of them.");
}

/* ---- the access log ---- */

static void show(char *out, size_t size, http_str s) {
  if (s.len == 0)
    s = (http_str){"-", 1};
  (void)snprintf(out, size, "%.*s", (int)(s.len < size ? s.len : size - 1),
                 s.data);
}

/* Without the query, which may carry what nobody else should read. */
static http_str path_of(http_str target) {
  const char *query =
      target.len != 0 ? memchr(target.data, '?', target.len) : NULL;

  if (query != NULL)
    target.len = (size_t)(query - target.data);
  return target;
}

static const char *page_name(const visit *v) {
  return v->page != 0 ? page_code(v->page) : "-";
}

static const char *result_name(const visit *v) {
  static const char *const names[] = {"ok",     "refused", "unreachable",
                                      "broken", "late",    "rejected",
                                      "cut",    "client"};

  return v->passed ? names[v->result] : "-";
}

static void write_line(const visit *v, const http_exchange *x, int64_t ms) {
  static const http_head none;
  const http_head *head = http_exchange_head(x);
  const char *page = page_name(v), *app = v->app[0] != '\0' ? v->app : "-",
             *to = v->passed ? v->target.addr : "-";
  char method[METHOD_SHOWN + 1], host[HOST_MOST + 3], path[PATH_SHOWN + 1];

  if (head == NULL)
    head = &none;
  show(method, sizeof method, head->method);
  show(host, sizeof host, head->host);
  show(path, sizeof path, path_of(head->target));
  log_event(LOG_INFO, "request", LS("id", v->id),
            LS("peer", http_exchange_peer(x)), LS("method", method),
            LS("host", host), LS("path", path),
            LN("status", http_exchange_status(x)), LS("page", page),
            LN("bytes", http_exchange_sent(x)), LN("ms", ms), LS("app", app),
            LS("to", to), LS("drone", result_name(v)), LN("again", v->again));
}

/* ---- both ---- */

void plane_count(const visit *v, const http_exchange *x) {
  const plane *p = v->worker->plane;
  int class = http_exchange_status(x) / 100;
  int64_t ms =
      (int64_t)uv_now(http_exchange_loop(x)) - http_exchange_began_ms(x);

  metric_add(p->counts.classes[class >= 0 && class <= 5 ? class : 0], 1);
  if (v->page != 0)
    metric_add(p->counts.errors[v->page], 1);
  if (v->passed && class != 1) /* a websocket's time is its user's */
    metric_time(p->counts.seconds, ms);
  if (p->config.access_log)
    write_line(v, x, ms);
}
