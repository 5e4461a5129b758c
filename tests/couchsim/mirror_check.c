/*
 * What must hold of a mirror whatever the world does to it, told from the
 * outside: by its callbacks, by what its readers see, and by the database.
 */
#include <string.h>

#include "mirror_sim.h"
#include "support/mem.h"

static sim *core(const msim_mirror *a) { return &a->s->core; }

/* ---- what is expected ---- */

bool msim_in_range(const msim_mirror *a, unsigned doc) {
  const changefeed_mirror_config *c = &a->config;
  const char *id = mdb_id(doc);

  if (c->prefix != NULL)
    return strncmp(id, c->prefix, strlen(c->prefix)) == 0;
  return (c->from == NULL || strcmp(id, c->from) >= 0) &&
         (c->to == NULL || strcmp(id, c->to) < 0);
}

/* The document and the write of an entry; MDB_DOCS: it is none of ours. */
static void read_entry(msim_mirror *a, const changefeed_entry *e, unsigned *doc,
                       uint32_t *write) {
  *doc = mdb_doc(e->id.data, e->id.len);
  *write = mdb_rev_parse(&a->s->db, e->rev.data, e->rev.len);
  if (*doc == MDB_DOCS || *write == 0 ||
      mdb_written(&a->s->db, *write)->doc != *doc ||
      e->id.data[e->id.len] != '\0' || e->rev.data[e->rev.len] != '\0') {
    sim_violate(core(a), "mirror %u holds what nobody wrote: %.*s %.*s",
                a->index, (int)e->id.len, e->id.data, (int)e->rev.len,
                e->rev.data);
    *doc = MDB_DOCS;
  } else if (!msim_in_range(a, *doc)) {
    sim_violate(core(a), "mirror %u holds %s, which is out of its range",
                a->index, mdb_id(*doc));
  }
}

static void check_text(msim_mirror *a, const changefeed_entry *e, bool wanted,
                       uint32_t write) {
  char *text = wanted ? mdb_text(&a->s->db, write) : NULL;

  if (wanted ? e->doc.data == NULL || e->doc.len != strlen(text) ||
                   memcmp(e->doc.data, text, e->doc.len) != 0
             : e->doc.data != NULL)
    sim_violate(core(a), "mirror %u has another text of %.*s: %.*s", a->index,
                (int)e->id.len, e->id.data, (int)e->doc.len,
                e->doc.data != NULL ? e->doc.data : "");
  free(text);
}

/* ---- callbacks ---- */

static bool had_no_memory(const msim_mirror *a) {
  return a->s->core.counts.no_memory != a->no_memory_before;
}

void msim_check_put(msim_mirror *a, const changefeed_entry *e, unsigned *doc,
                    uint32_t *write) {
  read_entry(a, e, doc, write);
  if (*doc == MDB_DOCS)
    return;
  if (a->over)
    sim_violate(core(a), "a document is put after the end");
  if (mdb_written(&a->s->db, *write)->deleted)
    sim_violate(core(a), "%s is put, and it is deleted", mdb_id(*doc));
  /* Without memory it may not be held, and is told again. */
  if (a->told[*doc] == *write && !had_no_memory(a))
    sim_violate(core(a), "%s is put twice in the same revision", mdb_id(*doc));
  if (e->value != a->value[*doc] && !had_no_memory(a))
    sim_violate(core(a), "%s comes with another value than it has",
                mdb_id(*doc));
  check_text(a, e, a->config.keep == CHANGEFEED_KEEP_DOCS || a->include_docs,
             *write);
}

void msim_check_older(msim_mirror *a, unsigned doc, uint32_t write) {
  if (a->told[doc] != 0 && mdb_is_older(&a->s->db, write, a->told[doc]) &&
      a->stepping == a->mirror->feed && !a->mirror->rebuilding)
    sim_violate(core(a), "%s is put in an older revision, and nobody was asked",
                mdb_id(doc));
}

void msim_check_gone(msim_mirror *a, const changefeed_entry *e, unsigned *doc) {
  uint32_t write;

  read_entry(a, e, doc, &write);
  if (*doc == MDB_DOCS)
    return;
  if (a->over)
    sim_violate(core(a), "a document is gone after the end");
  if (a->told[*doc] == 0)
    sim_violate(core(a), "%s is gone, and was not there", mdb_id(*doc));
  else if (a->told[*doc] != write && !had_no_memory(a))
    sim_violate(core(a), "%s is gone in another revision than was put",
                mdb_id(*doc));
  if (e->value != a->value[*doc] && !had_no_memory(a))
    sim_violate(core(a), "%s goes with another value than it has",
                mdb_id(*doc));
}

void msim_check_difference(msim_mirror *a, const changefeed_difference *d) {
  unsigned doc = mdb_doc(d->id.data, d->id.len);
  uint32_t held = 0, served = 0;

  if (d->held.data != NULL)
    held = mdb_rev_parse(&a->s->db, d->held.data, d->held.len);
  if (d->served.data != NULL)
    served = mdb_rev_parse(&a->s->db, d->served.data, d->served.len);
  if (a->s->config.lags && !a->expects_differences) {
    a->s->counts.late_repairs++;
    return;
  }
  if (doc == MDB_DOCS || !a->planted[doc]) {
    sim_violate(core(a), "mirror %u differs in %.*s: %.*s, served %.*s",
                a->index, (int)d->id.len, d->id.data, (int)d->held.len,
                d->held.data != NULL ? d->held.data : "", (int)d->served.len,
                d->served.data != NULL ? d->served.data : "");
    return;
  }
  if (a->found[doc] || held != a->told[doc] ||
      served != mdb_current(&a->s->db, doc))
    sim_violate(core(a), "%s is not the difference that was planted",
                mdb_id(doc));
  a->found[doc] = true;
}

/* ---- views ---- */

typedef struct look {
  msim_mirror *a;
  uint32_t write[MDB_DOCS];
  unsigned histories;
  unsigned count;
  changefeed_digest digest;
} look;

static int look_at(void *ctx, const changefeed_entry *e) {
  look *l = ctx;
  unsigned doc;
  uint32_t write;

  read_entry(l->a, e, &doc, &write);
  if (doc == MDB_DOCS)
    return 1;
  l->write[doc] = write;
  l->count++;
  l->histories &= mdb_written(&l->a->s->db, write)->histories;
  (void)changefeed_digest_add(&l->digest, e->id.data, e->id.len, e->rev.data,
                              e->rev.len);
  if (l->a->config.keep == CHANGEFEED_KEEP_VALUES
          ? e->value == NULL || ((const msim_value *)e->value)->freed
          : e->value != NULL)
    sim_violate(core(l->a), "%s is shown with a value that is none",
                mdb_id(doc));
  check_text(l->a, e, l->a->config.keep == CHANGEFEED_KEEP_DOCS, write);
  return l->a->s->core.violated;
}

static void look_through(msim_mirror *a, look *l) {
  const changefeed_view *view = changefeed_mirror_view(a->mirror);
  changefeed_digest digest;
  uint64_t count;

  memset(l, 0, sizeof *l);
  l->a = a;
  l->histories = ~0U;
  (void)changefeed_view_each(view, NULL, NULL, look_at, l);
  (void)changefeed_view_digest(view, NULL, NULL, &digest, &count);
  if (!a->s->core.violated &&
      (count != l->count || changefeed_view_count(view) != count ||
       memcmp(&digest, &l->digest, sizeof digest) != 0))
    sim_violate(core(a),
                "mirror %u's digest or count is not that of its "
                "documents",
                a->index);
  changefeed_view_release(view);
}

void msim_check_view(msim_mirror *a) {
  const changefeed_view *view = changefeed_mirror_view(a->mirror);
  changefeed_digest digest;
  bool same;
  look l;

  (void)changefeed_view_digest(view, NULL, NULL, &digest, NULL);
  changefeed_view_release(view);
  same = memcmp(&digest, &a->shown, sizeof digest) == 0;
  a->shown = digest;
  if (same)
    return;
  look_through(a, &l);
  if (l.histories == 0 && !a->expects_differences)
    sim_violate(core(a), "readers of mirror %u see two histories at once",
                a->index);
}

void msim_check_synced(msim_mirror *a) {
  look l;

  look_through(a, &l);
  for (unsigned doc = 0; doc < MDB_DOCS && !a->s->core.violated; doc++)
    /* Without memory it may have been told and not be held yet. */
    if (l.write[doc] != a->told[doc] && !had_no_memory(a))
      sim_violate(core(a), "synced, and %s is not as it was told", mdb_id(doc));
  /* What was there when the feed was served its way to the present, unless the
     feed is served the past again. */
  for (unsigned doc = 0; doc < MDB_DOCS && !a->s->core.violated; doc++)
    if (!a->served_old && msim_in_range(a, doc) && !a->s->config.lags &&
        a->s->written_ms[doc] < a->live_ms &&
        l.write[doc] != mdb_current(&a->s->db, doc))
      sim_violate(core(a), "synced, and %s is not what it has been for long",
                  mdb_id(doc));
}

static int still_there(void *ctx, const changefeed_entry *e) {
  look *l = ctx;
  unsigned doc;

  read_entry(l->a, e, &doc, &l->write[MDB_DOCS - 1]);
  if (doc < MDB_DOCS && l->write[MDB_DOCS - 1] != l->a->reader.write[doc])
    sim_violate(core(l->a), "a view has changed while it was read");
  l->count++;
  return l->a->s->core.violated;
}

void msim_check_reader(msim_mirror *a) {
  look l = {.a = a};
  unsigned count = 0;

  (void)changefeed_view_each(a->reader.view, NULL, NULL, still_there, &l);
  for (unsigned doc = 0; doc < MDB_DOCS; doc++)
    count += a->reader.write[doc] != 0;
  if (count != l.count)
    sim_violate(core(a), "a view has changed while it was read");
}

/* ---- the end ---- */

void msim_check_equal(msim_mirror *a, const char *why) {
  look l;

  look_through(a, &l);
  for (unsigned doc = 0; doc < MDB_DOCS && !a->s->core.violated; doc++) {
    uint32_t is = msim_in_range(a, doc) ? mdb_current(&a->s->db, doc) : 0;

    if (l.write[doc] != is)
      sim_violate(core(a), "%s mirror %u has write %u of %s, the database %u",
                  why, a->index, (unsigned)l.write[doc], mdb_id(doc),
                  (unsigned)is);
    else if (a->told[doc] != is)
      sim_violate(core(a), "%s mirror %u was not told of %s", why, a->index,
                  mdb_id(doc));
  }
}

void msim_check_audit(msim_mirror *a) {
  const changefeed_audit *r = &a->audit;
  uint64_t planted = 0;

  for (unsigned doc = 0; doc < MDB_DOCS; doc++) {
    planted += a->planted[doc];
    if (a->planted[doc] != a->found[doc])
      sim_violate(core(a), "the audit has not found %s", mdb_id(doc));
  }
  /* Nodes count their updates each for itself. */
  if (r->code != CHANGEFEED_OK || (!r->quiet && a->s->db.nodes == 1) ||
      r->unsettled != 0 || r->missing + r->extra + r->stale != planted ||
      r->repaired != planted)
    sim_violate(core(a),
                "an audit of mirror %u ends with %d, quiet %d, %llu differ, "
                "%llu repaired; %llu were planted",
                a->index, r->code, r->quiet,
                (unsigned long long)(r->missing + r->extra + r->stale),
                (unsigned long long)r->repaired, (unsigned long long)planted);
}

/* The whole mirror's digest of a range is that of the one that has no more. */
void msim_check_agree(msim *m) {
  for (unsigned i = 0; i < m->config.mirrors && !m->core.violated; i++) {
    msim_mirror *a = &m->mirror[i];
    changefeed_digest mine, theirs = {{0}};
    const changefeed_view *view = changefeed_mirror_view(a->mirror);

    (void)changefeed_view_digest(view, NULL, NULL, &mine, NULL);
    changefeed_view_release(view);
    view = changefeed_mirror_view(m->mirror[0].mirror);
    (void)changefeed_view_digest(view, a->mirror->from, a->mirror->to, &theirs,
                                 NULL);
    changefeed_view_release(view);
    if (memcmp(&mine, &theirs, sizeof mine) != 0)
      sim_violate(&m->core, "mirrors 0 and %u do not agree", i);
  }
}

void msim_check_values(msim_mirror *a) {
  for (const msim_value *v = a->values; v != NULL; v = v->next)
    if (!v->freed)
      sim_violate(core(a), "a value of %s was never freed", mdb_id(v->doc));
}
