/* The checkpoint file and power cuts. Saves are recorded call by call; after
   each call the power fails, and each state in which a disk may come back is
   read: it holds the last position that was saved, or one that was being saved.
   From each kind of such state saving goes on, and the power fails again. */
#define _GNU_SOURCE
#include "store_file.h"

#include "support/unit.h"
#include "unit/power_calls.h"
#include "unit/power_files.h"
#include "unit/store_records.h"

enum { SAVES = 4, STARTS = 256, MEMORY = 1 << 16 };

/* ---- disks that are there ---- */

static scratch_dir dir;
static char path[600];

/* Thousands of files are made, and no real disk is asked for anything. */
static void setup(void) {
  if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
    ck_assert_int_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/feed.pos", dir.path);
}

static void teardown(void) {
  disk = NULL;
  scratch_end(&dir);
}

/* ---- what is read after a cut ---- */

enum { LOST = -1 }; /* neither a position nor none */

/* The record as save_number makes it, of this number and no other. */
static int64_t number_of(const cfi_checkpoint *c) {
  char seq[32];

  (void)snprintf(seq, sizeof seq, "%d-g1AAAA", (int)c->rows);
  return c->seq != NULL && strcmp(c->seq, seq) == 0 &&
                 strcmp(c->feed, "http://h/db") == 0 &&
                 c->saved_ms == 1763860000123
             ? (int64_t)c->rows
             : LOST;
}

static int64_t load_number(cfi_error *error) {
  int64_t number = 0;
  cfi_store_file *store;
  cfi_checkpoint c;
  cfi_error warning;
  cfi_alloc heap;
  int rc;

  (void)cfi_alloc_init(&heap, NULL);
  if (cfi_store_file_open(&heap, path, &store, error) != CHANGEFEED_OK)
    return LOST;
  rc = cfi_store_file_load(store, &c, &warning, error);
  if (rc == CHANGEFEED_OK) {
    number = number_of(&c);
    cfi_checkpoint_free(&heap, &c);
  } else if (rc != CHANGEFEED_END) {
    number = LOST;
  }
  cfi_store_file_close(store);
  return number;
}

/* What a state was read as, so that none is read twice. */
static struct {
  uint64_t hash;
  int64_t number;
} memory[MEMORY];
static size_t states_read;

static int64_t read_state(power_disk *d, const power_state *s,
                          cfi_error *error) {
  uint64_t hash = power_hash(s) | 1;
  size_t slot = hash % MEMORY;

  while (memory[slot].hash != 0 && memory[slot].hash != hash)
    slot = (slot + 1) % MEMORY;
  if (memory[slot].hash == hash && memory[slot].number != LOST)
    return memory[slot].number;
  if (states_read >= MEMORY / 2)
    ck_abort_msg("there are more states than this test remembers");
  power_put(d, s, &dir);
  memory[slot].hash = hash;
  memory[slot].number = load_number(error);
  states_read++;
  return memory[slot].number;
}

/* ---- the states that saving begins from ---- */

typedef struct start {
  power_state state;
  power_content contents[POWER_NAMES];
  uint64_t key;
} start;

static start *starts;
static size_t start_count;

/* States that differ only in how far the numbers are, or in how a file is
   damaged, are of one kind. */
static uint64_t kind_of(const power_state *s, int64_t number) {
  uint64_t key = 0;
  cfi_alloc heap;

  (void)cfi_alloc_init(&heap, NULL);
  for (int i = 0; i < POWER_NAMES; i++) {
    cfi_checkpoint c;
    cfi_error error;
    uint64_t what = 0; /* nothing */

    if (s->content[i] != NULL) {
      what = 1; /* damage */
      if (cfi_checkpoint_decode(&heap, s->content[i]->data, s->content[i]->len,
                                &c, &error) == CHANGEFEED_OK) {
        what = (uint64_t)((int64_t)c.rows - number + 8) & 15;
        cfi_checkpoint_free(&heap, &c);
      }
    }
    key = key << 4 | what;
    for (int k = 0; k < i; k++)
      key = key << 1 | (s->file[i] >= 0 && s->file[k] == s->file[i]);
  }
  return key << 1 | (number == 0);
}

static void add_start(const power_state *s, int64_t number) {
  uint64_t key = kind_of(s, number);
  start *fresh;

  for (size_t i = 0; i < start_count; i++)
    if (starts[i].key == key)
      return;
  ck_assert_uint_lt(start_count, STARTS);
  fresh = &starts[start_count++];
  fresh->key = key;
  for (int i = 0; i < POWER_NAMES; i++) {
    fresh->state.file[i] = s->file[i];
    fresh->state.content[i] = NULL;
    if (s->content[i] == NULL)
      continue;
    fresh->contents[i] = *s->content[i];
    fresh->state.content[i] = &fresh->contents[i];
  }
}

/* ---- saving, and cutting it off ---- */

typedef struct run {
  power_disk *d;
  int64_t lowest, highest; /* what may be read */
  size_t cut;              /* entries of the journal that were made */
  bool go_on;              /* from the states that are found */
} run;

static void on_state(void *user, const power_state *s) {
  run *r = user;
  cfi_error error;
  int64_t number = read_state(r->d, s, &error);

  if (number == LOST)
    ck_abort_msg("behind %zu steps the power fails, and there is no position, "
                 "nor none; %d was saved: %s",
                 r->cut, (int)r->lowest, error.text);
  if (number < r->lowest || number > r->highest)
    ck_abort_msg("behind %zu steps the power fails, and number %d is read; "
                 "%d was saved, %d was begun",
                 r->cut, (int)number, (int)r->lowest, (int)r->highest);
  if (r->go_on)
    add_start(s, number);
}

/* Some saves from a state on, and a cut behind each step. Answers how many
   calls there were. The call number `refuse` fails. */
static int save_and_cut(power_disk *d, const power_state *from, int refuse,
                        bool go_on) {
  int64_t begun[SAVES + 1], done[SAVES + 1];
  size_t begin[SAVES + 1], end[SAVES + 1];
  cfi_error error, warning;
  cfi_store_file *store;
  int made;
  run r = {d, 0, 0, 0, go_on};

  power_put(d, from, &dir);
  power_begin(d, from);
  store = must_open(path);
  begun[0] = done[0] = (int64_t)must_load(store, &warning);
  begin[0] = end[0] = 0;
  for (int fd = 0; fd < FDS; fd++)
    calls.file[fd] = -1;
  calls.calls = 0;
  calls.refuse = refuse;
  for (int i = 1; i <= SAVES; i++) {
    int rc;

    begin[i] = power_length(d);
    begun[i] = begun[i - 1] + 1;
    disk = d;
    rc = save_number(store, (uint64_t)begun[i], &error);
    disk = NULL;
    end[i] = power_length(d);
    ck_assert_msg(rc == CHANGEFEED_OK || refuse != 0, "%s", error.text);
    done[i] = rc == CHANGEFEED_OK ? begun[i] : done[i - 1];
    power_assert_recorded(d, &dir);
  }
  made = calls.calls;
  cfi_store_file_close(store);

  for (r.cut = 0; r.cut <= end[SAVES]; r.cut++) {
    for (int i = 0; i <= SAVES; i++) {
      if (end[i] <= r.cut)
        r.lowest = done[i];
      if (begin[i] <= r.cut)
        r.highest = begun[i];
    }
    power_cut(d, r.cut, on_state, &r);
  }
  return made;
}

/* From these states on, and from all that are found on the way. */
static void save_and_cut_from_all(power_disk *d) {
  for (size_t i = 0; i < start_count; i++) {
    start from = starts[i];

    for (int k = 0; k < POWER_NAMES; k++)
      if (from.state.content[k] != NULL)
        from.state.content[k] = &from.contents[k];
    (void)save_and_cut(d, &from.state, 0, true);
  }
}

static void begin_test(bool no_links) {
  memset(memory, 0, sizeof memory);
  states_read = 0;
  start_count = 0;
  starts = calloc(STARTS, sizeof *starts);
  ck_assert_ptr_nonnull(starts);
  memset(&calls, 0, sizeof calls);
  calls.no_links = no_links;
}

static void end_test(power_disk *d, size_t states) {
  ck_assert_uint_gt(states_read, states);
  free(starts);
  power_disk_free(d);
}

static power_state nothing(void) {
  power_state s;

  for (int i = 0; i < POWER_NAMES; i++) {
    s.file[i] = -1;
    s.content[i] = NULL;
  }
  return s;
}

/* ---- the tests; loop variable 1: a file system without links ---- */

START_TEST(test_store_file_outlives_power_cuts_from_the_first_save_on) {
  power_disk *d = power_disk_new();
  power_state empty = nothing();

  begin_test(_i == 1);
  add_start(&empty, 0);
  save_and_cut_from_all(d);
  ck_assert_uint_gt(start_count, 5);
  end_test(d, 100);
}
END_TEST

/* The record of a number, as a file. */
static void make_record(power_content *out, uint64_t number) {
  cfi_store_file *store;

  (void)unlink(path);
  store = must_open(path);
  must_save(store, number);
  cfi_store_file_close(store);
  out->len = scratch_read(&dir, "feed.pos", out->data, sizeof out->data);
}

/* One copy is damaged or missing: the other one is all there is. */
START_TEST(test_store_file_outlives_power_cuts_with_one_good_copy) {
  static power_content good, rubbish;
  power_disk *d = power_disk_new();
  power_state s = nothing();
  int file, prev, tmp;

  begin_test(_i == 1);
  make_record(&good, 7);
  make_record(&rubbish, 6);
  rubbish.data[rubbish.len / 2] ^= 0x20;
  file = power_name(d, "feed.pos");
  prev = power_name(d, "feed.pos.prev");
  tmp = power_name(d, "feed.pos.tmp");

  s.file[prev] = 1;
  s.content[prev] = &good;
  add_start(&s, 7); /* only the older one is there */
  s.file[file] = 2;
  s.content[file] = &rubbish;
  add_start(&s, 7); /* the newer one is damaged */
  s.file[tmp] = 3;
  s.content[tmp] = &rubbish;
  add_start(&s, 7); /* and half of a save is left */
  s.content[file] = &good;
  s.content[prev] = &rubbish;
  add_start(&s, 7); /* the older one is damaged */
  save_and_cut_from_all(d);
  end_test(d, 100);
}
END_TEST

/* Each single call fails once, the saves go on, and the power fails too. */
START_TEST(test_store_file_outlives_power_cuts_after_a_failed_call) {
  static power_content good;
  power_disk *d = power_disk_new();
  power_state s = nothing();
  int made;

  begin_test(_i == 1);
  make_record(&good, 7);
  s.file[0] = 1;
  s.content[0] = &good;
  ck_assert_int_eq(power_name(d, "feed.pos"), 0);
  made = save_and_cut(d, &s, 0, false);
  ck_assert_int_gt(made, SAVES * 7);
  for (int refuse = 1; refuse <= made; refuse++)
    (void)save_and_cut(d, &s, refuse, false);
  end_test(d, 100);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store_file_power");
  TCase *tc = tcase_create("store_file_power");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(
      tc, test_store_file_outlives_power_cuts_from_the_first_save_on, 0, 2);
  tcase_add_loop_test(
      tc, test_store_file_outlives_power_cuts_with_one_good_copy, 0, 2);
  tcase_add_loop_test(
      tc, test_store_file_outlives_power_cuts_after_a_failed_call, 0, 2);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
