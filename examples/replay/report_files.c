/* The report's files: the table, JSON, the picture and the story; see
   report.h. */
#include "replay/report_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct files {
  run_report *const *reports;
  size_t count;
  story *story;
  const char *directory;
  char *error;
  size_t error_size;
} files;

static bool fail_memory(const files *f, const char *name) {
  (void)snprintf(f->error, f->error_size, "%.300s/%s: no memory", f->directory,
                 name);
  return false;
}

/* Frees the content. */
static bool save(const files *f, const char *name, text *content) {
  text path = TEXT_INIT;
  bool ok;

  text_printf(&path, "%s/%s", f->directory, name);
  ok = path.failed || content->failed
           ? fail_memory(f, name)
           : report_save(text_get(&path), text_get(content), content->len,
                         f->error, f->error_size);
  text_free(&path);
  text_free(content);
  return ok;
}

static bool save_table(const files *f) {
  text out = TEXT_INIT;

  for (size_t i = 0; i < f->count; i++) {
    text_str(&out, i != 0 ? "\n" : "");
    report_table(f->reports[i], &out);
  }
  return save(f, "table.txt", &out);
}

static bool save_json(const files *f) {
  json_t *runs = json_array(), *all;
  text out = TEXT_INIT;
  char *data = NULL;
  bool ok = true;

  for (size_t i = 0; ok && i < f->count; i++)
    ok = json_array_append_new(runs, report_json(f->reports[i])) == 0;
  all = json_pack("{s:s, s:i, s:o}", "program", "replay", "format", 1, "runs",
                  runs);
  if (ok && all != NULL)
    data = json_dumps(all, JSON_COMPACT);
  json_decref(all);
  if (data == NULL)
    return fail_memory(f, "replay.json");
  text_printf(&out, "%s\n", data);
  free(data);
  return save(f, "replay.json", &out);
}

static void add_subtitle(const run_report *r, text *out) {
  text_printf(out, "seed %" PRIu64 ", ", r->seed);
  report_date(r->begun_ms, out);
  text_printf(out, ", %d cores", r->cores);
  for (size_t i = 0; i < r->programs.count; i++)
    text_printf(out, ", %s %s", r->programs.list[i].name,
                r->programs.list[i].value != NULL ? r->programs.list[i].value
                                                  : "");
}

/* Fills one of the pictures; false: no memory. */
static bool take_picture(run_report *r, timeline_picture *picture, text *title,
                         text *subtitle) {
  picture->data = timeline_take(r->timeline);
  (void)pthread_mutex_lock(&r->lock);
  text_printf(title, "%s%s%s", r->title, r->naive != NULL ? "; naive: " : "",
              r->naive != NULL ? r->naive : "");
  add_subtitle(r, subtitle);
  (void)pthread_mutex_unlock(&r->lock);
  picture->title = text_get(title);
  picture->subtitle = text_get(subtitle);
  return picture->data != NULL && !title->failed && !subtitle->failed;
}

static bool save_picture(const files *f) {
  timeline_picture *pictures = calloc(f->count + 1, sizeof *pictures);
  text *words = calloc(2 * f->count + 1, sizeof *words), out = TEXT_INIT;
  bool ok = pictures != NULL && words != NULL;

  for (size_t i = 0; ok && i < f->count; i++)
    ok = take_picture(f->reports[i], &pictures[i], &words[2 * i],
                      &words[2 * i + 1]);
  if (ok)
    timeline_svg(pictures, f->count, &out);
  for (size_t i = 0; pictures != NULL && i < f->count; i++)
    free((void *)(uintptr_t)pictures[i].data);
  for (size_t i = 0; words != NULL && i < 2 * f->count; i++)
    text_free(&words[i]);
  free(pictures);
  free(words);
  return ok ? save(f, "timeline.svg", &out) : fail_memory(f, "timeline.svg");
}

static bool save_story(const files *f, enum story_form form, const char *name) {
  timeline_data *data =
      f->count != 0 ? timeline_take(f->reports[0]->timeline) : NULL;
  text out = TEXT_INIT;

  if (f->count != 0 && data == NULL)
    return fail_memory(f, name);
  story_write(f->story, data, form, &out);
  free(data);
  return save(f, name, &out);
}

bool report_files(run_report *const *reports, size_t count, story *s,
                  const char *directory, char *error, size_t error_size) {
  const files f = {reports, count, s, directory, error, error_size};

  return save_table(&f) && save_json(&f) && save_picture(&f) &&
         (s == NULL || (save_story(&f, STORY_TEXT, "story.txt") &&
                        save_story(&f, STORY_MARKDOWN, "story.md")));
}
