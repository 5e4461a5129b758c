/* The admin face as a whole: opened, attached to what it tells of, and closed;
   and from a request to its handler. See admin.h. */
#include "balancer/admin_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECOND_MS = 1000 };

typedef struct admin_rule {
  const char *path; /* ends in '/': what is behind it is the handler's */
  void (*handler)(admin_call *c);
  const char *words; /* of the query */
  bool always;       /* also while it is starting */
  bool post;         /* by POST, not by GET and HEAD */
} admin_rule;

static const admin_rule rules[] = {
    {"/", admin_page, "", true, false},
    {"/healthz", admin_healthz, "", true, false},
    {"/metrics", admin_metrics, "", true, false},
    {"/status", admin_status, "", false, false},
    {"/routes", admin_routes, "from to limit search", false, false},
    {"/route/", admin_route, "claim wait", false, false},
    {"/digest", admin_digest, "from to", false, false},
    {"/diff", admin_diff, "peer", false, false},
    {"/audit", admin_audit, "", false, true},
};

#define RULES (sizeof rules / sizeof rules[0])

/* ---- requests ---- */

static const admin_rule *find_rule(http_str path, http_str *rest) {
  for (size_t i = 0; i < RULES; i++) {
    size_t len = strlen(rules[i].path);
    bool open = len > 1 && rules[i].path[len - 1] == '/';

    if (path.len < len || memcmp(path.data, rules[i].path, len) != 0 ||
        (!open && path.len != len))
      continue;
    *rest = (http_str){path.data + len, path.len - len};
    return &rules[i];
  }
  return NULL;
}

/* A page of another origin may send a POST, though it cannot read what comes of
   it. */
static bool is_of_others(const http_head *head) {
  const http_field *origin = http_head_find(head, "Origin");
  const char *colon;
  size_t len;

  if (origin == NULL)
    return false;
  colon = memmem(origin->value.data, origin->value.len, "://", 3);
  if (colon == NULL)
    return true; /* "null" */
  colon += 3;
  len = (size_t)(origin->value.data + origin->value.len - colon);
  return head->host_field.len != len ||
         memcmp(head->host_field.data, colon, len) != 0;
}

static bool may_use(admin *a, http_exchange *x, const admin_rule *rule) {
  static const http_field allow_get[] = {
      {{"Allow", 5}, {"GET, HEAD", 9}},
      {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}}};
  static const http_field allow_post[] = {
      {{"Allow", 5}, {"POST", 4}},
      {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}}};
  static const char get_only[] = "This is read, by GET.\n";
  static const char post_only[] = "This does something: it takes POST.\n";
  const http_head *head = http_exchange_head(x);
  bool post = http_str_same(head->method, "POST");
  bool get =
      http_str_same(head->method, "GET") || http_str_same(head->method, "HEAD");

  if (rule->post && !post)
    http_exchange_answer(x, 405, allow_post, 2, post_only,
                         sizeof post_only - 1);
  else if (!rule->post && !get)
    http_exchange_answer(x, 405, allow_get, 2, get_only, sizeof get_only - 1);
  else if (post && is_of_others(head))
    admin_answer_error(x, 403, "a page of another origin may not do this");
  else if (!a->attached && !rule->always)
    admin_answer_error(x, 503, "this balancer %s",
                       a->was_attached ? "ends" : "is starting");
  else
    return true;
  return false;
}

static void answer_unknown(http_exchange *x) {
  admin_answer_error(x, 404,
                     "there is /, /healthz, /metrics, /status, /routes, "
                     "/route/HOST, /digest, /diff and /audit");
}

static void on_request(http_exchange *x, void *user) {
  admin_call c = {user, x, {NULL, 0}, {.count = 0}};
  const http_head *head = http_exchange_head(x);
  const char *mark = memchr(head->target.data, '?', head->target.len);
  size_t len =
      mark != NULL ? (size_t)(mark - head->target.data) : head->target.len;
  http_str query = {head->target.data + len, head->target.len - len};
  const admin_rule *rule;
  char why[200];

  metric_add(c.a->requests, 1);
  if (!admin_host_is_ours(head->host, c.a->config.self, c.a->machine)) {
    metric_add(c.a->refused, 1);
    admin_answer_error(x, 421,
                       "this is asked by address, as localhost, %s or %s, "
                       "and by no other name",
                       c.a->config.self, c.a->machine);
    return;
  }
  if (mark != NULL) {
    query.data++;
    query.len--;
  }
  rule = find_rule((http_str){head->target.data, len}, &c.rest);
  if (rule == NULL)
    answer_unknown(x);
  else if (!may_use(c.a, x, rule))
    return;
  else if (!admin_query_read(&c.query, query, rule->words, why, sizeof why))
    admin_answer_error(x, 400, "%s", why);
  else
    rule->handler(&c);
}

/* ---- opening ---- */

static void on_changed(uv_async_t *async) { admin_look_at_waits(async->data); }

static void on_second(uv_timer_t *timer) { admin_sample_now(timer->data); }

static double ask_waiting(void *ctx) {
  return (double)((const admin *)ctx)->waiting;
}

static double ask_comparing(void *ctx) {
  return (double)((const admin *)ctx)->diffs;
}

static void make_metrics(admin *a) {
  metrics *m = a->config.metrics;

  a->requests = metrics_counter(m, "balancer_admin_requests_total", NULL,
                                "Requests of the admin face.");
  a->refused =
      metrics_counter(m, "balancer_admin_refused_total", NULL,
                      "Requests of the admin face by a name that is not ours.");
  (void)metrics_asked(m, "balancer_admin_waiting", NULL,
                      "Who waits to be told of a route.", ask_waiting, a);
  (void)metrics_asked(m, "balancer_admin_comparing", NULL,
                      "Comparisons with other balancers under way.",
                      ask_comparing, a);
}

admin *admin_open(uv_loop_t *loop, const admin_config *config, char *error,
                  size_t size) {
  http_server_config serves = {.address = config->listen,
                               .max_connections = ADMIN_CONNECTIONS,
                               .max_body = 65536,
                               .on_request = on_request};
  admin *a = calloc(1, sizeof *a);

  (void)snprintf(error, size, "there is no memory");
  if (a == NULL)
    return NULL;
  a->config = *config;
  a->loop = loop;
  a->began_ms = (int64_t)uv_now(loop);
  LIST_INIT(&a->waits);
  if (gethostname(a->machine, sizeof a->machine - 1) != 0)
    a->machine[0] = '\0'; /* then that name is not ours */
  make_metrics(a);
  serves.user = a;
  a->server = http_server_open(loop, &serves, error, size);
  if (a->server == NULL || uv_async_init(loop, &a->changed, on_changed) != 0) {
    if (a->server != NULL)
      (void)snprintf(error, size, "no more files can be opened");
    free(a); /* the program ends */
    return NULL;
  }
  (void)uv_timer_init(loop, &a->due);
  (void)uv_timer_init(loop, &a->second);
  a->changed.data = a->due.data = a->second.data = a;
  a->handles = 3;
  return a;
}

static void count_errors(admin *a) {
  char label[16];

  for (size_t i = 0; i < PAGES; i++) {
    (void)snprintf(label, sizeof label, "code=\"%s\"", page_code(page_at(i)));
    a->errors[i] =
        metrics_counter(a->config.metrics, "balancer_errors_total", label,
                        "Answers that were the balancer's own pages.");
  }
}

void admin_attach(admin *a, follow *f, engine *e, peers *p) {
  a->follow = f;
  a->engine = e;
  a->peers = p;
  a->attached = f != NULL;
  if (f == NULL) {
    admin_end_waits(a);
    (void)uv_timer_stop(&a->second);
    return;
  }
  a->was_attached = true;
  if (e == NULL)
    return;
  count_errors(a);
  admin_sample_now(a);
  (void)uv_timer_start(&a->second, on_second, SECOND_MS, SECOND_MS);
}

const char *admin_address(const admin *a) {
  return http_server_address(a->server);
}

void admin_changed(admin *a) {
  if (a->waiting != 0)
    (void)uv_async_send(&a->changed);
}

/* ---- closing ---- */

/* It is over when the handles are closed and nothing is compared any more. */
void admin_closing(admin *a) {
  void (*closed)(void *ctx) = a->closed;
  void *ctx = a->closed_ctx;

  if (a->handles != 0 || a->diffs != 0)
    return;
  free(a);
  if (closed != NULL)
    closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle) {
  admin *a = handle->data;

  a->handles--;
  admin_closing(a);
}

static void on_server_closed(void *ctx) {
  admin *a = ctx;

  uv_close((uv_handle_t *)&a->changed, on_handle_closed);
  uv_close((uv_handle_t *)&a->due, on_handle_closed);
  uv_close((uv_handle_t *)&a->second, on_handle_closed);
}

void admin_close(admin *a, void (*done)(void *ctx), void *ctx) {
  a->closing = true;
  a->attached = false;
  a->closed = done;
  a->closed_ctx = ctx;
  (void)uv_timer_stop(&a->due);
  (void)uv_timer_stop(&a->second);
  http_server_close(a->server, on_server_closed, a);
}
