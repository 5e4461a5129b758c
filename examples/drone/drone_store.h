/*
 * The drone's directory: one drone at a time has it (a lock on the directory
 * itself), and the record in it is replaced whole and durably.
 *
 *   claim           the record; claim.damaged: one that could not be read
 *   keeper          the processes of the running app
 *   run/CLAIM/      where the app works      log/  what it prints
 */
#ifndef DRONE_STORE_H
#define DRONE_STORE_H

#include "drone/drone_record.h"

typedef struct drone_store drone_store;

enum drone_found {
  DRONE_FOUND,  /* the record of the last life */
  DRONE_NEW,    /* none: a first life, or somebody removed it */
  DRONE_DAMAGED /* not readable as one; kept as claim.damaged */
};

/* Makes the directory (mode 0700) unless it is there. NULL with a sentence. */
drone_store *drone_store_open(const char *dir, char *error, size_t error_size);
void drone_store_close(drone_store *s);
const char *drone_store_path(const drone_store *s); /* absolute, resolved */
int drone_store_fd(const drone_store *s);
/* r is overwritten; clear unless DRONE_FOUND. Negative with a sentence in error
   when reading itself fails: then nothing is known and the drone must not go
   on. */
int drone_store_load(drone_store *s, drone_record *r, char *error,
                     size_t error_size);
/* A file that is not to be used is kept as claim.damaged. */
void drone_store_discard(drone_store *s);
/* Durable when it returns 0; otherwise an errno, and what a next life would
   find is either. */
int drone_store_save(drone_store *s, const drone_record *r);
/* A small file that may be lost with the power. 0 or an errno. */
int drone_store_note(drone_store *s, const char *name, const char *data,
                     size_t len);

#endif
