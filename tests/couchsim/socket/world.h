/*
 * The simulated cluster: nodes, databases with their shards and copies, users,
 * settings. Holds no sockets and reads no clock: the time is given, and every
 * random choice comes from the one seed.
 */
#ifndef COUCHSIM_WORLD_H
#define COUCHSIM_WORLD_H

#include "shard.h"

enum { COUCH_NODES = 8, COUCH_Q_MAX = 16, COUCH_USERS = 16 };

typedef enum couch_shown { /* of a value that some servers do not tell */
                           COUCH_SHOWN,
                           COUCH_SHOWN_ZERO,     /* instance_start_time of 2.0
                                                    to 3.2 */
                           COUCH_SHOWN_CHANGING, /* of 1.x: another one each
                                                    time */
                           COUCH_SHOWN_ABSENT,
                           COUCH_SHOWN_NULL,
                           COUCH_SHOWN_NEGATIVE
} couch_shown;

typedef struct couch_settings {
  couch_shown start_time, pending;
  int64_t cookie_ms;   /* how long a session lives */
  bool cookie_renewal; /* sent anew when a tenth of it is over */
  bool public_dbs;     /* new databases are open to everybody */
  bool fixed_order;    /* shards one after the other, instead of mixed */
  bool late_heads;     /* a head only with the first row, as before 3.0 */
  bool rewind_all;     /* a position of a node that is down: from 0; else mid */
  double race;         /* chance that a write that lost is stored as well */
  int64_t race_ms;     /* when it comes so soon after the winner */
  char version[32];
  char uuid[40];
} couch_settings;

typedef struct couch_user {
  char *name, *password;
  bool admin;
} couch_user;

typedef struct couch_db {
  char *name;
  uint64_t tag; /* of this life of the database */
  int64_t created_s;
  unsigned q, n;
  couch_shard *shards[COUCH_Q_MAX][COUCH_NODES]; /* NULL: no copy there */
  char *security;                                /* JSON */
  uint64_t writes; /* grows with each change that a feed may see */
} couch_db;

typedef struct couch_event { /* of _db_updates */
  uint64_t seq;
  char *db;
  const char *type;
} couch_event;

typedef struct couch_snapshot {
  char *name;
  couch_db *db;
} couch_snapshot;

typedef struct couch_world {
  unsigned nodes, q, n;
  bool up[COUCH_NODES], maintenance[COUCH_NODES];
  unsigned group[COUCH_NODES]; /* nodes of one group see each other */
  couch_db **dbs;              /* by name */
  size_t db_count, db_cap;
  couch_event *events;
  size_t event_count, event_cap;
  uint64_t event_seq;
  uint64_t events_tag;
  couch_snapshot *snapshots;
  size_t snapshot_count, snapshot_cap;
  couch_user users[COUCH_USERS];
  size_t user_count; /* 0: everybody is an admin */
  couch_settings settings;
  couch_random random;
  uint64_t session_key; /* another one ends all sessions */
  int64_t now_ms;       /* wall clock */
  uint64_t ids;         /* for request ids and the like */
} couch_world;

void couch_world_init(couch_world *w, uint64_t seed, unsigned nodes, unsigned q,
                      unsigned n);
void couch_world_free(couch_world *w);
bool couch_world_add_user(couch_world *w, const char *name,
                          const char *password, bool admin);

couch_db *couch_db_find(const couch_world *w, const char *name);
/* q and n 0: as usual. The name is free. */
couch_db *couch_db_create(couch_world *w, const char *name, unsigned q,
                          unsigned n);
void couch_db_delete(couch_world *w, couch_db *db);
void couch_db_recreate(couch_world *w, couch_db *db);
void couch_event_add(couch_world *w, const char *db, const char *type);

bool couch_sees(const couch_world *w, unsigned node, unsigned other);
unsigned couch_range(const couch_db *db, const char *id);
/* The copy that this node reads, itself first. NULL: none in reach. */
couch_shard *couch_copy_for(const couch_world *w, const couch_db *db,
                            unsigned node, unsigned range, unsigned *holder);

typedef enum couch_reach { COUCH_ALL, COUCH_SOME, COUCH_NONE } couch_reach;
/* Which ranges this node can read at all. */
couch_reach couch_db_reach(const couch_world *w, const couch_db *db,
                           unsigned node);

typedef enum couch_result {
  COUCH_STORED,   /* by a majority: 201 */
  COUCH_ACCEPTED, /* by fewer: 202 */
  COUCH_CONFLICT,
  COUCH_UNREACHABLE
} couch_result;

typedef struct couch_edit {
  const char *id;
  couch_rev_name parent; /* gen 0: none was named */
  bool deleted;
  const couch_json *document;
} couch_edit;

couch_result couch_write(couch_world *w, couch_db *db, unsigned node,
                         const couch_edit *edit, couch_rev_name *made);
/* new_edits=false: path is newest first. */
couch_result couch_write_merge(couch_world *w, couch_db *db, unsigned node,
                               const char *id, const couch_rev_name *path,
                               size_t count, bool deleted,
                               const couch_json *document);
couch_result couch_write_local(couch_world *w, couch_db *db, unsigned node,
                               const char *id, int64_t parent,
                               const couch_json *document, uint32_t *made);

void couch_node_up(couch_world *w, unsigned node, bool up);
void couch_split(couch_world *w, const unsigned group[COUCH_NODES]);
/* Copies that see each other become equal. */
void couch_sync(couch_world *w);

/* Keeps a copy of the database under a name; puts it back as it was, with its
   identity, as a restored backup. */
bool couch_snapshot_take(couch_world *w, const char *name, const char *db);
bool couch_snapshot_restore(couch_world *w, const char *name);

#endif
