/* The replay's story: what was told is what is read, minute by minute, whatever
   names are in it. */
#include "replay/story.h"

#include "support/unit.h"

#include <pthread.h>

static story *make(int64_t ms_per_minute, unsigned begins_at) {
  story *s = story_new(&(story_config){.title = "That <Friday>",
                                       .ms_per_minute = ms_per_minute,
                                       .begins_at = begins_at,
                                       .minute_name = "of that Friday"});

  ck_assert_ptr_nonnull(s);
  return s;
}

static const char *written(story *s, const timeline_data *data,
                           enum story_form form) {
  static char copy[65536];
  text out = TEXT_INIT;

  story_write(s, data, form, &out);
  ck_assert(!out.failed);
  ck_assert_uint_lt(out.len, sizeof copy);
  memcpy(copy, text_get(&out), out.len + 1);
  text_free(&out);
  return copy;
}

static void visits(story *s, unsigned count, int64_t at_ms, const char *app,
                   const char *owner, const char *balancer) {
  while (count-- != 0)
    story_visit(s, at_ms, app, owner, balancer);
}

static void expect_in(const char *what, const char *in) {
  ck_assert_msg(strstr(in, what) != NULL, "no \"%s\" in:\n%.3000s", what, in);
}

START_TEST(test_story_refuses_what_is_out_of_range) {
  ck_assert_ptr_null(story_new(&(story_config){.ms_per_minute = 99}));
  ck_assert_ptr_null(story_new(&(story_config){.ms_per_minute = -1}));
  ck_assert_ptr_null(story_new(&(story_config){.begins_at = 1440}));
  story_event(NULL, 0, STORY_SAID, "x");
  story_visit(NULL, 0, "a", "b", "c");
  story_write(NULL, NULL, STORY_TEXT, NULL);
  story_free(NULL);
}
END_TEST

START_TEST(test_story_as_text) {
  story *s = make(1000, 14 * 60 + 58);

  story_event(s, 2500, STORY_WRONG, "Who asked was told %s, %d times.", "live",
              3);
  story_event(s, 2100, STORY_SAID, "The pool is empty.");
  story_event(s, 2100, STORY_SAID, "Somebody asks again.");
  visits(s, 1, 4000, "shop-1", "shop-2", "b1");
  visits(s, 1, 2000, "shop-12", "blog-9", "b1");
  visits(s, 1, 2000, "shop-12", "blog-9", "b3");
  visits(s, 37, 2999, "shop-12", "blog-4", "b2");
  ck_assert_str_eq(
      written(s, NULL, STORY_TEXT),
      "That <Friday>\n\n"
      "1 s of the replay is one minute of that Friday; all numbers are the "
      "replay's.\n\n"
      "15:00             The pool is empty.\n"
      "                  Somebody asks again.\n"
      "                ! Who asked was told live, 3 times.\n"
      "                ! 37 visitors of shop-12 saw blog-4's site (through "
      "b2).\n"
      "                ! 2 visitors of shop-12 saw blog-9's site (through b1, "
      "b3).\n"
      "15:02           ! 1 visitor of shop-1 saw shop-2's site (through b1).\n"
      "\nIn all 40 visitors of 2 sites saw somebody else's.\n\n");
  story_free(s);
}
END_TEST

START_TEST(test_story_as_markdown) {
  story *s = make(250, 0);

  story_event(s, 300, STORY_WRONG, "a|b *c* [d](e) <f> `g`");
  ck_assert_str_eq(
      written(s, NULL, STORY_MARKDOWN),
      "## That \\<Friday\\>\n\n"
      "250 ms of the replay is one minute of that Friday; all numbers are the "
      "replay's.\n\n"
      "| time | |\n|---|---|\n"
      "| 00:01 | **a\\|b \\*c\\* \\[d\\](e) \\<f\\> \\`g\\`** |\n"
      "\nNobody saw another site than the one that was asked for.\n\n");
  story_free(s);
}
END_TEST

static void visit(timeline *t, int64_t at_ms, enum timeline_outcome outcome,
                  bool foreign) {
  timeline_add_visit(
      t, &(timeline_visit){at_ms, at_ms, 1000, outcome, 5, 200, foreign});
}

/* Four minutes of two slices each; in the third something happens. */
START_TEST(test_story_minutes_in_which_nothing_happened_are_told_together) {
  timeline *t = timeline_new(&(timeline_config){500, 60, 0});
  story *s = make(1000, 23 * 60 + 58);
  timeline_data *d;
  const char *out;

  for (int64_t at_ms = 0; at_ms < 4000; at_ms += 100)
    visit(t, at_ms, TIMELINE_APP, false);
  visit(t, 2100, TIMELINE_APP, true);
  visit(t, 2600, TIMELINE_PAGE, false);
  visit(t, 2600, TIMELINE_NOTHING, false);
  visit(t, 2600, TIMELINE_LEFT, false);
  timeline_add_api(t, 2999, TIMELINE_LIVE);
  timeline_add_api(t, 2999, TIMELINE_FULL);
  timeline_end(t, 4000);
  story_event(s, 2000, STORY_SAID, "Midnight.");
  d = timeline_take(t);
  ck_assert_ptr_nonnull(d);
  out = written(s, d, STORY_TEXT);
  expect_in("\n23:58 to 23:59    20 visitors: each saw the site that was asked "
            "for.\n00:00             Midnight.\n",
            out);
  expect_in("14 visitors: 10 saw the site they asked for, 1 somebody else's, 1 "
            "an error page, 1\n                  nothing, 1 went away.\n",
            out);
  expect_in("told: live (1), no room (1).\n00:01             10 visitors: each",
            out);
  free(d);
  story_free(s);
  timeline_free(t);
}
END_TEST

START_TEST(test_story_many_at_once_are_told_together) {
  story *s = make(1000, 600);
  const char *out;
  char app[16];

  for (unsigned i = 0; i < 20; i++) {
    (void)snprintf(app, sizeof app, "app-%02u", i / 2);
    visits(s, 20 - i, 0, app, i % 2 == 0 ? "one" : "two", "b1");
  }
  out = written(s, NULL, STORY_TEXT);
  expect_in("10:00           ! 20 visitors of app-00 saw one's site", out);
  expect_in("! 17 visitors of app-01 saw two's site", out);
  ck_assert_ptr_null(strstr(out, "app-02"));
  expect_in("! 136 visitors of 8 more sites saw somebody else's.", out);
  expect_in("In all 210 visitors of 10 sites", out);
  story_free(s);
}
END_TEST

START_TEST(test_story_names_are_cleaned_and_cut) {
  story *s = make(1000, 0);
  char huge[4096], name[16];
  const char *out;

  memset(huge, 'y', sizeof huge - 1);
  huge[sizeof huge - 1] = '\0';
  story_event(s, 0, STORY_SAID, "%s", huge);
  story_visit(s, 0, huge, "a\nb\x1b[31m\xff", "b\x7f");
  for (unsigned i = 0; i < 20; i++) { /* too many balancers have no name */
    (void)snprintf(name, sizeof name, "n%u", i);
    story_visit(s, 1000, "x", "y", name);
  }
  out = written(s, NULL, STORY_TEXT);
  expect_in("saw a\n                  b [31m\xef\xbf\xbd's site (through b ).",
            out);
  expect_in("20 visitors of x saw y's site (through n0, n1, n2, n3, n4, n5, "
            "n6).",
            out);
  for (const char *line = out; *line != '\0'; line = strchr(line, '\n') + 1)
    ck_assert_int_le(strchr(line, '\n') - line, 102);
  story_free(s);
}
END_TEST

static story *shared;

static void *tell(void *arg) {
  for (int i = 0; i < 3000; i++) {
    char app[16];

    (void)snprintf(app, sizeof app, "a%d", i % 50);
    story_visit(shared, i, app, "owner", arg);
    if (i % 10 == 0)
      story_event(shared, i, STORY_SAID, "It is %d.", i);
  }
  return NULL;
}

START_TEST(test_story_has_bounds_and_counts_what_is_beyond) {
  static char names[4][4] = {"b1", "b2", "b3", "b4"};
  pthread_t threads[4];
  const char *out;
  char app[16];
  text all = TEXT_INIT;

  shared = make(1000, 0);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, tell, names[i]), 0);
  story_write(shared, NULL, STORY_TEXT, &all); /* meanwhile */
  text_clear(&all);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  for (int i = 0; i < STORY_PAIRS_MOST - 150 + 7; i++) {
    (void)snprintf(app, sizeof app, "b%d", i);
    story_visit(shared, INT64_MAX, app, "owner", "b1");
  }
  story_write(shared, NULL, STORY_TEXT, &all);
  ck_assert(!all.failed);
  out = text_get(&all);
  expect_in("In all 15,953 visitors of 3,996 sites saw somebody else's.", out);
  expect_in("\n176 sentences and the sites of 7 visitors found no room here.\n",
            out);
  text_free(&all);
  story_free(shared);
}
END_TEST

int main(void) {
  Suite *s = suite_create("replay_story");
  TCase *t = tcase_create("replay_story");

  tcase_add_test(t, test_story_refuses_what_is_out_of_range);
  tcase_add_test(t, test_story_as_text);
  tcase_add_test(t, test_story_as_markdown);
  tcase_add_test(
      t, test_story_minutes_in_which_nothing_happened_are_told_together);
  tcase_add_test(t, test_story_many_at_once_are_told_together);
  tcase_add_test(t, test_story_names_are_cleaned_and_cut);
  tcase_add_test(t, test_story_has_bounds_and_counts_what_is_beyond);
  suite_add_tcase(s, t);
  return cft_run(s);
}
