/* The replay's report: each number in the table, in JSON and in the files is
   one that was put in; what is missing is never taken for good. */
#include "replay/report.h"

#include "support/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static timeline *line;
static run_report *report;

static void begin(const char *naive) {
  line = timeline_new(&(timeline_config){500, 60, 2});
  ck_assert_ptr_nonnull(line);
  report = report_new(&(report_config){.title = "the programs as they are",
                                       .naive = naive,
                                       .seed = UINT64_MAX,
                                       .begun_ms = 1767225600000,
                                       .timeline = line});
  ck_assert_ptr_nonnull(report);
}

static void end(void) {
  report_free(report);
  timeline_free(line);
}

static void add_law(const char *id, uint64_t checks, uint64_t broken,
                    const char *first, const char *excuse) {
  report_add_law(
      report, &(report_law){id, "what it says", checks, broken, first, excuse});
}

static const char *table(void) {
  static char copy[65536];
  text out = TEXT_INIT;

  report_table(report, &out);
  ck_assert(!out.failed);
  ck_assert_uint_lt(out.len, sizeof copy);
  memcpy(copy, text_get(&out), out.len + 1);
  text_free(&out);
  return copy;
}

static void expect_in(const char *what, const char *in) {
  ck_assert_msg(strstr(in, what) != NULL, "no \"%s\" in:\n%.3000s", what, in);
}

/* Something of everything. */
static void fill(void) {
  static const timeline_visit visits[] = {
      {0, 10, 2000, TIMELINE_APP, 0, 200, false},
      {0, 600, 2000, TIMELINE_APP, 0, 500, false},
      {600, 700, 2000, TIMELINE_APP, 0, 200, true},
      {600, 700, 2000, TIMELINE_PAGE, 5, 503, false},
      {600, 700, -1, TIMELINE_NOTHING, 0, 0, false},
      {600, 700, -1, TIMELINE_LEFT, 0, 0, false},
  };

  for (size_t i = 0; i < sizeof visits / sizeof *visits; i++)
    timeline_add_visit(line, &visits[i]);
  for (int i = 0; i < TIMELINE_APIS; i++)
    timeline_add_api(line, 600, (enum timeline_api)i);
  timeline_add_api(line, 600, TIMELINE_OFTEN);
  timeline_set_drones(line, 600, 20, 4, 1);
  timeline_set_balancer(line, 0, 0, 250, "d1");
  timeline_set_balancer(line, 600, 1, -1, NULL);
  timeline_set_database(line, 600, "d2");
  timeline_end_band(
      line, timeline_begin_band(line, 100, TIMELINE_FAULT, 0, "stall"), 300);
  timeline_mark(line, 650, "killed");
  report_option(report, "drones", "240");
  report_option(report, "drones", "24");
  report_program(report, "balancer", "0.1.0");
  report_counter(report, "provisioners killed", 3000);
  report_counter(report, "below", -1);
  report_step(report, 0, "calm");
  report_say(report, "%d apps are live.", 20);
  report_step(report, 1, "feed \"faults\"");
  report_skip(report, 10, "the bot", "there is no deploybot");
  report_say(report, "Said about faults.");
  report_end(report);
  add_law("I1", 12345, 0, NULL, NULL);
  add_law("I5", 70, 2, "b2: a visitor of a got b\n", NULL);
  add_law("I17", 0, 0, NULL, "step 10 was not run");
  add_law("I18", 0, 0, NULL, NULL);
}

START_TEST(test_report_a_law_without_a_check_has_not_held) {
  begin(NULL);
  ck_assert(!report_is_clean(report)); /* no law at all */
  add_law("I1", 1, 0, NULL, NULL);
  ck_assert(report_is_clean(report));
  add_law("I2", 0, 0, NULL, NULL);
  ck_assert(!report_is_clean(report));
  add_law("I2", 0, 0, NULL, "it could not be");
  ck_assert(report_is_clean(report));
  add_law("I2", 0, 1, NULL, "it could not be");
  ck_assert(!report_is_clean(report));
  add_law("I2", 5, 0, NULL, NULL);
  ck_assert(report_is_clean(report));
  end();
  begin(NULL);
  add_law("I1", 0, 0, NULL, "nothing could be checked");
  ck_assert(!report_is_clean(report));
  end();
}
END_TEST

START_TEST(test_report_table) {
  const char *out;

  begin("claim2xx");
  fill();
  out = table();
  expect_in("replay: the programs as they are; naive: claim2xx; seed "
            "18446744073709551615; 2026-01-01 00:00:00\n  UTC; ",
            out);
  expect_in("options   drones 24\n", out);
  expect_in("programs  balancer 0.1.0\n", out);
  expect_in(" 0  calm: from ", out);
  expect_in("    20 apps are live.\n 1  feed \"faults\": from ", out);
  expect_in("    Said about faults.\n10  the bot: skipped: there is no "
            "deploybot\n",
            out);
  expect_in("6 asked; 2 answered by the app of that site; 1 saw somebody "
            "else's; 1 pages (E05 1); 1\n          without an answer; 1 went "
            "away themselves; first byte p50 2.0 ms",
            out);
  expect_in("callers   1 live, 1 accepted, 1 coalesced, 2 too often, 1 no "
            "room, 1 anything else\n",
            out);
  expect_in("counted   provisioners killed 3,000, below -1\n", out);
  expect_in("\nI1   what it says                                          "
            "12,345           0\n",
            out);
  expect_in("\nI5   what it says                                          "
            "    70           2  BROKEN\n     b2: a visitor of a got b\n",
            out);
  expect_in("0           0  excused\n     step 10 was not run\n", out);
  expect_in("0           0  NOT CHECKED\n", out);
  expect_in("\n1 held, 1 broken, 1 not checked, 1 excused\n", out);
  end();
}
END_TEST

START_TEST(test_report_table_lines_are_cut_whatever_is_told) {
  char huge[5000];
  const char *out;

  memset(huge, 'w', sizeof huge - 1);
  for (size_t i = 0; i + 3 < sizeof huge; i += 40)
    memcpy(huge + i, " \xc3\xbc", 3);
  huge[sizeof huge - 1] = '\0';
  begin(huge);
  report_option(report, huge, huge);
  report_program(report, huge, NULL);
  report_counter(report, huge, INT64_MIN);
  report_step(report, -1000000, huge);
  report_say(report, "%s", huge);
  report_skip(report, 1, huge, huge);
  report_add_law(report,
                 &(report_law){huge, huge, UINT64_MAX, UINT64_MAX, huge, huge});
  out = table();
  for (const char *at = out; *at != '\0'; at = strchr(at, '\n') + 1) {
    size_t width = 0;

    for (const char *c = at; *c != '\n'; c++)
      width += ((unsigned char)*c & 0xc0) != 0x80;
    /* The numbers of a law have 26 characters each here. */
    ck_assert_msg(width <= REPORT_TABLE_WIDTH ||
                      strstr(at, "18,446,744,073,709,551,615") != NULL,
                  "%zu: %.*s", width, (int)(strchr(at, '\n') - at), at);
  }
  end();
}
END_TEST

/* ---- JSON ---- */

static int64_t number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);

  ck_assert_msg(json_is_integer(value), "%s is no number", key);
  return json_integer_value(value);
}

static const char *string(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);

  ck_assert_msg(json_is_string(value), "%s is no string", key);
  return json_string_value(value);
}

/* "1 null": a series as text; of the first two slices, because on a slow
   machine there are more. */
static const char *series(const json_t *object, const char *key) {
  static char out[256];
  const json_t *array = json_object_get(object, key), *value;
  size_t i;

  out[0] = '\0';
  ck_assert_msg(json_is_array(array), "%s is no array", key);
  json_array_foreach(array, i, value) {
    if (i == 2)
      break;
    char *one = json_dumps(value, JSON_ENCODE_ANY);

    ck_assert_uint_lt(strlen(out) + strlen(one) + 2, sizeof out);
    strcat(strcat(out, i != 0 ? " " : ""), one);
    free(one);
  }
  return out;
}

static void check_series(const json_t *all) {
  const json_t *callers = json_object_get(all, "callers");
  const json_t *balancers = json_object_get(all, "balancers");

  ck_assert_int_eq(number(all, "slice_ms"), 500);
  ck_assert_str_eq(series(all, "asked"), "2 4");
  ck_assert_str_eq(series(all, "own"), "1 1");
  ck_assert_str_eq(series(all, "foreign"), "0 1");
  ck_assert_str_eq(series(all, "app_errors"), "0 1");
  ck_assert_str_eq(series(all, "nothing"), "0 1");
  ck_assert_str_eq(series(all, "left"), "0 1");
  ck_assert_str_eq(series(json_object_get(all, "pages"), "E05"), "0 1");
  ck_assert_uint_eq(json_object_size(json_object_get(all, "pages")), 1);
  ck_assert_str_eq(series(all, "first_byte_p50_us"), "2048 2048");
  ck_assert_str_eq(series(all, "bound"), "null 20");
  ck_assert_str_eq(series(all, "free"), "null 4");
  ck_assert_str_eq(series(all, "queue"), "null 1");
  ck_assert_str_eq(series(callers, "live"), "0 1");
  ck_assert_str_eq(series(callers, "too_often"), "0 2");
  ck_assert_str_eq(series(all, "database"), "null \"d2\"");
  ck_assert_uint_eq(json_array_size(balancers), 2);
  ck_assert_str_eq(series(json_array_get(balancers, 0), "stale_ms"), "250 250");
  ck_assert_str_eq(series(json_array_get(balancers, 0), "digest"),
                   "\"d1\" \"d1\"");
  ck_assert_str_eq(series(json_array_get(balancers, 1), "stale_ms"),
                   "null null");
}

static void check_visitors(const json_t *v) {
  ck_assert_int_eq(number(v, "asked"), 6);
  ck_assert_int_eq(number(v, "by_app"), 3);
  ck_assert_int_eq(number(v, "own"), 2);
  ck_assert_int_eq(number(v, "foreign"), 1);
  ck_assert_int_eq(number(v, "app_errors"), 1);
  ck_assert_int_eq(number(v, "by_page"), 1);
  ck_assert_int_eq(number(v, "nothing"), 1);
  ck_assert_int_eq(number(v, "left"), 1);
  ck_assert_int_eq(number(json_object_get(v, "pages"), "E05"), 1);
  ck_assert_int_eq(number(json_object_get(v, "statuses"), "200"), 2);
  ck_assert_int_eq(number(json_object_get(v, "statuses"), "500"), 1);
  ck_assert_int_eq(number(json_object_get(v, "statuses"), "503"), 1);
  ck_assert_uint_eq(json_object_size(json_object_get(v, "statuses")), 3);
  ck_assert_int_eq(number(v, "first_byte_p99_us"), 2048);
}

static void check_steps(const json_t *steps) {
  const json_t *first = json_array_get(steps, 0);
  const json_t *second = json_array_get(steps, 1);

  ck_assert_uint_eq(json_array_size(steps), 3);
  ck_assert_int_eq(number(first, "number"), 0);
  ck_assert_str_eq(string(first, "name"), "calm");
  ck_assert_int_eq(number(first, "end_ms"), number(second, "begin_ms"));
  ck_assert_str_eq(series(first, "said"), "\"20 apps are live.\"");
  ck_assert_str_eq(string(second, "name"), "feed \"faults\"");
  ck_assert_str_eq(series(second, "said"), "\"Said about faults.\"");
  ck_assert_str_eq(string(json_array_get(steps, 2), "skipped"),
                   "there is no deploybot");
}

static void check_laws(const json_t *laws) {
  static const char *const verdicts[] = {"held", "broken", "excused",
                                         "unchecked"};
  const json_t *broken = json_array_get(laws, 1);

  ck_assert_uint_eq(json_array_size(laws), 4);
  for (size_t i = 0; i < 4; i++)
    ck_assert_str_eq(string(json_array_get(laws, i), "verdict"), verdicts[i]);
  ck_assert_str_eq(string(broken, "id"), "I5");
  ck_assert_str_eq(string(broken, "means"), "what it says");
  ck_assert_int_eq(number(broken, "checks"), 70);
  ck_assert_int_eq(number(broken, "violations"), 2);
  ck_assert_str_eq(string(broken, "first"), "b2: a visitor of a got b ");
  ck_assert_str_eq(string(json_array_get(laws, 2), "excuse"),
                   "step 10 was not run");
}

static void check_run(const json_t *run) {
  const json_t *fault = json_array_get(json_object_get(run, "faults"), 0);
  const json_t *mark = json_array_get(json_object_get(run, "marks"), 0);

  ck_assert_str_eq(string(run, "title"), "the programs as they are");
  ck_assert_str_eq(string(run, "seed"), "18446744073709551615");
  ck_assert_str_eq(string(run, "begun"), "2026-01-01 00:00:00 UTC");
  ck_assert_int_ge(number(run, "cores"), 1);
  ck_assert_int_ge(number(run, "duration_ms"), 700);
  ck_assert(json_is_false(json_object_get(run, "clean")));
  ck_assert_str_eq(string(json_object_get(run, "options"), "drones"), "24");
  ck_assert_str_eq(string(json_object_get(run, "programs"), "balancer"),
                   "0.1.0");
  ck_assert_int_eq(
      number(json_object_get(run, "counters"), "provisioners killed"), 3000);
  ck_assert_int_eq(number(json_object_get(run, "callers"), "too_often"), 2);
  ck_assert_str_eq(string(fault, "name"), "stall");
  ck_assert_int_eq(number(fault, "begin_ms"), 100);
  ck_assert_int_eq(number(fault, "end_ms"), 300);
  ck_assert_int_eq(number(mark, "at_ms"), 650);
  ck_assert_str_eq(string(mark, "word"), "killed");
  check_laws(json_object_get(run, "laws"));
  check_steps(json_object_get(run, "steps"));
  check_visitors(json_object_get(run, "visitors"));
  check_series(json_object_get(run, "series"));
}

/* replay(1) names each member of a run. */
START_TEST(test_report_members_are_in_the_manual) {
  static char page[1 << 16];
  char path[1024];
  const char *key;
  json_t *run, *value;
  FILE *file;

  ck_assert_ptr_nonnull(getenv("CFT_SOURCE_DIR"));
  (void)snprintf(path, sizeof path, "%s/docs/man/replay.1",
                 getenv("CFT_SOURCE_DIR"));
  file = fopen(path, "re");
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_gt(fread(page, 1, sizeof page - 1, file), 1000);
  (void)fclose(file);
  begin(NULL);
  fill();
  run = report_json(report);
  json_object_foreach(run, key, value) ck_assert_msg(
      strstr(strstr(page, "The JSON"), key) != NULL, "replay(1) lacks %s", key);
  json_decref(run);
  end();
}
END_TEST

START_TEST(test_report_json) {
  json_t *run;

  begin(NULL);
  fill();
  run = report_json(report);
  ck_assert_ptr_nonnull(run);
  check_run(run);
  ck_assert(json_is_null(json_object_get(run, "naive")));
  json_decref(run);
  end();
}
END_TEST

/* ---- bounds ---- */

START_TEST(test_report_has_bounds_and_counts_what_is_beyond) {
  json_t *run;
  char name[32];

  begin(NULL);
  for (int i = 0; i < REPORT_PAIRS_MOST + 1; i++) {
    (void)snprintf(name, sizeof name, "n%d", i);
    report_option(report, name, "1");
  }
  add_law("I1", 1, 0, NULL, NULL);
  ck_assert(!report_is_clean(report));
  for (int i = 0; i < REPORT_LAWS_MOST + 1; i++) {
    (void)snprintf(name, sizeof name, "I%d", i);
    add_law(name, 1, 0, NULL, NULL);
  }
  for (int i = 0; i < REPORT_STEPS_MOST + 1; i++)
    report_step(report, i, "step");
  report_say(report, "about none");
  run = report_json(report);
  ck_assert_int_eq(number(json_object_get(run, "lost"), "of_the_report"), 3);
  ck_assert_uint_eq(json_array_size(json_object_get(run, "steps")),
                    REPORT_STEPS_MOST);
  ck_assert_uint_eq(json_object_size(json_object_get(run, "options")),
                    REPORT_PAIRS_MOST);
  json_decref(run);
  expect_in("\n3 things found no room in this report\n", table());
  end();
}
END_TEST

START_TEST(test_report_a_step_keeps_so_many_sentences) {
  begin(NULL);
  report_say(report, "before the first step");
  report_step(report, 1, "step");
  for (int i = 0; i < REPORT_SENTENCES_MOST + 2; i++)
    report_say(report, "sentence %d.", i);
  expect_in("sentence 63.", table());
  ck_assert_ptr_null(strstr(table(), "sentence 64."));
  ck_assert_ptr_null(strstr(table(), "before the first"));
  expect_in("2 things found no room", table());
  end();
}
END_TEST

/* ---- files ---- */

static char directory[64];

static void make_directory(void) {
  (void)snprintf(directory, sizeof directory, "/tmp/cft-report-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
}

static const char *path_of(const char *name) {
  static char path[128];

  (void)snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static void remove_files(void) {
  static const char *const names[] = {"table.txt", "replay.json",
                                      "timeline.svg", "story.txt", "story.md"};

  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    (void)unlink(path_of(names[i]));
  ck_assert_int_eq(rmdir(directory), 0); /* and nothing is left beside them */
}

static void expect_file(const char *name, bool there) {
  struct stat st;

  ck_assert_msg((stat(path_of(name), &st) == 0) == there, "%s", name);
  if (there) {
    ck_assert_int_eq(st.st_mode & 07777, 0644);
    ck_assert_int_gt(st.st_size, 100);
  }
}

START_TEST(test_report_files) {
  story *s = story_new(&(story_config){.title = "That Friday, told by it"});
  run_report *twice[2];
  char error[400] = "";
  json_t *all;

  begin(NULL);
  fill();
  twice[0] = twice[1] = report;
  make_directory();
  (void)umask(077);
  ck_assert_msg(report_files(twice, 2, NULL, directory, error, sizeof error),
                "%s", error);
  expect_file("story.txt", false);
  ck_assert_msg(report_files(twice, 2, s, directory, error, sizeof error), "%s",
                error);
  expect_file("table.txt", true);
  expect_file("timeline.svg", true);
  expect_file("story.txt", true);
  expect_file("story.md", true);
  expect_file("replay.json", true);
  all = json_load_file(path_of("replay.json"), JSON_REJECT_DUPLICATES, NULL);
  ck_assert_ptr_nonnull(all);
  ck_assert_str_eq(string(all, "program"), "replay");
  ck_assert_int_eq(number(all, "format"), 1);
  ck_assert_uint_eq(json_array_size(json_object_get(all, "runs")), 2);
  check_run(json_array_get(json_object_get(all, "runs"), 0));
  check_run(json_array_get(json_object_get(all, "runs"), 1));
  json_decref(all);
  remove_files();
  story_free(s);
  end();
}
END_TEST

START_TEST(test_report_a_file_that_cannot_be_written_is_told) {
  struct rlimit limit;
  char error[400] = "";
  struct stat st;

  begin(NULL);
  fill();
  ck_assert(
      !report_files(&report, 1, NULL, "/nonexistent/x", error, sizeof error));
  ck_assert_str_eq(error, "/nonexistent/x/table.txt cannot be written: No such "
                          "file or directory");
  make_directory();
  ck_assert(report_files(&report, 1, NULL, directory, error, sizeof error));
  ck_assert_int_eq(truncate(path_of("replay.json"), 1), 0);
  /* The table has room, JSON has not: as on a disk that is full. */
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
  ck_assert_int_eq(stat(path_of("table.txt"), &st), 0);
  limit.rlim_cur = (rlim_t)st.st_size + 50;
  (void)signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  ck_assert(!report_files(&report, 1, NULL, directory, error, sizeof error));
  limit.rlim_cur = limit.rlim_max;
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  expect_in("/replay.json cannot be written: File too large", error);
  ck_assert_int_eq(stat(path_of("replay.json"), &st), 0);
  ck_assert_int_eq(st.st_size, 1); /* what was there before */
  remove_files();
  end();
}
END_TEST

/* ---- threads ---- */

static void *tell(void *arg) {
  (void)arg;
  for (int i = 0; i < 500; i++) {
    report_counter(report, "rounds", i);
    if (i % 10 == 0)
      report_step(report, i, "step");
    report_say(report, "round %d", i);
    add_law("I1", (uint64_t)i, 0, NULL, NULL);
  }
  return NULL;
}

START_TEST(test_report_from_many_threads) {
  pthread_t threads[3];
  json_t *run;

  begin(NULL);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, tell, NULL), 0);
  (void)table();
  json_decref(report_json(report));
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  run = report_json(report);
  ck_assert_int_eq(number(json_object_get(run, "counters"), "rounds"), 499);
  ck_assert_uint_eq(json_array_size(json_object_get(run, "laws")), 1);
  json_decref(run);
  end();
}
END_TEST

int main(void) {
  Suite *s = suite_create("replay_report");
  TCase *t = tcase_create("replay_report");

  tcase_add_test(t, test_report_a_law_without_a_check_has_not_held);
  tcase_add_test(t, test_report_table);
  tcase_add_test(t, test_report_table_lines_are_cut_whatever_is_told);
  tcase_add_test(t, test_report_json);
  tcase_add_test(t, test_report_members_are_in_the_manual);
  tcase_add_test(t, test_report_has_bounds_and_counts_what_is_beyond);
  tcase_add_test(t, test_report_a_step_keeps_so_many_sentences);
  tcase_add_test(t, test_report_files);
  tcase_add_test(t, test_report_a_file_that_cannot_be_written_is_told);
  tcase_add_test(t, test_report_from_many_threads);
  suite_add_tcase(s, t);
  return cft_run(s);
}
