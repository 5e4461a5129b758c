/*
 * A database as mirror and diff hold it: a mirror with what is told of it on
 * standard error, or a snapshot that was read from its file.
 */
#ifndef CLI_REPLICA_H
#define CLI_REPLICA_H

#include "lines.h"
#include "stage.h"

typedef struct replica {
  const args *args;
  report report;
  lines *lines;              /* for differences an audit finds */
  char *of;                  /* the URL without credentials, or the path */
  changefeed_mirror *mirror; /* one of these two */
  changefeed_snapshot *snapshot;
  unsigned syncs;
  bool over;
  int code; /* of the error that ended it, 0: none */
  char why[1024];
  /* the last audit, and what all have found */
  bool audited;
  changefeed_audit audit;
  uint64_t differences, unsettled;
} replica;

/* side: "A", "B" or NULL. */
void replica_init(replica *r, stage *s, const char *side, lines *l);
/* EXIT_OK, or an exit status after a message. config's callbacks are set
   here. */
int replica_open(replica *r, changefeed_loop *loop, changefeed_options *options,
                 changefeed_mirror_config *config);
int replica_read(replica *r, const char *path);
void replica_close(replica *r);

/* It has been in step, and is now, as far as anybody knows. */
bool replica_is_live(const replica *r);
const changefeed_view *replica_view(replica *r);
/* Its error as a message, when it has failed. */
bool replica_tell_failure(replica *r);

/* replica_report.c */
void replica_tell_synced(replica *r);
void replica_tell_stale(replica *r, int64_t ms);
void replica_tell_fresh(replica *r);
void replica_tell_stats(replica *r);
void replica_tell_difference(replica *r, const changefeed_difference *d);
void replica_tell_audit(replica *r);
uint64_t replica_documents(replica *r);
/* How often the snapshot was saved, and could not be. */
void replica_saves(replica *r, uint64_t *saves, uint64_t *errors);

/* The progress line of one or two replicas that are being read: draws it when
   it is due; how long until then, -1: there is none. */
typedef struct progress {
  int64_t next_ms, rate_ms;
  uint64_t rate_from;
  double rate;
} progress;
int progress_tick(progress *p, stage *s, replica *replicas, int count);
/* Words in its place. */
void progress_show(stage *s, const char *words);
bool progress_is_shown(const stage *s);

#endif
