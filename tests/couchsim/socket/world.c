/*
 * Nodes, databases and their copies; write.c has the writes.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void couch_world_init(couch_world *w, uint64_t seed, unsigned nodes, unsigned q,
                      unsigned n) {
  *w = (couch_world){.nodes = nodes, .q = q, .n = n < nodes ? n : nodes};
  couch_seed(&w->random, seed);
  for (unsigned i = 0; i < nodes; i++)
    w->up[i] = true;
  w->settings = (couch_settings){.cookie_ms = 600000,
                                 .cookie_renewal = true,
                                 .race_ms = 1000,
                                 .version = "3.5.0"};
  (void)snprintf(w->settings.uuid, sizeof w->settings.uuid, "%016llx%016llx",
                 (unsigned long long)couch_next(&w->random),
                 (unsigned long long)couch_next(&w->random));
  w->session_key = couch_next(&w->random);
  w->events_tag = couch_next(&w->random);
}

static void db_free(couch_db *db) {
  if (db == NULL)
    return;
  for (unsigned r = 0; r < COUCH_Q_MAX; r++)
    for (unsigned i = 0; i < COUCH_NODES; i++)
      couch_shard_free(db->shards[r][i]);
  free(db->name);
  free(db->security);
  free(db);
}

void couch_world_free(couch_world *w) {
  for (size_t i = 0; i < w->db_count; i++)
    db_free(w->dbs[i]);
  for (size_t i = 0; i < w->event_count; i++)
    free(w->events[i].db);
  for (size_t i = 0; i < w->snapshot_count; i++) {
    free(w->snapshots[i].name);
    db_free(w->snapshots[i].db);
  }
  for (size_t i = 0; i < w->user_count; i++) {
    free(w->users[i].name);
    free(w->users[i].password);
  }
  free(w->dbs);
  free(w->events);
  free(w->snapshots);
}

bool couch_world_add_user(couch_world *w, const char *name,
                          const char *password, bool admin) {
  if (w->user_count == COUCH_USERS)
    return false;
  w->users[w->user_count++] =
      (couch_user){couch_dup(name), couch_dup(password), admin};
  return true;
}

static size_t db_lower(const couch_world *w, const char *name) {
  size_t at = 0;
  while (at < w->db_count && strcmp(w->dbs[at]->name, name) < 0)
    at++;
  return at;
}

couch_db *couch_db_find(const couch_world *w, const char *name) {
  size_t at = db_lower(w, name);
  return at < w->db_count && strcmp(w->dbs[at]->name, name) == 0 ? w->dbs[at]
                                                                 : NULL;
}

/* A document "type:db" of _global_changes: only its last update shows. */
void couch_event_add(couch_world *w, const char *db, const char *type) {
  size_t at = 0;
  while (at < w->event_count && (strcmp(w->events[at].db, db) != 0 ||
                                 strcmp(w->events[at].type, type) != 0))
    at++;
  w->event_seq++;
  if (at < w->event_count) {
    couch_event event = w->events[at];
    event.seq = w->event_seq;
    memmove(w->events + at, w->events + at + 1,
            (w->event_count - at - 1) * sizeof event);
    w->events[w->event_count - 1] = event;
    return;
  }
  w->events =
      couch_room(w->events, &w->event_cap, w->event_count, sizeof *w->events);
  w->events[w->event_count++] =
      (couch_event){w->event_seq, couch_dup(db), type};
}

static void place(const couch_world *w, couch_db *db) {
  for (unsigned r = 0; r < db->q; r++)
    for (unsigned i = 0; i < db->n; i++)
      db->shards[r][(r + i) % w->nodes] = couch_shard_new();
}

static int64_t start_second(const couch_world *w, const couch_db *before) {
  int64_t now = w->now_ms / 1000;
  /* Two lives within a second must differ for whoever looks. */
  return before != NULL && now <= before->created_s ? before->created_s + 1
                                                    : now;
}

couch_db *couch_db_create(couch_world *w, const char *name, unsigned q,
                          unsigned n) {
  couch_db *db = couch_alloc(sizeof *db);
  size_t at = db_lower(w, name);
  db->name = couch_dup(name);
  db->q = q > 0 && q <= COUCH_Q_MAX ? q : w->q;
  db->n = n > 0 && n <= w->nodes ? n : w->n;
  db->tag = couch_next(&w->random);
  db->created_s = start_second(w, NULL);
  place(w, db);
  if (w->settings.public_dbs)
    db->security = couch_dup("{\"members\":{\"roles\":[]},"
                             "\"admins\":{\"roles\":[\"_admin\"]}}");
  else
    db->security = couch_dup("{\"members\":{\"roles\":[\"_admin\"]},"
                             "\"admins\":{\"roles\":[\"_admin\"]}}");
  w->dbs = couch_room(w->dbs, &w->db_cap, w->db_count, sizeof(couch_db *));
  memmove(w->dbs + at + 1, w->dbs + at,
          (w->db_count - at) * sizeof(couch_db *));
  w->dbs[at] = db;
  w->db_count++;
  couch_event_add(w, name, "created");
  couch_event_add(w, "_dbs", "updated");
  return db;
}

void couch_db_delete(couch_world *w, couch_db *db) {
  size_t at = db_lower(w, db->name);
  memmove(w->dbs + at, w->dbs + at + 1,
          (w->db_count - at - 1) * sizeof(couch_db *));
  w->db_count--;
  couch_event_add(w, db->name, "deleted");
  couch_event_add(w, "_dbs", "updated");
  db_free(db);
}

void couch_db_recreate(couch_world *w, couch_db *db) {
  for (unsigned r = 0; r < COUCH_Q_MAX; r++)
    for (unsigned i = 0; i < COUCH_NODES; i++) {
      couch_shard_free(db->shards[r][i]);
      db->shards[r][i] = NULL;
    }
  place(w, db);
  db->tag = couch_next(&w->random);
  db->created_s = start_second(w, db);
  db->writes++;
  couch_event_add(w, db->name, "deleted");
  couch_event_add(w, db->name, "created");
}

bool couch_sees(const couch_world *w, unsigned node, unsigned other) {
  return node == other || (w->up[other] && w->group[node] == w->group[other]);
}

unsigned couch_range(const couch_db *db, const char *id) {
  return (unsigned)((uint64_t)couch_crc32(id, strlen(id)) * db->q >> 32);
}

couch_shard *couch_copy_for(const couch_world *w, const couch_db *db,
                            unsigned node, unsigned range, unsigned *holder) {
  for (unsigned i = 0; i < w->nodes; i++) {
    unsigned at = (node + i) % w->nodes;
    if (db->shards[range][at] != NULL && couch_sees(w, node, at)) {
      if (holder != NULL)
        *holder = at;
      return db->shards[range][at];
    }
  }
  return NULL;
}

couch_reach couch_db_reach(const couch_world *w, const couch_db *db,
                           unsigned node) {
  unsigned have = 0;
  for (unsigned r = 0; r < db->q; r++)
    have += couch_copy_for(w, db, node, r, NULL) != NULL;
  return have == db->q ? COUCH_ALL : have > 0 ? COUCH_SOME : COUCH_NONE;
}

void couch_sync(couch_world *w) {
  for (size_t d = 0; d < w->db_count; d++) {
    couch_db *db = w->dbs[d];
    for (unsigned r = 0; r < db->q; r++)
      for (unsigned a = 0; a < w->nodes * w->nodes; a++) {
        unsigned from = a % w->nodes, into = a / w->nodes;
        if (from != into && db->shards[r][from] && db->shards[r][into] &&
            w->up[from] && couch_sees(w, from, into) &&
            couch_shard_sync(db->shards[r][into], db->shards[r][from],
                             w->now_ms))
          db->writes++;
      }
  }
}

void couch_node_up(couch_world *w, unsigned node, bool up) {
  w->up[node] = up;
  if (up)
    couch_sync(w);
}

void couch_split(couch_world *w, const unsigned group[COUCH_NODES]) {
  for (unsigned i = 0; i < COUCH_NODES; i++)
    w->group[i] = group[i];
  couch_sync(w);
}

static couch_db *db_copy(const couch_db *db) {
  couch_db *copy = couch_alloc(sizeof *copy);
  *copy = *db;
  copy->name = couch_dup(db->name);
  copy->security = couch_dup(db->security);
  for (unsigned r = 0; r < COUCH_Q_MAX; r++)
    for (unsigned i = 0; i < COUCH_NODES; i++)
      if (db->shards[r][i] != NULL)
        copy->shards[r][i] = couch_shard_copy(db->shards[r][i]);
  return copy;
}

bool couch_snapshot_take(couch_world *w, const char *name, const char *db) {
  const couch_db *of = couch_db_find(w, db);
  couch_snapshot *at = NULL;
  if (of == NULL)
    return false;
  for (size_t i = 0; i < w->snapshot_count; i++)
    if (strcmp(w->snapshots[i].name, name) == 0)
      at = &w->snapshots[i];
  if (at == NULL) {
    w->snapshots = couch_room(w->snapshots, &w->snapshot_cap, w->snapshot_count,
                              sizeof *w->snapshots);
    at = &w->snapshots[w->snapshot_count++];
    *at = (couch_snapshot){.name = couch_dup(name)};
  }
  db_free(at->db);
  at->db = db_copy(of);
  return true;
}

bool couch_snapshot_restore(couch_world *w, const char *name) {
  for (size_t i = 0; i < w->snapshot_count; i++) {
    couch_db *of, *copy;
    uint64_t writes = 0;
    if (strcmp(w->snapshots[i].name, name) != 0)
      continue;
    copy = db_copy(w->snapshots[i].db);
    of = couch_db_find(w, copy->name);
    if (of == NULL)
      of = couch_db_create(w, copy->name, copy->q, copy->n);
    writes = of->writes;
    w->dbs[db_lower(w, copy->name)] = copy;
    copy->writes = writes + 1;
    db_free(of);
    return true;
  }
  return false;
}
