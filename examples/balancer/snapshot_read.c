/* A snapshot from its file: nothing of it is used before all of it was looked
   at; see snapshot_int.h. */
#include "balancer/snapshot_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t number(const char *at) {
  uint64_t value;

  memcpy(&value, at, sizeof value);
  return le64toh(value);
}

static uint32_t small_number(const char *at) {
  uint32_t value;

  memcpy(&value, at, sizeof value);
  return le32toh(value);
}

static bool is_zero(const char *at, size_t len) {
  while (len-- != 0)
    if (*at++ != 0)
      return false;
  return true;
}

static const char *check_head(snapshot *s, const char *data, size_t len) {
  static const sip_key key;
  size_t name_len;

  if (len < SNAPSHOT_HEAD + SNAPSHOT_END ||
      memcmp(data, SNAPSHOT_MAGIC, 8) != 0)
    return "it is no snapshot of routes";
  if (small_number(data + 8) != SNAPSHOT_VERSION)
    return "it is of another version of the balancer";
  if (number(data + 16) != len)
    return "it was cut, or has more than it should";
  if (sip_of(&key, data, len - SNAPSHOT_END) != number(data + len - 8))
    return "it is damaged: its checksum is wrong";
  name_len = small_number(data + 12);
  s->begin = SNAPSHOT_HEAD + snapshot_rounded(name_len);
  if (len % SNAPSHOT_UNIT != 0 || name_len > SNAPSHOT_DATABASE_MOST ||
      len - SNAPSHOT_END < s->begin ||
      memchr(data + SNAPSHOT_HEAD, '\0', name_len) != NULL ||
      !is_zero(data + SNAPSHOT_HEAD + name_len,
               s->begin - SNAPSHOT_HEAD - name_len))
    return "its head is not of the right form";
  s->end = len - SNAPSHOT_END;
  s->saved_ms = (int64_t)number(data + 32);
  memcpy(s->database, data + SNAPSHOT_HEAD, name_len);
  return NULL;
}

/* Its size; 0: it is none. */
static size_t check_entry(const char *at, size_t left,
                          char app[NAME_MOST + 1]) {
  const route *r = route_check(at, left);
  const char *rev;
  size_t size, len;

  if (r == NULL)
    return 0;
  size = route_size(r);
  rev = at + size;
  left -= size;
  len = left != 0 ? (unsigned char)*rev : 0;
  if (len == 0 || len > REV_MOST || snapshot_rev_size(len) > left ||
      memchr(rev + 1, '\0', len) != NULL ||
      !is_zero(rev + 1 + len, snapshot_rev_size(len) - 1 - len))
    return 0;
  route_app(r, app);
  return size + snapshot_rev_size(len);
}

static const char *check_entries(snapshot *s, const char *data) {
  char names[2][NAME_MOST + 1] = {"", ""};

  for (size_t at = s->begin; at < s->end;) {
    char *app = names[s->count % 2], *last = names[(s->count + 1) % 2];
    size_t size = check_entry(data + at, s->end - at, app);

    if (size == 0)
      return "an entry is no route with a revision";
    if (strcmp(last, app) >= 0)
      return "an entry is not in order";
    if (!snapshot_note(s, at))
      return "there is no memory for it";
    at += size;
  }
  return NULL;
}

const char *snapshot_take(snapshot *s, text *file, size_t *entry) {
  const char *data = file->data, *wrong;

  *entry = 0;
  wrong = check_head(s, data, file->len);
  if (wrong != NULL)
    return wrong;
  wrong = check_entries(s, data);
  if (wrong != NULL) {
    *entry = s->count + 1;
    return wrong;
  }
  if (s->count != number(data + 24))
    return "it does not have as many entries as it says";
  s->data = *file;
  *file = (text)TEXT_INIT;
  return NULL;
}

/* path NULL: it has none. */
static snapshot *from_file(text *file, const char *path, char *error,
                           size_t size) {
  snapshot *s = snapshot_new();
  size_t entry = 0;
  const char *wrong =
      s != NULL ? snapshot_take(s, file, &entry) : "there is no memory for it";

  text_free(file);
  if (wrong == NULL)
    return s;
  snapshot_free(s);
  (void)snprintf(error, size, "the snapshot%s%.200s cannot be used: %s",
                 path != NULL ? " " : "", path != NULL ? path : "", wrong);
  if (entry != 0) {
    size_t len = strlen(error);

    (void)snprintf(error + len, size - len, " (number %zu)", entry);
  }
  return NULL;
}

snapshot *snapshot_read(const void *data, size_t len, char *error,
                        size_t size) {
  text file = TEXT_INIT;

  text_add(&file, data, len);
  if (file.failed) {
    (void)snprintf(error, size, "there is no memory for the snapshot");
    return NULL;
  }
  return from_file(&file, NULL, error, size);
}

/* ---- files ---- */

/* All of it in one piece, as long as it is now. 0 or an errno. */
static int read_whole(int fd, text *file) {
  struct stat st;

  if (fstat(fd, &st) != 0)
    return errno;
  if (!S_ISREG(st.st_mode))
    return EINVAL;
  if ((uint64_t)st.st_size > SNAPSHOT_MOST)
    return EFBIG;
  file->cap = (size_t)st.st_size + 1;
  file->data = malloc(file->cap);
  if (file->data == NULL)
    return ENOMEM;
  while (file->len < file->cap - 1) {
    ssize_t n = read(fd, file->data + file->len, file->cap - 1 - file->len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    if (n == 0)
      break; /* cut meanwhile, as its head will tell */
    file->len += (size_t)n;
  }
  file->data[file->len] = '\0';
  return 0;
}

static const char *reason(int failed) {
  if (failed == EINVAL)
    return "it is not a file";
  return failed == EFBIG ? "it is over 4 GiB" : strerror(failed);
}

snapshot *snapshot_load(const char *path, bool *missing, char *error,
                        size_t size) {
  text file = TEXT_INIT;
  /* Should it be a pipe, nobody waits for its other end. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  int failed = fd >= 0 ? read_whole(fd, &file) : errno;

  *missing = fd < 0 && failed == ENOENT;
  if (fd >= 0)
    (void)close(fd);
  if (failed == 0)
    return from_file(&file, path, error, size);
  text_free(&file);
  (void)snprintf(error, size, "the snapshot %.200s cannot be read: %s", path,
                 reason(failed));
  return NULL;
}
