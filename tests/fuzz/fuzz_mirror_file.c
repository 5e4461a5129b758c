/*
 * Snapshots of any bytes. The first byte of the input says what the rest is:
 *
 * - a whole file: what is accepted is saved and loaded again as the same; what
 *   is refused leaves nothing;
 * - the entries of one block, in a file that is right around them: accepted if
 *   and only if they are whole and in order;
 * - ids, revisions and values, each up to a line feed: they survive, and must
 *   not be believed any more once a bit has changed or the end is missing.
 */
#define _GNU_SOURCE
#include "fuzz/fuzz.h"

#include <string.h>
#include <unistd.h>

#include "crc.h"
#include "mirror_file.h"
#include "mirror_file_format.h"
#include "str.h"

enum { INPUT_MAX = 20000 };

static char directory[512], path[520], other_path[520];
static char key[] = "db";

/* Nothing here is about power: without this a run takes a hundred times as
   long. The library calls this one. */
int fsync(int fd) { return fd < 0 ? -1 : 0; }

static void remove_directory(void) {
  static const char *const names[] = {"p", "q"};
  static const char *const suffixes[] = {"", ".tmp", ".lock"};

  for (int i = 0; i < 6; i++) {
    char name[600];

    (void)snprintf(name, sizeof name, "%s/%s%s", directory, names[i / 3],
                   suffixes[i % 3]);
    (void)unlink(name);
  }
  (void)rmdir(directory);
}

static void make_directory(void) {
  const char *base = getenv("TMPDIR");

  if (directory[0] != '\0')
    return;
  if (base == NULL)
    base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  (void)snprintf(directory, sizeof directory, "%s/changefeed-fuzz-XXXXXX",
                 base);
  CFT_FUZZ_CHECK(mkdtemp(directory) != NULL);
  (void)snprintf(path, sizeof path, "%s/p", directory);
  (void)snprintf(other_path, sizeof other_path, "%s/q", directory);
  CFT_FUZZ_CHECK(atexit(remove_directory) == 0);
}

static void write_file(const void *data, size_t len) {
  FILE *file = fopen(path, "wb");

  CFT_FUZZ_CHECK(file != NULL && fwrite(data, 1, len, file) == len);
  CFT_FUZZ_CHECK(fclose(file) == 0);
}

/* ---- values: buffers that are counted ---- */

typedef struct value {
  size_t count, len;
  char *data;
} value;

static size_t live; /* counts of all */

static value *value_new(const char *data, size_t len) {
  value *v = calloc(1, sizeof *v);

  CFT_FUZZ_CHECK(v != NULL);
  v->count = 1;
  v->len = len;
  v->data = malloc(len + 1);
  CFT_FUZZ_CHECK(v->data != NULL);
  if (len != 0)
    memcpy(v->data, data, len);
  live++;
  return v;
}

static void keep(void *ctx, void *v) {
  (void)ctx;
  ((value *)v)->count++;
  live++;
}

static void drop(void *ctx, void *v) {
  (void)ctx;
  live--;
  if (--((value *)v)->count == 0) {
    free(((value *)v)->data);
    free(v);
  }
}

static int encode(void *ctx, const cfi_tree_entry *entry, cfi_buf *out,
                  cfi_error *error) {
  const value *v = entry->value;

  (void)ctx;
  (void)error;
  CFT_FUZZ_CHECK(cfi_buf_append(out, v->data, v->len, SIZE_MAX) == CFI_BUF_OK);
  return CHANGEFEED_OK;
}

static int decode(void *ctx, changefeed_str id, changefeed_str rev,
                  changefeed_str bytes, void **out, cfi_error *error) {
  (void)ctx;
  (void)id;
  (void)rev;
  (void)error;
  *out = value_new(bytes.data, bytes.len);
  return CHANGEFEED_OK;
}

static const cfi_tree_values values = {keep, drop, NULL};
static const cfi_mirror_codec codec = {encode, decode, drop, NULL};

/* ---- loading and saving ---- */

static cfi_mirror_content content_of(const cfi_tree *t) {
  cfi_mirror_content c;

  cfi_tree_walk_start(t, (cfi_tree_range){{NULL, 0}, {NULL, 0}}, &c.walk);
  c.count = cfi_tree_count(t);
  c.digest = cfi_tree_digest(t);
  return c;
}

static bool same(const cfi_tree *a, const cfi_tree *b, bool with_values) {
  cfi_tree_walk x = content_of(a).walk, y = content_of(b).walk;
  cfi_tree_entry e, g;

  while (cfi_tree_next(&x, &e)) {
    const value *v = e.value, *w;

    if (!cfi_tree_next(&y, &g) || !cfi_str_same(e.id, g.id) ||
        !cfi_str_same(e.rev, g.rev))
      return false;
    w = g.value;
    if (with_values && ((v == NULL) != (w == NULL) ||
                        (v != NULL && (v->len != w->len ||
                                       memcmp(v->data, w->data, v->len) != 0))))
      return false;
  }
  return !cfi_tree_next(&y, &g);
}

static void save(const cfi_alloc *heap, const char *where, const cfi_tree *t,
                 const cfi_checkpoint *position) {
  cfi_mirror_content content = content_of(t);
  cfi_mirror_file *f;
  cfi_error error;

  CFT_FUZZ_CHECK(cfi_mirror_file_open(heap, where, CFI_MIRROR_FILE_OWN, &f,
                                      &error) == CHANGEFEED_OK);
  CFT_FUZZ_CHECK(cfi_mirror_file_save(f, position, &content, &codec, &error) ==
                 CHANGEFEED_OK);
  cfi_mirror_file_close(f);
}

/* Into a tree, to be freed; NULL when the file was refused, and all that such a
   refusal promises holds. */
static cfi_tree *load(const cfi_alloc *heap, const char *where,
                      bool with_values, cfi_checkpoint *position) {
  cfi_tree *t = cfi_tree_new(heap, with_values ? &values : NULL);
  size_t before = live;
  cfi_mirror_file *f;
  cfi_error error;
  int rc;

  CFT_FUZZ_CHECK(t != NULL);
  CFT_FUZZ_CHECK(cfi_mirror_file_open(heap, where, CFI_MIRROR_FILE_READ, &f,
                                      &error) == CHANGEFEED_OK);
  rc = cfi_mirror_file_load(f, NULL, with_values ? &codec : NULL, t, position,
                            &error);
  CFT_FUZZ_CHECK((rc == CHANGEFEED_OK) ==
                 (cfi_mirror_file_found(f) == CFI_MIRROR_FILE_GOOD));
  cfi_mirror_file_close(f);
  if (rc == CHANGEFEED_OK)
    return t;
  CFT_FUZZ_CHECK(rc == CHANGEFEED_ERR_STORE &&
                 strstr(error.text, where) != NULL);
  CFT_FUZZ_CHECK(cfi_tree_count(t) == 0 && live == before &&
                 position->feed == NULL);
  cfi_tree_free(t);
  return NULL;
}

/* Saved and loaded again it is the same. */
static void check_again(const cfi_alloc *heap, const cfi_tree *t,
                        const cfi_checkpoint *position) {
  cfi_checkpoint p;
  cfi_tree *back;

  save(heap, other_path, t, position);
  back = load(heap, other_path, true, &p);
  CFT_FUZZ_CHECK(back != NULL && same(t, back, true));
  CFT_FUZZ_CHECK(strcmp(p.feed, position->feed) == 0);
  cfi_checkpoint_free(heap, &p);
  cfi_tree_free(back);
  back = load(heap, other_path, false, &p);
  CFT_FUZZ_CHECK(back != NULL && same(t, back, false));
  cfi_checkpoint_free(heap, &p);
  cfi_tree_free(back);
}

/* ---- a whole file ---- */

static void try_file(const cfi_alloc *heap, const void *data, size_t len) {
  cfi_checkpoint p;
  cfi_tree *t;

  write_file(data, len);
  for (int with_values = 0; with_values < 2; with_values++) {
    t = load(heap, path, with_values != 0, &p);
    if (t == NULL)
      continue;
    check_again(heap, t, &p);
    cfi_checkpoint_free(heap, &p);
    cfi_tree_free(t);
  }
}

/* ---- the entries of a block ---- */

typedef struct block {
  cfi_snapshot_head head;
  bool good; /* whole and in order */
} block;

static int compare(changefeed_str a, changefeed_str b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len != 0 ? memcmp(a.data, b.data, len) : 0;

  if (order != 0 || a.len == b.len)
    return order;
  return a.len < b.len ? -1 : 1;
}

static void judge(const unsigned char *at, size_t len, block *out) {
  const unsigned char *end = at + len;
  changefeed_str last = {NULL, 0};
  char room[CFI_TREE_REV_ROOM];
  cfi_snapshot_entry e;

  out->head.has_values = true;
  out->good = len != 0;
  while (at < end) {
    if (!cfi_snapshot_get_entry(&at, end, true, room, &e)) {
      out->good = false;
      return;
    }
    if (out->head.count != 0 && compare(last, e.id) >= 0)
      out->good = false;
    last = e.id;
    out->head.count++;
    out->head.digest =
        cfi_digest_add(out->head.digest, cfi_digest_of(e.id, e.rev));
  }
}

static void try_block(const cfi_alloc *heap, const unsigned char *data,
                      size_t len) {
  unsigned char head[CFI_SNAPSHOT_HEAD] = {0},
                block_head[CFI_SNAPSHOT_BLOCK_HEAD];
  cfi_snapshot_block b = {(uint32_t)len, 0, 0};
  cfi_buf record, file;
  cfi_checkpoint p;
  block right;
  cfi_tree *t;

  memset(&right, 0, sizeof right);
  judge(data, len, &right);
  b.entries = (uint32_t)right.head.count;
  p = (cfi_checkpoint){key, NULL, NULL, NULL, NULL, 0, right.head.count};
  cfi_buf_init(&record, heap);
  cfi_buf_init(&file, heap);
  CFT_FUZZ_CHECK(cfi_checkpoint_encode(&p, &record));
  right.head.record_len = (uint32_t)record.len;
  right.head.record_crc = cfi_crc_of(0, cfi_buf_data(&record), record.len);
  cfi_snapshot_put_head(head, &right.head);
  cfi_snapshot_put_block(block_head, &b, right.head.crc, data);
  cfi_buf_put(&file, (const char *)head, sizeof head);
  cfi_buf_put(&file, cfi_buf_data(&record), record.len);
  cfi_buf_put(&file, (const char *)block_head, sizeof block_head);
  cfi_buf_put(&file, (const char *)data, len);
  CFT_FUZZ_CHECK(cfi_buf_text(&file) != NULL);
  write_file(cfi_buf_data(&file), file.len);
  t = load(heap, path, true, &p);
  CFT_FUZZ_CHECK((t != NULL) == right.good);
  if (t != NULL) {
    check_again(heap, t, &p);
    cfi_checkpoint_free(heap, &p);
    cfi_tree_free(t);
  }
  cfi_buf_free(&record);
  cfi_buf_free(&file);
}

/* ---- entries ---- */

/* Up to the next line feed. */
static changefeed_str line(const char **at, const char *end) {
  changefeed_str text = {*at, 0};

  while (*at < end && **at != '\n')
    ++*at;
  text.len = (size_t)(*at - text.data);
  if (*at < end)
    ++*at;
  return text;
}

static cfi_tree *tree_of(const cfi_alloc *heap, const char *at,
                         const char *end) {
  cfi_tree *t = cfi_tree_new(heap, &values);

  CFT_FUZZ_CHECK(t != NULL);
  while (at < end) {
    changefeed_str id = line(&at, end), rev = line(&at, end),
                   text = line(&at, end);
    value *v = text.len != 0 && text.data[0] == '-'
                   ? NULL
                   : value_new(text.data, text.len);

    CFT_FUZZ_CHECK(cfi_tree_put(t, id, rev, v) != CFI_TREE_NOMEM);
  }
  return t;
}

/* Changed bits and cuts, at places that the input decides. */
static void check_damage(const cfi_alloc *heap) {
  static char bytes[16 * INPUT_MAX];
  FILE *file = fopen(path, "rb");
  cfi_checkpoint p;
  size_t len;

  CFT_FUZZ_CHECK(file != NULL);
  len = fread(bytes, 1, sizeof bytes, file);
  CFT_FUZZ_CHECK(fclose(file) == 0 && len < sizeof bytes);
  for (uint64_t i = 0; i < 4; i++) {
    uint64_t h = cfi_str_hash(i, bytes, len);
    size_t at = (size_t)(h % len);
    char right = bytes[at];

    bytes[at] = (char)((unsigned char)right ^ (1U << (h >> 40) % 8));
    write_file(bytes, len);
    CFT_FUZZ_CHECK(load(heap, path, true, &p) == NULL);
    bytes[at] = right;
    write_file(bytes, at);
    CFT_FUZZ_CHECK(load(heap, path, true, &p) == NULL);
  }
}

static void try_entries(const cfi_alloc *heap, const char *data, size_t len) {
  cfi_checkpoint p = {key, NULL, NULL, NULL, NULL, 0, 0};
  cfi_tree *t = tree_of(heap, data, data + len);

  check_again(heap, t, &p);
  save(heap, path, t, &p);
  check_damage(heap);
  cfi_tree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cfi_alloc heap;

  if (size == 0 || size > INPUT_MAX)
    return 0;
  make_directory();
  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  (void)unlink(path); /* what is not ours would not be replaced */
  (void)unlink(other_path);
  switch (data[0] % 3) {
  case 0:
    try_file(&heap, data + 1, size - 1);
    break;
  case 1:
    try_block(&heap, data + 1, size - 1);
    break;
  default:
    try_entries(&heap, (const char *)data + 1, size - 1);
  }
  CFT_FUZZ_CHECK(live == 0);
  return 0;
}
