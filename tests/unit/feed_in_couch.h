/*
 * What the tests of checkpoint=couch share: documents as a server holds them, a
 * feed that keeps its position in one, and what it says about it.
 */
#ifndef CFT_UNIT_FEED_IN_COUCH_H
#define CFT_UNIT_FEED_IN_COUCH_H

#include "feed_in_world.h"

#define SAVED(rev) "{\"ok\":true,\"id\":\"_local/x\",\"rev\":\"" rev "\"}"
#define MISSING "{\"error\":\"not_found\",\"reason\":\"missing\"}"
#define CONFLICT                                                               \
  "{\"error\":\"conflict\",\"reason\":\"Document update conflict.\"}"
#define NO_DATABASE                                                            \
  "{\"error\":\"not_found\",\"reason\":\"Database does not exist.\"}"

/* ---- what the feed says ---- */

static unsigned store_notices, endpoint_notices;
static char notice_reason[1024], notice_from[256], notice_to[256];
static char said[16384]; /* all lines of the log */

static void take_notice(changefeed *feed, const changefeed_notice *notice,
                        void *user) {
  (void)feed;
  (void)user;
  if (notice->kind == CHANGEFEED_NOTICE_STORE)
    store_notices++;
  else if (notice->kind == CHANGEFEED_NOTICE_ENDPOINT)
    endpoint_notices++;
  (void)snprintf(notice_reason, sizeof notice_reason, "%s", notice->reason);
  (void)snprintf(notice_from, sizeof notice_from, "%s",
                 notice->from != NULL ? notice->from : "");
  (void)snprintf(notice_to, sizeof notice_to, "%s",
                 notice->to != NULL ? notice->to : "");
}

static void take_log(changefeed *feed, int level, const char *text, size_t len,
                     void *user) {
  size_t at = strlen(said);

  (void)feed;
  (void)level;
  (void)user;
  (void)snprintf(said + at, sizeof said - at, "%.*s\n", (int)len, text);
}

/* Options are name, value pairs up to NULL. */
static inline void open_told(const char *const *options) {
  int rc = cft_world_try(&w, NULL, options);

  ck_assert_msg(rc == CHANGEFEED_OK, "%s", w.error.text);
  store_notices = endpoint_notices = 0;
  notice_reason[0] = notice_from[0] = notice_to[0] = said[0] = '\0';
  w.feed->callbacks.on_notice = take_notice;
  w.feed->callbacks.on_log = take_log;
  cft_world_settle(&w);
}

/* ---- documents ---- */

typedef struct stored {
  const char *session, *feed, *seq, *uuid, *start_time, *marker;
} stored;

static inline void put_stored(cfi_couch_doc *doc, const cfi_alloc *heap,
                              const stored *s) {
  char text[6][64];
  cfi_checkpoint c = {0};
  cfi_buf b;

  (void)snprintf(text[0], 64, "%s", s->feed != NULL ? s->feed : "db");
  (void)snprintf(text[1], 64, "%s", s->seq);
  (void)snprintf(text[2], 64, "%s", s->uuid != NULL ? s->uuid : "u1");
  (void)snprintf(text[3], 64, "%s",
                 s->start_time != NULL ? s->start_time : "77");
  (void)snprintf(text[4], 64, "%s", s->marker != NULL ? s->marker : "m");
  c.feed = text[0];
  c.seq = text[1];
  c.server_uuid = text[2];
  c.instance_start_time = text[3];
  c.marker = text[4];
  c.rows = 5;
  cfi_buf_init(&b, heap);
  ck_assert(cfi_checkpoint_encode(&c, &b));
  ck_assert(cfi_couch_doc_put(heap, doc, s->session, cfi_buf_data(&b), b.len));
  cfi_buf_free(&b);
}

/* The document of some runs, the oldest first; flip damages so many of the
   newest. */
static inline const char *document(const char *rev, const stored *runs,
                                   size_t count, size_t flip) {
  static char text[16384];
  cfi_couch_doc doc = {0};
  cfi_alloc heap;
  cfi_buf b;

  ck_assert(cfi_alloc_init(&heap, NULL));
  for (size_t i = 0; i < count; i++)
    put_stored(&doc, &heap, &runs[i]);
  for (size_t i = 0; i < flip; i++)
    doc.entry[i].record[strlen(doc.entry[i].record) - 2] ^= 1;
  doc.rev = cfi_strdup(&heap, rev);
  cfi_buf_init(&b, &heap);
  ck_assert(cfi_couch_doc_write(&doc, "x", &b));
  (void)snprintf(text, sizeof text, "%s", cfi_buf_text(&b));
  cfi_buf_free(&b);
  cfi_couch_doc_free(&heap, &doc);
  return text;
}

/* What the feed has last put, as the server gives it back. */
static inline const char *as_put(const char *rev) {
  static char text[2048];
  const char *type = strstr(w.side.body, "\"type\"");

  ck_assert_ptr_nonnull(type);
  (void)snprintf(text, sizeof text, "{\"_id\":\"_local/x\",\"_rev\":\"%s\",%s",
                 rev, type);
  return text;
}

/* ---- a feed ---- */

/* Up to LOAD. */
static inline void open_to_load(const char *const *options) {
  open_told(options);
  while (cft_world_ask(&w) != CFI_ASK_LOAD)
    cft_world_answer(&w, 200,
                     cft_world_ask(&w) == CFI_ASK_SERVER
                         ? "{\"couchdb\":\"Welcome\",\"version\":\"3.5.0\","
                           "\"uuid\":\"u1\"}"
                     : cft_world_ask(&w) == CFI_ASK_LOGIN
                         ? "{\"ok\":true}"
                         : "{\"db_name\":\"db\",\"instance_start_time\":"
                           "\"77\",\"update_seq\":\"9-x\"}");
}

/* Time in which nothing but heartbeats comes. */
static inline void stay_quiet(int64_t ms) {
  for (; ms > 0; ms -= 5000) {
    cft_world_pass(&w, ms < 5000 ? ms : 5000);
    ck_assert(w.active);
    ck_assert(cft_world_body(&w, "\n"));
  }
}

/* Live, at 5-a, nothing to be saved, and all tokens there. */
static inline void open_live_at_five(const char *const *options) {
  static const stored run = {.session = "before", .seq = "5-a"};

  open_to_load(options);
  cft_world_answer(&w, 200, document("0-4", &run, 1, 0));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_CATCHUP);
  ck_assert_ptr_nonnull(strstr(cft_world_url(&w), "since=5-a&"));
  cft_world_answer(&w, 200, LIST("", "\"last_seq\":\"5-a\",\"pending\":0"));
  ck_assert_int_eq(cft_world_ask(&w), CFI_ASK_LIVE);
  cft_world_head(&w, 200, NULL);
  stay_quiet(6000);
  ck_assert(w.feed->verified);
  ck_assert(!w.side.active);
}

/* A save is under way and holds this position. */
static inline void assert_saving(const char *seq) {
  char line[80];

  (void)snprintf(line, sizeof line, "\\nseq=%s\\n", seq);
  ck_assert_int_eq(cft_world_side_ask(&w), CFI_ASK_SAVE);
  ck_assert(w.side.put);
  ck_assert_ptr_nonnull(strstr(w.side.url, "/db/_local/changefeed-"));
  ck_assert_msg(strstr(w.side.body, line) != NULL, "%s", w.side.body);
}

static inline unsigned long long saves(void) {
  return (unsigned long long)w.feed->stats.saves;
}

static inline unsigned long long save_errors(void) {
  return (unsigned long long)w.feed->stats.save_errors;
}

#endif
