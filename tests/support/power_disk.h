/*
 * What may be on a disk after a power cut. A journal of what was done to one
 * directory and its files, and from each prefix of it every state that a file
 * system may be found in: what was not synced is there, not there, cut off,
 * zeros or rubbish; of the changes of the directory since its last sync any
 * are there, a rename by halves too. Does nothing to a real disk; the caller
 * tells what happens, and looks at the states.
 */
#ifndef CFT_SUPPORT_POWER_DISK_H
#define CFT_SUPPORT_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POWER_NAMES = 6, POWER_NAME_MAX = 32, POWER_FILE_MAX = 480 };

typedef struct power_content {
  size_t len;
  char data[POWER_FILE_MAX];
} power_content;

/* A directory: which file each name stands for, -1: none, and what is in it. */
typedef struct power_state {
  int file[POWER_NAMES];
  const power_content *content[POWER_NAMES]; /* NULL where there is none */
} power_state;

typedef struct power_disk power_disk;

/* An empty, synced directory. Ends the process when there is no memory. */
power_disk *power_disk_new(void);
void power_disk_free(power_disk *d);

/* The number of a name; the same for the whole life of the disk. */
int power_name(power_disk *d, const char *name);
const char *power_name_text(const power_disk *d, int name);

/* Starts anew from a state, all of it synced; the journal is empty. */
void power_begin(power_disk *d, const power_state *s);

/* What happened. open answers the file, which is made if the name has none. */
int power_open(power_disk *d, int name);
void power_write(power_disk *d, int file, size_t at, const void *data,
                 size_t len);
void power_truncate(power_disk *d, int file, size_t len);
void power_sync(power_disk *d, int file);
void power_link(power_disk *d, int from, int to);
void power_rename(power_disk *d, int from, int to);
void power_unlink(power_disk *d, int name);
void power_sync_directory(power_disk *d);

/* How long the journal is. */
size_t power_length(const power_disk *d);
/* What programs see now; valid until the next call. */
void power_look(power_disk *d, power_state *out);

/* Calls back for each state that a cut behind the first n entries may leave;
   one may come more than once. */
void power_cut(power_disk *d, size_t n,
               void (*found)(void *user, const power_state *state), void *user);

uint64_t power_hash(const power_state *state);

#endif
