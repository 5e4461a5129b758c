/*
 * A directory of a test's own, with the few things that tests of stores do to
 * files. The path is absolute; scratch_end removes the directory and the files
 * in it.
 */
#ifndef CFT_UNIT_SCRATCH_DIR_H
#define CFT_UNIT_SCRATCH_DIR_H

#include <check.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scratch_dir {
  char path[512];
  char text[1024]; /* what scratch_path answered last */
} scratch_dir;

static inline void scratch_begin(scratch_dir *d) {
  const char *base = getenv("TMPDIR");

  (void)snprintf(d->path, sizeof d->path, "%s/changefeed-test-XXXXXX",
                 base != NULL ? base : "/tmp");
  ck_assert_msg(mkdtemp(d->path) != NULL, "cannot create %s", d->path);
}

/* The path of a file in it; valid until the next call. */
static inline const char *scratch_path(scratch_dir *d, const char *name) {
  (void)snprintf(d->text, sizeof d->text, "%s/%s", d->path, name);
  return d->text;
}

static inline void scratch_end(scratch_dir *d) {
  DIR *dir = opendir(d->path);
  struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir(dir)) != NULL)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      (void)remove(scratch_path(d, entry->d_name));
  (void)closedir(dir);
  ck_assert_int_eq(rmdir(d->path), 0);
}

static inline bool scratch_exists(scratch_dir *d, const char *name) {
  struct stat info;

  return lstat(scratch_path(d, name), &info) == 0;
}

static inline void scratch_write(scratch_dir *d, const char *name,
                                 const void *data, size_t len) {
  FILE *file = fopen(scratch_path(d, name), "wb");

  ck_assert_msg(file != NULL, "cannot write %s", d->text);
  ck_assert_uint_eq(fwrite(data, 1, len, file), len);
  ck_assert_int_eq(fclose(file), 0);
}

/* Its length; at most size bytes are read. */
static inline size_t scratch_read(scratch_dir *d, const char *name, void *data,
                                  size_t size) {
  FILE *file = fopen(scratch_path(d, name), "rb");
  size_t len;

  ck_assert_msg(file != NULL, "cannot read %s", d->text);
  len = fread(data, 1, size, file);
  ck_assert(!ferror(file));
  (void)fclose(file);
  return len;
}

#endif
