/* The connections that lie idle: by address and key for those who want one, and
   by age for those who close them. It owns buckets, which live as long as
   anybody has one of their links, or holds them. */
#include "common/http_pool_state.h"
#include "common/ids.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- lists ---- */

static http_link_place *place_of(http_link *l, bool own) {
  return own ? &l->own : &l->all;
}

static void list_add(http_link_list *list, http_link *l, bool own) {
  http_link_place *place = place_of(l, own);

  place->older = list->newest;
  place->newer = NULL;
  if (list->newest != NULL)
    place_of(list->newest, own)->newer = l;
  else
    list->oldest = l;
  list->newest = l;
}

static void list_remove(http_link_list *list, http_link *l, bool own) {
  http_link_place *place = place_of(l, own);

  if (place->older != NULL)
    place_of(place->older, own)->newer = place->newer;
  else
    list->oldest = place->newer;
  if (place->newer != NULL)
    place_of(place->newer, own)->older = place->older;
  else
    list->newest = place->older;
  *place = (http_link_place){NULL, NULL};
}

/* ---- buckets ---- */

/* By address alone, so that all keys of one are found in one slot. */
static size_t slot_of(const http_pool *p, const char *address) {
  return (size_t)id_hash(address, strlen(address)) & (p->slot_count - 1);
}

static void grow(http_pool *p) {
  size_t old = p->slot_count, count = old * 2, i;
  http_bucket **slots, **before = p->slots, *b, *next;

  slots = calloc(count, sizeof(http_bucket *));
  if (slots == NULL)
    return; /* longer chains are still right */
  p->slots = slots;
  p->slot_count = count;
  for (i = 0; i < old; i++)
    for (b = before[i]; b != NULL; b = next) {
      size_t slot = slot_of(p, b->name);

      next = b->next;
      b->next = slots[slot];
      slots[slot] = b;
    }
  free(before);
}

static http_bucket *bucket_new(http_pool *p, const char *name, const char *key,
                               const http_address *address) {
  size_t name_size = strlen(name) + 1, key_size = strlen(key) + 1;
  http_bucket *b = malloc(sizeof *b + name_size + key_size);
  char *behind;
  size_t slot;

  if (b == NULL)
    return NULL;
  behind = (char *)(b + 1);
  memcpy(behind, name, name_size);
  memcpy(behind + name_size, key, key_size);
  if (p->buckets >= p->slot_count)
    grow(p);
  slot = slot_of(p, name);
  *b = (http_bucket){.next = p->slots[slot],
                     .pool = p,
                     .address = *address,
                     .name = behind,
                     .key = behind + name_size};
  p->slots[slot] = b;
  p->buckets++;
  return b;
}

http_bucket *http_bucket_hold(http_pool *p, const http_proxy_target *target,
                              const char **why) {
  const char *key = target->key != NULL ? target->key : "";
  http_bucket *b = p->slots[slot_of(p, target->address)];
  http_address address;

  while (b != NULL &&
         (strcmp(b->name, target->address) != 0 || strcmp(b->key, key) != 0))
    b = b->next;
  if (b == NULL) {
    if (!http_address_parse(&address, target->address)) {
      *why = "the address is neither IP:PORT nor unix:PATH";
      return NULL;
    }
    b = bucket_new(p, target->address, key, &address);
    if (b == NULL) {
      *why = "out of memory";
      return NULL;
    }
  }
  b->refs++;
  return b;
}

void http_bucket_drop(http_bucket *b) {
  http_pool *p = b->pool;
  http_bucket **at = &p->slots[slot_of(p, b->name)];

  if (--b->refs != 0)
    return;
  while (*at != b)
    at = &(*at)->next;
  *at = b->next;
  free(b);
  p->buckets--;
  http_pool_settle(p);
}

/* ---- idle links ---- */

void http_pool_unlist(http_link *l) {
  http_bucket *b = l->bucket;

  list_remove(&b->pool->links, l, false);
  list_remove(&b->links, l, true);
  b->idle--;
  b->pool->idle--;
}

static void drop_idle(http_link *l) {
  http_pool_unlist(l);
  http_link_close(l);
}

/* Only one timer for all: who came first is over first. */
static void on_timer(uv_timer_t *timer) {
  http_pool *p = timer->data;
  int64_t now = (int64_t)uv_now(p->loop), left;

  while (p->links.oldest != NULL) {
    left = p->links.oldest->kept_ms + p->config.idle_ms - now;
    if (left > 0) {
      uv_timer_start(timer, on_timer, (uint64_t)left, 0);
      return;
    }
    drop_idle(p->links.oldest);
  }
}

void http_link_keep(http_link *l) {
  http_bucket *b = l->bucket;
  http_pool *p = b->pool;

  if (p->closing || !http_link_rest(l)) {
    http_link_close(l);
    return;
  }
  l->kept_ms = (int64_t)uv_now(p->loop);
  if (b->idle >= p->config.max_idle)
    drop_idle(b->links.oldest);
  else if (p->idle >= p->config.max_idle_all)
    drop_idle(p->links.oldest);
  list_add(&p->links, l, false);
  list_add(&b->links, l, true);
  b->idle++;
  p->idle++;
  if (!uv_is_active((uv_handle_t *)&p->timer))
    uv_timer_start(&p->timer, on_timer, (uint64_t)p->config.idle_ms, 0);
}

/* Neither an end nor bytes that nobody asked for have come since the loop
   looked last: those would be taken for the answer to the next request. */
static bool is_quiet(http_link *l) {
  uv_os_fd_t fd;
  char byte;

  if (uv_fileno(&l->io.handle, &fd) != 0)
    return false;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

http_link *http_pool_take(http_bucket *b) {
  http_link *l;

  while ((l = b->links.newest) != NULL) {
    http_pool_unlist(l);
    if (is_quiet(l)) {
      l->kept = true;
      return l;
    }
    http_link_close(l);
  }
  return NULL;
}

/* ---- the pool ---- */

/* libuv writes without MSG_NOSIGNAL. A program that handles it is left so. */
static void ignore_broken_pipes(void) {
  struct sigaction action;

  if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
  }
}

http_pool *http_pool_new(uv_loop_t *loop, const http_pool_config *config) {
  http_pool *p = calloc(1, sizeof *p);

  if (p == NULL)
    return NULL;
  p->loop = loop;
  if (config != NULL)
    p->config = *config;
  if (p->config.max_idle == 0)
    p->config.max_idle = 32;
  if (p->config.max_idle_all == 0)
    p->config.max_idle_all = 1024;
  if (p->config.idle_ms <= 0)
    p->config.idle_ms = 30 * 1000;
  p->slot_count = 64;
  p->slots = calloc(p->slot_count, sizeof(http_bucket *));
  if (p->slots == NULL || !id_random(p->id)) {
    free(p->slots);
    free(p);
    return NULL;
  }
  ignore_broken_pipes();
  (void)uv_timer_init(loop, &p->timer); /* cannot fail */
  p->timer.data = p;
  p->timer_open = true;
  uv_unref((uv_handle_t *)&p->timer);
  return p;
}

void http_pool_forget(http_pool *p, const char *address, const char *key) {
  http_bucket *b = p->slots[slot_of(p, address)], *next;

  for (; b != NULL; b = next) {
    next = b->next;
    if (strcmp(b->name, address) == 0 &&
        (key[0] == '\0' || strcmp(b->key, key) == 0))
      while (b->links.oldest != NULL)
        drop_idle(b->links.oldest);
  }
}

http_pool_counts http_pool_get_counts(const http_pool *p) { return p->counts; }

void http_pool_settle(http_pool *p) {
  void (*done)(void *ctx) = p->on_closed;
  void *ctx = p->on_closed_ctx;

  if (!p->closing || p->timer_open || p->buckets != 0)
    return;
  if (p->free_spares != NULL)
    p->free_spares(p);
  free(p->slots);
  free(p);
  if (done != NULL)
    done(ctx);
}

static void on_timer_closed(uv_handle_t *handle) {
  http_pool *p = handle->data;

  p->timer_open = false;
  http_pool_settle(p);
}

void http_pool_close(http_pool *p, void (*done)(void *ctx), void *ctx) {
  p->on_closed = done;
  p->on_closed_ctx = ctx;
  p->closing = true;
  while (p->links.oldest != NULL)
    drop_idle(p->links.oldest);
  uv_ref((uv_handle_t *)&p->timer);
  uv_close((uv_handle_t *)&p->timer, on_timer_closed);
}
