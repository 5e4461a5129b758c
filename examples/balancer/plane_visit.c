/* A visitor's request: where it goes, what is said when it goes nowhere, and
   its end. On its worker's thread. */
#include "balancer/plane_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPARES = 1024 };

static http_str str(const char *s) { return (http_str){s, strlen(s)}; }

/* ---- memory ---- */

static visit *visit_new(plane_worker *w) {
  visit *v = w->spare;

  if (v != NULL) {
    w->spare = v->next;
    w->spares--;
  } else {
    v = malloc(sizeof *v);
  }
  if (v == NULL)
    return NULL;
  v->worker = w;
  v->id[0] = v->app[0] = v->target.addr[0] = v->detail[0] = '\0';
  v->of_app = v->of_claim = NULL;
  v->owed = v->page = 0;
  v->owed_status = 0;
  v->not_taken = v->passed = v->again = false;
  v->result = HTTP_PROXY_OK;
  return v;
}

static void visit_free(visit *v) {
  plane_worker *w = v->worker;

  if (w->spares >= SPARES) {
    free(v);
    return;
  }
  v->next = w->spare;
  w->spare = v;
  w->spares++;
}

void visit_free_spares(plane_worker *w) {
  visit *v;

  while ((v = w->spare) != NULL) {
    w->spare = v->next;
    free(v);
  }
}

/* ---- its name ---- */

/* So that it can stand in a log and in a field as it is. */
static bool is_sane(http_str id) {
  if (id.len == 0 || id.len > PLANE_ID_MOST)
    return false;
  for (size_t i = 0; i < id.len; i++) {
    char c = id.data[i];

    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
        !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
      return false;
  }
  return true;
}

/* PREFIX-NUMBER, in hex. */
static void make_id(visit *v) {
  static const char digits[] = "0123456789abcdef";
  uint64_t n = ++v->worker->serial;
  char *at = v->id;
  int shift = 60;

  memcpy(at, v->worker->prefix, sizeof v->worker->prefix - 1);
  at += sizeof v->worker->prefix - 1;
  *at++ = '-';
  while (shift != 0 && n >> shift == 0)
    shift -= 4;
  for (; shift >= 0; shift -= 4)
    *at++ = digits[n >> shift & 15];
  *at = '\0';
}

static void name_visit(visit *v, const http_head *head) {
  const http_field *id =
      head != NULL ? http_head_find(head, "x-request-id") : NULL;

  if (id == NULL || !is_sane(id->value)) {
    make_id(v);
    return;
  }
  memcpy(v->id, id->value.data, id->value.len);
  v->id[id->value.len] = '\0';
}

/* ---- what a visitor is told ---- */

static void send_page(http_exchange *x, enum page page, int status,
                      const char *id, const char *detail) {
  const http_head *head = http_exchange_head(x);
  const http_field *accept =
      head != NULL ? http_head_find(head, "accept") : NULL;
  page_answer a;

  page_make(&a, page, status, accept != NULL ? accept->value : str(""), id,
            detail != NULL && detail[0] != '\0' ? detail : NULL);
  http_exchange_answer(x, a.status, a.fields, a.field_count, text_get(&a.body),
                       a.body.len);
  page_free(&a);
}

/* The visit is over behind it. */
static void tell(http_exchange *x, visit *v, enum page page, int status,
                 const char *detail) {
  v->page = page;
  send_page(x, page, status, v->id, detail);
}

static void tell_no_memory(http_exchange *x) {
  send_page(x, PAGE_INTERNAL, 0, "", NULL);
}

/* ---- passing on ---- */

static void pass_on(http_exchange *x, visit *v);

static bool take_count(visit *v) {
  plane_worker *w = v->worker;

  v->of_app = busy_add(&w->apps, v->app);
  v->of_claim = busy_add(&w->claims, v->target.claim);
  return v->of_app != NULL && v->of_claim != NULL;
}

static void drop_count(visit *v) {
  if (v->of_app != NULL)
    busy_drop(&v->worker->apps, v->of_app);
  if (v->of_claim != NULL)
    busy_drop(&v->worker->claims, v->of_claim);
  v->of_app = v->of_claim = NULL;
}

/* Of what comes to another target the first one's app has seen nothing: it
   took no connection, or its guard says so. What had no echo may have done
   something somewhere, and goes on only if it may be repeated. */
static bool may_go_on(const http_exchange *x, const visit *v) {
  const http_head *head = http_exchange_head(x);

  if (v->again || !http_exchange_is_untouched(x))
    return false;
  if (v->result == HTTP_PROXY_REFUSED || v->result == HTTP_PROXY_UNREACHABLE)
    return true;
  return v->result == HTTP_PROXY_REJECTED &&
         (v->not_taken ||
          (v->owed == PAGE_MISROUTED && (http_str_same(head->method, "GET") ||
                                         http_str_same(head->method, "HEAD"))));
}

static enum page page_of(const visit *v) {
  switch (v->result) {
  case HTTP_PROXY_REFUSED:
    return PAGE_REFUSED;
  case HTTP_PROXY_UNREACHABLE:
    return PAGE_UNREACHABLE;
  case HTTP_PROXY_LATE:
    return PAGE_LATE;
  case HTTP_PROXY_REJECTED:
    return v->owed;
  default:
    return PAGE_BROKEN;
  }
}

static enum http_proxy_result on_head(http_exchange *x, const http_head *head,
                                      void *user) {
  (void)x;
  return plane_look_at(user, head);
}

static void on_passed(http_exchange *x, enum http_proxy_result result,
                      void *user) {
  visit *v = user;

  (void)x;
  v->result = result;
  drop_count(v);
}

/* The table may have changed since: a moved app is found where it is now. */
static void on_failed(http_exchange *x, enum http_proxy_result result,
                      const char *why, void *user) {
  visit *v = user;
  enum page page = page_of(v), now = 0;

  (void)result;
  (void)why;
  if (may_go_on(x, v)) {
    if (plane_choose(v, http_exchange_head(x)->host, &now)) {
      v->again = true;
      metric_add(v->worker->plane->counts.again, 1);
      pass_on(x, v);
      return;
    }
    if (now != 0) {
      tell(x, v, now, 0, v->detail);
      return;
    }
  }
  tell(x, v, page, v->owed_status, NULL);
}

static void proxy(http_exchange *x, visit *v) {
  const engine_config *c = &v->worker->plane->config;
  static const char claim[] = PLANE_CLAIM, id[] = "X-Request-Id",
                    proto[] = "X-Forwarded-Proto", https[] = "https",
                    error[] = "X-Balancer-Error";
  http_field request[3] = {
      {{claim, sizeof claim - 1}, str(v->target.claim)},
      {{id, sizeof id - 1}, str(v->id)},
      {{proto, sizeof proto - 1}, {https, sizeof https - 1}}};
  /* Only our own pages have it. */
  static const http_field response = {{error, sizeof error - 1}, {NULL, 0}};
  http_proxy_target target = {v->target.addr, v->target.claim};
  http_proxy_rules rules = {.request = request,
                            .request_count = c->forwarded_https ? 3 : 2,
                            .response = &response,
                            .response_count = 1,
                            .drop_prefix = "X-Drone-",
                            .forwarded = true,
                            .via = c->self,
                            .connect_ms = c->connect_ms,
                            .head_ms = c->answer_ms,
                            .idle_ms = c->idle_ms,
                            .tunnel_ms = c->tunnel_ms,
                            .on_head = on_head,
                            .on_failed = on_failed,
                            .on_done = on_passed,
                            .user = v};

  v->passed = true;
  http_proxy(x, v->worker->pool, &target, &rules);
}

static void pass_on(http_exchange *x, visit *v) {
  plane *p = v->worker->plane;

  v->owed = 0;
  v->owed_status = 0;
  v->not_taken = false;
  if (!take_count(v)) {
    drop_count(v);
    tell(x, v, PAGE_INTERNAL, 0, NULL);
  } else if (v->of_app->count > p->app_limit) {
    drop_count(v);
    tell(x, v, PAGE_BUSY, 0, NULL);
  } else {
    proxy(x, v);
  }
}

/* ---- the server's ---- */

void visit_on_request(http_exchange *x, void *user) {
  const http_head *head = http_exchange_head(x);
  visit *v = visit_new(user);
  enum page page = 0;

  if (v == NULL) {
    tell_no_memory(x);
    return;
  }
  http_exchange_set(x, v);
  name_visit(v, head);
  if (plane_choose(v, head->host, &page))
    pass_on(x, v);
  else
    tell(x, v, page, 0, v->detail);
}

static enum page page_of_refusal(int status) {
  switch (status) {
  case 408:
  case 413:
  case 414:
  case 431:
    return PAGE_LIMIT;
  case 503:
    return PAGE_BUSY;
  default:
    return PAGE_BAD;
  }
}

/* Of a head that was refused, or, with a visit, of a body. */
void visit_on_refused(http_exchange *x, int status, const char *why,
                      void *user) {
  visit *v = http_exchange_get(x);

  if (v == NULL) {
    v = visit_new(user);
    if (v == NULL) {
      tell_no_memory(x);
      return;
    }
    http_exchange_set(x, v);
    name_visit(v, http_exchange_head(x));
  }
  tell(x, v, page_of_refusal(status), status, why);
}

void visit_on_done(http_exchange *x, void *user) {
  plane_worker *w = user;
  visit *v = http_exchange_get(x);

  atomic_store_explicit(
      &w->requests,
      atomic_load_explicit(&w->requests, memory_order_relaxed) + 1,
      memory_order_relaxed);
  if (v == NULL)
    return;
  plane_count(v, x);
  visit_free(v);
}
