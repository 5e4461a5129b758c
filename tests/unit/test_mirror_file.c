/* The mirror's snapshot: what is saved comes back, for whom it is locked, and
   what may be replaced. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "mirror_file.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "support/failing.h"
#include "support/unit.h"
#include "unit/mirror_snapshots.h"
#include "unit/scratch_dir.h"

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];
static cfi_error error;

static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/users.mirror", dir.path);
  values_live = 0;
}

static void teardown(void) {
  ck_assert_int_eq(values_live, 0);
  scratch_end(&dir);
}

static void assert_error(int rc, int expected, const char *part) {
  ck_assert_msg(rc == expected, "answered %d: %s", rc, error.text);
  ck_assert_msg(strstr(error.text, part) != NULL, "%s", error.text);
}

static void assert_refused(const char *where, const char *part) {
  cfi_mirror_file *f;

  assert_error(
      cfi_mirror_file_open(&heap, where, CFI_MIRROR_FILE_OWN, &f, &error),
      CHANGEFEED_ERR_STORE, part);
  ck_assert_ptr_null(f);
}

/* ---- what is saved comes back ---- */

static void assert_round_trip(uint64_t seed, size_t entries, bool values) {
  cfi_tree *t = must_tree(&heap, values), *back = must_tree(&heap, values);
  const cfi_mirror_codec *codec = values ? &text_codec : NULL;
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_checkpoint p;
  int rc;

  fill_random(t, seed, entries, values);
  must_save(f, t, codec);
  rc = cfi_mirror_file_load(f, key_text, codec, back, &p, &error);
  ck_assert_msg(rc == CHANGEFEED_OK, "seed %d: %s", (int)seed, error.text);
  ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_GOOD);
  ck_assert_msg(same_trees(t, back, values), "seed %d", (int)seed);
  ck_assert_uint_eq(p.rows, entries);
  cfi_checkpoint_free(&heap, &p);
  cfi_tree_free(t);
  cfi_tree_free(back);
  cfi_mirror_file_close(f);
}

START_TEST(test_mirror_file_brings_back_what_was_saved) {
  static const size_t sizes[] = {0, 1, 2, 17, 300, 5000};

  for (uint64_t seed = 1; seed <= 20; seed++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      if (sizes[i] < 5000 || seed == 1)
        assert_round_trip(seed, sizes[i], _i == 1);
}
END_TEST

START_TEST(test_mirror_file_brings_back_the_position) {
  char uuid[] = "85fb71bf700c17267fef77535820e371", start[] = "0",
       marker[] = "a marker";
  cfi_checkpoint p = {key_text, seq_text, uuid, start, marker, -5, 99}, q;
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  cfi_mirror_content content;

  fill_plain(t, 3, 1);
  content = content_of(t);
  ck_assert_int_eq(cfi_mirror_file_save(f, &p, &content, NULL, &error), 0);
  cfi_tree_clear(t);
  ck_assert_int_eq(cfi_mirror_file_load(f, key_text, NULL, t, &q, &error), 0);
  ck_assert_str_eq(q.feed, key_text);
  ck_assert_str_eq(q.seq, seq_text);
  ck_assert_str_eq(q.server_uuid, uuid);
  ck_assert_str_eq(q.instance_start_time, start);
  ck_assert_str_eq(q.marker, marker);
  ck_assert_int_eq(q.saved_ms, -5);
  ck_assert_uint_eq(q.rows, 3);
  cfi_checkpoint_free(&heap, &q);

  /* Nothing known is not the same as something empty. */
  p.seq = p.server_uuid = p.instance_start_time = p.marker = NULL;
  content = content_of(t);
  ck_assert_int_eq(cfi_mirror_file_save(f, &p, &content, NULL, &error), 0);
  cfi_tree_clear(t);
  ck_assert_int_eq(cfi_mirror_file_load(f, NULL, NULL, t, &q, &error), 0);
  ck_assert_ptr_null(q.seq);
  ck_assert_ptr_null(q.server_uuid);
  ck_assert_ptr_null(q.instance_start_time);
  ck_assert_ptr_null(q.marker);
  cfi_checkpoint_free(&heap, &q);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_that_is_not_there_is_no_snapshot) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  cfi_checkpoint p;

  ck_assert_int_eq(cfi_mirror_file_load(f, key_text, NULL, t, &p, &error),
                   CHANGEFEED_END);
  ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_ABSENT);
  ck_assert_ptr_null(p.feed);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
  cfi_mirror_file_close(NULL);
  cfi_mirror_writer_free(NULL);
}
END_TEST

static int digit(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *at = c != '\0' ? strchr(digits, c) : NULL;

  return at != NULL ? (int)(at - digits) : -1;
}

/* The example of docs/snapshot-format.md: lines of an offset, two spaces and
   bytes, as hexdump -C writes them. */
static size_t documented(unsigned char *out, size_t size) {
  char line[256];
  size_t len = 0;
  FILE *doc;

  ck_assert_ptr_nonnull(getenv("CFT_SOURCE_DIR"));
  (void)snprintf(line, sizeof line, "%s/docs/snapshot-format.md",
                 getenv("CFT_SOURCE_DIR"));
  doc = fopen(line, "r");
  ck_assert_ptr_nonnull(doc);
  while (fgets(line, sizeof line, doc) != NULL) {
    char offset[16];

    (void)snprintf(offset, sizeof offset, "%08x  ", (unsigned)len);
    if (strncmp(line, offset, 10) != 0)
      continue;
    for (const char *p = line + 10; *p != '|' && *p != '\0'; p++) {
      if (digit(p[0]) < 0)
        continue;
      ck_assert_int_ge(digit(p[1]), 0);
      ck_assert_uint_lt(len, size);
      out[len++] = (unsigned char)(digit(p[0]) << 4 | digit(p[1]));
      p++;
    }
  }
  (void)fclose(doc);
  return len;
}

/* So it is the same on every machine, and in every version to come. */
START_TEST(test_mirror_file_has_the_documented_bytes) {
  unsigned char bytes[1000], expected[1000];
  char key[] = "db&include_docs=true", seq[] = "7-g1AAAA";
  cfi_checkpoint p = {key, seq, NULL, NULL, NULL, 1763860000123, 0};
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true);
  cfi_mirror_content content;
  size_t len;

  must_append(t, "ada", 3, "1-967a00dff5e02add41819138abb3284d",
              value_new("{\"n\":1}", 7));
  must_append(t, "bob", 3, "300-7051cbe5c8faecd085a3fa619e6e6337", NULL);
  must_append(t, "eve", 3, "odd", value_new("{}", 2));
  content = content_of(t);
  ck_assert_int_eq(cfi_mirror_file_save(f, &p, &content, &text_codec, &error),
                   0);
  len = scratch_read(&dir, "users.mirror", bytes, sizeof bytes);
  ck_assert_uint_eq(len, documented(expected, sizeof expected));
  ck_assert_mem_eq(bytes, expected, len);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* ---- small steps ---- */

START_TEST(test_mirror_file_written_in_steps_is_the_same) {
  static char once[4000000], again[4000000];
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true);
  size_t steps = 0, len;
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 1763860000123, 0};
  cfi_mirror_content content;
  cfi_mirror_writer *w;
  int rc;

  fill_random(t, 5, 2000, true);
  must_save(f, t, &text_codec);
  len = scratch_read(&dir, "users.mirror", once, sizeof once);
  ck_assert_uint_lt(len, sizeof once);
  ck_assert_int_eq(unlink(path), 0);

  content = content_of(t);
  rc = cfi_mirror_writer_begin(f, &p, &content, &text_codec, &w, &error);
  ck_assert_int_eq(rc, CHANGEFEED_OK);
  do {
    ck_assert(!scratch_exists(&dir, "users.mirror"));
    rc = cfi_mirror_writer_step(w, 7, &error);
    steps++;
  } while (rc == CHANGEFEED_TIMEOUT);
  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  ck_assert_uint_ge(steps, 2000 / 7);
  /* It is over. */
  ck_assert_int_eq(cfi_mirror_writer_step(w, 7, &error), CHANGEFEED_ERR_STATE);
  cfi_mirror_writer_free(w);
  ck_assert_uint_eq(scratch_read(&dir, "users.mirror", again, sizeof again),
                    len);
  ck_assert_mem_eq(once, again, len);
  ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* However many entries are asked for, a step writes about a MiB at most. */
START_TEST(test_mirror_file_steps_are_short_where_documents_are_long) {
  enum { DOCS = 100, BYTES = 300000 };
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true);
  char *doc = malloc(BYTES), id[16];
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content;
  cfi_mirror_writer *w;
  off_t before = 0;
  int rc;

  ck_assert_ptr_nonnull(doc);
  memset(doc, 'x', BYTES);
  for (int i = 0; i < DOCS; i++) {
    (void)snprintf(id, sizeof id, "%03d", i);
    must_append(t, id, 3, "1-x", value_new(doc, BYTES));
  }
  free(doc);
  content = content_of(t);
  rc = cfi_mirror_writer_begin(f, &p, &content, &text_codec, &w, &error);
  ck_assert_int_eq(rc, CHANGEFEED_OK);
  while ((rc = cfi_mirror_writer_step(w, SIZE_MAX, &error)) ==
         CHANGEFEED_TIMEOUT) {
    struct stat info;

    ck_assert_int_eq(stat(scratch_path(&dir, "users.mirror.tmp"), &info), 0);
    ck_assert_int_le(info.st_size - before, 1024 * 1024 + BYTES + 1000);
    before = info.st_size;
  }
  ck_assert_msg(rc == CHANGEFEED_OK, "%s", error.text);
  cfi_mirror_writer_free(w);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_writer_that_is_given_up_leaves_what_was_there) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  char seq[32];
  cfi_checkpoint p = position_of(2, seq);
  cfi_mirror_content content;
  cfi_mirror_writer *w, *other;

  ck_assert_int_eq(save_number(&heap, f, 500, 1, &error), 0);
  fill_plain(t, 500, 2);
  for (int steps = 0; steps < 6; steps++) {
    content = content_of(t);
    ck_assert_int_eq(cfi_mirror_writer_begin(f, &p, &content, NULL, &w, &error),
                     0);
    assert_error(cfi_mirror_writer_begin(f, &p, &content, NULL, &other, &error),
                 CHANGEFEED_ERR_STATE, "is being saved already");
    ck_assert_ptr_null(other);
    for (int i = 0; i < steps; i++)
      ck_assert_int_eq(cfi_mirror_writer_step(w, 100, &error),
                       CHANGEFEED_TIMEOUT);
    ck_assert(scratch_exists(&dir, "users.mirror.tmp"));
    cfi_mirror_writer_free(w);
    ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
    ck_assert_int_eq(load_number(&heap, f, 500, &error), 1);
  }
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* A count that is not that of the walk would make a file that nobody can
   load. */
START_TEST(test_mirror_file_with_another_count_than_announced_is_not_saved) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content;

  ck_assert_int_eq(save_number(&heap, f, 10, 1, &error), 0);
  fill_plain(t, 10, 2);
  content = content_of(t);
  content.count += _i == 0 ? 1 : (uint64_t)-1;
  assert_error(cfi_mirror_file_save(f, &p, &content, NULL, &error),
               CHANGEFEED_ERR_STORE, "announced");
  ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  ck_assert_int_eq(load_number(&heap, f, 10, &error), 1);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* ---- values ---- */

static int encode_nothing(void *ctx, const cfi_tree_entry *entry, cfi_buf *out,
                          cfi_error *e) {
  (void)ctx;
  (void)out;
  return cfi_error_set(e, CHANGEFEED_ERR_CALLBACK, "The value of %s is odd.",
                       entry->id.data);
}

static int decode_few(void *ctx, changefeed_str id, changefeed_str rev,
                      changefeed_str bytes, void **value, cfi_error *e) {
  int *left = ctx;

  if ((*left)-- == 0)
    return cfi_error_set(e, CHANGEFEED_ERR_CALLBACK, "The value is odd.");
  return value_decode(NULL, id, rev, bytes, value, e);
}

START_TEST(test_mirror_file_tells_what_values_answer) {
  cfi_mirror_codec codec = text_codec;
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true), *back = must_tree(&heap, true);
  cfi_checkpoint p = {key_text, seq_text, NULL, NULL, NULL, 0, 0};
  cfi_mirror_content content;
  int left = 3;

  for (char id = 'a'; id <= 'h'; id++)
    must_append(t, &id, 1, "1-x", value_new(&id, 1));
  content = content_of(t);
  codec.encode = encode_nothing;
  assert_error(cfi_mirror_file_save(f, &p, &content, &codec, &error),
               CHANGEFEED_ERR_CALLBACK, "of a is odd");
  ck_assert(!scratch_exists(&dir, "users.mirror"));
  must_save(f, t, &text_codec);
  codec.decode = decode_few;
  codec.ctx = &left;
  assert_error(cfi_mirror_file_load(f, key_text, &codec, back, &p, &error),
               CHANGEFEED_ERR_CALLBACK, "is odd");
  ck_assert_uint_eq(cfi_tree_count(back), 0);
  ck_assert_ptr_null(p.feed);
  ck_assert_int_eq(values_live, 8);

  /* Who does not ask for values gets ids and revisions. */
  ck_assert_int_eq(cfi_mirror_file_load(f, key_text, NULL, back, &p, &error),
                   0);
  ck_assert(same_trees(t, back, false));
  cfi_checkpoint_free(&heap, &p);
  cfi_tree_free(back);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_without_values_is_none_for_who_needs_them) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, true);
  cfi_checkpoint p;

  ck_assert_int_eq(save_number(&heap, f, 5, 1, &error), 0);
  assert_error(cfi_mirror_file_load(f, NULL, &text_codec, t, &p, &error),
               CHANGEFEED_ERR_STORE, "no documents");
  ck_assert_ptr_nonnull(strstr(error.text, path));
  ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_OTHER);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* ---- whose file it is ---- */

START_TEST(test_mirror_file_of_another_mirror_is_refused) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  cfi_checkpoint p;

  ck_assert_int_eq(save_number(&heap, f, 5, 1, &error), 0);
  assert_error(cfi_mirror_file_load(f, "other", NULL, t, &p, &error),
               CHANGEFEED_ERR_STORE, "belongs to another mirror");
  ck_assert_ptr_nonnull(strstr(error.text, path));
  ck_assert_ptr_nonnull(strstr(error.text, key_text));
  ck_assert(!cfi_checkpoint_is_damage(&error));
  ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_OTHER);
  ck_assert_ptr_null(p.feed);
  ck_assert_uint_eq(cfi_tree_count(t), 0);
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

/* 0: another program's, 1: another program's short one. */
START_TEST(test_mirror_file_that_another_program_wrote_is_left_alone) {
  static const char *const texts[] = {
      "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/x\n",
      "hello"};
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_tree *t = must_tree(&heap, false);
  char after[128];
  cfi_checkpoint p;

  scratch_write(&dir, "users.mirror", texts[_i], strlen(texts[_i]));
  assert_error(cfi_mirror_file_load(f, key_text, NULL, t, &p, &error),
               CHANGEFEED_ERR_STORE, "another program");
  ck_assert_ptr_nonnull(strstr(error.text, path));
  ck_assert_int_eq(cfi_mirror_file_found(f), CFI_MIRROR_FILE_FOREIGN);
  assert_error(save_number(&heap, f, 5, 1, &error), CHANGEFEED_ERR_STORE,
               "another program");
  ck_assert_uint_eq(scratch_read(&dir, "users.mirror", after, sizeof after),
                    strlen(texts[_i]));
  ck_assert_mem_eq(after, texts[_i], strlen(texts[_i]));
  ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  cfi_tree_free(t);
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_is_for_its_owner_alone) {
  static const char *const names[] = {"users.mirror", "users.mirror.lock"};
  cfi_mirror_file *f;

  (void)umask(0);
  f = must_open(&heap, path);
  ck_assert_int_eq(save_number(&heap, f, 5, 1, &error), 0);
  for (size_t i = 0; i < 2; i++) {
    struct stat info;

    ck_assert_int_eq(stat(scratch_path(&dir, names[i]), &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0600);
  }
  cfi_mirror_file_close(f);
}
END_TEST

START_TEST(test_mirror_file_stays_where_it_was_opened) {
  cfi_mirror_file *f;
  char before[1024];

  ck_assert_ptr_nonnull(getcwd(before, sizeof before));
  ck_assert_int_eq(chdir(dir.path), 0);
  f = must_open(&heap, "users.mirror");
  ck_assert_int_eq(chdir("/"), 0);
  ck_assert_int_eq(save_number(&heap, f, 5, 1, &error), 0);
  ck_assert_int_eq(load_number(&heap, f, 5, &error), 1);
  cfi_mirror_file_close(f);
  ck_assert_int_eq(chdir(before), 0);
  ck_assert(scratch_exists(&dir, "users.mirror"));
}
END_TEST

/* ---- the lock ---- */

START_TEST(test_mirror_file_is_owned_by_one_process_until_it_dies) {
  cfi_mirror_file *f;
  int fds[2];
  char byte = 0, number[32];
  pid_t pid;

  ck_assert_int_eq(pipe(fds), 0);
  pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    if (cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_OWN, &f, &error) !=
            CHANGEFEED_OK ||
        write(fds[1], "+", 1) != 1)
      _exit(1);
    for (;;)
      (void)pause();
  }
  (void)close(fds[1]);
  ck_assert_int_eq(read(fds[0], &byte, 1), 1);
  (void)close(fds[0]);
  (void)snprintf(number, sizeof number, "process %d ", (int)pid);
  assert_refused(path, number);
  ck_assert_int_eq(kill(pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
  f = must_open(&heap, path);
  assert_refused(path, "in use");
  cfi_mirror_file_close(f);
}
END_TEST

/* Nothing is locked, made or removed by a reader, and it sees whole files
   only. */
START_TEST(test_mirror_file_is_read_while_another_saves) {
  cfi_mirror_file *f = must_open(&heap, path), *reader;
  cfi_tree *t = must_tree(&heap, false);
  cfi_mirror_content content;
  cfi_mirror_writer *w, *none;
  cfi_checkpoint p;
  char seq[32];
  int rc;

  ck_assert_int_eq(save_number(&heap, f, 300, 1, &error), 0);
  ck_assert_int_eq(
      cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_READ, &reader, &error),
      0);
  fill_plain(t, 300, 2);
  content = content_of(t);
  p = position_of(2, seq);
  assert_error(
      cfi_mirror_writer_begin(reader, &p, &content, NULL, &none, &error),
      CHANGEFEED_ERR_STATE, "read only");
  ck_assert_int_eq(cfi_mirror_writer_begin(f, &p, &content, NULL, &w, &error),
                   0);
  do {
    ck_assert_int_eq(load_number(&heap, reader, 300, &error), 1);
    rc = cfi_mirror_writer_step(w, 50, &error);
  } while (rc == CHANGEFEED_TIMEOUT);
  ck_assert_int_eq(rc, CHANGEFEED_OK);
  ck_assert_int_eq(load_number(&heap, reader, 300, &error), 2);
  cfi_mirror_writer_free(w);
  cfi_mirror_file_close(f);
  ck_assert_int_eq(unlink(scratch_path(&dir, "users.mirror.lock")), 0);
  ck_assert_int_eq(load_number(&heap, reader, 300, &error), 2);
  cfi_mirror_file_close(reader);
  ck_assert(!scratch_exists(&dir, "users.mirror.lock"));
  cfi_tree_free(t);
}
END_TEST

START_TEST(test_mirror_file_removes_what_a_killed_writer_left) {
  cfi_mirror_file *f, *reader;

  scratch_write(&dir, "users.mirror.tmp", "half of a", 9);
  ck_assert_int_eq(
      cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_READ, &reader, &error),
      0);
  ck_assert(scratch_exists(&dir, "users.mirror.tmp")); /* it may be alive */
  cfi_mirror_file_close(reader);
  f = must_open(&heap, path);
  ck_assert(!scratch_exists(&dir, "users.mirror.tmp"));
  cfi_mirror_file_close(f);
}
END_TEST

/* ---- paths ---- */

START_TEST(test_mirror_file_paths_that_cannot_be_used_say_why) {
  cfi_mirror_file *f;

  assert_refused("", "names no file");
  assert_refused(scratch_path(&dir, ".."), "names no file");
  assert_refused(scratch_path(&dir, "missing/users.mirror"), "No such file");
  ck_assert_int_eq(mkdir(path, 0700), 0);
  assert_refused(path, "is a directory");
  ck_assert_int_eq(rmdir(path), 0);
  ck_assert_int_eq(symlink("victim", path), 0);
  assert_refused(path, "symbolic link");
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(symlink("victim", scratch_path(&dir, "users.mirror.tmp")),
                   0);
  f = must_open(&heap, path);
  ck_assert_int_eq(save_number(&heap, f, 5, 1, &error), 0);
  cfi_mirror_file_close(f);
  ck_assert(!scratch_exists(&dir, "victim"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_file");
  TCase *tc = tcase_create("mirror_file");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_mirror_file_brings_back_what_was_saved, 0, 2);
  tcase_add_test(tc, test_mirror_file_brings_back_the_position);
  tcase_add_test(tc, test_mirror_file_that_is_not_there_is_no_snapshot);
  tcase_add_test(tc, test_mirror_file_has_the_documented_bytes);
  tcase_add_test(tc, test_mirror_file_written_in_steps_is_the_same);
  tcase_add_test(tc, test_mirror_file_steps_are_short_where_documents_are_long);
  tcase_add_test(
      tc, test_mirror_file_writer_that_is_given_up_leaves_what_was_there);
  tcase_add_loop_test(
      tc, test_mirror_file_with_another_count_than_announced_is_not_saved, 0,
      2);
  tcase_add_test(tc, test_mirror_file_tells_what_values_answer);
  tcase_add_test(tc,
                 test_mirror_file_without_values_is_none_for_who_needs_them);
  tcase_add_test(tc, test_mirror_file_of_another_mirror_is_refused);
  tcase_add_loop_test(
      tc, test_mirror_file_that_another_program_wrote_is_left_alone, 0, 2);
  tcase_add_test(tc, test_mirror_file_is_for_its_owner_alone);
  tcase_add_test(tc, test_mirror_file_stays_where_it_was_opened);
  tcase_add_test(tc, test_mirror_file_is_owned_by_one_process_until_it_dies);
  tcase_add_test(tc, test_mirror_file_is_read_while_another_saves);
  tcase_add_test(tc, test_mirror_file_removes_what_a_killed_writer_left);
  tcase_add_test(tc, test_mirror_file_paths_that_cannot_be_used_say_why);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
