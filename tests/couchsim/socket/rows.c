/*
 * Rows come shard by shard in runs of random length, as workers of a cluster
 * answer; where a fault says so, twice, with an older revision before, in
 * another order, or from further back.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

static couch_db *database(const couch_feed *f, const couch_world *w) {
  couch_db *db = couch_db_find(w, f->db);
  return db != NULL && db->tag == f->tag ? db : NULL;
}

void couch_rows_begin(couch_feed *f, const couch_world *w) {
  const couch_db *db;
  f->range = f->run = 0;
  if (f->updates) {
    f->end = (couch_place){.tag = w->events_tag, .q = 1};
    f->end.seq[0] = w->event_seq;
    return;
  }
  db = database(f, w);
  if (db == NULL)
    return;
  for (unsigned r = 0; r < f->place.q; r++) {
    const couch_shard *s = db->shards[r][f->place.node[r]];
    f->end.seq[r] = s != NULL ? s->seq : 0;
  }
  f->start_pending = couch_place_pending(db, &f->place);
  if (f->descending) {
    couch_place all = f->place;
    memset(all.seq, 0, sizeof all.seq);
    f->start_pending = couch_place_pending(db, &all);
    memcpy(f->place.seq, f->end.seq, sizeof f->place.seq);
  }
}

void couch_rows_rewind(couch_feed *f) {
  uint64_t back = (uint64_t)f->plan.rewind;
  f->window_count = 0;
  for (unsigned r = 0; r < f->place.q; r++)
    f->place.seq[r] = f->plan.rewind_all || f->place.seq[r] < back
                          ? 0
                          : f->place.seq[r] - back;
}

bool couch_rows_readable(const couch_feed *f, const couch_world *w) {
  const couch_db *db = database(f, w);
  if (f->updates || db == NULL)
    return true;
  for (unsigned r = 0; r < f->place.q; r++)
    if (couch_copy_for(w, db, f->node, r, NULL) == NULL)
      return false;
  return true;
}

/* Workers on nodes that went away are replaced. */
static void replace_workers(couch_feed *f, const couch_world *w,
                            const couch_db *db) {
  couch_place now;
  for (unsigned r = 0; r < f->place.q; r++)
    if (db->shards[r][f->place.node[r]] == NULL ||
        !couch_sees(w, f->node, f->place.node[r])) {
      if (couch_place_resume(w, db, f->node, &f->place, &now))
        f->place = now;
      f->window_count = 0;
      return;
    }
}

static bool interesting(const couch_feed *f, const couch_doc *doc) {
  return doc != NULL && couch_filter_shows(&f->filter, doc);
}

static void add_changes(const couch_feed *f, const couch_doc *doc, size_t rev,
                        couch_buf *row) {
  size_t count = 1, *leaves = NULL;
  if (f->all_leaves && rev == doc->winner)
    leaves = couch_doc_leaves(doc, &count);
  couch_add_text(row, ",\"changes\":[");
  for (size_t i = 0; i < count; i++) {
    const couch_rev *r = &doc->revs[leaves != NULL ? leaves[i] : rev];
    couch_addf(row, "%s{\"rev\":\"%u-%s\"}", i > 0 ? "," : "", r->gen, r->hash);
  }
  couch_add(row, "]", 1);
  if (doc->revs[rev].deleted)
    couch_add_text(row, ",\"deleted\":true");
  free(leaves);
}

/* A selector's "fields" of a document. */
static void add_fields(const couch_feed *f, couch_buf *doc) {
  couch_pool pool = {0};
  const couch_json *v = couch_json_parse(&pool, doc->data, doc->len);
  couch_buf out = {0};
  couch_add(&out, "{", 1);
  for (const couch_json *n = f->filter.fields->first; n != NULL; n = n->next) {
    const couch_json *m =
        n->kind == COUCH_STRING ? couch_json_get(v, n->text) : NULL;
    if (m == NULL)
      continue;
    if (out.len > 1)
      couch_add(&out, ",", 1);
    couch_add_json_text(&out, n->text);
    couch_add(&out, ":", 1);
    couch_json_write(&out, m);
  }
  couch_add(&out, "}", 1);
  couch_pool_free(&pool);
  couch_buf_free(doc);
  *doc = out;
}

static void add_seq(const couch_feed *f, couch_buf *out) {
  couch_add(out, "\"", 1);
  couch_place_text(&f->place, out);
  couch_add(out, "\"", 1);
}

static void write_row(const couch_feed *f, const couch_doc *doc, size_t rev,
                      couch_buf *row) {
  const couch_show show = {.conflicts = f->conflicts};
  if (f->mode == COUCH_EVENTSOURCE)
    couch_add_text(row, "data: ");
  couch_add_text(row, "{\"seq\":");
  if (f->interval > 1 && f->limit % f->interval != 0)
    couch_add_text(row, "null");
  else
    add_seq(f, row);
  couch_add_text(row, ",\"id\":");
  couch_add_json_text(row, doc->id);
  add_changes(f, doc, rev, row);
  if (f->include_docs) {
    couch_buf text = {0};
    couch_add_doc(&text, doc, rev, &show);
    if (f->filter.fields != NULL)
      add_fields(f, &text);
    couch_add_text(row, ",\"doc\":");
    couch_add(row, text.data, text.len);
    couch_buf_free(&text);
  }
  couch_add(row, "}", 1);
  if (f->mode >= COUCH_CONTINUOUS)
    couch_add(row, "\n", 1);
  if (f->mode == COUCH_EVENTSOURCE) {
    couch_add_text(row, "id: ");
    add_seq(f, row);
    couch_add_text(row, "\n\n");
  }
}

/* The next entry of a shard in either direction that is to be shown. The
   position moves over what is not; going down, `end` is what is left. */
static couch_doc *next_in(couch_feed *f, const couch_shard *s, unsigned r) {
  if (f->descending) {
    size_t i = couch_shard_after_seq(s, f->end.seq[r]);
    while (i-- > 0) {
      f->end.seq[r] = s->log[i].seq - 1;
      if (interesting(f, s->log[i].doc)) {
        f->place.seq[r] = s->log[i].seq;
        return s->log[i].doc;
      }
    }
    f->end.seq[r] = 0;
    return NULL;
  }
  for (size_t i = couch_shard_after_seq(s, f->place.seq[r]); i < s->log_len;
       i++) {
    if (f->mode == COUCH_NORMAL && s->log[i].seq > f->end.seq[r])
      return NULL;
    f->place.seq[r] = s->log[i].seq;
    if (interesting(f, s->log[i].doc))
      return s->log[i].doc;
  }
  if (f->mode != COUCH_NORMAL || f->place.seq[r] < f->end.seq[r])
    f->place.seq[r] = f->mode == COUCH_NORMAL ? f->end.seq[r] : s->seq;
  return NULL;
}

static void choose_range(couch_feed *f, couch_world *w) {
  if (f->run > 0) {
    f->run--;
    return;
  }
  if (w->settings.fixed_order)
    return;
  f->range = (unsigned)couch_below(&w->random, f->place.q);
  f->run = (unsigned)couch_below(&w->random, 8);
}

/* Some entries that follow each other, to be given in another order. What was
   given before the last of them must come again after a break, so the position
   stays before all until then. */
static bool open_window(couch_feed *f, couch_world *w, const couch_shard *s) {
  size_t i = couch_shard_after_seq(s, f->place.seq[f->range]);
  f->window_count = f->window_at = 0;
  f->window_range = f->range;
  for (; i < s->log_len && f->window_count < COUCH_WINDOW; i++)
    if (interesting(f, s->log[i].doc) &&
        (f->mode != COUCH_NORMAL || s->log[i].seq <= f->end.seq[f->range])) {
      f->window[f->window_count++] = i;
      f->window_seq = s->log[i].seq;
    }
  for (size_t k = f->window_count; k > 1; k--) {
    size_t other = (size_t)couch_below(&w->random, k), kept = f->window[k - 1];
    f->window[k - 1] = f->window[other];
    f->window[other] = kept;
  }
  for (size_t k = 0; k < f->window_count; k++) /* by seq: the log may shrink */
    f->window[k] = (size_t)s->log[f->window[k]].seq;
  return f->window_count > 0;
}

static couch_doc *from_window(couch_feed *f, const couch_db *db) {
  const couch_shard *s =
      db->shards[f->window_range][f->place.node[f->window_range]];
  while (f->window_at < f->window_count) {
    uint64_t seq = f->window[f->window_at++];
    size_t i = s != NULL ? couch_shard_after_seq(s, seq - 1) : 0;
    if (f->window_at == f->window_count) {
      f->place.seq[f->window_range] = f->window_seq;
      f->window_count = 0;
    }
    if (s != NULL && i < s->log_len && s->log[i].seq == seq &&
        s->log[i].doc != NULL)
      return s->log[i].doc;
  }
  f->window_count = 0;
  return NULL;
}

static couch_doc *next_doc(couch_feed *f, couch_world *w, const couch_db *db) {
  couch_doc *doc = f->window_count > 0 ? from_window(f, db) : NULL;
  if (doc != NULL)
    return doc;
  choose_range(f, w);
  for (unsigned i = 0; i < f->place.q; i++) {
    const couch_shard *s = db->shards[f->range][f->place.node[f->range]];
    if (s != NULL && !f->descending &&
        couch_chance(&w->random, f->plan.reorder) && open_window(f, w, s) &&
        (doc = from_window(f, db)) != NULL)
      return doc;
    if (s != NULL && (doc = next_in(f, s, f->range)) != NULL)
      return doc;
    f->range = (f->range + 1) % f->place.q;
    f->run = 0;
  }
  return NULL;
}

static bool next_event(couch_feed *f, const couch_world *w, couch_buf *row) {
  for (size_t i = 0; i < w->event_count; i++) {
    const couch_event *e = &w->events[i];
    if (e->seq <= f->place.seq[0])
      continue;
    f->place.seq[0] = e->seq;
    if (f->mode == COUCH_EVENTSOURCE)
      couch_add_text(row, "data: ");
    couch_add_text(row, "{\"db_name\":");
    couch_add_json_text(row, e->db);
    couch_addf(row, ",\"type\":\"%s\",\"seq\":", e->type);
    add_seq(f, row);
    couch_add_text(row, f->mode == COUCH_EVENTSOURCE  ? "}\n\n"
                        : f->mode == COUCH_CONTINUOUS ? "}\n"
                                                      : "}");
    return true;
  }
  f->place.seq[0] = w->event_seq;
  return false;
}

static void step_back(couch_feed *f, const couch_place *to) {
  f->place = *to;
  f->window_count = 0;
  f->again = true;
}

bool couch_rows_next(couch_feed *f, couch_world *w, couch_buf *row) {
  const couch_db *db;
  couch_doc *doc;
  couch_place before = f->place;
  if (f->updates)
    return next_event(f, w, row);
  db = database(f, w);
  if (db == NULL)
    return false;
  replace_workers(f, w, db);
  doc = next_doc(f, w, db);
  if (doc == NULL)
    return false;
  if (f->again || f->descending) {
    f->again = false;
    write_row(f, doc, doc->winner, row);
    return true;
  }
  if (couch_chance(&w->random, f->plan.old) &&
      couch_doc_winner(doc)->parent >= 0) {
    /* The row of a copy that lags; the right one follows, as nothing moved. */
    step_back(f, &before);
    write_row(f, doc, (size_t)couch_doc_winner(doc)->parent, row);
    return true;
  }
  write_row(f, doc, doc->winner, row);
  if (couch_chance(&w->random, f->plan.repeat))
    step_back(f, &before);
  return true;
}
