/*
 * A directory with any bytes in the three files of a checkpoint: a load tells
 * good, damaged and foreign as the format says it of each file alone; a save
 * after it is there, or has changed nothing; what is not ours is never
 * replaced, and a good record is never lost before the new one is there.
 *
 * Input: for each file (newer, older, aside) a byte that says how it is made
 * (not there, the bytes as they are, a right record around them as its seq, one
 * that is damaged), then their texts, each up to a NUL.
 */
#define _GNU_SOURCE
#include "fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_file.h"
#include "str.h"

enum { NEWER, OLDER, ASIDE, FILES, TEXT_MAX = 2000 };

static const char *const names[FILES] = {"p", "p.prev", "p.tmp"};
static char directory[512], path[520];
static int dir_fd = -1;

/* Nothing here is about power: without this a run takes a hundred times as
   long. The library calls this one. */
int fsync(int fd) { return fd < 0 ? -1 : 0; }

static void remove_directory(void) {
  for (int i = 0; i < FILES; i++)
    (void)unlinkat(dir_fd, names[i], 0);
  (void)unlinkat(dir_fd, "p.lock", 0);
  (void)rmdir(directory);
}

static void make_directory(void) {
  const char *base = getenv("TMPDIR");

  if (dir_fd >= 0)
    return;
  if (base == NULL)
    base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  (void)snprintf(directory, sizeof directory, "%s/changefeed-fuzz-XXXXXX",
                 base);
  CFT_FUZZ_CHECK(mkdtemp(directory) != NULL);
  (void)snprintf(path, sizeof path, "%s/p", directory);
  dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CFT_FUZZ_CHECK(dir_fd >= 0 && atexit(remove_directory) == 0);
}

/* ---- the files ---- */

typedef enum verdict { ABSENT, GOOD, DAMAGED, FOREIGN } verdict;

typedef struct content {
  cfi_buf bytes;
  bool there;
} content;

static void put_record(const cfi_alloc *heap, cfi_buf *out, char *seq) {
  char feed[] = "db";
  cfi_checkpoint c = {feed, seq, NULL, NULL, NULL, 1763860000123, 1};

  cfi_buf_init(out, heap);
  CFT_FUZZ_CHECK(cfi_checkpoint_encode(&c, out));
}

static void make(const cfi_alloc *heap, content *c, uint8_t how, char *text) {
  c->there = how % 4 != 0;
  if (how % 4 < 2) {
    cfi_buf_init(&c->bytes, heap);
    cfi_buf_puts(&c->bytes, text);
    CFT_FUZZ_CHECK(cfi_buf_text(&c->bytes) != NULL);
    return;
  }
  put_record(heap, &c->bytes, text);
  if (how % 4 == 3)
    cfi_buf_data(&c->bytes)[how % c->bytes.len] ^= 0x04;
}

static void write_file(const char *name, const content *c) {
  int fd;

  CFT_FUZZ_CHECK(unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT);
  if (!c->there)
    return;
  fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  CFT_FUZZ_CHECK(fd >= 0);
  CFT_FUZZ_CHECK(write(fd, cfi_buf_data(&c->bytes), c->bytes.len) ==
                 (ssize_t)c->bytes.len);
  CFT_FUZZ_CHECK(close(fd) == 0);
}

/* Does the file hold just these bytes, or is it away with them? */
static bool holds(const char *name, const content *c) {
  char data[4 * TEXT_MAX];
  int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
  ssize_t len;

  if (fd < 0)
    return !c->there;
  len = read(fd, data, sizeof data);
  CFT_FUZZ_CHECK(len >= 0 && close(fd) == 0);
  return c->there && (size_t)len == c->bytes.len &&
         (len == 0 || memcmp(data, cfi_buf_data(&c->bytes), (size_t)len) == 0);
}

static verdict judge(const cfi_alloc *heap, const content *c) {
  cfi_checkpoint record;
  cfi_error error;

  if (!c->there)
    return ABSENT;
  if (cfi_checkpoint_decode(heap, cfi_buf_data(&c->bytes), c->bytes.len,
                            &record, &error) == CHANGEFEED_OK) {
    cfi_checkpoint_free(heap, &record);
    return GOOD;
  }
  return cfi_checkpoint_is_damage(&error) ? DAMAGED : FOREIGN;
}

/* ---- loading and saving ---- */

/* The file that a load must take, -1: none. */
static int source_of(verdict newer, verdict older) {
  if (newer == GOOD)
    return NEWER;
  return newer != FOREIGN && older == GOOD ? OLDER : -1;
}

static void check_load(const cfi_alloc *heap, cfi_store_file *store,
                       const content *files) {
  verdict newer = judge(heap, &files[NEWER]);
  verdict older = judge(heap, &files[OLDER]);
  int source = source_of(newer, older);
  cfi_error warning, error;
  cfi_checkpoint c;
  cfi_buf again;
  int rc = cfi_store_file_load(store, &c, &warning, &error);

  CFT_FUZZ_CHECK((rc == CHANGEFEED_OK) == (source >= 0));
  CFT_FUZZ_CHECK((rc == CHANGEFEED_END) ==
                 (newer == ABSENT && older == ABSENT));
  CFT_FUZZ_CHECK(cfi_store_file_is_damaged(store) ==
                 (source < 0 && rc != CHANGEFEED_END && newer != FOREIGN &&
                  older != FOREIGN));
  if (rc == CHANGEFEED_OK) {
    CFT_FUZZ_CHECK((warning.pub.code != 0) == (source == OLDER));
    cfi_buf_init(&again, heap);
    CFT_FUZZ_CHECK(cfi_checkpoint_encode(&c, &again));
    CFT_FUZZ_CHECK(again.len == files[source].bytes.len &&
                   memcmp(cfi_buf_data(&again),
                          cfi_buf_data(&files[source].bytes), again.len) == 0);
    cfi_buf_free(&again);
    cfi_checkpoint_free(heap, &c);
  } else if (rc != CHANGEFEED_END) {
    CFT_FUZZ_CHECK(rc == CHANGEFEED_ERR_STORE && error.text[0] != '\0');
  }
}

static void check_save(const cfi_alloc *heap, cfi_store_file *store,
                       const content *files) {
  static const content nothing = {.there = false};
  verdict newer = judge(heap, &files[NEWER]);
  char seq[] = "the next one";
  content fresh = {.there = true};
  cfi_error error;
  int rc;

  put_record(heap, &fresh.bytes, seq);
  rc = cfi_store_file_save(store, cfi_buf_data(&fresh.bytes), fresh.bytes.len,
                           &error);
  CFT_FUZZ_CHECK((rc == CHANGEFEED_OK) == (newer != FOREIGN));
  if (rc == CHANGEFEED_OK) {
    CFT_FUZZ_CHECK(holds(names[NEWER], &fresh));
    CFT_FUZZ_CHECK(holds(names[OLDER], &files[newer == GOOD ? NEWER : OLDER]));
    CFT_FUZZ_CHECK(holds(names[ASIDE], &nothing));
  } else {
    for (int i = 0; i < FILES; i++)
      CFT_FUZZ_CHECK(holds(names[i], &files[i]));
  }
  cfi_buf_free(&fresh.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  content files[FILES];
  cfi_store_file *store;
  cfi_error error;
  cfi_alloc heap;
  char *text, *at;

  if (size < FILES || size > TEXT_MAX)
    return 0;
  make_directory();
  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  /* One NUL for each file, so that each has a text. */
  text = at = calloc(size + FILES, 1);
  CFT_FUZZ_CHECK(text != NULL);
  memcpy(text, data + FILES, size - FILES);
  for (int i = 0; i < FILES; i++) {
    make(&heap, &files[i], data[i], at);
    at += strlen(at) + 1;
    write_file(names[i], &files[i]);
  }
  CFT_FUZZ_CHECK(cfi_store_file_open(&heap, path, &store, &error) ==
                 CHANGEFEED_OK);
  if (data[0] < 128)
    check_load(&heap, store, files);
  check_save(&heap, store, files);
  cfi_store_file_close(store);
  for (int i = 0; i < FILES; i++)
    cfi_buf_free(&files[i].bytes);
  free(text);
  return 0;
}
