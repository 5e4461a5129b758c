/* The map as it is to be: entries by key, each a line "key value", and a list
   of those that HAProxy has not been sent yet. See haproxy_state.h. Its user
   holds the lock. */
#include "balancer/haproxy_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
  struct entry *next;    /* of its bucket */
  struct entry *waiting; /* the next that is to be sent */
  char *line;            /* "key value" */
  size_t key_len, len;
  uint64_t hash;  /* of the key */
  uint64_t batch; /* by which HAProxy got the value */
  bool there;     /* HAProxy has some value of it */
  bool gone;      /* and is to have none */
  bool queued;
} entry;

struct haproxy_model {
  entry **buckets;
  size_t size, count; /* count: gone ones, too */
  entry *first, **last;
  size_t queued;
  bool forgotten;
  haproxy_digest digest; /* of those that are not gone */
  uint64_t batch;
};

enum { LEAST_BUCKETS = 64 };

void haproxy_digest_add(haproxy_digest *d, const char *line, size_t len) {
  d->sum += id_hash(line, len);
  d->count++;
}

static void digest_drop(haproxy_digest *d, const entry *e) {
  d->sum -= id_hash(e->line, e->len);
  d->count--;
}

haproxy_model *haproxy_model_new(void) {
  haproxy_model *m = calloc(1, sizeof *m);

  if (m == NULL)
    return NULL;
  m->size = LEAST_BUCKETS;
  m->buckets = calloc(m->size, sizeof(entry *));
  if (m->buckets == NULL) {
    free(m);
    return NULL;
  }
  m->last = &m->first;
  m->forgotten = true;
  return m;
}

static void free_entry(entry *e) {
  free(e->line);
  free(e);
}

static void free_all(haproxy_model *m) {
  for (size_t i = 0; i < m->size; i++)
    for (entry *e = m->buckets[i], *next; e != NULL; e = next) {
      next = e->next;
      free_entry(e);
    }
  free(m->buckets);
}

void haproxy_model_free(haproxy_model *m) {
  if (m == NULL)
    return;
  free_all(m);
  free(m);
}

/* ---- by key ---- */

/* Where it is, or would be. */
static entry **place(const haproxy_model *m, const char *key, size_t len,
                     uint64_t hash) {
  entry **e = &m->buckets[hash % m->size];

  while (*e != NULL && ((*e)->hash != hash || (*e)->key_len != len ||
                        memcmp((*e)->line, key, len) != 0))
    e = &(*e)->next;
  return e;
}

/* Without memory the chains are longer, and that is all. */
static void grow(haproxy_model *m) {
  size_t size = m->size * 2;
  entry **buckets = calloc(size, sizeof(entry *));

  if (buckets == NULL)
    return;
  for (size_t i = 0; i < m->size; i++)
    for (entry *e = m->buckets[i], *next; e != NULL; e = next) {
      next = e->next;
      e->next = buckets[e->hash % size];
      buckets[e->hash % size] = e;
    }
  free(m->buckets);
  m->buckets = buckets;
  m->size = size;
}

static void drop(haproxy_model *m, entry *gone) {
  entry **e = &m->buckets[gone->hash % m->size];

  while (*e != gone)
    e = &(*e)->next;
  *e = gone->next;
  m->count--;
  free_entry(gone);
}

static void queue(haproxy_model *m, entry *e) {
  if (e->queued || m->forgotten)
    return;
  e->queued = true;
  e->waiting = NULL;
  *m->last = e;
  m->last = &e->waiting;
  m->queued++;
}

/* ---- what is to be ---- */

static bool add(haproxy_model *m, entry **at, char *line, size_t key_len,
                size_t len, uint64_t hash) {
  entry *e = calloc(1, sizeof *e);

  if (e == NULL)
    return false;
  e->line = line;
  e->key_len = key_len;
  e->len = len;
  e->hash = hash;
  *at = e;
  m->count++;
  haproxy_digest_add(&m->digest, line, len);
  queue(m, e);
  if (m->count > m->size)
    grow(m);
  return true;
}

static void change(haproxy_model *m, entry *e, char *line, size_t len) {
  if (!e->gone)
    digest_drop(&m->digest, e);
  free(e->line);
  e->line = line;
  e->len = len;
  e->gone = false;
  haproxy_digest_add(&m->digest, line, len);
  queue(m, e);
}

static void remove_key(haproxy_model *m, entry *e) {
  if (e->gone)
    return;
  digest_drop(&m->digest, e);
  e->gone = true;
  if (m->forgotten)
    drop(m, e);
  else
    queue(m, e);
}

static bool is_value(const entry *e, const char *value) {
  return !e->gone && strcmp(e->line + e->key_len + 1, value) == 0;
}

bool haproxy_model_set(haproxy_model *m, const char *key, const char *value) {
  size_t key_len = strlen(key), len;
  uint64_t hash = id_hash(key, key_len);
  entry **at = place(m, key, key_len, hash);
  char *line;

  if (value == NULL) {
    if (*at != NULL)
      remove_key(m, *at);
    return true;
  }
  if (*at != NULL && is_value(*at, value))
    return true;
  len = key_len + 1 + strlen(value);
  line = malloc(len + 1);
  if (line == NULL)
    return false;
  (void)snprintf(line, len + 1, "%s %s", key, value);
  if (*at != NULL) {
    change(m, *at, line, len);
    return true;
  }
  if (add(m, at, line, key_len, len, hash))
    return true;
  free(line);
  return false;
}

void haproxy_model_become(haproxy_model *m, haproxy_model *from) {
  uint64_t batch = m->batch;

  free_all(m);
  *m = *from;
  free(from);
  m->batch = batch;
  haproxy_model_forget(m);
}

/* ---- what HAProxy has ---- */

size_t haproxy_model_count(const haproxy_model *m) {
  return (size_t)m->digest.count;
}

size_t haproxy_model_waiting(const haproxy_model *m) {
  return m->forgotten ? haproxy_model_count(m) : m->queued;
}

haproxy_digest haproxy_model_digest(const haproxy_model *m) {
  return m->digest;
}

bool haproxy_model_has(const haproxy_model *m, const char *key,
                       const char *value, uint64_t acked) {
  size_t len = strlen(key);
  const entry *e = *place(m, key, len, id_hash(key, len));

  return !m->forgotten && e != NULL && !e->queued && e->batch <= acked &&
         is_value(e, value);
}

static void empty_queue(haproxy_model *m) {
  m->first = NULL;
  m->last = &m->first;
  m->queued = 0;
}

void haproxy_model_forget(haproxy_model *m) {
  m->forgotten = true;
  empty_queue(m);
  for (size_t i = 0; i < m->size; i++)
    for (entry *e = m->buckets[i], *next; e != NULL; e = next) {
      next = e->next;
      e->queued = e->there = false;
      if (e->gone)
        drop(m, e);
    }
}

bool haproxy_model_is_forgotten(const haproxy_model *m) { return m->forgotten; }

uint64_t haproxy_model_take_all(haproxy_model *m, text *lines) {
  haproxy_model_forget(m);
  for (size_t i = 0; i < m->size; i++)
    for (const entry *e = m->buckets[i]; e != NULL; e = e->next) {
      text_add(lines, e->line, e->len);
      text_str(lines, "\n");
    }
  if (lines->failed)
    return 0;
  m->batch++;
  m->forgotten = false;
  for (size_t i = 0; i < m->size; i++)
    for (entry *e = m->buckets[i]; e != NULL; e = e->next) {
      e->there = true;
      e->batch = m->batch;
    }
  return m->batch;
}

/* "add" would put a second one behind the first, and "set" needs one. */
static void write_change(const entry *e, text *out) {
  if (e->gone)
    text_printf(out, "del map " HAPROXY_MAP " %.*s\n", (int)e->key_len,
                e->line);
  else
    text_printf(out, "%s map " HAPROXY_MAP " %s\n", e->there ? "set" : "add",
                e->line);
}

uint64_t haproxy_model_take(haproxy_model *m, text *commands, size_t *count) {
  entry *e;

  m->batch++;
  *count = 0;
  while (*count < HAPROXY_TOGETHER && (e = m->first) != NULL) {
    m->first = e->waiting;
    if (m->first == NULL)
      m->last = &m->first;
    m->queued--;
    e->queued = false;
    e->batch = m->batch;
    if (!e->gone || e->there) {
      write_change(e, commands);
      ++*count;
    }
    e->there = !e->gone;
    if (e->gone)
      drop(m, e);
  }
  if (!commands->failed)
    return m->batch;
  haproxy_model_forget(m);
  return 0;
}
