/*
 * source=all_docs: instead of changes the list of documents is read, page by
 * page, each beginning where the one before ended. The place is an id. All else
 * is as with changes: requests, faults, credentials, delivery.
 */
#include <string.h>

#include "feed.h"
#include "json_write.h"
#include "str.h"

/* False without memory. */
static bool put_key(cfi_buf *b, const char *name, const char *id, size_t len) {
  cfi_buf text;
  char *json;

  cfi_buf_init(&text, b->alloc);
  cfi_json_put_string(&text, id, len);
  json = cfi_buf_text(&text);
  cfi_buf_puts(b, name);
  if (json != NULL)
    cfi_url_put_encoded(b, json, text.len);
  cfi_buf_free(&text);
  return json != NULL;
}

/* In bytes, shorter first: the order CouchDB lists ids in. */
static int compare(changefeed_str a, changefeed_str b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len != 0 ? memcmp(a.data, b.data, len) : 0;

  return order != 0 || a.len == b.len ? order : a.len < b.len ? -1 : 1;
}

static bool note(changefeed *f, changefeed_str id) {
  cfi_buf_clear(&f->listed, SIZE_MAX);
  return cfi_buf_append(&f->listed, id.data, id.len, SIZE_MAX - 2) ==
         CFI_BUF_OK;
}

bool cfi_list_begin_page(changefeed *f) {
  changefeed_str since = {cfi_buf_data(&f->asked_since), f->asked_since.len};

  f->page_rows = 0;
  f->page_skip = f->ordinal - f->begun_at;
  return !f->lists || note(f, since);
}

static bool in_range(const changefeed *f, changefeed_str id) {
  const char *start = f->set.startkey, *end = f->set.endkey;
  int order;

  /* Behind the first row the order of the ids says as much. */
  if (start != NULL && f->listed.len == 0 &&
      compare(id, (changefeed_str){start, strlen(start)}) < 0)
    return false;
  if (end == NULL)
    return true;
  order = compare(id, (changefeed_str){end, strlen(end)});
  return f->set.inclusive_end != 0 ? order <= 0 : order < 0;
}

/* The last row of a page comes again as the first one of the next: so nothing
   that came between them meanwhile is missed, and it does not matter whether
   that document is there still. A server that lists in another order, or does
   not begin where it was asked to, could go round in circles. What is asked
   for by ids is answered id by id, whatever became of them: so many rows as
   were taken before are passed over. */
cfi_list_verdict cfi_list_judge(changefeed *f, changefeed_str id) {
  changefeed_str before = {cfi_buf_data(&f->listed), f->listed.len};
  int order = before.len != 0 ? compare(before, id) : -1;

  f->page_rows++;
  if (f->set.doc_ids != NULL)
    return f->page_rows > f->page_skip ? CFI_LIST_NEW : CFI_LIST_SEEN;
  if (order == 0 && f->page_rows == 1)
    return CFI_LIST_SEEN;
  if (order >= 0 || !in_range(f, id))
    return CFI_LIST_DISORDER;
  return note(f, id) ? CFI_LIST_NEW : CFI_LIST_NOMEM;
}

static uint64_t page_size(const changefeed *f) {
  uint64_t most = (uint64_t)f->set.page_rows;
  uint64_t again = f->resume.len != 0 ? 1 : 0;

  return (most < f->limit_left ? most : f->limit_left) + again;
}

static bool put_range(const changefeed *f, cfi_buf *b) {
  const cfi_settings *s = &f->set;
  bool ok = true;

  cfi_buf_puts(b, "&limit=");
  cfi_buf_putint(b, (long long)f->page_asked);
  if (f->resume.len != 0)
    ok = put_key(b, "&startkey=", cfi_buf_data(&f->resume), f->resume.len);
  else if (s->startkey != NULL)
    ok = put_key(b, "&startkey=", s->startkey, strlen(s->startkey));
  if (ok && s->endkey != NULL)
    ok = put_key(b, "&endkey=", s->endkey, strlen(s->endkey));
  if (s->inclusive_end == 0)
    cfi_buf_puts(b, "&inclusive_end=false");
  return ok;
}

/* A list sends no heartbeats, and its rows come as fast as they are found. */
bool cfi_list_put_url(changefeed *f, cfi_buf *b) {
  const cfi_settings *s = &f->set;

  f->asked_timeout = false;
  f->idle_ms =
      s->idle_timeout_ms != 0 ? s->idle_timeout_ms : s->heartbeat_ms * 3 / 2;
  f->page_asked = s->doc_ids != NULL ? UINT64_MAX : page_size(f);
  cfi_buf_putc(b, '/');
  cfi_buf_puts(b, f->url.db);
  cfi_buf_puts(b, s->include_docs != 0 ? "/_all_docs?include_docs=true"
                                       : "/_all_docs?include_docs=false");
  if (s->doc_ids == NULL && !put_range(f, b))
    return false;
  cfi_feed_put_shape(s, b);
  cfi_feed_put_query(s, b);
  return true;
}

bool cfi_list_is_over(const changefeed *f) {
  return f->page_rows < f->page_asked;
}

/* What would change where a page begins or ends. */
static int check_query(const cfi_settings *s, cfi_error *error) {
  static const char *const own[] = {"key",
                                    "keys",
                                    "startkey",
                                    "start_key",
                                    "startkey_docid",
                                    "endkey",
                                    "end_key",
                                    "start_key_doc_id",
                                    "endkey_docid",
                                    "end_key_doc_id",
                                    "skip",
                                    "inclusive_end"};

  for (size_t i = 0; i < s->query.count; i++) {
    const char *text = s->query.items[i];
    size_t len = strcspn(text, "=");

    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
      if (strlen(own[k]) == len && memcmp(own[k], text, len) == 0)
        return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                             "query: with source=all_docs the parameter %s is "
                             "the library's; use startkey, endkey, "
                             "inclusive_end and doc_ids",
                             own[k]);
  }
  return CHANGEFEED_OK;
}

int cfi_list_check(const changefeed_options *o, cfi_error *error) {
  const cfi_settings *s = &o->set;
  const struct {
    const char *name;
    bool set;
  } wrong[] = {{"filter", s->filter != NULL},
               {"selector", s->selector != NULL},
               {"view", s->view != NULL},
               {"style", s->style != CFI_STYLE_MAIN_ONLY},
               {"descending", s->descending != 0},
               {"marker", s->marker != 0},
               {"since", strcmp(s->since, "0") != 0},
               {"checkpoint", strcmp(s->checkpoint, "none") != 0},
               {"a store of the application", o->store.save != NULL}};

  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    if (wrong[i].set)
      return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                           "%s has no meaning with source=all_docs",
                           wrong[i].name);
  if (s->doc_ids != NULL && (s->startkey != NULL || s->endkey != NULL))
    return cfi_error_set(error, CHANGEFEED_ERR_OPTION,
                         "doc_ids and startkey or endkey exclude each other");
  return check_query(s, error);
}
