/* The timeline's picture, read by another program's XML parser: it is
   well-formed, what is in it is what was recorded, at its place, and names of
   any kind stay names. */
#include "replay/timeline.h"

#include "support/unit.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEFT = 96, RIGHT = 1176 };

static char *seen; /* what picture.py writes */

/* Files of pictures, to be read by one start of Python, which takes its time.
 */
static char directory[] = "/tmp/cft-picture-XXXXXX";
static unsigned files;

static void draw(const timeline_picture *pictures, size_t count) {
  text out = TEXT_INIT;
  char path[64];
  FILE *file;

  if (files == 0)
    ck_assert_ptr_nonnull(mkdtemp(directory));
  (void)snprintf(path, sizeof path, "%s/%u.svg", directory, files++);
  file = fopen(path, "we");
  timeline_svg(pictures, count, &out);
  ck_assert(!out.failed);
  ck_assert_uint_lt(out.len, 1 << 21);
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(out.data, 1, out.len, file), out.len);
  ck_assert_int_eq(fclose(file), 0);
  text_free(&out);
}

static void remove_files(void) {
  char path[64];

  while (files != 0) {
    (void)snprintf(path, sizeof path, "%s/%u.svg", directory, --files);
    ck_assert_int_eq(unlink(path), 0);
  }
  ck_assert_int_eq(rmdir(directory), 0);
}

/* seen: all that was drawn, as picture.py sees it. */
static void see(void) {
  char command[1024], part[4096];
  text all = TEXT_INIT;
  FILE *reader;
  int status;
  size_t n;

  ck_assert_ptr_nonnull(getenv("CFT_SOURCE_DIR"));
  (void)snprintf(command, sizeof command,
                 "PYTHONIOENCODING=utf-8 python3 "
                 "'%s/tests/platform/replay/picture.py' %s/*.svg",
                 getenv("CFT_SOURCE_DIR"), directory);
  reader = popen(command, "re");
  ck_assert_ptr_nonnull(reader);
  while ((n = fread(part, 1, sizeof part, reader)) != 0)
    text_add(&all, part, n);
  status = pclose(reader);
  remove_files();
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                "picture.py ended with %d", status);
  ck_assert(!all.failed);
  seen = all.data;
  ck_assert_ptr_nonnull(seen);
}

static void see_one(timeline *t, const char *title, const char *subtitle) {
  timeline_data *d = timeline_take(t);
  timeline_picture picture = {d, title, subtitle};

  ck_assert_ptr_nonnull(d);
  draw(&picture, 1);
  free(d);
  timeline_free(t);
  see();
}

/* Fills numbers from the nth line that begins so; NULL: there is none, else
   what is behind the numbers. */
static const char *find(const char *begin, size_t nth, double *numbers,
                        size_t count) {
  size_t len = strlen(begin);

  for (const char *at = seen; at != NULL && *at != '\0';
       at = strchr(at, '\n') + 1) {
    char *rest;

    if (strncmp(at, begin, len) != 0 || at[len] != ' ' || nth-- != 0)
      continue;
    at += len;
    for (size_t i = 0; i < count; i++, at = rest)
      numbers[i] = strtod(at, &rest);
    return at;
  }
  return NULL;
}

static size_t count_of(const char *begin) {
  size_t count = 0;

  while (find(begin, count, NULL, 0) != NULL)
    count++;
  return count;
}

static void expect_text(const char *words) {
  ck_assert_msg(strstr(seen, words) != NULL, "no \"%s\"", words);
}

/* The nth bar: from second to second, so high for the value at the top. */
static void expect_bar(const char *class, size_t nth, double from_s,
                       double to_s, double span_s, double share,
                       double height) {
  double got[4], wide = RIGHT - LEFT;
  char begin[32];

  (void)snprintf(begin, sizeof begin, "BAR %s", class);
  ck_assert_msg(find(begin, nth, got, 4) != NULL, "no bar %zu %s", nth, class);
  ck_assert_double_eq_tol(got[0], LEFT + wide * from_s / span_s, 0.11);
  ck_assert_double_eq_tol(got[2], wide * (to_s - from_s) / span_s, 0.21);
  ck_assert_double_eq_tol(got[3], height * share, 0.21);
}

static timeline *make(int64_t slice_ms, unsigned balancers) {
  timeline *t = timeline_new(&(timeline_config){slice_ms, 600, balancers});

  ck_assert_ptr_nonnull(t);
  return t;
}

static void add(timeline *t, unsigned count, int64_t at_ms,
                enum timeline_outcome outcome, unsigned code, bool foreign) {
  while (count-- != 0)
    timeline_add_visit(
        t, &(timeline_visit){at_ms, at_ms, 1000, outcome, code, 200, foreign});
}

START_TEST(test_picture_shows_what_was_counted) {
  timeline *t = make(1000, 0);
  double got[4];

  add(t, 100, 0, TIMELINE_APP, 0, false);
  add(t, 50, 3000, TIMELINE_APP, 0, false);
  add(t, 20, 2000, TIMELINE_APP, 0, true);
  add(t, 5, 4000, TIMELINE_APP, 0, true);
  add(t, 10, 5000, TIMELINE_PAGE, 5, false);
  add(t, 10, 5000, TIMELINE_NOTHING, 0, false);
  add(t, 40, 6000, TIMELINE_PAGE, 1, false);
  timeline_end(t, 10000);
  see_one(t, "a run", "seed 7");
  expect_text(" a run\n");
  expect_text(" seed 7\n");
  expect_text("235 visits: 150 saw their site, 25 somebody else's, 50 an error "
              "page, 10 nothing; 0 went away. 10.0 s in all.");
  expect_text("asked 235\n");
  expect_text("answered by an app 175\n");
  expect_text("E01 unknown host 40\n");
  expect_text("E05 queued 10\n");
  expect_text("no answer 10\n");
  ck_assert_ptr_nonnull(find("TEXT foul", 0, got, 2));
  expect_text(" 25\n");
  /* 100 are the most that an app answered in a second. */
  expect_bar("c1", 0, 0, 1, 10, 1, 84);
  expect_bar("c1", 1, 2, 3, 10, 0.2, 84);
  expect_bar("wrong", 0, 2, 3, 10, 1, 44);
  expect_bar("wrong", 1, 4, 5, 10, 0.25, 44);
  ck_assert_uint_eq(count_of("BAR wrong"), 2);
  /* Pages have colours by how many they are; the scale of errors goes to 40. */
  expect_bar("c0", 0, 6, 7, 10, 1, 70);
  expect_bar("c7", 0, 5, 6, 10, 0.25, 70);
}
END_TEST

START_TEST(test_picture_says_none_where_nobody_saw_another_site) {
  timeline *t = make(1000, 0);
  double got[2];

  add(t, 100, 0, TIMELINE_APP, 0, false);
  see_one(t, "a run", "");
  ck_assert_int_eq(strncmp(find("TEXT fine", 0, got, 2), " none\n", 6), 0);
  ck_assert_uint_eq(count_of("BAR wrong"), 0);
  ck_assert_uint_eq(count_of("TEXT foul"), 0);
}
END_TEST

START_TEST(test_picture_shows_who_is_behind) {
  timeline *t = make(1000, 2);
  double got[4];

  timeline_set_database(t, 0, "aaaa");
  timeline_set_balancer(t, 0, 0, 0, "aaaa");
  timeline_set_balancer(t, 0, 1, 0, "aaaa");
  timeline_set_database(t, 4000, "bbbb");
  timeline_set_balancer(t, 4000, 0, 0, "bbbb");
  timeline_set_balancer(t, 6000, 1, 4000, "bbbb");
  timeline_set_balancer(t, 8000, 1, -1, "");
  timeline_end(t, 10000);
  see_one(t, "a run", "");
  /* database, balancer 1: aaaa for 4 s, then bbbb; balancer 2 only after 6 s,
     and after 8 s nobody knows */
  ck_assert_uint_eq(count_of("RECT d0"), 3);
  ck_assert_uint_eq(count_of("RECT d1"), 3);
  for (size_t i = 0; i < 3; i++) {
    const char *title = find("RECT d0", i, got, 4);

    ck_assert_double_eq_tol(got[0], LEFT, 0.11);
    ck_assert_msg(strncmp(title, " aaaa\n", 6) == 0, "%.20s", title);
  }
  ck_assert_ptr_nonnull(find("RECT d0", 2, got, 4));
  ck_assert_double_eq_tol(got[2], 1080 * 0.6, 0.11);
  /* Its strip was over first. */
  ck_assert_ptr_nonnull(find("RECT d1", 0, got, 4));
  ck_assert_double_eq_tol(got[0], LEFT + 1080 * 0.6, 0.11);
  ck_assert_double_eq_tol(got[2], 1080 * 0.2, 0.11);
  ck_assert_ptr_nonnull(find("RECT gap", 1, got, 4)); /* the first is the key */
  ck_assert_double_eq_tol(got[0], LEFT + 1080 * 0.8, 0.11);
  expect_text("all were equal in 6 of 8 looks\n");
  expect_text("balancer 1, at worst 0.0 ms\n");
  expect_text("balancer 2, at worst 4.0 s\n");
  /* Its line stands at 4 of 4 s for 2 s, and is not drawn from 8 s on. */
  double top = INFINITY, end = 0;

  for (size_t i = 0; find("LINE l1", i, got, 3) != NULL; i++) {
    if (got[0] < LEFT + 1) /* the key */
      continue;
    end = fmax(end, got[2]);
  }
  for (size_t i = 0; find("LINE l1", i, got, 3) != NULL; i++)
    if (fabs(got[0] - (LEFT + 1080 * 0.6)) < 0.2)
      top = got[1];
  ck_assert(isfinite(top));
  ck_assert_double_eq_tol(end, LEFT + 1080 * 0.8, 0.2);
}
END_TEST

START_TEST(test_picture_shows_steps_faults_and_words) {
  timeline *t = make(1000, 0);
  double got[4];

  timeline_end_band(t, timeline_begin_band(t, 0, TIMELINE_STEP, 0, "calm"),
                    5000);
  (void)timeline_begin_band(t, 5000, TIMELINE_STEP, 1,
                            "a name that is wide for its step, which is short");
  timeline_end_band(t, timeline_begin_band(t, 2000, TIMELINE_FAULT, 0, "stall"),
                    4000);
  timeline_mark(t, 7000, "killed");
  timeline_end(t, 5100);
  timeline_set_drones(t, 10000, 1, 1, 1);
  see_one(t, "a run", "");
  expect_text("TEXT label 100.0 ");
  expect_text(" 0 calm\n");
  ck_assert_ptr_nonnull(find("RECT fault", 0, got, 4));
  ck_assert_double_eq_tol(got[0], LEFT + 1080 * 0.2, 0.11);
  ck_assert_double_eq_tol(got[2], 1080 * 0.2, 0.11);
  expect_text(" stall\n");
  ck_assert_ptr_nonnull(find("RECT mark", 0, got, 4));
  ck_assert_double_eq_tol(got[0], LEFT + 1080 * 0.7, 0.11);
  expect_text(" killed\n");
  ck_assert_ptr_nonnull(find("RECT odd", 0, got, 4));
  ck_assert_double_eq_tol(got[0], LEFT + 1080 * 0.5, 0.11);
  ck_assert_double_eq_tol(got[2], 1080 * 0.5, 0.11);
}
END_TEST

/* ---- any run, any name ---- */

static const char *const hostile[] = {
    "</svg><script>alert(1)</script>",
    "\" onload=\"alert(1)",
    "'><image href='http://example/'/>",
    "]]>&amp;<!--",
    "a\tb\nc\x01\x7f\xff\xc0\xaf\xed\xa0\x80",
    "\xef\xbf\xbe\xef\xbf\xbf\xe2\x80\xae turned",
    "%s%n%d",
    "",
    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
    "w"
    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
    "w"
    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
    "w",
};

START_TEST(test_picture_names_stay_names) {
  enum { COUNT = sizeof hostile / sizeof *hostile };
  timeline *runs[COUNT];
  timeline_picture pictures[COUNT];

  for (int i = 0; i < COUNT; i++) {
    timeline *t = runs[i] = make(500, 2);

    timeline_end_band(
        t, timeline_begin_band(t, 0, TIMELINE_STEP, i, hostile[i]), 9000);
    timeline_end_band(
        t, timeline_begin_band(t, 3000, TIMELINE_FAULT, i, hostile[i]), 4000);
    timeline_mark(t, 4000, hostile[i]);
    timeline_set_database(t, 0, hostile[i]);
    timeline_set_balancer(t, 0, 1, INT64_MAX, hostile[i]);
    timeline_end(t, 9000);
    pictures[i].data = timeline_take(t);
    pictures[i].title = pictures[i].subtitle = hostile[i];
  }
  draw(pictures, COUNT);
  see();
  expect_text(" </svg><script>alert(1)</script>\n");
  expect_text(" \" onload=\"alert(1)\n");
  expect_text(" a b c  \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
              "\xef\xbf\xbd\xef\xbf\xbd\n");
  expect_text(" %s%n%d\n");
  for (int i = 0; i < COUNT; i++) {
    free((void *)(uintptr_t)pictures[i].data);
    timeline_free(runs[i]);
  }
}
END_TEST

/* One of everything at each end of a run of so many ms. */
static timeline *of_length(int64_t ms, int64_t slice_ms, unsigned balancers) {
  timeline *t = make(slice_ms, balancers);

  for (int64_t at_ms = 0; at_ms <= ms; at_ms += ms > 0 ? ms : 1) {
    add(t, 3, at_ms, TIMELINE_APP, 0, true);
    add(t, 3, at_ms, TIMELINE_PAGE, 99, false);
    timeline_add_api(t, at_ms, TIMELINE_FULL);
    timeline_set_drones(t, at_ms, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    timeline_set_database(t, at_ms, "a");
    for (unsigned b = 0; b < balancers; b++)
      timeline_set_balancer(t, at_ms, b, INT64_MAX, "b");
    (void)timeline_begin_band(t, at_ms, TIMELINE_STEP, 1, "step");
    (void)timeline_begin_band(t, at_ms, TIMELINE_FAULT, 1, "fault");
    timeline_mark(t, at_ms, "word");
  }
  timeline_end(t, ms);
  return t;
}

START_TEST(test_picture_of_runs_of_any_length) {
  static const struct {
    int64_t ms, slice_ms;
    unsigned balancers;
  } runs[] = {{0, 500, 0},      {0, 500, 5},      {1, 100, 1},
              {1000, 500, 3},   {1000, 10000, 3}, {999, 1000, 8},
              {599999, 100, 5}, {590000, 500, 3}};
  enum { COUNT = sizeof runs / sizeof *runs };
  timeline_picture pictures[COUNT];
  size_t bars = 0;

  for (int i = 0; i < COUNT; i++) {
    timeline *t = of_length(runs[i].ms, runs[i].slice_ms, runs[i].balancers);

    pictures[i] =
        (timeline_picture){timeline_take(t), "a run", "of some length"};
    ck_assert_ptr_nonnull(pictures[i].data);
    draw(&pictures[i], 1);
    timeline_free(t);
    /* What came at the very end is there. */
    bars += runs[i].ms > runs[i].slice_ms ? 2 : 1;
  }
  draw(pictures, COUNT);
  see();
  ck_assert_uint_eq(count_of("SIZE"), COUNT + 1);
  /* On the scale of the longest one a second is not even one column. */
  ck_assert_uint_eq(count_of("BAR wrong"), 2 * bars - 1);
  for (int i = 0; i < COUNT; i++)
    free((void *)(uintptr_t)pictures[i].data);
}
END_TEST

START_TEST(test_picture_of_a_run_of_which_nothing_is_known) {
  see_one(make(500, 5), "nothing at all", "");
  expect_text("Faults and events\n");
  expect_text(" nothing\n");
  expect_text("0 visits: 0 saw their site");
  expect_text("all were never known at once\n");
}
END_TEST

START_TEST(test_picture_too_many_faults_are_counted) {
  timeline *t = make(500, 0);

  for (int i = 0; i < 30; i++)
    (void)timeline_begin_band(t, 1000, TIMELINE_FAULT, 0, "all at once");
  timeline_end(t, 5000);
  see_one(t, "a run", "");
  ck_assert_uint_eq(count_of("RECT fault"), 14);
  expect_text("and 16 more without room\n");
}
END_TEST

int main(void) {
  Suite *s = suite_create("replay_picture");
  TCase *t = tcase_create("replay_picture");

  tcase_add_test(t, test_picture_shows_what_was_counted);
  tcase_add_test(t, test_picture_says_none_where_nobody_saw_another_site);
  tcase_add_test(t, test_picture_shows_who_is_behind);
  tcase_add_test(t, test_picture_shows_steps_faults_and_words);
  tcase_add_test(t, test_picture_names_stay_names);
  tcase_add_test(t, test_picture_of_runs_of_any_length);
  tcase_add_test(t, test_picture_of_a_run_of_which_nothing_is_known);
  tcase_add_test(t, test_picture_too_many_faults_are_counted);
  suite_add_tcase(s, t);
  return cft_run(s);
}
