/*
 * The server's _local documents: the marker, and the position of a follower
 * that keeps it in the database. Written with revisions, refused, written
 * without an answer, written long after the answer was given up, lost with
 * their database.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"
#include "support/mem.h"

enum { LOOK_MS = 60000 }; /* so long another writer may go unnoticed */

static sim_local *local_of(sim *s, cfi_ask ask) {
  return ask == CFI_ASK_MARKER || ask == CFI_ASK_MARKER_PUT ? &s->marker
                                                            : &s->position;
}

static bool is_put(cfi_ask ask) {
  return ask == CFI_ASK_SAVE || ask == CFI_ASK_MARKER_PUT;
}

bool sim_local_asked(cfi_ask ask) {
  return is_put(ask) || ask == CFI_ASK_LOAD || ask == CFI_ASK_MARKER;
}

static void forget_put(sim_put *put) {
  free(put->text);
  *put = (sim_put){.at_ms = CFI_NEVER};
}

void sim_local_clear(sim *s) {
  free(s->position.text);
  free(s->marker.text);
  s->position = s->marker = (sim_local){.rev = 0};
}

void sim_local_free(sim *s) {
  sim_local_clear(s);
  forget_put(&s->conn.put);
  forget_put(&s->side.put);
  forget_put(&s->late);
}

/* ---- reading what is to be written ---- */

/* Where the member _rev begins and ends; false: there is none. */
static bool find_rev(const char *text, const char **from, const char **to) {
  static const char name[] = "\"_rev\":\"0-";

  *from = strstr(text, name);
  if (*from == NULL)
    return false;
  *to = strchr(*from + sizeof name - 1, '"');
  return *to != NULL;
}

static unsigned parent_of(const char *text) {
  const char *from, *to;
  int64_t n = 0;

  if (find_rev(text, &from, &to) &&
      !cfi_str_to_int(from + 10, (size_t)(to - from) - 10, &n))
    n = -1;
  return (unsigned)n;
}

/* As the server shows it: with this revision. */
static void put_document(cfi_buf *b, const char *text, unsigned rev) {
  const char *from, *to;

  cfi_buf_puts(b, "{\"_rev\":\"0-");
  cfi_buf_putint(b, rev);
  cfi_buf_puts(b, "\",");
  text++;
  if (find_rev(text, &from, &to)) {
    (void)cfi_buf_append(b, text, (size_t)(from - text), SIZE_MAX - 2);
    text = to[1] == ',' ? to + 2 : to + 1;
  }
  cfi_buf_puts(b, text);
}

char *sim_local_record(const sim *s, const char *text) {
  cfi_couch_doc doc = {0};
  cfi_error error;
  char *record = NULL;
  cfi_buf b;

  cfi_buf_init(&b, &s->quiet_alloc);
  put_document(&b, text, 1);
  if (cfi_couch_doc_parse(&s->quiet_alloc, cfi_buf_data(&b), b.len, &doc,
                          &error) == CHANGEFEED_OK &&
      doc.count != 0)
    record = cft_memdup(doc.entry[0].record, strlen(doc.entry[0].record));
  cfi_couch_doc_free(&s->quiet_alloc, &doc);
  cfi_buf_free(&b);
  return record;
}

/* The first entry is the run's own: its position is held to the rules while
   everything is as it was when it was sent. */
static void check_position(sim *s, sim_put *put) {
  char *record = sim_local_record(s, put->text);

  if (record == NULL) {
    sim_violate(s, "a position's document that cannot be read: %s", put->text);
    return;
  }
  sim_check_saved(s, record, strlen(record));
  put->place = s->place;
  free(record);
  if (s->position.foreign &&
      (s->config.conflicts ? put->parent == s->position.rev
                           : s->now_ms > s->position.foreign_ms + LOOK_MS))
    sim_violate(s, "writes over the position of another follower");
}

void sim_local_forget(sim_conn *c) { forget_put(&c->put); }

void sim_local_take(sim *s, sim_conn *c, const cfi_request *request) {
  sim_put *put = &c->put;

  if (!is_put(c->ask))
    return;
  if (!request->put || request->body == NULL) {
    sim_violate(s, "a document is written without a text");
    return;
  }
  put->text = cft_memdup(request->body, request->body_len);
  put->parent = parent_of(put->text);
  put->to = local_of(s, c->ask);
  if (c->ask == CFI_ASK_SAVE)
    check_position(s, put);
}

/* ---- writing ---- */

/* False: the revision is another. */
static bool write_now(sim *s, sim_put *put) {
  sim_local *to = put->to;

  put->tried = true;
  if (s->model.missing || (s->config.conflicts && put->parent != to->rev))
    return false;
  free(to->text);
  to->text = put->text;
  put->text = NULL;
  to->rev = put->parent + 1;
  to->place = put->place;
  to->foreign = false;
  return true;
}

/* Another run of the same follower, or another follower by the same name. */
void sim_local_intrude(sim *s) {
  static const char name[] = "\"session\":\"";
  char number[8], *session = s->position.text != NULL
                                 ? strstr(s->position.text, name)
                                 : NULL;

  if (session == NULL)
    return;
  session += sizeof name - 1;
  (void)snprintf(number, sizeof number, "%05u", ++s->intruders % 100000);
  session[0] = 'z';
  memcpy(session + 1, number, 5);
  s->position.rev++;
  s->position.foreign = s->intruded = true;
  s->position.foreign_ms = s->now_ms;
  sim_trail(s, "another follower saves its position");
}

/* Nobody waits for the answer any more. */
void sim_local_abandoned(sim *s, sim_conn *c) {
  sim_put *put = &c->put;

  if (put->text == NULL || put->tried || !c->connected)
    return;
  switch (sim_pick(s, 3)) {
  case 0:
    (void)write_now(s, put);
    sim_trail(s, "written, and nobody listens");
    break;
  case 1:
    /* A marker may be written over: one reset too many. */
    if (put->to == &s->marker && !s->config.conflicts)
      break;
    forget_put(&s->late);
    s->late = *put;
    s->late.at_ms = s->now_ms + sim_between(s, 0, 20000);
    *put = (sim_put){.at_ms = CFI_NEVER};
    break;
  default:
    break;
  }
}

void sim_local_run(sim *s) {
  if (s->late.text == NULL || s->now_ms < s->late.at_ms)
    return;
  sim_trail(s, "what was given up arrives: %s",
            write_now(s, &s->late) ? "written" : "in conflict");
  forget_put(&s->late);
}

/* ---- answers ---- */

static void put_text(sim_conn *c, const char *text) {
  cfi_buf_puts(&c->out, text);
}

static void answer_conflict(sim_conn *c) {
  c->status = 409;
  put_text(c, "{\"error\":\"conflict\",\"reason\":\"Document update "
              "conflict.\"}\n");
}

static void answer_put(sim *s, sim_conn *c) {
  bool refused =
      c->ask == CFI_ASK_SAVE ? s->config.read_only : s->config.no_marker;

  if (refused) {
    c->status = 403;
    put_text(c, "{\"error\":\"forbidden\",\"reason\":\"You may only "
                "read.\"}\n");
  } else if (!write_now(s, &c->put)) {
    answer_conflict(c);
  } else {
    c->status = 201;
    put_text(c, "{\"ok\":true,\"id\":\"_local/x\",\"rev\":\"0-");
    cfi_buf_putint(&c->out, c->put.to->rev);
    put_text(c, "\"}\n");
  }
}

static void answer_get(sim *s, sim_conn *c) {
  const sim_local *l = local_of(s, c->ask);

  if (l->text == NULL) {
    c->status = 404;
    put_text(c, "{\"error\":\"not_found\",\"reason\":\"missing\"}\n");
    return;
  }
  put_document(&c->out, l->text, l->rev);
  c->place = l->place;
}

void sim_local_answer(sim *s, sim_conn *c) {
  if (is_put(c->ask))
    answer_put(s, c);
  else
    answer_get(s, c);
}

/* What a proxy answers in the place of the server may have been done all the
   same. */
void sim_local_hidden_answer(sim *s, sim_conn *c) {
  if (is_put(c->ask) && c->plan.status >= 500 && sim_chance(s, 300))
    (void)write_now(s, &c->put);
}
