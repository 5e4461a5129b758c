/* The table on the disk: all routes with their revisions, in one file that is
   written beside and renamed, and checked in whole before anything of it is
   used. Also in memory: what a balancer goes on to serve when it has to begin
   anew with its mirror. */
#ifndef BALANCER_SNAPSHOT_H
#define BALANCER_SNAPSHOT_H

#include "balancer/route.h"
#include "changefeed/mirror.h"

typedef struct snapshot snapshot;

typedef struct snapshot_entry {
  const route *route; /* lives as long as the snapshot */
  const char *rev;    /* terminated */
} snapshot_entry;

/* ---- writing ---- */

enum { SNAPSHOT_DATABASE_MOST = 255 };

snapshot *snapshot_new(void); /* NULL for want of memory */
/* In order of the apps' names, each once; a copy of r. What was found in s
   before is not valid any more. false: no memory, or out of order, or rev is
   empty or too long; s is not whole then, and will not be saved. */
bool snapshot_add(snapshot *s, const route *r, const char *rev);
/* What all of this is worth: when it was so (wall clock, milliseconds since
   1970), and in which database; what is over SNAPSHOT_DATABASE_MOST is cut. */
void snapshot_set_about(snapshot *s, int64_t saved_ms, const char *database);
/* Durable when it returns true: fsync of file and directory. Writes PATH.new,
   mode 0600, and renames it. Any thread, while s does not change; who saves to
   the same path meanwhile is told so. */
bool snapshot_save(const snapshot *s, const char *path, char *error,
                   size_t size);

/* ---- reading ---- */

/* NULL with a sentence; *missing: there is no such file. Anything else that is
   wrong (cut, changed, another version, not a file, over 4 GiB) is told, and
   the file left as it is. */
snapshot *snapshot_load(const char *path, bool *missing, char *error,
                        size_t size);
/* The same from memory; for fuzzing. Copies. */
snapshot *snapshot_read(const void *data, size_t len, char *error, size_t size);
size_t snapshot_count(const snapshot *s);
void snapshot_at(const snapshot *s, size_t i, snapshot_entry *out);
int64_t snapshot_saved_ms(const snapshot *s);
const char *snapshot_database(const snapshot *s);
/* As a mirror of these documents has it (changefeed_view_digest over the ids
   "route:NAME"); from, to: ids, or NULL. */
void snapshot_digest(const snapshot *s, const char *from, const char *to,
                     changefeed_digest *digest, uint64_t *count);
/* By app; false: it is not there. */
bool snapshot_find(const snapshot *s, const char *app, snapshot_entry *out);
void snapshot_free(void *s);

#endif
