/* Where a pass comes from, and its ends. The structs are kept by the pool with
   their buffers: passing a request on needs no memory that the last one did not
   have. */
#include "common/http_proxy_state.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES = 64, KEPT_BUFFER = 16 * 1024 };

static void pass_destroy(http_pass *p) {
  text_free(&p->head);
  text_free(&p->held);
  free(p->copy);
  free(p);
}

static void free_spares(http_pool *pool) {
  http_pass *p;

  while ((p = pool->spare) != NULL) {
    pool->spare = p->next;
    pass_destroy(p);
  }
}

/* ---- the copy of the rules ---- */

static http_str copy_bytes(char **to, const char *data, size_t len) {
  http_str s = {*to, len};

  if (len != 0)
    memcpy(*to, data, len);
  *to += len;
  return s;
}

/* Only what the answer needs: the request's head is written at once. */
static bool copy_rules(http_pass *p, const http_proxy_rules *rules) {
  size_t prefix = rules->drop_prefix != NULL ? strlen(rules->drop_prefix) : 0;
  size_t size = prefix + 1, i;
  char *to;

  for (i = 0; i < rules->response_count; i++)
    size += rules->response[i].name.len + rules->response[i].value.len;
  if (size > p->copy_size) {
    char *more = realloc(p->copy, size);

    if (more == NULL)
      return false;
    p->copy = more;
    p->copy_size = size;
  }
  to = p->copy;
  for (i = 0; i < rules->response_count; i++) {
    const http_field *field = &rules->response[i];

    p->response[i].name = copy_bytes(&to, field->name.data, field->name.len);
    p->response[i].value = (http_str){NULL, 0};
    if (field->value.data != NULL)
      p->response[i].value =
          copy_bytes(&to, field->value.data, field->value.len);
  }
  p->rules = *rules;
  p->rules.request = NULL;
  p->rules.via = NULL;
  p->rules.response = p->response;
  p->rules.drop_prefix = prefix != 0 ? to : NULL;
  (void)copy_bytes(&to, rules->drop_prefix, prefix);
  *to = '\0';
  return true;
}

static int64_t or_else(int64_t ms, int64_t standard) {
  return ms > 0 ? ms : standard;
}

/* ---- beginning ---- */

http_pass *pass_new(http_pool *pool, http_exchange *x,
                    const http_proxy_rules *rules) {
  http_pass *p = pool->spare;

  if (p != NULL) {
    pool->spare = p->next;
    pool->spares--;
  } else {
    p = calloc(1, sizeof *p);
  }
  if (p == NULL)
    return NULL;
  if (rules->response_count > HTTP_PROXY_SET || !copy_rules(p, rules)) {
    pass_destroy(p);
    return NULL;
  }
  p->rules.connect_ms = or_else(rules->connect_ms, 2 * 1000);
  p->rules.head_ms = or_else(rules->head_ms, 30 * 1000);
  p->rules.idle_ms = or_else(rules->idle_ms, 60 * 1000);
  p->rules.tunnel_ms = or_else(rules->tunnel_ms, 60 * 60 * 1000);
  p->pool = pool;
  p->x = x;
  return p;
}

static void empty(text *t) {
  if (t->cap > KEPT_BUFFER)
    text_free(t);
  else
    text_clear(t);
}

/* The bucket goes last: with it the pool may. */
static void recycle(http_pass *p) {
  http_pool *pool = p->pool;
  http_bucket *bucket = p->bucket;
  text head, held;
  char *copy = p->copy;
  size_t copy_size = p->copy_size;

  empty(&p->head);
  empty(&p->held);
  head = p->head;
  held = p->held;
  memset(p, 0, sizeof *p);
  p->head = head;
  p->held = held;
  p->copy = copy;
  p->copy_size = copy_size;
  if (pool->spares < SPARES) {
    p->next = pool->spare;
    pool->spare = p;
    pool->spares++;
    pool->free_spares = free_spares;
  } else {
    pass_destroy(p);
  }
  if (bucket != NULL)
    http_bucket_drop(bucket);
}

void pass_enter(http_pass *p) { p->depth++; }

bool pass_leave(http_pass *p) {
  bool lives = p->x != NULL;

  if (--p->depth == 0 && !lives)
    recycle(p);
  return lives;
}

/* ---- ends ---- */

static void let_go(http_pass *p, enum http_proxy_result result, bool keep) {
  http_exchange *x = p->x;

  if (p->link != NULL && keep)
    http_link_keep(p->link);
  else if (p->link != NULL)
    http_link_close(p->link);
  p->link = NULL;
  if (p->rules.on_done != NULL)
    p->rules.on_done(x, result, p->rules.user);
  p->x = NULL;
  if (p->depth == 0)
    recycle(p);
}

static http_exchange *unhook(http_pass *p) {
  http_exchange_on_gone(p->x, NULL, NULL);
  http_exchange_on_drain(p->x, NULL, NULL);
  return p->x;
}

void pass_finish(http_pass *p, bool keep) {
  http_exchange *x = unhook(p);

  let_go(p, HTTP_PROXY_OK, keep);
  http_exchange_end(x);
}

void pass_cut(http_pass *p) {
  http_exchange *x = unhook(p);

  let_go(p, HTTP_PROXY_CUT, false);
  http_exchange_abort(x);
}

void pass_fail(http_pass *p, enum http_proxy_result result, const char *why) {
  http_exchange *x = unhook(p);
  http_proxy_rules rules = p->rules;
  char sentence[160];

  (void)snprintf(sentence, sizeof sentence, "%s", why);
  if (p->reading)
    http_exchange_pause(x); /* or its body would come to what was a pass */
  let_go(p, result, false);
  rules.on_failed(x, result, sentence, rules.user);
}

void pass_gone(http_pass *p) { let_go(p, HTTP_PROXY_CLIENT, false); }

void pass_tunnel_over(http_pass *p) {
  http_link_finish(p->link, PASS_LINGER_MS);
  p->link = NULL;
  (void)unhook(p);
  let_go(p, HTTP_PROXY_OK, false);
}
