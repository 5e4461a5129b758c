/*
 * One simulated run of mirrors: a database on some nodes, a server with faults,
 * a network, and some mirrors of it, each by its own way, on a clock of their
 * own. Chance, trail and the plan of what a request is in for are those of the
 * simulation of a feed, which core is for.
 */
#ifndef SIM_MIRROR_SIM_H
#define SIM_MIRROR_SIM_H

#include "mirror_db.h"
#include "mirror_state.h"
#include "sim.h"

enum { MSIM_MIRRORS = 3, MSIM_FEEDS = 8, MSIM_PATH = 128 };

/* A connection: core knows its plan, times and bytes. */
typedef struct msim_conn {
  sim_conn c;
  bool lists;          /* _all_docs */
  bool docs;           /* include_docs */
  bool breaks;         /* its bytes end with the database */
  char *url, *body;    /* as asked */
  mdb_place pos, end;  /* of changes */
  uint64_t damaged_at; /* this byte comes as another */
} msim_conn;

typedef struct msim_mirror msim_mirror;

typedef struct msim_feed {
  changefeed *feed; /* NULL: free */
  msim_mirror *owner;
  msim_conn main, side;
  bool poke;
  bool lists;
} msim_feed;

/* What on_put makes of a document. */
typedef struct msim_value {
  unsigned doc;
  uint32_t write;
  struct msim_value *next; /* of all of this life */
  bool freed;
} msim_value;

/* A version of the contents that somebody reads for longer. */
typedef struct msim_reader {
  const changefeed_view *view;
  uint32_t write[MDB_DOCS];
} msim_reader;

struct msim_mirror {
  struct msim *s;
  unsigned index;
  msim_feed feed[MSIM_FEEDS];
  changefeed_mirror *mirror;
  changefeed_options *options;

  /* chosen once */
  changefeed_mirror_config config;
  changefeed_callbacks feed_callbacks;
  bool include_docs; /* of values */
  char snapshot[MSIM_PATH];

  /* this life */
  bool muted; /* it is being taken down: what it says has no effect */
  bool over;  /* on_over was called */
  const changefeed *stepping; /* whose callbacks run */
  bool served_old; /* since then, some response tells revisions of the past */
  int64_t live_ms; /* what was written before it was served when the feed got
                      live last */
  bool stopping;   /* it was told to stop, or a callback has */
  bool gave_up;    /* a callback has */
  bool synced;
  bool asks_audit;
  uint64_t no_memory_before;
  uint32_t told[MDB_DOCS];     /* by on_put and on_gone */
  msim_value *value[MDB_DOCS]; /* held now */
  msim_value *values;          /* all */
  changefeed_digest shown;     /* of the view that was looked at last */
  msim_reader reader;

  /* the audit at the end */
  bool planted[MDB_DOCS], found[MDB_DOCS];
  bool expects_differences;
  bool audited;
  changefeed_audit audit;

  int64_t open_at_ms, life_at_ms, reader_at_ms;
  bool correct; /* at the end, before the audit */
  bool done;
};

typedef struct msim_config {
  unsigned mirrors;
  bool balanced; /* any node answers, whatever is asked */
  bool lags;     /* nodes do */
  bool restores; /* another database may be made of the one before */
  bool audits;   /* some mirror's, by themselves */
  int64_t replicate_gap_ms;
  unsigned damage; /* of responses, in a thousand */
  char page_rows[24];
} msim_config;

typedef struct msim_counts {
  uint64_t runs, lives, crashes, puts, gones, syncs, resets, older, asked,
      repairs, audits, saves, loads, planted, stale, recreations, unsettled,
      late_repairs, lags;
} msim_counts;

typedef struct msim {
  sim core;
  msim_config config;
  msim_counts counts;
  mdb db;
  msim_mirror mirror[MSIM_MIRRORS];
  char directory[MSIM_PATH - 32]; /* of snapshots */
  int64_t replicate_at_ms;
  int64_t written_ms[MDB_DOCS]; /* when it was last another */
  bool ending;                  /* the audits at the end */
} msim;

/* mirror_run.c */
/* directory: where snapshots may be written; it is there. True: no rule was
   broken; else core's violation and trail say which and how. */
bool msim_run(msim *m, uint64_t seed, const char *directory, bool verbose);
void msim_clear(msim *m);

/* mirror_events.c */
int64_t msim_later(msim *m, int64_t gap_ms);
void msim_write_one(msim *m);
void msim_write_some(msim *m);
/* all: what any node lacks. */
void msim_replicate(msim *m, bool all);
void msim_come_back(msim *m, bool another);
void msim_administer(msim *m);

/* mirror_config.c */
void msim_configure(msim *m);

/* mirror_server.c */
/* Reads the request; what it answers is written as the time comes. */
void msim_server_take(msim *m, msim_conn *c, const cfi_request *request);
void msim_server_answer(msim *m, msim_conn *c);
/* Rows, heartbeats, ends that are due in a live feed. */
void msim_server_write(msim *m, msim_conn *c);
int64_t msim_server_due_ms(const msim_conn *c);
/* The database was deleted. */
void msim_server_deleted(msim *m, msim_conn *c);
void msim_conn_free(msim_conn *c);

/* mirror_body.c */
void msim_body_begin(msim *m, msim_conn *c);
void msim_body_write(msim *m, msim_conn *c);
void msim_body_end(msim *m, msim_conn *c);
void msim_body_list(msim *m, msim_conn *c);
/* A query parameter, decoded; false when it is not there. */
bool msim_param(const char *url, const char *name, char *out, size_t size);

/* mirror_net.c */
extern const cfi_world msim_net_world;
void msim_net_run(msim *m, msim_feed *f);
int64_t msim_net_due_ms(const msim_feed *f);
/* All that is under way breaks, on this node or (MDB_NODES) on any. */
void msim_net_cut(msim *m, unsigned node);

/* mirror_app.c */
extern const cfi_mirror_world msim_mirror_world;
void msim_app_open(msim_mirror *a);
typedef enum msim_end { MSIM_CLOSE, MSIM_CRASH } msim_end;
void msim_app_end(msim_mirror *a, msim_end how);
/* After a step of one of its feeds. */
void msim_app_after(msim_mirror *a);
void msim_app_read(msim_mirror *a);
/* The table is changed behind the mirror's back. */
void msim_app_plant(msim_mirror *a);

/* mirror_check.c */
bool msim_in_range(const msim_mirror *a, unsigned doc);
void msim_check_put(msim_mirror *a, const changefeed_entry *entry,
                    unsigned *doc, uint32_t *write);
void msim_check_gone(msim_mirror *a, const changefeed_entry *entry,
                     unsigned *doc);
void msim_check_difference(msim_mirror *a, const changefeed_difference *d);
/* The view is what on_put and on_gone have told. */
void msim_check_synced(msim_mirror *a);
/* An older revision is not what the feed alone brings about. */
void msim_check_older(msim_mirror *a, unsigned doc, uint32_t write);
/* Readers see one history only, and nothing out of the range. */
void msim_check_view(msim_mirror *a);
void msim_check_reader(msim_mirror *a);
/* The mirror is the database. why names the moment. */
void msim_check_equal(msim_mirror *a, const char *why);
/* Of a mirror whose audit at the end is over. */
void msim_check_audit(msim_mirror *a);
/* All mirrors say the same of what they have in common. */
void msim_check_agree(msim *m);
/* Every value was freed. */
void msim_check_values(msim_mirror *a);

#endif
