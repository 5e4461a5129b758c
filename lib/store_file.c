/*
 * The checkpoint file: which of its two copies is believed, and which may be
 * replaced. file_write does the rest.
 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "store_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "file_write.h"

/* A record holds a seq and a key; a file beyond this is none. */
enum { RECORD_MAX = 64 * 1024 * 1024 };

struct cfi_store_file {
  cfi_file file;
  bool newer_is_good; /* known to hold a valid record */
  bool damaged;       /* the last load found only damage */
};

static const cfi_file_kind kind = {"checkpoint",
                                   "checkpoint=file:/var/lib/app/feed.pos"};

int cfi_store_file_open(const cfi_alloc *alloc, const char *path,
                        cfi_store_file **out, cfi_error *error) {
  cfi_store_file *s = cfi_calloc(alloc, 1, sizeof *s);
  int rc;

  *out = NULL;
  if (s == NULL)
    return cfi_error_set(error, CHANGEFEED_ERR_NOMEM,
                         "There was no memory for the checkpoint file.");
  rc = cfi_file_open(&s->file, alloc, &kind, path, error);
  if (rc == CHANGEFEED_OK)
    rc = cfi_file_lock(&s->file, error);
  if (rc == CHANGEFEED_OK)
    *out = s;
  else
    cfi_store_file_close(s);
  return rc;
}

void cfi_store_file_close(cfi_store_file *s) {
  if (s == NULL)
    return;
  cfi_file_close(&s->file);
  cfi_free(s->file.alloc, s);
}

/* ---- loading ---- */

/* The whole of a file into out; 0 or an errno. */
static int read_all(int fd, cfi_buf *out) {
  char piece[4096];
  size_t n;

  do {
    int number = cfi_file_read(fd, piece, sizeof piece, &n);

    if (number != 0)
      return number;
    switch (cfi_buf_append(out, piece, n, RECORD_MAX)) {
    case CFI_BUF_OK:
      break;
    case CFI_BUF_FULL:
      return EFBIG;
    default:
      return ENOMEM;
    }
  } while (n == sizeof piece);
  return 0;
}

/* The bytes of one of the two copies. OK, END (not there), ERR_STORE,
   ERR_NOMEM. */
static int read_copy(const cfi_store_file *s, cfi_file_name name, cfi_buf *out,
                     cfi_error *error) {
  uint64_t size;
  int number, fd;
  int rc = cfi_file_open_to_read(&s->file, name, &fd, &size, error);

  if (rc != CHANGEFEED_OK)
    return rc;
  number = read_all(fd, out);
  (void)close(fd); /* nothing was written */
  if (number == ENOMEM)
    return cfi_file_no_memory(&s->file, error);
  return number == 0 ? CHANGEFEED_OK
                     : cfi_file_fail(&s->file, "read", name, number, error);
}

/* The same, decoded. */
static int load_copy(const cfi_store_file *s, cfi_file_name name,
                     cfi_checkpoint *out, cfi_error *error) {
  cfi_error inner;
  cfi_buf data;
  int rc;

  cfi_buf_init(&data, s->file.alloc);
  rc = read_copy(s, name, &data, error);
  if (rc == CHANGEFEED_OK) {
    rc = cfi_checkpoint_decode(s->file.alloc, cfi_buf_data(&data), data.len,
                               out, &inner);
    if (rc != CHANGEFEED_OK) {
      (void)cfi_error_set(error, rc, "%s%s: %s", s->file.path,
                          cfi_file_suffix(name), inner.text);
      error->pub.sys_errno = inner.pub.sys_errno;
    }
  }
  cfi_buf_free(&data);
  return rc;
}

/* The newer copy is no use. The older one may stand in for one that is missing
   or damaged, not for one that this library must not touch. */
static int load_older(const cfi_store_file *s, int newer_rc,
                      const cfi_error *newer, cfi_checkpoint *out,
                      cfi_error *warning, cfi_error *error) {
  cfi_error older;
  int rc = load_copy(s, CFI_FILE_PREV, out, &older);

  if (rc == CHANGEFEED_OK) {
    if (newer_rc == CHANGEFEED_END)
      (void)cfi_error_set(warning, CHANGEFEED_ERR_STORE,
                          "%s is missing; the older position in %s.prev is "
                          "used.",
                          s->file.path, s->file.path);
    else
      (void)cfi_error_set(warning, CHANGEFEED_ERR_STORE,
                          "%s The older position in %s.prev is used.",
                          newer->text, s->file.path);
    return CHANGEFEED_OK;
  }
  if (rc == CHANGEFEED_ERR_NOMEM || newer_rc == CHANGEFEED_END) {
    if (rc != CHANGEFEED_END)
      cfi_error_copy(error, &older);
    return rc;
  }
  (void)cfi_error_set(error, CHANGEFEED_ERR_STORE, "%s %s", newer->text,
                      rc == CHANGEFEED_END ? "There is no older copy."
                                           : older.text);
  /* Nothing good is left only when the older copy is known to be bad too. */
  error->pub.sys_errno =
      rc == CHANGEFEED_END ? newer->pub.sys_errno : older.pub.sys_errno;
  return CHANGEFEED_ERR_STORE;
}

static int load(cfi_store_file *s, cfi_checkpoint *out, cfi_error *warning,
                cfi_error *error) {
  cfi_error newer;
  int rc;

  memset(out, 0, sizeof *out);
  cfi_error_clear(warning);
  rc = load_copy(s, CFI_FILE_ITSELF, out, &newer);
  s->newer_is_good = rc == CHANGEFEED_OK;
  if (rc == CHANGEFEED_OK)
    return rc;
  if (rc == CHANGEFEED_END || cfi_checkpoint_is_damage(&newer))
    return load_older(s, rc, &newer, out, warning, error);
  cfi_error_copy(error, &newer);
  return rc;
}

int cfi_store_file_load(cfi_store_file *s, cfi_checkpoint *out,
                        cfi_error *warning, cfi_error *error) {
  int rc = load(s, out, warning, error);

  s->damaged = rc == CHANGEFEED_ERR_STORE && cfi_checkpoint_is_damage(error);
  return rc;
}

bool cfi_store_file_is_damaged(const cfi_store_file *s) { return s->damaged; }

/* ---- saving ---- */

/* A synced file of these bytes, or none. */
static int write_new(const cfi_store_file *s, cfi_file_name name,
                     const char *data, size_t len, cfi_error *error) {
  int fd, rc = cfi_file_create(&s->file, name, &fd, error);

  if (rc != CHANGEFEED_OK)
    return rc;
  return cfi_file_finish(&s->file, name, fd, cfi_file_write(fd, data, len),
                         error);
}

/* Is the newer copy worth to be kept as the older one? A damaged one must not
   push out the good copy that stood in for it. OK, or why nothing may be put in
   its place. */
static int judge_newer(cfi_store_file *s, cfi_error *error) {
  cfi_checkpoint record;
  int rc;

  if (s->newer_is_good)
    return CHANGEFEED_OK;
  rc = load_copy(s, CFI_FILE_ITSELF, &record, error);
  if (rc == CHANGEFEED_OK) {
    cfi_checkpoint_free(s->file.alloc, &record);
    s->newer_is_good = true;
  }
  if (rc == CHANGEFEED_END ||
      (rc == CHANGEFEED_ERR_STORE && cfi_checkpoint_is_damage(error)))
    return CHANGEFEED_OK;
  return rc;
}

/* PATH itself is never away: a second link where the file system has links,
   else a second file. Renamed to PATH.prev, it could be lost to a power cut
   that keeps the one half of the renaming only. */
static int keep_previous(const cfi_store_file *s, cfi_error *error) {
  int dir = s->file.dir_fd;
  const char *prev = s->file.names[CFI_FILE_PREV];
  cfi_buf data;
  int rc;

  if (unlinkat(dir, prev, 0) != 0 && errno != ENOENT)
    return cfi_file_fail(&s->file, "remove", CFI_FILE_PREV, errno, error);
  if (linkat(dir, s->file.names[CFI_FILE_ITSELF], dir, prev, 0) == 0)
    return CHANGEFEED_OK;
  cfi_buf_init(&data, s->file.alloc);
  rc = read_copy(s, CFI_FILE_ITSELF, &data, error);
  if (rc == CHANGEFEED_OK)
    rc = write_new(s, CFI_FILE_PREV, cfi_buf_data(&data), data.len, error);
  cfi_buf_free(&data);
  /* Somebody removed it: then there is nothing to keep. */
  return rc == CHANGEFEED_END ? CHANGEFEED_OK : rc;
}

int cfi_store_file_save(cfi_store_file *s, const char *data, size_t len,
                        cfi_error *error) {
  int rc = judge_newer(s, error);

  if (rc == CHANGEFEED_OK)
    rc = write_new(s, CFI_FILE_ASIDE, data, len, error);
  if (rc != CHANGEFEED_OK)
    return rc;
  if (s->newer_is_good)
    rc = keep_previous(s, error);
  s->newer_is_good = false; /* unless it is replaced, look again */
  if (rc == CHANGEFEED_OK)
    return cfi_file_replace(&s->file, &s->newer_is_good, error);
  cfi_file_remove(&s->file, CFI_FILE_ASIDE);
  return rc;
}
