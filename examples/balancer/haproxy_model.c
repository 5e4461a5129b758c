/* The map as it is to be: entries by key, each a line "key value", and a list
   of those that HAProxy has not been sent yet. See haproxy_state.h. Its user
   holds the lock. */
#include "balancer/haproxy_state.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
  struct entry *next;    /* of its bucket */
  struct entry *waiting; /* the next that is to be sent */
  char *line;            /* "key value" */
  size_t key_len, len;
  uint64_t hash;   /* of the key */
  uint64_t batch;  /* by which HAProxy got the value */
  uint64_t lies;   /* hash of the line that lies over the base */
  bool base, over; /* which map has some value of it */
  bool gone;       /* it is to have none */
  bool queued;
} entry;

struct haproxy_model {
  entry **buckets;
  size_t size, count; /* count: gone ones, too */
  entry *first, **last;
  size_t queued, held; /* held: not gone */
  bool forgotten;
  haproxy_digest base, over; /* what was sent */
  uint64_t batch;
};

enum { LEAST_BUCKETS = 64 };

void haproxy_digest_add(haproxy_digest *d, const char *line, size_t len) {
  d->sum += id_hash(line, len);
  d->count++;
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
  m->held++;
  queue(m, e);
  if (m->count > m->size)
    grow(m);
  return true;
}

static void change(haproxy_model *m, entry *e, char *line, size_t len) {
  m->held += e->gone;
  free(e->line);
  e->line = line;
  e->len = len;
  e->gone = false;
  queue(m, e);
}

static void remove_key(haproxy_model *m, entry *e) {
  if (e->gone)
    return;
  m->held--;
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
  memcpy(line, key, key_len);
  line[key_len] = ' ';
  memcpy(line + key_len + 1, value, len - key_len);
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

size_t haproxy_model_count(const haproxy_model *m) { return m->held; }

size_t haproxy_model_waiting(const haproxy_model *m) {
  return m->forgotten ? m->held : m->queued;
}

void haproxy_model_digests(const haproxy_model *m, haproxy_digest *base,
                           haproxy_digest *over) {
  *base = m->base;
  *over = m->over;
}

bool haproxy_model_has(const haproxy_model *m, const char *key,
                       const char *value, uint64_t acked) {
  size_t len = strlen(key);
  const entry *e = *place(m, key, len, id_hash(key, len));

  return !m->forgotten && e != NULL && !e->queued && e->batch <= acked &&
         is_value(e, value);
}

void haproxy_model_forget(haproxy_model *m) {
  m->forgotten = true;
  m->first = NULL;
  m->last = &m->first;
  m->queued = 0;
  memset(&m->base, 0, sizeof m->base);
  memset(&m->over, 0, sizeof m->over);
  for (size_t i = 0; i < m->size; i++)
    for (entry *e = m->buckets[i], *next; e != NULL; e = next) {
      next = e->next;
      e->queued = e->base = e->over = false;
      if (e->gone)
        drop(m, e);
    }
}

bool haproxy_model_wants_all(const haproxy_model *m) {
  return m->forgotten || m->over.count + m->queued > HAPROXY_OVER_MOST;
}

/* ---- what it is sent ---- */

static void add_line(const entry *e, text *out) {
  if (e->gone) {
    text_add(out, e->line, e->key_len);
    text_str(out, " " HAPROXY_GONE);
  } else {
    text_add(out, e->line, e->len);
  }
}

/* Adds the line that lies over the base from now on. */
static void lay_over(haproxy_model *m, entry *e, text *out) {
  size_t at = out->len;

  add_line(e, out);
  if (out->failed)
    return;
  if (e->over) {
    m->over.sum -= e->lies;
    m->over.count--;
  }
  e->lies = id_hash(out->data + at, out->len - at);
  e->over = true;
  m->over.sum += e->lies;
  m->over.count++;
  text_str(out, "\n");
}

uint64_t haproxy_model_take_all(haproxy_model *m, text *base, text *over) {
  static const char all[] = HAPROXY_ALL;
  entry *e;

  haproxy_model_forget(m);
  m->batch++;
  for (size_t i = 0; i < m->size; i++)
    for (e = m->buckets[i]; e != NULL; e = e->next) {
      add_line(e, base);
      text_str(base, "\n");
      haproxy_digest_add(&m->base, e->line, e->len);
      e->base = true;
      e->batch = m->batch;
    }
  e = *place(m, all, sizeof all - 1, id_hash(all, sizeof all - 1));
  if (e != NULL)
    lay_over(m, e, over);
  m->forgotten = base->failed || over->failed;
  if (!m->forgotten)
    return m->batch;
  haproxy_model_forget(m);
  return 0;
}

/* "add" would put a second one behind the first, and "set" needs one. */
static void write_change(haproxy_model *m, entry *e, text *out) {
  text_str(out,
           e->over ? "set map " HAPROXY_OVER " " : "add map " HAPROXY_OVER " ");
  lay_over(m, e, out);
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
    if (e->gone && !e->base && !e->over) {
      drop(m, e);
    } else {
      write_change(m, e, commands);
      ++*count;
    }
  }
  if (!commands->failed)
    return m->batch;
  haproxy_model_forget(m);
  return 0;
}
