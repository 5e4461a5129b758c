/*
 * A database as mirrors see it: documents with leaves that conflict, kept by
 * nodes of which some lag behind the others, and the histories of a database
 * that was deleted and made again, from nothing or from what there was. No
 * time, no bytes of HTTP, no faults.
 */
#ifndef SIM_MIRROR_DB_H
#define SIM_MIRROR_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MDB_DOCS = 40,
  MDB_NEVER = 4, /* of them, the last ones, are never written */
  MDB_NODES = 3,
  MDB_SHARDS = 3,
  MDB_HISTORIES = 6,
  MDB_LEAVES = 3,
  MDB_TEXT = 160 /* room for a revision, a seq */
};

/* What one write has made. */
typedef struct mdb_write {
  unsigned doc;
  uint32_t generation, filling;
  bool deleted;
  unsigned histories; /* a bit for each it was in */
} mdb_write;

/* A document as it was after a write: the writes its leaves are. */
typedef struct mdb_state {
  unsigned doc, leaves;
  uint32_t leaf[MDB_LEAVES];
} mdb_state;

typedef struct mdb_log {
  uint32_t *state; /* place n is state[n - 1] */
  size_t count, cap;
} mdb_log;

/* Numbers of states count from 1; 0: the document was never there. */
typedef struct mdb_node {
  mdb_log log[MDB_SHARDS];
  uint32_t has[MDB_DOCS], at[MDB_DOCS];
} mdb_node;

typedef struct mdb_history {
  mdb_node node[MDB_NODES];
  uint32_t latest[MDB_DOCS];
  char start_time[24];
} mdb_history;

/* A position: how far each shard of a node was read. */
typedef struct mdb_place {
  unsigned tag, node;
  uint32_t at[MDB_SHARDS];
} mdb_place;

typedef struct mdb {
  unsigned shards, nodes;
  bool numbers; /* seqs are numbers: one node, one shard */
  unsigned histories;
  mdb_history history[MDB_HISTORIES]; /* the last one is served */
  mdb_write *write;                   /* number n is write[n - 1] */
  size_t writes, write_cap;
  mdb_state *state;
  size_t states, state_cap;
  bool missing;
} mdb;

void mdb_init(mdb *d, unsigned shards, unsigned nodes, bool numbers);
void mdb_free(mdb *d);

const char *mdb_id(unsigned doc);
/* MDB_DOCS: none of ours. */
unsigned mdb_doc(const char *id, size_t len);
/* The documents in the order of their ids. */
unsigned mdb_in_order(unsigned index);

unsigned mdb_tag(const mdb *d);
/* Another history begins, empty. False: no room for it. */
bool mdb_recreate(mdb *d);
/* A document of the history before, as it was last, comes into this one. */
void mdb_carry_over(mdb *d, unsigned doc);

typedef enum mdb_kind {
  MDB_UPDATE,  /* of the winner */
  MDB_DELETE,  /* of the winner, when there is one that is not deleted */
  MDB_CONFLICT /* a leaf beside it */
} mdb_kind;
/* Each node has it as nodes, a set of bits, says; the others come later. */
void mdb_put(mdb *d, unsigned doc, mdb_kind kind, uint32_t filling,
             unsigned nodes);
/* The node takes what it lacks of a document. */
void mdb_replicate(mdb *d, unsigned node, unsigned doc);

/* The winner of a state, as the number of a write; 0: there is no document.
   Deleted ones win when all are. */
uint32_t mdb_winner(const mdb *d, uint32_t state);
/* The winner that is not deleted, in the newest state; 0: not there. */
uint32_t mdb_current(const mdb *d, unsigned doc);
const mdb_write *mdb_written(const mdb *d, uint32_t write);

/* By CouchDB's order, which knows nothing of deletions. */
bool mdb_is_older(const mdb *d, uint32_t a, uint32_t b);
void mdb_rev(const mdb *d, uint32_t write, char out[MDB_TEXT]);
/* The number of a write; 0: no revision that anybody wrote. */
uint32_t mdb_rev_parse(const mdb *d, const char *text, size_t len);
/* The document's text, to be freed. */
char *mdb_text(const mdb *d, uint32_t write);

/* The end of a node's log. */
mdb_place mdb_end(const mdb *d, unsigned node);
/* As JSON; two texts of one position differ by salt. */
void mdb_seq(const mdb *d, const mdb_place *place, unsigned salt,
             char out[MDB_TEXT]);
/* As it comes back in "since". False: none of ours. */
bool mdb_seq_parse(const mdb *d, const char *text, mdb_place *out);
/* The same position, as another node of this history knows it: all behind it
   is what the first one may not have told. */
void mdb_translate(const mdb *d, mdb_place *place, unsigned node);

#endif
