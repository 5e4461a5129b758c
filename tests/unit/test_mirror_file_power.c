/* The mirror's snapshot and power cuts. Saves are recorded call by call; after
   each call the power fails, and each state in which a disk may come back is
   read: it holds the last snapshot that was saved, or one that was being saved,
   whole. */
#define _GNU_SOURCE
#include "mirror_file.h"

#include "support/unit.h"
#include "unit/mirror_snapshots.h"
#include "unit/power_calls.h"
#include "unit/power_files.h"
#include "unit/scratch_dir.h"

enum { SAVES = 3, ENTRIES = 4 };

static scratch_dir dir;
static cfi_alloc heap;
static char path[600];

/* Thousands of files are made, and no real disk is asked for anything. */
static void setup(void) {
  ck_assert(cfi_alloc_init(&heap, NULL));
  if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
    ck_assert_int_eq(setenv("TMPDIR", "/dev/shm", 0), 0);
  scratch_begin(&dir);
  (void)snprintf(path, sizeof path, "%s/mirror", dir.path);
  memset(&calls, 0, sizeof calls);
}

static void teardown(void) {
  disk = NULL;
  scratch_end(&dir);
}

/* ---- what is read after a cut ---- */

typedef struct run {
  power_disk *d;
  int64_t lowest, highest; /* what may be read */
  bool damaged;            /* at the beginning, and nothing was saved yet */
  size_t cut;              /* entries of the journal that were made */
  size_t states;
  uint64_t seen; /* the state before, to read none twice in a row */
} run;

static void on_state(void *user, const power_state *s) {
  uint64_t hash = power_hash(s);
  run *r = user;
  cfi_mirror_file *f;
  cfi_error error;
  int64_t number;

  if (hash == r->seen)
    return;
  r->seen = hash;
  r->states++;
  power_put(r->d, s, &dir);
  if (cfi_mirror_file_open(&heap, path, CFI_MIRROR_FILE_OWN, &f, &error) !=
      CHANGEFEED_OK)
    ck_abort_msg("%s", error.text);
  number = load_number(&heap, f, ENTRIES, &error);
  cfi_mirror_file_close(f);
  if (number == BAD_SNAPSHOT && r->damaged)
    return;
  if (number < r->lowest || number > r->highest)
    ck_abort_msg("behind %zu steps the power fails, and number %d is read; "
                 "%d was saved, %d was begun: %s",
                 r->cut, (int)number, (int)r->lowest, (int)r->highest,
                 number == BAD_SNAPSHOT ? error.text : "");
}

/* Some saves from a state on, and a cut behind each step. The call number
   `refuse` fails. Answers how many calls there were. */
static int save_and_cut(power_disk *d, const power_state *from, int64_t number,
                        int refuse, size_t *states) {
  int64_t done[SAVES + 1], begun[SAVES + 1];
  size_t begin[SAVES + 1], end[SAVES + 1];
  cfi_mirror_file *f;
  cfi_error error;
  run r = {.d = d};
  int made;

  power_put(d, from, &dir);
  power_begin(d, from);
  for (int fd = 0; fd < FDS; fd++)
    calls.file[fd] = -1;
  calls.calls = 0;
  calls.refuse = refuse;
  disk = d; /* opening removes what is left aside */
  f = must_open(&heap, path);
  done[0] = number;
  begun[0] = number < 0 ? 0 : number;
  begin[0] = end[0] = 0;
  for (int i = 1; i <= SAVES; i++) {
    int rc;

    begin[i] = power_length(d);
    begun[i] = begun[i - 1] + 1;
    rc = save_number(&heap, f, ENTRIES, (uint64_t)begun[i], &error);
    end[i] = power_length(d);
    ck_assert_msg(rc == CHANGEFEED_OK || refuse != 0, "%s", error.text);
    done[i] = rc == CHANGEFEED_OK ? begun[i] : done[i - 1];
    if (refuse == 0) { /* reading what was written makes no difference */
      disk = NULL;
      power_assert_recorded(d, &dir);
      disk = d;
    }
  }
  made = calls.calls;
  disk = NULL;
  cfi_mirror_file_close(f);

  for (r.cut = 0; r.cut <= end[SAVES]; r.cut++) {
    for (int i = 0; i <= SAVES; i++) {
      if (end[i] <= r.cut)
        r.lowest = done[i];
      if (begin[i] <= r.cut)
        r.highest = begun[i];
    }
    r.damaged = r.lowest == BAD_SNAPSHOT;
    power_cut(d, r.cut, on_state, &r);
  }
  *states += r.states;
  return made;
}

/* ---- where saving begins ---- */

static power_content good, rubbish;

/* A snapshot of number 7, and damage. */
static void make_contents(void) {
  cfi_mirror_file *f = must_open(&heap, path);
  cfi_error error;

  ck_assert_int_eq(save_number(&heap, f, ENTRIES, 7, &error), CHANGEFEED_OK);
  cfi_mirror_file_close(f);
  good.len = scratch_read(&dir, "mirror", good.data, sizeof good.data);
  ck_assert_uint_lt(good.len, sizeof good.data);
  rubbish = good;
  rubbish.data[rubbish.len / 2] ^= 0x20;
}

/* What stands at the path, and aside: NULL: nothing. */
static power_state state_of(power_disk *d, const power_content *file,
                            const power_content *aside) {
  int mirror = power_name(d, "mirror"), tmp = power_name(d, "mirror.tmp");
  power_state s;

  for (int i = 0; i < POWER_NAMES; i++) {
    s.file[i] = -1;
    s.content[i] = NULL;
  }
  if (file != NULL)
    s.file[mirror] = 1;
  s.content[mirror] = file;
  if (aside != NULL)
    s.file[tmp] = 2;
  s.content[tmp] = aside;
  return s;
}

/* Loop variable: which. */
static const struct {
  const power_content *file, *aside;
  int64_t number;
} beginnings[] = {{NULL, NULL, NO_SNAPSHOT},
                  {NULL, &rubbish, NO_SNAPSHOT},
                  {&good, NULL, 7},
                  {&good, &rubbish, 7},
                  {&good, &good, 7},
                  {&rubbish, NULL, BAD_SNAPSHOT},
                  {&rubbish, &good, BAD_SNAPSHOT}};
enum { BEGINNINGS = sizeof beginnings / sizeof *beginnings };

START_TEST(test_mirror_file_outlives_power_cuts) {
  power_disk *d = power_disk_new();
  power_state from;
  size_t states = 0;

  make_contents();
  from = state_of(d, beginnings[_i].file, beginnings[_i].aside);
  (void)save_and_cut(d, &from, beginnings[_i].number, 0, &states);
  ck_assert_uint_gt(states, 100);
  power_disk_free(d);
}
END_TEST

/* Each single call fails once, the saves go on, and the power fails too. */
START_TEST(test_mirror_file_outlives_power_cuts_after_a_failed_call) {
  power_disk *d = power_disk_new();
  power_state from;
  size_t states = 0;
  int made;

  make_contents();
  from = state_of(d, beginnings[_i].file, beginnings[_i].aside);
  made = save_and_cut(d, &from, beginnings[_i].number, 0, &states);
  ck_assert_int_ge(made, SAVES * 6);
  for (int refuse = 1; refuse <= made; refuse++)
    (void)save_and_cut(d, &from, beginnings[_i].number, refuse, &states);
  power_disk_free(d);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("mirror_file_power");
  TCase *tc = tcase_create("mirror_file_power");

  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_loop_test(tc, test_mirror_file_outlives_power_cuts, 0, BEGINNINGS);
  tcase_add_loop_test(tc,
                      test_mirror_file_outlives_power_cuts_after_a_failed_call,
                      0, BEGINNINGS);
  suite_add_tcase(suite, tc);
  return cft_run(suite);
}
