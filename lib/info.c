/*
 * Members of small answers. What has another type than it should is taken for
 * missing: these answers only inform, nothing is lost by their gaps.
 */
#include "info.h"

#include <string.h>

#include "json.h"
#include "str.h"

enum { MAX_DEPTH = 100 };

typedef enum member {
  NO_MEMBER,
  UUID,
  VERSION,
  COUCHDB,
  DB_NAME,
  START_TIME,
  UPDATE_SEQ,
  USER_CTX,
  NAME,
  ERROR,
  REASON,
  REV,
  MARKER
} member;

typedef struct reading {
  cfi_info *info;
  char *next; /* free bytes of the block */
  member member;
} reading;

static const struct {
  const char *name;
  member member;
} names[] = {
    {"uuid", UUID},
    {"version", VERSION},
    {"couchdb", COUCHDB},
    {"db_name", DB_NAME},
    {"instance_start_time", START_TIME},
    {"update_seq", UPDATE_SEQ},
    {"userCtx", USER_CTX},
    {"name", NAME},
    {"error", ERROR},
    {"reason", REASON},
    {"_rev", REV},
    {"rev", REV},
    {"marker", MARKER},
};

static member member_named(const cfi_json_event *key) {
  changefeed_str name = {key->text, key->len};

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (cfi_str_equal(name, names[i].name))
      return names[i].member;
  return NO_MEMBER;
}

/* The block is as long as the text: what is kept is at least one byte shorter
   than what it was written as, or has a byte of punctuation behind it. */
static void keep(reading *r, const cfi_json_event *e, changefeed_str *out) {
  if (e->len != 0)
    memcpy(r->next, e->text, e->len);
  r->next[e->len] = '\0';
  out->data = r->next;
  out->len = e->len;
  r->next += e->len + 1;
}

static cfi_json_verdict take_string(reading *r, const cfi_json_event *e,
                                    changefeed_str *out) {
  if (e->kind == CFI_JSON_STRING)
    keep(r, e, out);
  return CFI_JSON_SKIP;
}

static cfi_json_verdict take_update_seq(reading *r, const cfi_json_event *e) {
  if (e->kind == CFI_JSON_STRING || e->kind == CFI_JSON_NUMBER ||
      (e->kind == CFI_JSON_RAW && e->text[0] == '[')) {
    keep(r, e, &r->info->update_seq);
    r->info->update_seq_is_number = e->kind == CFI_JSON_NUMBER;
  }
  return CFI_JSON_SKIP;
}

static cfi_json_verdict take_value(reading *r, const cfi_json_event *e) {
  cfi_info *info = r->info;

  switch (r->member) {
  case UUID:
    return take_string(r, e, &info->uuid);
  case VERSION:
    return take_string(r, e, &info->version);
  case DB_NAME:
    return take_string(r, e, &info->db_name);
  case START_TIME:
    if (e->kind == CFI_JSON_NUMBER)
      keep(r, e, &info->instance_start_time);
    return take_string(r, e, &info->instance_start_time);
  case UPDATE_SEQ:
    return take_update_seq(r, e);
  case USER_CTX:
    info->has_session = info->has_session || e->kind == CFI_JSON_OBJECT;
    return e->kind == CFI_JSON_OBJECT ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  case NAME:
    info->has_user = info->has_user || e->kind == CFI_JSON_STRING;
    return CFI_JSON_SKIP;
  case ERROR:
    return take_string(r, e, &info->error);
  case REASON:
    return take_string(r, e, &info->reason);
  case REV:
    return take_string(r, e, &info->rev);
  case MARKER:
    return take_string(r, e, &info->marker);
  case COUCHDB:
  case NO_MEMBER:
    break;
  }
  return CFI_JSON_SKIP;
}

static cfi_json_verdict on_event(void *user, const cfi_json_event *e) {
  reading *r = user;

  if (e->depth == 0)
    return e->kind == CFI_JSON_OBJECT || e->kind == CFI_JSON_OBJECT_END
               ? CFI_JSON_GO_ON
               : CFI_JSON_STOP;
  if (e->kind == CFI_JSON_KEY) {
    r->member = member_named(e);
    /* Within userCtx only the name counts. */
    if (e->depth == 2 && r->member != NAME)
      r->member = NO_MEMBER;
    if (r->member == COUCHDB || r->member == UUID)
      r->info->welcome = true;
    return r->member != NO_MEMBER ? CFI_JSON_GO_ON : CFI_JSON_SKIP;
  }
  return take_value(r, e);
}

int cfi_info_parse(const cfi_alloc *alloc, const char *text, size_t len,
                   cfi_info *out) {
  cfi_info info;
  reading r;
  cfi_json_result result;

  memset(&info, 0, sizeof info);
  info.block = cfi_malloc(alloc, len);
  if (info.block == NULL)
    return CFI_INFO_NOMEM;
  r.info = &info;
  r.next = info.block;
  r.member = NO_MEMBER;
  result = cfi_json_parse(alloc, MAX_DEPTH, text, len, on_event, &r);
  if (result == CFI_JSON_OK) {
    *out = info;
    return CFI_INFO_OK;
  }
  cfi_free(alloc, info.block);
  return result == CFI_JSON_NOMEM ? CFI_INFO_NOMEM : CFI_INFO_BAD;
}

void cfi_info_free(const cfi_alloc *alloc, cfi_info *info) {
  cfi_free(alloc, info->block);
  memset(info, 0, sizeof *info);
}
