/* The mirror's snapshot when it is not what was written: whatever is wrong is
   told with the file's name, the tree stays empty, and a good snapshot can take
   its place. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "mirror_file.h"

#include <errno.h>
#include <sys/wait.h>

#include "support/failing.h"
#include "support/unit.h"
#include "unit/forged_snapshot.h"
#include "unit/mirror_snapshots.h"
#include "unit/scratch_dir.h"

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static cfi_error error;
static cfi_mirror_file *file;
static cfi_tree *tree;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
    ck_assert_int_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/users.mirror", dir.path);
  values_live = 0;
  file = must_open(&heap, path);
  tree = must_tree(&heap, true);
}

static void teardown(void) {
  cfi_tree_free(tree);
  cfi_mirror_file_close(file);
  ck_assert_int_eq(values_live, 0);
  scratch_end(&dir);
}

/* Few words, for it is called ten thousand times: each ck_assert writes to a
   file of its own. */
static void assert_state(cfi_mirror_file_state state, const char *part) {
  cfi_checkpoint p;
  int rc = cfi_mirror_file_load(file, key_text, &text_codec, tree, &p, &error);

  if (rc != CHANGEFEED_ERR_STORE)
    ck_abort_msg("%s: answered %d", part, rc);
  if (cfi_mirror_file_found(file) != state ||
      strstr(error.text, path) == NULL || strstr(error.text, part) == NULL)
    ck_abort_msg("%s: state %d: %s", part, (int)cfi_mirror_file_found(file),
                 error.text);
  if (cfi_checkpoint_is_damage(&error) != (state == CFI_MIRROR_FILE_DAMAGED))
    ck_abort_msg("%s: damage or not: %s", part, error.text);
  if (cfi_tree_count(tree) != 0 || values_live != 0 || p.feed != NULL)
    ck_abort_msg("%s: something is left", part);
}

static void put_file(const char *data, size_t len) {
  FILE *out = fopen(path, "wb");

  if (out == NULL || fwrite(data, 1, len, out) != len || fclose(out) != 0)
    ck_abort_msg("cannot write %s", path);
}

/* Its bytes, to be freed. */
static char *snapshot(size_t entries, size_t *len) {
  cfi_tree *t = must_tree(&heap, true);
  enum { ROOM = 8000000 };
  char *bytes = malloc(ROOM);

  ck_assert_ptr_nonnull(bytes);
  fill_random(t, 3, entries, true);
  must_save(file, t, &text_codec);
  cfi_tree_free(t);
  *len = scratch_read(&dir, "users.mirror", bytes, ROOM);
  ck_assert_uint_lt(*len, ROOM);
  return bytes;
}

static void assert_flip_refused(char *bytes, size_t len, size_t at, int bit) {
  bytes[at] = (char)((unsigned char)bytes[at] ^ 1U << bit);
  put_file(bytes, len);
  assert_state(CFI_MIRROR_FILE_DAMAGED, "is damaged: ");
  bytes[at] = (char)((unsigned char)bytes[at] ^ 1U << bit);
}

START_TEST(test_mirror_file_with_any_bit_changed_is_refused) {
  size_t len;
  char *bytes = snapshot(12, &len);

  ck_assert_uint_gt(len, 500);
  for (size_t at = 0; at < len; at++)
    for (int bit = 0; bit < 8; bit++)
      assert_flip_refused(bytes, len, at, bit);
  free(bytes);
}
END_TEST

START_TEST(test_mirror_file_with_any_bit_of_many_blocks_changed_is_refused) {
  size_t len;
  char *bytes = snapshot(3000, &len);
  cfi_random random;

  ck_assert_uint_gt(len, 4 * CFI_SNAPSHOT_BLOCK);
  cfi_random_init(&random, 1);
  for (int i = 0; i < 300; i++)
    assert_flip_refused(bytes, len,
                        (size_t)cfi_random_upto(&random, (int64_t)len - 1),
                        (int)cfi_random_upto(&random, 7));
  free(bytes);
}
END_TEST

START_TEST(test_mirror_file_cut_off_anywhere_is_refused) {
  size_t len;
  char *bytes = snapshot(12, &len);

  for (size_t cut = 0; cut < len; cut++) {
    put_file(bytes, cut);
    assert_state(CFI_MIRROR_FILE_DAMAGED,
                 cut == 0 ? "it is empty" : "it has been cut off");
  }
  free(bytes);
}
END_TEST

START_TEST(test_mirror_file_with_more_behind_its_end_is_refused) {
  size_t len;
  char *bytes = snapshot(12, &len);

  bytes[len] = 0;
  put_file(bytes, len + 1);
  assert_state(CFI_MIRROR_FILE_DAMAGED, "behind its end");
  free(bytes);
}
END_TEST

START_TEST(test_mirror_file_of_zeros_is_damage) {
  static const char zeros[5000];

  put_file(zeros, sizeof zeros);
  assert_state(CFI_MIRROR_FILE_DAMAGED, "first line");
  put_file(zeros, 1);
  assert_state(CFI_MIRROR_FILE_DAMAGED, "cut off");
}
END_TEST

/* Where each block begins; the end behind the last. */
static size_t find_blocks(const char *bytes, size_t len, size_t *at,
                          size_t max) {
  const unsigned char *p = (const unsigned char *)bytes;
  cfi_snapshot_head head;
  uint32_t version;
  const char *why;
  size_t count = 0, pos;

  ck_assert_int_eq(
      cfi_snapshot_get_head(p, CFI_SNAPSHOT_HEAD, &head, &version, &why),
      CFI_SNAPSHOT_GOOD);
  pos = CFI_SNAPSHOT_HEAD + head.record_len;
  while (pos < len && count + 1 < max) {
    cfi_snapshot_block b;

    at[count++] = pos;
    cfi_snapshot_get_block(p + pos, &b);
    pos += CFI_SNAPSHOT_BLOCK_HEAD + b.len;
  }
  at[count] = pos;
  return count;
}

/* Each block is whole in itself. */
START_TEST(test_mirror_file_with_blocks_out_of_place_is_refused) {
  size_t len, at[64], count;
  char *bytes = snapshot(3000, &len), *other = malloc(2 * len);

  ck_assert_ptr_nonnull(other);
  count = find_blocks(bytes, len, at, 64);
  ck_assert_uint_ge(count, 4);
  ck_assert_uint_eq(at[count], len);
  for (size_t k = 0; k + 1 < count; k++) {
    size_t one = at[k + 1] - at[k], two = at[k + 2] - at[k + 1];

    memcpy(other, bytes, at[k]); /* swapped with the next */
    memcpy(other + at[k], bytes + at[k + 1], two);
    memcpy(other + at[k] + two, bytes + at[k], one);
    memcpy(other + at[k + 2], bytes + at[k + 2], len - at[k + 2]);
    put_file(other, len);
    assert_state(CFI_MIRROR_FILE_DAMAGED, "is damaged: ");
    memcpy(other, bytes, at[k]); /* left out */
    memcpy(other + at[k], bytes + at[k + 1], len - at[k + 1]);
    put_file(other, len - one);
    assert_state(CFI_MIRROR_FILE_DAMAGED, "is damaged: ");
    memcpy(other, bytes, at[k + 1]); /* twice */
    memcpy(other + at[k + 1], bytes + at[k], len - at[k]);
    put_file(other, len + one);
    assert_state(CFI_MIRROR_FILE_DAMAGED, "is damaged: ");
  }
  free(other);
  free(bytes);
}
END_TEST

/* As after a crash of a disk that had not written all it said: the block of an
   older snapshot stands where a newer one should, with the same ids and
   revisions. */
START_TEST(test_mirror_file_with_a_block_of_an_older_snapshot_is_refused) {
  static char newer[4000], older[4000];
  cfi_tree *t = must_tree(&heap, true);
  size_t len, at[8];

  must_append(t, "a", 1, "1-x", value_new("old", 3));
  must_append(t, "b", 1, "1-x", NULL);
  must_save(file, t, &text_codec);
  len = scratch_read(&dir, "users.mirror", older, sizeof older);
  cfi_tree_clear(t);
  must_append(t, "a", 1, "1-y", value_new("new", 3));
  must_append(t, "b", 1, "1-x", NULL);
  must_save(file, t, &text_codec);
  ck_assert_uint_eq(scratch_read(&dir, "users.mirror", newer, sizeof newer),
                    len);
  cfi_tree_free(t);
  ck_assert_uint_eq(find_blocks(newer, len, at, 8), 1);
  memcpy(newer + at[0], older + at[0], len - at[0]);
  put_file(newer, len);
  assert_state(CFI_MIRROR_FILE_DAMAGED, "checksum of a block");
}
END_TEST

/* ---- right checksums around wrong things ---- */

static const cfi_digest no_digest = {0, 0};

static cfi_digest digest_of(const char *id, const char *rev) {
  changefeed_str i = {id, strlen(id)}, r = {rev, strlen(rev)};

  return cfi_digest_of(i, r);
}

static void assert_forged(forged *f, cfi_mirror_file_state state,
                          const char *part) {
  put_file(cfi_buf_data(&f->bytes), f->bytes.len);
  assert_state(state, part);
  forged_free(f);
}

/* An entry "a" of revision "1-x" without a value, and one of "b". */
static const char entry_a[] = "\1a\0\0031-x\0", entry_b[] = "\1b\0\0031-x\0";
enum { ENTRY = sizeof entry_a - 1 };

/* What the tests below change one thing of. */
START_TEST(test_mirror_file_that_is_forged_well_is_good) {
  cfi_digest sum = cfi_digest_add(digest_of("a", "1-x"), digest_of("b", "1-x"));
  cfi_checkpoint p;
  forged f;

  for (int blocks = 1; blocks <= 2; blocks++) {
    char both[2 * ENTRY];

    memcpy(both, entry_a, ENTRY);
    memcpy(both + ENTRY, entry_b, ENTRY);
    forged_begin(&f, &heap, key_text, 2, sum, true);
    forged_head(&f);
    if (blocks == 1) {
      forged_block(&f, both, sizeof both, 2);
    } else {
      forged_block(&f, entry_a, ENTRY, 1);
      forged_block(&f, entry_b, ENTRY, 1);
    }
    put_file(cfi_buf_data(&f.bytes), f.bytes.len);
    ck_assert_int_eq(
        cfi_mirror_file_load(file, key_text, &text_codec, tree, &p, &error), 0);
    ck_assert_uint_eq(cfi_tree_count(tree), 2);
    cfi_tree_clear(tree);
    cfi_checkpoint_free(&heap, &p);
    forged_free(&f);
  }
}
END_TEST

START_TEST(test_mirror_file_of_a_newer_version_is_refused_and_left_alone) {
  char after[1000];
  size_t len;
  forged f;

  forged_begin(&f, &heap, key_text, 0, no_digest, true);
  forged_head(&f);
  forged_patch(&f, 20, 2);
  len = f.bytes.len;
  assert_forged(&f, CFI_MIRROR_FILE_NEWER, "newer version");
  ck_assert_ptr_nonnull(strstr(error.text, "format 2"));
  ck_assert_int_eq(save_number(&heap, file, 5, 1, &error),
                   CHANGEFEED_ERR_STORE);
  ck_assert_ptr_nonnull(strstr(error.text, "newer version"));
  ck_assert_uint_eq(scratch_read(&dir, "users.mirror", after, sizeof after),
                    len);
}
END_TEST

START_TEST(test_mirror_file_with_a_wrong_head_is_refused) {
  static const struct {
    size_t at;
    uint32_t value;
    const char *part;
  } cases[] = {{20, 0, "version never existed"},
               {24, 3, "version never existed"},
               {24, 0x80000001U, "version never existed"},
               {28, 0, "checksum of its position"}, /* of nothing it is 0 */
               {28, 5, "checksum of its position"},
               {28, 100000, "cut off within its position"},
               {28, 0x40000000U, "position is too long"},
               {28, 0xffffffffU, "position is too long"},
               {32, 1, "different numbers"},
               {36, 1, "different numbers"},
               {40, 1, "digest"},
               {52, 1, "digest"},
               {56, 1, "checksum of its position"}};
  forged f;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    forged_begin(&f, &heap, key_text, 0, no_digest, true);
    forged_head(&f);
    forged_patch(&f, cases[i].at, cases[i].value);
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED, cases[i].part);
  }
}
END_TEST

START_TEST(test_mirror_file_with_a_wrong_position_is_refused) {
  static const char *const records[] = {
      "", "x", "changefeed-checkpoint 1 4 a721da75\nnew\n",
      "changefeed-checkpoint 2 4 a721da75\nnew\n"};
  forged f;

  for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
    forged_begin(&f, &heap, key_text, 0, no_digest, true);
    cfi_buf_clear(&f.record, 0);
    cfi_buf_puts(&f.record, records[i]);
    f.head.record_len = (uint32_t)strlen(records[i]);
    f.head.record_crc = cfi_crc_of(0, records[i], strlen(records[i]));
    forged_head(&f);
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED, "osition");
  }
}
END_TEST

START_TEST(test_mirror_file_with_another_number_of_entries_is_refused) {
  static const uint64_t counts[] = {0, 2, 1000, UINT64_MAX};
  forged f;

  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    forged_begin(&f, &heap, key_text, counts[i], digest_of("a", "1-x"), true);
    forged_head(&f);
    forged_block(&f, entry_a, ENTRY, 1);
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED,
                  counts[i] == 0 ? "behind its end" : "cut off");
  }
}
END_TEST

START_TEST(test_mirror_file_with_another_digest_is_refused) {
  forged f;

  forged_begin(&f, &heap, key_text, 1, digest_of("a", "1-y"), true);
  forged_head(&f);
  forged_block(&f, entry_a, ENTRY, 1);
  assert_forged(&f, CFI_MIRROR_FILE_DAMAGED, "digest");
}
END_TEST

/* 0: in one block, 1: in two. */
START_TEST(test_mirror_file_with_ids_out_of_order_is_refused) {
  static const char *const orders[] = {"ba", "aa", "bb"};

  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
    const char *first = orders[i][0] == 'a' ? entry_a : entry_b;
    const char *second = orders[i][1] == 'a' ? entry_a : entry_b;
    char both[2 * ENTRY];
    forged f;

    memcpy(both, first, ENTRY);
    memcpy(both + ENTRY, second, ENTRY);
    forged_begin(&f, &heap, key_text, 2, no_digest, true);
    forged_head(&f);
    if (_i == 0) {
      forged_block(&f, both, sizeof both, 2);
    } else {
      forged_block(&f, both, ENTRY, 1);
      forged_block(&f, both + ENTRY, ENTRY, 1);
    }
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED, "not in order");
  }
}
END_TEST

START_TEST(test_mirror_file_with_absurd_lengths_is_refused) {
#define BYTES(text) text, sizeof text - 1
#define MANY "\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define HEX16 "0123456789abcdef"
  static const struct {
    const char *payload;
    size_t len;
    uint32_t entries;
    const char *part;
  } cases[] = {
      {BYTES(""), 1, "an entry is not"},
      {BYTES("\1a\0\0031-x\0"), 0, "head of a block"},
      {BYTES("\1a\0\0031-x\0"), 8, "more entries"},
      {BYTES("\1a\0\0031-x\0"), 0xffffffffU, "more entries"},
      {BYTES("\1a\0\0031-x\0"), 2, "an entry is not"},
      {BYTES("\1a\0\0031-x\0\1"), 1, "more than its entries"},
      {BYTES("\1a\0\0031-x\0\1b\0\0031-x\0"), 1, "more than its entries"},
      {BYTES("\1a\0\0031-x"), 1, "an entry is not"},   /* no value */
      {BYTES("\1a\0\0031-x\2"), 1, "an entry is not"}, /* short value */
      {BYTES("\1a\0\0031-x" MANY "\1"), 1, "an entry is not"},
      {BYTES("\1a\0\0041-x"), 1, "an entry is not"}, /* short rev */
      {BYTES("\1a\0" MANY "\1"), 1, "an entry is not"},
      {BYTES("\1a\1"
             "0123456789abcde"),
       1, "an entry is not"},
      {BYTES("\1a"), 1, "an entry is not"}, /* no rev */
      {BYTES("\2a"), 1, "an entry is not"}, /* short id */
      {BYTES(MANY "\1"), 1, "an entry is not"},
      {BYTES(MANY "\2aaaaaa"), 1, "an entry is not"}, /* 65 bits */
      {BYTES("\x81\x80\x80\x80\x80\x80\x80\x80\x80\2"
             "a\0\0031-x\0"),
       1, "an entry is not"},                              /* 2^64 + 1 */
      {BYTES(MANY "\xff\xff\xff"), 1, "an entry is not"},  /* no end */
      {BYTES("\x81\0a\0\0031-x\0"), 1, "an entry is not"}, /* 1 in two bytes */
      {BYTES("\1a" MANY "\1" HEX16 "\0"), 1, "an entry is not"},
      {BYTES("\1a"
             "\x80\x80\x90\xbb\xba\xd6\xad\xf0\x0d" HEX16 "\0"),
       1, "an entry is not"}, /* a generation of 19 digits */
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    forged f;

    forged_begin(&f, &heap, key_text, 7, no_digest, true);
    forged_head(&f);
    forged_block(&f, cases[i].payload, cases[i].len, cases[i].entries);
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED, cases[i].part);
  }
#undef BYTES
#undef MANY
#undef HEX16
}
END_TEST

/* The largest block that was asked for. */
static size_t largest;

static void *watched_resize(void *ctx, void *block, size_t size) {
  (void)ctx;
  if (size > largest)
    largest = size;
  return realloc(block, size);
}

static void watched_release(void *ctx, void *block) {
  (void)ctx;
  free(block);
}

START_TEST(test_mirror_file_takes_no_more_memory_than_it_is_large) {
  static const uint32_t lengths[] = {1000, 1U << 20, 1U << 30, (1U << 30) + 1,
                                     UINT32_MAX};
  static const cfi_alloc watched = {watched_resize, watched_release, NULL};

  cfi_mirror_file_close(file);
  file = must_open(&watched, path);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    forged f;
    unsigned char *head;

    forged_begin(&f, &heap, key_text, 7, no_digest, true);
    forged_head(&f);
    forged_block(&f, entry_a, ENTRY, 1);
    head = (unsigned char *)cfi_buf_data(&f.bytes) + f.bytes.len - ENTRY -
           CFI_SNAPSHOT_BLOCK_HEAD;
    for (unsigned k = 0; k < 4; k++)
      head[k] = (unsigned char)(lengths[i] >> (8 * k));
    largest = 0;
    assert_forged(&f, CFI_MIRROR_FILE_DAMAGED,
                  lengths[i] > 1U << 30 ? "head of a block" : "cut off");
    ck_assert_uint_gt(largest, 0);
    ck_assert_uint_lt(largest, 1000);
  }
}
END_TEST

/* ---- what is no file ---- */

START_TEST(test_mirror_file_that_is_no_file_is_refused) {
  cfi_checkpoint p;

  ck_assert_int_eq(mkdir(path, 0700), 0);
  assert_state(CFI_MIRROR_FILE_UNKNOWN, "directory");
  ck_assert_int_eq(save_number(&heap, file, 5, 1, &error),
                   CHANGEFEED_ERR_STORE);
  ck_assert_int_eq(rmdir(path), 0);
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  assert_state(CFI_MIRROR_FILE_UNKNOWN, "Cannot read");
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(symlink("users.mirror.lock", path), 0);
  assert_state(CFI_MIRROR_FILE_UNKNOWN, "Cannot open");
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(cfi_mirror_file_load(file, key_text, NULL, tree, &p, &error),
                   CHANGEFEED_END);
}
END_TEST

START_TEST(test_mirror_file_that_may_not_be_read_is_refused) {
  cfi_checkpoint p;
  int status;
  pid_t pid;

  ck_assert_int_eq(save_number(&heap, file, 5, 1, &error), 0);
  ck_assert_int_eq(chmod(path, 0), 0);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    /* root ignores modes: somebody else then */
    if (geteuid() == 0 && setuid(65534) != 0)
      _exit(1);
    if (cfi_mirror_file_load(file, key_text, NULL, tree, &p, &error) !=
            CHANGEFEED_ERR_STORE ||
        error.pub.sys_errno != EACCES || strstr(error.text, path) == NULL)
      _exit(2);
    _exit(cfi_mirror_file_found(file) == CFI_MIRROR_FILE_UNKNOWN ? 0 : 3);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- afterwards ---- */

START_TEST(test_mirror_file_that_is_damaged_is_replaced) {
  size_t len;
  char *bytes = snapshot(12, &len);

  for (size_t at = 0; at < len; at += 13) {
    bytes[at] ^= 1;
    put_file(bytes, len);
    bytes[at] ^= 1;
    if (at % 2 == 0) /* whether it was read before or not */
      assert_state(CFI_MIRROR_FILE_DAMAGED, "damaged");
    ck_assert_int_eq(save_number(&heap, file, 5, 1 + at, &error), 0);
    ck_assert_int_eq(load_number(&heap, file, 5, &error), (int64_t)(1 + at));
  }
  free(bytes);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_file_damage");
  TCase *tc = tcase_create("mirror_file_damage");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, test_mirror_file_with_any_bit_changed_is_refused);
  tcase_add_test(
      tc, test_mirror_file_with_any_bit_of_many_blocks_changed_is_refused);
  tcase_add_test(tc, test_mirror_file_cut_off_anywhere_is_refused);
  tcase_add_test(tc, test_mirror_file_with_more_behind_its_end_is_refused);
  tcase_add_test(tc, test_mirror_file_of_zeros_is_damage);
  tcase_add_test(tc, test_mirror_file_with_blocks_out_of_place_is_refused);
  tcase_add_test(tc,
                 test_mirror_file_with_a_block_of_an_older_snapshot_is_refused);
  tcase_add_test(tc, test_mirror_file_that_is_forged_well_is_good);
  tcase_add_test(tc,
                 test_mirror_file_of_a_newer_version_is_refused_and_left_alone);
  tcase_add_test(tc, test_mirror_file_with_a_wrong_head_is_refused);
  tcase_add_test(tc, test_mirror_file_with_a_wrong_position_is_refused);
  tcase_add_test(tc,
                 test_mirror_file_with_another_number_of_entries_is_refused);
  tcase_add_test(tc, test_mirror_file_with_another_digest_is_refused);
  tcase_add_loop_test(tc, test_mirror_file_with_ids_out_of_order_is_refused, 0,
                      2);
  tcase_add_test(tc, test_mirror_file_with_absurd_lengths_is_refused);
  tcase_add_test(tc, test_mirror_file_takes_no_more_memory_than_it_is_large);
  tcase_add_test(tc, test_mirror_file_that_is_no_file_is_refused);
  tcase_add_test(tc, test_mirror_file_that_may_not_be_read_is_refused);
  tcase_add_test(tc, test_mirror_file_that_is_damaged_is_replaced);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
