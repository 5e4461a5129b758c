/*
 * Opening a snapshot's path, and telling what stands there.
 */
#include "mirror_file.h"

#include <errno.h>

#include "mirror_file_int.h"

static const cfi_file_kind kind = {"snapshot", "/var/lib/app/users.mirror"};

int cfi_mirror_file_open(const cfi_alloc *alloc, const char *path,
                         cfi_mirror_file_mode mode, cfi_mirror_file **out,
                         cfi_error *error) {
  cfi_mirror_file *f = cfi_calloc(alloc, 1, sizeof *f);
  int rc;

  *out = NULL;
  if (f == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                         "There was no memory for the snapshot file.");
  rc = cfi_file_open(&f->file, alloc, &kind, path, error);
  if (rc == CHANGEFEED_OK && mode == CFI_MIRROR_FILE_OWN) {
    rc = cfi_file_lock(&f->file, error);
    f->owned = rc == CHANGEFEED_OK;
  }
  if (rc != CHANGEFEED_OK) {
    cfi_mirror_file_close(f);
    return rc;
  }
  /* It may be large. If this fails the next save will tell. */
  if (f->owned)
    cfi_file_remove(&f->file, CFI_FILE_ASIDE);
  *out = f;
  return CHANGEFEED_OK;
}

void cfi_mirror_file_close(cfi_mirror_file *f) {
  const cfi_alloc *alloc;

  if (f == NULL)
    return;
  alloc = f->file.alloc;
  cfi_file_close(&f->file);
  cfi_free(alloc, f);
}

cfi_mirror_file_state cfi_mirror_file_found(const cfi_mirror_file *f) {
  return f->found;
}

int cfi_mirror_file_damaged(cfi_mirror_file *f, const char *why,
                            cfi_error *error) {
  f->found = CFI_MIRROR_FILE_DAMAGED;
  (void)cfi_error_set(error, CHANGEFEED_ERR_STORE,
                      "The snapshot %s is damaged: %s.", f->file.path, why);
  error->pub.sys_errno = EBADMSG;
  return CHANGEFEED_ERR_STORE;
}

int cfi_mirror_file_judge(cfi_mirror_file *f, const unsigned char *data,
                          size_t len, cfi_snapshot_head *head,
                          cfi_error *error) {
  const char *why = NULL;
  uint32_t version = 0;

  switch (cfi_snapshot_get_head(data, len, head, &version, &why)) {
  case CFI_SNAPSHOT_GOOD:
    f->found = CFI_MIRROR_FILE_GOOD;
    return CHANGEFEED_OK;
  case CFI_SNAPSHOT_NEWER:
    f->found = CFI_MIRROR_FILE_NEWER;
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "The snapshot %s was written by a newer version of "
                         "the library (format %llu; this one reads up to %d).",
                         f->file.path, (unsigned long long)version,
                         (int)CFI_SNAPSHOT_VERSION);
  case CFI_SNAPSHOT_FOREIGN:
    f->found = CFI_MIRROR_FILE_FOREIGN;
    return cfi_error_set(error, CHANGEFEED_ERR_STORE,
                         "%s is no snapshot, but something that another "
                         "program wrote.",
                         f->file.path);
  case CFI_SNAPSHOT_DAMAGED:
    break;
  }
  return cfi_mirror_file_damaged(f, why, error);
}
