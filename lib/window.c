/*
 * The window: a ring of rows in order of arrival. Its first row is never
 * acknowledged, or it would not be in the ring; the ordinals in it follow each
 * other without a gap. Seqs move between the ring and the position by exchange
 * of their buffers, so that acknowledging needs no memory and cannot fail.
 */
#include "window.h"

#include <string.h>

#include "str.h"

/* A buffer that a much longer seq has left behind is given back. */
enum { FIRST_CAP = 64, SEQ_CAP = 64, SEQ_KEEP = 4096 };

/* Copies seq into a buffer that may hold one from before. False: no memory, and
   what was there is untouched. */
static bool seq_store(const cfi_alloc *alloc, cfi_window_seq *to,
                      changefeed_str seq) {
  size_t need, cap;
  char *data;

  if (seq.data == NULL) {
    to->present = false;
    return true;
  }
  if (!cfi_add(seq.len, 1, &need))
    return false;
  if (need > to->cap || (to->cap > SEQ_KEEP && need <= SEQ_KEEP)) {
    /* Seqs of one feed grow by a byte now and then: not each time a new one. */
    if (!cfi_add(need, SEQ_CAP - need % SEQ_CAP, &cap))
      return false;
    data = cfi_resize(alloc, to->data, cap, 1);
    if (data == NULL)
      return false;
    to->data = data;
    to->cap = cap;
  }
  if (seq.len != 0)
    memcpy(to->data, seq.data, seq.len);
  to->data[seq.len] = '\0';
  to->len = seq.len;
  to->present = true;
  return true;
}

static bool seq_equal(const cfi_window_seq *s, changefeed_str seq) {
  return s->present && seq.data != NULL && s->len == seq.len &&
         memcmp(s->data, seq.data, seq.len) == 0;
}

static changefeed_str seq_text(const cfi_window_seq *s) {
  changefeed_str text = {s->present ? s->data : NULL, s->len};

  return text;
}

/* The position becomes seq. A seq that is stated again is no move: a server
   that answers the same for ever must not look alive. */
static bool set_position(cfi_window *w, changefeed_str seq) {
  if (seq.data == NULL || seq_equal(&w->position, seq))
    return true;
  if (!seq_store(w->alloc, &w->position, seq))
    return false;
  w->moves++;
  return true;
}

/* index counts from the oldest row; cap is a power of two. */
static cfi_window_entry *entry_at(cfi_window *w, size_t index) {
  return &w->ring[(w->head + index) & (w->cap - 1)];
}

/* Doubles the ring; its size stays a power of two. */
static bool grow(cfi_window *w) {
  size_t cap = w->cap != 0 ? w->cap * 2 : FIRST_CAP;
  cfi_window_entry *ring;

  if (cap < w->cap)
    return false;
  ring = cfi_calloc(w->alloc, cap, sizeof *ring);
  if (ring == NULL)
    return false;
  for (size_t i = 0; i < w->cap; i++)
    ring[i] = *entry_at(w, i);
  cfi_free(w->alloc, w->ring);
  w->ring = ring;
  w->cap = cap;
  w->head = 0;
  return true;
}

bool cfi_window_init(cfi_window *w, const cfi_alloc *alloc) {
  memset(w, 0, sizeof *w);
  w->alloc = alloc;
  return pthread_mutex_init(&w->lock, NULL) == 0;
}

void cfi_window_free(cfi_window *w) {
  for (size_t i = 0; i < w->cap; i++)
    cfi_free(w->alloc, w->ring[i].seq.data);
  cfi_free(w->alloc, w->ring);
  cfi_free(w->alloc, w->position.data);
  (void)pthread_mutex_destroy(&w->lock);
  memset(w, 0, sizeof *w);
}

bool cfi_window_reset(cfi_window *w, changefeed_str position) {
  bool ok = true;

  (void)pthread_mutex_lock(&w->lock);
  /* The buffers stay: the next rows will want them. */
  if (position.data != NULL)
    ok = set_position(w, position);
  else if (w->position.present) {
    w->position.present = false;
    w->moves++;
  }
  if (ok) {
    w->count = 0;
    w->unacked = 0;
    w->forgotten = w->delivered;
  }
  (void)pthread_mutex_unlock(&w->lock);
  return ok;
}

/* The place behind the last row may hold the buffer of a row long gone. The
   counters change when nothing can fail any more. */
static bool push(cfi_window *w, uint64_t ordinal, changefeed_str seq) {
  cfi_window_entry *entry;

  if (w->count == w->cap && !grow(w))
    return false;
  entry = entry_at(w, w->count);
  if (!seq_store(w->alloc, &entry->seq, seq))
    return false;
  entry->ordinal = ordinal;
  entry->acked = false;
  w->count++;
  w->unacked++;
  w->delivered = ordinal;
  return true;
}

bool cfi_window_push(cfi_window *w, uint64_t ordinal, changefeed_str seq) {
  bool ok;

  (void)pthread_mutex_lock(&w->lock);
  ok = push(w, ordinal, seq);
  (void)pthread_mutex_unlock(&w->lock);
  return ok;
}

void cfi_window_pop(cfi_window *w, uint64_t ordinal) {
  (void)pthread_mutex_lock(&w->lock);
  if (ordinal != 0 && ordinal == w->delivered) {
    cfi_window_entry *last = w->count != 0 ? entry_at(w, w->count - 1) : NULL;
    bool held = last != NULL && last->ordinal == ordinal;

    if (held)
      w->count--;
    if (held && !last->acked)
      w->unacked--;
    else if (held || ordinal > w->forgotten)
      w->acked--; /* the row will come, and be acknowledged, once more */
    w->delivered--;
    if (w->forgotten > w->delivered)
      w->forgotten = w->delivered;
  }
  (void)pthread_mutex_unlock(&w->lock);
}

/* The entry of a row that is not acknowledged, or NULL. */
static cfi_window_entry *find(cfi_window *w, uint64_t ordinal) {
  cfi_window_entry *entry;
  uint64_t index;

  if (w->count == 0 || ordinal < entry_at(w, 0)->ordinal)
    return NULL;
  index = ordinal - entry_at(w, 0)->ordinal;
  if (index >= w->count)
    return NULL;
  entry = entry_at(w, (size_t)index);
  return entry->ordinal == ordinal && !entry->acked ? entry : NULL;
}

static void mark(cfi_window *w, cfi_window_entry *entry) {
  entry->acked = true;
  w->acked++;
  w->unacked--;
}

/* Drops the acknowledged rows at the head; the last seq among them becomes the
   position, by exchange. */
static void retire(cfi_window *w) {
  cfi_window_entry *last = NULL;

  while (w->count != 0 && entry_at(w, 0)->acked) {
    if (entry_at(w, 0)->seq.present)
      last = entry_at(w, 0);
    w->head = (w->head + 1) & (w->cap - 1);
    w->count--;
  }
  if (last != NULL && !seq_equal(&w->position, seq_text(&last->seq))) {
    cfi_window_seq seq = last->seq;

    last->seq = w->position;
    w->position = seq;
    w->moves++;
  }
}

bool cfi_window_pass(cfi_window *w, uint64_t ordinal, uint64_t rows,
                     changefeed_str seq) {
  bool ok;

  (void)pthread_mutex_lock(&w->lock);
  if (w->count == 0) {
    /* Nothing is before it, so the position may follow at once. */
    ok = set_position(w, seq);
    if (ok) {
      w->delivered = ordinal;
      w->acked += rows;
    }
  } else {
    ok = push(w, ordinal, seq);
    if (ok) {
      w->acked += rows - 1;
      mark(w, entry_at(w, w->count - 1));
    }
  }
  (void)pthread_mutex_unlock(&w->lock);
  return ok;
}

bool cfi_window_progress(cfi_window *w, changefeed_str seq) {
  bool ok = true;

  (void)pthread_mutex_lock(&w->lock);
  if (seq.data != NULL && w->count == 0)
    ok = set_position(w, seq);
  else if (seq.data != NULL)
    /* The last row's own seq is not needed any more: when this row counts as
       done, so does what came behind it. */
    ok = seq_store(w->alloc, &entry_at(w, w->count - 1)->seq, seq);
  (void)pthread_mutex_unlock(&w->lock);
  return ok;
}

bool cfi_window_ack(cfi_window *w, uint64_t ordinal) {
  bool known;

  (void)pthread_mutex_lock(&w->lock);
  known = ordinal != 0 && ordinal <= w->delivered;
  for (size_t i = 0; known && i < w->count; i++) {
    cfi_window_entry *entry = entry_at(w, i);

    if (entry->ordinal > ordinal)
      break;
    if (!entry->acked)
      mark(w, entry);
  }
  if (known)
    retire(w);
  (void)pthread_mutex_unlock(&w->lock);
  return known;
}

bool cfi_window_ack_one(cfi_window *w, uint64_t ordinal) {
  bool known;

  (void)pthread_mutex_lock(&w->lock);
  known = ordinal != 0 && ordinal <= w->delivered;
  if (known) {
    cfi_window_entry *entry = find(w, ordinal);

    if (entry != NULL) {
      mark(w, entry);
      retire(w);
    }
  }
  (void)pthread_mutex_unlock(&w->lock);
  return known;
}

cfi_window_view cfi_window_look(const cfi_window *window) {
  /* Taking the lock changes nothing that anybody sees. */
  cfi_window *w = (cfi_window *)(uintptr_t)window;
  cfi_window_view view;

  (void)pthread_mutex_lock(&w->lock);
  view.delivered = w->delivered;
  view.acked = w->acked;
  view.unacked = w->unacked;
  view.moves = w->moves;
  view.has_position = w->position.present;
  (void)pthread_mutex_unlock(&w->lock);
  return view;
}

bool cfi_window_position(cfi_window *w, char **copy, size_t *len) {
  *copy = NULL;
  *len = 0;
  (void)pthread_mutex_lock(&w->lock);
  if (w->position.present) {
    *copy = cfi_strndup(w->alloc, w->position.data, w->position.len);
    *len = *copy != NULL ? w->position.len : 0;
  }
  (void)pthread_mutex_unlock(&w->lock);
  return *copy != NULL;
}
