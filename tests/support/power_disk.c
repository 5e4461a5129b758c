/*
 * The journal is replayed up to the cut with two views of everything: what
 * is surely on the disk, and what came since. Then each choice of what came
 * since is tried: of directory entries all subsets, of the bytes of each file
 * all subsets of its writes, and each write torn, zeroed or rubbish.
 */
#include "support/power_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  ENTRIES = 4096,
  FILES = 256,
  ENTRY_CHANGES = 10, /* the newest that may be lost; older ones are kept */
  WRITES = 6,         /* of one file between two syncs */
  CONTENTS = 256,
  DIRECTORIES = 512
};

typedef enum entry_kind {
  WRITE,
  TRUNCATE,
  SYNC,
  SET,
  UNSET,
  SYNC_DIRECTORY
} entry_kind;

typedef struct entry {
  entry_kind kind;
  int file, name;
  size_t at, len;
  char *data;
} entry;

typedef struct directory {
  int file[POWER_NAMES];
} directory;

typedef struct disk_file {
  power_content synced;
  const entry *pending[WRITES];
  size_t pending_count;
} disk_file;

struct power_disk {
  char names[POWER_NAMES][POWER_NAME_MAX];
  int name_count;
  directory now;
  power_content *contents; /* of each file, as programs see it */
  power_content *first;    /* what they were at the beginning */
  directory begin;
  int begin_count, file_count;
  entry *journal;
  size_t length;
  disk_file *files; /* as replayed */
};

static void must(bool condition, const char *what) {
  if (condition)
    return;
  (void)fprintf(stderr, "power_disk: %s\n", what);
  abort();
}

static void *zeroed(size_t count, size_t size) {
  void *block = calloc(count, size);

  must(block != NULL, "no memory");
  return block;
}

power_disk *power_disk_new(void) {
  power_disk *d = zeroed(1, sizeof *d);
  power_state empty;

  d->contents = zeroed(FILES, sizeof *d->contents);
  d->first = zeroed(FILES, sizeof *d->first);
  d->files = zeroed(FILES, sizeof *d->files);
  d->journal = zeroed(ENTRIES, sizeof *d->journal);
  for (int i = 0; i < POWER_NAMES; i++) {
    empty.file[i] = -1;
    empty.content[i] = NULL;
  }
  power_begin(d, &empty);
  return d;
}

static void clear_journal(power_disk *d) {
  for (size_t i = 0; i < d->length; i++)
    free(d->journal[i].data);
  d->length = 0;
}

void power_disk_free(power_disk *d) {
  if (d == NULL)
    return;
  clear_journal(d);
  free(d->contents);
  free(d->first);
  free(d->files);
  free(d->journal);
  free(d);
}

int power_name(power_disk *d, const char *name) {
  for (int i = 0; i < d->name_count; i++)
    if (strcmp(d->names[i], name) == 0)
      return i;
  must(d->name_count < POWER_NAMES && strlen(name) < POWER_NAME_MAX,
       "too many names");
  (void)strcpy(d->names[d->name_count], name);
  return d->name_count++;
}

const char *power_name_text(const power_disk *d, int name) {
  return name < d->name_count ? d->names[name] : "";
}

/* The state may lie in this disk's own memory. */
void power_begin(power_disk *d, const power_state *s) {
  power_content *fresh = zeroed(FILES, sizeof *fresh);
  int count = 0;

  for (int i = 0; i < POWER_NAMES; i++) {
    d->begin.file[i] = -1;
    for (int k = 0; k < i && s->file[i] >= 0; k++)
      if (s->file[k] == s->file[i])
        d->begin.file[i] = d->begin.file[k];
    if (s->file[i] < 0 || d->begin.file[i] >= 0)
      continue;
    fresh[count] = *s->content[i];
    d->begin.file[i] = count++;
  }
  clear_journal(d);
  memcpy(d->contents, fresh, FILES * sizeof *fresh);
  memcpy(d->first, fresh, FILES * sizeof *fresh);
  free(fresh);
  d->now = d->begin;
  d->begin_count = d->file_count = count;
}

/* ---- the journal ---- */

static entry *add(power_disk *d, entry_kind kind, int file, int name) {
  entry *e = &d->journal[d->length];

  must(d->length < ENTRIES, "the journal is too long");
  memset(e, 0, sizeof *e);
  e->kind = kind;
  e->file = file;
  e->name = name;
  d->length++;
  return e;
}

static void apply(power_content *c, const entry *e) {
  if (e->kind == TRUNCATE) {
    if (e->len > c->len)
      memset(c->data + c->len, 0, e->len - c->len);
    c->len = e->len;
    return;
  }
  if (e->at > c->len)
    memset(c->data + c->len, 0, e->at - c->len);
  memcpy(c->data + e->at, e->data, e->len);
  if (c->len < e->at + e->len)
    c->len = e->at + e->len;
}

static void set(power_disk *d, int name, int file) {
  (void)add(d, SET, file, name);
  d->now.file[name] = file;
}

static void unset(power_disk *d, int name) {
  (void)add(d, UNSET, -1, name);
  d->now.file[name] = -1;
}

int power_open(power_disk *d, int name) {
  if (d->now.file[name] < 0) {
    must(d->file_count < FILES, "too many files");
    set(d, name, d->file_count++);
  }
  return d->now.file[name];
}

void power_write(power_disk *d, int file, size_t at, const void *data,
                 size_t len) {
  entry *e = add(d, WRITE, file, -1);

  must(at <= POWER_FILE_MAX && len <= POWER_FILE_MAX - at, "a file too long");
  e->at = at;
  e->len = len;
  e->data = zeroed(len + 1, 1);
  memcpy(e->data, data, len);
  apply(&d->contents[file], e);
}

void power_truncate(power_disk *d, int file, size_t len) {
  entry *e = add(d, TRUNCATE, file, -1);

  must(len <= POWER_FILE_MAX, "a file too long");
  e->len = len;
  apply(&d->contents[file], e);
}

void power_sync(power_disk *d, int file) { (void)add(d, SYNC, file, -1); }

void power_link(power_disk *d, int from, int to) {
  set(d, to, d->now.file[from]);
}

/* Two names of one file stay as they are: so it is with rename(2). */
void power_rename(power_disk *d, int from, int to) {
  if (d->now.file[from] == d->now.file[to])
    return;
  set(d, to, d->now.file[from]);
  unset(d, from);
}

void power_unlink(power_disk *d, int name) { unset(d, name); }

void power_sync_directory(power_disk *d) {
  (void)add(d, SYNC_DIRECTORY, -1, -1);
}

size_t power_length(const power_disk *d) { return d->length; }

void power_look(power_disk *d, power_state *out) {
  for (int i = 0; i < POWER_NAMES; i++) {
    out->file[i] = d->now.file[i];
    out->content[i] = out->file[i] < 0 ? NULL : &d->contents[out->file[i]];
  }
}

uint64_t power_hash(const power_state *s) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);

  for (int i = 0; i < POWER_NAMES; i++) {
    size_t len = s->content[i] != NULL ? s->content[i]->len : 0;

    h = (h ^ (s->content[i] != NULL ? len + 1 : 0)) * UINT64_C(0x100000001b3);
    for (size_t k = 0; k < len; k++)
      h = (h ^ (unsigned char)s->content[i]->data[k]) * UINT64_C(0x100000001b3);
  }
  return h;
}

/* ---- what a cut may leave ---- */

typedef struct cut {
  power_disk *d;
  directory synced;
  const entry *changes[ENTRY_CHANGES];
  size_t change_count;
  directory *directories; /* the distinct ones */
  size_t directory_count;
  power_content *choices; /* CONTENTS for each name */
  void (*found)(void *user, const power_state *state);
  void *user;
} cut;

static void change(directory *dir, const entry *e) {
  dir->file[e->name] = e->kind == SET ? e->file : -1;
}

static void sync_directory(cut *c) {
  for (size_t i = 0; i < c->change_count; i++)
    change(&c->synced, c->changes[i]);
  c->change_count = 0;
}

static void replay_change(cut *c, const entry *e) {
  if (c->change_count == ENTRY_CHANGES) {
    change(&c->synced, c->changes[0]);
    memmove(c->changes, c->changes + 1,
            (ENTRY_CHANGES - 1) * sizeof(const entry *));
    c->change_count--;
  }
  c->changes[c->change_count++] = e;
}

static void sync_file(disk_file *f) {
  for (size_t i = 0; i < f->pending_count; i++)
    apply(&f->synced, f->pending[i]);
  f->pending_count = 0;
}

static void replay(cut *c, size_t n) {
  power_disk *d = c->d;

  for (int i = 0; i < FILES; i++) {
    d->files[i].synced = d->first[i];
    d->files[i].pending_count = 0;
  }
  c->synced = d->begin;
  for (size_t i = 0; i < n; i++) {
    const entry *e = &d->journal[i];
    disk_file *f = e->file >= 0 ? &d->files[e->file] : NULL;

    switch (e->kind) {
    case WRITE:
    case TRUNCATE:
      must(f->pending_count < WRITES, "too many writes between two syncs");
      f->pending[f->pending_count++] = e;
      break;
    case SYNC:
      sync_file(f);
      break;
    case SET:
    case UNSET:
      replay_change(c, e);
      break;
    case SYNC_DIRECTORY:
      sync_directory(c);
      break;
    }
  }
}

/* Every subset of the changes, in their order. */
static void find_directories(cut *c) {
  for (uint32_t mask = 0; mask < UINT32_C(1) << c->change_count; mask++) {
    directory dir = c->synced;
    bool known = false;

    for (size_t i = 0; i < c->change_count; i++)
      if ((mask >> i & 1) != 0)
        change(&dir, c->changes[i]);
    for (size_t i = 0; i < c->directory_count && !known; i++)
      known = memcmp(&c->directories[i], &dir, sizeof dir) == 0;
    if (known)
      continue;
    must(c->directory_count < DIRECTORIES, "too many directories");
    c->directories[c->directory_count++] = dir;
  }
}

static size_t add_content(power_content *choices, size_t count,
                          const power_content *content) {
  for (size_t i = 0; i < count; i++)
    if (choices[i].len == content->len &&
        memcmp(choices[i].data, content->data, content->len) == 0)
      return count;
  must(count < CONTENTS, "too many contents");
  choices[count] = *content;
  return count + 1;
}

enum { WHOLE, TORN, ZEROS, RUBBISH, FAULTS };

/* A write as the disk may have it. */
static void apply_faulty(power_content *c, const entry *e, int fault) {
  size_t from = fault == TORN ? e->at + e->len / 2 : e->at;

  apply(c, e);
  if (e->kind != WRITE || fault == WHOLE)
    return;
  if (fault == TORN && c->len == e->at + e->len)
    c->len = from;
  else
    memset(c->data + from, fault == RUBBISH ? 0x5a : 0, e->at + e->len - from);
}

/* Every subset of the writes, and in each every fault of its last one, and of
   all of them. */
static size_t find_contents(const disk_file *f, power_content *choices) {
  size_t count = 0;

  for (uint32_t mask = 0; mask < UINT32_C(1) << f->pending_count; mask++)
    for (int fault = 0; fault < FAULTS; fault++)
      for (int all = 0; all < 2; all++) {
        power_content content = f->synced;

        for (size_t i = 0; i < f->pending_count; i++) {
          bool last = mask >> i == 1;

          if ((mask >> i & 1) != 0)
            apply_faulty(&content, f->pending[i],
                         last || all != 0 ? fault : WHOLE);
        }
        count = add_content(choices, count, &content);
      }
  return count;
}

/* Files that have more than one name have one content. */
static void find_states(cut *c, const directory *dir) {
  size_t counts[POWER_NAMES], at[POWER_NAMES] = {0};
  int same_as[POWER_NAMES], i;
  power_state s;

  for (i = 0; i < POWER_NAMES; i++) {
    s.file[i] = dir->file[i];
    s.content[i] = NULL;
    same_as[i] = i;
    counts[i] = 0;
    for (int k = i - 1; k >= 0; k--)
      if (dir->file[i] >= 0 && dir->file[k] == dir->file[i])
        same_as[i] = k;
    if (dir->file[i] >= 0 && same_as[i] == i)
      counts[i] = find_contents(&c->d->files[dir->file[i]],
                                c->choices + (size_t)i * CONTENTS);
  }
  do {
    for (i = 0; i < POWER_NAMES; i++)
      if (dir->file[i] >= 0)
        s.content[i] =
            c->choices + (size_t)same_as[i] * CONTENTS + at[same_as[i]];
    c->found(c->user, &s);
    for (i = 0; i < POWER_NAMES; i++) {
      if (at[i] + 1 < counts[i]) {
        at[i]++;
        break;
      }
      at[i] = 0;
    }
  } while (i < POWER_NAMES);
}

void power_cut(power_disk *d, size_t n,
               void (*found)(void *user, const power_state *state),
               void *user) {
  cut c;

  memset(&c, 0, sizeof c);
  c.d = d;
  c.found = found;
  c.user = user;
  c.directories = zeroed(DIRECTORIES, sizeof *c.directories);
  c.choices = zeroed((size_t)POWER_NAMES * CONTENTS, sizeof *c.choices);
  replay(&c, n);
  find_directories(&c);
  for (size_t i = 0; i < c.directory_count; i++)
    find_states(&c, &c.directories[i]);
  free(c.choices);
  free(c.directories);
}
