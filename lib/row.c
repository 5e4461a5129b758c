/*
 * Rows, ends and errors of a feed, told apart by their members. A table says
 * which members there are and of which kinds; what is not in it is ignored,
 * and of a member that comes twice the last one counts.
 */
#include "row.h"

#include <string.h>

#include "arena.h"
#include "json.h"
#include "row_direct.h"
#include "str.h"

/* Of 64 KiB in all: a batch of a hundred rows with long positions. */
enum { TEXT_BLOCK = 2048, TEXT_BLOCKS = 32 };

struct cfi_row_parser {
  const cfi_alloc *alloc;
  size_t max_depth;
  const cfi_scan_path *path;
  cfi_arena texts;
};

typedef enum member {
  SEQ,
  ID,
  KEY,
  VALUE,
  CHANGES,
  DELETED,
  DOC,
  TYPE,
  ERROR,
  REASON,
  LAST_SEQ,
  PENDING,
  RESULTS
} member;

struct member_rule;

typedef struct reading {
  cfi_row_parser *parser;
  const char *text;
  cfi_row_source source;
  cfi_row *row;
  const struct member_rule *rule; /* of the member whose value comes */
  changefeed_str *revs;
  size_t rev_cap;
  changefeed_str rev; /* of the element of "changes", or of the "value", that
                         is being read */
  changefeed_str key;
  bool in_deleted; /* this member of "value" comes */
  bool changes_seen, type_seen, last_seq_seen, odd_error;
  bool no_memory;
} reading;

/* ---- members ---- */

#define BIT(kind) (1U << CFI_JSON_##kind)
#define ANY (~0U)
#define NAME(text) text, sizeof text - 1
#define POSITION (BIT(NULL) | BIT(NUMBER) | BIT(STRING) | BIT(ARRAY) | BIT(RAW))
#define IN_DATABASE (1U << CFI_ROW_OF_DATABASE)
#define IN_DB_UPDATES (1U << CFI_ROW_OF_DB_UPDATES)
#define IN_BOTH (IN_DATABASE | IN_DB_UPDATES)
#define IN_ALL_DOCS (1U << CFI_ROW_OF_ALL_DOCS)
#define ANYWHERE (IN_BOTH | IN_ALL_DOCS)

static const struct member_rule {
  const char *name;
  size_t name_len;
  member member;
  unsigned sources;
  unsigned kinds; /* of the events that may be its value */
  const char *why;
} rules[] = {
    {NAME("seq"), SEQ, IN_BOTH, POSITION,
     "\"seq\" is neither a string nor a number nor an array"},
    {NAME("id"), ID, IN_DATABASE | IN_ALL_DOCS, BIT(STRING),
     "\"id\" is not a string"},
    {NAME("key"), KEY, IN_ALL_DOCS, BIT(STRING), "\"key\" is not a string"},
    {NAME("value"), VALUE, IN_ALL_DOCS, BIT(OBJECT) | BIT(OBJECT_END),
     "\"value\" is not an object"},
    {NAME("changes"), CHANGES, IN_DATABASE, BIT(ARRAY) | BIT(ARRAY_END),
     "\"changes\" is not an array"},
    {NAME("deleted"), DELETED, IN_DATABASE, BIT(TRUE) | BIT(FALSE),
     "\"deleted\" is neither true nor false"},
    {NAME("doc"), DOC, IN_DATABASE | IN_ALL_DOCS,
     BIT(NULL) | BIT(OBJECT) | BIT(RAW), "\"doc\" is not an object"},
    {NAME("db_name"), ID, IN_DB_UPDATES, BIT(STRING),
     "\"db_name\" is not a string"},
    {NAME("type"), TYPE, IN_DB_UPDATES, BIT(STRING),
     "\"type\" is not a string"},
    {NAME("last_seq"), LAST_SEQ, IN_BOTH, POSITION,
     "\"last_seq\" is neither a string nor a number nor an array"},
    {NAME("pending"), PENDING, IN_BOTH, ANY, NULL},
    {NAME("results"), RESULTS, IN_BOTH, ANY, NULL},
    {NAME("rows"), RESULTS, IN_ALL_DOCS, ANY, NULL},
    {NAME("error"), ERROR, ANYWHERE, ANY, NULL},
    {NAME("reason"), REASON, ANYWHERE, ANY, NULL},
};

enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static const struct member_rule *rule_named(const reading *r,
                                            const cfi_json_event *key) {
  for (size_t i = 0; i < RULE_COUNT; i++)
    if (rules[i].name_len == key->len &&
        memcmp(rules[i].name, key->text, key->len) == 0 &&
        (rules[i].sources & (1U << r->source)) != 0)
      return &rules[i];
  return NULL;
}

/* ---- values ---- */

static cfi_json_verdict bad(reading *r, const char *why) {
  r->row->why = why;
  return CFI_JSON_STOP;
}

static cfi_json_verdict keep(reading *r, const cfi_json_event *e,
                             changefeed_str *out) {
  char *copy = cfi_arena_text(&r->parser->texts, e->text, e->len);

  if (copy == NULL) {
    r->no_memory = true;
    return CFI_JSON_STOP;
  }
  out->data = copy;
  out->len = e->len;
  return CFI_JSON_GO_ON;
}

static const changefeed_str absent = {NULL, 0};

static cfi_json_verdict take_position(reading *r, const cfi_json_event *e,
                                      changefeed_str *out) {
  *out = absent;
  if (e->kind == CFI_JSON_ARRAY)
    return CFI_JSON_SKIP;
  return e->kind == CFI_JSON_NULL ? CFI_JSON_GO_ON : keep(r, e, out);
}

/* Members that tell of trouble must not make more of it: what is not a string
   is passed over. */
static cfi_json_verdict take_message(reading *r, const cfi_json_event *e,
                                     changefeed_str *out) {
  *out = absent;
  return e->kind == CFI_JSON_STRING ? keep(r, e, out) : CFI_JSON_SKIP;
}

static cfi_json_verdict take_pending(reading *r, const cfi_json_event *e) {
  int64_t value;

  r->row->pending = -1;
  if (e->kind == CFI_JSON_NUMBER && cfi_str_to_int(e->text, e->len, &value) &&
      value >= 0)
    r->row->pending = value;
  return CFI_JSON_SKIP;
}

static cfi_json_verdict take_doc(reading *r, const cfi_json_event *e) {
  r->row->doc_offset = r->row->doc_len = 0;
  if (e->kind == CFI_JSON_RAW) {
    r->row->doc_offset = (size_t)(e->text - r->text);
    r->row->doc_len = e->len;
  }
  return CFI_JSON_SKIP;
}

static cfi_json_verdict add_rev(reading *r, const char *why);

/* What _all_docs says of a document: {"rev":...}, with "deleted" if it was
   asked for by its id. */
static cfi_json_verdict take_listed(reading *r, const cfi_json_event *e) {
  if (e->kind == CFI_JSON_OBJECT_END)
    return add_rev(r, "the \"value\" has no \"rev\"");
  r->rev = absent;
  r->row->rev_count = 0;
  r->row->deleted = false;
  return CFI_JSON_GO_ON;
}

static cfi_json_verdict take_value(reading *r, const cfi_json_event *e) {
  cfi_row *row = r->row;

  if ((r->rule->kinds & (1U << e->kind)) == 0)
    return bad(r, r->rule->why);
  switch (r->rule->member) {
  case SEQ:
    return take_position(r, e, &row->seq);
  case LAST_SEQ:
    r->last_seq_seen = true;
    return take_position(r, e, &row->last_seq);
  case ID:
    return keep(r, e, &row->id);
  case KEY:
    return keep(r, e, &r->key);
  case VALUE:
    return take_listed(r, e);
  case CHANGES:
    r->changes_seen = true;
    if (e->kind == CFI_JSON_ARRAY)
      row->rev_count = 0;
    return CFI_JSON_GO_ON;
  case DELETED:
    row->deleted = e->kind == CFI_JSON_TRUE;
    return CFI_JSON_GO_ON;
  case TYPE:
    r->type_seen = true;
    row->deleted = e->len == 7 && memcmp(e->text, "deleted", 7) == 0;
    return CFI_JSON_GO_ON;
  case DOC:
    return take_doc(r, e);
  case ERROR:
    row->has_error = e->kind != CFI_JSON_NULL;
    r->odd_error = row->has_error && e->kind != CFI_JSON_STRING;
    return take_message(r, e, &row->error);
  case REASON:
    return take_message(r, e, &row->reason);
  case PENDING:
    return take_pending(r, e);
  case RESULTS:
    row->has_results = e->kind == CFI_JSON_RAW && e->text[0] == '[';
    return CFI_JSON_SKIP;
  }
  return CFI_JSON_SKIP;
}

/* ---- inside "changes" and "value" ---- */

static cfi_json_verdict add_rev(reading *r, const char *why) {
  size_t count = r->row->rev_count;

  if (r->rev.data == NULL)
    return bad(r, why);
  if (count == r->rev_cap) {
    size_t cap = count != 0 ? count * 2 : 1;
    changefeed_str *revs = cfi_arena_grow(
        &r->parser->texts, r->revs, count * sizeof *revs, cap * sizeof *revs);

    if (revs == NULL) {
      r->no_memory = true;
      return CFI_JSON_STOP;
    }
    r->revs = revs;
    r->rev_cap = cap;
  }
  r->revs[count] = r->rev;
  r->row->rev_count++;
  return CFI_JSON_GO_ON;
}

static cfi_json_verdict in_changes(reading *r, const cfi_json_event *e) {
  switch (e->kind) {
  case CFI_JSON_OBJECT:
    r->rev = absent;
    return CFI_JSON_GO_ON;
  case CFI_JSON_OBJECT_END:
    return add_rev(r, "an element of \"changes\" has no \"rev\"");
  default:
    return bad(r, "an element of \"changes\" is not an object");
  }
}

static cfi_json_verdict in_change(reading *r, const cfi_json_event *e) {
  changefeed_str name = {e->text, e->len};

  if (e->kind == CFI_JSON_KEY)
    return cfi_str_equal(name, "rev") ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  if (e->kind == CFI_JSON_STRING)
    return keep(r, e, &r->rev);
  return bad(r, "a \"rev\" in \"changes\" is not a string");
}

static cfi_json_verdict in_listed(reading *r, const cfi_json_event *e) {
  changefeed_str name = {e->text, e->len};

  if (e->kind == CFI_JSON_KEY) {
    r->in_deleted = cfi_str_equal(name, "deleted");
    return r->in_deleted || cfi_str_equal(name, "rev") ? CFI_JSON_GO_ON
                                                       : CFI_JSON_SKIP;
  }
  if (r->in_deleted) {
    r->row->deleted = e->kind == CFI_JSON_TRUE;
    return r->row->deleted || e->kind == CFI_JSON_FALSE
               ? CFI_JSON_GO_ON
               : bad(r, "\"deleted\" is neither true nor false");
  }
  return e->kind == CFI_JSON_STRING
             ? keep(r, e, &r->rev)
             : bad(r, "the \"rev\" in \"value\" is not a string");
}

/* ---- the whole ---- */

static cfi_json_verdict on_event(void *user, const cfi_json_event *e) {
  reading *r = user;

  switch (e->depth) {
  case 0:
    if (e->kind == CFI_JSON_OBJECT || e->kind == CFI_JSON_OBJECT_END)
      return CFI_JSON_GO_ON;
    return bad(r, "it is not an object");
  case 1:
    if (e->kind != CFI_JSON_KEY)
      return take_value(r, e);
    r->rule = rule_named(r, e);
    return r->rule != NULL ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  case 2:
    return r->rule->member == VALUE ? in_listed(r, e) : in_changes(r, e);
  default:
    return in_change(r, e);
  }
}

static cfi_row_kind refuse(cfi_row *row, const char *why) {
  row->why = why;
  return CFI_ROW_BAD;
}

static cfi_row_kind kind_of(const reading *r) {
  cfi_row *row = r->row;
  bool database = r->source != CFI_ROW_OF_DB_UPDATES;
  bool listed = r->source == CFI_ROW_OF_ALL_DOCS;

  /* A document that was asked for and never was. */
  if (listed && row->id.data == NULL && row->has_error)
    row->id = r->key;
  if (row->id.data != NULL) {
    if (row->id.len == 0)
      return refuse(row, database ? "\"id\" is empty" : "\"db_name\" is empty");
    if (!database && !r->type_seen)
      return refuse(row, "\"type\" is missing");
    if (database && row->rev_count == 0 && !row->has_error)
      return refuse(row, listed            ? "\"value\" is missing"
                         : r->changes_seen ? "\"changes\" is empty"
                                           : "\"changes\" is missing");
    return CFI_ROW_CHANGE;
  }
  if (r->odd_error)
    return refuse(row, "\"error\" is not a string");
  if (row->has_error)
    return CFI_ROW_ERROR;
  if (r->last_seq_seen || row->has_results)
    return CFI_ROW_END;
  if (listed)
    return refuse(row, "it has no \"id\"");
  return refuse(row, database ? "it has neither \"id\" nor \"last_seq\""
                              : "it has neither \"db_name\" nor \"last_seq\"");
}

cfi_row_parser *cfi_row_parser_new(const cfi_alloc *alloc, size_t max_depth) {
  cfi_row_parser *p = cfi_malloc(alloc, sizeof *p);

  if (p == NULL)
    return NULL;
  p->alloc = alloc;
  p->max_depth = max_depth;
  p->path = cfi_scan_best();
  cfi_arena_init(&p->texts, alloc, TEXT_BLOCK);
  cfi_arena_keep(&p->texts, TEXT_BLOCKS);
  return p;
}

void cfi_row_parser_free(cfi_row_parser *p) {
  if (p == NULL)
    return;
  cfi_arena_free(&p->texts);
  cfi_free(p->alloc, p);
}

/* Member by member: for a size like this one compilers make an instruction of
   memset that costs more than reading a row. */
static void begin(cfi_row *out) {
  out->seq = absent;
  out->id = absent;
  out->last_seq = absent;
  out->error = absent;
  out->reason = absent;
  out->revs = NULL;
  out->rev_count = 0;
  out->doc_offset = out->doc_len = 0;
  out->deleted = out->has_error = out->has_results = false;
  out->pending = -1;
  out->why = NULL;
}

cfi_row_kind cfi_row_parse_by_json(cfi_row_parser *p, cfi_row_source source,
                                   const char *text, size_t len, cfi_row *out) {
  reading r;
  cfi_json_result result;

  begin(out);
  memset(&r, 0, sizeof r);
  r.parser = p;
  r.text = text;
  r.source = source;
  r.row = out;
  result = cfi_json_parse(p->alloc, p->max_depth, text, len, on_event, &r);
  out->revs = r.revs;
  if (result == CFI_JSON_NOMEM || r.no_memory)
    return CFI_ROW_NOMEM;
  if (result == CFI_JSON_OK)
    return kind_of(&r);
  if (result != CFI_JSON_STOPPED)
    out->why = cfi_json_why(result);
  return CFI_ROW_BAD;
}

cfi_row_kind cfi_row_parse_framed(cfi_row_parser *p, cfi_row_source source,
                                  const char *text, size_t len, size_t inner,
                                  const cfi_row_places *places, cfi_row *out) {
  cfi_row_places found;

  if (places == NULL && cfi_row_find_whole(p->path, source, p->max_depth, text,
                                           len, inner, &found))
    places = &found;
  if (places == NULL || places->source != source)
    return cfi_row_parse_by_json(p, source, text, len, out);
  begin(out);
  return cfi_row_copy(&p->texts, text, places, out) ? CFI_ROW_CHANGE
                                                    : CFI_ROW_NOMEM;
}

cfi_row_kind cfi_row_parse(cfi_row_parser *p, cfi_row_source source,
                           const char *text, size_t len, cfi_row *out) {
  return cfi_row_parse_framed(p, source, text, len, 0, NULL, out);
}

void cfi_row_reset(cfi_row_parser *p) { cfi_arena_reset(&p->texts); }

void cfi_row_rest(cfi_row_parser *p) { cfi_arena_free(&p->texts); }
