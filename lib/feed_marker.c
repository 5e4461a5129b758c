/*
 * The marker: a random text in a `_local` document of the database, by which it
 * is known again where the server does not tell one database from the next of
 * that name. All followers share it.
 */
#include <string.h>

#include "feed.h"
#include "info.h"

enum { CONFLICTS_MAX = 3 };

/* Asked for by an option it is looked at always; with checkpoint=couch where
   nothing else tells. */
bool cfi_marker_is_due(const changefeed *f) {
  if (!f->marks || f->marker_refused || (f->checks & CFI_CHECKED_MARKER) != 0)
    return false;
  return f->set.marker != 0 || f->identity.marker == NULL ||
         !cfi_feed_start_time_tells(f);
}

static void confirmed(changefeed *f) {
  f->marker_absent = false;
  f->marker_conflicts = 0;
  f->checks |= CFI_CHECKED_MARKER;
}

static void adopt(changefeed *f, const char *marker) {
  const char *known = f->identity.marker;
  char *copy = cfi_strdup(f->alloc, marker);
  bool news;

  if (copy == NULL) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
    return;
  }
  news = (known == NULL || strcmp(known, marker) != 0) &&
         !cfi_feed_start_time_tells(f);
  cfi_free(f->alloc, f->identity.marker);
  f->identity.marker = copy;
  confirmed(f);
  /* The response may have begun in a database before this one. And what we
     have written another may have overwritten: CouchDB from 2 on lets it. The
     next response looks. */
  if (news)
    cfi_feed_response_over(f);
}

/* The feed does without. */
static void do_without(changefeed *f) {
  changefeed_notice notice = {.kind = CHANGEFEED_NOTICE_STORE};

  f->marker_refused = true;
  f->checks |= CFI_CHECKED_MARKER;
  notice.reason = f->error.text;
  cfi_feed_log(f, CHANGEFEED_LOG_ERROR, "%s", f->error.text);
  if (!cfi_feed_gone(f))
    cfi_feed_notice(f, &notice);
}

char *cfi_marker_body(changefeed *f) {
  cfi_buf b;

  cfi_feed_random_text(f, f->marker_text);
  cfi_buf_init(&b, f->alloc);
  cfi_buf_puts(&b, "{\"_id\":\"_local/" CFI_MARKER_NAME "\",\"marker\":\"");
  cfi_buf_puts(&b, f->marker_text);
  cfi_buf_puts(&b, "\"}");
  return cfi_buf_take(&b);
}

static void on_missing(changefeed *f) {
  if (f->identity.marker != NULL && cfi_feed_has_begun(f)) {
    (void)cfi_feed_reset(f, "the marker is gone from the database");
    return;
  }
  f->marker_absent = true;
}

static void on_found(changefeed *f, const cfi_lane *l) {
  cfi_info info = {0};
  int rc =
      cfi_info_parse(f->alloc, cfi_buf_data(&l->reply), l->reply.len, &info);

  if (rc == CFI_INFO_NOMEM) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_NOMEM, "no memory");
    cfi_feed_fault(f);
  } else if (rc != CFI_INFO_OK || info.rev.data == NULL) {
    cfi_feed_fault_protocol(f, l, "HTTP 200 with what is no document");
  } else if (f->identity.marker != NULL && cfi_feed_has_begun(f) &&
             (info.marker.data == NULL ||
              strcmp(f->identity.marker, info.marker.data) != 0)) {
    (void)cfi_feed_reset(f, "the database holds another marker");
  } else if (info.marker.data == NULL) {
    (void)cfi_error_set(&f->error, CHANGEFEED_ERR_PROTOCOL,
                        "_local/" CFI_MARKER_NAME " of %s holds no marker",
                        cfi_feed_where(f)->shown);
    do_without(f);
  } else {
    adopt(f, info.marker.data);
  }
  cfi_info_free(f->alloc, &info);
}

/* For good, as far as one can see; what else is no success may be better the
   next time. */
static bool is_refusal(const changefeed *f, const cfi_lane *l) {
  return l->status == 403 || l->status == 405 ||
         (l->status == 401 && !cfi_feed_can_renew(f));
}

static void on_written(changefeed *f, cfi_lane *l) {
  bool wrong_one = l->status == 409;

  if (l->status == 201 || l->status == 202) {
    adopt(f, f->marker_text);
  } else if (wrong_one && ++f->marker_conflicts < CONFLICTS_MAX) {
    f->marker_absent = false; /* another follower was faster: read it */
  } else if (is_refusal(f, l)) {
    cfi_feed_describe(f, l, (changefeed_str){NULL, 0},
                      (changefeed_str){NULL, 0});
    do_without(f);
  } else if (l->status == 200) {
    cfi_feed_fault_protocol(f, l, "HTTP 200 to a document that was written");
  } else {
    f->marker_conflicts = 0;
    cfi_feed_on_answer(f, l);
  }
}

void cfi_marker_on_answer(changefeed *f, cfi_lane *l) {
  bool missing = l->done_code == CHANGEFEED_OK && l->ask == CFI_ASK_MARKER &&
                 cfi_feed_doc_is_missing(f, l);

  if (l->done_code != CHANGEFEED_OK || l->no_memory)
    cfi_feed_on_answer(f, l);
  else if (l->ask == CFI_ASK_MARKER_PUT)
    on_written(f, l);
  else if (missing)
    on_missing(f);
  else if (l->status == 200)
    on_found(f, l);
  else
    cfi_feed_on_answer(f, l);
}
