/*
 * What a simulated CouchDB knows: documents in shards with their updates in
 * order, and the histories of a database that was deleted and made again. No
 * time, no bytes of HTTP, no faults. Revisions and seqs can be read back, so
 * that a run can tell of any row and of any position what it stands for.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SIM_DOCS = 20,
  SIM_SHARDS = 4,
  SIM_HISTORIES = 8,
  SIM_SEQ_TEXT = 128, /* room for any seq, as JSON */
  SIM_REV_TEXT = 64
};

typedef enum sim_seqs {
  SIM_SEQ_STRING,
  SIM_SEQ_NUMBER,
  SIM_SEQ_ARRAY
} sim_seqs;

/* How far each shard was read: what an opaque seq stands for. */
typedef struct sim_vec {
  uint32_t at[SIM_SHARDS];
} sim_vec;

typedef struct sim_update {
  unsigned doc;
  uint32_t generation;
  uint32_t body; /* bytes of the document's filling */
  bool deleted;
} sim_update;

typedef struct sim_shard {
  sim_update *updates; /* number n is updates[n - 1] */
  uint32_t count, cap;
} sim_shard;

typedef struct sim_history {
  sim_shard shard[SIM_SHARDS];
  uint32_t latest[SIM_DOCS]; /* number of its last update; 0 = none */
  char start_time[24];
} sim_history;

typedef struct sim_model {
  unsigned shards;
  sim_seqs seqs;
  sim_history history[SIM_HISTORIES]; /* the last one is served */
  unsigned histories;
  bool missing; /* the database is not there at the moment */
} sim_model;

void sim_model_init(sim_model *m, unsigned shards, sim_seqs seqs);
void sim_model_free(sim_model *m);
/* Another history begins, empty. False: no room for more of them. */
bool sim_model_recreate(sim_model *m);
/* Tag of the history served now. */
unsigned sim_model_tag(const sim_model *m);

void sim_model_write(sim_model *m, unsigned doc, bool deleted, uint32_t body);
unsigned sim_model_shard(const sim_model *m, unsigned doc);
const sim_update *sim_model_update(const sim_model *m, unsigned tag,
                                   unsigned shard, uint32_t number);
/* The end of the history served now. */
sim_vec sim_model_end(const sim_model *m);
/* Rows that a feed from here would show, filter or not. */
unsigned sim_model_pending(const sim_model *m, unsigned tag, sim_vec from,
                           sim_vec to);

/* As JSON. salt: two texts of one position differ by it, as CouchDB's do. */
void sim_seq_text(const sim_model *m, unsigned tag, sim_vec vec, unsigned salt,
                  char out[SIM_SEQ_TEXT]);
/* As it comes back in "since", or out of a saved position. False: it is none of
   ours. A number does not know its history: *tag stays as it was. */
bool sim_seq_parse(const sim_model *m, const char *text, unsigned *tag,
                   sim_vec *vec);

void sim_rev_text(const sim_model *m, unsigned tag, unsigned doc,
                  uint32_t number, char out[SIM_REV_TEXT]);
/* False: no revision that the model has. */
bool sim_rev_parse(const sim_model *m, const char *text, unsigned *tag,
                   unsigned *doc, uint32_t *number);

#endif
