/*
 * A state of the disk that power_calls.h records, as files of a directory.
 */
#ifndef CFT_UNIT_POWER_FILES_H
#define CFT_UNIT_POWER_FILES_H

#include "support/power_disk.h"
#include "unit/scratch_dir.h"

/* scratch_write for thousands of files: each ck_assert writes to a file of its
   own. */
static void power_put_file(scratch_dir *dir, const char *name,
                           const power_content *content) {
  FILE *file = fopen(scratch_path(dir, name), "wb");
  bool ok = file != NULL &&
            fwrite(content->data, 1, content->len, file) == content->len;

  if (file == NULL || fclose(file) != 0 || !ok)
    ck_abort_msg("cannot write %s", name);
}

/* Makes the directory what the state says. The lock is away too: to cut an old
   one is slow. */
static void power_put(power_disk *d, const power_state *s, scratch_dir *dir) {
  for (int i = 0; i < POWER_NAMES; i++) {
    const char *name = power_name_text(d, i);
    char first[600], lock[POWER_NAME_MAX + 8];
    int k = 0;

    if (name[0] == '\0')
      continue;
    (void)snprintf(lock, sizeof lock, "%s.lock", name);
    (void)unlink(scratch_path(dir, lock));
    (void)unlink(scratch_path(dir, name));
    if (s->file[i] < 0)
      continue;
    while (s->file[k] != s->file[i])
      k++;
    if (k == i) {
      power_put_file(dir, name, s->content[i]);
      continue;
    }
    (void)snprintf(first, sizeof first, "%s/%s", dir->path,
                   power_name_text(d, k));
    if (link(first, scratch_path(dir, name)) != 0)
      ck_abort_msg("cannot link %s", name);
  }
}

/* Had the store used a call that is not recorded, it would be seen here. */
static void power_assert_recorded(power_disk *d, scratch_dir *dir) {
  power_state now;

  power_look(d, &now);
  for (int i = 0; i < POWER_NAMES; i++) {
    const char *name = power_name_text(d, i);
    char data[POWER_FILE_MAX + 1];
    size_t len;

    if (name[0] == '\0')
      continue;
    ck_assert_msg(scratch_exists(dir, name) == (now.content[i] != NULL),
                  "%s was changed by a call that is not recorded", name);
    if (now.content[i] == NULL)
      continue;
    len = scratch_read(dir, name, data, sizeof data);
    ck_assert_msg(len == now.content[i]->len &&
                      memcmp(data, now.content[i]->data, len) == 0,
                  "%s was written by a call that is not recorded", name);
  }
}

#endif
